//! Activation functions and their derivatives.

use burn::tensor::Tensor;
use burn::tensor::activation::{log_sigmoid, sigmoid};
use potstill_kernels::activation::{SILU_GAIN, SOFTPLUS_SHIFT};

/// `x · sigmoid(x) / 0.6` (Gasteiger et al., GemNet, arXiv 2106.08903).
pub fn scaled_silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let s = sigmoid(x.clone());
    (x * s).mul_scalar(SILU_GAIN)
}

/// Derivative of [`scaled_silu`].
pub fn scaled_silu_derivative<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let s = sigmoid(x.clone());
    // s + x s (1 - s) = s (1 + x (1 - s))
    let one_minus = s.clone().neg().add_scalar(1.0);
    (s * (x * one_minus).add_scalar(1.0)).mul_scalar(SILU_GAIN)
}

/// `ln(½ eˣ + ½)`, zero at zero (Schütt et al., SchNet, arXiv 1706.08566).
pub fn shifted_softplus<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    log_sigmoid(x.neg()).neg().sub_scalar(SOFTPLUS_SHIFT)
}

/// Derivative of [`shifted_softplus`].
pub fn shifted_softplus_derivative<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    sigmoid(x)
}
