//! Outputs, features and parameter gradients of the reference implementation, case by case.

mod support;

use burn::tensor::{DType, Device};
use potstill_core::model::Forces;
use potstill_fixtures::{self as fixtures, Golden};
use potstill_nn::tensors::to_host;
use support::{Case, build_batch, check, model_cases};

#[test]
fn outputs_in_f64() {
    for case in model_cases() {
        let name = case.name.as_str();
        for structure in case.single_structures() {
            let expected = case.golden(&format!("out_{structure}.safetensors"));
            let batch = build_batch(&case, &[&structure], &Device::flex(), DType::F64);
            let taps = case.taps();
            let output = case.network(DType::F64).forward(&batch, case.forces(), &taps);
            check(name, &structure, "energy", &expected["f64.energy"], &output.energy, 1e-9);
            let atomic = case.raw_atomic_energies(&output);
            check(name, &structure, "per_atom_energy", &expected["f64.per_atom_energy"], &atomic, 1e-9);
            let forces = expected.get("f64.forces_energy_grad").unwrap_or(&expected["f64.forces"]);
            check(name, &structure, "forces", forces, output.forces.as_ref().unwrap(), 1e-9);

            let joined = case.joined(&output);
            check(name, &structure, "raw.node", &expected["f64.raw.node"], &joined.node, 1e-9);
            if let Some(edges) = joined.edges(&batch) {
                let vector = joined.vectors(&batch, case.reduction()).unwrap();
                check(name, &structure, "raw.vector", &expected["f64.raw.vector"], &vector, 1e-9);
                if let Some(golden) = expected.get("f64.raw.e2n") {
                    let sums = joined.reduced_edges(&batch, case.reduction());
                    check(name, &structure, "raw.e2n", golden, &sums, 1e-9);
                }
                let Some(rows) = case.reference_edge_rows(&structure) else { continue };
                let edges = support::reorder(&to_host(&edges), &rows, edges.dims()[1]);
                let difference = expected["f64.raw.edge"].relative_difference(&edges);
                let limit = if expected["f64.raw.edge"].exact { 1e-9 } else { 1e-6 };
                assert!(difference <= limit, "{name} {structure} raw.edge: {difference:e}");
            }
        }
    }
}

#[test]
fn outputs_in_f32() {
    for case in model_cases() {
        let name = case.name.as_str();
        for structure in case.single_structures() {
            let expected = case.golden(&format!("out_{structure}.safetensors"));
            let batch = build_batch(&case, &[&structure], &Device::flex(), DType::F32);
            let output = case.network(DType::F32).forward(&batch, case.forces(), &[]);
            check(name, &structure, "energy", &expected["f32.energy"], &output.energy, 2e-5);
            check(name, &structure, "energy (f64)", &expected["f64.energy"], &output.energy, 2e-5);
            let forces = expected.get("f32.forces_energy_grad").unwrap_or(&expected["f32.forces"]);
            check(name, &structure, "forces", forces, output.forces.as_ref().unwrap(), 2e-5);
        }
    }
}

#[test]
fn one_batch_of_all_structures() {
    for case in model_cases() {
        let name = case.name.as_str();
        let structures = case.structures();
        let names: Vec<&String> = structures.iter().collect();
        let expected = case.golden("batch.safetensors");
        let batch = build_batch(&case, &names, &Device::flex(), DType::F64);
        let output = case.network(DType::F64).forward(&batch, case.forces(), &[]);
        check(name, "batch", "energy", &expected["f64.energy"], &output.energy, 1e-9);
        if let Some(forces) = expected.get("f64.forces_energy_grad") {
            check(name, "batch", "forces", forces, output.forces.as_ref().unwrap(), 1e-9);
        } else if case.forces() == Forces::Direct || case.config["model"]["name"] == "schnet" {
            check(name, "batch", "forces", &expected["f64.forces"], output.forces.as_ref().unwrap(), 1e-9);
        }
    }
}

/// The published layouts at full size, with procedural weights.
#[test]
fn paper_size() {
    let config = fixtures::json(&fixtures::file("paper_size/config.json"));
    for (name, case) in config["cases"].as_object().unwrap() {
        let expected = fixtures::read(&fixtures::file(&format!("paper_size/{name}.safetensors")));
        let case = Case::procedural(name, case);
        let parameters = potstill_nn::parameters::describe(&case.network(DType::F32));
        let count: usize = parameters.iter().map(|p| p.len()).sum();
        assert_eq!(Some(count as u64), case.config["num_params_without_projections"].as_u64(), "{name}");
        let structures = case.structures();
        let names: Vec<&String> = structures.iter().collect();
        // Both precisions against the f64 result: the reference's own f32 run is up to 2.3e-5 away from it.
        for (dtype, key, limit) in [(DType::F64, "f64", 1e-9), (DType::F32, "f32", 2e-5)] {
            let batch = build_batch(&case, &names, &Device::flex(), dtype);
            let output = case.network(dtype).forward(&batch, case.forces(), &[]);
            check(name, key, "energy", &expected["f64.energy"], &output.energy, limit);
            check(name, key, "forces", &expected["f64.forces"], output.forces.as_ref().unwrap(), limit);
        }
    }
}

/// Every parameter's gradient of a training-like loss, forces included (so SchNet's second derivatives too).
///
/// The loss compares with features that are stored rounded to f32, so no gradient can agree better than to about 1e-7.
#[test]
fn parameter_gradients() {
    for case in model_cases().into_iter().filter(Case::has_gradients) {
        let name = case.name.as_str();
        let expected = case.golden("grads.safetensors");
        let (loss, gradients) = support::training_like_gradients(&case, &expected);
        let golden_loss: &Golden = &expected["loss_total"];
        let difference = golden_loss.relative_difference(&[loss]);
        assert!(difference < 1e-9, "{name} loss_total {loss}: {difference:e}");
        let mut seen = 0;
        for (parameter, values) in &gradients {
            let Some(golden) = expected.get(&format!("grad.{parameter}")) else { continue };
            let difference = golden.relative_difference(values);
            assert!(difference <= 1e-6, "{name} {parameter}: {difference:e}");
            seen += 1;
        }
        assert!(seen > 20, "{name}: only {seen} gradients were compared");
    }
}
