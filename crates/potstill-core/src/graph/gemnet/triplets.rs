//! Pairs of edges that meet at an atom.

use super::edge_set::Edges;
use super::runs::Runs;

/// Pairs of an input and an output edge, sorted by output, then input.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Triplets {
    /// Index of the input edge in its graph. Shape: `[n_triplets]`.
    pub input: Vec<u32>,
    /// Index of the output edge in its graph, ascending. Shape: `[n_triplets]`.
    pub output: Vec<u32>,
}

impl Triplets {
    /// Number of triplets.
    pub fn len(&self) -> usize {
        self.input.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.input.is_empty()
    }

    /// Input `b -> a` to output `c -> a`, unless both come from the same image of the same atom.
    pub(super) fn converging(input: &Edges, output: &Edges, what: &str) -> Result<Self, String> {
        let mut runs = Runs::with_capacity(output.len());
        for e in 0..output.len() {
            let (a, c) = (output.target[e], output.source[e]);
            runs.push(input.entering(a), input.find(a, c, output.shifts[e]));
        }
        let (input, output) = runs.write(what)?;
        Ok(Self { input, output })
    }

    /// Input `d -> b` to output `b -> a`, unless `d` is `a` itself.
    pub(super) fn chained(input: &Edges, output: &Edges, what: &str) -> Result<Self, String> {
        let mut runs = Runs::with_capacity(output.len());
        for e in 0..output.len() {
            let (a, b) = (output.target[e], output.source[e]);
            runs.push(input.entering(b), input.find(b, a, output.shifts[e].map(|n| -n)));
        }
        let (input, output) = runs.write(what)?;
        Ok(Self { input, output })
    }
}
