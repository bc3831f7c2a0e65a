//! Graphs of a network: edges alone, or the four graphs of GemNet-OC.

use super::gemnet::{GemNetGraph, GemNetRule};
use super::{Graph, GraphRule, Neighbors};
use crate::{Result, System};

/// Rule by which the graphs of a network are drawn.
#[derive(Debug, Clone, PartialEq)]
pub enum NetworkGraphRule {
    /// Edges alone.
    Pairs(GraphRule),
    /// Edges, triplets and quadruplets.
    GemNet(GemNetRule),
    /// The edges of a GemNet-OC alone, for a student whose edges are compared with its.
    MainOf(GemNetRule),
}

/// A graph that a network can read.
#[derive(Debug, Clone, PartialEq)]
pub enum NetworkGraph {
    /// Edges alone.
    Pairs(Graph),
    /// Edges, triplets and quadruplets.
    GemNet(Box<GemNetGraph>),
}

impl NetworkGraphRule {
    /// Whether energies are smooth in the positions: all pairs within the cutoff are edges, not only the nearest ones.
    pub fn is_smooth(&self) -> bool {
        matches!(self, Self::Pairs(GraphRule { neighbors: Neighbors::All, .. }))
    }

    /// Draws the graph of `systems` as one batch.
    ///
    /// # Errors
    /// See [`GraphRule::build`] and [`GemNetRule::build`].
    pub fn build(&self, systems: &[&System]) -> Result<NetworkGraph> {
        Ok(match self {
            Self::Pairs(rule) => NetworkGraph::Pairs(rule.build(systems)?),
            Self::GemNet(rule) => NetworkGraph::GemNet(Box::new(rule.build(systems)?)),
            Self::MainOf(rule) => NetworkGraph::Pairs(rule.build_main(systems)?),
        })
    }

    /// Draws the edges that carry features, and nothing else.
    ///
    /// # Errors
    /// See [`Self::build`].
    pub fn build_main(&self, systems: &[&System]) -> Result<Graph> {
        match self {
            Self::Pairs(rule) => rule.build(systems),
            Self::GemNet(rule) | Self::MainOf(rule) => rule.build_main(systems),
        }
    }

    /// Largest distance in Å at which two atoms see each other in one step.
    pub fn cutoff(&self) -> f64 {
        match self {
            Self::Pairs(rule) => rule.cutoff,
            Self::MainOf(rule) => rule.cutoff,
            Self::GemNet(rule) => rule.cutoff_aint.max(rule.cutoff).max(rule.cutoff_qint).max(rule.cutoff_aeaint),
        }
    }
}

impl NetworkGraph {
    /// The edges that carry features.
    pub fn main(&self) -> &Graph {
        match self {
            Self::Pairs(graph) => graph,
            Self::GemNet(graph) => &graph.main,
        }
    }
}
