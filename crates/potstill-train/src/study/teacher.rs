//! Teacher of a study: a network or a program, and its answers about the test systems, which are computed once.

use std::path::{Path, PathBuf};

use burn::tensor::DType;
use potstill_core::files::write_atomically;
use potstill_core::system::Vec3;
use potstill_core::{Committee, Error, Potential, Prediction, Result};
use potstill_data::dataset::text_hash;
use potstill_data::program::Program;
use potstill_nn::Model;
use potstill_nn::device::cpu;
use serde::{Deserialize, Serialize};

use super::parity::Pairs;
use super::test_sets::TestSet;
use crate::distill::TeacherSource;
use crate::evaluation::{Evaluation, measure, n_parameters};
use crate::host::Host;

/// File with the answers, in the folder of the study.
const ANSWERS: &str = "teacher.json";

/// Teacher of a study.
#[derive(Debug)]
pub enum StudyTeacher {
    /// Networks with their files: one, or several whose mean teaches while the first shows features.
    Networks(Vec<(PathBuf, Model)>),
    /// Program that is asked.
    Program(Program),
}

impl StudyTeacher {
    /// Opens model files, or prepares a program, which starts when it is first asked.
    ///
    /// # Errors
    /// A file that is no model, and an empty list of them.
    pub fn open(source: &TeacherSource) -> Result<Self> {
        if let TeacherSource::Program(settings) = source {
            return Program::new(settings).map(Self::Program).map_err(|e| Error::setting("teacher", e.to_string()));
        }
        let load = |path: &PathBuf| Ok((path.clone(), Model::load(path, &cpu(), DType::F32)?));
        let networks = source.paths().iter().map(load).collect::<Result<Vec<_>>>()?;
        if networks.is_empty() {
            return Err(Error::setting("teacher", "is an empty list; name a model, several, or a program"));
        }
        Ok(Self::Networks(networks))
    }

    /// Network whose features can be compared: the first, where there are several.
    pub fn network(&self) -> Option<&Model> {
        match self {
            Self::Networks(networks) => networks.first().map(|(_, model)| model),
            Self::Program(_) => None,
        }
    }

    /// Number of weights of its networks; zero of a program.
    pub fn n_parameters(&self) -> usize {
        match self {
            Self::Networks(networks) => networks.iter().map(|(_, model)| n_parameters(model)).sum(),
            Self::Program(_) => 0,
        }
    }

    /// Names of its architectures, or of its program.
    pub fn name(&self) -> String {
        match self {
            Self::Networks(networks) => {
                let names: Vec<&str> = networks.iter().map(|(_, model)| model.header().model.name()).collect();
                if let [name] = names.as_slice() { (*name).to_owned() } else { format!("mean of {}", names.join(", ")) }
            }
            Self::Program(program) => program.settings().to_string(),
        }
    }

    /// Hash of everything that its answers depend on.
    pub(super) fn hash(&self) -> String {
        match self {
            Self::Networks(networks) => networks.iter().map(|(_, model)| model.hash()).collect::<Vec<_>>().join(" "),
            Self::Program(program) => text_hash(&format!("program {}", program.settings().hash())),
        }
    }
}

/// Answers of a teacher about one test set, and their errors.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Answers {
    /// Errors against the labels, and speed.
    pub evaluation: Evaluation,
    /// Answers beside labels, for plots.
    pub pairs: Pairs,
    /// Energies of the systems in eV.
    pub(super) energy: Vec<f64>,
    /// Forces on the atoms of each system in eV/Å.
    pub(super) forces: Vec<Vec<Vec3>>,
}

/// Contents of the file of answers.
#[derive(Serialize, Deserialize)]
struct Stored {
    fingerprint: String,
    sets: Vec<Answers>,
}

/// Answers about all test sets: those in the folder of a study, where they are about the same systems; else the teacher is
/// asked, and they are stored.
pub(super) fn answers(
    teacher: &StudyTeacher,
    sets: &[TestSet],
    folder: Option<&Path>,
    host: &dyn Host,
) -> Result<Vec<Answers>> {
    let hashes: Vec<&str> = sets.iter().map(|set| set.hash.as_str()).collect();
    let fingerprint = text_hash(&format!("{}{}", teacher.hash(), hashes.join(" ")));
    let path = folder.map(|folder| folder.join(ANSWERS));
    let known = path.as_ref().and_then(|path| std::fs::read(path).ok());
    let known = known.and_then(|bytes| serde_json::from_slice::<Stored>(&bytes).ok());
    if let Some(known) = known.filter(|known| known.fingerprint == fingerprint) {
        return Ok(known.sets);
    }
    let sets = match teacher {
        StudyTeacher::Networks(networks) => {
            let members = networks.iter().map(|(path, _)| host.potential(path)).collect::<Result<Vec<_>>>()?;
            ask_all(&Committee::new(members)?, sets, host)
        }
        StudyTeacher::Program(program) => ask_all(program, sets, host),
    }?;
    let stored = Stored { fingerprint, sets };
    if let Some(path) = path {
        write_atomically(&path, |writer| Ok(serde_json::to_writer(writer, &stored)?))?;
    }
    Ok(stored.sets)
}

fn ask_all(potential: &dyn Potential, sets: &[TestSet], host: &dyn Host) -> Result<Vec<Answers>> {
    sets.iter().map(|set| ask(potential, set, host)).collect()
}

/// Asks about every system of a set.
fn ask(potential: &dyn Potential, set: &TestSet, host: &dyn Host) -> Result<Answers> {
    let task = host.task(&format!("evaluating the teacher on {}", set.name), set.systems.len());
    let (mut pairs, mut energy, mut forces) = (Pairs::default(), Vec::new(), Vec::new());
    let evaluation = measure(potential, &set.systems, None, &mut |systems, prediction: &Prediction| {
        pairs.add(systems, prediction);
        let mut first = 0;
        for (system, &own) in systems.iter().zip(&prediction.energy) {
            energy.push(own);
            forces.push(prediction.forces[first..first + system.n_atoms()].to_vec());
            first += system.n_atoms();
        }
        task.set(energy.len());
    })?;
    Ok(Answers { evaluation, pairs, energy, forces })
}
