//! Fenced blocks of a Markdown text.

/// A fenced block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// First word behind the opening fence: `sh`, `toml`; empty where there is none.
    pub language: String,
    /// Line of the opening fence, counted from 1.
    pub line: usize,
    /// Text between the fences, without the indentation of the opening one.
    pub text: String,
}

/// The part of a text under a heading of level two, without the heading; absent when there is no such heading.
#[allow(dead_code, reason = "tests that share this file look at whole texts")]
pub fn section<'a>(text: &'a str, heading: &str) -> Option<(usize, &'a str)> {
    let title = format!("## {heading}\n");
    let start = if text.starts_with(&title) { 0 } else { text.find(&format!("\n{title}"))? + 1 } + title.len();
    let end = text[start..].find("\n## ").map_or(text.len(), |end| start + end + 1);
    Some((text[..start].lines().count(), &text[start..end]))
}

/// All fenced blocks in their order; a fence that is never closed ends with the text.
pub fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(language) = line.trim_start().strip_prefix("```") else { continue };
        let indent = line.len() - line.trim_start().len();
        let mut inside = String::new();
        for (_, line) in lines.by_ref().take_while(|(_, line)| line.trim() != "```") {
            let spaces = line.len() - line.trim_start_matches(' ').len();
            inside += &line[indent.min(spaces)..];
            inside.push('\n');
        }
        let language = language.split([' ', ',', '{']).next().unwrap_or_default().trim().to_owned();
        blocks.push(Block { language, line: number + 1, text: inside });
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# T\n\n```sh\nskipped\n```\n\n## Walk\n\n1. One:\n\n   ```toml\n   # file: a.toml\n   [a]\n     b = 1\n   ```\n\n\
                        ```sh ignored\necho\n\nls\n```\n\n## Next\n\n```\nplain\n";

    #[test]
    fn sections_and_blocks() {
        let (line, part) = section(TEXT, "Walk").unwrap();
        let found = blocks(part);
        assert_eq!((line, found.len()), (7, 2));
        assert_eq!(found[0], Block { language: "toml".into(), line: 4, text: "# file: a.toml\n[a]\n  b = 1\n".into() });
        assert_eq!((found[1].language.as_str(), found[1].text.as_str()), ("sh", "echo\n\nls\n"));
        assert_eq!(section(TEXT, "No such"), None);
        let all = blocks(TEXT);
        assert_eq!((all.len(), all[3].text.as_str(), all[3].language.as_str()), (4, "plain\n", ""));
    }
}
