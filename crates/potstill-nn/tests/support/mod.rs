//! Reading golden cases of the reference into our networks.
#![allow(clippy::print_stdout, reason = "tests tell what they found")]

use std::collections::{BTreeMap, HashMap};

use burn::module::Param;
use burn::tensor::{DType, Device, Tensor};
use potstill_core::System;
use potstill_core::graph::{Neighbors, NetworkGraph};
use potstill_core::model::{Architecture, Forces, GemNetOCConfig, PaiNNConfig, ScaleFactors, SchNetConfig, Tap};
use potstill_fixtures::{self as fixtures, Golden};
use potstill_nn::features::{Features, Reduction, edge_features};
use potstill_nn::reference::reference_name;
use potstill_nn::tensors::{float_tensor, int_tensor, to_host};
use potstill_nn::{Batch, Network, Output, parameters};
use potstill_testkit::golden::structure;
use serde_json::Value;

/// Cases of `models/` whose networks exist here: all but GemNet-OC with gradient forces.
pub fn model_cases() -> Vec<Case> {
    let mut cases: Vec<Case> = fixtures::cases("models").iter().map(|name| Case::open(name)).collect();
    cases.retain(|case| !(case.is_gemnet() && case.config["forces"] == "gradient"));
    assert!(!cases.is_empty(), "the set has no cases");
    cases
}

/// A structure of the golden set.
pub fn system(name: &str) -> System {
    structure(&fixtures::files("structures", ".extxyz"), name)
}

/// One model of the reference with its settings and weights.
pub struct Case {
    pub name: String,
    pub config: Value,
    architecture: Architecture,
    weights: BTreeMap<String, Golden>,
}

impl Case {
    /// A case of `models/`.
    pub fn open(name: &str) -> Self {
        let file = |file: &str| fixtures::file(&format!("models/{name}/{file}"));
        let config = fixtures::json(&file("config.json"));
        let mut scales = BTreeMap::new();
        if config["num_scale_factors"] != 0 {
            let factors = fixtures::read(&file("scale_factors.safetensors"));
            scales = factors.into_iter().map(|(name, factor)| (name, factor.values[0])).collect();
        }
        let architecture = architecture(&config["model"], &scales);
        let weights = fixtures::read(&file("model.safetensors"));
        Self { name: name.to_owned(), config, architecture, weights }
    }

    /// A full-size case whose weights follow a rule instead of a file.
    pub fn procedural(name: &str, config: &Value) -> Self {
        // More names than any network has: each takes its own.
        let mut names: Vec<String> = (0..8).map(|i| format!("upd_out_scalar_scale_{i}")).collect();
        for i in 0..5 {
            let parts = ["trip", "atom_edge", "edge_atom"].map(|part| format!("int_blocks.{i}.{part}_interaction"));
            names.extend(parts.iter().flat_map(|part| ["scale_rbf", "scale_cbf_sum"].map(|s| format!("{part}.{s}"))));
            for scale in ["scale_rbf", "scale_cbf", "scale_sbf_sum"] {
                names.push(format!("int_blocks.{i}.quad_interaction.{scale}"));
            }
            names.push(format!("int_blocks.{i}.atom_interaction.scale_rbf_sum"));
            names.push(format!("int_blocks.{i}.atom_update.scale_sum"));
            names.extend(["scale_sum", "scale_rbf_F"].map(|scale| format!("out_blocks.{i}.{scale}")));
        }
        let value = |name: &str| f64::from((0.75 + 0.5 * procedural_uniform(&format!("scale:{name}"), 0)) as f32);
        let scales = names.into_iter().map(|name| (name.clone(), value(&name))).collect();
        let architecture = architecture(&config["model"], &scales);
        let network = Network::blank(&architecture, &Device::flex(), DType::F32);
        let mut weights = BTreeMap::new();
        for parameter in parameters::describe(&network) {
            let key = reference_name(&architecture, &parameter.name);
            let values = (0..parameter.len()).map(|i| procedural_value(&key, i as u64, &parameter.shape)).collect();
            weights.insert(key, Golden { shape: parameter.shape, values, exact: false });
        }
        for (key, first) in config["example_weight"].as_object().unwrap() {
            let first: Vec<f64> = first.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
            assert_eq!(weights[key].values[..4], first, "{name} {key}");
        }
        Self { name: name.to_owned(), config: config.clone(), architecture, weights }
    }

    pub fn structures(&self) -> Vec<String> {
        self.config["structures"].as_array().unwrap().iter().map(|s| s.as_str().unwrap().to_owned()).collect()
    }

    /// Structures with golden outputs of their own: all in the full set, some in the part that ships.
    pub fn single_structures(&self) -> Vec<String> {
        let mut names = self.structures();
        names.retain(|name| fixtures::optional(&self.path(&format!("out_{name}.safetensors"))).is_some());
        assert!(!names.is_empty(), "{} has no outputs", self.name);
        names
    }

    pub fn golden(&self, file: &str) -> BTreeMap<String, Golden> {
        fixtures::read(&fixtures::file(&self.path(file)))
    }

    fn path(&self, file: &str) -> String {
        format!("models/{}/{file}", self.name)
    }

    /// Whether the reference gave gradients: not where it shows a GemNet-OC block's own features.
    pub fn has_gradients(&self) -> bool {
        !self.config["model"]["distill_layer_code"].as_str().is_some_and(|code| code.starts_with("regular"))
    }

    pub fn forces(&self) -> Forces {
        self.architecture.forces()
    }

    /// The taps that the reference's layer code names; all of them where it concatenates.
    pub fn taps(&self) -> Vec<Tap> {
        match self.config["model"]["distill_layer_code"].as_str() {
            Some(code) if self.is_gemnet() => match code.split_once('_') {
                Some(("regular", k)) => vec![Tap::Block(k.parse().unwrap())],
                Some(("X", k)) => vec![Tap::Output(k.parse().unwrap())],
                _ => vec![Tap::Head],
            },
            Some(code) => code.split('_').map(|t| t.parse().unwrap()).collect(),
            None => vec![*self.architecture.taps().last().unwrap()],
        }
    }

    pub fn is_gemnet(&self) -> bool {
        matches!(self.architecture, Architecture::GemNetOC(_))
    }

    /// How the case reduces edges to atoms.
    pub fn reduction(&self) -> Reduction {
        match self.config["model"]["distill_reduce"].as_str() {
            Some("mean") => Reduction::Mean,
            _ => Reduction::Sum,
        }
    }

    /// Atomic energies as the reference returns them: where the energy is a mean, not yet divided by the number of atoms.
    pub fn raw_atomic_energies(&self, output: &Output) -> Tensor<2> {
        let n = output.atomic_energies.dims()[0] as f64;
        let mean = self.config["model"]["extensive"] == false;
        if mean { output.atomic_energies.clone().mul_scalar(n) } else { output.atomic_energies.clone() }
    }

    pub fn network(&self, dtype: DType) -> Network {
        let network = Network::blank(&self.architecture, &Device::flex(), dtype);
        self.load(network, dtype, &Device::flex())
    }

    pub fn load(&self, network: Network, dtype: DType, device: &Device) -> Network {
        let mut values: Vec<f64> = Vec::new();
        for parameter in parameters::describe(&network) {
            let key = reference_name(&self.architecture, &parameter.name);
            let golden = self.weights.get(&key).unwrap_or_else(|| panic!("no weight {key} for {}", parameter.name));
            assert_eq!(golden.shape, parameter.shape, "{key}");
            values.extend(&golden.values);
        }
        match dtype {
            DType::F64 => parameters::with_vector(network, &values, device),
            _ => {
                let narrow: Vec<f32> = values.iter().map(|&v| v as f32).collect();
                parameters::with_vector(network, &narrow, device)
            }
        }
    }

    /// Concatenates the features of all taps along the channels, as the reference does.
    pub fn joined(&self, output: &Output) -> Features {
        let first = output.features[0].clone();
        let n = first.node.dims()[0];
        let node = Tensor::cat(output.features.iter().map(|f| f.node.clone()).collect(), 1);
        let channels = node.dims()[1];
        let vector = first.vector.is_some().then(|| {
            let parts = output.features.iter().map(|f| {
                let vector = f.vector.clone().unwrap();
                let c = vector.dims()[1] / 3;
                vector.reshape([n, 3, c])
            });
            Tensor::cat(parts.collect(), 2).reshape([n, 3 * channels])
        });
        Features { tap: first.tap, node, vector, edge: first.edge }
    }

    /// For each edge of the reference's order, our row; none where the reference could not run the structure alone.
    pub fn reference_edge_rows(&self, structure: &str) -> Option<Vec<usize>> {
        let too_small = self.config["computed_inside_a_batch_because_too_small_alone"].as_array().unwrap();
        let is_there = !too_small.iter().any(|name| name == structure);
        is_there.then(|| self.reference_rows(&[&structure.to_owned()]))
    }

    /// For each edge of a batch in the reference's order, our row.
    pub fn reference_rows(&self, structures: &[&String]) -> Vec<usize> {
        let ours = build_graph(self, structures);
        let ours = ours.main();
        // GemNet stores the translation of the target.
        let sign = if self.is_gemnet() { -1 } else { 1 };
        let mut rows: HashMap<(u32, u32, [i32; 3]), usize> = HashMap::new();
        for e in 0..ours.n_edges() {
            rows.insert((ours.source[e], ours.target[e], ours.shifts[e]), e);
        }
        let mut order = Vec::new();
        let mut first_atom = 0;
        for structure in structures {
            let graph = self.golden(&format!("graph_{structure}.safetensors"));
            let index = graph["main.edge_index"].integers();
            let offsets = graph["main.cell_offset"].integers();
            let n = index.len() / 2;
            for e in 0..n {
                let shift: [i32; 3] = std::array::from_fn(|k| sign * offsets[3 * e + k] as i32);
                let key = (index[e] as u32 + first_atom, index[n + e] as u32 + first_atom, shift);
                order.push(rows[&key]);
            }
            first_atom += system(structure).n_atoms() as u32;
        }
        assert_eq!(order.len(), ours.n_edges());
        order
    }
}

fn architecture(model: &Value, scales: &BTreeMap<String, f64>) -> Architecture {
    let size = |key: &str| model[key].as_u64().unwrap() as usize;
    let cutoff = model["cutoff"].as_f64().unwrap();
    match model["name"].as_str().unwrap() {
        "schnet" => Architecture::SchNet(SchNetConfig {
            hidden_channels: size("hidden_channels"),
            n_filters: size("num_filters"),
            n_interactions: size("num_interactions"),
            n_gaussians: size("num_gaussians"),
            cutoff,
            neighbors: if model["use_pbc"] == true { Neighbors::Nearest(50) } else { Neighbors::All },
        }),
        "gemnet_oc" => Architecture::GemNetOC(gemnet_oc(model, scales)),
        _ => Architecture::PaiNN(PaiNNConfig {
            hidden_channels: size("hidden_channels"),
            n_layers: size("num_layers"),
            n_radial: size("num_rbf"),
            cutoff,
            neighbors: Neighbors::Nearest(size("max_neighbors")),
            forces: if model["direct_forces"] == true { Forces::Direct } else { Forces::Gradient },
            update_scales: (0..size("num_layers"))
                .map(|i| scales.get(&format!("upd_out_scalar_scale_{i}")).copied().unwrap_or(1.0))
                .collect(),
            smooth_cutoff: false,
            ..PaiNNConfig::default()
        }),
    }
}

fn gemnet_oc(model: &Value, scales: &BTreeMap<String, f64>) -> GemNetOCConfig {
    let size = |key: &str| model[key].as_u64().unwrap() as usize;
    let cutoff = |key: &str| model[key].as_f64();
    let name = |key: &str| model[key]["name"].clone();
    GemNetOCConfig {
        atom_channels: size("emb_size_atom"),
        edge_channels: size("emb_size_edge"),
        n_blocks: size("num_blocks"),
        n_radial: size("num_radial"),
        n_spherical: size("num_spherical"),
        triplet_in_channels: size("emb_size_trip_in"),
        triplet_out_channels: size("emb_size_trip_out"),
        quadruplet_in_channels: size("emb_size_quad_in"),
        quadruplet_out_channels: size("emb_size_quad_out"),
        pair_in_channels: size("emb_size_aint_in"),
        pair_out_channels: size("emb_size_aint_out"),
        radial_channels: size("emb_size_rbf"),
        circular_channels: size("emb_size_cbf"),
        spherical_channels: size("emb_size_sbf"),
        n_before_skip: size("num_before_skip"),
        n_after_skip: size("num_after_skip"),
        n_concat: size("num_concat"),
        n_atom: size("num_atom"),
        n_output_after_atom: size("num_output_afteratom"),
        n_atom_embedding: size("num_atom_emb_layers"),
        n_global_output: size("num_global_out_layers"),
        cutoff: cutoff("cutoff").unwrap(),
        quadruplet_cutoff: cutoff("cutoff_qint"),
        atom_edge_cutoff: cutoff("cutoff_aeaint"),
        atom_cutoff: cutoff("cutoff_aint"),
        max_neighbors: size("max_neighbors"),
        max_quadruplet_neighbors: size("max_neighbors_qint"),
        max_atom_edge_neighbors: size("max_neighbors_aeaint"),
        max_atom_neighbors: size("max_neighbors_aint"),
        quadruplets: model["quad_interaction"] == true,
        atom_to_edge: model["atom_edge_interaction"] == true,
        edge_to_atom: model["edge_atom_interaction"] == true,
        atom_to_atom: model["atom_interaction"] == true,
        radial_basis: serde_json::from_value(name("rbf")).unwrap(),
        circular_basis: serde_json::from_value(name("cbf")).unwrap(),
        spherical_basis: serde_json::from_value(name("sbf")).unwrap(),
        envelope_exponent: model["envelope"]["exponent"].as_u64().unwrap() as u32,
        scale_basis: model["scale_basis"] == true,
        extensive: model["extensive"] == true,
        coupled_forces: model["forces_coupled"] == true,
        scale_factors: ScaleFactors::Given(scales.clone()),
        ..GemNetOCConfig::default()
    }
}

pub fn build_graph(case: &Case, names: &[&String]) -> NetworkGraph {
    let systems: Vec<System> = names.iter().map(|n| system(n)).collect();
    case.architecture.graph_rule().build(&systems.iter().collect::<Vec<_>>()).unwrap()
}

pub fn build_batch(case: &Case, names: &[&String], device: &Device, dtype: DType) -> Batch {
    Batch::of(&build_graph(case, names), device, dtype)
}

pub fn check(case: &str, structure: &str, what: &str, golden: &Golden, value: &Tensor<2>, limit: f64) {
    let limit = if golden.exact || limit > 1e-6 { limit } else { 1e-6 };
    let difference = golden.relative_difference(&to_host(value));
    println!("{case:24} {structure:18} {what:16} {difference:.1e}");
    assert!(difference <= limit, "{case} {structure} {what}: relative difference {difference:e} above {limit:e}");
}

/// Rows of a row-major matrix in another order.
pub fn reorder(values: &[f64], rows: &[usize], width: usize) -> Vec<f64> {
    rows.iter().flat_map(|&r| values[r * width..(r + 1) * width].iter().copied()).collect()
}

/// Loss and gradients, by the reference's names, of
/// `mean|E − label| + 100 · mean over free atoms ‖F − label‖ + Σ mean (projected feature − teacher)²`.
pub fn training_like_gradients(case: &Case, expected: &BTreeMap<String, Golden>) -> (f64, Vec<(String, Vec<f64>)>) {
    let device = Device::flex().autodiff();
    let dtype = DType::F64;
    let names: Vec<String> =
        case.config["grads_structures"].as_array().unwrap().iter().map(|s| s.as_str().unwrap().to_owned()).collect();
    let names: Vec<&String> = names.iter().collect();
    let batch = build_batch(case, &names, &device, dtype);
    let network = case.load(Network::blank(&case.architecture, &device, dtype), dtype, &device);
    let output = network.forward(&batch, case.forces(), &case.taps());
    let constant = |key: &str| {
        let golden = &expected[key];
        let width = golden.values.len() / golden.shape[0];
        float_tensor::<2>(golden.values.clone(), [golden.shape[0], width], &device, dtype)
    };

    let mut loss = (output.energy.clone() - constant("energy_label")).abs().mean();
    let forces = match case.config["forces"].as_str() {
        Some("gradient") if matches!(network, Network::PaiNN(_)) => feature_sum_forces(&network, &batch),
        _ => output.forces.clone().unwrap(),
    };
    let free: Vec<f64> = names
        .iter()
        .flat_map(|n| {
            let system = system(n);
            (0..system.n_atoms()).map(|i| if system.is_free(i) { 1.0 } else { 0.0 }).collect::<Vec<_>>()
        })
        .collect();
    let n_free: f64 = free.iter().sum();
    let mask = float_tensor::<2>(free, [batch.n_atoms, 1], &device, dtype);
    let norms = (forces - constant("forces_label")).powi_scalar(2).sum_dim(1).sqrt();
    loss = loss + (norms * mask).sum().mul_scalar(100.0 / n_free);

    let joined = case.joined(&output);
    let channels = joined.node.dims()[1];
    let mut projections: Vec<(String, Tensor<2>, Option<Tensor<2>>)> = Vec::new();
    let leaf = |key: &str| {
        case.weights.get(key).map(|golden| {
            let rows = if golden.shape.len() == 1 { 1 } else { golden.shape[0] };
            let shape = [rows, golden.values.len() / rows];
            float_tensor::<2>(golden.values.clone(), shape, &device, dtype).require_grad()
        })
    };
    let mut project = |mapping: &str, x: Tensor<2>| {
        let layers: &[&str] =
            if case.weights.contains_key(&format!("{mapping}.0.weight")) { &[".0", ".2"] } else { &[""] };
        let mut x = x;
        for (i, layer) in layers.iter().enumerate() {
            let name = format!("{mapping}{layer}");
            let Some(weight) = leaf(&format!("{name}.weight")) else { return x };
            let bias = leaf(&format!("{name}.bias"));
            x = x.matmul(weight.clone().transpose());
            if let Some(bias) = &bias {
                x = x + bias.clone();
            }
            if i + 1 < layers.len() {
                x = burn::tensor::activation::relu(x);
            }
            projections.push((name, weight, bias));
        }
        x
    };
    let mean_square = |a: Tensor<2>, key: &str| (a - constant(key)).powi_scalar(2).mean();
    // GemNet-OC maps nodes and edges, and makes the rest of the mapped edges; a block's own features are not mapped.
    let mapped = !case.is_gemnet() || matches!(case.taps()[0], Tap::Head);
    let mut maybe = |mapping: &str, x: Tensor<2>| if mapped { project(mapping, x) } else { x };
    loss = loss + mean_square(maybe("n2n_mapping", joined.node.clone()), "teacher.node");
    if let Some(edge) = &joined.edge {
        let edge = maybe("e2e_mapping", edge.clone());
        let features = Features { edge: Some(edge.clone()), ..joined.clone() };
        loss = loss + mean_square(features.reduced_edges(&batch, case.reduction()), "teacher.e2n");
        loss = loss + mean_square(features.vectors(&batch, case.reduction()).unwrap(), "teacher.vector");
        let order = case.reference_rows(&names);
        let order = int_tensor(order.iter().map(|&r| r as i32).collect(), &device);
        loss = loss + mean_square(edge.select(0, order), "teacher.edge");
    }
    if expected.contains_key("teacher.n2e") {
        loss = loss + mean_square(maybe("n2e_mapping", joined.node.clone()), "teacher.n2e");
    }
    if let (Some(vector), true) = (&joined.vector, expected.contains_key("teacher.vector")) {
        let rows = vector.clone().reshape([3 * batch.n_atoms, channels]);
        let projected = maybe("v2v_mapping", rows);
        let width = projected.dims()[1];
        loss = loss + mean_square(projected.reshape([batch.n_atoms, 3 * width]), "teacher.vector");
    }
    if let (Some(vector), true) = (&joined.vector, expected.contains_key("teacher.edge")) {
        let order = case.reference_rows(&names);
        let order = int_tensor(order.iter().map(|&r| r as i32).collect(), &device);
        let edges = edge_features(vector, &batch).select(0, order);
        loss = loss + mean_square(maybe("e2e_mapping", edges), "teacher.edge");
    }

    let value = to_host(&loss)[0];
    let mut gradients = loss.backward();
    let infos = parameters::describe(&network);
    let mut flat: Vec<f64> = Vec::new();
    let mut named = Vec::new();
    for (name, weight, bias) in projections {
        named.push((format!("{name}.weight"), to_host(&weight.grad(&gradients).unwrap())));
        if let Some(bias) = bias {
            named.push((format!("{name}.bias"), to_host(&bias.grad(&gradients).unwrap())));
        }
    }
    parameters::gradients_to_vector(&network, &mut gradients, &mut flat);
    for info in infos {
        named.push((reference_name(&case.architecture, &info.name), flat[info.range()].to_vec()));
    }
    (value, named)
}

/// The reference's gradient-force PaiNN returns `−∂(Σ of all final scalars)/∂positions`, a bug that its golden
/// gradients contain. An energy head that adds up the scalars turns our right forces into its wrong ones:
/// far on the positive side the activation is linear.
fn feature_sum_forces(network: &Network, batch: &Batch) -> Tensor<2> {
    let Network::PaiNN(mut network) = network.clone() else { unreachable!("asked for PaiNN only") };
    let h = network.embedding.weight.val().dims()[1];
    let pairs = (0..h / 2).flat_map(|k| (0..h).map(move |c| if c / 2 == k { 1.0 } else { 0.0 })).collect();
    network.energy_in.weight = Param::from_tensor(float_tensor(pairs, [h / 2, h], &batch.device, batch.dtype));
    network.energy_in.bias =
        Some(Param::from_tensor(float_tensor(vec![1e3; h / 2], [h / 2], &batch.device, batch.dtype)));
    network.energy_out.weight =
        Param::from_tensor(float_tensor(vec![0.6; h / 2], [1, h / 2], &batch.device, batch.dtype));
    network.forward(batch, Forces::Gradient, &[]).forces.unwrap()
}

/// A uniform number in [0, 1) that depends on a name and an index alone (FNV-1a and SplitMix64).
fn procedural_uniform(key: &str, i: u64) -> f64 {
    let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    let mut z = hash.wrapping_add(i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    (z >> 40) as f64 * 2.0_f64.powi(-24)
}

fn procedural_value(key: &str, i: u64, shape: &[usize]) -> f64 {
    let s = 2.0 * procedural_uniform(key, i) - 1.0;
    let value = if key == "embedding.weight" || key.ends_with("embeddings.weight") {
        3.0_f64.sqrt() * s
    } else if key.contains("layernorm.weight") {
        1.0 + 0.1 * s
    } else if key.ends_with("bias") {
        0.05 * s
    } else {
        let fan = if shape.len() == 3 { (shape[0] * shape[1]) as f64 } else { shape[1] as f64 };
        (3.0 / fan).sqrt() * s
    };
    f64::from(value as f32)
}
