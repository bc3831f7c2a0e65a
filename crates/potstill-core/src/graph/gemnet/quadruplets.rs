//! Paths over three edges.

use super::edge_set::Edges;
use super::runs::{Runs, offsets};
use super::triplets::Triplets;

/// Paths `d -> b -> a <- c` over a main edge `d -> b` (input), a `qint` edge `b -> a` and a main edge `c -> a`
/// (output), sorted by output, then `b -> a`, then `d -> b`.
///
/// The four atoms may coincide only as different images; `d = a`, `c = b` and `c = d` (in one place) are left out.
/// Both halves are listed on their own, since one half serves many quadruplets.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Quadruplets {
    /// `d -> b -> a`: input the main edge `d -> b`, output the `qint` edge `b -> a`.
    pub input_triplets: Triplets,
    /// `b -> a <- c`: input the `qint` edge `b -> a`, output the main edge `c -> a`.
    pub output_triplets: Triplets,
    /// Main edge `c -> a` of each quadruplet, ascending. Shape: `[n_quadruplets]`.
    pub output: Vec<u32>,
    /// Index in `input_triplets` of each quadruplet. Shape: `[n_quadruplets]`.
    pub input_triplet: Vec<u32>,
    /// Index in `output_triplets` of each quadruplet, ascending. Shape: `[n_quadruplets]`.
    pub output_triplet: Vec<u32>,
}

impl Quadruplets {
    /// Number of quadruplets.
    pub fn len(&self) -> usize {
        self.output.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.output.is_empty()
    }

    pub(super) fn new(main: &Edges, qint: &Edges) -> Result<Self, String> {
        let input_triplets = Triplets::chained(main, qint, "triplets into middle edges")?;
        let output_triplets = Triplets::converging(qint, main, "triplets of middle edges")?;
        let first = offsets(&input_triplets.output, qint.len());
        let mut runs = Runs::with_capacity(output_triplets.len());
        for (&ba, &ca) in output_triplets.input.iter().zip(&output_triplets.output) {
            let own = first[ba as usize]..first[ba as usize + 1];
            let (ba, ca) = (ba as usize, ca as usize);
            // The edge c -> b by way of a. Differences of shifts may wrap, yet are equal only if they truly are,
            // since no shift exceeds a quarter of the range.
            let shift = std::array::from_fn(|k| main.shifts[ca][k].wrapping_sub(qint.shifts[ba][k]));
            let back = main.find(qint.source[ba], main.source[ca], shift);
            let hole = back.and_then(|edge| input_triplets.input[own.clone()].binary_search(&(edge as u32)).ok());
            runs.push(own.clone(), hole.map(|place| own.start + place));
        }
        let (input_triplet, output_triplet) = runs.write("quadruplets")?;
        let output = output_triplet.iter().map(|&triplet| output_triplets.output[triplet as usize]).collect();
        Ok(Self { input_triplets, output_triplets, output, input_triplet, output_triplet })
    }
}
