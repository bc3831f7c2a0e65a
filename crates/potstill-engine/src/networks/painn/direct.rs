//! The head of direct forces: two gated equivariant blocks (sec. 4.3 of the paper).

use potstill_core::Result;
use potstill_core::model::Weights;
use potstill_kernels::Number;
use potstill_kernels::activation::scaled_silu;
use potstill_kernels::dense::{Dense, Parts};
use potstill_kernels::rows::padded;

use super::PaiNN;
use super::buffers::Buffers;
use crate::buffers::resize;
use crate::weights::dense;

/// Gated equivariant block.
#[derive(Debug)]
pub(super) struct GatedBlock<T> {
    norm_mix: Dense<T>,
    vector_mix: Dense<T>,
    gate_in: Dense<T>,
    gate_out: Dense<T>,
}

/// Buffers of one block; its results are the last two.
#[derive(Debug, Default)]
pub struct GatedBuffers<T> {
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
    pub(super) fn direct_forces(&self, [first, second]: &[GatedBlock<T>; 2], buffers: &mut Buffers<T>) -> Vec<[T; 3]> {
        let [middle, last] = &mut buffers.head;
        first.forward(&buffers.scalar, &buffers.vector, self.wide, middle);
        second.forward(&middle.scalar, &middle.vector, padded(self.h / 2), last);
        let one = padded(1);
        last.vector.chunks_exact(3 * one).map(|rows| [rows[0], rows[one], rows[2 * one]]).collect()
    }
}

impl<T: Number> GatedBlock<T> {
    /// Block of that name, from `input` to `output` channels.
    pub fn new(weights: &mut Weights, name: &str, input: usize, output: usize) -> Result<Self> {
        let (one, out) = (Parts::of(1, input), Parts::of(1, output));
        Ok(Self {
            norm_mix: dense(weights, &format!("{name}.norm_mix"), one, one, false)?,
            vector_mix: dense(weights, &format!("{name}.vector_mix"), one, out, false)?,
            gate_in: dense(weights, &format!("{name}.gate_in"), Parts::of(2, input), one, true)?,
            gate_out: dense(weights, &format!("{name}.gate_out"), one, Parts::of(2, output), true)?,
        })
    }

    /// Scalars and vectors after the block. Shapes: `[n, w]` and `[n, 3, w]` to those of the output.
    fn forward(&self, scalar: &[T], vector: &[T], w: usize, buffers: &mut GatedBuffers<T>) {
        let out = self.vector_mix.output();
        buffers.resize(scalar.len() / w, w, out);
        let GatedBuffers { squares, input, hidden, activated, gates, scalar: next, vector: mixed } = buffers;
        self.norm_mix.forward(vector, squares);
        let atoms = scalar.chunks_exact(w).zip(squares.chunks_exact(3 * w));
        for (input, (s, q)) in input.chunks_exact_mut(2 * w).zip(atoms) {
            input[..w].copy_from_slice(s);
            for k in 0..w {
                input[w + k] = (q[k] * q[k] + q[w + k] * q[w + k] + q[2 * w + k] * q[2 * w + k]).root();
            }
        }
        self.gate_in.forward(input, hidden);
        scaled_silu(hidden, activated);
        self.gate_out.forward(activated, gates);
        self.vector_mix.forward(vector, mixed);
        let results = mixed.chunks_exact_mut(3 * out).zip(next.chunks_exact_mut(out));
        for (gates, (mixed, next)) in gates.chunks_exact(2 * out).zip(results) {
            scaled_silu(&gates[..out], next);
            for component in mixed.chunks_exact_mut(out) {
                component.iter_mut().zip(&gates[out..]).for_each(|(v, &gate)| *v *= gate);
            }
        }
    }
}

impl<T: Number> GatedBuffers<T> {
    /// Sets the lengths for `n` atoms, with rows of width `w` and results of width `out`.
    fn resize(&mut self, n: usize, w: usize, out: usize) {
        for (array, width) in [
            (&mut self.squares, 3 * w),
            (&mut self.input, 2 * w),
            (&mut self.hidden, w),
            (&mut self.activated, w),
            (&mut self.gates, 2 * out),
            (&mut self.scalar, out),
            (&mut self.vector, 3 * out),
        ] {
            resize(array, n * width);
        }
    }
}
