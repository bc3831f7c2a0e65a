//! Molecular dynamics of many replicas, evaluated as one batch in every step.
//!
//! | ensemble | method | conserved |
//! |---|---|---|
//! | [`Ensemble::Nve`] | velocity Verlet | total energy |
//! | [`Ensemble::Langevin`] | BAOAB | total energy less what the bath gave |
//! | [`Ensemble::Csvr`] | stochastic velocity rescaling around velocity Verlet | total energy less what the bath gave |
//! | [`Ensemble::Npt`] | stochastic cell rescaling, with the thermostat of `Csvr` | see below |
//!
//! The conserved quantity of `Npt` is `H + P₀V − kT ln V`, less what the thermostat gave, plus `kT` times the logarithm of the
//! ratio of the probabilities of each step forward and backward. How far it drifts says how far the timestep is from exact
//! sampling.
//!
//! Every replica draws from a random stream of its own (the seed, and the replica's number), so that its trajectory does not
//! depend on how many others run.
//!
//! **Degrees of freedom** are 3 for each free atom, less 3 where the momentum was removed and stays zero (no fixed atoms, forces
//! that are gradients, no Langevin bath), less the rotations of a molecule (3, or 2 of a linear one) where the angular momentum
//! was removed and stays zero (`Nve` and `Csvr`). Fixed atoms never move.
//!
//! Forces that a network predicts directly are no gradient of an energy: `Nve` and `Npt` refuse them.

mod barostat;
mod csvr;
mod observables;
mod settings;
mod snapshot;
mod start;
mod step;
mod stop;

use potstill_core::{Error, Potential, Prediction, Result, System};
use rand_chacha::ChaCha8Rng;

pub use self::observables::Observables;
pub use self::settings::{Coupling, DynamicsSettings, Ensemble};
pub use self::snapshot::Snapshot;
pub use self::start::Start;
pub use self::stop::{StopReason, StopRule, Stopped};

use self::barostat::{Drive, Strain};
use self::start::Degrees;
use self::step::Pull;
use crate::evaluation::{evaluate, part};
use crate::state::State;

/// Trajectories of replicas under one potential.
///
/// ```
/// # use potstill_core::{Potential, Prediction, Result, System};
/// # struct Springs;
/// # impl Potential for Springs {
/// #     fn cutoff(&self) -> f64 { 0.0 }
/// #     fn elements(&self) -> &[u8] { &[18] }
/// #     fn evaluate(&self, systems: &[&System]) -> Result<Prediction> {
/// #         let energy = |r: &[f64; 3]| 0.5 * r.iter().map(|x| x * x).sum::<f64>();
/// #         let mut out = Prediction { virial: Some(vec![[[0.0; 3]; 3]; systems.len()]), ..Prediction::default() };
/// #         for system in systems {
/// #             out.energy.push(system.positions.iter().map(energy).sum());
/// #             out.atomic_energies.extend(system.positions.iter().map(energy));
/// #             out.forces.extend(system.positions.iter().map(|r| r.map(|x| -x)));
/// #         }
/// #         Ok(out)
/// #     }
/// # }
/// use potstill_simulate::{Dynamics, DynamicsSettings, Ensemble, Start};
///
/// let argon = System { atomic_numbers: vec![18; 2], positions: vec![[0.1, 0.0, 0.0], [-0.1, 0.0, 0.0]], ..System::default() };
/// let settings = DynamicsSettings::new(Ensemble::Langevin { temperature: 300.0, friction_time: 100.0 }, 1.0);
/// let start = Start { temperature: 300.0, exact: false };
/// let mut dynamics = Dynamics::start(&Springs, &[&argon, &argon], &start, settings)?;
/// for _ in 0..100 {
///     dynamics.step()?;
/// }
/// let second = dynamics.observables(1);
/// assert_eq!((second.step, second.time), (100, 100.0));
/// assert_eq!(second.kinetic, dynamics.states()[1].kinetic_energy());
/// # Ok::<(), potstill_core::Error>(())
/// ```
pub struct Dynamics<'p> {
    potential: &'p dyn Potential,
    settings: DynamicsSettings,
    states: Vec<State>,
    replicas: Vec<Replica>,
    prediction: Prediction,
    /// First atom of each replica in the batch, and the total at the end.
    offsets: Vec<usize>,
    step: u64,
}

/// What a replica has besides its state.
struct Replica {
    rng: ChaCha8Rng,
    /// Energy in eV that baths and barostat have given.
    received: f64,
    degrees: Degrees,
    /// Change of the cell in the step that is being made.
    strain: Option<Move>,
}

/// Change of a cell, and what drove it.
struct Move {
    drive: Drive,
    strain: Strain,
}

impl<'p> Dynamics<'p> {
    /// Dynamics of one replica for each state, all evaluated as one batch.
    ///
    /// Labels of the systems are forgotten, fixed atoms come to rest, and drift and rotation are removed if the settings say so.
    ///
    /// # Errors
    /// An unusable setting; a state that the ensemble cannot move (no atoms; `Npt` without a cell that is periodic in three
    /// directions or with fixed atoms; a thermostat that rescales velocities of zero); direct forces with `Nve` or `Npt`; what
    /// the potential refuses.
    pub fn new(potential: &'p dyn Potential, states: Vec<State>, settings: DynamicsSettings) -> Result<Self> {
        let rngs = (0..states.len()).map(|replica| start::random_stream(&settings, replica)).collect();
        Self::with_streams(potential, states, rngs, settings, None)
    }

    /// Dynamics of one replica for each system, with velocities drawn from the replica's random stream.
    ///
    /// # Errors
    /// As [`Dynamics::new`]; an unusable temperature; an element without a mass.
    pub fn start(
        potential: &'p dyn Potential,
        systems: &[&System],
        start: &Start,
        settings: DynamicsSettings,
    ) -> Result<Self> {
        start.check()?;
        let mut rngs: Vec<_> = (0..systems.len()).map(|replica| start::random_stream(&settings, replica)).collect();
        let draw = |(system, rng): (&&System, &mut ChaCha8Rng)| State::thermal(system, start.temperature, rng);
        let states = systems.iter().zip(&mut rngs).map(draw).collect::<Result<Vec<_>>>()?;
        Self::with_streams(potential, states, rngs, settings, start.exact.then_some(start.temperature))
    }

    fn with_streams(
        potential: &'p dyn Potential,
        mut states: Vec<State>,
        rngs: Vec<ChaCha8Rng>,
        settings: DynamicsSettings,
        exact: Option<f64>,
    ) -> Result<Self> {
        settings.check()?;
        if states.is_empty() {
            return Err(Error::Other("dynamics need at least one system".to_owned()));
        }
        states.iter().enumerate().try_for_each(|(replica, state)| start::check_state(replica, state, &settings))?;
        let systems: Vec<&System> = states.iter().map(|state| &state.system).collect();
        let prediction = evaluate(potential, &systems).map_err(|error| located(error, 0))?;
        start::check_forces(&prediction, &settings)?;
        let mut replicas = Vec::with_capacity(states.len());
        for (index, (state, rng)) in states.iter_mut().zip(rngs).enumerate() {
            start::forget_labels(&mut state.system);
            state.rest_fixed_atoms();
            let degrees = start::settle(state, &settings, prediction.virial.is_some());
            if let Some(temperature) = exact {
                start::rescale(state, degrees, temperature);
            }
            start::check_thermostat(index, state, degrees, &settings)?;
            replicas.push(Replica { rng, received: 0.0, degrees, strain: None });
        }
        let offsets = offsets(&states);
        Ok(Self { potential, settings, states, replicas, prediction, offsets, step: 0 })
    }

    /// Makes one step of all replicas.
    ///
    /// After an error the states are those that the potential was asked about; the dynamics cannot go on.
    ///
    /// # Errors
    /// What the potential refuses, energies or forces that are not finite, and a cell that changes too fast, with the replica
    /// and the step.
    pub fn step(&mut self) -> Result<()> {
        let step = self.step + 1;
        for (index, (state, replica)) in self.states.iter_mut().zip(&mut self.replicas).enumerate() {
            let pull = Pull::of(&self.prediction, index, &self.offsets);
            let advanced = replica.advance(state, pull, &self.settings);
            advanced.map_err(|message| located(Error::system(index, message), step))?;
        }
        let systems: Vec<&System> = self.states.iter().map(|state| &state.system).collect();
        self.prediction = evaluate(self.potential, &systems).map_err(|error| located(error, step))?;
        for (index, (state, replica)) in self.states.iter_mut().zip(&mut self.replicas).enumerate() {
            replica.finish(state, Pull::of(&self.prediction, index, &self.offsets), &self.settings);
        }
        self.step = step;
        Ok(())
    }

    /// State of each replica.
    pub fn states(&self) -> &[State] {
        &self.states
    }

    /// Energies, forces and virials of all replicas, atoms one replica after the other.
    pub fn prediction(&self) -> &Prediction {
        &self.prediction
    }

    /// Prediction of one replica by itself.
    ///
    /// # Panics
    /// If there is no such replica.
    pub fn prediction_of(&self, replica: usize) -> Prediction {
        part(&self.prediction, replica, self.offsets[replica]..self.offsets[replica + 1])
    }

    /// Degrees of freedom that the temperature of a replica is counted with.
    ///
    /// # Panics
    /// If there is no such replica.
    pub fn degrees_of_freedom(&self, replica: usize) -> usize {
        self.replicas[replica].degrees.n
    }

    /// Settings of the dynamics.
    pub fn settings(&self) -> &DynamicsSettings {
        &self.settings
    }

    /// Number of steps since the start.
    pub fn step_count(&self) -> u64 {
        self.step
    }
}

fn offsets(states: &[State]) -> Vec<usize> {
    let ends = states.iter().scan(0, |end, state| {
        *end += state.masses.len();
        Some(*end)
    });
    std::iter::once(0).chain(ends).collect()
}

/// Adds the step to an error about a replica.
fn located(error: Error, step: u64) -> Error {
    match error {
        Error::System { index, name, message } => {
            let name = name.map(|name| format!(" ({name})")).unwrap_or_default();
            Error::Other(format!("replica {index}{name}, step {step}: {message}"))
        }
        other => other,
    }
}
