//! Files that users name: what is never overwritten, what is carried from one file to the next, what is reported.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use tempfile::TempDir;

const SYSTEMS: &str = "3\nProperties=species:S:1:pos:R:3:forces:R:3:charges:R:1:momenta:R:3:residue:S:1:mol:I:1 \
energy=-1.0 traj=one step=1 pbc=\"F F F\"\n\
O 0.0 0.0 0.0 0.1 0.0 0.0 -0.8 1 2 3 WAT 7\nH 0.96 0.0 0.0 -0.1 0.2 0.0 0.4 0 0 0 WAT 7\n\
H -0.24 0.93 0.0 0.0 -0.2 0.0 0.4 0 0 1e-3 WAT 7\n\
2\nProperties=species:S:1:pos:R:3:forces:R:3:charges:R:1:momenta:R:3:residue:S:1:mol:I:1 \
energy=-2.0 traj=two step=2 pbc=\"F F F\"\n\
C 0.0 0.0 0.0 0.0 0.1 0.0 0.1 0 0 0 CO 8\nO 1.13 0.0 0.0 0.0 -0.1 0.0 -0.1 0 0 0 CO 8\n";
const CONFIG: &str = "[data]\ntrain = ['train.xyz']\nvalidation = ['train.xyz']\n[model]\narchitecture = 'painn'\n\
hidden_channels = 8\nn_layers = 1\nn_radial = 6\ncutoff = 4.0\n[training]\nbatch_size = 2\nepochs = 1\n";

struct Bench(TempDir);

impl Bench {
    fn new() -> Self {
        let bench = Self(TempDir::new().unwrap());
        bench.write("train.xyz", SYSTEMS);
        bench.write("train.toml", CONFIG);
        bench
    }

    fn trained() -> Self {
        let bench = Self::new();
        bench.run(&["train", "train.toml", "--out", "run"]).success();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn run(&self, arguments: &[&str]) -> assert_cmd::assert::Assert {
        let mut command = Command::new(env!("CARGO_BIN_EXE_potstill"));
        command.current_dir(self.0.path()).args(arguments).arg("--threads").arg("1").assert()
    }

    fn said(&self, arguments: &[&str]) -> String {
        String::from_utf8(self.run(arguments).success().get_output().stderr.clone()).unwrap()
    }

    fn json(&self, arguments: &[&str]) -> serde_json::Value {
        serde_json::from_slice(&self.run(arguments).success().get_output().stdout).unwrap()
    }

    /// The command fails with one line that holds all of `words`, and no file is made, changed or removed.
    fn refused(&self, arguments: &[&str], words: &[&str]) {
        let before = self.contents();
        let output = self.run(arguments).code(2).get_output().clone();
        let stderr = String::from_utf8(output.stderr).unwrap();
        let last = stderr.lines().last().unwrap_or_default();
        assert!(last.starts_with("error: ") && stderr.matches("error: ").count() == 1, "{arguments:?}: {stderr}");
        for word in words {
            assert!(last.contains(word), "{arguments:?}: no `{word}` in: {last}");
        }
        assert!(self.contents() == before, "{arguments:?}: files have changed");
    }

    fn contents(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut all = Vec::new();
        let mut folders = vec![self.0.path().to_path_buf()];
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
                match path.is_dir() {
                    true => folders.push(path),
                    false => all.push((path.clone(), fs::read(path).unwrap())),
                }
            }
        }
        all.sort();
        all
    }
}

const MODEL: &str = "run/model.safetensors";
const GENERATE: [&str; 6] = ["data", "generate", "--teacher", MODEL, "--seeds", "train.xyz"];

fn predict(output: &str) -> [&str; 7] {
    ["predict", "--model", MODEL, "--input", "train.xyz", "--output", output]
}

#[test]
fn inputs_are_never_overwritten() {
    let bench = Bench::trained();
    fs::hard_link(bench.path("train.xyz"), bench.path("hard.xyz")).unwrap();
    fs::hard_link(bench.path(MODEL), bench.path("hard.safetensors")).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("train.xyz", bench.path("soft.xyz")).unwrap();
    #[cfg(not(unix))]
    fs::hard_link(bench.path("train.xyz"), bench.path("soft.xyz")).unwrap();
    fs::create_dir(bench.path("sets")).unwrap();
    fs::hard_link(bench.path("train.xyz"), bench.path("sets/a.xyz")).unwrap();
    bench.write("checkpoint.pt", "never read");
    bench.write("gemnet.toml", "[data]\ntrain = ['train.xyz']\n[model]\narchitecture = 'gemnet_oc'\n");

    let split = ["data", "split", "train.xyz", "--parts", "a=1", "train=1", "--format", "xyz", "--out"];
    let label = ["label", "--model", MODEL, "--data", "train.xyz", "--out"];
    let similarity = ["similarity", "--a", MODEL, "--b", "hard.safetensors", "--data", "train.xyz", "--plot"];
    let export = ["export", "--model", MODEL, "--output"];
    let import = ["import", "--checkpoint", "checkpoint.pt", "--output", "checkpoint.pt"];
    let generate = [&GENERATE[..], &["--method", "rattle", "--output"]].concat();
    for overwrite in [&[][..], &["--overwrite"], &["--no-clobber"]] {
        let refused = |arguments: &[&str], words: &[&str]| bench.refused(&[arguments, overwrite].concat(), words);
        for name in ["train.xyz", "./train.xyz", "hard.xyz", "soft.xyz", "sets/a.xyz"] {
            let words = [name, if name == "train.xyz" { "is read by this command" } else { "is the same file as" }];
            refused(&predict(name), &words);
            refused(&["data", "convert", "train.xyz", name], &words);
            refused(&[&generate[..], &[name]].concat(), &words);
        }
        refused(&[&split[..], &["."]].concat(), &["train.xyz"]);
        refused(&[&split[..], &["sets", "--parts", "a=1"]].concat(), &["sets/a.xyz", "is the same file as train.xyz"]);
        for name in [MODEL, "hard.safetensors"] {
            refused(&[&export[..], &[name]].concat(), &[name]);
            refused(&[&similarity[..], &[name]].concat(), &[name]);
        }
        refused(&import, &["checkpoint.pt", "is read by this command"]);
        refused(&["fit-scales", "gemnet.toml", "--out", "gemnet.toml"], &["gemnet.toml", "is read"]);
        refused(&["fit-scales", "gemnet.toml", "--out", "hard.xyz"], &["hard.xyz", "is the same file as"]);
        refused(&[&export[..], &["a.st", "--scale-factors", "./a.st"]].concat(), &["written twice"]);
    }
    bench.refused(&[&label[..], &["train.xyz"]].concat(), &["is a file"]);
    bench
        .refused(&["label", "--model", MODEL, "--data", "sets", "--out", "sets"], &["sets", "is read by this command"]);
}

#[test]
fn files_of_another_kind_and_read_only_files_stay() {
    let bench = Bench::trained();
    let model = fs::read(bench.path(MODEL)).unwrap();
    for (name, contents) in [("notes.xyz", &b"my only notes\n"[..]), ("model.xyz", &model), ("old.npz", b"PK\x03\x04")]
    {
        fs::write(bench.path(name), contents).unwrap();
        bench.refused(&predict(name), &[name, "--overwrite"]);
        bench.refused(&["data", "convert", "train.xyz", name], &[name, "--overwrite"]);
        bench.refused(&[&predict(name)[..], &["--no-clobber"]].concat(), &[name, "--no-clobber"]);
        bench.run(&[&predict(name)[..], &["--overwrite"]].concat()).success();
        // Now it is of the kind that is written, and may be replaced without a word.
        bench.run(&predict(name)).success();
        bench.refused(&[&predict(name)[..], &["--no-clobber"]].concat(), &[name, "exists already"]);
    }
    bench.run(&["export", "--model", MODEL, "--output", "weights.st"]).success();
    bench.run(&["export", "--model", MODEL, "--output", "weights.st"]).success();
    fs::copy(bench.path(MODEL), bench.path("teacher.st")).unwrap();
    bench.refused(&["export", "--model", MODEL, "--output", "teacher.st"], &["holds a model file, not bare weights"]);
    bench.write("picture.svg", "<html>");
    let plot = ["similarity", "--a", MODEL, "--b", MODEL, "--data", "train.xyz", "--plot", "picture.svg"];
    bench.refused(&plot, &["picture.svg", "--overwrite"]);
    bench.run(&[&plot[..], &["--overwrite"]].concat()).success();
    bench.run(&plot).success();

    let mut permissions = fs::metadata(bench.path("notes.xyz")).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(bench.path("notes.xyz"), permissions).unwrap();
    for overwrite in [&[][..], &["--overwrite"]] {
        bench.refused(&[&predict("notes.xyz")[..], overwrite].concat(), &["notes.xyz", "read-only"]);
        bench.refused(&[&["data", "convert", "train.xyz", "notes.xyz"][..], overwrite].concat(), &["read-only"]);
    }
}

/// Properties and values of a key in each comment line.
fn properties(text: &str) -> Vec<&str> {
    text.split_whitespace().filter(|word| word.starts_with("Properties=")).collect()
}

#[test]
fn columns_and_metadata_are_carried_along() {
    let bench = Bench::trained();
    let columns = ":charges:R:1:mol:I:1:momenta:R:3:residue:S:1";
    bench.run(&["data", "convert", "train.xyz", "a.npz"]).success();
    bench.run(&["data", "convert", "a.npz", "b.xyz"]).success();
    bench.run(&["data", "convert", "train.xyz", "c.xyz"]).success();
    assert_eq!(bench.read("b.xyz"), bench.read("c.xyz"), "through npz nothing is lost");
    let text = bench.read("c.xyz");
    assert!(properties(&text).iter().all(|p| p.contains(columns)), "{text}");
    assert!(text.contains("traj=one") && text.contains(" -0.8 7 1.0 2.0 3.0 WAT\n"), "{text}");

    bench.run(&["data", "split", "train.xyz", "--parts", "a=1", "b=1", "--out", "parts"]).success();
    for part in ["parts/a.extxyz", "parts/b.extxyz"] {
        assert!(properties(&bench.read(part))[0].contains(columns), "{}", bench.read(part));
    }
    bench.run(&predict("p.xyz")).success();
    let text = bench.read("p.xyz");
    let with = ":forces:R:3:atomic_energies:R:1:charges:R:1:mol:I:1:momenta:R:3:residue:S:1";
    assert!(properties(&text).iter().all(|p| p.ends_with(with)) && text.contains("traj=two"), "{text}");

    let generate = [&GENERATE[..], &["--method", "rattle", "--max-energy-rise", "1e6", "--max-force", "1e6"]].concat();
    let said = bench.said(&[&generate[..], &["--output", "new.xyz"]].concat());
    assert!(said.contains("left out, as they hold for the seeds alone: charges, momenta"), "{said}");
    assert!(bench.read("new.xyz").contains(":mol:I:1:residue:S:1 "), "{}", bench.read("new.xyz"));
}

#[test]
fn what_a_format_cannot_hold_is_named_once() {
    let bench = Bench::trained();
    bench.write("odd.xyz", &SYSTEMS.replace("step=1", "step=1 list=\"1 2\" only=1 free_energy=3"));
    let said = bench.said(&["data", "convert", "odd.xyz", "odd.npz"]);
    assert_eq!(
        said.matches("left out, as the format cannot hold them: free_energy, list, only\n").count(),
        1,
        "{said}"
    );
    let arguments = ["predict", "--model", MODEL, "--input", "odd.xyz", "--output", "odd.npz", "--json"];
    let said = bench.said(&arguments);
    assert_eq!(said.matches("left out, as other labels of the input: free_energy\n").count(), 1, "{said}");
    assert_eq!(bench.json(&arguments)["left_out"], serde_json::json!(["free_energy", "list", "only"]));
}

#[test]
fn predictions_are_written_in_any_format() {
    let bench = Bench::trained();
    let periodic = SYSTEMS.replace("pbc=\"F F F\"", "Lattice=\"9 0 0 0 9 0 0 0 9\" pbc=\"T T T\"");
    bench.write("periodic.xyz", &periodic);
    for output in ["p.npz", "p.xyz"] {
        let arguments = ["predict", "--model", MODEL, "--input", "periodic.xyz", "--output", output, "--json"];
        let result = bench.json(&arguments);
        assert_eq!((&result["n_systems"], &result["n_atoms"]), (&2.into(), &5.into()));
        assert_eq!((&result["engine"], &result["output"]), (&"fast".into(), &output.into()));
        let evaluated = bench.json(&["evaluate", "--model", MODEL, "--data", output, "--json"]);
        assert!(evaluated["energy_mae"].as_f64().unwrap() < 1e-5 && evaluated["forces_mae"].as_f64().unwrap() < 1e-5);
        let info = bench.json(&["data", "info", output, "--json"]);
        assert_eq!((&info["n_stress"], &info["n_periodic"]), (&2.into(), &2.into()), "{info}");
    }
    bench.run(&["data", "convert", "p.npz", "back.xyz"]).success();
    assert_eq!(bench.read("back.xyz"), bench.read("p.xyz"));
}

#[test]
fn results_as_json() {
    let bench = Bench::trained();
    let converted = bench.json(&["data", "convert", "train.xyz", "a.npz", "--json"]);
    let expected = serde_json::json!({ "output": "a.npz", "n_systems": 2, "n_atoms": 5, "left_out": [] });
    assert_eq!(converted, expected);
    let split = bench.json(&["data", "split", "train.xyz", "--parts", "a=1", "b=1", "--out", "parts", "--json"]);
    let part = |name: &str| serde_json::json!({ "name": name, "output": format!("parts/{name}.extxyz"), "n_systems": 1, "left_out": [] });
    assert_eq!(split, serde_json::json!({ "parts": [part("a"), part("b")] }));
    let exported = bench.json(&["export", "--model", MODEL, "--output", "w.st", "--json"]);
    assert_eq!((&exported["output"], exported["n_tensors"].as_u64().unwrap() > 3), (&"w.st".into(), true));
}

#[test]
fn a_damaged_model_is_refused_by_both_engines() {
    let bench = Bench::trained();
    let mut bytes = fs::read(bench.path(MODEL)).unwrap();
    let at = bytes.len() - 100;
    bytes[at] ^= 1;
    fs::write(bench.path("bad.safetensors"), bytes).unwrap();
    for engine in ["fast", "network"] {
        let evaluate = ["evaluate", "--model", "bad.safetensors", "--data", "train.xyz", "--engine", engine];
        bench.refused(&evaluate, &["bad.safetensors", "is damaged", "checksum"]);
    }
    bench.refused(&["info", "bad.safetensors"], &["is damaged"]);
}

fn temporaries(folder: &Path) -> usize {
    let names = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(".potstill-")).count()
}

/// A limit on the size of files kills the process in the middle of a write; the next one cleans up.
#[cfg(unix)]
#[test]
fn a_killed_write_loses_nothing_and_is_cleaned_up() {
    let bench = Bench::new();
    bench.run(&["data", "convert", "train.xyz", "out.xyz"]).success();
    let old = bench.read("out.xyz");
    bench.write("more.xyz", &SYSTEMS.repeat(20));
    let program = env!("CARGO_BIN_EXE_potstill");
    let line = format!("ulimit -c 0; ulimit -f 2; exec {program} data convert more.xyz out.xyz");
    let status = std::process::Command::new("sh").args(["-c", &line]).current_dir(bench.0.path()).status().unwrap();
    assert_eq!(status.code(), None, "killed by a signal");
    assert_eq!((bench.read("out.xyz"), temporaries(bench.0.path())), (old, 1));
    bench.run(&["data", "convert", "more.xyz", "out.xyz"]).success();
    assert_eq!(temporaries(bench.0.path()), 0);
    assert_eq!(bench.read("out.xyz").matches("traj=one").count(), 20);
}
