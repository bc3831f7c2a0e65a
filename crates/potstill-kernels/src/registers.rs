//! Vectors of three components, one register of each.
//!
//! Whatever touches a register must be inlined into the function that was compiled for its instructions: loops over indices, and no
//! closures.
#![allow(
    clippy::needless_range_loop,
    reason = "what touches a register must be inlined: loops over indices, no closures"
)]

use crate::number::{Number, Simd};

/// Register at `start` in each of three rows that lie `wide` registers apart.
#[inline(always)]
pub fn three<R: Copy>(rows: &[R], start: usize, wide: usize) -> [R; 3] {
    let rows = &rows[start..start + 2 * wide + 1];
    [rows[0], rows[wide], rows[2 * wide]]
}

/// Writes a register at `start` of each of three rows.
#[inline(always)]
pub fn set_three<R: Copy>(rows: &mut [R], start: usize, wide: usize, values: [R; 3]) {
    let rows = &mut rows[start..start + 2 * wide + 1];
    for c in 0..3 {
        rows[c * wide] = values[c];
    }
}

/// Adds to the register at `start` of each of three rows.
#[inline(always)]
pub fn add_three<T: Number, S: Simd>(
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

/// Dot product `p · q` in each lane.
#[inline(always)]
pub fn dot<T: Number, S: Simd>(simd: S, p: [T::Register<S>; 3], q: [T::Register<S>; 3]) -> T::Register<S> {
    T::fused(simd, p[0], q[0], T::fused(simd, p[1], q[1], T::times(simd, p[2], q[2])))
}

/// Products `a_c b` of a vector and a number in each lane.
#[inline(always)]
pub fn scaled<T: Number, S: Simd>(simd: S, a: [T::Register<S>; 3], b: T::Register<S>) -> [T::Register<S>; 3] {
    [T::times(simd, a[0], b), T::times(simd, a[1], b), T::times(simd, a[2], b)]
}

/// Sums `a_c b + sum_c` of a vector times a number and another vector in each lane.
#[inline(always)]
pub fn fused_three<T: Number, S: Simd>(
    simd: S,
    a: [T::Register<S>; 3],
    b: T::Register<S>,
    sum: [T::Register<S>; 3],
) -> [T::Register<S>; 3] {
    [T::fused(simd, a[0], b, sum[0]), T::fused(simd, a[1], b, sum[1]), T::fused(simd, a[2], b, sum[2])]
}

/// Registers with one component of a vector in all lanes.
#[inline(always)]
pub fn splat_three<T: Number, S: Simd>(simd: S, v: [T; 3]) -> [T::Register<S>; 3] {
    [T::splat(simd, v[0]), T::splat(simd, v[1]), T::splat(simd, v[2])]
}
