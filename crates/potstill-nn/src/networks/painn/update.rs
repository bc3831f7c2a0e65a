//! The update layer of PaiNN (paper, eqs. 9 and 10) and its adjoint.

use std::f64::consts::FRAC_1_SQRT_2;

use burn::module::Module;
use burn::tensor::Tensor;

use super::{State, columns};
use crate::init::{Init, Initializer};
use crate::layers::Dense;
use crate::tensors::{scaled_silu, scaled_silu_derivative};

/// Makes the norm of a zero vector differentiable.
const NORM_EPSILON: f64 = 1e-8;

/// Mixes scalars and vectors of one atom.
#[derive(Module, Debug)]
pub struct Update {
    /// `h → 2h` on each component of the vectors, no bias: the paper's V and U.
    pub vector_mix: Dense,
    /// `2h → h`.
    pub gate_in: Dense,
    /// `h → 3h`: change of the scalars, weight of the dot product, gate of the vectors.
    pub gate_out: Dense,
    #[module(skip)]
    scale: f64,
}

/// Intermediates of the forward pass that the adjoint reads.
#[derive(Debug, Clone)]
pub struct UpdateSaved {
    first: Tensor<3>,
    second: Tensor<3>,
    dot: Tensor<2>,
    norm: Tensor<2>,
    hidden: Tensor<2>,
    gates: Tensor<2>,
}

impl Update {
    pub(crate) fn new(h: usize, scale: f64, rng: &mut Initializer) -> Self {
        let xavier = Init::XavierUniform;
        Self {
            vector_mix: Dense::new(h, 2 * h, false, xavier, rng),
            gate_in: Dense::new(2 * h, h, true, xavier, rng),
            gate_out: Dense::new(h, 3 * h, true, xavier, rng),
            scale,
        }
    }

    pub(crate) fn forward(&self, State { scalar, vector }: State) -> (State, UpdateSaved) {
        let [n, h] = scalar.dims();
        let mixed = self.vector_mix.forward(vector.clone().reshape([3 * n, h]));
        let first = columns(&mixed, 0, h).reshape([n, 3, h]);
        let second = columns(&mixed, 1, h).reshape([n, 3, h]);
        let dot = (first.clone() * second.clone()).sum_dim(1).reshape([n, h]).mul_scalar(1.0 / (h as f64).sqrt());
        let norm = second.clone().powi_scalar(2).sum_dim(1).reshape([n, h]).add_scalar(NORM_EPSILON).sqrt();
        let hidden = self.gate_in.forward(Tensor::cat(vec![scalar.clone(), norm.clone()], 1));
        let gates = self.gate_out.forward(scaled_silu(hidden.clone()));

        let change = columns(&gates, 0, h) + columns(&gates, 1, h) * dot.clone();
        let scalar = (scalar + change.mul_scalar(FRAC_1_SQRT_2)).mul_scalar(self.scale);
        let gate = columns(&gates, 2, h).reshape([n, 1, h]);
        let vector = vector + (first.clone() * gate).reshape([n, 3 * h]);
        (State { scalar, vector }, UpdateSaved { first, second, dot, norm, hidden, gates })
    }

    /// Gradients with respect to the layer's inputs, given those of its outputs; `vector_gradient` is absent when nothing
    /// after the layer reads the vectors.
    pub(crate) fn adjoint(
        &self,
        saved: UpdateSaved,
        scalar_gradient: Tensor<2>,
        vector_gradient: Option<Tensor<2>>,
    ) -> (Tensor<2>, Tensor<2>) {
        let [n, h] = scalar_gradient.dims();
        let scalar_gradient = scalar_gradient.mul_scalar(self.scale);
        let change_gradient = scalar_gradient.clone().mul_scalar(FRAC_1_SQRT_2);
        let dot_gradient = (change_gradient.clone() * columns(&saved.gates, 1, h)).mul_scalar(1.0 / (h as f64).sqrt());
        let dot_gradient = dot_gradient.reshape([n, 1, h]);
        let vector_3d = vector_gradient.clone().map(|v| v.reshape([n, 3, h]));

        let gate_gradient = match &vector_3d {
            Some(v) => (v.clone() * saved.first.clone()).sum_dim(1).reshape([n, h]),
            None => change_gradient.zeros_like(),
        };
        let gates_gradient = Tensor::cat(vec![change_gradient.clone(), change_gradient * saved.dot, gate_gradient], 1);
        let hidden_gradient = self.gate_out.adjoint(gates_gradient) * scaled_silu_derivative(saved.hidden);
        let input_gradient = self.gate_in.adjoint(hidden_gradient);
        let norm_gradient = (columns(&input_gradient, 1, h) / saved.norm).reshape([n, 1, h]);

        let mut first_gradient = saved.second.clone() * dot_gradient.clone();
        if let Some(v) = vector_3d {
            first_gradient = first_gradient + v * columns(&saved.gates, 2, h).reshape([n, 1, h]);
        }
        let second_gradient = saved.first * dot_gradient + saved.second * norm_gradient;
        let mixed_gradient =
            Tensor::cat(vec![first_gradient.reshape([3 * n, h]), second_gradient.reshape([3 * n, h])], 1);
        let through_mix = self.vector_mix.adjoint(mixed_gradient).reshape([n, 3 * h]);
        let vector = match vector_gradient {
            Some(v) => v + through_mix,
            None => through_mix,
        };
        (scalar_gradient + columns(&input_gradient, 0, h), vector)
    }
}
