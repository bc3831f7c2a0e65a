//! The program as its users meet it: what works end to end, and one clear line for each obvious mistake.

mod support;

use std::fs;
use std::path::Path;

use support::{Bench, CONFIG, WATER};

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn train_evaluate_predict_and_info() {
    let bench = Bench::trained();
    let expected = [
        "checkpoints",
        "config.toml",
        "environment.json",
        "events.out.tfevents.potstill",
        "metrics.jsonl",
        "model.safetensors",
    ];
    assert_eq!(names(&bench.path("run")), expected);
    let model = "run/model.safetensors";
    let result = bench.json(&["evaluate", "--model", model, "--data", "train.xyz", "--json"]);
    assert_eq!(result["n_systems"], 4);
    assert_eq!(result["n_atoms"], 16);
    for key in ["energy_mae", "energy_mae_per_atom", "forces_mae", "forces_cos", "efwt", "systems_per_second"] {
        assert!(result[key].is_number(), "{key}");
    }
    bench.run(&["predict", "--model", model, "--input", "train.xyz", "--output", "out.xyz"]).success();
    let text = fs::read_to_string(bench.path("out.xyz")).unwrap();
    assert!(text.contains("atomic_energies:R:1") && text.contains("forces:R:3") && text.contains("energy="));
    // What a model predicts of its own predictions is right.
    let again = bench.json(&["evaluate", "--model", model, "--data", "out.xyz", "--json"]);
    assert!(again["energy_mae"].as_f64().unwrap() < 1e-5 && again["forces_mae"].as_f64().unwrap() < 1e-5);
    let info = bench.json(&["info", model, "--json"]);
    bench.run(&["train", "train.toml", "--out", "from-disk", "--set", "data.in_memory=false"]).success();
    assert!(bench.path("train.xyz.potstill-index").exists());
    let from_disk = bench.json(&["info", "from-disk/model.safetensors", "--json"]);
    assert_eq!(info["training"]["train_hash"], from_disk["training"]["train_hash"]);
    assert_eq!(info["training"]["validation"], from_disk["training"]["validation"]);
    assert_eq!(info["model"]["architecture"], "painn");
    assert_eq!(info["elements"], serde_json::json!(["H", "C", "O"]));
}

#[test]
fn engines_agree_and_are_timed() {
    let bench = Bench::trained();
    let base = ["evaluate", "--model", "run/model.safetensors", "--data", "train.xyz", "--json"];
    let evaluate = |more: &[&str]| bench.json(&[&base[..], more].concat());
    let fast = evaluate(&[]);
    assert_eq!(fast["engine"], "fast");
    for more in [&["--engine", "network"][..], &["--filters", "exact"], &["--dtype", "f64", "--filters", "table"]] {
        let other = evaluate(more);
        for key in ["energy_mae", "forces_mae"] {
            let (a, b) = (fast[key].as_f64().unwrap(), other[key].as_f64().unwrap());
            assert!((a - b).abs() < 1e-5 * b, "{more:?} {key}: {a} {b}");
        }
    }
    let said = bench.run(&base).success().get_output().stderr.clone();
    assert!(String::from_utf8(said).unwrap().contains("engine: fast (f32, filters from tables of"));
    let segments = |accuracy: &str| -> usize {
        let said =
            bench.run(&[&base[..], &["--table-accuracy", accuracy]].concat()).success().get_output().stderr.clone();
        let said = String::from_utf8(said).unwrap();
        let (_, rest) = said.split_once("filters from tables of ").unwrap();
        rest.split_once(' ').unwrap().0.parse().unwrap()
    };
    assert!(segments("1e-3") < segments("1e-7"));
    for (more, wanted) in [
        (&["--table-accuracy", "2"][..], "--table-accuracy 2: must lie between 0 and 1"),
        (&["--filters", "exact", "--table-accuracy", "1e-6"], "exact filters have no table"),
    ] {
        let said = bench.run(&[&base[..], more].concat()).failure().get_output().stderr.clone();
        assert!(String::from_utf8(said).unwrap().contains(wanted), "{wanted}");
    }
    let time = ["bench", "--model", "run/model.safetensors", "--seconds", "0.05", "--json"];
    let boxes = bench.json(&[&time[..], &["--atoms", "20,150"]].concat());
    let timings = boxes["timings"].as_array().unwrap();
    let engines: Vec<_> =
        timings.iter().map(|t| (t["engine"].as_str().unwrap(), t["n_atoms"].as_u64().unwrap())).collect();
    assert_eq!(engines, [("fast", 20), ("network", 20), ("fast", 150), ("network", 150)]);
    assert!(timings.iter().all(|t| t["atoms_per_second"].as_f64().unwrap() > 0.0));
    let files = bench.json(&[&time[..], &["--data", "train.xyz", "--batch", "3", "--engine", "fast"]].concat());
    assert_eq!(files["timings"][0]["n_systems"], 3);
    bench.fails(&[&time[..], &["--atoms", "0"]].concat(), &["--atoms 0"]);
    bench.fails(&["bench", "--model", "run/model.safetensors", "--seconds", "0"], &["--seconds 0", "positive"]);
}

#[test]
fn thresholds_decide_the_exit_status() {
    let bench = Bench::trained();
    let base = ["evaluate", "--model", "run/model.safetensors", "--data", "train.xyz"];
    bench.run(&[&base[..], &["--max-force-mae", "1000"]].concat()).success();
    bench.run(&[&base[..], &["--max-force-mae", "0"]].concat()).code(1);
}

#[test]
fn distillation_makes_and_reuses_its_cache() {
    let bench = Bench::trained();
    let distill = "[distill]\nteacher = 'run/model.safetensors'\ncache = 'cache'\n[[distill.terms]]\nstrategy = 'n2n'\nweight = 1.0\n\
                   [[distill.terms]]\nstrategy = 'v2v'\nweight = 1.0\n";
    bench.write("student.toml", &format!("{CONFIG}{distill}"));
    let first = bench.run(&["distill", "student.toml", "--out", "a"]).success().get_output().clone();
    assert!(String::from_utf8(first.stderr).unwrap().contains("teacher cache: made"));
    let second = bench.run(&["distill", "student.toml", "--out", "b"]).success().get_output().clone();
    assert!(String::from_utf8(second.stderr).unwrap().contains("teacher cache: reused"));
    let size = |run: &str| fs::metadata(bench.path(run).join("model.safetensors")).unwrap().len();
    let bare = |run: &str| bench.json(&["info", &format!("{run}/model.safetensors"), "--json"])["model"].clone();
    assert_eq!(bare("a"), bare("run"), "the student's model knows nothing of its teacher");
    assert!(size("a").abs_diff(size("run")) < 1000, "{} {}", size("a"), size("run"));

    bench.write("other.xyz", &format!("{WATER}{WATER}"));
    let set = ["--set", "data.train=['other.xyz']", "--set", "data.validation=[]"];
    bench.fails(&[&["distill", "student.toml", "--out", "c"][..], &set].concat(), &["cache", "dataset"]);
    bench.fails(&["train", "student.toml", "--out", "d"], &["[distill]", "potstill distill"]);
    bench.fails(&["distill", "train.toml", "--out", "d"], &["no [distill] section"]);
    let nitrogen = WATER.replace("O 0.0", "N 0.0");
    bench.write("nitrogen.xyz", &nitrogen.repeat(2));
    let set = ["--set", "data.train=['nitrogen.xyz']", "--set", "data.validation=[]"];
    bench.fails(
        &[&["distill", "student.toml", "--out", "e"][..], &set].concat(),
        &["distill.teacher", "element N", "H, C, O"],
    );
}

#[test]
fn teachers_of_every_kind() {
    let bench = Bench::trained();
    let (model, other) = ("run/model.safetensors", "other/model.safetensors");
    bench.run(&["train", "train.toml", "--out", "other", "--seed", "5"]).success();
    let label = ["label", "--data", "train.xyz", "--out", "cache", "--node", "--probes", "2", "--json", "--model"];
    let labelled = bench.json(&[&label[..], &[model, other]].concat());
    assert!(labelled["mean_energy_spread"].as_f64().unwrap() > 0.0 && labelled["mean_forces_spread"].is_number());
    assert_eq!(labelled["n_systems"], 4);

    // The labels of the dataset itself, as any program may write them.
    bench.run(&["predict", "--model", model, "--input", "train.xyz", "--output", "labels.extxyz"]).success();
    let distill = |teacher: &str, more: &str, term: &str| {
        bench.write("student.toml", &format!("{CONFIG}[distill]\nteacher = {teacher}\n{more}\nterms = [{term}]\n"));
    };
    let vanilla = "{ strategy = 'vanilla' }";
    let as_they_are = "labels = { check_units = false, align_energies = false }";
    let run = ["distill", "student.toml", "--overwrite", "--out", "student"];
    for (teacher, more, term) in [
        ("'labels.extxyz'", as_they_are, vanilla),
        ("['run/model.safetensors', 'other/model.safetensors']", "", "{ strategy = 'hessian', weight = 1.0 }"),
        ("'cache'", "", "{ strategy = 'hessian', weight = 1.0, probes = 2 }, { strategy = 'n2n', weight = 1.0 }"),
    ] {
        distill(teacher, more, term);
        fs::remove_dir_all(bench.path("student")).ok();
        bench.run(&run).success();
    }
    for (teacher, term, words) in [
        ("'labels.extxyz'", "{ strategy = 'n2n', weight = 1.0 }", ["file of labels has no features", "vanilla"]),
        ("'nowhere.extxyz'", vanilla, ["nowhere.extxyz", "cannot open"]),
        ("['labels.extxyz', 'run/model.safetensors']", vanilla, ["distill.teacher", "not of one kind"]),
        ("[]", vanilla, ["distill.teacher", "names no file"]),
        ("7", vanilla, ["student.toml:14", "a path, or a list of paths"]),
        ("'cache'", "{ strategy = 'v2v', weight = 1.0 }", ["cache: holds no vector features of U2", "label again"]),
        ("'cache'", "{ strategy = 'hessian', weight = -1.0 }", ["weight -1", "zero or a positive number"]),
    ] {
        distill(teacher, as_they_are, term);
        bench.fails(&run, &words);
    }
    bench.write("water.xyz", WATER);
    distill("'water.xyz'", "", vanilla);
    bench.fails(&run, &["water.xyz: no labels for system 1 (methane) of 4: the file ends after 1 systems"]);
    bench.fails(&[&label[..], &["water.xyz"]].concat(), &["--node", "no features"]);
}

#[test]
fn a_program_is_the_teacher_of_a_study() {
    let bench = Bench::new();
    bench.write("train.toml", &CONFIG.replace("[model]", "checks = { leaks = 'warn' }\n[model]"));
    // It tells everything that it is asked an energy of −1 eV and forces of (0.1, 0, 0) eV/Å, and counts.
    bench.write(
        "teacher.sh",
        "while read n; do read line; echo asked >> asked.txt; echo $n; \
         echo \"${line%%pos:R:3*}pos:R:3:forces:R:3${line#*pos:R:3} energy=-1.0\"; i=0; \
         while [ $i -lt $n ]; do read atom; echo \"$atom 0.1 0.0 0.0\"; i=$((i+1)); done; done\n",
    );
    let study = "teacher = { command = ['sh', 'teacher.sh'] }\ntest = ['train.xyz']\n\
                 [[students]]\nname = 'tiny'\nconfig = 'train.toml'\n[[runs]]\nname = 'alone'\n\
                 [[runs]]\nname = 'vanilla'\nterms = [{ strategy = 'vanilla' }]\n";
    bench.write("study.toml", study);
    let rows = bench.json(&["study", "study.toml", "--out", "study", "--json"]);
    assert_eq!((&rows[0]["run"], &rows[0]["n_parameters"]), (&"`sh teacher.sh`".into(), &0.into()), "{rows}");
    assert_eq!(rows[0]["energy_mae"]["mean"], 0.5);
    assert!(rows[2]["energy_mae_against_teacher"]["mean"].is_number() && rows[2]["alignment"].is_null());
    // Once about the test systems, once about the training systems, and never again.
    let asked = || fs::read_to_string(bench.path("asked.txt")).unwrap().lines().count();
    let first = asked();
    bench.run(&["study", "study.toml", "--out", "study"]).success();
    assert_eq!(asked(), first);
}

#[test]
fn the_teacher_of_a_study_may_be_the_mean_of_networks() {
    let bench = Bench::trained();
    bench.write("train.toml", &CONFIG.replace("[model]", "checks = { leaks = 'warn' }\n[model]"));
    bench.run(&["train", "train.toml", "--out", "other", "--set", "seed=7"]).success();
    let study = "teacher = ['run/model.safetensors', 'other/model.safetensors']\ntest = ['train.xyz']\n\
                 [[students]]\nname = 'tiny'\nconfig = 'train.toml'\n[[runs]]\nname = 'alone'\n\
                 [[runs]]\nname = 'n2n'\nterms = [{ strategy = 'n2n', weight = 'auto' }]\n";
    bench.write("study.toml", study);
    let rows = bench.json(&["study", "study.toml", "--out", "study", "--json"]);
    let one = rows[1]["n_parameters"].as_u64().unwrap();
    assert_eq!((&rows[0]["run"], &rows[0]["n_parameters"]), (&"mean of PaiNN, PaiNN".into(), &(2 * one).into()));
    assert!(rows[2]["alignment"].is_number(), "{rows}");
    // The error of a mean of answers is at most the mean of their errors.
    let error = |model: &str| {
        let errors = bench.json(&["evaluate", "--model", model, "--data", "train.xyz", "--json"]);
        errors["forces_mae"].as_f64().unwrap()
    };
    let (both, own) = (rows[0]["forces_mae"]["mean"].as_f64().unwrap(), error("run/model.safetensors"));
    let mean = 0.5 * (own + error("other/model.safetensors"));
    assert!(both < mean + 1e-9 && (both - own).abs() > 1e-9, "{both} {own} {mean}");

    bench.write("study.toml", &study.replace("['run/model.safetensors', 'other/model.safetensors']", "[]"));
    bench.fails(&["study", "study.toml", "--out", "study"], &["teacher: is an empty list"]);
}

#[test]
fn a_study_runs_resumes_and_prints_one_table() {
    let bench = Bench::trained();
    // One file is training, validation and test.
    bench.write("train.toml", &CONFIG.replace("[model]", "checks = { leaks = 'warn' }\n[model]"));
    let study = "teacher = 'run/model.safetensors'\ntest = ['train.xyz']\nseeds = [1, 2]\n\
                 [tuning]\nfactors = [0.1, 10.0]\nset = ['training.epochs=1']\n\
                 [[students]]\nname = 'tiny'\nconfig = 'train.toml'\nset = ['training.learning_rate=2e-3']\n\
                 [[runs]]\nname = 'alone'\n\
                 [[runs]]\nname = 'n2n'\ntune = true\nterms = [{ strategy = 'n2n', weight = 'auto' }]\n\
                 [[runs]]\nname = 'alone-tuned'\nalternatives = [['training.learning_rate=1e-5'], ['training.learning_rate=3e-3']]\n";
    bench.write("study.toml", study);
    let rows = bench.json(&["study", "study.toml", "--out", "study", "--jobs", "2", "--json"]);
    let row = |i: usize| (rows[i]["student"].as_str().unwrap(), rows[i]["run"].as_str().unwrap());
    assert_eq!([row(0), row(1), row(2)], [("teacher", "PaiNN"), ("tiny", "alone"), ("tiny", "n2n")]);
    assert_eq!(rows[2]["n_seeds"], 2);
    // The factor with the lower loss on the validation systems is the one that counts.
    let trial = |factor: &str| -> serde_json::Value {
        let path = bench.path(&format!("study/tiny/n2n/trial-{factor}/result.json"));
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    };
    let losses = ["0.1", "10"].map(|factor| trial(factor)["validation_loss"].as_f64().unwrap());
    assert_ne!(losses[0], losses[1]);
    assert_eq!(rows[3]["settings"], serde_json::json!(["training.learning_rate=3e-3"]), "{rows}");
    assert!(bench.path("study/tiny/alone-tuned/alternative-1/result.json").exists());
    assert_eq!(rows[2]["factor"], if losses[0] < losses[1] { 0.1 } else { 10.0 });
    assert_eq!(trial("10")["judged"], serde_json::json!([]));
    // Errors against the labels and against the teacher are different things; the teacher has none against itself.
    assert!(rows[2]["forces_mae_against_teacher"]["mean"].as_f64().unwrap() > 0.0);
    assert_ne!(rows[2]["forces_mae_against_teacher"], rows[2]["forces_mae"]);
    assert!(rows[0]["forces_mae_against_teacher"].is_null() && rows[1]["alignment"].is_number());
    let config = fs::read_to_string(bench.path("study/tiny/n2n/seed-2/config.toml")).unwrap();
    assert!(config.contains("learning_rate = 0.002") && config.contains("epochs = 2"), "{config}");
    assert!(rows[2]["forces_mae"]["standard_error"].is_number() && rows[1]["forces_gap_closed"].is_null());
    for file in ["table.md", "table.csv", "summary.json", "report.html", "tiny/n2n/seed-2/model.safetensors"] {
        assert!(bench.path(&format!("study/{file}")).exists(), "{file}");
    }
    let html = fs::read_to_string(bench.path("study/report.html")).unwrap();
    assert!(
        html.contains("force error on validation systems") && !html.contains("http://") && !html.contains("<script")
    );

    // Done runs are skipped; a changed one is done again, and so is one whose result was lost, from its checkpoint.
    fs::remove_file(bench.path("study/tiny/alone/seed-1/result.json")).unwrap();
    bench.write("study.toml", &study.replace("'auto'", "2.0"));
    let again = bench.run(&["study", "study.toml", "--out", "study"]).success().get_output().clone();
    let said = String::from_utf8(again.stderr).unwrap();
    assert_eq!(said.matches("done already").count(), 5, "{said}");
    assert!(String::from_utf8(again.stdout).unwrap().starts_with("| student | run | weights × | seeds |"));
    let stale = bench.path("study/tiny/alone/seed-1/.potstill-killed.tmp");
    fs::write(&stale, "{").unwrap();
    let third = bench.run(&["study", "study.toml", "--out", "study"]).success().get_output().clone();
    assert!(!stale.exists());
    assert_eq!(String::from_utf8(third.stderr).unwrap().matches("done already").count(), 10);

    // A run that was killed before its first checkpoint is done again.
    let cell = bench.path("study/tiny/alone/seed-1");
    let mark = fs::read(cell.join("fingerprint")).unwrap();
    fs::remove_dir_all(&cell).unwrap();
    fs::create_dir_all(cell.join("checkpoints")).unwrap();
    fs::write(cell.join("fingerprint"), mark).unwrap();
    bench.run(&["study", "study.toml", "--out", "study"]).success();
    assert!(cell.join("model.safetensors").exists());

    // Other test systems: judged again, not trained again.
    let trained = fs::read(cell.join("model.safetensors")).unwrap();
    bench.write("water.xyz", WATER);
    let sets = "test = { all = ['train.xyz'], 'water, dry' = ['water.xyz'] }";
    bench.write("study.toml", &study.replace("test = ['train.xyz']", sets));
    let rows = bench.json(&["study", "study.toml", "--out", "study", "--json"]);
    assert_eq!(rows.as_array().unwrap().len(), 10);
    let water = rows.as_array().unwrap().iter().find(|r| r["test"] == "water, dry" && r["run"] == "alone").unwrap();
    assert!(water["energy_mae"]["mean"].is_number() && water["energy_mae"] != rows[1]["energy_mae"]);
    assert!(fs::read(cell.join("model.safetensors")).unwrap() == trained);
    let csv = fs::read_to_string(bench.path("study/table.csv")).unwrap();
    let width = |line: &str| line.replace("\"water, dry\"", "").matches(',').count();
    assert!(
        csv.contains("\"water, dry\",tiny,n2n")
            && csv.lines().all(|line| width(line) == width(csv.lines().next().unwrap()))
    );

    bench.write("study.toml", &study.replace("strategy = 'n2n'", "strategy = 'e2e'"));
    bench.write("schnet.toml", "[data]\ntrain = ['train.xyz']\n[model]\narchitecture = 'schnet'\n");
    bench.write("study.toml", &study.replace("train.toml", "schnet.toml").replace("'n2n', weight", "'v2v', weight"));
    bench.fails(&["study", "study.toml", "--out", "other"], &["student tiny, run n2n", "SchNet", "it offers vanilla"]);
}

#[test]
fn structures_are_generated_and_can_be_trained_on() {
    let bench = Bench::trained();
    let base = ["data", "generate", "--teacher", "run/model.safetensors", "--seeds", "train.xyz", "--max-seeds", "2"];
    for method in ["rattle", "rattle-relax", "md"] {
        let more = [
            "--method",
            method,
            "--per-seed",
            "3",
            "--output",
            "new.extxyz",
            "--equilibration",
            "2",
            "--interval",
            "2",
        ];
        let wide = [
            "--temperature",
            "100000",
            "--max-energy-rise",
            "1e6",
            "--max-force",
            "1e6",
            "--min-distance",
            "1e-3",
            "--json",
        ];
        let result = bench.json(&[&base[..], &more, &wide].concat());
        assert!(result["n_systems"].as_u64().unwrap() > 0, "{method}: {result}");
        let text = fs::read_to_string(bench.path("new.extxyz")).unwrap();
        assert!(text.contains(&format!("generated_by={method}")) && text.contains("seed_system=0"), "{text}");
        let right = bench.json(&["evaluate", "--model", "run/model.safetensors", "--data", "new.extxyz", "--json"]);
        assert!(right["forces_mae"].as_f64().unwrap() < 1e-4, "labels are the teacher's");
    }
    bench.run(&["train", "train.toml", "--out", "more", "--set", "data.train=['train.xyz', 'new.extxyz']"]).success();
    let strict = ["--method", "rattle", "--output", "none.extxyz", "--min-distance", "5"];
    bench.fails(&[&base[..], &strict].concat(), &["nothing passed the limits", "2 too near"]);
    assert!(!bench.path("none.extxyz").exists());
    bench
        .fails(&[&base[..], &["--method", "rattle", "--output", "n.xyz", "--std", "0"]].concat(), &["std", "positive"]);
}

#[test]
fn similarity_of_a_model_with_itself_and_another() {
    let bench = Bench::trained();
    bench.run(&["train", "train.toml", "--out", "other", "--set", "seed=5"]).success();
    let (a, b) = ("run/model.safetensors", "other/model.safetensors");
    let base = ["similarity", "--a", a, "--b", a, "--b", b, "--data", "train.xyz"];
    let result = bench.json(&[&base[..], &["--json", "--plot", "cka.svg"]].concat());
    assert_eq!(result["comparisons"].as_array().unwrap().len(), 2);
    let itself = &result["comparisons"][0]["similarity"];
    for (i, row) in itself["cka"].as_array().unwrap().iter().enumerate() {
        assert!((row[i].as_f64().unwrap() - 1.0).abs() < 1e-9, "{row}");
    }
    let svg = fs::read_to_string(bench.path("cka.svg")).unwrap();
    assert!(svg.contains(">run<") && svg.contains(">other<"), "{svg}");
    let table = bench.run(&[&base[..], &["--unbiased"]].concat()).success().get_output().clone();
    assert!(String::from_utf8(table.stdout).unwrap().contains("unbiased CKA of run/model.safetensors"));
    let nitrogen = WATER.replace("O 0.0", "N 0.0");
    bench.write("nitrogen.xyz", &nitrogen);
    bench.fails(&["similarity", "--a", a, "--b", b, "--data", "nitrogen.xyz"], &["element N", "H, C, O"]);
}

#[test]
fn data_commands() {
    let bench = Bench::new();
    let info = bench.json(&["data", "info", "train.xyz", "--json"]);
    assert_eq!((info["n_systems"].as_u64(), info["n_atoms"].as_u64()), (Some(4), Some(16)));
    assert_eq!(info["elements"]["H"], 12);
    assert_eq!(info["periodic"], false);
    assert_eq!(info["energy"]["count"], 4);
    assert_eq!(info["forces"]["count"], 48);
    bench.run(&["data", "convert", "train.xyz", "train.npz"]).success();
    bench.run(&["data", "convert", "train.npz", "back.xyz.gz"]).success();
    let back = bench.json(&["data", "info", "back.xyz.gz", "--json"]);
    assert_eq!(back["energy"], info["energy"]);
    bench
        .run(&["data", "split", "train.xyz", "--parts", "a=2", "b=2", "--out", "parts", "--group-by", "name"])
        .success();
    assert_eq!(names(&bench.path("parts")), ["a.extxyz", "b.extxyz"]);
    let part = bench.json(&["data", "info", "parts/a.extxyz", "--json"]);
    assert_eq!(part["keys"]["name"]["n_distinct"], 1, "a group stays together");
    bench.fails(&["data", "split", "train.xyz", "--parts", "a", "--out", "x"], &["--parts a", "NAME=FRACTION"]);
    bench.fails(&["data", "convert", "train.xyz", "train.lmdb"], &["train.lmdb"]);
}

#[test]
fn an_atom_without_neighbours_is_a_system() {
    let bench = Bench::trained();
    bench.write("atom.xyz", "1\nProperties=species:S:1:pos:R:3\nO 0 0 0\n");
    bench.run(&["predict", "--model", "run/model.safetensors", "--input", "atom.xyz", "--output", "out.xyz"]).success();
    let text = fs::read_to_string(bench.path("out.xyz")).unwrap();
    let row: Vec<&str> = text.lines().nth(2).unwrap().split_whitespace().collect();
    assert!(row[4..7].iter().all(|f| f.parse::<f64>().unwrap() == 0.0), "{text}");
}

#[test]
fn files_that_are_wrong() {
    let bench = Bench::trained();
    let info = |name: &'static str| ["data", "info", name];
    bench.fails(&info("absent.xyz"), &["absent.xyz", "cannot open"]);
    let cases = [
        ("truncated.xyz", WATER.lines().take(4).collect::<Vec<_>>().join("\n"), "expected 3 atoms"),
        ("columns.xyz", WATER.replace("-0.1 0.2 0.0", "-0.1 0.2"), "columns.xyz:4"),
        ("element.xyz", WATER.replace("O 0.0", "Qq 0.0"), "element.xyz:3"),
        ("nan.xyz", WATER.replace("energy=-1.0", "energy=nan"), "nan.xyz:2"),
        ("empty.xyz", String::new(), "no systems"),
    ];
    for (name, text, word) in &cases {
        bench.write(name, text);
        bench.fails(&["data", "info", name], &[name, word]);
    }
    bench.fails(&["data", "info", "train.xyz", "--energy-key", "E0"], &["train.xyz:2", "E0"]);

    let predict =
        |input: &'static str| ["predict", "--model", "run/model.safetensors", "--input", input, "--output", "out.xyz"];
    bench.write("flat.xyz", &WATER.replace("energy=-1.0", "Lattice=\"5 0 0 0 5 0 5 5 0\"").replace("F F F", "T T T"));
    bench.fails(&predict("flat.xyz"), &["cell"]);
    bench.write("twice.xyz", &WATER.replace("H 0.96 0.0 0.0", "H 0.0 0.0 0.0"));
    bench.fails(&predict("twice.xyz"), &["system 0", "one place"]);
    bench.write("iron.xyz", &WATER.replace("O 0.0", "Fe 0.0"));
    bench.fails(&predict("iron.xyz"), &["system 0", "element Fe", "H, C, O"]);
    assert!(!bench.path("out.xyz").exists(), "nothing half-written");
}

#[test]
fn models_that_are_wrong() {
    let bench = Bench::trained();
    let bytes = fs::read(bench.path("run/model.safetensors")).unwrap();
    fs::write(bench.path("cut.safetensors"), &bytes[..bytes.len() / 2]).unwrap();
    bench.fails(&["info", "cut.safetensors"], &["cut.safetensors", "not a complete safetensors file"]);
    let newer = String::from_utf8_lossy(&bytes).find("format_version").unwrap();
    let mut changed = bytes.clone();
    let digit = newer + bytes[newer..].iter().position(u8::is_ascii_digit).unwrap();
    changed[digit] = b'9';
    fs::write(bench.path("newer.safetensors"), changed).unwrap();
    bench.fails(&["info", "newer.safetensors"], &["format version 9", "update potstill"]);
    bench.fails(&["info", "train.xyz"], &["train.xyz", "safetensors"]);
}

#[test]
fn configurations_that_are_wrong() {
    let bench = Bench::new();
    let train = |set: &'static str| ["train", "train.toml", "--out", "x", "--set", set];
    bench.fails(&train("model.cutoff=0.0"), &["model.cutoff", "positive"]);
    bench.fails(&train("model.cutof=5.0"), &["cutof", "did you mean `cutoff`"]);
    bench.fails(&train("training.learning_rate=-1.0"), &["training.learning_rate"]);
    bench.fails(&train("data.train=['absent.xyz']"), &["absent.xyz", "cannot open"]);
    fs::write(bench.path("train.xyz.gz"), [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]).unwrap();
    let args =
        ["train", "train.toml", "--out", "x", "--set", "data.train=['train.xyz.gz']", "--set", "data.in_memory=false"];
    bench.fails(&args, &["train.xyz.gz", "is compressed", "data convert"]);
    bench.write("wrong.toml", &CONFIG.replace("epochs", "epoch"));
    bench.fails(&["train", "wrong.toml", "--out", "x"], &["wrong.toml:12", "did you mean `epochs`"]);

    let bare = WATER
        .replace(":forces:R:3", "")
        .replace(" 0.1 0.0 0.0\n", "\n")
        .replace(" -0.1 0.2 0.0\n", "\n")
        .replace(" 0.0 -0.2 0.0\n", "\n");
    bench.write("bare.xyz", &bare.repeat(2));
    bench.fails(&train("data.train=['bare.xyz']"), &["forces"]);
    bench.write("mixed.xyz", &format!("{WATER}{bare}"));
    bench.fails(&train("data.train=['mixed.xyz']"), &["forces", "system 1"]);
}

#[test]
fn a_folder_that_holds_something_is_left_alone() {
    let bench = Bench::trained();
    bench.fails(&["train", "train.toml", "--out", "run"], &["not empty", "--resume", "--overwrite"]);
    bench.run(&["train", "train.toml", "--out", "run", "--overwrite"]).success();
    bench.run(&["train", "train.toml", "--out", "run", "--resume", "--set", "training.epochs=3"]).success();
    bench.fails(
        &["train", "train.toml", "--out", "run", "--resume", "--set", "training.learning_rate=0.1"],
        &["another configuration", "--overwrite"],
    );
    // There is nothing to go on from yet: a job script can always say --resume.
    bench.run(&["train", "train.toml", "--out", "new", "--resume"]).success();
    bench.fails(&["train", "train.toml", "--out", ".", "--resume"], &["no checkpoint to resume, but", "another --out"]);
}

#[test]
fn predictions_are_labels_of_a_teacher() {
    let bench = Bench::trained();
    for labels in ["labels.extxyz", "labels.npz"] {
        bench
            .run(&["predict", "--model", "run/model.safetensors", "--input", "train.xyz", "--output", labels])
            .success();
        let term = "terms = [{ strategy = 'atomic_energy', weight = 1.0 }]";
        let options = "labels = { check_units = false, align_energies = false }";
        bench.write("student.toml", &format!("{CONFIG}[distill]\nteacher = '{labels}'\n{options}\n{term}\n"));
        bench.run(&["distill", "student.toml", "--out", &format!("student-{labels}")]).success();
    }
}

#[test]
fn the_end_of_a_training_says_what_is_shipped() {
    let bench = Bench::new();
    let last = |arguments: &[&str]| {
        let output =
            bench.run(&[&["train", "train.toml", "--out"][..], arguments].concat()).success().get_output().clone();
        [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap())
    };
    let [out, err] = last(&["judged", "--set", "training.max_steps=1"]);
    assert!(
        out.contains("the best on the validation systems: energy MAE") && out.contains("a constant predictor: "),
        "{out}"
    );
    // Equal systems have equal energies: nothing beats a constant there.
    assert!(err.contains("warning: the model has learnt nothing that helps: validation energy MAE"), "{err}");
    assert!(err.contains("weights (loss") && (err.contains("; raw ") || err.contains("; averaged ")), "{err}");
    let [out, _] = last(&["last", "--set", "data.validation=[]"]);
    assert!(out.contains("model: averaged weights of step 4, the last ones: there are no validation systems"), "{out}");
    let json = bench.json(&["train", "train.toml", "--out", "json", "--json"]);
    assert!(json["weights"] == "raw" || json["weights"] == "averaged", "{json}");
    assert!(json["validation"]["forces_mae"].is_number() && json["baseline"]["forces_mae"].is_number(), "{json}");
}

#[test]
fn signals_of_a_batch_system_save_the_run() {
    let bench = Bench::new();
    for signal in ["-INT", "-TERM", "-HUP"] {
        let folder = format!("run{signal}");
        let endless = ["train", "train.toml", "--out", &folder, "--set", "training.epochs=1000000"];
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_potstill"))
            .current_dir(bench.path("."))
            .args(endless)
            .stderr(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        while !bench.path(&folder).join("checkpoints/last.safetensors").exists() {
            assert!(child.try_wait().unwrap().is_none(), "{signal}: ended by itself");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let status = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        assert!(status.success());
        assert_eq!(child.wait().unwrap().code(), Some(130), "{signal}");
        bench.run(&["train", "train.toml", "--out", &folder, "--resume", "--set", "training.epochs=1"]).success();
    }
}

#[test]
fn a_loss_that_is_not_finite_names_its_step() {
    let bench = Bench::new();
    let wild = ["--set", "training.learning_rate=1e30", "--set", "training.clip_norm=0"];
    bench.fails(
        &[&["train", "train.toml", "--out", "x"][..], &wild].concat(),
        &["step 2", "batch of systems", "learning_rate"],
    );
}

/// Every shipped configuration is understood and describes a network that can be built.
#[test]
fn shipped_configurations_are_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
    let mut n = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let bench = Bench::new();
        let text = fs::read_to_string(&path).unwrap();
        let verb = if text.contains("[distill]") { "distill" } else { "train" };
        let data = if text.contains("[distill.rounds]") { "seeds" } else { "train" };
        // All is well until the data, which is not here, is opened.
        bench.fails(&[verb, path.to_str().unwrap(), "--out", "x"], &["cannot open", data]);
        n += 1;
    }
    assert!(n >= 8, "{n}");
}
