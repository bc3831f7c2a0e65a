//! Narrower graphs out of wider ones of the same system.

use super::super::Neighbors;
use super::super::edges::EdgeList;
use super::rule::Limits;
use crate::system::{System, dot};

/// Tag of the atoms of a system without tags: an adsorbate's.
const TAG_OF_UNTAGGED: i32 = 2;

/// The edges within the limits, in their order: not too long, and among the nearest of their target.
///
/// Of equally distant sources the first stays: the one with the smaller index, then with the smaller shift.
pub(super) fn within(edges: &EdgeList, limits: &Limits) -> EdgeList {
    let lengths: Vec<f64> = edges.displacement.iter().map(|&d| dot(d, d).sqrt()).collect();
    let mut chosen: Vec<usize> = Vec::with_capacity(edges.len());
    let mut start = 0;
    for targets in edges.target.chunk_by(|a, b| a == b) {
        let before = chosen.len();
        chosen.extend((start..start + targets.len()).filter(|&e| lengths[e] <= limits.cutoff));
        if let Neighbors::Nearest(k) = limits.neighbors {
            keep_nearest(&mut chosen, before, k, &lengths);
        }
        start += targets.len();
    }
    gather(edges, &chosen)
}

/// Keeps the `k` nearest of the edges from place `start` on, in their order.
fn keep_nearest(chosen: &mut Vec<usize>, start: usize, k: usize, lengths: &[f64]) {
    let own = &mut chosen[start..];
    if own.len() <= k {
        return;
    }
    own.select_nth_unstable_by(k, |&e, &f| lengths[e].total_cmp(&lengths[f]).then(e.cmp(&f)));
    chosen.truncate(start + k);
    chosen[start..].sort_unstable();
}

/// The edges with an atom of one of these tags at either end.
pub(super) fn tagged(edges: &EdgeList, system: &System, tags: &[i32]) -> EdgeList {
    let is_wanted = |atom: u32| {
        let tag = system.tags.as_ref().map_or(TAG_OF_UNTAGGED, |all| all[atom as usize]);
        tags.contains(&tag)
    };
    let chosen: Vec<usize> =
        (0..edges.len()).filter(|&e| is_wanted(edges.source[e]) || is_wanted(edges.target[e])).collect();
    gather(edges, &chosen)
}

fn gather(edges: &EdgeList, chosen: &[usize]) -> EdgeList {
    EdgeList {
        source: chosen.iter().map(|&e| edges.source[e]).collect(),
        target: chosen.iter().map(|&e| edges.target[e]).collect(),
        shifts: chosen.iter().map(|&e| edges.shifts[e]).collect(),
        displacement: chosen.iter().map(|&e| edges.displacement[e]).collect(),
    }
}
