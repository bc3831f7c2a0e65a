//! Header of the model that a run ships.

use potstill_core::elements::symbol;
use potstill_core::model::{Architecture, EnergyScale, Forces, Header, ModelFile};
use potstill_core::{Error, Result};
use potstill_data::dataset::{ReferenceFit, Survey, Systems};

use super::{Prelude, Tell};
use crate::config::Config;
use crate::scales;

/// Header of the model that is shipped, with reference energies and normalisation that are fitted; what the systems hold that are
/// trained on; and the numbers of those that are left out, since they gave reference energies.
pub(super) fn header(
    config: &Config,
    systems: &Systems,
    survey: &Survey,
    start: Option<&ModelFile>,
    tell: &Tell<'_>,
) -> Result<(Header, Survey, Vec<usize>)> {
    if systems.is_empty() {
        return Err(Error::setting("data.train", "holds no systems"));
    }
    let fit: ReferenceFit = config.data.reference_energies.fit(systems)?;
    let systems = systems.clone().without(&fit.isolated_systems);
    let survey = if fit.isolated_systems.is_empty() { survey.clone() } else { Survey::of(&systems)? };
    if !fit.isolated_systems.is_empty() {
        tell(Prelude::IsolatedAtoms(fit.isolated_systems.len()));
    }
    let named = |z: u8| symbol(z).unwrap_or("?").to_owned();
    let pairs = fit.energies.elements().map(|z| (named(z), fit.energies.get(z).unwrap_or(0.0))).collect();
    if start.is_none() {
        tell(Prelude::References(pairs, fit.underdetermined));
    }
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
    if let Some(start) = start {
        let header = continued(start, config, known)?;
        return Ok((Header { training, ..header }, survey, fit.isolated_systems));
    }
    let model = scales::settle(&config.model, config.seed, &systems)?;
    let elements = known.iter().map(|&z| named(z)).collect();
    let scale = EnergyScale { reference_energies: fit.energies, normalizer };
    let header = Header { training, ..Header::new(model, elements, scale) };
    Ok((header, survey, fit.isolated_systems))
}

/// Header of the model that a run starts from, if that is the network of the configuration and knows the elements.
fn continued(start: &ModelFile, config: &Config, elements: &[u8]) -> Result<Header> {
    let refuse = |message: String| {
        let message = format!("{}: {message}", start.path().display());
        Err(Error::setting("training.start_from", message))
    };
    let header = start.header();
    if let Some(key) = difference(&header.model, &config.model)? {
        return refuse(format!("has another {key} than [model]; make the settings the same"));
    }
    let unknown = elements.iter().find_map(|&z| symbol(z).filter(|s| !header.elements.iter().any(|own| own == s)));
    match unknown {
        Some(symbol) => refuse(format!("does not know {symbol}, which is in data.train")),
        None => Ok(header.clone()),
    }
}

/// First setting in which two networks differ, factors that are fitted to data aside.
fn difference(one: &Architecture, other: &Architecture) -> Result<Option<String>> {
    let settings = |model: &Architecture| -> Result<serde_json::Map<String, serde_json::Value>> {
        let value = serde_json::to_value(model).map_err(|e| Error::Other(e.to_string()))?;
        Ok(value.as_object().cloned().unwrap_or_default())
    };
    let (one, other) = (settings(one)?, settings(other)?);
    let keys = one.keys().chain(other.keys()).filter(|key| *key != "scale_factors");
    Ok(keys.into_iter().find(|key| one.get(*key) != other.get(*key)).cloned())
}
