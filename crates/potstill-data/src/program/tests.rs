use std::sync::Arc;

use super::*;

/// Reads systems and answers with an energy, forces and a stress at once, as the protocol wants it.
const GOOD: &str = r#"count=0
while read -r n; do
  IFS= read -r c; count=$((count + 1))
  echo "$n"
  echo "energy=-1.5 stress=\"0.1 0 0 0 0.2 0 0 0 0.3\" ${c%pos:R:3*}pos:R:3:forces:R:3:atomic_energies:R:1${c##*pos:R:3}"
  i=0; while [ $i -lt $n ]; do read -r atom; echo "$atom 0.1 0.2 $i 0.5"; i=$((i + 1)); done
done"#;

fn argon(x: f64) -> System {
    let positions = vec![[x, 0.0, 0.0], [x, 0.0, 3.8]];
    let cell = Some([[10.0, 0.0, 0.0], [0.0, 10.0, 0.0], [0.0, 0.0, 20.0]]);
    let forces = Some(vec![[7.0; 3]; 2]);
    System {
        atomic_numbers: vec![18, 18],
        positions,
        cell,
        pbc: [true; 3],
        energy: Some(7.0),
        forces,
        ..System::default()
    }
}

fn shell(script: &str) -> ProgramSettings {
    ProgramSettings { timeout_seconds: 60.0, ..ProgramSettings::new(["sh", "-c", script]) }
}

fn refusal(settings: &ProgramSettings, systems: &[&System]) -> String {
    let error = Program::new(settings).unwrap().evaluate(systems).unwrap_err().to_string();
    assert!(!error.contains('\n'), "{error}");
    error
}

#[test]
fn a_program_answers_batch_after_batch() {
    let program = Program::new(&shell(GOOD)).unwrap();
    assert_eq!(program.given(), None);
    for n in [1, 3, 200] {
        let systems: Vec<System> = (0..n).map(|i| argon(f64::from(i))).collect();
        let prediction = program.evaluate(&systems.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(prediction.energy, vec![-1.5; n as usize]);
        assert_eq!(prediction.forces[..2], [[0.1, 0.2, 0.0], [0.1, 0.2, 1.0]]);
        assert_eq!(prediction.atomic_energies, vec![0.5; 2 * n as usize]);
        let virial = prediction.virial.unwrap()[0];
        assert!((virial[2][2] + 0.3 * 2000.0).abs() < 1e-9, "{virial:?}");
    }
    let all = Given { energy: true, forces: true, stress: true, atomic_energies: true };
    assert_eq!(program.given(), Some(all));
}

#[test]
fn forces_alone_give_the_virial_of_a_molecule() {
    let program = Program::new(&shell(&GOOD.replace("stress", "strain"))).unwrap();
    let periodic = argon(0.0);
    assert_eq!(program.evaluate(&[&periodic]).unwrap().virial, None);
    let molecule = System { pbc: [false; 3], cell: None, ..argon(2.0) };
    let virial = program.evaluate(&[&molecule]).unwrap().virial.unwrap()[0];
    // Forces (0.1, 0.2, 0) and (0.1, 0.2, 1) at (2, 0, 0) and (2, 0, 3.8).
    let expected = [[0.4, 0.0, 0.38], [0.8, 0.0, 0.76], [2.0, 0.0, 3.8]];
    for (row, expected) in virial.iter().zip(expected) {
        assert!(row.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{virial:?}");
    }
}

#[test]
fn several_threads_share_a_program() {
    let program = Arc::new(Program::new(&shell(GOOD)).unwrap());
    let ask = |k: i32| {
        let program = program.clone();
        std::thread::spawn(move || {
            let system = argon(f64::from(k));
            program.answers(&[&system]).unwrap()[0].positions[0][0]
        })
    };
    let answers: Vec<f64> = (0..8).map(ask).map(|thread| thread.join().unwrap()).collect();
    assert_eq!(answers, (0..8).map(f64::from).collect::<Vec<_>>());
}

#[test]
fn an_echo_has_answered_nothing() {
    let error = refusal(&ProgramSettings::new(["cat"]), &[&argon(0.0)]);
    assert_eq!(error, "system 0: the program `cat` gave neither `energy` nor `forces`");
}

#[test]
fn a_program_that_ends_says_why() {
    let settings = ProgramSettings::new(["sh", "-c", "echo some words >&2; echo no licence >&2; exit 3"]);
    let error = refusal(&settings, &[&argon(0.0)]);
    assert!(error.contains("ended (exit status: 3)") && error.contains("some words | no licence"), "{error}");
    let after_two = GOOD.replace("count + 1))", "count + 1)); [ $count -gt 2 ] && exit 1");
    let systems = [argon(0.0), argon(1.0), argon(2.0)];
    let error = refusal(&shell(&after_two), &systems.iter().collect::<Vec<_>>());
    assert!(error.starts_with("system 2") && error.contains("exit status: 1"), "{error}");
}

#[test]
fn a_program_that_failed_is_not_asked_again() {
    let program = Program::new(&ProgramSettings::new(["sh", "-c", "exit 3"])).unwrap();
    let system = argon(0.0);
    program.evaluate(&[&system]).unwrap_err();
    let error = program.evaluate(&[&system]).unwrap_err().to_string();
    assert!(error.contains("is gone") && error.contains("exit status: 3"), "{error}");
}

#[test]
fn a_hang_is_found() {
    let settings = ProgramSettings { timeout_seconds: 0.2, ..ProgramSettings::new(["sleep", "60"]) };
    let error = refusal(&settings, &[&argon(0.0)]);
    assert!(error.contains("no answer within 0.2 s (timeout_seconds)"), "{error}");
}

#[test]
fn answers_about_something_else_are_found() {
    let system = argon(0.0);
    let refused = |old: &str, new: &str| refusal(&shell(&GOOD.replace(old, new)), &[&system, &argon(1.0)]);
    for (old, new, expected) in [
        ("echo \"$n\"", "echo 1", "about 1 atoms, not 2"),
        ("echo \"$atom ", "echo \"Ne${atom#Ar} ", "about element 10 as atom 0, not 18"),
        ("echo \"$atom ", "echo \"Ar 9 0 0 ", "moved atom 0"),
        ("energy=-1.5", "energy=nan", "energy is not finite"),
        ("0.1 0.2 $i", "nan 0.2 $i", "answers of `sh -c"),
        ("energy=-1.5", "", "gives no `energy`"),
    ] {
        let error = refused(old, new);
        assert!(error.contains(expected) && error.starts_with("system 0"), "{new}: {error}");
    }
    // The first answer has forces, the second has none.
    let forgets = GOOD.replace("echo \"$n\"", "echo \"$n\"; [ $count = 2 ] && echo \"energy=1 $c\" && cat && exit");
    let error = refusal(&shell(&forgets), &[&system, &argon(1.0)]);
    assert!(error.starts_with("system 1") && error.contains("no `forces`, which it gave"), "{error}");
    // An answer before each question's own.
    let more = "printf '1\\nProperties=species:S:1:pos:R:3:forces:R:3 energy=0\\nAr 9 9 9 0 0 0\\n'; echo \"$n\"";
    let error = refusal(&shell(&GOOD.replace("echo \"$n\"", more)), &[&system]);
    assert!(error.contains("about 1 atoms, not 2"), "{error}");
}

#[test]
fn settings_that_cannot_be() {
    let start = |settings: &ProgramSettings| Program::new(settings)?.evaluate(&[&argon(0.0)]);
    let refused = |settings: ProgramSettings| start(&settings).unwrap_err().to_string();
    assert!(refused(ProgramSettings::new([""; 0])).contains("names no program"));
    let absent = refused(ProgramSettings::new(["no-such-program-here"]));
    assert!(absent.contains("cannot start `no-such-program-here`") && absent.contains("PATH"), "{absent}");
    for timeout_seconds in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let refused = refused(ProgramSettings { timeout_seconds, ..ProgramSettings::new(["cat"]) });
        assert!(refused.starts_with("timeout_seconds"), "{refused}");
    }
}

#[test]
fn the_hash_follows_the_files_of_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let settings = ProgramSettings { folder: folder.path().to_owned(), ..ProgramSettings::new(["python", "t.py"]) };
    let without = settings.hash();
    std::fs::write(folder.path().join("t.py"), "1").unwrap();
    let first = settings.hash();
    std::fs::write(folder.path().join("t.py"), "2").unwrap();
    let hashes = [without, first, settings.hash(), ProgramSettings::new(["python", "t.py", "x"]).hash()];
    assert!((0..4).all(|i| (0..i).all(|j| hashes[i] != hashes[j])), "{hashes:?}");
}
