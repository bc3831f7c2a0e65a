//! Every `toml` block of the README is a configuration, a study, or a part of a configuration.

#[path = "../../xtask/src/markdown.rs"]
mod markdown;

use potstill_train::config::Config;
use toml::{Table, Value};

/// What a block that says less stands in.
const REST: &str = "[data]\ntrain = ['train.extxyz']\n[model]\narchitecture = 'painn'\n";
/// What a block about distillation may leave out.
const TEACHER: &str =
    "[distill]\nteacher = 'teacher.safetensors'\nterms = [{ strategy = 'atomic_energy', weight = 1.0 }]\n";

fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(old)), Value::Table(new)) => merge(old, new),
            (_, value) => drop(into.insert(key, value)),
        }
    }
}

fn check(text: &str) -> Result<(), String> {
    let block: Table = toml::from_str(text).map_err(|e| e.to_string())?;
    let mut whole: Table = toml::from_str(REST).map_err(|e| e.to_string())?;
    if block.contains_key("distill") {
        merge(&mut whole, toml::from_str(TEACHER).map_err(|e| e.to_string())?);
    }
    merge(&mut whole, block);
    let text = toml::to_string(&whole).map_err(|e| e.to_string())?;
    toml::from_str::<Config>(&text).map_err(|e| e.to_string())?.validate().map_err(|e| e.to_string())
}

#[test]
fn settings_of_the_readme_are_settings() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = markdown::blocks(&text);
    let blocks: Vec<_> = blocks.iter().filter(|block| block.language == "toml").collect();
    assert!(blocks.len() >= 3, "{} blocks", blocks.len());
    for block in blocks {
        check(&block.text).unwrap_or_else(|e| panic!("README.md:{}: {e}", block.line));
    }
}

#[test]
fn wrong_blocks_are_noticed() {
    for wrong in ["[training]\nepoch = 3", "[model]\ncutoff = -1.0", "[distill.augmentation]\ncopies = 3", "a = "] {
        assert!(check(wrong).is_err(), "{wrong}");
    }
}
