//! Memory that is kept from call to call.

use std::ops::Range;

use crate::tasks::cut;
use potstill_kernels::filters::RowBuffers;
use potstill_kernels::number::Number;

/// Sets the length; numbers that were there stay, new ones are zero.
pub fn resize<T: Number>(array: &mut Vec<T>, n: usize) {
    array.resize(n, T::ZERO);
}

/// What one task works in.
#[derive(Debug, Default)]
pub struct Scratch<T> {
    buffer: Vec<T>,
    /// Filters of the edges of a block of atoms.
    pub rows: RowBuffers<T>,
    /// Sums over edges that are not complete.
    pub partial: Vec<T>,
    /// `x̄` of a block of atoms.
    pub sent_bar: Vec<T>,
    /// What is not kept of a block of atoms.
    pub message: MessageKept<T>,
    /// The same of its update.
    pub update: UpdateKept<T>,
}

/// What the way back reads of PaiNN's message besides its input: `W₁ norm(s) + b₁` and `x`.
#[derive(Debug, Default)]
pub struct MessageKept<T> {
    /// Shape: `[n, h]`.
    pub hidden: Vec<T>,
    /// Shape: `[n, 3h]`.
    pub sent: Vec<T>,
}

/// What it reads of PaiNN's update besides its input: `p, q` of each component, `‖q‖`, the argument of the second σ, `γ`.
#[derive(Debug, Default)]
pub struct UpdateKept<T> {
    mixed: Vec<T>,
    norm: Vec<T>,
    hidden: Vec<T>,
    gates: Vec<T>,
}

/// That of some atoms, to be written.
#[derive(Debug)]
pub struct UpdateView<'a, T> {
    /// Shape: `[m, 3, 2h]`.
    pub mixed: &'a mut [T],
    /// Shape: `[m, h]`.
    pub norm: &'a mut [T],
    /// Shape: `[m, h]`.
    pub hidden: &'a mut [T],
    /// Shape: `[m, 3h]`.
    pub gates: &'a mut [T],
}

/// That of some atoms, to be read; shapes as in [`UpdateView`].
#[derive(Debug)]
pub struct UpdateRead<'a, T> {
    /// See [`UpdateView`].
    pub mixed: &'a [T],
    /// See [`UpdateView`].
    pub norm: &'a [T],
    /// See [`UpdateView`].
    pub hidden: &'a [T],
    /// See [`UpdateView`].
    pub gates: &'a [T],
}

impl<T: Number> UpdateKept<T> {
    /// Room for `n` atoms with rows of width `w`.
    pub fn resize(&mut self, n: usize, w: usize) {
        resize(&mut self.mixed, 6 * n * w);
        resize(&mut self.norm, n * w);
        resize(&mut self.hidden, n * w);
        resize(&mut self.gates, 3 * n * w);
    }

    /// All of it.
    pub fn view(&mut self) -> UpdateView<'_, T> {
        UpdateView { mixed: &mut self.mixed, norm: &mut self.norm, hidden: &mut self.hidden, gates: &mut self.gates }
    }

    /// That of each task; empty where nothing is kept.
    pub fn cut(&mut self, tasks: &[Range<usize>], w: usize) -> Vec<UpdateView<'_, T>> {
        let w = if self.norm.is_empty() { 0 } else { w };
        cut(&mut self.mixed, tasks, 6 * w)
            .into_iter()
            .zip(cut(&mut self.norm, tasks, w))
            .zip(cut(&mut self.hidden, tasks, w))
            .zip(cut(&mut self.gates, tasks, 3 * w))
            .map(|(((mixed, norm), hidden), gates)| UpdateView { mixed, norm, hidden, gates })
            .collect()
    }

    /// That of some atoms.
    pub fn read(&self, atoms: Range<usize>, w: usize) -> UpdateRead<'_, T> {
        let of = |parts: usize| parts * w * atoms.start..parts * w * atoms.end;
        UpdateRead {
            mixed: &self.mixed[of(6)],
            norm: &self.norm[of(1)],
            hidden: &self.hidden[of(1)],
            gates: &self.gates[of(3)],
        }
    }
}

impl<T> UpdateView<'_, T> {
    /// That of some of the atoms.
    pub fn block(&mut self, atoms: Range<usize>, w: usize) -> UpdateView<'_, T> {
        let of = |parts: usize| parts * w * atoms.start..parts * w * atoms.end;
        UpdateView {
            mixed: &mut self.mixed[of(6)],
            norm: &mut self.norm[of(1)],
            hidden: &mut self.hidden[of(1)],
            gates: &mut self.gates[of(3)],
        }
    }
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

    /// Three arrays.
    pub fn three(&mut self, [a, b, c]: [usize; 3]) -> [&mut [T]; 3] {
        let [a, b, c, _] = self.four([a, b, c, 0]);
        [a, b, c]
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
    /// Shape: `[n_edges]`, or empty.
    pub direction: Vec<[T; 3]>,
}

impl<T: Number> EdgeBars<T> {
    /// All zero; no directions where lengths are all that the energy depends on.
    pub fn clear(&mut self, n_edges: usize, has_directions: bool) {
        self.distance.clear();
        self.distance.resize(n_edges, T::ZERO);
        self.direction.clear();
        self.direction.resize(if has_directions { n_edges } else { 0 }, [T::ZERO; 3]);
    }
}
