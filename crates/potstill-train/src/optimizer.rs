//! AdamW with amsgrad on flat host vectors.
//!
//! I. Loshchilov, F. Hutter, *Decoupled weight decay regularization*, arXiv 1711.05101; S. Reddi et al., *On the
//! convergence of Adam and beyond*, arXiv 1904.09237. Numerically PyTorch's `AdamW`, so that its training runs can be
//! followed step by step.

use std::ops::Range;

use potstill_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::real::Real;

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
        for (name, value) in [("epsilon", self.epsilon), ("weight_decay", self.weight_decay)] {
            if !(value.is_finite() && value >= 0.0) {
                return Err(Error::setting(key(name), format!("is {value}; it must be zero or a positive number")));
            }
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

impl<T: Real> AdamW<T> {
    /// An optimiser at step 0 for the parameters that `segments` cover.
    pub fn new(config: AdamWConfig, segments: Vec<(Range<usize>, bool)>) -> Self {
        let n = segments.last().map_or(0, |(range, _)| range.end);
        let largest = vec![T::default(); if config.amsgrad { n } else { 0 }];
        Self { config, segments, steps: 0, first: vec![T::default(); n], second: vec![T::default(); n], largest }
    }

    /// Moves `parameters` against `gradients`, in one pass over memory.
    pub fn step(&mut self, parameters: &mut [T], gradients: &[T], learning_rate: f64) {
        self.steps += 1;
        let [beta1, beta2] = self.config.betas;
        let bias1 = 1.0 - beta1.powf(self.steps as f64);
        let bias2 = (1.0 - beta2.powf(self.steps as f64)).sqrt();
        let [b1, one_minus_b1, b2, one_minus_b2] = [beta1, 1.0 - beta1, beta2, 1.0 - beta2].map(T::from_f64);
        let step_size = T::from_f64(learning_rate / bias1);
        let inverse_bias2 = T::from_f64(1.0 / bias2);
        let epsilon = T::from_f64(self.config.epsilon);
        for (range, decays) in self.segments.clone() {
            let keep = T::from_f64(if decays { 1.0 - learning_rate * self.config.weight_decay } else { 1.0 });
            let p = &mut parameters[range.clone()];
            let g = &gradients[range.clone()];
            let m = &mut self.first[range.clone()];
            let v = &mut self.second[range.clone()];
            let amsgrad = self.config.amsgrad;
            let largest = if amsgrad { &mut self.largest[range] } else { &mut [][..] };
            for i in 0..p.len() {
                m[i] = m[i] * b1 + g[i] * one_minus_b1;
                v[i] = v[i] * b2 + g[i] * g[i] * one_minus_b2;
                let second = if amsgrad {
                    if v[i] > largest[i] {
                        largest[i] = v[i];
                    }
                    largest[i]
                } else {
                    v[i]
                };
                p[i] = p[i] * keep - step_size * m[i] / (second.root() * inverse_bias2 + epsilon);
            }
        }
    }
}

/// Scales `gradients` so that their global norm is at most `max_norm` (0: never), and returns the norm before;
/// a norm that is not finite is returned as it is.
pub fn clip_global_norm<T: Real>(gradients: &mut [T], max_norm: f64) -> f64 {
    let norm = gradients.iter().map(|g| g.to_f64().powi(2)).sum::<f64>().sqrt();
    let factor = max_norm / (norm + 1e-6);
    if max_norm > 0.0 && norm.is_finite() && factor < 1.0 {
        let factor = T::from_f64(factor);
        gradients.iter_mut().for_each(|g| *g = *g * factor);
    }
    norm
}

/// Moves the average a step towards `parameters`: `s += (1 − decay) (p − s)`.
pub fn update_average<T: Real>(average: &mut [T], parameters: &[T], decay: f64) {
    let rate = T::from_f64(1.0 - decay);
    for (s, p) in average.iter_mut().zip(parameters) {
        *s += rate * (*p - *s);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PyTorch's formula, written out for one number.
    fn reference(mut p: f64, gradients: &[f64], config: &AdamWConfig, lr: f64, decays: bool) -> f64 {
        let (mut m, mut v, mut v_max) = (0.0, 0.0, 0.0_f64);
        for (t, g) in gradients.iter().enumerate() {
            if decays {
                p *= 1.0 - lr * config.weight_decay;
            }
            m = 0.9 * m + 0.1 * g;
            v = 0.999 * v + 0.001 * g * g;
            v_max = v_max.max(v);
            let used = if config.amsgrad { v_max } else { v };
            let t = (t + 1) as i32;
            p -= lr / (1.0 - 0.9_f64.powi(t)) * m / (used.sqrt() / (1.0 - 0.999_f64.powi(t)).sqrt() + config.epsilon);
        }
        p
    }

    #[test]
    fn follows_the_formula() {
        let gradients = [[3.0, -0.1], [-0.2, 0.4], [0.01, -7.0], [0.3, 0.2], [0.0, 0.1]];
        for amsgrad in [true, false] {
            let config = AdamWConfig { amsgrad, weight_decay: 0.1, ..AdamWConfig::default() };
            let mut optimizer = AdamW::new(config.clone(), vec![(0..1, true), (1..2, false)]);
            let mut p = [1.5, -2.5];
            for g in gradients {
                optimizer.step(&mut p, &g, 0.05);
            }
            for k in 0..2 {
                let column: Vec<f64> = gradients.iter().map(|g| g[k]).collect();
                let expected = reference([1.5, -2.5][k], &column, &config, 0.05, k == 0);
                assert!((p[k] - expected).abs() < 1e-14, "{} {expected}", p[k]);
            }
        }
    }

    #[test]
    fn clipping_shortens_only_what_is_long() {
        let mut long = [3.0_f64, 4.0];
        assert_eq!(clip_global_norm(&mut long, 1.0), 5.0);
        assert!((long[0] - 0.6).abs() < 1e-6 && (long[1] - 0.8).abs() < 1e-6);
        let mut short = [0.3, 0.4];
        clip_global_norm(&mut short, 1.0);
        assert_eq!(short, [0.3, 0.4]);
        assert!(clip_global_norm(&mut [f64::NAN, 1.0], 1.0).is_nan());
        let mut free = [30.0, 40.0];
        assert_eq!(clip_global_norm(&mut free, 0.0), 50.0);
        assert_eq!(free, [30.0, 40.0]);
    }

    #[test]
    fn decay_groups() {
        let config = AdamWConfig { decay_biases_and_embeddings: false, ..AdamWConfig::default() };
        assert!(!config.decays("embedding.weight") && !config.decays("energy_in.bias"));
        assert!(config.decays("energy_in.weight") && AdamWConfig::default().decays("energy_in.bias"));
    }
}
