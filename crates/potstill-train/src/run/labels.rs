//! Checks of the labels that a run learns from.

use potstill_core::{Error, Result};
use potstill_data::dataset::{LabelNeeds, Need, Systems, Visit, validate};

use crate::config::Config;
use crate::mix::Mix;

/// Checks systems that are learnt from or validated on.
pub(super) fn check_labels(config: &Config, systems: &Systems, known: &[u8], key: &str) -> Result<()> {
    let needs = LabelNeeds {
        energy: Need::weight("training.energy_weight", config.training.energy_weight),
        forces: Need::weight("training.force_weight", config.training.force_weight),
        stress: Need::weight("training.stress_weight", config.training.stress_weight),
    };
    validate(systems, &needs, Some(known)).map_err(|e| Error::setting(key, e.to_string()))?;
    match config.training.stress_weight > 0.0 && !has_cell(systems)? {
        true => {
            let message = "is set, but no system has a cell, without which there is no stress; leave it out";
            Err(Error::setting("training.stress_weight", message))
        }
        false => Ok(()),
    }
}

fn has_cell(systems: &Systems) -> Result<bool> {
    let mut found = false;
    systems.visit(&mut |_, system| {
        found |= system.cell.is_some();
        Ok(())
    })?;
    Ok(found)
}

/// Checks synthetic systems, whose labels need not count.
pub(super) fn check_synthetic(config: &Config, systems: &Systems, known: &[u8], mix: Mix) -> Result<()> {
    let need = |key: &str, weight| if mix.labels { Need::weight(key, weight) } else { Need::Optional };
    let needs = LabelNeeds {
        energy: need("training.energy_weight", config.training.energy_weight),
        forces: need("training.force_weight", config.training.force_weight),
        stress: need("training.stress_weight", config.training.stress_weight),
    };
    let advice = if mix.labels { "; or leave their labels out with data.mix.labels = false" } else { "" };
    validate(systems, &needs, Some(known)).map_err(|e| Error::setting("data.synthetic", format!("{e}{advice}")))
}
