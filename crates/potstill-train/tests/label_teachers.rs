//! Files of labels that are not quite those of the dataset: found where that is safe, refused with the reason where not.

use std::sync::Mutex;

use burn::tensor::DType;
use potstill_core::{Result, System};
use potstill_data::io::write;
use potstill_train::distill::labelling::{Asked, Event, open_or_make};
use potstill_train::distill::{LabelOptions, Questions, Teacher, TeacherSource};

use support::systems;

mod support;

/// Energies that a teacher of those labels gives the dataset, and what is said about them.
fn taught(labels: &[System], dataset: &[System], options: &LabelOptions) -> Result<(Vec<f64>, Vec<String>)> {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("labels.extxyz");
    let mut writer = write(&path).unwrap();
    labels.iter().for_each(|system| writer.write(system).unwrap());
    writer.finish().unwrap();
    let teacher = Teacher::open(&TeacherSource::One(path), options, DType::F32)?;
    let notes = Mutex::new(Vec::new());
    let tell = |event| {
        if let Event::Note(note) = event {
            notes.lock().unwrap().push(note);
        }
    };
    let (cache, _) = open_or_make(
        &place.path().join("cache"),
        &teacher,
        &Asked::about(&dataset.to_vec().into())?,
        &Questions::default(),
        &tell,
    )?;
    let energies = (0..dataset.len()).map(|i| cache.energy(i)).collect::<Result<_>>()?;
    Ok((energies, notes.into_inner().unwrap()))
}

fn changed(dataset: &[System], change: impl Fn(usize, &mut System)) -> Vec<System> {
    let mut labels = dataset.to_vec();
    labels.iter_mut().enumerate().for_each(|(i, system)| change(i, system));
    labels
}

fn refused(labels: &[System], dataset: &[System]) -> String {
    let message = taught(labels, dataset, &LabelOptions::default()).unwrap_err().to_string();
    assert!(message.contains("labels.extxyz: ") && !message.contains('\n'), "{message}");
    message
}

fn shifted(system: &System, by: f64) -> System {
    System { energy: system.energy.map(|e| e + by), ..system.clone() }
}

#[test]
fn wrong_labels_are_refused_with_the_reason() {
    let dataset = systems(40, 100);
    let others = systems(60, 5000);
    let noise = |i: usize| 0.3 * ((i * i) as f64).sin();
    let flipped = changed(&dataset, |i, s| {
        s.forces.iter_mut().flatten().flatten().for_each(|f| *f = -1.1 * *f + 0.1 * noise(i));
    });
    let gradients_in_other_units =
        changed(&dataset, |_, s| s.forces.iter_mut().flatten().flatten().for_each(|f| *f *= -23.06));
    let constant = changed(&dataset, |_, s| s.energy = s.energy.map(|e| e + 0.1 * s.n_atoms() as f64));
    let by_element = changed(&dataset, |_, s| {
        s.energy = s.energy.map(|e| e + s.atomic_numbers.iter().map(|&z| 0.01 * f64::from(z)).sum::<f64>());
    });
    let mostly_others = [&others[..], &dataset[..]].concat();
    let mut contradicting = dataset.clone();
    contradicting.push(shifted(&dataset[17], 0.5));
    let mut first_contradicting = dataset.clone();
    first_contradicting.insert(0, shifted(&dataset[17], -0.5));
    for (labels, wanted) in [
        (flipped, "its forces point against the dataset's (correlation -1.00)"),
        (gradients_in_other_units, "its forces point against the dataset's (correlation -1.00)"),
        (constant, "set distill.labels.align_energies = true"),
        (by_element, "nearly all of it a constant for each element; set distill.labels.align_energies = true"),
        (mostly_others, "60 of its first 100 systems are not in the dataset"),
        (contradicting, "its systems 17 and 40 are one structure with energies that are 0.500 eV apart"),
        (first_contradicting, "its systems 0 and 18 are one structure with energies that are 0.500 eV apart"),
    ] {
        let message = refused(&labels, &dataset);
        assert!(message.contains(wanted), "{message}");
    }
}

#[test]
fn another_order_is_found_by_structure() {
    let dataset = systems(60, 100);
    let own: Vec<f64> = dataset.iter().filter_map(|s| s.energy).collect();
    let rounded = changed(&dataset, |_, s| {
        s.positions.iter_mut().flatten().for_each(|x| *x = (*x * 1e4).round() / 1e4);
    });
    for (what, n) in [("reversed", 60), ("without the last", 59)] {
        let labels: Vec<System> = rounded.iter().rev().skip(60 - n).cloned().collect();
        match taught(&labels, &dataset, &LabelOptions::default()) {
            Ok((energies, notes)) => {
                assert_eq!((energies, n), (own.clone(), 60), "{what}");
                assert!(notes.len() == 1 && notes[0].contains("in another order than the dataset's"), "{notes:?}");
            }
            Err(error) => assert!(n == 59 && error.to_string().contains("no labels for system 59"), "{what}: {error}"),
        }
    }
}

#[test]
fn surplus_labels_are_counted() {
    let dataset = systems(40, 100);
    let others = systems(200, 5000);
    let own: Vec<f64> = dataset.iter().filter_map(|s| s.energy).collect();
    let between: Vec<System> = dataset.iter().zip(&others).take(12).flat_map(|(a, b)| [b.clone(), a.clone()]).collect();
    for (labels, wanted) in [
        (dataset.clone(), None),
        ([&between[..], &dataset[12..]].concat(), Some("12 of its 52 systems are not in the dataset")),
        // The labels of a whole file, of whose first systems the dataset consists.
        ([&dataset[..], &others[..]].concat(), Some("200 of its 240 systems are not in the dataset")),
        // The same structure with the same energy twice.
        ([&dataset[..], &dataset[3..4]].concat(), Some("1 of its 41 systems")),
    ] {
        let (energies, notes) = taught(&labels, &dataset, &LabelOptions::default()).unwrap();
        assert_eq!(energies, own);
        assert_eq!(notes.len(), usize::from(wanted.is_some()), "{notes:?}");
        assert!(notes.iter().zip(wanted).all(|(note, wanted)| note.contains(wanted)), "{notes:?}");
    }
}

#[test]
fn energies_of_another_method_are_no_other_zero() {
    let dataset = systems(40, 100);
    // Wrong by up to 0.3 eV per atom, in no way that constants would mend.
    let rough = changed(&dataset, |i, s| {
        let error = 0.3 * s.n_atoms() as f64 * ((7 * i) as f64).sin();
        s.energy = s.energy.map(|e| e + error);
    });
    let options = LabelOptions { check_units: Some(false), ..LabelOptions::default() };
    assert!(taught(&rough, &dataset, &options).is_ok());
    // What is set is done.
    let constant = changed(&dataset, |_, s| s.energy = s.energy.map(|e| e + 0.1 * s.n_atoms() as f64));
    for (align, largest) in [(true, 1e-6), (false, 1.0)] {
        let options = LabelOptions { align_energies: Some(align), ..LabelOptions::default() };
        let (energies, _) = taught(&constant, &dataset, &options).unwrap();
        let off = energies.iter().zip(&dataset).map(|(e, s)| (e - s.energy.unwrap_or(0.0)).abs()).fold(0.0, f64::max);
        assert!(off <= largest && (align || off > 0.3), "{align}: {off}");
    }
}
