//! Interpolation of all filters of a network by splines, in f64.

use rayon::prelude::*;

use super::FilterNetwork;
use super::b_spline::{TERMS, basis, basis_slope, interpolate};

/// Position of the first knot, as a part of the cutoff: some bases are not defined at 0, and no two atoms are that close.
const NEAREST: f64 = 1e-3;
/// Distance in Å below which the error of a spline is not looked at: atoms of real matter are no closer.
const CLOSEST: f64 = 0.4;

/// Splines on knots of equal distance from 0 to the cutoff, one for each number of a row.
pub struct Spline {
    /// Shape: `[n_segments + 5, width]`.
    pub coefficients: Vec<f64>,
    width: usize,
    n_segments: usize,
    cutoff: f64,
}

impl Spline {
    /// Interpolates at all knots and in the middle of the first two and of the last segment; the derivative at the cutoff is the
    /// network's as well, so that what vanishes there smoothly still does.
    pub fn new(network: &dyn FilterNetwork, cutoff: f64, n_segments: usize) -> Self {
        let width = network.width();
        let n = n_segments as f64;
        let mut sites = vec![0.0, 0.5, 1.0, 1.5];
        sites.extend((2..n_segments).map(|k| k as f64));
        sites.extend([n - 0.5, n]);
        let at = |site: f64| (site * cutoff / n).max(NEAREST * cutoff);
        let mut coefficients = vec![0.0; (sites.len() + 1) * width];
        coefficients.par_chunks_exact_mut(width).zip(&sites).for_each_init(
            || (vec![0.0; width], Vec::new()),
            |(slopes, scratch), (values, &site)| network.at(at(site), scratch, values, slopes),
        );
        let last = &mut coefficients[sites.len() * width..];
        network.at(cutoff, &mut Vec::new(), &mut vec![0.0; width], last);
        last.iter_mut().for_each(|slope| *slope *= cutoff / n);
        interpolate(&sites, n_segments, &mut coefficients, width);
        Self { coefficients, width, n_segments, cutoff }
    }

    /// Largest error of values and derivatives between the knots, relative to the largest of each.
    pub fn error(&self, network: &dyn FilterNetwork) -> f64 {
        let n = self.n_segments;
        let inverse = n as f64 / self.cutoff;
        // Values of splines of odd degree err most in the middle of a segment, derivatives at a quarter.
        let points: Vec<f64> =
            (0..n).flat_map(|k| [k as f64 + 0.5, k as f64 + 0.25]).filter(|x| x / inverse > CLOSEST).collect();
        let worst = points.par_iter().map(|&x| self.error_at(network, x)).reduce(Errors::none, Errors::worse);
        (worst.error[0] / worst.largest[0]).max(worst.error[1] / worst.largest[1])
    }

    /// Errors of a row at a distance of `x` segments.
    fn error_at(&self, network: &dyn FilterNetwork, x: f64) -> Errors {
        let inverse = self.n_segments as f64 / self.cutoff;
        let (mut values, mut slopes) = (vec![0.0; self.width], vec![0.0; self.width]);
        network.at(x / inverse, &mut Vec::new(), &mut values, &mut slopes);
        let k = x as usize;
        let (weights, weight_slopes) = (basis(x - k as f64), basis_slope(x - k as f64));
        let mut errors = Errors::none();
        for c in 0..self.width {
            let sum = |weights: &[f64; TERMS]| -> f64 {
                weights.iter().enumerate().map(|(m, w)| w * self.coefficients[(k + m) * self.width + c]).sum()
            };
            let pairs = [(values[c], sum(&weights)), (slopes[c], sum(&weight_slopes) * inverse)];
            let of = |(exact, found): (f64, f64)| ((exact - found).abs(), exact.abs());
            let [(value, value_size), (slope, slope_size)] = pairs.map(of);
            errors = errors.worse(Errors { error: [value, slope], largest: [value_size, slope_size] });
        }
        errors
    }
}

/// Largest error and largest size, of values and of derivatives.
#[derive(Clone, Copy)]
struct Errors {
    error: [f64; 2],
    largest: [f64; 2],
}

impl Errors {
    fn none() -> Self {
        Self { error: [0.0; 2], largest: [1e-30; 2] }
    }

    fn worse(self, other: Self) -> Self {
        let higher = |a: [f64; 2], b: [f64; 2]| [a[0].max(b[0]), a[1].max(b[1])];
        Self { error: higher(self.error, other.error), largest: higher(self.largest, other.largest) }
    }
}
