//! Rule by which the four graphs of GemNet-OC are drawn.

use super::super::{GraphRule, Neighbors, check};
use crate::{Error, Result};

/// Rule by which the graphs of GemNet-OC are drawn. Cutoffs in Å, inclusive; fallbacks are already resolved.
///
/// Without any of `atom_edge`, `edge_atom` and `atom_atom` no wide graph is drawn: the main graph is, and `qint` is
/// cut out of it before it is made symmetric.
#[derive(Debug, Clone, PartialEq)]
pub struct GemNetRule {
    /// Largest length of a main edge.
    pub cutoff: f64,
    /// Largest length of a middle edge of quadruplets.
    pub cutoff_qint: f64,
    /// Largest length of an edge between atoms and main edges.
    pub cutoff_aeaint: f64,
    /// Largest length of an edge between atoms, and of the graph that all others are cut from.
    pub cutoff_aint: f64,
    /// Main edges per target, before they are made symmetric.
    pub max_neighbors: Neighbors,
    /// Middle edges of quadruplets per target, before tags are looked at.
    pub max_neighbors_qint: Neighbors,
    /// Edges between atoms and main edges per target.
    pub max_neighbors_aeaint: Neighbors,
    /// Edges between atoms per target.
    pub max_neighbors_aint: Neighbors,
    /// A middle edge of quadruplets stays if the tag of its source or of its target is one of these. Atoms of a
    /// system without tags count as tag 2.
    pub qint_tags: Vec<i32>,
    /// Whether quadruplets are wanted.
    pub quad: bool,
    /// Whether messages from atoms to main edges are wanted.
    pub atom_edge: bool,
    /// Whether messages from main edges to atoms are wanted.
    pub edge_atom: bool,
    /// Whether messages between atoms are wanted.
    pub atom_atom: bool,
}

/// Largest length and number of edges of one of the graphs, and what their settings are called.
pub(super) struct Limits {
    pub cutoff: f64,
    pub neighbors: Neighbors,
    suffix: &'static str,
}

impl GemNetRule {
    /// Whether a graph wider than the main one is drawn, from which all are cut.
    pub(super) fn is_wide(&self) -> bool {
        self.atom_edge || self.edge_atom || self.atom_atom
    }

    /// The graph that all others are cut from; not symmetrised.
    pub(super) fn widest(&self) -> GraphRule {
        let Limits { cutoff, neighbors, .. } = if self.is_wide() { self.a2a() } else { self.main() };
        GraphRule { cutoff, neighbors, symmetric: false }
    }

    pub(super) fn main(&self) -> Limits {
        Limits { cutoff: self.cutoff, neighbors: self.max_neighbors, suffix: "" }
    }

    pub(super) fn qint(&self) -> Limits {
        Limits { cutoff: self.cutoff_qint, neighbors: self.max_neighbors_qint, suffix: "_qint" }
    }

    pub(super) fn a2ee2a(&self) -> Limits {
        Limits { cutoff: self.cutoff_aeaint, neighbors: self.max_neighbors_aeaint, suffix: "_aeaint" }
    }

    fn a2a(&self) -> Limits {
        Limits { cutoff: self.cutoff_aint, neighbors: self.max_neighbors_aint, suffix: "_aint" }
    }

    /// Refuses limits that can draw no graph, and graphs wider than the one they are cut from.
    pub(super) fn check(&self) -> Result<()> {
        let all = if self.is_wide() { self.a2a() } else { self.main() };
        all.check_alone()?;
        let wanted = [(true, self.main()), (self.quad, self.qint()), (self.atom_edge || self.edge_atom, self.a2ee2a())];
        for (_, part) in wanted.into_iter().filter(|(wanted, _)| *wanted) {
            part.check_alone()?;
            part.check_within(&all)?;
        }
        Ok(())
    }
}

impl Limits {
    fn check_alone(&self) -> Result<()> {
        let rule = GraphRule { cutoff: self.cutoff, neighbors: self.neighbors, symmetric: false };
        check::rule(&rule).map_err(|error| match error {
            Error::Setting { key, message } if key == "cutoff" => Error::setting(self.cutoff_key(), message),
            Error::Setting { message, .. } => Error::setting(self.neighbors_key(), message),
            other => other,
        })
    }

    fn check_within(&self, all: &Self) -> Result<()> {
        if self.cutoff > all.cutoff {
            let message = format!(
                "is {} Å; use at most {} = {} Å, from whose edges it chooses",
                self.cutoff,
                all.cutoff_key(),
                all.cutoff
            );
            return Err(Error::setting(self.cutoff_key(), message));
        }
        let (wanted, available) = match (self.neighbors, all.neighbors) {
            (Neighbors::Nearest(wanted), Neighbors::Nearest(k)) if wanted > k => (wanted.to_string(), k),
            (Neighbors::All, Neighbors::Nearest(k)) => ("all".to_owned(), k),
            _ => return Ok(()),
        };
        let message =
            format!("is {wanted}; use at most {} = {available}, from whose edges it chooses", all.neighbors_key());
        Err(Error::setting(self.neighbors_key(), message))
    }

    fn cutoff_key(&self) -> String {
        format!("cutoff{}", self.suffix)
    }

    fn neighbors_key(&self) -> String {
        format!("max_neighbors{}", self.suffix)
    }
}
