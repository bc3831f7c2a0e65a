//! Distillation in rounds, with its table and report.

use anyhow::{Context, Result, bail};
use potstill_core::Precision;
use potstill_core::files::{FolderLock, write_atomically};
use potstill_core::metrics::Metrics;
use potstill_train::config::Config;
use potstill_train::distill::TeacherSource;
use potstill_train::rounds::{Distillation, Job, Outcome as Rounds, Round, Survival};

use crate::Outcome;
use crate::commands::train::RunArgs;
use crate::commands::{print, print_json};
use crate::interrupt::interrupt_flag;
use crate::potential::{Opened, open_model, open_program};
use crate::report::{Curve, Plot, Report};
use crate::study::{Checks, Terminal};

/// Runs the rounds of a configuration.
pub fn run(config: &Config, args: &RunArgs) -> Result<Outcome> {
    if args.overwrite {
        bail!("--overwrite: rounds replace nothing; remove the folder, or give another --out");
    }
    let _lock = FolderLock::acquire(&args.out, "a distillation")?;
    let text = toml::to_string_pretty(config).context("configuration")?;
    check_folder(args, &text)?;
    let teacher = teacher(config)?;
    say!("teacher: {}; {}", teacher.name, teacher.description);
    let interrupt = interrupt_flag()?;
    let host = Terminal { checks: Checks::All };
    let distillation = Distillation::new(Job {
        config,
        teacher: teacher.potential.as_ref(),
        host: &host,
        out: &args.out,
        interrupt: &interrupt,
    })?;
    write_atomically(&args.out.join("config.toml"), |writer| writer.write_all(text.as_bytes()))?;
    let Some(rounds) = distillation.run()? else {
        print("interrupted; go on with --resume")?;
        return Ok(Outcome::Interrupted);
    };
    let html = report(config, &rounds).to_html()?;
    let page = args.out.join("report.html");
    write_atomically(&page, |writer| writer.write_all(html.as_bytes()))?;
    match args.json {
        true => print_json(&rounds)?,
        false => print(&table(&rounds))?,
    }
    warn(&rounds);
    say!("{}\n{}", rounds.model.display(), page.display());
    Ok(Outcome::Done)
}

/// Refuses a folder that holds something else, or a run with other settings.
fn check_folder(args: &RunArgs, config: &str) -> Result<()> {
    let folder = args.out.display();
    let before = std::fs::read_to_string(args.out.join("config.toml")).ok();
    match (before, args.resume) {
        (Some(before), true) if before == config => Ok(()),
        (Some(_), true) => bail!("{folder}: was run with other settings; give the same ones to --resume"),
        (Some(_), false) => bail!("{folder}: holds a run already; go on with --resume, or give another --out"),
        (None, _) => {
            let mut entries = std::fs::read_dir(&args.out).with_context(|| format!("{folder}: cannot list"))?.flatten();
            match entries.find(|entry| !entry.file_name().to_string_lossy().starts_with(".potstill")) {
                Some(other) => bail!("{folder}: holds {}; give an empty --out", other.file_name().display()),
                None => Ok(()),
            }
        }
    }
}

/// The teacher of the configuration, which must be able to answer about any structure.
pub fn teacher(config: &Config) -> Result<Opened> {
    let Some(distill) = &config.distill else { bail!("the configuration has no [distill] section") };
    match &distill.teacher {
        TeacherSource::Program(settings) => open_program(settings),
        source => match source.paths() {
            [path] if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("safetensors")) => {
                open_model(path, Precision::F32)
            }
            _ => bail!("distill.teacher: is asked about new structures; give one model file or a program"),
        },
    }
}

/// Milli-units of a metric, or a dash.
fn milli(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{:.2}", 1e3 * value))
}

fn survival(of: &[Survival]) -> String {
    let one = |s: &Survival| format!("{:.0} K {}/{}", s.temperature, s.n_trajectories - s.n_broken, s.n_trajectories);
    if of.is_empty() { "–".to_owned() } else { of.iter().map(one).collect::<Vec<_>>().join(", ") }
}

fn cells(rounds: &Rounds) -> Vec<Vec<String>> {
    let has_real = rounds.rounds.iter().any(|round| round.against_labels.is_some());
    let mut head = vec!["training", "labels", "energy MAE, meV", "force MAE, meV/Å"];
    if has_real {
        head.extend(["energy MAE, real", "force MAE, real"]);
    }
    head.push("trajectories that lasted");
    let next = rounds.rounds.iter().skip(1).map(Some).chain([None]);
    let row = |(round, next): (&Round, Option<&Round>)| {
        let pair = |metrics: &Metrics| [milli(metrics.energy_mae), milli(metrics.forces_mae)];
        let mut row = vec![round.name.clone(), round.n_labels.to_string()];
        row.extend(pair(&round.against_teacher));
        if has_real {
            row.extend(round.against_labels.as_ref().map_or_else(|| [milli(None), milli(None)], pair));
        }
        // The dynamics of a student are those that the next round began with.
        row.push(next.map_or_else(|| "–".to_owned(), |next| survival(&next.survival)));
        row
    };
    let head = head.into_iter().map(str::to_owned).collect();
    std::iter::once(head).chain(rounds.rounds.iter().zip(next).map(row)).collect()
}

/// The rounds as a table.
fn table(rounds: &Rounds) -> String {
    let cells = cells(rounds);
    let width =
        |k: usize| cells.iter().filter_map(|row| row.get(k)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let line = |row: &Vec<String>| {
        let padded = row.iter().enumerate().map(|(k, cell)| match k {
            0 => format!("{cell:<0$}", width(k)),
            _ => format!("{cell:>0$}", width(k)),
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut lines: Vec<String> = cells.iter().map(line).collect();
    lines.push(format!("errors against the teacher, on {} of its structures that no training saw", rounds.n_held_out));
    if let Some(teacher) = &rounds.teacher {
        lines.push(format!(
            "the teacher itself, on {} real structures: energy MAE {} meV, force MAE {} meV/Å",
            teacher.n_systems,
            milli(teacher.energy_mae),
            milli(teacher.forces_mae)
        ));
    }
    lines.join("\n")
}

/// Says what can silently be wrong.
fn warn(rounds: &Rounds) {
    let near: usize = rounds.rounds.iter().filter_map(|round| Some(round.found.as_ref()?.n_near_test)).sum();
    if near > 0 {
        say!("{near} structures were left out, because they are as good as test structures");
    }
    if let Some(last) = rounds.rounds.iter().rev().find(|round| !round.survival.is_empty()) {
        let (broken, all) = last.survival.iter().fold((0, 0), |(b, n), s| (b + s.n_broken, n + s.n_trajectories));
        if 4 * broken >= all {
            say!(
                "warning: {broken} of {all} trajectories of the last but one student broke; do not trust dynamics with the student \
                 before more rounds, lower temperatures or a larger student"
            );
        }
    }
    let last = rounds.rounds.last().and_then(|round| round.against_labels.as_ref()).and_then(|m| m.forces_mae);
    let teacher = rounds.teacher.as_ref().and_then(|teacher| teacher.forces_mae);
    if let (Some(student), Some(teacher)) = (last, teacher)
        && student <= teacher
    {
        say!(
            "the student's force error on real labels, {} meV/Å, is no larger than its teacher's, {} meV/Å: a better teacher, or \
             more real labels, would help now",
            milli(Some(student)),
            milli(Some(teacher))
        );
    }
}

fn report(config: &Config, rounds: &Rounds) -> Report {
    let curve = |name: &str, of: &dyn Fn(&Round) -> Option<f64>| Curve {
        name: name.to_owned(),
        points: rounds.rounds.iter().filter_map(|round| Some((round.n_labels as f64, 1e3 * of(round)?))).collect(),
    };
    let plot = |title: &str, unit: &str, metric: fn(&Metrics) -> Option<f64>| {
        let mut curves = vec![curve("against the teacher", &|round| metric(&round.against_teacher))];
        if rounds.rounds.iter().any(|round| round.against_labels.is_some()) {
            curves.push(curve("against real labels", &|round| round.against_labels.as_ref().and_then(metric)));
        }
        Plot {
            title: title.to_owned(),
            x_label: "structures that the teacher labelled".to_owned(),
            y_label: unit.to_owned(),
            log_y: true,
            curves,
        }
    };
    Report {
        title: "Distillation in rounds".to_owned(),
        summary: format!(
            "In each round the teacher labelled structures that the student's own dynamics came by, and the student learnt them. \
             Errors against the teacher are on {} of its structures that no training saw, from trajectories of their own.",
            rounds.n_held_out
        ),
        table: cells(rounds),
        plots: vec![
            plot("Energy error", "energy MAE in meV", |m| m.energy_mae),
            plot("Force error", "force MAE in meV/Å", |m| m.forces_mae),
        ],
        provenance: vec![("Configuration".to_owned(), toml::to_string_pretty(config).unwrap_or_default())],
        ..Report::default()
    }
}
