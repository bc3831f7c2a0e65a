//! AdamW: moments of each parameter.
//!
//! I. Loshchilov, F. Hutter, *Decoupled weight decay regularization*, arXiv 1711.05101; S. Reddi et al., *On the
//! convergence of Adam and beyond*, arXiv 1904.09237. Numerically PyTorch's `AdamW`, so that its training runs can be
//! followed step by step.

use potstill_nn::Number;

use super::OptimizerConfig;

/// The numbers of one step that all parameters of a segment share.
pub(super) struct Factors<T> {
    /// `1 - learning_rate · weight_decay`.
    keep: T,
    /// `1 - β₁`.
    first_rate: T,
    /// β₂.
    second_keep: T,
    /// `1 - β₂`.
    second_rate: T,
    /// `sqrt(1 - β₂ᵗ)`.
    correction: T,
    epsilon: T,
    /// `learning_rate / (1 - β₁ᵗ)`.
    step_size: T,
}

impl<T: Number> Factors<T> {
    /// Numbers of a step, counted from 1.
    pub(super) fn new(config: &OptimizerConfig, decays: bool, learning_rate: f64, step: u64) -> Self {
        let [beta1, beta2] = config.betas;
        let weight_decay = if decays { config.weight_decay } else { 0.0 };
        let left = |beta: f64| 1.0 - beta.powf(step as f64);
        Self {
            keep: T::of(1.0 - learning_rate * weight_decay),
            first_rate: T::of(1.0 - beta1),
            second_keep: T::of(beta2),
            second_rate: T::of(1.0 - beta2),
            correction: T::of(left(beta2).sqrt()),
            epsilon: T::of(config.epsilon),
            step_size: T::of(learning_rate / left(beta1)),
        }
    }
}

/// One parameter, with its gradient and moments.
pub(super) struct Segment<'a, T> {
    pub factors: Factors<T>,
    pub p: &'a mut [T],
    pub g: &'a [T],
    pub first: &'a mut [T],
    pub second: &'a mut [T],
    /// Largest second moments; empty without amsgrad.
    pub largest: &'a mut [T],
}

/// The fused loop over one segment. The slices are cut to one length first, so that it vectorises.
pub(super) fn update<T: Number, const AMSGRAD: bool>(segment: Segment<'_, T>) {
    let Segment { factors, p, g, first, second, largest } = segment;
    let n = p.len();
    let (g, first, second) = (&g[..n], &mut first[..n], &mut second[..n]);
    let largest = if AMSGRAD { &mut largest[..n] } else { largest };
    for i in 0..n {
        let m = first[i] + factors.first_rate * (g[i] - first[i]);
        let v = factors.second_keep * second[i] + factors.second_rate * g[i] * g[i];
        first[i] = m;
        second[i] = v;
        let v = if AMSGRAD {
            let top = if v > largest[i] { v } else { largest[i] };
            largest[i] = top;
            top
        } else {
            v
        };
        p[i] = factors.keep * p[i] - factors.step_size * m / (v.root() / factors.correction + factors.epsilon);
    }
}
