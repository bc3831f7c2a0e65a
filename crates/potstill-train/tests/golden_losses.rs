//! Values and gradients of the losses, against those of the reference implementation.

use std::collections::BTreeMap;

use burn::tensor::{DType, Device, Tensor};
use potstill_core::dataset::Normalizer;
use potstill_nn::batch::{float_tensor, to_host};
use potstill_testkit::golden::{self, Golden};
use potstill_train::loss::{EnergyLoss, FeatureLoss, ForceLoss};
use serde_json::Value;

/// One file of losses on the same student and teacher.
struct Case {
    name: String,
    tensors: BTreeMap<String, Golden>,
    device: Device,
}

/// Value of a loss and the student's tensors that it depends on, by the reference's names.
struct Evaluated {
    value: Tensor<1>,
    leaves: Vec<(&'static str, Tensor<2>)>,
}

impl Case {
    /// One row per atom or system; the reference's vectors `[n, 3, c]` become `[n, 3·c]`.
    fn constant(&self, key: &str) -> Tensor<2> {
        let golden = &self.tensors[key];
        self.rows(golden.values.clone(), golden.shape[0])
    }

    fn rows(&self, values: Vec<f64>, n: usize) -> Tensor<2> {
        let width = values.len() / n;
        float_tensor(values, [n, width], &self.device, DType::F64)
    }

    fn leaf(&self, key: &str) -> Tensor<2> {
        self.constant(&format!("student.{key}")).require_grad()
    }

    fn features(&self, student: &'static str, teacher: &str, settings: &Value) -> Evaluated {
        let delta = settings["huber_delta"].as_f64().unwrap_or(1.0);
        let loss = match (settings["use_mae"] == true, settings["use_huber"] == true) {
            (true, _) => FeatureLoss::Mae,
            (_, true) => FeatureLoss::Huber { delta },
            _ => FeatureLoss::Mse,
        };
        let (leaf, target) = (self.leaf(student), self.constant(&format!("teacher.{teacher}")));
        let [n, width] = leaf.dims();
        let value = loss.evaluate(leaf.clone(), target, 1.0 / (n * width) as f64);
        Evaluated { value, leaves: vec![(student, leaf)] }
    }

    fn atomic_energies(&self, entry: &Value) -> Evaluated {
        let leaf = self.leaf("per_atom_energy");
        let scale = 1.0 / leaf.dims()[0] as f64;
        let value = energy_loss(entry).evaluate(leaf.clone(), self.constant("teacher.per_atom_energy"), scale);
        Evaluated { value, leaves: vec![("per_atom_energy", leaf)] }
    }

    /// The loss on labels (`main`) or on the teacher's energies and forces (`regular`).
    fn energy_and_forces(&self, entry: &Value, regular: bool) -> Evaluated {
        let (energy, forces) = (self.leaf("energy"), self.leaf("forces"));
        let (energy_target, force_target) = match regular {
            true => (self.constant("teacher.energy"), self.constant("teacher.forces")),
            false => self.labels(&entry["normalizer"]),
        };
        let coefficients = if regular { &entry["distillation"] } else { &entry["optim"] };
        let energy_weight = coefficients["energy_coefficient"].as_f64().unwrap_or(if regular { 0.0 } else { 1.0 });
        let force_weight = coefficients["force_coefficient"].as_f64().unwrap_or(30.0);
        let only_free = entry["task"]["train_on_free_atoms"] == true;
        let free: Vec<f64> =
            self.tensors["fixed"].values.iter().map(|&f| if only_free && f == 1.0 { 0.0 } else { 1.0 }).collect();
        let n_free: f64 = free.iter().sum();
        let mask = self.rows(free, forces.dims()[0]);
        let energy_scale = energy_weight / energy.dims()[0] as f64;
        let value = energy_loss(entry).evaluate(energy.clone(), energy_target, energy_scale)
            + force_loss(entry).evaluate(forces.clone(), force_target, mask, force_weight / n_free);
        let mut leaves = vec![("forces", forces)];
        if energy_weight > 0.0 {
            leaves.push(("energy", energy));
        }
        Evaluated { value, leaves }
    }

    fn labels(&self, settings: &Value) -> (Tensor<2>, Tensor<2>) {
        let mut normalizer = Normalizer::default();
        if settings["normalize_labels"] == true {
            normalizer.energy_mean = settings["target_mean"].as_f64().unwrap();
            normalizer.energy_std = settings["target_std"].as_f64().unwrap();
            normalizer.force_std = settings["grad_target_std"].as_f64().unwrap();
            assert_eq!(settings["grad_target_mean"], 0.0);
        }
        let energy: Vec<f64> = self.tensors["y"].values.iter().map(|&e| normalizer.normalize_energy(e)).collect();
        let forces: Vec<f64> = self.tensors["force"].values.iter().map(|&f| normalizer.normalize_force(f)).collect();
        let (n_systems, n_atoms) = (energy.len(), forces.len() / 3);
        (self.rows(energy, n_systems), self.rows(forces, n_atoms))
    }

    /// `None` for losses of the reference that potstill does not have.
    fn evaluate(&self, entry: &Value) -> Option<Evaluated> {
        let settings = &entry["distillation"];
        match entry["loss"].as_str()? {
            "node2node_distill_loss" => Some(self.features("node_feature", "node_feature", settings)),
            "edge2node_distill_loss" => Some(self.features("n2e_feature", "e2n_feature", settings)),
            "vec2vec_distill_loss" => Some(self.features("vector_feature", "vector_feature", settings)),
            "per_atom_energy_distill_loss" => Some(self.atomic_energies(entry)),
            "regular" => Some(self.energy_and_forces(entry, true)),
            "main" => {
                let synthetic = settings["loss_weighting_synthetic"].as_f64().is_some_and(|w| w != 1.0);
                let by_tag = !entry["task"]["tag_specific_weights"].is_null();
                let ours = !synthetic && !by_tag && entry["optim"]["loss_force"] != "atomwisel2";
                ours.then(|| self.energy_and_forces(entry, false))
            }
            _ => None,
        }
    }

    fn check(&self, index: usize, entry: &Value) -> bool {
        let Some(found) = self.evaluate(entry) else { return false };
        let place = format!("{} {index} {}", self.name, entry["loss"]);
        let (value, expected) = (to_host(&found.value)[0], entry["value"].as_f64().unwrap());
        assert!((value / expected - 1.0).abs() <= 1e-9, "{place}: {value} instead of {expected}");
        let gradients = found.value.backward();
        for (name, leaf) in found.leaves {
            let golden = &self.tensors[&format!("grad.{index}.{name}")];
            let difference = golden.relative_difference(&to_host(&leaf.grad(&gradients).unwrap()));
            let limit = if golden.exact { 1e-9 } else { 1e-6 };
            assert!(difference <= limit, "{place}: gradient of {name} differs by {difference:e}");
        }
        true
    }
}

fn energy_loss(entry: &Value) -> EnergyLoss {
    match entry["optim"]["loss_energy"].as_str() {
        Some("mse") => EnergyLoss::Mse,
        Some("mae") | None => EnergyLoss::Mae,
        Some(other) => panic!("energy loss {other}"),
    }
}

fn force_loss(entry: &Value) -> ForceLoss {
    match entry["optim"]["loss_force"].as_str() {
        Some("l2mae") => ForceLoss::L2mae,
        Some("mse") => ForceLoss::Mse,
        Some("mae") | None => ForceLoss::Mae,
        Some(other) => panic!("force loss {other}"),
    }
}

#[test]
fn losses_of_the_reference() {
    let Some(folder) = golden::fixtures("kd_losses") else { return };
    for name in ["case0", "case1"] {
        let path = folder.join(format!("{name}.json"));
        if !path.exists() {
            continue;
        }
        let tensors = golden::read(&folder.join(format!("{name}.safetensors")));
        let case = Case { name: name.to_owned(), tensors, device: Device::flex().autodiff() };
        let entries = golden::json(&path)["losses"].as_array().unwrap().clone();
        let checked = entries.iter().enumerate().filter(|(i, entry)| case.check(*i, entry)).count();
        println!("{name}: {checked} of {} losses", entries.len());
        // Four of node to node, four of edge to node, one of vectors, two of atomic energies, eight on the teacher's
        // energies and forces, nine on labels.
        assert_eq!(checked, 28, "{name}");
    }
}
