//! Systems into an archive.

use std::io::{self, Cursor, Write};
use std::path::Path;

use npyz::zip::write::FileOptions;
use npyz::zip::{DateTime, ZipWriter};

use super::array::{Array, encode};
use super::carried::carried;
use potstill_core::columns::ColumnValues;
use potstill_core::files::atomic::{AtomicFile, write_error};
use potstill_core::files::checksum::{seal_zip, zip_comment};
use potstill_core::system::{Mat3, System};
use potstill_core::{Error, Result};

/// Collects systems and writes them as one archive, in f64.
#[derive(Debug)]
pub struct NpzWriter {
    file: AtomicFile,
    systems: Vec<System>,
}

impl NpzWriter {
    /// Opens `path`; it appears when [`NpzWriter::finish`] succeeds.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder is missing or refuses.
    pub fn create(path: &Path) -> Result<Self> {
        Ok(Self { file: AtomicFile::create(path)?, systems: Vec::new() })
    }

    /// Appends a system.
    ///
    /// # Errors
    /// [`Error::System`] for what the layout cannot hold: no atoms, or energies or forces that only some of the systems
    /// have; and for arrays that disagree in length.
    pub fn write(&mut self, system: &System) -> Result<()> {
        self.check(system).map_err(|message| {
            let (index, name) = (self.systems.len(), system.name());
            Error::System { index, name, message }
        })?;
        self.systems.push(system.clone());
        Ok(())
    }

    fn check(&self, system: &System) -> std::result::Result<(), String> {
        let n = system.n_atoms();
        if n == 0 {
            return Err("a system needs at least one atom".into());
        }
        if system.positions.len() != n || system.forces.as_ref().is_some_and(|f| f.len() != n) {
            return Err(format!("positions or forces do not have {n} rows"));
        }
        let has_n = |len: Option<usize>| len.is_none_or(|len| len == n);
        if !has_n(system.tags.as_ref().map(Vec::len)) || !has_n(system.fixed.as_ref().map(Vec::len)) {
            return Err(format!("tags or fixed do not have {n} rows"));
        }
        if let Some((name, column)) = system.columns.iter().find(|(_, column)| !column.fits(n)) {
            let (found, width) = (column.values.len(), column.width);
            return Err(format!("column {name} has {found} entries for {n} atoms, {width} each"));
        }
        let Some(first) = self.systems.first() else { return Ok(()) };
        let labels = [
            ("energy", system.energy.is_some(), first.energy.is_some()),
            ("forces", system.forces.is_some(), first.forces.is_some()),
        ];
        match labels.iter().find(|(_, has, others)| has != others) {
            Some((what, true, _)) => Err(format!("has {what}, but the systems before it have none")),
            Some((what, ..)) => {
                Err(format!("has no {what}, but the systems before it have; the npz layout needs all or none"))
            }
            None => Ok(()),
        }
    }

    /// Writes the arrays and gives the file its name; returns the names of metadata and columns that are left out:
    /// those that only some systems have, or that are not of one type.
    ///
    /// # Errors
    /// [`Error::Io`]; an old file of that name is then untouched.
    pub fn finish(mut self) -> Result<Vec<String>> {
        let mut carried = carried(&self.systems);
        let mut arrays = labels(&self.systems, &mut carried.left_out);
        arrays.append(&mut carried.arrays);
        let archive = archive(&arrays).map_err(|e| write_error(self.file.path(), e))?;
        self.file.write_all(&archive).map_err(|e| write_error(self.file.path(), e))?;
        self.file.commit()?;
        Ok(carried.left_out)
    }
}

/// The arrays with a meaning of their own.
fn labels(systems: &[System], left_out: &mut Vec<String>) -> Vec<(String, Array)> {
    use ColumnValues::{Bool, Int, Real};
    let (n_systems, n_atoms) = (systems.len(), systems.iter().map(System::n_atoms).sum::<usize>());
    let mut arrays = Vec::new();
    let mut put = |name: &str, shape: &[usize], values| arrays.push((name.to_owned(), Array::new(shape, values)));
    let any = |has: fn(&System) -> bool| systems.iter().any(has);
    put("N", &[n_systems], Int(systems.iter().map(|s| s.n_atoms() as i64).collect()));
    put("Z", &[n_atoms], Int(systems.iter().flat_map(|s| s.atomic_numbers.iter().map(|z| i64::from(*z))).collect()));
    put("R", &[n_atoms, 3], Real(systems.iter().flat_map(|s| s.positions.iter().flatten().copied()).collect()));
    if any(|s| s.energy.is_some()) {
        put("E", &[n_systems], Real(systems.iter().filter_map(|s| s.energy).collect()));
    }
    if any(|s| s.forces.is_some()) {
        put(
            "F",
            &[n_atoms, 3],
            Real(systems.iter().flat_map(|s| s.forces.iter().flatten().flatten().copied()).collect()),
        );
    }
    if any(|s| s.cell.is_some()) {
        put("cell", &[n_systems, 3, 3], Real(matrices(systems, |s| s.cell, 0.0)));
    }
    if any(|s| s.cell.is_some() || s.pbc != [false; 3]) {
        put("pbc", &[n_systems, 3], Bool(systems.iter().flat_map(|s| s.pbc).collect()));
    }
    if any(|s| s.stress.is_some()) {
        put("stress", &[n_systems, 3, 3], Real(matrices(systems, |s| s.stress, f64::NAN)));
    }
    if any(|s| s.fixed.is_some()) {
        let fixed = systems.iter().flat_map(|s| (0..s.n_atoms()).map(|i| !s.is_free(i)));
        put("fixed", &[n_atoms], Bool(fixed.collect()));
    }
    let tags: Option<Vec<_>> = systems.iter().map(|s| s.tags.as_ref()).collect();
    match tags.filter(|tags| !tags.is_empty()) {
        Some(tags) => put("tags", &[n_atoms], Int(tags.into_iter().flatten().map(|tag| i64::from(*tag)).collect())),
        None if any(|s| s.tags.is_some()) => left_out.push("tags".to_owned()),
        None => {}
    }
    arrays
}

/// A matrix of each system, or `absent` nine times.
fn matrices(systems: &[System], of: fn(&System) -> Option<Mat3>, absent: f64) -> Vec<f64> {
    systems.iter().flat_map(|s| of(s).unwrap_or([[absent; 3]; 3])).flatten().collect()
}

fn archive(arrays: &[(String, Array)]) -> io::Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, array) in arrays {
        let bytes = encode(array);
        // The same systems give the same bytes at any time; large entries need the wider sizes.
        let options = FileOptions::default().last_modified_time(DateTime::default());
        let options = options.large_file(bytes.len() as u64 >= u64::from(u32::MAX));
        zip.start_file(npyz::npz::file_name_from_array_name(name), options).map_err(io::Error::other)?;
        zip.write_all(&bytes)?;
    }
    zip.set_comment(zip_comment());
    let mut bytes = zip.finish().map_err(io::Error::other)?.into_inner();
    seal_zip(&mut bytes);
    Ok(bytes)
}
