//! Langevin dynamics with the teacher.
//!
//! The BAOAB splitting of B. Leimkuhler and C. Matthews, Appl. Math. Res. Express 2013, 34.

use potstill_core::masses::mass;
use potstill_core::system::Value;
use potstill_core::{Error, Result, System};
use rand::Rng;

use super::{BOLTZMANN, Context};
use crate::moves::normal;

/// `1 eV/Å/u` in Å/fs².
pub(super) const ACCELERATION: f64 = 9.648_533_212e-3;

/// Settings of the dynamics.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dynamics {
    /// In K.
    pub temperature: f64,
    /// In fs.
    pub timestep: f64,
    /// Time in which the bath forgets velocities, in fs.
    pub friction_time: f64,
    /// Steps before the first snapshot.
    pub equilibration: usize,
    /// Steps between two snapshots.
    pub interval: usize,
}

/// Snapshots of one trajectory; it ends early where the structure leaves the limits, since what follows would be worse.
pub(super) fn run(
    context: &mut Context<'_>,
    origin: &System,
    settings: &Dynamics,
    n: usize,
    rng: &mut impl Rng,
) -> Result<Vec<System>> {
    let mut state = State::new(origin, settings.temperature, rng)?;
    let mut forces = context.evaluate(&[&state.system])?.forces;
    let mut kept = Vec::new();
    let interval = settings.interval.max(1);
    let total = settings.equilibration + n * interval;
    for step in 1..=total {
        let energy;
        state.first_half(&forces, settings, rng);
        if !context.is_apart(&state.system) {
            return Ok(kept);
        }
        let prediction = context.evaluate(&[&state.system])?;
        (energy, forces) = (prediction.energy[0], prediction.forces);
        state.kick(&forces, settings.timestep);
        if step > settings.equilibration && (step - settings.equilibration).is_multiple_of(interval) {
            let mut snapshot = state.system.clone();
            snapshot.metadata.insert("time_fs".to_owned(), Value::Real(step as f64 * settings.timestep));
            snapshot.metadata.insert("temperature_K".to_owned(), Value::Real(settings.temperature));
            match context.label(snapshot, energy, forces.clone()) {
                Some(snapshot) => kept.push(snapshot),
                None => return Ok(kept),
            }
        }
    }
    Ok(kept)
}

/// Positions and velocities.
pub(super) struct State {
    /// Where the atoms are.
    pub system: System,
    /// In Å/fs; zero for fixed atoms.
    pub velocities: Vec<[f64; 3]>,
    /// In u.
    pub masses: Vec<f64>,
}

impl State {
    /// A structure with velocities drawn at a temperature in K.
    pub fn new(origin: &System, temperature: f64, rng: &mut impl Rng) -> Result<Self> {
        let masses = origin
            .atomic_numbers
            .iter()
            .map(|&z| mass(z).ok_or_else(|| Error::Other(format!("no mass for the element with number {z}"))))
            .collect::<Result<Vec<_>>>()?;
        let mut state = Self { system: origin.clone(), velocities: vec![[0.0; 3]; masses.len()], masses };
        for i in 0..state.masses.len() {
            if origin.is_free(i) {
                let speed = state.thermal(i, temperature);
                state.velocities[i] = [(); 3].map(|()| speed * normal(rng));
            }
        }
        Ok(state)
    }

    /// Standard deviation of a velocity component in Å/fs.
    fn thermal(&self, i: usize, temperature: f64) -> f64 {
        (BOLTZMANN * temperature / self.masses[i] * ACCELERATION).sqrt()
    }

    /// The atoms of both, ours first.
    #[must_use]
    pub fn joined(mut self, other: Self) -> Self {
        self.system.atomic_numbers.extend(other.system.atomic_numbers);
        self.system.positions.extend(other.system.positions);
        self.velocities.extend(other.velocities);
        self.masses.extend(other.masses);
        self
    }

    /// A step of the velocities.
    pub fn drift(&mut self, timestep: f64) {
        for (position, velocity) in self.system.positions.iter_mut().zip(&self.velocities) {
            position.iter_mut().zip(velocity).for_each(|(x, v)| *x += timestep * v);
        }
    }

    /// Half a kick, half a drift, the bath, half a drift.
    fn first_half(&mut self, forces: &[[f64; 3]], settings: &Dynamics, rng: &mut impl Rng) {
        self.kick(forces, settings.timestep);
        let decay = (-settings.timestep / settings.friction_time).exp();
        let noise = (1.0 - decay * decay).sqrt();
        for i in 0..self.masses.len() {
            if !self.system.is_free(i) {
                continue;
            }
            let speed = self.thermal(i, settings.temperature);
            for k in 0..3 {
                let (x, v) = (&mut self.system.positions[i][k], &mut self.velocities[i][k]);
                *x += 0.5 * settings.timestep * *v;
                *v = decay * *v + noise * speed * normal(rng);
                *x += 0.5 * settings.timestep * *v;
            }
        }
    }

    /// Half a step of the forces.
    pub fn kick(&mut self, forces: &[[f64; 3]], timestep: f64) {
        for (i, (velocity, force)) in self.velocities.iter_mut().zip(forces).enumerate() {
            if self.system.is_free(i) {
                let factor = 0.5 * timestep * ACCELERATION / self.masses[i];
                velocity.iter_mut().zip(force).for_each(|(v, f)| *v += factor * f);
            }
        }
    }
}
