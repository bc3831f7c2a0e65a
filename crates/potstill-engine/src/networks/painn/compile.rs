//! The network from the weights of a model file.

use potstill_core::Result;
use potstill_core::model::{Forces, PaiNNConfig, RadialKind, Weights};
use potstill_kernels::Number;
use potstill_kernels::dense::Parts;
use potstill_kernels::filters::{FilterNetwork, Filters};
use potstill_kernels::norm::LayerNorm;
use potstill_kernels::radial::{Envelope, Gaussians, RadialBasis, RadialFunctions};
use potstill_kernels::rows::padded;

use super::direct::GatedBlock;
use super::filter::Filter;
use super::{Layer, PaiNN, SAVE_AT_MOST};
use crate::weights::{dense, padded_rows};

/// Rows of the embedding: hydrogen to bismuth.
const EMBEDDING_ROWS: usize = 83;

impl<T: Number> PaiNN<T> {
    /// Network with the weights of a file; `accuracy` is that of the filter tables, none for exact filters.
    ///
    /// # Errors
    /// Weights that do not fit; filters that no table follows closely enough.
    pub fn new(config: &PaiNNConfig, weights: &mut Weights, accuracy: Option<f64>) -> Result<Self> {
        let h = config.hidden_channels;
        let (one, half) = (Parts::of(1, h), Parts::of(1, h / 2));
        let basis = radial_basis(config, weights)?;
        let embedding = padded_rows(&weights.take("embedding.weight", &[EMBEDDING_ROWS, h])?, h);
        let layers = (0..config.n_layers).map(|i| layer(config, &basis, weights, i));
        let (layers, filters): (Vec<_>, Vec<_>) = layers.collect::<Result<Vec<_>>>()?.into_iter().unzip();
        let filters = match accuracy {
            Some(accuracy) => Filters::tables(&filters, 3, config.cutoff, accuracy)?,
            None => Filters::Exact(filters, 3),
        };
        let direct = match config.forces {
            Forces::Direct => Some([
                GatedBlock::new(weights, "direct_forces.first", h, h / 2)?,
                GatedBlock::new(weights, "direct_forces.second", h / 2, 1)?,
            ]),
            _ => None,
        };
        let network = Self {
            h,
            wide: padded(h),
            embedding,
            first_sent: Vec::new(),
            layers,
            filters,
            energy_in: dense(weights, "energy_in", one, half, true)?,
            energy_out: dense(weights, "energy_out", half, Parts::of(1, 1), true)?,
            direct,
            save_at_most: SAVE_AT_MOST,
        };
        Ok(Self { first_sent: network.first_sent(), ..network })
    }

    /// `x` of the first layer for each element.
    fn first_sent(&self) -> Vec<T> {
        let mut sent = vec![T::ZERO; 3 * self.embedding.len()];
        if let Some(first) = self.layers.first() {
            let [mut hidden, mut normalized, mut activated] = [(); 3].map(|()| self.embedding.clone());
            first.send(&self.embedding, &mut hidden, &mut sent, [&mut normalized, &mut activated]);
        }
        sent
    }
}

/// Message and update number `i`, and the filters of the message.
fn layer<T: Number>(
    config: &PaiNNConfig,
    basis: &RadialBasis,
    weights: &mut Weights,
    i: usize,
) -> Result<(Layer<T>, Box<dyn FilterNetwork>)> {
    let h = config.hidden_channels;
    let (one, two) = (Parts::of(1, h), Parts::of(2, h));
    let message = |name: &str| format!("messages.{i}.{name}");
    let update = |name: &str| format!("updates.{i}.{name}");
    let filter = Filter {
        basis: basis.clone(),
        weight: weights.take(&message("filter.weight"), &[3 * h, config.n_radial])?,
        bias: weights.take(&message("filter.bias"), &[3 * h])?,
        smooth: config.smooth_cutoff,
        h,
        n_radial: config.n_radial,
    };
    let norm = ["norm.weight", "norm.bias"].map(|name| weights.take(&message(name), &[h]));
    let [norm_weight, norm_bias] = norm;
    let layer = Layer {
        norm: LayerNorm::new(&norm_weight?, &norm_bias?),
        scalar_in: dense(weights, &message("scalar_in"), one, one, true)?,
        scalar_out: dense(weights, &message("scalar_out"), one, Parts::interleaved::<T>(3, h), true)?,
        vector_mix: dense(weights, &update("vector_mix"), one, two, false)?,
        gate_in: dense(weights, &update("gate_in"), two, one, true)?,
        gate_out: dense(weights, &update("gate_out"), one, Parts::of(3, h), true)?,
        scale: T::of(config.update_scales.get(i).copied().unwrap_or(1.0)),
    };
    Ok((layer, Box::new(filter)))
}

/// Radial basis, with the weights that it may have.
fn radial_basis(config: &PaiNNConfig, weights: &mut Weights) -> Result<RadialBasis> {
    let n = config.n_radial;
    let functions = match config.radial_basis {
        RadialKind::Gaussian => RadialFunctions::Gaussian(Gaussians::new(0.0, 1.0, n)),
        RadialKind::SphericalBessel => {
            RadialFunctions::SphericalBessel { frequencies: weights.take("radial_basis.frequencies", &[n])? }
        }
        RadialKind::Bernstein => RadialFunctions::bernstein(weights.take("radial_basis.pregamma", &[1])?[0], n),
    };
    let envelope = Envelope::of(config.envelope, config.envelope_exponent);
    Ok(RadialBasis { functions, envelope, cutoff: config.cutoff })
}
