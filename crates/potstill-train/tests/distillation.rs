//! Whole distillations: what a teacher adds, what its cache promises, and what is refused.
#![allow(clippy::print_stdout, reason = "tests tell what they found")]

mod support;

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use potstill_core::Precision;
use potstill_core::model::Architecture;
use potstill_train::augment::{Attack, AttackRule, Copies, Jitter, JitterMode};
use potstill_train::config::Config;
use potstill_train::distill::labelling::Origin;
use potstill_train::distill::strategies::{
    AtomicEnergy, Cka, EdgeToNode, GlobalPreservation, LocalPreservation, NodeToNode, Vanilla, VectorGeometric,
    VectorToVector,
};
use potstill_train::distill::{
    Augmentation, DistillConfig, FeatureTerm, Of, ProjectionKind, RelationTerm, Side, TapNames, TeacherSource, Term,
    Weight, WeightSchedule,
};
use potstill_train::folder::{RunFolder, Start};
use potstill_train::observer::Silent;
use potstill_train::run::{Data, Prelude, train};
use support::{assert_same, config, data, painn, resume, run, schnet, systems, tensors, watched, write_teacher};

const ELEMENTS: [&str; 4] = ["H", "C", "N", "O"];

fn feature(weight: f64) -> FeatureTerm {
    FeatureTerm::new(weight)
}

/// All strategies but that of edges, with the same weight.
fn all_terms(weight: f64) -> Vec<Term> {
    vec![
        Term::Vanilla(Vanilla {
            energy_weight: weight,
            force_weight: weight,
            stress_weight: 0.0,
            schedule: WeightSchedule::Constant,
        }),
        Term::AtomicEnergy(AtomicEnergy { weight: weight.into(), schedule: WeightSchedule::Constant }),
        Term::NodeToNode(NodeToNode(feature(weight))),
        Term::EdgeToNode(EdgeToNode(feature(weight))),
        Term::VectorToVector(VectorToVector(feature(weight))),
        Term::VectorGeometric(geometric(weight)),
        Term::LocalPreservation(LocalPreservation(relation(weight, Of::Node))),
        Term::GlobalPreservation(GlobalPreservation(relation(weight, Of::Vector))),
        Term::Cka(Cka(relation(weight, Of::Edge))),
    ]
}

fn geometric(weight: f64) -> VectorGeometric {
    VectorGeometric {
        weight: weight.into(),
        schedule: WeightSchedule::Constant,
        direction: 0.5,
        teacher_tap: None,
        student_tap: None,
        projection: ProjectionKind::Linear,
    }
}

fn relation(weight: f64, of: Of) -> RelationTerm {
    RelationTerm {
        weight: weight.into(),
        schedule: WeightSchedule::Constant,
        of,
        teacher_tap: None,
        student_tap: None,
        projection: ProjectionKind::Identity,
    }
}

fn distilled(mut config: Config, folder: &Path, terms: Vec<Term>) -> Config {
    config.distill = Some(DistillConfig {
        cache: Some(folder.join("cache")),
        ..DistillConfig::new(folder.join("teacher.safetensors"), terms)
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
    train(config, data, &RunFolder::open(folder, Start::New)?, &AtomicBool::new(false), &mut Silent, &tell)?;
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
    let four = || Data { train: systems(4, 1).into(), ..Data::default() };
    let steps = watched(&distilled(plain.clone(), place.path(), all_terms(1.0)), four(), &place.path().join("run"));
    let (first, last) = (&steps[0].distill_losses, &steps[steps.len() - 1].distill_losses);
    println!("{first:.3?} to {last:.3?}");
    assert_eq!(first.len(), 9);
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
    let nodes = distilled(config(schnet()), folder, vec![Term::NodeToNode(NodeToNode(feature(1.0)))]);
    assert_eq!(origin(&nodes, data(), &folder.join("fresh")).unwrap(), Some(Origin::Made));
    assert_eq!(origin(&nodes, data(), &folder.join("reused")).unwrap(), Some(Origin::Reused));
    assert_same(&folder.join("fresh"), &folder.join("reused"), "reused cache");
    // Labels need no features: the same cache will do. Other labels of the same structures do not matter either.
    let energies = distilled(
        config(schnet()),
        folder,
        vec![Term::AtomicEnergy(AtomicEnergy { weight: 1.0.into(), schedule: WeightSchedule::Constant })],
    );
    let mut relabelled = systems(10, 100);
    relabelled.iter_mut().for_each(|s| s.energy = s.energy.map(|e| 2.0 * e));
    let relabelled = Data { train: relabelled.into(), ..data() };
    assert_eq!(origin(&energies, relabelled, &folder.join("labels")).unwrap(), Some(Origin::Reused));
    // One that lacks features is made anew.
    let vectors = distilled(config(painn()), folder, vec![Term::VectorToVector(VectorToVector(feature(1.0)))]);
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
    let at = |tap: &str| Term::NodeToNode(NodeToNode(FeatureTerm { teacher_tap: Some(tap.into()), ..feature(1.0) }));
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
    let term = Term::NodeToNode(NodeToNode(FeatureTerm { projection: ProjectionKind::Identity, ..feature(1.0) }));
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
    let config = distilled(config(schnet()), folder, vec![Term::NodeToNode(NodeToNode(feature(1.0)))]);
    run(&config, data(), &folder.join("first")).unwrap();
    let again = |data: Data| run(&config, data, &folder.join("second")).unwrap_err().to_string();

    let mut moved = systems(10, 100);
    moved[3].positions[1][0] += 1e-3;
    let message = again(Data { train: moved.into(), ..data() });
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
    let config = distilled(config(schnet()), folder, vec![Term::NodeToNode(NodeToNode(feature(1.0)))]);
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
    let nodes = || vec![Term::NodeToNode(NodeToNode(feature(1.0)))];

    let message = refused(distilled(config(schnet()), folder, nodes()));
    assert!(message.contains("teacher.safetensors") && message.contains("cannot open"), "{message}");

    write_teacher(&folder.join("teacher.safetensors"), 9, &ELEMENTS[..3]);
    let message = refused(distilled(config(schnet()), folder, nodes()));
    assert!(message.contains("distill.teacher") && message.contains("element O"), "{message}");

    write_teacher(&folder.join("teacher.safetensors"), 9, &ELEMENTS);
    let message =
        refused(distilled(config(schnet()), folder, vec![Term::VectorToVector(VectorToVector(feature(1.0)))]));
    assert!(message.contains("vector_to_vector") && message.contains("SchNet student"), "{message}");

    let mut far = feature(1.0);
    far.teacher_tap = Some("U7".into());
    let message = refused(distilled(config(schnet()), folder, vec![Term::NodeToNode(NodeToNode(far))]));
    assert!(message.contains("no tap `U7`") && message.contains("M1, U1, M2, U2"), "{message}");

    let message = refused(distilled(
        config(schnet()),
        folder,
        vec![Term::AtomicEnergy(AtomicEnergy { weight: Weight::Fixed(-1.0), schedule: WeightSchedule::Constant })],
    ));
    assert!(message.contains("weight -1"), "{message}");
    let message = refused(distilled(config(schnet()), folder, Vec::new()));
    assert!(message.contains("distill.terms"), "{message}");
}

/// Losses of the terms at each step.
fn term_losses(terms: Vec<Term>) -> Vec<Vec<f64>> {
    let folder = tempfile::tempdir().unwrap();
    write_teacher(&folder.path().join("teacher.safetensors"), 3, &ELEMENTS);
    let config = distilled(config(painn()), folder.path(), terms);
    watched(&config, data(), &folder.path().join("run")).into_iter().map(|step| step.distill_losses).collect()
}

#[test]
fn every_strategy_lowers_its_loss() {
    for term in all_terms(20.0) {
        let name = term.name();
        let losses = term_losses(vec![term]);
        let mean = |part: &[Vec<f64>]| part.iter().map(|l| l[0]).sum::<f64>() / part.len() as f64;
        let (first, last) = (mean(&losses[..4]), mean(&losses[losses.len() - 4..]));
        assert!(first > 0.0 && last < first, "{name}: {first} to {last}");
    }
}

#[test]
fn projections_of_every_kind_learn() {
    for (projection, project) in [
        (ProjectionKind::Linear, Side::Teacher),
        (ProjectionKind::Mlp, Side::Student),
        (ProjectionKind::Mlp, Side::Teacher),
    ] {
        let losses =
            term_losses(vec![Term::NodeToNode(NodeToNode(FeatureTerm { projection, project, ..feature(20.0) }))]);
        let (first, last) = (losses[0][0], losses[losses.len() - 1][0]);
        assert!(first > 0.0 && last < first, "{projection:?} of {project:?}: {first} to {last}");
    }
}

#[test]
fn schedules_move_the_weight() {
    let ramp = FeatureTerm { schedule: WeightSchedule::Ramp { until: 0.5 }, ..feature(1.0) };
    let cosine = FeatureTerm { schedule: WeightSchedule::CosineToZero, ..feature(1.0) };
    let losses = term_losses(vec![
        Term::NodeToNode(NodeToNode(ramp)),
        Term::NodeToNode(NodeToNode(cosine)),
        Term::NodeToNode(NodeToNode(feature(1.0))),
    ]);
    let n = losses.len();
    assert_eq!(losses[0][0], 0.0, "a ramp starts at 0");
    assert!(losses[1][0] < losses[n / 2][0], "and rises");
    // Projections differ by their seeds, so that terms start apart; the last step of a cosine is nearly off.
    assert!(losses[n - 1][1] < 0.05 * losses[n - 1][2], "{:?}", losses[n - 1]);
}

#[test]
fn automatic_weights_balance_gradients() {
    let folder = tempfile::tempdir().unwrap();
    write_teacher(&folder.path().join("teacher.safetensors"), 3, &ELEMENTS);
    let found = |times: f64, scale: f64| -> f64 {
        let term = FeatureTerm { weight: Weight::Auto(times), ..feature(1.0) };
        let mut config = distilled(config(painn()), folder.path(), vec![Term::NodeToNode(NodeToNode(term))]);
        config.training.force_weight *= scale;
        config.training.max_steps = Some(1);
        let weights = Mutex::new(Vec::new());
        let tell = |prelude| {
            if let Prelude::Weights(found) = prelude {
                *weights.lock().unwrap() = found;
            }
        };
        let run = tempfile::tempdir().unwrap();
        train(
            &config,
            data(),
            &RunFolder::open(run.path(), Start::New).unwrap(),
            &AtomicBool::new(false),
            &mut Silent,
            &tell,
        )
        .unwrap();
        let weights = weights.into_inner().unwrap();
        assert_eq!(weights[0].0, "node_to_node");
        weights[0].1
    };
    let one = found(1.0, 1.0);
    assert!(one > 0.0 && (one - 1.0).abs() > 1e-6, "{one}");
    // Proportional to what is asked for, and to the gradient it is compared with.
    assert!((found(0.5, 1.0) / one - 0.5).abs() < 1e-6);
    assert!((found(1.0, 2.0) / one - 2.0).abs() < 1e-4);
}

#[test]
fn runs_with_automatic_weights_go_on_exactly() {
    let folder = tempfile::tempdir().unwrap();
    write_teacher(&folder.path().join("teacher.safetensors"), 3, &ELEMENTS);
    let schedule = WeightSchedule::Ramp { until: 0.9 };
    let term = FeatureTerm { weight: Weight::Auto(1.0), schedule, ..feature(1.0) };
    let whole_config = distilled(config(painn()), folder.path(), vec![Term::NodeToNode(NodeToNode(term))]);
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    run(&whole_config, data(), whole.path()).unwrap();
    let stop = AtomicBool::new(true);
    train(&whole_config, data(), &RunFolder::open(parts.path(), Start::New).unwrap(), &stop, &mut Silent, &|_| {})
        .unwrap();
    resume(&whole_config, data(), parts.path()).unwrap();
    assert_same(whole.path(), parts.path(), "automatic weights");
}

#[test]
fn settings_of_the_new_strategies_are_checked() {
    let bad = [
        (Term::NodeToNode(NodeToNode(feature(-1.0))), "weight -1 must be zero or a positive number"),
        (Term::VectorGeometric(VectorGeometric { direction: 1.5, ..geometric(1.0) }), "direction is 1.5"),
        (
            Term::VectorToVector(VectorToVector(FeatureTerm { projection: ProjectionKind::Mlp, ..feature(1.0) })),
            "would not rotate with the system",
        ),
        (
            Term::NodeToNode(NodeToNode(FeatureTerm { schedule: WeightSchedule::Ramp { until: 0.0 }, ..feature(1.0) })),
            "until is 0",
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (term, wanted) in bad {
        let config = distilled(config(painn()), folder.path(), vec![term]);
        let message = config.validate().unwrap_err().to_string();
        assert!(message.contains(wanted), "{message}");
    }
}

fn jitter(terms: Vec<Term>) -> Augmentation {
    let copies = Copies::RandomJitter(Jitter { std: 0.05, mode: JitterMode::Free, fixed_length: None });
    Augmentation { copies, terms, min_distance: 0.1 }
}

fn attack(terms: Vec<Term>) -> Augmentation {
    let copies = Copies::Adversarial(Attack {
        rule: AttackRule::Ball { learning_rate: 0.1, length: 0.1 },
        steps: 2,
        start_std: 0.02,
        teacher_gradient: true,
        force_regularization: 0.1,
        accumulate: false,
    });
    Augmentation { copies, ..jitter(terms) }
}

#[test]
fn copies_are_the_same_after_a_pause_and_with_other_threads() {
    let place = tempfile::tempdir().unwrap();
    write_teacher(&place.path().join("teacher.safetensors"), 9, &ELEMENTS);
    let terms = || {
        vec![Term::Vanilla(Vanilla {
            energy_weight: 0.1,
            force_weight: 0.3,
            stress_weight: 0.0,
            schedule: WeightSchedule::Constant,
        })]
    };
    for (name, augmentation) in [("jitter", jitter(terms())), ("attack", attack(terms()))] {
        let mut config = distilled(config(schnet()), place.path(), vec![Term::NodeToNode(NodeToNode(feature(0.2)))]);
        config.distill.as_mut().unwrap().augmentation = Some(augmentation);
        config.training.dtype = Precision::F64;
        let [whole, parts, wide] = ["whole", "parts", "wide"].map(|run| place.path().join(format!("{name}-{run}")));
        run(&config, data(), &whole).unwrap();
        let mut first = config.clone();
        first.training.max_steps = Some(6);
        run(&first, data(), &parts).unwrap();
        resume(&config, data(), &parts).unwrap();
        assert_same(&whole, &parts, name);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        pool.install(|| run(&config, data(), &wide)).unwrap();
        let numbers = |folder: &Path| -> Vec<f64> {
            let model = tensors(&folder.join("model.safetensors"));
            model.values().flat_map(|bytes| bytemuck::pod_collect_to_vec::<u8, f64>(bytes)).collect()
        };
        let (one, other) = (numbers(&whole), numbers(&wide));
        let difference = one.iter().zip(&other).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        println!("{name}: {difference:e} between numbers of threads");
        assert!(difference < 1e-8, "{name}: {difference:e}");
    }
}

#[test]
fn a_teacher_asked_at_each_step_says_what_its_cache_says() {
    let place = tempfile::tempdir().unwrap();
    write_teacher(&place.path().join("teacher.safetensors"), 9, &ELEMENTS);
    let mut config = distilled(config(painn()), place.path(), all_terms(0.4));
    config.training.dtype = Precision::F64;
    config.distill.as_mut().unwrap().feature_precision = Precision::F64;
    let cached = watched(&config, data(), &place.path().join("cached"));
    config.distill.as_mut().unwrap().online = true;
    config.distill.as_mut().unwrap().cache = None;
    let live = watched(&config, data(), &place.path().join("live"));
    assert!(!place.path().join("live/teacher-cache").exists());
    for (a, b) in cached.iter().zip(&live) {
        for (x, y) in a.distill_losses.iter().zip(&b.distill_losses) {
            // The cache was made in f32.
            assert!(
                (x - y).abs() <= 2e-5 * x.abs(),
                "step {}: {:?} and {:?}",
                a.step,
                a.distill_losses,
                b.distill_losses
            );
        }
    }
}

#[test]
fn copies_whose_atoms_meet_are_thrown_away_and_counted() {
    let place = tempfile::tempdir().unwrap();
    write_teacher(&place.path().join("teacher.safetensors"), 9, &ELEMENTS);
    let mut config = distilled(config(schnet()), place.path(), Vec::new());
    let terms = vec![Term::AtomicEnergy(AtomicEnergy { weight: 1.0.into(), schedule: WeightSchedule::Constant })];
    // Nothing is that far apart, so no copy is left; the run goes on with labels alone.
    let augmentation = Augmentation { min_distance: 50.0, ..jitter(terms) };
    config.distill.as_mut().unwrap().augmentation = Some(augmentation);
    let steps = watched(&config, data(), &place.path().join("run"));
    assert!(steps.iter().all(|s| s.n_rejected == s.n_systems && s.distill_losses == [0.0] && s.loss > 0.0));
    let plain = watched(&Config { distill: None, ..config }, data(), &place.path().join("plain"));
    assert_eq!(steps.last().unwrap().loss, plain.last().unwrap().loss);
}

#[test]
fn augmentation_that_is_wrong_is_named() {
    let place = tempfile::tempdir().unwrap();
    write_teacher(&place.path().join("teacher.safetensors"), 9, &ELEMENTS);
    let refused = |model, augmentation| {
        let mut config = distilled(config(model), place.path(), Vec::new());
        config.distill.as_mut().unwrap().augmentation = Some(augmentation);
        run(&config, data(), &place.path().join("run")).unwrap_err().to_string()
    };
    let pae = || vec![Term::AtomicEnergy(AtomicEnergy { weight: 1.0.into(), schedule: WeightSchedule::Constant })];
    let negative = Copies::RandomJitter(Jitter { std: -1.0, mode: JitterMode::Free, fixed_length: None });
    let vectors = vec![Term::VectorToVector(VectorToVector(feature(1.0)))];
    for (model, augmentation, wanted) in [
        (painn(), jitter(Vec::new()), "distill.augmentation.terms: is empty"),
        (painn(), Augmentation { copies: negative, ..jitter(pae()) }, "distill.augmentation.copies.std: is -1"),
        (schnet(), jitter(vectors), "a SchNet student has no vector"),
        (Architecture::GemNetOC(Default::default()), attack(pae()), "a GemNetOC student does not give"),
    ] {
        let message = refused(model, augmentation);
        assert!(message.contains(wanted), "{message}");
    }
}

#[test]
fn several_taps_stand_side_by_side() {
    let place = tempfile::tempdir().unwrap();
    write_teacher(&place.path().join("teacher.safetensors"), 9, &ELEMENTS);
    let both = || TapNames::Several(vec!["U1".to_owned(), "U2".to_owned()]);
    let of = |teacher: Option<TapNames>, student: Option<TapNames>, projection| FeatureTerm {
        teacher_tap: teacher,
        student_tap: student,
        projection,
        ..feature(1.0)
    };
    let linear = ProjectionKind::Linear;
    let terms = vec![
        Term::NodeToNode(NodeToNode(of(Some(both()), Some(both()), linear))),
        Term::VectorToVector(VectorToVector(of(Some(both()), None, linear))),
        Term::Cka(Cka(RelationTerm { teacher_tap: Some(both()), ..relation(1.0, Of::Node) })),
    ];
    let mut long = config(painn());
    long.training.epochs = 40;
    long.training.learning_rate = 1e-2;
    let steps = watched(&distilled(long, place.path(), terms), data(), &place.path().join("run"));
    let (first, last) = (&steps[0].distill_losses, &steps.last().unwrap().distill_losses);
    assert!(first.iter().zip(last).all(|(first, last)| *first > 0.0 && last < first), "{first:?} {last:?}");

    // The sum over both is what each alone adds up to, where nothing stands between the features.
    let (teacher, student) = (place.path().join("same.safetensors"), config(painn()));
    run(&student, data(), &place.path().join("plain")).unwrap();
    std::fs::copy(place.path().join("plain/model.safetensors"), &teacher).unwrap();
    let first_losses = |terms: Vec<Term>| {
        let mut config = distilled(student.clone(), place.path(), terms);
        let distill = config.distill.as_mut().unwrap();
        (distill.teacher, distill.cache) = (TeacherSource::One(teacher.clone()), None);
        distill.feature_precision = Precision::F32;
        let folder = tempfile::tempdir().unwrap();
        watched(&config, data(), folder.path())[0].distill_losses.clone()
    };
    let identity = |tap: TapNames| of(Some(tap.clone()), Some(tap), ProjectionKind::Identity);
    for term in [|term| NodeToNode(term).into(), (|term| VectorToVector(term).into()) as fn(FeatureTerm) -> Term] {
        let losses = first_losses(["U1".into(), "U2".into(), both()].map(|tap| term(identity(tap))).to_vec());
        assert!((losses[2] - 0.5 * (losses[0] + losses[1])).abs() < 1e-5 * losses[2] && losses[0] > 0.0, "{losses:?}");
    }

    for (tap, wanted) in [
        (TapNames::Several(vec![]), "names no tap of the student"),
        (TapNames::Several(vec!["U1".to_owned(); 2]), "the student's tap `U1` comes twice"),
        ("U9".into(), "the student has no tap `U9`; it has M1, U1, M2, U2"),
    ] {
        let config = DistillConfig::new("teacher", vec![Term::NodeToNode(NodeToNode(of(None, Some(tap), linear)))]);
        let error = config.validate(&painn()).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn a_run_goes_on_with_its_own_teacher_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    write_teacher(&path("teacher.safetensors"), 3, &ELEMENTS);
    write_teacher(&path("other.safetensors"), 4, &ELEMENTS);
    std::fs::copy(path("teacher.safetensors"), path("moved.safetensors")).unwrap();
    for online in [true, false] {
        let mut own = distilled(config(painn()), folder.path(), vec![Term::NodeToNode(NodeToNode(feature(1.0)))]);
        own.distill.as_mut().unwrap().online = online;
        own.training.max_steps = Some(6);
        let place = path(if online { "online" } else { "cached" });
        run(&own, data(), &place).unwrap();
        own.training.max_steps = None;
        let with = |teacher: &str| {
            let mut config = own.clone();
            let distill = config.distill.as_mut().unwrap();
            distill.teacher = potstill_train::distill::TeacherSource::One(path(teacher));
            distill.cache = Some(path("another-cache"));
            resume(&config, data(), &place)
        };
        let message = with("other.safetensors").unwrap_err().to_string();
        assert!(message.contains("was made with another teacher; start again with --overwrite"), "{message}");
        std::fs::remove_dir_all(path("another-cache")).ok();
        assert_eq!(with("moved.safetensors").unwrap().steps, 16, "the same teacher in another place");
        if !online {
            assert_eq!(with("cache").unwrap().steps, 16, "what the same teacher said");
        }
        std::fs::remove_dir_all(path("another-cache")).ok();
    }
}
