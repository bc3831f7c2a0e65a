//! Our weights under the reference's names.

use std::collections::BTreeMap;
use std::path::Path;

use potstill_core::Result;
use potstill_core::model::{Architecture, ScaleFactors, Tensors, write_tensors};
use potstill_kernels::radial::Gaussians;
use safetensors::Dtype;

use crate::model::Model;
use crate::parameters;
use crate::reference::reference_name;

/// Writes a state dict as safetensors, with second names and buffers, so that the reference loads it strictly; returns
/// the number of tensors.
///
/// With `scale_factors` the factors go to that file, by name; the reference keeps them apart.
///
/// # Errors
/// Errors of the file system.
pub fn export(model: &Model, output: &Path, scale_factors: Option<&Path>) -> Result<usize> {
    let architecture = &model.header().model;
    let infos = parameters::describe(model.network());
    let values: Vec<f32> = parameters::to_vector(model.network());
    let mut tensors: BTreeMap<String, (Vec<usize>, Vec<u8>)> = BTreeMap::new();
    for info in &infos {
        let bytes: Vec<u8> = bytemuck::cast_slice(&values[info.range()]).to_vec();
        let name = reference_name(architecture, &info.name);
        let mut shape = info.shape.clone();
        if name.ends_with("pregamma") {
            shape.clear();
        }
        for alias in aliases(architecture, &name) {
            tensors.insert(alias, (shape.clone(), bytes.clone()));
        }
        tensors.insert(name, (shape, bytes));
    }
    for (name, offsets) in offsets(architecture) {
        let offsets: Vec<f32> = offsets.into_iter().map(|v| v as f32).collect();
        tensors.insert(name, (vec![offsets.len()], bytemuck::cast_slice(&offsets).to_vec()));
    }
    let n = tensors.len();
    write(output, tensors)?;
    if let Some(path) = scale_factors {
        let factors = scales(architecture).into_iter();
        write(
            path,
            factors.map(|(name, value)| (name, (Vec::new(), (value as f32).to_le_bytes().to_vec()))).collect(),
        )?;
    }
    Ok(n)
}

fn write(path: &Path, tensors: BTreeMap<String, (Vec<usize>, Vec<u8>)>) -> Result<()> {
    let tensors: Tensors = tensors.into_iter().map(|(name, (shape, bytes))| (name, Dtype::F32, shape, bytes)).collect();
    write_tensors(path, "format", "pt", &tensors)
}

/// Second names of a tensor in the reference's state dict.
fn aliases(architecture: &Architecture, name: &str) -> Vec<String> {
    match architecture {
        Architecture::SchNet(_) if name.contains(".mlp.") => vec![name.replace(".mlp.", ".conv.nn.")],
        Architecture::GemNetOC(_) if name.starts_with("out_blocks.") && name.contains(".layers.") => {
            vec![name.replace(".layers.", ".seq_energy_pre.")]
        }
        Architecture::GemNetOC(config) if name.contains(config.shared_basis()) => {
            let others = [
                (config.quadruplets, "sbf_basis_qint"),
                (config.atom_to_edge, "cbf_basis_aeint"),
                (true, "cbf_basis_tint"),
            ];
            let others = others.into_iter().filter(|(on, other)| *on && *other != config.shared_basis());
            others.map(|(_, other)| name.replace(config.shared_basis(), other)).collect()
        }
        _ => Vec::new(),
    }
}

/// Centres of Gaussians, which the reference keeps as buffers.
fn offsets(architecture: &Architecture) -> Vec<(String, Vec<f64>)> {
    use potstill_core::model::RadialKind;
    match architecture {
        Architecture::SchNet(config) => {
            let basis = Gaussians::new(0.0, config.cutoff, config.n_gaussians);
            vec![("distance_expansion.offset".to_owned(), basis.offsets)]
        }
        Architecture::PaiNN(config) if config.radial_basis == RadialKind::Gaussian => {
            let basis = Gaussians::new(0.0, 1.0, config.n_radial);
            vec![("radial_basis.rbf.offset".to_owned(), basis.offsets)]
        }
        Architecture::GemNetOC(config) => {
            let offsets = Gaussians::exact(0.0, 1.0, config.n_radial).offsets;
            let (plain, beside) = (config.radial_basis, config.angular_radial_basis());
            let gaussian = RadialKind::Gaussian;
            let names = [
                (plain == gaussian, "radial_basis"),
                (plain == gaussian && (config.atom_to_edge || config.edge_to_atom), "radial_basis_aeaint"),
                (plain == gaussian && config.atom_to_atom, "radial_basis_aint"),
                (beside == gaussian, "cbf_basis_tint.radial_basis"),
                (beside == gaussian && config.quadruplets, "cbf_basis_qint.radial_basis"),
                (beside == gaussian && config.quadruplets, "sbf_basis_qint.radial_basis"),
                (beside == gaussian && config.atom_to_edge, "cbf_basis_aeint.radial_basis"),
                (beside == gaussian && config.edge_to_atom, "cbf_basis_eaint.radial_basis"),
            ];
            let names = names.into_iter().filter(|(on, _)| *on);
            names.map(|(_, name)| (format!("{name}.rbf.offset"), offsets.clone())).collect()
        }
        _ => Vec::new(),
    }
}

/// Scale factors by the reference's names.
fn scales(architecture: &Architecture) -> BTreeMap<String, f64> {
    match architecture {
        Architecture::PaiNN(config) => {
            let value = |i| config.update_scales.get(i).copied().unwrap_or(1.0);
            (0..config.n_layers).map(|i| (format!("upd_out_scalar_scale_{i}"), value(i))).collect()
        }
        Architecture::GemNetOC(config) => match &config.scale_factors {
            ScaleFactors::Given(factors) => factors.clone(),
            _ => config.scale_names().into_iter().map(|name| (name, 1.0)).collect(),
        },
        _ => BTreeMap::new(),
    }
}
