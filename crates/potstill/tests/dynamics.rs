//! Dynamics, relaxation and programs as teachers, as a user runs them.

#[path = "support/folder.rs"]
mod folder;

use std::fs;

use folder::{Folder, shipped};
use potstill_core::System;
use potstill_core::columns::ColumnValues;

fn bench() -> Folder {
    Folder::new("model.safetensors", "start.extxyz", "--threads 1")
}

const MD: &str = "md --model model.safetensors --input start.extxyz --max-systems 1 --quiet --every 5 --restart-every 10 --temperature 50";

#[test]
fn a_run_leaves_trajectory_log_and_restart_file() {
    let bench = bench();
    let result = bench.json(&format!("{MD} --ensemble nve --steps 20 --out run --velocities --json"));
    assert_eq!((result["n_replicas"].as_u64(), result["n_steps"].as_u64()), (Some(1), Some(20)));
    let (frames, log) = (bench.systems("run/trajectory.extxyz"), bench.lines("run/log.jsonl"));
    assert_eq!((frames.len(), log.len()), (5, 5), "the start and every fifth step");
    assert_eq!(log[4]["step"], 20);
    assert_eq!(frames[4].energy, log[4]["potential"].as_f64());
    let conserved: Vec<f64> = log.iter().map(|line| line["conserved"].as_f64().unwrap()).collect();
    let kinetic = log[0]["kinetic"].as_f64().unwrap();
    for value in &conserved {
        assert!((value - conserved[0]).abs() < 0.05 * kinetic.max(1e-3), "{conserved:?}");
    }
    let ColumnValues::Real(velocities) = &frames[4].columns["velocities"].values else { panic!("velocities") };
    let masses = frames[4].atomic_numbers.iter().map(|&z| potstill_core::masses::mass(z).unwrap());
    let squares = velocities.chunks(3).map(|v| v.iter().map(|c| c * c).sum::<f64>());
    let energy: f64 = masses.zip(squares).map(|(m, v)| 0.5 * m * v).sum::<f64>() / potstill_simulate::ACCELERATION;
    assert!((energy / log[4]["kinetic"].as_f64().unwrap() - 1.0).abs() < 1e-6, "{energy}");
    // What the trajectory says of a frame is what the model says of it.
    bench
        .run("predict --model model.safetensors --input run/trajectory.extxyz --output again.extxyz --quiet")
        .success();
    for (frame, again) in frames.iter().zip(bench.systems("again.extxyz")) {
        assert!((frame.energy.unwrap() - again.energy.unwrap()).abs() < 1e-4);
    }
}

#[test]
fn a_run_in_parts_is_the_run_in_one() {
    let bench = bench();
    for (ensemble, compress) in [("langevin", ""), ("csvr", " --compress")] {
        let md = format!("{MD} --ensemble {ensemble} --replicas 2{compress}");
        let (whole, parts) = (format!("{ensemble}-whole"), format!("{ensemble}-parts"));
        bench.run(&format!("{md} --steps 37 --out {whole}")).success();
        bench.run(&format!("{md} --steps 13 --out {parts}")).success();
        // Frames that a killed run wrote after its restart file are written again.
        let ending = if compress.is_empty() { "" } else { ".zst" };
        let mut trajectory = fs::OpenOptions::new()
            .append(true)
            .open(bench.path(&format!("{parts}/trajectory-0.extxyz{ending}")))
            .unwrap();
        std::io::Write::write_all(&mut trajectory, b"half a frame").unwrap();
        bench.run(&format!("{md} --steps 37 --out {parts} --resume")).success();
        for name in ["log.jsonl", "restart.json"]
            .map(String::from)
            .into_iter()
            .chain((0..2).map(|replica| format!("trajectory-{replica}.extxyz{ending}")))
        {
            let read = |folder: &str| fs::read(bench.path(&format!("{folder}/{name}"))).unwrap();
            assert!(read(&whole) == read(&parts), "{ensemble}: {name} differs");
        }
    }
    let replicas = ["0", "1"].map(|replica| bench.systems(&format!("langevin-whole/trajectory-{replica}.extxyz")));
    assert_ne!(replicas[0][1].positions, replicas[1][1].positions);
}

#[test]
fn a_run_that_explodes_stops_with_the_frame() {
    let bench = bench();
    let line = bench.fails(&format!("{MD} --steps 1000 --out run --stop-when temperature=1").replace("--quiet", ""), 1);
    assert!(line.contains("stopped: replica 0, step 1: the temperature is") && line.contains("last of its"), "{line}");
    let frames = bench.systems("run/trajectory.extxyz");
    assert_eq!(frames.len(), 2);
}

#[test]
fn what_dynamics_cannot_do_is_said() {
    let bench = bench();
    for (arguments, expected) in [
        ("--steps 5 --out a --ensemble npt", "npt needs a cell that is periodic in three directions"),
        ("--steps 5 --out a --stop-when heat=3", "the signs are temperature"),
        ("--steps 5 --out a --timestep 0", "must be positive"),
        ("--steps 5 --out a --temperature -3", "must be a number from 0"),
    ] {
        let md = MD.replace("--temperature 50", "");
        let line = bench.fails(&format!("{md} {arguments}"), 2);
        let all = line.contains(expected) || {
            let output = bench.run(&format!("{md} {arguments}")).code(2).get_output().clone();
            String::from_utf8_lossy(&output.stderr).contains(expected)
        };
        assert!(all, "{arguments}: {line}");
    }
    let line = bench.fails("md --model model.safetensors --quiet --steps 5 --out a --resume", 2);
    assert!(line.contains("there is no run that could go on"), "{line}");
    let line = bench.fails("md --program 'sh --quiet --steps 5 --out a --input start.extxyz", 2);
    assert!(line.contains("a quote is not closed"), "{line}");
    // A job script gives --resume from the start, also where a run was killed before its first frame.
    bench.run(&format!("{MD} --steps 5 --out run --resume")).success();
    bench.run(&format!("{MD} --steps 5 --out run --resume")).success();
    assert!(bench.fails(&format!("{MD} --steps 5 --out run"), 2).contains("holds a run already"));
    assert!(bench.fails(&format!("{MD} --steps 9 --out run --resume --timestep 1"), 2).contains("other settings"));
    let other = shipped("testdata/models/version-2-schnet.safetensors");
    let line = MD.replace("model.safetensors", &other.display().to_string());
    assert!(bench.fails(&format!("{line} --steps 9 --out run --resume"), 2).contains("another model"));
    fs::write(bench.path("run/restart.json"), "{").unwrap();
    assert!(bench.fails(&format!("{MD} --steps 9 --out run --resume"), 2).contains("is no restart file"));
    bench.run(&format!("{MD} --steps 5 --out run --overwrite")).success();
}

#[test]
fn systems_relax() {
    let bench = bench();
    let relax = "relax --model model.safetensors --input start.extxyz --output relaxed.extxyz --quiet --dtype f64";
    let result = bench.json(&format!("{relax} --fmax 0.02 --optimizer lbfgs --max-steps 5000 --json"));
    let (before, after) = (bench.systems("start.extxyz"), bench.systems("relaxed.extxyz"));
    assert_eq!(before.len(), after.len());
    bench
        .run("predict --model model.safetensors --input start.extxyz --output at-start.extxyz --quiet --dtype f64")
        .success();
    for (i, (start, relaxed)) in bench.systems("at-start.extxyz").iter().zip(&after).enumerate() {
        assert!(relaxed.energy <= start.energy, "{i}");
        let largest = relaxed.forces.as_ref().unwrap().iter().map(|f| f.iter().map(|c| c * c).sum::<f64>().sqrt());
        let told = result["systems"][i]["largest_force"].as_f64().unwrap();
        assert!((largest.fold(0.0, f64::max) - told).abs() < 1e-9 && told <= 0.02, "{i}: {told}");
    }
    let line = bench.run(&format!("{relax} --max-steps 1 --fmax 1e-9 --overwrite")).code(1).get_output().clone();
    assert!(String::from_utf8_lossy(&line.stdout).contains("did not converge within 1 steps"), "{line:?}");
    assert!(bench.fails(&format!("{relax} --cell full --overwrite"), 2).contains("periodic"));
    assert!(bench.fails(&format!("{relax} --pressure 1 --overwrite"), 2).contains("--pressure"));
}

/// Springs to the origin: a force of −1 eV/Å² times the position. The shell cannot add up energies, and says −1.5 eV.
const SPRINGS: &str = r#"minus() { case $1 in -*) echo "${1#-}";; *) echo "-$1";; esac; }
while read -r n; do
  IFS= read -r comment; i=0
  echo "$n"; echo "energy=-1.5 ${comment%%pos:R:3*}pos:R:3:forces:R:3${comment#*pos:R:3}"
  while [ $i -lt $n ]; do
    read -r symbol x y z rest; i=$((i + 1))
    echo "$symbol $x $y $z $(minus $x) $(minus $y) $(minus $z) $rest"
  done
done"#;

#[test]
fn a_program_labels_moves_and_relaxes() {
    let bench = bench();
    fs::write(bench.path("springs.sh"), SPRINGS).unwrap();
    let start = bench.systems("start.extxyz");
    let mut writer = potstill_data::io::write(&bench.path("bare.extxyz")).unwrap();
    for system in &start {
        let bare = System { columns: Default::default(), ..system.clone() };
        writer.write(&bare).unwrap();
    }
    writer.finish().unwrap();
    let command = |line: &str| {
        let mut command = bench.command();
        command.args(line.split_whitespace());
        command.args(["--program", "sh 'springs.sh'", "--threads", "1"]).assert()
    };
    command("label --data bare.extxyz --out cache --quiet").success();
    command("data generate --seeds bare.extxyz --output made.extxyz --method rattle --min-distance 0.01 --quiet")
        .success();
    let made = bench.systems("made.extxyz");
    assert_eq!(made.len(), start.len());
    for system in &made {
        assert_eq!(system.energy, Some(-1.5));
        let forces: Vec<[f64; 3]> = system.positions.iter().map(|r| r.map(|x| -x)).collect();
        assert_eq!(system.forces.as_ref(), Some(&forces));
    }
    command("md --input bare.extxyz --max-systems 1 --steps 20 --out run --every 10 --quiet").success();
    assert_eq!(bench.systems("run/trajectory.extxyz").len(), 3);
    command("relax --input bare.extxyz --output relaxed.extxyz --quiet --fmax 0.01").success();
    for system in bench.systems("relaxed.extxyz") {
        assert!(system.positions.iter().flatten().all(|x| x.abs() < 0.01), "{:?}", system.positions);
    }
    let output =
        command("md --input bare.extxyz --steps 5 --out other --program-timeout 0").code(2).get_output().clone();
    assert!(String::from_utf8_lossy(&output.stderr).contains("must be positive"));
}
