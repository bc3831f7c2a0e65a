//! Step that builds the program with an MPI and runs the tests of several processes.

use std::process::Command;

use anyhow::Result;

use super::cargo::{cargo, succeeds};
use super::environment::{Environment, interpreter};
use crate::root;

/// MPICH of PyPI, which needs no installation: what the plugin for LAMMPS runs with, too.
const MPICH: &str = "mpich>=5,<6";

/// Runs the tests with the MPI that `MPICC` and `MPIRUN` name, else with MPICH from PyPI.
pub fn tests() -> Result<bool> {
    let mut test = cargo(&["test", "--release", "--workspace", "--features", "potstill/mpi", "--test", "mpi"]);
    if std::env::var_os("MPICC").is_none() {
        let Some(python) = interpreter().filter(|_| cfg!(target_os = "linux")) else {
            println!("no MPI that could be installed here: nothing tests several processes");
            return Ok(true);
        };
        let environment = Environment::make(python, root().join("target/mpi"), false)?;
        if !environment.install(MPICH.as_ref())? {
            return Ok(false);
        }
        test.env("MPICC", environment.program("mpicc")).env("MPIRUN", environment.program("mpirun"));
    }
    // Tests start several processes each.
    let tested = succeeds(test.args(["--", "--test-threads", "1"]))?;
    Ok(tested && is_linted()?)
}

fn is_linted() -> Result<bool> {
    let mut lint: Command =
        cargo(&["clippy", "--release", "--package", "potstill-mpi", "--features", "mpi", "--", "-D", "warnings"]);
    if std::env::var_os("MPICC").is_none() {
        lint.env("MPICC", root().join("target/mpi/bin/mpicc"));
    }
    succeeds(&mut lint)
}
