//! Memory that is kept from call to call.

use crate::number::Number;

/// Sets the length; numbers that were there stay, new ones are zero.
pub fn resize<T: Number>(array: &mut Vec<T>, n: usize) {
    array.resize(n, T::ZERO);
}

/// What one task works in.
#[derive(Debug, Default)]
pub struct Scratch<T> {
    buffer: Vec<T>,
    /// `x̄` of a block of atoms.
    pub sent_bar: Vec<T>,
}

impl<T: Number> Scratch<T> {
    /// Some numbers of any value.
    pub fn first(&mut self, n: usize) -> &mut [T] {
        if self.buffer.len() < n {
            self.buffer.resize(n, T::ZERO);
        }
        &mut self.buffer[..n]
    }

    /// Two arrays.
    pub fn pair(&mut self, a: usize, b: usize) -> [&mut [T]; 2] {
        self.first(a + b).split_at_mut(a).into()
    }

    /// Four arrays.
    pub fn four(&mut self, [a, b, c, d]: [usize; 4]) -> [&mut [T]; 4] {
        let (a, rest) = self.first(a + b + c + d).split_at_mut(a);
        let (b, rest) = rest.split_at_mut(b);
        let (c, d) = rest.split_at_mut(c);
        [a, b, c, d]
    }
}

/// Derivatives of the energy with respect to lengths and directions of the edges, sorted by source.
#[derive(Debug, Default)]
pub struct EdgeBars<T> {
    /// Shape: `[n_edges]`.
    pub distance: Vec<T>,
    /// Shape: `[n_edges]`.
    pub direction: Vec<[T; 3]>,
}

impl<T: Number> EdgeBars<T> {
    /// All zero.
    pub fn clear(&mut self, n_edges: usize) {
        self.distance.clear();
        self.distance.resize(n_edges, T::ZERO);
        self.direction.clear();
        self.direction.resize(n_edges, [T::ZERO; 3]);
    }
}
