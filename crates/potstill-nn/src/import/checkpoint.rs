//! A checkpoint of the reference implementation, and the model file made of it.

use std::io::{Error as IoError, Write};
use std::path::{Path, PathBuf};

use potstill_core::elements::symbol;
use potstill_core::files::seal::write_sealed;
use potstill_core::model::{Architecture, ElementEnergies, EnergyScale, Header, Normalizer, model_file_head};
use potstill_core::{Error, Result};
use potstill_data::io::pickle::{self, Value};
use potstill_data::io::torch::{Numbers, TensorRef, TorchFile};
use serde_json::{Map, Value as Json};

use super::{architecture, match_weights, scales, strip_prefix, yaml};

/// What an import is told beside the checkpoint.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// YAML file with the model's settings; needed where the checkpoint has none of its own.
    pub config: Option<PathBuf>,
    /// File of scale factors, as `torch.save` wrote it.
    pub scale_factors: Option<PathBuf>,
    /// Take the averaged weights of a training checkpoint instead of the latest.
    pub use_ema: bool,
    /// Take 1 for scale factors that are nowhere to be found.
    pub allow_unit_scales: bool,
    /// Elements that the model was trained on, as nuclear charges; empty: all that its embedding holds.
    pub elements: Vec<u8>,
}

/// What was imported.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// The header of the model file.
    pub header: Header,
    /// Number of weights.
    pub n_parameters: usize,
    /// Number of scale factors that are not 1.
    pub n_scale_factors: usize,
}

/// Turns a checkpoint of the reference (`.pt`) into a model file; tensors pass one by one, twice.
///
/// Normalisers of the checkpoint become the header's, so that predictions come out in eV and eV/Å.
///
/// # Errors
/// A damaged file, one that names classes which no checkpoint needs, settings that cannot be imported, weights or scale
/// factors that do not fit, and what the file system says.
pub fn import(checkpoint: &Path, options: &ImportOptions, output: &Path) -> Result<Imported> {
    let file = TorchFile::open(checkpoint)?;
    let at = |message: String| Error::file(checkpoint, message);
    let root = file.root();
    let own_settings = match root.get("config") {
        Some(config) => Some(pickle::to_json(config).map_err(at)?),
        None => None,
    };
    let settings = match &options.config {
        Some(path) => yaml::read(path)?,
        None => {
            own_settings.clone().ok_or_else(|| at("carries no config; give the model's YAML with --config".into()))?
        }
    };
    let (name, attributes) = model_section(&settings).map_err(|m| match &options.config {
        Some(path) => Error::file(path, m),
        None => at(m),
    })?;
    let mut model = architecture(&name, &attributes)?;
    // Before a network of these sizes is made.
    model.validate()?;
    let state = root.get("state_dict").ok_or_else(|| {
        at("has no `state_dict`; give a checkpoint of the Open Catalyst Project's trainers".to_owned())
    })?;
    let tensors = state_tensors(&file, state, options.use_ema)?;
    let shapes: Vec<(String, Vec<usize>)> = tensors.iter().map(|(n, t)| (n.clone(), t.shape().to_vec())).collect();
    let matched = match_weights(&model, &shapes).map_err(|e| at(e.to_string()))?;

    let inside = scales::inside(&file, &tensors)?;
    let n_scale_factors = scales::settle(&mut model, &attributes, inside, options)?;
    model.validate()?;
    let normalizer = normalizer(&file, root, &settings).map_err(at)?;
    normalizer.validate(false)?;

    let header = header(&model, normalizer, options, checkpoint, root, &name);
    let infos: Vec<_> = matched.iter().map(|m| m.parameter.clone()).collect();
    let json = serde_json::to_string(&header).map_err(|e| at(format!("header: {e}")))?;
    let head = model_file_head(&json, infos.iter().map(|info| (info.name.as_str(), &info.shape[..])));
    let find = |name: &str| tensors.iter().find(|(n, _)| strip_prefix(n) == name).map(|(_, tensor)| tensor);
    // Called twice: for the checksum and for the file.
    write_sealed(output, &head, &|writer| {
        for m in &matched {
            let tensor = find(&m.name).ok_or_else(|| IoError::other(format!("{} is gone", m.name)))?;
            write_tensor(&file, tensor, writer)?;
        }
        Ok(())
    })?;
    Ok(Imported { header, n_parameters: infos.iter().map(|i| i.len()).sum(), n_scale_factors })
}

fn write_tensor(file: &TorchFile, tensor: &TensorRef, writer: &mut dyn Write) -> std::io::Result<()> {
    let values: Vec<f32> = match file.read(tensor).map_err(IoError::other)?.numbers {
        Numbers::F32(values) => values,
        Numbers::F64(values) => values.into_iter().map(|v| v as f32).collect(),
        Numbers::I64(values) => values.into_iter().map(|v| v as f32).collect(),
    };
    writer.write_all(bytemuck::cast_slice(&values))
}

/// Name and attributes of the model: side by side in a YAML file, apart in a checkpoint.
fn model_section(settings: &Json) -> Result<(String, Map<String, Json>), String> {
    match (&settings["model"], &settings["model_attributes"]) {
        (Json::String(name), Json::Object(attributes)) => Ok((name.clone(), attributes.clone())),
        (Json::Object(model), _) => {
            let name = model.get("name").and_then(Json::as_str).ok_or("model.name is missing")?;
            Ok((name.to_owned(), model.clone()))
        }
        _ => Err("has no `model` section that could be read".into()),
    }
}

/// Tensors of the state dict; with `use_ema` the averages in place of the parameters.
fn state_tensors(file: &TorchFile, state: Value<'_>, use_ema: bool) -> Result<Vec<(String, TensorRef)>> {
    let mut tensors = file.tensors(state)?;
    if !use_ema {
        return Ok(tensors);
    }
    let at = |message: String| Error::file(file.path(), message);
    let shadows = file.root().get("ema").and_then(|ema| ema.get("shadow_params"));
    let shadows = shadows.ok_or_else(|| at("holds no averaged weights; leave out --use-ema".into()))?;
    let shadows: Vec<TensorRef> = shadows.items().map(|value| file.tensor(value)).collect::<Result<_>>()?;
    // Averages come in the order of the parameters: that of the state dict without buffers and second names.
    let mut seen: Vec<TensorRef> = Vec::new();
    let mut parameters: Vec<usize> = Vec::new();
    for (i, (name, tensor)) in tensors.iter().enumerate() {
        let second_name = seen.contains(tensor) && tensor.n_entries() > 0;
        if !(name.ends_with(".offset") || name.ends_with("atomic_mass") || second_name) {
            parameters.push(i);
            seen.push(tensor.clone());
        }
    }
    if parameters.len() != shadows.len() {
        let message = format!("has {} parameters, but averages of {}", parameters.len(), shadows.len());
        return Err(at(message));
    }
    for (i, shadow) in parameters.into_iter().zip(shadows) {
        let (name, tensor) = &mut tensors[i];
        if tensor.shape() != shadow.shape() {
            let message = format!("{name} has shape {:?}, but its average {:?}", tensor.shape(), shadow.shape());
            return Err(at(message));
        }
        *tensor = shadow;
    }
    Ok(tensors)
}

/// The checkpoint's normalisers, else those of the configuration's dataset, else none.
fn normalizer(file: &TorchFile, root: Value<'_>, settings: &Json) -> Result<Normalizer, String> {
    let number = |target: &str, key: &str| -> Result<Option<f64>, String> {
        let Some(value) = root.at(&["normalizers", target, key]) else { return Ok(None) };
        let tensor = file.tensor(value).map_err(|e| e.to_string())?;
        let values = file.read(&tensor).map_err(|e| e.to_string())?.into_f64();
        values.first().copied().map(Some).ok_or_else(|| format!("normalizers.{target}.{key} is empty"))
    };
    let dataset = match &settings["dataset"] {
        Json::Array(parts) => parts.first().cloned().unwrap_or_default(),
        other => other.clone(),
    };
    let normalized = dataset["normalize_labels"] == true;
    let given = |key: &str, fallback: f64| dataset[key].as_f64().filter(|_| normalized).unwrap_or(fallback);
    let shift = number("grad_target", "mean")?.unwrap_or_else(|| given("grad_target_mean", 0.0));
    if shift != 0.0 {
        return Err(format!("shifts forces by {shift}, which no force field should; it cannot be imported"));
    }
    Ok(Normalizer {
        energy_mean: number("target", "mean")?.unwrap_or_else(|| given("target_mean", 0.0)),
        energy_std: number("target", "std")?.unwrap_or_else(|| given("target_std", 1.0)),
        force_std: number("grad_target", "std")?.unwrap_or_else(|| given("grad_target_std", 1.0)),
    })
}

fn header(
    model: &Architecture,
    normalizer: Normalizer,
    options: &ImportOptions,
    checkpoint: &Path,
    root: Value<'_>,
    name: &str,
) -> Header {
    let elements: Vec<u8> = match options.elements.is_empty() {
        true => (1..=model.max_atomic_number()).collect(),
        false => options.elements.clone(),
    };
    let count = |key: &str| root.get(key).and_then(Value::as_i64);
    let file = checkpoint.file_name().unwrap_or_default().to_string_lossy();
    let symbols = elements.iter().filter_map(|&z| symbol(z)).map(str::to_owned).collect();
    let reference_energies = ElementEnergies::new(elements.iter().map(|&z| (z, 0.0)));
    Header {
        training: serde_json::json!({
            "imported_from": file, "model": name, "epoch": root.get("epoch").and_then(Value::as_f64),
            "step": count("step"), "averaged_weights": options.use_ema,
        }),
        ..Header::new(model.clone(), symbols, EnergyScale { reference_energies, normalizer })
    }
}
