use super::*;

/// The textbook formulas for one parameter, written without regard to speed.
fn by_hand(config: &AdamWConfig, decays: bool, start: f64, gradients: &[f64], learning_rates: &[f64]) -> f64 {
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

fn segments() -> Vec<(Range<usize>, bool)> {
    vec![(0..5, true), (5..8, true), (8..12, false), (12..19, true)]
}

/// The second moment forgets fast, again so that the maximum matters.
fn config(amsgrad: bool) -> AdamWConfig {
    AdamWConfig { betas: [0.8, 0.6], epsilon: 1e-3, weight_decay: 0.2, amsgrad, ..AdamWConfig::default() }
}

#[test]
fn ten_steps_equal_the_textbook() {
    let learning_rates: Vec<f64> = (0..10).map(|s| 0.1 / (1.0 + f64::from(s))).collect();
    let mut results = Vec::new();
    for amsgrad in [true, false] {
        let start: Vec<f64> = (0..19).map(|i| f64::from(i) * 0.1 - 0.7).collect();
        let mut parameters = start.clone();
        let mut optimizer = AdamW::new(config(amsgrad), segments());
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
    let mut narrow_optimizer = AdamW::new(config(true), segments());
    let mut wide_optimizer = AdamW::new(config(true), segments());
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
    let mut optimizer = AdamW::new(config(true), segments());
    for _ in 0..3 {
        optimizer.step(&mut parameters, &gradients, 0.01);
    }
    let mut resumed = AdamW::new(config(true), segments());
    resumed.steps = optimizer.steps;
    resumed.first.clone_from(&optimizer.first);
    resumed.second.clone_from(&optimizer.second);
    resumed.largest.clone_from(&optimizer.largest);
    let mut resumed_parameters = parameters.clone();
    optimizer.step(&mut parameters, &gradients, 0.01);
    resumed.step(&mut resumed_parameters, &gradients, 0.01);
    assert_eq!(resumed_parameters, parameters);
}

#[test]
fn a_parameter_without_gradient_only_decays() {
    let mut parameters = [1.0_f32, 1.0];
    let mut optimizer = AdamW::new(AdamWConfig::default(), vec![(0..1, true), (1..2, false)]);
    optimizer.step(&mut parameters, &[0.0, 0.0], 0.5);
    assert_eq!(parameters, [0.995, 1.0]);
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
    let config = AdamWConfig { decay_biases_and_embeddings: false, ..AdamWConfig::default() };
    for name in ["embedding.weight", "basis.frequencies", "filters.0.bias", "atom_embedding.weight"] {
        assert!(!config.decays(name), "{name}");
        assert!(AdamWConfig::default().decays(name), "{name}");
    }
    assert!(config.decays("messages.0.filter.weight"));
}

#[test]
fn settings_out_of_range_are_refused() {
    for (config, message) in [
        (AdamWConfig { betas: [0.9, 1.0], ..AdamWConfig::default() }, "optimizer.betas: are [0.9, 1.0];"),
        (AdamWConfig { epsilon: 0.0, ..AdamWConfig::default() }, "optimizer.epsilon: is 0; it must be positive"),
        (AdamWConfig { epsilon: 1e-60, ..AdamWConfig::default() }, "optimizer.epsilon: is 0.000"),
        (AdamWConfig { weight_decay: f64::NAN, ..AdamWConfig::default() }, "optimizer.weight_decay: is NaN;"),
    ] {
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    assert!(AdamWConfig::default().validate().is_ok());
    assert!(serde_json::from_str::<AdamWConfig>(r#"{ "beta": 0.9 }"#).is_err());
    assert_eq!(serde_json::from_str::<AdamWConfig>("{}").unwrap(), AdamWConfig::default());
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
