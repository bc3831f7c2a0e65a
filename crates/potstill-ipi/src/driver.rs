//! The driver: answers a server until it says that all is done.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use potstill_core::{Potential, Result, System};

use crate::answer::answer;
use crate::batch::Batch;
use crate::connection::{Broken, Connection, Wire};
use crate::message::{Request, name, read_init};
use crate::options::Options;

/// How a run of a driver ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The server said that all is done, as i-PI does.
    Exit,
    /// The server closed the connection between two messages, as ASE does.
    Closed,
    /// The user interrupted.
    Interrupted,
}

/// What a driver did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Number of messages with positions.
    pub n_requests: u64,
    /// Number of systems in them, without the copies that fill a batch.
    pub n_systems: u64,
    /// Time in the potential.
    pub evaluating: Duration,
}

/// End of a run, and what was done before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Reason of the end.
    pub end: End,
    /// What was done.
    pub statistics: Statistics,
}

/// Driver of i-PI: computes energies and forces of the positions that a server sends.
#[derive(Clone)]
pub struct Driver<'p> {
    potential: &'p dyn Potential,
    template: System,
    options: Options,
}

impl std::fmt::Debug for Driver<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver")
            .field("template", &self.template)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl<'p> Driver<'p> {
    /// Driver on `potential` for systems like `template`: its atomic numbers in their order, its periodic axes, and its cell
    /// where no axis is periodic (then the server's is ignored).
    ///
    /// The potential is asked about the template, so that a run does not begin with what cannot go well.
    ///
    /// # Errors
    /// A template that the potential cannot compute; direct forces that are not allowed.
    pub fn new(potential: &'p dyn Potential, template: &System, options: Options) -> Result<Self> {
        let prediction = potential.evaluate(&[template])?;
        answer(&prediction, 1, template.n_atoms(), &options)?;
        Ok(Self { potential, template: template.clone(), options })
    }

    /// Answers the server until it ends the run, it closes the connection between two messages, or `interrupt` is set. After each
    /// message with positions `tell` hears what was done so far. The connection is closed at the end, whatever it is.
    ///
    /// # Errors
    /// Messages that make no sense, another number of atoms, a connection that breaks in the middle of a message or before the
    /// server fetched the forces that it asked for, and errors of the potential.
    pub fn run(
        &self,
        connection: Connection,
        interrupt: &AtomicBool,
        tell: &mut dyn FnMut(&Statistics),
    ) -> Result<Ended> {
        let mut session = Session {
            driver: self,
            wire: Wire::new(connection, interrupt),
            batch: Batch::new(&self.template, self.options.units.bohr),
            is_initialised: false,
            answer: None,
            statistics: Statistics::default(),
        };
        let end = loop {
            match session.message(tell) {
                Ok(None) => {}
                Ok(Some(end)) => break end,
                Err(Broken::Interrupted) => break End::Interrupted,
                Err(Broken::Closed) if session.answer.is_none() => break End::Closed,
                Err(Broken::Closed) => {
                    return Err(session
                        .wire
                        .error("closed the connection before it fetched forces; see what its output says"));
                }
                Err(Broken::Failed(error)) => return Err(error),
            }
        };
        Ok(Ended { end, statistics: session.statistics })
    }
}

/// One conversation.
struct Session<'a> {
    driver: &'a Driver<'a>,
    wire: Wire<'a>,
    batch: Batch,
    is_initialised: bool,
    /// Forces that the server has not fetched yet.
    answer: Option<Vec<u8>>,
    statistics: Statistics,
}

impl Session<'_> {
    /// Reads one message and does what it says.
    fn message(&mut self, tell: &mut dyn FnMut(&Statistics)) -> Result<Option<End>, Broken> {
        match Request::read(&mut self.wire)? {
            Request::Status => self.wire.send(&name(self.status()))?,
            Request::Init => {
                let size = read_init(&mut self.wire, self.driver.template.n_atoms())?;
                self.batch.resize(size);
                self.is_initialised = true;
            }
            Request::Positions => {
                self.batch.read(&mut self.wire)?;
                // Some servers never initialise.
                self.is_initialised = true;
                self.answer = Some(self.evaluate().map_err(Broken::Failed)?);
                tell(&self.statistics);
            }
            Request::Forces => match self.answer.take() {
                Some(answer) => self.wire.send(&answer)?,
                None => return self.wire.failed("asked for forces before it sent positions"),
            },
            Request::Exit => return Ok(Some(End::Exit)),
        }
        Ok(None)
    }

    fn status(&self) -> &'static str {
        match (&self.answer, self.is_initialised) {
            (Some(_), _) => "HAVEDATA",
            (None, true) => "READY",
            // i-PI says how many systems a message has only where it is asked for an initialisation.
            (None, false) => "NEEDINIT",
        }
    }

    /// Energies and forces of the systems of the last message as one batch, ready to be sent.
    fn evaluate(&mut self) -> Result<Vec<u8>> {
        let systems = self.batch.distinct();
        let start = Instant::now();
        let prediction = self.driver.potential.evaluate(&systems)?;
        self.statistics.evaluating += start.elapsed();
        self.statistics.n_requests += 1;
        self.statistics.n_systems += systems.len() as u64;
        answer(&prediction, self.batch.size(), self.driver.template.n_atoms(), &self.driver.options)
    }
}
