//! Compiles the C file with the compiler of the MPI that is there, and finds out what to link.

use std::env;
use std::process::{Command, exit};

fn main() {
    println!("cargo::rerun-if-changed=src/mpi.c");
    println!("cargo::rerun-if-env-changed=MPICC");
    if env::var_os("CARGO_FEATURE_MPI").is_none() {
        return;
    }
    let compiler = env::var("MPICC").unwrap_or_else(|_| "mpicc".to_owned());
    // Open MPI and MPICH, and what derives from them, tell their command so.
    let shown = match Command::new(&compiler).arg("-show").output() {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).into_owned(),
        _ => fail(&format!(
            "feature mpi: {compiler} -show does not run; install Open MPI or MPICH with its compiler, or name it in the variable MPICC"
        )),
    };
    cc::Build::new().compiler(&compiler).file("src/mpi.c").warnings(true).compile("potstill_mpi");
    let words: Vec<&str> = shown.split_whitespace().collect();
    for (k, word) in words.iter().enumerate() {
        if let Some(folder) = word.strip_prefix("-L") {
            println!("cargo::rustc-link-search=native={folder}");
        } else if let Some(library) = word.strip_prefix("-l") {
            println!("cargo::rustc-link-lib={library}");
        } else if let Some(folder) = word.strip_prefix("-Wl,-rpath,") {
            println!("cargo::metadata=rpath={folder}");
        } else if *word == "-Wl,-rpath"
            && let Some(folder) = words.get(k + 1).and_then(|next| next.strip_prefix("-Wl,"))
        {
            println!("cargo::metadata=rpath={folder}");
        }
    }
}

fn fail(message: &str) -> ! {
    println!("cargo::error={message}");
    exit(1)
}
