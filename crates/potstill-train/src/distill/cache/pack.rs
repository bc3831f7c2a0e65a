//! Tensors of a shard from a teacher's answers.

use half::f16;
use potstill_core::model::Tensors;
use potstill_core::{Error, Precision, Result};
use safetensors::Dtype;

use super::index::Index;
use super::probe_name;
use crate::distill::answer::Answer;

/// Largest finite f16.
const F16_MAX: f64 = 65504.0;

/// Tensors of a shard.
pub(in crate::distill) fn pack(answers: &[Answer], index: &Index) -> Result<Tensors> {
    let exact = |name: &str, of: fn(&Answer) -> &[f64]| {
        let values: Vec<f64> = answers.iter().flat_map(|answer| of(answer).iter().copied()).collect();
        (name.to_owned(), Dtype::F64, vec![values.len()], bytemuck::cast_slice(&values).to_vec())
    };
    let holds = index.holds;
    let mut tensors: Tensors = Vec::new();
    if holds.energy {
        tensors.push(exact("energy", |a| &a.energy));
    }
    if holds.atomic_energies {
        tensors.push(exact("atomic_energies", |a| &a.atomic_energies));
    }
    // Also where features are in f16: forces are compared with labels.
    let at_least_single = if index.precision == Precision::F64 { Precision::F64 } else { Precision::F32 };
    if holds.forces {
        let forces = answers.iter().flat_map(|a| a.forces.as_flattened().iter().copied());
        tensors.push(rounded("forces", 3, forces, at_least_single)?);
    }
    if holds.virial {
        let virials = answers.iter().flat_map(|a| a.virials.as_flattened().as_flattened().iter().copied());
        tensors.push(rounded("virial", 9, virials, Precision::F64)?);
    }
    if holds.spread {
        tensors.push(exact("energy_spread", |a| &a.energy_spread));
        tensors.push(exact("forces_spread", |a| &a.forces_spread));
    }
    for probe in 0..index.probes.map_or(0, |probes| probes.n) {
        let values = answers.iter().flat_map(|a| a.probes.get(probe).into_iter().flatten().copied());
        tensors.push(rounded(&probe_name(probe), 3, values, at_least_single)?);
    }
    let counts: Vec<u32> = answers.iter().flat_map(|a| a.edge_counts.iter().copied()).collect();
    if !counts.is_empty() {
        tensors.push(("edge_counts".into(), Dtype::U32, vec![counts.len()], bytemuck::cast_slice(&counts).to_vec()));
    }
    for (k, (name, width, _)) in answers.first().into_iter().flat_map(|a| a.features.iter().enumerate()) {
        let values = answers.iter().flat_map(|a| a.features[k].2.iter().copied());
        tensors.push(rounded(name, *width, values, index.precision)?);
    }
    Ok(tensors)
}

/// Tensor in that precision.
fn rounded(
    name: &str,
    width: usize,
    values: impl Iterator<Item = f64>,
    precision: Precision,
) -> Result<(String, Dtype, Vec<usize>, Vec<u8>)> {
    let values: Vec<f64> = values.collect();
    let shape = vec![values.len() / width, width];
    let (dtype, bytes) = match precision {
        Precision::F64 => (Dtype::F64, bytemuck::cast_slice(&values).to_vec()),
        Precision::F32 => {
            let narrow: Vec<f32> = values.iter().map(|&v| v as f32).collect();
            (Dtype::F32, bytemuck::cast_slice(&narrow).to_vec())
        }
        Precision::F16 => {
            if let Some(large) = values.iter().find(|v| v.abs() > F16_MAX) {
                let message = format!("teacher feature {large:e} at {name} does not fit into f16; use `f32`");
                return Err(Error::setting("distill.feature_precision", message));
            }
            (Dtype::F16, values.iter().flat_map(|&v| f16::from_f64(v).to_le_bytes()).collect())
        }
    };
    Ok((name.to_owned(), dtype, shape, bytes))
}
