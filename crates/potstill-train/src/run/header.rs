//! Header of the model that a run ships.

use potstill_core::elements::symbol;
use potstill_core::model::{EnergyScale, Forces, Header};
use potstill_core::{Error, Result};
use potstill_data::dataset::{ReferenceFit, Survey, Systems};

use super::{Prelude, Tell};
use crate::config::Config;
use crate::scales;

/// Systems that are trained on, what they hold, and the header of the model: reference energies and normalisation are fitted.
pub(super) fn header(
    config: &Config,
    systems: Systems,
    survey: Survey,
    tell: &Tell<'_>,
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
