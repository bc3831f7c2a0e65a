//! The update of an atom's features, and its adjoint.

use std::f64::consts::FRAC_1_SQRT_2;
use std::ops::Range;

use potstill_kernels::activation::{scaled_silu, scaled_silu_adjoint};
use potstill_kernels::number::{Number, vectorized};
use potstill_kernels::rows::add;

use super::buffers::{Saved, TaskBuffers, UpdateSlices, UpdateSlicesMut};
use super::{Layer, NORM_EPSILON, PaiNN, split, split_mut};
use crate::buffers::Scratch;
use crate::tasks::rows;

/// Gradients of the features of a block of atoms.
pub(super) struct FeatureGradients<'a, T> {
    /// Shape: `[n, h]`.
    pub scalar: &'a mut [T],
    /// Shape: `[n, 3, h]`.
    pub vector: &'a mut [T],
}

impl<T: Number> PaiNN<T> {
    /// `1/√2` and `1/√h`.
    fn factors(&self) -> (T, T) {
        (T::of(FRAC_1_SQRT_2), T::of(1.0 / (self.h as f64).sqrt()))
    }

    /// Computes the activations of the update, up to `γ`, for some atoms with `s̃`, `ṽ`.
    pub(super) fn update_activations(
        &self,
        layer: &Layer<T>,
        s: &[T],
        v: &[T],
        update: &mut UpdateSlicesMut<'_, T>,
        scratch: &mut Scratch<T>,
    ) {
        layer.vector_mix.forward(v, update.mixed);
        let [input, activated] = scratch.arrays([2 * s.len(), s.len()]);
        self.gate_input(s, update, input);
        layer.gate_in.forward(input, update.hidden);
        scaled_silu(update.hidden, activated);
        layer.gate_out.forward(activated, update.gates);
    }

    /// Writes the input of the gate: `[s̃, ‖q‖]`.
    fn gate_input(&self, s: &[T], update: &UpdateSlicesMut<'_, T>, input: &mut [T]) {
        let w = self.wide;
        let mixed = &*update.mixed;
        vectorized(
            #[inline(always)]
            || {
                let atoms = s.chunks_exact(w).zip(mixed.chunks_exact(6 * w));
                for ((s, mixed), input) in atoms.zip(input.chunks_exact_mut(2 * w)) {
                    let [left, right] = split_mut::<2, T>(input, w);
                    left.copy_from_slice(s);
                    let [_, x, _, y, _, z] = split::<6, T>(mixed, w);
                    for (((n, &x), &y), &z) in right.iter_mut().zip(x).zip(y).zip(z) {
                        *n = norm([x, y, z]);
                    }
                }
            },
        );
    }

    /// Turns `s̃`, `ṽ` into `s`, `v`, in place.
    pub(super) fn update(&self, scale: T, update: &UpdateSlicesMut<'_, T>, s: &mut [T], v: &mut [T]) {
        let w = self.wide;
        let (half, root) = self.factors();
        vectorized(
            #[inline(always)]
            || {
                let features = s.chunks_exact_mut(w).zip(v.chunks_exact_mut(3 * w));
                let saved = update.mixed.chunks_exact(6 * w).zip(update.gates.chunks_exact(3 * w));
                for ((s, v), (mixed, gates)) in features.zip(saved) {
                    let [g0, g1, g2] = split::<3, T>(gates, w);
                    let [px, qx, py, qy, pz, qz] = split::<6, T>(mixed, w);
                    for k in 0..w {
                        let dot = px[k].times_plus(qx[k], py[k].times_plus(qy[k], pz[k] * qz[k])) * root;
                        s[k] = (g1[k].times_plus(dot, g0[k])).times_plus(half, s[k]) * scale;
                    }
                    let [vx, vy, vz] = split_mut::<3, T>(v, w);
                    for k in 0..w {
                        vx[k] = px[k].times_plus(g2[k], vx[k]);
                        vy[k] = py[k].times_plus(g2[k], vy[k]);
                        vz[k] = pz[k].times_plus(g2[k], vz[k]);
                    }
                }
            },
        );
    }

    /// Turns the gradients of a layer's output into `s̃̄ / √2` and `ṽ̄`, in place. `is_last`: nothing after the layer reads the vectors.
    pub(super) fn update_adjoint(
        &self,
        layer: &Layer<T>,
        saved: &Saved<T>,
        atoms: &Range<usize>,
        is_last: bool,
        buffers: &mut TaskBuffers<T>,
        gradients: &mut FeatureGradients<'_, T>,
    ) {
        let (w, m) = (self.wide, atoms.len());
        let TaskBuffers { scratch, update: recomputed, .. } = buffers;
        let update = match saved.middle_scalar.is_empty() {
            true => saved.update.read(atoms, w),
            false => {
                recomputed.resize(m, w);
                let (s, v) = (&saved.middle_scalar[rows(atoms, w)], &saved.middle_vector[rows(atoms, 3 * w)]);
                self.update_activations(layer, s, v, &mut recomputed.all(), scratch);
                recomputed.read(&(0..m), w)
            }
        };
        let [gates, hidden, input, mixed] = scratch.arrays([3 * m * w, m * w, 2 * m * w, 6 * m * w]);
        self.gates_adjoint(layer.scale, &update, gradients, gates);
        layer.gate_out.adjoint(gates, hidden);
        scaled_silu_adjoint(update.hidden, hidden);
        layer.gate_in.adjoint(hidden, input);
        self.mixed_adjoint(&update, input, gradients, mixed);
        let through = gates;
        layer.vector_mix.adjoint(mixed, through);
        match is_last {
            true => gradients.vector.copy_from_slice(through),
            false => vectorized(
                #[inline(always)]
                || add(gradients.vector, through),
            ),
        }
    }

    /// Multiplies `s̄` by the scale and writes `γ̄`.
    fn gates_adjoint(
        &self,
        scale: T,
        update: &UpdateSlices<'_, T>,
        gradients: &mut FeatureGradients<'_, T>,
        gates_gradient: &mut [T],
    ) {
        let w = self.wide;
        let (half, root) = self.factors();
        vectorized(
            #[inline(always)]
            || {
                let features = gradients.scalar.chunks_exact_mut(w).zip(gradients.vector.chunks_exact(3 * w));
                let saved = update.mixed.chunks_exact(6 * w).zip(gates_gradient.chunks_exact_mut(3 * w));
                for ((s, v), (mixed, gates)) in features.zip(saved) {
                    let [px, qx, py, qy, pz, qz] = split::<6, T>(mixed, w);
                    let [vx, vy, vz] = split::<3, T>(v, w);
                    let [g0, g1, g2] = split_mut::<3, T>(gates, w);
                    for k in 0..w {
                        let dot = px[k].times_plus(qx[k], py[k].times_plus(qy[k], pz[k] * qz[k])) * root;
                        s[k] *= scale;
                        let change = s[k] * half;
                        (g0[k], g1[k]) = (change, change * dot);
                        g2[k] = px[k].times_plus(vx[k], py[k].times_plus(vy[k], pz[k] * vz[k]));
                    }
                }
            },
        );
    }

    /// Writes `p̄`, `q̄` and adds `s′`, given `[s′, n̄]`, the gradient of the gate's input, which is overwritten.
    fn mixed_adjoint(
        &self,
        update: &UpdateSlices<'_, T>,
        input_gradient: &mut [T],
        gradients: &mut FeatureGradients<'_, T>,
        mixed_gradient: &mut [T],
    ) {
        let w = self.wide;
        vectorized(
            #[inline(always)]
            || {
                let features = gradients.scalar.chunks_exact_mut(w).zip(gradients.vector.chunks_exact(3 * w));
                let own = input_gradient.chunks_exact_mut(2 * w).zip(mixed_gradient.chunks_exact_mut(6 * w));
                for (k, ((s, v), (input, out))) in features.zip(own).enumerate() {
                    let atom = k..k + 1;
                    let atom = UpdateSlices {
                        mixed: &update.mixed[rows(&atom, 6 * w)],
                        hidden: &[],
                        gates: &update.gates[rows(&atom, 3 * w)],
                    };
                    self.atom_mixed_adjoint(&atom, s, v, input, out);
                }
            },
        );
    }

    /// Adjoint of one atom's `p`, `q`, and `s̃̄ / √2`.
    #[inline(always)]
    fn atom_mixed_adjoint(&self, atom: &UpdateSlices<'_, T>, s: &mut [T], v: &[T], input: &mut [T], out: &mut [T]) {
        let w = self.wide;
        let (half, root) = self.factors();
        let [_, g1, g2] = split::<3, T>(atom.gates, w);
        let [through, norm_gradient] = split_mut::<2, T>(input, w);
        let [_, x, _, y, _, z] = split::<6, T>(atom.mixed, w);
        for (((gradient, &x), &y), &z) in norm_gradient.iter_mut().zip(x).zip(y).zip(z) {
            *gradient = *gradient / norm([x, y, z]);
        }
        let s = &mut s[..w];
        let components = atom.mixed.chunks_exact(2 * w).zip(v.chunks_exact(w)).zip(out.chunks_exact_mut(2 * w));
        for ((mixed, v), out) in components {
            let [p, q] = split::<2, T>(mixed, w);
            let [p_gradient, q_gradient] = split_mut::<2, T>(out, w);
            let v = &v[..w];
            for k in 0..w {
                let dot_gradient = s[k] * half * g1[k] * root;
                p_gradient[k] = q[k].times_plus(dot_gradient, v[k] * g2[k]);
                q_gradient[k] = p[k].times_plus(dot_gradient, q[k] * norm_gradient[k]);
            }
        }
        for (s, &t) in s.iter_mut().zip(&*through) {
            *s = (*s + t) * half;
        }
    }
}

/// Norm `‖q‖` of one channel.
#[inline(always)]
fn norm<T: Number>([x, y, z]: [T; 3]) -> T {
    x.times_plus(x, y.times_plus(y, z.times_plus(z, T::of(NORM_EPSILON)))).root()
}
