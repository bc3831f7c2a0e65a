//! Settings that are either one of a few words or a table.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, Expected, MapAccess, Visitor};

/// A word, as its place in the list of allowed ones, or a table.
pub(super) enum KeywordOr<T> {
    Keyword(usize),
    Table(T),
}

/// Reads one of `words` or a table; an unknown word is answered with the nearest one.
pub(super) fn keyword_or_table<'de, D, T>(input: D, words: &'static [&'static str]) -> Result<KeywordOr<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    input.deserialize_any(KeywordVisitor { words, table: PhantomData })
}

struct KeywordVisitor<T> {
    words: &'static [&'static str],
    table: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for KeywordVisitor<T> {
    type Value = KeywordOr<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.words.iter().map(|word| format!("\"{word}\"")).collect();
        write!(f, "{} or a table", words.join(", "))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        if let Some(found) = self.words.iter().position(|&word| word == text) {
            return Ok(KeywordOr::Keyword(found));
        }
        let nearest = self.words.iter().min_by_key(|word| strsim::levenshtein(word, text));
        let hint = match nearest.filter(|word| strsim::levenshtein(word, text) <= 4) {
            Some(word) => format!("; did you mean \"{word}\"?"),
            None => String::new(),
        };
        let wanted: &dyn Expected = &self;
        Err(E::custom(format!("invalid value: string \"{text}\", expected {wanted}{hint}")))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(KeywordOr::Table)
    }
}
