//! From features to features: messages and updates.

use std::f64::consts::FRAC_1_SQRT_2;
use std::ops::Range;

use potstill_kernels::activation::scaled_silu;
use potstill_kernels::number::{Number, dispatch, vectorized};
use potstill_kernels::painn::MessageSum;

use super::two;
use super::{BLOCK, Kept, Layer, Memory, NORM_EPSILON, PaiNN};
use crate::pairs::Pairs;
use crate::tasks::{cut, run};
use crate::work::{MessageKept, Scratch, UpdateView};

impl<T: Number> PaiNN<T> {
    /// `x` of every atom.
    pub(super) fn send(
        &self,
        layer: usize,
        tasks: &[Range<usize>],
        scratch: &mut [Scratch<T>],
        memory: &mut Memory<T>,
    ) {
        let (w, weights) = (self.wide, &self.layers[layer]);
        let Memory { layers, sent: shared, .. } = memory;
        let Kept { scalar, message: MessageKept { hidden, sent }, .. } = &mut layers[layer];
        let scalar = &*scalar;
        let is_lean = sent.is_empty();
        let sent = if is_lean { shared } else { sent };
        let hidden_width = if is_lean { 0 } else { w };
        let parts: Vec<_> =
            tasks.iter().zip(scratch).zip(cut(hidden, tasks, hidden_width)).zip(cut(sent, tasks, 3 * w)).collect();
        run(parts, |(((task, scratch), hidden), sent)| {
            let scalar = &scalar[task.start * w..task.end * w];
            let blocks = scalar.chunks(BLOCK * w).zip(sent.chunks_mut(3 * BLOCK * w));
            for (b, (scalar, sent)) in blocks.enumerate() {
                let [own, normalized, activated] = scratch.three([scalar.len(); 3]);
                let hidden = match is_lean {
                    true => own,
                    false => &mut hidden[b * BLOCK * w..][..scalar.len()],
                };
                self.send_block(weights, scalar, hidden, sent, [normalized, activated]);
            }
        });
    }

    /// The same for some atoms.
    pub(super) fn send_block(
        &self,
        weights: &Layer<T>,
        scalar: &[T],
        hidden: &mut [T],
        sent: &mut [T],
        [normalized, activated]: [&mut [T]; 2],
    ) {
        weights.norm.forward(scalar, normalized);
        weights.scalar_in.forward(normalized, hidden);
        scaled_silu(hidden, activated);
        weights.scalar_out.forward(activated, sent);
    }

    /// Message and update of a layer.
    pub(super) fn receive(
        &self,
        layer: usize,
        pairs: &Pairs<T>,
        tasks: &[Range<usize>],
        scratch: &mut [Scratch<T>],
        memory: &mut Memory<T>,
    ) {
        let (w, weights) = (self.wide, &self.layers[layer]);
        let Memory { layers, sent: shared, scalar: last_scalar, vector: last_vector, .. } = memory;
        let (lower, upper) = layers.split_at_mut(layer + 1);
        let Some(kept) = lower.last_mut() else { return };
        let (next_scalar, next_vector) = match upper.first_mut() {
            Some(next) => (&mut next.scalar, &mut next.vector),
            None => (last_scalar, last_vector),
        };
        let Kept { scalar, vector, middle_scalar, middle_vector, message, update } = kept;
        let is_lean = message.sent.is_empty();
        let (scalar, vector, sent) = (&*scalar, &*vector, if is_lean { &*shared } else { &*message.sent });
        let middle_width = if is_lean { w } else { 0 };
        let parts: Vec<_> = tasks
            .iter()
            .zip(scratch)
            .zip(cut(next_scalar, tasks, w))
            .zip(cut(next_vector, tasks, 3 * w))
            .zip(cut(middle_scalar, tasks, middle_width))
            .zip(cut(middle_vector, tasks, 3 * middle_width))
            .zip(update.cut(tasks, w))
            .collect();
        run(parts, |((((((task, scratch), s), v), middle_scalar), middle_vector), mut update)| {
            let (mut own, mut rows) = (std::mem::take(&mut scratch.update), std::mem::take(&mut scratch.rows));
            let blocks = s.chunks_mut(BLOCK * w).zip(v.chunks_mut(3 * BLOCK * w));
            for (b, (s, v)) in blocks.enumerate() {
                let start = task.start + b * BLOCK;
                let m = s.len() / w;
                let atoms = start..start + m;
                let filters = weights.filters.rows(&pairs.into.distance[pairs.into.edges_of(atoms.clone())], &mut rows);
                dispatch(MessageSum {
                    filters,
                    edges: pairs.into.view(),
                    atoms,
                    sent,
                    vector,
                    scalar,
                    width: w,
                    scalar_out: &mut *s,
                    vector_out: &mut *v,
                });
                let mut view = match is_lean {
                    true => {
                        middle_scalar[b * BLOCK * w..][..s.len()].copy_from_slice(s);
                        middle_vector[3 * b * BLOCK * w..][..v.len()].copy_from_slice(v);
                        own.resize(m, w);
                        own.view()
                    }
                    false => update.block(b * BLOCK..b * BLOCK + m, w),
                };
                self.update_block(weights, s, v, &mut view, scratch);
                self.update(weights.scale, view.mixed, view.gates, s, v);
            }
            (scratch.update, scratch.rows) = (own, rows);
        });
    }

    /// All of the update up to `γ`, for some atoms.
    pub(super) fn update_block(
        &self,
        weights: &Layer<T>,
        s: &[T],
        v: &[T],
        view: &mut UpdateView<'_, T>,
        scratch: &mut Scratch<T>,
    ) {
        weights.vector_mix.forward(v, view.mixed);
        let [input, activated] = scratch.pair(2 * s.len(), s.len());
        self.norms(s, view.mixed, view.norm, input);
        weights.gate_in.forward(input, view.hidden);
        scaled_silu(view.hidden, activated);
        weights.gate_out.forward(activated, view.gates);
    }

    /// `‖q‖`, and the input of the gate: `[s̃, ‖q‖]`.
    pub(super) fn norms(&self, s: &[T], mixed: &[T], norm: &mut [T], input: &mut [T]) {
        let w = self.wide;
        let epsilon = T::of(NORM_EPSILON);
        vectorized(
            #[inline(always)]
            || {
                let rows = s.chunks_exact(w).zip(mixed.chunks_exact(6 * w));
                let out = norm.chunks_exact_mut(w).zip(input.chunks_exact_mut(2 * w));
                for ((s, mixed), (norm, input)) in rows.zip(out) {
                    // Three components of p and q, one after the other.
                    let (x, y, z) = (&mixed[w..2 * w], &mixed[3 * w..4 * w], &mixed[5 * w..6 * w]);
                    for (((n, &x), &y), &z) in norm.iter_mut().zip(x).zip(y).zip(z) {
                        *n = x.times_plus(x, y.times_plus(y, z.times_plus(z, epsilon))).root();
                    }
                    let (left, right) = input.split_at_mut(w);
                    left.copy_from_slice(s);
                    right.copy_from_slice(norm);
                }
            },
        );
    }

    /// From `s̃`, `ṽ` to `s`, `v`.
    pub(super) fn update(&self, scale: T, mixed: &[T], gates: &[T], s: &mut [T], v: &mut [T]) {
        let w = self.wide;
        let (half, root) = (T::of(FRAC_1_SQRT_2), T::of(1.0 / (self.h as f64).sqrt()));
        vectorized(
            #[inline(always)]
            || {
                let rows = s.chunks_exact_mut(w).zip(v.chunks_exact_mut(3 * w));
                for ((s, v), (mixed, gates)) in rows.zip(mixed.chunks_exact(6 * w).zip(gates.chunks_exact(3 * w))) {
                    let (g0, rest) = gates.split_at(w);
                    let (g1, g2) = rest.split_at(w);
                    let (px, qx, rest) = two(mixed, w);
                    let (py, qy, rest) = two(rest, w);
                    let (pz, qz, _) = two(rest, w);
                    for k in 0..w {
                        let dot = px[k].times_plus(qx[k], py[k].times_plus(qy[k], pz[k] * qz[k])) * root;
                        s[k] = (g1[k].times_plus(dot, g0[k])).times_plus(half, s[k]) * scale;
                    }
                    let (vx, rest) = v.split_at_mut(w);
                    let (vy, vz) = rest.split_at_mut(w);
                    for k in 0..w {
                        vx[k] = px[k].times_plus(g2[k], vx[k]);
                        vy[k] = py[k].times_plus(g2[k], vy[k]);
                        vz[k] = pz[k].times_plus(g2[k], vz[k]);
                    }
                }
            },
        );
    }
}
