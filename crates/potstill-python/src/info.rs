//! Header of a model as a dictionary.

use potstill_core::model::ModelFile;
use serde_json::{Value, json};

/// What a model file says, as JSON: `architecture`, `forces`, `elements`, `settings` of the network, the `scale` that makes
/// eV of its outputs, `units`, `training` (provenance), and the file's `format_version`, `n_parameters`, `path` and `hash`.
pub fn info(file: &ModelFile) -> Value {
    let header = file.header();
    let model = &header.model;
    json!({
        "architecture": model.name(),
        "forces": model.forces(),
        "elements": header.elements,
        "n_parameters": model.n_parameters() as u64,
        "settings": model,
        "scale": header.scale,
        "units": header.units,
        "training": header.training,
        "format_version": header.format_version,
        "path": file.path().display().to_string(),
        "hash": file.hash(),
    })
}
