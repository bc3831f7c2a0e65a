//! The command line itself: what is refused and with which words, how much is said, help, completions and manual pages.

mod support;

use std::fs;
use std::process::{Command, Output};

use support::{Bench, CONFIG, METHANE, WATER};

/// Runs without the arguments that other tests add.
fn bare(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_potstill"));
    command.args(arguments).env_remove("NO_COLOR").envs(environment.iter().copied()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn numbers_have_limits_and_say_them() {
    let generate = ["data", "generate", "--teacher", "t", "--seeds", "s", "--output", "o", "--method", "md"];
    let label = ["label", "--model", "t", "--data", "d", "--out", "o"];
    let bench = ["bench", "--model", "m"];
    let similarity = ["similarity", "--a", "a", "--b", "b", "--data", "d"];
    for (command, flag, values, wanted) in [
        (&["demo"][..], "--threads", &["0", "-1", "1000000", "two"][..], "must be a whole number from 1 to 1024"),
        (&["demo"], "--seed", &["-1", "1.5"], "must be a whole number from 0 to 18446744073709551615"),
        (&["study", "s.toml", "--out", "o"], "--jobs", &["0", "-1", "1000"], "must be a whole number from 1 to 256"),
        (&bench, "--atoms", &["0", "1000000000000", "10,0"], "must be a whole number from 1 to 10000000"),
        (&bench, "--batch", &["0", "-5"], "must be a whole number from 1 to 1000000"),
        (&bench, "--seconds", &["0", "nan", "inf", "1e9"], "must be positive and at most 86400"),
        (&similarity, "--max-systems", &["0", "-1"], "must be a whole number from 1 to"),
        (&label, "--probes", &["-1", "1000000000"], "must be a whole number from 0 to 1000"),
        (&label, "--probe-step", &["0", "-0.1", "nan"], "must be positive and at most 1"),
        (&generate, "--per-seed", &["0", "1000000000000"], "must be a whole number from 1 to 1000000"),
        (&generate, "--max-seeds", &["0"], "must be a whole number from 1 to"),
        (&generate, "--interval", &["0"], "must be a whole number from 1 to 1000000000"),
        (&generate, "--std", &["-1", "nan"], "must be positive and at most 10"),
        (&generate, "--temperature", &["-5", "inf", "0"], "must be positive and at most"),
        (&generate, "--timestep", &["nan", "0", "-0.5", "1e3"], "must be positive and at most 100"),
        (&generate, "--friction-time", &["0"], "must be positive"),
        (&generate, "--snapshots", &["0"], "must be a whole number from 1 to 1000000"),
        (&generate, "--gap", &["-3"], "must be positive and at most 100"),
        (&generate, "--min-distance", &["-1", "nan"], "must be a number from 0 to 100"),
        (&generate, "--max-force", &["0", "inf"], "must be positive"),
        (&["evaluate", "--model", "m", "--data", "d"], "--max-force-mae", &["-1", "nan"], "must be a number from 0 to"),
    ] {
        for value in values {
            let output = bare(&[command, &[flag, value]].concat(), &[]);
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{flag} {value}: {said}");
            let shown = value.rsplit(',').next().unwrap();
            assert!(said.starts_with(&format!("error: {flag} {shown}: {wanted}")), "{said}");
            assert_eq!(said.lines().count(), 1, "{said}");
        }
    }
}

#[test]
fn wrong_command_lines_get_one_line() {
    for (arguments, wanted) in [
        (&["trian", "x.toml"][..], "trian: unknown command; did you mean train?; see `potstill --help`"),
        (
            &["train", "x.toml", "--outt", "x"],
            "--outt: unknown option or too many arguments; did you mean --out?; see `potstill train --help`",
        ),
        (&["evaluate"], "--model <FILE>, --data <FILE>...: missing; see `potstill evaluate --help`"),
        (&["evaluate", "--model"], "--model <FILE>: the value is missing; see `potstill"),
        (&["train", "x.toml", "--out", "x", "--device", "gpu"], "--device gpu: must be one of cpu"),
        (&["predict", "--dtype", "f16"], "--dtype f16: must be one of f32, f64"),
        (
            &["data", "generate", "--method", "mdd"],
            "--method mdd: must be one of rattle, rattle-relax, md, collide; did you mean md?",
        ),
        (
            &["train", "x.toml", "--out", "x", "--resume", "--overwrite"],
            "the argument '--resume' cannot be used with '--overwrite'; see `potstill train --help`",
        ),
        (
            &["info", "-q", "-v", "x"],
            "the argument '--quiet' cannot be used with '--verbose'; see `potstill info --help`",
        ),
        (&["completions", "csh"], "<SHELL> csh: must be one of bash, elvish, fish, powershell, zsh"),
    ] {
        let output = bare(arguments, &[]);
        let said = text(&output.stderr);
        assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{said}");
        assert!(said.starts_with(&format!("error: {wanted}")) && output.stdout.is_empty(), "{said}");
    }
}

#[test]
fn quiet_and_verbose_decide_what_is_said() {
    let bench = Bench::new();
    let train = |folder: &str, more: &[&str]| {
        let arguments = [&["train", "train.toml", "--set", "training.epochs=1", "--out", folder], more].concat();
        bench.run(&arguments).success().get_output().clone()
    };
    let (quiet, normal, verbose) = (train("q", &["--quiet"]), train("n", &[]), train("v", &["-v"]));
    assert_eq!(text(&quiet.stderr), "");
    assert!(text(&quiet.stdout).contains("finished"), "results are printed all the same");
    let [normal, verbose] = [normal, verbose].map(|output| text(&output.stderr));
    assert!(normal.contains("validation: energy MAE") && !normal.contains("threads"), "{normal}");
    assert!(verbose.contains("potstill 0.1.0, 1 threads") && verbose.contains("--set training.epochs=1"), "{verbose}");
    bench.fails(&["info", "absent", "-q"], &["absent"]);
}

#[test]
fn labels_are_read_under_any_name() {
    let bench = Bench::trained();
    let odd = WATER.replace("energy=", "E_x=").replace("forces:R:3", "F_x:R:3").repeat(2);
    bench.write("odd.xyz", &odd);
    let model = "run/model.safetensors";
    let keys = ["--energy-key", "E_x", "--forces-key", "F_x"];
    for command in [
        &["data", "info", "odd.xyz"][..],
        &["data", "convert", "odd.xyz", "out.npz"],
        &["data", "split", "odd.xyz", "--parts", "a=1", "--out", "parts"],
        &["evaluate", "--model", model, "--data", "odd.xyz"],
        &["predict", "--model", model, "--input", "odd.xyz", "--output", "out.xyz"],
        &["label", "--model", model, "--data", "odd.xyz", "--out", "cache"],
        &["similarity", "--a", model, "--b", model, "--data", "odd.xyz"],
        &["bench", "--model", model, "--seconds", "0.05", "--data", "odd.xyz"],
        &[
            "data",
            "generate",
            "--teacher",
            model,
            "--seeds",
            "odd.xyz",
            "--method",
            "rattle",
            "--output",
            "new.xyz",
            "--max-force",
            "1e6",
        ],
    ] {
        let said = bench.run(&[command, &keys].concat()).success().get_output().stderr.clone();
        if !command.contains(&"convert") {
            assert!(text(&said).contains("energy from `E_x`, forces from `F_x`"), "{command:?}: {}", text(&said));
        }
    }
    // The student is tested on what it is trained on: not for its errors.
    let keys = "energy_key = 'E_x'\nforces_key = 'F_x'\nchecks = { leaks = 'warn' }\n[model]";
    let config = CONFIG.replace("train.xyz", "odd.xyz").replace("[model]", keys);
    bench.write("odd.toml", &config);
    bench.write(
        "study.toml",
        "teacher = 'run/model.safetensors'\ntest = ['odd.xyz']\n[[students]]\nname = 's'\nconfig = 'odd.toml'\n\
         [[runs]]\nname = 'alone'\n",
    );
    let rows = bench.json(&["study", "study.toml", "--out", "study", "--json"]);
    assert!(rows[1]["forces_mae"]["mean"].is_number(), "{rows}");
    bench.write(
        "labels.toml",
        &format!("forces_key = 'forces'\n{}", fs::read_to_string(bench.path("study.toml")).unwrap()),
    );
    bench.fails(&["study", "labels.toml", "--out", "other"], &["odd.xyz", "forces"]);
}

#[test]
fn a_system_is_named_by_its_file() {
    let bench = Bench::trained();
    bench.write("two.xyz", &WATER.repeat(2));
    bench.write("iron.xyz", &format!("{METHANE}{}", WATER.replace("O 0.0", "Fe 0.0")));
    bench.write("twice.xyz", &format!("{METHANE}{}", WATER.replace("H 0.96 0.0 0.0", "H 0.0 0.0 0.0")));
    let bare = format!("{METHANE}{}", WATER.replace("energy=-1.0", ""));
    bench.write("bare.xyz", &bare);
    let model = "run/model.safetensors";
    let evaluate = ["evaluate", "--model", model, "--data", "two.xyz"];
    bench.fails(&[&evaluate[..], &["iron.xyz"]].concat(), &["error: iron.xyz: system 1 (water): element Fe"]);
    bench.fails(&[&evaluate[..], &["twice.xyz"]].concat(), &["error: twice.xyz: system 1 (water): ", "one place"]);
    let label = ["label", "--model", model, "--out", "cache", "--data", "two.xyz"];
    bench.fails(&[&label[..], &["iron.xyz"]].concat(), &["iron.xyz: system 1 (water): element Fe"]);
    bench.fails(&[&label[..], &["twice.xyz"]].concat(), &["twice.xyz: system 1 (water): "]);
    let similarity = ["similarity", "--a", model, "--b", model, "--data", "two.xyz", "twice.xyz"];
    bench.fails(&similarity, &["twice.xyz: system 1 (water): "]);
    let split = ["data", "split", "iron.xyz", "--parts", "a=1", "--out", "parts", "--group-by", "traj"];
    bench.fails(&split, &["iron.xyz: system 0 (methane): "]);
    for in_memory in ["data.in_memory=true", "data.in_memory=false"] {
        for (file, wanted) in [("twice.xyz", "system 1 (water): "), ("bare.xyz", "system 1 (water): no energy")] {
            let data = format!("data.train=['two.xyz', '{file}']");
            let train = ["train", "train.toml", "--out", "new", "--set", &data, "--set", in_memory];
            bench.fails(&train, &[&format!("{file}: {wanted}")]);
        }
    }
}

#[test]
fn help_goes_to_standard_output_and_has_colour_only_where_it_is_wanted() {
    for arguments in [&["--help"][..], &["help", "train"], &["data", "generate", "-h"], &["--version"]] {
        let output = bare(arguments, &[]);
        assert!(output.status.success() && output.stderr.is_empty() && !output.stdout.is_empty(), "{arguments:?}");
        assert!(!output.stdout.contains(&0x1b));
    }
    assert!(bare(&["--help"], &[("CLICOLOR_FORCE", "1")]).stdout.contains(&0x1b));
    assert!(!bare(&["--help"], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]).stdout.contains(&0x1b));
    let nothing = bare(&[], &[]);
    assert_eq!(nothing.status.code(), Some(2));
    assert!(text(&nothing.stderr).contains("Usage: potstill"));
}

#[test]
fn completions_and_manual_pages() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = text(&bare(&["completions", shell], &[]).stdout);
        assert!(script.contains("fit-scales") && script.contains("table-accuracy"), "{shell}");
    }
    let bench = Bench::new();
    bench.run(&["man", "--out", "man1"]).success();
    for name in ["potstill.1", "potstill-train.1", "potstill-data.1", "potstill-data-generate.1"] {
        let page = fs::read_to_string(bench.path("man1").join(name)).unwrap();
        assert!(page.starts_with(".ie") || page.contains(".TH"), "{name}");
    }
    let page = fs::read_to_string(bench.path("man1/potstill-data-generate.1")).unwrap();
    assert!(page.contains("potstill data generate") && page.contains("Langevin"), "{page}");
}
