//! Whole distillations: what a teacher adds, what its cache promises, and what is refused.

mod support;

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use potstill_train::config::Config;
use potstill_train::distill::{DistillConfig, FeatureTerm, Origin, Precision, ProjectionKind, Term};
use potstill_train::loss::FeatureLoss;
use potstill_train::observer::Silent;
use potstill_train::run::{Data, Prelude, train};
use support::{assert_same, config, data, painn, resume, run, schnet, systems, tensors, watched, write_teacher};

const ELEMENTS: [&str; 4] = ["H", "C", "N", "O"];

fn feature(weight: f64) -> FeatureTerm {
    FeatureTerm {
        weight,
        loss: FeatureLoss::Mse,
        teacher_tap: None,
        student_tap: None,
        projection: ProjectionKind::Linear,
    }
}

/// All five strategies with the same weight.
fn all_terms(weight: f64) -> Vec<Term> {
    vec![
        Term::Vanilla { energy_weight: weight, force_weight: weight },
        Term::AtomicEnergy { weight },
        Term::NodeToNode(feature(weight)),
        Term::EdgeToNode(feature(weight)),
        Term::VectorToVector(feature(weight)),
    ]
}

fn distilled(mut config: Config, folder: &Path, terms: Vec<Term>) -> Config {
    config.distill = Some(DistillConfig {
        teacher: folder.join("teacher.safetensors"),
        cache: Some(folder.join("cache")),
        feature_precision: Precision::F16,
        terms,
    });
    config
}

/// Runs, and tells whether the cache was found or made.
fn origin(config: &Config, data: Data, folder: &Path) -> potstill_core::Result<Option<Origin>> {
    let found = Mutex::new(None);
    let tell = |prelude| {
        if let Prelude::Cache(origin, bytes) = prelude {
            assert!(bytes > 0);
            *found.lock().unwrap() = Some(origin);
        }
    };
    train(config, data, folder, false, &AtomicBool::new(false), &mut Silent, &tell)?;
    Ok(found.into_inner().unwrap())
}

#[test]
fn terms_of_weight_zero_change_no_bit() {
    for model in [painn(), schnet()] {
        let place = tempfile::tempdir().unwrap();
        let [plain, distillation] = ["plain", "distilled"].map(|name| place.path().join(name));
        run(&config(model.clone()), data(), &plain).unwrap();
        let mut terms = all_terms(0.0);
        terms.truncate(if model.has_vectors() { 5 } else { 4 });
        // Not even the teacher is read: there is none.
        run(&distilled(config(model), place.path(), terms), data(), &distillation).unwrap();
        assert_same(&plain, &distillation, "weight 0");
    }
}

#[test]
fn all_terms_shrink_and_the_model_holds_nothing_of_them() {
    let place = tempfile::tempdir().unwrap();
    write_teacher(&place.path().join("teacher.safetensors"), 9, &ELEMENTS);
    let mut plain = config(painn());
    plain.training.epochs = 150;
    plain.training.batch_size = 4;
    plain.training.learning_rate = 1e-2;
    // The teacher's energies are random: labels must not pull elsewhere.
    plain.training.energy_weight = 0.0;
    plain.training.force_weight = 0.0;
    let four = || Data { train: systems(4, 1), validation: Vec::new() };
    let steps = watched(&distilled(plain.clone(), place.path(), all_terms(1.0)), four(), &place.path().join("run"));
    let (first, last) = (&steps[0].distill_losses, &steps[steps.len() - 1].distill_losses);
    println!("{first:.3?} to {last:.3?}");
    assert_eq!(first.len(), 5);
    for (k, (a, b)) in first.iter().zip(last).enumerate() {
        assert!(*b < 0.5 * a, "term {k}: {a} to {b}");
    }
    plain.training.epochs = 1;
    run(&plain, four(), &place.path().join("plain")).unwrap();
    let shapes = |folder: &str| {
        let model = tensors(&place.path().join(folder).join("model.safetensors"));
        model.into_iter().map(|(name, bytes)| (name, bytes.len())).collect::<Vec<_>>()
    };
    assert_eq!(shapes("run"), shapes("plain"));
}

#[test]
fn a_distillation_that_stopped_goes_on_exactly() {
    let place = tempfile::tempdir().unwrap();
    write_teacher(&place.path().join("teacher.safetensors"), 9, &ELEMENTS);
    let config = distilled(config(painn()), place.path(), all_terms(0.5));
    let [whole, parts] = ["whole", "parts"].map(|name| place.path().join(name));
    run(&config, data(), &whole).unwrap();
    let mut first = config.clone();
    first.training.max_steps = Some(6);
    run(&first, data(), &parts).unwrap();
    resume(&config, data(), &parts).unwrap();
    assert_same(&whole, &parts, "distillation");
}

#[test]
fn a_cache_is_made_once() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    write_teacher(&folder.join("teacher.safetensors"), 9, &ELEMENTS);
    let nodes = distilled(config(schnet()), folder, vec![Term::NodeToNode(feature(1.0))]);
    assert_eq!(origin(&nodes, data(), &folder.join("fresh")).unwrap(), Some(Origin::Made));
    assert_eq!(origin(&nodes, data(), &folder.join("reused")).unwrap(), Some(Origin::Reused));
    assert_same(&folder.join("fresh"), &folder.join("reused"), "reused cache");
    // Labels need no features: the same cache will do. Other labels of the same structures do not matter either.
    let energies = distilled(config(schnet()), folder, vec![Term::AtomicEnergy { weight: 1.0 }]);
    let mut relabelled = data();
    relabelled.train.iter_mut().for_each(|s| s.energy = s.energy.map(|e| 2.0 * e));
    assert_eq!(origin(&energies, relabelled, &folder.join("labels")).unwrap(), Some(Origin::Reused));
    // One that lacks features is made anew.
    let vectors = distilled(config(painn()), folder, vec![Term::VectorToVector(feature(1.0))]);
    assert_eq!(origin(&vectors, data(), &folder.join("vectors")).unwrap(), Some(Origin::Made));
    let mut precise = vectors.clone();
    precise.distill.as_mut().unwrap().feature_precision = Precision::F32;
    assert_eq!(origin(&precise, data(), &folder.join("precise")).unwrap(), Some(Origin::Made));
}

#[test]
fn a_cache_grows_by_the_taps_of_another_run() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    write_teacher(&folder.join("teacher.safetensors"), 1, &ELEMENTS);
    let at = |tap: &str| Term::NodeToNode(FeatureTerm { teacher_tap: Some(tap.into()), ..feature(1.0) });
    let run = |name: &str, tap: &str| {
        origin(&distilled(config(painn()), folder, vec![at(tap)]), data(), &folder.join(name)).unwrap()
    };
    assert_eq!(run("first", "U1"), Some(Origin::Made));
    assert_eq!(run("second", "U2"), Some(Origin::Made));
    assert_eq!(run("third", "U1"), Some(Origin::Reused));
    assert_same(&folder.join("first"), &folder.join("third"), "grown cache");
}

#[test]
fn an_identity_projection_needs_equal_widths() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let teacher = write_teacher(&folder.join("teacher.safetensors"), 1, &ELEMENTS);
    let term = Term::NodeToNode(FeatureTerm { projection: ProjectionKind::Identity, ..feature(1.0) });
    let narrow = distilled(config(painn()), folder, vec![term.clone()]);
    let message = origin(&narrow, data(), &folder.join("narrow")).unwrap_err().to_string();
    assert!(message.contains("12 channels") && message.contains("20") && message.contains("linear"), "{message}");
    let wide = distilled(config(teacher), folder, vec![term]);
    assert_eq!(origin(&wide, data(), &folder.join("wide")).unwrap(), Some(Origin::Made));
    let weights = tensors(&folder.join("wide/checkpoints/last.safetensors"));
    assert!(weights.keys().all(|name| !name.contains("projections")), "{:?}", weights.keys());
}

#[test]
fn a_cache_of_something_else_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    write_teacher(&folder.join("teacher.safetensors"), 9, &ELEMENTS);
    let config = distilled(config(schnet()), folder, vec![Term::NodeToNode(feature(1.0))]);
    run(&config, data(), &folder.join("first")).unwrap();
    let again = |data: Data| run(&config, data, &folder.join("second")).unwrap_err().to_string();

    let mut moved = data();
    moved.train[3].positions[1][0] += 1e-3;
    let message = again(moved);
    assert!(message.contains("dataset") && message.contains("distill.cache"), "{message}");

    let shard = folder.join("cache/shard-00000.safetensors");
    let bytes = std::fs::read(&shard).unwrap();
    std::fs::write(&shard, &bytes[..bytes.len() / 2]).unwrap();
    let message = again(data());
    assert!(message.contains("shard-00000") && message.contains("delete the cache"), "{message}");
    std::fs::write(&shard, bytes).unwrap();

    write_teacher(&folder.join("teacher.safetensors"), 10, &ELEMENTS);
    let message = again(data());
    assert!(message.contains("by teacher"), "{message}");

    std::fs::write(folder.join("cache/index.json"), "{").unwrap();
    let message = again(data());
    assert!(message.contains("not the index of a teacher cache"), "{message}");
}

#[test]
fn a_killed_labelling_keeps_nothing_that_is_wrong() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    write_teacher(&folder.join("teacher.safetensors"), 9, &ELEMENTS);
    let config = distilled(config(schnet()), folder, vec![Term::NodeToNode(feature(1.0))]);
    run(&config, data(), &folder.join("first")).unwrap();
    // A shard without an index is what a killed labelling leaves; this one is of another teacher.
    std::fs::remove_file(folder.join("cache/index.json")).unwrap();
    write_teacher(&folder.join("teacher.safetensors"), 10, &ELEMENTS);
    assert_eq!(origin(&config, data(), &folder.join("second")).unwrap(), Some(Origin::Made));
    let mut fresh = config.clone();
    fresh.distill.as_mut().unwrap().cache = Some(folder.join("other-cache"));
    run(&fresh, data(), &folder.join("third")).unwrap();
    assert_same(&folder.join("second"), &folder.join("third"), "cache of another teacher");
}

#[test]
fn unusable_teachers_and_terms_are_errors() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let refused = |config: Config| run(&config, data(), &folder.join("run")).unwrap_err().to_string();
    let nodes = || vec![Term::NodeToNode(feature(1.0))];

    let message = refused(distilled(config(schnet()), folder, nodes()));
    assert!(message.contains("teacher.safetensors") && message.contains("cannot open"), "{message}");

    write_teacher(&folder.join("teacher.safetensors"), 9, &ELEMENTS[..3]);
    let message = refused(distilled(config(schnet()), folder, nodes()));
    assert!(message.contains("distill.teacher") && message.contains("element O"), "{message}");

    write_teacher(&folder.join("teacher.safetensors"), 9, &ELEMENTS);
    let message = refused(distilled(config(schnet()), folder, vec![Term::VectorToVector(feature(1.0))]));
    assert!(message.contains("vector_to_vector") && message.contains("SchNet student"), "{message}");

    let mut far = feature(1.0);
    far.teacher_tap = Some("U7".to_owned());
    let message = refused(distilled(config(schnet()), folder, vec![Term::NodeToNode(far)]));
    assert!(message.contains("no tap `U7`") && message.contains("M1, U1, M2, U2"), "{message}");

    let message = refused(distilled(config(schnet()), folder, vec![Term::AtomicEnergy { weight: -1.0 }]));
    assert!(message.contains("weight -1"), "{message}");
    let message = refused(distilled(config(schnet()), folder, Vec::new()));
    assert!(message.contains("distill.terms"), "{message}");
}
