//! The filter network of one block.

use potstill_kernels::Number;
use potstill_kernels::activation::SOFTPLUS_SHIFT;
use potstill_kernels::filters::FilterNetwork;
use potstill_kernels::radial::{Gaussians, Slope, cosine_cutoff};
use potstill_kernels::rows::padded;

/// Filter network of one block: two dense layers of Gaussians, times the cutoff.
#[derive(Debug)]
pub(super) struct Filter {
    pub gaussians: Gaussians,
    pub cutoff: f64,
    pub n_filters: usize,
    pub weight_in: Vec<f64>,
    pub bias_in: Vec<f64>,
    pub weight_out: Vec<f64>,
    pub bias_out: Vec<f64>,
}

impl FilterNetwork for Filter {
    fn width(&self) -> usize {
        padded(self.n_filters)
    }

    fn at(&self, distance: f64, work: &mut Vec<Slope>, values: &mut [f64], slopes: &mut [f64]) {
        work.resize(self.gaussians.len() + self.n_filters, (0.0, 0.0));
        let (basis, hidden) = work.split_at_mut(self.gaussians.len());
        self.gaussians.all_at(distance, basis);
        let row = |weights: &[f64], bias: f64, input: &[Slope]| {
            weights.iter().zip(input).fold((bias, 0.0), |(v, s), (w, x)| (v + w * x.0, s + w * x.1))
        };
        let first = self.weight_in.chunks_exact(self.gaussians.len()).zip(&self.bias_in);
        for (hidden, (weights, &bias)) in hidden.iter_mut().zip(first) {
            let (value, slope) = row(weights, bias, basis);
            *hidden = (value.softplus() - SOFTPLUS_SHIFT, slope * value.sigmoid());
        }
        let (u, du) = cosine_cutoff(distance, self.cutoff);
        let second = self.weight_out.chunks_exact(self.n_filters).zip(&self.bias_out);
        for (k, (weights, &bias)) in second.enumerate() {
            let (value, slope) = row(weights, bias, hidden);
            (values[k], slopes[k]) = (u * value, du * value + u * slope);
        }
    }
}
