//! A run from its configuration and systems: reference energies, normalisation, teacher, then the loop.
//!
//! | file | idea |
//! |---|---|
//! | `findings` | what a pass over all data tells |
//! | `labels` | checks of the labels |
//! | `header` | header of the model that is shipped |
//! | `lesson` | the teacher, its cache, and the terms |
//! | `fingerprint` | what must stay the same when a run is resumed |

mod findings;
mod fingerprint;
mod header;
mod labels;
mod lesson;

use std::sync::atomic::AtomicBool;

use burn::tensor::{DType, Device};
use potstill_core::model::{Header, ModelFile};
use potstill_core::ranks::{Alone, Ranks};
use potstill_core::{Error, Precision, Result};
use potstill_data::dataset::{Baseline, Systems};

use crate::config::Config;
use crate::distill::labelling::Origin;
use crate::distill::{Teacher, Term, training_rule};
use crate::folder::{self, RunFolder};
use crate::observer::Observer;
use crate::prepared::Split;
use crate::state::Identity;
use crate::trainer::{Job, Summary, Trainer};
use burn::tensor::Element;
use potstill_nn::Number;
use potstill_nn::device::{cpu, is_cpu};

use self::findings::Findings;
use self::fingerprint::fingerprint;
use self::lesson::Lesson;

pub use self::lesson::make_cache;

/// Receiver of events before the first step.
pub type Tell<'a> = dyn Fn(Prelude) + Sync + 'a;

/// Vectors of the size of the network that every training holds: weights, their average, two moments, a gradient and a sum.
const VECTORS: usize = 6;

/// Labelled systems of a run, in memory or on disk; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Data {
    /// Systems to learn from; may contain isolated atoms, which give reference energies and are then left out.
    pub train: Systems,
    /// Synthetic systems, of which an epoch visits some; may be empty.
    pub synthetic: Systems,
    /// Systems that choose the best weights; may be empty.
    pub validation: Systems,
}

/// Event before the first step of a run, for whoever tells the user.
#[derive(Debug, Clone, PartialEq)]
pub enum Prelude {
    /// Reference energies were found; the last field tells whether compositions left a choice.
    References(Vec<(String, f64)>, bool),
    /// Isolated atoms that gave reference energies and are not trained on.
    IsolatedAtoms(usize),
    /// The teacher's targets: whether they were found, and how many bytes they take.
    Cache(Origin, usize),
    /// Weights of the distillation terms, where some had to be found.
    Weights(Vec<(String, f64)>),
    /// Numbers of labelled systems and of all systems.
    Labelling(usize, usize),
    /// Wait for another process that makes the teacher's targets in the same folder.
    Waiting(String),
    /// Remark about the teacher's answers, one sentence.
    Note(String),
    /// The teacher's targets, so many bytes, were verified, which took so many seconds; said only of large ones.
    Verified(usize, f64),
}

/// Where a run computes and writes, with whom, and who may end it.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// Device that computes, without differentiation.
    pub device: &'a Device,
    /// Processes that train together; each of them calls [`train_on`] with the same configuration and data.
    pub ranks: &'a dyn Ranks,
    /// Folder for everything that the run makes.
    pub folder: &'a RunFolder,
    /// Flag that ends the run after the next step, saved.
    pub interrupt: &'a AtomicBool,
    /// Receiver of events before the first step.
    pub tell: &'a Tell<'a>,
}

/// Trains as `config` says on the CPU, and leaves everything in `folder`.
///
/// In a folder that is resumed the run goes on from its last checkpoint, exactly as if it had never stopped.
///
/// # Errors
/// Unusable settings or labels, a teacher that does not fit, a loss that is not finite, and what the file system says.
pub fn train(
    config: &Config,
    data: Data,
    folder: &RunFolder,
    interrupt: &AtomicBool,
    observer: &mut dyn Observer,
    tell: &Tell<'_>,
) -> Result<Summary> {
    let device = cpu();
    train_on(Surroundings { device: &device, ranks: &Alone, folder, interrupt, tell }, config, data, observer)
}

/// Trains as [`train`] does, on a device, perhaps together with other processes.
///
/// A run may be resumed on another device; it then goes on with the same order of systems, and numbers that differ by rounding.
///
/// # Errors
/// As [`train`]; a precision that the device does not have.
pub fn train_on(
    surroundings: Surroundings<'_>,
    config: &Config,
    data: Data,
    observer: &mut dyn Observer,
) -> Result<Summary> {
    config.validate()?;
    let bytes = if config.training.dtype == Precision::F64 { 8 } else { 4 };
    config.model.check_memory("weights, average, moments and gradients", VECTORS * bytes)?;
    match config.training.dtype {
        Precision::F32 => train_in::<f32>(surroundings, config, data, observer),
        Precision::F64 if !is_cpu(surroundings.device) => Err(Error::setting(
            "training.dtype",
            "f64 is for the CPU; use f32 on a graphics processor, or --device cpu",
        )),
        Precision::F64 => train_in::<f64>(surroundings, config, data, observer),
        Precision::F16 => Err(Error::setting("training.dtype", "f16 is for cached features; use f32 or f64")),
    }
}

/// Everything that a run is made of, checked and prepared, besides its terms.
struct Prepared {
    header: Header,
    train: Split,
    validation: Split,
    teacher: Option<Teacher>,
    identity: Identity,
    start: Option<ModelFile>,
}

fn train_in<T: Number + Element>(
    surroundings: Surroundings<'_>,
    config: &Config,
    data: Data,
    observer: &mut dyn Observer,
) -> Result<Summary> {
    let Surroundings { device, ranks, folder, interrupt, tell } = surroundings;
    let settings = toml::to_string(config).map_err(|e| Error::Other(format!("configuration: {e}")))?;
    let version = env!("CARGO_PKG_VERSION");
    agree(ranks, &format!("version (this is {version}) or configuration"), &[version, &settings])?;
    let Prepared { header, train, validation, teacher, identity, start } =
        prepare((device, ranks), config, data, tell)?;
    let teacher_hash = identity.teacher.as_deref().unwrap_or_default();
    agree(ranks, "teacher or model to start from", &[&identity.fingerprint, teacher_hash])?;
    let terms = match (&config.distill, &teacher) {
        (Some(distill), Some(teacher)) => {
            let lesson = Lesson { device, ranks, config, distill, teacher, tell };
            Some(lesson.terms(&train, &header, &folder.teacher_cache())?)
        }
        _ => None,
    };
    drop(teacher);
    let mut trainer = Trainer::<T>::new(Job {
        device,
        ranks,
        training: &config.training,
        header: &header,
        start: start.as_ref(),
        train: &train,
        validation: &validation,
        terms: terms.as_ref(),
        folder,
        documents: documents(device, config)?,
        interrupt,
        seed: config.seed,
        identity,
    })?;
    if config.distill.as_ref().is_some_and(|d| d.terms.iter().any(Term::has_auto_weight)) {
        tell(Prelude::Weights(trainer.weights()));
    }
    let summary = trainer.run(observer)?;
    let baseline = match validation.systems().is_empty() {
        true => None,
        false => {
            Some(ranks.told(|| Baseline::new(header.scale.reference_energies.clone()).metrics(validation.systems()))?)
        }
    };
    Ok(Summary { baseline, ..summary })
}

/// Compares texts with those of rank 0.
fn agree(ranks: &dyn Ranks, what: &str, texts: &[&str]) -> Result<()> {
    let own = texts.join("\n").into_bytes();
    match ranks.is_alone() || ranks.shared(own.clone()) == own {
        true => Ok(()),
        false => {
            let message = format!("rank {}: another {what} than rank 0 has; give all processes the same", ranks.rank());
            Err(Error::Other(message))
        }
    }
}

/// Checks the data, fits reference energies and normalisation, opens the teacher and draws the graphs.
fn prepare((device, ranks): (&Device, &dyn Ranks), config: &Config, data: Data, tell: &Tell<'_>) -> Result<Prepared> {
    let start = config.training.start_from.as_deref().map(ModelFile::read).transpose()?;
    let findings = ranks.told(|| Findings::of(config, &data, start.as_ref(), tell))?;
    findings.check(ranks, &data)?;
    let Findings { surveys, trained, header, isolated } = findings;
    let fingerprint = fingerprint(config, &surveys, start.as_ref().map(ModelFile::hash))?;
    let (train, validation) = (data.train.without(&isolated), data.validation);
    let n_other = train.len();
    let mix = (!data.synthetic.is_empty()).then(|| config.data.mix.unwrap_or_default());
    let train = train.joined(data.synthetic);
    let own_rule = config.model.graph_rule();
    let teacher = match &config.distill {
        Some(distill) if distill.is_active() => {
            Some(Teacher::open_on(device, &distill.teacher, &distill.labels, DType::F32)?)
        }
        _ => None,
    };
    let teacher_hash = match &teacher {
        // Of labels by the systems that they are about.
        Some(labels @ Teacher::Labels(_)) => Some(ranks.told(|| labels.hash(&train))?),
        Some(other) => Some(other.hash(&train)?),
        None => None,
    };
    let train_rule = match (&config.distill, teacher.as_ref().and_then(Teacher::architecture)) {
        (Some(distill), Some(teacher)) => training_rule(&distill.terms, teacher, &config.model)?,
        _ => own_rule.clone(),
    };
    let [_, of_validation, of_synthetic] = &surveys;
    let mut train = Split::surveyed(train, &[&trained, of_synthetic], &train_rule, &header.scale)?;
    let validation = Split::surveyed(validation, &[of_validation], &own_rule, &header.scale)?;
    if let Some(mix) = mix {
        train = train.with_synthetic(n_other, mix);
    }
    let identity = Identity { fingerprint, teacher: teacher_hash };
    Ok(Prepared { train, validation, teacher, identity, header, start })
}

/// Files that say how a run was made.
fn documents(device: &Device, config: &Config) -> Result<Vec<(&'static str, String)>> {
    let config = toml::to_string_pretty(config).map_err(|e| Error::Other(format!("configuration: {e}")))?;
    let environment = serde_json::to_string_pretty(&environment(device)).map_err(|e| Error::Other(e.to_string()))?;
    Ok(vec![(folder::CONFIG, config), (folder::ENVIRONMENT, environment)])
}

fn environment(device: &Device) -> serde_json::Value {
    serde_json::json!({
        "potstill": env!("CARGO_PKG_VERSION"),
        "os": std::env::consts::OS,
        "arch": std::env::consts::ARCH,
        "threads": rayon::current_num_threads(),
        "device": format!("{device:?}"),
    })
}
