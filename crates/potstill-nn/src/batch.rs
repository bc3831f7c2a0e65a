//! A neighbour graph as tensors, in the precision of the network that will use it.

use std::sync::Arc;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use potstill_core::graph::{Graph, NetworkGraph};

use crate::gemnet_oc::GemNetTables;

/// A batch of systems on a device: what every network reads.
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
    /// Nuclear charges. Shape: `[n_atoms]`.
    pub atomic_numbers: Tensor<1, Int>,
    /// System of each atom. Shape: `[n_atoms]`.
    pub system_index: Tensor<1, Int>,
    /// Source atom of each edge. Shape: `[n_edges]`.
    pub source: Tensor<1, Int>,
    /// Target atom of each edge. Shape: `[n_edges]`.
    pub target: Tensor<1, Int>,
    /// Source and target of each edge, on the host.
    pub ends: Arc<[[u32; 2]]>,
    /// System of each edge. Shape: `[n_edges]`.
    pub edge_system: Tensor<1, Int>,
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
    /// Copies whatever graph a network asked for.
    pub fn of(graph: &NetworkGraph, device: &Device, dtype: DType) -> Self {
        match graph {
            NetworkGraph::Pairs(graph) => Self::new(graph, device, dtype),
            NetworkGraph::GemNet(graph) => {
                let tables = GemNetTables::new(graph, device, dtype);
                Self { gemnet: Some(Arc::new(tables)), ..Self::new(&graph.main, device, dtype) }
            }
        }
    }

    /// Copies `graph` to `device`; distances and directions are computed in f64 first.
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
        let int = |values: Vec<i32>| int_tensor(values, device);
        Self {
            n_systems: graph.n_systems(),
            n_atoms: graph.n_atoms(),
            n_edges,
            atomic_numbers: int(graph.atomic_numbers.iter().map(|&z| i32::from(z)).collect()),
            system_index: int(graph.system_index.iter().map(|&s| s as i32).collect()),
            source: int(graph.source.iter().map(|&s| s as i32).collect()),
            target: int(graph.target.iter().map(|&t| t as i32).collect()),
            ends: graph.source.iter().zip(&graph.target).map(|(&s, &t)| [s, t]).collect(),
            edge_system: int(edge_system),
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

    /// The same batch with `displacement` as a leaf that records gradients, and distance and direction computed from it: what
    /// an attack on positions differentiates. For networks whose geometry is all in these three; not for GemNet-OC, whose
    /// angles are constants. The batch must be on a device that differentiates.
    #[must_use]
    pub fn tracking_displacement(self) -> Self {
        let displacement = self.displacement.detach().require_grad();
        let distance = displacement.clone().powi_scalar(2).sum_dim(1).sqrt();
        let direction = displacement.clone() / distance.clone();
        Self { displacement, distance, direction, host: None, ..self }
    }

    /// Derivatives with respect to positions from those with respect to the displacement of each edge, `∂L/∂r_source` being
    /// that of the displacement and `∂L/∂r_target` its negative. Shapes: `[n_edges, 3]` row-major to `[n_atoms, 3]`.
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

    /// Zeros in the batch's precision.
    pub fn zeros<const D: usize>(&self, shape: [usize; D]) -> Tensor<D> {
        Tensor::zeros(shape, (&self.device, self.dtype))
    }

    /// Sums rows of `values` (one per atom) over the atoms of each system. Shape: `[n_systems, c]`.
    pub fn sum_over_systems(&self, values: Tensor<2>) -> Tensor<2> {
        crate::layers::scatter::sum_rows(values, self.system_index.clone(), self.n_systems)
    }
}

/// An integer tensor from host values.
pub fn int_tensor(values: Vec<i32>, device: &Device) -> Tensor<1, Int> {
    let n = values.len();
    Tensor::from_data(TensorData::new(values, [n]), (device, DType::I32))
}

/// A floating-point tensor of type `dtype` from host values.
pub fn float_tensor<const D: usize>(values: Vec<f64>, shape: [usize; D], device: &Device, dtype: DType) -> Tensor<D> {
    // Narrow here: handing f64 to a conversion inside the framework costs another pass.
    let data = match dtype {
        DType::F64 => TensorData::new(values, shape),
        _ => TensorData::new(values.iter().map(|&v| v as f32).collect::<Vec<_>>(), shape),
    };
    Tensor::from_data(data, (device, dtype))
}

/// Host copy of a tensor in f64, row-major.
pub fn to_host<const D: usize>(tensor: &Tensor<D>) -> Vec<f64> {
    let data = tensor.to_data();
    match data.dtype() {
        DType::F64 => data.as_slice::<f64>().map(<[f64]>::to_vec).unwrap_or_default(),
        _ => data.as_slice::<f32>().map(|s| s.iter().map(|&v| f64::from(v)).collect()).unwrap_or_default(),
    }
}
