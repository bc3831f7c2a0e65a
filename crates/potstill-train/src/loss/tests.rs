use burn::tensor::{DType, Device};
use potstill_nn::tensors::{float_tensor, to_host};

use super::*;

const FORCE_LOSSES: [ForceLoss; 4] =
    [ForceLoss::L2mae, ForceLoss::Mae, ForceLoss::Mse, ForceLoss::Huber { delta: 0.7 }];

fn rows(values: &[f64], rows: usize, dtype: DType) -> Tensor<2> {
    let device = Device::flex().autodiff();
    float_tensor(values.to_vec(), [rows, values.len() / rows], &device, dtype)
}

fn wide(values: &[f64], n: usize) -> Tensor<2> {
    rows(values, n, DType::F64)
}

fn waves(n: usize, phase: f64) -> Vec<f64> {
    (0..n).map(|i| 2.0 * (1.7 * i as f64 + phase).sin()).collect()
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-12 * b.abs().max(1.0)
}

#[test]
fn a_perfect_force_has_no_gradient() {
    for dtype in [DType::F32, DType::F64] {
        let prediction = rows(&[1.0, 2.0, 2.0, 0.0, 3.0, -4.0], 2, dtype).require_grad();
        let target = rows(&[1.0, 2.0, 2.0, 0.0, 0.0, 0.0], 2, dtype);
        let loss = ForceLoss::L2mae.evaluate(prediction.clone(), target, rows(&[1.0, 1.0], 2, dtype), 0.5);
        assert_eq!(to_host(&loss), [2.5]);
        let gradient = to_host(&prediction.grad(&loss.backward()).unwrap());
        assert_eq!(gradient[..4], [0.0; 4]);
        assert!((gradient[4] - 0.3).abs() < 1e-7 && (gradient[5] + 0.4).abs() < 1e-7, "{gradient:?}");
    }
}

#[test]
fn shards_add_up_to_the_batch() {
    let (n_atoms, cut) = (11, 4);
    let free: Vec<f64> = (0..n_atoms).map(|i| if i % 4 == 1 { 0.0 } else { 1.0 }).collect();
    let scale = 30.0 / free.iter().sum::<f64>();
    let (target, prediction) = (waves(3 * n_atoms, 0.3), waves(3 * n_atoms, 1.1));
    let shard = |loss: ForceLoss, range: std::ops::Range<usize>| {
        let (n, components) = (range.len(), 3 * range.start..3 * range.end);
        let leaf = wide(&prediction[components.clone()], n).require_grad();
        let value = loss.evaluate(leaf.clone(), wide(&target[components], n), wide(&free[range], n), scale);
        (to_host(&value)[0], to_host(&leaf.grad(&value.backward()).unwrap()))
    };
    for loss in FORCE_LOSSES {
        let (whole, gradient) = shard(loss, 0..n_atoms);
        let (first, mut joined) = shard(loss, 0..cut);
        let (second, rest) = shard(loss, cut..n_atoms);
        joined.extend(rest);
        assert!(close(first + second, whole), "{loss:?}");
        assert_eq!(joined, gradient, "{loss:?}");
        assert_eq!(gradient[3..6], [0.0; 3], "atom 1 is fixed");
    }
}

#[test]
fn fixed_atoms_do_not_count() {
    let (target, prediction) = (waves(9, 0.3), waves(9, 1.1));
    for loss in FORCE_LOSSES {
        let masked = loss.evaluate(wide(&prediction, 3), wide(&target, 3), wide(&[1.0, 1.0, 0.0], 3), 0.5);
        let without = loss.evaluate(wide(&prediction[..6], 2), wide(&target[..6], 2), wide(&[1.0; 2], 2), 0.5);
        assert!(close(to_host(&masked)[0], to_host(&without)[0]), "{loss:?}");
    }
}

#[test]
fn huber_is_a_parabola_then_a_line() {
    let differences = [0.0, 0.2, -0.2, 0.5, -3.0, 7.0];
    let prediction = wide(&differences, 6).require_grad();
    let loss = EnergyLoss::Huber { delta: 0.5 }.evaluate(prediction.clone(), wide(&[0.0; 6], 6), 1.0);
    let expected = differences.map(|d: f64| if d.abs() < 0.5 { 0.5 * d * d } else { 0.5 * (d.abs() - 0.25) });
    assert!(close(to_host(&loss)[0], expected.iter().sum()));
    let gradient = to_host(&prediction.grad(&loss.backward()).unwrap());
    assert!(gradient.iter().zip([0.0, 0.2, -0.2, 0.5, -0.5, 0.5]).all(|(a, b)| close(*a, b)), "{gradient:?}");
}

#[test]
fn losses_keep_the_precision_of_their_inputs() {
    for loss in FORCE_LOSSES {
        let [narrow, wide] = [DType::F32, DType::F64].map(|dtype| {
            let (prediction, target) = (rows(&waves(6, 1.1), 2, dtype), rows(&waves(6, 0.3), 2, dtype));
            loss.evaluate(prediction, target, rows(&[1.0, 1.0], 2, dtype), 0.1)
        });
        assert_eq!((narrow.dtype(), wide.dtype()), (DType::F32, DType::F64), "{loss:?}");
        assert!((to_host(&narrow)[0] / to_host(&wide)[0] - 1.0).abs() < 1e-6, "{loss:?}");
    }
}

#[test]
fn long_sums_stay_exact_in_single_precision() {
    let (n_atoms, width) = (4000, 256);
    let [student, teacher] = [1.1, 0.3].map(|phase| waves(n_atoms * width, phase));
    let [narrow, wide] = [DType::F32, DType::F64].map(|dtype| {
        let scale = 1.0 / (n_atoms * width) as f64;
        to_host(&FeatureLoss::Mse.evaluate(rows(&student, n_atoms, dtype), rows(&teacher, n_atoms, dtype), scale))[0]
    });
    assert!((narrow / wide - 1.0).abs() < 2e-6, "{:e}", narrow / wide - 1.0);
}

#[test]
#[should_panic(expected = "shapes of prediction and target")]
fn shapes_are_not_broadcast() {
    FeatureLoss::Mse.evaluate(wide(&[1.0, 2.0], 2), wide(&[1.0, 2.0], 1), 1.0);
}

#[test]
fn configurations_name_a_loss_or_give_its_width() {
    let parse = |text: &str| serde_json::from_str::<ForceLoss>(text).map_err(|e| e.to_string());
    assert_eq!(parse(r#""l2mae""#), Ok(ForceLoss::L2mae));
    assert_eq!(parse(r#"{"huber":{"delta":0.01}}"#), Ok(ForceLoss::Huber { delta: 0.01 }));
    assert_eq!(parse(r#"{"huber":{}}"#), Ok(ForceLoss::Huber { delta: 1.0 }));
    for text in [r#""l1""#, r#"{"huber":{"delta":1,"width":1}}"#, r#"{"mae":{"delta":1}}"#] {
        assert!(parse(text).is_err(), "{text}");
    }
    let error = parse(r#"{"huber":{"delta":0}}"#).unwrap_err();
    assert!(error.contains("delta is 0; it must be positive"), "{error}");
    assert_eq!(serde_json::from_str::<EnergyLoss>(r#""mae""#).unwrap(), EnergyLoss::default());
    assert_eq!(serde_json::from_str::<FeatureLoss>(r#""mse""#).unwrap(), FeatureLoss::default());
}
