//! Linear maps of rows, and their adjoints.
//!
//! A product `Y = X W` runs over panels of `W` two registers wide, which are stored side by side when the model is loaded, and
//! over tiles of a few rows of `X`; the tile of `Y` stays in registers while the inner index runs. A panel (16 KB for 128 rows in
//! f32) stays in the first cache for all rows. Libraries pack the panels at each call, which for a molecule, where `X` has twenty
//! rows, takes as long as the product.

use crate::aligned::Aligned;
use crate::rows::LANES;
use potstill_core::Result;
use potstill_core::model::Weights;
use potstill_kernels::number::{Number, Simd, WithSimd, dispatch, lanes_here};

/// Width of a row that holds `n` numbers.
pub fn padded(n: usize) -> usize {
    n.next_multiple_of(LANES)
}

/// `x W + b` with `W` of shape `[input, output]`, both widths padded with zeros.
#[derive(Debug, Clone)]
pub struct Dense<T> {
    weight: Panels<T>,
    /// The same, transposed.
    transposed: Panels<T>,
    bias: Vec<T>,
}

/// How the rows or columns of a matrix are made up of parts of the same width, each padded by itself.
#[derive(Debug, Clone, Copy)]
pub struct Parts {
    n: usize,
    width: usize,
    /// Numbers of a part that lie side by side.
    run: usize,
}

impl Parts {
    /// `n` parts, one after the other.
    pub fn of(n: usize, width: usize) -> Self {
        Self { n, width, run: padded(width) }
    }

    /// `n` parts, of which a register of each lies beside one of the next.
    pub fn interleaved<T: Number>(n: usize, width: usize) -> Self {
        Self { n, width, run: lanes_here::<T>() }
    }

    /// Width with padding.
    pub fn padded(self) -> usize {
        self.n * padded(self.width)
    }

    /// Where number `i` goes.
    fn place(self, i: usize) -> usize {
        let (part, k) = (i / self.width, i % self.width);
        (k / self.run * self.n + part) * self.run + k % self.run
    }
}

impl<T: Number> Dense<T> {
    /// The map of that name: `{name}.weight` of shape `[output, input]`, and `{name}.bias` where there is one.
    ///
    /// # Errors
    /// Weights that are missing or of another shape.
    pub fn read(weights: &mut Weights, name: &str, input: Parts, output: Parts, bias: bool) -> Result<Self> {
        let (n_in, n_out) = (input.n * input.width, output.n * output.width);
        let raw = weights.take(&format!("{name}.weight"), &[n_out, n_in])?;
        let (wide_in, wide_out) = (input.padded(), output.padded());
        let mut weight = vec![T::ZERO; wide_in * wide_out];
        for (o, row) in raw.chunks_exact(n_in).enumerate() {
            for (i, &value) in row.iter().enumerate() {
                weight[input.place(i) * wide_out + output.place(o)] = T::of(value);
            }
        }
        let mut padded_bias = vec![T::ZERO; wide_out];
        if bias {
            for (o, value) in weights.take(&format!("{name}.bias"), &[n_out])?.into_iter().enumerate() {
                padded_bias[output.place(o)] = T::of(value);
            }
        }
        Ok(Self {
            weight: Panels::new(wide_in, wide_out, |i, o| weight[i * wide_out + o]),
            transposed: Panels::new(wide_out, wide_in, |o, i| weight[i * wide_out + o]),
            bias: padded_bias,
        })
    }

    /// Padded width of what comes out.
    pub fn output(&self) -> usize {
        self.weight.n
    }

    /// Shapes: `[n, input]` to `[n, output]`.
    pub fn forward(&self, x: &[T], y: &mut [T]) {
        dispatch(Product { x, panels: &self.weight, bias: Some(&self.bias), y });
    }

    /// Gradient with respect to `x`. Shapes: `[n, output]` to `[n, input]`.
    pub fn adjoint(&self, y_bar: &[T], x_bar: &mut [T]) {
        dispatch(Product { x: y_bar, panels: &self.transposed, bias: None, y: x_bar });
    }
}

/// Registers in a row of a panel.
const PANEL: usize = 2;

/// A matrix of shape `[k, n]` as panels of shape `[k, PANEL]` registers, the last one filled up with zeros.
#[derive(Debug, Clone)]
struct Panels<T> {
    numbers: Aligned<T>,
    k: usize,
    n: usize,
}

impl<T: Number> Panels<T> {
    fn new(k: usize, n: usize, at: impl Fn(usize, usize) -> T) -> Self {
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
}

/// `y = x W + b`
struct Product<'a, T> {
    x: &'a [T],
    panels: &'a Panels<T>,
    bias: Option<&'a [T]>,
    y: &'a mut [T],
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
        for (p, panel) in numbers.chunks_exact(*k).enumerate() {
            let mut sums =
                Tiles { simd, x, panel, k: *k, y: &mut *y, bias, wide: y_width::<T, S>(*n), place: p * PANEL };
            // Eight rows of two registers want eighteen registers.
            sums.all(if S::REGISTER_COUNT >= 32 { 8 } else { 4 });
        }
    }
}

/// Registers in a row.
#[inline(always)]
fn y_width<T: Number, S: Simd>(n: usize) -> usize {
    n / potstill_kernels::number::lanes::<T, S>()
}

/// One panel against all rows.
struct Tiles<'a, T: Number, S: Simd> {
    simd: S,
    x: &'a [T],
    panel: &'a [[T::Register<S>; PANEL]],
    k: usize,
    y: &'a mut [T::Register<S>],
    bias: Option<&'a [T::Register<S>]>,
    /// Registers in a row of `y`, and which of them the panel makes first.
    wide: usize,
    place: usize,
}

impl<T: Number, S: Simd> Tiles<'_, T, S> {
    /// All rows in tiles of at most `most`, at most eight, as even as they can be: 21 rows as three times seven, where eight, eight, four
    /// and one would take as long as 24.
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

    #[inline(always)]
    #[allow(clippy::needless_range_loop)]
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
        // Indices, for the reason given in PaiNN's kernels.
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
