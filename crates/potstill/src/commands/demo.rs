//! `potstill demo`: teacher, student alone, student distilled, on shipped data.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result, bail};
use burn::tensor::{DType, Device};
use potstill_core::files::lock::LOCK_FILE;
use potstill_core::files::{FolderLock, write_atomically};
use potstill_core::{Precision, Prediction, System};
use potstill_data::dataset::Systems;
use potstill_data::io::LabelKeys;
use potstill_nn::Model;
use potstill_train::config::Config;
use potstill_train::folder::{RunFolder, Start};
use potstill_train::observer::Ending;
use potstill_train::run::Data;
use serde_json::Value;

use super::train::{interrupt_flag, load_data, run_config};
use super::{print, print_json};
use crate::Outcome;
use crate::args::{DemoArgs, EngineArgs};
use crate::evaluation::{Evaluation, measure};
use crate::parity::{Pairs, Thinned};
use crate::potential;
use crate::report::{Curve, ModelRow, Parity, Plot, Report, table};
use crate::study::bench::n_parameters;
use crate::{config_file, load};

/// One of the three models with its measurements.
struct Judged {
    name: &'static str,
    n_parameters: usize,
    evaluation: Evaluation,
    pairs: Pairs,
}

/// Trains, distils, compares and writes `summary.json` and `report.html`.
pub fn run(args: &DemoArgs) -> Result<Outcome> {
    let folder = data_folder(args.data.as_deref())?;
    let config_path = args.config.clone().unwrap_or_else(|| folder.join("demo.toml"));
    let mut config = config_file::read(&config_path, &args.set)?;
    config.seed = args.seed;
    let Some(distill) = config.distill.clone() else {
        bail!("{}: has no [distill] section", config_path.display());
    };
    let _lock = FolderLock::acquire(&args.out, "a demo")?;
    check_folder(&args.out)?;

    let [teacher] = distill.teacher.paths() else {
        bail!("{}: distill.teacher names several files; the demo judges one", config_path.display());
    };
    let teacher = teacher.clone();
    let split = if args.judge_on_validation { "val" } else { "test" };
    let keys =
        LabelKeys { energy: config.data.energy_key.clone(), forces: config.data.forces_key.clone(), stress: None };
    let test = load::open(&[folder.join(format!("{split}.extxyz.xz"))], &keys, Some(true), None)?;
    let data = load_data(&config.data)?;
    let interrupt = interrupt_flag()?;

    let alone = Config { distill: None, ..config.clone() };
    let baseline = train_one(&alone, data.clone(), &args.out.join("baseline"), &interrupt, "student alone")?;
    let student = train_one(&config, data, &args.out.join("student"), &interrupt, "student distilled")?;
    let (Some(baseline), Some(student)) = (baseline, student) else { return Ok(Outcome::Interrupted) };

    let judged = [("teacher", teacher), ("student alone", baseline), ("student distilled", student)]
        .into_iter()
        .map(|(name, model)| judge(name, &model, &test))
        .collect::<Result<Vec<_>>>()?;
    finish(args, &config, &judged, &test, split)
}

/// Trains a student, whose best weights are in the file; `None` when the user interrupted.
fn train_one(
    config: &Config,
    data: Data,
    folder: &Path,
    interrupt: &AtomicBool,
    name: &str,
) -> Result<Option<PathBuf>> {
    let folder = RunFolder::open(folder, Start::Replace)?;
    let summary = run_config(config, data, &folder, interrupt, name)?;
    if summary.ending == Ending::Interrupted {
        return Ok(None);
    }
    Ok(Some(summary.model))
}

/// Measures a model with what runs it best.
fn judge(name: &'static str, model: &Path, test: &Systems) -> Result<Judged> {
    let chosen = potential::open(model, &EngineArgs::default(), Precision::F32)?;
    let mut pairs = Pairs::default();
    let mut keep = |systems: &[Cow<'_, System>], prediction: &Prediction| pairs.add(systems, prediction);
    let evaluation = measure(chosen.potential.as_ref(), test, None, &format!("evaluating {name}"), &mut keep)?;
    let n_parameters = n_parameters(&Model::load(model, &Device::flex(), DType::F32)?);
    Ok(Judged { name, n_parameters, evaluation, pairs })
}

fn finish(args: &DemoArgs, config: &Config, judged: &[Judged], test: &Systems, split: &str) -> Result<Outcome> {
    let [teacher, baseline, student] = judged else { bail!("expected three models") };
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

    let rows: Vec<ModelRow> = judged.iter().map(row).collect();
    let gap = energy.zip(forces);
    let report = Report {
        title: "Distilling PaiNN on xcoll".to_owned(),
        summary: format!(
            "A student trained alone and the same student distilled from a teacher: same seed, data and number of steps. \
             Errors are on the {} systems of the {split} split, which none of the three was trained on.",
            test.len()
        ),
        plots: learning_curves(&args.out)?,
        parities: parities(judged),
        provenance: provenance(args, config)?,
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

/// Part of the gap between a student alone and its teacher that distillation closes, in per cent (Ekström Kelvinius et
/// al. 2023, sec. 5); `None` when the student alone is no worse than its teacher.
pub fn gap_closed(alone: f64, distilled: f64, teacher: f64) -> Option<f64> {
    (alone > teacher).then(|| 100.0 * (alone - distilled) / (alone - teacher))
}

fn row(judged: &Judged) -> ModelRow {
    ModelRow {
        name: judged.name.to_owned(),
        n_parameters: judged.n_parameters,
        metrics: judged.evaluation.metrics.clone(),
        systems_per_second: judged.evaluation.systems_per_second,
    }
}

/// Validation errors of both students over their steps.
fn learning_curves(out: &Path) -> Result<Vec<Plot>> {
    let plot = |title: &str, metric: &str, unit: &str| -> Result<Plot> {
        let mut curves = Vec::new();
        for (name, folder) in [("student alone", "baseline"), ("student distilled", "student")] {
            let path = out.join(folder).join("metrics.jsonl");
            let text = std::fs::read_to_string(&path).with_context(|| format!("{}: cannot open", path.display()))?;
            let points = text
                .lines()
                .filter_map(|line| serde_json::from_str::<Value>(line).ok())
                .filter_map(|v| Some((v["step"].as_f64()?, 1e3 * v["validation"][metric].as_f64()?)))
                .collect();
            curves.push(Curve { name: name.to_owned(), points });
        }
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
    let ours = ["baseline", "student", "summary.json", "report.html", LOCK_FILE];
    let entries = std::fs::read_dir(out).with_context(|| format!("{}: cannot list", out.display()))?;
    let names = entries.flatten().map(|entry| entry.file_name());
    match names.into_iter().find(|name| !ours.iter().any(|o| *name == *o)) {
        Some(other) => {
            bail!("{}: holds {}, which is not of a demo; give another --out", out.display(), other.display())
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::gap_closed;

    #[test]
    fn the_gap_of_the_paper() {
        assert_eq!(gap_closed(3.0, 2.0, 1.0), Some(50.0));
        assert_eq!(gap_closed(3.0, 3.5, 1.0), Some(-25.0));
        assert_eq!(gap_closed(1.0, 0.5, 1.0), None);
    }
}
