//! Five steps of distillation, number by number as the reference implementation took them.
//!
//! The start weights go in as a training state, so that it is the trainer itself that takes the steps.
#![allow(clippy::print_stdout, reason = "tests tell what they found")]

mod reference;

use potstill_nn::Network;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use burn::tensor::{DType, Device};
use potstill_core::Precision;
use potstill_core::model::Normalizer;
use potstill_core::ranks::Alone;
use potstill_data::dataset::Systems;
use potstill_fixtures::{file, json, read};
use potstill_fixtures_macros::needs_full_set;
use potstill_nn::parameters::{self, ParameterInfo};
use potstill_train::config::TrainingConfig;
use potstill_train::distill::labelling::{Asked, open_or_make};
use potstill_train::distill::strategies::{AtomicEnergy, EdgeToEdge, EdgeToNode, NodeToNode, Vanilla, VectorToVector};
use potstill_train::distill::terms::{Source, TermTeacher, Terms};
use potstill_train::distill::{DistillConfig, FeatureTerm, Student, Teacher, Term, WeightSchedule, training_rule};
use potstill_train::folder::{RunFolder, Start};
use potstill_train::loss::{EnergyLoss, ForceLoss};
use potstill_train::optimizer::{Memory, OptimizerConfig};
use potstill_train::prepared::Split;
use potstill_train::schedule::{Schedule, ScheduleConfig};
use potstill_train::state::{self, Identity, Progress, Vectors};
use potstill_train::trainer::{Job, Trainer};
use reference::{Weights, architecture, header, student_name, systems, teacher};
use serde_json::Value;

fn normalizer(settings: &Value) -> Normalizer {
    let number = |key: &str, default: f64| settings[key].as_f64().unwrap_or(default);
    Normalizer {
        energy_mean: number("target_mean", 0.0),
        energy_std: number("target_std", 1.0),
        force_std: number("grad_target_std", 1.0),
    }
}

fn training(optim: &Value) -> TrainingConfig {
    let number = |key: &str, default: f64| optim[key].as_f64().unwrap_or(default);
    let grouped = number("weight_decay", 0.0) > 0.0;
    let parameters = &optim["optimizer_params"];
    let decay = parameters["weight_decay"].as_f64().unwrap_or(0.01);
    let schedule = match optim["scheduler"].as_str() {
        Some("LinearWarmupExponentialDecay") => ScheduleConfig::WarmupExponential {
            warmup_steps: number("warmup_steps", 0.0) as u64,
            decay_rate: number("decay_rate", 1.0),
            decay_steps: number("decay_steps", 1.0) as u64,
            staircase: false,
        },
        _ => ScheduleConfig::Milestones {
            warmup_steps: number("warmup_steps", 0.0).max(0.0) as u64,
            warmup_factor: number("warmup_factor", 1.0),
            milestones: optim["lr_milestones"].as_array().unwrap().iter().filter_map(Value::as_u64).collect(),
            gamma: number("lr_gamma", 1.0),
        },
    };
    assert!(optim["loss_energy"].is_null() || optim["loss_energy"] == "mae");
    TrainingConfig {
        batch_size: 3,
        learning_rate: number("lr_initial", 0.0),
        schedule,
        optimizer: OptimizerConfig {
            epsilon: parameters["eps"].as_f64().unwrap_or(1e-8),
            weight_decay: if grouped { number("weight_decay", 0.0) } else { decay },
            amsgrad: parameters["amsgrad"] == true,
            decay_biases_and_embeddings: !grouped,
            ..OptimizerConfig::default()
        },
        clip_norm: number("clip_grad_norm", 0.0),
        ema_decay: number("ema_decay", 0.0),
        ema_warmup: false,
        energy_weight: number("energy_coefficient", 1.0),
        force_weight: number("force_coefficient", 30.0),
        energy_loss: EnergyLoss::Mae,
        force_loss: if optim["loss_force"] == "l2mae" { ForceLoss::L2mae } else { ForceLoss::Mae },
        dtype: Precision::F64,
        ..TrainingConfig::default()
    }
}

/// Terms in the reference's order, and the names of its projections.
fn terms(settings: &Value) -> (DistillConfig, Vec<&'static str>) {
    let names: Vec<&str> = settings["distill_loss"].as_str().unwrap().split(", ").collect();
    let mut mappings = Vec::new();
    let mut terms = Vec::new();
    for (k, name) in names.iter().enumerate() {
        let lambda = &settings["distill_lambda"];
        let weight = lambda.as_f64().or_else(|| lambda[k].as_f64()).unwrap();
        let feature = FeatureTerm::new(weight);
        terms.push(match *name {
            "node2node_distill_loss" => {
                mappings.push("n2n_mapping");
                Term::NodeToNode(NodeToNode(feature))
            }
            "edge2node_distill_loss" => {
                mappings.push("n2e_mapping");
                Term::EdgeToNode(EdgeToNode(feature))
            }
            "edge2edge_distill_loss" => {
                mappings.push("e2e_mapping");
                Term::EdgeToEdge(EdgeToEdge(feature))
            }
            "vec2vec_distill_loss" => {
                mappings.push("v2v_mapping");
                Term::VectorToVector(VectorToVector(feature))
            }
            "per_atom_energy_distill_loss" => {
                Term::AtomicEnergy(AtomicEnergy { weight: weight.into(), schedule: WeightSchedule::Constant })
            }
            "regular" => Term::Vanilla(Vanilla {
                energy_weight: weight * settings["energy_coefficient"].as_f64().unwrap(),
                force_weight: weight * settings["force_coefficient"].as_f64().unwrap(),
                stress_weight: 0.0,
                schedule: WeightSchedule::Constant,
            }),
            other => panic!("{other}"),
        });
    }
    let config = DistillConfig { feature_precision: Precision::F64, ..DistillConfig::new("teacher", terms) };
    (config, mappings)
}

fn identity() -> Identity {
    Identity { fingerprint: "golden".to_owned(), teacher: None }
}

/// A training state before the first step.
fn write_start(folder: &Path, training: &TrainingConfig, values: Vec<f64>) {
    let zeros = vec![0.0; values.len()];
    let largest = if training.optimizer.amsgrad { zeros.clone() } else { Vec::new() };
    let memory = Memory { steps: 0, first: zeros.clone(), second: zeros, largest };
    let vectors = Vectors { average: values.clone(), values, memory };
    let plateau = Schedule::new(training.schedule.clone(), training.learning_rate, 0).plateau;
    std::fs::create_dir_all(folder.join("checkpoints")).unwrap();
    let progress = Progress::new(identity(), plateau);
    state::save(&folder.join("checkpoints/last.safetensors"), &progress, &vectors).unwrap();
}

fn close(place: &str, found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-9 * expected.abs(), "{place}: {found} instead of {expected}");
}

fn compare(place: &str, infos: &[(ParameterInfo, String)], found: &[f64], expected: &Weights, prefix: &str) -> f64 {
    let mut worst: f64 = 0.0;
    for (info, name) in infos {
        let golden = &expected[&format!("{prefix}.{name}")];
        let difference = golden.relative_difference(&found[info.range()]);
        let limit = if golden.exact { 1e-9 } else { 1e-6 };
        assert!(difference <= limit, "{place} {prefix}.{name}: {difference:e}");
        worst = if golden.exact { worst.max(difference) } else { worst };
    }
    worst
}

fn run(folder: &Path, name: &str, run: &Value) {
    let pair = folder.join(run["pair"].as_str().unwrap());
    let config = json(&pair.join("config.json"));
    let student = architecture(&config["student"], &pair.join("student_scale_factors.safetensors"));
    let teacher_model = architecture(&config["teacher"], &pair.join("teacher_scale_factors.safetensors"));
    let systems = Systems::from(systems(&read(&folder.join("batch.safetensors"))));
    let normalizer = normalizer(&run["normalizer"]);
    let training = training(&run["optim"]);
    let (distill, mappings) = terms(&run["distillation"]);
    assert_eq!(run["task"]["train_on_free_atoms"], true);

    let place = tempfile::tempdir().unwrap();
    let teacher = teacher(&teacher_model, &read(&pair.join("teacher.safetensors")), normalizer);
    let questions = distill.questions(Some(&teacher_model), &student).unwrap();
    let cache = place.path().join("cache");
    let teacher = Teacher::networks(vec![teacher]).unwrap();
    let (cache, _) = open_or_make(&cache, &teacher, &Asked::about(&systems).unwrap(), &questions, &|_| {}).unwrap();
    let header = header(student.clone(), normalizer);
    let rule = training_rule(&distill.terms, &teacher_model, &student).unwrap();
    let units = header.scale.clone();
    let architecture = Some(teacher_model.clone());
    let teacher = TermTeacher { architecture, source: Source::Cache(cache), live: None };
    let terms = Terms::new(&distill, &student, teacher, units).unwrap();

    let device = Device::flex();
    let module = Student {
        network: Network::init(&student, 0, &device, DType::F64),
        projections: terms.projections(&student, 0, &device, DType::F64),
    };
    let infos: Vec<(ParameterInfo, String)> = parameters::describe(&module)
        .into_iter()
        .map(|info| {
            let name = student_name(&student, &mappings, &info.name);
            (info, name)
        })
        .collect();
    let start = read(&pair.join("student.safetensors"));
    let values = infos.iter().flat_map(|(_, name)| start[name].values.clone()).collect();
    write_start(place.path(), &training, values);

    let split = Split::new(systems, &rule, &header.scale).unwrap();
    let nothing = Split::new(Systems::default(), &rule, &header.scale).unwrap();
    let interrupt = AtomicBool::new(false);
    let folder_of_run = RunFolder::open(place.path(), Start::Resume).unwrap();
    let mut trainer = Trainer::<f64>::new(Job {
        device: &device,
        ranks: &Alone,
        start: None,
        training: &training,
        header: &header,
        train: &split,
        validation: &nothing,
        terms: Some(&terms),
        folder: &folder_of_run,
        documents: Vec::new(),
        interrupt: &interrupt,
        seed: 0,
        identity: identity(),
    })
    .unwrap();
    for (k, expected) in run["history"].as_array().unwrap().iter().enumerate() {
        let report = trainer.step(&[0, 1, 2]).unwrap();
        let at = |what: &str| format!("{name}, step {k}, {what}");
        let number = |key: &str| expected[key].as_f64().unwrap();
        close(&at("learning rate"), report.learning_rate, number("lr"));
        close(&at("loss on labels"), report.energy_loss + report.force_loss, number("main"));
        let weighted = expected["distill_weighted"].as_array().unwrap();
        assert_eq!(weighted.len(), report.distill_losses.len());
        for (found, expected) in report.distill_losses.iter().zip(weighted) {
            close(&at("term"), *found, expected.as_f64().unwrap());
        }
        close(&at("loss"), report.loss, number("total"));
        if let Some(norm) = expected["grad_norm_before_clip"].as_f64() {
            close(&at("gradient norm"), report.gradient_norm, norm);
        }
    }
    let end = read(&folder.join(format!("final_{name}.safetensors")));
    let mut worst = compare(name, &infos, trainer.values(), &end, "param");
    if training.ema_decay > 0.0 {
        worst = worst.max(compare(name, &infos, trainer.average(), &end, "ema"));
    }
    println!("{name}: {} parameters, largest difference {worst:.1e}", infos.len());
}

#[needs_full_set]
#[test]
fn five_steps_of_the_reference() {
    let folder = file("training");
    let expected = json(&folder.join("expected.json"));
    let runs = expected.as_object().unwrap();
    assert!(!runs.is_empty(), "no runs");
    for (name, expected) in runs {
        run(&folder, name, expected);
    }
}
