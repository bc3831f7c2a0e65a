//! Kernels of PaiNN's messages; `gpu_message` has the equations.
//!
//! Matrices are row-major; a thread is told its row and channel by its number. Neighbouring threads read neighbouring channels.
#![allow(clippy::too_many_arguments, reason = "a kernel's arguments are its buffers")]

use cubecl::prelude::*;

/// Threads that share an edge in `turn_edges`, for which it has room.
pub(super) const THREADS: u32 = 64;

/// Sums over the edges into target `t`, in the channel of this thread.
#[cube(launch)]
pub(super) fn sum_messages<F: Float, I: Int>(
    sent: &Tensor<F>,
    vector: &Tensor<F>,
    filters: &Tensor<F>,
    direction: &Tensor<F>,
    source: &Tensor<I>,
    entries: &Tensor<I>,
    first: &Tensor<I>,
    output: &mut Tensor<F>,
    n: usize,
    h: usize,
    beta: f32,
    gamma: f32,
    #[define(F, I)] _types: [ElemType; 2],
) {
    if ABSOLUTE_POS >= n {
        terminate!();
    }
    let (t, c) = (ABSOLUTE_POS / h, ABSOLUTE_POS % h);
    let (beta, gamma) = (F::cast_from(beta), F::cast_from(gamma));
    let (mut scalar, mut x, mut y, mut z) = (F::new(0.0), F::new(0.0), F::new(0.0), F::new(0.0));
    if t + 1 < first.shape(0) {
        for k in usize::cast_from(first[t])..usize::cast_from(first[t + 1]) {
            let e = usize::cast_from(entries[k]);
            let at = usize::cast_from(source[e]) * 3 * h + c;
            let of = e * 3 * h + c;
            scalar += sent[at] * filters[of];
            let b = beta * sent[at + h] * filters[of + h];
            let along = gamma * sent[at + 2 * h] * filters[of + 2 * h];
            x += vector[at] * b + direction[3 * e] * along;
            y += vector[at + h] * b + direction[3 * e + 1] * along;
            z += vector[at + 2 * h] * b + direction[3 * e + 2] * along;
        }
    }
    let at = t * 4 * h + c;
    output[at] = scalar;
    output[at + h] = x;
    output[at + 2 * h] = y;
    output[at + 3 * h] = z;
}

/// Sums over the edges out of source `s`, in the channel of this thread.
#[cube(launch)]
pub(super) fn send_back<F: Float, I: Int>(
    scalar_gradient: &Tensor<F>,
    vector_gradient: &Tensor<F>,
    sent: &Tensor<F>,
    vector: &Tensor<F>,
    filters: &Tensor<F>,
    direction: &Tensor<F>,
    target: &Tensor<I>,
    entries: &Tensor<I>,
    first: &Tensor<I>,
    output: &mut Tensor<F>,
    n: usize,
    h: usize,
    beta: f32,
    gamma: f32,
    #[define(F, I)] _types: [ElemType; 2],
) {
    if ABSOLUTE_POS >= n {
        terminate!();
    }
    let (s, c) = (ABSOLUTE_POS / h, ABSOLUTE_POS % h);
    let (beta, gamma) = (F::cast_from(beta), F::cast_from(gamma));
    let own = s * 3 * h + c;
    let (vx, vy, vz) = (vector[own], vector[own + h], vector[own + 2 * h]);
    let weight = beta * sent[own + h];
    let (mut a, mut b, mut along) = (F::new(0.0), F::new(0.0), F::new(0.0));
    let (mut x, mut y, mut z) = (F::new(0.0), F::new(0.0), F::new(0.0));
    if s + 1 < first.shape(0) {
        for k in usize::cast_from(first[s])..usize::cast_from(first[s + 1]) {
            let e = usize::cast_from(entries[k]);
            let t = usize::cast_from(target[e]);
            let at = t * 3 * h + c;
            let of = e * 3 * h + c;
            let (gx, gy, gz) = (vector_gradient[at], vector_gradient[at + h], vector_gradient[at + 2 * h]);
            let turned = gx * direction[3 * e] + gy * direction[3 * e + 1] + gz * direction[3 * e + 2];
            let f = filters[of + h];
            a += scalar_gradient[t * h + c] * filters[of];
            b += beta * (gx * vx + gy * vy + gz * vz) * f;
            along += gamma * turned * filters[of + 2 * h];
            x += gx * weight * f;
            y += gy * weight * f;
            z += gz * weight * f;
        }
    }
    output[own] = a;
    output[own + h] = b;
    output[own + 2 * h] = along;
    let own = n * 3 + own;
    output[own] = x;
    output[own + h] = y;
    output[own + 2 * h] = z;
}

/// Derivatives with respect to the length and the direction of the edge of this group of threads.
#[cube(launch)]
pub(super) fn turn_edges<F: Float, I: Int>(
    scalar_gradient: &Tensor<F>,
    vector_gradient: &Tensor<F>,
    sent: &Tensor<F>,
    vector: &Tensor<F>,
    filters: &Tensor<F>,
    slopes: &Tensor<F>,
    direction: &Tensor<F>,
    source: &Tensor<I>,
    target: &Tensor<I>,
    output: &mut Tensor<F>,
    n: usize,
    start: usize,
    h: usize,
    beta: f32,
    gamma: f32,
    #[define(F, I)] _types: [ElemType; 2],
) {
    let e = CUBE_POS;
    if e >= n {
        terminate!();
    }
    let (beta, gamma) = (F::cast_from(beta), F::cast_from(gamma));
    let (s, t) = (usize::cast_from(source[e]), usize::cast_from(target[e]));
    let (ux, uy, uz) = (direction[3 * e], direction[3 * e + 1], direction[3 * e + 2]);
    let (mut d, mut x, mut y, mut z) = (F::new(0.0), F::new(0.0), F::new(0.0), F::new(0.0));
    let mut c = UNIT_POS as usize;
    while c < h {
        let (at, to, of) = (s * 3 * h + c, t * 3 * h + c, e * 3 * h + c);
        let (gx, gy, gz) = (vector_gradient[to], vector_gradient[to + h], vector_gradient[to + 2 * h]);
        let inner = gx * vector[at] + gy * vector[at + h] + gz * vector[at + 2 * h];
        let turned = gx * ux + gy * uy + gz * uz;
        let sent_along = gamma * sent[at + 2 * h];
        d += scalar_gradient[t * h + c] * sent[at] * slopes[of]
            + beta * inner * sent[at + h] * slopes[of + h]
            + turned * sent_along * slopes[of + 2 * h];
        let along = sent_along * filters[of + 2 * h];
        x += gx * along;
        y += gy * along;
        z += gz * along;
        c += CUBE_DIM as usize;
    }
    let mut parts = Shared::<[F]>::new_slice(4usize * 64usize);
    let unit = UNIT_POS as usize;
    parts[4 * unit] = d;
    parts[4 * unit + 1] = x;
    parts[4 * unit + 2] = y;
    parts[4 * unit + 3] = z;
    sync_cube();
    if unit < 4 {
        let mut sum = F::new(0.0);
        for k in 0..CUBE_DIM as usize {
            sum += parts[4 * k + unit];
        }
        // All distances come first, then the three components of each direction.
        if unit == 0 {
            output[start + e] = sum;
        } else {
            output[start + n + 3 * e + unit - 1] = sum;
        }
    }
}

/// Derivatives with respect to the filters of an edge, in the channel of this thread.
#[cube(launch)]
pub(super) fn change_filters<F: Float, I: Int>(
    scalar_gradient: &Tensor<F>,
    vector_gradient: &Tensor<F>,
    sent: &Tensor<F>,
    vector: &Tensor<F>,
    direction: &Tensor<F>,
    source: &Tensor<I>,
    target: &Tensor<I>,
    output: &mut Tensor<F>,
    n: usize,
    h: usize,
    beta: f32,
    gamma: f32,
    #[define(F, I)] _types: [ElemType; 2],
) {
    if ABSOLUTE_POS >= n {
        terminate!();
    }
    let (e, c) = (ABSOLUTE_POS / h, ABSOLUTE_POS % h);
    let (s, t) = (usize::cast_from(source[e]), usize::cast_from(target[e]));
    let (at, to, of) = (s * 3 * h + c, t * 3 * h + c, e * 3 * h + c);
    let (gx, gy, gz) = (vector_gradient[to], vector_gradient[to + h], vector_gradient[to + 2 * h]);
    let inner = gx * vector[at] + gy * vector[at + h] + gz * vector[at + 2 * h];
    let turned = gx * direction[3 * e] + gy * direction[3 * e + 1] + gz * direction[3 * e + 2];
    output[of] = scalar_gradient[t * h + c] * sent[at];
    output[of + h] = F::cast_from(beta) * inner * sent[at + h];
    output[of + 2 * h] = F::cast_from(gamma) * turned * sent[at + 2 * h];
}

/// Derivatives of the adjoint with respect to the gradients of the sums at target `t`; `changes` are `X`, `V`, `D` and `U`.
#[cube(launch)]
pub(super) fn second_targets<F: Float, I: Int>(
    sent: &Tensor<F>,
    vector: &Tensor<F>,
    filters: &Tensor<F>,
    slopes: &Tensor<F>,
    changes: &Tensor<F>,
    direction: &Tensor<F>,
    source: &Tensor<I>,
    entries: &Tensor<I>,
    first: &Tensor<I>,
    output: &mut Tensor<F>,
    n: usize,
    n_edges: usize,
    h: usize,
    beta: f32,
    gamma: f32,
    #[define(F, I)] _types: [ElemType; 2],
) {
    if ABSOLUTE_POS >= n {
        terminate!();
    }
    let (t, c) = (ABSOLUTE_POS / h, ABSOLUTE_POS % h);
    let (beta, gamma) = (F::cast_from(beta), F::cast_from(gamma));
    let (mut scalar, mut x, mut y, mut z) = (F::new(0.0), F::new(0.0), F::new(0.0), F::new(0.0));
    if t + 1 < first.shape(0) {
        for k in usize::cast_from(first[t])..usize::cast_from(first[t + 1]) {
            let e = usize::cast_from(entries[k]);
            let at = usize::cast_from(source[e]) * 3 * h + c;
            let of = e * 3 * h + c;
            let d = changes[6 * n + e];
            let turn = 6 * n + n_edges + 3 * e;
            let (xb, xc) = (sent[at + h], sent[at + 2 * h]);
            scalar += changes[at] * filters[of] + sent[at] * d * slopes[of];
            let yb = beta * (changes[at + h] * filters[of + h] + xb * d * slopes[of + h]);
            let zb = beta * xb * filters[of + h];
            let yc = gamma * (changes[at + 2 * h] * filters[of + 2 * h] + xc * d * slopes[of + 2 * h]);
            let zc = gamma * xc * filters[of + 2 * h];
            let change = 3 * n + at;
            x += vector[at] * yb + changes[change] * zb + direction[3 * e] * yc + changes[turn] * zc;
            y += vector[at + h] * yb + changes[change + h] * zb + direction[3 * e + 1] * yc + changes[turn + 1] * zc;
            z += vector[at + 2 * h] * yb
                + changes[change + 2 * h] * zb
                + direction[3 * e + 2] * yc
                + changes[turn + 2] * zc;
        }
    }
    let at = t * 4 * h + c;
    output[at] = scalar;
    output[at + h] = x;
    output[at + 2 * h] = y;
    output[at + 3 * h] = z;
}

/// Derivatives of the adjoint with respect to what source `s` sends; `changes` are `X`, `V`, `D` and `U`.
#[cube(launch)]
pub(super) fn second_sources<F: Float, I: Int>(
    scalar_gradient: &Tensor<F>,
    vector_gradient: &Tensor<F>,
    sent: &Tensor<F>,
    vector: &Tensor<F>,
    filters: &Tensor<F>,
    slopes: &Tensor<F>,
    changes: &Tensor<F>,
    direction: &Tensor<F>,
    target: &Tensor<I>,
    entries: &Tensor<I>,
    first: &Tensor<I>,
    output: &mut Tensor<F>,
    n: usize,
    n_edges: usize,
    h: usize,
    beta: f32,
    gamma: f32,
    #[define(F, I)] _types: [ElemType; 2],
) {
    if ABSOLUTE_POS >= n {
        terminate!();
    }
    let (s, c) = (ABSOLUTE_POS / h, ABSOLUTE_POS % h);
    let (beta, gamma) = (F::cast_from(beta), F::cast_from(gamma));
    let own = s * 3 * h + c;
    let (vx, vy, vz) = (vector[own], vector[own + h], vector[own + 2 * h]);
    let change = 3 * n + own;
    let (cx, cy, cz) = (changes[change], changes[change + h], changes[change + 2 * h]);
    let (mut a, mut b, mut along) = (F::new(0.0), F::new(0.0), F::new(0.0));
    let (mut x, mut y, mut z) = (F::new(0.0), F::new(0.0), F::new(0.0));
    if s + 1 < first.shape(0) {
        for k in usize::cast_from(first[s])..usize::cast_from(first[s + 1]) {
            let e = usize::cast_from(entries[k]);
            let t = usize::cast_from(target[e]);
            let (to, of) = (t * 3 * h + c, e * 3 * h + c);
            let d = changes[6 * n + e];
            let turn = 6 * n + n_edges + 3 * e;
            let (gx, gy, gz) = (vector_gradient[to], vector_gradient[to + h], vector_gradient[to + 2 * h]);
            let inner = gx * vx + gy * vy + gz * vz;
            let inner_change = gx * cx + gy * cy + gz * cz;
            let turned = gx * direction[3 * e] + gy * direction[3 * e + 1] + gz * direction[3 * e + 2];
            let turned_change = gx * changes[turn] + gy * changes[turn + 1] + gz * changes[turn + 2];
            a += scalar_gradient[t * h + c] * d * slopes[of];
            b += beta * (inner * d * slopes[of + h] + inner_change * filters[of + h]);
            along += gamma * (turned * d * slopes[of + 2 * h] + turned_change * filters[of + 2 * h]);
            let weight = beta * (changes[own + h] * filters[of + h] + sent[own + h] * d * slopes[of + h]);
            x += gx * weight;
            y += gy * weight;
            z += gz * weight;
        }
    }
    let at = s * 6 * h + c;
    output[at] = a;
    output[at + h] = b;
    output[at + 2 * h] = along;
    output[at + 3 * h] = x;
    output[at + 4 * h] = y;
    output[at + 5 * h] = z;
}

/// Derivatives of the adjoint with respect to the filters of an edge and their slopes; `changes` are `X`, `V`, `D` and `U`.
#[cube(launch)]
pub(super) fn second_edges<F: Float, I: Int>(
    scalar_gradient: &Tensor<F>,
    vector_gradient: &Tensor<F>,
    sent: &Tensor<F>,
    vector: &Tensor<F>,
    changes: &Tensor<F>,
    direction: &Tensor<F>,
    source: &Tensor<I>,
    target: &Tensor<I>,
    filters_out: &mut Tensor<F>,
    slopes_out: &mut Tensor<F>,
    n: usize,
    n_atoms: usize,
    h: usize,
    beta: f32,
    gamma: f32,
    #[define(F, I)] _types: [ElemType; 2],
) {
    if ABSOLUTE_POS >= n {
        terminate!();
    }
    let (e, c) = (ABSOLUTE_POS / h, ABSOLUTE_POS % h);
    let (beta, gamma) = (F::cast_from(beta), F::cast_from(gamma));
    let (s, t) = (usize::cast_from(source[e]), usize::cast_from(target[e]));
    let (at, to, of) = (s * 3 * h + c, t * 3 * h + c, e * 3 * h + c);
    let change = 3 * n_atoms * h + at;
    let d = changes[6 * n_atoms * h + e];
    let turn = 6 * n_atoms * h + n / h + 3 * e;
    let (gx, gy, gz) = (vector_gradient[to], vector_gradient[to + h], vector_gradient[to + 2 * h]);
    let inner = beta * (gx * vector[at] + gy * vector[at + h] + gz * vector[at + 2 * h]);
    let inner_change = beta * (gx * changes[change] + gy * changes[change + h] + gz * changes[change + 2 * h]);
    let turned = gamma * (gx * direction[3 * e] + gy * direction[3 * e + 1] + gz * direction[3 * e + 2]);
    let turned_change = gamma * (gx * changes[turn] + gy * changes[turn + 1] + gz * changes[turn + 2]);
    let scalar = scalar_gradient[t * h + c];
    filters_out[of] = scalar * changes[at];
    filters_out[of + h] = inner * changes[at + h] + inner_change * sent[at + h];
    filters_out[of + 2 * h] = turned * changes[at + 2 * h] + turned_change * sent[at + 2 * h];
    slopes_out[of] = scalar * sent[at] * d;
    slopes_out[of + h] = inner * sent[at + h] * d;
    slopes_out[of + 2 * h] = turned * sent[at + 2 * h] * d;
}
