//! Standard error never ends the program; standard output that is full is an error, and one that is closed is none.
#![cfg(unix)]

mod support;

use std::fs::File;
use std::process::Stdio;

use support::Bench;

/// A device that is full.
fn full() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

/// A pipe that nobody reads.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

const EVALUATE: [&str; 5] = ["evaluate", "--model", "run/model.safetensors", "--data", "train.xyz"];

#[test]
fn nothing_is_lost_when_standard_error_fails() {
    let bench = Bench::trained();
    for (stream, folder) in [(full as fn() -> Stdio, "full"), (closed, "closed")] {
        let train = ["train", "train.toml", "--out", folder];
        let output = bench.command(&train).stderr(stream()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "train, {folder}");
        assert!(bench.path(folder).join("model.safetensors").exists());
        let output = bench.command(&EVALUATE).stderr(stream()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "evaluate, {folder}");
        for wrong in [&["info", "absent"][..], &["info", "--wrong"], &["wrong"], &["data"]] {
            let output = bench.command(wrong).stderr(stream()).output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{wrong:?}, {folder}");
        }
    }
}

#[test]
fn a_full_standard_output_is_an_error_in_one_line() {
    let bench = Bench::trained();
    for arguments in [
        &EVALUATE[..],
        &["info", "run/model.safetensors", "--json"],
        &["data", "info", "train.xyz"],
        &["--help"],
        &["--version"],
        &["completions", "bash"],
        &["train", "train.toml", "--out", "new"],
    ] {
        let output = bench.command(arguments).stdout(full()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        let last = said.lines().last().unwrap();
        assert!(last.starts_with("error: standard output: cannot write: No space left"), "{said}");
    }
    assert!(bench.path("new/model.safetensors").exists(), "the training itself is done");
}

#[test]
fn a_closed_standard_output_changes_nothing() {
    let bench = Bench::trained();
    let missed = [&EVALUATE[..], &["--max-force-mae", "0"]].concat();
    for (arguments, status) in [
        (&EVALUATE[..], 0),
        (&missed, 1),
        (&["train", "train.toml", "--out", "new"], 0),
        (&["data", "convert", "train.xyz", "absent/out.xyz"], 2),
        (&["train", "--help"], 0),
        (&["completions", "bash"], 0),
    ] {
        let output = bench.command(arguments).stdout(closed()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
        assert!(!said.contains("roken pipe"), "{said}");
    }
    assert!(bench.path("new/model.safetensors").exists());
}
