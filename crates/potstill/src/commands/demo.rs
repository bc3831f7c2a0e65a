//! `potstill demo`: a study of one student on shipped data, alone and distilled from a teacher.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use burn::tensor::{DType, Device};
use potstill_core::Precision;
use potstill_core::files::lock::LOCK_FILE;
use potstill_core::files::{FolderLock, write_atomically};
use potstill_core::metrics::Metrics;
use potstill_nn::Model;
use potstill_train::config::Config;
use potstill_train::distill::Term;
use potstill_train::evaluation::{Evaluation, gap_closed, n_parameters};
use potstill_train::study::{Bench, Cell, Layout, Pairs, Place, Run, Student, Study, Thinned};

use super::{print, print_json};
use crate::Outcome;
use crate::args::DemoArgs;
use crate::config_file;
use crate::interrupt::interrupt_flag;
use crate::report::{Curve, ModelRow, Parity, Plot, Report, table};
use crate::study::{Checks, Terminal, learning_curve};

/// A model with its measurements.
struct Judged {
    name: &'static str,
    n_parameters: usize,
    evaluation: Evaluation,
    pairs: Pairs,
}

/// Everything that the demo leaves is made from.
struct Results {
    config: Config,
    /// Teacher, student alone, student distilled.
    judged: [Judged; 3],
    /// Errors of the constant predictor.
    constant: Option<Metrics>,
    n_test: usize,
    split: &'static str,
}

/// Runs a study of one student and two runs, compares and writes `summary.json` and `report.html`.
pub fn run(args: &DemoArgs) -> Result<Outcome> {
    let folder = data_folder(args.data.as_deref())?;
    let config_path = args.config.clone().unwrap_or_else(|| folder.join("demo.toml"));
    let mut config = config_file::read(&config_path, &args.set)?;
    config.seed = args.seed;
    let Some(distill) = &config.distill else {
        bail!("{}: has no [distill] section", config_path.display());
    };
    let _lock = FolderLock::acquire(&args.out, "a demo")?;
    check_folder(&args.out)?;
    let [teacher] = distill.teacher.paths() else {
        bail!("{}: distill.teacher names several files; the demo judges one", config_path.display());
    };
    let teacher_path = teacher.clone();
    let teacher = Model::load(&teacher_path, &Device::flex(), DType::F32)?;
    let split = if args.judge_on_validation { "val" } else { "test" };
    let study = study_of(&config, config_path, teacher_path, folder.join(format!("{split}.extxyz.xz")));
    let cells = RUNS.map(|(run, distills, _)| {
        let distill = if distills { config.distill.clone() } else { None };
        let config = Config { distill, ..config.clone() };
        Cell { student: 0, run, seed: args.seed, factor: None, is_trial: false, config }
    });
    let interrupt = interrupt_flag()?;
    let place = Place { out: args.out.clone(), jobs: 1, layout: Layout::Runs };
    // The data are the program's own, and the validation systems may be the test systems.
    let host = Terminal { checks: Checks::None };
    let bench = Bench::new(&study, &place, &teacher, &cells, (&host, &interrupt))?;
    bench.run_all(&cells)?;
    if bench.is_interrupted() {
        return Ok(Outcome::Interrupted);
    }
    let (evaluation, pairs) = bench.judge(&study.teacher, "evaluating the teacher")?;
    let judged_teacher = Judged { name: "teacher", n_parameters: n_parameters(&teacher), evaluation, pairs };
    let [alone, distilled] = [0, 1].map(|run| judged(&bench, &cells[run], RUNS[run].2));
    let judged = [judged_teacher, alone?, distilled?];
    let constant = bench.constant(&cells[0])?;
    finish(args, Results { config, judged, constant, n_test: bench.test.len(), split })
}

/// Number of a run, whether it has a teacher, and the name of its student in tables.
const RUNS: [(usize, bool, &str); 2] = [(0, false, "student alone"), (1, true, "student distilled")];
/// Folders of the runs.
const FOLDERS: [&str; 2] = ["baseline", "student"];

/// The demo as a study: one student and one seed, alone and distilled.
fn study_of(config: &Config, config_path: PathBuf, teacher: PathBuf, test: PathBuf) -> Study {
    let run = |name: &str, terms: &[Term]| Run { terms: terms.to_vec(), ..Run::new(name) };
    let terms = config.distill.as_ref().map_or(&[][..], |distill| &distill.terms);
    Study {
        teacher,
        test: vec![test],
        energy_key: config.data.energy_key.clone(),
        forces_key: config.data.forces_key.clone(),
        seeds: vec![config.seed],
        feature_precision: config.distill.as_ref().map_or(Precision::F16, |distill| distill.feature_precision),
        tuning: None,
        students: vec![Student { name: "student".to_owned(), config: config_path, set: Vec::new() }],
        runs: vec![run(FOLDERS[0], &[]), run(FOLDERS[1], terms)],
    }
}

/// Measurements of a student.
fn judged(bench: &Bench<'_>, cell: &Cell, name: &'static str) -> Result<Judged> {
    let result = bench.result(cell)?.with_context(|| format!("{name}: no result"))?;
    let evaluation = result.evaluation.with_context(|| format!("{name}: no evaluation"))?;
    let pairs = bench.pairs(cell).unwrap_or_default();
    Ok(Judged { name, n_parameters: result.n_parameters, evaluation, pairs })
}

fn finish(args: &DemoArgs, results: Results) -> Result<Outcome> {
    let Results { config, judged, constant, n_test, split } = results;
    let [teacher, baseline, student] = &judged;
    let closed = |metric: fn(&Evaluation) -> Option<f64>| {
        gap_closed(metric(&baseline.evaluation)?, metric(&student.evaluation)?, metric(&teacher.evaluation)?)
    };
    let energy = closed(|e| e.metrics.energy_mae);
    let forces = closed(|e| e.metrics.forces_mae);
    let summary = serde_json::json!({
        "teacher": teacher.evaluation,
        "baseline": baseline.evaluation,
        "student": student.evaluation,
        "gap_closed": { "energy": energy, "forces": forces },
        "seed": config.seed,
        "split": split,
    });
    let summary_path = args.out.join("summary.json");
    write_atomically(&summary_path, |writer| Ok(serde_json::to_writer_pretty(writer, &summary)?))?;

    let mut rows: Vec<ModelRow> = judged.iter().map(row).collect();
    rows.extend(constant.map(constant_row));
    let gap = energy.zip(forces);
    let report = Report {
        title: "Distilling PaiNN on xcoll".to_owned(),
        summary: format!(
            "A student trained alone and the same student distilled from a teacher: same seed, data and number of steps. \
             Errors are on the {} systems of the {split} split, which none of the three was trained on.",
            n_test
        ),
        plots: learning_curves(&args.out)?,
        parities: parities(&judged),
        provenance: provenance(args, &config)?,
        gap_closed: gap,
        rows,
        ..Report::default()
    };
    let html = report.to_html()?;
    let report_path = args.out.join("report.html");
    write_atomically(&report_path, |writer| writer.write_all(html.as_bytes()))?;
    match args.json {
        true => print_json(&summary)?,
        false => print(&table(&report.rows, gap))?,
    }
    say!("{}\n{}", summary_path.display(), report_path.display());
    Ok(Outcome::Done)
}

fn row(judged: &Judged) -> ModelRow {
    ModelRow {
        name: judged.name.to_owned(),
        n_parameters: judged.n_parameters,
        metrics: judged.evaluation.metrics.clone(),
        systems_per_second: judged.evaluation.systems_per_second,
    }
}

/// The constant predictor, which has neither parameters nor a speed.
fn constant_row(metrics: Metrics) -> ModelRow {
    // All forces are zero: a cosine says nothing.
    let metrics = Metrics { forces_cos: None, ..metrics };
    ModelRow { name: "constant predictor".to_owned(), n_parameters: 0, metrics, systems_per_second: 0.0 }
}

/// Validation errors of both students over their steps.
fn learning_curves(out: &Path) -> Result<Vec<Plot>> {
    let plot = |title: &str, metric: &str, unit: &str| -> Result<Plot> {
        let curve = |k: usize| learning_curve(&out.join(FOLDERS[k]), RUNS[k].2, metric);
        let curves = vec![curve(0)?, curve(1)?];
        Ok(Plot { title: title.to_owned(), x_label: "step".to_owned(), y_label: unit.to_owned(), log_y: true, curves })
    };
    Ok(vec![
        plot("Energy error on validation systems", "energy_mae", "energy MAE in meV")?,
        plot("Force error on validation systems", "forces_mae", "force MAE in meV/Å")?,
    ])
}

fn parities(judged: &[Judged]) -> Vec<Parity> {
    let series = |of: fn(&Pairs) -> &Thinned| {
        judged.iter().map(|j| Curve { name: j.name.to_owned(), points: of(&j.pairs).pairs.clone() }).collect()
    };
    vec![
        Parity {
            title: "Energies".to_owned(),
            x_label: "reference energy in eV".to_owned(),
            y_label: "predicted energy in eV".to_owned(),
            series: series(|pairs| &pairs.energies),
        },
        Parity {
            title: "Force components".to_owned(),
            x_label: "reference force in eV/Å".to_owned(),
            y_label: "predicted force in eV/Å".to_owned(),
            series: series(|pairs| &pairs.forces),
        },
    ]
}

fn provenance(args: &DemoArgs, config: &Config) -> Result<Vec<(String, String)>> {
    let environment = std::fs::read_to_string(args.out.join("student/environment.json")).unwrap_or_default();
    let mut shown = config.clone();
    // Where the files lie on this machine is nobody's business.
    let name = |path: &PathBuf| path.file_name().map(PathBuf::from).unwrap_or_default();
    shown.data.train = shown.data.train.iter().map(name).collect();
    shown.data.validation = shown.data.validation.iter().map(name).collect();
    if let Some(distill) = &mut shown.distill {
        distill.teacher.paths_mut().iter_mut().for_each(|path| *path = name(path));
    }
    let command = format!("potstill demo --seed {}", config.seed);
    let text = toml::to_string_pretty(&shown).context("configuration")?;
    Ok(vec![
        ("Command".to_owned(), command),
        ("Configuration of the distilled student; alone is the same without [distill]".to_owned(), text),
        ("Environment".to_owned(), environment),
    ])
}

/// The shipped data: as told, else found from the working folder or the program upwards.
fn data_folder(told: Option<&Path>) -> Result<PathBuf> {
    if let Some(folder) = told {
        return Ok(folder.to_owned());
    }
    let program = std::env::current_exe().unwrap_or_default();
    let here = std::env::current_dir().unwrap_or_default();
    here.ancestors()
        .chain(program.ancestors())
        .map(|folder| folder.join("data/xcoll-demo"))
        .find(|folder| folder.join("demo.toml").exists())
        .context("data/xcoll-demo is not here: run the demo inside the repository, or give --data DIR")
}

/// Refuses a folder that holds something else than what an earlier demo left, which is replaced.
fn check_folder(out: &Path) -> Result<()> {
    let ours = [FOLDERS[0], FOLDERS[1], "summary.json", "report.html", LOCK_FILE];
    let entries = std::fs::read_dir(out).with_context(|| format!("{}: cannot list", out.display()))?;
    let names = entries.flatten().map(|entry| entry.file_name());
    match names.into_iter().find(|name| !ours.iter().any(|o| *name == *o)) {
        Some(other) => {
            bail!("{}: holds {}, which is not of a demo; give another --out", out.display(), other.display())
        }
        None => Ok(()),
    }
}
