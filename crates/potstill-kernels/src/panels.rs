//! Products of rows with a matrix that is stored in panels.
//!
//! A product `Y = X W` runs over panels of `W` two or four registers wide, which are laid out side by side once, and over tiles of a few
//! rows of `X`; the tile of `Y` stays in registers while the inner index runs. A tile of six rows and four registers takes ten loads for
//! 24 multiplications, one of eight rows and two registers ten for 16: then loads are what it waits for. A panel (32 KB for 128 rows in
//! f32) stays in the first cache for all rows. Libraries pack the panels at each call, which for a molecule, where `X` has twenty rows,
//! takes as long as the product.

use crate::aligned::Aligned;
use crate::number::{Number, Simd, WithSimd, dispatch, lanes, lanes_here};

/// Registers in a row of a panel, but for the last panel: four where there are 32 registers, else two.
const fn panel<S: Simd>() -> usize {
    if S::REGISTER_COUNT >= 32 { 4 } else { 2 }
}

/// Registers in a row of a panel on this machine.
fn panel_here() -> usize {
    struct Ask;
    impl WithSimd for Ask {
        type Output = usize;

        fn with_simd<S: Simd>(self, _: S) -> usize {
            panel::<S>()
        }
    }
    dispatch(Ask)
}

/// Matrix of shape `[k, n]` as panels of shape `[k, panel]` registers; the last one is as wide as what is left.
#[derive(Debug, Clone)]
pub(crate) struct Panels<T> {
    numbers: Aligned<T>,
    k: usize,
    n: usize,
}

impl<T: Number> Panels<T> {
    /// Matrix of shape `[k, n]`, `n` a multiple of a register's lanes, with entry `at(i, o)` in row `i` and column `o`.
    pub fn new(k: usize, n: usize, at: impl Fn(usize, usize) -> T) -> Self {
        let width = panel_here() * lanes_here::<T>();
        let mut numbers = Vec::with_capacity(n * k);
        for first in (0..n).step_by(width) {
            for i in 0..k {
                numbers.extend((first..(first + width).min(n)).map(|o| at(i, o)));
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
        let wide = n / lanes::<T, S>();
        let mut sums = Tiles { simd, x, k: *k, y, bias, wide };
        let mut rest = T::registers::<S>(numbers);
        let mut place = 0;
        while place < wide {
            let width = (wide - place).min(panel::<S>());
            let (own, others) = rest.split_at(width * k);
            rest = others;
            // As many rows as leave registers for the weights and a number of each row.
            match (width, panel::<S>()) {
                (4, 4) => sums.panel::<4, 6>(own, place),
                (3, 4) => sums.panel::<3, 8>(own, place),
                (2, 4) => sums.panel::<2, 8>(own, place),
                (2, _) => sums.panel::<2, 6>(own, place),
                _ => sums.panel::<1, 8>(own, place),
            }
            place += width;
        }
    }
}

/// Products of all rows.
struct Tiles<'a, T: Number, S: Simd> {
    simd: S,
    x: &'a [T],
    k: usize,
    y: &'a mut [T::Register<S>],
    bias: Option<&'a [T::Register<S>]>,
    /// Registers in a row of `y`.
    wide: usize,
}

impl<T: Number, S: Simd> Tiles<'_, T, S> {
    /// Multiplies all rows with a panel of `R` registers, whose results start at a place, in tiles of at most `MOST`, at most eight, rows,
    /// as even as they can be: 21 rows as three times seven, where eight, eight, four and one would take as long as 24.
    #[inline(always)]
    fn panel<const R: usize, const MOST: usize>(&mut self, panel: &[T::Register<S>], place: usize) {
        let (panel, _) = panel.as_chunks::<R>();
        let n_rows = self.x.len() / self.k;
        let n_tiles = n_rows.div_ceil(MOST);
        let mut row = 0;
        for tile in 0..n_tiles {
            let m = (n_rows - row).div_ceil(n_tiles - tile);
            match m {
                1 => self.tile::<R, 1>(panel, place, row),
                2 => self.tile::<R, 2>(panel, place, row),
                3 => self.tile::<R, 3>(panel, place, row),
                5 if MOST >= 5 => self.tile::<R, 5>(panel, place, row),
                6 if MOST >= 6 => self.tile::<R, 6>(panel, place, row),
                7 if MOST >= 7 => self.tile::<R, 7>(panel, place, row),
                8 if MOST >= 8 => self.tile::<R, 8>(panel, place, row),
                _ => self.tile::<R, 4>(panel, place, row),
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
    fn tile<const R: usize, const M: usize>(&mut self, panel: &[[T::Register<S>; R]], place: usize, row: usize) {
        let (simd, k) = (self.simd, self.k);
        let mut start = [T::splat(simd, T::ZERO); R];
        if let Some(bias) = self.bias {
            start.copy_from_slice(&bias[place..place + R]);
        }
        let mut sums = [start; M];
        let x: [&[T]; M] = std::array::from_fn(|i| &self.x[(row + i) * k..(row + i + 1) * k]);
        let panel = &panel[..k];
        for i in 0..k {
            let weights = panel[i];
            for m in 0..M {
                let x = T::splat(simd, x[m][i]);
                for r in 0..R {
                    sums[m][r] = T::fused(simd, x, weights[r], sums[m][r]);
                }
            }
        }
        for (i, sums) in sums.into_iter().enumerate() {
            self.y[(row + i) * self.wide + place..][..R].copy_from_slice(&sums);
        }
    }
}
