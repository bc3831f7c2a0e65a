//! Parts of arrays for tasks that run side by side.

use std::ops::Range;

use rayon::prelude::*;

/// Parts of an array that holds `width` numbers for each atom, one for each task.
pub fn cut<'a, T>(mut array: &'a mut [T], tasks: &[Range<usize>], width: usize) -> Vec<&'a mut [T]> {
    tasks
        .iter()
        .map(|task| {
            let (own, rest) = std::mem::take(&mut array).split_at_mut(task.len() * width);
            array = rest;
            own
        })
        .collect()
}

/// Parts of an array that holds a number for each edge, `first` telling where those of each atom begin.
pub fn cut_edges<'a, T>(mut array: &'a mut [T], tasks: &[Range<usize>], first: &[usize]) -> Vec<&'a mut [T]> {
    tasks
        .iter()
        .map(|task| {
            let (own, rest) = std::mem::take(&mut array).split_at_mut(first[task.end] - first[task.start]);
            array = rest;
            own
        })
        .collect()
}

/// Runs tasks, each with what belongs to it; alone where there is one.
pub fn run<P: Send>(mut parts: Vec<P>, work: impl Fn(P) + Sync + Send) {
    match parts.len() {
        1 => parts.drain(..).for_each(work),
        _ => parts.into_par_iter().for_each(work),
    }
}
