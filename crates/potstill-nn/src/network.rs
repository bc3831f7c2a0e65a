//! Networks of any architecture, and the output of their forward pass.

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor};
use potstill_core::model::{Architecture, Forces, Tap};

use crate::batch::Batch;
use crate::features::Features;
use crate::gemnet_oc::GemNetOC;
use crate::init::Initializer;
use crate::layers::scatter::sum_rows;
use crate::painn::PaiNN;
use crate::schnet::SchNet;

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
    /// Sums atomic energies; no forces yet.
    pub(crate) fn new(batch: &Batch, atomic_energies: Tensor<2>, features: Vec<Features>) -> Self {
        let energy = batch.sum_over_systems(atomic_energies.clone());
        Self { energy, atomic_energies, forces: None, virial: None, features }
    }

    /// Forces and virial from `∂E/∂displacement` of each edge, where displacement is `r_source − r_target + shift·cell`.
    ///
    /// Under a strain ε every displacement becomes `(1 + ε) d`, so `∂E/∂ε = Σ_e g_e ⊗ d_e`.
    pub(crate) fn set_edge_gradient(&mut self, batch: &Batch, gradient: Tensor<2>) {
        let pulled = sum_rows(gradient.clone(), batch.target.clone(), batch.n_atoms);
        let pushed = sum_rows(gradient.clone(), batch.source.clone(), batch.n_atoms);
        self.forces = Some(pulled - pushed);
        let outer =
            gradient.neg().reshape([batch.n_edges, 3, 1]) * batch.displacement.clone().reshape([batch.n_edges, 1, 3]);
        let outer = outer.reshape([batch.n_edges, 9]);
        self.virial = Some(sum_rows(outer, batch.edge_system.clone(), batch.n_systems));
    }
}

/// A network of any architecture.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "a handful exist at a time, and a module cannot be boxed")]
pub enum Network {
    /// See [`SchNet`].
    SchNet(SchNet),
    /// See [`PaiNN`].
    PaiNN(PaiNN),
    /// See [`GemNetOC`].
    GemNetOC(GemNetOC),
}

impl Network {
    /// Network with fresh weights drawn from `seed`.
    pub fn init(architecture: &Architecture, seed: u64, device: &Device, dtype: DType) -> Self {
        Self::build(architecture, &mut Initializer::new(seed, device, dtype))
    }

    /// Network whose weights are all zero, to be filled from a file.
    pub fn blank(architecture: &Architecture, device: &Device, dtype: DType) -> Self {
        Self::build(architecture, &mut Initializer::blank(device, dtype))
    }

    fn build(architecture: &Architecture, rng: &mut Initializer) -> Self {
        match architecture {
            Architecture::SchNet(config) => Self::SchNet(SchNet::new(config, rng)),
            Architecture::PaiNN(config) => Self::PaiNN(PaiNN::new(config, rng)),
            Architecture::GemNetOC(config) => Self::GemNetOC(GemNetOC::new(config, rng)),
        }
    }

    /// Energies, forces when `forces` asks for them, and features at `taps`, in normalised units.
    pub fn forward(&self, batch: &Batch, forces: Forces, taps: &[Tap]) -> Output {
        match self {
            Self::SchNet(network) => network.forward(batch, forces, taps),
            Self::PaiNN(network) => network.forward(batch, forces, taps),
            Self::GemNetOC(network) => network.forward(batch, forces, taps),
        }
    }
}

/// Parameters whose gradients are divided by a number before anything else is done with them, with that number.
///
/// GemNet-OC's reference divides the gradients of parameters that several blocks share.
pub fn gradient_divisors(architecture: &Architecture) -> Vec<(&'static str, usize)> {
    match architecture {
        Architecture::GemNetOC(config) => GemNetOC::gradient_divisors(config),
        Architecture::SchNet(_) | Architecture::PaiNN(_) => Vec::new(),
    }
}
