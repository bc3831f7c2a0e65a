//! Random directions along which second derivatives are compared.
//!
//! A product of the Hessian with a vector v is the change of the forces along v, here by a central difference:
//! `H v ≈ −(F(r + h v) − F(r − h v)) / 2h`. For v with standard normal components, the mean of `‖ΔH v‖²` is the squared
//! Frobenius norm of ΔH, so that few directions do instead of all 3n columns (A. Rodriguez et al., *Projected Hessian
//! Learning*, arXiv 2603.04523, with directions that stay the same).

use potstill_core::{Result, System, limits};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

use potstill_simulate::standard_normal;

/// Keeps these directions apart from all other random numbers; they do not change with the seed of a run, so that runs share
/// a teacher's answers.
const SEED: u64 = 0x7072_6f62_6573;

/// Random directions of displacements, and their length.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probes {
    /// Standard deviation of each coordinate's displacement in Å: h, as components of v have standard deviation 1.
    pub step: f64,
    /// Directions for each system; each step uses one of them.
    pub n: usize,
}

/// Largest displacement in Å.
const LONGEST_STEP: f64 = 1.0;

impl Probes {
    /// Checks the numbers; the message says what is wrong.
    ///
    /// # Errors
    /// No direction or too many, a step that is no distance or too long for a difference.
    pub fn check(&self) -> Result<(), String> {
        if !(self.step > 0.0 && self.step <= LONGEST_STEP) {
            return Err(format!("step is {}; it must be positive, and at most {LONGEST_STEP} Å", self.step));
        }
        limits::PROBES.complaint(self.n).map_or(Ok(()), |complaint| Err(format!("probes {complaint}")))
    }

    /// A copy of system `index` with its free atoms moved by `sign · h` along a probe; without labels.
    pub fn displaced(&self, system: &System, index: usize, probe: usize, sign: f64) -> System {
        let mut copy = System { energy: None, forces: None, stress: None, ..system.clone() };
        let mut rng = ChaCha8Rng::seed_from_u64(SEED ^ probe as u64);
        rng.set_stream(index as u64);
        for atom in 0..copy.n_atoms() {
            let direction: [f64; 3] = std::array::from_fn(|_| standard_normal(&mut rng));
            if system.is_free(atom) {
                let position = &mut copy.positions[atom];
                *position = std::array::from_fn(|c| position[c] + sign * self.step * direction[c]);
            }
        }
        copy
    }

    /// Derivative of the forces along a probe for systems that are numbered from `first`: the difference of `forces` on two
    /// displaced copies, in eV/Å². Shape: `[n_atoms * 3]`.
    ///
    /// # Errors
    /// Those of `forces`.
    pub fn product(
        &self,
        systems: &[&System],
        first: usize,
        probe: usize,
        forces: &dyn Fn(&[&System]) -> Result<Vec<f64>>,
    ) -> Result<Vec<f64>> {
        let at = |sign: f64| {
            let copy = |(k, system): (usize, &&System)| self.displaced(system, first + k, probe, sign);
            let copies: Vec<System> = systems.iter().enumerate().map(copy).collect();
            forces(&copies.iter().collect::<Vec<_>>())
        };
        let (plus, minus) = (at(1.0)?, at(-1.0)?);
        Ok(plus.iter().zip(&minus).map(|(a, b)| (a - b) / (2.0 * self.step)).collect())
    }

    /// The probe of system `index` in a step of the training.
    pub fn choose(&self, step: u64, index: usize) -> usize {
        (step as usize).wrapping_add(index) % self.n.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_lie_on_either_side() {
        let system = System {
            atomic_numbers: vec![1, 8, 1],
            positions: vec![[0.0; 3], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
            fixed: Some(vec![false, true, false]),
            energy: Some(1.0),
            ..System::default()
        };
        let probes = Probes { step: 0.01, n: 2 };
        let copy = |index, probe, sign| probes.displaced(&system, index, probe, sign).positions;
        let (plus, minus) = (copy(3, 1, 1.0), copy(3, 1, -1.0));
        for (atom, position) in system.positions.iter().enumerate() {
            for c in 0..3 {
                assert!((plus[atom][c] + minus[atom][c] - 2.0 * position[c]).abs() < 1e-15);
                assert_eq!(plus[atom][c] == position[c], atom == 1);
            }
        }
        assert!(copy(3, 0, 1.0) != plus && copy(4, 1, 1.0) != plus && copy(3, 1, 1.0) == plus);
        assert_eq!((0..4).map(|step| probes.choose(step, 1)).collect::<Vec<_>>(), [1, 0, 1, 0]);
    }
}
