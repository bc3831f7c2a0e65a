//! Optimisers on flat host vectors.
//!
//! | file | idea |
//! |---|---|
//! | `adamw` | moments of each parameter |
//! | `muon` | orthogonalised momentum of a weight matrix |
//! | `norm`, `average` | clipping of gradients, running average of weights |

mod adamw;
mod average;
mod muon;
mod norm;

use std::ops::Range;

use potstill_core::{Error, Result, limits};
use potstill_nn::Number;
use potstill_nn::parameters::ParameterInfo;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use self::average::{averaging_decay, update_average};
pub use self::norm::{clip_global_norm, global_norm};

/// Rule by which weight matrices are moved; all other parameters are moved by AdamW.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// AdamW. The default.
    #[default]
    AdamW,
    /// Muon: orthogonalised momentum.
    Muon,
}

/// Settings of [`Optimizer`]; defaults are those of PyTorch's AdamW, with amsgrad.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// Rule for weight matrices: `"adamw"` (default) or `"muon"`. Biases, embeddings and basis frequencies are always
    /// moved by AdamW.
    #[serde(skip_serializing_if = "is_default")]
    pub kind: Rule,
    /// Decay of the first and second moments. Default 0.9 and 0.999.
    pub betas: [f64; 2],
    /// Added to the root of the second moment. Default 1e-8.
    pub epsilon: f64,
    /// Decoupled weight decay. Default 0.01.
    pub weight_decay: f64,
    /// Use the largest second moment so far, in AdamW. Default true.
    pub amsgrad: bool,
    /// Whether weight decay also acts on biases, embeddings and basis frequencies. Default true, as in the reference
    /// unless its `optim.weight_decay` is positive.
    pub decay_biases_and_embeddings: bool,
    /// Decay of Muon's momentum. Default 0.95.
    #[serde(skip_serializing_if = "is_default_momentum")]
    pub momentum: f64,
}

/// Decay of Muon's momentum, unless a configuration says otherwise.
const MOMENTUM: f64 = 0.95;

// What is not said is not written, so that runs from before these settings can go on.
fn is_default(rule: &Rule) -> bool {
    *rule == Rule::default()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde wants")]
fn is_default_momentum(momentum: &f64) -> bool {
    *momentum == MOMENTUM
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            kind: Rule::AdamW,
            betas: [0.9, 0.999],
            epsilon: 1e-8,
            weight_decay: 0.01,
            amsgrad: true,
            decay_biases_and_embeddings: true,
            momentum: MOMENTUM,
        }
    }
}

/// Words in the names of parameters that are no weight matrices.
const OTHERS: [&str; 3] = ["embedding", "frequencies", "bias"];
/// Fewest rows and columns of a matrix that is moved as one.
const FEWEST: usize = 8;
/// Most rows and columns of a matrix that is moved as one.
const MOST: usize = 2048;

impl OptimizerConfig {
    /// Whether weight decay acts on the parameter of that name.
    pub fn decays(&self, name: &str) -> bool {
        self.decay_biases_and_embeddings || !OTHERS.iter().any(|word| name.contains(word))
    }

    /// Rows and columns of a parameter that the rule moves as a matrix.
    fn matrix(&self, info: &ParameterInfo) -> Option<[usize; 2]> {
        let [rows, columns] = info.shape[..] else { return None };
        let fits = |n: usize| (FEWEST..=MOST).contains(&n);
        let is_matrix = fits(rows) && fits(columns) && !OTHERS.iter().any(|word| info.name.contains(word));
        (self.kind != Rule::AdamW && is_matrix).then_some([rows, columns])
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
        if !(0.0..1.0).contains(&self.momentum) {
            return Err(Error::setting(key("momentum"), format!("is {}; it must be in [0, 1)", self.momentum)));
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

/// What an optimiser remembers of the steps before.
#[derive(Debug, Clone, PartialEq)]
pub struct Memory<T> {
    /// Steps taken.
    pub steps: u64,
    /// First moments.
    pub first: Vec<T>,
    /// Second moments; zero where Muon moves a matrix.
    pub second: Vec<T>,
    /// Largest second moments so far; empty without amsgrad.
    pub largest: Vec<T>,
}

/// Part of the vector of parameters.
#[derive(Debug, Clone)]
struct Part {
    range: Range<usize>,
    /// Whether weight decay acts on it.
    decays: bool,
    /// Rows and columns where it is moved as a matrix.
    matrix: Option<[usize; 2]>,
}

/// The optimiser with its memory.
#[derive(Debug, Clone)]
pub struct Optimizer<T> {
    config: OptimizerConfig,
    parts: Vec<Part>,
    /// What it remembers.
    pub memory: Memory<T>,
}

impl<T: Number> Optimizer<T> {
    /// An optimiser at step 0 for these parameters.
    pub fn new(config: OptimizerConfig, parameters: &[ParameterInfo]) -> Self {
        let part = |info: &ParameterInfo| Part {
            range: info.range(),
            decays: config.decays(&info.name),
            matrix: config.matrix(info),
        };
        let parts: Vec<Part> = parameters.iter().map(part).collect();
        let n = parts.last().map_or(0, |part| part.range.end);
        let zeros = |n: usize| vec![T::ZERO; n];
        let largest = zeros(if config.amsgrad { n } else { 0 });
        let memory = Memory { steps: 0, first: zeros(n), second: zeros(n), largest };
        Self { config, parts, memory }
    }

    /// Moves `parameters` against `gradients`.
    ///
    /// # Panics
    /// When their lengths are not that of the optimiser's parameters.
    pub fn step(&mut self, parameters: &mut [T], gradients: &[T], learning_rate: f64) {
        let memory = &mut self.memory;
        assert_eq!(parameters.len(), memory.first.len(), "number of parameters");
        assert_eq!(gradients.len(), memory.first.len(), "number of gradients");
        memory.steps += 1;
        let (mut matrices, mut segments) = (Vec::new(), Vec::new());
        let mut places = Pieces { at: 0, rest: [parameters, &mut memory.first, &mut memory.second] };
        let mut largest = &mut memory.largest[..];
        for Part { range, decays, matrix } in &self.parts {
            let [p, first, second] = places.take(range);
            let top = largest.split_off_mut(..if self.config.amsgrad { range.len() } else { 0 }).unwrap_or_default();
            let g = &gradients[range.clone()];
            if let Some(shape) = *matrix {
                let weight_decay = if *decays { self.config.weight_decay } else { 0.0 };
                matrices.push(muon::Matrix { shape, weight_decay, p, g, momentum: first });
                continue;
            }
            let factors = adamw::Factors::new(&self.config, *decays, learning_rate, memory.steps);
            segments.push(adamw::Segment { factors, p, g, first, second, largest: top });
        }
        let update = if self.config.amsgrad { adamw::update::<T, true> } else { adamw::update::<T, false> };
        segments.into_par_iter().for_each(update);
        let decay = self.config.momentum;
        matrices.into_par_iter().for_each(|matrix| muon::update(matrix, decay, learning_rate));
    }
}

/// Rest of three vectors that are handed out piece by piece.
struct Pieces<'a, T> {
    at: usize,
    rest: [&'a mut [T]; 3],
}

impl<'a, T> Pieces<'a, T> {
    /// The next piece of each, which begins where the last one ended.
    fn take(&mut self, range: &Range<usize>) -> [&'a mut [T]; 3] {
        assert_eq!(range.start, self.at, "parameters without gaps");
        self.at = range.end;
        let cut = |rest: &mut &'a mut [T]| {
            let (piece, left) = std::mem::take(rest).split_at_mut(range.len());
            *rest = left;
            piece
        };
        self.rest.each_mut().map(cut)
    }
}

#[cfg(test)]
mod tests;
