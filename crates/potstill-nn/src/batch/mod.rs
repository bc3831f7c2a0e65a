//! Neighbour graphs as tensors, in the precision of the network that reads them.

pub mod gemnet;

use std::sync::Arc;

use burn::tensor::{DType, Device, Tensor};
use potstill_core::graph::{Graph, NetworkGraph};

use self::gemnet::GemNetTables;
use crate::tensors::{RowIndex, float_tensor, sum_rows};

/// Batch of systems on a device, the input of every network.
///
/// Geometry enters as constants: forces come from explicit adjoints (`∂E/∂displacement`), so that one
/// reverse sweep of the framework differentiates a loss on energies *and* forces.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Number of systems.
    pub n_systems: usize,
    /// Number of atoms of all systems.
    pub n_atoms: usize,
    /// Number of directed edges.
    pub n_edges: usize,
    /// Nuclear charges, on the host. Shape: `[n_atoms]`.
    pub atomic_numbers: Vec<u8>,
    /// Number of atoms of each system, on the host. Shape: `[n_systems]`.
    pub sizes: Vec<usize>,
    /// System of each atom. Shape: `[n_atoms]`.
    pub system_index: RowIndex,
    /// Source atom of each edge. Shape: `[n_edges]`.
    pub source: RowIndex,
    /// Target atom of each edge. Shape: `[n_edges]`.
    pub target: RowIndex,
    /// Source and target of each edge, on the host.
    pub ends: Arc<[[u32; 2]]>,
    /// System of each edge. Shape: `[n_edges]`.
    pub edge_system: RowIndex,
    /// `positions[source] + shift·cell − positions[target]` in Å. Shape: `[n_edges, 3]`.
    pub displacement: Tensor<2>,
    /// Length of each edge in Å. Shape: `[n_edges, 1]`.
    pub distance: Tensor<2>,
    /// Unit vector from target to source. Shape: `[n_edges, 3]`.
    pub direction: Tensor<2>,
    /// Length and direction of each edge in f64, on the host; none where gradients with respect to geometry are recorded.
    pub host: Option<HostGeometry>,
    /// Neighbours of neighbours, for GemNet-OC alone.
    pub gemnet: Option<Arc<GemNetTables>>,
    /// Device of all tensors.
    pub device: Device,
    /// Floating-point type of all tensors.
    pub dtype: DType,
}

/// Lengths in Å and unit vectors from target to source.
#[derive(Debug, Clone)]
pub struct HostGeometry {
    /// Shape: `[n_edges]`.
    pub distance: Arc<[f64]>,
    /// Shape: `[n_edges, 3]`.
    pub direction: Arc<[[f64; 3]]>,
}

impl Batch {
    /// Batch of the graph that a network asked for.
    pub fn of(graph: &NetworkGraph, device: &Device, dtype: DType) -> Self {
        match graph {
            NetworkGraph::Pairs(graph) => Self::new(graph, device, dtype),
            NetworkGraph::GemNet(graph) => {
                let tables = GemNetTables::new(graph, device, dtype);
                Self { gemnet: Some(Arc::new(tables)), ..Self::new(&graph.main, device, dtype) }
            }
        }
    }

    /// Batch of a graph, on `device`; distances and directions are computed in f64 first.
    pub fn new(graph: &Graph, device: &Device, dtype: DType) -> Self {
        let n_edges = graph.n_edges();
        let mut distance = Vec::with_capacity(n_edges);
        let mut direction = Vec::with_capacity(3 * n_edges);
        let mut displacement = Vec::with_capacity(3 * n_edges);
        for d in &graph.displacement {
            let length = (d[0] * d[0] + d[1] * d[1] + d[2] * d[2]).sqrt();
            distance.push(length);
            direction.extend(d.map(|component| component / length));
            displacement.extend(d);
        }
        let edge_system: Vec<i32> = graph.target.iter().map(|&t| graph.system_index[t as usize] as i32).collect();
        let mut sizes = vec![0; graph.n_systems()];
        graph.system_index.iter().for_each(|&system| sizes[system as usize] += 1);
        let index = |rows: Vec<i32>| RowIndex::new(rows, device);
        Self {
            n_systems: graph.n_systems(),
            n_atoms: graph.n_atoms(),
            n_edges,
            atomic_numbers: graph.atomic_numbers.clone(),
            sizes,
            system_index: index(graph.system_index.iter().map(|&s| s as i32).collect()),
            source: index(graph.source.iter().map(|&s| s as i32).collect()),
            target: index(graph.target.iter().map(|&t| t as i32).collect()),
            ends: graph.source.iter().zip(&graph.target).map(|(&s, &t)| [s, t]).collect(),
            edge_system: index(edge_system),
            host: Some(HostGeometry {
                distance: distance.as_slice().into(),
                direction: direction.as_chunks::<3>().0.into(),
            }),
            displacement: float_tensor(displacement, [n_edges, 3], device, dtype),
            distance: float_tensor(distance, [n_edges, 1], device, dtype),
            direction: float_tensor(direction, [n_edges, 3], device, dtype),
            gemnet: None,
            device: device.clone(),
            dtype,
        }
    }

    /// Batch with `displacement` as a leaf that records gradients, and distance and direction computed from it, for attacks on
    /// positions. For networks whose geometry is all in these three; not for GemNet-OC, whose
    /// angles are constants. The batch must be on a device that differentiates.
    #[must_use]
    pub fn tracking_displacement(self) -> Self {
        let displacement = self.displacement.detach().require_grad();
        let distance = displacement.clone().powi_scalar(2).sum_dim(1).sqrt();
        let direction = displacement.clone() / distance.clone();
        Self { displacement, distance, direction, host: None, ..self }
    }

    /// Gradient with respect to positions from that with respect to the displacement of each edge: `∂L/∂r_source` is the
    /// gradient of the displacement and `∂L/∂r_target` its negative. Shapes: `[n_edges, 3]` row-major to `[n_atoms, 3]`.
    pub fn position_gradient(&self, displacement_gradient: &[f64]) -> Vec<[f64; 3]> {
        let mut gradient = vec![[0.0; 3]; self.n_atoms];
        for (&[source, target], g) in self.ends.iter().zip(displacement_gradient.chunks_exact(3)) {
            for (c, g) in g.iter().enumerate() {
                gradient[source as usize][c] += g;
                gradient[target as usize][c] -= g;
            }
        }
        gradient
    }

    /// Row of each atom in a table of elements whose first row is that of `first`. Shape: `[n_atoms]`.
    pub fn element_rows(&self, first: u8) -> RowIndex {
        RowIndex::new(self.atomic_numbers.iter().map(|&z| i32::from(z) - i32::from(first)).collect(), &self.device)
    }

    /// Zeros in the batch's precision.
    pub fn zeros<const D: usize>(&self, shape: [usize; D]) -> Tensor<D> {
        Tensor::zeros(shape, (&self.device, self.dtype))
    }

    /// Sums rows of `values` (one per atom) over the atoms of each system. Shape: `[n_systems, c]`.
    pub fn sum_over_systems(&self, values: Tensor<2>) -> Tensor<2> {
        sum_rows(values, &self.system_index, self.n_systems)
    }
}
