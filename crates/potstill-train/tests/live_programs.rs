//! Running programs as teachers.

mod support;

use std::path::Path;

use potstill_core::{Precision, System};
use potstill_data::io::write;
use potstill_data::program::ProgramSettings;
use potstill_train::config::Config;
use potstill_train::distill::strategies::{AtomicEnergy, NodeToNode, Vanilla};
use potstill_train::distill::{DistillConfig, FeatureTerm, TeacherSource, Term};
use potstill_train::run::Data;
use support::{config, painn, run, systems, watched};

/// Answers each question with the file that has the name of the system.
const ANSWER: &str = r#"while read -r n; do
  IFS= read -r comment; i=0; while [ $i -lt $n ]; do read -r atom; i=$((i + 1)); done
  name=${comment##*name=}; cat "${name%% *}.extxyz"
done"#;

/// Systems, and a program in `folder` that labels them.
fn program(folder: &Path, script: &str) -> (Vec<System>, TeacherSource) {
    let systems = systems(9, 100);
    for system in &systems {
        let mut writer = write(&folder.join(format!("{}.extxyz", system.name().unwrap()))).unwrap();
        writer.write(system).unwrap();
        writer.finish().unwrap();
    }
    let settings = ProgramSettings { folder: folder.to_owned(), timeout_seconds: 60.0, ..shell(script) };
    (systems, TeacherSource::Program(settings))
}

fn shell(script: &str) -> ProgramSettings {
    ProgramSettings::new(["sh", "-c", script])
}

fn distilled(teacher: TeacherSource) -> Config {
    let vanilla = Term::Vanilla(Vanilla {
        energy_weight: 1.0,
        force_weight: 10.0,
        stress_weight: 0.0,
        schedule: Default::default(),
    });
    let mut config = config(painn());
    config.training.epochs = 2;
    config.distill = Some(DistillConfig {
        teacher,
        feature_precision: Precision::F32,
        ..DistillConfig::new("elsewhere", vec![vanilla])
    });
    config
}

fn data(systems: &[System]) -> Data {
    Data { train: systems.to_vec().into(), ..Data::default() }
}

fn losses(config: &Config, systems: &[System], folder: &Path) -> Vec<Vec<f64>> {
    watched(config, data(systems), folder).into_iter().map(|step| step.distill_losses).collect()
}

#[test]
fn a_program_teaches_as_the_file_of_its_labels() {
    let place = tempfile::tempdir().unwrap();
    let (systems, teacher) = program(place.path(), ANSWER);
    let path = place.path().join("labels.extxyz");
    let mut writer = write(&path).unwrap();
    systems.iter().for_each(|system| writer.write(system).unwrap());
    writer.finish().unwrap();

    let from_file = losses(&distilled(TeacherSource::One(path)), &systems, &place.path().join("file"));
    let asked_once = distilled(teacher.clone());
    assert_eq!(losses(&asked_once, &systems, &place.path().join("once")), from_file);
    let mut online = distilled(teacher);
    online.distill.as_mut().unwrap().online = true;
    let at_each_step = losses(&online, &systems, &place.path().join("online"));
    assert!(!at_each_step.is_empty() && at_each_step.len() == from_file.len());
    for (a, b) in at_each_step.iter().flatten().zip(from_file.iter().flatten()) {
        assert!(a.is_finite() && *b > 0.0 && (a - b).abs() < 1e-5 * b, "{a} {b}");
    }
}

#[test]
fn a_ready_cache_needs_no_program() {
    let place = tempfile::tempdir().unwrap();
    let (systems, teacher) = program(place.path(), &format!("echo start >> starts; {ANSWER}"));
    let mut config = distilled(teacher);
    config.distill.as_mut().unwrap().cache = Some(place.path().join("cache"));
    for run in ["first", "second"] {
        losses(&config, &systems, &place.path().join(run));
    }
    assert_eq!(std::fs::read_to_string(place.path().join("starts")).unwrap(), "start\n");
}

#[test]
fn what_a_program_cannot_do_is_said() {
    let place = tempfile::tempdir().unwrap();
    let refused = |script: &str, change: &dyn Fn(&mut DistillConfig)| {
        let (systems, teacher) = program(place.path(), script);
        let mut config = distilled(teacher);
        change(config.distill.as_mut().unwrap());
        let folder = tempfile::tempdir().unwrap();
        let error = run(&config, data(&systems), folder.path()).unwrap_err().to_string();
        assert!(!error.contains('\n'), "{error}");
        error
    };
    let dies =
        ANSWER.replace("while read", "k=0; while [ $k -lt 4 ] && read").replace("name=${", "k=$((k + 1)); name=${");
    let error = refused(&format!("{dies}; echo out of memory >&2; exit 9"), &|_| {});
    assert!(error.contains("system 3 (molecule-3)"), "{error}");
    assert!(error.contains("exit status: 9") && error.contains("out of memory"), "{error}");

    let node = |distill: &mut DistillConfig| distill.terms = vec![Term::NodeToNode(NodeToNode(FeatureTerm::new(1.0)))];
    let error = refused(ANSWER, &node);
    assert!(error.contains("a program or a file of labels has no features"), "{error}");
    for online in [false, true] {
        let atomic = |distill: &mut DistillConfig| {
            let term = AtomicEnergy { weight: FeatureTerm::new(1.0).weight, schedule: Default::default() };
            (distill.terms, distill.online) = (vec![Term::AtomicEnergy(term)], online);
        };
        let error = refused(ANSWER, &atomic);
        assert!(error.contains("no energies of atoms"), "{error}");
    }
}

#[test]
fn a_configuration_names_a_program() {
    let text = "teacher = { command = [\"python\", \"teacher.py\"], timeout_seconds = 5 }";
    let read: DistillConfig = toml::from_str(text).unwrap();
    let TeacherSource::Program(settings) = &read.teacher else { panic!("{read:?}") };
    assert_eq!((settings.command.len(), settings.timeout_seconds), (2, 5.0));
    let again: DistillConfig = toml::from_str(&toml::to_string(&read).unwrap()).unwrap();
    assert_eq!(again, read);
    let error = toml::from_str::<DistillConfig>("teacher = { program = [\"python\"] }").unwrap_err().to_string();
    assert!(error.contains("expected a path, or a list of paths, or { command = "), "{error}");
}
