use rand::{RngExt, SeedableRng};

use super::*;

/// The textbook formulas for one parameter, written without regard to speed.
fn by_hand(config: &OptimizerConfig, decays: bool, start: f64, gradients: &[f64], learning_rates: &[f64]) -> f64 {
    let [beta1, beta2] = config.betas;
    let (mut p, mut m, mut v, mut top) = (start, 0.0, 0.0, 0.0_f64);
    for (t, (&g, &learning_rate)) in gradients.iter().zip(learning_rates).enumerate() {
        let t = t as i32 + 1;
        if decays {
            p -= learning_rate * config.weight_decay * p;
        }
        m = beta1 * m + (1.0 - beta1) * g;
        v = beta2 * v + (1.0 - beta2) * g * g;
        top = top.max(v);
        let used = if config.amsgrad { top } else { v };
        let root = used.sqrt() / (1.0 - beta2.powi(t)).sqrt();
        p -= learning_rate / (1.0 - beta1.powi(t)) * m / (root + config.epsilon);
    }
    p
}

/// Gradients that shrink, so that amsgrad's maximum matters.
fn gradient(parameter: usize, step: usize) -> f64 {
    (1.3 * parameter as f64 + 0.7 * step as f64).sin() * 3.0 / (1.0 + (step * step) as f64)
}

/// Parameters of these names and shapes, one after the other.
fn parameters(named: &[(&str, &[usize])]) -> Vec<ParameterInfo> {
    let mut offset = 0;
    let mut info = |&(name, shape): &(&str, &[usize])| {
        let info = ParameterInfo { name: name.to_owned(), shape: shape.to_vec(), offset };
        offset += info.len();
        info
    };
    named.iter().map(&mut info).collect()
}

/// 19 parameters, of which the bias, 8 to 11, does not decay.
fn segments() -> Vec<ParameterInfo> {
    parameters(&[("a.weight", &[5]), ("b.weight", &[3]), ("b.bias", &[4]), ("c.weight", &[7])])
}

/// The second moment forgets fast, again so that the maximum matters.
fn config(amsgrad: bool) -> OptimizerConfig {
    OptimizerConfig {
        betas: [0.8, 0.6],
        epsilon: 1e-3,
        weight_decay: 0.2,
        amsgrad,
        decay_biases_and_embeddings: false,
        ..OptimizerConfig::default()
    }
}

#[test]
fn ten_steps_equal_the_textbook() {
    let learning_rates: Vec<f64> = (0..10).map(|s| 0.1 / (1.0 + f64::from(s))).collect();
    let mut results = Vec::new();
    for amsgrad in [true, false] {
        let start: Vec<f64> = (0..19).map(|i| f64::from(i) * 0.1 - 0.7).collect();
        let mut parameters = start.clone();
        let mut optimizer = Optimizer::new(config(amsgrad), &segments());
        for (step, &learning_rate) in learning_rates.iter().enumerate() {
            let gradients: Vec<f64> = (0..19).map(|i| gradient(i, step)).collect();
            optimizer.step(&mut parameters, &gradients, learning_rate);
        }
        for (i, &p) in parameters.iter().enumerate() {
            let gradients: Vec<f64> = (0..10).map(|s| gradient(i, s)).collect();
            let decays = !(8..12).contains(&i);
            let expected = by_hand(&config(amsgrad), decays, start[i], &gradients, &learning_rates);
            assert!((p - expected).abs() < 1e-14, "parameter {i}, amsgrad {amsgrad}: {p} and {expected}");
        }
        results.push(parameters);
    }
    assert!(results[0].iter().zip(&results[1]).all(|(a, b)| (a - b).abs() > 1e-4), "amsgrad must matter here");
}

#[test]
fn single_precision_follows_double() {
    let (mut narrow, mut wide) = (vec![0.5_f32; 19], vec![0.5_f64; 19]);
    let mut narrow_optimizer = Optimizer::new(config(true), &segments());
    let mut wide_optimizer = Optimizer::new(config(true), &segments());
    for step in 0..10 {
        let gradients: Vec<f64> = (0..19).map(|i| gradient(i, step)).collect();
        let narrow_gradients: Vec<f32> = gradients.iter().map(|&g| g as f32).collect();
        narrow_optimizer.step(&mut narrow, &narrow_gradients, 0.05);
        wide_optimizer.step(&mut wide, &gradients, 0.05);
    }
    assert!(narrow.iter().zip(&wide).all(|(&a, &b)| (f64::from(a) - b).abs() < 1e-5));
}

#[test]
fn saved_moments_continue_bit_for_bit() {
    let gradients: Vec<f32> = (0..19).map(|i| gradient(i, 0) as f32).collect();
    let mut parameters = vec![0.25_f32; 19];
    let mut optimizer = Optimizer::new(config(true), &segments());
    for _ in 0..3 {
        optimizer.step(&mut parameters, &gradients, 0.01);
    }
    let mut resumed = Optimizer::new(config(true), &segments());
    resumed.memory.clone_from(&optimizer.memory);
    let mut resumed_parameters = parameters.clone();
    optimizer.step(&mut parameters, &gradients, 0.01);
    resumed.step(&mut resumed_parameters, &gradients, 0.01);
    assert_eq!(resumed_parameters, parameters);
}

#[test]
fn a_parameter_without_gradient_only_decays() {
    let mut values = [1.0_f32, 1.0];
    let config = OptimizerConfig { decay_biases_and_embeddings: false, ..OptimizerConfig::default() };
    let mut optimizer = Optimizer::new(config, &parameters(&[("weight", &[1]), ("bias", &[1])]));
    optimizer.step(&mut values, &[0.0, 0.0], 0.5);
    assert_eq!(values, [0.995, 1.0]);
}

#[test]
fn clipping_shortens_only_what_is_long() {
    let mut long: Vec<f64> = (0..19).map(|i| f64::from(i) - 7.0).collect();
    let before = long.clone();
    let expected = before.iter().map(|g| g * g).sum::<f64>().sqrt();
    assert!((clip_global_norm(&mut long, 2.0) - expected).abs() < 1e-12);
    assert!(long.iter().zip(&before).all(|(a, b)| (a - b * 2.0 / (expected + 1e-6)).abs() < 1e-15));
    let mut short = [0.3_f32, 0.4];
    assert!((clip_global_norm(&mut short, 1.0) - 0.5).abs() < 1e-7);
    assert_eq!(short, [0.3, 0.4]);
    let mut free = [30.0, 40.0];
    assert_eq!(clip_global_norm(&mut free, 0.0), 50.0);
    assert_eq!(free, [30.0, 40.0]);
    assert_eq!(clip_global_norm::<f32>(&mut [], 1.0), 0.0);
}

#[test]
fn a_norm_that_is_not_finite_is_reported_and_nothing_scaled() {
    let mut gradients = [1.0, f64::NAN, 3.0];
    assert!(clip_global_norm(&mut gradients, 1.0).is_nan());
    assert_eq!((gradients[0], gradients[2]), (1.0, 3.0));
    let mut gradients = [1.0, f64::INFINITY];
    assert_eq!(clip_global_norm(&mut gradients, 1.0), f64::INFINITY);
    assert_eq!(gradients[0], 1.0);
}

#[test]
fn norms_of_single_precision_are_added_up_in_double() {
    let exact = f64::from(1e-4_f32) * 1e3;
    assert!((global_norm(&vec![1e-4_f32; 1_000_000]) / exact - 1.0).abs() < 1e-12);
    assert_eq!(global_norm(&[1e30_f32, 0.0]), f64::from(1e30_f32));
}

#[test]
fn the_average_follows_its_closed_form() {
    let (start, target, decay) = (2.0_f64, -1.0_f64, 0.9_f64);
    let mut average = [start];
    for step in 1..=50 {
        update_average(&mut average, &[target], decay);
        let expected = target + (start - target) * decay.powi(step);
        assert!((average[0] - expected).abs() < 1e-14);
    }
    let mut last = [1e8_f32, 0.0];
    update_average(&mut last, &[0.1, 0.2], 0.0);
    assert_eq!(last, [0.1, 0.2], "without decay the average is the last parameters, to the bit");
}

#[test]
fn decay_groups() {
    let config = OptimizerConfig { decay_biases_and_embeddings: false, ..OptimizerConfig::default() };
    for name in ["embedding.weight", "basis.frequencies", "filters.0.bias", "atom_embedding.weight"] {
        assert!(!config.decays(name), "{name}");
        assert!(OptimizerConfig::default().decays(name), "{name}");
    }
    assert!(config.decays("messages.0.filter.weight"));
}

#[test]
fn settings_out_of_range_are_refused() {
    for (config, message) in [
        (OptimizerConfig { betas: [0.9, 1.0], ..OptimizerConfig::default() }, "optimizer.betas: are [0.9, 1.0];"),
        (
            OptimizerConfig { momentum: 1.0, ..OptimizerConfig::default() },
            "optimizer.momentum: is 1; it must be in [0, 1)",
        ),
        (
            OptimizerConfig { epsilon: 0.0, ..OptimizerConfig::default() },
            "optimizer.epsilon: is 0; it must be positive",
        ),
        (OptimizerConfig { epsilon: 1e-60, ..OptimizerConfig::default() }, "optimizer.epsilon: is 0.000"),
        (OptimizerConfig { weight_decay: f64::NAN, ..OptimizerConfig::default() }, "optimizer.weight_decay: is NaN;"),
    ] {
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    assert!(OptimizerConfig::default().validate().is_ok());
    assert!(serde_json::from_str::<OptimizerConfig>(r#"{ "beta": 0.9 }"#).is_err());
    assert_eq!(serde_json::from_str::<OptimizerConfig>("{}").unwrap(), OptimizerConfig::default());
}

#[test]
fn a_short_average_forgets_its_start() {
    // As after the 1,300 steps of a small dataset: constant decay keeps a quarter of the first value.
    let share = |warmup: bool| {
        let mut average = [1.0_f64];
        for step in 1..=1300 {
            update_average(&mut average, &[0.0], averaging_decay(0.999, warmup, step));
        }
        average[0]
    };
    assert!((share(false) - 0.2724).abs() < 1e-3, "{}", share(false));
    assert!(share(true) < 1e-20, "{}", share(true));
    assert_eq!((averaging_decay(0.999, true, 1), averaging_decay(0.999, true, 1_000_000)), (2.0 / 11.0, 0.999));
    assert_eq!(averaging_decay(0.5, true, 100), 0.5);
}

/// Numbers between -1 and 1, without a pattern.
fn noise(n: usize, seed: u64) -> Vec<f64> {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// `a b` of row-major matrices, written without regard to speed.
fn times(a: &[f64], b: &[f64], [rows, inner, columns]: [usize; 3]) -> Vec<f64> {
    let element = |i: usize, j: usize| (0..inner).map(|k| a[i * inner + k] * b[k * columns + j]).sum();
    (0..rows * columns).map(|at| element(at / columns, at % columns)).collect()
}

fn transposed(a: &[f64], rows: usize, columns: usize) -> Vec<f64> {
    (0..rows * columns).map(|at| a[(at % rows) * columns + at / rows]).collect()
}

/// Muon's direction from the textbook: five times X ← 3.4445 X − 4.775 (X Xᵀ) X + 2.0315 (X Xᵀ)² X.
fn orthogonal(matrix: &[f64], rows: usize, columns: usize) -> Vec<f64> {
    let norm = matrix.iter().map(|x| x * x).sum::<f64>().sqrt();
    let mut x: Vec<f64> = matrix.iter().map(|x| x / norm).collect();
    for _ in 0..5 {
        let square = times(&x, &transposed(&x, rows, columns), [rows, columns, rows]);
        let third = times(&square, &x, [rows, rows, columns]);
        let fifth = times(&square, &third, [rows, rows, columns]);
        x = (0..x.len()).map(|i| 3.4445 * x[i] - 4.775 * third[i] + 2.0315 * fifth[i]).collect();
    }
    x
}

const MUON: &[(&str, &[usize])] = &[
    ("wide.weight", &[9, 14]),
    ("tall.weight", &[14, 9]),
    ("tall.bias", &[9]),
    ("embedding.weight", &[20, 10]),
    ("energy_out.weight", &[16, 1]),
];

fn muon() -> OptimizerConfig {
    OptimizerConfig { kind: Rule::Muon, weight_decay: 0.1, ..OptimizerConfig::default() }
}

#[test]
fn muon_moves_matrices_by_the_textbook_and_the_rest_as_adamw() {
    let infos = parameters(MUON);
    let n = infos.last().unwrap().range().end;
    let start = noise(n, 1);
    let (mut found, mut adamw) = (start.clone(), start.clone());
    let mut optimizer = Optimizer::new(muon(), &infos);
    let mut other = Optimizer::new(OptimizerConfig { kind: Rule::AdamW, ..muon() }, &infos);
    let (mut expected, mut momentum) = (start, vec![0.0; n]);
    let learning_rate = 0.05;
    for step in 0..4 {
        let gradients = noise(n, 10 + step);
        optimizer.step(&mut found, &gradients, learning_rate);
        other.step(&mut adamw, &gradients, learning_rate);
        for info in &infos[..2] {
            let [rows, columns] = info.shape[..] else { panic!("a matrix") };
            for i in info.range() {
                momentum[i] = 0.95 * momentum[i] + 0.05 * gradients[i];
            }
            let nesterov: Vec<f64> = info.range().map(|i| 0.05 * gradients[i] + 0.95 * momentum[i]).collect();
            let direction = orthogonal(&nesterov, rows, columns);
            for (i, d) in info.range().zip(direction) {
                expected[i] = (1.0 - 0.1 * learning_rate) * expected[i] - learning_rate * 0.2 * 14.0_f64.sqrt() * d;
            }
        }
    }
    let matrices = infos[1].range().end;
    assert!(found[..matrices].iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-12));
    assert_eq!(found[matrices..], adamw[matrices..]);
    assert!(found[..matrices].iter().zip(&adamw).all(|(a, b)| a != b));
}

#[test]
fn muon_steps_equally_far_in_all_directions() {
    let infos = parameters(&MUON[..2]);
    let mut steps = vec![0.0_f32; 2 * 9 * 14];
    // Far from orthogonal: rows and columns of very different lengths.
    let scaled = |(i, x): (usize, f64)| (x * (1.0 + (i % 14) as f64)) as f32;
    let gradients: Vec<f32> = noise(2 * 9 * 14, 3).into_iter().enumerate().map(scaled).collect();
    Optimizer::new(muon(), &infos).step(&mut steps, &gradients, 1.0);
    for info in infos {
        let [rows, columns] = info.shape[..] else { panic!("a matrix") };
        let step: Vec<f64> = steps[info.range()].iter().map(|&x| f64::from(x) / (0.2 * 14.0_f64.sqrt())).collect();
        let step = if rows > columns { transposed(&step, rows, columns) } else { step };
        for seed in 0..20 {
            let direction = noise(9, seed);
            let image = times(&direction, &step, [1, 9, 14]);
            let ratio = global_norm(&image) / global_norm(&direction);
            assert!((0.6..1.3).contains(&ratio), "{ratio}");
        }
    }
}

#[test]
fn muon_leaves_a_matrix_without_a_gradient_where_it_is() {
    let infos = parameters(&MUON[..1]);
    let start = noise(9 * 14, 5);
    let mut values = start.clone();
    let config = OptimizerConfig { weight_decay: 0.0, ..muon() };
    Optimizer::new(config, &infos).step(&mut values, &[0.0; 9 * 14], 0.1);
    assert_eq!(values, start);
}
