//! Links between the pages of the repository, and pages that the manual's summary forgets.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::root;

/// Folders without pages of ours.
const SKIPPED: [&str; 4] = ["target", ".git", "testdata", "node_modules"];

/// Checks that every relative link leads to a file, each anchor to a heading, and every page of the manual is in its summary.
pub fn check() -> Result<bool> {
    let pages = pages(root())?;
    let mut wrong = Vec::new();
    for page in &pages {
        let text = fs::read_to_string(page).with_context(|| page.display().to_string())?;
        for link in links(&text) {
            if let Some(reason) = broken(page, &link) {
                wrong.push(format!("{}: {link}: {reason}", page.strip_prefix(root())?.display()));
            }
        }
    }
    wrong.extend(forgotten(&pages)?);
    wrong.iter().for_each(|line| println!("{line}"));
    println!("{} pages", pages.len());
    Ok(wrong.is_empty())
}

/// Markdown files below a folder.
fn pages(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_dir() && !path.is_symlink() && !SKIPPED.contains(&name.as_str()) {
            found.extend(pages(&path)?);
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Targets of the links outside fenced blocks and code.
fn links(text: &str) -> Vec<String> {
    let mut is_code = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        }
        if is_code || line.starts_with("    ") {
            continue;
        }
        for (k, part) in line.split('`').enumerate() {
            // Code in a link's text: the rest of the link follows behind it.
            let part = if k % 2 == 1 { "" } else { part };
            let targets = part.split("](").skip(1).filter_map(|rest| rest.split(')').next());
            found.extend(targets.map(str::to_owned));
        }
    }
    found
}

/// Reason for which a link leads nowhere.
fn broken(page: &Path, link: &str) -> Option<&'static str> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
    let target = if file.is_empty() { page.to_owned() } else { page.parent()?.join(file) };
    if !target.exists() {
        return Some("no such file");
    }
    let text = anchor.filter(|_| target.is_file()).map(|_| fs::read_to_string(&target).unwrap_or_default());
    let is_heading = |anchor: &str| text.as_deref().is_some_and(|text| headings(text).any(|name| name == anchor));
    anchor.filter(|anchor| !is_heading(anchor)).map(|_| "no such heading")
}

/// Anchors of a page's headings.
fn headings(text: &str) -> impl Iterator<Item = String> {
    let titles = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    titles.map(|title| {
        let kept =
            title.to_lowercase().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>();
        kept.replace(' ', "-")
    })
}

/// Pages of the manual that its summary does not name.
fn forgotten(pages: &[PathBuf]) -> Result<Vec<String>> {
    let folder = root().join("docs/book/src");
    let path = folder.join("SUMMARY.md");
    let summary = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let named: Vec<PathBuf> = links(&summary).iter().map(|link| folder.join(link)).collect();
    let of_the_book = pages.iter().filter(|page| page.starts_with(&folder) && **page != path);
    let absent = of_the_book.filter(|page| !named.contains(page));
    Ok(absent.map(|page| format!("{}: not in SUMMARY.md", page.display())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_headings() {
        let text = "[a](b.md) and `[c](d)` [`e`](f.md#g)\n```\n[h](i)\n```\n# Two Words, `code`!\n";
        assert_eq!(links(text), ["b.md", "f.md#g"]);
        assert_eq!(headings(text).collect::<Vec<_>>(), ["two-words-code"]);
        assert_eq!(broken(Path::new("/tmp/a.md"), "https://x.org"), None);
        assert_eq!(broken(Path::new("/tmp/a.md"), "no/such.md"), Some("no such file"));
    }
}
