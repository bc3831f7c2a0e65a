//! Structures that the teacher has labelled: choosing them, keeping them away from test structures, writing them.

use std::path::{Path, PathBuf};

use potstill_core::files::write_atomically;
use potstill_core::model::ElementEnergies;
use potstill_core::system::Value;
use potstill_core::{Error, Potential, Result, System};
use rand::SeedableRng;
use serde::{Deserialize, Serialize};

use super::descriptor::{Descriptors, distance};
use super::pick::farthest;
use super::survival::Lifetime;
use crate::generate::{Limits, Rejected, label};
use potstill_simulate::standard_normal;

/// Displacement in Å, standard deviation of a component, within which a structure is as good as another one.
const SAME: f64 = 0.02;
/// Test structures that the distance of such a displacement is measured on.
const MEASURED: usize = 20;
/// File that says that a folder of structures is complete.
const FOUND: &str = "found.json";

/// What a folder of labelled structures came from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// Structures to learn from.
    pub n_train: usize,
    /// Structures that validate, of trajectories of their own.
    pub n_validation: usize,
    /// Structures that it was chosen from.
    pub n_candidates: usize,
    /// Structures that were thrown away, by reason.
    pub rejected: Rejected,
    /// Structures that were thrown away because they are as good as a test structure.
    pub n_near_test: usize,
    /// Times that the teacher was asked.
    #[serde(default)]
    pub n_calls: usize,
    /// Trajectories of the student that it came from.
    pub lifetimes: Vec<Lifetime>,
}

/// Folder of labelled structures.
#[derive(Debug, Clone)]
pub struct StructureFolder(pub PathBuf);

impl StructureFolder {
    /// Structures to learn from.
    pub fn train(&self) -> PathBuf {
        self.0.join("train.extxyz")
    }

    /// Structures that validate.
    pub fn validation(&self) -> PathBuf {
        self.0.join("validation.extxyz")
    }

    /// What is there, if all of it is.
    ///
    /// # Errors
    /// A file that is none of ours.
    pub fn found(&self) -> Result<Option<Found>> {
        let path = self.0.join(FOUND);
        let Ok(bytes) = std::fs::read(&path) else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|e| Error::file(&path, format!("cannot be read: {e}")))
    }

    /// Writes the structures, and last of all what they came from.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write(&self, train: &[System], validation: &[System], found: &Found) -> Result<()> {
        std::fs::create_dir_all(&self.0).map_err(|e| Error::io(&self.0, "cannot create the folder", e))?;
        for (path, systems) in [(self.train(), train), (self.validation(), validation)] {
            let mut writer = potstill_data::io::write(&path)?;
            systems.iter().try_for_each(|system| writer.write(system))?;
            writer.finish()?;
        }
        write_json(&self.0.join(FOUND), found)
    }
}

/// Writes a file of JSON through a temporary name.
///
/// # Errors
/// What the file system says.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    write_atomically(path, |writer| Ok(serde_json::to_writer_pretty(writer, value)?))
}

/// Structures that nothing may come near, since a student is judged on them.
pub struct Forbidden {
    descriptors: Descriptors,
    test: Vec<Vec<f32>>,
    tolerance: f32,
}

impl Forbidden {
    /// Forbids structures that are as good as one of `test`: as near as the same structure with its atoms displaced by 0.02 Å.
    ///
    /// # Errors
    /// A test structure that cannot be described.
    pub fn new(descriptors: Descriptors, test: &[System]) -> Result<Self> {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(0);
        let all = test.iter().map(|system| descriptors.of(system)).collect::<Result<Vec<_>>>()?;
        let mut distances = Vec::new();
        for k in (0..test.len()).step_by(test.len().div_ceil(MEASURED).max(1)) {
            let mut moved = test[k].clone();
            moved.positions.as_flattened_mut().iter_mut().for_each(|x| *x += SAME * standard_normal(&mut rng));
            distances.push(distance(&all[k], &descriptors.of(&moved)?));
        }
        distances.sort_by(f32::total_cmp);
        let tolerance = distances.get(distances.len() / 2).copied().unwrap_or(0.0);
        Ok(Self { descriptors, test: all, tolerance })
    }

    /// Index of a test structure that a structure is as good as.
    ///
    /// # Errors
    /// A structure that cannot be described.
    pub fn same_as(&self, system: &System) -> Result<Option<usize>> {
        if self.test.is_empty() {
            return Ok(None);
        }
        let here = self.descriptors.of(system)?;
        Ok(self.test.iter().position(|test| distance(&here, test) <= self.tolerance))
    }

    /// Removes structures that are as good as a test structure and tells how many there were.
    ///
    /// # Errors
    /// As [`Forbidden::same_as`].
    pub fn keep_away(&self, systems: &mut Vec<System>) -> Result<usize> {
        let before = systems.len();
        let mut kept = Vec::with_capacity(before);
        for system in systems.drain(..) {
            if self.same_as(&system)?.is_none() {
                kept.push(system);
            }
        }
        *systems = kept;
        Ok(before - systems.len())
    }
}

/// Teacher with another zero of energy, and the structures that it must not be asked about.
pub struct Labeller<'a> {
    /// The teacher.
    pub teacher: &'a dyn Potential,
    /// Energies of atoms that are added to its energies.
    pub shift: Option<&'a ElementEnergies>,
    /// Test structures.
    pub forbidden: &'a Forbidden,
    /// Descriptors of structures.
    pub descriptors: &'a Descriptors,
}

impl Labeller<'_> {
    /// Chooses up to `n` of the candidates that are far from what is known and from each other, and has them labelled.
    ///
    /// # Errors
    /// What the teacher refuses.
    pub fn choose(
        &self,
        mut candidates: Vec<System>,
        known: &[Vec<f32>],
        n: usize,
        found: &mut Found,
    ) -> Result<Vec<System>> {
        found.n_candidates += candidates.len();
        let limits = Limits::default();
        candidates.retain(|system| {
            let apart = crate::moves::is_apart(system, limits.min_distance);
            found.rejected.distance += usize::from(!apart);
            apart
        });
        found.n_near_test += self.forbidden.keep_away(&mut candidates)?;
        let described = candidates.iter().map(|system| self.descriptors.of(system)).collect::<Result<Vec<_>>>()?;
        let mut chosen = farthest(&described, known, n);
        chosen.sort_unstable();
        let chosen: Vec<System> = chosen.into_iter().map(|i| candidates[i].clone()).collect();
        let (mut labelled, rejected) = label(self.teacher, &chosen, &limits)?;
        found.rejected.add(rejected);
        self.align(&mut labelled)?;
        Ok(labelled)
    }

    /// Shifts the zero of the teacher's energies.
    ///
    /// # Errors
    /// An element without an energy.
    pub fn align(&self, systems: &mut [System]) -> Result<()> {
        let Some(shift) = self.shift else { return Ok(()) };
        for system in systems {
            let constant = shift.total(&system.atomic_numbers)?;
            system.energy = system.energy.map(|energy| energy + constant);
        }
        Ok(())
    }
}

/// Groups of trajectories, of which the last validates.
const GROUPS: usize = 8;

/// Splits structures by trajectory, so that what validates comes from trajectories of its own: of every eight groups of `size`
/// trajectories, one at each temperature, the last; of fewer groups the last; none of a single one.
pub fn by_trajectory(structures: Vec<Vec<System>>, size: usize) -> (Vec<System>, Vec<System>) {
    let n_groups = structures.len().div_ceil(size.max(1));
    let every = GROUPS.min(n_groups);
    let (mut train, mut validation) = (Vec::new(), Vec::new());
    for (index, mut trajectory) in structures.into_iter().enumerate() {
        let group = index / size.max(1);
        let validates = n_groups > 1 && group % every == every - 1;
        if validates { validation.append(&mut trajectory) } else { train.append(&mut trajectory) }
    }
    (train, validation)
}

/// Reads structures that were written before.
///
/// # Errors
/// A file that cannot be read.
pub fn read(path: &Path) -> Result<Vec<System>> {
    Ok(potstill_data::io::read_all(path, &potstill_data::io::LabelKeys::default())?.0)
}

/// Marks structures with the round that they were made for.
pub fn mark(systems: &mut [System], round: usize) {
    for system in systems {
        system.metadata.insert("round".to_owned(), Value::Int(round as i64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use potstill_testkit::systems::molecule;

    #[test]
    fn what_is_as_good_as_a_test_structure_is_kept_away() {
        let test: Vec<System> = (0..30).map(|seed| molecule(8, seed)).collect();
        let elements = test.iter().flat_map(|system| system.atomic_numbers.clone()).collect();
        let forbidden = Forbidden::new(Descriptors::new(elements), &test).unwrap();
        let mut near = test[3].clone();
        near.positions[0][0] += 0.005;
        let mut far = test[3].clone();
        far.positions.iter_mut().for_each(|r| r[1] *= 1.1);
        let mut systems = vec![near.clone(), far.clone(), molecule(8, 77)];
        assert_eq!(forbidden.same_as(&near).unwrap(), Some(3));
        assert_eq!(forbidden.keep_away(&mut systems).unwrap(), 1);
        assert_eq!(systems, [far, molecule(8, 77)]);
        let nothing = Forbidden::new(Descriptors::new(vec![1]), &[]).unwrap();
        assert_eq!(nothing.same_as(&near).unwrap(), None);
    }

    #[test]
    fn what_validates_comes_from_trajectories_of_its_own() {
        let split = |n: usize, size: usize| {
            let all = (0..n).map(|k| vec![molecule(3, k as u64)]).collect();
            let (train, validation) = by_trajectory(all, size);
            (train.len(), validation.len())
        };
        assert_eq!([split(32, 3), split(32, 2), split(6, 3), split(3, 3)], [(29, 3), (28, 4), (3, 3), (3, 0)]);
    }

    #[test]
    fn a_folder_is_complete_when_its_last_file_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let structures = StructureFolder(folder.path().join("new"));
        assert_eq!(structures.found().unwrap(), None);
        let system = System { energy: Some(1.0), ..molecule(4, 1) };
        let found = Found { n_train: 2, n_validation: 1, ..Found::default() };
        structures.write(&[system.clone(), system.clone()], &[system], &found).unwrap();
        assert_eq!(structures.found().unwrap(), Some(found));
        assert_eq!((read(&structures.train()).unwrap().len(), read(&structures.validation()).unwrap().len()), (2, 1));
    }
}
