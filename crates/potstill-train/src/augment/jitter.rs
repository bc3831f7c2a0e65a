//! Random displacements.

use potstill_core::{Error, Result, System, limits};
use rand::Rng;
use serde::{Deserialize, Serialize};

use potstill_simulate::standard_normal;

type Vec3 = [f64; 3];

/// Settings of random displacements.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jitter {
    /// Standard deviation of each component in Å. Default 0.1.
    #[serde(default = "tenth")]
    pub std: f64,
    /// `"free"` (default), `"across_force"`, `"along_force"` or `"from_force"`.
    #[serde(default)]
    pub mode: JitterMode,
    /// Length of every displacement in Å. Default: as drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed_length: Option<f64>,
}

fn tenth() -> f64 {
    0.1
}

/// Relation between displacements and forces, which are the labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JitterMode {
    /// Displacements do not depend on forces. The default.
    #[default]
    Free,
    /// The part along the force is taken away.
    AcrossForce,
    /// Only the part along the force remains.
    AlongForce,
    /// The mean is the force in eV/Å, read as Å; meant with `fixed_length`.
    FromForce,
}

impl Jitter {
    pub(crate) fn wrong(&self) -> Option<(&'static str, String)> {
        let longest = limits::LONGEST_DISPLACEMENT;
        let lengths = [("fixed_length", self.fixed_length), ("std", Some(self.std))];
        let wrong =
            lengths.into_iter().find_map(|(key, length)| Some((key, length.filter(|l| !(*l > 0.0 && *l <= longest))?)));
        wrong.map(|(key, length)| (key, format!("is {length}; it must be positive, and at most {longest} Å")))
    }

    /// Displacements of all atoms of a system. Shape: `[n_atoms, 3]`.
    ///
    /// # Errors
    /// Forces are needed, but the system has none.
    pub fn draw(&self, system: &System, rng: &mut impl Rng) -> Result<Vec<Vec3>> {
        let noise = (0..system.n_atoms()).map(|_| std::array::from_fn(|_| self.std * standard_normal(rng))).collect();
        self.displacements(system, noise)
    }

    /// Displacements from noise of the right standard deviation. Shapes: `[n_atoms, 3]`.
    ///
    /// # Errors
    /// As [`Jitter::draw`].
    pub fn displacements(&self, system: &System, noise: Vec<Vec3>) -> Result<Vec<Vec3>> {
        let drawn: Vec<Vec3> = match self.mode {
            JitterMode::Free => noise,
            _ => {
                let forces = forces(system)?;
                let pairs = noise.into_iter().zip(forces);
                pairs.map(|(noise, force)| self.directed(noise, *force)).collect()
            }
        };
        Ok(match self.fixed_length {
            Some(length) => drawn.into_iter().map(|d| scaled(unit(d), length)).collect(),
            None => drawn,
        })
    }

    fn directed(&self, noise: Vec3, force: Vec3) -> Vec3 {
        let along = projection(noise, force);
        match self.mode {
            JitterMode::Free => noise,
            JitterMode::AcrossForce => std::array::from_fn(|c| noise[c] - along[c]),
            JitterMode::AlongForce => along,
            JitterMode::FromForce => std::array::from_fn(|c| force[c] + noise[c]),
        }
    }
}

pub(crate) fn forces(system: &System) -> Result<&[Vec3]> {
    let message =
        "distill.augmentation follows forces, but a system has none; give forces or use another kind of copies";
    system.forces.as_deref().ok_or_else(|| Error::Other(message.to_owned()))
}

pub(crate) fn dot(a: Vec3, b: Vec3) -> f64 {
    a.iter().zip(&b).map(|(a, b)| a * b).sum()
}

pub(crate) fn scaled(a: Vec3, factor: f64) -> Vec3 {
    a.map(|c| factor * c)
}

/// `a` over its length, 0 for 0, as PyTorch's `normalize`.
pub(crate) fn unit(a: Vec3) -> Vec3 {
    scaled(a, 1.0 / dot(a, a).sqrt().max(1e-12))
}

/// The part of `a` along `b`; 0 where `b` is 0.
pub(crate) fn projection(a: Vec3, b: Vec3) -> Vec3 {
    let square = dot(b, b);
    if square > 0.0 { scaled(b, dot(a, b) / square) } else { [0.0; 3] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn modes_do_what_they_say() {
        let forces = vec![[0.3, -0.2, 0.9], [0.0; 3], [-2.0, 0.0, 0.0]];
        let system = System { atomic_numbers: vec![1; 3], positions: vec![[0.0; 3]; 3], ..System::default() };
        let system = System { forces: Some(forces.clone()), ..system };
        let draw = |mode, fixed_length| {
            let jitter = Jitter { std: 0.2, mode, fixed_length };
            jitter.draw(&system, &mut rand_chacha::ChaCha8Rng::seed_from_u64(3)).unwrap()
        };
        let free = draw(JitterMode::Free, None);
        for (a, force) in forces.iter().enumerate() {
            let (across, along) = (draw(JitterMode::AcrossForce, None)[a], draw(JitterMode::AlongForce, None)[a]);
            assert!(dot(across, *force).abs() < 1e-12);
            let cross = dot(along, along) * dot(*force, *force) - dot(along, *force).powi(2);
            assert!(cross.abs() < 1e-12);
            assert!((0..3).all(|c| (across[c] + along[c] - free[a][c]).abs() < 1e-12));
            let length = |d: Vec3| dot(d, d).sqrt();
            assert!((length(draw(JitterMode::FromForce, Some(0.25))[a]) - 0.25).abs() < 1e-12);
        }
        let bare = System { forces: None, ..system.clone() };
        let jitter = Jitter { std: 0.2, mode: JitterMode::AlongForce, fixed_length: None };
        let error = jitter.displacements(&bare, vec![[0.0; 3]; 3]).unwrap_err().to_string();
        assert!(error.contains("forces"), "{error}");
    }
}
