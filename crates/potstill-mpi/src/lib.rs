//! Processes that MPI starts: [`start`] says which one this is, and who the others are.
//!
//! Without the feature `mpi` there is one process, and a program that `mpirun` starts several times is told so.
//!
//! MPI is called through a C file of some lines (`docs/book/src/decisions/0020-mpi.md`), by the thread that started it.

#[cfg(feature = "mpi")]
mod linked;

use potstill_core::ranks::{Alone, Ranks};

/// Variables in which those who start processes say how many there are.
#[cfg(not(feature = "mpi"))]
const COUNTS: [&str; 2] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"];

/// Variables that those who start processes set. The last one is for whoever starts them in another way.
#[cfg(feature = "mpi")]
const SIGNS: [&str; 6] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMI_RANK", "PMIX_RANK", "PALS_RANKID", "POTSTILL_MPI"];

/// Whether `mpirun`, or what stands for it, has started this process.
#[cfg(feature = "mpi")]
fn is_started() -> bool {
    SIGNS.iter().any(|name| std::env::var_os(name).is_some())
}

/// Starts MPI where `mpirun` has started this process; it then ends with [`finish`] or [`abort`].
///
/// # Errors
/// Several processes and no MPI in this program; an MPI that allows no other threads.
#[cfg(feature = "mpi")]
pub fn start() -> Result<Box<dyn Ranks>, String> {
    match is_started() {
        true => Ok(Box::new(linked::World::start()?)),
        false => Ok(Box::new(Alone)),
    }
}

/// Starts MPI where `mpirun` has started this process; it then ends with [`finish`] or [`abort`].
///
/// # Errors
/// Several processes and no MPI in this program; an MPI that allows no other threads.
#[cfg(not(feature = "mpi"))]
pub fn start() -> Result<Box<dyn Ranks>, String> {
    match COUNTS.iter().find_map(|name| std::env::var(name).ok()?.parse::<usize>().ok()) {
        None | Some(0 | 1) => Ok(Box::new(Alone)),
        Some(n) => Err(format!(
            "started as one of {n} processes, and this potstill was built without MPI: they would all do the same; build it with \
             --features mpi, or start it once"
        )),
    }
}

/// Ends MPI when all processes are done.
pub fn finish(ranks: &dyn Ranks) {
    let _ = ranks;
    #[cfg(feature = "mpi")]
    if is_started() {
        linked::finish();
    }
}

/// Ends all processes: this one failed, and the others would wait for it.
pub fn abort(ranks: &dyn Ranks, status: u8) {
    let _ = (ranks, status);
    #[cfg(feature = "mpi")]
    if !ranks.is_alone() {
        linked::abort(status);
    }
}
