//! Parts of a work that several processes share.

use std::fmt::{Display, Formatter};
use std::str::FromStr;

/// One of several parts of a numbered work, written `r/n` with `r` from 1 to `n`.
///
/// ```
/// use potstill_core::Part;
///
/// let part: Part = "2/3".parse()?;
/// assert_eq!((0..7).filter(|&number| part.holds(number)).collect::<Vec<_>>(), [1, 4]);
/// assert!("0/3".parse::<Part>().is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    number: usize,
    of: usize,
}

/// Most parts of a work.
const MOST: usize = 100_000;

impl Part {
    /// Part `number`, counted from 0, of `of`; none where there is no such part.
    pub fn new(number: usize, of: usize) -> Option<Self> {
        (number < of && of <= MOST).then_some(Self { number, of })
    }

    /// Whether a piece of the work, counted from 0, belongs to this part: every `n`-th does.
    pub fn holds(self, piece: usize) -> bool {
        piece % self.of == self.number
    }

    /// Pieces of a work of `n` that belong to this part where parts are consecutive: their results, one after the other, are in order.
    pub fn range(self, n: usize) -> std::ops::Range<usize> {
        let start = |number: usize| (number * n).div_ceil(self.of);
        start(self.number)..start(self.number + 1)
    }

    /// Number of parts.
    pub fn of(self) -> usize {
        self.of
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(r, n)| Some((r.parse().ok()?, n.parse().ok()?)));
        match numbers {
            Some((r, n)) if (1..=n).contains(&r) && n <= MOST => Ok(Self { number: r - 1, of: n }),
            _ => Err(format!("must be a part and the number of parts, as 2/8, with 1 to {MOST} parts")),
        }
    }
}

impl Display for Part {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.number + 1, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_share_the_work_without_a_rest() {
        for of in 1..6 {
            let parts: Vec<Part> = (1..=of).map(|r| format!("{r}/{of}").parse().unwrap()).collect();
            for piece in 0..20 {
                assert_eq!(parts.iter().filter(|part| part.holds(piece)).count(), 1);
                let all: Vec<usize> = parts.iter().flat_map(|part| part.range(piece)).collect();
                assert_eq!(all, (0..piece).collect::<Vec<_>>());
            }
            assert_eq!(Part::new(of - 1, of), parts.last().copied());
            assert_eq!(Part::new(of, of), None);
        }
    }

    #[test]
    fn only_parts_are_read() {
        assert_eq!("3/4".parse::<Part>().unwrap().to_string(), "3/4");
        for text in ["", "1", "0/2", "3/2", "-1/2", "1/0", "a/b", "1/2/3", "1/9999999"] {
            assert!(text.parse::<Part>().is_err(), "{text}");
        }
    }
}
