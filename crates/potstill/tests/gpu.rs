//! The program on a graphics processor against the program on the processor, through its command line.
//!
//! In a build with the feature `wgpu` alone. By default it wants the software renderer `llvmpipe`, so that a machine without a driver
//! fails instead of passing for want of anything to test; `POTSTILL_TEST_DEVICE=vulkan` tests a real device instead.
#![cfg(feature = "wgpu")]

mod support;

use std::collections::BTreeMap;

use safetensors::SafeTensors;
use support::Bench;

/// Largest difference of weights, as a part of the largest weight of their tensor, and of losses, as a part of the loss.
const TOLERANCE: f64 = 1e-4;

/// Three steps with updates that are smooth functions of the gradient: without the large `epsilon`, AdamW divides a gradient of rounding
/// errors by itself.
const TRAINING: &str = "[training]\nbatch_size = 4\nepochs = 1000\nmax_steps = 3\nvalidate_every = 1\nlearning_rate = 1e-2\n\
                        optimizer = { epsilon = 0.1 }\n";
const DATA: &str = "[data]\ntrain = ['train.xyz']\nvalidation = ['train.xyz']\n";

/// Architectures, each with every kind of forces that it has.
const NETWORKS: [(&str, &str); 6] = [
    (
        "schnet",
        "architecture = 'schnet'\nhidden_channels = 8\nn_filters = 8\nn_interactions = 2\nn_gaussians = 8\ncutoff = 4.0\n",
    ),
    ("painn", "architecture = 'painn'\nhidden_channels = 8\nn_layers = 2\nn_radial = 6\ncutoff = 4.0\n"),
    (
        "painn-bessel",
        "architecture = 'painn'\nhidden_channels = 8\nn_layers = 2\nn_radial = 6\ncutoff = 4.0\nradial_basis = 'spherical_bessel'\nsmooth_cutoff = true\n",
    ),
    (
        "painn-direct",
        "architecture = 'painn'\nhidden_channels = 8\nn_layers = 2\nn_radial = 6\ncutoff = 4.0\nforces = 'direct'\n",
    ),
    (GEMNET.0, GEMNET.1),
    (
        "gemnet-energy",
        "architecture = 'gemnet_oc'\natom_channels = 8\nedge_channels = 8\nn_blocks = 1\nn_radial = 6\ncutoff = 4.0\nscale_factors = 'unit'\nextensive = false\nforces = 'direct'\n",
    ),
];
const GEMNET: (&str, &str) = (
    "gemnet",
    "architecture = 'gemnet_oc'\natom_channels = 8\nedge_channels = 8\nn_blocks = 2\nn_radial = 6\ncutoff = 4.0\n\
     scale_factors = 'unit'\nforces = 'direct'\n",
);

/// Terms with each strategy; those of edges need a student with edge features.
const TERMS: [&str; 12] = [
    "strategy = 'vanilla', energy_weight = 1.0, force_weight = 1.0",
    "strategy = 'atomic_energy', weight = 1.0",
    "strategy = 'n2n', weight = 1.0",
    "strategy = 'e2n', weight = 1.0",
    "strategy = 'e2e', weight = 1.0",
    "strategy = 'v2v', weight = 1.0",
    "strategy = 'vector_geometric', weight = 1.0",
    "strategy = 'local_preservation', weight = 1.0, of = 'node'",
    "strategy = 'global_preservation', weight = 1.0, of = 'vector'",
    "strategy = 'cka', weight = 1.0, of = 'node'",
    "strategy = 'hessian', weight = 1.0, probes = 2, step = 0.1",
    "strategy = 'n2n', weight = 'auto'",
];

fn device() -> String {
    std::env::var("POTSTILL_TEST_DEVICE").unwrap_or_else(|_| "wgpu".to_owned())
}

/// Largest difference of the weights of two models, as a part of the largest weight of each tensor.
fn difference(bench: &Bench, a: &str, b: &str) -> f64 {
    let weights = |run: &str| -> BTreeMap<String, Vec<f32>> {
        let bytes = std::fs::read(bench.path(run).join("model.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let numbers = |data: &[u8]| data.as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
        file.tensors().into_iter().map(|(name, view)| (name, numbers(view.data()))).collect()
    };
    let (a, b) = (weights(a), weights(b));
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    let of = |(ours, theirs): (&Vec<f32>, &Vec<f32>)| {
        let largest = ours.iter().fold(1e-3_f32, |m, w| m.max(w.abs()));
        let apart = ours.iter().zip(theirs).fold(0.0_f32, |m, (x, y)| m.max((x - y).abs()));
        assert!(theirs.iter().all(|w| w.is_finite()));
        f64::from(apart / largest)
    };
    a.values().zip(b.values()).map(of).fold(0.0, f64::max)
}

/// Runs a configuration on the processor and on the device, and compares the weights and the validation that come out.
fn agree(bench: &Bench, verb: &str, config: &str, name: &str) {
    bench.write("now.toml", config);
    let (host, gpu) = (format!("{name}-cpu"), format!("{name}-gpu"));
    let trained = |out: &str, device: &str| {
        bench.json(&[verb, "now.toml", "--out", out, "--seed", "3", "--json", "--device", device])
    };
    let (ours, theirs) = (trained(&host, "cpu"), trained(&gpu, &device()));
    let apart = difference(bench, &host, &gpu);
    assert!(apart < TOLERANCE, "{name}: weights differ by {apart:e}");
    for key in ["energy_mae", "forces_mae"] {
        let [a, b] = [&ours, &theirs].map(|result| result["validation"][key].as_f64().unwrap());
        assert!((a - b).abs() <= TOLERANCE * a, "{name}: {key} {a} {b}");
    }
}

#[test]
fn the_device_is_the_software_renderer() {
    let bench = Bench::new();
    let all = bench.json(&["info", "--devices", "--json"]);
    let named = |entry: &serde_json::Value| entry["device"].as_str().unwrap().starts_with(&device());
    let found = all.as_array().unwrap().iter().find(|entry| named(entry)).expect("no device to test");
    if device() == "wgpu" {
        assert!(found["name"].as_str().unwrap().contains("llvmpipe"), "{found}");
    }
}

#[test]
fn every_network_trains_as_on_the_processor() {
    let bench = Bench::new();
    for (name, model) in NETWORKS {
        agree(&bench, "train", &format!("{DATA}[model]\n{model}{TRAINING}"), name);
    }
}

#[test]
fn every_strategy_takes_the_steps_of_the_processor() {
    let bench = Bench::new();
    bench.write("teacher.toml", &format!("{DATA}[model]\n{}{TRAINING}", GEMNET.1));
    bench.run(&["train", "teacher.toml", "--out", "teacher"]).success();
    bench.write("painn.toml", &format!("{DATA}[model]\n{}{TRAINING}", NETWORKS[1].1));
    bench.run(&["train", "painn.toml", "--out", "painn"]).success();
    for (k, term) in TERMS.into_iter().enumerate() {
        // Derivatives of the forces and vectors of the teacher are PaiNN's to give.
        let of_painn = ["hessian", "v2v", "vector"].iter().any(|name| term.contains(name));
        let teacher = if of_painn { "painn" } else { "teacher" };
        let student = if term.contains("e2e") { GEMNET.1.replace("= 2", "= 1") } else { NETWORKS[1].1.to_owned() };
        let distill = format!("[distill]\nteacher = '{teacher}/model.safetensors'\nterms = [{{ {term} }}]\n");
        agree(&bench, "distill", &format!("{DATA}[model]\n{student}{TRAINING}{distill}"), &format!("term-{k}"));
    }
}

#[test]
fn live_teachers_and_copies_take_the_steps_of_the_processor() {
    let bench = Bench::trained();
    let teacher =
        "[distill]\nteacher = 'run/model.safetensors'\nonline = true\nterms = [{ strategy = 'n2n', weight = 1.0 }]\n";
    let copies = |copies: &str| {
        let terms = "terms = [{ strategy = 'vanilla', energy_weight = 0.0, force_weight = 1.0 }]";
        format!("[distill.augmentation]\ncopies = {copies}\n{terms}\n")
    };
    let jitter = copies("{ kind = 'random_jitter', std = 0.02 }");
    let attack = copies("{ kind = 'adversarial', rule = { kind = 'sphere', length = 0.03 }, start_std = 0.02 }");
    for (name, more) in [("live", ""), ("jitter", &jitter), ("attack", &attack)] {
        let config = format!("{DATA}[model]\n{}{TRAINING}{teacher}{more}", NETWORKS[1].1);
        agree(&bench, "distill", &config, name);
    }
}

#[test]
fn a_run_goes_on_where_it_stopped_even_on_another_device() {
    let bench = Bench::new();
    bench.write("train.toml", &format!("{DATA}[model]\n{}{TRAINING}", NETWORKS[1].1));
    let train = |out: &str, steps: &str, device: &str| {
        let steps = format!("training.max_steps={steps}");
        bench.run(&["train", "train.toml", "--out", out, "--resume", "--set", &steps, "--device", device]).success();
    };
    train("whole", "6", &device());
    train("parts", "3", &device());
    train("parts", "6", &device());
    assert_eq!(difference(&bench, "whole", "parts"), 0.0);
    train("mixed", "3", "cpu");
    train("mixed", "6", &device());
    assert!(difference(&bench, "whole", "mixed") < TOLERANCE);
}

#[test]
fn labels_errors_and_similarities_agree() {
    let bench = Bench::trained();
    let (model, device) = ("run/model.safetensors", device());
    let numbers = |arguments: &[&str], keys: &[&str]| -> Vec<f64> {
        let found = bench.json(&[arguments, &["--json"]].concat());
        keys.iter().map(|key| found[*key].as_f64().unwrap()).collect()
    };
    let agree = |a: &[f64], b: &[f64]| {
        assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < TOLERANCE * a.abs().max(1e-3)), "{a:?} {b:?}");
    };
    let evaluate = ["evaluate", "--model", model, "--data", "train.xyz", "--engine", "network"];
    let keys = ["energy_mae", "forces_mae"];
    agree(&numbers(&evaluate, &keys), &numbers(&[&evaluate[..], &["--device", &device]].concat(), &keys));
    let label = |out: &'static str, device: &str| {
        let options = ["label", "--model", model, "--data", "train.xyz", "--node", "--vector", "--probes", "1"];
        bench.run(&[&options[..], &["--out", out, "--device", device]].concat()).success();
    };
    label("host", "cpu");
    label("gpu", &device);
    let distill = |cache: &str| {
        bench.write(
            "d.toml",
            &format!(
                "{DATA}[model]\n{}{TRAINING}[distill]\nteacher = 'run/model.safetensors'\ncache = '{cache}'\n\
                 terms = [{{ strategy = 'n2n', weight = 1.0 }}, {{ strategy = 'v2v', weight = 1.0 }}]\n",
                NETWORKS[1].1
            ),
        );
        bench.run(&["distill", "d.toml", "--out", &format!("of-{cache}")]).success();
    };
    distill("host");
    distill("gpu");
    assert!(difference(&bench, "of-host", "of-gpu") < TOLERANCE);
    let similarity = |device: &str| {
        let compare = ["similarity", "--a", model, "--b", model, "--data", "train.xyz", "--json", "--device", device];
        bench.json(&compare)["comparisons"][0]["similarity"]["cka"][0][1].as_f64().unwrap()
    };
    agree(&[similarity("cpu")], &[similarity(&device)]);
}

#[test]
fn what_a_device_cannot_do_is_said() {
    let bench = Bench::trained();
    let device = device();
    let absent = format!("{device}:77");
    bench.fails(&["train", "train.toml", "--out", "x", "--device", &absent], &["--device", ":77", "no such device"]);
    bench.fails(
        &["train", "train.toml", "--out", "x", "--device", &device, "--set", "training.dtype='f64'"],
        &["training.dtype", "f64 is for the CPU"],
    );
    let evaluate = ["evaluate", "--model", "run/model.safetensors", "--data", "train.xyz", "--device", &device];
    bench.fails(&[&evaluate[..], &["--dtype", "f64"]].concat(), &["--dtype f64"]);
    bench.fails(&[&evaluate[..], &["--engine", "fast"]].concat(), &["--engine fast"]);
}

/// A matrix of weights is larger than any buffer of the software renderer.
#[test]
fn missing_memory_is_said_with_what_to_do() {
    if device() != "wgpu" {
        return;
    }
    let bench = Bench::new();
    let model = "architecture = 'painn'\nhidden_channels = 4096\nn_layers = 1\nn_radial = 6\ncutoff = 4.0\n";
    bench.write("large.toml", &format!("{DATA}[model]\n{model}{TRAINING}"));
    bench.fails(
        &["train", "large.toml", "--out", "run", "--device", "wgpu"],
        &["the device has no memory left", "training.activation_gib", "training.batch_size"],
    );
}

/// `cargo test --release --workspace --features potstill/vulkan --test gpu -- --ignored --nocapture`
#[test]
#[ignore = "prints times, and checks nothing"]
fn kernels_against_plain_operations() {
    use burn::tensor::{DType, Device, DeviceKind, Distribution, IndexingUpdateOp, Tensor};
    use potstill_core::System;
    use potstill_core::model::{Architecture, Forces, PaiNNConfig};
    use potstill_nn::tensors::{RowIndex, sum_rows, to_host};
    use potstill_nn::{Batch, Network};

    #[cfg(feature = "vulkan")]
    let device = Device::vulkan(DeviceKind::DefaultDevice);
    #[cfg(not(feature = "vulkan"))]
    let device = Device::wgpu(DeviceKind::DefaultDevice);
    let time = |name: &str, run: &dyn Fn() -> Tensor<1>| {
        let mut times: Vec<f64> = (0..25)
            .map(|_| {
                let start = std::time::Instant::now();
                to_host(&run());
                1e3 * start.elapsed().as_secs_f64()
            })
            .skip(5)
            .collect();
        times.sort_by(f64::total_cmp);
        println!("{name}: {:.3} ms ({:.3} to {:.3})", times[10], times[0], times[19]);
    };

    // Small enough for the buffers of a software renderer.
    let (n_atoms, degree) = (600, 40);
    for width in [128, 384, 1152] {
        let targets: Vec<i32> = (0..n_atoms * degree).map(|e| e / degree).collect();
        let index = RowIndex::new(targets, &device);
        let values = Tensor::<2>::random([index.len(), width], Distribution::Default, &device);
        let rows = n_atoms as usize;
        time(&format!("sum of {} rows of {width} by entries", index.len()), &|| {
            sum_rows(values.clone(), &index, rows).narrow(0, 0, 1).narrow(1, 0, 1).reshape([1])
        });
        time(&format!("sum of {} rows of {width} by the framework", index.len()), &|| {
            let zeros = Tensor::<2>::zeros([rows, width], &device);
            let sums = zeros.select_assign(0, index.rows().clone(), values.clone(), IndexingUpdateOp::Add);
            sums.narrow(0, 0, 1).narrow(1, 0, 1).reshape([1])
        });
    }

    let device = device.autodiff();
    let side = 8;
    let place = |i: i32| [i % side, i / side % side, i / side / side].map(|x| 2.2 * f64::from(x));
    let system = System {
        atomic_numbers: vec![6; side.pow(3) as usize],
        positions: (0..side.pow(3)).map(place).collect(),
        ..System::default()
    };
    for (channels, forces) in [(128, Forces::Gradient), (256, Forces::Gradient), (256, Forces::Direct)] {
        let settings =
            PaiNNConfig { hidden_channels: channels, n_layers: 4, cutoff: 5.0, forces, ..PaiNNConfig::default() };
        let architecture = Architecture::from(settings);
        let network = Network::init(&architecture, 1, &device, DType::F32);
        let batch = Batch::of(&architecture.graph_rule().build(&[&system]).unwrap(), &device, DType::F32);
        let plain = Batch { host: None, ..batch.clone() };
        for (name, batch) in [("kernels", &batch), ("plain operations", &plain)] {
            time(
                &format!("PaiNN {channels}x4, {forces:?} forces, {} edges, both ways by {name}", batch.n_edges),
                &|| {
                    let output = network.forward(batch, forces, &[]);
                    let loss = output.energy.sum() + output.forces.map(|f| f.powi_scalar(2).sum()).unwrap();
                    let mut gradients = loss.clone().backward();
                    let mut all: Vec<f32> = Vec::new();
                    potstill_nn::parameters::gradients_to_vector(&network, &mut gradients, &mut all);
                    loss.inner()
                },
            );
        }
    }
}
