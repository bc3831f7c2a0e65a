//! What is found by going over all data before the first step: by rank 0 alone where several processes train together.

use potstill_core::elements::atomic_number;
use potstill_core::model::{Header, ModelFile};
use potstill_core::ranks::Ranks;
use potstill_core::{Error, Result};
use potstill_data::dataset::{Survey, Systems};
use serde::{Deserialize, Serialize};

use super::header::header;
use super::labels::{check_labels, check_synthetic};
use super::{Data, Tell};
use crate::config::Config;

/// Findings about the data of a run, whose labels were checked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Findings {
    /// Training, validation and synthetic systems, isolated atoms among them.
    pub surveys: [Survey; 3],
    /// Training systems that are trained on.
    pub trained: Survey,
    /// Header of the model that is shipped.
    pub header: Header,
    /// Training systems that are left out, since they gave reference energies.
    pub isolated: Vec<usize>,
}

impl Findings {
    /// Goes over all data, several times.
    ///
    /// # Errors
    /// Data that cannot be read or trained on.
    pub fn of(config: &Config, data: &Data, start: Option<&ModelFile>, tell: &Tell<'_>) -> Result<Self> {
        let surveys = [Survey::of(&data.train)?, Survey::of(&data.validation)?, Survey::of(&data.synthetic)?];
        let (header, trained, isolated) = header(config, &data.train, &surveys[0], start, tell)?;
        let known = elements_of(&header, &trained);
        check_labels(config, &data.train.clone().without(&isolated), &known, "data.train")?;
        if !data.validation.is_empty() {
            check_labels(config, &data.validation, &known, "data.validation")?;
        }
        if !data.synthetic.is_empty() {
            check_synthetic(config, &data.synthetic, &known, config.data.mix.unwrap_or_default())?;
        }
        Ok(Self { surveys, trained, header, isolated })
    }

    /// Checks that a process has the data of rank 0: by their contents where they are in memory, by their numbers of systems and atoms
    /// where they are on disk.
    ///
    /// # Errors
    /// Other data than rank 0 has.
    pub fn check(&self, ranks: &dyn Ranks, data: &Data) -> Result<()> {
        if ranks.leads() {
            return Ok(());
        }
        let keys = ["data.train", "data.validation", "data.synthetic"];
        for ((key, found), own) in keys.iter().zip(&self.surveys).zip([&data.train, &data.validation, &data.synthetic])
        {
            if !is_same(found, own)? {
                return Err(Error::Other(format!(
                    "rank {}: {key} holds other systems than at rank 0 ({} and {}); give all processes the same",
                    ranks.rank(),
                    own.len(),
                    found.n_systems,
                )));
            }
        }
        Ok(())
    }
}

fn is_same(found: &Survey, own: &Systems) -> Result<bool> {
    let n_atoms: usize = own.atom_counts().iter().sum();
    if (found.n_systems, found.n_atoms) != (own.len(), n_atoms) {
        return Ok(false);
    }
    Ok(!own.is_in_memory() || Survey::of(own)? == *found)
}

/// Atomic numbers that labels may hold: those of the training systems, and of the model that the run starts from.
fn elements_of(header: &Header, survey: &Survey) -> Vec<u8> {
    let mut all = survey.elements.clone();
    all.extend(header.elements.iter().filter_map(|symbol| atomic_number(symbol)));
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use potstill_core::System;
    use potstill_testkit::systems::molecule;

    use super::*;

    /// The second of two processes, which nobody sends anything.
    #[derive(Debug)]
    struct Second;

    impl Ranks for Second {
        fn rank(&self) -> usize {
            1
        }

        fn n_ranks(&self) -> usize {
            2
        }

        fn send(&self, _: usize, _: &[u8]) {}

        fn receive(&self, _: usize, _: &mut [u8]) {}

        fn broadcast(&self, _: &mut [u8]) {}
    }

    #[test]
    fn other_data_than_those_of_rank_0_are_refused() {
        let system = |seed| System { energy: Some(-1.0), forces: Some(vec![[1.0, 0.0, -1.0]; 5]), ..molecule(5, seed) };
        let data = |seeds: std::ops::Range<u64>| Data {
            train: seeds.map(system).collect::<Vec<_>>().into(),
            ..Data::default()
        };
        let config: Config = toml::from_str("[model]\narchitecture = 'painn'\n[training]\n").unwrap();
        let found = Findings::of(&config, &data(0..9), None, &|_| {}).unwrap();
        let message: Vec<u8> = serde_json::to_vec(&found).unwrap();
        let found: Findings = serde_json::from_slice(&message).unwrap();
        found.check(&Second, &data(0..9)).unwrap();
        for other in [data(0..8), data(1..10)] {
            let n = other.train.len();
            let error = found.check(&Second, &other).unwrap_err().to_string();
            let wanted = format!("rank 1: data.train holds other systems than at rank 0 ({n} and 9)");
            assert!(error.contains(&wanted), "{error}");
        }
    }
}
