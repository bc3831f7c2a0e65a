//! The training state: everything that a killed run needs to go on exactly.

use std::path::Path;

use potstill_core::files::checksum;
use potstill_core::model::write_tensors;
use potstill_core::{Error, Result, limits};
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use crate::observer::StepReport;
use crate::optimizer::Memory;
use crate::schedule::PlateauState;
use potstill_nn::Number;

/// Version of the layout.
const FORMAT_VERSION: u64 = 1;
const HEADER_KEY: &str = "potstill-training";

/// Hashes of what a run was started with; another run cannot go on from its state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// Hash of configuration and datasets.
    pub fingerprint: String,
    /// Hash of the teacher, where there is one.
    pub teacher: Option<String>,
}

impl Identity {
    /// Compares with a saved state; one of an older version does not name its teacher.
    ///
    /// # Errors
    /// A message that says what is different, and what to do.
    pub fn check(&self, saved: &Progress) -> std::result::Result<(), String> {
        let what = match () {
            () if saved.fingerprint != self.fingerprint => {
                "another configuration or dataset; only epochs, max_steps, max_minutes, patience, checkpoint_steps and \
                 checkpoint_minutes may change"
            }
            () if saved.teacher.is_some() && saved.teacher != self.teacher => "another teacher",
            () => return Ok(()),
        };
        Err(format!("was made with {what}; start again with --overwrite or another --out"))
    }
}

/// Progress of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Layout of the file.
    pub format_version: u64,
    /// Hash of configuration and datasets; a run with another one cannot go on from here.
    pub fingerprint: String,
    /// Hash of the teacher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teacher: Option<String>,
    /// Epoch that is being run, counted from 0.
    pub epoch: u64,
    /// Batches of it that are done.
    pub batch: usize,
    /// Steps done.
    pub step: u64,
    /// Seconds of training so far.
    pub seconds: f64,
    /// Best validation so far.
    pub best: Option<f64>,
    /// Validations since.
    pub waited: u64,
    /// State of a plateau schedule.
    pub plateau: PlateauState,
    /// Steps that are not in a line of `metrics.jsonl` yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub window: Vec<StepReport>,
}

impl Progress {
    /// The start of a run.
    pub fn new(identity: Identity, plateau: PlateauState) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            fingerprint: identity.fingerprint,
            teacher: identity.teacher,
            epoch: 0,
            batch: 0,
            step: 0,
            seconds: 0.0,
            best: None,
            waited: 0,
            plateau,
            window: Vec::new(),
        }
    }

    /// Refuses numbers that no run reaches.
    fn check(&self) -> Result<()> {
        let counts =
            [("epoch", self.epoch), ("step", self.step), ("batch", self.batch as u64), ("waited", self.waited)];
        counts.into_iter().try_for_each(|(name, value)| limits::STEPS.at_least(0).check_count(name, value))?;
        match self.seconds.is_finite() && self.seconds >= 0.0 {
            true => Ok(()),
            false => Err(Error::setting("seconds", format!("is {}; it must be zero or positive", self.seconds))),
        }
    }
}

/// Flat vectors of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Vectors<T> {
    /// Weights of network and projections.
    pub values: Vec<T>,
    /// Their running average.
    pub average: Vec<T>,
    /// What the optimiser remembers; its count of steps is that of the run.
    pub memory: Memory<T>,
}

/// Writes a state through a temporary name.
///
/// # Errors
/// Errors of the file system; the old state is then still there.
pub fn save<T: Number>(path: &Path, progress: &Progress, vectors: &Vectors<T>) -> Result<()> {
    let dtype = if size_of::<T>() == 8 { Dtype::F64 } else { Dtype::F32 };
    let tensors = named(vectors)
        .into_iter()
        .map(|(name, values)| (name.to_owned(), dtype, vec![values.len()], bytemuck::cast_slice(values).to_vec()))
        .collect();
    let header = serde_json::to_string(progress).map_err(|e| Error::file(path, e.to_string()))?;
    write_tensors(path, HEADER_KEY, &header, &tensors)
}

fn named<T>(vectors: &Vectors<T>) -> [(&'static str, &Vec<T>); 5] {
    [
        ("values", &vectors.values),
        ("average", &vectors.average),
        ("first", &vectors.memory.first),
        ("second", &vectors.memory.second),
        ("largest", &vectors.memory.largest),
    ]
}

/// Reads a state; `n` is the number of parameters that it must have.
///
/// # Errors
/// A missing, truncated, damaged or foreign file, a newer format, another precision or number of parameters.
pub fn load<T: Number>(path: &Path, n: usize) -> Result<(Progress, Vectors<T>)> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, "cannot open", e))?;
    let broken = |e: &dyn std::fmt::Display| {
        Error::file(path, format!("not a complete training state ({e}); start again with --overwrite"))
    };
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|e| broken(&e))?;
    let text = metadata.metadata().as_ref().and_then(|m| m.get(HEADER_KEY)).ok_or_else(|| broken(&"no header"))?;
    let progress: Progress = serde_json::from_str(text).map_err(|e| broken(&e))?;
    if progress.format_version > FORMAT_VERSION {
        let message =
            format!("format version {} is newer than {FORMAT_VERSION}; update potstill", progress.format_version);
        return Err(Error::file(path, message));
    }
    progress.check().map_err(|e| broken(&e))?;
    checksum::verify(path, &bytes)?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|e| broken(&e))?;
    let vector = |name: &str, may_be_empty: bool| -> Result<Vec<T>> {
        let view = tensors.tensor(name).map_err(|e| broken(&e))?;
        let values: Vec<T> = bytemuck::pod_collect_to_vec(view.data());
        let fits = view.data().len() == size_of::<T>() * values.len()
            && (values.len() == n || (may_be_empty && values.is_empty()));
        match fits {
            true => Ok(values),
            false => Err(broken(&format!(
                "{name}: expected {n} numbers of {} bytes, found {:?} {:?}",
                size_of::<T>(),
                view.shape(),
                view.dtype()
            ))),
        }
    };
    let vectors = Vectors {
        values: vector("values", false)?,
        average: vector("average", false)?,
        memory: Memory {
            steps: progress.step,
            first: vector("first", false)?,
            second: vector("second", false)?,
            largest: vector("largest", true)?,
        },
    };
    Ok((progress, vectors))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every single flipped bit of a state is an error, or changes nothing.
    #[test]
    fn no_flip_changes_a_state_in_silence() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.safetensors");
        let plateau = PlateauState { learning_rate: 1e-3, best: None, waited: 1, cooling: 2 };
        let progress = Progress { best: Some(0.25), ..Progress::new(Identity::default(), plateau) };
        let of = |scale: f32| vec![scale, 2.0 * scale, -scale];
        let memory = Memory { steps: 0, first: of(0.1), second: of(1e-3), largest: Vec::new() };
        let vectors = Vectors { values: of(1.0), average: of(0.5), memory };
        save(&path, &progress, &vectors).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let (mut errors, mut harmless) = (0, 0);
        for bit in 0..8 * bytes.len() {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &flipped).unwrap();
            match load::<f32>(&path, 3) {
                Err(_) => errors += 1,
                Ok(found) => {
                    assert_eq!(found, (progress.clone(), vectors.clone()), "bit {bit}");
                    harmless += 1;
                }
            }
        }
        eprintln!("{errors} errors, {harmless} harmless, 0 silent of {}", 8 * bytes.len());
        // Harmless are flips in the name of the checksum alone.
        assert!(harmless <= 8 * checksum::CHECKSUM_KEY.len(), "{harmless}");
    }
}
