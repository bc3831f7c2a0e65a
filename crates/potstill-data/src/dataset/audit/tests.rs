use std::path::Path;

use potstill_fixtures::{data, workspace};
use potstill_fixtures_macros::needs_datasets;

use super::*;
use crate::io::{LabelKeys, read};

fn audit(options: Options, splits: &[(Split, Option<&Path>, Vec<System>)]) -> Report {
    let mut audit = Audit::new(options);
    for (split, file, systems) in splits {
        systems.iter().enumerate().for_each(|(i, system)| audit.add(*split, *file, i, system));
    }
    audit.finish()
}

fn methane(by: f64) -> System {
    let d = 0.63 + by;
    System {
        atomic_numbers: vec![6, 1, 1, 1, 1],
        positions: vec![[0.0; 3], [d, d, d], [-d, -d, 0.63], [0.63, -0.63, -0.63], [-0.63, 0.63, -0.63]],
        energy: Some(-24.0 - by),
        ..System::default()
    }
}

fn hydrogen() -> System {
    System { atomic_numbers: vec![1], positions: vec![[0.0; 3]], energy: Some(-13.6), ..System::default() }
}

fn lines(report: &Report) -> Vec<String> {
    report.findings.iter().map(|f| format!("{} {}: {f}", f.severity, f.check)).collect()
}

#[test]
fn training_without_validation_systems_is_a_warning() {
    let training = Options { training: true, ..Options::default() };
    let report = audit(training, &[(Split::Training, None, vec![methane(0.0)])]);
    assert_eq!(lines(&report).len(), 1);
    assert!(lines(&report)[0].starts_with("warning validation: there are no validation systems: the last weights"));
    let both = [(Split::Training, None, vec![methane(0.0)]), (Split::Validation, None, vec![methane(0.01)])];
    assert_eq!(lines(&audit(training, &both)), Vec::<String>::new());
    assert!(lines(&audit(Options::default(), &both[..1])).is_empty());
}

#[test]
fn isolated_atoms_and_stress_are_noted() {
    let stressed = System { stress: Some([[0.0; 3]; 3]), ..methane(0.0) };
    let systems = vec![stressed, hydrogen(), hydrogen()];
    let splits = [(Split::All, Some(Path::new("a.xyz")), systems.clone())];
    let report = lines(&audit(Options::default(), &splits));
    assert_eq!(report.len(), 2, "{report:?}");
    assert!(report[0].starts_with(
        "note isolated_atoms: isolated atoms: 2 (H; the first is system 1 of a.xyz), trained on like all other systems, unless \
         data.reference_energies"
    ));
    assert_eq!(
        report[1],
        "note stress: stress labels: 1 of the systems; training uses them where training.stress_weight is set"
    );

    let training = Options { training: true, ..Options::default() };
    let splits = [(Split::Training, None, systems), (Split::Validation, None, vec![methane(0.1)])];
    let report = lines(&audit(training, &splits));
    assert!(
        report[0].contains("trained on like all other systems; data.reference_energies = \"isolated_atoms\" takes")
    );
    let references = Options { isolated_are_references: true, ..training };
    assert_eq!(lines(&audit(references, &splits)).len(), 1);
}

#[test]
fn findings_name_the_file_and_the_gravest_comes_first() {
    let (one, other) = (Path::new("train.xyz"), Path::new("test.xyz"));
    let many: Vec<System> = (0..60).map(|i| methane(0.002 * f64::from(i))).collect();
    let bohr =
        |s: &System| System { positions: s.positions.iter().map(|p| p.map(|x| 1.8897 * x)).collect(), ..s.clone() };
    let wrong: Vec<System> = many.iter().map(bohr).collect();
    let splits = [(Split::Training, Some(one), many), (Split::Test, Some(other), wrong)];
    let options = Options { training: true, leaks: Leaks::Refuse, ..Options::default() };
    let report = audit(options, &splits);
    assert!(lines(&report)[0].starts_with("refusal units: test.xyz: positions look like bohr"), "{:?}", lines(&report));
    assert!(lines(&report)[1].starts_with("warning validation"));
    assert_eq!(lines(&audit(Options { units: false, ..options }, &splits)).len(), 1);
    assert_eq!(report.of(Severity::Refusal).count(), 1);
}

/// No false alarm in data that were made with care: what is found is true.
#[test]
fn shipped_data_have_no_leaks_and_one_energy_for_each_structure() {
    let folder = workspace().join("data/xcoll-demo");
    let splits =
        [(Split::Training, "train"), (Split::Validation, "val"), (Split::Test, "test")].map(|(split, name)| {
            let path = folder.join(format!("{name}.extxyz.xz"));
            (split, None, read(&path, &LabelKeys::default()).unwrap().map(Result::unwrap).collect::<Vec<System>>())
        });
    let report = audit(Options { training: true, leaks: Leaks::Refuse, ..Options::default() }, &splits);
    assert!(report.findings.iter().all(|f| f.severity == Severity::Note), "{:?}", lines(&report));
}

/// Largest difference in Å of coordinates in a crystal, of sorted distances of equal pairs in a molecule.
fn difference(a: &System, b: &System) -> f64 {
    let numbers = |system: &System| -> Vec<(u8, u8, f64)> {
        if system.is_periodic() {
            return system.positions.as_flattened().iter().map(|&x| (0, 0, x)).collect();
        }
        let (z, r) = (&system.atomic_numbers, &system.positions);
        let distance = |i: usize, j: usize| (0..3).map(|k| (r[i][k] - r[j][k]).powi(2)).sum::<f64>().sqrt();
        let pairs = (0..z.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
        let mut all: Vec<_> = pairs.map(|(i, j)| (z[i].min(z[j]), z[i].max(z[j]), distance(i, j))).collect();
        all.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then(a.2.total_cmp(&b.2)));
        all
    };
    numbers(a).iter().zip(numbers(b)).map(|(a, b)| (a.2 - b.2).abs()).fold(0.0, f64::max)
}

/// What counts as the same is the same to a few thousandths of an Å: in relaxations that creep, and where a proton is
/// handed from one side to the other and back in the mirror.
#[needs_datasets]
#[test]
fn real_frames_are_told_apart() {
    let read = |name: &str| read(&data(name), &LabelKeys::default()).unwrap().map(Result::unwrap).collect();
    for name in
        ["oc20_real/train.extxyz.xz", "acac/test_H_transfer.xyz", "acac/train_300K.xyz", "slabs/train.extxyz.xz"]
    {
        let systems: Vec<System> = read(name);
        let prints: Vec<Fingerprint> = systems.iter().map(Fingerprint::new).collect();
        for (i, one) in prints.iter().enumerate() {
            for (j, other) in prints.iter().enumerate().take(i).filter(|(_, other)| one.is_same(other)) {
                let off = difference(&systems[i], &systems[j]);
                assert!(off < 3e-3, "{name}: {i} and {j} are {off} Å apart: {one:?} {other:?}");
            }
        }
        let report = audit(Options::default(), &[(Split::All, None, systems)]);
        assert!(report.findings.iter().all(|f| f.check != "energies"), "{name}: {:?}", lines(&report));
    }
    // The two sets of this molecule share 31 frames.
    let splits =
        [(Split::Training, None, read("3bpa/train_300K.xyz")), (Split::Test, None, read("3bpa/train_mixedT.xyz"))];
    let report = lines(&audit(Options::default(), &splits));
    assert!(report[0].starts_with("warning leaks: 31 of 500 test systems are training systems, too; "), "{report:?}");
}

#[test]
fn ten_thousand_molecules_have_no_findings() {
    let one = |i: usize| {
        let noise = |k: usize| (((20 * i + k) as f64 * 12.9898).sin() * 43758.547).fract();
        System {
            atomic_numbers: (0..20).map(|a| [6, 1, 1, 8][a % 4]).collect(),
            positions: (0..20).map(|a| [1.1 * a as f64 + 0.1 * noise(a), noise(a + 7), noise(a + 11)]).collect(),
            energy: Some(noise(3)),
            forces: Some((0..20).map(|a| [noise(a), noise(a + 1), noise(a + 2)]).collect()),
            ..System::default()
        }
    };
    let systems: Vec<System> = (0..10_000).map(one).collect();
    let mut audit = Audit::new(Options::default());
    audit.add_all(Split::All, &systems.into()).unwrap();
    let _ = audit.finish();
}
