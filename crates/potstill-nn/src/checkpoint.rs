//! Networks written to model files, and read from them.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{DType, Device};
use potstill_core::Result;
use potstill_core::model::{Header, ModelFile, Tensors, write_model};
use safetensors::Dtype;

use crate::network::Network;
use crate::parameters::{self, ParameterInfo};

/// Writes a network and its header, in f64 or f32.
///
/// # Errors
/// What the file system says; a file of that name is then as it was before.
pub fn save(path: &Path, header: &Header, network: &Network, dtype: DType) -> Result<()> {
    let infos = parameters::describe(network);
    let tensors = match dtype {
        DType::F64 => named_tensors(&infos, &parameters::to_vector::<_, f64>(network), Dtype::F64),
        _ => named_tensors(&infos, &parameters::to_vector::<_, f32>(network), Dtype::F32),
    };
    write_model(path, header, &tensors)
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

/// Network of a model file, its weights converted to `dtype`; it records no gradients.
///
/// # Errors
/// Weights that are missing, left over, of the wrong shape or not finite: each named.
pub fn network(file: &ModelFile, device: &Device, dtype: DType) -> Result<Network> {
    let network = Network::blank(&file.header().model, device, dtype);
    let mut weights = file.weights()?;
    let mut values = Vec::new();
    for info in &parameters::describe(&network) {
        values.extend(weights.take(&info.name, &info.shape)?);
    }
    weights.finish()?;
    let network = match dtype {
        DType::F64 => parameters::with_vector(network, &values, device),
        _ => {
            let narrow: Vec<f32> = values.iter().map(|&v| v as f32).collect();
            parameters::with_vector(network, &narrow, device)
        }
    };
    Ok(network.no_grad())
}
