//! Teacher that is asked no question twice, also after the run was killed.
//!
//! Answers of a slow teacher are written to a file as they come. A run that goes on makes the same structures in the same order, since
//! all random numbers are its seed's, and finds their answers there. When a round is complete, its file goes.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use potstill_core::files::write_atomically;
use potstill_core::system::{Mat3, Vec3};
use potstill_core::{Error, Potential, Prediction, Result, System};
use serde::{Deserialize, Serialize};

/// Time for one structure from which on an answer is worth writing down.
const SLOW: Duration = Duration::from_millis(2);

/// Teacher, what it has answered, and the number of structures that it was asked about.
pub struct Asked<'a> {
    teacher: &'a dyn Potential,
    interrupt: &'a AtomicBool,
    n_calls: AtomicUsize,
    answers: Mutex<Answers>,
}

#[derive(Default)]
struct Answers {
    by_structure: HashMap<String, Answer>,
    /// Where answers are written.
    path: Option<PathBuf>,
}

impl Answers {
    /// Appends lines; the file comes with its first ones.
    fn append(path: &Path, lines: &[u8]) -> Result<()> {
        if !path.exists() {
            return write_atomically(path, |writer| writer.write_all(lines));
        }
        let file = OpenOptions::new().append(true).open(path);
        file.and_then(|mut file| file.write_all(lines)).map_err(|e| Error::io(path, "cannot write", e))
    }
}

/// Answer about one structure.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Answer {
    structure: String,
    energy: f64,
    atomic_energies: Vec<f64>,
    forces: Vec<Vec3>,
    virial: Option<Mat3>,
}

impl<'a> Asked<'a> {
    /// Counts from zero; asks nothing more once `interrupt` is set.
    pub fn new(teacher: &'a dyn Potential, interrupt: &'a AtomicBool) -> Self {
        Self { teacher, interrupt, n_calls: AtomicUsize::new(0), answers: Mutex::default() }
    }

    /// Structures that it was asked about so far, those included whose answers an earlier command wrote down.
    pub fn n_calls(&self) -> usize {
        self.n_calls.load(Ordering::Relaxed)
    }

    /// Writes slow answers to a file from now on, and knows those that are there already.
    ///
    /// # Errors
    /// What the file system says.
    pub fn remember(&self, path: &Path) -> Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, "cannot create the folder", e))?;
        }
        let text = std::fs::read(path).unwrap_or_default();
        // A killed run may have left half a line at the end.
        let complete = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        if complete < text.len() {
            let file = OpenOptions::new().write(true).open(path);
            file.and_then(|file| file.set_len(complete as u64)).map_err(|e| Error::io(path, "cannot write", e))?;
        }
        let lines = text[..complete].split(|&byte| byte == b'\n');
        let known = lines.filter_map(|line| serde_json::from_slice::<Answer>(line).ok());
        let mut answers = self.answers();
        answers.by_structure = known.map(|answer| (answer.structure.clone(), answer)).collect();
        answers.path = Some(path.to_owned());
        Ok(())
    }

    /// Removes the file of answers, which stand elsewhere now.
    pub fn forget(&self) {
        let answers = std::mem::take(&mut *self.answers());
        if let Some(path) = answers.path {
            // What is left does no harm: it holds true answers.
            let _ = std::fs::remove_file(path);
        }
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the teacher, and writes down what it says if it took its time.
    fn ask(&self, systems: &[&System], names: &[String]) -> Result<Vec<Answer>> {
        if self.interrupt.load(Ordering::Relaxed) {
            return Err(Error::Other("interrupted".to_owned()));
        }
        let start = Instant::now();
        let prediction = self.teacher.evaluate(systems)?;
        let is_slow = start.elapsed() >= SLOW * systems.len() as u32;
        let answers = taken_apart(&prediction, systems, names);
        let mut known = self.answers();
        if let (true, Some(path)) = (is_slow, known.path.clone()) {
            let mut text = Vec::new();
            for answer in &answers {
                serde_json::to_writer(&mut text, answer).map_err(|e| Error::file(&path, e.to_string()))?;
                text.push(b'\n');
            }
            Answers::append(&path, &text)?;
            known.by_structure.extend(answers.iter().map(|answer| (answer.structure.clone(), answer.clone())));
        }
        Ok(answers)
    }
}

impl Potential for Asked<'_> {
    fn cutoff(&self) -> f64 {
        self.teacher.cutoff()
    }

    fn elements(&self) -> &[u8] {
        self.teacher.elements()
    }

    fn evaluate(&self, systems: &[&System]) -> Result<Prediction> {
        self.n_calls.fetch_add(systems.len(), Ordering::Relaxed);
        if self.answers().path.is_none() {
            if self.interrupt.load(Ordering::Relaxed) {
                return Err(Error::Other("interrupted".to_owned()));
            }
            return self.teacher.evaluate(systems);
        }
        let names: Vec<String> = systems.iter().map(|system| name(system)).collect();
        let known: Option<Vec<Answer>> = {
            let answers = self.answers();
            let of = |(name, system): (&String, &&System)| {
                let fits = |answer: &&Answer| answer.forces.len() == system.n_atoms();
                answers.by_structure.get(name).filter(fits).cloned()
            };
            names.iter().zip(systems).map(of).collect()
        };
        let answers = known.map_or_else(|| self.ask(systems, &names), Ok)?;
        Ok(put_together(answers))
    }
}

/// Hash of everything that an answer depends on.
fn name(system: &System) -> String {
    let mut hash = blake3::Hasher::new();
    hash.update(&system.atomic_numbers);
    hash.update(bytemuck::cast_slice(&system.positions));
    hash.update(bytemuck::bytes_of(&system.cell.unwrap_or_default()));
    hash.update(&system.pbc.map(u8::from));
    hash.finalize().to_hex().to_string()
}

fn taken_apart(prediction: &Prediction, systems: &[&System], names: &[String]) -> Vec<Answer> {
    let mut first = 0;
    let mut answer = |(index, system): (usize, &&System)| {
        let atoms = first..first + system.n_atoms();
        first = atoms.end;
        Answer {
            structure: names[index].clone(),
            energy: prediction.energy[index],
            atomic_energies: prediction.atomic_energies.get(atoms.clone()).unwrap_or_default().to_vec(),
            forces: prediction.forces[atoms].to_vec(),
            virial: prediction.virial.as_ref().map(|virials| virials[index]),
        }
    };
    systems.iter().enumerate().map(&mut answer).collect()
}

fn put_together(answers: Vec<Answer>) -> Prediction {
    let virial = answers.iter().map(|answer| answer.virial).collect();
    let mut prediction = Prediction { virial, ..Prediction::default() };
    for answer in answers {
        prediction.energy.push(answer.energy);
        prediction.atomic_energies.extend(answer.atomic_energies);
        prediction.forces.extend(answer.forces);
    }
    prediction
}

#[cfg(test)]
mod tests {
    use super::*;
    use potstill_testkit::systems::molecule;

    /// Takes its time, and counts.
    struct Slow(AtomicUsize);

    impl Potential for Slow {
        fn cutoff(&self) -> f64 {
            0.0
        }

        fn elements(&self) -> &[u8] {
            &[1]
        }

        fn evaluate(&self, systems: &[&System]) -> Result<Prediction> {
            self.0.fetch_add(systems.len(), Ordering::Relaxed);
            std::thread::sleep(2 * SLOW * systems.len() as u32);
            let energy: Vec<f64> = systems.iter().map(|system| system.positions[0][0]).collect();
            let forces: Vec<Vec3> = systems.iter().flat_map(|system| system.positions.clone()).collect();
            let atomic_energies = forces.iter().map(|f| f[0]).collect();
            Ok(Prediction { virial: Some(vec![[[1.5; 3]; 3]; systems.len()]), energy, forces, atomic_energies })
        }
    }

    #[test]
    fn nothing_is_asked_twice_after_a_kill() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rounds").join("answers.jsonl");
        let (slow, interrupt) = (Slow(AtomicUsize::new(0)), AtomicBool::new(false));
        let systems: Vec<System> = (0..4).map(|k| molecule(3 + k, k as u64)).collect();
        let pairs = [vec![&systems[0], &systems[1]], vec![&systems[2]]];
        let expected: Vec<Prediction> = pairs.iter().map(|pair| slow.evaluate(pair).unwrap()).collect();
        let first = Asked::new(&slow, &interrupt);
        first.remember(&path).unwrap();
        pairs.iter().zip(&expected).for_each(|(pair, answer)| assert_eq!(&first.evaluate(pair).unwrap(), answer));
        assert_eq!(slow.0.load(Ordering::Relaxed), 6);
        // Killed while it wrote the next one.
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"structure\":\"12").unwrap();
        let second = Asked::new(&slow, &interrupt);
        second.remember(&path).unwrap();
        pairs.iter().zip(&expected).for_each(|(pair, answer)| assert_eq!(&second.evaluate(pair).unwrap(), answer));
        assert_eq!((slow.0.load(Ordering::Relaxed), second.n_calls()), (6, 3));
        second.evaluate(&[&systems[3]]).unwrap();
        let third = Asked::new(&slow, &interrupt);
        third.remember(&path).unwrap();
        third.evaluate(&[&systems[3]]).unwrap();
        assert_eq!(slow.0.load(Ordering::Relaxed), 7);
        third.forget();
        assert!(!path.exists());
        interrupt.store(true, Ordering::Relaxed);
        assert!(third.evaluate(&[&systems[0]]).is_err());
    }
}
