//! Files of other programs through the command line; the formats themselves are tested where they are read.

use std::fs;
use std::path::Path;
use std::process::Output;

use assert_cmd::Command;
use potstill_fixtures::{self as fixtures, data};
use potstill_fixtures_macros::{needs_datasets, needs_full_set};
use tempfile::TempDir;

const SYSTEMS: &str = "3\nProperties=species:S:1:pos:R:3:forces:R:3 energy=-1.0 pbc=\"F F F\"\n\
O 0.0 0.0 0.0 0.1 0.0 0.0\nH 0.96 0.0 0.0 -0.1 0.2 0.0\nH -0.24 0.93 0.0 0.0 -0.2 0.0\n";

const GEMNET: &str = "[data]\ntrain = ['train.xyz']\n[model]\narchitecture = 'gemnet_oc'\natom_channels = 8\n\
edge_channels = 8\nn_blocks = 1\nn_radial = 6\ncutoff = 5.0\n[training]\nbatch_size = 2\nepochs = 1\n";

fn potstill(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_potstill"));
    command.current_dir(folder).args(arguments).args(["--threads", "1"]).output().unwrap()
}

fn done(folder: &Path, arguments: &[&str]) -> String {
    let output = potstill(folder, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The command fails with status 2, one line and all of `words` in it, and writes nothing.
fn refused(folder: &Path, arguments: &[&str], words: &[&str]) {
    let output = potstill(folder, arguments);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    let error = stderr.lines().last().unwrap_or_default();
    assert!(error.starts_with("error: ") && words.iter().all(|word| error.contains(word)), "{stderr}");
    assert!(!folder.join("model.safetensors").exists());
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

#[test]
fn import_info_export() {
    for checkpoint in fixtures::files("checkpoints", "best_checkpoint.pt") {
        let name = checkpoint.file_name().and_then(|name| name.to_str()).unwrap().to_owned();
        let folder = TempDir::new().unwrap();
        let checkpoint = text(&checkpoint);
        let import = ["import", "--checkpoint", &checkpoint, "--output", "model.safetensors", "--allow-unit-scales"];
        done(folder.path(), &import);
        let info: serde_json::Value =
            serde_json::from_str(&done(folder.path(), &["info", "model.safetensors", "--json"])).unwrap();
        assert!(name.starts_with(info["model"]["architecture"].as_str().unwrap()), "{name}: {info}");
        done(folder.path(), &["export", "--model", "model.safetensors", "--output", "ocp.safetensors"]);
        let exported = fixtures::read(&folder.path().join("ocp.safetensors"));
        assert!(exported.keys().any(|key| key.contains("weight")) && exported.len() > 10, "{name}");
    }
}

#[needs_full_set]
#[test]
fn imports_that_do_not_fit() {
    let [checkpoint] = &fixtures::files("checkpoints", "painn_best_checkpoint.pt")[..] else { panic!("a PaiNN") };
    let folder = TempDir::new().unwrap();
    let base = ["import", "--checkpoint", &text(checkpoint), "--output", "model.safetensors"].map(str::to_owned);
    let with =
        |more: &[&str]| -> Vec<String> { base.iter().cloned().chain(more.iter().map(|m| (*m).to_owned())).collect() };
    let refuse = |more: &[&str], words: &[&str]| {
        let arguments = with(more);
        refused(folder.path(), &arguments.iter().map(String::as_str).collect::<Vec<_>>(), words);
    };
    fs::write(folder.path().join("schnet.yml"), "model:\n  name: schnet\n  hidden_channels: 8\n").unwrap();
    refuse(
        &["--config", "schnet.yml"],
        &["configuration of a SchNet", "missing: embedding.weight", "not part of it: atom_emb"],
    );
    refuse(&["--config", "nowhere.yml"], &["nowhere.yml"]);
    fs::write(folder.path().join("broken.pt"), b"PK\x03\x04 and nothing more").unwrap();
    refused(folder.path(), &["import", "--checkpoint", "broken.pt", "--output", "model.safetensors"], &["broken.pt"]);
}

#[test]
fn scale_factors_are_fitted_and_fit_into_a_configuration() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("train.xyz"), SYSTEMS.repeat(4)).unwrap();
    fs::write(folder.path().join("gemnet.toml"), GEMNET).unwrap();
    done(folder.path(), &["fit-scales", "gemnet.toml", "--out", "scales.toml"]);
    let factors = fs::read_to_string(folder.path().join("scales.toml")).unwrap();
    assert!(factors.contains("scale_rbf"), "{factors}");
    let printed: serde_json::Value =
        serde_json::from_str(&done(folder.path(), &["fit-scales", "gemnet.toml", "--json"])).unwrap();
    assert!(printed.as_object().unwrap().len() > 5, "{printed}");
    done(folder.path(), &["train", "gemnet.toml", "--out", "run"]);
    done(folder.path(), &["evaluate", "--model", "run/model.safetensors", "--data", "train.xyz"]);
}

#[needs_datasets]
#[test]
fn lmdb_becomes_extended_xyz() {
    let data = data("oc20_lmdb");
    let folder = TempDir::new().unwrap();
    let info = |path: &str| -> serde_json::Value {
        serde_json::from_str(&done(folder.path(), &["data", "info", path, "--json"])).unwrap()
    };
    let expected = info(&text(&data.join("same_24_systems.extxyz")));
    for name in ["pyg1.lmdb", "pyg2.lmdb"] {
        let out = format!("{name}.extxyz");
        done(folder.path(), &["data", "convert", &text(&data.join(name)), &out]);
        let found = info(&out);
        for key in ["n_systems", "n_atoms", "elements"] {
            assert!(!found[key].is_null(), "{key}: {found}");
            assert_eq!(found[key], expected[key], "{name}, {key}");
        }
    }
}
