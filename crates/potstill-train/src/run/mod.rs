//! A run from its configuration and systems: reference energies, normalisation, teacher, then the loop.
//!
//! | file | idea |
//! |---|---|
//! | `labels` | checks of the labels |
//! | `header` | header of the model that is shipped |
//! | `lesson` | the teacher, its cache, and the terms |
//! | `fingerprint` | what must stay the same when a run is resumed |

mod fingerprint;
mod header;
mod labels;
mod lesson;

use std::sync::atomic::AtomicBool;

use burn::tensor::{DType, Device};
use potstill_core::elements::atomic_number;
use potstill_core::model::{Header, ModelFile};
use potstill_core::ranks::{Alone, Ranks};
use potstill_core::{Error, Precision, Result};
use potstill_data::dataset::{Baseline, Survey, Systems};

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

use self::fingerprint::fingerprint;
use self::labels::{check_labels, check_synthetic};
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
    let Prepared { header, train, validation, teacher, identity, start } = prepare(device, config, data, tell)?;
    check_agreement(ranks, config, &identity)?;
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
        false => Some(Baseline::new(header.scale.reference_energies.clone()).metrics(validation.systems())?),
    };
    Ok(Summary { baseline, ..summary })
}

/// Compares settings, data and version with those of rank 0.
fn check_agreement(ranks: &dyn Ranks, config: &Config, identity: &Identity) -> Result<()> {
    if ranks.is_alone() {
        return Ok(());
    }
    let settings = toml::to_string(config).map_err(|e| Error::Other(format!("configuration: {e}")))?;
    let version = env!("CARGO_PKG_VERSION");
    let own = [version, &settings, &identity.fingerprint, identity.teacher.as_deref().unwrap_or_default()].join("\n");
    match ranks.shared(own.clone().into_bytes()) == own.as_bytes() {
        true => Ok(()),
        false => Err(Error::Other(format!(
            "rank {}: another version (this is {version}), configuration, data or teacher than rank 0 has; give all processes the same",
            ranks.rank()
        ))),
    }
}

/// Checks the data, fits reference energies and normalisation, opens the teacher and draws the graphs.
fn prepare(device: &Device, config: &Config, data: Data, tell: &Tell<'_>) -> Result<Prepared> {
    let survey = Survey::of(&data.train)?;
    let others = [Survey::of(&data.validation)?, Survey::of(&data.synthetic)?];
    let start = config.training.start_from.as_deref().map(ModelFile::read).transpose()?;
    let fingerprint = fingerprint(config, &survey, &others, start.as_ref().map(ModelFile::hash))?;
    let (train, survey, header) = header::header(config, data.train, survey, start.as_ref(), tell)?;
    let (validation, known) = (data.validation, elements_of(&header, survey));
    check_labels(config, &train, &known, "data.train")?;
    if !validation.is_empty() {
        check_labels(config, &validation, &known, "data.validation")?;
    }
    let n_other = train.len();
    let mix = (!data.synthetic.is_empty()).then(|| config.data.mix.unwrap_or_default());
    if let Some(mix) = mix {
        check_synthetic(config, &data.synthetic, &known, mix)?;
    }
    let train = train.joined(data.synthetic);
    let own_rule = config.model.graph_rule();
    let teacher = match &config.distill {
        Some(distill) if distill.is_active() => {
            Some(Teacher::open_on(device, &distill.teacher, &distill.labels, DType::F32)?)
        }
        _ => None,
    };
    let teacher_hash = teacher.as_ref().map(|teacher| teacher.hash(&train)).transpose()?;
    let train_rule = match (&config.distill, teacher.as_ref().and_then(Teacher::architecture)) {
        (Some(distill), Some(teacher)) => training_rule(&distill.terms, teacher, &config.model)?,
        _ => own_rule.clone(),
    };
    let split = |systems, rule| Split::new(systems, rule, &header.scale);
    let (mut train, validation) = (split(train, &train_rule)?, split(validation, &own_rule)?);
    if let Some(mix) = mix {
        train = train.with_synthetic(n_other, mix);
    }
    let identity = Identity { fingerprint, teacher: teacher_hash };
    Ok(Prepared { train, validation, teacher, identity, header, start })
}

/// Atomic numbers that labels may hold: those of the training systems, and of the model that the run starts from.
fn elements_of(header: &Header, survey: Survey) -> Vec<u8> {
    let mut all = survey.elements;
    all.extend(header.elements.iter().filter_map(|symbol| atomic_number(symbol)));
    all.sort_unstable();
    all.dedup();
    all
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
