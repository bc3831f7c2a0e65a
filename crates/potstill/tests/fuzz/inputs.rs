//! Inputs to start from: tiny files of every format, by potstill's own writers or by hand.

use potstill_core::model::{
    Architecture, ElementEnergies, EnergyScale, Forces, GemNetOCConfig, Header, Normalizer, PaiNNConfig, SchNetConfig,
    Tap,
};
use potstill_nn::Network;
use std::path::Path;

use burn::tensor::{DType, Device};
use potstill_core::Precision;
use potstill_core::System;
use potstill_data::dataset::Systems;
use potstill_data::io::lmdb::Lmdb;
use potstill_data::io::{ExtxyzReader, LabelKeys, StoredFile, write as write_systems};
use potstill_nn::checkpoint::save;
use potstill_nn::{parameters, reference};
use potstill_testkit::fuzz::shape::zipped;
use potstill_train::distill::{Kind, Questions, Teacher, TeacherSource, Wanted, labelling};
use potstill_train::optimizer::Memory;
use potstill_train::schedule::PlateauState;
use potstill_train::state::{self, Progress, Vectors};

use super::systems::{INDEXED, fixed_time};

/// Numbers of each vector of the training state.
pub const STATE_SIZE: usize = 4;

const MOLECULES: &str = "3\nProperties=species:S:1:pos:R:3:forces:R:3 energy=-1.0 name=water pbc=\"F F F\"\n\
O 0.0 0.0 0.0 0.1 0.0 0.0\nH 0.96 0.0 0.0 -0.1 0.2 0.0\nH -0.24 0.93 0.0 0.0 -0.2 0.0\n\
5\nProperties=species:S:1:pos:R:3:forces:R:3 energy=-2.0 name=methane pbc=\"F F F\"\n\
C 0.0 0.0 0.0 0.0 0.1 0.0\nH 0.63 0.63 0.63 0.0 -0.1 0.0\nH -0.63 -0.63 0.63 0.0 0.0 0.3\n\
H 0.63 -0.63 -0.63 0.0 0.0 0.0\nH -0.63 0.63 -0.63 0.0 0.0 -0.3\n";

const CRYSTAL: &str = "2\nLattice=\"3.0 0.0 0.0 0.1 3.1 0.0 0.0 0.2 8.5\" \
Properties=species:S:1:pos:R:3:tags:I:1:move_mask:L:1:REF_forces:R:3:charges:R:1 REF_energy=-3.25 \
stress=\"1 0 0 0 2 0 0 0 3\" pbc=\"T T F\" config_type=slab sid=17 list=[1,2,3] nested=[[1,2],[3,4]] ok=T\n\
Cu 0.0 0.0 0.0 0 F 0.0 0.0 0.1 0.5\nO 1.5 1.5 1.9 2 T 0.0 0.0 -0.1 -0.5\n";

const PLAIN: &str =
    "2\n\nH 0 0 0\nH 0 0 0.74\n\n1\nlattice=\"4 4 4\" virial=\"1 2 3 4 5 6\" 'a b'='c d' flag\nHe 1e-3 -.5 +2.\n";

const CONFIG: &str = "seed = 3\n[data]\ntrain = ['a.xyz', 'b.npz']\nvalidation = ['c.xyz']\nsynthetic = ['d.xyz']\n\
mix = { synthetic = 0.2, weight = 0.5, labels = false }\nreference_energies = { H = -13.6, O = -75.0 }\n\
normalization = 'energy'\n[model]\narchitecture = 'painn'\nhidden_channels = 16\nn_layers = 2\nn_radial = 8\n\
cutoff = 5.0\nneighbors = { nearest = 20 }\nforces = 'direct'\n[training]\nbatch_size = 4\nepochs = 10\nmax_steps = 100\n\
schedule = { kind = 'cosine', warmup_steps = 5 }\nema_decay = 0.99\npatience = 3\nbest_by = 'forces_mae'\ndtype = 'f64'\n";

const DISTILL: &str = "[data]\ntrain = ['a.xyz']\n[model]\narchitecture = 'schnet'\nhidden_channels = 16\n\
[training]\nschedule = { kind = 'plateau' }\n[distill]\nteacher = ['t.safetensors', 'u.safetensors']\ncache = 'cache'\n\
feature_precision = 'f32'\n[[distill.terms]]\nstrategy = 'n2n'\nweight = 'auto'\n[[distill.terms]]\n\
strategy = 'vanilla'\nenergy_weight = 1.0\nforce_weight = 10.0\n[[distill.terms]]\nstrategy = 'cka'\nof = 'nodes'\n\
weight = { auto = 0.3 }\nschedule = { kind = 'ramp', until = 0.1 }\n[distill.augmentation]\n\
copies = { kind = 'random_jitter', std = 0.1 }\nterms = [{ strategy = 'pae', weight = 1.0 }]\n";

const GEMNET: &str = "[data]\ntrain = ['a.xyz']\n[model]\narchitecture = 'gemnet_oc'\nforces = 'direct'\nn_blocks = 2\n\
scale_factors = 'unit'\n[training]\n[distill]\nteacher = 'labels.extxyz'\nlabels = { align_energies = true }\n\
terms = [{ strategy = 'vanilla', energy_weight = 1.0 }]\n";

const YAML: &str = "trainer: forces\nmodel:\n  name: painn\n  hidden_channels: 64\n  num_layers: 2\n  num_rbf: 16\n  cutoff: 6.0\n\
  max_neighbors: 30\n  direct_forces: True\n  rbf: {name: gaussian}\n  envelope:\n    name: polynomial\n    exponent: 5\n\
optim:\n  batch_size: 8\n  lr_initial: 1.e-4\n  milestones: [1, 2]\n  note: 'text'\n";

const YAML_SCHNET: &str =
    "model: {name: schnet, hidden_channels: 32, num_filters: 16, num_interactions: 2, num_gaussians: 8, cutoff: 5.0}\n";

/// Two labelled molecules.
pub fn molecules() -> Vec<System> {
    let systems = ExtxyzReader::from_reader(MOLECULES.as_bytes(), Path::new("molecules"), &LabelKeys::default());
    systems.collect::<potstill_core::Result<_>>().expect("molecules")
}

/// Features that the cache of the corpus holds.
pub fn wanted() -> Vec<Wanted> {
    vec![Wanted { tap: Tap::Update(1), kinds: vec![Kind::Node, Kind::EdgeSum, Kind::Vector, Kind::Edge] }]
}

/// Writes the corpus anew.
pub fn write(folder: &Path) {
    let put = |target: &str, name: &str, bytes: &[u8]| {
        std::fs::create_dir_all(folder.join(target)).unwrap();
        std::fs::write(folder.join(target).join(name), bytes).unwrap();
    };
    for (name, text) in [("molecules", MOLECULES), ("crystal", CRYSTAL), ("plain", PLAIN)] {
        put("extxyz", &format!("{name}.extxyz"), text.as_bytes());
        put("keys", &format!("{name}.txt"), format!("REF_energy\n\n\n{text}").as_bytes());
    }
    put("keys", "named.txt", format!("energy\nforces\n\n{MOLECULES}").as_bytes());
    put("label-file", "molecules.extxyz", MOLECULES.as_bytes());
    let atomic = MOLECULES.replace("name=water", "atomic_energies=\"-0.5 -0.25 -0.25\"");
    let atomic = atomic.replace("name=methane", "atomic_energies=[-1.0,-0.25,-0.25,-0.25,-0.25]");
    put("label-file", "atomic.extxyz", atomic.as_bytes());
    for (name, text) in [("painn", CONFIG), ("distill", DISTILL), ("gemnet", GEMNET)] {
        put("config", &format!("{name}.toml"), text.as_bytes());
    }
    put("yaml", "painn.yml", YAML.as_bytes());
    put("yaml", "schnet.yml", YAML_SCHNET.as_bytes());
    packed(&put);
    stored(&put);
    pickles(&put);
    records(&put);
    networks(&put);
}

type Put<'a> = &'a dyn Fn(&str, &str, &[u8]);

/// Files of systems by potstill's writers.
fn packed(put: Put<'_>) {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.extxyz.gz", "a.extxyz.xz", "a.extxyz.zst", "a.npz"] {
        let path = folder.path().join(name);
        let mut writer = write_systems(&path).unwrap();
        molecules().iter().for_each(|system| writer.write(system).unwrap());
        writer.finish().unwrap();
        let target = if name == "a.npz" { "npz" } else { "compressed" };
        put(target, name, &std::fs::read(&path).unwrap());
    }
    let array = |name: &str, kind: &str, shape: &str, bytes: Vec<u8>| {
        let text = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}\n");
        let length = (text.len() as u16).to_le_bytes();
        (format!("{name}.npy"), [b"\x93NUMPY\x01\0", &length[..], text.as_bytes(), &bytes].concat())
    };
    let reals = |n: u8| (0..n).flat_map(|i| f64::from(i).to_le_bytes()).collect::<Vec<u8>>();
    let entries = [
        array("N", "<i8", "2,", [2_i64, 1].map(i64::to_le_bytes).concat()),
        array("Z", "|u1", "3,", vec![1, 8, 6]),
        array("R", "<f8", "3, 3", reals(9)),
        array("E", ">f4", "2,", [1_f32, 2.0].map(f32::to_be_bytes).concat()),
        array("F", "<f8", "3, 3", reals(9)),
        array("id", "<i8", "2,", [7_i64, 8].map(i64::to_le_bytes).concat()),
    ];
    put("npz", "by-hand.npz", &zipped(&entries));
    put("npz", "without-labels.npz", &zipped(&entries[..3]));
}

fn stored(put: Put<'_>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.xyz");
    std::fs::write(&path, INDEXED).unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(fixed_time()).unwrap();
    StoredFile::open(&path, &LabelKeys::default(), None, &|_| {}).unwrap();
    put("index", "three-systems", &std::fs::read(folder.path().join("data.xyz.potstill-index")).unwrap());
}

fn pickles(put: Put<'_>) {
    let plain: &[u8] = b"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01]q\x02(K\x01J\xfe\xff\xff\xffG@\x04\x00\x00\x00\x00\x00\
        \x00N\x88eX\x01\x00\x00\x00bq\x03X\x01\x00\x00\x00xq\x04Jp\x11\x01\x00\x86q\x05u.";
    put("pickle", "protocol-2", plain);
    put("pickle", "protocol-0", b"(dp0\nVa\np1\n(lp2\nI1\naI-2\naF2.5\naNaI01\nasVb\np3\n(Vx\np4\nI70000\ntp5\ns.");
    put("pickle", "class", b"\x80\x04ccollections\nOrderedDict\n)R\x94(\x8c\x01ah\x00\x8c\x01bK\x02u}\x8c\x01cNsb.");
    let long: &[u8] =
        b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00(\x8a\x02\xff\x00\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\
        \x01C\x03abc\x8f(K\x01K\x02\x90l.";
    put("pickle", "numbers", long);
    let network = Architecture::SchNet(SchNetConfig {
        hidden_channels: 4,
        n_filters: 3,
        n_interactions: 1,
        n_gaussians: 3,
        ..SchNetConfig::default()
    });
    let checkpoint = checkpoint(&network);
    put("pickle", "checkpoint", &checkpoint[0].1);
    put("import", "schnet.pt", &zipped(&checkpoint));
    let tensor = tensor("0", 6, &[2, 3]);
    let data = (0..6_u8).flat_map(|i| f32::from(i).to_le_bytes()).collect::<Vec<u8>>();
    let pickle = format!("(dVa\n{tensor}sVb\nF2.5\ns.").into_bytes();
    put("torch", "tensor.pt", &zipped(&[("a/data.pkl".into(), pickle), ("a/data/0".into(), data)]));
}

/// The smallest graph object of each generation, where the folder of shared data is there; else those of before stay.
fn records(put: Put<'_>) {
    let Some(folder) = potstill_fixtures::datasets() else { return };
    for name in ["pyg1", "pyg2"] {
        let Ok(lmdb) = Lmdb::open(&folder.join(format!("oc20_lmdb/{name}.lmdb"))) else { continue };
        let records = (0..24).filter_map(|i| lmdb.get(i.to_string().as_bytes()).unwrap());
        let record = records.min_by_key(Vec::len).unwrap();
        put("oc20", name, &record);
        put("lmdb", &format!("{name}.lmdb"), &database(&[(b"0", &record), (b"length", b"\x80\x04K\x01.")]));
    }
}

/// A tensor of float32, as protocol 0 writes it.
fn tensor(key: &str, n: usize, shape: &[usize]) -> String {
    let list = |sizes: &[usize]| sizes.iter().map(|i| format!("I{i}\n")).collect::<String>();
    let strides: Vec<usize> = (0..shape.len()).map(|i| shape[i + 1..].iter().product()).collect();
    let storage = format!("(Vstorage\nctorch\nFloatStorage\nV{key}\nVcpu\nI{n}\ntQ");
    format!("ctorch._utils\n_rebuild_tensor_v2\n({storage}I0\n({}t({}tI00\nNtR", list(shape), list(&strides))
}

/// The entries of a checkpoint of the Open Catalyst Project with a SchNet.
fn checkpoint(network: &Architecture) -> Vec<(String, Vec<u8>)> {
    let blank = Network::blank(network, &Device::flex(), DType::F32);
    let mut entries = vec![("c/data.pkl".to_owned(), Vec::new())];
    let mut state = String::new();
    for (i, parameter) in parameters::describe(&blank).iter().enumerate() {
        let name = reference::reference_name(network, &parameter.name);
        state += &format!("Vmodule.{name}\n{}s", tensor(&i.to_string(), parameter.len(), &parameter.shape));
        entries.push((format!("c/data/{i}"), vec![0; 4 * parameter.len()]));
    }
    let sizes = [("hidden_channels", 4), ("num_filters", 3), ("num_interactions", 1), ("num_gaussians", 3)];
    let sizes: String = sizes.iter().map(|(key, n)| format!("V{key}\nI{n}\ns")).collect();
    let attributes = format!("(d{sizes}Vcutoff\nF6.0\nsVuse_pbc\nI00\ns");
    let config = format!("(dVmodel\nVschnet\nsVmodel_attributes\n{attributes}s");
    entries[0].1 = format!("(dVepoch\nI3\nsVconfig\n{config}sVstate_dict\n(d{state}s.").into_bytes();
    entries
}

fn networks(put: Put<'_>) {
    let painn = PaiNNConfig { hidden_channels: 8, n_layers: 1, n_radial: 4, cutoff: 3.0, ..PaiNNConfig::default() };
    let schnet = SchNetConfig {
        hidden_channels: 8,
        n_filters: 8,
        n_interactions: 1,
        n_gaussians: 4,
        cutoff: 3.0,
        ..SchNetConfig::default()
    };
    let direct = PaiNNConfig { forces: Forces::Direct, ..painn.clone() };
    let folder = tempfile::tempdir().unwrap();
    for (name, network) in [
        ("painn", Architecture::PaiNN(painn)),
        ("painn-direct", Architecture::PaiNN(direct)),
        ("schnet", Architecture::SchNet(schnet)),
        ("gemnet", Architecture::GemNetOC(small_gemnet())),
    ] {
        let path = folder.path().join(format!("{name}.safetensors"));
        let header = Header::new(
            network.clone(),
            ["H", "C", "O"].map(str::to_owned).to_vec(),
            EnergyScale {
                reference_energies: ElementEnergies::new([(1, -1.0), (6, -6.0), (8, -8.0)]),
                normalizer: Normalizer::default(),
            },
        );
        save(&path, &header, &Network::init(&network, 1, &Device::flex(), DType::F32), DType::F32).unwrap();
        put("model", &format!("{name}.safetensors"), &std::fs::read(&path).unwrap());
    }
    cached(put, folder.path());
    let plateau = PlateauState { learning_rate: 1e-3, best: Some(0.5), waited: 1, cooling: 0 };
    let vector = vec![0.5_f32; STATE_SIZE];
    let vectors = Vectors {
        values: vector.clone(),
        average: vector.clone(),
        memory: Memory { steps: 0, first: vector.clone(), second: vector, largest: Vec::new() },
    };
    let path = folder.path().join("state.safetensors");
    let identity = state::Identity { fingerprint: "fingerprint".to_owned(), teacher: None };
    state::save(&path, &Progress::new(identity, plateau), &vectors).unwrap();
    put("state", "state.safetensors", &std::fs::read(&path).unwrap());
}

fn small_gemnet() -> GemNetOCConfig {
    GemNetOCConfig {
        atom_channels: 4,
        edge_channels: 4,
        n_blocks: 1,
        n_radial: 3,
        n_spherical: 2,
        triplet_in_channels: 2,
        triplet_out_channels: 2,
        quadruplet_in_channels: 2,
        quadruplet_out_channels: 2,
        pair_in_channels: 2,
        pair_out_channels: 2,
        radial_channels: 2,
        circular_channels: 2,
        spherical_channels: 2,
        cutoff: 3.0,
        ..GemNetOCConfig::default()
    }
}

/// A cache that a small teacher filled.
fn cached(put: Put<'_>, folder: &Path) {
    let model = folder.join("painn.safetensors");
    let teacher = Teacher::open(&TeacherSource::One(model), &Default::default(), DType::F32).unwrap();
    let systems: Systems = molecules().into();
    let questions = Questions { features: wanted(), precision: Precision::F16, ..Questions::default() };
    let cache = folder.join("cache");
    labelling::open_or_make(&cache, &teacher, &labelling::Asked::about(&systems).unwrap(), &questions, &|_| {})
        .unwrap();
    put("cache-index", "index.json", &std::fs::read(cache.join("index.json")).unwrap());
    let least = "{\"format_version\": 3, \"structure_hash\": \"\", \"teacher_hash\": \"any\", \"precision\": \"f32\",\n \
                 \"holds\": {\"energy\": true, \"forces\": true, \"atomic_energies\": false}, \"taps\": [],\n \
                 \"shards\": [{\"file\": \"shard-00000.safetensors\", \"n_systems\": 2, \"n_atoms\": 8}]}\n";
    put("cache-index", "least.json", least.as_bytes());
    put("cache-shard", "shard.safetensors", &std::fs::read(cache.join("shard-00000.safetensors")).unwrap());
}

/// An LMDB of one leaf page, whose values lie on overflow pages.
pub fn database(pairs: &[(&[u8], &[u8])]) -> Vec<u8> {
    const PAGE: usize = 4096;
    let mut pages = vec![0; 2 * PAGE];
    let mut nodes = Vec::new();
    for (key, value) in pairs {
        let number = (pages.len() / PAGE) as u64;
        let n = (16 + value.len()).div_ceil(PAGE);
        let head = [&number.to_le_bytes()[..], &[0, 0, 4, 0], &(n as u32).to_le_bytes(), value].concat();
        pages.extend_from_slice(&head);
        pages.resize((number as usize + n) * PAGE, 0);
        let length = (value.len() as u32).to_le_bytes();
        let place = [&length[..], &[1, 0], &(key.len() as u16).to_le_bytes(), key, &number.to_le_bytes()].concat();
        nodes.push(place);
    }
    let root = (pages.len() / PAGE) as u64;
    let mut leaf = vec![0; PAGE];
    let mut upper = PAGE;
    for (i, node) in nodes.iter().enumerate() {
        upper -= node.len().next_multiple_of(2);
        leaf[upper..upper + node.len()].copy_from_slice(node);
        leaf[16 + 2 * i..18 + 2 * i].copy_from_slice(&(upper as u16).to_le_bytes());
    }
    leaf[..8].copy_from_slice(&root.to_le_bytes());
    leaf[10] = 2;
    leaf[12..14].copy_from_slice(&((16 + 2 * nodes.len()) as u16).to_le_bytes());
    leaf[14..16].copy_from_slice(&(upper as u16).to_le_bytes());
    pages.extend(leaf);
    for (number, meta) in pages.chunks_mut(PAGE).take(2).enumerate() {
        meta[10] = 8;
        meta[16..24].copy_from_slice(&[0xde, 0xc0, 0xef, 0xbe, 1, 0, 0, 0]);
        meta[40..44].copy_from_slice(&(PAGE as u32).to_le_bytes());
        meta[94] = 1;
        meta[120..128].copy_from_slice(&(pairs.len() as u64).to_le_bytes());
        meta[128..136].copy_from_slice(&root.to_le_bytes());
        meta[136..144].copy_from_slice(&root.to_le_bytes());
        meta[144] = number as u8;
    }
    pages
}
