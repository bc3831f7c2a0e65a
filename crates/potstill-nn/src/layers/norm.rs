//! Layer normalisation with its adjoint.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use potstill_kernels::norm::VARIANCE_EPSILON;

use crate::init::Initializer;

/// Normalises each row to zero mean and unit variance, then scales and shifts (Ba et al., arXiv 1607.06450).
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// Shape: `[channels]`.
    pub weight: Param<Tensor<1>>,
    /// Shape: `[channels]`.
    pub bias: Param<Tensor<1>>,
}

/// What [`LayerNorm::adjoint`] needs of the forward pass.
#[derive(Debug, Clone)]
pub struct LayerNormSaved {
    normalized: Tensor<2>,
    inverse_std: Tensor<2>,
}

impl LayerNorm {
    /// Unit scale, zero shift.
    pub fn new(channels: usize, rng: &mut Initializer) -> Self {
        Self { weight: rng.constant(channels, 1.0), bias: rng.constant(channels, 0.0) }
    }

    /// Shape: `[n, channels]` to the same.
    pub fn forward(&self, x: Tensor<2>) -> (Tensor<2>, LayerNormSaved) {
        let centered = x.clone() - x.mean_dim(1);
        let variance = centered.clone().powi_scalar(2).mean_dim(1);
        let inverse_std = variance.add_scalar(VARIANCE_EPSILON).sqrt().recip();
        let normalized = centered * inverse_std.clone();
        let y = normalized.clone() * self.weight.val().unsqueeze::<2>() + self.bias.val().unsqueeze::<2>();
        (y, LayerNormSaved { normalized, inverse_std })
    }

    /// Gradient with respect to the input: `(ḡ − mean ḡ − n mean(ḡ n)) / σ` with `ḡ = ȳ w`, `n` the normalised row.
    pub fn adjoint(&self, saved: &LayerNormSaved, output_gradient: Tensor<2>) -> Tensor<2> {
        let g = output_gradient * self.weight.val().unsqueeze::<2>();
        let along = (g.clone() * saved.normalized.clone()).mean_dim(1);
        (g.clone() - g.mean_dim(1) - saved.normalized.clone() * along) * saved.inverse_std.clone()
    }
}
