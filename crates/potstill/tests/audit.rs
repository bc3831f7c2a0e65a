//! What the program says of data that are not what their owner thinks they are.

use std::fs;
use std::path::PathBuf;

use assert_cmd::Command;
use tempfile::TempDir;

struct Bench {
    folder: TempDir,
}

const CONFIG: &str = "[data]\ntrain = ['train.xyz']\nvalidation = ['val.xyz']\n[model]\narchitecture = 'painn'\n\
hidden_channels = 8\nn_layers = 2\nn_radial = 6\ncutoff = 4.0\n[training]\nbatch_size = 20\nepochs = 1\n";
/// Positions in Å, energies in eV, forces in eV/Å.
const RIGHT: [f64; 3] = [1.0; 3];

/// Methane with one bond stretched by `number` hundredths of its range, as a spring of 32 eV/Å² has it.
fn methane(number: usize, [length, energy, force]: [f64; 3], header: &str) -> String {
    let stretch = 0.2 * (number as f64 / 100.0 - 0.5);
    let d = (1.09 + stretch) / 3_f64.sqrt();
    let f = -32.0 * stretch / 3_f64.sqrt();
    let rows = [
        ("C", [0.0; 3], [-f, -f, -f]),
        ("H", [d, d, d], [f, f, f]),
        ("H", [-0.629, -0.629, 0.629], [0.0; 3]),
        ("H", [0.629, -0.629, -0.629], [0.0; 3]),
        ("H", [-0.629, 0.629, -0.629], [0.0; 3]),
    ];
    let energy = energy * (-24.0 + 16.0 * stretch * stretch);
    let mut text = format!("5\nProperties=species:S:1:pos:R:3:forces:R:3 energy={energy} {header} pbc=\"F F F\"\n");
    for (symbol, [x, y, z], [fx, fy, fz]) in rows {
        let (x, y, z, fx, fy, fz) = (length * x, length * y, length * z, force * fx, force * fy, force * fz);
        text += &format!("{symbol} {x:.8} {y:.8} {z:.8} {fx:.8} {fy:.8} {fz:.8}\n");
    }
    text
}

fn molecules(numbers: impl Iterator<Item = usize>, scales: [f64; 3]) -> String {
    numbers.map(|i| methane(i, scales, "")).collect()
}

impl Bench {
    fn new() -> Self {
        let bench = Self { folder: TempDir::new().unwrap() };
        bench.write("train.toml", CONFIG);
        bench.write("train.xyz", &molecules((0..100).step_by(2), RIGHT));
        bench.write("val.xyz", &molecules((1..100).step_by(10), RIGHT));
        bench.write("test.xyz", &molecules((5..100).step_by(10).map(|i| i + 300), RIGHT));
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> assert_cmd::assert::Assert {
        let mut command = Command::new(env!("CARGO_BIN_EXE_potstill"));
        command.current_dir(self.folder.path()).args(arguments).args(["--threads", "1"]).assert()
    }

    /// Standard error of a command that succeeds.
    fn said(&self, arguments: &[&str]) -> String {
        String::from_utf8(self.run(arguments).success().get_output().stderr.clone()).unwrap()
    }

    /// The command fails with status 2 and one line that holds all of `words`.
    fn fails(&self, arguments: &[&str], words: &[&str]) {
        let output = self.run(arguments).code(2).get_output().clone();
        let stderr = String::from_utf8(output.stderr).unwrap();
        let error = stderr.lines().last().unwrap_or_default();
        assert!(error.starts_with("error: "), "{stderr}");
        words.iter().for_each(|word| assert!(error.contains(word), "no `{word}` in: {error}"));
    }

    fn train(&self, out: &str) -> String {
        without_verdict(&self.said(&["train", "train.toml", "--out", out]))
    }
}

/// What a training says of its data: without what it says of a model that a few steps made.
fn without_verdict(said: &str) -> String {
    said.lines().filter(|line| !line.contains("the model has learnt nothing")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn data_in_order_are_trained_on_without_a_word() {
    let bench = Bench::new();
    let said = bench.train("run");
    assert!(!said.contains("warning:") && !said.contains("note:"), "{said}");
    let info = bench.run(&["data", "info", "train.xyz"]).success().get_output().stdout.clone();
    assert!(String::from_utf8(info).unwrap().ends_with("checks   nothing found\n"));
}

#[test]
fn wrong_units_and_signs_are_refused_before_the_first_step() {
    let bench = Bench::new();
    for (scales, words) in [
        ([1.889726, 1.0, 1.0], &["train.xyz: positions look like bohr", "data.checks.units = false"][..]),
        ([1.0, 1.0, -1.0], &["forces have the wrong sign", "C–H bonds", "pairs of similar frames"]),
        ([1.0, 23.0605, 1.0], &["energies look as if they were in kcal/mol"]),
        ([1.0, 0.0367493, 0.0194469], &["energies look as if they were in hartree and forces in hartree/bohr"]),
    ] {
        bench.write("train.xyz", &molecules((0..100).step_by(2), scales));
        bench.fails(&["train", "train.toml", "--out", "run"], words);
        assert!(!bench.path("run/config.toml").exists() && !bench.path("run/checkpoints").exists());
        // Looking at data is never refused.
        let info = bench.run(&["data", "info", "train.xyz", "--json"]).success().get_output().stdout.clone();
        let info: serde_json::Value = serde_json::from_slice(&info).unwrap();
        assert_eq!(info["findings"][0]["severity"], "refusal", "{info}");
        assert_eq!(info["findings"][0]["check"], "units");
        assert_eq!(info["findings"][0]["place"], "train.xyz");
    }
    let allowed = ["train", "train.toml", "--out", "run", "--set", "data.checks.units=false"];
    assert!(!bench.said(&allowed).contains("hartree"));
    bench.fails(&["train", "train.toml", "--out", "other", "--set", "data.checks.unit=false"], &["unit"]);
}

#[test]
fn units_in_the_header_are_refused_by_every_command() {
    let bench = Bench::new();
    bench.write("hartree.xyz", &methane(3, RIGHT, "energy_unit=Hartree"));
    let words = ["hartree.xyz:2: `energy_unit` says `Hartree`", "remove this key if it is wrong"];
    bench.fails(&["data", "info", "hartree.xyz"], &words);
    bench.fails(&["data", "convert", "hartree.xyz", "out.xyz"], &words);
    bench.fails(&["train", "train.toml", "--out", "run", "--set", "data.train=['hartree.xyz']"], &words);
}

#[test]
fn leaks_into_validation_are_a_warning() {
    let bench = Bench::new();
    bench.write("val.xyz", &molecules([1, 4, 7, 8].into_iter(), RIGHT));
    let said = bench.train("run");
    assert!(
        said.contains(
            "warning: 2 of 4 validation systems are training systems, too; system 1 of val.xyz is system 2 of train.xyz"
        ),
        "{said}"
    );
    let allowed = bench.said(&["train", "train.toml", "--out", "allowed", "--set", "data.checks.leaks='allow'"]);
    let allowed = without_verdict(&allowed);
    assert!(allowed.contains("note: 2 of 4 validation systems") && !allowed.contains("warning"), "{allowed}");
    bench.fails(
        &["train", "train.toml", "--out", "x", "--set", "data.checks.leaks='ignore'"],
        &["allow", "warn", "refuse"],
    );
}

#[test]
fn leaks_into_the_test_of_a_study_are_refused() {
    let bench = Bench::new();
    bench.train("run");
    let study = "teacher = 'run/model.safetensors'\ntest = ['test.xyz']\n[[students]]\nname = 'tiny'\nconfig = 'train.toml'\n\
                 [[runs]]\nname = 'alone'\n";
    bench.write("study.toml", study);
    bench.run(&["study", "study.toml", "--out", "study"]).success();
    // The same structure, moved, with its atoms in the opposite order.
    let text = molecules([6, 333].into_iter(), RIGHT);
    let rows: Vec<&str> = text.lines().collect();
    let moved: Vec<String> = rows[2..7]
        .iter()
        .rev()
        .map(|row| {
            let words: Vec<&str> = row.split(' ').collect();
            let x: f64 = words[1].parse().unwrap();
            format!("{} {} {:.8} {} {} {} {}", words[0], words[2], x + 3.0, words[3], words[5], words[4], words[6])
        })
        .collect();
    bench.write("test.xyz", &format!("{}\n{}\n{}\n", rows[..2].join("\n"), moved.join("\n"), rows[7..].join("\n")));
    let words = [
        "student tiny",
        "1 of 2 test systems are training systems, too, 1 of them turned, shifted or with atoms in another order",
        "system 0 of test.xyz is system 3 of train.xyz",
        "data.checks.leaks = \"warn\"",
    ];
    bench.fails(&["study", "study.toml", "--out", "leaking"], &words);
    bench.write("train.toml", &CONFIG.replace("[model]", "checks = { leaks = 'warn' }\n[model]"));
    let said = bench.said(&["study", "study.toml", "--out", "leaking"]);
    assert!(said.contains("warning: 1 of 2 test systems"), "{said}");
}

#[test]
fn charges_energies_isolated_atoms_stress_and_no_validation_are_spoken_of() {
    let bench = Bench::new();
    let mut text = molecules((0..100).step_by(2), RIGHT);
    text += &methane(1, RIGHT, "charge=1");
    text += &methane(3, RIGHT, "charge=-1");
    text += &methane(2, [1.0, 1.1, 1.0], "stress=\"1 0 0 0 1 0 0 0 1\"");
    text += "1\nProperties=species:S:1:pos:R:3:forces:R:3 energy=-13.6 pbc=\"F F F\"\nH 0 0 0 0 0 0\n";
    bench.write("train.xyz", &text);
    bench.write("train.toml", &CONFIG.replace("validation = ['val.xyz']\n", ""));
    let said = bench.train("run");
    for line in [
        "warning: `charge` varies between systems of the same atoms (1 for system 50 of train.xyz, -1 for system 51 of",
        "warning: structures with two energies: 1 (2 systems); the farthest apart are system 1 of train.xyz and system 52",
        "warning: there are no validation systems: the last weights are shipped, and nothing has judged them",
        "note: isolated atoms: 1 (H; the first is system 53 of train.xyz), trained on like all other systems; data.ref",
        "note: stress labels: 1 of the systems; training uses them where training.stress_weight is set",
    ] {
        assert!(said.lines().any(|said| said.starts_with(line)), "no `{line}` in:\n{said}");
    }
    let info = bench.run(&["data", "info", "train.xyz"]).success().get_output().stdout.clone();
    let info = String::from_utf8(info).unwrap();
    assert!(info.contains("\nchecks\nwarning  `charge` varies"), "{info}");
    assert!(info.contains("\nnote     stress labels: 1 of"), "{info}");
}

#[test]
fn an_evaluation_shows_what_a_constant_would_reach() {
    let bench = Bench::new();
    bench.train("run");
    let evaluate = ["evaluate", "--model", "run/model.safetensors", "--data", "train.xyz"];
    let output = bench.run(&[&evaluate[..], &["--json"]].concat()).success().get_output().clone();
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let (energy, forces) = (&result["baseline"]["energy_mae"], &result["baseline"]["forces_mae"]);
    // A spring: the mean absolute deviation of its energy, and of its forces from zero.
    assert!((energy.as_f64().unwrap() - 0.043).abs() < 0.01, "{result}");
    assert!((forces.as_f64().unwrap() - 32.0 * 0.05 / 3_f64.sqrt() * 0.4).abs() < 0.02, "{result}");
    let output = bench.run(&evaluate).success().get_output().clone();
    let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    let line = |name: &str| stdout.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(line("energy MAE").contains(&format!("(constant: {:.1})", 1e3 * energy.as_f64().unwrap())), "{stdout}");
    assert!(line("force MAE").contains(&format!("(constant: {:.1})", 1e3 * forces.as_f64().unwrap())), "{stdout}");
    // Forces of the opposite sign are worse than none.
    let flipped = molecules((0..100).step_by(2), [1.0, 2.0, -1.0]);
    bench.write("flipped.xyz", &flipped);
    let (model, baseline) = (&result["forces_mae"], &result["baseline"]["forces_mae"]);
    let is_worse = model.as_f64() > baseline.as_f64();
    assert_eq!(stderr.contains("warning: force MAE"), is_worse, "{stderr}");
    let said = bench.said(&["evaluate", "--model", "run/model.safetensors", "--data", "flipped.xyz"]);
    assert!(
        said.contains("warning: energy MAE") && said.contains("is worse than that of reference energies"),
        "{said}"
    );
}
