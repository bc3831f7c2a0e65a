//! An envelope times a basis of the scaled distance `x = d / cutoff`, with values and slopes.

use burn::module::{Module, Param};
use burn::tensor::{DType, Tensor};
use potstill_core::model::RadialKind;
use potstill_kernels::filters::RadialRows;
use potstill_kernels::radial::{Envelope, Gaussians, log_binomials};

use super::radial::{envelope_slopes, envelope_values, gaussian_slopes, gaussian_values};
use crate::batch::float_tensor;
use crate::init::Initializer;

/// Start of the trainable width of a Bernstein basis; `softplus` of it is 0.9448 (Unke et al., SpookyNet, 2021).
const PREGAMMA: f64 = 0.45264;

/// A radial basis; what is trained of it is a parameter.
#[derive(Module, Debug)]
pub struct RadialBasis {
    /// Frequencies of spherical Bessel functions. Shape: `[n]`.
    pub frequencies: Option<Param<Tensor<1>>>,
    /// `γ = softplus(pregamma)` of Bernstein polynomials. Shape: `[1]`.
    pub pregamma: Option<Param<Tensor<1>>>,
    #[module(skip)]
    gaussians: Gaussians,
    #[module(skip)]
    envelope: Envelope,
    #[module(skip)]
    cutoff: f64,
}

impl RadialBasis {
    /// A basis of `gaussians.offsets.len()` functions; the Gaussians themselves are used by [`RadialKind::Gaussian`] only.
    pub fn new(kind: RadialKind, gaussians: Gaussians, envelope: Envelope, cutoff: f64, rng: &mut Initializer) -> Self {
        let n = gaussians.offsets.len();
        let multiples = || (1..=n).map(|k| std::f64::consts::PI * k as f64).collect();
        Self {
            frequencies: (kind == RadialKind::SphericalBessel).then(|| rng.vector(multiples())),
            pregamma: (kind == RadialKind::Bernstein).then(|| rng.constant(1, PREGAMMA)),
            gaussians,
            envelope,
            cutoff,
        }
    }

    /// Envelope times basis. Shape: `[n_edges, 1]` in Å to `[n_edges, n]`.
    pub fn forward(&self, distance: Tensor<2>) -> Tensor<2> {
        let x = distance.mul_scalar(1.0 / self.cutoff);
        envelope_values(self.envelope, x.clone()) * self.values_and_slopes(x, false).0
    }

    /// Derivative of [`Self::forward`] with respect to the distance. Shape: `[n_edges, 1]` to `[n_edges, n]`.
    pub fn slope(&self, distance: Tensor<2>) -> Tensor<2> {
        let x = distance.mul_scalar(1.0 / self.cutoff);
        let (values, slopes) = self.values_and_slopes(x.clone(), true);
        let inner = match slopes {
            Some(slopes) => envelope_values(self.envelope, x.clone()) * slopes,
            None => values.zeros_like(),
        };
        (envelope_slopes(self.envelope, x) * values + inner).mul_scalar(1.0 / self.cutoff)
    }

    /// Entries of the rows of [`Self::forward`] on the host that do not vanish beside the largest of their row to the precision of
    /// f32 or f64, followed by one more column: the envelope, or 1 where `smooth` is false. None for bases with trained numbers.
    pub fn rows(&self, distance: &[f64], dtype: DType, smooth: bool) -> Option<RadialRows> {
        if self.frequencies.is_some() || self.pregamma.is_some() {
            return None;
        }
        let gaussians = &self.gaussians;
        // Seven bits more than a number has, since many entries are left out.
        let bits: f64 = if dtype == DType::F64 { 60.0 } else { 31.0 };
        let n = distance.len();
        let (mut first, mut column, mut value) = (Vec::with_capacity(n + 1), Vec::new(), Vec::new());
        first.push(0);
        for d in distance {
            let x = d / self.cutoff;
            let (u, du) = self.envelope.at(x);
            for k in gaussians.near(x, bits) {
                let (g, dg) = gaussians.at(k, x);
                column.push(k as u32);
                value.push([u * g, (du * g + u * dg) / self.cutoff]);
            }
            column.push(gaussians.len() as u32);
            value.push(if smooth { [u, du / self.cutoff] } else { [1.0, 0.0] });
            first.push(column.len());
        }
        Some(RadialRows { n_radial: gaussians.len() + 1, first, column, value })
    }

    /// The envelope alone. Shape kept.
    pub fn envelope(&self, distance: Tensor<2>) -> Tensor<2> {
        envelope_values(self.envelope, distance.mul_scalar(1.0 / self.cutoff))
    }

    /// Derivative of [`Self::envelope`] with respect to the distance. Shape kept.
    pub fn envelope_slope(&self, distance: Tensor<2>) -> Tensor<2> {
        envelope_slopes(self.envelope, distance.mul_scalar(1.0 / self.cutoff)).mul_scalar(1.0 / self.cutoff)
    }

    /// The basis without envelope at scaled distances, and its derivative with respect to them when asked for.
    fn values_and_slopes(&self, x: Tensor<2>, slopes: bool) -> (Tensor<2>, Option<Tensor<2>>) {
        if let Some(frequencies) = &self.frequencies {
            return spherical_bessel(x, frequencies.val(), (2.0 / self.cutoff.powi(3)).sqrt(), slopes);
        }
        if let Some(pregamma) = &self.pregamma {
            return bernstein(x, pregamma.val(), self.gaussians.offsets.len(), slopes);
        }
        let values = gaussian_values(&self.gaussians, x.clone());
        let slopes = slopes.then(|| gaussian_slopes(&self.gaussians, x, values.clone()));
        (values, slopes)
    }
}

fn spherical_bessel(x: Tensor<2>, f: Tensor<1>, norm: f64, slopes: bool) -> (Tensor<2>, Option<Tensor<2>>) {
    let f = f.unsqueeze::<2>();
    let phase = x.clone() * f.clone();
    let values = phase.clone().sin().mul_scalar(norm) / x.clone();
    let slopes = slopes.then(|| (phase.cos() * f).mul_scalar(norm) / x.clone() - values.clone() / x);
    (values, slopes)
}

/// In logarithms, since the binomial coefficients of a hundred functions overflow f32.
fn bernstein(x: Tensor<2>, pregamma: Tensor<1>, n: usize, slopes: bool) -> (Tensor<2>, Option<Tensor<2>>) {
    let (device, dtype) = (x.device(), x.dtype());
    let row = |values: Vec<f64>| float_tensor::<2>(values, [1, n], &device, dtype);
    let k = row((0..n).map(|k| k as f64).collect());
    let rest = row((0..n).map(|k| (n - 1 - k) as f64).collect());
    let gamma = burn::tensor::activation::softplus(pregamma, 1.0).unsqueeze::<2>();
    let e = (x.clone() * gamma.clone()).neg().exp();
    let complement = e.clone().neg().add_scalar(1.0);
    let exponent = complement.clone().log() * rest.clone() - (x * gamma.clone()) * k.clone();
    let values = (exponent + row(log_binomials(n - 1))).exp();
    let slopes = slopes.then(|| values.clone() * ((e / complement) * rest - k) * gamma);
    (values, slopes)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device};

    use super::*;
    use crate::batch::to_host;

    fn basis(kind: RadialKind, envelope: Envelope) -> RadialBasis {
        let rng = &mut Initializer::new(1, &Device::flex(), DType::F64);
        RadialBasis::new(kind, Gaussians::exact(0.0, 1.0, 6), envelope, 5.0, rng)
    }

    fn at(d: f64) -> Tensor<2> {
        float_tensor(vec![d], [1, 1], &Device::flex(), DType::F64)
    }

    #[test]
    fn slopes_are_central_differences_for_every_basis() {
        for kind in [RadialKind::Gaussian, RadialKind::SphericalBessel, RadialKind::Bernstein] {
            for envelope in [Envelope::Polynomial(5), Envelope::Exponential] {
                let basis = basis(kind, envelope);
                for d in [0.7, 2.5, 4.8] {
                    let h = 1e-5;
                    let (above, below) = (to_host(&basis.forward(at(d + h))), to_host(&basis.forward(at(d - h))));
                    for (k, slope) in to_host(&basis.slope(at(d))).into_iter().enumerate() {
                        let difference = (above[k] - below[k]) / (2.0 * h);
                        assert!((difference - slope).abs() < 1e-8, "{kind:?} {envelope:?} {d} {k}: {slope}");
                    }
                }
                assert!(to_host(&basis.forward(at(5.0))).iter().all(|&v| v == 0.0));
            }
        }
    }

    #[test]
    fn values_by_hand() {
        let u = to_host(&basis(RadialKind::Gaussian, Envelope::Polynomial(5)).envelope(at(2.5)))[0];
        let bessel = to_host(&basis(RadialKind::SphericalBessel, Envelope::Polynomial(5)).forward(at(2.5)));
        for (k, value) in bessel.iter().enumerate() {
            let f = std::f64::consts::PI * (k + 1) as f64;
            assert!((value - u * (2.0_f64 / 125.0).sqrt() * (f * 0.5).sin() / 0.5).abs() < 1e-14);
        }
        let gamma = (1.0 + PREGAMMA.exp()).ln();
        let e = (-0.5 * gamma).exp();
        let bernstein = to_host(&basis(RadialKind::Bernstein, Envelope::Polynomial(5)).forward(at(2.5)));
        for (k, (value, choose)) in bernstein.iter().zip([1.0, 5.0, 10.0, 10.0, 5.0, 1.0]).enumerate() {
            let expected = u * choose * e.powi(k as i32) * (1.0 - e).powi(5 - k as i32);
            assert!((value - expected).abs() < 1e-14, "{k}: {value} {expected}");
        }
    }
}
