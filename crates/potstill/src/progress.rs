//! Progress on standard error: a bar on a terminal, a line every few seconds elsewhere.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::talk::{Level, is_on};

/// Seconds between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Time between two drawings of a bar.
const REDRAW_EVERY: Duration = Duration::from_millis(50);

/// Whether standard error is a terminal that can draw, and the user wants to see something.
fn can_draw() -> bool {
    is_on(Level::Normal) && std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
}

/// Progress of a task.
pub struct Progress {
    bar: Option<ProgressBar>,
    name: String,
    total: Option<u64>,
    last_line: Mutex<(Instant, u64)>,
    started: Instant,
}

impl Progress {
    /// A task of known length.
    pub fn new(name: &str, total: u64) -> Self {
        let style = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len}  {elapsed} of {duration}  {msg}");
        Self::with(name, Some(total), style.ok(), ProgressBar::new(total))
    }

    /// A task of unknown length.
    pub fn counter(name: &str) -> Self {
        let style = ProgressStyle::with_template("{prefix} {spinner} {human_pos}");
        Self::with(name, None, style.ok(), ProgressBar::no_length())
    }

    fn with(name: &str, total: Option<u64>, style: Option<ProgressStyle>, bar: ProgressBar) -> Self {
        let bar = can_draw().then(|| {
            if let Some(style) = style {
                bar.set_style(style);
            }
            bar.set_prefix(name.to_owned());
            bar
        });
        let now = Instant::now();
        Self { bar, name: name.to_owned(), total, last_line: Mutex::new((now, 0)), started: now }
    }

    /// Sets how much is done.
    pub fn set(&self, done: u64) {
        self.show(done, "");
    }

    /// Sets how much is done, with a few words about it.
    pub fn show(&self, done: u64, message: &str) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            bar.set_message(message.to_owned());
            return;
        }
        let Ok(mut last) = self.last_line.lock() else { return };
        last.1 = done;
        if last.0.elapsed() >= LINE_EVERY {
            last.0 = Instant::now();
            let total = self.total.map(|t| format!("/{t}")).unwrap_or_default();
            let seconds = self.started.elapsed().as_secs();
            say!("{}: {done}{total} after {seconds} s  {message}", self.name);
        }
    }

    /// Sets how much is done, with words about it that are only made where they are shown; cheap enough for every step.
    pub fn tell(&self, done: u64, message: impl FnOnce() -> String) {
        let every = if self.bar.is_some() { REDRAW_EVERY } else { LINE_EVERY };
        let Ok(mut last) = self.last_line.lock() else { return };
        if last.0.elapsed() < every {
            last.1 = done;
            return;
        }
        if self.bar.is_some() {
            *last = (Instant::now(), done);
        }
        drop(last);
        self.show(done, &message());
    }

    /// A line that stays.
    pub fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => say!("{line}"),
        }
    }

    /// The task is over.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
