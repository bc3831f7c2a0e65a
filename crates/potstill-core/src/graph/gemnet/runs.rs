//! Lists of what belongs to each of a row of outputs: side-by-side candidates, except one.
//!
//! Edges are sorted by target, so all edges into an atom lie side by side, and each rule of GemNet-OC takes all of
//! them but the one that would lead straight back. Counted before anything is written.

use std::ops::Range;

/// Most entries of one list of one system, 4 GB: more is a mistake in the rule.
const MAX_ENTRIES: usize = 1 << 30;

/// First entry of each output in a list sorted by output, and the list's length at the end.
///
/// Shape: `[n_outputs + 1]`. Every entry of `sorted` must be below `n_outputs`.
pub fn offsets(sorted: &[u32], n_outputs: usize) -> Vec<usize> {
    let mut first = vec![0; n_outputs + 1];
    for &output in sorted {
        first[output as usize + 1] += 1;
    }
    for output in 0..n_outputs {
        first[output + 1] += first[output];
    }
    first
}

/// The candidates of one output, and perhaps one that is not taken.
struct Run {
    range: Range<u32>,
    /// Inside the range, or its end.
    hole: u32,
}

/// The candidates of all outputs, in order.
pub(super) struct Runs {
    runs: Vec<Run>,
    /// Entries of all runs.
    len: usize,
}

impl Runs {
    pub fn with_capacity(n_outputs: usize) -> Self {
        Self { runs: Vec::with_capacity(n_outputs), len: 0 }
    }

    /// The candidates of the next output, all below 2³²; `hole`, which lies in `range`, is not taken.
    pub fn push(&mut self, range: Range<usize>, hole: Option<usize>) {
        self.len = self.len.saturating_add(range.len() - usize::from(hole.is_some()));
        let hole = hole.unwrap_or(range.end) as u32;
        self.runs.push(Run { range: range.start as u32..range.end as u32, hole });
    }

    /// Entry and output of each entry; the message of the error says how many there are of `what`.
    pub fn write(&self, what: &str) -> Result<(Vec<u32>, Vec<u32>), String> {
        if self.len > MAX_ENTRIES {
            return Err(format!("has {} {what}; use a smaller cutoff or fewer neighbors", self.len));
        }
        let (mut entries, mut outputs) = (Vec::with_capacity(self.len), Vec::with_capacity(self.len));
        for (output, Run { range, hole }) in self.runs.iter().enumerate() {
            entries.extend(range.start..*hole);
            entries.extend(range.end.min(hole + 1)..range.end);
            outputs.resize(entries.len(), output as u32);
        }
        Ok((entries, outputs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_the_holes() {
        let mut runs = Runs::with_capacity(5);
        for (range, hole) in [(0..3, None), (0..0, None), (4..5, Some(4)), (2..6, Some(2)), (2..6, Some(5))] {
            runs.push(range, hole);
        }
        let (entries, outputs) = runs.write("entries").unwrap();
        assert_eq!(entries, [0, 1, 2, 3, 4, 5, 2, 3, 4]);
        assert_eq!(outputs, [0, 0, 0, 3, 3, 3, 4, 4, 4]);
        assert_eq!(offsets(&outputs, 5), [0, 3, 3, 3, 6, 9]);
        assert_eq!(offsets(&[], 0), [0]);
    }

    #[test]
    fn absurd_lengths_are_refused_before_anything_is_written() {
        let mut runs = Runs::with_capacity(2);
        runs.push(0..MAX_ENTRIES, None);
        runs.push(0..7, Some(3));
        assert!(runs.write("quadruplets").unwrap_err().starts_with("has 1073741830 quadruplets; use"));
    }
}
