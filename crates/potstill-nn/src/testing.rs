//! Comparison of operations with plain tensor operations.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};

use crate::output::Output;
use crate::parameters;
use crate::tensors::to_host;

/// Random numbers in [−2, 2), always the same for a seed.
fn random(shape: [usize; 2], seed: u64) -> Tensor<2> {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let values: Vec<f64> = (0..shape[0] * shape[1]).map(|_| rng.random_range(-2.0..2.0)).collect();
    Tensor::from_data(TensorData::new(values, shape), (&Device::flex().autodiff(), burn::tensor::DType::F64))
}

/// Result and derivatives of a weighted sum of it, in f64 from the same numbers.
fn evaluate<const N: usize>(
    shapes: [[usize; 2]; N],
    operation: impl Fn(&[Tensor<2>; N]) -> Tensor<2>,
) -> Vec<Vec<f64>> {
    let mut seed = 0;
    let inputs = shapes.map(|shape| {
        seed += 1;
        random(shape, seed).require_grad()
    });
    let output = operation(&inputs);
    let weights = random(output.dims(), 99);
    let mut gradients = (output.clone() * weights).sum().backward();
    let mut all = vec![to_host(&output)];
    all.extend(inputs.iter().map(|input| to_host(&input.grad_remove(&mut gradients).expect("a gradient"))));
    all
}

/// Asserts that two operations and their derivatives with respect to all inputs agree.
pub fn same_derivatives<const N: usize>(
    shapes: [[usize; 2]; N],
    fused: impl Fn([&Tensor<2>; N]) -> Tensor<2>,
    plain: impl Fn([&Tensor<2>; N]) -> Tensor<2>,
) {
    let fused = evaluate(shapes, |inputs| fused(inputs.each_ref()));
    let plain = evaluate(shapes, |inputs| plain(inputs.each_ref()));
    for (which, (fused, plain)) in fused.iter().zip(&plain).enumerate() {
        assert_eq!(fused.len(), plain.len(), "array {which}");
        for (a, b) in fused.iter().zip(plain) {
            assert!((a - b).abs() <= 1e-12 * (1.0 + b.abs()), "array {which}: {a} and {b}");
        }
    }
}

/// Output of a network, and the derivatives of a weighted sum of it with respect to all weights.
pub fn everything<M: Module>(network: &M, output: Output) -> Vec<Vec<f64>> {
    let mut all = Vec::new();
    let mut sum: Option<Tensor<1>> = None;
    let mut add = |values: Tensor<2>| {
        let weights = random(values.dims(), all.len() as u64);
        all.push(to_host(&values));
        let part = (values * weights).sum();
        sum = Some(match sum.take() {
            Some(sum) => sum + part,
            None => part,
        });
    };
    add(output.energy);
    output.forces.into_iter().for_each(&mut add);
    for features in output.features {
        add(features.node);
        features.vector.into_iter().for_each(&mut add);
    }
    let mut gradient = Vec::new();
    let mut gradients = sum.expect("energies").backward();
    parameters::gradients_to_vector::<_, f64>(network, &mut gradients, &mut gradient);
    all.push(gradient);
    all
}

/// Largest difference of two arrays, in parts of the largest number of the second.
pub fn far(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let size = b.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
    a.iter().zip(b).fold(0.0_f64, |m, (a, b)| m.max((a - b).abs())) / size
}
