//! The network from the weights of a model file.

use potstill_core::Result;
use potstill_core::model::{SchNetConfig, Weights};
use potstill_kernels::Number;
use potstill_kernels::dense::Parts;
use potstill_kernels::filters::{FilterNetwork, Filters};
use potstill_kernels::radial::Gaussians;
use potstill_kernels::rows::padded;
use potstill_kernels::schnet::parts;

use super::filter::Filter;
use super::{EMBEDDING_ROWS, Interaction, SchNet};
use crate::weights::{dense, padded_rows};

impl<T: Number> SchNet<T> {
    /// Network with the weights of a file; `accuracy` is that of the filter tables, none for exact filters.
    ///
    /// # Errors
    /// Weights that do not fit; filters that no table follows closely enough.
    pub fn new(config: &SchNetConfig, weights: &mut Weights, accuracy: Option<f64>) -> Result<Self> {
        let h = config.hidden_channels;
        let (one, half) = (Parts::of(1, h), Parts::of(1, h / 2));
        let embedding = padded_rows(&weights.take("embedding.weight", &[EMBEDDING_ROWS, h])?, h);
        let blocks = (0..config.n_interactions).map(|i| interaction(config, weights, i));
        let (blocks, filters): (Vec<_>, Vec<_>) = blocks.collect::<Result<Vec<_>>>()?.into_iter().unzip();
        let parts = parts::<T>(padded(config.n_filters));
        let filters = match accuracy {
            Some(accuracy) => Filters::tables(&filters, parts, config.cutoff, accuracy)?,
            None => Filters::Exact(filters, parts),
        };
        Ok(Self {
            wide: padded(h),
            filter_wide: padded(config.n_filters),
            embedding,
            blocks,
            filters,
            energy_in: dense(weights, "energy_in", one, half, true)?,
            energy_out: dense(weights, "energy_out", half, Parts::of(1, 1), true)?,
        })
    }
}

/// Interaction block number `i`, and its filters.
fn interaction<T: Number>(
    config: &SchNetConfig,
    weights: &mut Weights,
    i: usize,
) -> Result<(Interaction<T>, Box<dyn FilterNetwork>)> {
    let (f, g) = (config.n_filters, config.n_gaussians);
    let (features, filters) = (Parts::of(1, config.hidden_channels), Parts::of(1, f));
    let name = |name: &str| format!("interactions.{i}.{name}");
    let filter = Filter {
        gaussians: Gaussians::new(0.0, config.cutoff, g),
        cutoff: config.cutoff,
        n_filters: f,
        weight_in: weights.take(&name("filter_in.weight"), &[f, g])?,
        bias_in: weights.take(&name("filter_in.bias"), &[f])?,
        weight_out: weights.take(&name("filter_out.weight"), &[f, f])?,
        bias_out: weights.take(&name("filter_out.bias"), &[f])?,
    };
    let block = Interaction {
        source: dense(weights, &name("source"), features, filters, false)?,
        message: dense(weights, &name("message"), filters, features, true)?,
        output: dense(weights, &name("output"), features, features, true)?,
    };
    Ok((block, Box::new(filter)))
}
