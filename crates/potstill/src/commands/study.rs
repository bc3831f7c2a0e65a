//! `potstill study`: a grid of trainings, resumable, and one table.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context, Result, anyhow};
use burn::tensor::{DType, Device};
use potstill_core::dataset::{Survey, Systems};
use potstill_core::io::{LabelKeys, write_atomically};
use potstill_nn::{Model, parameters};
use potstill_train::observer::{Ending, Silent};
use potstill_train::run::{Data, train};

use super::demo::gap_closed;
use super::train::{interrupt_flag, load_data, remove, run_config, save_config};
use super::{print, print_json};
use crate::Outcome;
use crate::args::StudyArgs;
use crate::evaluation::{Evaluation, measure};
use crate::load;
use crate::report::{Curve, Plot, Report};
use crate::study::plan::{Cell, Study};
use crate::study::table::{CellResult, Mean, Row, csv, markdown};

/// What every cell needs.
struct Bench<'a> {
    study: &'a Study,
    args: &'a StudyArgs,
    /// Data of each student, and their hash.
    data: Vec<(Data, String)>,
    test: Systems,
    test_hash: String,
    teacher_hash: String,
    interrupt: &'a AtomicBool,
}

/// Runs what is not done yet, then writes `table.md`, `table.csv`, `summary.json` and `report.html`.
pub fn run(args: &StudyArgs) -> Result<Outcome> {
    let study = Study::read(&args.config)?;
    let cells = study.cells()?;
    let teacher = Model::load(&study.teacher, &Device::flex(), DType::F32)?;
    let test = load::open(&study.test, &LabelKeys::default(), None, None)?;
    let data = study.students.iter().enumerate().map(|(s, _)| student_data(&cells, s)).collect::<Result<Vec<_>>>()?;
    let interrupt = interrupt_flag()?;
    let bench = Bench {
        study: &study,
        args,
        data,
        test_hash: Survey::of(&test)?.content_hash,
        test,
        teacher_hash: teacher.hash().to_owned(),
        interrupt: &interrupt,
    };
    bench.run_all(&cells)?;
    if interrupt.load(Ordering::Relaxed) {
        eprintln!("interrupted; the same command goes on");
        return Ok(Outcome::Interrupted);
    }
    let teacher_evaluation = measure(&teacher, &bench.test, None, "evaluating the teacher", &mut |_, _| {})?;
    let rows = bench.rows(&cells, &teacher, &teacher_evaluation)?;
    bench.write(&cells, &rows)?;
    match args.json {
        true => print_json(&rows)?,
        false => print(markdown(&rows).trim_end())?,
    }
    Ok(Outcome::Done)
}

fn student_data(cells: &[Cell], student: usize) -> Result<(Data, String)> {
    let cell = cells.iter().find(|cell| cell.student == student).context("a student without a run")?;
    let data = load_data(&cell.config.data)?;
    let hash = format!("{}{}", Survey::of(&data.train)?.content_hash, Survey::of(&data.validation)?.content_hash);
    Ok((data, hash))
}

impl Bench<'_> {
    /// Runs all cells, `--jobs` at a time.
    fn run_all(&self, cells: &[Cell]) -> Result<()> {
        let next = AtomicUsize::new(0);
        let failed: Mutex<Option<anyhow::Error>> = Mutex::new(None);
        let work = |pool: Option<&rayon::ThreadPool>| {
            while let Some(cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
                if self.interrupt.load(Ordering::Relaxed) || failed.lock().is_ok_and(|f| f.is_some()) {
                    return;
                }
                let name = format!("{} of {}: {}", cells_before(cells, cell) + 1, cells.len(), self.name(cell));
                let result = match pool {
                    Some(pool) => pool.install(|| self.run_cell(cell, &name, true)),
                    None => self.run_cell(cell, &name, false),
                };
                if let (Err(error), Ok(mut failed)) = (result.with_context(|| self.name(cell)), failed.lock()) {
                    failed.get_or_insert(error);
                }
            }
        };
        let jobs = self.args.jobs.max(1);
        if jobs == 1 {
            work(None);
        } else {
            let threads = (rayon::current_num_threads() / jobs).max(1);
            let pools = (0..jobs)
                .map(|_| rayon::ThreadPoolBuilder::new().num_threads(threads).build().context("cannot start threads"))
                .collect::<Result<Vec<_>>>()?;
            std::thread::scope(|scope| {
                for pool in &pools {
                    scope.spawn(|| work(Some(pool)));
                }
            });
        }
        match failed.into_inner() {
            Ok(Some(error)) => Err(error),
            Ok(None) => Ok(()),
            Err(_) => Err(anyhow!("a run ended without a result")),
        }
    }

    /// Trains and judges one cell, unless that is done.
    fn run_cell(&self, cell: &Cell, name: &str, quiet: bool) -> Result<()> {
        let folder = self.folder(cell);
        if self.result(cell)?.is_some() {
            eprintln!("{name}: done already");
            return Ok(());
        }
        std::fs::create_dir_all(&folder).with_context(|| format!("{}: cannot create the folder", folder.display()))?;
        let mut config = cell.config.clone();
        if let Some(distill) = &mut config.distill {
            // Cells that run side by side must not write into one cache.
            let shared = self.args.out.join("cache").join(&self.study.students[cell.student].name);
            distill.cache = (self.args.jobs <= 1).then_some(shared);
        }
        let mark = folder.join("fingerprint");
        let known = std::fs::read_to_string(&mark).ok();
        let resume =
            folder.join("checkpoints/last.safetensors").exists() && known.as_deref() == Some(&self.fingerprint(cell));
        if !resume && known.is_some() {
            // Not its teacher's cache, which knows by itself whether it still fits.
            remove(&folder, &["checkpoints", "metrics.jsonl", "model.safetensors", "result.json"])?;
        }
        write_atomically(&mark, |writer| writer.write_all(self.fingerprint(cell).as_bytes()))?;
        save_config(&folder, &config)?;
        let data = self.data[cell.student].0.clone();
        let summary = match quiet {
            true => train(&config, data, &folder, resume, self.interrupt, &mut Silent, &|_| {})?,
            false => run_config(&config, data, &folder, resume, self.interrupt, name)?,
        };
        if summary.ending == Ending::Interrupted {
            return Ok(());
        }
        let model = Model::load(&summary.model, &Device::flex(), DType::F32)?;
        let evaluation = measure(&model, &self.test, None, &format!("{name}: evaluating"), &mut |_, _| {})?;
        let result = CellResult {
            fingerprint: self.fingerprint(cell),
            evaluation,
            n_parameters: n_parameters(&model),
            steps: summary.steps,
            seconds: summary.seconds,
        };
        let path = folder.join("result.json");
        write_atomically(&path, |writer| Ok(serde_json::to_writer_pretty(writer, &result)?))?;
        if quiet {
            eprintln!("{name}: {} steps in {:.0} s", result.steps, result.seconds);
        }
        Ok(())
    }

    fn name(&self, cell: &Cell) -> String {
        let (student, run) = (&self.study.students[cell.student].name, &self.study.runs[cell.run].name);
        format!("{student}/{run}/seed-{}", cell.seed)
    }

    fn folder(&self, cell: &Cell) -> PathBuf {
        self.args.out.join(self.name(cell))
    }

    /// Hash of everything that the result depends on.
    fn fingerprint(&self, cell: &Cell) -> String {
        let mut config = cell.config.clone();
        config.data.train.clear();
        config.data.validation.clear();
        if let Some(distill) = &mut config.distill {
            distill.teacher = PathBuf::new();
        }
        let text = serde_json::to_string(&config).unwrap_or_default();
        let teacher = if config.distill.is_some() { self.teacher_hash.as_str() } else { "" };
        let all =
            format!("{}{text}{}{}{teacher}", env!("CARGO_PKG_VERSION"), self.data[cell.student].1, self.test_hash);
        potstill_core::dataset::text_hash(&all)
    }

    /// What an earlier command found, if it is about the same run.
    fn result(&self, cell: &Cell) -> Result<Option<CellResult>> {
        let path = self.folder(cell).join("result.json");
        let Ok(text) = std::fs::read_to_string(&path) else { return Ok(None) };
        let result: CellResult = serde_json::from_str(&text)
            .map_err(|e| anyhow!("{}: {e}; delete this file to judge the run again", path.display()))?;
        Ok((result.fingerprint == self.fingerprint(cell)).then_some(result))
    }

    fn rows(&self, cells: &[Cell], teacher: &Model, judged: &Evaluation) -> Result<Vec<Row>> {
        let single = |value: Option<f64>| value.and_then(|v| Mean::of(&[v]));
        let mut rows = vec![Row {
            student: "teacher".to_owned(),
            run: teacher.header().model.name().to_owned(),
            n_seeds: 1,
            energy_mae: single(judged.metrics.energy_mae),
            forces_mae: single(judged.metrics.forces_mae),
            forces_cos: single(judged.metrics.forces_cos),
            efwt: single(judged.metrics.efwt),
            energy_gap_closed: None,
            forces_gap_closed: None,
            n_parameters: n_parameters(teacher),
            systems_per_second: single(Some(judged.systems_per_second)),
            seconds: None,
        }];
        for s in 0..self.study.students.len() {
            for r in 0..self.study.runs.len() {
                let group: Vec<&Cell> = cells.iter().filter(|c| c.student == s && c.run == r).collect();
                if !group.is_empty() {
                    rows.push(self.row(cells, &group, judged)?);
                }
            }
        }
        Ok(rows)
    }

    /// One student and run over all seeds.
    fn row(&self, cells: &[Cell], group: &[&Cell], teacher: &Evaluation) -> Result<Row> {
        let results = group.iter().map(|cell| self.result(cell)).collect::<Result<Vec<_>>>()?;
        let done: Vec<(&Cell, CellResult)> =
            group.iter().copied().zip(results).filter_map(|(c, r)| Some((c, r?))).collect();
        let mean = |value: &dyn Fn(&CellResult) -> Option<f64>| {
            Mean::of(&done.iter().filter_map(|(_, result)| value(result)).collect::<Vec<_>>())
        };
        let gap = |metric: fn(&Evaluation) -> Option<f64>| -> Result<Option<Mean>> {
            let mut closed = Vec::new();
            for (cell, result) in &done {
                let alone = cells
                    .iter()
                    .find(|c| c.student == cell.student && c.seed == cell.seed && Some(c.run) == self.study.baseline());
                let alone = match alone {
                    Some(alone) if alone.run != cell.run => self.result(alone)?,
                    _ => None,
                };
                let numbers =
                    alone.and_then(|a| Some((metric(&a.evaluation)?, metric(&result.evaluation)?, metric(teacher)?)));
                closed.extend(numbers.and_then(|(alone, own, teacher)| gap_closed(alone, own, teacher)));
            }
            Ok(Mean::of(&closed))
        };
        let first = group[0];
        Ok(Row {
            student: self.study.students[first.student].name.clone(),
            run: self.study.runs[first.run].name.clone(),
            n_seeds: done.len(),
            energy_mae: mean(&|r| r.evaluation.metrics.energy_mae),
            forces_mae: mean(&|r| r.evaluation.metrics.forces_mae),
            forces_cos: mean(&|r| r.evaluation.metrics.forces_cos),
            efwt: mean(&|r| r.evaluation.metrics.efwt),
            energy_gap_closed: gap(|e| e.metrics.energy_mae)?,
            forces_gap_closed: gap(|e| e.metrics.forces_mae)?,
            n_parameters: done.first().map_or(0, |(_, r)| r.n_parameters),
            systems_per_second: mean(&|r| Some(r.evaluation.systems_per_second)),
            seconds: mean(&|r| Some(r.seconds)),
        })
    }

    fn write(&self, cells: &[Cell], rows: &[Row]) -> Result<()> {
        let out = &self.args.out;
        let text = |name: &str, text: String| write_atomically(&out.join(name), |w| w.write_all(text.as_bytes()));
        text("table.md", markdown(rows))?;
        text("table.csv", csv(rows))?;
        text("summary.json", serde_json::to_string_pretty(rows)?)?;
        text("report.html", self.report(cells, rows)?.to_html()?)?;
        for name in ["table.md", "table.csv", "summary.json", "report.html"] {
            eprintln!("{}", out.join(name).display());
        }
        Ok(())
    }

    fn report(&self, cells: &[Cell], rows: &[Row]) -> Result<Report> {
        let point = |metric: fn(&Row) -> Option<Mean>| -> Vec<Curve> {
            let points = rows.iter().filter_map(|row| Some((row, metric(row)?.mean, row.systems_per_second?.mean)));
            let curve = |(row, error, speed): (&Row, f64, f64)| Curve {
                name: format!("{} {}", row.student, row.run),
                points: vec![(speed, 1e3 * error)],
            };
            points.map(curve).collect()
        };
        let mut plots = Vec::new();
        for (title, label, metric) in [
            ("Energy error and speed", "energy MAE in meV", (|r| r.energy_mae) as fn(&Row) -> Option<Mean>),
            ("Force error and speed", "force MAE in meV/Å", |r| r.forces_mae),
        ] {
            plots.push(Plot {
                title: title.to_owned(),
                x_label: "systems per second".to_owned(),
                y_label: label.to_owned(),
                log_y: false,
                curves: point(metric),
            });
        }
        for (s, student) in self.study.students.iter().enumerate() {
            for (what, key, unit) in
                [("energy", "energy_mae", "energy MAE in meV"), ("force", "forces_mae", "force MAE in meV/Å")]
            {
                let of_student = |c: &&Cell| c.student == s && c.seed == self.study.seeds[0];
                let curves = cells.iter().filter(of_student).map(|c| self.curve(c, key)).collect::<Result<Vec<_>>>()?;
                plots.push(Plot {
                    title: format!(
                        "{}: {what} error on validation systems, seed {}",
                        student.name, self.study.seeds[0]
                    ),
                    x_label: "step".to_owned(),
                    y_label: unit.to_owned(),
                    log_y: true,
                    curves,
                });
            }
        }
        let mut provenance = vec![("All numbers".to_owned(), markdown(rows))];
        for cell in cells {
            let config = std::fs::read_to_string(self.folder(cell).join("config.toml")).unwrap_or_default();
            provenance.push((self.name(cell), config));
        }
        Ok(Report {
            title: "Study".to_owned(),
            summary: format!(
                "{} runs of {} students with {} seeds; errors on {} test systems, which no model was trained or chosen on. \
                 Means over seeds with standard errors; the gap that distillation closes is taken seed by seed.",
                self.study.runs.len(),
                self.study.students.len(),
                self.study.seeds.len(),
                self.test.len()
            ),
            plots,
            provenance,
            ..Report::default()
        })
    }

    fn curve(&self, cell: &Cell, key: &str) -> Result<Curve> {
        let path = self.folder(cell).join("metrics.jsonl");
        let text = std::fs::read_to_string(&path).with_context(|| format!("{}: cannot open", path.display()))?;
        let points = text
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .filter_map(|v| Some((v["step"].as_f64()?, 1e3 * v["validation"][key].as_f64()?)))
            .collect();
        Ok(Curve { name: self.study.runs[cell.run].name.clone(), points })
    }
}

fn cells_before(cells: &[Cell], cell: &Cell) -> usize {
    cells.iter().position(|c| std::ptr::eq(c, cell)).unwrap_or(0)
}

fn n_parameters(model: &Model) -> usize {
    parameters::describe(model.network()).iter().map(|p| p.len()).sum()
}
