//! The head of direct forces (sec. 4.3 of the paper).

use potstill_core::Result;
use potstill_core::number::Number;

use super::activation::silu;
use super::{Memory, PaiNN};
use crate::checkpoint::Weights;
use crate::dense::{Dense, Parts, padded};

/// A gated equivariant block of the head of direct forces (sec. 4.3 of the paper).
#[derive(Debug)]
pub(super) struct Gated<T> {
    norm_mix: Dense<T>,
    vector_mix: Dense<T>,
    gate_in: Dense<T>,
    gate_out: Dense<T>,
}

impl<T: Number> PaiNN<T> {
    /// Normalised forces of the head. Shape: `[n_atoms, 3]`.
    pub(super) fn direct_forces(&self, [first, second]: &[Gated<T>; 2], memory: &Memory<T>) -> Vec<T> {
        let (scalar, vector) = first.forward(&memory.scalar, &memory.vector, self.wide);
        let (_, vector) = second.forward(&scalar, &vector, padded(self.h / 2));
        vector.chunks_exact(padded(1)).map(|row| row[0]).collect()
    }
}

impl<T: Number> Gated<T> {
    pub(super) fn read(weights: &mut Weights, name: &str, input: usize, output: usize) -> Result<Self> {
        let (one, out) = (Parts(1, input), Parts(1, output));
        Ok(Self {
            norm_mix: Dense::read(weights, &format!("{name}.norm_mix"), one, one, false)?,
            vector_mix: Dense::read(weights, &format!("{name}.vector_mix"), one, out, false)?,
            gate_in: Dense::read(weights, &format!("{name}.gate_in"), Parts(2, input), one, true)?,
            gate_out: Dense::read(weights, &format!("{name}.gate_out"), one, Parts(2, output), true)?,
        })
    }

    /// Shapes: `[n, w]` and `[n, 3, w]` to those of the output.
    pub(super) fn forward(&self, scalar: &[T], vector: &[T], w: usize) -> (Vec<T>, Vec<T>) {
        let n = scalar.len() / w;
        let out = self.vector_mix.output();
        let (mut squares, mut input) = (vec![T::ZERO; 3 * n * w], vec![T::ZERO; 2 * n * w]);
        self.norm_mix.forward(vector, &mut squares);
        for ((input, s), q) in
            input.chunks_exact_mut(2 * w).zip(scalar.chunks_exact(w)).zip(squares.chunks_exact(3 * w))
        {
            input[..w].copy_from_slice(s);
            for k in 0..w {
                input[w + k] = (q[k] * q[k] + q[w + k] * q[w + k] + q[2 * w + k] * q[2 * w + k]).root();
            }
        }
        let (mut hidden, mut gates) = (vec![T::ZERO; n * w], vec![T::ZERO; 2 * n * out]);
        self.gate_in.forward(&input, &mut hidden);
        let mut activated = vec![T::ZERO; hidden.len()];
        silu(&hidden, &mut activated);
        self.gate_out.forward(&activated, &mut gates);
        let mut mixed = vec![T::ZERO; 3 * n * out];
        self.vector_mix.forward(vector, &mut mixed);
        let mut next = vec![T::ZERO; n * out];
        for ((gates, mixed), next) in
            gates.chunks_exact(2 * out).zip(mixed.chunks_exact_mut(3 * out)).zip(next.chunks_exact_mut(out))
        {
            silu(&gates[..out], next);
            for component in mixed.chunks_exact_mut(out) {
                component.iter_mut().zip(&gates[out..]).for_each(|(v, &gate)| *v *= gate);
            }
        }
        (next, mixed)
    }
}
