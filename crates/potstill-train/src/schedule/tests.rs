use potstill_fixtures as fixtures;

use super::*;

fn config(json: &serde_json::Value) -> ScheduleConfig {
    let number = |key: &str| json[key].as_f64().unwrap_or_default();
    match json["scheduler"].as_str() {
        Some("LinearWarmupExponentialDecay") => ScheduleConfig::WarmupExponential {
            warmup_steps: number("warmup_steps") as u64,
            decay_rate: number("decay_rate"),
            decay_steps: number("decay_steps") as u64,
            staircase: json["staircase"] == true,
        },
        Some(_) => ScheduleConfig::Plateau {
            factor: number("factor"),
            patience: number("patience") as u64,
            threshold: 1e-4,
            cooldown: 0,
            min_factor: 0.0,
        },
        None => ScheduleConfig::Milestones {
            warmup_steps: number("warmup_steps").max(0.0) as u64,
            warmup_factor: number("warmup_factor"),
            milestones: json["lr_milestones"].as_array().unwrap().iter().filter_map(|m| m.as_u64()).collect(),
            gamma: number("lr_gamma"),
        },
    }
}

#[test]
fn golden_schedules() {
    for (name, case) in fixtures::json(&fixtures::file("schedules.json")).as_object().unwrap() {
        let initial = case["config"]["lr_initial"].as_f64().unwrap();
        let mut schedule = Schedule::new(config(&case["config"]), initial, 0);
        let close = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-9, "{name}: {a} instead of {b}");
        if let Some(rates) = case["lr"].as_object() {
            for (step, rate) in rates {
                close(schedule.learning_rate(step.parse().unwrap(), None), rate.as_f64().unwrap());
            }
        } else {
            let after = case["lr_after"].as_array().unwrap();
            for (metric, rate) in case["metrics"].as_array().unwrap().iter().zip(after) {
                schedule.observe(metric.as_f64().unwrap());
                close(schedule.learning_rate(0, None), rate.as_f64().unwrap());
            }
        }
    }
}

#[test]
fn cosine_starts_warm_and_ends_low() {
    let config = ScheduleConfig::Cosine { warmup_steps: 10, total_steps: Some(110), final_factor: 0.1 };
    let schedule = Schedule::new(config, 2.0, 0);
    assert!((schedule.learning_rate(0, None) - 0.2).abs() < 1e-12);
    assert!((schedule.learning_rate(10, None) - 2.0).abs() < 1e-12);
    assert!((schedule.learning_rate(60, None) - 1.1).abs() < 1e-12);
    assert!((schedule.learning_rate(500, None) - 0.2).abs() < 1e-12);
}

#[test]
fn a_plateau_honours_cooldown_and_smallest_factor() {
    let config = ScheduleConfig::Plateau { factor: 0.5, patience: 0, threshold: 1e-4, cooldown: 2, min_factor: 0.2 };
    let mut schedule = Schedule::new(config, 1.0, 0);
    let mut rates = Vec::new();
    for loss in [2.0, 2.0, 2.0, 2.0, 2.0, 1.0, f64::NAN, f64::INFINITY, 1.0, 1.0, 1.0, 1.0] {
        schedule.observe(loss);
        rates.push(schedule.learning_rate(0, None));
    }
    assert_eq!(rates, [1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.2, 0.2, 0.2, 0.2, 0.2]);
}

#[test]
fn a_first_loss_that_is_nan_does_not_stop_improvement_from_being_seen() {
    let config = ScheduleConfig::Plateau { factor: 0.5, patience: 1, threshold: 1e-4, cooldown: 0, min_factor: 0.0 };
    let mut schedule = Schedule::new(config, 1.0, 0);
    for loss in [f64::NAN, 4.0, 3.0, 2.0, 1.0] {
        schedule.observe(loss);
    }
    assert_eq!((schedule.learning_rate(0, None), schedule.plateau.best), (1.0, Some(1.0)));
}

#[test]
fn a_saved_plateau_continues_bit_for_bit() {
    let config = ScheduleConfig::Plateau { factor: 0.7, patience: 0, threshold: 1e-4, cooldown: 0, min_factor: 0.0 };
    let mut whole = Schedule::new(config.clone(), 1e-3 / 3.0, 0);
    for i in 0..20 {
        whole.observe(1.0 / 3.0 + f64::from(i));
        let saved = serde_json::to_string(&whole.plateau).unwrap();
        let mut resumed = Schedule::new(config.clone(), 1e-3 / 3.0, 0);
        resumed.plateau = serde_json::from_str(&saved).unwrap();
        assert_eq!(resumed.plateau, whole.plateau, "{saved}");
        assert_eq!(resumed.learning_rate(0, None).to_bits(), whole.learning_rate(0, None).to_bits());
    }
}

#[test]
fn numbers_are_checked_and_unknown_keys_refused() {
    for (text, message) in [
        (r#"{"kind":"warmup_exponential","warmup_steps":1,"decay_rate":2,"decay_steps":1}"#, "decay_rate: is 2;"),
        (r#"{"kind":"warmup_exponential","warmup_steps":1,"decay_rate":0.5,"decay_steps":0}"#, "decay_steps: is 0;"),
        (r#"{"kind":"milestones","milestones":[3,2],"gamma":0.1}"#, "milestones: must ascend"),
        (r#"{"kind":"plateau","factor":-1.0,"patience":3}"#, "factor: is -1;"),
        (r#"{"kind":"cosine","final_factor":1.5}"#, "final_factor: is 1.5;"),
    ] {
        let config: ScheduleConfig = serde_json::from_str(text).unwrap();
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    for text in [
        r#"{"kind":"constant","warmup_steps":3}"#,
        r#"{"kind":"plateau","factor":0.5,"patience":3,"patiance":3}"#,
        r#"{"kind":"linear"}"#,
    ] {
        assert!(serde_json::from_str::<ScheduleConfig>(text).is_err(), "{text}");
    }
    let constant = serde_json::to_string(&ScheduleConfig::default()).unwrap();
    assert_eq!(constant, r#"{"kind":"constant"}"#);
    assert_eq!(serde_json::from_str::<ScheduleConfig>(&constant).unwrap(), ScheduleConfig::default());
}
