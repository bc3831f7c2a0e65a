//! `potstill similarity`

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use burn::tensor::DType;
use potstill_core::files::write_atomically;
use potstill_data::dataset::Visit;
use potstill_data::io::{Kind, LabelKeys, Output};
use potstill_nn::Model;
use potstill_train::similarity::{Similarity, similarity};

use super::{print, print_json};
use crate::Outcome;
use crate::args::{ExistingArgs, KeyArgs};
use crate::device::DeviceArgs;
use crate::heat_map::{HeatMap, svg};
use crate::limits::whole;
use crate::load;
use crate::progress::Progress;

/// Arguments of `potstill similarity`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Model file whose layers are the rows.
    ///
    /// For example a teacher.
    #[arg(long, value_name = "FILE")]
    pub a: PathBuf,
    /// Model file whose layers are the columns.
    ///
    /// Several give several tables: --b distilled.safetensors --b alone.safetensors.
    #[arg(long, value_name = "FILE", required = true)]
    pub b: Vec<PathBuf>,
    /// Files of systems; labels are not needed.
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub data: Vec<PathBuf>,
    /// Look at the first that many systems only.
    #[arg(long, value_name = "N", value_parser = whole(1..=usize::MAX))]
    pub max_systems: Option<usize>,
    /// Show the unbiased estimate.
    ///
    /// It differs where there are few atoms.
    #[arg(long)]
    pub unbiased: bool,
    /// Heat map to write (SVG).
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
    /// Files that exist already.
    #[command(flatten)]
    pub existing: ExistingArgs,
    /// Where to compute.
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Names of labels.
    #[command(flatten)]
    pub keys: KeyArgs,
    /// Print both estimates as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Compares the layers of one network with those of others.
pub fn run(args: &Args) -> Result<Outcome> {
    if let Some(plot) = &args.plot {
        let inputs: Vec<_> = args.b.iter().chain(&args.data).chain([&args.a]).cloned().collect();
        Output { overwrite: args.existing.policy(), inputs: &inputs }.check(plot, Kind::Svg)?;
    }
    let device = args.device.device.opened()?;
    let load = |path: &Path| -> Result<Model> { Ok(Model::load(path, &device, DType::F32)?) };
    let first = load(&args.a)?;
    let read = load::open(&args.data, &LabelKeys::from(&args.keys), Some(true), args.max_systems)?;
    let systems = read.as_slice().context("systems are not in memory")?;
    let mut results = Vec::new();
    for path in &args.b {
        let other = load(path)?;
        let progress = Progress::new(&format!("comparing with {}", path.display()), systems.len() as u64);
        let result = similarity(&first, &other, systems, &|done| progress.set(done as u64))
            .map_err(|error| read.locate(error))
            .with_context(|| format!("{} and {}", args.a.display(), path.display()))?;
        progress.finish();
        results.push((path.as_path(), result));
    }
    if let Some(plot) = &args.plot {
        write_atomically(plot, |writer| writer.write_all(picture(args, &results).as_bytes()))?;
    }
    if args.json {
        let entries: Vec<serde_json::Value> =
            results.iter().map(|(path, result)| serde_json::json!({ "b": path, "similarity": result })).collect();
        print_json(&serde_json::json!({ "a": args.a, "comparisons": entries }))?;
    } else {
        for (path, result) in &results {
            print(&table(args, path, result))?;
        }
    }
    Ok(Outcome::Done)
}

fn values<'a>(args: &Args, result: &'a Similarity) -> &'a [Vec<f64>] {
    if args.unbiased { &result.cka_unbiased } else { &result.cka }
}

fn picture(args: &Args, results: &[(&Path, Similarity)]) -> String {
    let (rows_title, titles) =
        (file_name(&args.a), results.iter().map(|(path, _)| file_name(path)).collect::<Vec<_>>());
    let maps: Vec<HeatMap> = results
        .iter()
        .zip(&titles)
        .map(|((_, result), title)| HeatMap {
            title,
            rows_title: &rows_title,
            rows: &result.taps_a,
            columns: &result.taps_b,
            values: values(args, result),
        })
        .collect();
    svg(&maps)
}

fn file_name(path: &Path) -> String {
    // A run's model is always called the same: its folder says which it is.
    match (path.file_name(), path.parent().and_then(Path::file_name)) {
        (Some(name), Some(folder)) if name == "model.safetensors" => folder.to_string_lossy().into_owned(),
        (Some(name), _) => name.to_string_lossy().into_owned(),
        _ => path.display().to_string(),
    }
}

fn table(args: &Args, path: &Path, result: &Similarity) -> String {
    let what = if args.unbiased { "unbiased CKA" } else { "CKA" };
    let mut lines = vec![format!(
        "{what} of {} (rows) and {} (columns), {} atoms",
        args.a.display(),
        path.display(),
        result.n_atoms
    )];
    let header: String = result.taps_b.iter().map(|tap| format!("{tap:>7}")).collect();
    lines.push(format!("{:6}{header}", ""));
    for (tap, row) in result.taps_a.iter().zip(values(args, result)) {
        let cells: String = row.iter().map(|value| format!("{value:>7.3}")).collect();
        lines.push(format!("{tap:6}{cells}"));
    }
    lines.join("\n")
}
