//! Errors of the teacher on real labels, and the zero of its energies.

use std::collections::BTreeMap;
use std::path::Path;

use potstill_core::elements::symbol_or_number;
use potstill_core::metrics::Evaluator;
use potstill_core::model::ElementEnergies;
use potstill_core::{Error, Potential, Result, System};
use potstill_data::dataset::{ReferenceEnergies, Systems, Visit};
use serde::{Deserialize, Serialize};

use super::structures::write_json;
use crate::generate::{Limits, label};

/// Real structures that the teacher is asked about, at most.
pub const ASKED: usize = 200;

/// Errors of the teacher on real labels, after constants for the elements were added to its energies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TeacherErrors {
    /// Real structures that it was asked about.
    pub n_systems: usize,
    /// Mean absolute error of the energy in eV.
    pub energy_mae: Option<f64>,
    /// Mean absolute error of a force component in eV/Å.
    pub forces_mae: Option<f64>,
}

/// Constants that bring the teacher's energies to the zero of real labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Zero {
    /// Errors after the shift.
    pub errors: TeacherErrors,
    /// Energy in eV that is added for each atom of an element, by symbol.
    pub by_symbol: BTreeMap<String, f64>,
    /// The same by atomic number.
    #[serde(skip)]
    pub shift: ElementEnergies,
}

impl Zero {
    /// Asks the teacher about real structures, evenly spread, or reads what it said before.
    ///
    /// # Errors
    /// Real structures without energies; what the teacher refuses; what the file system says.
    pub fn find(teacher: &dyn Potential, real: &Systems, path: &Path) -> Result<Self> {
        if let Ok(bytes) = std::fs::read(path) {
            let mut own: Self =
                serde_json::from_slice(&bytes).map_err(|e| Error::file(path, format!("cannot be read: {e}")))?;
            own.shift = ElementEnergies::new(
                own.by_symbol
                    .iter()
                    .filter_map(|(symbol, energy)| Some((potstill_core::elements::atomic_number(symbol)?, *energy))),
            );
            return Ok(own);
        }
        let own = Self::measure(teacher, real)?;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, "cannot create the folder", e))?;
        }
        write_json(path, &own)?;
        Ok(own)
    }

    /// Asks the teacher about real structures, evenly spread.
    ///
    /// # Errors
    /// Real structures without energies; what the teacher refuses.
    pub fn measure(teacher: &dyn Potential, real: &Systems) -> Result<Self> {
        let mut systems = Vec::new();
        let step = real.len().div_ceil(ASKED).max(1);
        real.visit(&mut |index, system| {
            if index % step == 0 && system.n_atoms() > 1 && system.energy.is_some() {
                systems.push(system.clone());
            }
            Ok(())
        })?;
        if systems.is_empty() {
            let message = "the real structures have no energies, to which the teacher's could be compared";
            return Err(Error::Other(message.to_owned()));
        }
        // Real structures may be anything: nothing is thrown away.
        let all = Limits { min_distance: 0.0, max_force: f64::INFINITY, max_energy_rise: f64::INFINITY };
        let (answers, _) = label(teacher, &systems, &all)?;
        if answers.len() != systems.len() {
            let message = "the teacher gives numbers that are not finite for some real structures";
            return Err(Error::Other(message.to_owned()));
        }
        let difference = |(real, answer): (&System, &System)| {
            let energy = real.energy.zip(answer.energy).map(|(real, answer)| real - answer);
            System { energy, forces: None, stress: None, ..real.clone() }
        };
        let differences: Systems = systems.iter().zip(&answers).map(difference).collect::<Vec<_>>().into();
        let shift = ReferenceEnergies::LeastSquares.fit(&differences)?.energies;
        let mut evaluator = Evaluator::new();
        for (real, answer) in systems.iter().zip(&answers) {
            let energy = answer.energy.unwrap_or(f64::NAN) + shift.total(&real.atomic_numbers)?;
            evaluator.update_in_group(None, real, energy, answer.forces.as_deref().unwrap_or_default())?;
        }
        let metrics = evaluator.finish();
        let errors =
            TeacherErrors { n_systems: systems.len(), energy_mae: metrics.energy_mae, forces_mae: metrics.forces_mae };
        let by_symbol = shift.elements().map(|z| (symbol_or_number(z), shift.get(z).unwrap_or(0.0))).collect();
        Ok(Self { errors, by_symbol, shift })
    }
}
