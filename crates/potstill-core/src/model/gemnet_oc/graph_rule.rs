//! Cutoffs and neighbour limits of the four graphs of GemNet-OC.

use super::GemNetOCConfig;
use crate::graph::Neighbors;
use crate::graph::gemnet::GemNetRule;

impl GemNetOCConfig {
    /// Rule by which the four graphs are drawn; settings of an interaction that is off limit nothing.
    pub fn gemnet_rule(&self) -> GemNetRule {
        let inner = if self.quadruplets { self.max_quadruplet_neighbors } else { self.max_neighbors };
        let mixed = if self.mixes() { self.max_atom_edge_neighbors } else { self.max_neighbors };
        let widest = self.max_neighbors.max(inner).max(mixed);
        let outer = if self.atom_to_atom { self.max_atom_neighbors } else { widest };
        GemNetRule {
            cutoff: self.cutoff,
            cutoff_qint: self.quadruplet_cutoff(),
            cutoff_aeaint: self.atom_edge_cutoff(),
            cutoff_aint: self.atom_cutoff(),
            max_neighbors: Neighbors::Nearest(self.max_neighbors),
            max_neighbors_qint: Neighbors::Nearest(inner),
            max_neighbors_aeaint: Neighbors::Nearest(mixed),
            max_neighbors_aint: Neighbors::Nearest(outer),
            qint_tags: self.quadruplet_tags.clone(),
            quad: self.quadruplets,
            atom_edge: self.atom_to_edge,
            edge_atom: self.edge_to_atom,
            atom_atom: self.atom_to_atom,
        }
    }

    /// Whether atoms and edges exchange messages.
    fn mixes(&self) -> bool {
        self.atom_to_edge || self.edge_to_atom
    }

    /// Longest inner edge of a quadruplet in Å.
    pub fn quadruplet_cutoff(&self) -> f64 {
        self.quadruplet_cutoff.filter(|_| self.quadruplets).unwrap_or(self.cutoff)
    }

    /// Longest edge between atoms and edges in Å.
    pub fn atom_edge_cutoff(&self) -> f64 {
        self.atom_edge_cutoff.filter(|_| self.mixes()).unwrap_or(self.cutoff)
    }

    /// Longest edge between atoms in Å.
    pub fn atom_cutoff(&self) -> f64 {
        self.atom_cutoff.filter(|_| self.atom_to_atom).unwrap_or_else(|| self.longest_of_others())
    }

    pub(super) fn longest_of_others(&self) -> f64 {
        self.cutoff.max(self.quadruplet_cutoff()).max(self.atom_edge_cutoff())
    }
}
