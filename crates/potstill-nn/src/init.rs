//! Initial weights, drawn on the host so that they do not depend on device or thread count.

use burn::module::Param;
use burn::tensor::{DType, Device, Tensor};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::batch::float_tensor;

/// How to draw a matrix of shape `[output, input]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// `U(±√(6 / (input + output)))` (Glorot & Bengio 2010).
    XavierUniform,
    /// `U(±bound)`.
    Uniform(f64),
    /// `N(0, 1)`.
    Normal,
    /// `U(±1/√input)`, PyTorch's default for linear maps.
    FanIn,
}

/// A seeded source of parameters on one device.
#[derive(Debug)]
pub struct Initializer {
    rng: ChaCha8Rng,
    device: Device,
    dtype: DType,
}

impl Initializer {
    /// Draws in the order of construction from `seed`.
    pub fn new(seed: u64, device: &Device, dtype: DType) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed), device: device.clone(), dtype }
    }

    /// A matrix of shape `[output, input]`.
    pub fn matrix(&mut self, [output, input]: [usize; 2], init: Init) -> Param<Tensor<2>> {
        let values = (0..output * input).map(|_| self.draw(init, input, output)).collect();
        Param::from_tensor(float_tensor(values, [output, input], &self.device, self.dtype))
    }

    /// A vector of PyTorch's default bias distribution for a linear map of `input` channels, `U(±1/√input)`.
    pub fn fan_in_bias(&mut self, output: usize, input: usize) -> Param<Tensor<1>> {
        let values = (0..output).map(|_| self.draw(Init::FanIn, input, output)).collect();
        Param::from_tensor(float_tensor(values, [output], &self.device, self.dtype))
    }

    /// A vector of equal entries.
    pub fn constant(&mut self, n: usize, value: f64) -> Param<Tensor<1>> {
        Param::from_tensor(float_tensor(vec![value; n], [n], &self.device, self.dtype))
    }

    /// A vector of given entries.
    pub fn vector(&mut self, values: Vec<f64>) -> Param<Tensor<1>> {
        let n = values.len();
        Param::from_tensor(float_tensor(values, [n], &self.device, self.dtype))
    }

    fn draw(&mut self, init: Init, input: usize, output: usize) -> f64 {
        let mut symmetric = |bound: f64| bound * (2.0 * self.rng.random::<f64>() - 1.0);
        match init {
            Init::XavierUniform => symmetric((6.0 / (input + output) as f64).sqrt()),
            Init::Uniform(bound) => symmetric(bound),
            Init::FanIn => symmetric(1.0 / (input as f64).sqrt()),
            Init::Normal => {
                // Box–Muller; 1 - u avoids ln 0.
                let (u, v): (f64, f64) = (self.rng.random(), self.rng.random());
                (-2.0 * (1.0 - u).ln()).sqrt() * (2.0 * std::f64::consts::PI * v).cos()
            }
        }
    }
}
