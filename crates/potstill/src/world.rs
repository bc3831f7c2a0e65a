//! The processes of this job, as `mpirun` started them.

use std::sync::OnceLock;
use std::time::Duration;

use potstill_core::ranks::{Alone, Ranks};

static WORLD: OnceLock<Box<dyn Ranks>> = OnceLock::new();

/// Time that rank 0 has to report an error that all processes find.
const FIRST_SAY: Duration = Duration::from_secs(2);

/// Time that `mpirun` has to pass on what was said before all is ended; without it, lines are lost.
const LAST_SAY: Duration = Duration::from_millis(300);

/// Finds the other processes.
///
/// # Errors
/// Several processes, and a program without MPI.
pub fn start() -> Result<(), String> {
    let world = potstill_mpi::start()?;
    let _ = WORLD.set(world);
    Ok(())
}

/// All processes of the job; this one alone where `mpirun` did not start it.
pub fn ranks() -> &'static dyn Ranks {
    WORLD.get().map_or(&Alone, AsRef::as_ref)
}

/// Threads of each process by default: its share of the machine's processors; 0, which is all, where there is one process.
pub fn threads() -> usize {
    let ranks = ranks();
    if ranks.is_alone() {
        return 0;
    }
    let here = ["OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"];
    let n_here = here.iter().find_map(|name| std::env::var(name).ok()?.parse::<usize>().ok()).unwrap_or(1);
    let allowed = std::thread::available_parallelism().map_or(1, usize::from);
    let all = std::fs::read_to_string("/proc/cpuinfo").map_or(0, |text| text.matches("\nprocessor").count() + 1);
    // A process that is bound to some processors has them for itself.
    if allowed < all { allowed } else { (allowed / n_here.max(1)).max(1) }
}

/// Lets rank 0 speak first about an error that all processes may have found; it then ends them all.
pub fn wait_for_the_first() {
    if !ranks().leads() {
        std::thread::sleep(FIRST_SAY);
    }
}

/// Ends the job with an exit status: where it is a failure, the other processes too.
pub fn finish(failure: Option<u8>) {
    match failure {
        Some(status) => {
            if !ranks().is_alone() {
                std::thread::sleep(LAST_SAY);
            }
            potstill_mpi::abort(ranks(), status);
        }
        None => potstill_mpi::finish(ranks()),
    }
}
