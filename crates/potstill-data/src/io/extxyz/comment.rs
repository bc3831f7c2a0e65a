//! The comment line, cut into keys and values.

use std::borrow::Cow;

/// Quotes or brackets around a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrap {
    /// A key alone, which means true.
    Absent,
    /// Not at all: it ends at the next blank.
    Bare,
    /// In `"…"` or `'…'`; backslash escapes are resolved.
    Quoted,
    /// In `{…}` or `[…]`; the brackets are part of the text.
    Bracketed,
}

/// A `key=value` pair.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair<'a> {
    /// The key, without quotes.
    pub key: Cow<'a, str>,
    /// The value, without quotes.
    pub text: Cow<'a, str>,
    /// Quotes or brackets around the value.
    pub wrap: Wrap,
}

/// Splits a comment line. Blanks may surround `=` as long as there is one before it.
///
/// # Errors
/// A message about a quote or bracket that is never closed.
pub fn parse(line: &str) -> Result<Vec<Pair<'_>>, String> {
    if !line.contains('=') {
        let text = line.trim();
        let comment = Pair { key: "comment".into(), text: text.into(), wrap: Wrap::Quoted };
        return Ok(if text.is_empty() { Vec::new() } else { vec![comment] });
    }
    let mut pairs = Vec::with_capacity(16);
    let mut cursor = Cursor { line, at: 0 };
    loop {
        cursor.skip_blanks();
        if cursor.rest().is_empty() {
            return Ok(pairs);
        }
        pairs.push(cursor.pair()?);
    }
}

struct Cursor<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        &self.line[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.line.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(|b| b.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn pair(&mut self) -> Result<Pair<'a>, String> {
        let key = match self.peek() {
            Some(b'"' | b'\'') => self.quoted("")?,
            _ => Cow::Borrowed(self.until(|b| b == b'=' || b.is_ascii_whitespace())),
        };
        let key_end = self.at;
        self.skip_blanks();
        if self.peek() != Some(b'=') {
            return Ok(Pair { key, text: "".into(), wrap: Wrap::Absent });
        }
        let spaced = self.at > key_end;
        self.at += 1;
        if spaced {
            self.skip_blanks();
        }
        let (text, wrap) = match self.peek() {
            Some(b'"' | b'\'') => (self.quoted(&key)?, Wrap::Quoted),
            Some(b'{' | b'[') => (Cow::Borrowed(self.bracketed(&key)?), Wrap::Bracketed),
            _ => (Cow::Borrowed(self.until(|b| b.is_ascii_whitespace())), Wrap::Bare),
        };
        Ok(Pair { key, text, wrap })
    }

    /// The text up to the first byte that `stop` accepts; only ASCII bytes may be accepted.
    fn until(&mut self, stop: impl Fn(u8) -> bool) -> &'a str {
        let rest = self.rest();
        let len = rest.bytes().position(stop).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    fn quoted(&mut self, key: &str) -> Result<Cow<'a, str>, String> {
        let quote = self.rest().as_bytes()[0];
        let rest = &self.rest()[1..];
        let mut escaped = false;
        let mut has_escapes = false;
        for (i, byte) in rest.bytes().enumerate() {
            if escaped {
                escaped = false;
            } else if byte == b'\\' {
                (escaped, has_escapes) = (true, true);
            } else if byte == quote {
                self.at += i + 2;
                let text = &rest[..i];
                return Ok(if has_escapes { unescape(text).into() } else { text.into() });
            }
        }
        Err(format!("the {} opened {} is never closed", char::from(quote), place(key)))
    }

    /// A bracketed value with its brackets; brackets inside nest, and those inside `"…"` do not count.
    fn bracketed(&mut self, key: &str) -> Result<&'a str, String> {
        let rest = self.rest();
        let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
        for (i, byte) in rest.bytes().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_string => escaped = true,
                b'"' => in_string = !in_string,
                b'{' | b'[' if !in_string => depth += 1,
                b'}' | b']' if !in_string => {
                    depth -= 1;
                    if depth == 0 {
                        self.at += i + 1;
                        return Ok(&rest[..=i]);
                    }
                }
                _ => {}
            }
        }
        Err(format!("the {} opened {} is never closed", &rest[..1], place(key)))
    }
}

fn place(key: &str) -> String {
    if key.is_empty() { "in a key".into() } else { format!("at key `{key}`") }
}

/// Resolves `\n` to a line break and any other escaped character to itself.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some(other) => out.push(other),
                None => {}
            },
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(line: &str) -> Vec<(String, String)> {
        parse(line).unwrap().into_iter().map(|p| (p.key.into(), p.text.into())).collect()
    }

    #[test]
    fn pairs_of_every_kind() {
        let line = r#"a=1 b="x y" c='it"s' d={1 2} e=[[1, 2], ["]"]] f "g h"=2 i = 3 j= k=l=m n="\"\\\n""#;
        let expected = [
            ("a", "1"),
            ("b", "x y"),
            ("c", "it\"s"),
            ("d", "{1 2}"),
            ("e", r#"[[1, 2], ["]"]]"#),
            ("f", ""),
            ("g h", "2"),
            ("i", "3"),
            ("j", ""),
            ("k", "l=m"),
            ("n", "\"\\\n"),
        ];
        assert_eq!(cut(line), expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }

    #[test]
    fn free_text_is_a_comment() {
        assert_eq!(cut("  it's water "), [("comment".to_owned(), "it's water".to_owned())]);
        assert_eq!(cut("   "), []);
    }

    #[test]
    fn unclosed_is_named() {
        assert_eq!(parse("a=\"b").unwrap_err(), "the \" opened at key `a` is never closed");
        assert_eq!(parse("a=[1 2").unwrap_err(), "the [ opened at key `a` is never closed");
    }
}
