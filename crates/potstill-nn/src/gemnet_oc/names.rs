//! Names of parameters in the checkpoints of the reference implementation (Open Catalyst Project).

use potstill_core::model::GemNetOCConfig;

/// The reference's name of a parameter, for example `blocks.0.quadruplets.up.weight` →
/// `int_blocks.0.quad_interaction.up_projection_ca.linear.weight`.
pub(crate) fn reference_name(config: &GemNetOCConfig, name: &str) -> String {
    let parts: Vec<&str> = name.split('.').collect();
    // The first map of an atom update is there only between different widths; residuals come behind it.
    let offset = usize::from(config.atom_channels != config.edge_channels);
    match parts.as_slice() {
        ["embedding", rest] => format!("atom_emb.embeddings.{rest}"),
        ["first_edge", rest] => format!("edge_emb.dense.linear.{rest}"),
        ["bases", rest @ ..] => basis_name(config, rest),
        ["blocks", i, rest @ ..] => format!("int_blocks.{i}.{}", block_name(rest, offset)),
        ["outputs", i, rest @ ..] => format!("out_blocks.{i}.{}", output_name(rest, offset)),
        ["energy", rest @ ..] => head_name(rest, "E", "out_energy"),
        ["force", rest @ ..] => head_name(rest, "F", "out_forces"),
        _ => name.to_owned(),
    }
}

fn basis_name(config: &GemNetOCConfig, parts: &[&str]) -> String {
    let shared = config.shared_basis();
    match parts {
        ["main", "basis", rest] => format!("radial_basis.rbf.{rest}"),
        ["angular", "basis", rest] => format!("{shared}.radial_basis.rbf.{rest}"),
        ["atom_edge", "basis", rest] => format!("radial_basis_aeaint.rbf.{rest}"),
        ["edge_to_atom_angular", "basis", rest] => format!("cbf_basis_eaint.radial_basis.rbf.{rest}"),
        ["atom_to_atom_radial", "basis", rest] => format!("radial_basis_aint.rbf.{rest}"),
        ["quadruplets", "inner", "basis", rest] => format!("cbf_basis_qint.radial_basis.rbf.{rest}"),
        ["quadruplets", "spherical", rest] => format!("mlp_sbf_qint.{rest}"),
        ["atom_to_atom", rest] => format!("mlp_rbf_aint.{rest}"),
        ["atom_update", rest] => format!("mlp_rbf_h.linear.{rest}"),
        ["output", rest] => format!("mlp_rbf_out.linear.{rest}"),
        [kind, "radial", rest] => format!("mlp_rbf_{}.linear.{rest}", short(kind)),
        [kind, "circular", rest] => format!("mlp_cbf_{}.{rest}", short(kind)),
        _ => parts.join("."),
    }
}

fn short(kind: &str) -> &str {
    match kind {
        "edge_to_edge" => "tint",
        "atom_to_edge" => "aeint",
        "edge_to_atom" => "eaint",
        _ => "qint",
    }
}

fn block_name(parts: &[&str], offset: usize) -> String {
    match parts {
        ["skip", rest] => format!("dense_ca.linear.{rest}"),
        ["concat", rest] => format!("concat_layer.dense.linear.{rest}"),
        ["before_skip", rest @ ..] => residual_name("layers_before_skip", rest, 0),
        ["after_skip", rest @ ..] => residual_name("layers_after_skip", rest, 0),
        ["atom_residuals", rest @ ..] => residual_name("atom_emb_layers", rest, 0),
        ["concat_residuals", rest @ ..] => residual_name("residual_m", rest, 0),
        ["atom_update", rest @ ..] => format!("atom_update.{}", update_name(rest, offset)),
        ["edge_to_edge", layer, rest] => format!("trip_interaction.{}.{rest}", triplet_layer(layer)),
        ["atom_to_edge", layer, rest] => format!("atom_edge_interaction.{}.{rest}", triplet_layer(layer)),
        ["edge_to_atom", layer, rest] => format!("edge_atom_interaction.{}.{rest}", triplet_layer(layer)),
        ["quadruplets", layer, rest] => {
            let layer = match *layer {
                "input" => "dense_db.linear",
                "circular" => "mlp_cbf.linear",
                "bilinear" => "mlp_sbf.bilinear.linear",
                other => triplet_layer(other),
            };
            format!("quad_interaction.{layer}.{rest}")
        }
        ["atom_to_atom", layer, rest] => {
            let layer = match *layer {
                "bilinear" => "bilinear.linear",
                "up" => "up_projection.linear",
                other => triplet_layer(other),
            };
            format!("atom_interaction.{layer}.{rest}")
        }
        _ => parts.join("."),
    }
}

fn triplet_layer(layer: &str) -> &str {
    match layer {
        "input" => "dense_ba.linear",
        "radial" => "mlp_rbf.linear",
        "down" => "down_projection.linear",
        "bilinear" => "mlp_cbf.bilinear.linear",
        "up" => "up_projection_ca.linear",
        "up_reverse" => "up_projection_ac.linear",
        other => other,
    }
}

fn update_name(parts: &[&str], offset: usize) -> String {
    match parts {
        ["radial", rest] => format!("dense_rbf.linear.{rest}"),
        ["down", rest] => format!("layers.0.linear.{rest}"),
        ["residuals", rest @ ..] => residual_name("layers", rest, offset),
        _ => parts.join("."),
    }
}

fn output_name(parts: &[&str], offset: usize) -> String {
    match parts {
        ["energy", rest @ ..] => update_name(rest, offset),
        ["energy_residuals", rest @ ..] => residual_name("seq_energy2", rest, 0),
        ["force_residuals", rest @ ..] => residual_name("seq_forces", rest, 0),
        ["force_radial", rest] => format!("dense_rbf_F.linear.{rest}"),
        _ => parts.join("."),
    }
}

fn head_name(parts: &[&str], letter: &str, head: &str) -> String {
    match parts {
        ["join", rest] => format!("out_mlp_{letter}.0.linear.{rest}"),
        ["head", rest] => format!("{head}.linear.{rest}"),
        ["residuals", rest @ ..] => residual_name(&format!("out_mlp_{letter}"), rest, 1),
        _ => parts.join("."),
    }
}

fn residual_name(list: &str, parts: &[&str], offset: usize) -> String {
    match parts {
        [k, layer, rest] => {
            let k = k.parse().map_or_else(|_| (*k).to_owned(), |k: usize| (k + offset).to_string());
            let layer = if *layer == "first" { 0 } else { 1 };
            format!("{list}.{k}.dense_mlp.{layer}.linear.{rest}")
        }
        _ => format!("{list}.{}", parts.join(".")),
    }
}
