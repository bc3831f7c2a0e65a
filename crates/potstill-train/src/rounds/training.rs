//! Configuration and data of the training of each round.

use std::fmt;
use std::path::{Path, PathBuf};

use potstill_core::Result;
use potstill_data::dataset::Systems;

use super::Distillation;
use super::structures::read;
use crate::config::Config;
use crate::mix::Mix;
use crate::run::Data;

/// Largest part of an epoch that teacher-labelled structures make up beside real ones.
const MOST_SYNTHETIC: f64 = 0.9;

/// One of the trainings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// That of a round, counted from 1.
    Round(usize),
    /// The last one, on real labels alone.
    FineTuning,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Round(round) => write!(f, "training-{round}"),
            Self::FineTuning => f.write_str("fine-tuning"),
        }
    }
}

impl Distillation<'_> {
    /// Configuration and data of a training that starts from the model of the one before.
    ///
    /// # Errors
    /// Files that cannot be read.
    pub(super) fn training(&self, stage: Stage, from: Option<&Path>) -> Result<(Config, Data)> {
        let mut config = self.job.config.clone();
        if let Some(distill) = &mut config.distill {
            distill.rounds = None;
        }
        config.distill = config.distill.filter(|distill| distill.is_active());
        // The first training starts where the configuration says.
        if let Some(from) = from {
            config.training.start_from = Some(from.to_owned());
        }
        let real = match self.fine_tunes() {
            true => self.job.host.data(&config.data)?,
            false => Data::default(),
        };
        let minutes = self.rounds.minutes(self.fine_tunes());
        match stage {
            Stage::FineTuning => {
                let tuning = self.rounds.fine_tune;
                config.training.energy_weight *= tuning.energy_factor;
                config.training.learning_rate *= tuning.learning_rate_factor;
                config.training.max_minutes = minutes.map(|(_, last)| last).or(config.training.max_minutes);
                // The teacher has said all that it knows.
                config.distill = None;
                let validation = match real.validation.is_empty() {
                    true => self.labelled(&mut config.data.validation, self.rounds.n, Part::Validation)?,
                    false => real.validation,
                };
                Ok((config, Data { validation, ..real }))
            }
            Stage::Round(round) => {
                let minutes = minutes.and_then(|(rounds, _)| rounds.get(round - 1).copied());
                config.training.max_minutes = minutes.or(config.training.max_minutes);
                let data = self.data_of(round, &mut config, real)?;
                Ok((config, data))
            }
        }
    }

    /// Data of a round: structures that the teacher labelled, beside real ones where there are some.
    fn data_of(&self, round: usize, config: &mut Config, real: Data) -> Result<Data> {
        let validation = match real.validation.is_empty() {
            true => self.labelled(&mut config.data.validation, round, Part::Validation)?,
            false => real.validation,
        };
        if real.train.is_empty() {
            let train = self.labelled(&mut config.data.train, round, Part::Train)?;
            return Ok(Data { train, validation, ..Data::default() });
        }
        let synthetic = self.labelled(&mut config.data.synthetic, round, Part::Train)?;
        let share = synthetic.len() as f64 / (synthetic.len() + real.train.len()) as f64;
        config.data.mix.get_or_insert(Mix { synthetic: share.min(MOST_SYNTHETIC), ..Mix::default() });
        Ok(Data { train: real.train, synthetic, validation })
    }

    /// Structures that the teacher labelled up to a round; their files are added to those of the configuration.
    fn labelled(&self, files: &mut Vec<PathBuf>, round: usize, part: Part) -> Result<Systems> {
        let own: Vec<PathBuf> = (1..=round)
            .map(|round| match part {
                Part::Train => self.structures(round).train(),
                Part::Validation => self.structures(round).validation(),
            })
            .collect();
        files.extend(own.iter().cloned());
        let mut all = Vec::new();
        for path in &own {
            all.extend(read(path)?);
        }
        Ok(all.into())
    }
}

/// Part of the structures of a round.
#[derive(Debug, Clone, Copy)]
enum Part {
    Train,
    Validation,
}
