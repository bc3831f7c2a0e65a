//! `potstill demo`: a shipped study of one student, alone and distilled from a teacher.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use potstill_core::files::lock::LOCK_FILE;
use potstill_core::files::{FolderLock, write_atomically};
use potstill_core::metrics::Metrics;
use potstill_train::config::Config;
use potstill_train::evaluation::{Evaluation, gap_closed};
use potstill_train::study::{Bench, Cell, Layout, Pairs, Place, Run, Study, StudyTeacher, TestFiles, Thinned};

use super::{print, print_json};
use crate::Outcome;
use crate::args::DemoArgs;
use crate::device;
use crate::interrupt::interrupt_flag;
use crate::report::{Curve, Gap, ModelRow, Parity, Plot, Report, table};
use crate::study::{self, Checks, Terminal, configure, learning_curve};

/// A model with its measurements.
struct Judged {
    name: String,
    n_parameters: usize,
    evaluation: Evaluation,
    pairs: Pairs,
}

/// Everything that the demo leaves is made from.
struct Results {
    study: Study,
    teacher: Judged,
    /// The students, in the order of the study's runs; the first is trained alone.
    students: Vec<Judged>,
    /// Errors of the constant predictor.
    constant: Option<Metrics>,
    n_test: usize,
    split: &'static str,
}

/// Runs a shipped study of one student and one seed, and writes `summary.json` and `report.html`.
pub fn run(args: &DemoArgs) -> Result<Outcome> {
    let folder = data_folder(args.data.as_deref())?;
    let path = args.config.clone().unwrap_or_else(|| folder.join(STUDY));
    let split = if args.judge_on_validation { "val" } else { "test" };
    let study = study_of(args, &path, folder.join(format!("{split}.extxyz.xz")))?;
    let _lock = FolderLock::acquire(&args.out, "a demo")?;
    check_folder(&args.out, &study)?;
    let teacher = StudyTeacher::open(&study.teacher)?;
    let cells = study.cells(&configure, &|_, _| None)?;
    let interrupt = interrupt_flag()?;
    let place = Place { out: args.out.clone(), jobs: 1, part: None, layout: Layout::Runs };
    // The data are the program's own, and the validation systems may be the test systems.
    let host = Terminal { checks: Checks::None, device: device::cpu() };
    let bench = Bench::new(&study, &place, &teacher, &cells, (&host, &interrupt))?;
    bench.run_all(&cells)?;
    if bench.is_interrupted() {
        return Ok(Outcome::Interrupted);
    }
    let answers = bench.answers[0].clone();
    let judged_teacher = Judged {
        name: "teacher".to_owned(),
        n_parameters: teacher.n_parameters(),
        evaluation: answers.evaluation,
        pairs: answers.pairs,
    };
    let students = cells.iter().map(|cell| judged(&bench, cell)).collect::<Result<Vec<_>>>()?;
    let (constant, n_test) = (bench.constant(0, &cells[0])?, bench.tests[0].systems.len());
    let results = Results { study: study.clone(), teacher: judged_teacher, students, constant, n_test, split };
    finish(args, &results)
}

/// Study of the demo, beside its data.
const STUDY: &str = "practical.toml";

/// The study with the seed, the settings and the test systems of the command line.
fn study_of(args: &DemoArgs, path: &Path, test: PathBuf) -> Result<Study> {
    let mut study = study::read(path)?;
    let name = path.display();
    let [student] = &mut study.students[..] else {
        bail!("{name}: has several students; the demo shows one; use `potstill study`");
    };
    student.set.extend(args.set.iter().cloned());
    if study.runs.first().is_none_or(|run| !run.is_alone()) || study.runs.iter().any(|run| run.tune) {
        bail!("{name}: the first run of a demo has no terms, and none is tuned; use `potstill study`");
    }
    (study.seeds, study.test) = (vec![args.seed], TestFiles::One(vec![test]));
    Ok(study)
}

/// Measurements of a student.
fn judged(bench: &Bench<'_>, cell: &Cell) -> Result<Judged> {
    let name = bench.study.runs[cell.run].name.clone();
    let result = bench.result(cell)?.with_context(|| format!("{name}: no result"))?;
    let judged = result.judged.into_iter().next().with_context(|| format!("{name}: no evaluation"))?;
    let evaluation = judged.evaluation;
    Ok(Judged { name, n_parameters: result.n_parameters, evaluation, pairs: bench.pairs(cell).unwrap_or_default() })
}

/// Parts of the gap that the distilled students closed.
fn gaps(results: &Results) -> Vec<Gap> {
    let Some((alone, distilled)) = results.students.split_first() else { return Vec::new() };
    let of = |student: &Judged| {
        let closed = |metric: fn(&Evaluation) -> Option<f64>| {
            let teacher = metric(&results.teacher.evaluation)?;
            gap_closed(metric(&alone.evaluation)?, metric(&student.evaluation)?, teacher)
        };
        let energy = closed(|e| e.metrics.energy_mae);
        Gap { name: student.name.clone(), percent: energy.zip(closed(|e| e.metrics.forces_mae)) }
    };
    distilled.iter().map(of).collect()
}

fn finish(args: &DemoArgs, results: &Results) -> Result<Outcome> {
    let gaps = gaps(results);
    let of_gap = |gap: &Gap| {
        let percent = gap.percent.map(|(energy, forces)| serde_json::json!({ "energy": energy, "forces": forces }));
        (gap.name.clone(), percent.unwrap_or_default())
    };
    let students: serde_json::Map<_, _> = results
        .students
        .iter()
        .map(|student| Ok((student.name.clone(), serde_json::to_value(&student.evaluation)?)))
        .collect::<Result<_>>()?;
    let summary = serde_json::json!({
        "teacher": results.teacher.evaluation,
        "students": students,
        "gap_closed": gaps.iter().map(of_gap).collect::<serde_json::Map<_, _>>(),
        "seed": args.seed,
        "split": results.split,
    });
    let summary_path = args.out.join("summary.json");
    write_atomically(&summary_path, |writer| Ok(serde_json::to_writer_pretty(writer, &summary)?))?;

    let mut rows: Vec<ModelRow> = std::iter::once(&results.teacher).chain(&results.students).map(row).collect();
    rows.extend(results.constant.clone().map(constant_row));
    let report = Report {
        title: "Distilling PaiNN on xcoll".to_owned(),
        summary: format!(
            "The practical case: 501 labels of your own, a teacher that is already there, and thousands of structures that only \
             the teacher labels. The same student three times, with the same seed and number of steps: alone; with the teacher's \
             features on the same structures; and with the structures that the teacher labelled. Errors are on the {} systems of \
             the {} split, which no student was trained on. The teacher was trained on 12,000 labels, those of these \
             structures among them; the students never see them.",
            results.n_test, results.split
        ),
        plots: learning_curves(args, &results.study)?,
        parities: parities(results),
        provenance: provenance(args, &results.study)?,
        gaps_closed: gaps.clone(),
        rows,
        ..Report::default()
    };
    let html = report.to_html()?;
    let report_path = args.out.join("report.html");
    write_atomically(&report_path, |writer| writer.write_all(html.as_bytes()))?;
    match args.json {
        true => print_json(&summary)?,
        false => print(&table(&report.rows, &gaps))?,
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

/// Validation errors of all students over their steps.
fn learning_curves(args: &DemoArgs, study: &Study) -> Result<Vec<Plot>> {
    let plot = |title: &str, metric: &str, unit: &str| -> Result<Plot> {
        let curve = |run: &Run| learning_curve(&args.out.join(&run.name), &run.name, metric);
        let curves = study.runs.iter().map(curve).collect::<Result<_>>()?;
        Ok(Plot { title: title.to_owned(), x_label: "step".to_owned(), y_label: unit.to_owned(), log_y: true, curves })
    };
    Ok(vec![
        plot("Energy error on validation systems", "energy_mae", "energy MAE in meV")?,
        plot("Force error on validation systems", "forces_mae", "force MAE in meV/Å")?,
    ])
}

fn parities(results: &Results) -> Vec<Parity> {
    let judged = || std::iter::once(&results.teacher).chain(&results.students);
    let series = |of: fn(&Pairs) -> &Thinned| {
        judged().map(|j| Curve { name: j.name.clone(), points: of(&j.pairs).pairs.clone() }).collect()
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

fn provenance(args: &DemoArgs, study: &Study) -> Result<Vec<(String, String)>> {
    let mut all = vec![("Command".to_owned(), format!("potstill demo --seed {}", args.seed))];
    for run in &study.runs {
        let path = args.out.join(&run.name).join("config.toml");
        let text = std::fs::read_to_string(&path).with_context(|| format!("{}: cannot open", path.display()))?;
        let mut config: Config = toml::from_str(&text).with_context(|| path.display().to_string())?;
        // Where the files lie on this machine is nobody's business.
        let name = |path: &mut PathBuf| *path = path.file_name().map(PathBuf::from).unwrap_or_default();
        let data = &mut config.data;
        data.train.iter_mut().chain(&mut data.validation).chain(&mut data.synthetic).for_each(name);
        if let Some(distill) = &mut config.distill {
            distill.teacher.paths_mut().iter_mut().for_each(name);
        }
        all.push((format!("Configuration of {}", run.name), toml::to_string_pretty(&config).context("configuration")?));
    }
    let environment = study.runs.first().map(|run| args.out.join(&run.name).join("environment.json"));
    all.push((
        "Environment".to_owned(),
        environment.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default(),
    ));
    Ok(all)
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
        .find(|folder| folder.join(STUDY).exists())
        .context("data/xcoll-demo is not here: run the demo inside the repository, or give --data DIR")
}

/// Refuses a folder that holds something else than what an earlier demo left, which is replaced.
fn check_folder(out: &Path, study: &Study) -> Result<()> {
    let ours = ["summary.json", "report.html", LOCK_FILE];
    // Folders of the demo of earlier versions.
    let earlier = ["baseline", "student"];
    let runs = study.runs.iter().map(|run| run.name.as_str());
    let known: Vec<&str> = ours.into_iter().chain(earlier).chain(runs).collect();
    let entries = std::fs::read_dir(out).with_context(|| format!("{}: cannot list", out.display()))?;
    let names = entries.flatten().map(|entry| entry.file_name());
    match names.into_iter().find(|name| !known.iter().any(|own| *name == **own)) {
        Some(other) => {
            bail!("{}: holds {}, which is not of a demo; give another --out", out.display(), other.display())
        }
        None => Ok(()),
    }
}
