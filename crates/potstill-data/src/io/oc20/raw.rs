//! OC20's raw download: `0.extxyz.xz` beside `0.txt`, line by line.
//!
//! Each line of the text is `system,frame,reference`, for example `random1234567,frame42,-123.456`: the name of the system
//! and of its frame in the relaxation, and the energy in eV of the clean slab and the gas, which is taken off the frame's
//! energy. `sid` and `fid` become those two numbers, `reference_energy` the third.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use crate::io::compression::open_reader;
use crate::io::extxyz::ExtxyzReader;
use crate::io::keys::{ChosenKeys, LabelKeys};
use potstill_core::system::Value;
use potstill_core::{Error, Result, System};

/// The text beside a file of systems, if there is one: `0.extxyz.xz` has `0.txt`, or `0.txt.xz`.
pub fn text_beside(systems: &Path) -> Option<PathBuf> {
    let name = systems.file_name()?.to_str()?;
    let stem =
        [".xz", ".gz", ".zst"].iter().find_map(|e| name.strip_suffix(e)).unwrap_or(name).strip_suffix(".extxyz")?;
    ["txt", "txt.xz", "txt.gz"]
        .iter()
        .map(|extension| systems.with_file_name(format!("{stem}.{extension}")))
        .find(|path| path.is_file())
}

/// Systems of one pair of files.
pub struct RawFile {
    systems: ExtxyzReader<Box<dyn BufRead + Send>>,
    lines: BufReader<Box<dyn BufRead + Send>>,
    text: PathBuf,
    line: usize,
}

impl RawFile {
    /// Opens a file of systems and the text beside it.
    ///
    /// # Errors
    /// [`Error::Io`] when either cannot be opened, [`Error::File`] when there is no text.
    pub fn open(path: &Path, keys: &LabelKeys) -> Result<Self> {
        let text = text_beside(path).ok_or_else(|| {
            Error::file(path, "has no text with reference energies beside it, such as 0.txt for 0.extxyz.xz")
        })?;
        let lines = BufReader::new(open_reader(&text)?);
        Ok(Self { systems: ExtxyzReader::open(path, keys)?, lines, text, line: 0 })
    }

    /// Keys under which labels were found so far.
    pub fn chosen(&self) -> &ChosenKeys {
        self.systems.chosen()
    }

    /// The next system with its energy relative to the reference; `None` behind the last.
    ///
    /// # Errors
    /// Those of the extended XYZ, a line that is not a reference, and files of different lengths.
    pub fn next_system(&mut self) -> Result<Option<System>> {
        let system = self.systems.next().transpose()?;
        let mut text = String::new();
        self.line += 1;
        // A line of a reference is short; anything else is no such file.
        let read = std::io::Read::take(&mut self.lines, 4096).read_line(&mut text);
        read.map_err(|e| Error::io(&self.text, "cannot read", e))?;
        let text = text.trim();
        match system {
            None if text.is_empty() => Ok(None),
            None => Err(Error::line(&self.text, self.line, "names a frame that the systems beside it lack")),
            Some(_) if text.is_empty() => Err(Error::line(
                &self.text,
                self.line,
                "ends before the systems beside it; one line per system is needed",
            )),
            Some(system) => self.referenced(system, text).map(Some),
        }
    }

    fn referenced(&self, mut system: System, text: &str) -> Result<System> {
        let wrong = |message: String| Error::line(&self.text, self.line, message);
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        let [name, frame, reference] = parts.as_slice() else {
            return Err(wrong(format!("expected `system,frame,reference energy`, found `{text}`")));
        };
        let number = |text: &str| text.trim_start_matches(|c: char| !c.is_ascii_digit()).parse::<i64>().ok();
        let reference: f64 = reference
            .parse()
            .ok()
            .filter(|e: &f64| e.is_finite())
            .ok_or_else(|| wrong(format!("`{reference}` is not an energy in eV")))?;
        system.energy = system.energy.map(|energy| energy - reference);
        system.metadata.insert("reference_energy".into(), Value::Real(reference));
        for (key, text) in [("sid", name), ("fid", frame)] {
            let value = number(text).map_or_else(|| Value::Text((*text).to_owned()), Value::Int);
            system.metadata.insert(key.into(), value);
        }
        Ok(system)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: &str = "1\nProperties=species:S:1:pos:R:3:move_mask:L:1:tags:I:1:forces:R:3 energy=-10.5 pbc=\"T T T\" \
                         Lattice=\"5 0 0 0 5 0 0 0 20\"\nPt 0 0 0 F 0 0 0 0\n";

    fn read(frames: &str, text: &str) -> Result<Vec<System>> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("0.extxyz"), frames).unwrap();
        std::fs::write(folder.path().join("0.txt"), text).unwrap();
        let reader = crate::io::read(folder.path(), &LabelKeys::default())?;
        reader.collect()
    }

    #[test]
    fn references_are_taken_off() {
        let systems = read(&FRAME.repeat(2), "random123,frame7,-8.25\nrandom123,frame8,-8.5\n").unwrap();
        assert_eq!(systems.iter().map(|s| s.energy).collect::<Vec<_>>(), [Some(-2.25), Some(-2.0)]);
        assert_eq!(systems[0].metadata["sid"], Value::Int(123));
        assert_eq!(systems[1].metadata["fid"], Value::Int(8));
        assert_eq!(systems[0].fixed, Some(vec![true]));
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        for (frames, text, expected) in [
            (FRAME.repeat(2), "random1,frame0,1.0\n", "ends before the systems"),
            (
                FRAME.to_owned(),
                "random1,frame0,1.0\nrandom1,frame1,1.0\n",
                "names a frame that the systems beside it lack",
            ),
            (FRAME.to_owned(), "random1,frame0\n", "expected `system,frame,reference energy`"),
            (FRAME.to_owned(), "random1,frame0,NaN\n", "is not an energy"),
        ] {
            let message = read(&frames, text).unwrap_err().to_string();
            assert!(message.contains(expected) && message.contains("0.txt") && !message.contains('\n'), "{message}");
        }
    }
}
