//! Systems into an archive.

use std::io::{self, Cursor, Write};
use std::path::Path;

use npyz::WriterBuilder;

use crate::io::atomic::{AtomicFile, write_error};
use crate::io::checksum::{seal_zip, zip_comment};
use crate::system::{System, Value};
use crate::{Error, Result};

/// Collects systems and writes them as one COLL archive, in f64.
///
/// Only what the layout holds is kept: metadata other than an integer `id` is left out.
#[derive(Debug)]
pub struct NpzWriter {
    file: AtomicFile,
    counts: Vec<i64>,
    atomic_numbers: Vec<i64>,
    positions: Vec<f64>,
    energies: Vec<f64>,
    forces: Vec<f64>,
    ids: Vec<i64>,
}

impl NpzWriter {
    /// Opens `path`; it appears when [`NpzWriter::finish`] succeeds.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder is missing or refuses.
    pub fn create(path: &Path) -> Result<Self> {
        let file = AtomicFile::create(path)?;
        let (counts, atomic_numbers, ids) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { file, counts, atomic_numbers, positions: Vec::new(), energies: Vec::new(), forces: Vec::new(), ids })
    }

    /// Appends a system.
    ///
    /// # Errors
    /// [`Error::System`] for what the layout cannot hold: a periodic or partly fixed system, no atoms, or labels
    /// that only some of the systems have.
    pub fn write(&mut self, system: &System) -> Result<()> {
        self.check(system).map_err(|message| {
            let (index, name) = (self.counts.len(), system.name());
            Error::System { index, name, message }
        })?;
        self.counts.push(system.n_atoms() as i64);
        self.atomic_numbers.extend(system.atomic_numbers.iter().map(|z| i64::from(*z)));
        self.positions.extend(system.positions.as_flattened());
        self.energies.extend(system.energy);
        self.forces.extend(system.forces.iter().flat_map(|f| f.as_flattened()));
        if let Some(Value::Int(id)) = system.metadata.get("id") {
            self.ids.push(*id);
        }
        Ok(())
    }

    fn check(&self, system: &System) -> std::result::Result<(), String> {
        let (n, before) = (system.n_atoms(), self.counts.len());
        if n == 0 {
            return Err("a system needs at least one atom".into());
        }
        if system.is_periodic() || system.fixed.as_ref().is_some_and(|fixed| fixed.contains(&true)) {
            return Err("the npz layout holds no cell and no fixed atoms; write .extxyz instead".into());
        }
        if system.positions.len() != n || system.forces.as_ref().is_some_and(|f| f.len() != n) {
            return Err(format!("positions or forces do not have {n} rows"));
        }
        let labels = [
            ("energy", system.energy.is_some(), !self.energies.is_empty()),
            ("forces", system.forces.is_some(), !self.forces.is_empty()),
        ];
        match labels.iter().find(|(_, has, others)| before > 0 && has != others) {
            Some((what, true, _)) => Err(format!("has {what}, but the systems before it have none")),
            Some((what, ..)) => {
                Err(format!("has no {what}, but the systems before it have; the npz layout needs all or none"))
            }
            None => Ok(()),
        }
    }

    /// Writes the arrays and gives the file its name.
    ///
    /// # Errors
    /// [`Error::Io`]; an old file of that name is then untouched.
    pub fn finish(mut self) -> Result<()> {
        let archive = self.archive().map_err(|e| write_error(self.file.path(), e))?;
        self.file.write_all(&archive).map_err(|e| write_error(self.file.path(), e))?;
        self.file.commit()
    }

    fn archive(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Cursor::new(Vec::new());
        let mut npz = npyz::npz::NpzWriter::new(&mut bytes);
        let (n_systems, n_atoms) = (self.counts.len() as u64, self.atomic_numbers.len() as u64);
        put(&mut npz, "N", &[n_systems], &self.counts)?;
        put(&mut npz, "Z", &[n_atoms], &self.atomic_numbers)?;
        put(&mut npz, "R", &[n_atoms, 3], &self.positions)?;
        if !self.energies.is_empty() {
            put(&mut npz, "E", &[n_systems], &self.energies)?;
        }
        if !self.forces.is_empty() {
            put(&mut npz, "F", &[n_atoms, 3], &self.forces)?;
        }
        // Only when every system has one.
        if !self.ids.is_empty() && self.ids.len() == self.counts.len() {
            put(&mut npz, "id", &[n_systems], &self.ids)?;
        }
        npz.zip_writer().set_comment(zip_comment());
        npz.zip_writer().finish().map_err(io::Error::other)?;
        drop(npz);
        let mut bytes = bytes.into_inner();
        seal_zip(&mut bytes);
        Ok(bytes)
    }
}

fn put<T: npyz::AutoSerialize + Copy>(
    npz: &mut npyz::npz::NpzWriter<&mut Cursor<Vec<u8>>>,
    name: &str,
    shape: &[u64],
    values: &[T],
) -> io::Result<()> {
    let mut array = npz.array(name, Default::default())?.default_dtype().shape(shape).begin_nd()?;
    array.extend(values.iter().copied())?;
    array.finish()
}
