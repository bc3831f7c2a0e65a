//! Which tensor of a state dict is which parameter.

use std::collections::BTreeSet;

use burn::tensor::{DType, Device};
use potstill_core::{Error, Result};

use crate::network::Network;
use crate::parameters::{self, ParameterInfo};
use crate::reference::reference_name;
use potstill_core::model::Architecture;

/// A parameter and the name of its tensor in the state dict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched {
    /// Our parameter.
    pub parameter: ParameterInfo,
    /// Its name there, without the prefix of a wrapper.
    pub name: String,
}

/// Buffers, aliases of parameters, and maps of a distillation: in a state dict, but no parameters of ours.
const LEFT_ALONE: [&str; 10] = [
    "offset",
    "conv.nn.",
    "seq_energy_pre.",
    "n2n_mapping.",
    "n2e_mapping.",
    "e2e_mapping.",
    "v2v_mapping.",
    "atomic_mass",
    "initial_atomref",
    "scale_factor",
];

/// Removes what data-parallel wrappers put in front of every name.
pub fn strip_prefix(name: &str) -> &str {
    let mut name = name;
    while let Some(rest) = name.strip_prefix("module.") {
        name = rest;
    }
    name
}

/// Matches every parameter of a network with a tensor of a state dict, whose names and shapes are given.
///
/// # Errors
/// Names and shapes that do not fit: parameters without a tensor and tensors without a parameter, both named.
pub fn match_weights(architecture: &Architecture, tensors: &[(String, Vec<usize>)]) -> Result<Vec<Matched>> {
    check_size(architecture, tensors)?;
    let network = Network::blank(architecture, &Device::flex(), DType::F32);
    let (mut matched, mut missing, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
    let mut used = BTreeSet::new();
    for parameter in parameters::describe(&network) {
        let name = reference_name(architecture, &parameter.name);
        match tensors.iter().find(|(n, _)| strip_prefix(n) == name) {
            None => missing.push(name),
            Some((_, shape)) if !same_shape(shape, &parameter.shape) => {
                wrong.push(format!("{name}: expected shape {:?}, found {shape:?}", parameter.shape));
            }
            Some(_) => {
                used.insert(name.clone());
                matched.push(Matched { parameter, name });
            }
        }
    }
    let known = |name: &str| used.contains(name) || LEFT_ALONE.iter().any(|part| name.contains(part));
    // One radial basis goes by several names.
    let alias = |name: &str| name.contains("radial_basis.rbf.") && !used.is_empty();
    let extra: Vec<&str> = tensors.iter().map(|(n, _)| strip_prefix(n)).filter(|n| !known(n) && !alias(n)).collect();
    if let Some(first) = wrong.first() {
        return Err(Error::Other(format!("weights do not fit the configuration: {first}{}", more(wrong.len()))));
    }
    if missing.is_empty() && extra.is_empty() {
        return Ok(matched);
    }
    let list = |what: &str, names: &[&str]| match names {
        [] => String::new(),
        [first, ..] => format!("; {what}: {first}{}", more(names.len())),
    };
    let missing: Vec<&str> = missing.iter().map(String::as_str).collect();
    Err(Error::Other(format!(
        "weights do not fit the configuration of a {}{}{}",
        architecture.name(),
        list("missing", &missing),
        list("not part of it", &extra)
    )))
}

/// Refuses settings whose network could not lie in the checkpoint, before anything of its size is allocated.
fn check_size(architecture: &Architecture, tensors: &[(String, Vec<usize>)]) -> Result<()> {
    let entries = |shape: &[usize]| shape.iter().map(|&n| n as f64).product::<f64>();
    let (expected, found) = (architecture.n_parameters(), tensors.iter().map(|(_, shape)| entries(shape)).sum::<f64>());
    // A checkpoint that lacks a few weights shall be told so by their names.
    if expected <= found + 1e6 {
        return Ok(());
    }
    Err(Error::Other(format!(
        "weights do not fit the configuration of a {}, which describes {expected:.0} weights: there are {found:.0}",
        architecture.name()
    )))
}

/// A number may be stored without an axis.
fn same_shape(theirs: &[usize], ours: &[usize]) -> bool {
    theirs == ours || theirs.is_empty() && ours.iter().product::<usize>() == 1
}

fn more(n: usize) -> String {
    if n > 1 { format!(" and {} more", n - 1) } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use potstill_core::model::PaiNNConfig;

    fn tensors(architecture: &Architecture) -> Vec<(String, Vec<usize>)> {
        let network = Network::blank(architecture, &Device::flex(), DType::F32);
        let name = |p: &ParameterInfo| format!("module.module.{}", reference_name(architecture, &p.name));
        parameters::describe(&network).into_iter().map(|p| (name(&p), p.shape)).collect()
    }

    #[test]
    fn networks_beyond_the_checkpoint_are_refused_before_they_are_made() {
        let small = Architecture::PaiNN(PaiNNConfig { hidden_channels: 8, n_layers: 1, ..PaiNNConfig::default() });
        let large = Architecture::PaiNN(PaiNNConfig { hidden_channels: 1 << 16, ..PaiNNConfig::default() });
        let message = match_weights(&large, &tensors(&small)).unwrap_err().to_string();
        assert!(message.contains("of a PaiNN, which describes") && message.contains("there are"), "{message}");
    }

    #[test]
    fn both_sides_are_named() {
        let architecture =
            Architecture::PaiNN(PaiNNConfig { hidden_channels: 8, n_layers: 1, ..PaiNNConfig::default() });
        let mut all = tensors(&architecture);
        all.push(("module.module.radial_basis.rbf.offset".into(), vec![128]));
        assert_eq!(match_weights(&architecture, &all).unwrap().len(), all.len() - 1);
        let (lost, _) = all.remove(2);
        all.push(("module.module.out_dipole.weight".into(), vec![1]));
        let message = match_weights(&architecture, &all).unwrap_err().to_string();
        assert!(message.contains(strip_prefix(&lost)) && message.contains("out_dipole.weight"), "{message}");
        all.pop();
        all.push((lost, vec![3, 3]));
        let message = match_weights(&architecture, &all).unwrap_err().to_string();
        assert!(message.contains("found [3, 3]"), "{message}");
    }
}
