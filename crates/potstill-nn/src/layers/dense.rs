//! Affine maps and embeddings; weights are stored `[output, input]` as in published checkpoints.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::init::{Init, Initializer};
use crate::ops::dense;
use crate::tensors::{RowIndex, gather_rows};

/// `y = x Wᵀ + b`.
#[derive(Module, Debug)]
pub struct Dense {
    /// Shape: `[output, input]`.
    pub weight: Param<Tensor<2>>,
    /// Shape: `[output]`; absent for a linear map.
    pub bias: Option<Param<Tensor<1>>>,
}

impl Dense {
    /// Layer with weights from `init` and a zero bias when it has one.
    pub fn new(input: usize, output: usize, bias: bool, init: Init, rng: &mut Initializer) -> Self {
        Self { weight: rng.matrix([output, input], init), bias: bias.then(|| rng.constant(output, 0.0)) }
    }

    /// Maps rows. Shape: `[n, input]` to `[n, output]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let y = dense(&x, &self.weight.val());
        match &self.bias {
            Some(bias) => y + bias.val().unsqueeze::<2>(),
            None => y,
        }
    }

    /// Gradient with respect to the input, given that of the output. Shape: `[n, output]` to `[n, input]`.
    pub fn adjoint(&self, output_gradient: Tensor<2>) -> Tensor<2> {
        output_gradient.matmul(self.weight.val())
    }
}

/// Embedding with one row of weights per element.
#[derive(Module, Debug)]
pub struct Embedding {
    /// Shape: `[n_elements, channels]`.
    pub weight: Param<Tensor<2>>,
}

impl Embedding {
    /// Embedding with weights from `init`.
    pub fn new(rows: usize, channels: usize, init: Init, rng: &mut Initializer) -> Self {
        Self { weight: rng.matrix([rows, channels], init) }
    }

    /// Rows of the given indices. Shape: `[n]` to `[n, channels]`.
    pub fn forward(&self, index: &RowIndex) -> Tensor<2> {
        gather_rows(self.weight.val(), index)
    }
}
