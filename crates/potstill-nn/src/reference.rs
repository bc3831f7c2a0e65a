//! Names of parameters in the checkpoints of the reference implementation (Open Catalyst Project).

use potstill_core::model::Architecture;

/// Reference's name of a parameter, for example
/// `messages.0.scalar_in.weight` → `message_layers.0.x_proj.0.weight`.
pub fn reference_name(architecture: &Architecture, name: &str) -> String {
    if let Architecture::GemNetOC(config) = architecture {
        return crate::networks::gemnet_oc::names::reference_name(config, name);
    }
    let is_painn = matches!(architecture, Architecture::PaiNN(_));
    // A network that the reference does not have keeps its names.
    let table: &[(&str, &str)] = match matches!(architecture, Architecture::SchNet(_)) {
        true => &SCHNET,
        false if is_painn => &PAINN,
        false => &[],
    };
    let mut result = name.to_owned();
    for (ours, theirs) in table {
        result = result.replace(ours, theirs);
    }
    // Two-layer maps of PaiNN are `in`/`out` here and positions 0 and 2 of a sequence there.
    if is_painn {
        for (ours, theirs) in [(".in.", ".0."), (".out.", ".2.")] {
            result = result.replace(ours, theirs);
        }
    }
    result
}

const SCHNET: [(&str, &str); 7] = [
    (".filter_in.", ".mlp.0."),
    (".filter_out.", ".mlp.2."),
    (".source.", ".conv.lin1."),
    (".message.", ".conv.lin2."),
    (".output.", ".lin."),
    ("energy_in.", "lin1."),
    ("energy_out.", "lin2."),
];

const PAINN: [(&str, &str); 17] = [
    ("radial_basis.", "radial_basis.rbf."),
    ("embedding.", "atom_emb.embeddings."),
    ("messages.", "message_layers."),
    (".norm.", ".x_layernorm."),
    (".scalar_in.", ".x_proj.0."),
    (".scalar_out.", ".x_proj.2."),
    (".filter.", ".rbf_proj."),
    ("direct_forces.first.vector_mix", "out_forces.output_network.0.vec2_proj"),
    ("direct_forces.second.vector_mix", "out_forces.output_network.1.vec2_proj"),
    ("direct_forces.first.norm_mix", "out_forces.output_network.0.vec1_proj"),
    ("direct_forces.second.norm_mix", "out_forces.output_network.1.vec1_proj"),
    ("direct_forces.first.gate_", "out_forces.output_network.0.update_net."),
    ("direct_forces.second.gate_", "out_forces.output_network.1.update_net."),
    ("updates.", "update_layers."),
    (".vector_mix.", ".vec_proj."),
    (".gate_", ".xvec_proj."),
    ("energy_", "out_energy."),
];

#[cfg(test)]
mod tests {
    use super::*;
    use potstill_core::model::{PaiNNConfig, SchNetConfig};

    #[test]
    fn names_of_published_checkpoints() {
        let painn = Architecture::PaiNN(PaiNNConfig::default());
        for (ours, theirs) in [
            ("embedding.weight", "atom_emb.embeddings.weight"),
            ("messages.1.scalar_out.bias", "message_layers.1.x_proj.2.bias"),
            ("updates.0.vector_mix.weight", "update_layers.0.vec_proj.weight"),
            ("updates.0.gate_out.weight", "update_layers.0.xvec_proj.2.weight"),
            ("energy_out.bias", "out_energy.2.bias"),
            ("direct_forces.second.gate_in.bias", "out_forces.output_network.1.update_net.0.bias"),
            ("direct_forces.first.vector_mix.weight", "out_forces.output_network.0.vec2_proj.weight"),
        ] {
            assert_eq!(reference_name(&painn, ours), theirs);
        }
        let schnet = Architecture::SchNet(SchNetConfig::default());
        assert_eq!(reference_name(&schnet, "interactions.2.source.weight"), "interactions.2.conv.lin1.weight");
        assert_eq!(reference_name(&schnet, "energy_in.bias"), "lin1.bias");
    }
}
