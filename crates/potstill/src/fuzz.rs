//! Fuzzing of what only the program reads; the other targets are in `tests/fuzz`, which tells more.

use std::path::Path;

use anyhow::{Context, Result};
use potstill_testkit::fuzz::{self, Target, shape};

use crate::config_file;
use crate::study;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz");

const WORDS: &[&str] = &[
    "training.epochs=",
    "distill.terms.0.weight=",
    "data.train.0=",
    "model=1\n",
    "a.b.c.d=1\n",
    "seeds = [0, 1]\n",
    "[[students]]\n",
    "[[runs]]\n",
    "[tuning]\nfactors = [0.5]\n",
    "tune = true\n",
    "factors = [1.0]\n",
    "set = ['training.epochs=2']\n",
    "students = ['small']\n",
    "teacher = ['a', 'b']\n",
    "terms = [{ strategy = 'pae', weight = 1.0 }]\n",
    "name = 'x'\n",
    "augmentation = { copies = { kind = 'random_jitter', std = 0.1 }, terms = [] }\n",
];

fn targets() -> Vec<Target> {
    let of = |name, read: fn(&Path) -> Result<()>| Target {
        name,
        file: "input.toml",
        corpus: fuzz::corpus(&Path::new(FOLDER).join("corpus").join(name)),
        dictionary: WORDS,
        shape: shape::plain,
        read: Box::new(move |path| read(path).map_err(|e| format!("{e:#}"))),
    };
    vec![of("settings", settings), of("study", study)]
}

/// The first line is a setting as after `--set`, the rest a configuration.
fn settings(path: &Path) -> Result<()> {
    let text = std::fs::read_to_string(path).context("cannot open")?;
    let (setting, rest) = text.split_once('\n').unwrap_or((&text, ""));
    let config = path.with_file_name("config.toml");
    std::fs::write(&config, rest)?;
    config_file::read(&config, &[setting.to_owned()]).map(|_| ())
}

/// A study, and every training that it asks for.
fn study(path: &Path) -> Result<()> {
    let config = path.with_file_name("s.toml");
    if !config.exists() {
        std::fs::copy(Path::new(FOLDER).join("corpus/config/painn.toml"), &config)?;
    }
    let read = study::read(path)?;
    read.trials(&study::configure)?;
    Ok(read.cells(&study::configure, &|_, _| None).map(|_| ())?)
}

#[test]
fn changed_settings_and_studies_are_read_or_refused() {
    let folder = Path::new(FOLDER).join("regressions");
    for mut target in targets() {
        fuzz::check(&target, 10_000);
        fuzz::regressions(&mut target, &folder);
    }
}

#[test]
#[ignore = "runs for as long as it is told; use `cargo xtask fuzz`"]
fn fuzz_worker() {
    fuzz::worker(&targets());
}
