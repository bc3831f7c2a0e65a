use std::path::{Path, PathBuf};

use proptest::prelude::*;
use safetensors::SafeTensors;

use super::*;
use crate::io::pickle::{Value, to_json};

/// A folder of fixtures beside the repository; absent, the test is left out.
fn fixtures(name: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures").join(name);
    if !folder.is_dir() {
        eprintln!("left out: the folder ../shared/fixtures/{name} is absent");
        return None;
    }
    Some(folder)
}

fn memory(bytes: &[u8]) -> potstill_core::Result<TorchFile> {
    TorchFile::from_source(Box::new(bytes.to_vec()), Path::new("t.pt"))
}

/// Opens a file and reads every tensor that it has.
fn read_all(bytes: &[u8]) -> potstill_core::Result<usize> {
    let file = memory(bytes)?;
    let mut n = 0;
    for value in file.values().filter(|v| TorchFile::is_tensor(*v)) {
        n += file.read(&file.tensor(value)?)?.shape.len();
    }
    Ok(n)
}

/// A zip archive of two entries, uncompressed, without checksums.
fn archive(pickle: &[u8], storage: Option<&[u8]>) -> Vec<u8> {
    archive_with(pickle, storage, |_| 0)
}

fn archive_with(pickle: &[u8], storage: Option<&[u8]>, crc: fn(&[u8]) -> u32) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    let entries = [("a/data.pkl", Some(pickle)), ("a/data/0", storage)];
    let entries = entries.iter().filter_map(|(name, data)| Some((*name, (*data)?)));
    for (name, data) in entries {
        let at = bytes.len() as u32;
        let sizes = [(data.len() as u32).to_le_bytes(), (data.len() as u32).to_le_bytes()].concat();
        let lengths = [name.len() as u16, 0].map(u16::to_le_bytes).concat();
        let common = [&[0; 10][..], &crc(data).to_le_bytes(), &sizes, &lengths].concat();
        bytes.extend([b"PK\x03\x04", &common[..], name.as_bytes(), data].concat());
        let head = [&b"PK\x01\x02"[..], &[0; 2][..], &common, &[0; 10], &at.to_le_bytes(), name.as_bytes()];
        directory.extend(head.concat());
    }
    let (at, length) = ((bytes.len() as u32).to_le_bytes(), (directory.len() as u32).to_le_bytes());
    [bytes, directory, b"PK\x05\x06\0\0\0\0\0\0\0\0".to_vec(), length.to_vec(), at.to_vec(), vec![0, 0]].concat()
}

/// The pickle of a tensor of float32 with `length` entries in its storage; numbers as protocol 0 writes them.
fn tensor(length: u64, offset: u64, shape: &[u64], strides: &[u64]) -> Vec<u8> {
    let list = |v: &[u64]| v.iter().map(|i| format!("I{i}\n")).collect::<String>();
    let storage = format!("(Vstorage\nctorch\nFloatStorage\nV0\nVcpu\nI{length}\ntQ");
    let sizes = format!("I{offset}\n({}t({}t", list(shape), list(strides));
    format!("ctorch._utils\n_rebuild_tensor_v2\n({storage}{sizes}I00\nNtR.").into_bytes()
}

fn six() -> Vec<u8> {
    (0..6).flat_map(|i| (i as f32).to_le_bytes()).collect()
}

#[test]
fn strides_and_offsets() {
    let read = |offset, shape: &[u64], strides: &[u64]| {
        let file = memory(&archive(&tensor(6, offset, shape, strides), Some(&six()))).unwrap();
        let array = file.read(&file.tensor(file.root()).unwrap()).unwrap();
        array.into_f64()
    };
    assert_eq!(read(0, &[2, 3], &[3, 1]), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    assert_eq!(read(0, &[3, 2], &[1, 3]), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    assert_eq!(read(4, &[1, 2], &[99, 1]), [4.0, 5.0]);
    assert_eq!(read(1, &[2, 2], &[2, 2]), [1.0, 3.0, 3.0, 5.0]);
    assert_eq!(read(5, &[], &[]), [5.0]);
    assert_eq!(read(6, &[0, 7], &[7, 1]), [0.0; 0]);
}

#[test]
fn bad_tensors() {
    let of = |pickle: &[u8], storage: Option<&[u8]>| read_all(&archive(pickle, storage)).unwrap_err().to_string();
    let huge = of(&tensor(6, 0, &[1_000_000, 1_000_000], &[0, 0]), Some(&six()));
    assert!(huge.starts_with("t.pt: a tensor of shape [1000000, 1000000], strides [0, 0]"), "{huge}");
    assert!(of(&tensor(1 << 40, 0, &[1 << 40], &[1]), Some(&six())).contains("but has 24 bytes"));
    assert!(of(&tensor(6, 1, &[6], &[1]), Some(&six())).contains("does not fit into its storage of 6 entries"));
    assert!(of(&tensor(6, 0, &[1 << 40, 1 << 40], &[1, 1]), Some(&six())).contains("does not fit"));
    let dangling = of(&tensor(6, 0, &[6], &[1]), None);
    assert_eq!(dangling, "t.pt: a tensor refers to storage `0`, which the file lacks");
    let system = of(b"cposix\nsystem\n(Vls\ntR.", None);
    assert!(system.contains("names the class `posix.system`, which this reader does not know; nothing was run"));
    assert!(read_all(b"not a checkpoint").unwrap_err().to_string().contains("is not a file of torch.save"));
}

/// Compares a state dict with a safetensors file.
/// Flips every bit of a storage and of the pickle; the archive of the same bytes without a CRC is read.
#[test]
fn flipped_bits_of_entries_are_errors() {
    let (pickle, storage) = (tensor(6, 0, &[2, 3], &[3, 1]), six());
    let bytes = archive_with(&pickle, Some(&storage), crc32fast::hash);
    assert_eq!(read_all(&bytes).unwrap(), 2);
    for part in [&storage, &pickle] {
        let start = memchr::memmem::find(&bytes, part).unwrap();
        for bit in 8 * start..8 * (start + part.len()) {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let message = read_all(&flipped).unwrap_err().to_string();
            assert!(message.contains("is damaged: its bytes do not have the CRC-32"), "{message}");
        }
    }
    let mut flipped = archive(&pickle, Some(&storage));
    let at = memchr::memmem::find(&flipped, &storage).unwrap();
    flipped[at] ^= 1;
    assert_eq!(read_all(&flipped).unwrap(), 2, "without a CRC nothing can be said");
}

fn compare(file: &TorchFile, state: Value<'_>, prefix: &str, expected: &Path) {
    let bytes = std::fs::read(expected).unwrap();
    let expected = SafeTensors::deserialize(&bytes).unwrap();
    let tensors = file.tensors(state).unwrap();
    assert_eq!(tensors.len(), expected.len());
    for (name, tensor) in tensors {
        let view = expected.tensor(name.strip_prefix(prefix).unwrap_or(&name)).unwrap();
        assert_eq!(tensor.shape(), view.shape(), "{name}");
        let found: Vec<u8> = match file.read(&tensor).unwrap().numbers {
            Numbers::F32(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Numbers::F64(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Numbers::I64(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        };
        assert!(found == view.data(), "{name}");
    }
}

#[test]
fn checkpoints_equal_the_weights_beside_them() {
    let (Some(folder), Some(models)) = (fixtures("checkpoints"), fixtures("models")) else { return };
    for (name, weights) in [
        ("painn_best_checkpoint.pt", models.join("painn_direct/model.safetensors")),
        ("painn_legacy_not_zip.pt", folder.join("painn_checkpoint_training_state.safetensors")),
        ("gemnet_oc_best_checkpoint.pt", models.join("gemnet_oc_molecules/model.safetensors")),
        ("schnet_best_checkpoint.pt", models.join("schnet_molecules/model.safetensors")),
        ("painn_checkpoint_training_state.pt", folder.join("painn_checkpoint_training_state.safetensors")),
    ] {
        let file = TorchFile::open(&folder.join(name)).unwrap();
        let state = file.root().get("state_dict").unwrap();
        let first = state.pairs().next().unwrap().0.as_str().unwrap();
        let prefix = if first.starts_with("module.module.") { "module.module." } else { "module." };
        compare(&file, state, prefix, &weights);
        let config = to_json(file.root().get("config").unwrap()).unwrap();
        assert!(config.get("model").is_some(), "{name}: {config}");
        assert_eq!(number(file.root().get("step").unwrap_or(state)).is_some(), name.contains("training"));
    }
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "pt") {
            read_all(&std::fs::read(&path).unwrap()).unwrap();
        }
    }
}

#[test]
fn scale_files() {
    let (Some(folder), Some(models)) = (fixtures("checkpoints"), fixtures("models")) else { return };
    let file = TorchFile::open(&folder.join("reference_gemnet-oc_small_scaling_factors.pt")).unwrap();
    assert_eq!(file.tensors(file.root()).unwrap().len(), 41);
    for model in ["painn_direct", "gemnet_oc_molecules"] {
        let file = TorchFile::open(&models.join(model).join("scale_factors.pt")).unwrap();
        compare(&file, file.root(), "", &models.join(model).join("scale_factors.safetensors"));
    }
}

#[test]
fn cut_anywhere_gives_an_error() {
    let Some(folder) = fixtures("checkpoints") else { return };
    for name in ["painn_best_checkpoint.pt", "painn_legacy_not_zip.pt"] {
        let bytes = std::fs::read(folder.join(name)).unwrap();
        for end in (0..bytes.len()).step_by(1000) {
            assert!(read_all(&bytes[..end]).is_err(), "{name} cut at {end}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn changed_bytes_give_no_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20)) {
        let Some(folder) = fixtures("checkpoints") else { return Ok(()) };
        for name in ["reference_painn_nb6_scaling_factors.pt", "painn_legacy_not_zip.pt"] {
            let mut bytes = std::fs::read(folder.join(name)).unwrap();
            // The pickles of the older kind lie at its start, behind them numbers that may be anything.
            let end = bytes.len().min(12_000);
            changes.iter().for_each(|(at, byte)| bytes[at.index(end)] = *byte);
            let _ = read_all(&bytes);
        }
    }
}
