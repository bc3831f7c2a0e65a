//! What may be done with a file that is there already: the one policy of every command that writes a file which its
//! user named.
//!
//! | the file that is there | without an option | [`Overwrite::Always`] | [`Overwrite::Never`] |
//! |---|---|---|---|
//! | an input of the same command, under any name | refused | refused | refused |
//! | read-only, a folder | refused | refused | refused |
//! | empty, a pipe, a device | written | written | written |
//! | of the kind that is to be written, by its contents | replaced | replaced | refused |
//! | anything else | refused | replaced | refused |
//!
//! [`Output::check`] looks before anything is read or written; the file itself is replaced when the new one is complete
//! ([`AtomicFile`](potstill_core::files::AtomicFile)).

use std::path::{Path, PathBuf};

use super::kind::Kind;
use potstill_core::files::folder::{check_writable, folder_of};
use potstill_core::files::stale::remove_stale_temporaries;
use potstill_core::{Error, Result};

/// Permission to replace a file that is there already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Overwrite {
    /// A file of the kind that is to be written is replaced, any other refused.
    #[default]
    SameKind,
    /// Every file is replaced, except inputs and files that are read-only.
    Always,
    /// No file is replaced.
    Never,
}

/// Output of a command, and the inputs that it reads.
#[derive(Debug, Clone, Copy, Default)]
pub struct Output<'a> {
    /// Permission to replace files.
    pub overwrite: Overwrite,
    /// Files and folders that the command reads.
    pub inputs: &'a [PathBuf],
}

impl Output<'_> {
    /// Refuses to write `path`, where a file of `kind` shall come, when that would destroy something; nothing is
    /// written. Temporary files that killed runs left in its folder are removed.
    ///
    /// # Errors
    /// [`Error::File`] with the reason and what to do; [`Error::Io`] when the file that is there cannot be looked at.
    pub fn check(&self, path: &Path, kind: Kind) -> Result<()> {
        let old = match std::fs::metadata(path) {
            Ok(old) => old,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                self.clean(path);
                return Ok(());
            }
            Err(e) => return Err(Error::io(path, "cannot open", e)),
        };
        if old.is_dir() {
            return Err(Error::file(path, "is a folder; give the name of a file"));
        }
        if !old.is_file() {
            return Ok(());
        }
        self.refuse_inputs(path)?;
        check_writable(path, &old)?;
        match self.overwrite {
            _ if old.len() == 0 && self.overwrite != Overwrite::Never => {}
            Overwrite::Always => {}
            Overwrite::Never => {
                return Err(Error::file(path, "exists already, and --no-clobber forbids to replace it"));
            }
            Overwrite::SameKind => match Kind::of(path)? {
                Some(found) if found == kind => {}
                Some(found) => return Err(Error::file(path, format!("holds {found}, not {kind}; {OVERWRITE}"))),
                None => return Err(Error::file(path, format!("exists already and does not hold {kind}; {OVERWRITE}"))),
            },
        }
        self.clean(path);
        Ok(())
    }

    /// Checks several outputs, which must be different files; see [`Output::check`].
    ///
    /// # Errors
    /// As [`Output::check`]; the second of two names of one file.
    pub fn check_all<'p>(&self, files: impl IntoIterator<Item = (&'p Path, Kind)>) -> Result<()> {
        let mut seen: Vec<PathBuf> = Vec::new();
        for (path, kind) in files {
            self.check(path, kind)?;
            let whole = whole_name(path);
            if seen.contains(&whole) {
                return Err(Error::file(path, "is to be written twice; give two different names"));
            }
            seen.push(whole);
        }
        Ok(())
    }

    /// Refuses a folder for several files that is itself an input.
    ///
    /// # Errors
    /// [`Error::File`] naming the input.
    pub fn check_folder(&self, folder: &Path) -> Result<()> {
        match std::fs::metadata(folder) {
            Ok(old) if !old.is_dir() => Err(Error::file(folder, "is a file; give the name of a folder")),
            _ => {
                self.inputs.iter().find(|input| is_same(folder, input)).map_or(Ok(()), |input| Err(same(folder, input)))
            }
        }
    }

    fn refuse_inputs(&self, path: &Path) -> Result<()> {
        for input in self.inputs {
            if is_same(path, input) {
                return Err(same(path, input));
            }
            // Inputs that are folders stand for the files in them.
            let Ok(entries) = std::fs::read_dir(input) else { continue };
            if let Some(entry) = entries.flatten().map(|entry| entry.path()).find(|entry| is_same(path, entry)) {
                return Err(same(path, &entry));
            }
        }
        Ok(())
    }

    fn clean(&self, path: &Path) {
        // What cannot be cleaned up is in nobody's way.
        let _ = remove_stale_temporaries(folder_of(path));
    }
}

const OVERWRITE: &str = "give another name, or --overwrite to replace it";

fn same(path: &Path, input: &Path) -> Error {
    let name = match path == input {
        true => "is read by this command".to_owned(),
        false => format!("is the same file as {}, which this command reads", input.display()),
    };
    Error::file(path, format!("{name}; give another name for the output"))
}

/// The name with links followed, as far as it exists.
fn whole_name(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| {
        let folder = std::fs::canonicalize(folder_of(path)).unwrap_or_else(|_| folder_of(path).to_path_buf());
        folder.join(path.file_name().unwrap_or_default())
    })
}

/// Whether two names mean one existing file or folder, through links of either sort.
pub fn is_same(a: &Path, b: &Path) -> bool {
    match (identity(a), identity(b)) {
        (Some(a), Some(b)) => a == b,
        _ => false,
    }
}

#[cfg(unix)]
fn identity(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity(path: &Path) -> Option<PathBuf> {
    std::fs::canonicalize(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WATER: &str = "1\nProperties=species:S:1:pos:R:3 energy=1\nO 0 0 0\n";

    struct Bench(tempfile::TempDir);

    impl Bench {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn write(&self, name: &str, contents: &[u8]) -> PathBuf {
            let path = self.0.path().join(name);
            std::fs::write(&path, contents).unwrap();
            path
        }
    }

    fn message(output: Output<'_>, path: &Path) -> String {
        output.check(path, Kind::Extxyz).unwrap_err().to_string()
    }

    #[test]
    fn inputs_are_never_written() {
        let bench = Bench::new();
        let input = bench.write("a.xyz", WATER.as_bytes());
        let inputs = [input.clone()];
        for overwrite in [Overwrite::SameKind, Overwrite::Always, Overwrite::Never] {
            let output = Output { overwrite, inputs: &inputs };
            assert!(message(output, &input).contains("is read by this command; give another name"));
            let around = bench.0.path().join(".").join("a.xyz");
            assert!(output.check(&around, Kind::Extxyz).is_err());
        }
        let output = Output { overwrite: Overwrite::Always, inputs: &inputs };
        output.check(&bench.0.path().join("b.xyz"), Kind::Extxyz).unwrap();
        // Files of a folder that is read, and the folder.
        let folder = [bench.0.path().to_path_buf()];
        let output = Output { overwrite: Overwrite::Always, inputs: &folder };
        assert!(
            message(output, &input).contains("which this command reads") || message(output, &input).contains("is read")
        );
        assert!(output.check_folder(bench.0.path()).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn links_to_inputs_are_inputs() {
        let bench = Bench::new();
        let inputs = [bench.write("a.xyz", WATER.as_bytes())];
        let (hard, soft) = (bench.0.path().join("hard.xyz"), bench.0.path().join("soft.xyz"));
        std::fs::hard_link(&inputs[0], &hard).unwrap();
        std::os::unix::fs::symlink(&inputs[0], &soft).unwrap();
        let output = Output { overwrite: Overwrite::Always, inputs: &inputs };
        for link in [hard, soft] {
            assert!(message(output, &link).contains("is the same file as"));
        }
        let through = [bench.0.path().join("soft.xyz")];
        assert!(Output { inputs: &through, ..output }.check(&inputs[0], Kind::Extxyz).is_err());
    }

    #[test]
    fn only_the_same_kind_is_replaced_without_being_asked() {
        let bench = Bench::new();
        let xyz = bench.write("a.xyz", WATER.as_bytes());
        let notes = bench.write("notes.xyz", b"my only notes\n");
        let empty = bench.write("empty.xyz", b"");
        let with = |overwrite| Output { overwrite, inputs: &[] };
        with(Overwrite::SameKind).check(&xyz, Kind::Extxyz).unwrap();
        with(Overwrite::SameKind).check(&empty, Kind::Extxyz).unwrap();
        let refused = message(with(Overwrite::SameKind), &notes);
        assert!(refused.contains("does not hold extended XYZ") && refused.contains("--overwrite"), "{refused}");
        let refused = with(Overwrite::SameKind).check(&xyz, Kind::Model).unwrap_err().to_string();
        assert!(refused.contains("holds extended XYZ, not a model file"), "{refused}");
        with(Overwrite::Always).check(&notes, Kind::Extxyz).unwrap();
        for path in [&xyz, &notes, &empty] {
            assert!(message(with(Overwrite::Never), path).contains("--no-clobber"));
        }
        with(Overwrite::Never).check(&bench.0.path().join("new.xyz"), Kind::Extxyz).unwrap();
    }

    #[test]
    fn read_only_files_and_folders_stay() {
        let bench = Bench::new();
        let path = bench.write("a.xyz", WATER.as_bytes());
        let mut permissions = std::fs::metadata(&path).unwrap().permissions();
        permissions.set_readonly(true);
        std::fs::set_permissions(&path, permissions).unwrap();
        let output = Output { overwrite: Overwrite::Always, inputs: &[] };
        assert!(message(output, &path).contains("is read-only"));
        assert!(message(output, bench.0.path()).contains("is a folder"));
        let written = potstill_core::files::write_atomically(&path, |w| w.write_all(b"new")).unwrap_err().to_string();
        assert!(written.contains("is read-only"), "{written}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), WATER);
        assert_eq!(std::fs::read_dir(bench.0.path()).unwrap().count(), 1);
    }

    #[test]
    fn two_outputs_of_one_name_are_refused() {
        let bench = Bench::new();
        let (a, b) = (bench.0.path().join("a"), bench.0.path().join(".").join("a"));
        let output = Output::default();
        let message = output.check_all([(&*a, Kind::Weights), (&*b, Kind::Weights)]).unwrap_err().to_string();
        assert!(message.contains("written twice"), "{message}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn devices_are_written() {
        for overwrite in [Overwrite::SameKind, Overwrite::Always, Overwrite::Never] {
            Output { overwrite, inputs: &[] }.check(Path::new("/dev/null"), Kind::Extxyz).unwrap();
        }
    }
}
