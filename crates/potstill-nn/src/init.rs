//! Initial weights, drawn on the host so that they do not depend on device or thread count.

use burn::module::Param;
use burn::tensor::{DType, Device, Tensor};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::tensors::float_tensor;

/// Distribution of the entries of a matrix of shape `[output, input]`.
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
    /// Semi-orthogonal matrix whose rows are then brought to mean 0 and variance `1 / input` (GemNet,
    /// arXiv 2106.08903, after He et al. 2015).
    HeOrthogonal,
}

/// Seeded source of parameters on one device.
#[derive(Debug)]
pub struct Initializer {
    /// Random numbers; `None` for a blank network.
    rng: Option<ChaCha8Rng>,
    device: Device,
    dtype: DType,
}

impl Initializer {
    /// Draws in the order of construction from `seed`.
    pub fn new(seed: u64, device: &Device, dtype: DType) -> Self {
        Self { rng: Some(ChaCha8Rng::seed_from_u64(seed)), device: device.clone(), dtype }
    }

    /// Draws nothing: every random weight is zero.
    pub fn blank(device: &Device, dtype: DType) -> Self {
        Self { rng: None, device: device.clone(), dtype }
    }

    /// Matrix of shape `[output, input]`.
    pub fn matrix(&mut self, [output, input]: [usize; 2], init: Init) -> Param<Tensor<2>> {
        if self.rng.is_none() {
            // Zeros that nobody reads cost no memory.
            return Param::from_tensor(Tensor::zeros([output, input], (&self.device, self.dtype)));
        }
        let values = match init {
            Init::HeOrthogonal => self.he_orthogonal([output, input], input, &[output]),
            _ => (0..output * input).map(|_| self.draw(init, input, output)).collect(),
        };
        Param::from_tensor(float_tensor(values, [output, input], &self.device, self.dtype))
    }

    /// [`Init::HeOrthogonal`] for three axes, of which the first two are summed over: each entry of the last axis is
    /// brought to mean 0 and its variance to `1 / (first · second)`.
    pub fn he_orthogonal_3d(&mut self, [first, second, third]: [usize; 3]) -> Param<Tensor<3>> {
        if self.rng.is_none() {
            return Param::from_tensor(Tensor::zeros([first, second, third], (&self.device, self.dtype)));
        }
        let fan_in = first * second;
        let values = self.he_orthogonal([first, second * third], fan_in, &[first, second, third]);
        Param::from_tensor(float_tensor(values, [first, second, third], &self.device, self.dtype))
    }

    /// Semi-orthogonal matrix, standardised over groups: over rows for a shape of one axis, over all axes but the last
    /// for three.
    fn he_orthogonal(&mut self, [rows, columns]: [usize; 2], fan_in: usize, shape: &[usize]) -> Vec<f64> {
        let (n, length) = (rows.min(columns), rows.max(columns));
        let mut vectors: Vec<Vec<f64>> =
            (0..n).map(|_| (0..length).map(|_| self.draw(Init::Normal, 1, 1)).collect()).collect();
        orthonormalize(&mut vectors);
        let at = |i: usize| {
            let (row, column) = (i / columns, i % columns);
            if rows <= columns { vectors[row][column] } else { vectors[column][row] }
        };
        let mut values: Vec<f64> = (0..rows * columns).map(at).collect();
        let groups = if shape.len() == 3 { shape[2] } else { rows };
        let group = |i: usize| if shape.len() == 3 { i % groups } else { i / columns };
        standardize(&mut values, groups, group, fan_in);
        values
    }

    /// Vector of PyTorch's default bias distribution for a linear map of `input` channels, `U(±1/√input)`.
    pub fn fan_in_bias(&mut self, output: usize, input: usize) -> Param<Tensor<1>> {
        let values = (0..output).map(|_| self.draw(Init::FanIn, input, output)).collect();
        Param::from_tensor(float_tensor(values, [output], &self.device, self.dtype))
    }

    /// Vector of equal entries.
    pub fn constant(&mut self, n: usize, value: f64) -> Param<Tensor<1>> {
        Param::from_tensor(float_tensor(vec![value; n], [n], &self.device, self.dtype))
    }

    /// Vector of given entries.
    pub fn vector(&mut self, values: Vec<f64>) -> Param<Tensor<1>> {
        let n = values.len();
        Param::from_tensor(float_tensor(values, [n], &self.device, self.dtype))
    }

    fn draw(&mut self, init: Init, input: usize, output: usize) -> f64 {
        let Some(rng) = &mut self.rng else { return 0.0 };
        let mut symmetric = |bound: f64| bound * (2.0 * rng.random::<f64>() - 1.0);
        match init {
            Init::XavierUniform => symmetric((6.0 / (input + output) as f64).sqrt()),
            Init::Uniform(bound) => symmetric(bound),
            Init::FanIn => symmetric(1.0 / (input as f64).sqrt()),
            // A matrix of its own; single entries of it are normal.
            Init::Normal | Init::HeOrthogonal => {
                // Box–Muller; 1 - u avoids ln 0.
                let (u, v): (f64, f64) = (rng.random(), rng.random());
                (-2.0 * (1.0 - u).ln()).sqrt() * (2.0 * std::f64::consts::PI * v).cos()
            }
        }
    }
}

/// Gram–Schmidt, twice over each vector, which is enough for orthogonality to rounding.
fn orthonormalize(vectors: &mut [Vec<f64>]) {
    for i in 0..vectors.len() {
        let (done, rest) = vectors.split_at_mut(i);
        let own = &mut rest[0];
        for other in done.iter().chain(done.iter()) {
            let along = dot(own, other);
            own.iter_mut().zip(other).for_each(|(a, b)| *a -= along * b);
        }
        let norm = dot(own, own).sqrt();
        own.iter_mut().for_each(|a| *a /= norm);
    }
}

/// Sums in eight lanes, which the compiler turns into vector instructions: large networks have a hundred such matrices.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0; 8];
    let (a_chunks, b_chunks) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for lane in 0..8 {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    rest + lanes.iter().sum::<f64>()
}

/// Brings each group to mean 0 and variance `1 / fan_in`.
fn standardize(values: &mut [f64], groups: usize, group: impl Fn(usize) -> usize, fan_in: usize) {
    let n = (values.len() / groups) as f64;
    let (mut mean, mut square) = (vec![0.0; groups], vec![0.0; groups]);
    for (i, v) in values.iter().enumerate() {
        mean[group(i)] += v / n;
    }
    for (i, v) in values.iter().enumerate() {
        square[group(i)] += (v - mean[group(i)]).powi(2) / (n - 1.0).max(1.0);
    }
    for (i, v) in values.iter_mut().enumerate() {
        *v = (*v - mean[group(i)]) / (square[group(i)] + 1e-6).sqrt() / (fan_in as f64).sqrt();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensors::to_host;

    #[test]
    fn rows_of_he_orthogonal_matrices_are_standardised() {
        let rng = &mut Initializer::new(3, &Device::flex(), DType::F64);
        for shape in [[12, 40], [40, 12]] {
            let values = to_host(&rng.matrix(shape, Init::HeOrthogonal).val());
            for row in values.chunks_exact(shape[1]) {
                let n = shape[1] as f64;
                let mean = row.iter().sum::<f64>() / n;
                let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
                assert!(mean.abs() < 1e-12 && (variance * n - 1.0).abs() < 1e-3, "{mean} {variance}");
            }
        }
        let mut vectors: Vec<Vec<f64>> =
            (0..6).map(|_| (0..9).map(|_| rng.draw(Init::Normal, 1, 1)).collect()).collect();
        orthonormalize(&mut vectors);
        for (i, a) in vectors.iter().enumerate() {
            for (j, b) in vectors.iter().enumerate() {
                let product: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
                assert!((product - if i == j { 1.0 } else { 0.0 }).abs() < 1e-14);
            }
        }
    }
}
