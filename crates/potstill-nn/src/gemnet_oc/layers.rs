//! The small parts that every block of GemNet-OC is made of: bias-free maps, residuals, scale factors.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use burn::module::Module;
use burn::tensor::Tensor;

use super::tables::Fan;
use crate::batch::to_host;
use crate::init::{Init, Initializer};
use crate::layers::Dense;
use crate::ops::{dense_silu, gate, residual};
use potstill_core::model::ScaleFactors;

/// A linear map without bias, initialised as the paper says.
pub(super) fn linear(input: usize, output: usize, rng: &mut Initializer) -> Dense {
    Dense::new(input, output, false, Init::HeOrthogonal, rng)
}

/// A linear map without bias, then the activation.
pub(super) fn activated(dense: &Dense, x: Tensor<2>) -> Tensor<2> {
    dense_silu(&x, &dense.weight.val())
}

/// `(x + σ(W₂ σ(W₁ x))) / √2`.
#[derive(Module, Debug)]
pub struct Residual {
    /// `c → c`.
    pub first: Dense,
    /// `c → c`.
    pub second: Dense,
}

impl Residual {
    pub(super) fn new(channels: usize, rng: &mut Initializer) -> Self {
        Self { first: linear(channels, channels, rng), second: linear(channels, channels, rng) }
    }

    pub(super) fn stack(n: usize, channels: usize, rng: &mut Initializer) -> Vec<Self> {
        (0..n).map(|_| Self::new(channels, rng)).collect()
    }

    pub(super) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        residual(&x, &self.first.weight.val(), &self.second.weight.val())
    }
}

/// One residual after the other.
pub(super) fn apply(residuals: &[Residual], x: Tensor<2>) -> Tensor<2> {
    residuals.iter().fold(x, |x, residual| residual.forward(x))
}

/// A constant factor that brings the variance of what it multiplies to that of a reference.
#[derive(Debug, Clone, PartialEq)]
pub struct Scale {
    name: String,
    value: f64,
}

impl Scale {
    /// The factor of that name; 1 when `factors` has none.
    pub(super) fn new(name: String, factors: &ScaleFactors) -> Self {
        let value = factors.get(&name);
        Self { name, value }
    }

    /// `x` times the factor. While factors are being fitted, this one is fitted here, to the variance of `reference`, or to
    /// 1 without one.
    pub(super) fn apply<const D: usize>(
        &self,
        x: Tensor<D>,
        reference: Option<&Tensor<2>>,
        fit: Option<&ScaleFit>,
    ) -> Tensor<D> {
        let value = match fit {
            None => self.value,
            Some(fit) => fit.factor(&self.name, &x, reference),
        };
        if value == 1.0 { x } else { x.mul_scalar(value) }
    }

    /// `x` times a map of a basis, times the factor; the fit is to the variance of `x`.
    pub(super) fn gate(&self, x: &Tensor<2>, basis: &Tensor<2>, dense: &Dense, fit: Option<&ScaleFit>) -> Tensor<2> {
        match fit {
            None => gate(x, basis, &dense.weight.val(), self.value),
            Some(_) => self.apply(gate(x, basis, &dense.weight.val(), 1.0), Some(x), fit),
        }
    }

    /// [`Self::gate`] where some rows are empty slots, which must not count in a fit.
    pub(super) fn gate_slots(
        &self,
        x: &Tensor<2>,
        basis: &Tensor<2>,
        dense: &Dense,
        slots: &Fan,
        fit: Option<&ScaleFit>,
    ) -> Tensor<2> {
        let Some(known) = fit else { return self.gate(x, basis, dense, None) };
        let gated = gate(x, basis, &dense.weight.val(), 1.0);
        known.factor(&self.name, &slots.taken_rows(gated.clone()), Some(&slots.taken_rows(x.clone())));
        self.apply(gated, None, fit)
    }
}

/// Factors found so far; a forward pass with one fits every factor where it is first met, in forward order, so that later
/// factors see the earlier ones at work.
#[derive(Debug, Default)]
pub struct ScaleFit {
    found: Mutex<BTreeMap<String, f64>>,
}

impl ScaleFit {
    /// Starts from factors that are known and shall stay.
    pub fn new(known: BTreeMap<String, f64>) -> Self {
        Self { found: Mutex::new(known) }
    }

    /// Every factor that is known by now.
    pub fn into_factors(self) -> BTreeMap<String, f64> {
        self.found.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn factor<const D: usize>(&self, name: &str, x: &Tensor<D>, reference: Option<&Tensor<2>>) -> f64 {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(&value) = found.get(name) {
            return value;
        }
        let channels = x.dims()[D - 1];
        let wanted = reference.map_or(1.0, |r| mean_variance(&to_host(r), r.dims()[1]));
        let ratio = (wanted / mean_variance(&to_host(x), channels)).sqrt();
        // Nothing flowed, as in a batch without quadruplets: there is nothing to fit to.
        let value = if ratio.is_finite() && ratio > 0.0 { ratio } else { 1.0 };
        found.insert(name.to_owned(), value);
        value
    }
}

/// Mean over the columns of their variances over the rows.
fn mean_variance(values: &[f64], columns: usize) -> f64 {
    let rows = (values.len() / columns.max(1)) as f64;
    let mut total = 0.0;
    for column in 0..columns {
        let mean = values.iter().skip(column).step_by(columns).sum::<f64>() / rows;
        total += values.iter().skip(column).step_by(columns).map(|v| (v - mean).powi(2)).sum::<f64>() / (rows - 1.0);
    }
    total / columns as f64
}
