//! Moment and signal of a kill.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Time between two looks at a run.
pub const TICK: Duration = Duration::from_micros(200);

/// Signal that ends a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// At once, as by a power cut.
    Kill,
    /// SIGTERM, as of a queue whose time is over.
    Terminate,
    /// SIGINT, as of Ctrl-C.
    Interrupt,
}

impl Signal {
    /// The signal's own name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "KILL",
            Self::Terminate => "TERM",
            Self::Interrupt => "INT",
        }
    }

    /// Sends it.
    pub fn send(self, child: &mut Child) -> Result<()> {
        if self == Self::Kill {
            return child.kill().context("cannot kill");
        }
        let status = Command::new("kill").arg(format!("-{}", self.name())).arg(child.id().to_string()).output();
        // A program that ended meanwhile cannot be signalled, and need not be.
        if status.context("cannot start kill")?.status.success() || child.try_wait()?.is_some() {
            return Ok(());
        }
        bail!("cannot send {} to process {}", self.name(), child.id())
    }
}

/// Event that is waited for.
#[derive(Debug, Clone, Copy)]
enum Wait {
    /// A time since the start.
    Time(Duration),
    /// The appearance of that many temporary files, and a moment.
    Save(usize, Duration),
}

/// A moment at which a run is killed.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    wait: Wait,
    /// Signal of the kill.
    pub signal: Signal,
}

impl Moment {
    /// Half of them at any time, half when a file is being saved.
    pub fn draw(rng: &mut ChaCha8Rng, seconds: f64, n_saves: usize) -> Self {
        let signal = match rng.random_range(0..10) {
            0 => Signal::Terminate,
            1 => Signal::Interrupt,
            _ => Signal::Kill,
        };
        let wait = match n_saves > 0 && rng.random() {
            true => {
                let pause = Duration::from_micros(rng.random_range(0..1500));
                Wait::Save(rng.random_range(1..=n_saves), pause)
            }
            false => Wait::Time(Duration::from_secs_f64(seconds * rng.random::<f64>())),
        };
        Self { wait, signal }
    }

    /// Whether it is now.
    pub fn has_come(&self, elapsed: Duration, saves: &Saves) -> bool {
        match self.wait {
            Wait::Time(time) => elapsed >= time,
            Wait::Save(n, pause) => saves.seen() >= n && saves.since_last() >= pause,
        }
    }
}

/// Temporary files that a run makes while it saves.
#[derive(Default)]
pub struct Saves {
    all: HashSet<PathBuf>,
    open: usize,
    last: Option<Instant>,
}

impl Saves {
    /// Looks for them.
    pub fn look(&mut self, folder: &Path) {
        let mut found = Vec::new();
        collect(folder, &mut found);
        self.open = found.len();
        for path in found {
            if self.all.insert(path) {
                self.last = Some(Instant::now());
            }
        }
    }

    /// Number of those that were seen so far.
    pub fn seen(&self) -> usize {
        self.all.len()
    }

    /// Whether one was there at the last look.
    pub fn is_open(&self) -> bool {
        self.open > 0
    }

    fn since_last(&self) -> Duration {
        self.last.map_or(Duration::ZERO, |last| last.elapsed())
    }
}

/// Whether a file is one that potstill writes before it gets its final name.
pub fn is_temporary(path: &Path) -> bool {
    path.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with(".potstill-") && n.ends_with(".tmp"))
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => collect(&path, found),
            _ if is_temporary(&path) => found.push(path),
            _ => {}
        }
    }
}
