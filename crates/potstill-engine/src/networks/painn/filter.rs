//! The filter network of one layer.

use potstill_kernels::filters::FilterNetwork;
use potstill_kernels::radial::{RadialBasis, Slope};
use potstill_kernels::rows::padded;

/// Filter network of one layer: a linear function of radial functions times envelope.
#[derive(Debug)]
pub(super) struct Filter {
    pub basis: RadialBasis,
    /// Shape: `[3h, n_radial]`.
    pub weight: Vec<f64>,
    pub bias: Vec<f64>,
    pub smooth: bool,
    pub h: usize,
    pub n_radial: usize,
}

impl FilterNetwork for Filter {
    fn width(&self) -> usize {
        3 * padded(self.h)
    }

    fn at(&self, distance: f64, radial: &mut Vec<Slope>, values: &mut [f64], slopes: &mut [f64]) {
        radial.resize(self.n_radial, (0.0, 0.0));
        self.basis.at(distance, radial);
        // A constant, or with a smooth cutoff a multiple of the envelope.
        let (u, du) = if self.smooth { self.basis.envelope_at(distance) } else { (1.0, 0.0) };
        let wide = padded(self.h);
        let root = (self.h as f64).sqrt();
        let factors = [1.0, 1.0 / (3.0_f64.sqrt() * root), 1.0 / root];
        for (o, row) in self.weight.chunks_exact(self.n_radial).enumerate() {
            let (mut value, mut slope) = (u * self.bias[o], du * self.bias[o]);
            for (w, (r, dr)) in row.iter().zip(&*radial) {
                value += w * r;
                slope += w * dr;
            }
            let (part, k) = (o / self.h, o % self.h);
            (values[part * wide + k], slopes[part * wide + k]) = (factors[part] * value, factors[part] * slope);
        }
    }
}
