//! A run from its configuration and systems: reference energies, normalisation, teacher, then the loop.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use burn::tensor::DType;
use potstill_core::elements::symbol;
use potstill_core::model::{EnergyScale, Forces, Header};
use potstill_core::{Error, Precision, Result};
use potstill_data::dataset::{Baseline, LabelNeeds, Need, ReferenceFit, Survey, Systems, validate};

use crate::config::Config;
use crate::distill::cache::{self, Event};
use crate::distill::targets::LiveTeacher;
use crate::distill::terms::{Source, Terms};
use crate::distill::{DistillConfig, Origin, Teacher, TeacherCache, TeacherFiles, Term, training_rule};
use crate::folder::{self, RunFolder};
use crate::mix::Mix;
use crate::observer::Observer;
use crate::prepared::Split;
use crate::scales;
use crate::state::Identity;
use crate::trainer::{Job, Summary, Trainer};
use burn::tensor::Element;
use potstill_nn::Number;

/// Bytes of a cache whose verification is worth a word.
const LARGE_CACHE: usize = 1 << 30;
/// Vectors of the size of the network that every training holds: weights, their average, two moments, a gradient and a sum.
const VECTORS: usize = 6;

/// Labelled systems of a run, in memory or on disk; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Data {
    /// To learn from; may contain isolated atoms, which give reference energies and are then left out.
    pub train: Systems,
    /// Synthetic systems, of which an epoch visits some; may be empty.
    pub synthetic: Systems,
    /// To choose the best weights; may be empty.
    pub validation: Systems,
}

/// What happened before the first step, for whoever tells the user.
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
    /// So many systems of so many are labelled.
    Labelling(usize, usize),
    /// Another process makes the teacher's targets in the same folder; this run waits for it.
    Waiting(String),
    /// Something unusual about the teacher's answers, one sentence.
    Note(String),
    /// The teacher's targets, so many bytes, were verified, which took so many seconds; said only of large ones.
    Verified(usize, f64),
}

/// Trains as `config` says and leaves everything in `folder`.
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
    tell: &(dyn Fn(Prelude) + Sync),
) -> Result<Summary> {
    config.validate()?;
    let bytes = if config.training.dtype == Precision::F64 { 8 } else { 4 };
    config.model.check_memory("weights, average, moments and gradients", VECTORS * bytes)?;
    match config.training.dtype {
        Precision::F32 => train_in::<f32>(config, data, folder, interrupt, observer, tell),
        Precision::F64 => train_in::<f64>(config, data, folder, interrupt, observer, tell),
        Precision::F16 => Err(Error::setting("training.dtype", "f16 is for cached features; use f32 or f64")),
    }
}

fn train_in<T: Number + Element>(
    config: &Config,
    data: Data,
    folder: &RunFolder,
    interrupt: &AtomicBool,
    observer: &mut dyn Observer,
    tell: &(dyn Fn(Prelude) + Sync),
) -> Result<Summary> {
    let survey = Survey::of(&data.train)?;
    let others = [Survey::of(&data.validation)?, Survey::of(&data.synthetic)?];
    let fingerprint = fingerprint(config, &survey, &others)?;
    let (train, survey, header) = header(config, data.train, survey, tell)?;
    let (validation, known) = (data.validation, survey.elements);
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
        Some(distill) if distill.is_active() => Some(Teacher::open(&distill.teacher, &distill.labels, DType::F32)?),
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
    let terms = match (&config.distill, &teacher) {
        (Some(distill), Some(teacher)) => {
            Some(make_terms(distill, teacher, config, &train, &header, &folder.teacher_cache(), tell)?)
        }
        _ => None,
    };
    drop(teacher);
    let mut trainer = Trainer::<T>::new(Job {
        training: &config.training,
        header: &header,
        train: &train,
        validation: &validation,
        terms: terms.as_ref(),
        folder,
        documents: documents(config)?,
        interrupt,
        seed: config.seed,
        identity: Identity { fingerprint, teacher: teacher_hash },
    })?;
    let found = config.distill.as_ref().is_some_and(|d| d.terms.iter().any(Term::has_auto_weight));
    if found {
        tell(Prelude::Weights(trainer.weights()));
    }
    let summary = trainer.run(observer)?;
    let baseline = match validation.systems().is_empty() {
        true => None,
        false => Some(Baseline::new(header.scale.reference_energies.clone()).metrics(validation.systems())?),
    };
    Ok(Summary { baseline, ..summary })
}

/// Files that say how a run was made.
fn documents(config: &Config) -> Result<Vec<(&'static str, String)>> {
    let config = toml::to_string_pretty(config).map_err(|e| Error::Other(format!("configuration: {e}")))?;
    let environment = serde_json::to_string_pretty(&environment()).map_err(|e| Error::Other(e.to_string()))?;
    Ok(vec![(folder::CONFIG, config), (folder::ENVIRONMENT, environment)])
}

fn check_labels(config: &Config, systems: &Systems, known: &[u8], key: &str) -> Result<()> {
    let needs = LabelNeeds {
        energy: Need::weight("training.energy_weight", config.training.energy_weight),
        forces: Need::weight("training.force_weight", config.training.force_weight),
        stress: Need::Optional,
    };
    validate(systems, &needs, Some(known)).map_err(|e| Error::setting(key, e.to_string()))
}

fn check_synthetic(config: &Config, systems: &Systems, known: &[u8], mix: Mix) -> Result<()> {
    let need = |key: &str, weight| if mix.labels { Need::weight(key, weight) } else { Need::Optional };
    let needs = LabelNeeds {
        energy: need("training.energy_weight", config.training.energy_weight),
        forces: need("training.force_weight", config.training.force_weight),
        stress: Need::Optional,
    };
    let advice = if mix.labels { "; or leave their labels out with data.mix.labels = false" } else { "" };
    validate(systems, &needs, Some(known)).map_err(|e| Error::setting("data.synthetic", format!("{e}{advice}")))
}

/// Reference energies and normalisation from the training systems; returns those that are trained on, and what they are.
fn header(
    config: &Config,
    systems: Systems,
    survey: Survey,
    tell: &(dyn Fn(Prelude) + Sync),
) -> Result<(Systems, Survey, Header)> {
    if systems.is_empty() {
        return Err(Error::setting("data.train", "holds no systems"));
    }
    let fit: ReferenceFit = config.data.reference_energies.fit(&systems)?;
    let systems = systems.without(&fit.isolated_systems);
    let survey = if fit.isolated_systems.is_empty() { survey } else { Survey::of(&systems)? };
    if !fit.isolated_systems.is_empty() {
        tell(Prelude::IsolatedAtoms(fit.isolated_systems.len()));
    }
    let named = |z: u8| symbol(z).unwrap_or("?").to_owned();
    let pairs = fit.energies.elements().map(|z| (named(z), fit.energies.get(z).unwrap_or(0.0))).collect();
    tell(Prelude::References(pairs, fit.underdetermined));
    let normalizer = config.data.normalization.fit(&systems, &fit.energies)?;
    normalizer.validate(config.model.forces() == Forces::Gradient)?;
    let known = &survey.elements;
    if let Some(z) = known.iter().find(|&&z| z > config.model.max_atomic_number()) {
        let message = format!(
            "{} has no embedding for {}; its last element is number {}",
            config.model.name(),
            named(*z),
            config.model.max_atomic_number()
        );
        return Err(Error::setting("model.architecture", message));
    }
    let training = serde_json::json!({
        "potstill": env!("CARGO_PKG_VERSION"),
        "seed": config.seed,
        "train_hash": survey.content_hash,
        "n_train_systems": systems.len(),
        "training": config.training,
        "distill": config.distill.as_ref().map(|d| &d.terms),
    });
    let model = scales::settle(&config.model, config.seed, &systems)?;
    let elements = known.iter().map(|&z| named(z)).collect();
    let scale = EnergyScale { reference_energies: fit.energies, normalizer };
    let header = Header { training, ..Header::new(model, elements, scale) };
    Ok((systems, survey, header))
}

/// Asks the teacher for what the terms of `config` want, into a cache that runs on the same data find ready.
///
/// # Errors
/// As [`train`].
pub fn make_cache(config: &Config, data: &Data, folder: &Path, tell: &(dyn Fn(Prelude) + Sync)) -> Result<()> {
    let Some(distill) = &config.distill else { return Ok(()) };
    let fit = config.data.reference_energies.fit(&data.train)?;
    let systems = data.train.clone().without(&fit.isolated_systems).joined(data.synthetic.clone());
    let teacher = Teacher::open(&distill.teacher, &distill.labels, DType::F32)?;
    teacher.check_dataset(&systems)?;
    open_cache(distill, config, &teacher, &systems, folder, tell).map(|_| ())
}

fn open_cache(
    distill: &DistillConfig,
    config: &Config,
    teacher: &Teacher,
    systems: &Systems,
    folder: &Path,
    tell: &(dyn Fn(Prelude) + Sync),
) -> Result<TeacherCache> {
    let questions = distill.questions(teacher.architecture(), &config.model)?;
    if questions.probes.is_some() && matches!(teacher, Teacher::Labels(_)) {
        let message = "asks about structures that a file of labels does not have; give a model file as the teacher";
        return Err(Error::setting("distill.terms (hessian)", message));
    }
    let total = systems.len();
    let (cache, origin) = cache::open_or_make(folder, teacher, systems, &questions, &|event| match event {
        Event::Labelled(done) => tell(Prelude::Labelling(done, total)),
        Event::Waiting(holder) => tell(Prelude::Waiting(format!("{}: in use by {holder}", folder.display()))),
        Event::Note(note) => tell(Prelude::Note(note)),
        Event::Verified { bytes, seconds } if bytes > LARGE_CACHE => tell(Prelude::Verified(bytes, seconds)),
        Event::Verified { .. } => {}
    })?;
    distill.check_holds(cache.holds())?;
    tell(Prelude::Cache(origin, cache.n_bytes()));
    Ok(cache)
}

fn make_terms(
    distill: &DistillConfig,
    teacher: &Teacher,
    config: &Config,
    train: &Split,
    header: &Header,
    usual_cache: &Path,
    tell: &(dyn Fn(Prelude) + Sync),
) -> Result<Terms> {
    teacher.check_dataset(train.systems())?;
    let source = match distill.online || !distill.terms.iter().any(Term::is_active) {
        true => {
            distill.questions(teacher.architecture(), &config.model)?;
            Source::Live
        }
        false => {
            let cache_folder = distill.cache.clone().unwrap_or_else(|| usual_cache.to_owned());
            Source::Cache(open_cache(distill, config, teacher, train.systems(), &cache_folder, tell)?)
        }
    };
    let live = match distill.needs_live_teacher() {
        true => Some(live_teacher(distill, config)?),
        false => None,
    };
    let units = header.scale.clone();
    let terms = Terms::new(distill, teacher.architecture(), &config.model, source, live, units)?;
    // Graphs of systems on disk are drawn, and checked, at each step.
    terms.check_edges(train.prepared().iter().enumerate())?;
    Ok(terms)
}

/// The teacher's networks in the precision of the training.
fn live_teacher(distill: &DistillConfig, config: &Config) -> Result<LiveTeacher> {
    match Teacher::open(&distill.teacher, &distill.labels, potstill_nn::dtype(config.training.dtype))? {
        Teacher::Networks(models) => Ok(LiveTeacher::new(models)),
        _ => {
            let key = if distill.online { "distill.online" } else { "distill.augmentation" };
            Err(Error::setting(key, "asks the teacher at each step; give a model file as the teacher"))
        }
    }
}

/// Hash of everything that must stay the same between the parts of a resumed run.
fn fingerprint(config: &Config, train: &Survey, others: &[Survey; 2]) -> Result<String> {
    let mut config = config.clone();
    config.training.epochs = 0;
    config.training.max_steps = None;
    config.training.max_minutes = None;
    config.training.patience = None;
    config.training.checkpoint_steps = None;
    config.data.train.clear();
    config.data.validation.clear();
    config.data.synthetic.clear();
    config.data.in_memory = None;
    config.data.checks = None;
    if let Some(distill) = &mut config.distill {
        distill.cache = None;
        distill.teacher = TeacherFiles::One(PathBuf::new());
    }
    let mut settings = serde_json::to_value(&config).map_err(|e| Error::Other(e.to_string()))?;
    if let Some(training) = settings["training"].as_object_mut() {
        training.shift_remove("checkpoint_minutes");
        // Runs of versions that had no choice go on when they are asked to do as they did.
        for (key, once) in [("ema_warmup", serde_json::json!(false)), ("validated_weights", "averaged".into())] {
            if training.get(key) == Some(&once) {
                training.shift_remove(key);
            }
        }
    }
    let [validation, synthetic] = others;
    let mut all = format!("{settings}{}{}", train.content_hash, validation.content_hash);
    if synthetic.n_systems > 0 {
        all += &synthetic.content_hash;
    }
    Ok(blake3::hash(all.as_bytes()).to_hex().to_string())
}

fn environment() -> serde_json::Value {
    serde_json::json!({
        "potstill": env!("CARGO_PKG_VERSION"),
        "os": std::env::consts::OS,
        "arch": std::env::consts::ARCH,
        "threads": rayon::current_num_threads(),
    })
}
