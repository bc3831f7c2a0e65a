//! Shift and scale between labels and what a network predicts.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error_at;
use super::keyword::{KeywordOr, keyword_or_table};
use super::statistics::Running;
use super::visit::Visit;
use potstill_core::error::{Error, Result};
use potstill_core::model::{ElementEnergies, Normalizer};

/// The setting that errors here speak of.
const KEY: &str = "normalization";
const WORDS: [&str; 3] = ["none", "energy", "forces"];

/// Source of the [`Normalizer`].
///
/// In TOML: `"none"`, `"energy"`, `"forces"`, or a table such as `{ energy_mean = -0.76, energy_std = 2.9, force_std = 2.9 }`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Normalization {
    /// Mean 0, scales 1.
    #[default]
    None,
    /// Mean and standard deviation (divided by the count) of energies less reference energies, the latter for forces too.
    Energy,
    /// Root mean square of the force components of free atoms for both scales, mean 0: leaves total energies
    /// proportional to size. Meant for use with reference energies.
    Forces,
    /// Given.
    Given(Normalizer),
}

impl Normalization {
    /// Finds the numbers for `systems`, which should be the training set and already validated: labels that are NaN or
    /// infinite are passed over.
    ///
    /// # Errors
    /// No labels to fit to, labels without spread, an element that `references` lacks, given numbers that are unusable.
    pub fn fit(&self, systems: &(impl Visit + ?Sized), references: &ElementEnergies) -> Result<Normalizer> {
        let normalizer = match self {
            Self::None => Normalizer::default(),
            Self::Given(normalizer) => *normalizer,
            Self::Energy => {
                let (mean, std) = energy_spread(systems, references)?;
                Normalizer { energy_mean: mean, energy_std: std, force_std: std }
            }
            Self::Forces => {
                let rms = force_rms(systems)?;
                Normalizer { energy_mean: 0.0, energy_std: rms, force_std: rms }
            }
        };
        normalizer.validate(false)?;
        Ok(normalizer)
    }
}

/// Mean and standard deviation of energies less reference energies.
fn energy_spread(systems: &(impl Visit + ?Sized), references: &ElementEnergies) -> Result<(f64, f64)> {
    let mut running = Running::new();
    systems.visit(&mut |index, system| {
        if let Some(energy) = system.energy {
            let total = references.total(&system.atomic_numbers).map_err(|e| error_at(index, system, e.to_string()))?;
            running.add(energy - total);
        }
        Ok(())
    })?;
    let summary = running.summary();
    match (summary.mean, summary.standard_deviation) {
        // Rounding of large total energies alone leaves a relative spread of about 1e-16.
        (Some(mean), Some(std)) if std > 1e-12 * mean.abs() => Ok((mean, std)),
        (Some(mean), _) => {
            Err(Error::setting(KEY, format!("every energy is {mean} eV; use \"forces\", \"none\" or a table")))
        }
        _ => Err(Error::setting(KEY, "no energies to fit to; use \"forces\", \"none\" or a table")),
    }
}

/// Root mean square of the force components of free atoms.
fn force_rms(systems: &(impl Visit + ?Sized)) -> Result<f64> {
    let mut running = Running::new();
    systems.visit(&mut |_, system| {
        let forces = system.forces.iter().flatten().enumerate();
        let is_fixed = |atom: usize| system.fixed.as_ref().and_then(|f| f.get(atom)) == Some(&true);
        let free = forces.filter(|&(atom, _)| !is_fixed(atom));
        free.flat_map(|(_, force)| force).for_each(|&f| running.add(f));
        Ok(())
    })?;
    match running.rms() {
        Some(rms) if rms > 0.0 => Ok(rms),
        Some(_) => Err(Error::setting(KEY, "every force is 0; use \"energy\", \"none\" or a table")),
        None => Err(Error::setting(KEY, "no forces to fit to; use \"energy\", \"none\" or a table")),
    }
}

impl Serialize for Normalization {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => output.serialize_str(WORDS[0]),
            Self::Energy => output.serialize_str(WORDS[1]),
            Self::Forces => output.serialize_str(WORDS[2]),
            Self::Given(normalizer) => normalizer.serialize(output),
        }
    }
}

impl<'de> Deserialize<'de> for Normalization {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        Ok(match keyword_or_table(input, &WORDS)? {
            KeywordOr::Keyword(1) => Self::Energy,
            KeywordOr::Keyword(2) => Self::Forces,
            KeywordOr::Keyword(_) => Self::None,
            KeywordOr::Table(normalizer) => Self::Given(normalizer),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use potstill_core::System;

    fn systems() -> Vec<System> {
        let make = |energy, force: f64| System {
            atomic_numbers: vec![1, 1],
            positions: vec![[0.0; 3]; 2],
            energy: Some(energy),
            forces: Some(vec![[force, -force, force], [100.0; 3]]),
            fixed: Some(vec![false, true]),
            ..System::default()
        };
        vec![make(-31.0, 1.0), make(-35.0, 7.0)]
    }

    fn hydrogen() -> ElementEnergies {
        ElementEnergies::new([(1, -15.0)])
    }

    fn complaint(mode: Normalization, systems: &[System]) -> String {
        mode.fit(systems, &hydrogen()).unwrap_err().to_string()
    }

    #[test]
    fn energy_uses_mean_and_spread_after_references() {
        let fitted = Normalization::Energy.fit(&systems(), &hydrogen()).unwrap();
        assert_eq!(fitted, Normalizer { energy_mean: -3.0, energy_std: 2.0, force_std: 2.0 });
        assert_eq!(fitted.normalize_energy(-1.0), 1.0);
        assert_eq!(fitted.denormalize_energy(1.0), -1.0);
        assert_eq!(fitted.denormalize_force(fitted.normalize_force(3.0)), 3.0);
    }

    #[test]
    fn forces_use_free_atoms_alone() {
        let fitted = Normalization::Forces.fit(&systems(), &hydrogen()).unwrap();
        assert!((fitted.force_std - 5.0).abs() < 1e-12);
        assert_eq!((fitted.energy_mean, fitted.energy_std), (0.0, fitted.force_std));
        fitted.validate(true).unwrap();
    }

    #[test]
    fn nothing_to_fit_to_is_an_error() {
        let mut bare = systems();
        bare.iter_mut().for_each(|s| (s.energy, s.forces) = (None, None));
        let end = "\"none\" or a table";
        assert_eq!(
            complaint(Normalization::Energy, &bare),
            format!("normalization: no energies to fit to; use \"forces\", {end}")
        );
        assert_eq!(
            complaint(Normalization::Forces, &bare),
            format!("normalization: no forces to fit to; use \"energy\", {end}")
        );
        let one = &systems()[..1];
        assert_eq!(
            complaint(Normalization::Energy, one),
            format!("normalization: every energy is -1 eV; use \"forces\", {end}")
        );
        let mut flat = systems();
        flat.iter_mut().for_each(|s| s.forces = Some(vec![[0.0; 3]; 2]));
        assert_eq!(
            complaint(Normalization::Forces, &flat),
            format!("normalization: every force is 0; use \"energy\", {end}")
        );
        let mut other = systems();
        other[1].atomic_numbers[0] = 8;
        assert_eq!(complaint(Normalization::Energy, &other), "system 1: no reference energy for O; known: H");
    }

    #[test]
    fn unusable_numbers_are_named() {
        let zero = Normalizer { energy_std: 0.0, ..Normalizer::default() };
        assert_eq!(
            complaint(Normalization::Given(zero), &systems()),
            "normalization.energy_std: is 0; it must be positive and finite"
        );
        let shifted = Normalizer { energy_mean: f64::NAN, ..Normalizer::default() };
        assert_eq!(
            shifted.validate(false).unwrap_err().to_string(),
            "normalization.energy_mean: is NaN; it must be finite"
        );
        let two = Normalizer { energy_mean: 0.0, energy_std: 2.0, force_std: 3.0 };
        two.validate(false).unwrap();
        assert_eq!(
            two.validate(true).unwrap_err().to_string(),
            "normalization.force_std: is 3, but energy_std is 2; \
             forces that are gradients of the energy need the same number twice"
        );
    }

    #[test]
    fn toml_takes_a_word_or_a_table() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Config {
            normalization: Normalization,
        }
        let read = |text: &str| toml::from_str::<Config>(&format!("normalization = {text}"));
        let given = Normalization::Given(Normalizer { energy_mean: -0.5, energy_std: 2.0, force_std: 1.0 });
        for (text, value) in [
            ("\"none\"", Normalization::None),
            ("\"energy\"", Normalization::Energy),
            ("\"forces\"", Normalization::Forces),
            ("{ energy_mean = -0.5, energy_std = 2 }", given),
        ] {
            let config = Config { normalization: value };
            assert_eq!(read(text).unwrap(), config);
            assert_eq!(toml::from_str::<Config>(&toml::to_string(&config).unwrap()).unwrap(), config);
        }
        assert_eq!(
            read("\"force\"").unwrap_err().message(),
            "invalid value: string \"force\", expected \"none\", \"energy\", \"forces\" or a table; did you mean \"forces\"?"
        );
        assert!(read("{ energy_sdt = 1.0 }").unwrap_err().message().contains("unknown field `energy_sdt`"));
    }
}
