//! Stresses as labels: their loss, its gradient, what it does, and what is refused.

mod support;

use burn::tensor::{DType, Device};
use potstill_core::metrics::Metrics;
use potstill_core::model::{Architecture, ElementEnergies, EnergyScale, Forces, Header, PaiNNConfig};
use potstill_core::ranks::Alone;
use potstill_core::{Potential, Precision, System};
use potstill_data::io::{LabelKeys, read_all};
use potstill_nn::{Model, Network, checkpoint, parameters};
use potstill_testkit::systems::{crystal, molecule};
use potstill_train::config::{Config, TrainingConfig};
use potstill_train::distill::strategies::Vanilla;
use potstill_train::distill::{DistillConfig, LossId, Student, Term, TermWeights};
use potstill_train::evaluation::measure;
use potstill_train::loss::EnergyLoss;
use potstill_train::prepared::Split;
use potstill_train::run::Data;
use potstill_train::step::StepContext;
use support::{config, painn, run, schnet, watched, write_teacher};

/// Energies of atoms that are zero.
fn scale() -> EnergyScale {
    EnergyScale { reference_energies: ElementEnergies::new((1..=100).map(|z| (z, 0.0))), ..EnergyScale::default() }
}

/// Crystals and a molecule with the energies, forces and stresses of a network.
fn labelled(n: usize) -> Vec<System> {
    let mut systems: Vec<System> = (0..n).map(|k| crystal(4 + k % 3, [true; 3], 50 + k as u64)).collect();
    systems.push(molecule(5, 9));
    let mut elements: Vec<u8> = systems.iter().flat_map(|system| system.atomic_numbers.clone()).collect();
    elements.sort_unstable();
    elements.dedup();
    let symbols = elements.iter().map(|&z| potstill_core::elements::symbol(z).unwrap().to_owned()).collect();
    let architecture = Architecture::PaiNN(PaiNNConfig {
        hidden_channels: 20,
        n_layers: 2,
        n_radial: 10,
        cutoff: 5.0,
        ..PaiNNConfig::default()
    });
    let device = Device::flex();
    let network = Network::init(&architecture, 3, &device, DType::F64);
    let header = Header::new(architecture, symbols, scale());
    let teacher = Model::new(header, network, &device, DType::F64, String::new()).unwrap();
    for system in &mut systems {
        let prediction = teacher.evaluate(&[&*system]).unwrap();
        (system.energy, system.forces) = (Some(prediction.energy[0]), Some(prediction.forces));
        let virial = prediction.virial.unwrap()[0];
        system.stress = system.volume().map(|volume| virial.map(|row| row.map(|v| -v / volume)));
    }
    systems
}

fn stress_alone(loss: EnergyLoss) -> TrainingConfig {
    TrainingConfig {
        energy_weight: 0.0,
        force_weight: 0.0,
        stress_weight: 2.0,
        stress_loss: loss,
        dtype: Precision::F64,
        ..TrainingConfig::default()
    }
}

#[test]
fn the_gradient_of_the_stress_loss_is_its_derivative() {
    let systems = labelled(3);
    for architecture in [schnet(), painn()] {
        let device = Device::flex();
        let split = Split::new(systems.clone().into(), &architecture.graph_rule(), &scale()).unwrap();
        assert_eq!(split.n_virials(), 3, "the molecule has no stress");
        let network = Network::init(&architecture, 5, &device, DType::F64);
        let template = Student { network, projections: Vec::new() };
        let values: Vec<f64> = parameters::to_vector(&template);
        let training = stress_alone(EnergyLoss::Mse);
        let context = StepContext {
            template: &template,
            forces: architecture.forces(),
            split: &split,
            seed: 0,
            step: 0,
            divisors: &[],
            terms: None,
            term_weights: TermWeights::default(),
            training: &training,
            bytes_per_edge: architecture.training_bytes_per_edge(),
            device: &device,
            ranks: &Alone,
            n_shards: None,
        };
        let (losses, gradient) = context.gradient(&values, &[0, 1, 2, 3]).unwrap();

        // The loss by hand: the mean over crystals of the squared differences of virials per atom.
        let header = Header::new(architecture.clone(), vec![], scale());
        let model = Model::new(header, template.network.clone(), &device, DType::F64, String::new()).unwrap();
        let of = |system: &System| {
            let graph = architecture.graph_rule().build_main(&[system]).unwrap();
            let batch = potstill_nn::Batch::new(&graph, &device, DType::F64);
            let output = model.network().forward(&batch, Forces::Gradient, &[]);
            let virial = potstill_nn::tensors::to_host(&output.virial.unwrap());
            let target = system.stress.unwrap().into_iter().flatten().map(|s| -s * system.volume().unwrap());
            let n = system.n_atoms() as f64;
            virial.iter().zip(target).map(|(v, t)| ((v - t) / n).powi(2)).sum::<f64>()
        };
        let expected = 2.0 * systems[..3].iter().map(of).sum::<f64>() / 3.0;
        let loss = losses.of(LossId::Stress);
        assert!((loss / expected - 1.0).abs() < 1e-10 && losses.total() == loss, "{loss} {expected}");

        let largest = gradient.iter().fold(0.0_f64, |most, g| most.max(g.abs()));
        assert!(largest > 0.0);
        for k in (0..values.len()).step_by(values.len() / 40) {
            let at = |step: f64| {
                let mut moved = values.clone();
                moved[k] += step;
                context.gradient(&moved, &[0, 1, 2, 3]).unwrap().0.total()
            };
            let numerical = (at(1e-5) - at(-1e-5)) / 2e-5;
            let name = architecture.name();
            assert!((gradient[k] - numerical).abs() < 1e-6 * largest, "{name} {k}: {} {numerical}", gradient[k]);
        }
    }
}

fn learnt(stress_weight: f64) -> Metrics {
    let mut config = config(painn());
    config.training = TrainingConfig {
        stress_weight,
        epochs: 60,
        validate_every: 60,
        learning_rate: 3e-3,
        batch_size: 4,
        ..config.training
    };
    let systems = labelled(8);
    let data = Data { train: systems.clone().into(), validation: systems.into(), ..Data::default() };
    let folder = tempfile::tempdir().unwrap();
    run(&config, data, folder.path()).unwrap();
    let header = Header::read(&folder.path().join("model.safetensors")).unwrap();
    serde_json::from_value(header.training["validation"].clone()).unwrap()
}

#[test]
fn training_on_stresses_makes_them_better() {
    let [without, with] = [0.0, 30.0].map(learnt);
    let (without, with) = (without.stress_mae.unwrap(), with.stress_mae.unwrap());
    assert!(with < 0.8 * without, "stress MAE {with} with the loss, {without} without it");
}

/// Strained copper with EMT's labels, read from the repository. Parts: `train`, `val`, `test`.
fn copper(part: &str) -> Vec<System> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/copper");
    read_all(&folder.join(format!("{part}.extxyz.xz")), &LabelKeys::default()).unwrap().0
}

/// Errors on copper of the test split after a short training.
fn errors_on_copper(stress_weight: f64) -> Metrics {
    let mut config = config(painn());
    config.training = TrainingConfig {
        stress_weight,
        epochs: 6,
        validate_every: 6,
        learning_rate: 5e-3,
        batch_size: 4,
        ..config.training
    };
    let data = Data { train: copper("train").into(), validation: copper("val").into(), ..Data::default() };
    let folder = tempfile::tempdir().unwrap();
    run(&config, data, folder.path()).unwrap();
    let model = Model::load(&folder.path().join("model.safetensors"), &Device::flex(), DType::F32).unwrap();
    measure(&model, &copper("test").into(), None, &mut |_, _| {}).unwrap().metrics
}

#[test]
fn stresses_of_a_crystal_are_learnt_for_others() {
    let [without, with] = [0.0, 100.0].map(errors_on_copper);
    let (without, with) = (without.stress_mae.unwrap(), with.stress_mae.unwrap());
    assert!(with < 0.7 * without, "stress MAE {with} eV/Å³ with the loss, {without} without it");
}

#[test]
fn what_has_no_stress_is_refused() {
    let refused = |config: &Config, systems: Vec<System>| {
        let folder = tempfile::tempdir().unwrap();
        let data = Data { train: systems.into(), ..Data::default() };
        let error = config
            .validate()
            .map_err(|e| e.to_string())
            .and_then(|()| run(config, data, folder.path()).map_err(|e| e.to_string()));
        error.map(|_| ()).unwrap_err()
    };
    let mut with_stress = config(painn());
    with_stress.training.stress_weight = 1.0;
    let mut direct = with_stress.clone();
    if let Architecture::PaiNN(model) = &mut direct.model {
        model.forces = Forces::Direct;
    }
    let error = refused(&direct, labelled(2));
    assert!(error.starts_with("training.stress_weight") && error.contains("forces = \"gradient\""), "{error}");
    let mut lacks = labelled(2);
    lacks[1].stress = None;
    let error = refused(&with_stress, lacks);
    assert!(error.contains("stress") && error.contains("training.stress_weight"), "{error}");
    let error = refused(&with_stress, support::systems(4, 1));
    assert!(error.starts_with("training.stress_weight") && error.contains("no system has a cell"), "{error}");
}

#[test]
fn a_teacher_s_stresses_teach() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("teacher.safetensors");
    let systems = labelled(4);
    let elements = ["H", "C", "N", "O"];
    let direct = write_teacher(&path, 3, &elements);
    let vanilla = Vanilla { energy_weight: 0.0, force_weight: 0.0, stress_weight: 5.0, schedule: Default::default() };
    let mut config = config(painn());
    config.training.epochs = 2;
    config.distill = Some(DistillConfig::new(&path, vec![Term::Vanilla(vanilla)]));
    let data = || Data { train: systems.clone().into(), ..Data::default() };
    let refused = |config: &Config, folder: &str| {
        let error = run(config, data(), &place.path().join(folder)).unwrap_err().to_string();
        assert!(error.starts_with("distill.terms (vanilla)"), "{error}");
        error
    };
    assert!(refused(&config, "direct-teacher").contains("no virials, as its forces are direct"));

    let Architecture::PaiNN(mut gradient) = direct else { panic!("{direct:?}") };
    gradient.forces = Forces::Gradient;
    let architecture = Architecture::PaiNN(gradient);
    let header = Header::new(architecture.clone(), elements.map(str::to_owned).to_vec(), scale());
    let network = Network::init(&architecture, 3, &Device::flex(), DType::F32);
    checkpoint::save(&path, &header, &network, DType::F32).unwrap();
    let losses = |config: &Config, folder: &str| -> Vec<f64> {
        let steps = watched(config, data(), &place.path().join(folder));
        steps.into_iter().map(|step| step.distill_losses[0]).collect()
    };
    let cached = losses(&config, "cached");
    config.distill.as_mut().unwrap().online = true;
    let online = losses(&config, "online");
    assert!(!cached.is_empty() && cached.len() == online.len());
    for (a, b) in cached.iter().zip(&online) {
        assert!(a.is_finite() && *a > 0.0 && (a - b).abs() < 1e-4 * b, "{a} {b}");
    }

    // A cache that was made without virials is made again with them.
    let distill = config.distill.as_mut().unwrap();
    (distill.online, distill.cache) = (false, Some(place.path().join("cache")));
    let mut without = config.clone();
    let energies = Vanilla { energy_weight: 1.0, force_weight: 0.0, stress_weight: 0.0, schedule: Default::default() };
    without.distill.as_mut().unwrap().terms = vec![Term::Vanilla(energies)];
    losses(&without, "without");
    assert_eq!(losses(&config, "with"), cached);

    if let Architecture::PaiNN(model) = &mut config.model {
        model.forces = Forces::Direct;
    }
    let error = config.validate().unwrap_err().to_string();
    assert!(error.contains("a student with direct forces has none"), "{error}");
}
