//! What a run of dynamics writes: trajectories, log and restart file.

use anyhow::{Result, bail};
use potstill_core::columns::{Column, ColumnValues};
use potstill_core::system::Value;
use potstill_core::{Prediction, System};
use potstill_data::io::growing::GrowingFile;
use potstill_data::io::trajectory::Trajectory;
use potstill_simulate::{Dynamics, Observables};
use serde::Serialize;

use super::Args;
use super::folder::{Restart, RunFolder};

/// Writer of trajectories, log and restart file.
pub struct Recorder {
    folder: RunFolder,
    potential: String,
    trajectories: Vec<Trajectory>,
    log: GrowingFile,
    every: u64,
    restart_every: u64,
    has_velocities: bool,
}

/// Line of the log.
#[derive(Serialize)]
struct Line {
    replica: usize,
    #[serde(flatten)]
    observables: Observables,
}

impl Recorder {
    /// Recorder of a new run.
    ///
    /// The restart file comes first, so that no other file is there without it, whenever the run is killed.
    ///
    /// # Errors
    /// What the file system says.
    pub fn create(folder: &RunFolder, args: &Args, dynamics: &Dynamics<'_>, potential: &str) -> Result<Self> {
        let n = dynamics.states().len();
        folder.write_restart(&Restart::new(potential, vec![0; n], 0, dynamics.snapshot()))?;
        let paths = (0..n).map(|replica| folder.trajectory(replica, n));
        let trajectories = paths.map(|path| Trajectory::create(&path)).collect::<Result<_, _>>()?;
        let log = GrowingFile::create(&folder.log())?;
        Ok(Self::with(folder, args, potential, trajectories, log))
    }

    /// Recorder of a run that goes on: what was written after the restart file is dropped, to be written again.
    ///
    /// # Errors
    /// Files that are gone or shorter than they were.
    pub fn resume(folder: &RunFolder, args: &Args, restart: &Restart) -> Result<Self> {
        let n = restart.trajectories.len();
        if n != restart.snapshot.states().len() {
            bail!("{}: the restart file contradicts itself; start again without --resume", folder.path.display());
        }
        let pairs = restart.trajectories.iter().enumerate();
        let resume = |(replica, &len): (usize, &u64)| Trajectory::resume(&folder.trajectory(replica, n), len);
        let trajectories = pairs.map(resume).collect::<Result<_, _>>()?;
        let log = GrowingFile::resume(&folder.log(), restart.log)?;
        Ok(Self::with(folder, args, &restart.potential, trajectories, log))
    }

    fn with(folder: &RunFolder, args: &Args, potential: &str, trajectories: Vec<Trajectory>, log: GrowingFile) -> Self {
        Self {
            folder: folder.clone(),
            potential: potential.to_owned(),
            trajectories,
            log,
            every: args.every,
            restart_every: args.restart_every,
            has_velocities: args.velocities,
        }
    }

    /// Records a step where it is due.
    ///
    /// # Errors
    /// What the file system says; all whole frames stay.
    pub fn step(&mut self, dynamics: &Dynamics<'_>) -> Result<()> {
        if dynamics.step_count().is_multiple_of(self.every) {
            self.record(dynamics)?;
        }
        match dynamics.step_count().is_multiple_of(self.restart_every) {
            true => self.save(dynamics),
            false => Ok(()),
        }
    }

    /// Appends a frame and a line of each replica.
    ///
    /// # Errors
    /// As [`Recorder::step`].
    pub fn record(&mut self, dynamics: &Dynamics<'_>) -> Result<()> {
        let mut lines = Vec::new();
        for (replica, trajectory) in self.trajectories.iter_mut().enumerate() {
            let observables = dynamics.observables(replica);
            let prediction = dynamics.prediction_of(replica);
            let state = &dynamics.states()[replica];
            let mut frame = frame(&state.system, &prediction, &observables);
            if self.has_velocities {
                let column = ColumnValues::Real(state.velocities.as_flattened().to_vec());
                frame.columns.insert("velocities".to_owned(), Column { width: 3, values: column });
            }
            trajectory.write(&[frame])?;
            serde_json::to_writer(&mut lines, &Line { replica, observables })?;
            lines.push(b'\n');
        }
        Ok(self.log.append(&lines)?)
    }

    /// Writes the restart file.
    ///
    /// # Errors
    /// What the file system says; the last restart file is then untouched.
    pub fn save(&mut self, dynamics: &Dynamics<'_>) -> Result<()> {
        // What the restart file counts on must be on the disk before it.
        self.trajectories.iter().try_for_each(Trajectory::sync)?;
        self.log.sync()?;
        let lengths = self.trajectories.iter().map(Trajectory::len).collect();
        let restart = Restart::new(&self.potential, lengths, self.log.len(), dynamics.snapshot());
        self.folder.write_restart(&restart)
    }
}

/// System with its labels and the moment that it shows.
fn frame(system: &System, prediction: &Prediction, observables: &Observables) -> System {
    let mut frame = system.clone();
    frame.energy = prediction.energy.first().copied();
    frame.forces = Some(prediction.forces.clone());
    frame.stress = prediction.stress(0, system);
    frame.metadata.insert("step".to_owned(), Value::Int(observables.step as i64));
    frame.metadata.insert("time_fs".to_owned(), Value::Real(observables.time));
    frame.metadata.insert("temperature_K".to_owned(), Value::Real(observables.temperature));
    frame
}
