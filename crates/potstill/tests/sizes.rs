//! Absurd numbers in configurations, headers of models, training states: one line that names the number, at once.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use assert_cmd::Command;
use safetensors::SafeTensors;
use tempfile::TempDir;

const WATER: &str = "3\nProperties=species:S:1:pos:R:3:forces:R:3 energy=-1.0 pbc=\"F F F\"\n\
O 0.0 0.0 0.0 0.1 0.0 0.0\nH 0.96 0.0 0.0 -0.1 0.2 0.0\nH -0.24 0.93 0.0 0.0 -0.2 0.0\n";
const METHANE: &str = "5\nProperties=species:S:1:pos:R:3:forces:R:3 energy=-2.0 pbc=\"F F F\"\n\
C 0.0 0.0 0.0 0.0 0.1 0.0\nH 0.63 0.63 0.63 0.0 -0.1 0.0\nH -0.63 -0.63 0.63 0.0 0.0 0.3\nH 0.63 -0.63 -0.63 0.0 0.0 0.0\n\
H -0.63 0.63 -0.63 0.0 0.0 -0.3\n";
/// Far longer than a refusal takes, far shorter than gigabytes do.
const AT_ONCE: Duration = Duration::from_secs(20);
const HUGE: &str = "1000000000000000000";

const SCHNET: &str =
    "architecture = 'schnet'\nhidden_channels = 8\nn_filters = 8\nn_interactions = 1\nn_gaussians = 6\ncutoff = 4.0\n";
const PAINN: &str = "architecture = 'painn'\nhidden_channels = 8\nn_layers = 2\nn_radial = 6\ncutoff = 4.0\n";
const GEMNET: &str =
    "architecture = 'gemnet_oc'\natom_channels = 8\nedge_channels = 8\nn_blocks = 1\nn_radial = 6\ncutoff = 4.0\n";

struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new(model: &str) -> Self {
        let bench = Self { folder: TempDir::new().unwrap() };
        fs::write(bench.path("train.xyz"), format!("{WATER}{METHANE}{WATER}{METHANE}")).unwrap();
        let text = format!(
            "[data]\ntrain = ['train.xyz']\nvalidation = ['train.xyz']\n[model]\n{model}\
             [training]\nbatch_size = 2\nepochs = 1\n"
        );
        fs::write(bench.path("train.toml"), text).unwrap();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let start = Instant::now();
        let mut command = Command::new(env!("CARGO_BIN_EXE_potstill"));
        let output =
            command.current_dir(self.folder.path()).args(arguments).arg("--threads").arg("1").output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(start.elapsed() < AT_ONCE, "{arguments:?} took {:?}: {text}", start.elapsed());
        (output.status.code(), text)
    }

    /// Exit status 2 and one line of error that holds `wanted`.
    fn refuses(&self, arguments: &[&str], wanted: &str) {
        let (code, text) = self.run(arguments);
        let errors: Vec<&str> = text.lines().filter(|line| line.starts_with("error: ")).collect();
        assert!(code == Some(2) && errors.len() == 1, "{arguments:?}: {code:?} {text}");
        assert!(errors[0].contains(wanted), "{arguments:?}: no `{wanted}` in {}", errors[0]);
    }

    fn refuses_setting(&self, key: &str, value: &str) {
        self.refuses(&["train", "train.toml", "--out", "run", "--set", &format!("{key}={value}")], key);
    }
}

#[test]
fn sizes_of_networks() {
    let schnet = ["hidden_channels", "n_filters", "n_interactions", "n_gaussians"];
    let painn = ["hidden_channels", "n_layers", "n_radial", "envelope_exponent"];
    let gemnet = [
        "atom_channels",
        "edge_channels",
        "n_blocks",
        "n_radial",
        "n_spherical",
        "triplet_in_channels",
        "triplet_out_channels",
        "quadruplet_in_channels",
        "quadruplet_out_channels",
        "pair_in_channels",
        "pair_out_channels",
        "radial_channels",
        "circular_channels",
        "spherical_channels",
        "max_neighbors",
        "max_quadruplet_neighbors",
        "max_atom_edge_neighbors",
        "max_atom_neighbors",
        "envelope_exponent",
    ];
    for (model, keys) in [(SCHNET, &schnet[..]), (PAINN, &painn), (GEMNET, &gemnet)] {
        let bench = Bench::new(model);
        for key in keys {
            let is_exponent = *key == "envelope_exponent";
            let values: &[&str] = if is_exponent { &["0", "4000000000"] } else { &["0", "4000000000", HUGE] };
            values.iter().for_each(|value| bench.refuses_setting(&format!("model.{key}"), value));
        }
        for value in ["0.0", "-1.0", "nan", "inf", "1e6", "1e308"] {
            bench.refuses_setting("model.cutoff", value);
        }
    }
    let bench = Bench::new(GEMNET);
    for key in [
        "n_before_skip",
        "n_after_skip",
        "n_concat",
        "n_atom",
        "n_output_after_atom",
        "n_atom_embedding",
        "n_global_output",
    ] {
        bench.refuses_setting(&format!("model.{key}"), HUGE);
    }
    for key in ["quadruplet_cutoff", "atom_edge_cutoff", "atom_cutoff"] {
        bench.refuses_setting(&format!("model.{key}"), "1e300");
    }
    for model in [SCHNET, PAINN] {
        Bench::new(model).refuses_setting("model.neighbors", &format!("{{ nearest = {HUGE} }}"));
    }
}

#[test]
fn networks_that_no_machine_holds() {
    for (model, settings, wanted) in [
        (PAINN, &["model.hidden_channels=65536", "model.n_layers=1000"][..], "weights, more than 2e10"),
        (GEMNET, &["model.edge_channels=65536", "model.n_blocks=1000"], "weights, more than 2e10"),
        // 15 billion weights: 340 GiB for weights, average, moments and gradients.
        (PAINN, &["model.hidden_channels=16384", "model.n_layers=4"], "GiB are free"),
        (SCHNET, &["model.hidden_channels=65536", "model.n_filters=30000"], "GiB are free"),
    ] {
        let bench = Bench::new(model);
        let mut arguments = vec!["train", "train.toml", "--out", "run"];
        settings.iter().for_each(|setting| arguments.extend(["--set", setting]));
        bench.refuses(&arguments, wanted);
    }
}

#[test]
fn numbers_of_a_training() {
    let bench = Bench::new(PAINN);
    for (key, values) in [
        ("training.batch_size", &["0", HUGE][..]),
        ("training.epochs", &["0", HUGE]),
        ("training.validate_every", &["0", HUGE]),
        ("training.max_steps", &[HUGE]),
        ("training.checkpoint_steps", &[HUGE]),
        ("training.patience", &[HUGE]),
        ("training.max_minutes", &["0.0", "nan", "inf", "1e300"]),
        ("training.activation_gib", &["0.0", "nan", "inf", "1e300"]),
        ("training.learning_rate", &["0.0", "nan", "inf", "1e300"]),
        ("training.energy_weight", &["-1.0", "nan", "inf", "1e300"]),
        ("training.force_weight", &["-1.0", "nan", "inf", "1e300"]),
        ("training.clip_norm", &["-1.0", "nan", "inf"]),
        ("training.optimizer.weight_decay", &["-1.0", "nan", "inf", "1e300"]),
    ] {
        values.iter().for_each(|value| bench.refuses_setting(key, value));
    }
    let schedule = |text: &str| format!("training.schedule={{ {text} }}");
    for (text, wanted) in [
        (format!("kind = 'cosine', warmup_steps = {HUGE}"), "warmup_steps"),
        (format!("kind = 'cosine', total_steps = {HUGE}"), "total_steps"),
        (
            format!("kind = 'warmup_exponential', warmup_steps = 1, decay_rate = 0.5, decay_steps = {HUGE}"),
            "decay_steps",
        ),
        (format!("kind = 'plateau', factor = 0.5, patience = {HUGE}"), "patience"),
    ] {
        bench.refuses(&["train", "train.toml", "--out", "run", "--set", &schedule(&text)], wanted);
    }
    fs::copy(bench.path("train.xyz"), bench.path("more.xyz")).unwrap();
    for value in ["-0.1", "1.0", "0.99999999", "nan"] {
        let mix = format!("data.mix={{ synthetic = {value} }}");
        let arguments = ["train", "train.toml", "--out", "run", "--set", "data.synthetic=['more.xyz']", "--set", &mix];
        bench.refuses(&arguments, "data.mix.synthetic");
    }
}

#[test]
fn numbers_of_a_distillation() {
    let bench = Bench::new(PAINN);
    let distill = |terms: &str, more: &str, wanted: &str| {
        let settings =
            ["distill.teacher='teacher.safetensors'".to_owned(), format!("distill.terms=[{terms}]"), more.to_owned()];
        let mut arguments = vec!["distill", "train.toml", "--out", "run"];
        settings.iter().filter(|s| !s.is_empty()).for_each(|setting| arguments.extend(["--set", setting]));
        bench.refuses(&arguments, wanted);
    };
    for (probes, step) in [("0", "0.01"), (HUGE, "0.01"), ("1", "0.0"), ("1", "1e300"), ("1", "nan")] {
        let term = format!("{{ strategy = 'hessian', weight = 1.0, probes = {probes}, step = {step} }}");
        distill(&term, "", "distill.terms (hessian)");
    }
    for weight in ["-1.0", "nan", "inf", "1e300"] {
        distill(&format!("{{ strategy = 'n2n', weight = {weight} }}"), "", "weight");
    }
    for copies in [
        "{ kind = 'random_jitter', std = 1e300 }".to_owned(),
        "{ kind = 'random_jitter', std = 0.1, fixed_length = 1e300 }".to_owned(),
        format!("{{ kind = 'adversarial', rule = {{ kind = 'sphere', length = 0.1 }}, steps = {HUGE} }}"),
        "{ kind = 'adversarial', rule = { kind = 'sphere', length = 1e300 }, steps = 3 }".to_owned(),
    ] {
        let terms = "[{ strategy = 'n2n', weight = 1.0 }]";
        let augmentation = format!("distill.augmentation={{ copies = {copies}, terms = {terms} }}");
        distill("", &augmentation, "distill.augmentation.copies");
    }
}

/// Writes a safetensors file again with its metadata changed by `change`.
fn change_header(path: &Path, key: &str, change: impl Fn(&mut serde_json::Value)) -> Vec<u8> {
    let bytes = fs::read(path).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let mut value = serde_json::from_str(&header.metadata().as_ref().unwrap()[key]).unwrap();
    change(&mut value);
    let metadata = HashMap::from([(key.to_owned(), value.to_string())]);
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    safetensors::serialize(tensors.tensors(), Some(metadata)).unwrap()
}

#[test]
fn headers_of_models() {
    for (model, keys) in [
        (SCHNET, &["hidden_channels", "n_filters", "n_interactions", "n_gaussians"][..]),
        (PAINN, &["hidden_channels", "n_layers", "n_radial", "envelope_exponent"]),
        (GEMNET, &["atom_channels", "n_blocks", "n_radial", "n_spherical", "n_atom", "max_neighbors"]),
    ] {
        let bench = Bench::new(model);
        assert_eq!(bench.run(&["train", "train.toml", "--out", "run"]).0, Some(0));
        let original = bench.path("run/model.safetensors");
        let commands = [
            &["info", "bad.safetensors"][..],
            &["evaluate", "--model", "bad.safetensors", "--data", "train.xyz"],
            &[
                "predict",
                "--engine",
                "network",
                "--model",
                "bad.safetensors",
                "--input",
                "train.xyz",
                "--output",
                "out.xyz",
            ],
        ];
        let huge: serde_json::Value = 1_000_000_000_000_u64.into();
        let mut cases: Vec<(&str, serde_json::Value)> = keys.iter().map(|key| (*key, huge.clone())).collect();
        cases.extend([("cutoff", 1e300.into()), ("cutoff", 0.0.into())]);
        for (key, value) in cases {
            let bad = change_header(&original, "potstill", |header| header["model"][key] = value.clone());
            fs::write(bench.path("bad.safetensors"), bad).unwrap();
            for command in commands {
                // A number that does not even fit its type has no name.
                let wanted = if key == "envelope_exponent" { "bad.safetensors: header" } else { key };
                bench.refuses(command, wanted);
            }
        }
    }
}

#[test]
fn states_of_trainings() {
    let bench = Bench::new(PAINN);
    assert_eq!(bench.run(&["train", "train.toml", "--out", "run"]).0, Some(0));
    let state = bench.path("run/checkpoints/last.safetensors");
    let original = fs::read(&state).unwrap();
    for key in ["epoch", "batch", "step", "waited", "seconds"] {
        let huge: serde_json::Value = if key == "seconds" { (-1.0).into() } else { u64::MAX.into() };
        let bad = change_header(&state, "potstill-training", |header| header[key] = huge.clone());
        fs::write(&state, bad).unwrap();
        let arguments = ["train", "train.toml", "--out", "run", "--resume", "--set", "training.epochs=2"];
        bench.refuses(&arguments, key);
        fs::write(&state, &original).unwrap();
    }
}

#[test]
fn numbers_of_commands() {
    let bench = Bench::new(PAINN);
    for size in ["1e30", "-1", "nan", "inf", "1000000000000000000000000000000"] {
        bench.refuses(&["data", "split", "train.xyz", "--parts", &format!("train={size}"), "--out", "parts"], "train");
    }
    bench.refuses(
        &["data", "split", "train.xyz", "--parts", &format!("train={HUGE}"), "--out", "parts"],
        "systems asked for",
    );
    assert_eq!(bench.run(&["train", "train.toml", "--out", "run"]).0, Some(0));
    for (name, value) in [("--probes", HUGE), ("--probes", "1001"), ("--probe-step", "1e300")] {
        let mut arguments = vec!["label", "--model", "run/model.safetensors", "--data", "train.xyz", "--out", "cache"];
        arguments.extend([name, value]);
        if name == "--probe-step" {
            arguments.extend(["--probes", "1"]);
        }
        bench.refuses(&arguments, "probe");
    }
}
