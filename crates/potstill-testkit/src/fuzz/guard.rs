//! Panics as values, and an end to inputs that take too long.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

/// Longest time for one input; a process that needs more is ended.
pub const TIME_LIMIT: Duration = Duration::from_secs(10);

thread_local! {
    /// Message of the last panic on this thread, while panics are caught.
    static CAUGHT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Watches the calls of one thread; the process is ended when one takes longer than [`TIME_LIMIT`].
pub(super) struct Guard {
    start: Instant,
    /// Milliseconds from `start` to the start of the call that is running; 0 when none is.
    running: Arc<AtomicU64>,
}

impl Guard {
    /// Guard for calls of that name.
    pub fn new(name: &'static str) -> Self {
        record_panics();
        let (start, running) = (Instant::now(), Arc::new(AtomicU64::new(0)));
        let watched = Arc::downgrade(&running);
        std::thread::spawn(move || {
            while let Some(running) = watched.upgrade().map(|r| r.load(Relaxed)) {
                let since = Duration::from_millis(running);
                if running > 0 && start.elapsed().saturating_sub(since) > TIME_LIMIT {
                    eprintln!("hang: an input of {name} takes more than {} s", TIME_LIMIT.as_secs());
                    std::process::abort();
                }
                std::thread::sleep(Duration::from_millis(200));
            }
        });
        Self { start, running }
    }

    /// Runs a call; a panic comes back as its message and place.
    pub fn watch<T>(&self, call: impl FnOnce() -> T) -> Result<T, String> {
        self.running.store(1 + self.start.elapsed().as_millis() as u64, Relaxed);
        CAUGHT.set(Some(String::new()));
        let result = catch_unwind(AssertUnwindSafe(call));
        let message = CAUGHT.take().unwrap_or_default();
        self.running.store(0, Relaxed);
        result.map_err(|_| if message.is_empty() { "a panic on another thread".into() } else { message })
    }
}

/// Panics of watched calls are kept instead of printed; others are printed as always.
fn record_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let place = info.location().map_or_else(String::new, |l| format!(" at {}:{}", l.file(), l.line()));
            let text = info.payload_as_str().unwrap_or("no message").replace('\n', " ");
            let is_watched = CAUGHT.with_borrow_mut(|caught| match caught {
                Some(caught) => {
                    *caught = format!("{text}{place}");
                    true
                }
                None => false,
            });
            if !is_watched {
                usual(info);
            }
        }));
    });
}
