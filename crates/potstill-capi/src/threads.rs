//! Number of threads.

use std::ffi::c_int;

use crate::arrays::wrong;
use crate::error::status;

/// Sets the number of threads that this process evaluates with; 0: as many as there are processors. To be called once, before anything
/// is evaluated; again only with the same number.
#[unsafe(no_mangle)]
pub extern "C" fn potstill_use_threads(n_threads: usize) -> c_int {
    status(|| {
        let built = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build_global();
        let now = rayon::current_num_threads();
        match built {
            Err(_) if n_threads != now => {
                Err(wrong(format!("n_threads: is {n_threads}, and this process evaluates with {now} already")))
            }
            _ => Ok(()),
        }
    })
}
