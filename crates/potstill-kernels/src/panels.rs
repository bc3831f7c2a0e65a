//! Products of rows with a matrix that is stored in panels.
//!
//! A product `Y = X W` runs over panels of `W` two registers wide, which are laid out side by side once, and over tiles of a few rows
//! of `X`; the tile of `Y` stays in registers while the inner index runs. A panel (16 KB for 128 rows in f32) stays in the first cache
//! for all rows. Libraries pack the panels at each call, which for a molecule, where `X` has twenty rows, takes as long as the product.

use crate::aligned::Aligned;
use crate::number::{Number, Simd, WithSimd, lanes, lanes_here};

/// Registers in a row of a panel.
const PANEL: usize = 2;

/// Matrix of shape `[k, n]` as panels of shape `[k, PANEL]` registers, the last one filled up with zeros.
#[derive(Debug, Clone)]
pub(crate) struct Panels<T> {
    numbers: Aligned<T>,
    k: usize,
    n: usize,
}

impl<T: Number> Panels<T> {
    /// Matrix of shape `[k, n]` with entry `at(i, o)` in row `i` and column `o`.
    pub fn new(k: usize, n: usize, at: impl Fn(usize, usize) -> T) -> Self {
        let width = PANEL * lanes_here::<T>();
        let mut numbers = vec![T::ZERO; n.div_ceil(width) * width * k];
        for (p, panel) in numbers.chunks_exact_mut(width * k).enumerate() {
            for (i, row) in panel.chunks_exact_mut(width).enumerate() {
                for (o, number) in (p * width..n).zip(row) {
                    *number = at(i, o);
                }
            }
        }
        Self { numbers: Aligned::new(&numbers), k, n }
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.n
    }
}

/// Product `y = x W + b`.
pub(crate) struct Product<'a, T> {
    /// Shape: `[rows, k]`.
    pub x: &'a [T],
    /// `W`. Shape: `[k, n]`.
    pub panels: &'a Panels<T>,
    /// `b`, zero where absent. Shape: `[n]`.
    pub bias: Option<&'a [T]>,
    /// Shape: `[rows, n]`.
    pub y: &'a mut [T],
}

impl<T: Number> WithSimd for Product<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, panels: Panels { numbers, k, n }, bias, y } = self;
        assert!(x.len() / k == y.len() / n, "rows of a product");
        let y = T::registers_mut::<S>(y);
        let bias = bias.map(T::registers::<S>);
        let (numbers, _) = T::registers::<S>(numbers).as_chunks::<PANEL>();
        let wide = n / lanes::<T, S>();
        for (p, panel) in numbers.chunks_exact(*k).enumerate() {
            let mut sums = Tiles { simd, x, panel, k: *k, y: &mut *y, bias, wide, place: p * PANEL };
            // Eight rows of two registers want eighteen registers.
            sums.all(if S::REGISTER_COUNT >= 32 { 8 } else { 4 });
        }
    }
}

/// Product of all rows with one panel.
struct Tiles<'a, T: Number, S: Simd> {
    simd: S,
    x: &'a [T],
    panel: &'a [[T::Register<S>; PANEL]],
    k: usize,
    y: &'a mut [T::Register<S>],
    bias: Option<&'a [T::Register<S>]>,
    /// Registers in a row of `y`, and the first of them that the panel makes.
    wide: usize,
    place: usize,
}

impl<T: Number, S: Simd> Tiles<'_, T, S> {
    /// Multiplies all rows in tiles of at most `most`, at most eight, as even as they can be: 21 rows as three times seven, where eight,
    /// eight, four and one would take as long as 24.
    #[inline(always)]
    fn all(&mut self, most: usize) {
        let n_rows = self.x.len() / self.k;
        let n_tiles = n_rows.div_ceil(most);
        let mut row = 0;
        for tile in 0..n_tiles {
            let m = (n_rows - row).div_ceil(n_tiles - tile);
            match m {
                1 => self.tile::<1>(row),
                2 => self.tile::<2>(row),
                3 => self.tile::<3>(row),
                4 => self.tile::<4>(row),
                5 => self.tile::<5>(row),
                6 => self.tile::<6>(row),
                7 => self.tile::<7>(row),
                _ => self.tile::<8>(row),
            }
            row += m;
        }
    }

    /// Multiplies `M` rows.
    #[inline(always)]
    #[allow(
        clippy::needless_range_loop,
        reason = "what touches a register must be inlined: loops over indices, no closures"
    )]
    fn tile<const M: usize>(&mut self, row: usize) {
        let (simd, k) = (self.simd, self.k);
        let mut start = [T::splat(simd, T::ZERO); PANEL];
        if let Some(bias) = self.bias {
            let own = PANEL.min(self.wide - self.place);
            start[..own].copy_from_slice(&bias[self.place..self.place + own]);
        }
        let mut sums = [start; M];
        let x: [&[T]; M] = std::array::from_fn(|i| &self.x[(row + i) * k..(row + i + 1) * k]);
        let panel = &self.panel[..k];
        for i in 0..k {
            let weights = panel[i];
            for m in 0..M {
                let x = T::splat(simd, x[m][i]);
                for r in 0..PANEL {
                    sums[m][r] = T::fused(simd, x, weights[r], sums[m][r]);
                }
            }
        }
        for (i, sums) in sums.into_iter().enumerate() {
            let out = &mut self.y[(row + i) * self.wide + self.place..(row + i + 1) * self.wide];
            out.iter_mut().zip(sums).for_each(|(y, sum)| *y = sum);
        }
    }
}
