//! Studies on the command line: their file, progress and report.

mod host;
mod report;

use std::path::Path;

use anyhow::{Context, Result};
use potstill_train::config::Config;
use potstill_train::study::Study;

use crate::config_file;
use crate::load::beside;
use crate::plain;

pub use host::{Checks, Terminal};
pub use report::{learning_curve, write};

/// Reads and checks a study.
///
/// # Errors
/// One line: file, what is wrong, what to do.
pub fn read(path: &Path) -> Result<Study> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{}: cannot open", path.display()))?;
    let mut study: Study = config_file::document::parse(path, &text, &[])?;
    study.paths_mut().for_each(|file| *file = beside(path, file));
    study.check().with_context(|| path.display().to_string())?;
    Ok(study)
}

/// Reads the configuration of a student and changes settings, as with `--set`.
///
/// # Errors
/// As [`config_file::read`].
pub fn configure(path: &Path, settings: &[String]) -> potstill_core::Result<Config> {
    config_file::read(path, settings).map_err(plain)
}

#[cfg(test)]
mod tests {
    use potstill_train::study::TestFiles;

    use super::*;

    const GOOD: &str = "teacher = 't'\ntest = ['a.xyz']\n[[students]]\nname = 'small'\nconfig = 's.toml'\n\
                        [[runs]]\nname = 'alone'\n[[runs]]\nname = 'n2n'\nterms = [{ strategy = 'n2n', weight = 'auto' }]\n";

    fn read(text: &str) -> Result<Study> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("study.toml");
        std::fs::write(&path, text)?;
        super::read(&path)
    }

    #[test]
    fn a_study_is_read() {
        let study = read(GOOD).unwrap();
        assert_eq!((study.seeds.clone(), study.baseline()), (vec![0], Some(0)));
        let TestFiles::One(files) = &study.test else { panic!("{:?}", study.test) };
        assert!(files[0].ends_with("a.xyz") && files[0] != Path::new("a.xyz"));
        let study = read(&GOOD.replace("['a.xyz']", "{ warm = ['a.xyz'], hot = ['b.xyz'] }")).unwrap();
        let TestFiles::Named(sets) = &study.test else { panic!("{:?}", study.test) };
        assert!(sets["hot"][0].ends_with("b.xyz") && sets["warm"][0] != Path::new("a.xyz"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (from, to, wanted) in [
            ("name = 'n2n'", "name = 'alone'", "`alone` comes twice"),
            ("name = 'n2n'", "name = '../x'", "becomes a folder"),
            ("test = ['a.xyz']", "test = []", "test: is empty"),
            ("test = ['a.xyz']", "test = {}", "test: is empty"),
            ("test = ['a.xyz']", "test = { hot = [] }", "test: is empty"),
            ("test = ['a.xyz']", "test = 'a.xyz'", "it must be a list of files, or { name = "),
            (
                "test = ['a.xyz']",
                "test = ['a.xyz']\nseed = 3",
                "study.toml:3: seed: unknown key; did you mean `seeds`?",
            ),
            ("test = ['a.xyz']", "test = ['a.xyz']\nseeds = [1, 1]", "comes twice"),
            ("name = 'n2n'", "name = 'n2n'\nstudents = ['big']", "no student is called `big`; there are small"),
            (
                "strategy = 'n2n'",
                "strategy = 'magic'",
                "study.toml:10: runs.1.terms.0.strategy: is \"magic\"; it must be `vanilla`",
            ),
            ("name = 'n2n'", "name = 'n2n'\ntune = true", "tune needs terms, and a [tuning] section"),
            ("[[students]]", "[tuning]\nfactors = [0.0]\n[[students]]", "tuning.factors"),
            ("name = 'n2n'", "name = 'n2n'\nfactors = [3.0]", "go with tune = true"),
            ("name = 'n2n'", "name = 'n2n'\nalternatives = [['seed=1']]", "alternatives need a [tuning] section"),
        ] {
            let error = format!("{:#}", read(&GOOD.replace(from, to)).unwrap_err());
            assert!(error.contains(wanted) && !error.contains('\n'), "{error}");
        }
    }

    /// Files of the repository's own studies, and the configurations beside them.
    fn evidence(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => evidence(&path, found),
                false if path.extension().is_some_and(|e| e == "toml") => found.push(path),
                false => {}
            }
        }
    }

    #[test]
    fn the_evidence_can_be_made_again() {
        let mut files = Vec::new();
        evidence(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../evidence"), &mut files);
        let is_study = |path: &&std::path::PathBuf| std::fs::read_to_string(path).unwrap().contains("[[students]]");
        let (studies, configurations): (Vec<_>, Vec<_>) = files.iter().partition(is_study);
        assert!(studies.len() >= 3 && configurations.len() >= 3, "{files:?}");
        for path in studies {
            let study = super::read(path).unwrap();
            let n_trials = study.trials(&configure).unwrap().len();
            assert!(study.seeds.len() >= 3 && n_trials > 0, "{}", path.display());
            assert!(study.cells(&configure, &|_, _| None).unwrap().len() > study.seeds.len());
        }
        for path in configurations {
            configure(path, &[]).unwrap();
        }
    }
}
