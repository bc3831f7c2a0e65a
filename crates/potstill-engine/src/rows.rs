//! Loops over rows of features that are padded to whole vector registers.

use std::ops::Range;

use rayon::prelude::*;

use potstill_kernels::number::Number;

/// Numbers that one loop iteration handles together: a multiple of every vector register's. Rows of features are padded to it.
pub const LANES: usize = 16;

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

/// `y += x`
#[inline(always)]
pub fn add<T: Number>(y: &mut [T], x: &[T]) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y += x;
    }
}

/// A sum in as many parts as a register has.
#[derive(Clone, Copy)]
pub struct Lanes<T>(pub [T; LANES]);

impl<T: Number> Lanes<T> {
    /// Nothing yet.
    #[inline(always)]
    pub fn new() -> Self {
        Self([T::ZERO; LANES])
    }

    /// The whole sum, in an order that does not depend on the registers.
    #[inline(always)]
    pub fn total(self) -> T {
        let mut all = self.0;
        let mut n = LANES / 2;
        while n > 0 {
            for k in 0..n {
                all[k] += all[k + n];
            }
            n /= 2;
        }
        all[0]
    }
}
