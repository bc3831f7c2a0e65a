//! Commands that are killed, and their tiny inputs.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Result;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A command in a folder beside the inputs.
pub struct Case {
    /// Name.
    pub name: &'static str,
    /// Arguments of the program.
    pub arguments: &'static [&'static str],
    /// Whether it goes on with `--resume`; others are started again as they were.
    pub resumes: bool,
    /// Files that are complete as soon as they are there.
    pub final_files: &'static [&'static str],
}

/// All cases.
pub fn all() -> Vec<Case> {
    let case = |name, arguments, resumes, final_files| Case { name, arguments, resumes, final_files };
    vec![
        case("train", &["train", "../inputs/teacher.toml", "--out", "out"], true, &[]),
        case("distill", &["distill", "../inputs/student.toml", "--out", "out"], true, &[]),
        case(
            "label",
            &[
                "label",
                "--model",
                "../inputs/teacher/model.safetensors",
                "--data",
                "../inputs/big.xyz",
                "--out",
                "out",
                "--node",
                "--vector",
            ],
            false,
            &["out/index.json"],
        ),
        case(
            "generate",
            &[
                "data",
                "generate",
                "--teacher",
                "../inputs/teacher/model.safetensors",
                "--seeds",
                "../inputs/train.xyz",
                "--method",
                "md",
                "--per-seed",
                "20",
                "--output",
                "out.extxyz",
            ],
            false,
            &["out.extxyz"],
        ),
        case(
            "md",
            &[
                "md",
                "--model",
                "../inputs/teacher/model.safetensors",
                "--input",
                "../inputs/val.xyz",
                "--out",
                "out",
                "--steps",
                "3000",
                "--temperature",
                "50",
                "--friction-time",
                "20",
                "--every",
                "10",
                "--restart-every",
                "100",
            ],
            true,
            &[],
        ),
        case("convert", &["data", "convert", "../inputs/big.xyz", "out.npz"], false, &["out.npz"]),
        case("rounds", &["distill", "../inputs/rounds.toml", "--out", "out"], true, &[]),
        case("study", &["study", "../inputs/study.toml", "--out", "out"], false, &[]),
    ]
}

const TEACHER: &str = "[data]\ntrain = ['train.xyz']\nvalidation = ['val.xyz']\n[model]\narchitecture = 'painn'\n\
hidden_channels = 8\nn_layers = 1\nn_radial = 6\ncutoff = 4.0\n[training]\nbatch_size = 4\nepochs = 30\n\
checkpoint_steps = 4\nema_decay = 0.9\nmax_steps = 175\n";

const ROUNDS: &str = "[distill]\nteacher = 'teacher/model.safetensors'\n[distill.rounds]\nn = 2\nseeds = ['val.xyz']\n\
test = ['test.xyz']\ntemperatures = [10.0, 20.0]\nlabels = 24\ntrajectories = 6\npicoseconds = 0.05\n";

const TERMS: &str =
    "[{ strategy = 'n2n', weight = 1.0 }, { strategy = 'vanilla', energy_weight = 1.0, force_weight = 1.0 }]";

/// Writes data and configurations.
pub fn write_inputs(folder: &Path) -> Result<()> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    for (name, n, smallest, largest) in
        [("train", 24, 4, 7), ("val", 8, 4, 7), ("test", 8, 4, 7), ("big", 7000, 12, 12)]
    {
        let text: String = (0..n).map(|i| molecule(smallest + i % (largest - smallest + 1), &mut rng)).collect();
        fs::write(folder.join(format!("{name}.xyz")), text)?;
    }
    let student = TEACHER.replace("hidden_channels = 8", "hidden_channels = 4");
    let distill = format!("{student}[distill]\nteacher = 'teacher/model.safetensors'\nterms = {TERMS}\n");
    // A study's trainings are short, there are several.
    let short = student.replace("epochs = 30", "epochs = 8");
    let study = format!(
        "teacher = 'teacher/model.safetensors'\ntest = ['test.xyz']\nseeds = [0, 1]\n[[students]]\nname = 'small'\n\
         config = 'short.toml'\n[[runs]]\nname = 'alone'\n[[runs]]\nname = 'both'\nterms = {TERMS}\n"
    );
    let rounds = format!("{ROUNDS}{}", &student[student.find("[model]").unwrap_or(0)..])
        .replace("max_steps = 175", "max_steps = 40");
    let all = [("teacher", TEACHER), ("student", &distill), ("short", &short), ("study", &study), ("rounds", &rounds)];
    for (name, text) in all {
        fs::write(folder.join(format!("{name}.toml")), text)?;
    }
    Ok(())
}

/// A labelled molecule whose labels mean nothing, no two atoms nearer than 0.9 Å.
fn molecule(n: usize, rng: &mut ChaCha8Rng) -> String {
    let side = 1.6 * (n as f64).cbrt() + 0.5;
    let mut positions: Vec<[f64; 3]> = Vec::new();
    while positions.len() < n {
        let new: [f64; 3] = std::array::from_fn(|_| side * rng.random::<f64>());
        let square = |old: &[f64; 3]| old.iter().zip(&new).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        if positions.iter().all(|old| square(old) > 0.81) {
            positions.push(new);
        }
    }
    let energy = -5.0 * rng.random::<f64>();
    let mut text = format!("{n}\nProperties=species:S:1:pos:R:3:forces:R:3 energy={energy:.6} pbc=\"F F F\"\n");
    for [x, y, z] in positions {
        let element = ["H", "C", "N", "O"][rng.random_range(0..4)];
        let force: [f64; 3] = std::array::from_fn(|_| rng.random::<f64>() - 0.5);
        let _ = writeln!(text, "{element} {x:.6} {y:.6} {z:.6} {:.5} {:.5} {:.5}", force[0], force[1], force[2]);
    }
    text
}
