//! Systems that are in memory or stay in their files.

use std::borrow::Cow;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use super::visit::Visit;
use crate::io::StoredFile;
use potstill_core::{Error, Result, System};

/// Systems that a pass reads at a time, in parallel.
const BLOCK: usize = 256;

/// Systems in a fixed order, any of which can be had at any time, by several threads at once; clones share them.
#[derive(Clone)]
pub struct Systems {
    store: Store,
    /// Selected systems of the store, ascending; absent for the first `n_systems`.
    selected: Option<Arc<[usize]>>,
    n_systems: usize,
    /// Files of systems in memory, each with the number of systems before it.
    files: Arc<[(PathBuf, usize)]>,
}

#[derive(Clone)]
enum Store {
    Memory(Arc<Vec<System>>),
    Disk(Arc<Files>),
    /// Two sets, the second behind the first.
    Joined(Arc<[Systems; 2]>),
}

/// Files of systems, the next behind the last.
struct Files {
    files: Vec<StoredFile>,
    /// Number of systems before each file.
    first: Vec<usize>,
}

impl From<Vec<System>> for Systems {
    fn from(systems: Vec<System>) -> Self {
        let n_systems = systems.len();
        Self { store: Store::Memory(Arc::new(systems)), selected: None, n_systems, files: Arc::new([]) }
    }
}

impl Default for Systems {
    fn default() -> Self {
        Vec::new().into()
    }
}

impl std::fmt::Debug for Systems {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place = if self.is_in_memory() { "in memory" } else { "on disk" };
        write!(f, "{} systems {place}", self.len())
    }
}

impl Systems {
    /// The systems of some files, which stay there.
    pub fn stored(files: Vec<StoredFile>) -> Self {
        let mut n_systems = 0;
        let first = files
            .iter()
            .map(|file| {
                n_systems += file.len();
                n_systems - file.len()
            })
            .collect();
        Self { store: Store::Disk(Arc::new(Files { files, first })), selected: None, n_systems, files: Arc::new([]) }
    }

    /// Says which files systems in memory came from: each with its number of systems, in order.
    #[must_use]
    pub fn with_files(self, files: impl IntoIterator<Item = (PathBuf, usize)>) -> Self {
        let mut first = 0;
        let place = |(path, n): (PathBuf, usize)| {
            first += n;
            (path, first - n)
        };
        Self { files: files.into_iter().map(place).collect(), ..self }
    }

    /// File of system `i` and its index there, where that is known.
    pub fn origin(&self, i: usize) -> Option<(&Path, usize)> {
        let row = self.row(i)?;
        match &self.store {
            Store::Memory(_) => {
                let file = self.files.partition_point(|(_, first)| *first <= row).checked_sub(1)?;
                let (path, first) = self.files.get(file)?;
                Some((path, row - first))
            }
            Store::Disk(files) => files.place(row).map(|(file, within)| (file.path(), within)),
            Store::Joined(parts) => {
                let [first, second] = parts.as_ref();
                row.checked_sub(first.len()).map_or_else(|| first.origin(row), |row| second.origin(row))
            }
        }
    }

    /// Systems in memory as a slice, unless some were left out.
    pub fn as_slice(&self) -> Option<&[System]> {
        match &self.store {
            Store::Memory(systems) if self.selected.is_none() => systems.get(..self.n_systems),
            _ => None,
        }
    }

    /// These systems, then others.
    #[must_use]
    pub fn joined(self, others: Self) -> Self {
        if others.is_empty() {
            return self;
        }
        let n_systems = self.len() + others.len();
        Self { store: Store::Joined(Arc::new([self, others])), selected: None, n_systems, files: Arc::new([]) }
    }

    /// Number of systems.
    pub fn len(&self) -> usize {
        self.n_systems
    }

    /// Whether there is no system.
    pub fn is_empty(&self) -> bool {
        self.n_systems == 0
    }

    /// Whether the systems are in memory.
    pub fn is_in_memory(&self) -> bool {
        match &self.store {
            Store::Memory(_) => true,
            Store::Disk(_) => false,
            Store::Joined(parts) => parts.iter().all(Self::is_in_memory),
        }
    }

    /// Number of atoms of system `i`, without reading it; 0 when there is no such system.
    pub fn n_atoms(&self, i: usize) -> usize {
        let Some(row) = self.row(i) else { return 0 };
        match &self.store {
            Store::Memory(systems) => systems.get(row).map_or(0, System::n_atoms),
            Store::Disk(files) => files.n_atoms(row),
            Store::Joined(parts) => {
                let [first, second] = parts.as_ref();
                row.checked_sub(first.len()).map_or_else(|| first.n_atoms(row), |row| second.n_atoms(row))
            }
        }
    }

    /// Number of atoms of each system. Shape: `[n_systems]`.
    pub fn atom_counts(&self) -> Vec<usize> {
        (0..self.len()).map(|i| self.n_atoms(i)).collect()
    }

    /// System `i`.
    ///
    /// # Errors
    /// No such system; a file that can no longer be read.
    pub fn get(&self, i: usize) -> Result<Cow<'_, System>> {
        let found = match (&self.store, self.row(i)) {
            (Store::Memory(systems), Some(row)) => systems.get(row).map(Cow::Borrowed),
            (Store::Disk(files), Some(row)) => match files.place(row) {
                Some((file, within)) => Some(Cow::Owned(file.get(within)?)),
                None => None,
            },
            (Store::Joined(parts), Some(row)) => {
                let [first, second] = parts.as_ref();
                return row.checked_sub(first.len()).map_or_else(|| first.get(row), |row| second.get(row));
            }
            (_, None) => None,
        };
        found.ok_or_else(|| Error::Other(format!("there is no system {i} among {}", self.len())))
    }

    /// Systems `indices`, read in parallel when they are on disk.
    ///
    /// # Errors
    /// As [`Systems::get`]; that of the first system in the order of `indices`.
    pub fn get_all(&self, indices: impl IntoIterator<Item = usize>) -> Result<Vec<Cow<'_, System>>> {
        self.read(indices).into_iter().collect()
    }

    /// Reads systems; each comes with its own error.
    fn read(&self, indices: impl IntoIterator<Item = usize>) -> Vec<Result<Cow<'_, System>>> {
        if self.is_in_memory() {
            return indices.into_iter().map(|i| self.get(i)).collect();
        }
        let indices: Vec<usize> = indices.into_iter().collect();
        indices.par_iter().map(|&i| self.get(i)).collect()
    }

    /// Leaves the first `n` systems, or fewer if there are no more.
    #[must_use]
    pub fn truncated(self, n: usize) -> Self {
        Self { n_systems: self.n_systems.min(n), ..self }
    }

    /// Leaves out the systems with these indices, which ascend.
    #[must_use]
    pub fn without(self, left_out: &[usize]) -> Self {
        if left_out.is_empty() {
            return self;
        }
        let kept = (0..self.n_systems).filter(|i| left_out.binary_search(i).is_err());
        let selected: Arc<[usize]> = kept.filter_map(|i| self.row(i)).collect();
        Self { n_systems: selected.len(), selected: Some(selected), ..self }
    }

    /// Runs of consecutive systems of about `max_atoms` atoms together, at least one system each.
    pub fn batches(&self, max_atoms: usize) -> Vec<Range<usize>> {
        self.batches_of(0..self.len(), max_atoms)
    }

    /// Batches of some of the systems; see [`Systems::batches`].
    pub fn batches_of(&self, part: Range<usize>, max_atoms: usize) -> Vec<Range<usize>> {
        let mut batches = Vec::new();
        let (mut first, mut atoms) = (part.start, 0);
        for i in part.clone() {
            let n_atoms = self.n_atoms(i);
            if i > first && atoms + n_atoms > max_atoms {
                batches.push(first..i);
                (first, atoms) = (i, 0);
            }
            atoms += n_atoms;
        }
        if first < part.end {
            batches.push(first..part.end);
        }
        batches
    }

    /// Index in the store of system `i`.
    fn row(&self, i: usize) -> Option<usize> {
        match &self.selected {
            Some(selected) if i < self.n_systems => selected.get(i).copied(),
            Some(_) => None,
            None => (i < self.n_systems).then_some(i),
        }
    }
}

impl Visit for Systems {
    fn n_systems(&self) -> usize {
        self.len()
    }

    fn visit(&self, each: &mut dyn FnMut(usize, &System) -> Result<()>) -> Result<()> {
        for first in (0..self.len()).step_by(BLOCK) {
            let block = first..(first + BLOCK).min(self.len());
            for (i, system) in block.clone().zip(self.read(block)) {
                each(i, &*system?).map_err(|error| self.locate(error))?;
            }
        }
        Ok(())
    }

    fn locate(&self, error: Error) -> Error {
        error.located(&|i| self.origin(i))
    }
}

impl Files {
    /// The file of a row, and which of its systems that is.
    fn place(&self, row: usize) -> Option<(&StoredFile, usize)> {
        let file = self.first.partition_point(|&first| first <= row).checked_sub(1)?;
        Some((self.files.get(file)?, row - self.first.get(file)?))
    }

    fn n_atoms(&self, row: usize) -> usize {
        let counts = self.place(row).map(|(file, within)| file.atom_counts().get(within));
        counts.flatten().map_or(0, |&n| n as usize)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::dataset::{LabelNeeds, Normalization, ReferenceEnergies, Statistics, Survey, content_hash, validate};
    use crate::io::{LabelKeys, write};

    fn molecules(n: usize) -> Vec<System> {
        let one = |i: usize| {
            let n_atoms = 1 + i * i % 6;
            System {
                atomic_numbers: (0..n_atoms).map(|a| [1, 6, 8, 29][(i + a) % 4]).collect(),
                positions: (0..n_atoms).map(|a| [a as f64 * 1.1, i as f64 / 7.0, 0.5]).collect(),
                energy: Some(-7.7 * n_atoms as f64 - (i as f64).sin()),
                forces: Some((0..n_atoms).map(|a| [(a + i) as f64 / 9.0, -0.3, 0.1 * i as f64]).collect()),
                fixed: Some((0..n_atoms).map(|a| a % 3 == 2).collect()),
                ..System::default()
            }
        };
        (0..n).map(one).collect()
    }

    /// Writes the molecules to two files and opens them.
    fn stored(folder: &Path, systems: &[System]) -> Systems {
        let halves = [&systems[..systems.len() / 3], &systems[systems.len() / 3..]];
        let open = |(k, half): (usize, &&[System])| {
            let path = folder.join(format!("{k}.extxyz"));
            let mut writer = write(&path).unwrap();
            half.iter().for_each(|s| writer.write(s).unwrap());
            writer.finish().unwrap();
            StoredFile::open(&path, &LabelKeys::default(), None, &|_| {}).unwrap()
        };
        Systems::stored(halves.iter().enumerate().map(open).collect())
    }

    fn all(systems: &Systems) -> Vec<System> {
        let mut all = Vec::new();
        systems
            .visit(&mut |i, system| {
                assert_eq!((i, system.n_atoms()), (all.len(), systems.n_atoms(i)));
                all.push(system.clone());
                Ok(())
            })
            .unwrap();
        all
    }

    #[test]
    fn disk_and_memory_hold_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let expected = molecules(700);
        for limit in [usize::MAX, 300, 100] {
            for left_out in [vec![], vec![0], vec![2, 99, 233, 298]] {
                let change = |s: Systems| s.truncated(limit).without(&left_out);
                let memory = change(expected.clone().into());
                let disk = change(stored(folder.path(), &expected));
                assert!(memory.is_in_memory() && !disk.is_in_memory());
                assert_eq!(all(&memory), all(&disk));
                assert_eq!(memory.atom_counts(), disk.atom_counts());
                let some = [5, 1, memory.len() - 1, 5];
                assert_eq!(memory.get_all(some).unwrap(), disk.get_all(some).unwrap());
                for systems in [memory, disk] {
                    let n = systems.len();
                    let error = systems.get(n).unwrap_err().to_string();
                    assert_eq!(error, format!("there is no system {n} among {n}"));
                    let (last, next) = (systems.get(n - 1).unwrap().into_owned(), systems.len() - 2);
                    assert_eq!(systems.truncated(n - 1).without(&[next]).len(), n - 2, "{last:?}");
                }
            }
        }
    }

    #[test]
    fn systems_know_their_files() {
        let folder = tempfile::tempdir().unwrap();
        let expected = molecules(30);
        let names = [folder.path().join("0.extxyz"), folder.path().join("1.extxyz")];
        let memory = Systems::from(expected.clone()).with_files(names.iter().cloned().zip([10, 20]));
        for systems in [memory, stored(folder.path(), &expected)] {
            let systems = systems.without(&[0, 12]).joined(molecules(2).into());
            assert_eq!(systems.origin(0), Some((&*names[0], 1)));
            assert_eq!(systems.origin(8), Some((&*names[0], 9)));
            assert_eq!(systems.origin(10), Some((&*names[1], 1)));
            assert_eq!(systems.origin(11), Some((&*names[1], 3)));
            assert_eq!((systems.origin(28), systems.origin(40)), (None, None));
            let error = |i| Error::System { index: i, name: Some("water".into()), message: "too hot".into() };
            let located = systems.locate(error(11)).shifted(5);
            assert_eq!(located.to_string(), format!("{}: system 3 (water): too hot", names[1].display()));
            assert_eq!(systems.locate(error(28)).to_string(), "system 28 (water): too hot");
        }
    }

    #[test]
    fn joined_systems_follow_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let expected = molecules(50);
        let (one, other) = (expected[..20].to_vec(), &expected[20..]);
        let joined = Systems::from(one).joined(stored(folder.path(), other));
        assert!(!joined.is_in_memory());
        assert_eq!(all(&joined), expected);
        assert_eq!(all(&joined.without(&[3, 20, 49]).truncated(46)).last(), expected.get(47));
    }

    #[test]
    fn batches_cover_everything_in_order() {
        let sizes = [3, 5, 50, 1, 1, 9];
        let systems: Vec<System> =
            sizes.iter().map(|&n| System { atomic_numbers: vec![1; n], ..System::default() }).collect();
        assert_eq!(Systems::from(systems).batches(10), [0..2, 2..3, 3..5, 5..6]);
        assert!(Systems::default().batches(10).is_empty());
    }

    #[test]
    fn fits_are_equal_to_the_last_bit() {
        let folder = tempfile::tempdir().unwrap();
        let expected = molecules(600);
        let disk = stored(folder.path(), &expected);
        let survey = Survey::of(&disk).unwrap();
        assert_eq!((&survey, &survey.content_hash), (&Survey::of(&expected).unwrap(), &content_hash(&expected)));
        let n_atoms = expected.iter().map(System::n_atoms).sum::<usize>();
        assert_eq!((survey.n_systems, survey.n_atoms, &survey.elements[..]), (600, n_atoms, &[1, 6, 8, 29][..]));
        for source in [ReferenceEnergies::None, ReferenceEnergies::LeastSquares, ReferenceEnergies::IsolatedAtoms] {
            let (one, other) = (source.fit(&disk), source.fit(&expected));
            assert_eq!(one.as_ref().ok(), other.as_ref().ok());
            let Ok(fit) = one else { continue };
            for normalization in [Normalization::Energy, Normalization::Forces] {
                let other = normalization.fit(&expected, &fit.energies).unwrap();
                assert_eq!(normalization.fit(&disk, &fit.energies).unwrap(), other);
            }
        }
        let needs = LabelNeeds { stress: true.into(), ..LabelNeeds::default() };
        let complaint = |result: Result<()>| result.unwrap_err().to_string();
        let without_file = complaint(validate(&expected, &needs, None));
        let file = folder.path().join("0.extxyz");
        assert_eq!(complaint(validate(&disk, &needs, None)), format!("{}: {without_file}", file.display()));
        assert_eq!(Statistics::of(&all(&disk)), Statistics::of(&expected));
    }

    #[test]
    fn threads_share_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let expected = molecules(90);
        let disk = stored(folder.path(), &expected);
        std::thread::scope(|scope| {
            for start in 0..4 {
                let (disk, expected) = (&disk, &expected);
                scope.spawn(move || {
                    for i in (start..90).chain(0..start) {
                        assert_eq!(*disk.get(i).unwrap(), expected[i]);
                    }
                });
            }
        });
    }
}
