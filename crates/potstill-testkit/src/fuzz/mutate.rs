//! Random changes of bytes.

use std::ops::Range;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Shape;

/// Largest input in bytes.
pub const MAX_INPUT: usize = 1 << 16;

/// Numbers at which arithmetic on lengths goes wrong.
const EDGES: [u64; 18] = [
    0,
    1,
    2,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x7fff,
    0x8000,
    0xffff,
    0x0010_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    1 << 40,
    i64::MAX as u64,
    1 << 63,
    u64::MAX,
];

/// Numbers in text that parsers stumble over.
const NUMBERS: [&str; 22] = [
    "0",
    "-0",
    "1",
    "-1",
    "0.0",
    "1e-320",
    "1e308",
    "-1e308",
    "1e999",
    "nan",
    "inf",
    "-inf",
    "255",
    "65536",
    "2147483647",
    "4294967296",
    "1000000000000",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "1e12",
    "0.30000000000000004",
];

/// Text in which bytes are cut where they should not be.
const AWKWARD: [&str; 12] = ["Å", "\u{0}", "\r\n", "\n\n", "\u{feff}", "\t", "\"", "'", "\\", "𝔘", "=", "\u{7f}"];

/// Source of changed inputs; the same seed gives the same ones.
pub struct Mutator {
    rng: ChaCha8Rng,
    dictionary: &'static [&'static str],
}

impl Mutator {
    /// Mutator with the words of a format.
    pub fn new(seed: u64, dictionary: &'static [&'static str]) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed), dictionary }
    }

    /// A changed input of a pool, every other time one of the first `n_first`; two times in three, the part of the file that
    /// `shape` finds is what changes.
    pub fn input(&mut self, pool: &[Vec<u8>], n_first: usize, shape: Shape) -> Vec<u8> {
        let n = if self.rng.random() { n_first } else { pool.len() };
        let base = &pool[self.rng.random_range(0..n)];
        let other = &pool[self.rng.random_range(0..pool.len())];
        let choice = self.rng.random::<u32>() as usize;
        let repacked = match self.rng.random_range(0..3) {
            0 => None,
            _ => shape(base, choice, &mut |part| self.changed(part, other)),
        };
        let mut input = repacked.unwrap_or_else(|| self.changed(base, other));
        input.truncate(MAX_INPUT);
        input
    }

    /// Bytes after one or a few changes; `other` gives its end to some.
    pub fn changed(&mut self, bytes: &[u8], other: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        loop {
            self.change(&mut bytes, other);
            bytes.truncate(MAX_INPUT);
            if self.rng.random_range(0..5) < 2 {
                return bytes;
            }
        }
    }

    fn change(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        match self.rng.random_range(0..15) {
            0 | 1 => self.flip(bytes),
            2 => self.byte(bytes),
            3 | 4 => self.length_field(bytes),
            5 | 6 => self.number(bytes),
            7 | 8 => {
                let word = self.word();
                self.insert(bytes, &word);
            }
            9 => {
                let word = self.word();
                self.overwrite(bytes, &word);
            }
            10 => drop(bytes.drain(self.range(bytes.len()))),
            11 => {
                let part = bytes[self.range(bytes.len())].to_vec();
                self.insert(bytes, &part);
            }
            12 => bytes.truncate(self.place(bytes.len())),
            13 => {
                bytes.truncate(self.place(bytes.len()));
                bytes.extend_from_slice(&other[self.place(other.len())..]);
            }
            _ => self.repeat(bytes),
        }
    }

    /// A place from 0 to `n`, both included; often near one of the ends, where headers are.
    fn place(&mut self, n: usize) -> usize {
        let any = self.rng.random_range(0..=n);
        match self.rng.random_range(0..4) {
            0 => any.min(self.rng.random_range(0..64)),
            1 => n - (n - any).min(self.rng.random_range(0..64)),
            _ => any,
        }
    }

    /// A short range, or any.
    fn range(&mut self, n: usize) -> Range<usize> {
        let start = self.place(n);
        let longest = if self.rng.random_range(0..4) == 0 { n - start } else { (n - start).min(24) };
        start..start + self.rng.random_range(0..=longest)
    }

    fn flip(&mut self, bytes: &mut [u8]) {
        let at = self.place(bytes.len());
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1 << self.rng.random_range(0..8);
        }
    }

    fn byte(&mut self, bytes: &mut [u8]) {
        let at = self.place(bytes.len());
        if let Some(byte) = bytes.get_mut(at) {
            *byte = self.rng.random();
        }
    }

    /// Puts an edge of the integers, or a number near the file's length, where a length may stand.
    fn length_field(&mut self, bytes: &mut [u8]) {
        let width = [1, 2, 4, 8][self.rng.random_range(0..4)];
        let near = (bytes.len() as u64).wrapping_add(self.rng.random_range(0..17)).wrapping_sub(8);
        let edge = EDGES[self.rng.random_range(0..EDGES.len())];
        let value = if self.rng.random_range(0..4) == 0 { near } else { edge };
        let mut field = value.to_le_bytes()[..width].to_vec();
        if self.rng.random_range(0..4) == 0 {
            field.reverse();
        }
        let mut at = self.place(bytes.len().saturating_sub(width));
        if self.rng.random() {
            at -= at % width;
        }
        if let Some(place) = bytes.get_mut(at..at + width) {
            place.copy_from_slice(&field);
        }
    }

    /// Replaces a number in text.
    fn number(&mut self, bytes: &mut Vec<u8>) {
        let is_part = |b: &u8| b.is_ascii_digit() || b".+-".contains(b);
        let from = self.place(bytes.len());
        let Some(start) = bytes[from..].iter().position(u8::is_ascii_digit).map(|i| from + i) else { return };
        let length = bytes[start..].iter().position(|b| !is_part(b)).unwrap_or(bytes.len() - start);
        let number = NUMBERS[self.rng.random_range(0..NUMBERS.len())];
        bytes.splice(start..start + length, number.bytes());
    }

    fn word(&mut self) -> Vec<u8> {
        let words = match self.rng.random_range(0..6) {
            0 => &NUMBERS[..],
            1 => &AWKWARD[..],
            _ if self.dictionary.is_empty() => &NUMBERS[..],
            _ => self.dictionary,
        };
        words[self.rng.random_range(0..words.len())].as_bytes().to_vec()
    }

    fn insert(&mut self, bytes: &mut Vec<u8>, part: &[u8]) {
        let at = self.place(bytes.len());
        bytes.splice(at..at, part.iter().copied());
    }

    fn overwrite(&mut self, bytes: &mut [u8], part: &[u8]) {
        let at = self.place(bytes.len().saturating_sub(part.len()));
        if let Some(place) = bytes.get_mut(at..at + part.len()) {
            place.copy_from_slice(part);
        }
    }

    /// Nests or lengthens: one byte or word many times.
    fn repeat(&mut self, bytes: &mut Vec<u8>) {
        let part = if self.rng.random() { self.word() } else { bytes[self.range(bytes.len())].to_vec() };
        let times = 1 << self.rng.random_range(1..12);
        let times = times.min(MAX_INPUT / 4 / part.len().max(1));
        self.insert(bytes, &part.repeat(times));
    }
}
