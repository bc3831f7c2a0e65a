//! `potstill md`: molecular dynamics with a model or a program.

mod arguments;
mod folder;
mod record;
mod stop;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use potstill_core::System;
use potstill_core::files::FolderLock;
use potstill_data::io::LabelKeys;
use potstill_simulate::{Dynamics, Stopped};

pub use self::arguments::Args;
use self::arguments::EnsembleKind;
use self::folder::RunFolder;
use self::record::Recorder;
use super::{print, print_json};
use crate::Outcome;
use crate::interrupt::interrupt_flag;
use crate::load;
use crate::potential::Opened;
use crate::progress::Progress;

/// How a run of dynamics ended.
enum Ending {
    Finished,
    Interrupted,
    Stopped(Stopped),
}

/// Runs dynamics, from their start or from where they were.
pub fn run(args: &Args) -> Result<Outcome> {
    let settings = args.settings()?;
    let stop = stop::rule(&args.stop_when)?;
    let opened = args.potential.open()?;
    let folder = RunFolder { path: args.out.clone(), is_compressed: args.compress };
    let _lock = FolderLock::acquire(&args.out, "dynamics")?;
    let mut recorder;
    let mut dynamics = match args.resume.then(|| folder.restart()).transpose()?.flatten() {
        Some(restart) => {
            if *restart.snapshot.settings() != settings {
                bail!(
                    "{}: was run with other settings (ensemble, timestep, seed or the like); give the same ones to --resume",
                    args.out.display()
                );
            }
            if restart.potential != opened.hash {
                bail!("{}: was run with another model or program, not {}", args.out.display(), opened.name);
            }
            let dynamics = Dynamics::resume(opened.potential.as_ref(), restart.snapshot.clone())?;
            recorder = Recorder::resume(&folder, args, &restart)?;
            // It was killed before the first frame was counted.
            if restart.log == 0 {
                recorder.record(&dynamics)?;
            }
            dynamics
        }
        None => {
            let starts = starts(args)?;
            let starts: Vec<&System> = starts.iter().collect();
            let dynamics = Dynamics::start(opened.potential.as_ref(), &starts, &args.start(), settings)
                .map_err(|error| opened.named(error))?;
            folder.clear(args.existing.policy())?;
            recorder = Recorder::create(&folder, args, &dynamics, &opened.hash)?;
            recorder.record(&dynamics)?;
            recorder.save(&dynamics)?;
            dynamics
        }
    };
    say!("{}", opened.description);
    if let (Some(warning), EnsembleKind::Nve | EnsembleKind::Npt) = (&opened.warning, args.ensemble) {
        say!("warning: {warning}");
    }
    let interrupt = interrupt_flag()?;
    let started = (Instant::now(), dynamics.step_count());
    let ending = advance(args, &mut dynamics, &mut recorder, &stop, &interrupt).map_err(|error| opened.named(error))?;
    recorder.save(&dynamics)?;
    tell(args, &opened, &dynamics, &ending, started)
}

/// Systems that replicas start from: those of the input, each as often as there are replicas.
fn starts(args: &Args) -> Result<Vec<System>> {
    let Some(input) = &args.input else {
        bail!("{}: there is no run that could go on; give --input, a file of systems to start from", args.out.display())
    };
    let read = load::open(std::slice::from_ref(input), &LabelKeys::default(), Some(true), args.max_systems)?;
    let systems = read.as_slice().context("systems are not in memory")?;
    if systems.is_empty() {
        bail!("{}: holds no system to start from", input.display());
    }
    Ok(systems.iter().flat_map(|system| std::iter::repeat_n(system.clone(), args.replicas)).collect())
}

/// Makes the steps that are left and records them.
fn advance(
    args: &Args,
    dynamics: &mut Dynamics<'_>,
    recorder: &mut Recorder,
    stop: &Option<potstill_simulate::StopRule>,
    interrupt: &AtomicBool,
) -> Result<Ending> {
    let progress = Progress::new("steps", args.steps);
    let ending = loop {
        let step = dynamics.step_count();
        progress.tell(step, || message(dynamics));
        if step >= args.steps {
            break Ending::Finished;
        }
        if interrupt.load(Ordering::Relaxed) {
            break Ending::Interrupted;
        }
        dynamics.step()?;
        if let Some(stopped) = stop.as_ref().and_then(|rule| dynamics.stopped(rule)) {
            recorder.record(dynamics)?;
            break Ending::Stopped(stopped);
        }
        recorder.step(dynamics)?;
    };
    progress.finish();
    Ok(ending)
}

fn message(dynamics: &Dynamics<'_>) -> String {
    let first = dynamics.observables(0);
    format!("{:.1} ps, {:.0} K, {:.4} eV", first.time / 1000.0, first.temperature, first.potential)
}

fn tell(
    args: &Args,
    opened: &Opened,
    dynamics: &Dynamics<'_>,
    ending: &Ending,
    (started, first_step): (Instant, u64),
) -> Result<Outcome> {
    let n_steps = dynamics.step_count() - first_step;
    let seconds = started.elapsed().as_secs_f64();
    let rate = n_steps as f64 / seconds.max(1e-9);
    let nanoseconds = rate * 86_400.0 * args.timestep * 1e-6;
    let stopped = match ending {
        Ending::Stopped(stopped) => Some(stopped.to_string()),
        _ => None,
    };
    if args.json {
        let last: Vec<_> = (0..dynamics.states().len()).map(|replica| dynamics.observables(replica)).collect();
        print_json(&serde_json::json!({
            "out": args.out, "model": opened.name, "n_replicas": last.len(), "n_steps": n_steps, "seconds": seconds,
            "steps_per_second": rate, "nanoseconds_per_day": nanoseconds, "stopped": stopped, "last": last,
        }))?;
    } else {
        let folder = args.out.display();
        let replicas = match dynamics.states().len() {
            1 => String::new(),
            n => format!(" of {n} replicas"),
        };
        print(&format!("{folder}: {n_steps} steps{replicas}, {rate:.0} steps/s, {nanoseconds:.2} ns/day each"))?;
    }
    match ending {
        Ending::Finished => Ok(Outcome::Done),
        Ending::Interrupted => {
            say!("interrupted after step {}; the same command with --resume goes on", dynamics.step_count());
            Ok(Outcome::Interrupted)
        }
        Ending::Stopped(stopped) => {
            say!("stopped: {stopped}; that frame is the last of its trajectory");
            Ok(Outcome::Missed)
        }
    }
}
