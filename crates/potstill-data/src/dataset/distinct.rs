//! Estimated number of different texts, without remembering them all.

use std::collections::BTreeSet;

/// Hashes that are kept: half a megabyte.
const KEPT: usize = 1 << 16;

/// Counts different texts: exactly up to [`KEPT`], beyond that by an estimate.
///
/// The smallest hashes are kept (Bar-Yossef et al., *Counting distinct elements in a data stream*, 2002): if the k-th
/// smallest of evenly spread hashes is the fraction f of all numbers, there are about (k − 1) / f of them, with a relative
/// standard error of 1/√k.
#[derive(Debug, Clone, Default)]
pub(super) struct Distinct {
    smallest: BTreeSet<u64>,
    overflowed: bool,
}

impl Distinct {
    /// Takes in a text.
    pub fn add(&mut self, text: &str) {
        let [a, b, c, d, e, f, g, h, ..] = *blake3::hash(text.as_bytes()).as_bytes();
        let hash = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let is_full = self.smallest.len() == KEPT;
        if is_full && self.smallest.last().is_some_and(|&last| hash > last) {
            self.overflowed = true;
        } else if self.smallest.insert(hash) && is_full {
            self.smallest.pop_last();
            self.overflowed = true;
        }
    }

    /// Number of different texts.
    pub fn count(&self) -> usize {
        match self.smallest.last().filter(|_| self.overflowed) {
            Some(&last) => ((KEPT - 1) as f64 / (last as f64 / u64::MAX as f64)).round() as usize,
            None => self.smallest.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(n: usize) -> usize {
        let mut distinct = Distinct::default();
        (0..2 * n).for_each(|i| distinct.add(&(i % n).to_string()));
        distinct.count()
    }

    #[test]
    fn few_are_counted_and_many_estimated() {
        for n in [1, 2, 1000, KEPT] {
            assert_eq!(count(n), n);
        }
        for n in [KEPT + 1, 300_000] {
            let error = count(n) as f64 / n as f64 - 1.0;
            assert!(error.abs() < 0.016, "{n}: off by {error}");
        }
        assert_eq!(Distinct::default().count(), 0);
    }
}
