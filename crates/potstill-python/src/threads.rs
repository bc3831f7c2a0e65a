//! Pools of threads, shared by all models of a process.

use std::collections::BTreeMap;
use std::process;
use std::sync::{Arc, Mutex, PoisonError};

use potstill_core::{Error, Result};
use rayon::{ThreadPool, ThreadPoolBuilder};

/// Pools by their number of threads, 0 for one thread for each core.
struct Pools {
    /// Process that started their threads.
    process: u32,
    of_size: BTreeMap<usize, Arc<ThreadPool>>,
}

static POOLS: Mutex<Pools> = Mutex::new(Pools { process: 0, of_size: BTreeMap::new() });

/// Pool of `n_threads` threads, or of one for each core.
///
/// To be called with the interpreter's lock held: Python forks with it, so no copy of this process has the pools' lock taken.
///
/// # Errors
/// Threads that the system refuses.
pub fn pool(n_threads: Option<usize>) -> Result<Arc<ThreadPool>> {
    let size = n_threads.unwrap_or(0);
    let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
    if pools.process != process::id() {
        // After a fork (`multiprocessing`) the pools' threads live in the parent alone, and waiting for them would never end.
        std::mem::take(&mut pools.of_size).into_values().for_each(std::mem::forget);
        pools.process = process::id();
    }
    if let Some(pool) = pools.of_size.get(&size) {
        return Ok(Arc::clone(pool));
    }
    let pool = ThreadPoolBuilder::new().num_threads(size).thread_name(|i| format!("potstill-{i}")).build();
    let pool = Arc::new(pool.map_err(|e| Error::Other(format!("cannot start threads: {e}; ask for fewer")))?);
    pools.of_size.insert(size, Arc::clone(&pool));
    Ok(pool)
}
