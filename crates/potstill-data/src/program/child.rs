//! A running child process that reads systems and writes answers, and the threads at its ends.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use potstill_core::{Error, Result, System};

use super::settings::ProgramSettings;
use crate::io::{ExtxyzReader, LabelKeys};

/// Lines of standard error that an error message quotes.
const LAST_LINES: usize = 3;
/// Longest quoted part of a line of standard error in characters.
const LONGEST_QUOTE: usize = 300;
/// Time for a program to end after its input was closed.
const FAREWELL: Duration = Duration::from_secs(2);

/// Last lines that a program wrote to standard error.
type LastLines = Arc<Mutex<VecDeque<String>>>;

/// A running program. Dropping it closes its input, waits a moment, and ends it.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    /// Text for the program; none once its input is closed.
    requests: Option<Sender<String>>,
    answers: Receiver<Result<System>>,
    last_lines: LastLines,
}

impl Running {
    /// Starts the program.
    ///
    /// # Errors
    /// A program that is not there or may not be run.
    pub fn start(settings: &ProgramSettings) -> Result<Self> {
        let cannot = |e: std::io::Error| {
            let help = "is it installed, and is its folder in PATH?";
            Error::Other(format!("cannot start {settings} in {}: {e}; {help}", settings.folder.display()))
        };
        let mut command = Command::new(&settings.command[0]);
        command.args(&settings.command[1..]).current_dir(&settings.folder);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(cannot)?;
        let (requests, to_write) = channel();
        let (found, answers) = channel();
        let last_lines = LastLines::default();
        if let Some(stdin) = child.stdin.take() {
            thread::spawn(move || write_all(stdin, &to_write));
        }
        if let Some(stdout) = child.stdout.take() {
            let name = PathBuf::from(format!("answers of {settings}"));
            thread::spawn(move || read_answers(stdout, name, &found));
        }
        if let Some(stderr) = child.stderr.take() {
            let last_lines = last_lines.clone();
            thread::spawn(move || show(stderr, &last_lines));
        }
        Ok(Self { child, requests: Some(requests), answers, last_lines })
    }

    /// Sends text; what cannot be sent is found when the answer does not come.
    pub fn send(&self, text: String) {
        if let Some(requests) = &self.requests {
            let _ = requests.send(text);
        }
    }

    /// Whether there is an answer that nobody asked for.
    pub fn has_spoken(&self) -> bool {
        self.answers.try_recv().is_ok()
    }

    /// Next answer, waiting for it at most that long.
    ///
    /// # Errors
    /// What went wrong, with the last lines of standard error.
    pub fn next(&mut self, patience: Duration) -> Result<System, String> {
        match self.answers.recv_timeout(patience) {
            Ok(Ok(system)) => Ok(system),
            Ok(Err(error)) => Err(format!("gave an answer that cannot be read: {error}{}", self.last_words())),
            Err(RecvTimeoutError::Timeout) => {
                let seconds = patience.as_secs_f64();
                Err(format!(
                    "gave no answer within {seconds} s (timeout_seconds); does it flush its output after each system?{}",
                    self.last_words()
                ))
            }
            Err(RecvTimeoutError::Disconnected) => {
                let how =
                    self.end().map_or_else(|| "closed its output".to_owned(), |status| format!("ended ({status})"));
                Err(format!("{how} before it had answered{}", self.last_words()))
            }
        }
    }

    /// Exit status of a program that ends by itself within a moment.
    fn end(&mut self) -> Option<std::process::ExitStatus> {
        let deadline = Instant::now() + FAREWELL;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                // The thread that reads standard error has a moment to read the last of it.
                thread::sleep(Duration::from_millis(50));
                return Some(status);
            }
            thread::sleep(Duration::from_millis(10));
        }
        None
    }

    fn last_words(&self) -> String {
        let lines = self.last_lines.lock().map(|lines| lines.iter().cloned().collect::<Vec<_>>()).unwrap_or_default();
        match lines.is_empty() {
            true => "; it wrote nothing to standard error".to_owned(),
            false => format!("; the last lines of its standard error: {}", lines.join(" | ")),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.requests = None;
        if self.end().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Writes requests until there are no more, or nobody reads them.
fn write_all(mut stdin: ChildStdin, requests: &Receiver<String>) {
    while let Ok(text) = requests.recv() {
        if stdin.write_all(text.as_bytes()).and_then(|()| stdin.flush()).is_err() {
            return;
        }
    }
}

/// Reads answers until the program closes its output or writes what cannot be read.
fn read_answers(stdout: ChildStdout, name: PathBuf, found: &Sender<Result<System>>) {
    for answer in ExtxyzReader::from_reader(BufReader::new(stdout), &name, &LabelKeys::default()) {
        if found.send(answer).is_err() {
            return;
        }
    }
}

/// Passes standard error on, as if the program had inherited it, and keeps the last lines.
fn show(stderr: ChildStderr, last_lines: &LastLines) {
    let mut stderr = BufReader::new(stderr);
    let mut line = Vec::new();
    // A line without an end is not collected forever.
    while matches!(stderr.by_ref().take(1 << 16).read_until(b'\n', &mut line), Ok(n) if n > 0) {
        let _ = std::io::stderr().write_all(&line);
        let text = String::from_utf8_lossy(&line).trim().chars().take(LONGEST_QUOTE).collect::<String>();
        line.clear();
        if text.is_empty() {
            continue;
        }
        if let Ok(mut lines) = last_lines.lock() {
            if lines.len() == LAST_LINES {
                lines.pop_front();
            }
            lines.push_back(text);
        }
    }
}
