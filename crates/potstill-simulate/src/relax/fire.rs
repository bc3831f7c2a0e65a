//! FIRE: E. Bitzek, P. Koskinen, F. Gähler, M. Moseler, P. Gumbsch, Phys. Rev. Lett. 97, 170201 (2006).
//!
//! Parameters, order of operations and limit of the step are those of ASE's `FIRE`, where all masses are 1.

use potstill_core::system::Vec3;

use super::rows::{norm, product, scale};

/// First timestep, largest one.
const FIRST_TIMESTEP: f64 = 0.1;
const LARGEST_TIMESTEP: f64 = 1.0;
/// Steps downhill before the timestep grows.
const LATENCY: usize = 5;
/// Factors of the timestep: growth, and cut after a step uphill.
const GROWTH: f64 = 1.1;
const CUT: f64 = 0.5;
/// First share of the force's direction in the velocity, and its decay.
const FIRST_MIXING: f64 = 0.1;
const MIXING_DECAY: f64 = 0.99;

/// State of FIRE.
#[derive(Debug)]
pub struct Fire {
    /// Velocity of each row; empty before the first step.
    velocities: Vec<Vec3>,
    timestep: f64,
    mixing: f64,
    n_downhill: usize,
}

impl Fire {
    /// FIRE before its first step.
    pub fn new() -> Self {
        Self { velocities: Vec::new(), timestep: FIRST_TIMESTEP, mixing: FIRST_MIXING, n_downhill: 0 }
    }

    /// Step of each row for these forces, written to `step`; the whole step is at most `limit` long.
    pub fn step(&mut self, forces: &[Vec3], limit: f64, step: &mut Vec<Vec3>) {
        if self.velocities.is_empty() {
            self.velocities = vec![[0.0; 3]; forces.len()];
        } else {
            self.steer(forces);
        }
        step.clear();
        for (velocity, force) in self.velocities.iter_mut().zip(forces) {
            *velocity = std::array::from_fn(|c| velocity[c] + self.timestep * force[c]);
            step.push(velocity.map(|v| self.timestep * v));
        }
        let length = norm(step);
        if length > limit {
            scale(step, limit / length);
        }
    }

    fn steer(&mut self, forces: &[Vec3]) {
        if product(forces, &self.velocities) > 0.0 {
            let along = self.mixing * norm(&self.velocities) / norm(forces);
            for (velocity, force) in self.velocities.iter_mut().zip(forces) {
                *velocity = std::array::from_fn(|c| (1.0 - self.mixing) * velocity[c] + along * force[c]);
            }
            if self.n_downhill > LATENCY {
                self.timestep = (self.timestep * GROWTH).min(LARGEST_TIMESTEP);
                self.mixing *= MIXING_DECAY;
            }
            self.n_downhill += 1;
        } else {
            scale(&mut self.velocities, 0.0);
            (self.mixing, self.n_downhill) = (FIRST_MIXING, 0);
            self.timestep *= CUT;
        }
    }
}
