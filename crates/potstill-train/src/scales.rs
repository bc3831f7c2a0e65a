//! Scale factors of GemNet-OC, fitted before training.

use std::borrow::Cow;
use std::collections::BTreeMap;

use burn::tensor::DType;
use potstill_core::model::{Architecture, GemNetOCConfig, ScaleFactors};
use potstill_core::{Result, System};
use potstill_data::dataset::Systems;
use potstill_nn::Batch;
use potstill_nn::device::cpu;
use potstill_nn::init::Initializer;
use potstill_nn::networks::gemnet_oc::{GemNetOC, ScaleFit};

/// Atoms of the one batch that factors are fitted to, about: more do not change a variance much.
const ATOMS: usize = 800;

/// Factors that give every message the variance of what it came from, for fresh weights drawn from `seed`.
///
/// Factors are fitted one after the other in forward order, each with the earlier ones at work (Gasteiger et al., GemNet,
/// arXiv 2106.08903, sec. 6), on one batch of systems spread evenly over the dataset. The same seed and systems give the same
/// factors.
///
/// # Errors
/// A system whose graph cannot be drawn.
pub fn fit(config: &GemNetOCConfig, seed: u64, systems: &Systems) -> Result<BTreeMap<String, f64>> {
    let device = cpu();
    let spread = spread(systems)?;
    let members: Vec<&System> = spread.iter().map(AsRef::as_ref).collect();
    let graph = Architecture::GemNetOC(config.clone()).graph_rule().build(&members)?;
    let batch = Batch::of(&graph, &device, DType::F32);
    let network = GemNetOC::new(config, &mut Initializer::new(seed, &device, DType::F32));
    let fit = ScaleFit::new(BTreeMap::new());
    network.fit_scales(&batch, &fit);
    let mut factors = fit.into_factors();
    // An interaction that never took place has nothing to be fitted to.
    for name in config.scale_names() {
        factors.entry(name).or_insert(1.0);
    }
    Ok(factors)
}

/// Architecture with all its factors, fitted where the settings ask for it.
///
/// # Errors
/// As [`fit`].
pub fn settle(architecture: &Architecture, seed: u64, systems: &Systems) -> Result<Architecture> {
    match architecture {
        Architecture::GemNetOC(config) if config.scale_factors == ScaleFactors::Fit => {
            let scale_factors = ScaleFactors::Given(fit(config, seed, systems)?);
            Ok(Architecture::GemNetOC(GemNetOCConfig { scale_factors, ..config.clone() }))
        }
        other => Ok(other.clone()),
    }
}

fn spread(systems: &Systems) -> Result<Vec<Cow<'_, System>>> {
    let total: usize = systems.atom_counts().iter().sum();
    let step = (total / ATOMS).max(1);
    systems.get_all((0..systems.len()).step_by(step))
}
