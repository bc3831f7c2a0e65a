//! Settings of dynamics and what is wrong with them.

use potstill_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// Quantities that the dynamics keep, and how.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Ensemble {
    /// Constant energy: velocity Verlet, L. Verlet, Phys. Rev. 159, 98 (1967), W. C. Swope et al., J. Chem. Phys. 76, 637 (1982).
    Nve,
    /// Constant temperature by friction and noise: BAOAB, see [`Langevin`](crate::Langevin).
    Langevin {
        /// Temperature of the bath in K.
        temperature: f64,
        /// Time in fs after which the bath has replaced velocities by a factor of e.
        friction_time: f64,
    },
    /// Constant temperature by stochastic velocity rescaling, G. Bussi, D. Donadio, M. Parrinello, J. Chem. Phys. 126, 014101
    /// (2007), half of it before and half after each step of velocity Verlet.
    Csvr {
        /// Temperature in K.
        temperature: f64,
        /// Relaxation time of the kinetic energy in fs.
        time: f64,
    },
    /// Constant temperature and pressure by stochastic cell rescaling, with stochastic velocity rescaling: M. Bernetti,
    /// G. Bussi, J. Chem. Phys. 153, 114107 (2020); anisotropic: V. Del Tatto, P. Raiteri, M. Bernetti, G. Bussi, Appl. Sci.
    /// 12, 1139 (2022).
    Npt {
        /// Temperature in K.
        temperature: f64,
        /// Relaxation time of the kinetic energy in fs.
        thermostat_time: f64,
        /// Pressure in eV/Å³; [`from_gigapascal`](potstill_core::units::from_gigapascal) makes it from GPa.
        pressure: f64,
        /// Relaxation time of the volume in fs, if the compressibility is right.
        barostat_time: f64,
        /// Estimate of the isothermal compressibility in Å³/eV. Only its ratio to `barostat_time` matters.
        compressibility: f64,
        /// Directions in which the cell changes.
        coupling: Coupling,
    },
}

/// Directions in which a barostat changes the cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coupling {
    /// The volume alone; the shape stays.
    #[default]
    Isotropic,
    /// All lengths and angles, without a rotation.
    Anisotropic,
}

/// Ensemble, timestep and random numbers of dynamics.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DynamicsSettings {
    /// Quantities that the dynamics keep.
    pub ensemble: Ensemble,
    /// Timestep in fs.
    pub timestep: f64,
    /// Seed of the random numbers; default 0.
    #[serde(default)]
    pub seed: u64,
    /// Number of the first replica, which is that of its random stream: replica 3 of many moves as a lone one with this number;
    /// default 0.
    #[serde(default)]
    pub first_replica: u64,
    /// Whether the velocity of the centre of mass is subtracted at the start, unless atoms are fixed; default true.
    #[serde(default = "yes")]
    pub remove_drift: bool,
    /// Whether the rotation of molecules (systems that are not periodic and have no fixed atoms) is subtracted at the start;
    /// default true.
    #[serde(default = "yes")]
    pub remove_rotation: bool,
    /// Whether `Nve` takes forces that are no gradient of an energy, which it else refuses because its energy would drift: for
    /// trajectories so short that this does not matter, such as collisions that only make structures; default false.
    #[serde(default)]
    pub accept_direct_forces: bool,
}

fn yes() -> bool {
    true
}

impl DynamicsSettings {
    /// Settings of an ensemble and a timestep in fs, with the defaults for all else.
    pub fn new(ensemble: Ensemble, timestep: f64) -> Self {
        Self {
            ensemble,
            timestep,
            seed: 0,
            first_replica: 0,
            remove_drift: true,
            remove_rotation: true,
            accept_direct_forces: false,
        }
    }

    /// Checks all numbers.
    ///
    /// # Errors
    /// The first setting that is unusable, by its name.
    pub fn check(&self) -> Result<()> {
        positive("timestep", self.timestep, "fs, such as 0.5")?;
        match self.ensemble {
            Ensemble::Nve => Ok(()),
            Ensemble::Langevin { temperature, friction_time } => {
                check_temperature(temperature)?;
                positive("friction_time", friction_time, "fs, such as 100")
            }
            Ensemble::Csvr { temperature, time } => {
                check_temperature(temperature)?;
                positive("time", time, "fs, such as 100")
            }
            Ensemble::Npt { temperature, thermostat_time, pressure, barostat_time, compressibility, .. } => {
                check_temperature(temperature)?;
                positive("thermostat_time", thermostat_time, "fs, such as 100")?;
                positive("barostat_time", barostat_time, "fs, such as 1000")?;
                positive("compressibility", compressibility, "Å³/eV, such as 7.3 for water or 0.9 for copper")?;
                finite("pressure", pressure, "eV/Å³ (1 GPa is 0.00624 eV/Å³)")
            }
        }
    }

    /// Temperature in K that a bath keeps; `None` at constant energy.
    pub fn temperature(&self) -> Option<f64> {
        match self.ensemble {
            Ensemble::Nve => None,
            Ensemble::Langevin { temperature, .. }
            | Ensemble::Csvr { temperature, .. }
            | Ensemble::Npt { temperature, .. } => Some(temperature),
        }
    }
}

/// Checks a temperature in K.
pub(super) fn check_temperature(temperature: f64) -> Result<()> {
    finite("temperature", temperature, "K, such as 300")?;
    match temperature >= 0.0 {
        true => Ok(()),
        false => Err(Error::setting("temperature", format!("is {temperature} K; it must not be negative"))),
    }
}

fn positive(key: &str, value: f64, example: &str) -> Result<()> {
    match value.is_finite() && value > 0.0 {
        true => Ok(()),
        false => Err(Error::setting(key, format!("is {value}; give a positive number of {example}"))),
    }
}

fn finite(key: &str, value: f64, example: &str) -> Result<()> {
    match value.is_finite() {
        true => Ok(()),
        false => Err(Error::setting(key, format!("is {value}; give a number of {example}"))),
    }
}
