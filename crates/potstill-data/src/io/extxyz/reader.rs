//! Systems, one after the other.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use super::columns::{self, Plan, Step};
use super::comment::{self, Pair};
use super::labels::{Labels, position};
use super::rows::{push_atom, shown};
use super::value;
use crate::io::compression::open_reader;
use crate::io::header_units;
use crate::io::keys::{ChosenKeys, LabelKeys};
use potstill_core::system::{Column, Mat3, System};
use potstill_core::{Error, Result};

/// Longest line in bytes; more is a file of another kind.
const LONGEST_LINE: usize = 1 << 26;
/// Atoms for which room is made at once; a count in a file is a claim, not a fact.
const ATOMS_RESERVED: usize = 1024;

/// Reads an extended XYZ file system by system; after an error it ends.
pub struct ExtxyzReader<R> {
    lines: Lines<R>,
    header: Header,
    finished: bool,
}

impl ExtxyzReader<Box<dyn BufRead + Send>> {
    /// Opens a file, compressed or not.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be opened.
    pub fn open(path: &Path, keys: &LabelKeys) -> Result<Self> {
        Ok(Self::from_reader(open_reader(path)?, path, keys))
    }
}

impl<R: BufRead> ExtxyzReader<R> {
    /// Reads from `input`; `path` is only the name in messages.
    pub fn from_reader(input: R, path: &Path, keys: &LabelKeys) -> Self {
        Self::with_chosen(input, path, keys, ChosenKeys::default())
    }

    /// Reads a part of a file of which `chosen` is known already: labels are taken as in the file as a whole.
    pub fn with_chosen(input: R, path: &Path, keys: &LabelKeys, chosen: ChosenKeys) -> Self {
        let lines = Lines { input, buffer: Vec::new(), number: 0, offset: 0, path: path.to_path_buf() };
        let header = Header { labels: Labels::new(keys.clone(), chosen), properties: None, plan: Plan::default() };
        Self { lines, header, finished: false }
    }

    /// Bytes of the (decompressed) text that have been read: where the next system begins.
    pub fn offset(&self) -> u64 {
        self.lines.offset
    }

    /// Keys under which labels were found so far.
    pub fn chosen(&self) -> &ChosenKeys {
        &self.header.labels.chosen
    }

    fn read_system(&mut self) -> Result<Option<System>> {
        let count = loop {
            match self.lines.next()? {
                None => return Ok(None),
                Some(line) if line.trim_ascii().is_empty() => {}
                Some(line) => break atom_count(line),
            }
        };
        let n_atoms = count.map_err(|message| self.lines.error(message))?;
        let count_line = self.lines.number;
        let Some(line) = self.lines.next()? else {
            return Err(self.lines.error("expected the comment line of a system, found end of file".into()));
        };
        let system = self.header.read(&String::from_utf8_lossy(line));
        let mut system = system.map_err(|message| self.lines.error(message))?;
        reserve(&mut system, &self.header.plan, n_atoms.min(ATOMS_RESERVED));
        let mut others: Vec<_> = self.header.plan.others.iter().map(|column| column.kind.no_values()).collect();
        for i in 0..n_atoms {
            let pushed = match self.lines.next()? {
                Some(line) => push_atom(line, &self.header.plan, &mut system, &mut others),
                None => return Err(self.truncated(n_atoms, i)),
            };
            if let Err(message) = pushed {
                return Err(self.bad_row(message, count_line, n_atoms, i));
            }
        }
        let columns = self.header.plan.others.iter().zip(others);
        system.columns =
            columns.map(|(column, values)| (column.name.clone(), Column { width: column.count, values })).collect();
        Ok(Some(system))
    }

    #[cold]
    fn truncated(&self, expected: usize, found: usize) -> Error {
        self.lines.error(format!("expected {expected} atoms, found {found} before end of file"))
    }

    /// Error for the row just read, the `i`-th of `n_atoms` atoms counted on line `count_line`.
    #[cold]
    fn bad_row(&mut self, message: String, count_line: usize, n_atoms: usize, i: usize) -> Error {
        let row = self.lines.buffer.trim_ascii().to_vec();
        let hint = match row.iter().all(u8::is_ascii_digit) {
            true => format!("; is the atom count on line {count_line} right?"),
            false => String::new(),
        };
        let error = self.lines.error(format!("{message} (atom {} of {n_atoms}){hint}", i + 1));
        // Blank lines up to the end are no rows: the file was cut.
        while row.is_empty() {
            match self.lines.next() {
                Ok(None) => return self.truncated(n_atoms, i),
                Ok(Some(line)) if line.trim_ascii().is_empty() => {}
                _ => break,
            }
        }
        error
    }
}

impl<R: BufRead> Iterator for ExtxyzReader<R> {
    type Item = Result<System>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.finished {
            return None;
        }
        let item = self.read_system().transpose();
        self.finished = !matches!(item, Some(Ok(_)));
        item
    }
}

fn atom_count(line: &[u8]) -> Result<usize, String> {
    let word = line.trim_ascii();
    match std::str::from_utf8(word).ok().and_then(|w| w.parse().ok()) {
        Some(0) => Err("a system needs at least one atom".into()),
        Some(n) => Ok(n),
        None => Err(format!("expected an atom count, found `{}`", shown(word))),
    }
}

fn reserve(system: &mut System, plan: &Plan, n: usize) {
    system.atomic_numbers.reserve_exact(n);
    system.positions.reserve_exact(n);
    system.forces = plan.has(Step::Force).then(|| Vec::with_capacity(n));
    system.tags = plan.has(Step::Tag).then(|| Vec::with_capacity(n));
    let fixed = plan.steps.iter().any(|s| matches!(s, Step::Fixed | Step::MoveMask(_)));
    system.fixed = fixed.then(|| Vec::with_capacity(n));
}

/// Settings that carry over from one comment line to the next.
struct Header {
    labels: Labels,
    /// Value of `Properties`, or its stand-in, that `plan` was made for.
    properties: Option<String>,
    plan: Plan,
}

impl Header {
    /// A system without atoms, and the plan for its rows in `self.plan`.
    fn read(&mut self, line: &str) -> Result<System, String> {
        let pairs = comment::parse(line)?;
        let properties = position(&pairs, "Properties").map(|i| &*pairs[i].text);
        self.plan_rows(properties)?;
        let mut system = System { cell: cell(&pairs)?, ..System::default() };
        system.pbc = match position(&pairs, "pbc") {
            Some(i) => value::truths(&pairs[i])
                .ok_or_else(|| format!("pbc: expected T or F three times, found `{}`", pairs[i].text))?,
            None => [system.cell.is_some(); 3],
        };
        let energy = self.labels.energy(&pairs)?;
        let stress = self.labels.stress(&pairs, system.volume())?;
        system.energy = energy.map(|(_, v)| v);
        system.stress = stress.map(|(_, v)| v);
        let taken = [energy.map(|(i, _)| i), stress.map(|(i, _)| i)];
        for (i, pair) in pairs.iter().enumerate() {
            if let Some(message) = header_units::foreign(&pair.key, &pair.text) {
                return Err(message);
            }
            let known = matches!(&*pair.key, "Properties" | "Lattice" | "pbc");
            if !known && !taken.contains(&Some(i)) {
                system.metadata.insert(pair.key.clone().into_owned(), value::typed(pair));
            }
        }
        Ok(system)
    }

    fn plan_rows(&mut self, properties: Option<&str>) -> Result<(), String> {
        let text = properties.unwrap_or(columns::PLAIN);
        let open_ended = properties.is_none();
        // Most files say the same in every system.
        if self.properties.as_deref() == Some(text) && self.plan.open_ended == open_ended {
            return Ok(());
        }
        let columns = columns::parse(text)?;
        self.labels.choose_forces(&columns)?;
        self.plan = Plan { open_ended, ..Plan::new(&columns, self.labels.chosen.forces.as_deref())? };
        self.properties = Some(text.to_owned());
        Ok(())
    }
}

/// The cell; nine zeros mean that there is none.
fn cell(pairs: &[Pair<'_>]) -> Result<Option<Mat3>, String> {
    let Some(i) = position(pairs, "Lattice") else { return Ok(None) };
    let found = || shown(pairs[i].text.as_bytes());
    let numbers = value::numbers(&pairs[i]).unwrap_or_default();
    let Some(cell) = value::matrix(&numbers).filter(|_| numbers.len() == 9) else {
        return Err(format!("Lattice: expected 9 numbers, found `{}`", found()));
    };
    if numbers.iter().any(|v| !v.is_finite()) {
        return Err(format!("Lattice is not finite: `{}`", found()));
    }
    Ok(numbers.iter().any(|v| *v != 0.0).then_some(cell))
}

/// Lines of a text in one reused buffer.
struct Lines<R> {
    input: R,
    buffer: Vec<u8>,
    /// Number of the line in `buffer`, from 1.
    number: usize,
    /// Bytes up to its end.
    offset: u64,
    path: PathBuf,
}

impl<R: BufRead> Lines<R> {
    /// The next line without its end; `None` at the end of the file.
    fn next(&mut self) -> Result<Option<&[u8]>> {
        self.buffer.clear();
        let mut any = false;
        loop {
            let chunk = match self.input.fill_buf() {
                Ok(chunk) => chunk,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(Error::io(&self.path, "cannot read", e)),
            };
            if chunk.is_empty() && !any {
                return Ok(None);
            }
            let end = memchr::memchr(b'\n', chunk);
            let complete = end.is_some() || chunk.is_empty();
            self.buffer.extend_from_slice(&chunk[..end.unwrap_or(chunk.len())]);
            let used = end.map_or(chunk.len(), |i| i + 1);
            self.input.consume(used);
            self.offset += used as u64;
            self.number += usize::from(!any);
            any = true;
            if self.buffer.len() > LONGEST_LINE {
                return Err(self.error(format!("line is longer than {LONGEST_LINE} bytes; is this an XYZ file?")));
            }
            if complete {
                return Ok(Some(&self.buffer));
            }
        }
    }

    /// [`Error::Line`] for the line just read.
    fn error(&self, message: String) -> Error {
        Error::line(&self.path, self.number, message)
    }
}
