//! Systems that are in memory or stay in their files.

use std::borrow::Cow;

use rayon::prelude::*;

use super::visit::Visit;
use crate::io::StoredFile;
use crate::{Error, Result, System};

/// Systems that a pass reads at a time, in parallel.
const BLOCK: usize = 256;

/// Systems in a fixed order, any of which can be had at any time, by several threads at once.
pub struct Systems(Store);

enum Store {
    Memory(Vec<System>),
    Disk(Stored),
}

/// Systems of some files, one file after the other.
struct Stored {
    files: Vec<StoredFile>,
    /// Number of systems before each file.
    first: Vec<usize>,
    /// Which of the systems of the files, ascending; absent for all.
    selected: Option<Vec<usize>>,
    n_systems: usize,
}

impl From<Vec<System>> for Systems {
    fn from(systems: Vec<System>) -> Self {
        Self(Store::Memory(systems))
    }
}

impl Default for Systems {
    fn default() -> Self {
        Vec::new().into()
    }
}

impl std::fmt::Debug for Systems {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place = if self.in_memory().is_some() { "in memory" } else { "on disk" };
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
        Self(Store::Disk(Stored { files, first, selected: None, n_systems }))
    }

    /// Number of systems.
    pub fn len(&self) -> usize {
        match &self.0 {
            Store::Memory(systems) => systems.len(),
            Store::Disk(stored) => stored.n_systems,
        }
    }

    /// Whether there is no system.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The systems, when they are in memory.
    pub fn in_memory(&self) -> Option<&[System]> {
        match &self.0 {
            Store::Memory(systems) => Some(systems),
            Store::Disk(_) => None,
        }
    }

    /// Number of atoms of system `i`, without reading it; 0 when there is no such system.
    pub fn n_atoms(&self, i: usize) -> usize {
        match &self.0 {
            Store::Memory(systems) => systems.get(i).map_or(0, System::n_atoms),
            Store::Disk(stored) => stored.n_atoms(i),
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
        let found = match &self.0 {
            Store::Memory(systems) => systems.get(i).map(Cow::Borrowed),
            Store::Disk(stored) => match stored.place(i) {
                Some((file, within)) => Some(Cow::Owned(file.get(within)?)),
                None => None,
            },
        };
        found.ok_or_else(|| Error::Other(format!("there is no system {i} among {}", self.len())))
    }

    /// Systems `indices`, read in parallel when they are on disk.
    ///
    /// # Errors
    /// As [`Systems::get`]; that of the first system in the order of `indices`.
    pub fn get_all(&self, indices: &[usize]) -> Result<Vec<Cow<'_, System>>> {
        if self.in_memory().is_some() {
            return indices.iter().map(|&i| self.get(i)).collect();
        }
        // Collected before the errors are looked at: the first one in order is told, not the first in time.
        let read: Vec<Result<Cow<'_, System>>> = indices.par_iter().map(|&i| self.get(i)).collect();
        read.into_iter().collect()
    }

    /// Leaves the first `n` systems, or fewer if there are no more.
    #[must_use]
    pub fn truncated(self, n: usize) -> Self {
        Self(match self.0 {
            Store::Memory(mut systems) => {
                systems.truncate(n);
                Store::Memory(systems)
            }
            Store::Disk(mut stored) => {
                stored.n_systems = stored.n_systems.min(n);
                if let Some(selected) = &mut stored.selected {
                    selected.truncate(n);
                }
                Store::Disk(stored)
            }
        })
    }

    /// Leaves out the systems with these indices, which ascend.
    #[must_use]
    pub fn without(self, left_out: &[usize]) -> Self {
        if left_out.is_empty() {
            return self;
        }
        let stays = |i: &usize| left_out.binary_search(i).is_err();
        Self(match self.0 {
            Store::Memory(systems) => {
                let kept = systems.into_iter().enumerate().filter(|(i, _)| stays(i)).map(|(_, system)| system);
                Store::Memory(kept.collect())
            }
            Store::Disk(mut stored) => {
                let kept = (0..stored.n_systems).filter(stays);
                let selected: Vec<usize> = kept.filter_map(|i| stored.row(i)).collect();
                stored.n_systems = selected.len();
                stored.selected = Some(selected);
                Store::Disk(stored)
            }
        })
    }
}

impl Visit for Systems {
    fn n_systems(&self) -> usize {
        self.len()
    }

    fn visit(&self, each: &mut dyn FnMut(usize, &System) -> Result<()>) -> Result<()> {
        if let Some(systems) = self.in_memory() {
            return systems.visit(each);
        }
        for first in (0..self.len()).step_by(BLOCK) {
            let block: Vec<usize> = (first..(first + BLOCK).min(self.len())).collect();
            let read: Vec<Result<Cow<'_, System>>> = block.par_iter().map(|&i| self.get(i)).collect();
            for (i, system) in block.into_iter().zip(read) {
                each(i, &*system?)?;
            }
        }
        Ok(())
    }
}

impl Stored {
    /// Which system of the files number `i` is.
    fn row(&self, i: usize) -> Option<usize> {
        match &self.selected {
            Some(selected) => selected.get(i).copied(),
            None => (i < self.n_systems).then_some(i),
        }
    }

    /// The file of number `i`, and which of its systems that is.
    fn place(&self, i: usize) -> Option<(&StoredFile, usize)> {
        let row = self.row(i)?;
        let file = self.first.partition_point(|&first| first <= row).checked_sub(1)?;
        Some((self.files.get(file)?, row - self.first.get(file)?))
    }

    fn n_atoms(&self, i: usize) -> usize {
        let counts = self.place(i).map(|(file, within)| file.atom_counts().get(within));
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

    /// The same systems as molecules, in two files.
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
                assert!(memory.in_memory().is_some() && disk.in_memory().is_none());
                assert_eq!(all(&memory), all(&disk));
                assert_eq!(memory.atom_counts(), disk.atom_counts());
                let some = [5, 1, memory.len() - 1, 5];
                assert_eq!(memory.get_all(&some).unwrap(), disk.get_all(&some).unwrap());
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
        assert_eq!(complaint(validate(&disk, &needs, None)), complaint(validate(&expected, &needs, None)));
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
