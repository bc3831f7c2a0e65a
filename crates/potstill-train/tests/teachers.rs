//! Teachers of every kind: networks, files of labels, caches; and what only a network can be asked.

use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device};
use potstill_core::Precision;
use potstill_core::system::Value;
use potstill_core::{Potential, System};
use potstill_data::io::write;
use potstill_nn::Model;
use potstill_train::config::Config;
use potstill_train::distill::labelling::{Asked, open_or_make};
use potstill_train::distill::strategies::{AtomicEnergy, Hessian, NodeToNode, Vanilla, VectorToVector};
use potstill_train::distill::{
    DistillConfig, FeatureTerm, LabelOptions, Probes, Questions, Teacher, TeacherSource, Term, WeightSchedule,
};
use potstill_train::loss::FeatureLoss;
use potstill_train::run::Data;

use support::{assert_same, config, painn, resume, run, schnet, systems, watched, write_teacher};

mod support;

const ELEMENTS: [&str; 4] = ["H", "C", "N", "O"];

fn vanilla() -> Term {
    Term::Vanilla(Vanilla {
        energy_weight: 1.0,
        force_weight: 10.0,
        stress_weight: 0.0,
        schedule: WeightSchedule::Constant,
    })
}

fn atomic_energy() -> Term {
    Term::AtomicEnergy(AtomicEnergy { weight: 1.0.into(), schedule: WeightSchedule::Constant })
}

fn hessian(probes: usize) -> Term {
    let schedule = WeightSchedule::Constant;
    Term::Hessian(Hessian { weight: 3.0.into(), schedule, loss: FeatureLoss::Mse, step: 0.01, probes })
}

fn data() -> Data {
    Data { train: systems(9, 100).into(), ..Data::default() }
}

fn teachers(folder: &Path) -> Vec<PathBuf> {
    (0..2)
        .map(|k| {
            let path = folder.join(format!("teacher{k}.safetensors"));
            write_teacher(&path, 7 + k, &ELEMENTS);
            path
        })
        .collect()
}

fn model(path: &Path) -> Model {
    Model::load(path, &Device::flex(), DType::F32).unwrap()
}

fn distilled(teacher: TeacherSource, terms: Vec<Term>) -> Config {
    let mut config = config(painn());
    config.training.epochs = 2;
    config.distill =
        Some(DistillConfig { teacher, feature_precision: Precision::F32, ..DistillConfig::new("elsewhere", terms) });
    config
}

/// The systems with what a network says of them as labels.
fn relabelled(teacher: &Path, systems: &[System]) -> Vec<System> {
    let teacher = model(teacher);
    let one = |system: &System| {
        let answer = teacher.evaluate(&[system]).unwrap();
        let atomic: Vec<serde_json::Value> = answer.atomic_energies.iter().map(|&e| e.into()).collect();
        let metadata = [("atomic_energies".to_owned(), Value::Json(atomic.into()))].into();
        System { energy: Some(answer.energy[0]), forces: Some(answer.forces), metadata, ..system.clone() }
    };
    systems.iter().map(one).collect()
}

fn save(path: &Path, systems: &[System]) -> TeacherSource {
    let mut writer = write(path).unwrap();
    systems.iter().for_each(|system| writer.write(system).unwrap());
    writer.finish().unwrap();
    TeacherSource::One(path.to_owned())
}

fn losses(config: &Config, folder: &Path) -> Vec<Vec<f64>> {
    watched(config, data(), folder).into_iter().map(|step| step.distill_losses).collect()
}

fn assert_close(one: &[Vec<f64>], other: &[Vec<f64>], tolerance: f64) {
    assert!(!one.is_empty() && one.len() == other.len());
    for (a, b) in one.iter().flatten().zip(other.iter().flatten()) {
        assert!(a.is_finite() && *a > 0.0 && (a - b).abs() <= tolerance * b.abs(), "{a} and {b}");
    }
}

#[test]
fn several_networks_teach_their_mean() {
    let place = tempfile::tempdir().unwrap();
    let paths = teachers(place.path());
    let teacher = Teacher::open(&TeacherSource::Several(paths.clone()), &LabelOptions::default(), DType::F32).unwrap();
    let systems: Vec<System> = systems(9, 100);
    let (cache, _) = open_or_make(
        &place.path().join("cache"),
        &teacher,
        &Asked::about(&systems.clone().into()).unwrap(),
        &Questions::default(),
        &|_| {},
    )
    .unwrap();
    let [one, other] = [0, 1].map(|k| model(&paths[k]));
    for (i, system) in systems.iter().enumerate() {
        let (a, b) = (one.evaluate(&[system]).unwrap(), other.evaluate(&[system]).unwrap());
        let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        close(cache.energy(i).unwrap(), (a.energy[0] + b.energy[0]) / 2.0);
        close(cache.energy_spread(i).unwrap(), (a.energy[0] - b.energy[0]).abs() / 2.0);
        let (forces, spread) = (cache.forces(i).unwrap(), cache.forces_spread(i).unwrap());
        for (atom, (fa, fb)) in a.forces.iter().zip(&b.forces).enumerate() {
            (0..3).for_each(|c| close(forces[3 * atom + c], (fa[c] + fb[c]) / 2.0));
            let square: f64 = (0..3).map(|c| ((fa[c] - fb[c]) / 2.0).powi(2)).sum();
            close(spread[atom], square.sqrt());
        }
    }

    // The same when they are asked at each step; features are the first one's.
    let terms = || vec![vanilla(), atomic_energy(), Term::NodeToNode(NodeToNode(FeatureTerm::new(1.0)))];
    let cached = distilled(TeacherSource::Several(paths.clone()), terms());
    let mut online = cached.clone();
    online.distill.as_mut().unwrap().online = true;
    let first = losses(&cached, &place.path().join("cached"));
    assert_close(&losses(&online, &place.path().join("online")), &first, 1e-4);
    let alone = losses(&distilled(TeacherSource::One(paths[0].clone()), terms()), &place.path().join("alone"));
    assert!(first[0][0] != alone[0][0] && first[0][2] == alone[0][2]);
}

#[test]
fn a_file_of_labels_teaches_as_the_network_that_wrote_it() {
    let place = tempfile::tempdir().unwrap();
    let paths = teachers(place.path());
    let labels = relabelled(&paths[0], &systems(9, 100));
    let file = save(&place.path().join("labels.extxyz"), &labels);
    let terms = || vec![vanilla(), atomic_energy()];
    let expected = losses(&distilled(TeacherSource::One(paths[0].clone()), terms()), &place.path().join("network"));
    let mut config = distilled(file, terms());
    // Random networks say nothing like the labels.
    config.distill.as_mut().unwrap().labels =
        LabelOptions { check_units: Some(false), align_energies: Some(false), ..LabelOptions::default() };
    assert_close(&losses(&config, &place.path().join("labels")), &expected, 1e-4);

    // Systems that are not in the dataset are skipped.
    let more: Vec<System> =
        labels.iter().flat_map(|s| [relabelled(&paths[0], &systems(1, 900))[0].clone(), s.clone()]).collect();
    config.distill.as_mut().unwrap().teacher = save(&place.path().join("more.extxyz"), &more);
    assert_close(&losses(&config, &place.path().join("more")), &expected, 1e-4);

    // Two files, one after the other.
    let (start, end) = labels.split_at(4);
    let parts = [("a.extxyz", start), ("b.extxyz", end)];
    let parts = parts.map(|(name, part)| save(&place.path().join(name), part).paths()[0].clone());
    config.distill.as_mut().unwrap().teacher = TeacherSource::Several(parts.to_vec());
    assert_close(&losses(&config, &place.path().join("parts")), &expected, 1e-4);
}

#[test]
fn a_cache_teaches_without_its_network() {
    let place = tempfile::tempdir().unwrap();
    let paths = teachers(place.path());
    let terms = || vec![vanilla(), Term::NodeToNode(NodeToNode(FeatureTerm::new(1.0)))];
    let own = place.path().join("network");
    let expected = losses(&distilled(TeacherSource::One(paths[0].clone()), terms()), &own);
    let cache = TeacherSource::One(own.join("teacher-cache"));
    paths.iter().for_each(|path| std::fs::remove_file(path).unwrap());
    assert_eq!(losses(&distilled(cache.clone(), terms()), &place.path().join("cache")), expected);

    let error =
        |terms, data| run(&distilled(cache.clone(), terms), data, &place.path().join("x")).unwrap_err().to_string();
    let wrong = error(vec![Term::VectorToVector(VectorToVector(FeatureTerm::new(1.0)))], data());
    assert!(wrong.contains("holds no vector features of U2; label again"), "{wrong}");
    let wrong = error(vec![hessian(1)], data());
    assert!(wrong.contains("derivatives of the forces"), "{wrong}");
    let wrong = error(terms(), Data { train: systems(9, 700).into(), ..Data::default() });
    assert!(wrong.contains("other systems than these"), "{wrong}");
    let mut online = distilled(cache.clone(), terms());
    online.distill.as_mut().unwrap().online = true;
    let wrong = run(&online, data(), &place.path().join("x")).unwrap_err().to_string();
    assert!(wrong.contains("distill.online: asks the teacher at each step; give a model file"), "{wrong}");
}

#[test]
fn labels_of_something_else_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let dataset = systems(30, 100);
    let error_with = |labels: &[System], terms: Vec<Term>, options: LabelOptions| {
        let mut config = distilled(save(&place.path().join("labels.extxyz"), labels), terms);
        config.distill.as_mut().unwrap().labels = options;
        config.training.max_steps = Some(1);
        let data = Data { train: dataset.clone().into(), ..Data::default() };
        let folder = tempfile::tempdir().unwrap();
        match run(&config, data, folder.path()) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    };
    let error = |labels: &[System], terms| error_with(labels, terms, LabelOptions::default());
    let changed = |change: &dyn Fn(usize, &mut System)| {
        let mut labels = dataset.clone();
        labels.iter_mut().enumerate().for_each(|(i, system)| change(i, system));
        labels
    };
    assert_eq!(error(&dataset, vec![vanilla()]), "");

    let swapped = changed(&|_, s| {
        let last = s.n_atoms() - 1;
        s.atomic_numbers.swap(0, last);
        s.positions.swap(0, last);
    });
    let moved = changed(&|i, s| s.positions[1][2] += if i == 7 { 0.05 } else { 0.0 });
    let scaled = |energy: f64, forces: f64| {
        changed(&|_, s| {
            s.energy = s.energy.map(|e| e * energy);
            s.forces.iter_mut().flatten().flatten().for_each(|f| *f *= forces);
        })
    };
    let mut missing = dataset.clone();
    missing.remove(5);
    let from_zero = changed(&|_, s| s.energy = s.energy.map(|e| e + 100.0 * s.n_atoms() as f64));
    for (labels, wanted) in [
        (missing, "no labels for system 5 (molecule-5) of 30"),
        (dataset[..20].to_vec(), "no labels for system 20 (molecule-20) of 30: the file ends after 20 systems"),
        (swapped, "same atoms in another order"),
        (moved, "no labels for system 7 (molecule-7) of 30: the next labels are of the same atoms, but up to 0.050 Å"),
        (
            scaled(23.0605, 23.0605),
            "its forces are 23.061 times as large as the dataset's, as if they were in kcal/mol/Å",
        ),
        (scaled(1.0, 0.0194469), "as if they were in hartree/bohr"),
        (scaled(0.0367493, 1.0), "its energies are 0.037 times as large as the dataset's, as if they were in hartree"),
        (from_zero.clone(), "its energies differ from the dataset's by 100.00 eV per atom; set distill.labels.align"),
    ] {
        let error = error(&labels, vec![vanilla()]);
        assert!(error.contains("labels.extxyz") && error.contains(wanted) && !error.contains('\n'), "{error}");
    }
    let aligned = LabelOptions { align_energies: Some(true), ..LabelOptions::default() };
    assert_eq!(error_with(&from_zero, vec![vanilla()], aligned), "");

    let node = vec![Term::NodeToNode(NodeToNode(FeatureTerm::new(1.0)))];
    assert!(error(&dataset, node).contains("a file of labels has no features; it offers vanilla"));
    assert!(error(&dataset, vec![atomic_energy()]).contains("no energies of atoms for all systems"));
    assert!(error(&dataset, vec![hessian(1)]).contains("give a model file as the teacher"));
    let bare = changed(&|i, s| s.forces = s.forces.take().filter(|_| i != 3));
    assert!(error(&bare, vec![vanilla()]).contains("no forces for all systems; set force_weight = 0"));
    let energies = Term::Vanilla(Vanilla {
        energy_weight: 1.0,
        force_weight: 0.0,
        stress_weight: 0.0,
        schedule: WeightSchedule::Constant,
    });
    assert_eq!(error(&bare, vec![energies]), "");
}

#[test]
fn aligned_energies_are_the_datasets() {
    let place = tempfile::tempdir().unwrap();
    let dataset = systems(30, 100);
    // Another zero for each element, as between programs.
    let shift = |s: &System| s.atomic_numbers.iter().map(|&z| 3.0 + f64::from(z)).sum::<f64>();
    let labels: Vec<System> =
        dataset.iter().map(|s| System { energy: s.energy.map(|e| e + shift(s)), ..s.clone() }).collect();
    let options = LabelOptions { align_energies: Some(true), ..LabelOptions::default() };
    let teacher = Teacher::open(&save(&place.path().join("l.extxyz"), &labels), &options, DType::F32).unwrap();
    let systems = dataset.clone().into();
    let (cache, _) = open_or_make(
        &place.path().join("cache"),
        &teacher,
        &Asked::about(&systems).unwrap(),
        &Questions::default(),
        &|_| {},
    )
    .unwrap();
    for (i, system) in dataset.iter().enumerate() {
        assert!((cache.energy(i).unwrap() - system.energy.unwrap()).abs() < 1e-5);
    }
}

#[test]
fn derivatives_of_forces_are_those_of_the_teacher() {
    let place = tempfile::tempdir().unwrap();
    let path = teachers(place.path()).remove(0);
    let files = TeacherSource::One(path.clone());
    let teacher = Teacher::open(&files, &LabelOptions::default(), DType::F64).unwrap();
    let systems = systems(4, 100);
    let derivative = |step: f64, probe: usize| -> Vec<f64> {
        let probes = Some(Probes { step, n: 2 });
        let questions = Questions { probes, precision: Precision::F64, ..Questions::default() };
        let folder = place.path().join(format!("cache-{step}"));
        let (cache, _) =
            open_or_make(&folder, &teacher, &Asked::about(&systems.clone().into()).unwrap(), &questions, &|_| {})
                .unwrap();
        (0..4).flat_map(|i| cache.force_derivative(i, probe).unwrap()).collect()
    };
    // A central difference is right to second order: three steps must agree as h² says.
    for probe in 0..2 {
        let [coarse, fine, finest] = [4e-3, 2e-3, 1e-3].map(|step| derivative(step, probe));
        let far = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
        let size = far(&finest, &vec![0.0; finest.len()]);
        let (first, second) = (far(&coarse, &fine), far(&fine, &finest));
        assert!(second < 1e-3 * size, "{second} of {size}");
        assert!((first / second - 4.0).abs() < 0.2, "{}", first / second);
    }
    assert!(derivative(1e-3, 0) != derivative(1e-3, 1));
}

#[test]
fn the_hessian_term_vanishes_for_the_teacher_itself_and_shrinks_for_others() {
    let place = tempfile::tempdir().unwrap();
    let files = TeacherSource::One(teachers(place.path()).remove(0));
    for model in [painn(), schnet()] {
        let mut config = distilled(files.clone(), vec![hessian(1)]);
        config.model = model;
        config.training.epochs = 60;
        config.training.learning_rate = 1e-2;
        config.training.energy_weight = 0.0;
        config.training.force_weight = 0.0;
        let folder = place.path().join(config.model.name());
        let losses = losses(&config, &folder);
        let (first, last) = (losses[0][0], losses.last().unwrap()[0]);
        assert!(last < 0.7 * first, "{}: {first} {last}", config.model.name());
    }
    // A student that is its own teacher has nothing to learn: what is left is what rounding makes of differences.
    let mut plain = config(painn());
    plain.training.learning_rate = 1e-30;
    plain.training.max_steps = Some(1);
    run(&plain, data(), &place.path().join("plain")).unwrap();
    let first_loss = |seed: u64| {
        let own = TeacherSource::One(place.path().join("plain/model.safetensors"));
        let mut config = distilled(own, vec![hessian(2)]);
        config.seed = seed;
        config.training.max_steps = Some(1);
        losses(&config, &place.path().join(format!("seed-{seed}")))[0][0]
    };
    let (own, other) = (first_loss(plain.seed), first_loss(plain.seed + 1));
    assert!(own < 1e-5 * other, "{own} {other}");
}

#[test]
fn the_hessian_term_is_the_same_online_after_a_pause_and_with_other_threads() {
    let place = tempfile::tempdir().unwrap();
    let files = TeacherSource::One(teachers(place.path()).remove(0));
    let mut config = distilled(files, vec![hessian(3), Term::NodeToNode(NodeToNode(FeatureTerm::new(1.0)))]);
    config.training.max_steps = Some(6);
    let cached = losses(&config, &place.path().join("cached"));
    let mut online = config.clone();
    online.distill.as_mut().unwrap().online = true;
    // The term on systems comes first.
    assert_close(&losses(&online, &place.path().join("online")), &cached, 2e-3);

    let paused = place.path().join("paused");
    let mut part = config.clone();
    part.training.max_steps = Some(2);
    run(&part, data(), &paused).unwrap();
    resume(&config, data(), &paused).unwrap();
    assert_same(&place.path().join("cached"), &paused, "paused");

    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let alone = pool.install(|| losses(&config, &place.path().join("alone")));
    assert_close(&alone, &cached, 1e-3);
}

#[test]
fn wrong_probes_are_named() {
    let wrong = |term: Hessian, other: Option<Term>| {
        let terms = [Term::Hessian(term)].into_iter().chain(other).collect();
        DistillConfig::new("teacher", terms).validate(&painn()).unwrap_err().to_string()
    };
    let good = Hessian {
        weight: 1.0.into(),
        schedule: WeightSchedule::Constant,
        loss: FeatureLoss::Mse,
        step: 0.01,
        probes: 1,
    };
    assert!(wrong(Hessian { step: 0.0, ..good.clone() }, None).contains("step is 0; it must be positive"));
    assert!(wrong(Hessian { probes: 0, ..good.clone() }, None).contains("probes is 0"));
    assert!(wrong(good.clone(), Some(hessian(2))).contains("several terms want different"));
    assert!(DistillConfig::new("teacher", vec![Term::Hessian(good)]).validate(&painn()).is_ok());
}
