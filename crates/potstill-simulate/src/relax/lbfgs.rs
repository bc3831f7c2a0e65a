//! L-BFGS without line search: D. C. Liu, J. Nocedal, Math. Program. 45, 503 (1989).
//!
//! Memory, first curvature and limit of the step are those of ASE's `LBFGS`. Pairs of negative curvature are left out, which
//! ASE keeps: the step then always goes downhill.

use std::collections::VecDeque;

use potstill_core::system::Vec3;

use super::rows::{add_scaled, largest, product, scale};

/// Number of steps that the curvature is made from.
const MEMORY: usize = 100;
/// Curvature in eV/Å² before there is any step.
const FIRST_CURVATURE: f64 = 70.0;

/// Change of rows and of gradients in one step, and the inverse of their product.
#[derive(Debug)]
struct Pair {
    moved: Vec<Vec3>,
    change: Vec<Vec3>,
    inverse: f64,
}

/// State of L-BFGS.
#[derive(Debug, Default)]
pub struct Lbfgs {
    pairs: VecDeque<Pair>,
    /// Last step and the forces before it; empty before the first step.
    last: Vec<Vec3>,
    forces: Vec<Vec3>,
}

impl Lbfgs {
    /// L-BFGS before its first step.
    pub fn new() -> Self {
        Self::default()
    }

    /// Step of each row for these forces, written to `step`; no row moves further than `limit`.
    pub fn step(&mut self, forces: &[Vec3], limit: f64, step: &mut Vec<Vec3>) {
        self.learn(forces);
        step.clear();
        step.extend_from_slice(forces);
        let mut weights = Vec::with_capacity(self.pairs.len());
        for pair in self.pairs.iter().rev() {
            let weight = pair.inverse * product(&pair.moved, step);
            add_scaled(step, -weight, &pair.change);
            weights.push(weight);
        }
        scale(step, 1.0 / FIRST_CURVATURE);
        for (pair, weight) in self.pairs.iter().zip(weights.into_iter().rev()) {
            let back = pair.inverse * product(&pair.change, step);
            add_scaled(step, weight - back, &pair.moved);
        }
        let longest = largest(step);
        if longest >= limit {
            scale(step, limit / longest);
        }
        self.last.clone_from(step);
        self.forces.clear();
        self.forces.extend_from_slice(forces);
    }

    fn learn(&mut self, forces: &[Vec3]) {
        if self.forces.is_empty() {
            return;
        }
        let difference = |(then, now): (&Vec3, &Vec3)| std::array::from_fn(|c| then[c] - now[c]);
        let change: Vec<Vec3> = self.forces.iter().zip(forces).map(difference).collect();
        let curvature = product(&change, &self.last);
        if curvature > 0.0 {
            self.pairs.push_back(Pair { moved: self.last.clone(), change, inverse: 1.0 / curvature });
        }
        if self.pairs.len() > MEMORY {
            self.pairs.pop_front();
        }
    }
}
