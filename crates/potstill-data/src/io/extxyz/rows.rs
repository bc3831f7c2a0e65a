//! Rows of a system, one line per atom.

use super::columns::{Column, Plan, Step};
use super::value;
use potstill_core::columns::ColumnValues;
use potstill_core::elements;
use potstill_core::system::{System, Vec3};

/// Appends the atom in `line` to `system`, and its entries of further columns to `others`, in the order of the plan.
///
/// # Errors
/// A message about the entry that is wrong, or about the number of columns.
pub fn push_atom(line: &[u8], plan: &Plan, system: &mut System, others: &mut [ColumnValues]) -> Result<(), String> {
    let mut entries = Entries { line, at: 0 };
    let mut fixed = false;
    for step in &plan.steps {
        let done = match *step {
            Step::Species => entries.species().map(|z| system.atomic_numbers.push(z)),
            Step::Position => entries.vector("position").map(|v| system.positions.push(v)),
            Step::Force => entries.vector("force").map(|v| system.forces.get_or_insert_default().push(v)),
            Step::Tag => entries.integer().map(|v| system.tags.get_or_insert_default().push(v)),
            Step::MoveMask(n) => entries.any_true(n).map(|v| fixed |= !v),
            Step::Fixed => entries.any_true(1).map(|v| fixed |= v),
            Step::Other(i) => entries.other(&plan.others[i], &mut others[i]),
        };
        done.map_err(|fault| fault.message(line, plan))?;
    }
    if !plan.open_ended && entries.next().is_ok() {
        return Err(Fault::Missing.message(line, plan));
    }
    if let Some(column) = &mut system.fixed {
        column.push(fixed);
    }
    Ok(())
}

enum Fault {
    /// The row ends too early.
    Missing,
    /// An entry is wrong.
    Entry(String),
}

impl Fault {
    #[cold]
    fn message(self, line: &[u8], plan: &Plan) -> String {
        let found = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).count();
        match self {
            Self::Missing if plan.open_ended => {
                format!("expected at least {} columns, found {found}", plan.n_columns)
            }
            Self::Missing => format!("expected {} columns, found {found}", plan.n_columns),
            // A wrong number of columns shifts the entries; say so rather than blame one of them.
            Self::Entry(_) if found != plan.n_columns && !plan.open_ended => Self::Missing.message(line, plan),
            Self::Entry(message) => message,
        }
    }
}

struct Entries<'a> {
    line: &'a [u8],
    at: usize,
}

impl<'a> Entries<'a> {
    #[inline]
    fn skip_blanks(&mut self) {
        while self.line.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }

    #[inline]
    fn next(&mut self) -> Result<&'a [u8], Fault> {
        self.skip_blanks();
        let rest = &self.line[self.at..];
        let len = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
        self.at += len;
        if len == 0 { Err(Fault::Missing) } else { Ok(&rest[..len]) }
    }

    #[inline]
    fn vector(&mut self, what: &str) -> Result<Vec3, Fault> {
        Ok([self.real(what)?, self.real(what)?, self.real(what)?])
    }

    #[inline]
    fn real(&mut self, what: &str) -> Result<f64, Fault> {
        self.skip_blanks();
        let rest = &self.line[self.at..];
        // One pass finds the number and its end.
        if let Ok((v, len)) = fast_float2::parse_partial::<f64, _>(rest)
            && v.is_finite()
            && rest.get(len).is_none_or(u8::is_ascii_whitespace)
        {
            self.at += len;
            return Ok(v);
        }
        self.odd_real(what)
    }

    #[cold]
    fn odd_real(&mut self, what: &str) -> Result<f64, Fault> {
        let word = self.next()?;
        match value::real_bytes(word) {
            Some(v) if v.is_finite() => Ok(v),
            Some(_) => {
                Err(Fault::Entry(format!("{what} is not finite: `{}`; repair or remove this system", shown(word))))
            }
            None => Err(Fault::Entry(format!("{what}: expected a number, found `{}`", shown(word)))),
        }
    }

    #[inline]
    fn species(&mut self) -> Result<u8, Fault> {
        let word = self.next()?;
        elements::atomic_number_bytes(word).map_or_else(|| atomic_number(word), Ok)
    }

    /// The entries of a column that is carried along.
    fn other(&mut self, column: &Column, values: &mut ColumnValues) -> Result<(), Fault> {
        for _ in 0..column.count {
            let word = self.next()?;
            let fault = |what: &str| Fault::Entry(format!("{}: expected {what}, found `{}`", column.name, shown(word)));
            match values {
                // Numbers that are not finite are no business of ours here.
                ColumnValues::Real(all) => all.push(value::real_bytes(word).ok_or_else(|| fault("a number"))?),
                ColumnValues::Int(all) => {
                    let number = std::str::from_utf8(word).ok().and_then(|w| w.parse().ok());
                    all.push(number.ok_or_else(|| fault("an integer"))?);
                }
                ColumnValues::Bool(all) => all.push(truth(word).ok_or_else(|| fault("T or F"))?),
                ColumnValues::Text(all) => all.push(String::from_utf8_lossy(word).into_owned()),
            }
        }
        Ok(())
    }

    fn integer(&mut self) -> Result<i32, Fault> {
        let word = self.next()?;
        let number = std::str::from_utf8(word).ok().and_then(|w| w.parse().ok());
        number.ok_or_else(|| Fault::Entry(format!("tags: expected an integer, found `{}`", shown(word))))
    }

    fn any_true(&mut self, n: usize) -> Result<bool, Fault> {
        let mut any = false;
        for _ in 0..n {
            let word = self.next()?;
            any |= truth(word).ok_or_else(|| Fault::Entry(format!("expected T or F, found `{}`", shown(word))))?;
        }
        Ok(any)
    }
}

fn truth(word: &[u8]) -> Option<bool> {
    match word {
        b"T" | b"1" => Some(true),
        b"F" | b"0" => Some(false),
        _ => value::truth(std::str::from_utf8(word).ok()?),
    }
}

/// An atomic number in place of a symbol.
#[cold]
fn atomic_number(word: &[u8]) -> Result<u8, Fault> {
    let text = String::from_utf8_lossy(word);
    if let Some(z) = text.parse().ok().filter(|z| elements::symbol(*z).is_some()) {
        return Ok(z);
    }
    // `CU` and `cu` are the usual slips.
    let (head, tail) = text.split_at(text.chars().next().map_or(0, char::len_utf8));
    let proper = head.to_uppercase() + &tail.to_lowercase();
    let hint = elements::atomic_number(&proper).map(|_| format!("; did you mean `{proper}`?")).unwrap_or_default();
    Err(Fault::Entry(format!("unknown element `{}`{hint}", shown(word))))
}

/// A piece of a file, fit for a message: one line, not long, readable.
pub fn shown(bytes: &[u8]) -> String {
    const LONGEST: usize = 40;
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * LONGEST)]);
    let mut short: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().count() > LONGEST {
        short.push('…');
    }
    short
}
