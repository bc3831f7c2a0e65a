//! Values and gradients of the reference implementation, in f64.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{DType, Device, Gradients, Tensor};
use potstill_fixtures::{self as fixtures, Golden};
use potstill_nn::tensors::{float_tensor, to_host};

use serde_json::Value;

use super::*;

const TOLERANCE: f64 = 1e-9;

/// One file of the reference's losses.
struct Case {
    tensors: BTreeMap<String, Golden>,
    entries: Vec<Value>,
    sizes: Vec<usize>,
    device: Device,
}

impl Case {
    fn read(path: &Path) -> Self {
        let json = fixtures::json(path);
        let sizes = json["sizes"].as_array().unwrap().iter().map(|s| s.as_u64().unwrap() as usize).collect();
        Self {
            tensors: fixtures::read(&path.with_extension("safetensors")),
            entries: json["losses"].as_array().unwrap().clone(),
            sizes,
            device: Device::flex().autodiff(),
        }
    }

    fn tensor<const D: usize>(&self, name: &str) -> Tensor<D> {
        let golden = &self.tensors[name];
        let shape = golden.shape.clone().try_into().unwrap_or_else(|s| panic!("{name}: shape {s:?}"));
        float_tensor(golden.values.clone(), shape, &self.device, DType::F64)
    }

    /// A tensor of shape [n] as a column.
    fn column(&self, name: &str) -> Tensor<2> {
        let values = self.tensors[name].values.clone();
        let shape = [values.len(), 1];
        float_tensor(values, shape, &self.device, DType::F64)
    }

    /// The mean of that feature loss over all elements, and its gradient.
    fn features<const D: usize>(&self, entry: &Value, loss: FeatureLoss, student: &str, teacher: &str) {
        let leaf = self.tensor::<D>(&format!("student.{student}")).require_grad();
        let count: usize = leaf.dims().iter().product();
        let value = loss.evaluate(leaf.clone(), self.tensor(&format!("teacher.{teacher}")), 1.0 / count as f64);
        let gradients = self.check_value(entry, &value);
        self.check_gradient(entry, &gradients, student, &leaf);
    }

    fn atomic_energies(&self, entry: &Value) {
        let leaf = self.column("student.per_atom_energy").require_grad();
        let scale = 1.0 / leaf.dims()[0] as f64;
        let loss = energy_loss(&entry["optim"]);
        let value = loss.evaluate(leaf.clone(), self.column("teacher.per_atom_energy"), scale);
        let gradients = self.check_value(entry, &value);
        self.check_gradient(entry, &gradients, "per_atom_energy", &leaf);
    }

    /// Energies and forces against labels (`main`) or against the teacher (`regular`).
    fn labels(&self, entry: &Value) {
        let energy = self.column("student.energy").require_grad();
        let forces = self.tensor::<2>("student.forces").require_grad();
        let regular = entry["loss"] == "regular";
        let weights = &entry[if regular { "distillation" } else { "optim" }];
        let energy_weight = weights["energy_coefficient"].as_f64().unwrap_or(if regular { 0.0 } else { 1.0 });
        // The reference leaves out the coefficient when it weighs by tag.
        let by_tag = !entry["task"]["tag_specific_weights"].is_null();
        let force_weight = if by_tag { 1.0 } else { weights["force_coefficient"].as_f64().unwrap_or(30.0) };
        let (factors, force_scale) = self.atom_factors(entry);
        let n_atoms = factors.len();
        let factors = float_tensor(factors, [n_atoms, 1], &self.device, DType::F64);
        let (energy_target, force_target) = self.label_target(entry, regular);
        let mut total =
            force_loss(&entry["optim"]).evaluate(forces.clone(), force_target, factors, force_weight * force_scale);
        if energy_weight != 0.0 {
            let scale = energy_weight / self.sizes.len() as f64;
            total = total + energy_loss(&entry["optim"]).evaluate(energy.clone(), energy_target, scale);
        }
        let gradients = self.check_value(entry, &total);
        self.check_gradient(entry, &gradients, "energy", &energy);
        self.check_gradient(entry, &gradients, "forces", &forces);
    }

    /// Part of each atom's force error that the reference counts, and the scale of the sum.
    fn atom_factors(&self, entry: &Value) -> (Vec<f64>, f64) {
        let task = &entry["task"];
        if let Some(by_tag) = task["tag_specific_weights"].as_array() {
            let factor = |&tag: &i64| by_tag[tag as usize].as_f64().unwrap();
            let factors: Vec<f64> = self.tensors["tags"].integers().iter().map(factor).collect();
            let total: f64 = factors.iter().sum();
            return (factors, 1.0 / (3.0 * total));
        }
        let only_free = task["train_on_free_atoms"].as_bool().unwrap_or(false);
        let free = self.tensors["fixed"].values.iter().map(|&f| if only_free { 1.0 - f } else { 1.0 });
        let free: Vec<f64> = free.collect();
        if entry["optim"]["loss_force"] == "atomwisel2" {
            let size_of_each = self.sizes.iter().flat_map(|&n| std::iter::repeat_n(n as f64, n));
            let factors = free.iter().zip(size_of_each).map(|(f, n)| f * n).collect();
            return (factors, 1.0 / self.sizes.len() as f64);
        }
        let count: f64 = free.iter().sum();
        (free, 1.0 / count)
    }

    fn label_target(&self, entry: &Value, regular: bool) -> (Tensor<2>, Tensor<2>) {
        if regular {
            return (self.column("teacher.energy"), self.tensor("teacher.forces"));
        }
        let setting = |name: &str, default: f64| entry["normalizer"][name].as_f64().unwrap_or(default);
        let energy = self.column("y").sub_scalar(setting("target_mean", 0.0));
        let forces = self.tensor::<2>("force").sub_scalar(setting("grad_target_mean", 0.0));
        let stds = (setting("target_std", 1.0), setting("grad_target_std", 1.0));
        (energy.mul_scalar(1.0 / stds.0), forces.mul_scalar(1.0 / stds.1))
    }

    /// Compares the value and differentiates it.
    fn check_value(&self, entry: &Value, value: &Tensor<1>) -> Gradients {
        assert_eq!(value.dtype(), DType::F64, "{}", name(entry));
        let got = to_host(value)[0];
        let expected = entry["value"].as_f64().unwrap();
        assert!((got / expected - 1.0).abs() <= TOLERANCE, "{}: {got} instead of {expected}", name(entry));
        value.backward()
    }

    /// Compares one gradient; the file has none for a tensor that the loss does not touch.
    fn check_gradient<const D: usize>(&self, entry: &Value, gradients: &Gradients, tensor: &str, leaf: &Tensor<D>) {
        let key = format!("grad.{}.{tensor}", entry["index"]);
        let got = leaf.grad(gradients);
        let Some(expected) = self.tensors.get(&key) else {
            assert!(got.is_none(), "{}: {tensor} should have no gradient", name(entry));
            return;
        };
        let got = got.unwrap_or_else(|| panic!("{}: {tensor} has no gradient", name(entry)));
        let difference = expected.relative_difference(&to_host(&got));
        assert!(difference <= TOLERANCE, "{}: gradient of {tensor} off by {difference:e}", name(entry));
    }
}

fn name(entry: &Value) -> String {
    format!("{} {}", entry["index"], entry["loss"])
}

fn energy_loss(optim: &Value) -> EnergyLoss {
    match optim["loss_energy"].as_str() {
        None | Some("mae") => EnergyLoss::Mae,
        Some("mse") => EnergyLoss::Mse,
        Some(other) => panic!("unknown energy loss {other}"),
    }
}

fn force_loss(optim: &Value) -> ForceLoss {
    match optim["loss_force"].as_str() {
        None | Some("mae") => ForceLoss::Mae,
        Some("mse") => ForceLoss::Mse,
        Some("l2mae" | "atomwisel2") => ForceLoss::L2mae,
        Some(other) => panic!("unknown force loss {other}"),
    }
}

fn feature_loss(distillation: &Value) -> FeatureLoss {
    if distillation["use_mae"] == true {
        return FeatureLoss::Mae;
    }
    if distillation["use_huber"] == true {
        return FeatureLoss::Huber { delta: distillation["huber_delta"].as_f64().unwrap_or(1.0) };
    }
    FeatureLoss::Mse
}

/// Runs every loss of one file that is ours, and says how many that were.
fn run(path: &Path) -> usize {
    let case = Case::read(path);
    let mut n_run = 0;
    for entry in &case.entries {
        let loss = feature_loss(&entry["distillation"]);
        let synthetic = entry["distillation"]["loss_weighting_synthetic"].as_f64();
        match entry["loss"].as_str().unwrap() {
            "node2node_distill_loss" => case.features::<2>(entry, loss, "node_feature", "node_feature"),
            "edge2node_distill_loss" => case.features::<2>(entry, loss, "n2e_feature", "e2n_feature"),
            "edge2edge_distill_loss" => case.features::<2>(entry, loss, "e2e_feature", "edge_feature"),
            "vec2vec_distill_loss" => case.features::<3>(entry, loss, "vector_feature", "vector_feature"),
            "per_atom_energy_distill_loss" => case.atomic_energies(entry),
            // Systems made up by the teacher with a weight of their own are not offered.
            "main" if synthetic.is_some_and(|weight| weight != 1.0) => continue,
            "main" | "regular" => case.labels(entry),
            _ => continue,
        }
        n_run += 1;
    }
    n_run
}

#[test]
fn values_and_gradients_equal_the_reference() {
    for path in fixtures::files("kd_losses", ".json") {
        let n_run = run(&path);
        // 4 + 4 node, 1 edge, 1 vector, 2 atomic energies, 19 labels.
        assert_eq!(n_run, 31, "{}", path.display());
    }
}
