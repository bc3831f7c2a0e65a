//! AdamW with amsgrad on flat host vectors.
//!
//! I. Loshchilov, F. Hutter, *Decoupled weight decay regularization*, arXiv 1711.05101; S. Reddi et al., *On the
//! convergence of Adam and beyond*, arXiv 1904.09237. Numerically PyTorch's `AdamW`, so that its training runs can be
//! followed step by step.

use std::ops::Range;

use potstill_core::{Error, Result, limits};
use serde::{Deserialize, Serialize};

use potstill_nn::Number;

/// Settings of [`AdamW`]; defaults are PyTorch's, with amsgrad.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdamWConfig {
    /// Decay of the first and second moments. Default 0.9 and 0.999.
    pub betas: [f64; 2],
    /// Added to the root of the second moment. Default 1e-8.
    pub epsilon: f64,
    /// Decoupled weight decay. Default 0.01.
    pub weight_decay: f64,
    /// Use the largest second moment so far. Default true.
    pub amsgrad: bool,
    /// Whether weight decay also acts on biases, embeddings and basis frequencies. Default true, as in the reference
    /// unless its `optim.weight_decay` is positive.
    pub decay_biases_and_embeddings: bool,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self {
            betas: [0.9, 0.999],
            epsilon: 1e-8,
            weight_decay: 0.01,
            amsgrad: true,
            decay_biases_and_embeddings: true,
        }
    }
}

impl AdamWConfig {
    /// Whether weight decay acts on the parameter of that name.
    pub fn decays(&self, name: &str) -> bool {
        self.decay_biases_and_embeddings || !["embedding", "frequencies", "bias"].iter().any(|word| name.contains(word))
    }

    /// Checks the numbers.
    ///
    /// # Errors
    /// Names the one that is out of range.
    pub fn validate(&self) -> Result<()> {
        let key = |name: &str| format!("training.optimizer.{name}");
        if self.betas.iter().any(|b| !(0.0..1.0).contains(b)) {
            return Err(Error::setting(key("betas"), format!("are {:?}; both must be in [0, 1)", self.betas)));
        }
        // Zero, also after rounding to f32, would divide 0 by 0 for a parameter without gradient (an absent element).
        if !(self.epsilon.is_finite() && self.epsilon as f32 > 0.0) {
            return Err(Error::setting(key("epsilon"), format!("is {}; it must be positive", self.epsilon)));
        }
        if !(0.0..=limits::LARGEST_WEIGHT).contains(&self.weight_decay) {
            let message = format!("is {}; it must be zero or a positive number", self.weight_decay);
            return Err(Error::setting(key("weight_decay"), message));
        }
        Ok(())
    }
}

/// The optimiser with its moments.
#[derive(Debug, Clone)]
pub struct AdamW<T> {
    config: AdamWConfig,
    /// Parts of the vector and whether weight decay acts on them.
    segments: Vec<(Range<usize>, bool)>,
    /// Steps taken.
    pub steps: u64,
    /// First moments.
    pub first: Vec<T>,
    /// Second moments.
    pub second: Vec<T>,
    /// Largest second moments so far; empty without amsgrad.
    pub largest: Vec<T>,
}

impl<T: Number> AdamW<T> {
    /// An optimiser at step 0 for the parameters that `segments` cover.
    pub fn new(config: AdamWConfig, segments: Vec<(Range<usize>, bool)>) -> Self {
        let n = segments.last().map_or(0, |(range, _)| range.end);
        let largest = vec![T::default(); if config.amsgrad { n } else { 0 }];
        Self { config, segments, steps: 0, first: vec![T::default(); n], second: vec![T::default(); n], largest }
    }

    /// Moves `parameters` against `gradients`, in one pass over memory.
    ///
    /// # Panics
    /// When their lengths are not that of the segments.
    pub fn step(&mut self, parameters: &mut [T], gradients: &[T], learning_rate: f64) {
        assert_eq!(parameters.len(), self.first.len(), "number of parameters");
        assert_eq!(gradients.len(), self.first.len(), "number of gradients");
        self.steps += 1;
        for (range, decays) in &self.segments {
            let factors = Factors::new(&self.config, *decays, learning_rate, self.steps);
            let (p, g) = (&mut parameters[range.clone()], &gradients[range.clone()]);
            let (first, second) = (&mut self.first[range.clone()], &mut self.second[range.clone()]);
            if self.config.amsgrad {
                update::<T, true>(&factors, p, g, first, second, &mut self.largest[range.clone()]);
            } else {
                update::<T, false>(&factors, p, g, first, second, &mut []);
            }
        }
    }
}

/// The numbers of one step that all parameters of a segment share.
struct Factors<T> {
    /// `1 - learning_rate · weight_decay`.
    keep: T,
    /// `1 - β₁`.
    first_rate: T,
    /// β₂.
    second_keep: T,
    /// `1 - β₂`.
    second_rate: T,
    /// `sqrt(1 - β₂ᵗ)`.
    correction: T,
    epsilon: T,
    /// `learning_rate / (1 - β₁ᵗ)`.
    step_size: T,
}

impl<T: Number> Factors<T> {
    fn new(config: &AdamWConfig, decays: bool, learning_rate: f64, step: u64) -> Self {
        let [beta1, beta2] = config.betas;
        let weight_decay = if decays { config.weight_decay } else { 0.0 };
        let left = |beta: f64| 1.0 - beta.powf(step as f64);
        Self {
            keep: T::of(1.0 - learning_rate * weight_decay),
            first_rate: T::of(1.0 - beta1),
            second_keep: T::of(beta2),
            second_rate: T::of(1.0 - beta2),
            correction: T::of(left(beta2).sqrt()),
            epsilon: T::of(config.epsilon),
            step_size: T::of(learning_rate / left(beta1)),
        }
    }
}

/// The fused loop over one segment. The slices are cut to one length first, so that it vectorises.
fn update<T: Number, const AMSGRAD: bool>(
    factors: &Factors<T>,
    p: &mut [T],
    g: &[T],
    first: &mut [T],
    second: &mut [T],
    largest: &mut [T],
) {
    let n = p.len();
    let (g, first, second) = (&g[..n], &mut first[..n], &mut second[..n]);
    let largest = if AMSGRAD { &mut largest[..n] } else { largest };
    for i in 0..n {
        let m = first[i] + factors.first_rate * (g[i] - first[i]);
        let v = factors.second_keep * second[i] + factors.second_rate * g[i] * g[i];
        first[i] = m;
        second[i] = v;
        let v = if AMSGRAD {
            let top = if v > largest[i] { v } else { largest[i] };
            largest[i] = top;
            top
        } else {
            v
        };
        p[i] = factors.keep * p[i] - factors.step_size * m / (v.root() / factors.correction + factors.epsilon);
    }
}

/// Independent partial sums of a norm, so that the loop vectorises; their number fixes the order of additions.
const LANES: usize = 8;

/// Euclidean norm over all elements, added up in f64 and always in the same order.
pub fn global_norm<T: Number>(gradients: &[T]) -> f64 {
    let chunks = gradients.chunks_exact(LANES);
    let rest: f64 = chunks.remainder().iter().map(|g| g.to_f64().powi(2)).sum();
    let mut sums = [0.0; LANES];
    for chunk in chunks {
        for (sum, g) in sums.iter_mut().zip(chunk) {
            *sum += g.to_f64() * g.to_f64();
        }
    }
    (sums.iter().sum::<f64>() + rest).sqrt()
}

/// Scales `gradients` so that their global norm is at most `max_norm` (0: never), and returns the norm before;
/// a norm that is not finite is returned as it is, and nothing scaled.
pub fn clip_global_norm<T: Number>(gradients: &mut [T], max_norm: f64) -> f64 {
    let norm = global_norm(gradients);
    let factor = max_norm / (norm + 1e-6);
    if max_norm > 0.0 && norm.is_finite() && factor < 1.0 {
        let factor = T::of(factor);
        gradients.iter_mut().for_each(|g| *g *= factor);
    }
    norm
}

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
    for (s, p) in average.iter_mut().zip(parameters) {
        *s += rate * (*p - *s);
    }
}

#[cfg(test)]
mod tests;
