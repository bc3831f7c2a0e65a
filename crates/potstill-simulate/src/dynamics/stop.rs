//! Signs that a trajectory has left what its potential knows.

use std::fmt;

use potstill_core::graph::{GraphRule, Neighbors};
use potstill_core::{Error, Result};
use serde::{Deserialize, Serialize};

use super::Dynamics;
use crate::state::State;

/// Signs at which dynamics should stop; those that are absent are not looked for.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StopRule {
    /// Largest temperature in K.
    pub temperature_above: Option<f64>,
    /// Least distance of two atoms in Å.
    pub distance_below: Option<f64>,
    /// Largest way of an atom in one step, in Å.
    pub move_above: Option<f64>,
}

/// Replica that shows a sign of a [`StopRule`].
#[derive(Debug, Clone, PartialEq)]
pub struct Stopped {
    /// Index of the replica.
    pub replica: usize,
    /// Number of steps since the start.
    pub step: u64,
    /// The sign.
    pub reason: StopReason,
}

/// Sign at which dynamics should stop.
#[derive(Debug, Clone, PartialEq)]
pub enum StopReason {
    /// A temperature in K above the largest one.
    Temperature(f64),
    /// Two atoms, and their distance in Å, below the least one.
    Distance([usize; 2], f64),
    /// An atom, and its way in one step in Å, above the largest one.
    Move(usize, f64),
    /// Atoms in the same place.
    Collapse(String),
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Temperature(kelvin) => write!(f, "the temperature is {kelvin:.0} K"),
            Self::Distance([a, b], distance) => write!(f, "atoms {a} and {b} are {distance:.3} Å apart"),
            Self::Move(atom, length) => write!(f, "atom {atom} moves {length:.3} Å in one step"),
            Self::Collapse(message) => f.write_str(message),
        }
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "replica {}, step {}: {}", self.replica, self.step, self.reason)
    }
}

impl StopRule {
    /// Checks the limits.
    ///
    /// # Errors
    /// A limit that is not a positive number.
    pub fn check(&self) -> Result<()> {
        let limits = [
            ("temperature_above", self.temperature_above, "K, such as 3000"),
            ("distance_below", self.distance_below, "Å, such as 0.5"),
            ("move_above", self.move_above, "Å, such as 0.5"),
        ];
        match limits.iter().find(|(_, limit, _)| limit.is_some_and(|x| !(x.is_finite() && x > 0.0))) {
            Some((key, limit, example)) => {
                let value = limit.unwrap_or_default();
                Err(Error::setting(*key, format!("is {value}; give a positive number of {example}")))
            }
            None => Ok(()),
        }
    }

    fn sign(&self, state: &State, temperature: f64, timestep: f64) -> Option<StopReason> {
        if self.temperature_above.is_some_and(|limit| temperature > limit) {
            return Some(StopReason::Temperature(temperature));
        }
        let fastest = self.move_above.and_then(|limit| fastest(state, timestep).filter(|(_, length)| *length > limit));
        if let Some((atom, length)) = fastest {
            return Some(StopReason::Move(atom, length));
        }
        self.distance_below.and_then(|limit| closest(state, limit))
    }
}

/// The fastest atom, and its way in one step.
fn fastest(state: &State, timestep: f64) -> Option<(usize, f64)> {
    let length = |v: &[f64; 3]| timestep * v.iter().map(|c| c * c).sum::<f64>().sqrt();
    state.velocities.iter().map(length).enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b))
}

/// The two closest atoms, if they are closer than a limit; pairs of fixed atoms count, too.
fn closest(state: &State, limit: f64) -> Option<StopReason> {
    let rule = GraphRule { cutoff: limit, neighbors: Neighbors::All, symmetric: false };
    let graph = match rule.build(&[&state.system]) {
        Ok(graph) => graph,
        Err(Error::System { message, .. }) => return Some(StopReason::Collapse(message)),
        Err(error) => return Some(StopReason::Collapse(error.to_string())),
    };
    let (edge, distance) = graph.distances().into_iter().enumerate().min_by(|(_, a), (_, b)| a.total_cmp(b))?;
    let atoms = [graph.target[edge] as usize, graph.source[edge] as usize];
    (distance < limit).then_some(StopReason::Distance(atoms, distance))
}

impl Dynamics<'_> {
    /// First replica that shows a sign of the rule now.
    pub fn stopped(&self, rule: &StopRule) -> Option<Stopped> {
        let timestep = self.settings.timestep;
        self.states.iter().enumerate().find_map(|(replica, state)| {
            let temperature = state.temperature(self.replicas[replica].degrees.n);
            let reason = rule.sign(state, temperature, timestep)?;
            Some(Stopped { replica, step: self.step, reason })
        })
    }
}
