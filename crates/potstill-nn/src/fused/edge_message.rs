//! PaiNN's messages, their adjoint, and the derivatives of both.
//!
//! With filters `f = W r(d)` of an edge `s → t` with direction `u`, all four are derivatives of one form, linear in each argument,
//!
//! ```text
//! F = Σ_edges Σ_channels  ŝ_t x_a f_a + (v̂_t · v_s) x_b f_b + (v̂_t · u) x_c f_c
//! ```
//!
//! where `x` and `v` are what sources send and `ŝ`, `v̂` stand for what targets get, or for its bars. The sums of the messages are
//! `∂F/∂(ŝ, v̂)`; the adjoint is `∂F/∂(x, v, d, u)`; and the derivatives of `⟨X, ∂F/∂x⟩ + ⟨V, ∂F/∂v⟩ + ⟨D, ∂F/∂d⟩ + ⟨U, ∂F/∂u⟩`, with
//! `y = X f + x D f′` and `z = x f`, are
//!
//! ```text
//! ŝ: y_a                                       v̂: v y_b + V z_b + u y_c + U z_c
//! x: ŝ D f′_a,  (v̂·v) D f′_b + (v̂·V) f_b,  (v̂·u) D f′_c + (v̂·U) f_c
//! v: v̂ y_b
//! f: ŝ X_a,  (v̂·v) X_b + (v̂·V) x_b,  (v̂·u) X_c + (v̂·U) x_c
//! f′: ŝ x_a D,  (v̂·v) x_b D,  (v̂·u) x_c D
//! ```
//!
//! In tensor operations each product is an array with a row for each edge. Here nothing has one: filters are made where they are
//! used, from the few Gaussians that do not vanish at the distance (about 14 of 128), and so are the derivatives of `W`. Kernels take
//! one register of each row through all edges, so that their part of `W` stays in the first cache.
#![allow(clippy::needless_range_loop)] // Whatever touches a register must be inlined: plain loops, no closures.

use std::sync::Arc;

use burn::tensor::Tensor;
use potstill_kernels::number::{Simd, WithSimd, dispatch, lanes, lanes_here};

use super::operation::{Forward, Input, Operation, Primitive, run};
use potstill_kernels::number::Number;

/// What edges are, for these operations: constants.
#[derive(Debug)]
pub struct EdgeRows {
    /// Source and target of each edge.
    pub ends: Arc<[[u32; 2]]>,
    /// From target to source.
    pub direction: Arc<[[f64; 3]]>,
    /// Number of radial functions.
    pub n_radial: usize,
    /// First entry of each edge, and their number at the end.
    pub first: Vec<usize>,
    /// Radial function of each entry.
    pub column: Vec<u32>,
    /// Its value and its derivative with respect to the distance.
    pub value: Vec<[f64; 2]>,
}

/// `Σ ŝ`, `Σ v̂` of each atom, side by side. Shapes: `sent` (x) `[n, 3h]`, `vector` `[n, 3h]` or `[0, 3h]` where all are zero, `weight`
/// `[3h, n_radial]` to `[n, 4h]`.
///
/// `None` on other backends.
pub fn messages(sent: &Tensor<2>, vector: &Tensor<2>, weight: &Tensor<2>, edges: &Arc<EdgeRows>) -> Option<Tensor<2>> {
    run(Messages(edges.clone()), [Primitive::of(sent), Primitive::of(vector), Primitive::of(weight)])
}

/// What the adjoint gives; see the head of this file.
pub struct MessageBars {
    /// Shape: `[n, 3h]`.
    pub sent: Tensor<2>,
    /// Shape: `[n, 3h]`; none where there are no vectors.
    pub vector: Option<Tensor<2>>,
    /// Shape: `[n_edges, 1]`.
    pub distance: Tensor<2>,
    /// Shape: `[n_edges, 3]`.
    pub direction: Tensor<2>,
}

/// The adjoint of [`messages`], given bars of shapes `[n, h]` and `[n, 3h]`.
///
/// `None` on other backends.
pub fn messages_adjoint(
    [scalar_bar, vector_bar, sent, vector, weight]: [&Tensor<2>; 5],
    edges: &Arc<EdgeRows>,
) -> Option<MessageBars> {
    let [n, wide] = sent.dims();
    let n_edges = edges.ends.len();
    let has_vectors = vector.dims()[0] > 0;
    let inputs = [scalar_bar, vector_bar, sent, vector, weight].map(Primitive::of);
    let all: Tensor<2> = run(MessagesAdjoint(edges.clone()), inputs)?;
    let mut start = 0;
    let mut part = |shape: [usize; 2]| {
        let len = shape[0] * shape[1];
        start += len;
        all.clone().narrow(1, start - len, len).reshape(shape)
    };
    let sent = part([n, wide]);
    let vector = has_vectors.then(|| part([n, wide]));
    Some(MessageBars { sent, vector, distance: part([n_edges, 1]), direction: part([n_edges, 3]) })
}

#[derive(Debug, Clone)]
struct Messages(Arc<EdgeRows>);

#[derive(Debug, Clone)]
struct MessagesAdjoint(Arc<EdgeRows>);

/// Lengths, and the constants of the edges in the precision of the network.
struct Work<'a, T> {
    edges: &'a EdgeRows,
    value: Vec<[T; 2]>,
    direction: Vec<[T; 3]>,
    n: usize,
    h: usize,
    /// `h` with padding.
    w: usize,
    /// Of the parts of `W`: those of the messages.
    factors: [T; 3],
}

impl<'a, T: Number> Work<'a, T> {
    fn new(edges: &'a EdgeRows, sent: &Input<'_, T>) -> Self {
        let (n, wide) = sent.matrix();
        let h = wide / 3;
        let root = (h as f64).sqrt();
        Self {
            edges,
            value: edges.value.iter().map(|v| v.map(T::of)).collect(),
            direction: edges.direction.iter().map(|d| d.map(T::of)).collect(),
            n,
            h,
            w: h.next_multiple_of(lanes_here::<T>()),
            factors: [1.0, 1.0 / (3.0_f64.sqrt() * root), 1.0 / root].map(T::of),
        }
    }

    /// Rows of parts of width `h`, each padded with zeros.
    fn padded(&self, rows: &[T]) -> Vec<T> {
        let mut out = vec![T::ZERO; rows.len() / self.h * self.w];
        for (to, from) in out.chunks_exact_mut(self.w).zip(rows.chunks_exact(self.h)) {
            to[..self.h].copy_from_slice(from);
        }
        out
    }

    /// The reverse.
    fn bare(&self, rows: &[T]) -> Vec<T> {
        rows.chunks_exact(self.w).flat_map(|row| &row[..self.h]).copied().collect()
    }

    fn zeros(&self, parts: usize) -> Vec<T> {
        vec![T::ZERO; self.n * parts * self.w]
    }

    /// `W` as kernels read it, times the factors. Shape: `[chunk, n_radial, 3, lanes]`.
    fn packed(&self, weight: &[T]) -> Vec<T> {
        let mut out = vec![T::ZERO; 3 * self.w * self.edges.n_radial];
        for (o, row) in weight.chunks_exact(self.edges.n_radial).enumerate() {
            for (k, &value) in row.iter().enumerate() {
                out[self.place(o, k)] = value * self.factors[o / self.h];
            }
        }
        out
    }

    /// The derivative with respect to `W`, from that with respect to [`Self::packed`].
    fn unpacked(&self, packed: &[T]) -> Vec<T> {
        let r = self.edges.n_radial;
        (0..3 * self.h * r).map(|i| packed[self.place(i / r, i % r)] * self.factors[i / r / self.h]).collect()
    }

    fn place(&self, row: usize, column: usize) -> usize {
        let (lanes, part, k) = (lanes_here::<T>(), row / self.h, row % self.h);
        ((k / lanes * self.edges.n_radial + column) * 3 + part) * lanes + k % lanes
    }
}

/// Filters of one edge, one register of each part, and their derivatives where these are wanted.
#[inline(always)]
fn filters<T: Number, S: Simd, const SLOPES: bool>(
    simd: S,
    table: &[[T::Register<S>; 3]],
    column: &[u32],
    value: &[[T; 2]],
) -> [[T::Register<S>; 3]; 2] {
    let zero = T::splat(simd, T::ZERO);
    let (mut f, mut df) = ([zero; 3], [zero; 3]);
    let n = column.len().min(value.len());
    for i in 0..n {
        let row = &table[column[i] as usize];
        let weight = T::splat(simd, value[i][0]);
        for p in 0..3 {
            f[p] = T::fused(simd, weight, row[p], f[p]);
        }
        if SLOPES {
            let slope = T::splat(simd, value[i][1]);
            for p in 0..3 {
                df[p] = T::fused(simd, slope, row[p], df[p]);
            }
        }
    }
    [f, df]
}

/// Adds what the filters of one edge hand back to the derivative of `W`.
#[inline(always)]
fn filters_back<T: Number, S: Simd, const SLOPES: bool>(
    simd: S,
    table: &mut [[T::Register<S>; 3]],
    column: &[u32],
    value: &[[T; 2]],
    [f, df]: [[T::Register<S>; 3]; 2],
) {
    let n = column.len().min(value.len());
    for i in 0..n {
        let row = &mut table[column[i] as usize];
        let weight = T::splat(simd, value[i][0]);
        for p in 0..3 {
            row[p] = T::fused(simd, weight, f[p], row[p]);
        }
        if SLOPES {
            let slope = T::splat(simd, value[i][1]);
            for p in 0..3 {
                row[p] = T::fused(simd, slope, df[p], row[p]);
            }
        }
    }
}

/// The same register of three rows.
#[inline(always)]
fn three<R: Copy>(rows: &[R], start: usize, wide: usize) -> [R; 3] {
    let rows = &rows[start..start + 2 * wide + 1];
    [rows[0], rows[wide], rows[2 * wide]]
}

/// Adds to the same register of three rows.
#[inline(always)]
fn add_three<T: Number, S: Simd>(
    simd: S,
    rows: &mut [T::Register<S>],
    start: usize,
    wide: usize,
    values: [T::Register<S>; 3],
) {
    let rows = &mut rows[start..start + 2 * wide + 1];
    for c in 0..3 {
        rows[c * wide] = T::plus(simd, rows[c * wide], values[c]);
    }
}

#[inline(always)]
fn dot<T: Number, S: Simd>(simd: S, p: [T::Register<S>; 3], q: [T::Register<S>; 3]) -> T::Register<S> {
    T::fused(simd, p[0], q[0], T::fused(simd, p[1], q[1], T::times(simd, p[2], q[2])))
}

#[inline(always)]
fn splat_three<T: Number, S: Simd>(simd: S, v: [T; 3]) -> [T::Register<S>; 3] {
    [T::splat(simd, v[0]), T::splat(simd, v[1]), T::splat(simd, v[2])]
}

/// `∂F/∂(ŝ, v̂)`
struct Sums<'a, 'b, T> {
    work: &'a Work<'b, T>,
    weight: &'a [T],
    sent: &'a [T],
    /// Empty where all are zero, here and below.
    vector: &'a [T],
    scalar: &'a mut [T],
    out: &'a mut [T],
}

impl<T: Number> WithSimd for Sums<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { work, weight, sent, vector, scalar, out } = self;
        let wide = work.w / lanes::<T, S>();
        let has_vectors = !vector.is_empty();
        let (weight, _) = T::registers::<S>(weight).as_chunks::<3>();
        let (sent, vector) = (T::registers::<S>(sent), T::registers::<S>(vector));
        let (scalar, out) = (T::registers_mut::<S>(scalar), T::registers_mut::<S>(out));
        let edges = work.edges;
        for chunk in 0..wide {
            let table = &weight[chunk * edges.n_radial..(chunk + 1) * edges.n_radial];
            for (e, &[source, target]) in edges.ends.iter().enumerate() {
                let (source, target) = (source as usize, target as usize);
                let own = edges.first[e]..edges.first[e + 1];
                let [f, _] = filters::<T, S, false>(simd, table, &edges.column[own.clone()], &work.value[own]);
                let x = three(sent, 3 * source * wide + chunk, wide);
                let u = splat_three::<T, S>(simd, work.direction[e]);
                let sum = &mut scalar[target * wide + chunk];
                *sum = T::fused(simd, x[0], f[0], *sum);
                let along = T::times(simd, x[2], f[2]);
                let mut sums = three(out, 3 * target * wide + chunk, wide);
                for c in 0..3 {
                    sums[c] = T::fused(simd, u[c], along, sums[c]);
                }
                if has_vectors {
                    let through = T::times(simd, x[1], f[1]);
                    let v = three(vector, 3 * source * wide + chunk, wide);
                    for c in 0..3 {
                        sums[c] = T::fused(simd, v[c], through, sums[c]);
                    }
                }
                for c in 0..3 {
                    out[(3 * target + c) * wide + chunk] = sums[c];
                }
            }
        }
    }
}

/// `∂F/∂(x, v)`, and with `GEOMETRY` `∂F/∂(d, u)`, else `∂F/∂W`.
struct First<'a, 'b, T, const GEOMETRY: bool> {
    work: &'a Work<'b, T>,
    weight: &'a [T],
    scalar_bar: &'a [T],
    vector_bar: &'a [T],
    sent: &'a [T],
    vector: &'a [T],
    sent_out: &'a mut [T],
    vector_out: &'a mut [T],
    weight_out: &'a mut [T],
    /// `d̄` and `ū` of each edge.
    geometry: &'a mut [[T; 4]],
}

impl<T: Number, const GEOMETRY: bool> WithSimd for First<'_, '_, T, GEOMETRY> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { work, weight, scalar_bar, vector_bar, sent, vector, sent_out, vector_out, weight_out, geometry } =
            self;
        let wide = work.w / lanes::<T, S>();
        let has_vectors = !vector.is_empty();
        let (weight, _) = T::registers::<S>(weight).as_chunks::<3>();
        let (weight_out, _) = T::registers_mut::<S>(weight_out).as_chunks_mut::<3>();
        let (sent, vector) = (T::registers::<S>(sent), T::registers::<S>(vector));
        let (s_bar, v_bar) = (T::registers::<S>(scalar_bar), T::registers::<S>(vector_bar));
        let (sent_out, vector_out) = (T::registers_mut::<S>(sent_out), T::registers_mut::<S>(vector_out));
        let edges = work.edges;
        let zero = T::splat(simd, T::ZERO);
        for chunk in 0..wide {
            let part = chunk * edges.n_radial..(chunk + 1) * edges.n_radial;
            let table = &weight[part.clone()];
            for (e, &[source, target]) in edges.ends.iter().enumerate() {
                let (source, target) = (source as usize, target as usize);
                let own = edges.first[e]..edges.first[e + 1];
                let (column, value) = (&edges.column[own.clone()], &work.value[own]);
                let [f, df] = filters::<T, S, GEOMETRY>(simd, table, column, value);
                let x = three(sent, 3 * source * wide + chunk, wide);
                let u = splat_three::<T, S>(simd, work.direction[e]);
                let a = s_bar[target * wide + chunk];
                let b = three(v_bar, 3 * target * wide + chunk, wide);
                let mut g = [a, zero, dot::<T, S>(simd, b, u)];
                if has_vectors {
                    let v = three(vector, 3 * source * wide + chunk, wide);
                    g[1] = dot::<T, S>(simd, b, v);
                    let through = T::times(simd, x[1], f[1]);
                    let back =
                        [T::times(simd, b[0], through), T::times(simd, b[1], through), T::times(simd, b[2], through)];
                    add_three::<T, S>(simd, vector_out, 3 * source * wide + chunk, wide, back);
                }
                let back = [T::times(simd, g[0], f[0]), T::times(simd, g[1], f[1]), T::times(simd, g[2], f[2])];
                add_three::<T, S>(simd, sent_out, 3 * source * wide + chunk, wide, back);
                let f_bar = [T::times(simd, g[0], x[0]), T::times(simd, g[1], x[1]), T::times(simd, g[2], x[2])];
                if GEOMETRY {
                    let along = T::times(simd, x[2], f[2]);
                    let geometry = &mut geometry[e];
                    geometry[0] += T::sum(simd, dot::<T, S>(simd, f_bar, df));
                    for c in 0..3 {
                        geometry[c + 1] += T::sum(simd, T::times(simd, b[c], along));
                    }
                } else {
                    filters_back::<T, S, false>(simd, &mut weight_out[part.clone()], column, value, [f_bar; 2]);
                }
            }
        }
    }
}

/// The derivatives of the adjoint.
struct Second<'a, 'b, T> {
    work: &'a Work<'b, T>,
    weight: &'a [T],
    /// `ŝ`, `v̂`, `x`, `v`
    arguments: [&'a [T]; 4],
    /// `X`, `V`; and `D`, `U` of each edge.
    directions: [&'a [T]; 2],
    geometry: &'a [[T; 4]],
    /// Derivatives with respect to the arguments, and to `W`.
    out: [&'a mut [T]; 4],
    weight_out: &'a mut [T],
}

impl<T: Number> WithSimd for Second<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { work, weight, arguments, directions, geometry, out, weight_out } = self;
        let wide = work.w / lanes::<T, S>();
        let [scalar_bar, vector_bar, sent, vector] = arguments;
        let has_vectors = !vector.is_empty();
        let (weight, _) = T::registers::<S>(weight).as_chunks::<3>();
        let (weight_out, _) = T::registers_mut::<S>(weight_out).as_chunks_mut::<3>();
        let (sent, vector) = (T::registers::<S>(sent), T::registers::<S>(vector));
        let (s_bar, v_bar) = (T::registers::<S>(scalar_bar), T::registers::<S>(vector_bar));
        let (sent_way, vector_way) = (T::registers::<S>(directions[0]), T::registers::<S>(directions[1]));
        let [scalar_bar_out, vector_bar_out, sent_out, vector_out] = out;
        let (s_bar_out, v_bar_out) = (T::registers_mut::<S>(scalar_bar_out), T::registers_mut::<S>(vector_bar_out));
        let (sent_out, vector_out) = (T::registers_mut::<S>(sent_out), T::registers_mut::<S>(vector_out));
        let edges = work.edges;
        let zero = T::splat(simd, T::ZERO);
        for chunk in 0..wide {
            let part = chunk * edges.n_radial..(chunk + 1) * edges.n_radial;
            let table = &weight[part.clone()];
            for (e, &[source, target]) in edges.ends.iter().enumerate() {
                let (source, target) = (source as usize, target as usize);
                let own = edges.first[e]..edges.first[e + 1];
                let (column, value) = (&edges.column[own.clone()], &work.value[own]);
                let [f, df] = filters::<T, S, true>(simd, table, column, value);
                let x = three(sent, 3 * source * wide + chunk, wide);
                let way = three(sent_way, 3 * source * wide + chunk, wide);
                let u = splat_three::<T, S>(simd, work.direction[e]);
                let [d, ux, uy, uz] = geometry[e];
                let (d, turn) = (T::splat(simd, d), splat_three::<T, S>(simd, [ux, uy, uz]));
                let a = s_bar[target * wide + chunk];
                let b = three(v_bar, 3 * target * wide + chunk, wide);
                let (mut y, mut z) = ([zero; 3], [zero; 3]);
                for p in 0..3 {
                    z[p] = T::times(simd, x[p], f[p]);
                    y[p] = T::fused(simd, way[p], f[p], T::times(simd, T::times(simd, x[p], d), df[p]));
                }
                let (along, turned) = (dot::<T, S>(simd, b, u), dot::<T, S>(simd, b, turn));
                // What each part of the message is multiplied by, and what its change is.
                let (mut g, mut change) = ([a, zero, along], [zero, zero, turned]);
                let mut v_sums = [zero; 3];
                for c in 0..3 {
                    v_sums[c] = T::fused(simd, u[c], y[2], T::times(simd, turn[c], z[2]));
                }
                if has_vectors {
                    let v = three(vector, 3 * source * wide + chunk, wide);
                    let v_way = three(vector_way, 3 * source * wide + chunk, wide);
                    g[1] = dot::<T, S>(simd, b, v);
                    change[1] = dot::<T, S>(simd, b, v_way);
                    for c in 0..3 {
                        v_sums[c] = T::fused(simd, v[c], y[1], T::fused(simd, v_way[c], z[1], v_sums[c]));
                    }
                    let back = [T::times(simd, b[0], y[1]), T::times(simd, b[1], y[1]), T::times(simd, b[2], y[1])];
                    add_three::<T, S>(simd, vector_out, 3 * source * wide + chunk, wide, back);
                }
                let sum = &mut s_bar_out[target * wide + chunk];
                *sum = T::plus(simd, *sum, y[0]);
                add_three::<T, S>(simd, v_bar_out, 3 * target * wide + chunk, wide, v_sums);
                let (mut back, mut f_bar, mut df_bar) = ([zero; 3], [zero; 3], [zero; 3]);
                for p in 0..3 {
                    let by_distance = T::times(simd, g[p], d);
                    back[p] = T::fused(simd, by_distance, df[p], T::times(simd, change[p], f[p]));
                    f_bar[p] = T::fused(simd, g[p], way[p], T::times(simd, change[p], x[p]));
                    df_bar[p] = T::times(simd, by_distance, x[p]);
                }
                add_three::<T, S>(simd, sent_out, 3 * source * wide + chunk, wide, back);
                filters_back::<T, S, true>(simd, &mut weight_out[part.clone()], column, value, [f_bar, df_bar]);
            }
        }
    }
}

/// Two arrays of rows `[n, h]` and `[n, 3h]` from rows of both side by side.
fn split<T: Number>(rows: &[T], h: usize) -> [Vec<T>; 2] {
    let rows = || rows.chunks_exact(4 * h);
    [rows().flat_map(|row| &row[..h]).copied().collect(), rows().flat_map(|row| &row[h..]).copied().collect()]
}

impl Operation<3> for Messages {
    fn forward<T: Number>(&self, [sent, vector, weight]: [Input<'_, T>; 3], _: bool) -> Forward<T> {
        let work = Work::new(&self.0, &sent);
        let (mut scalar, mut out) = (work.zeros(1), work.zeros(3));
        dispatch(Sums {
            work: &work,
            weight: &work.packed(weight.values),
            sent: &work.padded(sent.values),
            vector: &work.padded(vector.values),
            scalar: &mut scalar,
            out: &mut out,
        });
        let h = work.h;
        let (scalar, out) = (work.bare(&scalar), work.bare(&out));
        let rows = scalar.chunks_exact(h).zip(out.chunks_exact(3 * h));
        let output = rows.flat_map(|(s, v)| s.iter().chain(v)).copied().collect();
        Forward { output, shape: vec![work.n, 4 * h], saved: Vec::new() }
    }

    fn backward<T: Number>(
        &self,
        [sent, vector, weight]: [Input<'_, T>; 3],
        _: &[Vec<T>],
        gradient: Vec<T>,
        _: [bool; 3],
    ) -> [Option<Vec<T>>; 3] {
        let work = Work::new(&self.0, &sent);
        let [scalar_bar, vector_bar] = split(&gradient, work.h);
        let vector = work.padded(vector.values);
        let (mut sent_out, mut vector_out) = (work.zeros(3), vec![T::ZERO; vector.len()]);
        let weight = work.packed(weight.values);
        let mut weight_out = vec![T::ZERO; weight.len()];
        dispatch(First::<T, false> {
            work: &work,
            weight: &weight,
            scalar_bar: &work.padded(&scalar_bar),
            vector_bar: &work.padded(&vector_bar),
            sent: &work.padded(sent.values),
            vector: &vector,
            sent_out: &mut sent_out,
            vector_out: &mut vector_out,
            weight_out: &mut weight_out,
            geometry: &mut [],
        });
        [Some(work.bare(&sent_out)), Some(work.bare(&vector_out)), Some(work.unpacked(&weight_out))]
    }
}

impl Operation<5> for MessagesAdjoint {
    fn forward<T: Number>(
        &self,
        [scalar_bar, vector_bar, sent, vector, weight]: [Input<'_, T>; 5],
        _: bool,
    ) -> Forward<T> {
        let work = Work::new(&self.0, &sent);
        let vector = work.padded(vector.values);
        let (mut sent_out, mut vector_out) = (work.zeros(3), vec![T::ZERO; vector.len()]);
        let mut geometry = vec![[T::ZERO; 4]; self.0.ends.len()];
        dispatch(First::<T, true> {
            work: &work,
            weight: &work.packed(weight.values),
            scalar_bar: &work.padded(scalar_bar.values),
            vector_bar: &work.padded(vector_bar.values),
            sent: &work.padded(sent.values),
            vector: &vector,
            sent_out: &mut sent_out,
            vector_out: &mut vector_out,
            weight_out: &mut [],
            geometry: &mut geometry,
        });
        let mut output = work.bare(&sent_out);
        output.extend(work.bare(&vector_out));
        output.extend(geometry.iter().map(|g| g[0]));
        output.extend(geometry.iter().flat_map(|g| &g[1..]));
        Forward { shape: vec![1, output.len()], output, saved: Vec::new() }
    }

    fn backward<T: Number>(
        &self,
        [scalar_bar, vector_bar, sent, vector, weight]: [Input<'_, T>; 5],
        _: &[Vec<T>],
        gradient: Vec<T>,
        _: [bool; 5],
    ) -> [Option<Vec<T>>; 5] {
        let work = Work::new(&self.0, &sent);
        let (sent_way, rest) = gradient.split_at(sent.values.len());
        let (vector_way, rest) = rest.split_at(vector.values.len());
        let (distance, direction) = rest.split_at(self.0.ends.len());
        let (direction, _) = direction.as_chunks::<3>();
        let geometry: Vec<[T; 4]> = distance.iter().zip(direction).map(|(&d, u)| [d, u[0], u[1], u[2]]).collect();
        let vector = work.padded(vector.values);
        let weight = work.packed(weight.values);
        let mut weight_out = vec![T::ZERO; weight.len()];
        let mut out = [work.zeros(1), work.zeros(3), work.zeros(3), vec![T::ZERO; vector.len()]];
        dispatch(Second {
            work: &work,
            weight: &weight,
            arguments: [
                &work.padded(scalar_bar.values),
                &work.padded(vector_bar.values),
                &work.padded(sent.values),
                &vector,
            ],
            directions: [&work.padded(sent_way), &work.padded(vector_way)],
            geometry: &geometry,
            out: out.each_mut().map(Vec::as_mut_slice),
            weight_out: &mut weight_out,
        });
        let [scalar_bar, vector_bar, sent, vector] = out.map(|rows| Some(work.bare(&rows)));
        [scalar_bar, vector_bar, sent, vector, Some(work.unpacked(&weight_out))]
    }
}
