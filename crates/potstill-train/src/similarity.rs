//! How alike the features of two networks are: linear centred kernel alignment between all their layers.
//!
//! S. Kornblith et al., *Similarity of Neural Network Representations Revisited*, ICML 2019, arXiv 1905.00414; the unbiased
//! estimate of the Hilbert–Schmidt independence criterion by L. Song et al., JMLR 13 (2012) 1393.
//!
//! Everything is a sum over atoms, so that one pass over the data gives both estimates exactly, in f64 and in memory that
//! does not grow with the data.

use potstill_core::model::Tap;
use potstill_core::{Error, Result, System};
use potstill_data::evaluation::ATOMS_PER_BATCH;
use potstill_nn::Model;
use potstill_nn::batch::to_host;
use potstill_nn::ops::{Factor, product_into};
use serde::{Deserialize, Serialize};

/// Alignments between the layers of two networks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Similarity {
    /// Layers of the first network.
    pub taps_a: Vec<String>,
    /// Layers of the second network.
    pub taps_b: Vec<String>,
    /// Atoms that were looked at.
    pub n_atoms: usize,
    /// CKA of each layer of the first network (row) with each of the second; 1 for equal up to rotation and scale. Biased
    /// upwards when there are not many more atoms than channels.
    pub cka: Vec<Vec<f64>>,
    /// The same from the unbiased estimate, which may lie below 0.
    pub cka_unbiased: Vec<Vec<f64>>,
}

/// Compares the scalar features of all layers of two networks on the atoms of `systems`; `progress` hears how many systems
/// are done.
///
/// # Errors
/// Elements that a network does not know, systems of which no graph can be drawn, fewer than four atoms.
pub fn similarity(a: &Model, b: &Model, systems: &[System], progress: &dyn Fn(usize)) -> Result<Similarity> {
    let (taps_a, taps_b) = (a.header().model.taps(), b.header().model.taps());
    let all: Vec<&System> = systems.iter().collect();
    a.check_elements(&all)?;
    b.check_elements(&all)?;
    let mut sums = Sums::default();
    let mut start = 0;
    while start < systems.len() {
        let end = batch_end(systems, start);
        let members: Vec<&System> = all[start..end].to_vec();
        let ours = features(a, &members, &taps_a)?;
        let theirs = features(b, &members, &taps_b)?;
        sums.add(&ours, &theirs);
        start = end;
        progress(end);
    }
    if sums.n_atoms < 4 {
        let message = format!("{} atoms are too few to compare features on; give at least 4", sums.n_atoms);
        return Err(Error::Other(message));
    }
    let table = |unbiased: bool| {
        let value = |i: usize, j: usize| if unbiased { sums.unbiased(i, j) } else { sums.biased(i, j) };
        (0..taps_a.len()).map(|i| (0..taps_b.len()).map(|j| value(i, j)).collect()).collect()
    };
    let names = |taps: &[Tap]| taps.iter().map(ToString::to_string).collect();
    Ok(Similarity {
        taps_a: names(&taps_a),
        taps_b: names(&taps_b),
        n_atoms: sums.n_atoms,
        cka: table(false),
        cka_unbiased: table(true),
    })
}

/// As many systems as fit into one pass, at least one.
fn batch_end(systems: &[System], start: usize) -> usize {
    let mut atoms = 0;
    let mut end = start;
    while end < systems.len() && (end == start || atoms + systems[end].n_atoms() <= ATOMS_PER_BATCH) {
        atoms += systems[end].n_atoms();
        end += 1;
    }
    end
}

/// Features of one layer on some atoms, row-major.
struct Features {
    values: Vec<f64>,
    n_atoms: usize,
    channels: usize,
}

fn features(model: &Model, systems: &[&System], taps: &[Tap]) -> Result<Vec<Features>> {
    let (_, output) = model.forward(systems, taps)?;
    let find = |tap: &Tap| {
        let features = output.features.iter().find(|f| f.tap == *tap);
        let features =
            features.ok_or_else(|| Error::Other(format!("{} shows nothing at {tap}", model.header().model.name())))?;
        let [n_atoms, channels] = features.node.dims();
        Ok(Features { values: to_host(&features.node), n_atoms, channels })
    };
    taps.iter().map(find).collect()
}

/// Sums over the atoms of one layer `x`.
#[derive(Debug, Default, Clone)]
struct Layer {
    /// `Σ x`
    sum: Vec<f64>,
    /// `Σ |x|²`
    squares: f64,
}

/// Sums over the atoms of two layers `x` and `y`.
#[derive(Debug, Default, Clone)]
struct Pair {
    /// `Σ x yᵀ`
    products: Vec<f64>,
    /// `Σ x |y|²`
    x_weighted: Vec<f64>,
    /// `Σ y |x|²`
    y_weighted: Vec<f64>,
    /// `Σ |x|² |y|²`
    squares: f64,
}

#[derive(Debug, Default)]
struct Sums {
    n_atoms: usize,
    a: Vec<Layer>,
    b: Vec<Layer>,
    ab: Vec<Pair>,
    aa: Vec<Pair>,
    bb: Vec<Pair>,
}

impl Sums {
    fn add(&mut self, a: &[Features], b: &[Features]) {
        self.n_atoms += a.first().map_or(0, |f| f.n_atoms);
        self.a.resize(a.len(), Layer::default());
        self.b.resize(b.len(), Layer::default());
        self.a.iter_mut().zip(a).for_each(|(layer, features)| layer.add(features));
        self.b.iter_mut().zip(b).for_each(|(layer, features)| layer.add(features));
        let own = |pairs: &mut Vec<Pair>, features: &[Features]| {
            pairs.resize(features.len(), Pair::default());
            pairs.iter_mut().zip(features).for_each(|(pair, f)| pair.add(f, f));
        };
        own(&mut self.aa, a);
        own(&mut self.bb, b);
        self.ab.resize(a.len() * b.len(), Pair::default());
        for (i, x) in a.iter().enumerate() {
            for (j, y) in b.iter().enumerate() {
                self.ab[i * b.len() + j].add(x, y);
            }
        }
    }

    fn biased(&self, i: usize, j: usize) -> f64 {
        let n = self.n_atoms as f64;
        let pair = &self.ab[i * self.b.len() + j];
        let cross = pair.centred(&self.a[i], &self.b[j], n);
        ratio(cross, self.aa[i].centred(&self.a[i], &self.a[i], n), self.bb[j].centred(&self.b[j], &self.b[j], n))
    }

    fn unbiased(&self, i: usize, j: usize) -> f64 {
        let n = self.n_atoms as f64;
        let pair = &self.ab[i * self.b.len() + j];
        let cross = pair.unbiased(&self.a[i], &self.b[j], n);
        ratio(cross, self.aa[i].unbiased(&self.a[i], &self.a[i], n), self.bb[j].unbiased(&self.b[j], &self.b[j], n))
    }
}

/// `c / √(a b)`; 0 where a layer is constant.
fn ratio(c: f64, a: f64, b: f64) -> f64 {
    if a > 0.0 && b > 0.0 { c / (a * b).sqrt() } else { 0.0 }
}

fn square(row: &[f64]) -> f64 {
    row.iter().map(|v| v * v).sum()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

impl Layer {
    fn add(&mut self, features: &Features) {
        self.sum.resize(features.channels, 0.0);
        for row in features.values.chunks_exact(features.channels) {
            self.sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
            self.squares += square(row);
        }
    }
}

impl Pair {
    fn add(&mut self, x: &Features, y: &Features) {
        self.products.resize(x.channels * y.channels, 0.0);
        self.x_weighted.resize(x.channels, 0.0);
        self.y_weighted.resize(y.channels, 0.0);
        let left = Factor::new(&x.values, x.n_atoms, x.channels).transpose();
        product_into(&mut self.products, left, Factor::new(&y.values, y.n_atoms, y.channels), true);
        for (x, y) in x.values.chunks_exact(x.channels).zip(y.values.chunks_exact(y.channels)) {
            let (x_square, y_square) = (square(x), square(y));
            self.x_weighted.iter_mut().zip(x).for_each(|(sum, value)| *sum += value * y_square);
            self.y_weighted.iter_mut().zip(y).for_each(|(sum, value)| *sum += value * x_square);
            self.squares += x_square * y_square;
        }
    }

    /// `‖Σ (x − x̄)(y − ȳ)ᵀ‖²`
    fn centred(&self, x: &Layer, y: &Layer, n: f64) -> f64 {
        let rows = self.products.chunks_exact(y.sum.len()).zip(&x.sum);
        rows.map(|(row, x)| row.iter().zip(&y.sum).map(|(p, y)| (p - x * y / n).powi(2)).sum::<f64>()).sum()
    }

    /// `tr K̃L̃ + 1ᵀK̃1 1ᵀL̃1 / ((n−1)(n−2)) − 2/(n−2) 1ᵀK̃L̃1`, where the kernels lack their diagonals; without the factor
    /// `1/(n(n−3))`, which cancels in the ratio.
    fn unbiased(&self, x: &Layer, y: &Layer, n: f64) -> f64 {
        let trace = square(&self.products) - self.squares;
        let total = |layer: &Layer| square(&layer.sum) - layer.squares;
        // 1ᵀK̃L̃1 = Σ (x·Sx − |x|²)(y·Sy − |y|²)
        let rows = self.products.chunks_exact(y.sum.len()).zip(&x.sum);
        let mixed = rows.map(|(row, x)| x * dot(row, &y.sum)).sum::<f64>();
        let joint = mixed - dot(&self.x_weighted, &x.sum) - dot(&self.y_weighted, &y.sum) + self.squares;
        trace + total(x) * total(y) / ((n - 1.0) * (n - 2.0)) - 2.0 / (n - 2.0) * joint
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};

    use super::*;

    fn random(n: usize, channels: usize, seed: u64) -> Features {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        Features { values: (0..n * channels).map(|_| rng.random_range(-1.0..1.5)).collect(), n_atoms: n, channels }
    }

    fn compare(a: &Features, b: &Features) -> (f64, f64) {
        let mut sums = Sums::default();
        // In two parts: the sums must not feel it.
        let half = |f: &Features, range: std::ops::Range<usize>| Features {
            values: f.values[range.start * f.channels..range.end * f.channels].to_vec(),
            n_atoms: range.len(),
            channels: f.channels,
        };
        for range in [0..a.n_atoms / 3, a.n_atoms / 3..a.n_atoms] {
            sums.add(&[half(a, range.clone())], &[half(b, range)]);
        }
        (sums.biased(0, 0), sums.unbiased(0, 0))
    }

    type Matrix = Vec<Vec<f64>>;

    /// Both estimates from Gram matrices, as their papers write them.
    fn by_gram_matrices(a: &Features, b: &Features) -> (f64, f64) {
        let n = a.n_atoms;
        let gram = |f: &Features| -> Vec<Vec<f64>> {
            let rows: Vec<&[f64]> = f.values.chunks_exact(f.channels).collect();
            rows.iter().map(|x| rows.iter().map(|y| dot(x, y)).collect()).collect()
        };
        let centred = |k: &Matrix| -> Matrix {
            let mean: Vec<f64> = k.iter().map(|row| row.iter().sum::<f64>() / n as f64).collect();
            let all = mean.iter().sum::<f64>() / n as f64;
            (0..n).map(|i| (0..n).map(|j| k[i][j] - mean[i] - mean[j] + all).collect()).collect()
        };
        let hsic = |k: &Matrix, l: &Matrix| {
            let (k, l) = (centred(k), centred(l));
            (0..n).map(|i| dot(&k[i], &l[i])).sum::<f64>()
        };
        let unbiased = |k: &Matrix, l: &Matrix| {
            let hollow = |k: &Matrix| -> Vec<Vec<f64>> {
                (0..n).map(|i| (0..n).map(|j| if i == j { 0.0 } else { k[i][j] }).collect()).collect()
            };
            let (k, l) = (hollow(k), hollow(l));
            let sums = |k: &Matrix| -> Vec<f64> { k.iter().map(|row| row.iter().sum()).collect() };
            let (k_sums, l_sums) = (sums(&k), sums(&l));
            let n = n as f64;
            (0..k.len()).map(|i| dot(&k[i], &l[i])).sum::<f64>()
                + k_sums.iter().sum::<f64>() * l_sums.iter().sum::<f64>() / ((n - 1.0) * (n - 2.0))
                - 2.0 / (n - 2.0) * dot(&k_sums, &l_sums)
        };
        let (k, l) = (gram(a), gram(b));
        let over = |f: &dyn Fn(&Matrix, &Matrix) -> f64| f(&k, &l) / (f(&k, &k) * f(&l, &l)).sqrt();
        (over(&hsic), over(&unbiased))
    }

    #[test]
    fn sums_give_what_gram_matrices_give() {
        for (n, c, d) in [(12, 3, 5), (30, 40, 2), (5, 1, 1)] {
            let (a, b) = (random(n, c, 1), random(n, d, 2));
            let (got, wanted) = (compare(&a, &b), by_gram_matrices(&a, &b));
            assert!((got.0 - wanted.0).abs() < 1e-10 && (got.1 - wanted.1).abs() < 1e-9, "{got:?} and {wanted:?}");
        }
    }

    #[test]
    fn rotated_and_scaled_features_are_alike_and_random_ones_are_not() {
        let a = random(500, 2, 1);
        let turned =
            a.values.chunks_exact(2).flat_map(|v| [3.0 * (0.6 * v[0] - 0.8 * v[1]), 3.0 * (0.8 * v[0] + 0.6 * v[1])]);
        let turned = Features { values: turned.collect(), n_atoms: 500, channels: 2 };
        let (biased, unbiased) = compare(&a, &turned);
        assert!((biased - 1.0).abs() < 1e-12 && (unbiased - 1.0).abs() < 1e-9);
        // Few atoms with many channels: only the unbiased estimate sees that there is nothing.
        let (biased, unbiased) = compare(&random(60, 50, 3), &random(60, 50, 4));
        assert!(biased > 0.3 && unbiased.abs() < 0.1, "{biased} and {unbiased}");
    }
}
