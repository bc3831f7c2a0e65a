//! Seeded mutation fuzzing of file readers on stable Rust; `docs/book/src/explanation/robustness.md` says how to use and extend it.
//!
//! A [`Target`] is a reader with a corpus. [`run`] changes inputs of the corpus at random, lays each in a file, and lets the
//! reader open it. An input whose outcome is new, numbers aside, joins the pool of inputs that are changed further.
//!
//! | file | what it holds |
//! |---|---|
//! | `mutate` | random changes of bytes |
//! | `shape` | containers with lengths and checksums: zip, safetensors, hashes |
//! | `guard` | panics, and the time limit of an input |
//! | `memory` | an allocator that counts, and refuses what is too much |
//! | `worker` | short runs in tests, long runs that `cargo xtask fuzz` starts |

mod guard;
pub mod memory;
mod mutate;
pub mod shape;
mod worker;

use std::collections::HashSet;
use std::fs::File;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use guard::TIME_LIMIT;
pub use mutate::{MAX_INPUT, Mutator};
pub use shape::Shape;
pub use worker::{check, corpus, regressions, worker};

/// Inputs that are kept for further changes, at most.
const POOL: usize = 2000;
/// Findings after which a run ends.
const MAX_FINDINGS: usize = 20;

/// A reader under test.
pub struct Target {
    /// Name, also of its folders of inputs.
    pub name: &'static str,
    /// Name of the file that the reader opens; its ending may choose the format.
    pub file: &'static str,
    /// Inputs to start from.
    pub corpus: Vec<Vec<u8>>,
    /// Words of the format.
    pub dictionary: &'static [&'static str],
    /// Part of the file that is worth most of the changes.
    pub shape: Shape,
    /// Reads the file; the message of an error is an outcome, a panic a finding.
    pub read: Reader,
}

/// Function under test: everything a user's file of that name goes through.
pub type Reader = Box<dyn Fn(&Path) -> Result<(), String>>;

/// Limit that ends a run.
#[derive(Debug, Clone, Copy)]
pub enum Budget {
    /// Number of inputs.
    Inputs(u64),
    /// So much time.
    Time(Duration),
}

/// A defect that an input shows.
#[derive(Debug, Clone)]
pub struct Finding {
    /// `panic` or `message`.
    pub kind: &'static str,
    /// Message of the panic, and its place.
    pub message: String,
    /// The input.
    pub input: Vec<u8>,
}

/// Counts of a run.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Inputs that were tried.
    pub inputs: u64,
    /// Inputs that were read without an error.
    pub accepted: u64,
    /// Different outcomes, numbers in messages aside.
    pub outcomes: usize,
    /// Most bytes that one input took; 0 where [`memory::Limited`] is not the allocator.
    pub peak_bytes: usize,
    /// Longest time that one input took.
    pub slowest: Duration,
    /// Defects, one for each place.
    pub findings: Vec<Finding>,
}

/// Tries changed inputs of `target` in `folder` until `budget` is used up. The same seed tries the same inputs.
///
/// # Panics
/// When the corpus is empty or `folder` cannot be written.
pub fn run(target: &Target, budget: Budget, seed: u64, folder: &Path) -> Report {
    assert!(!target.corpus.is_empty(), "{}: no corpus", target.name);
    let start = Instant::now();
    let mut trial = Trial::new(target, folder);
    let mut pool = target.corpus.clone();
    for input in &target.corpus {
        trial.attempt(input);
    }
    let mut mutator = Mutator::new(seed, target.dictionary);
    loop {
        let is_over = match budget {
            Budget::Inputs(n) => trial.report.inputs >= n,
            Budget::Time(time) => start.elapsed() >= time,
        };
        if is_over || trial.report.findings.len() >= MAX_FINDINGS {
            return trial.finish();
        }
        let input = mutator.input(&pool, target.corpus.len(), target.shape);
        if trial.attempt(&input) && pool.len() < POOL {
            pool.push(input);
        }
    }
}

/// Inputs given to a reader, one after the other.
struct Trial<'a> {
    target: &'a Target,
    path: PathBuf,
    file: File,
    seen: HashSet<String>,
    guard: guard::Guard,
    report: Report,
}

impl<'a> Trial<'a> {
    fn new(target: &'a Target, folder: &Path) -> Self {
        let path = folder.join(target.file);
        let file = File::create(&path).expect("a folder for inputs that can be written");
        let guard = guard::Guard::new(target.name);
        Self { target, path, file, seen: HashSet::new(), guard, report: Report::default() }
    }

    /// Lets the reader open an input; whether its outcome is a new one.
    fn attempt(&mut self, input: &[u8]) -> bool {
        // Shortened and filled, not replaced: a file system may sync a file that is cut to nothing and written again.
        self.file.set_len(input.len() as u64).expect("an input can be written");
        self.file.rewind().and_then(|()| self.file.write_all(input)).expect("an input can be written");
        let before = memory::restart();
        let start = Instant::now();
        let outcome = self.guard.watch(|| (self.target.read)(&self.path));
        let report = &mut self.report;
        report.slowest = report.slowest.max(start.elapsed());
        report.peak_bytes = report.peak_bytes.max(memory::peak().saturating_sub(before));
        report.inputs += 1;
        let (kind, message) = match outcome {
            Ok(Ok(())) => {
                report.accepted += 1;
                return self.seen.insert(String::new());
            }
            Ok(Err(message)) if message.trim().is_empty() => ("message", "an error without a message".to_owned()),
            Ok(Err(message)) => return self.seen.insert(signature(&message)),
            Err(message) => ("panic", message),
        };
        let is_new = self.seen.insert(signature(&message));
        if is_new {
            report.findings.push(Finding { kind, message, input: input.to_vec() });
        }
        is_new
    }

    fn finish(mut self) -> Report {
        self.report.outcomes = self.seen.len();
        self.report
    }
}

/// The first words of a message, without its place, numbers and quotations, which would make every input a new one.
fn signature(message: &str) -> String {
    let message = message.rsplit_once("/input.").map_or(message, |(_, message)| message);
    let mut short = String::new();
    let mut closing = None;
    for c in message.chars().take(400) {
        match (closing, c) {
            (Some(end), c) if c == end => closing = None,
            (Some(_), _) => {}
            (None, '`' | '"' | '\'') => closing = Some(c),
            (None, '(') => closing = Some(')'),
            (None, '[') => closing = Some(']'),
            (None, c) if c.is_ascii_alphabetic() => short.push(c),
            (None, _) if !short.ends_with(' ') => short.push(' '),
            _ => {}
        }
    }
    short.truncate(40);
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader with two defects behind a magic word.
    fn faulty(path: &Path) -> Result<(), String> {
        let bytes = std::fs::read(path).map_err(|e| e.to_string())?;
        let rest = bytes.strip_prefix(b"MAGIC").ok_or("no magic word")?;
        match rest.first() {
            None => Err("cut short".into()),
            Some(0xff) => panic!("byte {}", rest[0]),
            Some(b'\n') => Err(String::new()),
            Some(_) => Ok(()),
        }
    }

    fn target() -> Target {
        Target {
            name: "faulty",
            file: "faulty.bin",
            corpus: vec![b"MAGIC!rest".to_vec()],
            dictionary: &["MAGIC"],
            shape: shape::plain,
            read: Box::new(faulty),
        }
    }

    #[test]
    fn defects_are_found_and_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let report = run(&target(), Budget::Inputs(20_000), 1, folder.path());
        let kinds: HashSet<&str> = report.findings.iter().map(|f| f.kind).collect();
        assert_eq!((kinds, report.findings.len()), (HashSet::from(["panic", "message"]), 2));
        let panic = report.findings.iter().find(|f| f.kind == "panic").unwrap();
        assert!(panic.message.contains("byte 255") && panic.message.contains("fuzz/mod.rs"), "{}", panic.message);
        assert!(panic.input.starts_with(b"MAGIC\xff") && report.accepted > 1000 && report.inputs == 20_000);
    }

    #[test]
    fn a_seed_tries_the_same_inputs_again() {
        let folder = tempfile::tempdir().unwrap();
        let inputs = |seed| {
            let report = run(&target(), Budget::Inputs(3000), seed, folder.path());
            (report.accepted, report.findings.into_iter().map(|f| f.input).collect::<Vec<_>>())
        };
        assert_eq!(inputs(7), inputs(7));
        assert_ne!(inputs(7), inputs(8));
    }
}
