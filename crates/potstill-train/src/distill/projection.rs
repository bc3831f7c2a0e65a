//! Linear maps from a student's features to the width of its teacher's.

use burn::module::Module;
use burn::tensor::Tensor;
use potstill_nn::init::{Init, Initializer};
use potstill_nn::layers::Dense;
use potstill_nn::tensors::scaled_silu;
use serde::{Deserialize, Serialize};

/// Kind of map between the widths of student and teacher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProjectionKind {
    /// A trained linear map, also where both widths agree. The default.
    #[default]
    Linear,
    /// Two trained maps with the scaled SiLU between them, as wide as the teacher; not for vectors.
    Mlp,
    /// No map: both widths must agree. The reference does this for every SchNet that is as wide as its teacher.
    Identity,
}

/// Network whose features are projected to the width of the other's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The student, so that it must hold what the teacher holds. The default.
    #[default]
    Student,
    /// The teacher; the projection may then learn to retain only what the student can follow.
    Teacher,
}

/// A linear map of feature rows, or the identity.
#[derive(Module, Debug)]
pub struct Projection {
    /// `student → teacher`; without bias for vectors, which must rotate with the system. Absent for the identity.
    pub map: Option<Dense>,
    /// A second map behind an activation, `teacher → teacher`; absent unless it is a perceptron.
    pub second: Option<Dense>,
}

impl Projection {
    /// Projection that returns the features unchanged.
    pub fn identity() -> Self {
        Self { map: None, second: None }
    }

    /// A map with PyTorch's default initialisation, `U(±1/√input)`.
    pub fn linear(input: usize, output: usize, bias: bool, rng: &mut Initializer) -> Self {
        let mut map = Dense::new(input, output, false, Init::FanIn, rng);
        map.bias = bias.then(|| rng.fan_in_bias(output, input));
        Self { map: Some(map), second: None }
    }

    /// Two maps with that initialisation and an activation between them.
    pub fn mlp(input: usize, output: usize, rng: &mut Initializer) -> Self {
        Self { second: Self::linear(output, output, true, rng).map, ..Self::linear(input, output, true, rng) }
    }

    /// Scalar features. Shape: `[n_atoms, input]` to `[n_atoms, output]`.
    pub fn node(&self, node: Tensor<2>) -> Tensor<2> {
        let Some(map) = &self.map else { return node };
        let hidden = map.forward(node);
        match &self.second {
            Some(second) => second.forward(scaled_silu(hidden)),
            None => hidden,
        }
    }

    /// Vector features, each component by itself. Shape: `[n_atoms, 3·input]` to `[n_atoms, 3·output]`.
    pub fn vector(&self, vector: Tensor<2>) -> Tensor<2> {
        let [n, width] = vector.dims();
        let Some(map) = &self.map else { return vector };
        let rows = map.forward(vector.reshape([3 * n, width / 3]));
        let output = rows.dims()[1];
        rows.reshape([n, 3 * output])
    }
}
