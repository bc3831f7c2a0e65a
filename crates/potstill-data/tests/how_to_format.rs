//! The example of the manual's page "Add a file format": compiled, run, and compared with the page.

use std::fs::File;
use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};

use potstill_core::elements::atomic_number;
use potstill_core::{Error, Result, System};
use potstill_data::io::{ChosenKeys, Format, LabelKeys, ReadSystems};

// The page shows what stands between this line and the next of its kind.
/// Points: an element and three coordinates in Å a line; an empty line ends a system.
pub struct Points;

impl Format for Points {
    fn name(&self) -> &'static str {
        "points"
    }

    fn endings(&self) -> &'static str {
        ".points"
    }

    fn claims(&self, _path: &Path, name: &str) -> bool {
        name.ends_with(".points")
    }

    fn read(&self, path: &Path, _keys: &LabelKeys) -> Result<Box<dyn ReadSystems>> {
        let file = File::open(path).map_err(|e| Error::io(path, "cannot open", e))?;
        let lines = BufReader::new(file).lines();
        Ok(Box::new(PointsReader { path: path.to_owned(), lines, line: 0, chosen: ChosenKeys::default() }))
    }
}

/// Reads the systems of a file one after the other.
struct PointsReader {
    path: PathBuf,
    lines: Lines<BufReader<File>>,
    line: usize,
    chosen: ChosenKeys,
}

impl PointsReader {
    /// The next system, or `None` at the end of the file.
    fn system(&mut self) -> Result<Option<System>> {
        let mut system = System::default();
        while let Some(line) = self.lines.next() {
            self.line += 1;
            let line = line.map_err(|e| Error::io(&self.path, "cannot read", e))?;
            if line.trim().is_empty() {
                break;
            }
            let (element, position) = atom(&line).map_err(|why| self.error(&why))?;
            system.atomic_numbers.push(element);
            system.positions.push(position);
        }
        Ok((system.n_atoms() > 0).then_some(system))
    }

    /// An error names the file, the line, and what is wrong there.
    fn error(&self, why: &str) -> Error {
        Error::file(&self.path, format!("line {}: {why}", self.line))
    }
}

fn atom(line: &str) -> std::result::Result<(u8, [f64; 3]), String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [element, x, y, z] = words[..] else { return Err(format!("expected 4 words, found {}", words.len())) };
    let element = atomic_number(element).ok_or_else(|| format!("`{element}` is no element"))?;
    let number = |word: &str| word.parse::<f64>().map_err(|_| format!("`{word}` is no number"));
    Ok((element, [number(x)?, number(y)?, number(z)?]))
}

impl Iterator for PointsReader {
    type Item = Result<System>;

    fn next(&mut self) -> Option<Self::Item> {
        self.system().transpose()
    }
}

impl ReadSystems for PointsReader {
    fn chosen(&self) -> &ChosenKeys {
        &self.chosen
    }
}
// The page shows what stands between this line and the last of its kind.

fn read(text: &str) -> Vec<Result<System>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.points");
    std::fs::write(&path, text).unwrap();
    Points.read(&path, &LabelKeys::default()).unwrap().collect()
}

#[test]
fn systems_and_errors() {
    let systems = read("H 0 0 0\nH 0.74 0 0\n\nO 0 0 1\n");
    assert_eq!(systems.len(), 2);
    assert_eq!(systems[0].as_ref().unwrap().positions, [[0.0; 3], [0.74, 0.0, 0.0]]);
    assert_eq!(systems[1].as_ref().unwrap().atomic_numbers, [8]);
    let error = read("H 0 0\n")[0].as_ref().unwrap_err().to_string();
    assert!(error.ends_with("a.points: line 1: expected 4 words, found 3"), "{error}");
    assert!(Points.claims(Path::new("A.points"), "a.points"));
}

#[test]
fn the_page_shows_this_code() {
    let page = potstill_fixtures::workspace().join("docs/book/src/how-to/add-a-file-format.md");
    let page = std::fs::read_to_string(page).unwrap();
    let code = include_str!("how_to_format.rs").split("// The page shows").nth(1).unwrap();
    let (_, code) = code.split_once('\n').unwrap();
    assert!(page.contains(code.trim()), "the page differs from this test");
}
