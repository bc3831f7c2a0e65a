//! Distillation in rounds, as a user runs it.

#[path = "support/folder.rs"]
mod folder;

use std::fs;

use folder::Folder;
use potstill_core::System;
use potstill_core::system::Value as Metadata;
use serde_json::Value;

/// Two rounds of a tiny student, whose every length is a number of steps: the same on any machine.
const ROUNDS: &str = r#"
seed = 1
[model]
architecture = "painn"
hidden_channels = 8
n_layers = 1
n_radial = 6
cutoff = 4.0
[training]
batch_size = 4
epochs = 1000
max_steps = 12
ema_decay = 0.5
[distill]
teacher = "teacher.safetensors"
[distill.rounds]
n = 2
seeds = ["seeds.extxyz"]
temperatures = [50.0, 100.0]
labels = 24
trajectories = 6
picoseconds = 0.05
"#;

fn bench() -> Folder {
    let bench = Folder::new("teacher.safetensors", "seeds.extxyz", "--threads 1 --quiet");
    fs::write(bench.path("rounds.toml"), ROUNDS).unwrap();
    bench
}

fn text(system: &System, key: &str) -> String {
    match system.metadata.get(key) {
        Some(Metadata::Text(text)) => text.clone(),
        other => panic!("{key}: {other:?}"),
    }
}

#[test]
fn rounds_label_train_and_explore() {
    let bench = bench();
    let result = bench.json("distill rounds.toml --out run --json");
    let rounds = result["rounds"].as_array().unwrap();
    assert_eq!(rounds.len(), 2);
    assert!(rounds[1]["n_labels"].as_u64() > rounds[0]["n_labels"].as_u64());
    assert!(rounds[1]["against_teacher"]["forces_mae"].as_f64().unwrap() > 0.0);
    let survival = rounds[1]["survival"].as_array().unwrap();
    assert_eq!(survival.iter().map(|s| s["n_trajectories"].as_u64().unwrap()).sum::<u64>(), 6);
    // The last student's own dynamics, beside those of its teacher.
    let dynamics = &result["dynamics"];
    assert_eq!(dynamics["temperatures"].as_array().unwrap().len(), 2);
    let [student, teacher] = ["student_cost", "teacher_cost"].map(|key| dynamics[key]["seconds"].as_f64().unwrap());
    assert!(student > 0.0 && teacher > 0.0);
    assert!(result["n_calls"].as_u64() > dynamics["n_calls"].as_u64());
    assert!(bench.path("run/report.html").exists() && bench.path("run/config.toml").exists());

    // Every structure says where it comes from, and has the teacher's labels.
    let mut origins: Vec<String> =
        bench.systems("run/rounds/structures-1/train.extxyz").iter().map(|s| text(s, "generated_by")).collect();
    origins.sort();
    origins.dedup();
    assert_eq!(origins, ["md", "rattle", "rattle-relax", "seed"]);
    let explored = bench.systems("run/rounds/structures-2/train.extxyz");
    bench
        .run("predict --model teacher.safetensors --input run/rounds/structures-2/train.extxyz --output again.extxyz")
        .success();
    for (system, again) in explored.iter().zip(bench.systems("again.extxyz")) {
        assert_eq!(
            (text(system, "generated_by").as_str(), system.metadata["round"].clone()),
            ("student", Metadata::Int(2))
        );
        assert!((system.energy.unwrap() - again.energy.unwrap()).abs() < 1e-3);
    }
    // What validates comes from trajectories of its own.
    let of = |name: &str| -> Vec<Metadata> {
        bench.systems(name).iter().map(|system| system.metadata["trajectory"].clone()).collect()
    };
    let (train, validation) =
        (of("run/rounds/structures-2/train.extxyz"), of("run/rounds/structures-2/validation.extxyz"));
    assert!(!validation.is_empty() && validation.iter().all(|trajectory| !train.contains(trajectory)));
}

#[test]
fn a_run_that_was_stopped_goes_on_to_the_same_end() {
    let bench = bench();
    bench.run("distill rounds.toml --out run").success();
    let model = fs::read(bench.path("run/model.safetensors")).unwrap();
    assert!(bench.fails("distill rounds.toml --out run", 2).contains("holds a run already"));
    // As if it had been killed while the student explored, and again before its last training.
    for gone in ["run/rounds/structures-2/found.json", "run/rounds.json"] {
        for file in ["run/model.safetensors", gone] {
            fs::remove_file(bench.path(file)).unwrap();
        }
        fs::remove_dir_all(bench.path("run/rounds/training-2")).unwrap();
        bench.run("distill rounds.toml --out run --resume").success();
        assert!(fs::read(bench.path("run/model.safetensors")).unwrap() == model, "{gone}");
    }
    let line = bench.fails("distill rounds.toml --out run --resume --seed 2", 2);
    assert!(line.contains("other settings"), "{line}");
}

#[test]
fn a_killed_run_asks_a_slow_teacher_nothing_twice() {
    let bench = bench();
    // It counts what it is asked.
    fs::write(bench.path("slow.sh"), SLOW.replace("sleep 0.1", "sleep 0.01; echo asked >> asked.txt")).unwrap();
    let config = ROUNDS
        .replace("teacher = \"teacher.safetensors\"", "teacher = { command = ['sh', 'slow.sh'] }")
        .replace("n = 2", "n = 1\ncomparison_calls = 0")
        .replace("[model]", "[data]\nnormalization = 'none'\n[model]");
    fs::write(bench.path("slow.toml"), config).unwrap();
    let count = |name: &str| fs::read_to_string(bench.path(name)).unwrap_or_default().lines().count();
    let line = "distill slow.toml --out run --resume --threads 1 --quiet";
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_potstill"));
    let mut child = command.current_dir(bench.folder.path()).args(line.split_whitespace()).spawn().unwrap();
    while count("run/rounds/answers.jsonl") < 60 {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it could be killed");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let before = count("asked.txt");
    let result = bench.json("distill slow.toml --out run --resume --json");
    let calls = result["n_calls"].as_u64().unwrap() as usize;
    // What was under way when it was killed, and a start of the program.
    assert!(before >= 60 && count("asked.txt") <= calls + 20, "{before}, {}, {calls}", count("asked.txt"));
    assert!(!bench.path("run/rounds/answers.jsonl").exists());
}

#[test]
fn seeds_that_are_test_structures_are_left_out() {
    let bench = bench();
    let mut seeds = bench.systems("seeds.extxyz");
    seeds.truncate(1);
    seeds.push(seeds[0].clone());
    seeds[1].positions[0][0] += 0.2;
    bench.write("test.extxyz", &seeds[..1]);
    bench.write("both.extxyz", &seeds);
    let near = ROUNDS.replace("n = 2", "n = 1\ntest = [\"test.extxyz\"]").replace("seeds.extxyz", "both.extxyz");
    fs::write(bench.path("near.toml"), near).unwrap();
    bench.run("distill near.toml --out near").success();
    let learnt = bench.systems("near/rounds/structures-1/train.extxyz");
    assert!(!learnt.is_empty() && learnt.iter().all(|system| system.positions != seeds[0].positions));
    assert!(learnt.iter().any(|system| seeds[1..].iter().any(|seed| seed.positions == system.positions)));
}

#[test]
fn the_mean_of_models_teaches_rounds() {
    let bench = bench();
    let two = ROUNDS.replace("\"teacher.safetensors\"", "[\"teacher.safetensors\", \"teacher.safetensors\"]");
    fs::write(bench.path("two.toml"), two).unwrap();
    let last = |run: &str| bench.json(run)["rounds"].as_array().unwrap().last().unwrap()["against_teacher"].clone();
    // The mean of a model and itself is that model.
    assert_eq!(last("distill two.toml --out two --json"), last("distill rounds.toml --out one --json"));
}

#[test]
fn real_labels_align_the_teacher_and_come_last() {
    let bench = bench();
    bench.run("predict --model teacher.safetensors --input seeds.extxyz --output told.extxyz --dtype f64").success();
    // The teacher's own labels, counted from another zero.
    let mut real = bench.systems("told.extxyz");
    for system in &mut real {
        system.energy = system.energy.map(|energy| energy + 3.0 * system.n_atoms() as f64);
        system.columns.clear();
    }
    bench.write("real.extxyz", &real);
    let config = ROUNDS.replace("[model]", "[data]\ntrain = ['real.extxyz']\nvalidation = ['real.extxyz']\n[model]");
    fs::write(bench.path("real.toml"), config).unwrap();
    let result = bench.json("distill real.toml --out run --json");
    assert!(result["teacher"]["forces_mae"].as_f64().unwrap() < 1e-4, "{result}");
    assert!(result["teacher"]["energy_mae"].as_f64().unwrap() < 1e-2, "{result}");
    let names: Vec<&str> =
        result["rounds"].as_array().unwrap().iter().map(|round| round["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["training-1", "training-2", "fine-tuning"]);
    let made = bench.systems("run/rounds/structures-1/train.extxyz");
    let per_atom = |systems: &[System]| systems[0].energy.unwrap() / systems[0].n_atoms() as f64;
    assert!((per_atom(&made) - per_atom(&real)).abs() < 1.0, "labels of the teacher have the zero of the real ones");
}

#[test]
fn a_budget_of_calls_is_kept() {
    let bench = bench();
    fs::write(bench.path("rounds.toml"), ROUNDS.replace("labels = 24", "labels = 24\ncomparison_calls = 40")).unwrap();
    let result = bench.json("distill rounds.toml --out run --teacher-calls 500 --json");
    let calls = result["n_calls"].as_u64().unwrap();
    let labels = result["rounds"][1]["n_labels"].as_u64().unwrap();
    assert!((300..=500).contains(&calls) && (24..60).contains(&labels), "{calls} calls, {labels} labels");
    let line = bench.fails("distill rounds.toml --out wrong --teacher-calls 100", 2);
    assert!(line.contains("distill.rounds.teacher_calls: is 100; 2 rounds ask at least"), "{line}");
}

#[test]
fn second_derivatives_are_learnt_in_rounds() {
    let bench = bench();
    let terms = "terms = [{ strategy = 'vanilla' }, { strategy = 'hessian', weight = 1.0 }]\n[distill.rounds]";
    let config = ROUNDS.replace("[distill.rounds]", terms).replace("max_steps = 12", "max_steps = 4");
    fs::write(bench.path("rounds.toml"), config).unwrap();
    bench.run("distill rounds.toml --out run").success();
    let metrics = fs::read_to_string(bench.path("run/rounds/training-2/metrics.jsonl")).unwrap();
    let line: Value = serde_json::from_str(metrics.lines().next().unwrap()).unwrap();
    let losses = line["distill_losses"].as_array().unwrap();
    assert!(losses.len() == 2 && losses[1].as_f64().unwrap() > 0.0, "{line}");
}

#[test]
fn a_student_that_is_its_teacher_moves_as_its_teacher() {
    let bench = bench();
    // The teacher's own network and weights, which do not change.
    let config = ROUNDS
        .replace("hidden_channels = 8", "hidden_channels = 16")
        .replace("n_layers = 1", "n_layers = 2")
        .replace("n_radial = 6", "n_radial = 12")
        .replace("cutoff = 4.0", "cutoff = 5.0\nforces = 'gradient'")
        .replace("max_steps = 12", "max_steps = 1\nlearning_rate = 1e-30\nstart_from = 'teacher.safetensors'\noptimizer = { weight_decay = 0.0 }")
        .replace("[50.0, 100.0]", "[150.0, 300.0]")
        .replace("picoseconds = 0.05", "picoseconds = 0.25");
    fs::write(bench.path("rounds.toml"), config).unwrap();
    let result = bench.json("distill rounds.toml --out run --rounds 1 --json");
    let temperatures = result["dynamics"]["temperatures"].as_array().unwrap();
    assert_eq!(temperatures.len(), 2);
    for at in temperatures {
        let number = |key: &str| at[key].as_f64().unwrap_or_else(|| panic!("{key}: {at}"));
        assert_eq!(number("n_broken"), 0.0, "{at}");
        // The same forces, so only chance makes them differ.
        assert!(number("overlap") > 0.8 && number("teacher_overlap") > 0.7, "{at}");
        assert!(number("drift").abs() < 1e-3, "{at}");
        assert_eq!(at["student"]["C-H"].as_array().unwrap().len(), 100);
    }
}

#[test]
fn a_teacher_and_structures_are_enough() {
    let bench = bench();
    let quick = "distill --teacher teacher.safetensors --seeds seeds.extxyz --minutes 0.05 --temperatures 100 --out quick --json";
    let result = bench.json(quick);
    assert_eq!(result["rounds"].as_array().unwrap().len(), 2);
    let decided = fs::read_to_string(bench.path("quick/config.toml")).unwrap();
    assert!(decided.contains("training_minutes") && decided.contains("labels = "), "{decided}");
    // What was decided stays decided.
    bench.run(&format!("{quick} --resume")).success();
    assert_eq!(fs::read_to_string(bench.path("quick/config.toml")).unwrap(), decided);
}

#[test]
fn what_rounds_cannot_do_is_said() {
    let bench = bench();
    for (from, to, expected) in [
        ("n = 2", "n = 0", "distill.rounds.n: is 0"),
        ("labels = 24", "label = 24", "label"),
        ("n = 2", "n = 2\nteacher_calls = 0", "distill.rounds.teacher_calls: is 0"),
        ("seeds = [\"seeds.extxyz\"]", "", "distill.rounds.seeds: names no file"),
        ("n = 2", "n = 2\ntest = [\"seeds.extxyz\"]", "distill.rounds.seeds: are all as good as test structures"),
        ("teacher.safetensors", "seeds.extxyz", "is asked about new structures; give model files or a program"),
    ] {
        fs::write(bench.path("wrong.toml"), ROUNDS.replace(from, to)).unwrap();
        let line = bench.fails("distill wrong.toml --out wrong", 2);
        assert!(line.contains(expected), "{line}");
    }
    let mut strange = bench.systems("seeds.extxyz");
    strange[0].atomic_numbers[0] = 79;
    bench.write("strange.extxyz", &strange);
    let line = bench.fails("distill --teacher teacher.safetensors --seeds strange.extxyz --out wrong2", 2);
    assert!(line.contains("Au"), "{line}");
    let line = bench.fails("distill --seeds seeds.extxyz --out wrong3", 2);
    assert!(line.contains("give the teacher, too"), "{line}");
    let line = bench.fails("distill rounds.toml --teacher teacher.safetensors --out wrong4", 2);
    assert!(line.contains("--seeds"), "{line}");
    // A program that takes its time.
    fs::write(bench.path("slow.sh"), SLOW).unwrap();
    let mut command = bench.command();
    command.args(["distill", "--program", "sh slow.sh", "--seeds", "seeds.extxyz"]);
    let output = command.args(["--minutes", "0.1", "--out", "wrong5"]).assert().code(2).get_output().clone();
    let line = String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned();
    assert!(line.contains("the teacher takes") && line.contains("give at least"), "{line}");
}

/// No forces, after a while.
const SLOW: &str = r#"while read -r n; do
  IFS= read -r comment; i=0; sleep 0.1
  echo "$n"; echo "energy=0.0 ${comment%%pos:R:3*}pos:R:3:forces:R:3${comment#*pos:R:3}"
  while [ $i -lt $n ]; do
    read -r symbol x y z rest; i=$((i + 1))
    echo "$symbol $x $y $z 0.0 0.0 0.0 $rest"
  done
done"#;

/// A distillation that can be planned: labels of the teacher itself, counted from another zero.
fn plannable(bench: &Folder) {
    bench.run("data generate --teacher teacher.safetensors --seeds seeds.extxyz --method rattle --per-seed 24 --output made.extxyz").success();
    let made = bench.systems("made.extxyz");
    bench.write("train.extxyz", &made[..16]);
    bench.write("val.extxyz", &made[16..]);
    let config = ROUNDS
        .split("[distill.rounds]")
        .next()
        .unwrap()
        .replace("[model]", "[data]\ntrain = ['train.extxyz']\nvalidation = ['val.extxyz']\n[model]");
    let terms = "terms = [{ strategy = 'vanilla', energy_weight = 1.0, force_weight = 100.0 }]\n";
    fs::write(bench.path("plan.toml"), config + terms).unwrap();
}

#[test]
fn a_plan_measures_teacher_and_student() {
    let bench = bench();
    plannable(&bench);
    let plan = bench.json("plan plan.toml --seconds 0.5 --json");
    let verdict = &plan["verdict"];
    assert!(plan["teacher"]["forces_mae"].as_f64().unwrap() < 1e-3, "{plan}");
    assert_eq!(
        (verdict["is_about_forces"].as_bool(), verdict["teacher_is_better"].as_bool()),
        (Some(true), Some(true))
    );
    assert_eq!(plan["alone"][1]["validation"]["forces"], verdict["alone"]);
    assert!(verdict["needed"].as_f64().unwrap() < verdict["alone"].as_f64().unwrap());
    let text = bench.run("plan plan.toml --seconds 0.2 --gap 80").success().get_output().stdout.clone();
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("teacher") && text.contains("80 % of the gap needs a student within about"), "{text}");

    // A teacher that says something else is no better than the student, and both numbers are said.
    let mut labels = bench.systems("val.extxyz");
    labels.iter_mut().for_each(|system| system.forces.as_mut().unwrap().iter_mut().for_each(|f| f[0] += 90.0));
    bench.write("val.extxyz", &labels);
    let config =
        fs::read_to_string(bench.path("plan.toml")).unwrap().replace("[data]", "[data]\nchecks = { units = false }");
    fs::write(bench.path("plan.toml"), config).unwrap();
    let plan = bench.json("plan plan.toml --seconds 0.2 --json");
    assert!(plan["teacher"]["forces_mae"].as_f64().unwrap() > 10.0, "{plan}");
}

#[test]
fn what_cannot_be_planned_is_said() {
    let bench = bench();
    assert!(bench.fails("plan rounds.toml", 2).contains("plan without that section"));
    plannable(&bench);
    let config = fs::read_to_string(bench.path("plan.toml")).unwrap();
    fs::write(bench.path("wrong.toml"), config.replace("validation = ['val.extxyz']", "")).unwrap();
    assert!(bench.fails("plan wrong.toml", 2).contains("data.validation: names no file"));
    fs::write(bench.path("wrong.toml"), config.split("[distill]").next().unwrap()).unwrap();
    assert!(bench.fails("plan wrong.toml", 2).contains("there is nothing to plan"));
}
