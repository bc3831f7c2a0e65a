//! Any program as a potential: the filter protocol.
//!
//! The program is started once, when it is first asked. Systems go to its standard input as extended XYZ, a batch at a time; the same systems come back
//! on its standard output in the same order, with `energy` (eV), `forces` (eV/Å) and, where it has them, `stress` (eV/Å³, tension
//! positive) and `atomic_energies` (eV). Its standard error is shown. It ends when its input is closed. Nothing else is needed, so
//! that a program for any calculator of ASE is a loop of ten lines.
//!
//! Questions carry no labels: whoever sends back what it got has answered nothing. A program that dies, hangs, answers about
//! other systems or stops giving what it gave is an error with the last lines of its standard error; it is never started again.

mod answer;
mod child;
mod settings;
#[cfg(test)]
mod tests;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use potstill_core::system::{Mat3, Vec3};
use potstill_core::{Error, Potential, Prediction, Result, System};

pub use self::answer::{Given, atomic_energies};
use self::answer::{check, question};
use self::child::Running;
pub use self::settings::ProgramSettings;

/// Every element, since a program says of itself which ones it knows.
const ELEMENTS: [u8; 118] = {
    let mut elements = [0; 118];
    let mut i = 0;
    while i < 118 {
        elements[i] = i as u8 + 1;
        i += 1;
    }
    elements
};

/// A program that labels systems, started when it is first asked.
#[derive(Debug)]
pub struct Program {
    settings: ProgramSettings,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    process: Process,
    /// Labels of the answers so far.
    given: Option<Given>,
}

#[derive(Debug)]
enum Process {
    NotStarted,
    Running(Running),
    /// Gone, with what went wrong.
    Failed(String),
}

impl Program {
    /// Program that has not been started.
    ///
    /// # Errors
    /// Settings that cannot be.
    pub fn new(settings: &ProgramSettings) -> Result<Self> {
        settings.check()?;
        let state = State { process: Process::NotStarted, given: None };
        Ok(Self { settings: settings.clone(), state: Mutex::new(state) })
    }

    /// Command and limits.
    pub fn settings(&self) -> &ProgramSettings {
        &self.settings
    }

    /// Answers about systems: the systems with the program's labels. One call at a time reaches the program.
    ///
    /// # Errors
    /// A program that is not there, ends, hangs, or answers about something else; names the system of the batch.
    pub fn answers(&self, systems: &[&System]) -> Result<Vec<System>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { process, given } = &mut *state;
        let running = process.running(&self.settings)?;
        ask(running, systems, given, Duration::from_secs_f64(self.settings.timeout_seconds)).map_err(|fault| {
            if fault.is_fatal {
                *process = Process::Failed(fault.message.clone());
            }
            let message = format!("the program {} {}", self.settings, fault.message);
            Error::System { index: fault.index, name: systems.get(fault.index).and_then(|s| s.name()), message }
        })
    }

    /// Labels that the program gives, as far as its answers have shown.
    pub fn given(&self) -> Option<Given> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).given
    }
}

impl Process {
    /// The running process, started if it was not.
    fn running(&mut self, settings: &ProgramSettings) -> Result<&mut Running> {
        if let Self::NotStarted = self {
            *self = Self::Running(Running::start(settings)?);
        }
        match self {
            Self::Running(running) => Ok(running),
            Self::Failed(message) => Err(Error::Other(format!("the program {settings} is gone: it {message}"))),
            Self::NotStarted => Err(Error::Other(format!("the program {settings} was not started"))),
        }
    }
}

/// Failure at one system of a batch.
struct Fault {
    index: usize,
    message: String,
    /// Whether the program can no longer be asked.
    is_fatal: bool,
}

fn ask(
    process: &mut Running,
    systems: &[&System],
    given: &mut Option<Given>,
    patience: Duration,
) -> Result<Vec<System>, Fault> {
    let mut text = String::new();
    for (index, system) in systems.iter().enumerate() {
        let refused = |message| Fault { index, message: format!("cannot be asked: {message}"), is_fatal: false };
        question(&mut text, system).map_err(refused)?;
    }
    let fatal = |index: usize| move |message: String| Fault { index, message, is_fatal: true };
    if process.has_spoken() {
        return Err(fatal(0)("has written more answers than there were questions".to_owned()));
    }
    process.send(text);
    let mut answers = Vec::with_capacity(systems.len());
    for (index, system) in systems.iter().enumerate() {
        let answer = process.next(patience).map_err(fatal(index))?;
        check(system, &answer, *given).map_err(fatal(index))?;
        given.get_or_insert_with(|| Given::of(&answer));
        answers.push(answer);
    }
    Ok(answers)
}

impl Potential for Program {
    /// 0, since a program does not say how far it looks.
    fn cutoff(&self) -> f64 {
        0.0
    }

    fn elements(&self) -> &[u8] {
        &ELEMENTS
    }

    /// Energies and forces; `atomic_energies` is empty, and `virial` absent, where the program gives none. Forces are taken for
    /// gradients of the energy.
    fn evaluate(&self, systems: &[&System]) -> Result<Prediction> {
        let mut prediction = Prediction::default();
        let mut virials = Vec::new();
        for (index, answer) in self.answers(systems)?.into_iter().enumerate() {
            let lacks = |what: &str| Error::system(index, format!("the program {} gives no `{what}`", self.settings));
            prediction.energy.push(answer.energy.ok_or_else(|| lacks("energy"))?);
            prediction.atomic_energies.extend(atomic_energies(&answer).unwrap_or_default());
            let forces = answer.forces.ok_or_else(|| lacks("forces"))?;
            let from_stress = virial(systems[index], answer.stress.as_ref());
            virials.extend(from_stress.or_else(|| virial_of_molecule(systems[index], &forces)));
            prediction.forces.extend(forces);
        }
        prediction.virial = (!virials.is_empty() && virials.len() == systems.len()).then_some(virials);
        Ok(prediction)
    }
}

/// Virial in eV from the stress of an answer and the volume of the system's cell; none without one of them.
pub fn virial(system: &System, stress: Option<&Mat3>) -> Option<Mat3> {
    let (stress, volume) = (stress?, system.volume()?);
    Some(stress.map(|row| row.map(|s| -volume * s)))
}

/// Virial in eV of a system that is not periodic, which forces alone decide: `Σ F ⊗ r`.
fn virial_of_molecule(system: &System, forces: &[Vec3]) -> Option<Mat3> {
    if system.is_periodic() {
        return None;
    }
    let mut virial = [[0.0; 3]; 3];
    for (force, position) in forces.iter().zip(&system.positions) {
        for a in 0..3 {
            for b in 0..3 {
                virial[a][b] += force[a] * position[b];
            }
        }
    }
    Some(virial)
}
