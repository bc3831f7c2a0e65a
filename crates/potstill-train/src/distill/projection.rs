//! Linear maps from a student's features to the width of its teacher's.

use burn::module::Module;
use burn::tensor::Tensor;
use potstill_nn::init::{Init, Initializer};
use potstill_nn::layers::Dense;

/// A linear map of feature rows; the identity when both widths agree is *not* assumed, as in the paper.
#[derive(Module, Debug)]
pub struct Projection {
    /// `student → teacher`; without bias for vectors, which must rotate with the system.
    pub map: Dense,
}

impl Projection {
    /// A map with PyTorch's default initialisation, `U(±1/√input)`.
    pub fn new(input: usize, output: usize, bias: bool, rng: &mut Initializer) -> Self {
        let mut map = Dense::new(input, output, false, Init::FanIn, rng);
        map.bias = bias.then(|| rng.fan_in_bias(output, input));
        Self { map }
    }

    /// Scalar features. Shape: `[n_atoms, input]` to `[n_atoms, output]`.
    pub fn node(&self, node: Tensor<2>) -> Tensor<2> {
        self.map.forward(node)
    }

    /// Vector features, each component by itself. Shape: `[n_atoms, 3·input]` to `[n_atoms, 3·output]`.
    pub fn vector(&self, vector: Tensor<2>) -> Tensor<2> {
        let [n, width] = vector.dims();
        let rows = self.map.forward(vector.reshape([3 * n, width / 3]));
        let output = rows.dims()[1];
        rows.reshape([n, 3 * output])
    }
}
