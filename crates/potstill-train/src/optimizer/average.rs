//! Running average of the weights.

use potstill_nn::Number;
use rayon::prelude::*;

/// Elements that a thread takes at a time.
const CHUNK: usize = 1 << 16;

/// Decay of the averaged weights at a step, counted from 1.
///
/// With `warmup` it is at most `(1 + step) / (10 + step)`, so that the average forgets the initial weights as soon as there
/// are better ones; after about `9 / (1 − decay)` steps it is `decay`. Without, it is `decay` from the start, as the reference
/// implementation has it: a share of `decay^step` of the average is then still the initialisation.
pub fn averaging_decay(decay: f64, warmup: bool, step: u64) -> f64 {
    let step = step as f64;
    if warmup { decay.min((1.0 + step) / (10.0 + step)) } else { decay }
}

/// Moves the average a step towards `parameters`: `s += (1 − decay) (p − s)`. With `decay` 0 it *is* `parameters`.
///
/// # Panics
/// When the lengths differ.
pub fn update_average<T: Number>(average: &mut [T], parameters: &[T], decay: f64) {
    assert_eq!(average.len(), parameters.len(), "number of averaged parameters");
    if decay == 0.0 {
        // s + (p − s) would round.
        return average.copy_from_slice(parameters);
    }
    let rate = T::of(1.0 - decay);
    average.par_chunks_mut(CHUNK).zip(parameters.par_chunks(CHUNK)).for_each(|(average, parameters)| {
        for (s, p) in average.iter_mut().zip(parameters) {
            *s += rate * (*p - *s);
        }
    });
}
