//! `cargo xtask kill`
//!
//! | file | what it holds |
//! |---|---|
//! | `case` | commands and their tiny inputs |
//! | `moment` | when a run is killed, and how |
//! | `files` | what is readable at any moment, what is equal in the end |

mod case;
mod files;
mod moment;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use self::case::Case;
use self::moment::{Moment, Signal};
use crate::build::build;

/// A run that takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(120);
/// Times that one run is killed, at most.
const MOST_KILLS: usize = 3;

/// Commands that are killed, unless told otherwise.
const WHAT: &str = "train,distill,label,generate,md,convert,rounds,study";

/// Arguments of `cargo xtask kill`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Runs, each killed up to three times, in turn for each command.
    #[arg(long, default_value_t = 100, value_name = "N")]
    runs: usize,
    /// Seed of the moments.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Commands.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = WHAT,
        value_name = "NAME,…"
    )]
    what: Vec<String>,
    /// Program to run. Default: the one of this repository, built in release.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Keep the folders of runs that differ, in this folder.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// Kills each command twice.
pub fn each_twice() -> Result<bool> {
    let what: Vec<String> = WHAT.split(',').map(str::to_owned).collect();
    run(&Args { runs: 2 * what.len(), seed: 1, what, binary: None, keep: None })
}

/// A run that nobody disturbed.
struct Reference {
    folder: PathBuf,
    seconds: f64,
    /// Temporary files that were seen.
    n_saves: usize,
}

/// Counts of one command.
#[derive(Default)]
struct Total {
    runs: usize,
    kills: BTreeMap<&'static str, usize>,
    /// Kills while a temporary file was there.
    in_saves: usize,
    /// Faults by kind: runs that differ, files that cannot be read, leftovers, starts that failed, hangs.
    faults: BTreeMap<&'static str, usize>,
}

/// Fault of a run.
struct Fault {
    kind: &'static str,
    message: String,
}

/// Kills runs of each command in turn; whether all was well.
pub fn run(args: &Args) -> Result<bool> {
    let all = case::all();
    if let Some(name) = args.what.iter().find(|name| !all.iter().any(|case| case.name == **name)) {
        let known: Vec<&str> = all.iter().map(|case| case.name).collect();
        bail!("--what {name}: unknown; there are {}", known.join(", "));
    }
    let binary = match &args.binary {
        Some(binary) => fs::canonicalize(binary).with_context(|| format!("{}: cannot open", binary.display()))?,
        None => build()?.program()?,
    };
    let folder = tempfile::Builder::new().prefix("potstill-kill-").tempdir()?;
    let killer = Killer { binary, folder: folder.path().to_owned(), keep: args.keep.clone() };
    killer.prepare()?;
    let mut rng = ChaCha8Rng::seed_from_u64(args.seed);
    let cases: Vec<&Case> = all.iter().filter(|case| args.what.iter().any(|name| name == case.name)).collect();
    let references: Vec<Reference> = cases.iter().map(|case| killer.reference(case)).collect::<Result<_>>()?;
    let mut totals: Vec<Total> = cases.iter().map(|_| Total::default()).collect();
    for i in 0..args.runs {
        let k = i % cases.len();
        let faults = killer.disturbed(cases[k], &references[k], &mut rng, &mut totals[k])?;
        for fault in &faults {
            println!("{} run {i}: {}: {}", cases[k].name, fault.kind, fault.message);
            *totals[k].faults.entry(fault.kind).or_default() += 1;
        }
    }
    println!("{:<10} {:>5} {:>6}  {:<38} faults", "command", "runs", "kills", "by signal, in saves");
    for (case, total) in cases.iter().zip(&totals) {
        let kills: usize = total.kills.values().sum();
        let how = format!("{}, {} in saves", counts(&total.kills), total.in_saves);
        println!("{:<10} {:>5} {kills:>6}  {how:<38} {}", case.name, total.runs, counts(&total.faults));
    }
    let kills: usize = totals.iter().flat_map(|total| total.kills.values()).sum();
    let faults: usize = totals.iter().flat_map(|total| total.faults.values()).sum();
    println!("{} runs, {kills} kills, {faults} faults", args.runs);
    Ok(faults == 0)
}

fn counts(counts: &BTreeMap<&'static str, usize>) -> String {
    let list: Vec<String> = counts.iter().map(|(name, n)| format!("{n} {name}")).collect();
    if list.is_empty() { "0".to_owned() } else { list.join(", ") }
}

/// End of a start of the program.
enum End {
    /// It ended by itself.
    Finished(ExitStatus, String),
    /// A signal ended it, with a temporary file there or not.
    Killed { in_save: bool },
    /// It did not end.
    Hung,
}

struct Killer {
    binary: PathBuf,
    folder: PathBuf,
    keep: Option<PathBuf>,
}

impl Killer {
    /// Writes the inputs and trains the teacher.
    fn prepare(&self) -> Result<()> {
        let inputs = self.folder.join("inputs");
        fs::create_dir(&inputs)?;
        case::write_inputs(&inputs)?;
        let arguments = ["train", "teacher.toml", "--out", "teacher"];
        match self.wait(self.start(&inputs, &arguments, false)?, &inputs, None)? {
            End::Finished(status, _) if status.success() => Ok(()),
            End::Finished(status, last) => bail!("the teacher of the tests: {status}: {last}"),
            _ => bail!("the teacher of the tests was not trained"),
        }
    }

    fn reference(&self, case: &Case) -> Result<Reference> {
        let folder = self.folder.join(format!("reference-{}", case.name));
        fs::create_dir(&folder)?;
        let (start, mut saves) = (Instant::now(), moment::Saves::default());
        let mut child = self.start(&folder, case.arguments, false)?;
        let status = loop {
            saves.look(&folder);
            if let Some(status) = child.try_wait()? {
                break status;
            }
            std::thread::sleep(moment::TICK);
        };
        if !status.success() {
            bail!("{}: a run that nobody disturbs ends with {status}: {}", case.name, last_words(&folder));
        }
        let seconds = start.elapsed().as_secs_f64();
        println!("{}: {seconds:.2} s, {} saves seen", case.name, saves.seen());
        Ok(Reference { folder, seconds, n_saves: saves.seen() })
    }

    /// A run that is killed up to three times and then goes to its end.
    fn disturbed(
        &self,
        case: &Case,
        reference: &Reference,
        rng: &mut ChaCha8Rng,
        total: &mut Total,
    ) -> Result<Vec<Fault>> {
        let work = self.folder.join("work");
        fs::create_dir(&work)?;
        total.runs += 1;
        let mut faults = Vec::new();
        let mut left = rng.random_range(1..=MOST_KILLS);
        let mut again = false;
        loop {
            let moment = (left > 0).then(|| Moment::draw(rng, reference.seconds, reference.n_saves));
            let child = self.start(&work, case.arguments, again && case.resumes)?;
            let fault = |kind, message| Fault { kind, message };
            match self.wait(child, &work, moment.as_ref())? {
                End::Killed { in_save } => {
                    let signal = moment.as_ref().map_or(Signal::Kill, |m| m.signal);
                    *total.kills.entry(signal.name()).or_default() += 1;
                    total.in_saves += usize::from(in_save);
                    left -= 1;
                    again = true;
                    let kept = files::readable(&work, &reference.folder, case.final_files)?;
                    faults.extend(kept.into_iter().map(|message| fault("unreadable", message)));
                }
                End::Finished(status, _) if status.success() => break,
                End::Finished(status, last) => {
                    faults.push(fault("failed start", format!("{status}: {last}")));
                    break;
                }
                End::Hung => {
                    faults.push(fault("hang", format!("more than {} s", PATIENCE.as_secs())));
                    break;
                }
            }
        }
        if !faults.iter().any(|f| matches!(f.kind, "failed start" | "hang")) {
            let (different, leftovers) = files::compare(&work, &reference.folder)?;
            faults.extend(different.into_iter().map(|message| Fault { kind: "different", message }));
            faults.extend(leftovers.into_iter().map(|message| Fault { kind: "leftover", message }));
        }
        self.put_away(&work, case, !faults.is_empty(), total.runs)?;
        Ok(faults)
    }

    fn put_away(&self, work: &Path, case: &Case, faulty: bool, run: usize) -> Result<()> {
        match &self.keep {
            Some(keep) if faulty => {
                fs::create_dir_all(keep)?;
                let target = keep.join(format!("{}-{run}", case.name));
                let moved = Command::new("cp").arg("-r").arg(work).arg(&target).status()?;
                if !moved.success() {
                    bail!("{}: cannot keep the folder", target.display());
                }
            }
            _ => {}
        }
        fs::remove_dir_all(work).with_context(|| work.display().to_string())
    }

    /// Starts a command with its words on standard error kept beside the folder.
    fn start(&self, folder: &Path, arguments: &[&str], resume: bool) -> Result<Child> {
        let words = fs::File::create(words(folder))?;
        let mut command = Command::new(&self.binary);
        command.args(arguments).args(["--threads", "1"]).args(resume.then_some("--resume"));
        command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(words);
        command.spawn().with_context(|| format!("{}: cannot start", self.binary.display()))
    }

    /// Waits for the end of a program, or for the moment at which it is killed.
    fn wait(&self, mut child: Child, folder: &Path, moment: Option<&Moment>) -> Result<End> {
        let start = Instant::now();
        let mut saves = moment::Saves::default();
        let mut signalled = false;
        let mut in_save = false;
        loop {
            if let Some(status) = child.try_wait()? {
                let is_dead = signalled && !status.success();
                return Ok(if is_dead { End::Killed { in_save } } else { End::Finished(status, last_words(folder)) });
            }
            if let Some(moment) = moment.filter(|_| !signalled) {
                saves.look(folder);
                if moment.has_come(start.elapsed(), &saves) {
                    in_save = saves.is_open();
                    moment.signal.send(&mut child)?;
                    signalled = true;
                    continue;
                }
            }
            if start.elapsed() > PATIENCE {
                child.kill()?;
                child.wait()?;
                return Ok(End::Hung);
            }
            std::thread::sleep(moment::TICK);
        }
    }
}

fn words(folder: &Path) -> PathBuf {
    folder.with_extension("stderr")
}

/// The last line that a program wrote to standard error.
fn last_words(folder: &Path) -> String {
    let text = fs::read_to_string(words(folder)).unwrap_or_default();
    text.lines().last().unwrap_or("no last words").to_owned()
}
