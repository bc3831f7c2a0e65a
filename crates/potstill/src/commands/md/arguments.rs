//! Arguments of `potstill md`.

use std::path::PathBuf;

use anyhow::Result;
use clap::ValueEnum;
use potstill_core::units::from_gigapascal;
use potstill_simulate::{Coupling, DynamicsSettings, Ensemble, Start};

use crate::args::ExistingArgs;
use crate::limits::{number, of_option, positive, seed, whole};
use crate::potential::PotentialArgs;

/// Quantities that dynamics keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EnsembleKind {
    /// Constant energy, by velocity Verlet.
    Nve,
    /// Constant temperature by friction and noise, by BAOAB.
    Langevin,
    /// Constant temperature by stochastic velocity rescaling.
    Csvr,
    /// Constant temperature and pressure by stochastic cell rescaling.
    Npt,
}

/// Directions in which the cell changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CouplingKind {
    /// The volume alone.
    Isotropic,
    /// All lengths and angles.
    Anisotropic,
}

/// Arguments of `potstill md`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What gives the forces.
    #[command(flatten)]
    pub potential: PotentialArgs,
    /// File of systems to start from.
    ///
    /// Each of them moves by itself.
    #[arg(long, value_name = "FILE", required_unless_present = "resume")]
    pub input: Option<PathBuf>,
    /// Folder for trajectory, log and restart file.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Number of steps from the start.
    #[arg(long, value_name = "N", value_parser = whole(0..=1_000_000_000_000_u64))]
    pub steps: u64,
    /// nve, langevin, csvr or npt.
    ///
    /// nve keeps the energy, langevin and csvr the temperature, npt also the pressure. nve and npt need forces that are gradients.
    #[arg(long, value_enum, value_name = "NAME", default_value = "langevin", hide_possible_values = true)]
    pub ensemble: EnsembleKind,
    /// Temperature in K.
    ///
    /// Of the velocities at the start, and of the bath.
    #[arg(long, default_value_t = 300.0, value_name = "K", value_parser = number(0.0..=1e7))]
    pub temperature: f64,
    /// Timestep in fs.
    #[arg(long, default_value_t = 0.5, value_name = "FS", value_parser = positive(1000.0))]
    pub timestep: f64,
    /// Time in which the bath of langevin forgets velocities, in fs.
    #[arg(long, default_value_t = 1000.0, value_name = "FS", value_parser = positive(1e9), hide_short_help = true)]
    pub friction_time: f64,
    /// Relaxation time of the kinetic energy of csvr and npt, in fs.
    #[arg(long, default_value_t = 100.0, value_name = "FS", value_parser = positive(1e9), hide_short_help = true)]
    pub thermostat_time: f64,
    /// Pressure of npt in GPa.
    #[arg(long, default_value_t = 0.0, value_name = "GPA", value_parser = number(-1e4..=1e4), allow_negative_numbers = true, hide_short_help = true)]
    pub pressure: f64,
    /// Relaxation time of the volume of npt, in fs.
    #[arg(long, default_value_t = 1000.0, value_name = "FS", value_parser = positive(1e9), hide_short_help = true)]
    pub barostat_time: f64,
    /// Estimate of the compressibility in 1/GPa, for npt.
    ///
    /// Only its ratio to --barostat-time matters. Default: that of water.
    #[arg(long, default_value_t = 0.457, value_name = "PER_GPA", value_parser = positive(1e6), hide_short_help = true)]
    pub compressibility: f64,
    /// Change of the cell under npt: isotropic or anisotropic.
    #[arg(
        long,
        value_enum,
        value_name = "KIND",
        default_value = "isotropic",
        hide_possible_values = true,
        hide_short_help = true
    )]
    pub coupling: CouplingKind,
    /// Copies of each system.
    ///
    /// With velocities of their own. All are evaluated as one batch.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = whole(1..=100_000_usize))]
    pub replicas: usize,
    /// Use the first that many systems of the input only.
    #[arg(long, value_name = "N", value_parser = whole(1..=usize::MAX), hide_short_help = true)]
    pub max_systems: Option<usize>,
    /// Steps between two frames.
    ///
    /// Of the trajectory, and between two lines of the log.
    #[arg(long, hide_short_help = true, default_value_t = 100, value_name = "N", value_parser = whole(1..=1_000_000_000_u64))]
    pub every: u64,
    /// Steps between two restart files.
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = whole(1..=1_000_000_000_u64), hide_short_help = true)]
    pub restart_every: u64,
    /// Stop at a limit, as temperature=3000.
    ///
    /// Or distance=0.5: temperature in K, distance of two atoms in Å, move of an atom in one step in Å; may be repeated. The frame is kept, and the
    /// exit status is 1.
    #[arg(long, value_name = "LIMIT")]
    pub stop_when: Vec<String>,
    /// Write velocities into the trajectory, in Å/fs.
    #[arg(long, hide_short_help = true)]
    pub velocities: bool,
    /// Compress the trajectory (zstd).
    #[arg(long, hide_short_help = true)]
    pub compress: bool,
    /// Go on with the run in --out, up to --steps.
    ///
    /// Starts where there is none yet: a job script can always give it.
    #[arg(long)]
    pub resume: bool,
    /// Start at exactly --temperature, instead of at a random one around it.
    #[arg(long, hide_short_help = true)]
    pub exact_temperature: bool,
    /// Keep the drift of the centre of mass, and the rotation of molecules, at the start.
    #[arg(long, hide_short_help = true)]
    pub keep_drift: bool,
    /// Seed of all random numbers.
    #[arg(long, default_value_t = 0, value_parser = seed)]
    pub seed: u64,
    /// Files that exist already.
    #[command(flatten)]
    pub existing: ExistingArgs,
    /// Print the last numbers as JSON.
    #[arg(long)]
    pub json: bool,
}

impl Args {
    /// Settings of the dynamics, in eV, Å and fs.
    ///
    /// # Errors
    /// A number that dynamics refuse, by the name of its option.
    pub fn settings(&self) -> Result<DynamicsSettings> {
        let pressure = from_gigapascal(self.pressure);
        let ensemble = match self.ensemble {
            EnsembleKind::Nve => Ensemble::Nve,
            EnsembleKind::Langevin => {
                Ensemble::Langevin { temperature: self.temperature, friction_time: self.friction_time }
            }
            EnsembleKind::Csvr => Ensemble::Csvr { temperature: self.temperature, time: self.thermostat_time },
            EnsembleKind::Npt => Ensemble::Npt {
                temperature: self.temperature,
                thermostat_time: self.thermostat_time,
                pressure,
                barostat_time: self.barostat_time,
                // A compressibility is the inverse of a pressure.
                compressibility: 1.0 / from_gigapascal(1.0 / self.compressibility),
                coupling: match self.coupling {
                    CouplingKind::Isotropic => Coupling::Isotropic,
                    CouplingKind::Anisotropic => Coupling::Anisotropic,
                },
            },
        };
        let mut settings = DynamicsSettings::new(ensemble, self.timestep);
        settings.seed = self.seed;
        (settings.remove_drift, settings.remove_rotation) = (!self.keep_drift, !self.keep_drift);
        settings.check().map_err(of_option)?;
        Ok(settings)
    }

    /// Velocities at the start.
    pub fn start(&self) -> Start {
        Start { temperature: self.temperature, exact: self.exact_temperature }
    }
}
