//! Losses as sums with a given scale, so that shards of a batch add up to the loss of the whole.
//!
//! A mean over a batch is `scale · Σ` with `scale = weight / count of the whole batch`. The count of the force losses
//! is the number of free *atoms*, also for `mae` and `mse`, which sum over the three components: the reference does
//! so, and its published force coefficients mean that.

use burn::tensor::Tensor;
use serde::{Deserialize, Deserializer, Serialize, de::Error};

/// Loss on energies of systems or atoms, and on components of virials.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum EnergyLoss {
    /// `|ΔE|`, the default.
    #[default]
    Mae,
    /// `ΔE²`.
    Mse,
    /// Huber loss: see [`huber`].
    Huber {
        /// Difference at which the parabola becomes a line, in normalised units. Default 1.
        #[serde(default = "one", deserialize_with = "positive")]
        delta: f64,
    },
}

/// Loss on the forces of free atoms.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
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
        /// Difference at which the parabola becomes a line, in normalised units. Default 1.
        #[serde(default = "one", deserialize_with = "positive")]
        delta: f64,
    },
}

/// Loss on features; the mean runs over atoms and channels.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FeatureLoss {
    /// Squared difference, the default.
    #[default]
    Mse,
    /// Absolute difference.
    Mae,
    /// Huber loss: see [`huber`].
    Huber {
        /// Difference at which the parabola becomes a line. Default 1.
        #[serde(default = "one", deserialize_with = "positive")]
        delta: f64,
    },
}

fn one() -> f64 {
    1.0
}

/// A width of 0 or NaN would switch the loss off without a word.
fn positive<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let value = f64::deserialize(deserializer)?;
    if value.is_finite() && value > 0.0 {
        return Ok(value);
    }
    Err(D::Error::custom(format!("delta is {value}; it must be positive")))
}

/// Losses of the training section, by label.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LabelLosses {
    /// On energies.
    pub energy: EnergyLoss,
    /// On forces.
    pub forces: ForceLoss,
    /// On components of virials per atom.
    pub stress: EnergyLoss,
}

/// Factor of the rows of a loss before they are added up.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "lives for one line")]
pub enum Scale {
    /// One number for all rows.
    Even(f64),
    /// A number for each row. Shape: `[n, 1]`.
    Rows(Tensor<2>),
}

impl From<f64> for Scale {
    fn from(scale: f64) -> Self {
        Self::Even(scale)
    }
}

impl EnergyLoss {
    /// `scale · Σ`. Shapes: `[n, 1]`, or `[n, 9]` for virials.
    ///
    /// # Panics
    /// When the shapes differ.
    pub fn evaluate(self, prediction: Tensor<2>, target: Tensor<2>, scale: impl Into<Scale>) -> Tensor<1> {
        let difference = difference(prediction, target);
        let each = match self {
            Self::Mae => difference.abs(),
            Self::Mse => difference.powi_scalar(2),
            Self::Huber { delta } => huber(difference, delta),
        };
        scaled_sum(each, scale)
    }
}

impl ForceLoss {
    /// `scale · Σ over free atoms`. Shapes: `[n_atoms, 3]`; `free` is 1 or 0 for each atom, `[n_atoms, 1]`.
    ///
    /// Also the force and the label of an atom that is not free must be numbers: 0 · NaN is NaN.
    ///
    /// # Panics
    /// When the shapes differ.
    pub fn evaluate(
        self,
        prediction: Tensor<2>,
        target: Tensor<2>,
        free: Tensor<2>,
        scale: impl Into<Scale>,
    ) -> Tensor<1> {
        assert_eq!(free.dims(), [prediction.dims()[0], 1], "shape of the mask of free atoms");
        let difference = difference(prediction, target) * free;
        let each = match self {
            Self::L2mae => norm(difference),
            Self::Mae => difference.abs(),
            Self::Mse => difference.powi_scalar(2),
            Self::Huber { delta } => huber(difference, delta),
        };
        scaled_sum(each, scale)
    }
}

impl FeatureLoss {
    /// `scale · Σ` over all elements. Shapes: equal, `[n, c]` or any other.
    ///
    /// # Panics
    /// When the shapes differ.
    pub fn evaluate<const D: usize>(
        self,
        student: Tensor<D>,
        teacher: Tensor<D>,
        scale: impl Into<Scale>,
    ) -> Tensor<1> {
        let difference = difference(student, teacher);
        let each = match self {
            Self::Mse => difference.powi_scalar(2),
            Self::Mae => difference.abs(),
            Self::Huber { delta } => huber(difference, delta),
        };
        scaled_sum(each, scale)
    }
}

/// Broadcasting would give a number that means nothing, so shapes must be equal.
fn difference<const D: usize>(prediction: Tensor<D>, target: Tensor<D>) -> Tensor<D> {
    assert_eq!(prediction.dims(), target.dims(), "shapes of prediction and target");
    prediction - target
}

/// Rows first: one long f32 sum over the features of a large batch would be wrong in the fifth digit.
fn scaled_sum<const D: usize>(each: Tensor<D>, scale: impl Into<Scale>) -> Tensor<1> {
    let sums = each.sum_dim(D - 1);
    match scale.into() {
        // Multiply: Burn differentiates a division by a number in f32, whatever the tensor is.
        Scale::Even(scale) => sums.sum().mul_scalar(scale),
        Scale::Rows(rows) => {
            let shape = [rows.dims()[0], sums.shape().num_elements() / rows.dims()[0].max(1)];
            (sums.reshape(shape) * rows).sum()
        }
    }
}

/// `½ d²` where `|d| < δ`, else `δ (|d| − ½ δ)`.
///
/// With `c = min(|d|, δ)` both are `c (|d| − ½ c)`, so that no gradient flows through a branch that is not used.
pub fn huber<const D: usize>(difference: Tensor<D>, delta: f64) -> Tensor<D> {
    let size = difference.abs();
    let capped = size.clone().clamp_max(delta);
    capped.clone() * (size - capped.mul_scalar(0.5))
}

/// Norm of each row, with gradient 0 where it is 0. Shape: `[n, 1]`.
pub(crate) fn norm(rows: Tensor<2>) -> Tensor<2> {
    let squares = rows.powi_scalar(2).sum_dim(1);
    // The root has no derivative at 0: it never sees a 0, and both fills stop the gradient of those rows.
    let zero = squares.clone().equal_elem(0.0);
    squares.mask_fill(zero.clone(), 1.0).sqrt().mask_fill(zero, 0.0)
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;
