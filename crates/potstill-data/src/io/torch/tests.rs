use std::path::{Path, PathBuf};

use potstill_fixtures::{cases, file, files, is_full_set, json, optional};
use proptest::prelude::*;
use safetensors::SafeTensors;

use super::*;
use crate::io::pickle::{Value, to_json};

/// End of the names of files of scale factors.
const SCALES: &str = "scaling_factors.pt";

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

/// Whether a state dict holds the tensors of a safetensors file, bit for bit.
fn equals(file: &TorchFile, state: Value<'_>, prefix: &str, expected: &Path) -> bool {
    let bytes = std::fs::read(expected).unwrap();
    let expected = SafeTensors::deserialize(&bytes).unwrap();
    let tensors = file.tensors(state).unwrap();
    let same = |(name, tensor): &(String, TensorRef)| {
        let view = expected.tensor(name.strip_prefix(prefix).unwrap_or(name));
        view.is_ok_and(|view| view.shape() == tensor.shape() && view.data() == bytes_of(file, tensor))
    };
    tensors.len() == expected.len() && tensors.iter().all(same)
}

fn bytes_of(file: &TorchFile, tensor: &TensorRef) -> Vec<u8> {
    match file.read(tensor).unwrap().numbers {
        Numbers::F32(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        Numbers::F64(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        Numbers::I64(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
    }
}

/// Checkpoints of the golden set: what is no file of scale factors.
fn checkpoints() -> Vec<PathBuf> {
    let mut paths = files("checkpoints", ".pt");
    paths.retain(|path| !name_of(path).ends_with(SCALES));
    paths
}

fn name_of(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap()
}

/// Weights of the model cases, and those beside the checkpoints.
fn weights() -> Vec<PathBuf> {
    let models = cases("models").into_iter().filter_map(|case| optional(&format!("models/{case}/model.safetensors")));
    let beside = if is_full_set() { files("checkpoints", ".safetensors") } else { Vec::new() };
    models.chain(beside).collect()
}

#[test]
fn checkpoints_equal_the_weights_beside_them() {
    let weights = weights();
    for path in checkpoints() {
        let name = name_of(&path);
        let file = TorchFile::open(&path).unwrap();
        let state = file.root().get("state_dict").unwrap();
        let first = state.pairs().next().unwrap().0.as_str().unwrap();
        let prefix = if first.starts_with("module.module.") { "module.module." } else { "module." };
        assert!(weights.iter().any(|weights| equals(&file, state, prefix, weights)), "{name}: no such weights");
        let config = to_json(file.root().get("config").unwrap()).unwrap();
        assert!(config.get("model").is_some(), "{name}: {config}");
        assert_eq!(number(file.root().get("step").unwrap_or(state)).is_some(), name.contains("training"));
    }
    for path in files("checkpoints", ".pt") {
        read_all(&std::fs::read(path).unwrap()).unwrap();
    }
}

/// Number of storages in an archive, by the names in its directory.
fn n_storages(archive: &[u8]) -> usize {
    let entries =
        archive.windows(4).enumerate().filter(|(_, bytes)| bytes == b"PK\x01\x02").map(|(at, _)| &archive[at..]);
    let names = entries.map(|entry| &entry[46..46 + usize::from(entry[28])]);
    names.filter(|name| String::from_utf8_lossy(name).contains("/data/")).count()
}

#[test]
fn scale_files() {
    for path in files("checkpoints", SCALES) {
        let file = TorchFile::open(&path).unwrap();
        // Every factor has a storage of its own.
        let n = n_storages(&std::fs::read(&path).unwrap());
        assert!(n > 0 && file.tensors(file.root()).unwrap().len() == n, "{}", path.display());
    }
    let mut compared = 0;
    for case in cases("models") {
        let n = json(&file(&format!("models/{case}/config.json")))["num_scale_factors"].as_u64().unwrap();
        let Some(path) = (n > 0).then(|| optional(&format!("models/{case}/scale_factors.pt"))).flatten() else {
            continue;
        };
        let scales = TorchFile::open(&path).unwrap();
        assert_eq!(scales.tensors(scales.root()).unwrap().len() as u64, n, "{case}");
        let expected = file(&format!("models/{case}/scale_factors.safetensors"));
        assert!(equals(&scales, scales.root(), "", &expected), "{case}");
        compared += 1;
    }
    assert!(compared > 0, "no case has scale factors");
}

#[test]
fn cut_anywhere_gives_an_error() {
    for path in checkpoints().iter().filter(|path| !name_of(path).contains("training")) {
        let bytes = std::fs::read(path).unwrap();
        for end in (0..bytes.len()).step_by(1000 + bytes.len() / 1000) {
            assert!(read_all(&bytes[..end]).is_err(), "{} cut at {end}", path.display());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn changed_bytes_give_no_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20)) {
        // Files of either kind: an archive of scale factors, and one from before archives where the set has it.
        let scales = files("checkpoints", SCALES).into_iter().last();
        for path in scales.into_iter().chain(checkpoints().into_iter().filter(|path| name_of(path).contains("legacy"))) {
            let mut bytes = std::fs::read(path).unwrap();
            // The pickles of the older kind lie at its start, behind them numbers that may be anything.
            let end = bytes.len().min(12_000);
            changes.iter().for_each(|(at, byte)| bytes[at.index(end)] = *byte);
            let _ = read_all(&bytes);
        }
    }
}
