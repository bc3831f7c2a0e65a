//! The part of the golden files that ships with the repository, cut out of a full set.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;

use crate::root;

/// Arguments of `cargo xtask fixtures`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Full set
    #[arg(long, value_name = "DIR", default_value = "../shared/fixtures")]
    from: PathBuf,
}

/// List of the files that the shipped part leaves out, in its folder.
const LEFT_OUT: &str = "left_out.json";

/// Tensors of a file that ship.
#[derive(Clone, Copy)]
enum Tensors {
    All,
    /// All but features behind projections, which no test reads.
    RawFeatures,
    /// Weights under the first of the names that the reference gives them.
    FirstNames,
    /// All but gradients of more entries than this.
    SmallGradients(usize),
}

use Tensors::{All, FirstNames, RawFeatures, SmallGradients};

/// Files and folders that ship. GemNet-OC's weights are large: of its gradients only those of small parameters fit.
const SHIPPED: &[(&str, Tensors)] = &[
    ("checkpoints/reference_gemnet-oc_small_scaling_factors.pt", All),
    ("checkpoints/reference_painn_nb6_scaling_factors.pt", All),
    ("checkpoints/schnet_best_checkpoint.pt", All),
    ("evaluator", All),
    ("graphs", All),
    ("kd_losses/case0.json", All),
    ("kd_losses/case0.safetensors", All),
    ("models/gemnet_oc_molecules/batch.safetensors", All),
    ("models/gemnet_oc_molecules/config.json", All),
    ("models/gemnet_oc_molecules/grads.safetensors", SmallGradients(512)),
    ("models/gemnet_oc_molecules/graph_benzene.safetensors", All),
    ("models/gemnet_oc_molecules/graph_ethanol.safetensors", All),
    ("models/gemnet_oc_molecules/model.safetensors", FirstNames),
    ("models/gemnet_oc_molecules/out_benzene.safetensors", RawFeatures),
    ("models/gemnet_oc_molecules/out_ethanol.safetensors", RawFeatures),
    ("models/gemnet_oc_molecules/out_water.safetensors", RawFeatures),
    ("models/gemnet_oc_molecules/scale_factors.pt", All),
    ("models/gemnet_oc_molecules/scale_factors.safetensors", All),
    ("models/painn_direct/batch.safetensors", All),
    ("models/painn_direct/config.json", All),
    ("models/painn_direct/grads.safetensors", SmallGradients(2048)),
    ("models/painn_direct/graph_ethanol.safetensors", All),
    ("models/painn_direct/graph_fe110_n.safetensors", All),
    ("models/painn_direct/graph_water.safetensors", All),
    ("models/painn_direct/model.safetensors", All),
    ("models/painn_direct/out_ethanol.safetensors", RawFeatures),
    ("models/painn_direct/out_fe110_n.safetensors", RawFeatures),
    ("models/painn_direct/out_water.safetensors", RawFeatures),
    ("models/painn_direct/scale_factors.safetensors", All),
    ("models/schnet_molecules/batch.safetensors", All),
    ("models/schnet_molecules/config.json", All),
    ("models/schnet_molecules/grads.safetensors", All),
    ("models/schnet_molecules/graph_", All),
    ("models/schnet_molecules/model.safetensors", All),
    ("models/schnet_molecules/out_", RawFeatures),
    ("paper_size", All),
    ("schedules.json", All),
    ("structures", All),
];

/// Writes the shipped part of the full set, and the list of what it leaves out.
pub fn run(args: &Args) -> Result<bool> {
    let (from, to) = (root().join(&args.from), root().join("testdata/fixtures"));
    ensure!(!from.join(LEFT_OUT).exists(), "{} is a part itself", from.display());
    let all = files(&from)?;
    if to.exists() {
        fs::remove_dir_all(&to)?;
    }
    let (mut left_out, mut bytes) = (Vec::new(), 0);
    for path in all.iter().filter(|path| *path != "README.md") {
        let Some((_, tensors)) = SHIPPED.iter().find(|(start, _)| path.starts_with(*start)) else {
            left_out.push(path);
            continue;
        };
        bytes += ship(&from.join(path), &to.join(path), *tensors)?;
    }
    for (start, _) in SHIPPED {
        ensure!(all.iter().any(|path| path.starts_with(*start)), "{} has no {start}", from.display());
    }
    fs::write(to.join(LEFT_OUT), serde_json::to_string_pretty(&left_out)? + "\n")?;
    println!("{}: {bytes} bytes; {} files left out", to.display(), left_out.len());
    Ok(true)
}

/// Paths of all files below a folder, relative to it.
fn files(folder: &Path) -> Result<BTreeSet<String>> {
    let (mut found, mut folders) = (BTreeSet::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).with_context(|| next.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder)?.to_string_lossy().into_owned());
            }
        }
    }
    Ok(found)
}

/// Copies a file with the tensors that ship; returns its size in bytes.
fn ship(from: &Path, to: &Path, tensors: Tensors) -> Result<usize> {
    let bytes = fs::read(from).with_context(|| from.display().to_string())?;
    let bytes = match tensors {
        All => bytes,
        _ => filtered(&bytes, tensors).with_context(|| from.display().to_string())?,
    };
    fs::create_dir_all(to.parent().context("no folder")?)?;
    fs::write(to, &bytes)?;
    Ok(bytes.len())
}

fn filtered(bytes: &[u8], tensors: Tensors) -> Result<Vec<u8>> {
    let file = SafeTensors::deserialize(bytes)?;
    let ships = |(name, view): &(String, TensorView<'_>)| match tensors {
        All => true,
        RawFeatures => !name.contains(".feat."),
        FirstNames => !name.contains("seq_energy_pre"),
        SmallGradients(most) => !name.starts_with("grad.") || view.shape().iter().product::<usize>() <= most,
    };
    Ok(safetensors::serialize(file.tensors().into_iter().filter(ships), None)?)
}
