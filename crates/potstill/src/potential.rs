//! Choice between the engine and the network itself.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use potstill_core::model::{Header, ModelFile};
use potstill_core::{Committee, Potential, Precision};
use potstill_data::program::{Program, ProgramSettings};
use potstill_engine::{Engine, FilterChoice};
use potstill_nn::Model;

use crate::args::{EngineArgs, EngineKind, FilterArgs, FilterKind, ProgramArgs};
use crate::device::DeviceName;
use crate::limits::precision;

/// A network with what runs it.
pub struct Chosen {
    /// The potential.
    pub potential: Box<dyn Potential>,
    /// Header of its file.
    pub header: Header,
    /// Engine that runs it.
    pub engine: EngineKind,
    /// Hash of its file.
    pub hash: String,
    details: String,
}

impl Chosen {
    /// Name of the engine as `--engine` has it.
    pub fn name(&self) -> &'static str {
        match self.engine {
            EngineKind::Fast => "fast",
            EngineKind::Network => "network",
        }
    }

    /// Describes the engine on one line.
    pub fn describe(&self) -> String {
        format!("engine: {}{}", self.name(), self.details)
    }
}

/// A potential of either kind: a model, or a program.
pub struct Opened {
    /// The potential.
    pub potential: Box<dyn Potential>,
    /// Path of the model, or command of the program.
    pub name: String,
    /// What runs it, on one line.
    pub description: String,
    /// Hash that tells it from others.
    pub hash: String,
    /// What its user should know, on one line.
    pub warning: Option<String>,
}

/// A model or a program that gives energies and forces.
#[derive(Debug, Clone, clap::Args)]
pub struct PotentialArgs {
    /// Model file.
    #[arg(long, value_name = "FILE", required_unless_present = "program", conflicts_with = "program")]
    pub model: Option<PathBuf>,
    /// A program that computes the forces.
    #[command(flatten)]
    pub program: ProgramArgs,
    /// Precision of the network.
    #[arg(long, default_value = "f32", value_parser = precision(), value_name = "TYPE")]
    pub dtype: Precision,
}

impl PotentialArgs {
    /// Opens the model or the program.
    ///
    /// # Errors
    /// As for [`open_any`].
    pub fn open(&self) -> anyhow::Result<Opened> {
        open_any(self.model.as_deref(), &self.program, self.dtype)
    }
}

impl Opened {
    /// Error of the potential, with its name unless it says it already.
    pub fn named(&self, error: impl Into<anyhow::Error>) -> anyhow::Error {
        let error = error.into();
        match format!("{error:#}").contains(&self.name) {
            true => error,
            false => error.context(self.name.clone()),
        }
    }
}

/// Opens a model or a program.
///
/// # Errors
/// As for [`open`]; a command that cannot be; neither of both.
pub fn open_any(model: Option<&Path>, program: &ProgramArgs, dtype: Precision) -> Result<Opened> {
    match (program.settings()?, model) {
        (Some(settings), _) => open_program(&settings),
        (None, Some(path)) => open_model(path, dtype),
        (None, None) => bail!("give a model file, or a --program"),
    }
}

/// Opens a program, which is started when it is first asked.
///
/// # Errors
/// A command that cannot be.
pub fn open_program(settings: &ProgramSettings) -> Result<Opened> {
    Ok(Opened {
        potential: Box::new(Program::new(settings)?),
        name: settings.to_string(),
        description: format!("program: {settings}"),
        hash: settings.hash(),
        warning: None,
    })
}

/// Opens a model with the engine that runs it best.
///
/// # Errors
/// As for [`open`].
pub fn open_model(path: &Path, dtype: Precision) -> Result<Opened> {
    let chosen = open(path, &EngineArgs::default(), dtype)?;
    let warning = (!chosen.header.model.graph_rule().is_smooth()).then(|| {
        "the model sees the nearest neighbours only, not all within the cutoff: its energy jumps when they change, and is not \
         conserved"
            .to_owned()
    });
    Ok(Opened {
        warning,
        name: path.display().to_string(),
        description: chosen.describe(),
        hash: chosen.hash,
        potential: chosen.potential,
    })
}

/// Opens models, whose mean is the potential where there are several.
///
/// # Errors
/// As for [`open`]; no model at all.
pub fn open_models(paths: &[PathBuf], dtype: Precision) -> Result<Opened> {
    if let [path] = paths {
        return open_model(path, dtype);
    }
    let all = paths.iter().map(|path| open_model(path, dtype)).collect::<Result<Vec<_>>>()?;
    let all_of = |text: fn(&Opened) -> &str| all.iter().map(text).collect::<Vec<_>>().join(", ");
    Ok(Opened {
        name: all_of(|one| &one.name),
        description: format!("the mean of {}", all_of(|one| &one.description)),
        hash: all_of(|one| &one.hash),
        warning: all.iter().find_map(|one| one.warning.clone()),
        potential: Box::new(Committee::new(all.into_iter().map(|one| one.potential).collect())?),
    })
}

/// Opens a model with the engine that was asked for, or with the fast one where it can.
///
/// # Errors
/// A file that cannot be read, a network that the engine does not run.
pub fn open(model: &Path, args: &EngineArgs, dtype: Precision) -> Result<Chosen> {
    let file = ModelFile::read(model)?;
    let on_gpu = args.device.device != DeviceName::Cpu;
    let engine = match args.engine {
        Some(EngineKind::Fast) if on_gpu => {
            bail!("--device {}: the fast engine runs on the processor; leave out --engine fast", args.device.device)
        }
        Some(engine) => engine,
        None if on_gpu => EngineKind::Network,
        None if potstill_engine::runs(&file.header().model) => EngineKind::Fast,
        None => EngineKind::Network,
    };
    let filters = filters(&args.filters, dtype)?;
    let of = |n_segments: Option<usize>| match n_segments {
        Some(n) => format!(" ({dtype}, filters from tables of {n} segments)"),
        None => format!(" ({dtype}, exact filters)"),
    };
    let (potential, details): (Box<dyn Potential>, String) = match (engine, dtype) {
        (EngineKind::Network, Precision::F64) if on_gpu => {
            bail!("--dtype f64: is for the CPU; use f32 on a graphics processor, or --device cpu")
        }
        (EngineKind::Network, _) => {
            let device = args.device.device.opened()?;
            let place = if on_gpu { format!(" on {}", args.device.device) } else { String::new() };
            (Box::new(Model::from_file(&file, &device, potstill_nn::dtype(dtype))?), format!(" ({dtype}{place})"))
        }
        (EngineKind::Fast, Precision::F32) => {
            let engine = Engine::<f32>::compile(&file, filters)?;
            let n_segments = engine.n_segments();
            (Box::new(engine), of(n_segments))
        }
        (EngineKind::Fast, Precision::F16) => bail!("--dtype f16: the fast engine computes in f32 or f64"),
        (EngineKind::Fast, Precision::F64) => {
            let engine = Engine::<f64>::compile(&file, filters)?;
            let n_segments = engine.n_segments();
            (Box::new(engine), of(n_segments))
        }
    };
    Ok(Chosen { potential, header: file.header().clone(), engine, hash: file.hash(), details })
}

fn filters(args: &FilterArgs, dtype: Precision) -> Result<FilterChoice> {
    match (args.filters, args.table_accuracy) {
        (Some(FilterKind::Exact), Some(_)) => {
            bail!("--table-accuracy: exact filters have no table; leave it out, or ask for --filters table")
        }
        (_, Some(accuracy)) if !(accuracy > 0.0 && accuracy < 1.0) => {
            bail!("--table-accuracy {accuracy}: must lie between 0 and 1, as 1e-6")
        }
        (_, Some(accuracy)) => Ok(FilterChoice::Table { accuracy }),
        (Some(FilterKind::Table), None) => Ok(FilterChoice::default()),
        (Some(FilterKind::Exact), None) => Ok(FilterChoice::Exact),
        (None, None) if dtype == Precision::F64 => Ok(FilterChoice::Exact),
        (None, None) => Ok(FilterChoice::default()),
    }
}
