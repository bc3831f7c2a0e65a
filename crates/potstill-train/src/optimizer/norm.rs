//! Norm of a gradient, and its limit.

use potstill_nn::Number;
use rayon::prelude::*;

/// Elements that a thread takes at a time; it fixes the order of additions, whatever the number of threads.
const CHUNK: usize = 1 << 16;

/// Independent partial sums of a norm, so that the loop vectorises; their number fixes the order of additions.
const LANES: usize = 8;

/// Euclidean norm over all elements, added up in f64 and always in the same order.
pub fn global_norm<T: Number>(gradients: &[T]) -> f64 {
    let parts: Vec<f64> = gradients.par_chunks(CHUNK).map(sum_of_squares).collect();
    parts.iter().sum::<f64>().sqrt()
}

fn sum_of_squares<T: Number>(gradients: &[T]) -> f64 {
    let chunks = gradients.chunks_exact(LANES);
    let rest: f64 = chunks.remainder().iter().map(|g| g.to_f64().powi(2)).sum();
    let mut sums = [0.0; LANES];
    for chunk in chunks {
        for (sum, g) in sums.iter_mut().zip(chunk) {
            *sum += g.to_f64() * g.to_f64();
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// Scales `gradients` so that their global norm is at most `max_norm` (0: never), and returns the norm before;
/// a norm that is not finite is returned as it is, and nothing scaled.
pub fn clip_global_norm<T: Number>(gradients: &mut [T], max_norm: f64) -> f64 {
    let norm = global_norm(gradients);
    let factor = max_norm / (norm + 1e-6);
    if max_norm > 0.0 && norm.is_finite() && factor < 1.0 {
        let factor = T::of(factor);
        gradients.par_chunks_mut(CHUNK).flatten_iter().for_each(|g| *g *= factor);
    }
    norm
}
