//! Disturbed copies, number by number as the reference implementation makes them.
#![allow(clippy::print_stdout, reason = "tests tell what they found")]

mod reference;

use burn::tensor::{DType, Device};
use potstill_core::Precision;
use potstill_core::System;
use potstill_core::model::Normalizer;
use potstill_core::ranks::Alone;
use potstill_data::dataset::Systems;
use potstill_fixtures::{file, files, json, read};
use potstill_fixtures_macros::needs_full_set;
use potstill_nn::Network;
use potstill_nn::parameters;
use potstill_testkit::golden::structure;
use potstill_train::augment::{Attack, AttackRule, Copies, Jitter, JitterMode, StepLength};
use potstill_train::config::TrainingConfig;
use potstill_train::distill::strategies::{NodeToNode, Vanilla, VectorToVector};
use potstill_train::distill::targets::LiveTeacher;
use potstill_train::distill::terms::{Source, TermTeacher, Terms};
use potstill_train::distill::{Augmentation, DistillConfig, FeatureTerm, Student, Term, WeightSchedule};
use potstill_train::loss::{EnergyLoss, ForceLoss};
use potstill_train::prepared::Split;
use potstill_train::step::{StepContext, counts};
use reference::{Weights, architecture, header, student_name, teacher};
use serde_json::Value;

/// The molecules with labels and fixed atoms.
fn systems(tensors: &Weights, names: &Value) -> Vec<System> {
    let forces: Vec<[f64; 3]> = rows(&tensors["forces_label"].values);
    let mut first = 0;
    let named = |name: &Value| structure(&files("structures", ".extxyz"), name.as_str().unwrap());
    let label = |(system, &energy): (System, &f64)| {
        let atoms = first..first + system.n_atoms();
        first = atoms.end;
        let fixed = tensors["fixed"].values[atoms.clone()].iter().map(|&f| f == 1.0).collect();
        System { energy: Some(energy), forces: Some(forces[atoms].to_vec()), fixed: Some(fixed), ..system }
    };
    names.as_array().unwrap().iter().map(named).zip(&tensors["energy_label"].values).map(label).collect()
}

fn rows(values: &[f64]) -> Vec<[f64; 3]> {
    values.chunks_exact(3).map(|r| [r[0], r[1], r[2]]).collect()
}

/// Largest distance between free and fixed atoms that were moved and those that should be.
fn distance(place: &str, found: &[[f64; 3]], expected: &[f64]) -> f64 {
    let expected = rows(expected);
    assert_eq!(found.len(), expected.len(), "{place}");
    let distances = found.iter().zip(&expected).map(|(a, b)| (0..3).map(|c| (a[c] - b[c]).abs()).fold(0.0, f64::max));
    distances.fold(0.0, f64::max)
}

#[needs_full_set]
#[test]
fn random_jitter() {
    let folder = file("augment");
    let (config, tensors) = (json(&folder.join("config.json")), read(&folder.join("tensors.safetensors")));
    let systems = systems(&tensors, &config["structures"]);
    for case in config["jitter"].as_array().unwrap() {
        let key = format!("jitter{}", case["index"]);
        let mode = match case["random_mode"].as_str() {
            None => JitterMode::Free,
            Some("force_proj") => JitterMode::AcrossForce,
            Some("proj_on_force") => JitterMode::AlongForce,
            Some("sample_from_force") => JitterMode::FromForce,
            Some(other) => panic!("{other}"),
        };
        let jitter = Jitter {
            std: case["random_std"].as_f64().unwrap(),
            mode,
            fixed_length: case["random_fixed_length"].as_f64(),
        };
        let sample = tensors.get(&format!("{key}.sample"));
        let drawn = rows(&sample.unwrap_or(&tensors[&format!("{key}.noise")]).values);
        let mut first = 0;
        let mut moved = Vec::new();
        for system in &systems {
            let mut noise = drawn[first..first + system.n_atoms()].to_vec();
            first += system.n_atoms();
            if sample.is_some() {
                // The reference's sample has the force in it already.
                let forces = system.forces.as_ref().unwrap();
                noise.iter_mut().zip(forces).for_each(|(n, f)| *n = std::array::from_fn(|c| n[c] - f[c]));
            }
            let displacements = jitter.displacements(system, noise).unwrap();
            moved.extend(
                system
                    .positions
                    .iter()
                    .zip(displacements)
                    .enumerate()
                    .map(|(atom, (r, d))| if system.is_free(atom) { std::array::from_fn(|c| r[c] + d[c]) } else { *r }),
            );
        }
        let worst = distance(&key, &moved, &tensors[&format!("{key}.pos")].values);
        println!("{key}: {worst:.1e}");
        assert!(worst < 1e-12, "{key}: {worst:e}");
    }
}

fn attack(case: &Value) -> Attack {
    let number = |key: &str| case[key].as_f64().unwrap();
    let rule = match case["pgd_mode"].as_str() {
        None => AttackRule::Adam { learning_rate: number("lr") },
        Some("sphere") => AttackRule::Sphere { length: number("alpha") },
        Some("ball") => AttackRule::Ball { learning_rate: number("lr"), length: number("alpha") },
        Some("force_proj") => AttackRule::AcrossForce {
            step: match case["force_prop"].as_str().unwrap() {
                "prop" => StepLength::Proportional(number("lr")),
                "inv_prop" => StepLength::Inverse(number("lr")),
                _ => StepLength::Fixed(number("alpha")),
            },
        },
        Some(other) => panic!("{other}"),
    };
    Attack {
        rule,
        steps: case["steps"].as_u64().unwrap() as usize,
        start_std: number("init_sd"),
        teacher_gradient: case["teacher_grad"] == true,
        force_regularization: case["force_reg"].as_f64().unwrap_or(0.0),
        accumulate: true,
    }
}

/// Terms on the copies, and the names of their projections.
fn terms(settings: &Value) -> (Vec<Term>, Vec<&'static str>) {
    let mut mappings = Vec::new();
    let vanilla = |energy_weight: f64, force_weight: f64| {
        Term::Vanilla(Vanilla { energy_weight, force_weight, stress_weight: 0.0, schedule: WeightSchedule::Constant })
    };
    let Some(names) = settings["adversarial_distill_loss"].as_str() else {
        return (vec![vanilla(1.0, 100.0)], mappings);
    };
    let lambda = &settings["adversarial_distill_lambda"];
    let one = |(k, name): (usize, &str)| {
        let weight = lambda.as_f64().or_else(|| lambda[k].as_f64()).unwrap();
        match name {
            "regular" => vanilla(
                weight * settings["energy_coefficient"].as_f64().unwrap(),
                weight * settings["force_coefficient"].as_f64().unwrap(),
            ),
            "node2node_distill_loss" => {
                mappings.push("n2n_mapping");
                Term::NodeToNode(NodeToNode(FeatureTerm::new(weight)))
            }
            "vec2vec_distill_loss" => {
                mappings.push("v2v_mapping");
                Term::VectorToVector(VectorToVector(FeatureTerm::new(weight)))
            }
            other => panic!("{other}"),
        }
    };
    (names.split(", ").enumerate().map(one).collect(), mappings)
}

#[needs_full_set]
#[test]
fn attacks() {
    let folder = file("augment");
    let (config, tensors) = (json(&folder.join("config.json")), read(&folder.join("tensors.safetensors")));
    let student = architecture(&config["student"], &folder.join("student_scale_factors.safetensors"));
    let teacher_model = architecture(&config["teacher"], &folder.join("teacher_scale_factors.safetensors"));
    let normalizer = Normalizer::default();
    let header = header(student.clone(), normalizer);
    let units = header.scale.clone();
    let systems = Systems::from(systems(&tensors, &config["structures"]));
    let split = Split::new(systems, &student.graph_rule(), &units).unwrap();
    let device = Device::flex();
    let weights = read(&folder.join("student.safetensors"));
    for case in config["adversarial"].as_array().unwrap() {
        let key = case["key"].as_str().unwrap();
        let (terms, mappings) = terms(&case["distillation"]);
        let augmentation = Augmentation { copies: Copies::Adversarial(attack(case)), terms, min_distance: 0.0 };
        let distill = DistillConfig { augmentation: Some(augmentation), ..DistillConfig::new("teacher", Vec::new()) };
        distill.validate(&student).unwrap();
        distill.questions(Some(&teacher_model), &student).unwrap();
        let live = vec![teacher(&teacher_model, &read(&folder.join("teacher.safetensors")), normalizer)];
        let live = LiveTeacher::new(live);
        let teacher = TermTeacher { architecture: Some(teacher_model.clone()), source: Source::Live, live: Some(live) };
        let terms = Terms::new(&distill, &student, teacher, units.clone()).unwrap();
        let projections = terms.projections(&student, 0, &device, DType::F64);
        let template = Student { network: Network::init(&student, 0, &device, DType::F64), projections };
        let values: Vec<f64> = parameters::describe(&template)
            .iter()
            .flat_map(|info| weights[&student_name(&student, &mappings, &info.name)].values.clone())
            .collect();
        let training = TrainingConfig {
            energy_weight: 1.0,
            force_weight: 100.0,
            energy_loss: EnergyLoss::Mae,
            force_loss: ForceLoss::L2mae,
            dtype: Precision::F64,
            ..TrainingConfig::default()
        };
        let context = StepContext {
            template: &template,
            forces: student.forces(),
            split: &split,
            seed: 0,
            step: 0,
            divisors: &[],
            terms: Some(&terms),
            term_weights: terms.weights().map(|(id, weight)| (id, weight.number())).collect(),
            training: &training,
            bytes_per_edge: student.training_bytes_per_edge(),
            device: &device,
            ranks: &Alone,
            n_shards: None,
        };
        let batch = [0, 1, 2];
        let members = split.members(&batch).unwrap();
        let copies = context.copies(&values, (&batch, &members), None, &counts(members.iter())).unwrap();
        let moved: Vec<[f64; 3]> =
            copies.iter().flat_map(|copy| copy.as_ref().unwrap().system.positions.clone()).collect();
        let worst = distance(key, &moved, &tensors[&format!("{key}.pos")].values);
        let (losses, _) = context.gradient(&values, &batch).unwrap();
        println!("{key}: {worst:.1e}");
        assert!(worst < 1e-11, "{key}: {worst:e}");
        if let Some(expected) = case["loss_on_augmented_batch"].as_f64() {
            let difference = (losses.terms().map(|(_, loss)| loss).sum::<f64>() / expected - 1.0).abs();
            assert!(difference < 1e-11, "{key}: loss off by {difference:e}");
        }
    }
}
