//! Settings: configurations, and those of other programs.

use std::path::Path;

use potstill_core::{Error, Result};
use potstill_nn::import::{architecture, read_yaml};
use potstill_testkit::fuzz::{Target, shape};
use potstill_train::config::Config;

use super::corpus;
use super::systems::reader;

const TOML: &[&str] = &[
    "[data]\n",
    "[model]\n",
    "[training]\n",
    "[distill]\n",
    "[[distill.terms]]\n",
    "[distill.augmentation]\n",
    "architecture = \"gemnet_oc\"\n",
    "hidden_channels = ",
    "strategy = \"hessian\"\n",
    "weight = \"auto\"\n",
    "weight = { auto = 0.3 }\n",
    "schedule = { kind = \"cosine\", warmup_steps = 5 }\n",
    "schedule = { kind = \"plateau\", factor = 0.5 }\n",
    "neighbors = { nearest = 3 }\n",
    "reference_energies = { H = -1.0 }\n",
    "normalization = { mean = 0.0, std = 0.0 }\n",
    "= nan\n",
    "= inf\n",
    "= -1\n",
    "[",
    "{",
    "\"\"\"",
    "1979-05-27",
];

/// All of them.
pub fn targets() -> Vec<Target> {
    vec![
        Target {
            name: "config",
            file: "input.toml",
            corpus: corpus("config"),
            dictionary: TOML,
            shape: shape::plain,
            read: reader(config),
        },
        Target {
            name: "yaml",
            file: "input.yml",
            corpus: corpus("yaml"),
            dictionary: &[
                "model:\n",
                "  name: gemnet_oc\n",
                "includes:\n  - input.yml\n",
                "- ",
                "? ",
                "&a ",
                "*a",
                "|",
                "!!int",
            ],
            shape: shape::plain,
            read: reader(yaml),
        },
    ]
}

/// Reads and checks a configuration, and asks it what a run would before it allocates.
fn config(path: &Path) -> Result<()> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, "cannot open", e))?;
    let config: Config = toml::from_str(&text).map_err(|e| Error::file(path, e.message().replace('\n', " ")))?;
    config.validate()?;
    config.model.n_parameters();
    config.model.graph_rule();
    toml::to_string_pretty(&config).map(|_| ()).map_err(|e| Error::file(path, e.to_string()))
}

fn yaml(path: &Path) -> Result<()> {
    let settings = read_yaml(path)?;
    let (name, attributes) = match (&settings["model"]["name"], settings["model"].as_object()) {
        (serde_json::Value::String(name), Some(attributes)) => (name, attributes),
        _ => return Err(Error::file(path, "no model")),
    };
    architecture(name, attributes)?.validate()
}
