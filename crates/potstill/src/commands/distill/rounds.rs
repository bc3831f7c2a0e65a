//! Distillation in rounds, with its table and report.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use potstill_core::Precision;
use potstill_core::files::{FolderLock, write_atomically};
use potstill_core::metrics::Metrics;
use potstill_train::config::Config;
use potstill_train::distill::TeacherSource;
use potstill_train::rounds::{
    AtTemperature, Distances, Distillation, DynamicsCheck, Job, LONGEST, Outcome as Rounds, Round, Survival,
};

use crate::Outcome;
use crate::commands::train::RunArgs;
use crate::commands::{print, print_json};
use crate::interrupt::interrupt_flag;
use crate::potential::{Opened, open_models, open_program};
use crate::report::{Curve, Plot, Report, columns};
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
    let host = Terminal { checks: Checks::All, device: args.device.device.opened()? };
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
        source => {
            let is_model = |path: &PathBuf| path.extension().is_some_and(|e| e.eq_ignore_ascii_case("safetensors"));
            let paths = source.paths();
            if paths.is_empty() || !paths.iter().all(is_model) {
                bail!("distill.teacher: is asked about new structures; give model files or a program");
            }
            open_models(paths, Precision::F32)
        }
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

/// The rounds as a table, and the dynamics of the last student as another.
fn table(rounds: &Rounds) -> String {
    let mut text = columns(&cells(rounds));
    text += &format!(
        "errors against the teacher, on {} of its structures that no training saw; it was asked {} times\n",
        rounds.n_held_out, rounds.n_calls
    );
    if let Some(teacher) = &rounds.teacher {
        text += &format!(
            "the teacher itself, on {} real structures: energy MAE {} meV, force MAE {} meV/Å\n",
            teacher.n_systems,
            milli(teacher.energy_mae),
            milli(teacher.forces_mae)
        );
    }
    text += &format!("\n{}{}", columns(&dynamics_cells(&rounds.dynamics)), cost(&rounds.dynamics));
    text
}

/// What a step costs.
fn cost(dynamics: &DynamicsCheck) -> String {
    let student = dynamics.student_cost.microseconds_per_atom();
    let own = format!("a step of the student takes {student:.2} µs for each atom");
    match dynamics.teacher_cost.map(|cost| cost.microseconds_per_atom()) {
        Some(teacher) => {
            format!("{own}, an answer of the teacher {teacher:.1} µs: {:.0} times as long", teacher / student)
        }
        None => own,
    }
}

/// Dynamics of the last student, a row for each temperature.
fn dynamics_cells(dynamics: &DynamicsCheck) -> Vec<Vec<String>> {
    let lasted = format!("trajectories that lasted {} ps", dynamics.picoseconds);
    let has_teacher = dynamics.temperatures.iter().any(|at| at.overlap.is_some());
    let mut head = vec!["temperature, K", &lasted, "mean length, ps", "drift, meV/atom/ps"];
    if has_teacher {
        head.extend(["distances as the teacher's, %", "the teacher's own halves, %"]);
    }
    let percent = |part: Option<f64>| part.map_or_else(|| "–".to_owned(), |part| format!("{:.1}", 100.0 * part));
    let row = |at: &AtTemperature| {
        let survival = &at.survival;
        let mut row = vec![
            format!("{:.0}", survival.temperature),
            format!("{}/{}", survival.n_trajectories - survival.n_broken, survival.n_trajectories),
            format!("{:.2}", survival.mean_picoseconds),
            at.drift.map_or_else(|| "–".to_owned(), |drift| format!("{:.3}", 1e3 * drift)),
        ];
        if has_teacher {
            row.extend([percent(at.overlap), percent(at.teacher_overlap)]);
        }
        row
    };
    let head = head.into_iter().map(str::to_owned).collect();
    std::iter::once(head).chain(dynamics.temperatures.iter().map(row)).collect()
}

/// Pairs of elements whose distances are drawn, at most.
const MOST_PAIRS: usize = 6;

/// Distances between atoms of student and teacher, at the highest temperature that both have some of.
fn distances(dynamics: &DynamicsCheck) -> Vec<Plot> {
    let Some(at) = dynamics.temperatures.iter().rev().find(|at| at.overlap.is_some()) else { return Vec::new() };
    let total = |distances: &Distances| distances.0.values().flatten().sum::<f64>();
    let totals = [total(&at.student), total(&at.teacher)];
    let mut pairs: Vec<(&String, f64)> =
        at.student.0.iter().map(|(pair, counts)| (pair, counts.iter().sum())).collect();
    pairs.sort_by(|a, b| b.1.total_cmp(&a.1));
    let plot = |(pair, _): (&String, f64)| {
        let curve = |name: &str, distances: &Distances, total: f64| {
            let counts = distances.0.get(pair).map(Vec::as_slice).unwrap_or_default();
            let width = LONGEST / counts.len().max(1) as f64;
            let point = |(bin, count): (usize, &f64)| ((bin as f64 + 0.5) * width, 100.0 * count / (total * width));
            Curve { name: name.to_owned(), points: counts.iter().enumerate().map(point).collect() }
        };
        Plot {
            title: format!("{pair} at {:.0} K", at.survival.temperature),
            x_label: "distance in Å".to_owned(),
            y_label: "part of all distances in % per Å".to_owned(),
            log_y: false,
            curves: vec![curve("teacher", &at.teacher, totals[1]), curve("student", &at.student, totals[0])],
        }
    };
    pairs.into_iter().take(MOST_PAIRS).map(plot).collect()
}

/// Says what can silently be wrong.
fn warn(rounds: &Rounds) {
    let near: usize = rounds.rounds.iter().filter_map(|round| Some(round.found.as_ref()?.n_near_test)).sum();
    if near > 0 {
        say!("{near} structures were left out, because they are as good as test structures");
    }
    let all = rounds.dynamics.temperatures.iter().map(|at| &at.survival);
    let (broken, all) = all.fold((0, 0), |(b, n), s| (b + s.n_broken, n + s.n_trajectories));
    if 4 * broken >= all {
        say!(
            "warning: {broken} of {all} trajectories of the student broke; do not trust dynamics with it before more rounds, lower \
             temperatures or a larger student"
        );
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

/// Text that begins with a capital letter.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
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
             Errors against the teacher are on {} of its structures that no training saw, from trajectories of their own. \
             The teacher was asked {} times.\n\n\
             The last student then ran dynamics with a heat bath, at constant energy (drift), and the teacher short ones from where \
             the student's had ended. The part that their distances between atoms have in common is at best that of two \
             halves of the teacher's structures, which are few; slow motions are not compared. {}.",
            rounds.n_held_out,
            rounds.n_calls,
            sentence(&cost(&rounds.dynamics))
        ),
        table: cells(rounds),
        plots: vec![
            plot("Energy error", "energy MAE in meV", |m| m.energy_mae),
            plot("Force error", "force MAE in meV/Å", |m| m.forces_mae),
        ],
        tables: vec![("Dynamics of the student".to_owned(), dynamics_cells(&rounds.dynamics))],
        distributions: distances(&rounds.dynamics),
        provenance: vec![("Configuration".to_owned(), toml::to_string_pretty(config).unwrap_or_default())],
        ..Report::default()
    }
}
