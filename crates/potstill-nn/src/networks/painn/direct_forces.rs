//! The head of direct forces: two gated equivariant blocks (Schütt et al. 2021, sec. 4.3).

use burn::module::Module;
use burn::tensor::Tensor;

use super::columns;
use crate::init::{Init, Initializer};
use crate::layers::Dense;
use crate::tensors::scaled_silu;

/// `h → h/2 → 1` vectors per atom; the last one is the force.
#[derive(Module, Debug)]
pub struct DirectForces {
    /// `h → h/2`.
    pub first: GatedBlock,
    /// `h/2 → 1`.
    pub second: GatedBlock,
}

/// Gated equivariant block.
#[derive(Module, Debug)]
pub struct GatedBlock {
    /// Vectors whose norms enter the gate, no bias.
    pub norm_mix: Dense,
    /// Vectors that pass the gate, no bias.
    pub vector_mix: Dense,
    /// `2·input → input`.
    pub gate_in: Dense,
    /// `input → 2·output`: scalars and gate.
    pub gate_out: Dense,
}

impl DirectForces {
    pub(crate) fn new(h: usize, rng: &mut Initializer) -> Self {
        Self { first: GatedBlock::new(h, h / 2, rng), second: GatedBlock::new(h / 2, 1, rng) }
    }

    /// Forces from scalars `[n_atoms, h]` and vectors `[n_atoms, 3·h]`. Shape: `[n_atoms, 3]`.
    pub(crate) fn forward(&self, scalar: Tensor<2>, vector: Tensor<2>) -> Tensor<2> {
        let (scalar, vector) = self.first.forward(scalar, vector);
        self.second.forward(scalar, vector).1
    }
}

impl GatedBlock {
    fn new(input: usize, output: usize, rng: &mut Initializer) -> Self {
        let xavier = Init::XavierUniform;
        Self {
            norm_mix: Dense::new(input, input, false, xavier, rng),
            vector_mix: Dense::new(input, output, false, xavier, rng),
            gate_in: Dense::new(2 * input, input, true, xavier, rng),
            gate_out: Dense::new(input, 2 * output, true, xavier, rng),
        }
    }

    fn forward(&self, scalar: Tensor<2>, vector: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let [n, input] = scalar.dims();
        let output = self.vector_mix.weight.val().dims()[0];
        let rows = vector.reshape([3 * n, input]);
        let squares = self.norm_mix.forward(rows.clone()).powi_scalar(2).reshape([n, 3, input]).sum_dim(1);
        let norm = safe_sqrt(squares.reshape([n, input]));
        let gates = self.gate_out.forward(scaled_silu(self.gate_in.forward(Tensor::cat(vec![scalar, norm], 1))));
        let gate = columns(&gates, 1, output).reshape([n, 1, output]);
        let vector = self.vector_mix.forward(rows).reshape([n, 3, output]) * gate;
        (scaled_silu(columns(&gates, 0, output)), vector.reshape([n, 3 * output]))
    }
}

/// `√x` with gradient 0 at 0, where an atom has no neighbours.
fn safe_sqrt(x: Tensor<2>) -> Tensor<2> {
    let zero = x.clone().equal_elem(0.0);
    x.mask_fill(zero.clone(), 1.0).sqrt().mask_fill(zero, 0.0)
}
