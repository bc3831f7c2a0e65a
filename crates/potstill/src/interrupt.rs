//! Signals that end a run after its step.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

/// Flag that Ctrl-C, SIGTERM and SIGHUP set; the second of them ends the program at once.
pub fn interrupt_flag() -> Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let handler = Arc::clone(&flag);
    ctrlc::set_handler(move || {
        if handler.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
        say!("interrupted: ending after this step; interrupt again to stop at once");
    })
    .context("cannot watch for Ctrl-C")?;
    Ok(flag)
}
