//! Buffers reused between calls.

use potstill_kernels::Number;

/// Sets the length of an array; old numbers stay, new ones are zero.
pub fn resize<T: Number>(array: &mut Vec<T>, n: usize) {
    array.resize(n, T::ZERO);
}

/// Scratch memory of one task.
#[derive(Debug, Default)]
pub struct Scratch<T>(Vec<T>);

impl<T: Number> Scratch<T> {
    /// Arrays of any content.
    pub fn arrays<const N: usize>(&mut self, lengths: [usize; N]) -> [&mut [T]; N] {
        let total = lengths.iter().sum();
        if self.0.len() < total {
            self.0.resize(total, T::ZERO);
        }
        let mut rest = &mut self.0[..];
        lengths.map(|n| {
            let (own, others) = std::mem::take(&mut rest).split_at_mut(n);
            rest = others;
            own
        })
    }
}

/// Buffers of a task for the edges of a block of atoms.
#[derive(Debug, Default)]
pub struct EdgeBuffers<T> {
    /// Exact filters of the edges, where there is no table.
    pub exact: Vec<T>,
    /// Sums over channels that are not complete.
    pub partial: Vec<T>,
}

/// Gradients of the energy with respect to lengths and directions of the edges of a list.
#[derive(Debug, Default)]
pub struct EdgeGradients<T> {
    /// Shape: `[n_edges]`.
    pub distance: Vec<T>,
    /// Shape: `[n_edges]`, or empty.
    pub direction: Vec<[T; 3]>,
}

impl<T: Number> EdgeGradients<T> {
    /// Sets all to zero; no directions where lengths are all that the energy depends on.
    pub fn clear(&mut self, n_edges: usize, has_directions: bool) {
        self.distance.clear();
        self.distance.resize(n_edges, T::ZERO);
        self.direction.clear();
        self.direction.resize(if has_directions { n_edges } else { 0 }, [T::ZERO; 3]);
    }
}
