//! The output of a network's forward pass.

use burn::tensor::Tensor;

use crate::batch::Batch;
use crate::features::Features;
use crate::tensors::sum_rows;

/// Result of a forward pass, in the network's normalised units.
#[derive(Debug, Clone)]
pub struct Output {
    /// Energy of each system. Shape: `[n_systems, 1]`.
    pub energy: Tensor<2>,
    /// Energy of each atom. Shape: `[n_atoms, 1]`.
    pub atomic_energies: Tensor<2>,
    /// Force on each atom. Shape: `[n_atoms, 3]`.
    pub forces: Option<Tensor<2>>,
    /// `−∂E/∂strain`, row-major. Shape: `[n_systems, 9]`.
    pub virial: Option<Tensor<2>>,
    /// Features at the taps that were asked for, in the network's order.
    pub features: Vec<Features>,
}

impl Output {
    /// Output with the sums of atomic energies, without forces.
    pub fn new(batch: &Batch, atomic_energies: Tensor<2>, features: Vec<Features>) -> Self {
        let energy = batch.sum_over_systems(atomic_energies.clone());
        Self { energy, atomic_energies, forces: None, virial: None, features }
    }

    /// Sets forces and virial from `∂E/∂displacement` of each edge, where displacement is `r_source − r_target + shift·cell`.
    ///
    /// Under a strain ε every displacement becomes `(1 + ε) d`, so `∂E/∂ε = Σ_e g_e ⊗ d_e`.
    pub fn set_edge_gradient(&mut self, batch: &Batch, gradient: Tensor<2>) {
        let pulled = sum_rows(gradient.clone(), &batch.target, batch.n_atoms);
        let pushed = sum_rows(gradient.clone(), &batch.source, batch.n_atoms);
        self.forces = Some(pulled - pushed);
        let outer =
            gradient.neg().reshape([batch.n_edges, 3, 1]) * batch.displacement.clone().reshape([batch.n_edges, 1, 3]);
        let outer = outer.reshape([batch.n_edges, 9]);
        self.virial = Some(sum_rows(outer, &batch.edge_system, batch.n_systems));
    }
}
