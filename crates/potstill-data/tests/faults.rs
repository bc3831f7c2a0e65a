//! Saves with injected faults of the disk: whatever fails or dies, nothing is lost.

use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};

use potstill_core::System;
use potstill_core::files::atomic::faults::{Fault, with};
use potstill_core::files::seal::write_sealed;
use potstill_core::files::{remove_stale_temporaries, write_atomically};
use potstill_data::io::{LabelKeys, read_all, write};

/// One of each kind of file that is written through a temporary name.
const NAMES: [&str; 7] = ["a.xyz", "a.xyz.gz", "a.xyz.xz", "a.xyz.zst", "a.npz", "a.safetensors", "a.toml"];

fn save(path: &Path, energy: f64) -> potstill_core::Result<()> {
    match path.extension().and_then(|e| e.to_str()) {
        Some("safetensors") => {
            let head = [&18_u64.to_le_bytes()[..], br#"{"__metadata__":{}}"#].concat();
            write_sealed(path, &head, &|w| w.write_all(&energy.to_le_bytes()))
        }
        Some("toml") => write_atomically(path, |w| writeln!(w, "energy = {energy}")),
        _ => {
            let system = System { atomic_numbers: vec![6], positions: vec![[0.5; 3]], ..System::default() };
            let mut writer = write(path)?;
            writer.write(&System { energy: Some(energy), ..system })?;
            writer.finish().map(drop)
        }
    }
}

fn only_file(folder: &Path) -> std::path::PathBuf {
    let all: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(all.len(), 1, "{all:?}");
    all[0].clone()
}

/// With every fault that makes a save fail, the old file stays and nothing else is left.
#[test]
fn a_failed_save_loses_nothing() {
    let mut n_faults = 0;
    for name in NAMES {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        save(&path, 2.0).unwrap();
        let n_bytes = std::fs::read(&path).unwrap().len();
        save(&path, 1.0).unwrap();
        let old = std::fs::read(&path).unwrap();
        let mut fails = |fault: Fault| {
            let (result, _) = with(fault, || save(&path, 2.0));
            let message = result.expect_err("a save with a fault").to_string();
            assert!(message.starts_with(&path.display().to_string()), "{message}");
            assert_eq!(std::fs::read(only_file(folder.path())).unwrap(), old, "{name} {fault:?}");
            n_faults += 1;
        };
        for n in 0..n_bytes {
            let kinds = [ErrorKind::StorageFull, ErrorKind::Other, ErrorKind::QuotaExceeded, ErrorKind::WriteZero];
            fails(Fault::Refuses(n, kinds[n % kinds.len()]));
        }
        let (done, n_calls) = with(Fault::Refuses(usize::MAX, ErrorKind::Other), || save(&path, 1.0));
        done.unwrap();
        // The last call is that which makes the new name last.
        (0..n_calls - 1).for_each(|call| fails(Fault::Fails(call)));
    }
    assert!(n_faults > 1000, "{n_faults}");
}

#[test]
fn short_and_interrupted_writes_change_nothing() {
    for name in NAMES {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        save(&path, 2.0).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let (result, n_calls) = with(Fault::Stutters, || save(&path, 2.0));
        result.unwrap();
        assert!(n_calls > whole.len(), "{name}");
        assert_eq!(std::fs::read(only_file(folder.path())).unwrap(), whole, "{name}");
    }
}

/// Whatever call a process dies at, the file is the old one or the new one, and what is left over can be removed.
#[test]
fn a_killed_save_loses_nothing() {
    for name in NAMES {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        save(&path, 2.0).unwrap();
        let new = std::fs::read(&path).unwrap();
        save(&path, 1.0).unwrap();
        let old = std::fs::read(&path).unwrap();
        let mut n_deaths = 0;
        while !dies(&path, n_deaths) {
            let found = std::fs::read(&path).unwrap();
            assert!(found == old || found == new, "{name}: neither old nor new after death {n_deaths}");
            assert!(n_deaths > 3 || found == old, "{name}");
            remove_stale_temporaries(folder.path()).unwrap();
            assert_eq!(only_file(folder.path()), path);
            n_deaths += 1;
        }
        // Create, write, sync, rename, sync the folder.
        assert!(n_deaths >= 5, "{name}: {n_deaths}");
        assert_eq!(std::fs::read(&path).unwrap(), new, "{name}");
    }
}

/// Saves in a process of its own, which dies before call `at`; true when it lived.
fn dies(path: &Path, at: usize) -> bool {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "--ignored", "save_and_die"]);
    child.env("POTSTILL_TEST_PATH", path).env("POTSTILL_TEST_DIES", at.to_string());
    child.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
}

#[test]
#[ignore = "the process that `a_killed_save_loses_nothing` kills"]
fn save_and_die() {
    let (Ok(path), Ok(at)) = (std::env::var("POTSTILL_TEST_PATH"), std::env::var("POTSTILL_TEST_DIES")) else {
        return;
    };
    with(Fault::Dies(at.parse().unwrap()), || save(Path::new(&path), 2.0)).0.unwrap();
}

#[test]
fn saves_are_readable() {
    let folder = tempfile::tempdir().unwrap();
    for name in &NAMES[..5] {
        let path = folder.path().join(name);
        save(&path, 2.0).unwrap();
        assert_eq!(read_all(&path, &LabelKeys::default()).unwrap().0[0].energy, Some(2.0), "{name}");
    }
}
