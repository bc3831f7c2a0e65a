//! `potstill label`

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, anyhow, bail};
use burn::tensor::DType;
use potstill_core::model::Tap;
use potstill_core::{Part, Precision};
use potstill_data::dataset::Systems;
use potstill_data::io::{LabelKeys, Output};
use potstill_train::distill::labelling::{Asked, Event, Origin, make_part, open_or_make};
use potstill_train::distill::{Kind, LabelOptions, Probes, Questions, Teacher, TeacherCache, TeacherSource, Wanted};

use super::{print, print_json};
use crate::Outcome;
use crate::args::{KeyArgs, ProgramArgs};
use crate::device::DeviceArgs;
use crate::limits::{positive, whole};
use crate::progress::Progress;
use crate::{load, world};

/// Arguments of `potstill label`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Models of the teacher, or files of labels.
    ///
    /// Several models give their mean and how far they are apart, and the first shows features. Files of labels may come from
    /// another program.
    #[arg(long, required_unless_present = "program", conflicts_with = "program", num_args = 1.., value_name = "FILE")]
    pub model: Vec<PathBuf>,
    /// A program that is the teacher.
    #[command(flatten)]
    pub program: ProgramArgs,
    /// Files of systems.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub data: Vec<PathBuf>,
    /// Folder of the cache.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Taps to keep; default: the last.
    ///
    /// Such as U4; `potstill info` lists them.
    #[arg(long, num_args = 1.., value_name = "TAP")]
    pub tap: Vec<String>,
    /// Keep scalar features.
    #[arg(long)]
    pub node: bool,
    /// Keep vector features.
    #[arg(long)]
    pub vector: bool,
    /// Keep edge features, summed at each atom.
    ///
    /// A network without edge features shows its scalar ones.
    #[arg(long)]
    pub edge_sum: bool,
    /// Keep edge features.
    #[arg(long)]
    pub edge: bool,
    /// Keep virials, for stresses.
    ///
    /// For `stress_weight` of the strategy vanilla.
    #[arg(long, hide_short_help = true)]
    pub virial: bool,
    /// f16 or f32, for features.
    #[arg(long, default_value = "f16", value_name = "TYPE", value_parser = ["f16", "f32"], hide_possible_values = true)]
    pub feature_precision: String,
    /// Force derivatives to keep.
    ///
    /// Along that many random directions; for the strategy hessian.
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = whole(0..=1000_usize))]
    pub probes: usize,
    /// Their displacement in Å.
    ///
    /// Standard deviation of each component.
    #[arg(long, default_value_t = 0.01, value_name = "A", value_parser = positive(1.0), hide_short_help = true)]
    pub probe_step: f64,
    /// Label one part of the systems, as 2/8.
    ///
    /// For job arrays: each part makes every n-th shard of the cache in the same folder; the one that finds all there completes it.
    #[arg(long, value_name = "R/N", hide_short_help = true)]
    pub part: Option<Part>,
    /// Where networks compute.
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Names of labels.
    #[command(flatten)]
    pub keys: KeyArgs,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Says that shards of other parts are missing.
fn unfinished(args: &Args, part: Part) -> Result<Outcome> {
    match args.json {
        true => print_json(&serde_json::json!({ "cache": args.out, "part": part.to_string(), "complete": false }))?,
        false => {
            print(&format!("{}: part {part} is done; the cache is complete when all parts are", args.out.display()))?
        }
    }
    Ok(Outcome::Done)
}

/// Writes, or finds, what a teacher says of a dataset.
pub fn run(args: &Args) -> Result<Outcome> {
    if args.part.is_some() && !world::ranks().is_alone() {
        bail!("--part: the processes of mpirun have parts already; leave it out, or start parts without mpirun");
    }
    let inputs: Vec<_> = args.model.iter().chain(&args.data).cloned().collect();
    Output { inputs: &inputs, ..Output::default() }.check_folder(&args.out)?;
    let source = match args.program.settings()? {
        Some(program) => TeacherSource::Program(program),
        None => TeacherSource::Several(args.model.clone()),
    };
    let teacher = Teacher::open_on(&args.device.device.opened()?, &source, &LabelOptions::default(), DType::F32)
        .map_err(|e| anyhow!("{}", e.to_string().replace("distill.teacher", "--model")))?;
    let systems = load::open(&args.data, &LabelKeys::from(&args.keys), None, None)?;
    let ranks = world::ranks();
    ranks
        .told(|| teacher.check_dataset(&systems))
        .map_err(|e| anyhow!("{}", e.to_string().replace("distill.teacher", "--model")))?;
    let asked = Asked::among(ranks, &systems)?;
    let questions = Questions {
        virials: args.virial,
        features: wanted(args, &teacher)?,
        probes: probes(args, &teacher)?,
        precision: if args.feature_precision == "f32" { Precision::F32 } else { Precision::F16 },
    };
    let progress = Progress::new("asking the teacher", systems.len() as u64);
    let asks = AtomicBool::new(false);
    let tell = |event| match event {
        Event::Labelled(done) => {
            asks.store(true, Ordering::Relaxed);
            progress.set(done as u64);
        }
        Event::Waiting(holder) => progress.say(&format!("waiting: {} is in use by {holder}", args.out.display())),
        Event::Note(note) => progress.say(&note),
        Event::Verified { .. } => {}
    };
    if !ranks.is_alone() {
        if let Some(part) = Part::new(ranks.rank(), ranks.n_ranks()) {
            make_part(&args.out, part, (&teacher, &asked), &questions, &tell)?;
        }
        // Rank 0 writes the index of what all have made.
        let n_asking = ranks.sums(&[f64::from(u8::from(asks.load(Ordering::Relaxed)))])[0];
        asks.store(n_asking > 0.0, Ordering::Relaxed);
        if !ranks.leads() {
            return Ok(Outcome::Done);
        }
    }
    let (cache, made) = match args.part {
        Some(part) => match make_part(&args.out, part, (&teacher, &asked), &questions, &tell)? {
            Some(cache) => (cache, true),
            None => {
                progress.finish();
                return unfinished(args, part);
            }
        },
        None => {
            let (cache, origin) = open_or_make(&args.out, &teacher, &asked, &questions, &tell)?;
            (cache, origin == Origin::Made || asks.load(Ordering::Relaxed))
        }
    };
    progress.finish();
    let spread = if cache.holds().spread { Some(spread(&cache, &systems)?) } else { None };
    if args.json {
        let result = serde_json::json!({
            "cache": args.out, "made": made, "n_systems": systems.len(), "n_bytes": cache.n_bytes(),
            "mean_energy_spread": spread.map(|s| s.0), "mean_forces_spread": spread.map(|s| s.1),
        });
        print_json(&result)?;
    } else {
        let how = if made { "made" } else { "already there, reused" };
        print(&format!("{}: {how}; {} systems, {} bytes", args.out.display(), systems.len(), cache.n_bytes()))?;
        if let Some((energy, forces)) = spread {
            print(&format!(
                "the teachers are apart by {:.2} meV in energy and {:.2} meV/Å in force, on average",
                1e3 * energy,
                1e3 * forces
            ))?;
        }
    }
    Ok(Outcome::Done)
}

/// Mean distances of several teachers in energy (eV) and force (eV/Å).
fn spread(cache: &TeacherCache, systems: &Systems) -> Result<(f64, f64)> {
    let (mut energy, mut forces, mut n_atoms) = (0.0, 0.0, 0_usize);
    for i in 0..systems.len() {
        energy += cache.energy_spread(i)?;
        let own = cache.forces_spread(i)?;
        forces += own.iter().sum::<f64>();
        n_atoms += own.len();
    }
    Ok((energy / systems.len().max(1) as f64, forces / n_atoms.max(1) as f64))
}

fn probes(args: &Args, teacher: &Teacher) -> Result<Option<Probes>> {
    if args.probes == 0 {
        return Ok(None);
    }
    if !matches!(teacher, Teacher::Networks(_) | Teacher::Program(_)) {
        bail!("--probes: files cannot be asked about displaced structures; give a model file or a program");
    }
    Ok(Some(Probes { step: args.probe_step, n: args.probes }))
}

fn wanted(args: &Args, teacher: &Teacher) -> Result<Vec<Wanted>> {
    if !(args.node || args.vector || args.edge || args.edge_sum) {
        return Ok(Vec::new());
    }
    let Some(architecture) = teacher.architecture() else {
        bail!("--node, --vector, --edge, --edge-sum: a program or a file of labels has no features; give a model file");
    };
    let known = architecture.taps();
    if (args.vector || args.edge) && !architecture.has_vectors() {
        return Err(anyhow!("--vector, --edge: a {} has neither vector nor edge features", architecture.name()));
    }
    let taps: Vec<Tap> = match args.tap.is_empty() {
        true => known.last().copied().into_iter().collect(),
        false => args
            .tap
            .iter()
            .map(|name| {
                let tap = name.parse::<Tap>().ok().filter(|tap| known.contains(tap));
                let list = || known.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                tap.ok_or_else(|| anyhow!("--tap {name}: the teacher has {}", list()))
            })
            .collect::<Result<_>>()?,
    };
    let kinds =
        [(args.node, Kind::Node), (args.edge_sum, Kind::EdgeSum), (args.edge, Kind::Edge), (args.vector, Kind::Vector)];
    let kinds: Vec<Kind> = kinds.into_iter().filter(|(on, _)| *on).map(|(_, kind)| kind).collect();
    Ok(taps.into_iter().map(|tap| Wanted { tap, kinds: kinds.clone() }).collect())
}
