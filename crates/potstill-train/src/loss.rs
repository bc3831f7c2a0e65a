//! Losses as sums with a given scale, so that shards of a batch add up to the loss of the whole.
//!
//! A mean over a batch is `scale · Σ` with `scale = weight / count of the whole batch`. The count of the force losses
//! is the number of free *atoms*, also for `mae` and `mse`, which sum over the three components: the reference does
//! so, and its published force coefficients mean that.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Loss on energies of systems or atoms.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnergyLoss {
    /// `|ΔE|`, the default.
    #[default]
    Mae,
    /// `ΔE²`.
    Mse,
    /// See [`huber`].
    Huber {
        /// Where the parabola becomes a line, in normalised units.
        delta: f64,
    },
}

/// Loss on the forces of free atoms.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForceLoss {
    /// `‖ΔF‖` of each atom, the default.
    #[default]
    L2mae,
    /// `|ΔF|` summed over components.
    Mae,
    /// `ΔF²` summed over components.
    Mse,
    /// [`huber`] summed over components.
    Huber {
        /// Where the parabola becomes a line, in normalised units.
        delta: f64,
    },
}

/// Loss on features; the mean runs over atoms and channels.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeatureLoss {
    /// Squared difference, the default.
    #[default]
    Mse,
    /// Absolute difference.
    Mae,
    /// See [`huber`].
    Huber {
        /// Where the parabola becomes a line.
        delta: f64,
    },
}

impl EnergyLoss {
    /// `scale · Σ`. Shapes: `[n, 1]`.
    pub fn evaluate(self, prediction: Tensor<2>, target: Tensor<2>, scale: f64) -> Tensor<1> {
        let difference = prediction - target;
        let each = match self {
            Self::Mae => difference.abs(),
            Self::Mse => difference.powi_scalar(2),
            Self::Huber { delta } => huber(difference, delta),
        };
        each.sum().mul_scalar(scale)
    }
}

impl ForceLoss {
    /// `scale · Σ over free atoms`. Shapes: `[n_atoms, 3]`; `free` is 1 or 0 for each atom, `[n_atoms, 1]`.
    pub fn evaluate(self, prediction: Tensor<2>, target: Tensor<2>, free: Tensor<2>, scale: f64) -> Tensor<1> {
        let difference = (prediction - target) * free;
        let each = match self {
            Self::L2mae => norm(difference),
            Self::Mae => difference.abs(),
            Self::Mse => difference.powi_scalar(2),
            Self::Huber { delta } => huber(difference, delta),
        };
        each.sum().mul_scalar(scale)
    }
}

impl FeatureLoss {
    /// `scale · Σ` over all elements. Shapes: `[n, c]`.
    pub fn evaluate(self, student: Tensor<2>, teacher: Tensor<2>, scale: f64) -> Tensor<1> {
        let difference = student - teacher;
        let each = match self {
            Self::Mse => difference.powi_scalar(2),
            Self::Mae => difference.abs(),
            Self::Huber { delta } => huber(difference, delta),
        };
        each.sum().mul_scalar(scale)
    }
}

/// `½ d²` where `|d| < δ`, else `δ (|d| − ½ δ)`.
pub fn huber(difference: Tensor<2>, delta: f64) -> Tensor<2> {
    let size = difference.abs();
    let line = size.clone().sub_scalar(0.5 * delta).mul_scalar(delta);
    let inside = size.clone().lower_elem(delta);
    line.mask_where(inside, size.powi_scalar(2).mul_scalar(0.5))
}

/// Norm of each row, with gradient 0 where it is 0. Shape: `[n, 1]`.
fn norm(rows: Tensor<2>) -> Tensor<2> {
    let squares = rows.powi_scalar(2).sum_dim(1);
    let zero = squares.clone().equal_elem(0.0);
    squares.mask_fill(zero.clone(), 1.0).sqrt().mask_fill(zero, 0.0)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device};
    use potstill_nn::batch::{float_tensor, to_host};

    use super::*;

    fn leaf(values: &[f64], rows: usize) -> Tensor<2> {
        let device = Device::flex().autodiff();
        float_tensor(values.to_vec(), [rows, values.len() / rows], &device, DType::F64).require_grad()
    }

    #[test]
    fn a_perfect_force_has_no_gradient() {
        let prediction = leaf(&[1.0, 2.0, 2.0, 3.0, 4.0, 0.0], 2);
        let target = leaf(&[1.0, 2.0, 2.0, 0.0, 0.0, 0.0], 2).detach();
        let free = leaf(&[1.0, 1.0], 2).detach();
        let loss = ForceLoss::L2mae.evaluate(prediction.clone(), target, free, 0.5);
        assert_eq!(to_host(&loss), [2.5]);
        let gradients = loss.backward();
        let gradient = to_host(&prediction.grad(&gradients).unwrap());
        for (found, expected) in gradient.iter().zip([0.0, 0.0, 0.0, 0.3, 0.4, 0.0]) {
            assert!((found - expected).abs() < 1e-15, "{gradient:?}");
        }
    }

    #[test]
    fn fixed_atoms_do_not_count() {
        for loss in [ForceLoss::L2mae, ForceLoss::Mae, ForceLoss::Mse, ForceLoss::Huber { delta: 0.5 }] {
            let free = leaf(&[0.0, 1.0], 2);
            let one = loss.evaluate(leaf(&[9.0, 9.0, 9.0, 1.0, 0.0, 2.0], 2), leaf(&[0.0; 6], 2), free, 1.0);
            let other = loss.evaluate(leaf(&[1.0, 0.0, 2.0], 1), leaf(&[0.0; 3], 1), leaf(&[1.0], 1), 1.0);
            assert_eq!(to_host(&one), to_host(&other), "{loss:?}");
        }
    }

    #[test]
    fn huber_is_a_parabola_then_a_line() {
        let values = to_host(&huber(leaf(&[0.5, -0.5, 3.0, -3.0], 1), 1.0));
        assert_eq!(values, [0.125, 0.125, 2.5, 2.5]);
    }

    #[test]
    fn toml_forms() {
        #[derive(Deserialize)]
        struct Both {
            a: ForceLoss,
            b: EnergyLoss,
        }
        let both: Both = serde_json::from_str(r#"{"a": "l2mae", "b": {"huber": {"delta": 0.1}}}"#).unwrap();
        assert_eq!((both.a, both.b), (ForceLoss::L2mae, EnergyLoss::Huber { delta: 0.1 }));
    }
}
