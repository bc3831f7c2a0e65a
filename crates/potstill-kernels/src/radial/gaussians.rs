//! Gaussians on a regular grid.

use super::Slope;

/// Evenly spaced f32 values by PyTorch's rule: counted from the nearer end. `n` is at least 2.
pub fn linspace(start: f32, stop: f32, n: usize) -> Vec<f32> {
    let step = (stop - start) / (n - 1) as f32;
    (0..n)
        .map(|i| if i < n / 2 { step.mul_add(i as f32, start) } else { step.mul_add(-((n - 1 - i) as f32), stop) })
        .collect()
}

/// Gaussian basis `exp(−γ (x − μ_k)²)` with `γ = ½ / Δ²` for centres at a distance Δ.
#[derive(Debug, Clone, PartialEq)]
pub struct Gaussians {
    /// Centres `μ_k`, rounded to f32 as in published checkpoints.
    pub offsets: Vec<f64>,
    /// Coefficient `−γ`.
    pub coefficient: f64,
}

impl Gaussians {
    /// Basis of `n` functions (at least 2) with centres from `start` to `stop`; the width comes from the f32 difference of the first two
    /// centres, as PyTorch Geometric computes it.
    pub fn new(start: f64, stop: f64, n: usize) -> Self {
        let offsets = linspace(start as f32, stop as f32, n);
        let delta = f64::from(offsets[1] - offsets[0]);
        Self { offsets: offsets.into_iter().map(f64::from).collect(), coefficient: -0.5 / (delta * delta) }
    }

    /// Basis with the centres of [`Self::new`] and the width computed exactly, as GemNet-OC does.
    pub fn exact(start: f64, stop: f64, n: usize) -> Self {
        let delta = (stop - start) / (n - 1) as f64;
        Self { coefficient: -0.5 / (delta * delta), ..Self::new(start, stop, n) }
    }

    /// Number of functions.
    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Whether there is no function; never true.
    pub fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// Value and derivative of function `k` at `x`.
    pub fn at(&self, k: usize, x: f64) -> Slope {
        let d = x - self.offsets[k];
        let value = (self.coefficient * d * d).exp();
        (value, 2.0 * self.coefficient * d * value)
    }

    /// Writes values and derivatives of all functions at `x`.
    pub fn all_at(&self, x: f64, out: &mut [Slope]) {
        out.iter_mut().zip(0..self.len()).for_each(|(out, k)| *out = self.at(k, x));
    }

    /// Functions that do not vanish at `x`: those whose value is at least `2^-bits`, since all are at most 1.
    pub fn near(&self, x: f64, bits: f64) -> std::ops::Range<usize> {
        let reach = (bits * std::f64::consts::LN_2 / -self.coefficient).sqrt();
        let start = self.offsets.partition_point(|offset| x - offset > reach);
        start..start + self.offsets[start..].partition_point(|offset| offset - x <= reach)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_functions_are_those_that_do_not_vanish() {
        let basis = Gaussians::new(0.0, 1.0, 40);
        for x in [0.0, 0.31, 0.5, 1.0] {
            let near = basis.near(x, 20.0);
            for k in 0..basis.len() {
                assert_eq!(near.contains(&k), basis.at(k, x).0 >= 2.0_f64.powi(-20), "{k} at {x}");
            }
        }
    }
}
