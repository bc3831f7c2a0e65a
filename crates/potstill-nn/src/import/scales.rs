//! Scale factors of a checkpoint: inside it, in a file of their own, or none at all.

use std::collections::BTreeMap;
use std::path::Path;

use potstill_core::model::{Architecture, ScaleFactors};
use potstill_core::{Error, Result};
use potstill_data::io::torch::{TensorRef, TorchFile};
use serde_json::{Map, Value as Json};

use super::options::ImportOptions;
use super::strip_prefix;

/// Factors that later releases of the reference store among the weights, as `<name>.scale_factor`.
pub(super) fn inside(file: &TorchFile, tensors: &[(String, TensorRef)]) -> Result<BTreeMap<String, f64>> {
    let mut factors = BTreeMap::new();
    for (name, tensor) in tensors {
        if let Some(name) = strip_prefix(name).strip_suffix(".scale_factor") {
            factors.insert(name.to_owned(), first(file, tensor, name)?);
        }
    }
    Ok(factors)
}

/// Reads a file of scale factors: a dictionary from names to numbers, written by `torch.save`.
///
/// # Errors
/// A file that is no such dictionary.
pub fn read(path: &Path) -> Result<BTreeMap<String, f64>> {
    let file = TorchFile::open(path)?;
    let mut factors = BTreeMap::new();
    for (name, value) in file.root().pairs() {
        let name = name.as_str().ok_or_else(|| Error::file(path, "has an entry whose name is no text"))?;
        let factor = match value.as_f64() {
            Some(number) => number,
            None => first(&file, &file.tensor(value)?, name)?,
        };
        factors.insert(name.trim_end_matches(".scale_factor").to_owned(), factor);
    }
    Ok(factors)
}

fn first(file: &TorchFile, tensor: &TensorRef, name: &str) -> Result<f64> {
    let values = file.read(tensor)?.into_f64();
    values.first().copied().ok_or_else(|| Error::file(file.path(), format!("scale factor {name} is empty")))
}

/// Puts the factors into the model's settings; how many there are.
///
/// # Errors
/// Factors that the model needs and nothing gives, named.
pub(super) fn settle(
    model: &mut Architecture,
    attributes: &Map<String, Json>,
    inside: BTreeMap<String, f64>,
    options: &ImportOptions,
) -> Result<usize> {
    let factors = match &options.scale_factors {
        Some(path) => read(path)?,
        None => inside,
    };
    let expected: Vec<String> = match model {
        Architecture::GemNetOC(config) => config.scale_names(),
        Architecture::PaiNN(config) => (0..config.n_layers).map(|i| format!("upd_out_scalar_scale_{i}")).collect(),
        _ => return Ok(0),
    };
    // Without a scale file in its settings a model was trained with factors of 1.
    let wants_none = attributes.get("scale_file").is_none_or(Json::is_null);
    if factors.is_empty() && (wants_none || options.allow_unit_scales) {
        return Ok(0);
    }
    let missing: Vec<&String> = expected.iter().filter(|name| !factors.contains_key(*name)).collect();
    if let (Some(name), false) = (missing.first(), options.allow_unit_scales) {
        let message = match &options.scale_factors {
            Some(path) => format!("{}: lacks {name} and {} more", path.display(), missing.len() - 1),
            None => {
                format!("the model's settings name a scale file, and the checkpoint lacks {name}; give --scale-factors")
            }
        };
        return Err(Error::Other(format!("{message}; --allow-unit-scales takes 1 for what is missing")));
    }
    let get = |name: &String| factors.get(name).copied().unwrap_or(1.0);
    let values: BTreeMap<String, f64> = expected.iter().map(|name| (name.clone(), get(name))).collect();
    match model {
        Architecture::GemNetOC(config) => config.scale_factors = ScaleFactors::Given(values),
        Architecture::PaiNN(config) => config.update_scales = expected.iter().map(get).collect(),
        _ => {}
    }
    Ok(expected.len())
}
