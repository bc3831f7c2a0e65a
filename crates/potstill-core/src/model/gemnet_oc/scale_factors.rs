//! Constant factors of GemNet-OC's messages, and their names in the reference.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::Forces;
use super::GemNetOCConfig;

/// Source of the constant factors of the network.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", expecting = "expected \"fit\", \"unit\" or a table of factors by name")]
pub enum ScaleFactors {
    /// Fitted before the first step, so that every message has the variance of what it came from. The default.
    #[default]
    Fit,
    /// All 1, as in the paper's COLL runs.
    Unit,
    /// A table by the reference's names, for example `int_blocks.0.trip_interaction.scale_rbf`.
    #[serde(untagged)]
    Given(BTreeMap<String, f64>),
}

impl ScaleFactors {
    /// The factor of that name; 1 when it is not known.
    pub fn get(&self, name: &str) -> f64 {
        match self {
            Self::Given(factors) => factors.get(name).copied().unwrap_or(1.0),
            _ => 1.0,
        }
    }
}

impl GemNetOCConfig {
    /// Names of all scale factors of this network, as the reference calls them.
    pub fn scale_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut add = |on: bool, prefix: &str, factors: &[&str]| {
            names.extend(factors.iter().filter(|_| on).map(|factor| format!("{prefix}.{factor}")));
        };
        if self.scale_basis {
            add(true, "radial_basis", &["scale_rbf"]);
            add(self.atom_to_edge || self.edge_to_atom, "radial_basis_aeaint", &["scale_rbf"]);
            add(self.atom_to_atom, "radial_basis_aint", &["scale_rbf"]);
            add(true, self.shared_basis(), &["radial_basis.scale_rbf"]);
            add(true, "cbf_basis_tint", &["scale_cbf"]);
            add(self.quadruplets, "cbf_basis_qint", &["radial_basis.scale_rbf", "scale_cbf"]);
            add(self.quadruplets, "sbf_basis_qint", &["scale_sbf"]);
            add(self.atom_to_edge, "cbf_basis_aeint", &["scale_cbf"]);
            add(self.edge_to_atom, "cbf_basis_eaint", &["radial_basis.scale_rbf", "scale_cbf"]);
        }
        for i in 0..self.n_blocks {
            let part = |name: &str| format!("int_blocks.{i}.{name}");
            add(true, &part("trip_interaction"), &["scale_rbf", "scale_cbf_sum"]);
            add(self.quadruplets, &part("quad_interaction"), &["scale_rbf", "scale_cbf", "scale_sbf_sum"]);
            add(self.atom_to_edge, &part("atom_edge_interaction"), &["scale_rbf", "scale_cbf_sum"]);
            add(self.edge_to_atom, &part("edge_atom_interaction"), &["scale_rbf", "scale_cbf_sum"]);
            add(self.atom_to_atom, &part("atom_interaction"), &["scale_rbf_sum"]);
            add(true, &part("atom_update"), &["scale_sum"]);
        }
        for i in 0..=self.n_blocks {
            add(true, &format!("out_blocks.{i}"), &["scale_sum"]);
            add(self.forces == Forces::Direct, &format!("out_blocks.{i}"), &["scale_rbf_F"]);
        }
        names
    }

    /// Reference's name of the radial basis that it registers under several names.
    pub fn shared_basis(&self) -> &'static str {
        match (self.quadruplets, self.atom_to_edge) {
            (true, _) => "sbf_basis_qint",
            (false, true) => "cbf_basis_aeint",
            (false, false) => "cbf_basis_tint",
        }
    }
}
