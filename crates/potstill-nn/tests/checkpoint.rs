//! Model files: round trips, and everything that is refused, by name and without panics.

use potstill_core::model::{
    Architecture, ElementEnergies, EnergyScale, FORMAT_VERSION, Forces, Header, Normalizer, PaiNNConfig, SchNetConfig,
    Tensors, write_tensors,
};
use potstill_nn::Network;
use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device};
use potstill_core::files::checksum;
use potstill_core::{Potential, System};
use potstill_nn::checkpoint;
use potstill_nn::{Model, parameters};
use potstill_testkit::systems;
use safetensors::Dtype;

fn header(model: Architecture) -> Header {
    let elements = ["H", "C", "N", "O"].map(str::to_owned).to_vec();
    let scale = EnergyScale {
        reference_energies: ElementEnergies::new([(1, -13.6), (6, -1029.0), (7, -1485.0), (8, -2042.0)]),
        normalizer: Normalizer { energy_mean: 0.5, energy_std: 1.25, force_std: 1.25 },
    };
    Header { training: serde_json::json!({ "seed": 3, "note": "Å" }), ..Header::new(model, elements, scale) }
}

fn architectures() -> [Architecture; 2] {
    let schnet = SchNetConfig {
        hidden_channels: 6,
        n_filters: 4,
        n_interactions: 2,
        n_gaussians: 5,
        cutoff: 4.0,
        ..SchNetConfig::default()
    };
    let painn = PaiNNConfig {
        hidden_channels: 6,
        n_layers: 2,
        n_radial: 5,
        cutoff: 4.0,
        forces: Forces::Direct,
        update_scales: vec![0.9, 1.1],
        ..PaiNNConfig::default()
    };
    [Architecture::SchNet(schnet), Architecture::PaiNN(painn)]
}

/// Saves a fresh network of that kind.
fn saved(folder: &Path, architecture: &Architecture, dtype: DType) -> PathBuf {
    let path = folder.join("model.safetensors");
    let network = Network::init(architecture, 5, &Device::flex(), dtype);
    checkpoint::save(&path, &header(architecture.clone()), &network, dtype).unwrap();
    path
}

/// Writes a file with that header and those tensors, whatever they are.
fn written(folder: &Path, header: &serde_json::Value, tensors: &Tensors) -> PathBuf {
    let path = folder.join("odd.safetensors");
    write_tensors(&path, "potstill", &header.to_string(), tensors).unwrap();
    path
}

/// Header and tensors of a good model, to be spoilt.
fn good() -> (serde_json::Value, Tensors) {
    let [schnet, _] = architectures();
    let network = Network::init(&schnet, 5, &Device::flex(), DType::F32);
    let values: Vec<f32> = parameters::to_vector(&network);
    let tensors = checkpoint::named_tensors(&parameters::describe(&network), &values, Dtype::F32);
    (serde_json::to_value(header(schnet)).unwrap(), tensors)
}

/// The message with which a file is refused: it names the file and is one line.
fn refused(path: &Path) -> String {
    let message = Model::load(path, &Device::flex(), DType::F32).unwrap_err().to_string();
    assert!(message.contains(&path.display().to_string()), "{message}");
    assert!(!message.contains('\n'), "{message}");
    message
}

#[test]
fn round_trips_keep_every_bit() {
    let folder = tempfile::tempdir().unwrap();
    for architecture in architectures() {
        for dtype in [DType::F32, DType::F64] {
            let path = saved(folder.path(), &architecture, dtype);
            let loaded = Model::load(&path, &Device::flex(), dtype).unwrap();
            assert_eq!(loaded.header(), &header(architecture.clone()));
            assert_eq!(&Header::read(&path).unwrap(), loaded.header());
            let network = Network::init(&architecture, 5, &Device::flex(), dtype);
            let values = |network| -> Vec<f64> { parameters::to_vector(network) };
            assert_eq!(values(loaded.network()), values(&network));

            let system = systems::molecule(6, 3);
            let fresh =
                Model::new(header(architecture.clone()), network, &Device::flex(), dtype, String::new()).unwrap();
            let read = Model::load(&path, &Device::flex(), dtype).unwrap();
            assert_eq!(read.evaluate(&[&system]).unwrap(), fresh.evaluate(&[&system]).unwrap());
            assert_eq!(read.hash().len(), 64);
        }
    }
}

/// Flips in header, names, shapes and weights: an error each, or the same model.
#[test]
fn no_flip_changes_a_model_in_silence() {
    let folder = tempfile::tempdir().unwrap();
    let [schnet, _] = architectures();
    let path = saved(folder.path(), &schnet, DType::F32);
    let bytes = std::fs::read(&path).unwrap();
    let read = |path: &Path| {
        let loaded = Model::load(path, &Device::flex(), DType::F32).ok()?;
        Some((loaded.header().clone(), parameters::to_vector::<_, f32>(loaded.network())))
    };
    let whole = read(&path).unwrap();
    let (mut errors, mut harmless) = (0, 0);
    // Each byte once, in one of its bits.
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        std::fs::write(&path, flipped).unwrap();
        match read(&path) {
            None => errors += 1,
            Some(found) => {
                assert!(found == whole, "byte {at}");
                harmless += 1;
            }
        }
    }
    eprintln!("{errors} errors, {harmless} harmless, 0 silent of {}", bytes.len());
    // Harmless are flips in the name of the checksum alone.
    assert!(harmless <= checksum::CHECKSUM_KEY.len(), "{harmless}");
}

#[test]
fn models_without_a_checksum_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let (header, tensors) = good();
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        (name.as_str(), safetensors::tensor::TensorView::new(*dtype, shape.clone(), bytes).unwrap())
    });
    let metadata = [("potstill".to_owned(), header.to_string())].into_iter().collect();
    let path = folder.path().join("old.safetensors");
    std::fs::write(&path, safetensors::serialize(views, Some(metadata)).unwrap()).unwrap();
    assert!(!checksum::verify(&path, &std::fs::read(&path).unwrap()[..]).unwrap());
    Model::load(&path, &Device::flex(), DType::F32).unwrap();
    let new = written(folder.path(), &header, &tensors);
    assert!(checksum::verify(&new, &std::fs::read(&new).unwrap()[..]).unwrap());
}

#[test]
fn f32_weights_widen_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let [_, painn] = architectures();
    let path = saved(folder.path(), &painn, DType::F32);
    let narrow: Vec<f64> = parameters::to_vector(Model::load(&path, &Device::flex(), DType::F32).unwrap().network());
    let wide: Vec<f64> = parameters::to_vector(Model::load(&path, &Device::flex(), DType::F64).unwrap().network());
    assert_eq!(narrow, wide);
}

#[test]
fn saving_the_same_model_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    for architecture in architectures() {
        let first = std::fs::read(saved(folder.path(), &architecture, DType::F32)).unwrap();
        let second = std::fs::read(saved(folder.path(), &architecture, DType::F32)).unwrap();
        assert!(first == second);
    }
}

#[test]
fn truncated_files_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let [schnet, _] = architectures();
    let path = saved(folder.path(), &schnet, DType::F32);
    let bytes = std::fs::read(&path).unwrap();
    let lengths = (0..64).chain((64..bytes.len()).step_by(53)).chain(bytes.len() - 9..bytes.len());
    for length in lengths {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let message = refused(&path);
        assert!(message.contains("not a complete safetensors file"), "{length}: {message}");
    }
}

#[test]
fn damaged_bytes_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    let [schnet, _] = architectures();
    let path = saved(folder.path(), &schnet, DType::F32);
    let bytes = std::fs::read(&path).unwrap();
    for k in (0..2000.min(bytes.len())).step_by(3) {
        let mut damaged = bytes.clone();
        damaged[k] ^= 0x15;
        std::fs::write(&path, &damaged).unwrap();
        // Any answer will do: some bytes are only a number of a header that still makes sense.
        let _ = Model::load(&path, &Device::flex(), DType::F32);
    }
}

#[test]
fn foreign_files_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("nowhere.safetensors");
    assert!(refused(&missing).contains("cannot open"));
    let foreign = folder.path().join("foreign.safetensors");
    write_tensors(&foreign, "format", "pt", &Vec::new()).unwrap();
    assert!(refused(&foreign).contains("no potstill header"));
    std::fs::write(&foreign, b"PK\x03\x04 a pickle, not a model file").unwrap();
    refused(&foreign);
}

#[test]
fn newer_versions_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let (mut header, tensors) = good();
    header["format_version"] = (FORMAT_VERSION + 1).into();
    // Whatever else a newer header may say.
    header["model"] = serde_json::json!({ "architecture": "unheard of" });
    let message = refused(&written(folder.path(), &header, &tensors));
    assert!(message.contains("format version 3 is newer than 2") && message.contains("update potstill"), "{message}");
}

#[test]
fn models_of_version_1_have_the_cutoff_of_their_time() {
    let folder = tempfile::tempdir().unwrap();
    let [_, painn] = architectures();
    let network = Network::init(&painn, 5, &Device::flex(), DType::F32);
    let values: Vec<f32> = parameters::to_vector(&network);
    let tensors = checkpoint::named_tensors(&parameters::describe(&network), &values, Dtype::F32);
    let mut header = serde_json::to_value(header(painn)).unwrap();
    header["format_version"] = 1.into();
    header["model"].as_object_mut().unwrap().remove("smooth_cutoff");
    let loaded = Model::load(&written(folder.path(), &header, &tensors), &Device::flex(), DType::F32).unwrap();
    let Architecture::PaiNN(config) = &loaded.header().model else { panic!("a PaiNN was written") };
    assert!(!config.smooth_cutoff);
}

#[test]
fn senseless_headers_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let changes: [(&str, &str, serde_json::Value, &str); 5] = [
        ("/model", "cutoff", (-1.0).into(), "model.cutoff"),
        ("/model", "hidden_channels", 0.into(), "model.hidden_channels"),
        ("/model", "colour", "blue".into(), "colour"),
        ("/normalizer", "energy_std", 0.0.into(), "energy_std"),
        ("", "elements", serde_json::json!(["H", "Xx"]), "`Xx` is not an element"),
    ];
    for (place, key, value, expected) in changes {
        let (mut header, tensors) = good();
        header.pointer_mut(place).unwrap()[key] = value;
        let message = refused(&written(folder.path(), &header, &tensors));
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn absurd_sizes_are_refused_before_they_are_allocated() {
    let folder = tempfile::tempdir().unwrap();
    for key in ["hidden_channels", "n_filters", "n_interactions", "n_gaussians"] {
        for size in [1_u64 << 30, 1 << 62, u64::MAX] {
            let (mut header, tensors) = good();
            header["model"][key] = size.into();
            let message = refused(&written(folder.path(), &header, &tensors));
            assert!(message.contains(&format!("model.{key}: is {size}; it must lie between")), "{message}");
        }
    }
    // Sizes that a network may have, but not one in this file.
    for (key, size) in [("hidden_channels", 40_000), ("n_filters", 60_000)] {
        let (mut header, tensors) = good();
        header["model"][key] = size.into();
        let message = refused(&written(folder.path(), &header, &tensors));
        assert!(message.contains("does not lie in"), "{message}");
    }
}

#[test]
fn weights_are_counted_without_building_the_network() {
    let [schnet, painn] = architectures();
    let Architecture::PaiNN(config) = &painn else { unreachable!("the second one is PaiNN") };
    let gradient = Architecture::PaiNN(PaiNNConfig { forces: Forces::Gradient, ..config.clone() });
    for architecture in [schnet, painn, gradient] {
        let infos = parameters::describe(&Network::init(&architecture, 0, &Device::flex(), DType::F32));
        let count: usize = infos.iter().map(|i| i.len()).sum();
        assert_eq!(architecture.n_parameters(), count as f64, "{}", architecture.name());
    }
}

#[test]
fn weights_that_do_not_fit_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let name = "interactions.1.message.weight";
    let spoil = |change: &dyn Fn(&mut Tensors, usize)| {
        let (header, mut tensors) = good();
        let k = tensors.iter().position(|t| t.0 == name).unwrap();
        change(&mut tensors, k);
        refused(&written(folder.path(), &header, &tensors))
    };
    let missing = spoil(&|tensors, k| drop(tensors.remove(k)));
    assert!(missing.contains(&format!("weight {name} is missing")), "{missing}");
    let left_over = spoil(&|tensors, k| {
        let mut extra = tensors[k].clone();
        extra.0 = "n2n_mapping.weight".to_owned();
        tensors.push(extra);
    });
    assert!(left_over.contains("weight n2n_mapping.weight is not part of the network"), "{left_over}");
    let shape = spoil(&|tensors, k| tensors[k].2.reverse());
    assert!(shape.contains(&format!("weight {name}: expected shape [6, 4], found [4, 6]")), "{shape}");
    for value in [f32::NAN, f32::INFINITY] {
        let not_finite = spoil(&|tensors, k| tensors[k].3[8..12].copy_from_slice(&value.to_le_bytes()));
        assert!(not_finite.contains(&format!("weight {name} is not finite")), "{not_finite}");
    }
    let integers = spoil(&|tensors, k| tensors[k].1 = Dtype::I32);
    assert!(integers.contains(name) && integers.contains("expected F32 or F64"), "{integers}");
}

#[test]
fn unknown_elements_are_named() {
    let [schnet, _] = architectures();
    let network = Network::init(&schnet, 5, &Device::flex(), DType::F32);
    let model = Model::new(header(schnet), network, &Device::flex(), DType::F32, String::new()).unwrap();
    let known = systems::molecule(3, 1);
    let mut unknown = systems::molecule(3, 2);
    unknown.atomic_numbers[1] = 29;
    unknown.metadata.insert("name".to_owned(), potstill_core::system::Value::Text("slab".to_owned()));
    let expected = "system 1 (slab): element Cu is not among those of the model (H, C, N, O); use a model that was \
                    trained on it";
    assert_eq!(model.check_elements(&[&known, &unknown]).unwrap_err().to_string(), expected);
    assert_eq!(model.evaluate(&[&known, &unknown]).unwrap_err().to_string(), expected);
    let nothing = System { atomic_numbers: vec![0], positions: vec![[0.0; 3]], ..System::default() };
    assert!(model.evaluate(&[&nothing]).unwrap_err().to_string().contains("element number 0"));
}
