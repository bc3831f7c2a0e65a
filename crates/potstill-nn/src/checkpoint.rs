//! The shipped model file: one `.safetensors` whose metadata holds a versioned JSON header.
//!
//! Nothing of a teacher, a projection or an optimiser is in it: a student's file is exactly as large as that of the
//! same network trained alone. Reading executes nothing.

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::Module;
use burn::tensor::{DType, Device};
use potstill_core::files::checksum;
use potstill_core::model::{ElementEnergies, Normalizer};
use potstill_core::{Error, Result};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use crate::network::{Architecture, Network};
use crate::parameters::{self, ParameterInfo};

/// Version of the header that this build writes; it reads this and all older ones.
///
/// 2: PaiNN has `smooth_cutoff`.
pub const FORMAT_VERSION: u64 = 2;

/// Key of the header in the file's metadata.
const HEADER_KEY: &str = "potstill";

/// Everything about a model that is not a weight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// See [`FORMAT_VERSION`].
    pub format_version: u64,
    /// Network and its sizes.
    pub model: Architecture,
    /// Chemical symbols of the elements that the model was trained on.
    pub elements: Vec<String>,
    /// Energy of each element in eV, added to what the network says.
    pub reference_energies: ElementEnergies,
    /// Shift and scale between the network's output and eV, eV/Å.
    pub normalizer: Normalizer,
    /// Units of energies and lengths, always eV and Å.
    pub units: Units,
    /// How the model came to be: data hashes, seed, strategy, metrics, …
    #[serde(default)]
    pub training: serde_json::Value,
}

/// Units of a model's inputs and outputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Units {
    /// Always `eV`.
    pub energy: String,
    /// Always `Å`.
    pub length: String,
}

impl Default for Units {
    fn default() -> Self {
        Self { energy: "eV".to_owned(), length: "Å".to_owned() }
    }
}

/// Named tensors with their bytes, little-endian.
pub type Tensors = Vec<(String, Dtype, Vec<usize>, Vec<u8>)>;

/// Writes `tensors`, one metadata entry and a checksum to a safetensors file, through a temporary name.
///
/// Readers call [`checksum::verify`] before they use anything of the file.
///
/// # Errors
/// What the file system says; a file of that name is then as it was before.
pub fn write_tensors(path: &Path, key: &str, header: &str, tensors: &Tensors) -> Result<()> {
    let mut views = Vec::with_capacity(tensors.len());
    for (name, dtype, shape, bytes) in tensors {
        let view = TensorView::new(*dtype, shape.clone(), bytes)
            .map_err(|e| Error::file(path, format!("tensor {name} cannot be written: {e}")))?;
        views.push((name.as_str(), view));
    }
    let metadata = [(key.to_owned(), header.to_owned())].into_iter().collect();
    let bytes = safetensors::serialize(views, Some(metadata))
        .map_err(|e| Error::file(path, format!("cannot be written: {e}")))?;
    let head = bytes.first_chunk().map_or(0, |n| 8 + u64::from_le_bytes(*n));
    let (head, body) = bytes.split_at(usize::try_from(head).unwrap_or(bytes.len()).min(bytes.len()));
    checksum::write_sealed(path, head, &|writer| writer.write_all(body))
}

/// Writes a network and its header.
///
/// # Errors
/// See [`write_tensors`].
pub fn save(path: &Path, header: &Header, network: &Network, dtype: DType) -> Result<()> {
    let infos = parameters::describe(network);
    let tensors = match dtype {
        DType::F64 => named_tensors(&infos, &parameters::to_vector::<_, f64>(network), Dtype::F64),
        _ => named_tensors(&infos, &parameters::to_vector::<_, f32>(network), Dtype::F32),
    };
    let header = serde_json::to_string(header).map_err(|e| Error::file(path, format!("header: {e}")))?;
    write_tensors(path, HEADER_KEY, &header, &tensors)
}

/// What comes before the tensors in a model file: eight bytes with the length of the description, and the description.
///
/// The tensors of `infos` follow in their order, in f32, little-endian; for writers that never hold them all, with
/// [`checksum::write_sealed`].
pub fn tensor_file_head(header: &str, infos: &[ParameterInfo]) -> Vec<u8> {
    let mut description = serde_json::Map::new();
    description.insert("__metadata__".to_owned(), serde_json::json!({ HEADER_KEY: header }));
    let mut start = 0;
    for info in infos {
        let end = start + 4 * info.len();
        let tensor = serde_json::json!({ "dtype": "F32", "shape": info.shape, "data_offsets": [start, end] });
        description.insert(info.name.clone(), tensor);
        start = end;
    }
    let mut text = serde_json::Value::Object(description).to_string().into_bytes();
    // Tensors begin at a multiple of eight bytes.
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut head = (text.len() as u64).to_le_bytes().to_vec();
    head.extend(text);
    head
}

/// Slices of a flat vector as named tensors.
pub fn named_tensors<T: bytemuck::Pod>(infos: &[ParameterInfo], values: &[T], dtype: Dtype) -> Tensors {
    infos
        .iter()
        .map(|info| {
            let bytes = bytemuck::cast_slice(&values[info.range()]).to_vec();
            (info.name.clone(), dtype, info.shape.clone(), bytes)
        })
        .collect()
}

/// A network read from a file.
#[derive(Debug)]
pub struct Loaded {
    /// The header.
    pub header: Header,
    /// The network, on the device and in the precision that were asked for.
    pub network: Network,
    /// BLAKE3 hash of the file, hexadecimal.
    pub hash: String,
}

/// Reads a network; weights are converted to `dtype`.
///
/// # Errors
/// A missing, truncated, damaged or foreign file, a newer format, weights that are missing, left over, of the wrong shape
/// or not finite: each named.
pub fn load(path: &Path, device: &Device, dtype: DType) -> Result<Loaded> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, "cannot open", e))?;
    let header = read_header(path, &bytes)?;
    checksum::verify(path, &bytes)?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|e| broken(path, &e))?;
    check_size(path, &header, bytes.len())?;
    let network = header.model.blank(device, dtype);
    let values = collect_weights(path, &tensors, &network)?;
    let network = match dtype {
        DType::F64 => parameters::with_vector(network, &values, device),
        _ => {
            let narrow: Vec<f32> = values.iter().map(|&v| v as f32).collect();
            parameters::with_vector(network, &narrow, device)
        }
    };
    Ok(Loaded { header, network: network.no_grad(), hash: blake3::hash(&bytes).to_hex().to_string() })
}

/// Reads the header alone.
///
/// # Errors
/// As [`load`].
pub fn load_header(path: &Path) -> Result<Header> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, "cannot open", e))?;
    let header = read_header(path, &bytes)?;
    checksum::verify(path, &bytes)?;
    Ok(header)
}

fn broken(path: &Path, error: &safetensors::SafeTensorError) -> Error {
    Error::file(path, format!("not a complete safetensors file ({error}); copy it again or use an older checkpoint"))
}

fn read_header(path: &Path, bytes: &[u8]) -> Result<Header> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| broken(path, &e))?;
    let text = metadata.metadata().as_ref().and_then(|m| m.get(HEADER_KEY)).ok_or_else(|| {
        Error::file(path, "no potstill header in its metadata: give a model that `potstill train` or `distill` wrote")
    })?;
    let bad = |e: serde_json::Error| Error::file(path, format!("header: {e}"));
    let mut value: serde_json::Value = serde_json::from_str(text).map_err(bad)?;
    let version = value["format_version"].as_u64().unwrap_or(0);
    if version > FORMAT_VERSION {
        let message = format!(
            "format version {version} is newer than {FORMAT_VERSION}, which this potstill reads; update potstill"
        );
        return Err(Error::file(path, message));
    }
    if version < 2 && value["model"]["architecture"] == "painn" {
        // The networks of that time; what is left out would mean today's default.
        value["model"]["smooth_cutoff"] = false.into();
    }
    let header: Header = serde_json::from_value(value).map_err(bad)?;
    header.model.validate().map_err(|e| Error::file(path, format!("header: {e}")))?;
    header.normalizer.validate(false).map_err(|e| Error::file(path, format!("header: {e}")))?;
    Ok(header)
}

/// Refuses a header whose network could not lie in the file, before anything of its size is allocated.
fn check_size(path: &Path, header: &Header, n_bytes: usize) -> Result<()> {
    let n_parameters = header.model.n_parameters();
    // A file that lacks a few weights shall be told so by their names.
    if n_parameters <= n_bytes as f64 + 1e6 {
        return Ok(());
    }
    let message = format!("header: a network of {n_parameters:.0} weights does not lie in {n_bytes} bytes");
    Err(Error::file(path, message))
}

fn collect_weights(path: &Path, tensors: &SafeTensors<'_>, network: &Network) -> Result<Vec<f64>> {
    let infos = parameters::describe(network);
    let mut left_over: BTreeMap<&str, ()> = tensors.names().into_iter().map(|n| (n, ())).collect();
    let mut values = Vec::new();
    for info in &infos {
        let view = tensors.tensor(&info.name).map_err(|_| {
            Error::file(path, format!("weight {} is missing; the file does not fit its header", info.name))
        })?;
        if view.shape() != info.shape {
            let message = format!("weight {}: expected shape {:?}, found {:?}", info.name, info.shape, view.shape());
            return Err(Error::file(path, message));
        }
        let start = values.len();
        match view.dtype() {
            Dtype::F32 => values
                .extend(view.data().chunks_exact(4).map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]])))),
            Dtype::F64 => values.extend(
                view.data()
                    .chunks_exact(8)
                    .map(|b| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]])),
            ),
            other => {
                return Err(Error::file(path, format!("weight {}: {other:?} numbers; expected F32 or F64", info.name)));
            }
        }
        if values[start..].iter().any(|v| !v.is_finite()) {
            return Err(Error::file(path, format!("weight {} is not finite; use an older checkpoint", info.name)));
        }
        left_over.remove(info.name.as_str());
    }
    match left_over.keys().next() {
        Some(name) => Err(Error::file(path, format!("weight {name} is not part of the network in the header"))),
        None => Ok(values),
    }
}
