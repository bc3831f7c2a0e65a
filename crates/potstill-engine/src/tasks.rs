//! Parts of arrays for tasks that run side by side, and blocks of atoms within a task.

use std::ops::Range;

use rayon::prelude::*;

/// Atoms whose matrices are multiplied at a time.
pub const BLOCK: usize = 64;

/// Array that is handed out in consecutive parts.
#[derive(Debug)]
pub struct Parts<'a, T>(&'a mut [T]);

impl<'a, T> Parts<'a, T> {
    /// View of the whole array.
    pub fn of(array: &'a mut [T]) -> Self {
        Self(array)
    }

    /// Next `n` numbers.
    pub fn next(&mut self, n: usize) -> &'a mut [T] {
        let (own, rest) = std::mem::take(&mut self.0).split_at_mut(n);
        self.0 = rest;
        own
    }
}

/// Places of the rows of some atoms, `width` numbers each.
pub fn rows(atoms: &Range<usize>, width: usize) -> Range<usize> {
    atoms.start * width..atoms.end * width
}

/// Blocks of at most [`BLOCK`] atoms.
pub fn blocks(atoms: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    atoms.clone().step_by(BLOCK).map(move |start| start..(start + BLOCK).min(atoms.end))
}

/// Numbers of some atoms within a range that starts at `start`.
pub fn within(atoms: &Range<usize>, start: usize) -> Range<usize> {
    atoms.start - start..atoms.end - start
}

/// Runs tasks, on this thread alone where there is one.
pub fn run<P: Send>(mut parts: Vec<P>, work: impl Fn(P) + Sync + Send) {
    match parts.len().min(rayon::current_num_threads()) {
        1 => parts.drain(..).for_each(work),
        _ => parts.into_par_iter().for_each(work),
    }
}
