//! Everything that dynamics need to go on as if they had never stopped.

use potstill_core::system::Value;
use potstill_core::{Error, Potential, Prediction, Result, System};
use serde::{Deserialize, Serialize};

use super::settings::DynamicsSettings;
use super::start::{Degrees, check_forces, check_state, random_stream};
use super::{Dynamics, Replica, offsets};
use crate::evaluation::evaluate;
use crate::state::State;

/// Difference of forces in eV/Å, per eV/Å of the largest one (and of 1), beyond which a potential is another one.
const SAME_FORCES: f64 = 1e-3;

/// Dynamics between two steps, to be kept in any format of serde that keeps every f64 exactly (JSON with `float_roundtrip`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    settings: DynamicsSettings,
    step: u64,
    states: Vec<State>,
    replicas: Vec<Bookkeeping>,
    prediction: Prediction,
}

/// What a replica remembers besides its state.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bookkeeping {
    /// Number of 32-bit words drawn from the random stream; 2⁶⁴ of them outlast any run.
    word_position: u64,
    received: f64,
    degrees: Degrees,
}

impl Snapshot {
    /// Settings of the dynamics.
    pub fn settings(&self) -> &DynamicsSettings {
        &self.settings
    }

    /// Number of steps since the start.
    pub fn step_count(&self) -> u64 {
        self.step
    }

    /// State of each replica.
    pub fn states(&self) -> &[State] {
        &self.states
    }
}

impl Dynamics<'_> {
    /// Everything that [`Dynamics::resume`] needs.
    ///
    /// Metadata and columns that are not finite are left out: formats such as JSON cannot keep them.
    pub fn snapshot(&self) -> Snapshot {
        let of = |replica: &Replica| Bookkeeping {
            word_position: replica.rng.get_word_pos() as u64,
            received: replica.received,
            degrees: replica.degrees,
        };
        let mut states = self.states.clone();
        states.iter_mut().for_each(|state| drop_non_finite(&mut state.system));
        Snapshot {
            settings: self.settings,
            step: self.step,
            states,
            replicas: self.replicas.iter().map(of).collect(),
            prediction: self.prediction.clone(),
        }
    }
}

impl<'p> Dynamics<'p> {
    /// Dynamics that go on where a snapshot was taken, bit for bit as if they had never stopped.
    ///
    /// # Errors
    /// A snapshot that contradicts itself, and a potential whose forces are not those of the snapshot.
    pub fn resume(potential: &'p dyn Potential, snapshot: Snapshot) -> Result<Self> {
        let Snapshot { settings, step, states, replicas, prediction } = snapshot;
        settings.check()?;
        states.iter().enumerate().try_for_each(|(replica, state)| check_state(replica, state, &settings))?;
        check_forces(&prediction, &settings)?;
        let systems: Vec<&System> = states.iter().map(|state| &state.system).collect();
        let again = evaluate(potential, &systems)?;
        let fits = replicas.len() == states.len()
            && prediction.energy.len() == again.energy.len()
            && prediction.forces.len() == again.forces.len()
            && prediction.virial.as_ref().map(Vec::len) == again.virial.as_ref().map(Vec::len);
        if !fits {
            return Err(Error::Other("the snapshot contradicts itself or is of another kind of potential".to_owned()));
        }
        check_same(&prediction, &again)?;
        let restore = |(index, kept): (usize, Bookkeeping)| {
            let mut rng = random_stream(&settings, index);
            rng.set_word_pos(u128::from(kept.word_position));
            Replica { rng, received: kept.received, degrees: kept.degrees, strain: None }
        };
        let replicas = replicas.into_iter().enumerate().map(restore).collect();
        let offsets = offsets(&states);
        // The forces of the snapshot, not those of now: a potential may round otherwise on another number of threads.
        Ok(Self { potential, settings, states, replicas, prediction, offsets, step })
    }
}

fn check_same(then: &Prediction, now: &Prediction) -> Result<()> {
    let both = || then.forces.iter().flatten().zip(now.forces.iter().flatten());
    let largest = both().fold(1.0_f64, |most, (a, b)| most.max(a.abs()).max(b.abs()));
    let apart = both().fold(0.0_f64, |most, (a, b)| most.max((a - b).abs()));
    match apart <= SAME_FORCES * largest {
        true => Ok(()),
        false => Err(Error::Other(format!(
            "the snapshot was made with another potential: its forces differ by {apart:.3} eV/Å from this one's; resume with the \
             same model"
        ))),
    }
}

fn drop_non_finite(system: &mut System) {
    use potstill_core::system::ColumnValues;
    system.metadata.retain(|_, value| !matches!(value, Value::Real(x) if !x.is_finite()));
    let is_finite = |values: &ColumnValues| match values {
        ColumnValues::Real(values) => values.iter().all(|x| x.is_finite()),
        _ => true,
    };
    system.columns.retain(|_, column| is_finite(&column.values));
}
