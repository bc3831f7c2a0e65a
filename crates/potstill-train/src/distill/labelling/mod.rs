//! Asking a teacher about a dataset once: a cache that fits is found, or made by one process alone in its folder.

mod make;

use std::borrow::Cow;
use std::path::Path;
use std::time::Instant;

use potstill_core::files::FolderLock;
use potstill_core::files::lock::Holder;
use potstill_core::ranks::{Alone, Ranks};
use potstill_core::{Error, Part, Result};
use potstill_data::dataset::{DatasetHash, Systems, Visit};

use self::make::{make, make_shards_of};
use super::cache::{Index, Subject, TeacherCache};
use super::questions::Questions;
use super::teacher::Teacher;

/// Systems to ask about, with their hash, for which a pass over all of them is needed.
#[derive(Debug, Clone)]
pub struct Asked {
    systems: Systems,
    structure_hash: String,
    /// Shards of the cache that this process verifies; none for all.
    verified: Option<Part>,
}

impl Asked {
    /// Goes through the systems once.
    ///
    /// # Errors
    /// A system that cannot be read.
    pub fn about(systems: &Systems) -> Result<Self> {
        Self::among(&Alone, systems)
    }

    /// Systems of several processes, of which rank 0 goes through them; the others do so where they are in memory.
    ///
    /// # Errors
    /// As [`Asked::about`]; other systems than rank 0 has.
    pub fn among(ranks: &dyn Ranks, systems: &Systems) -> Result<Self> {
        let size = (systems.len(), systems.atom_counts().iter().sum::<usize>());
        let (structure_hash, first): (String, (usize, usize)) = ranks.told(|| Ok((hash(systems)?, size)))?;
        let is_same = || Ok::<_, Error>(size == first && (!systems.is_in_memory() || hash(systems)? == structure_hash));
        if !ranks.leads() && !is_same()? {
            let message = format!("rank {}: has other systems than rank 0; give all processes the same", ranks.rank());
            return Err(Error::Other(message));
        }
        Ok(Self { systems: systems.clone(), structure_hash, verified: None })
    }

    /// Leaves the verification of the other shards to other processes, each of which opens the cache.
    #[must_use]
    pub fn verifying(self, part: Option<Part>) -> Self {
        Self { verified: part, ..self }
    }
}

fn hash(systems: &Systems) -> Result<String> {
    let mut hash = DatasetHash::structures(systems.len());
    systems.visit(&mut |_, system| {
        hash.add(system);
        Ok(())
    })?;
    Ok(hash.finish())
}

/// Attempts to open a cache that others keep replacing.
const ATTEMPTS: usize = 5;

/// Whether a cache was found or made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The cache was there and fits.
    Reused,
    /// The teacher was asked.
    Made,
}

/// Event while a cache is opened or made, for whoever tells the user.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The answers about so many systems are there.
    Labelled(usize),
    /// Wait for another process that makes the same cache.
    Waiting(Holder),
    /// Remark about the teacher's answers, one sentence.
    Note(String),
    /// All shards were read and verified.
    Verified {
        /// Bytes of all shards.
        bytes: usize,
        /// Seconds that it took.
        seconds: f64,
    },
}

/// Opens the cache in `folder` when it fits, else asks the teacher and writes it. A teacher that is a cache itself is opened
/// where it is.
///
/// The folder is locked while the cache is made; a second process with the same teacher and systems waits for the first one and
/// takes what it made. Finished shards of a killed run stay, and its lock does not.
///
/// # Errors
/// A cache of another dataset or teacher, a folder in which another process makes such a cache, damaged shards and those of other
/// caches, elements that the teacher does not know, labels that do not belong to the dataset, features too large for f16, and
/// what the file system says.
pub fn open_or_make(
    folder: &Path,
    teacher: &Teacher,
    asked: &Asked,
    questions: &Questions,
    tell: &(dyn Fn(Event) + Sync),
) -> Result<(TeacherCache, Origin)> {
    let Asked { systems, structure_hash, .. } = asked;
    if let Some(probes) = &questions.probes {
        probes.check().map_err(|message| Error::setting("probes", message))?;
    }
    if let Teacher::Cache(made, _) = teacher {
        let check = |found: &Index| check_existing(made, found, questions, structure_hash);
        return match find(made, asked, &check, tell)? {
            Some(cache) => Ok((cache, Origin::Reused)),
            None => Err(Index::read(made).err().unwrap_or_else(|| Error::file(made, "was replaced while it was read"))),
        };
    }
    let subject = Subject { structure_hash: structure_hash.clone(), teacher_hash: teacher.hash(systems)? };
    let fits = |found: &Index| {
        found.check_same(folder, &subject)?;
        Ok(found.missing(questions).is_none() && found.precision == questions.precision)
    };
    if let Some(cache) = find(folder, asked, &fits, tell)? {
        return Ok((cache, Origin::Reused));
    }
    let _lock = FolderLock::wait(folder, &subject.purpose(), &mut |holder| held(folder, holder, &subject, tell))?;
    // Another process may have made it meanwhile.
    if let Some(cache) = find(folder, asked, &fits, tell)? {
        return Ok((cache, Origin::Reused));
    }
    let mut questions = Cow::Borrowed(questions);
    if let Some(found) = Index::find(folder)? {
        // Runs that share the folder and want different things must not take turns in making it.
        found.keep(questions.to_mut());
    }
    let answering = teacher.about(systems)?;
    answering.notes().into_iter().for_each(|note| tell(Event::Note(note)));
    let mut holds = answering.holds();
    holds.virial &= questions.virials;
    let index = Index::plan((teacher.architecture(), holds), systems, &questions, &subject);
    make(folder, &answering, &questions, &index, &|done| tell(Event::Labelled(done)))?;
    Ok((verified(folder, index, asked, tell)?, Origin::Made))
}

/// Asks the teacher about one part of a dataset: every `n`-th of the shards of the cache that [`open_or_make`] would make in the same
/// folder. Whoever finishes the last shard of all opens the cache; none while shards of other parts are missing.
///
/// Parts run side by side, in one folder or in several whose shards are brought together afterwards; a part that runs again, or twice
/// at a time, does no harm: shards are whole or absent, and the same whoever makes them.
///
/// # Errors
/// As [`open_or_make`]; a teacher that is a cache, and a cache of other questions in the folder.
pub fn make_part(
    folder: &Path,
    part: Part,
    (teacher, asked): (&Teacher, &Asked),
    questions: &Questions,
    tell: &(dyn Fn(Event) + Sync),
) -> Result<Option<TeacherCache>> {
    let Asked { systems, structure_hash, .. } = asked;
    if let Some(probes) = &questions.probes {
        probes.check().map_err(|message| Error::setting("probes", message))?;
    }
    if let Teacher::Cache(made, _) = teacher {
        return Err(Error::file(made, "is a cache already: nothing is left to label"));
    }
    let subject = Subject { structure_hash: structure_hash.clone(), teacher_hash: teacher.hash(systems)? };
    let fits = |found: &Index| {
        found.check_same(folder, &subject)?;
        match found.missing(questions) {
            None if found.precision == questions.precision => Ok(true),
            // Its index would tell of shards that are no longer there.
            missing => {
                let what =
                    missing.map_or_else(|| format!("in {}", found.precision), |missing| format!("without {missing}"));
                Err(Error::file(folder, format!("is a cache {what}; give parts another folder, or delete this one")))
            }
        }
    };
    if let Some(cache) = find(folder, asked, &fits, tell)? {
        return Ok(Some(cache));
    }
    let answering = teacher.about(systems)?;
    answering.notes().into_iter().for_each(|note| tell(Event::Note(note)));
    let mut holds = answering.holds();
    holds.virial &= questions.virials;
    let index = Index::plan((teacher.architecture(), holds), systems, questions, &subject);
    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, "cannot create the folder", e))?;
    let is_whole = make_shards_of(folder, part, &answering, questions, &index, &|done| tell(Event::Labelled(done)))?;
    if is_whole { verified(folder, index, asked, tell).map(Some) } else { Ok(None) }
}

/// Waits for a process that makes the same cache; refuses to wait for another one.
fn held(folder: &Path, holder: &Holder, subject: &Subject, tell: &(dyn Fn(Event) + Sync)) -> Result<()> {
    let unknown = holder.process == 0;
    if unknown || holder.purpose == subject.purpose() {
        tell(Event::Waiting(holder.clone()));
        return Ok(());
    }
    let wanted = subject.purpose();
    Err(Error::file(folder, format!("is in use by {holder}, not {wanted}; give another folder as `distill.cache`")))
}

/// Opens the cache in a folder where there is one and `fits` agrees.
///
/// Without a lock: when it does not open and its index has changed meanwhile, another process has replaced it, and it is looked
/// at again.
fn find(
    folder: &Path,
    asked: &Asked,
    fits: &dyn Fn(&Index) -> Result<bool>,
    tell: &(dyn Fn(Event) + Sync),
) -> Result<Option<TeacherCache>> {
    let mut attempt = 1;
    loop {
        let Some(index) = Index::find(folder)? else { return Ok(None) };
        if !fits(&index)? {
            return Ok(None);
        }
        match verified(folder, index.clone(), asked, tell) {
            Ok(cache) => return Ok(Some(cache)),
            Err(error) if attempt == ATTEMPTS || Index::find(folder)?.as_ref() == Some(&index) => return Err(error),
            Err(_) => attempt += 1,
        }
    }
}

fn verified(folder: &Path, index: Index, asked: &Asked, tell: &(dyn Fn(Event) + Sync)) -> Result<TeacherCache> {
    let start = Instant::now();
    let cache = TeacherCache::open(folder, index, &asked.systems, asked.verified)?;
    tell(Event::Verified { bytes: cache.n_bytes(), seconds: start.elapsed().as_secs_f64() });
    Ok(cache)
}

/// Checks that a cache that is the teacher holds what is asked.
fn check_existing(folder: &Path, found: &Index, questions: &Questions, structure_hash: &str) -> Result<bool> {
    if !(found.structure_hash.is_empty() || found.structure_hash == structure_hash) {
        let message = "holds what a teacher said of other systems than these (data.train without isolated atoms, then \
                       data.synthetic); label these";
        return Err(Error::file(folder, message));
    }
    match found.missing(questions) {
        None => Ok(true),
        Some(missing) => {
            Err(Error::file(folder, format!("holds no {missing}; label again with it, or give the network itself")))
        }
    }
}
