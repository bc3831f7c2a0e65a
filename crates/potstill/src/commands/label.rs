//! `potstill label`

use anyhow::{Context, Result, anyhow};
use burn::tensor::{DType, Device};
use potstill_core::io::LabelKeys;
use potstill_nn::{Model, Tap};
use potstill_train::distill::cache::{Kind, Origin, Precision, Wanted, open_or_make};

use super::{print, print_json};
use crate::Outcome;
use crate::args::LabelArgs;
use crate::load;
use crate::progress::Progress;

/// Writes, or finds, what a teacher says of a dataset.
pub fn run(args: &LabelArgs) -> Result<Outcome> {
    let teacher = Model::load(&args.model, &Device::flex(), DType::F32)?;
    let systems = load::open(&args.data, &LabelKeys::from(&args.keys), None, None)?;
    teacher.check_dataset(&systems).context("--model")?;
    let wanted = wanted(args, &teacher)?;
    let precision = if args.feature_precision == "f32" { Precision::F32 } else { Precision::F16 };
    let progress = Progress::new("asking the teacher", systems.len() as u64);
    let (cache, origin) =
        open_or_make(&args.out, &teacher, &systems, &wanted, precision, &|done| progress.set(done as u64))?;
    progress.finish();
    let made = origin == Origin::Made;
    if args.json {
        let result = serde_json::json!({
            "cache": args.out, "made": made, "n_systems": systems.len(), "n_bytes": cache.n_bytes(),
        });
        print_json(&result)?;
    } else {
        let how = if made { "made" } else { "already there, reused" };
        print(&format!("{}: {how}; {} systems, {} bytes", args.out.display(), systems.len(), cache.n_bytes()))?;
    }
    Ok(Outcome::Done)
}

fn wanted(args: &LabelArgs, teacher: &Model) -> Result<Vec<Wanted>> {
    if !(args.node || args.vector || args.edge || args.edge_sum) {
        return Ok(Vec::new());
    }
    let architecture = &teacher.header().model;
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
