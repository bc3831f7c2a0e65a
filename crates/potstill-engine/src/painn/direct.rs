//! The head of direct forces (sec. 4.3 of the paper).

use potstill_core::Result;
use potstill_kernels::number::Number;

use super::activation::silu;
use super::{Memory, PaiNN};
use crate::dense::{Dense, Parts, padded};
use crate::work::resize;
use potstill_core::model::Weights;

/// A gated equivariant block of the head of direct forces (sec. 4.3 of the paper).
#[derive(Debug)]
pub(super) struct Gated<T> {
    norm_mix: Dense<T>,
    vector_mix: Dense<T>,
    gate_in: Dense<T>,
    gate_out: Dense<T>,
}

/// What one block works in; its results are the last two.
#[derive(Debug, Default)]
pub(super) struct GatedWork<T> {
    squares: Vec<T>,
    input: Vec<T>,
    hidden: Vec<T>,
    activated: Vec<T>,
    gates: Vec<T>,
    scalar: Vec<T>,
    vector: Vec<T>,
}

impl<T: Number> PaiNN<T> {
    /// Normalised forces of the head. Shape: `[n_atoms, 3]`.
    pub(super) fn direct_forces(&self, [first, second]: &[Gated<T>; 2], memory: &mut Memory<T>) -> Vec<T> {
        let [work, last] = &mut memory.head;
        first.forward(&memory.scalar, &memory.vector, self.wide, work);
        second.forward(&work.scalar, &work.vector, padded(self.h / 2), last);
        last.vector.chunks_exact(padded(1)).map(|row| row[0]).collect()
    }
}

impl<T: Number> Gated<T> {
    pub(super) fn read(weights: &mut Weights, name: &str, input: usize, output: usize) -> Result<Self> {
        let (one, out) = (Parts::of(1, input), Parts::of(1, output));
        Ok(Self {
            norm_mix: Dense::read(weights, &format!("{name}.norm_mix"), one, one, false)?,
            vector_mix: Dense::read(weights, &format!("{name}.vector_mix"), one, out, false)?,
            gate_in: Dense::read(weights, &format!("{name}.gate_in"), Parts::of(2, input), one, true)?,
            gate_out: Dense::read(weights, &format!("{name}.gate_out"), one, Parts::of(2, output), true)?,
        })
    }

    /// Shapes: `[n, w]` and `[n, 3, w]` to those of the output.
    fn forward(&self, scalar: &[T], vector: &[T], w: usize, work: &mut GatedWork<T>) {
        let n = scalar.len() / w;
        let out = self.vector_mix.output();
        let GatedWork { squares, input, hidden, activated, gates, scalar: next, vector: mixed } = work;
        for (array, numbers) in [
            (&mut *squares, 3 * n * w),
            (&mut *input, 2 * n * w),
            (&mut *hidden, n * w),
            (&mut *activated, n * w),
            (&mut *gates, 2 * n * out),
            (&mut *next, n * out),
            (&mut *mixed, 3 * n * out),
        ] {
            resize(array, numbers);
        }
        self.norm_mix.forward(vector, squares);
        for ((input, s), q) in
            input.chunks_exact_mut(2 * w).zip(scalar.chunks_exact(w)).zip(squares.chunks_exact(3 * w))
        {
            input[..w].copy_from_slice(s);
            for k in 0..w {
                input[w + k] = (q[k] * q[k] + q[w + k] * q[w + k] + q[2 * w + k] * q[2 * w + k]).root();
            }
        }
        self.gate_in.forward(input, hidden);
        silu(hidden, activated);
        self.gate_out.forward(activated, gates);
        self.vector_mix.forward(vector, mixed);
        for ((gates, mixed), next) in
            gates.chunks_exact(2 * out).zip(mixed.chunks_exact_mut(3 * out)).zip(next.chunks_exact_mut(out))
        {
            silu(&gates[..out], next);
            for component in mixed.chunks_exact_mut(out) {
                component.iter_mut().zip(&gates[out..]).for_each(|(v, &gate)| *v *= gate);
            }
        }
    }
}
