//! From the energies back to the edges.

use std::f64::consts::FRAC_1_SQRT_2;
use std::ops::Range;

use potstill_kernels::activation::scaled_silu_adjoint;
use potstill_kernels::number::{Number, dispatch, vectorized};
use potstill_kernels::painn::{EdgeGradients, MessageAdjoint};
use potstill_kernels::rows::add;

use super::two;
use super::{BLOCK, Bars, Kept, Layer, Memory, PaiNN};
use crate::pairs::Pairs;
use crate::tasks::{cut, cut_edges, run};
use crate::work::{EdgeBars, MessageKept, Scratch, UpdateRead, resize};

impl<T: Number> PaiNN<T> {
    /// From the energies back to the edges.
    pub(super) fn backward(
        &self,
        pairs: &Pairs<T>,
        tasks: &[Range<usize>],
        scratch: &mut [Scratch<T>],
        memory: &mut Memory<T>,
        bars: &mut EdgeBars<T>,
    ) {
        let w = self.wide;
        let n = memory.scalar.len() / w;
        for bars in &mut memory.bars {
            resize(&mut bars.scalar, n * w);
            resize(&mut bars.vector, 3 * n * w);
        }
        bars.clear(pairs.len(), true);
        let Memory { layers, energy_hidden, bars: [mine, others], .. } = memory;
        let (mut mine, mut others) = (mine, others);
        for layer in (0..layers.len()).rev() {
            let is_last = layer + 1 == layers.len();
            let (kept, above) = (&layers[layer], layers.get(layer + 1));
            let parts: Vec<_> = tasks
                .iter()
                .zip(scratch.iter_mut())
                .zip(cut(&mut mine.scalar, tasks, w))
                .zip(cut(&mut mine.vector, tasks, 3 * w))
                .zip(cut_edges(&mut bars.distance, tasks, &pairs.out_of().first))
                .zip(cut_edges(&mut bars.direction, tasks, &pairs.out_of().first))
                .collect();
            let (hidden, others_now) = (&*energy_hidden, &*others);
            run(parts, |(((((task, scratch), s_bar), v_bar), distance), direction)| {
                let blocks = s_bar.chunks_mut(BLOCK * w).zip(v_bar.chunks_mut(3 * BLOCK * w));
                for (b, (s_bar, v_bar)) in blocks.enumerate() {
                    let start = task.start + b * BLOCK;
                    let atoms = start..start + s_bar.len() / w;
                    match above {
                        None => {
                            self.energy_adjoint(hidden, atoms.clone(), scratch, s_bar);
                            v_bar.fill(T::ZERO);
                        }
                        Some(above) => {
                            let edges = pairs.out_of().edges_of(atoms.clone());
                            let offset = pairs.out_of().first[task.start];
                            let own = edges.start - offset..edges.end - offset;
                            let weights = &self.layers[layer + 1];
                            self.message_adjoint(
                                weights,
                                above,
                                pairs,
                                atoms.clone(),
                                others_now,
                                scratch,
                                (s_bar, v_bar),
                                (&mut distance[own.clone()], &mut direction[own]),
                            );
                        }
                    }
                    self.update_adjoint(&self.layers[layer], kept, atoms, is_last, scratch, s_bar, v_bar);
                }
            });
            std::mem::swap(&mut mine, &mut others);
        }
        // The first message: nothing before it depends on positions, but its edges do.
        let Some(first) = layers.first() else { return };
        let parts: Vec<_> = tasks
            .iter()
            .zip(scratch.iter_mut())
            .zip(cut_edges(&mut bars.distance, tasks, &pairs.out_of().first))
            .zip(cut_edges(&mut bars.direction, tasks, &pairs.out_of().first))
            .collect();
        let (weights, others_now) = (&self.layers[0], &*others);
        run(parts, |(((task, scratch), distance), direction)| {
            let fan = pairs.out_of();
            let (mut again, mut rows) = (std::mem::take(&mut scratch.message), std::mem::take(&mut scratch.rows));
            for start in task.clone().step_by(BLOCK) {
                let atoms = start..(start + BLOCK).min(task.end);
                let [_, sent] = self.message_of(weights, first, atoms.clone(), &mut again, scratch);
                let edges = fan.edges_of(atoms.clone());
                let own = edges.start - fan.first[task.start]..edges.end - fan.first[task.start];
                dispatch(MessageAdjoint::<_, _, true> {
                    filters: weights.filters.rows(&fan.distance[edges], &mut rows),
                    edges: fan.view(),
                    atoms,
                    sent,
                    vector: &[],
                    scalar_gradient: &others_now.scalar,
                    vector_gradient: &others_now.vector,
                    width: w,
                    sent_out: &mut [],
                    vector_out: &mut [],
                    has_input: false,
                    geometry: EdgeGradients {
                        distance: &mut distance[own.clone()],
                        direction: &mut direction[own],
                        partial: &mut scratch.partial,
                    },
                });
            }
            (scratch.message, scratch.rows) = (again, rows);
        });
    }

    /// `s̄` of the last layer.
    pub(super) fn energy_adjoint(&self, hidden: &[T], atoms: Range<usize>, scratch: &mut Scratch<T>, s_bar: &mut [T]) {
        let (half, one) = (self.energy_in.output(), self.energy_out.output());
        let hidden = &hidden[atoms.start * half..atoms.end * half];
        let [ones, hidden_bar] = scratch.pair(atoms.len() * one, hidden.len());
        ones.chunks_exact_mut(one).for_each(|row| {
            row.fill(T::ZERO);
            row[0] = T::ONE;
        });
        self.energy_out.adjoint(ones, hidden_bar);
        scaled_silu_adjoint(hidden, hidden_bar);
        self.energy_in.adjoint(hidden_bar, s_bar);
    }

    /// Turns `s̄`, `v̄` of a layer's output into `s̃̄ / √2` and `ṽ̄`, in place.
    pub(super) fn update_adjoint(
        &self,
        weights: &Layer<T>,
        kept: &Kept<T>,
        atoms: Range<usize>,
        is_last: bool,
        scratch: &mut Scratch<T>,
        s_bar: &mut [T],
        v_bar: &mut [T],
    ) {
        let w = self.wide;
        let m = atoms.len();
        let (half, root) = (T::of(FRAC_1_SQRT_2), T::of(1.0 / (self.h as f64).sqrt()));
        let mut own = std::mem::take(&mut scratch.update);
        let UpdateRead { mixed, norm, hidden: gate_hidden, gates } = match kept.middle_scalar.is_empty() {
            true => kept.update.read(atoms, w),
            false => {
                own.resize(m, w);
                let s = &kept.middle_scalar[atoms.start * w..atoms.end * w];
                let v = &kept.middle_vector[3 * atoms.start * w..3 * atoms.end * w];
                self.update_block(weights, s, v, &mut own.view(), scratch);
                own.read(0..m, w)
            }
        };
        let [gates_bar, hidden_bar, input_bar, mixed_bar] = scratch.four([3 * m * w, m * w, 2 * m * w, 6 * m * w]);
        vectorized(
            #[inline(always)]
            || {
                let rows =
                    s_bar.chunks_exact_mut(w).zip(v_bar.chunks_exact(3 * w)).zip(gates_bar.chunks_exact_mut(3 * w));
                for (((s_bar, v_bar), gates_bar), mixed) in rows.zip(mixed.chunks_exact(6 * w)) {
                    let (px, qx, rest) = two(mixed, w);
                    let (py, qy, rest) = two(rest, w);
                    let (pz, qz, _) = two(rest, w);
                    let (b0, rest) = gates_bar.split_at_mut(w);
                    let (b1, b2) = rest.split_at_mut(w);
                    let (vx, rest) = v_bar.split_at(w);
                    let (vy, vz) = rest.split_at(w);
                    for k in 0..w {
                        let dot = px[k].times_plus(qx[k], py[k].times_plus(qy[k], pz[k] * qz[k])) * root;
                        s_bar[k] *= weights.scale;
                        let change = s_bar[k] * half;
                        (b0[k], b1[k]) = (change, change * dot);
                        b2[k] = px[k].times_plus(vx[k], py[k].times_plus(vy[k], pz[k] * vz[k]));
                    }
                }
            },
        );
        weights.gate_out.adjoint(gates_bar, hidden_bar);
        scaled_silu_adjoint(gate_hidden, hidden_bar);
        weights.gate_in.adjoint(hidden_bar, input_bar);
        vectorized(
            #[inline(always)]
            || {
                let rows =
                    s_bar.chunks_exact_mut(w).zip(v_bar.chunks_exact(3 * w)).zip(mixed_bar.chunks_exact_mut(6 * w));
                let kept = mixed.chunks_exact(6 * w).zip(gates.chunks_exact(3 * w)).zip(norm.chunks_exact(w));
                for ((((s_bar, v_bar), mixed_bar), ((mixed, gates), norm)), input_bar) in
                    rows.zip(kept).zip(input_bar.chunks_exact(2 * w))
                {
                    let (g1, g2) = (&gates[w..2 * w], &gates[2 * w..3 * w]);
                    let (through, norm_bar) = input_bar.split_at(w);
                    for x in 0..3 {
                        let (p, q) = mixed[2 * x * w..2 * (x + 1) * w].split_at(w);
                        let (p_bar, q_bar) = mixed_bar[2 * x * w..2 * (x + 1) * w].split_at_mut(w);
                        let v = &v_bar[x * w..(x + 1) * w];
                        for k in 0..w {
                            let dot_bar = s_bar[k] * half * g1[k] * root;
                            p_bar[k] = q[k].times_plus(dot_bar, v[k] * g2[k]);
                            q_bar[k] = p[k].times_plus(dot_bar, q[k] * (norm_bar[k] / norm[k]));
                        }
                    }
                    for (s, &t) in s_bar.iter_mut().zip(through) {
                        *s = (*s + t) * half;
                    }
                }
            },
        );
        let through = &mut gates_bar[..3 * m * w];
        weights.vector_mix.adjoint(mixed_bar, through);
        match is_last {
            true => v_bar.copy_from_slice(through),
            false => vectorized(
                #[inline(always)]
                || add(v_bar, through),
            ),
        }
        scratch.update = own;
    }

    /// `W₁ norm(s) + b₁` and `x` of some atoms: kept, or computed anew.
    pub(super) fn message_of<'a>(
        &self,
        weights: &Layer<T>,
        kept: &'a Kept<T>,
        atoms: Range<usize>,
        again: &'a mut MessageKept<T>,
        scratch: &mut Scratch<T>,
    ) -> [&'a [T]; 2] {
        let w = self.wide;
        let MessageKept { hidden, sent } = &kept.message;
        if !sent.is_empty() {
            return [&hidden[atoms.start * w..atoms.end * w], &sent[3 * atoms.start * w..3 * atoms.end * w]];
        }
        let scalar = &kept.scalar[atoms.start * w..atoms.end * w];
        resize(&mut again.hidden, scalar.len());
        resize(&mut again.sent, 3 * scalar.len());
        let work = scratch.pair(scalar.len(), scalar.len());
        self.send_block(weights, scalar, &mut again.hidden, &mut again.sent, work);
        [&again.hidden, &again.sent]
    }

    /// `s̄`, `v̄` of a layer's input, given `s̃̄ / √2` and `ṽ̄` of all atoms; and what its edges get.
    pub(super) fn message_adjoint(
        &self,
        weights: &Layer<T>,
        kept: &Kept<T>,
        pairs: &Pairs<T>,
        atoms: Range<usize>,
        bars: &Bars<T>,
        scratch: &mut Scratch<T>,
        (s_bar, v_bar): (&mut [T], &mut [T]),
        (distance, direction): (&mut [T], &mut [[T; 3]]),
    ) {
        let w = self.wide;
        let m = atoms.len();
        let mut sent_bar = std::mem::take(&mut scratch.sent_bar);
        let mut again = std::mem::take(&mut scratch.message);
        resize(&mut sent_bar, 3 * m * w);
        let [hidden, sent] = self.message_of(weights, kept, atoms.clone(), &mut again, scratch);
        let fan = pairs.out_of();
        let mut rows = std::mem::take(&mut scratch.rows);
        let filters = weights.filters.rows(&fan.distance[fan.edges_of(atoms.clone())], &mut rows);
        dispatch(MessageAdjoint::<_, _, true> {
            filters,
            edges: fan.view(),
            atoms: atoms.clone(),
            sent,
            vector: &kept.vector[3 * atoms.start * w..3 * atoms.end * w],
            scalar_gradient: &bars.scalar,
            vector_gradient: &bars.vector,
            width: w,
            sent_out: &mut sent_bar,
            vector_out: &mut *v_bar,
            has_input: true,
            geometry: EdgeGradients { distance, direction, partial: &mut scratch.partial },
        });
        scratch.rows = rows;
        let [hidden_bar, normalized_bar] = scratch.pair(m * w, m * w);
        weights.scalar_out.adjoint(&sent_bar, hidden_bar);
        scaled_silu_adjoint(hidden, hidden_bar);
        weights.scalar_in.adjoint(hidden_bar, normalized_bar);
        s_bar.copy_from_slice(&bars.scalar[atoms.start * w..atoms.end * w]);
        let scalar = &kept.scalar[atoms.start * w..atoms.end * w];
        weights.norm.adjoint(scalar, normalized_bar, s_bar);
        scratch.sent_bar = sent_bar;
        scratch.message = again;
    }
}
