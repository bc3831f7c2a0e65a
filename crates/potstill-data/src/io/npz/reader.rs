//! Systems out of an archive.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::ops::Range;
use std::path::{Path, PathBuf};

use npyz::npz::NpzArchive;

use super::OWN_ARRAYS;
use super::array::{self, Array};
use super::extras::Extras;
use crate::io::header_units;
use crate::io::keys::{ChosenKeys, LabelKeys};
use potstill_core::columns::ColumnValues;
use potstill_core::files::checksum;
use potstill_core::files::source::FileSource;
use potstill_core::system::{Mat3, System, Vec3};
use potstill_core::{Error, Result, elements};

/// Reads an archive; the arrays are held in memory, the systems are cut from them one by one.
#[derive(Debug)]
pub struct NpzReader {
    path: PathBuf,
    chosen: ChosenKeys,
    structures: Structures,
    energies: Option<Vec<f64>>,
    forces: Option<Vec<Vec3>>,
    stresses: Option<Vec<Mat3>>,
    tags: Option<Vec<i32>>,
    fixed: Option<Vec<bool>>,
    extras: Extras,
    /// Arrays of no known shape or type.
    left_out: Vec<String>,
    /// Next system.
    index: usize,
}

/// Arrays that a potential sees.
#[derive(Debug)]
struct Structures {
    /// First atom of each system, and their number at the end.
    first_atoms: Vec<usize>,
    atomic_numbers: Vec<u8>,
    positions: Vec<Vec3>,
    cells: Option<Vec<Mat3>>,
    pbc: Option<Vec<bool>>,
}

impl Structures {
    /// System `i`, without anything else.
    fn get(&self, i: usize, atoms: &Range<usize>) -> System {
        let cell = self.cells.as_ref().map(|c| c[i]).filter(|c| c.as_flattened().iter().any(|v| *v != 0.0));
        let pbc = self.pbc.as_ref().map(|pbc| std::array::from_fn(|axis| pbc[3 * i + axis]));
        System {
            atomic_numbers: self.atomic_numbers[atoms.clone()].to_vec(),
            positions: self.positions[atoms.clone()].to_vec(),
            cell,
            pbc: pbc.unwrap_or([cell.is_some(); 3]),
            ..System::default()
        }
    }
}

impl NpzReader {
    /// Opens an archive and checks its arrays against each other.
    ///
    /// `keys` may name other arrays than `E` and `F`.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be opened, [`Error::File`] when it is damaged or naming the array and its shape.
    pub fn open(path: &Path, keys: &LabelKeys) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io(path, "cannot open", e))?;
        checksum::verify(path, &FileSource::open(path)?)?;
        Self::from_reader(BufReader::new(file), path, keys)
    }

    /// Reads an archive from `input`; `path` is only the name in messages.
    ///
    /// # Errors
    /// As [`NpzReader::open`].
    pub fn from_reader(input: impl Read + Seek, path: &Path, keys: &LabelKeys) -> Result<Self> {
        let fail = |message: String| Error::file(path, message);
        let mut archive = NpzArchive::new(input).map_err(|e| fail(format!("not a readable npz archive: {e}")))?;
        Self::assemble(&mut archive, path, keys).map_err(fail)
    }

    fn assemble<R: Read + Seek>(
        archive: &mut NpzArchive<R>,
        path: &Path,
        keys: &LabelKeys,
    ) -> std::result::Result<Self, String> {
        if let Some(name) = keys.stress.as_ref().filter(|name| name.to_ascii_lowercase().contains("virial")) {
            return Err(format!("`{name}`: arrays of virials are not read; use extended XYZ, or store the stress"));
        }
        check_units(archive)?;
        let first_atoms = first_atoms(&counts(required(archive, "N")?)?)?;
        let (n_systems, n_atoms) = (first_atoms.len() - 1, first_atoms.last().copied().unwrap_or(0));
        let atomic_numbers = atomic_numbers(required(archive, "Z")?, n_atoms)?;
        let positions = vectors("R", required(archive, "R")?, n_atoms)?;
        let (mut chosen, mut odd) = (ChosenKeys::default(), Vec::new());
        let energies = label(archive, keys.energy.as_deref(), "E", &mut chosen.energy)?;
        let energies = energies.map(|a| reals_per_system(&chosen.energy, a, n_systems)).transpose()?;
        let forces = label(archive, keys.forces.as_deref(), "F", &mut chosen.forces)?;
        let forces = forces.map(|a| vectors(chosen.forces.as_deref().unwrap_or("F"), a, n_atoms)).transpose()?;
        let stresses = match &keys.stress {
            Some(name) => Some(matrices(name, required(archive, name)?, n_systems)?),
            None => fitting(archive, "stress", &mut odd, |a| matrices("stress", a, n_systems))?,
        };
        chosen.stress = stresses.as_ref().map(|_| keys.stress.clone().unwrap_or_else(|| "stress".to_owned()));
        let cells = fitting(archive, "cell", &mut odd, |a| matrices("cell", a, n_systems))?;
        let pbc = fitting(archive, "pbc", &mut odd, |a| truths("pbc", a, &[n_systems, 3]))?;
        let fixed = fitting(archive, "fixed", &mut odd, |a| truths("fixed", a, &[n_atoms]))?;
        let tags = fitting(archive, "tags", &mut odd, |a| tags(a, n_atoms))?;
        let (extras, mut left_out) = extras(archive, &chosen, n_systems, n_atoms)?;
        left_out.append(&mut odd);
        left_out.sort_unstable();
        left_out.dedup();
        let (path, index) = (path.to_path_buf(), 0);
        let structures = Structures { first_atoms, atomic_numbers, positions, cells, pbc };
        Ok(Self { path, chosen, structures, energies, forces, stresses, tags, fixed, extras, left_out, index })
    }

    /// Number of systems.
    pub fn len(&self) -> usize {
        self.structures.first_atoms.len() - 1
    }

    /// Whether there is no system.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of atoms of system `i`; 0 when there is no such system.
    pub fn n_atoms(&self, i: usize) -> usize {
        self.atoms(i).map_or(0, |atoms| atoms.len())
    }

    fn atoms(&self, i: usize) -> Option<Range<usize>> {
        Some(*self.structures.first_atoms.get(i)?..*self.structures.first_atoms.get(i.checked_add(1)?)?)
    }

    /// System `i`, copied out of the arrays.
    ///
    /// # Errors
    /// [`Error::File`] when there is no such system, or one of its numbers is not finite.
    pub fn get(&self, i: usize) -> Result<System> {
        let fail = |message: String| Error::file(&self.path, message);
        let atoms = self.atoms(i).ok_or_else(|| fail(format!("has {} systems; there is no system {i}", self.len())))?;
        let system = System {
            energy: self.energies.as_ref().map(|e| e[i]),
            forces: self.forces.as_ref().map(|f| f[atoms.clone()].to_vec()),
            stress: self.stresses.as_ref().map(|s| s[i]).filter(|s| !s.as_flattened().iter().all(|v| v.is_nan())),
            tags: self.tags.as_ref().map(|t| t[atoms.clone()].to_vec()),
            fixed: self.fixed.as_ref().map(|f| f[atoms.clone()].to_vec()),
            columns: self.extras.columns(&atoms),
            metadata: self.extras.metadata(i),
            ..self.structures.get(i, &atoms)
        };
        let all_finite = |vectors: &[Vec3]| vectors.as_flattened().iter().all(|v| v.is_finite());
        let name = |key: &Option<String>, usual: &str| key.clone().unwrap_or_else(|| usual.to_owned());
        let finite = [
            ("R".to_owned(), all_finite(&system.positions)),
            (name(&self.chosen.energy, "E"), system.energy.is_none_or(f64::is_finite)),
            (name(&self.chosen.forces, "F"), system.forces.as_ref().is_none_or(|f| all_finite(f))),
            (name(&self.chosen.stress, "stress"), system.stress.as_ref().is_none_or(|s| all_finite(s))),
            ("cell".to_owned(), system.cell.as_ref().is_none_or(|c| all_finite(c))),
        ];
        match finite.iter().find(|(_, ok)| !ok) {
            Some((name, _)) => Err(fail(format!("system {i}: {name} is not finite; repair or remove this system"))),
            None => Ok(system),
        }
    }

    /// Names of the arrays that hold the labels.
    pub fn chosen(&self) -> &ChosenKeys {
        &self.chosen
    }

    /// Names of arrays that are left out, because their shape or type is none that a system can hold.
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }
}

impl Iterator for NpzReader {
    type Item = Result<System>;

    fn next(&mut self) -> Option<Self::Item> {
        self.atoms(self.index)?;
        let system = self.get(self.index);
        self.index = if system.is_ok() { self.index + 1 } else { self.len() };
        Some(system)
    }
}

fn optional<R: Read + Seek>(archive: &mut NpzArchive<R>, name: &str) -> std::result::Result<Option<Array>, String> {
    let Some(bytes) = bytes(archive, name)? else { return Ok(None) };
    array::parse(&bytes).map(Some).map_err(|message| format!("array {name} {message}"))
}

/// The bytes of an array, whose CRC the archive's reader checks.
fn bytes<R: Read + Seek>(archive: &mut NpzArchive<R>, name: &str) -> std::result::Result<Option<Vec<u8>>, String> {
    let file_name = format!("{name}.npy");
    if !archive.array_names().any(|n| n == name) {
        return Ok(None);
    }
    let unreadable = |e: &dyn std::fmt::Display| format!("array {name} is unreadable: {e}");
    let mut entry = archive.zip_archive().by_name(&file_name).map_err(|e| unreadable(&e))?;
    // Grows with what is really there, whatever sizes the archive claims.
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).map_err(|e| unreadable(&e))?;
    Ok(Some(bytes))
}

/// Metadata and columns, and the names of arrays that are neither.
fn extras<R: Read + Seek>(
    archive: &mut NpzArchive<R>,
    chosen: &ChosenKeys,
    n_systems: usize,
    n_atoms: usize,
) -> std::result::Result<(Extras, Vec<String>), String> {
    let labels = [&chosen.energy, &chosen.forces, &chosen.stress];
    let is_label = |name: &str| labels.iter().any(|label| label.as_deref() == Some(name));
    // An `E` is mere metadata where another name was asked for.
    let taken = |name: &str| is_label(name) || OWN_ARRAYS.contains(&name) && !["E", "F", "stress"].contains(&name);
    let mut names: Vec<String> = archive.array_names().filter(|name| !taken(name)).map(str::to_owned).collect();
    names.sort_unstable();
    let (mut extras, mut left_out) = (Extras::default(), Vec::new());
    for name in names {
        let array = bytes(archive, &name)?.and_then(|bytes| array::parse(&bytes).ok());
        if !array.is_some_and(|array| extras.add(&name, array, n_systems, n_atoms)) {
            left_out.push(name);
        }
    }
    Ok((extras, left_out))
}

/// Refuses an archive with an array such as `energy_unit` whose text is not ours.
fn check_units<R: Read + Seek>(archive: &mut NpzArchive<R>) -> std::result::Result<(), String> {
    /// Bytes of an array that are looked at: more is no name of a unit.
    const LONGEST: u64 = 1 << 16;
    let names: Vec<String> =
        archive.array_names().filter(|n| n.to_lowercase().contains("unit")).map(Into::into).collect();
    for name in names {
        let mut bytes = Vec::new();
        // What cannot be read says nothing about units.
        let Ok(entry) = archive.zip_archive().by_name(&format!("{name}.npy")) else { continue };
        if entry.take(LONGEST).read_to_end(&mut bytes).is_ok()
            && let Some(text) = array::parse_text(&bytes)
            && let Some(message) = header_units::foreign(&name, &text)
        {
            return Err(message);
        }
    }
    Ok(())
}

fn required<R: Read + Seek>(archive: &mut NpzArchive<R>, name: &str) -> std::result::Result<Array, String> {
    optional(archive, name)?.ok_or_else(|| absent(archive, name))
}

fn absent<R: Read + Seek>(archive: &NpzArchive<R>, name: &str) -> String {
    let mut names: Vec<&str> = archive.array_names().collect();
    names.sort_unstable();
    format!("no array `{name}`; the arrays are {}", names.join(", "))
}

/// A label's array, under the name that was asked for or the usual one, which goes to `chosen`.
fn label<R: Read + Seek>(
    archive: &mut NpzArchive<R>,
    wanted: Option<&str>,
    usual: &str,
    chosen: &mut Option<String>,
) -> std::result::Result<Option<Array>, String> {
    let array = match wanted {
        Some(name) => Some(required(archive, name)?),
        None => optional(archive, usual)?,
    };
    *chosen = array.as_ref().map(|_| wanted.unwrap_or(usual).to_owned());
    Ok(array)
}

/// What `take` makes of an array beside the published layout; one that does not fit is another program's, and `odd`.
fn fitting<R: Read + Seek, T>(
    archive: &mut NpzArchive<R>,
    name: &str,
    odd: &mut Vec<String>,
    take: impl Fn(Array) -> std::result::Result<T, String>,
) -> std::result::Result<Option<T>, String> {
    let Some(bytes) = bytes(archive, name)? else { return Ok(None) };
    let found = array::parse(&bytes).and_then(take).ok();
    if found.is_none() {
        odd.push(name.to_owned());
    }
    Ok(found)
}

/// First atom of each system, and their number at the end.
fn first_atoms(counts: &[usize]) -> std::result::Result<Vec<usize>, String> {
    let mut first_atoms = vec![0];
    let mut n_atoms: usize = 0;
    for n in counts {
        n_atoms = n_atoms.checked_add(*n).ok_or("N adds up to too much")?;
        first_atoms.push(n_atoms);
    }
    Ok(first_atoms)
}

fn reals_per_system(name: &Option<String>, array: Array, n: usize) -> std::result::Result<Vec<f64>, String> {
    let (name, shape) = (name.as_deref().unwrap_or("E"), array.shape.clone());
    per_system(name, &shape, array.into_reals(name)?, n)
}

fn counts(array: Array) -> std::result::Result<Vec<usize>, String> {
    let n = array.shape.iter().product();
    let ColumnValues::Int(values) = array.values else { return Err("array N should hold integers".into()) };
    let values = per_system("N", &array.shape, values, n)?;
    let count = |(i, v): (usize, i64)| match usize::try_from(v) {
        Ok(v) if v > 0 => Ok(v),
        _ => Err(format!("N says that system {i} has {v} atoms")),
    };
    values.into_iter().enumerate().map(count).collect()
}

fn atomic_numbers(array: Array, n_atoms: usize) -> std::result::Result<Vec<u8>, String> {
    let ColumnValues::Int(values) = array.values else { return Err("array Z should hold integers".into()) };
    if values.len() != n_atoms {
        return Err(format!("Z has shape {:?}, but N adds up to {n_atoms} atoms", array.shape));
    }
    let element = |(i, v): (usize, i64)| {
        let z = u8::try_from(v).ok().filter(|z| elements::symbol(*z).is_some());
        z.ok_or_else(|| format!("Z[{i}] = {v} is not an atomic number"))
    };
    values.into_iter().enumerate().map(element).collect()
}

fn vectors(name: &str, array: Array, n_atoms: usize) -> std::result::Result<Vec<Vec3>, String> {
    if array.shape != [n_atoms, 3] {
        return Err(format!("{name} has shape {:?}, expected [{n_atoms}, 3] as N adds up", array.shape));
    }
    Ok(array.into_reals(name)?.as_chunks().0.to_vec())
}

fn matrices(name: &str, array: Array, n_systems: usize) -> std::result::Result<Vec<Mat3>, String> {
    if array.shape != [n_systems, 3, 3] {
        return Err(format!("{name} has shape {:?}, expected [{n_systems}, 3, 3]", array.shape));
    }
    Ok(array.into_reals(name)?.as_chunks().0.as_chunks().0.to_vec())
}

fn truths(name: &str, array: Array, shape: &[usize]) -> std::result::Result<Vec<bool>, String> {
    if array.shape != shape {
        return Err(format!("{name} has shape {:?}, expected {shape:?}", array.shape));
    }
    match array.values {
        ColumnValues::Bool(values) => Ok(values),
        ColumnValues::Int(values) => Ok(values.into_iter().map(|v| v != 0).collect()),
        _ => Err(format!("array {name} should hold truth values")),
    }
}

fn tags(array: Array, n_atoms: usize) -> std::result::Result<Vec<i32>, String> {
    let ColumnValues::Int(values) = array.values else { return Err("array tags should hold integers".into()) };
    if array.shape != [n_atoms] {
        return Err(format!("tags has shape {:?}, expected [{n_atoms}]", array.shape));
    }
    values.into_iter().map(|v| i32::try_from(v).map_err(|_| format!("tags: {v} is too large"))).collect()
}

fn per_system<T>(name: &str, shape: &[usize], values: Vec<T>, n: usize) -> std::result::Result<Vec<T>, String> {
    match shape {
        [len] | [len, 1] if *len == n => Ok(values),
        _ => Err(format!("{name} has shape {shape:?}, expected [{n}] or [{n}, 1]")),
    }
}
