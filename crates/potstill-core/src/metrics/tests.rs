use potstill_fixtures::{file, json};
use proptest::prelude::*;
use safetensors::SafeTensors;

use super::*;

fn system(energy: Option<f64>, forces: Option<Vec<Vec3>>, n: usize) -> System {
    System { atomic_numbers: vec![1; n], positions: vec![[0.0; 3]; n], energy, forces, ..System::default() }
}

fn metrics_of(system: &System, energy: f64, forces: &[Vec3]) -> Metrics {
    let mut evaluator = Evaluator::new();
    evaluator.update(system, energy, forces).unwrap();
    evaluator.finish()
}

#[test]
fn by_hand() {
    let mut truth = system(Some(1.0), Some(vec![[3.0, 0.0, 0.0], [0.0, 2.0, 0.0], [9.0; 3]]), 3);
    truth.fixed = Some(vec![false, false, true]);
    truth.atomic_numbers[1] = 8;
    let metrics = metrics_of(&truth, 1.6, &[[3.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0; 3]]);
    assert_eq!((metrics.n_systems, metrics.n_atoms), (1, 3));
    let close = |value: Option<f64>, expected: f64| assert!((value.unwrap() - expected).abs() < 1e-12, "{expected}");
    close(metrics.energy_mae, 0.6);
    close(metrics.energy_mae_per_atom, 0.2);
    close(metrics.energy_rmse, 0.6);
    close(metrics.forces_mae, 0.5);
    close(metrics.forces_rmse, (5.0f64 / 6.0).sqrt());
    close(metrics.forces_cos, 0.5);
    close(metrics.forces_magnitude, 0.5);
    close(metrics.efwt, 0.0);
    assert_eq!(metrics.forces_mae_by_element, [("H".to_string(), 0.0), ("O".to_string(), 1.0)].into());
}

#[test]
fn thresholds_are_strict() {
    let truth = system(Some(0.0), Some(vec![[0.0; 3]]), 1);
    assert_eq!(metrics_of(&truth, 0.0199, &[[0.0299, 0.0, 0.0]]).efwt, Some(1.0));
    assert_eq!(metrics_of(&truth, 0.02, &[[0.0; 3]]).efwt, Some(0.0));
    assert_eq!(metrics_of(&truth, 0.0, &[[0.0, -0.03, 0.0]]).efwt, Some(0.0));
    let mut fixed = truth;
    fixed.fixed = Some(vec![true]);
    let metrics = metrics_of(&fixed, 0.0, &[[5.0; 3]]);
    assert_eq!((metrics.efwt, metrics.forces_mae, metrics.forces_cos), (Some(1.0), None, None));
}

#[test]
fn zero_forces_have_cosine_zero() {
    let truth = system(None, Some(vec![[0.0; 3]]), 1);
    assert_eq!(metrics_of(&truth, 0.0, &[[0.0; 3]]).forces_cos, Some(0.0));
}

#[test]
fn absent_labels_are_absent_metrics() {
    let metrics = metrics_of(&system(None, None, 2), 1.0, &[[0.0; 3]; 2]);
    assert_eq!(metrics, Metrics { n_systems: 1, n_atoms: 2, ..Metrics::default() });
    let metrics = metrics_of(&system(Some(0.0), None, 2), 1.0, &[[0.0; 3]; 2]);
    assert_eq!((metrics.energy_mae, metrics.forces_mae, metrics.efwt), (Some(1.0), None, None));
    assert_eq!(Evaluator::new().finish(), Metrics::default());
}

#[test]
fn json_keeps_the_documented_order() {
    let json = serde_json::to_string(&Metrics::default()).unwrap();
    let names = [
        "n_systems",
        "n_atoms",
        "energy_mae",
        "energy_mae_per_atom",
        "energy_rmse",
        "forces_mae",
        "forces_rmse",
        "forces_cos",
        "forces_magnitude",
        "efwt",
    ];
    let found: Vec<&str> = json.split('"').skip(1).step_by(2).collect();
    assert_eq!(found, names);
    assert_eq!(serde_json::from_str::<Metrics>(&json).unwrap(), Metrics::default());
}

#[test]
fn groups_are_kept_apart() {
    let mut evaluator = Evaluator::new();
    for (group, error) in [("a", 1.0), ("b", 2.0), ("a", 3.0)] {
        evaluator.update_in_group(Some(group), &system(Some(0.0), None, 1), error, &[[0.0; 3]]).unwrap();
    }
    let metrics = evaluator.finish();
    assert_eq!(metrics.energy_mae, Some(2.0));
    assert_eq!((metrics.by_group["a"].energy_mae, metrics.by_group["b"].energy_mae), (Some(2.0), Some(2.0)));
    assert_eq!((metrics.by_group["a"].n_systems, metrics.by_group["b"].n_systems), (2, 1));
}

#[test]
fn unusable_predictions_are_named_and_not_counted() {
    let mut evaluator = Evaluator::new();
    let truth = system(Some(0.0), Some(vec![[0.0; 3]; 2]), 2);
    evaluator.update(&truth, 0.0, &[[0.0; 3]; 2]).unwrap();
    let before = evaluator.clone();
    let mut complaint =
        |system: &System, energy, forces: &[Vec3]| evaluator.update(system, energy, forces).unwrap_err().to_string();
    assert_eq!(complaint(&truth, f64::NAN, &[[0.0; 3]; 2]), "system 1: predicted energy is NaN");
    let broken = [[0.0; 3], [0.0, f64::INFINITY, 0.0]];
    assert_eq!(complaint(&truth, 0.0, &broken), "system 1: predicted force of atom 1 is [0.0, inf, 0.0]");
    assert_eq!(complaint(&truth, 0.0, &[[0.0; 3]]), "system 1: 1 predicted forces for 2 atoms");
    let short = system(None, Some(vec![]), 2);
    assert_eq!(complaint(&short, 0.0, &[[0.0; 3]; 2]), "system 1: 0 forces for 2 atoms");
    assert_eq!(evaluator, before);
    let prediction = Prediction { energy: vec![0.0], forces: vec![[0.0; 3]], ..Prediction::default() };
    assert_eq!(
        evaluator.update_batch(&[truth], &prediction).unwrap_err().to_string(),
        "prediction of 1 energies and 1 forces for 1 systems of 2 atoms"
    );
}

proptest! {
    #[test]
    fn batches_are_sums_of_systems(errors in prop::collection::vec((-1.0f64..1.0, 0usize..5), 0..20)) {
        let systems: Vec<System> = errors.iter().map(|&(e, n)| system(Some(e), Some(vec![[e; 3]; n]), n)).collect();
        let n_atoms = systems.iter().map(System::n_atoms).sum();
        let prediction = Prediction {
            energy: vec![0.0; systems.len()],
            forces: vec![[0.5; 3]; n_atoms],
            ..Prediction::default()
        };
        let (mut whole, mut single) = (Evaluator::new(), Evaluator::new());
        whole.update_batch(&systems, &prediction).unwrap();
        for system in &systems {
            single.update(system, 0.0, &vec![[0.5; 3]; system.n_atoms()]).unwrap();
        }
        prop_assert_eq!(whole, single);
    }
}

fn numbers(tensors: &SafeTensors<'_>, name: &str) -> Vec<f64> {
    let bytes = tensors.tensor(name).unwrap().data();
    bytes.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect()
}

fn counts(tensors: &SafeTensors<'_>, name: &str) -> Vec<usize> {
    let bytes = tensors.tensor(name).unwrap().data();
    bytes.chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as usize).collect()
}

fn vectors(tensors: &SafeTensors<'_>, name: &str) -> Vec<Vec3> {
    numbers(tensors, name).chunks_exact(3).map(|v| [v[0], v[1], v[2]]).collect()
}

/// Adds one batch of a golden case and checks the arrays' sizes on the way.
fn update_golden(evaluator: &mut Evaluator, tensors: &SafeTensors<'_>, prefix: &str) {
    let energies = numbers(tensors, &format!("{prefix}.target.energy"));
    let mut forces = vectors(tensors, &format!("{prefix}.target.forces")).into_iter();
    let sizes = counts(tensors, &format!("{prefix}.target.natoms"));
    let systems: Vec<System> = energies
        .into_iter()
        .zip(sizes)
        .map(|(energy, n)| system(Some(energy), Some(forces.by_ref().take(n).collect()), n))
        .collect();
    let prediction = Prediction {
        energy: numbers(tensors, &format!("{prefix}.prediction.energy")),
        forces: vectors(tensors, &format!("{prefix}.prediction.forces")),
        ..Prediction::default()
    };
    evaluator.update_batch(&systems, &prediction).unwrap();
}

#[test]
fn agrees_with_the_reference_evaluator() {
    let bytes = std::fs::read(file("evaluator/inputs.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let expected = json(&file("evaluator/expected.json"));
    let cases = expected.as_array().unwrap();
    assert!(!cases.is_empty());
    for (index, case) in cases.iter().enumerate() {
        let mut evaluator = Evaluator::new();
        for batch in 0..case["batches"].as_u64().unwrap() {
            update_golden(&mut evaluator, &tensors, &format!("{index}.{batch}"));
        }
        let metrics = evaluator.finish();
        let pairs = [
            ("energy_mae", metrics.energy_mae),
            ("forces_mae", metrics.forces_mae),
            ("forces_cos", metrics.forces_cos),
            ("forces_magnitude", metrics.forces_magnitude),
            ("energy_force_within_threshold", metrics.efwt),
        ];
        for (name, value) in pairs {
            let reference = case["metrics"][name]["metric"].as_f64().unwrap();
            let error = (value.unwrap() - reference).abs();
            assert!(error <= 1e-12, "case {index}, {name}: {value:?}, reference {reference}");
        }
    }
}

#[test]
fn parts_add_up_and_come_back_from_bytes() {
    let forces = |x: f64| vec![[x, 0.5, -x], [0.1; 3]];
    let systems: Vec<System> =
        (0..4).map(|k| system(Some(f64::from(k) / 3.0), Some(forces(f64::from(k))), 2)).collect();
    let part = |range: std::ops::Range<usize>| {
        let mut evaluator = Evaluator::new();
        for k in range {
            let group = ["even", "odd"][k % 2];
            evaluator.update_in_group(Some(group), &systems[k], 0.1, &forces(0.3)).unwrap();
        }
        evaluator
    };
    let mut sum = Evaluator::new();
    for part in [part(0..1), part(1..4)] {
        let bytes = part.to_bytes();
        assert_eq!(Evaluator::from_bytes(&bytes).as_ref(), Some(&part));
        assert!((0..bytes.len()).all(|n| Evaluator::from_bytes(&bytes[..n]).as_ref() != Some(&part)));
        sum.add(&part);
    }
    let (sum, whole) = (sum.finish(), part(0..4).finish());
    assert_eq!(sum.n_systems, whole.n_systems);
    assert_eq!(sum.by_group.keys().collect::<Vec<_>>(), ["even", "odd"]);
    let close = |a: Option<f64>, b: Option<f64>| assert!((a.unwrap() - b.unwrap()).abs() < 1e-14);
    close(sum.forces_mae, whole.forces_mae);
    close(sum.by_group["odd"].energy_rmse, whole.by_group["odd"].energy_rmse);
    close(sum.forces_mae_by_element.get("H").copied(), whole.forces_mae_by_element.get("H").copied());
}
