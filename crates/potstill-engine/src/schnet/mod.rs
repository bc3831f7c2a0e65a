//! SchNet (Schütt et al., NeurIPS 2017, arXiv 1706.08566), forward and backward.
//!
//! Equations as in `potstill-nn`, with `σ(x) = ln(½ eˣ + ½)`. A block is
//!
//! ```text
//! y_j = W_x x_j
//! m_i = W_m Σ_j y_j ∘ w(d) + b_m                    (over the edges into i)
//! x_i ← x_i + W_o σ(m_i) + b_o
//! ```
//!
//! where the filters `w` hold the cosine cutoff. Backward, with `σ′ = sigmoid`:
//!
//! ```text
//! z̄_i = W_mᵀ (σ′(m_i) ∘ W_oᵀ x̄_i)
//! ȳ_j = Σ_i z̄_i ∘ w(d),   d̄ = Σ z̄_i ∘ y_j ∘ w′(d)    (over the edges out of j; sums over channels)
//! x̄_j ← x̄_j + W_xᵀ ȳ_j
//! ```

mod filter;
mod message;

use std::ops::Range;

use potstill_core::Result;
use potstill_kernels::number::{Number, dispatch, vectorized};

use self::filter::{Filter, SHIFT};
use self::message::{Gather, Scatter};
use crate::dense::{Dense, Parts, padded};
use crate::filters::Filters;
use crate::pairs::Pairs;
use crate::radial::Gaussians;
use crate::rows::{add, cut, cut_edges, run};
use crate::work::{EdgeBars, Scratch, resize};
use potstill_core::model::{SchNetConfig, Weights};

/// Rows of the embedding: atomic numbers 0 to 99.
const EMBEDDING_ROWS: usize = 100;
/// Atoms whose matrices are multiplied at a time.
const BLOCK: usize = 64;

/// The network.
#[derive(Debug)]
pub struct SchNet<T> {
    /// Padded widths of features and filters.
    wide: usize,
    filter_wide: usize,
    /// Registers of a row that kernels work on together.
    parts: usize,
    embedding: Vec<T>,
    blocks: Vec<Block<T>>,
    energy_in: Dense<T>,
    energy_out: Dense<T>,
}

#[derive(Debug)]
struct Block<T> {
    filters: Filters<T>,
    source: Dense<T>,
    message: Dense<T>,
    output: Dense<T>,
}

/// What one call keeps.
#[derive(Debug, Default)]
pub struct Memory<T> {
    features: Vec<T>,
    /// `y` and `m` of each block.
    sent: Vec<Vec<T>>,
    messages: Vec<Vec<T>>,
    energy_hidden: Vec<T>,
    features_bar: Vec<T>,
    summed_bar: Vec<T>,
}

impl<T: Number> SchNet<T> {
    /// Takes the weights; `accuracy` is that of the tables, none for exact filters.
    ///
    /// # Errors
    /// Weights that do not fit; filters that no table follows closely enough.
    pub fn new(sizes: &SchNetConfig, weights: &mut Weights, accuracy: Option<f64>) -> Result<Self> {
        let (h, f, g) = (sizes.hidden_channels, sizes.n_filters, sizes.n_gaussians);
        let (one, filters) = (Parts::of(1, h), Parts::of(1, f));
        let wide = padded(h);
        let raw = weights.take("embedding.weight", &[EMBEDDING_ROWS, h])?;
        let mut embedding = vec![T::ZERO; EMBEDDING_ROWS * wide];
        for (to, from) in embedding.chunks_exact_mut(wide).zip(raw.chunks_exact(h)) {
            to.iter_mut().zip(from).for_each(|(to, &from)| *to = T::of(from));
        }
        let parts = message::parts::<T>(padded(f));
        let mut blocks = Vec::new();
        for i in 0..sizes.n_interactions {
            let name = |name: &str| format!("interactions.{i}.{name}");
            let filter = Filter {
                gaussians: Gaussians::new(sizes.cutoff, g),
                cutoff: sizes.cutoff,
                n_gaussians: g,
                n_filters: f,
                weight_in: weights.take(&name("filter_in.weight"), &[f, g])?,
                bias_in: weights.take(&name("filter_in.bias"), &[f])?,
                weight_out: weights.take(&name("filter_out.weight"), &[f, f])?,
                bias_out: weights.take(&name("filter_out.bias"), &[f])?,
            };
            blocks.push(Block {
                filters: match accuracy {
                    Some(accuracy) => Filters::table(&filter, parts, sizes.cutoff, accuracy)?,
                    None => Filters::Exact(Box::new(filter), parts),
                },
                source: Dense::read(weights, &name("source"), one, filters, false)?,
                message: Dense::read(weights, &name("message"), filters, one, true)?,
                output: Dense::read(weights, &name("output"), one, one, true)?,
            });
        }
        Ok(Self {
            wide,
            filter_wide: padded(f),
            parts,
            embedding,
            blocks,
            energy_in: Dense::read(weights, "energy_in", one, Parts::of(1, h / 2), true)?,
            energy_out: Dense::read(weights, "energy_out", Parts::of(1, h / 2), Parts::of(1, 1), true)?,
        })
    }

    /// Largest number of segments of a table.
    pub fn n_segments(&self) -> Option<usize> {
        self.blocks.iter().filter_map(|block| block.filters.n_segments()).max()
    }

    /// Bytes that a call with so many atoms keeps.
    pub fn bytes(&self, n_atoms: usize) -> usize {
        let each = self.blocks.len() * (self.wide + self.filter_wide) + 3 * self.wide + self.filter_wide;
        n_atoms.saturating_mul(each * size_of::<T>())
    }

    /// Energies of atoms, normalised, and derivatives with respect to the lengths of the edges.
    pub fn evaluate(
        &self,
        atomic_numbers: &[u8],
        pairs: &Pairs<T>,
        tasks: &[Range<usize>],
        scratch: &mut [Scratch<T>],
        memory: &mut Memory<T>,
        energies: &mut Vec<T>,
        bars: &mut EdgeBars<T>,
    ) {
        let (n, w, f) = (atomic_numbers.len(), self.wide, self.filter_wide);
        memory.sent.resize_with(self.blocks.len(), Vec::new);
        memory.messages.resize_with(self.blocks.len(), Vec::new);
        memory.sent.iter_mut().for_each(|sent| resize(sent, n * f));
        memory.messages.iter_mut().for_each(|messages| resize(messages, n * w));
        for (array, width) in [
            (&mut memory.features, w),
            (&mut memory.features_bar, w),
            (&mut memory.summed_bar, f),
            (&mut memory.energy_hidden, self.energy_in.output()),
            (energies, 1),
        ] {
            resize(array, n * width);
        }
        for (row, &z) in memory.features.chunks_exact_mut(w).zip(atomic_numbers) {
            let z = usize::from(z).min(EMBEDDING_ROWS - 1);
            row.copy_from_slice(&self.embedding[z * w..(z + 1) * w]);
        }
        for block in 0..self.blocks.len() {
            self.send(block, tasks, memory);
            self.receive(block, pairs, tasks, scratch, memory);
        }
        self.energies(tasks, scratch, memory, energies);
        bars.clear(pairs.len(), false);
        for block in (0..self.blocks.len()).rev() {
            self.receive_adjoint(block, tasks, scratch, memory);
            self.send_adjoint(block, pairs, tasks, scratch, memory, bars);
        }
    }

    fn send(&self, block: usize, tasks: &[Range<usize>], memory: &mut Memory<T>) {
        let (w, f) = (self.wide, self.filter_wide);
        let features = &memory.features;
        let parts: Vec<_> = tasks.iter().zip(cut(&mut memory.sent[block], tasks, f)).collect();
        run(parts, |(task, sent)| self.blocks[block].source.forward(&features[task.start * w..task.end * w], sent));
    }

    fn receive(
        &self,
        block: usize,
        pairs: &Pairs<T>,
        tasks: &[Range<usize>],
        scratch: &mut [Scratch<T>],
        memory: &mut Memory<T>,
    ) {
        let (w, f) = (self.wide, self.filter_wide);
        let weights = &self.blocks[block];
        let sent = &memory.sent[block];
        let parts: Vec<_> = tasks
            .iter()
            .zip(scratch)
            .zip(cut(&mut memory.features, tasks, w))
            .zip(cut(&mut memory.messages[block], tasks, w))
            .collect();
        run(parts, |(((task, scratch), features), messages)| {
            let mut rows = std::mem::take(&mut scratch.rows);
            let blocks = features.chunks_mut(BLOCK * w).zip(messages.chunks_mut(BLOCK * w));
            for (b, (features, messages)) in blocks.enumerate() {
                let start = task.start + b * BLOCK;
                let m = features.len() / w;
                let [sums, activated, update] = scratch.three([m * f, m * w, m * w]);
                let atoms = start..start + m;
                let filters = weights.filters.rows(&pairs.into.distance[pairs.into.edges_of(atoms.clone())], &mut rows);
                dispatch(Gather {
                    filters,
                    fan: &pairs.into,
                    atoms,
                    parts: self.parts,
                    sent,
                    wide: f,
                    sums: &mut *sums,
                });
                weights.message.forward(sums, messages);
                activate(messages, activated);
                weights.output.forward(activated, update);
                add(features, update);
            }
            scratch.rows = rows;
        });
    }

    /// Energies, and the start of the way back: `x̄` of every atom.
    fn energies(&self, tasks: &[Range<usize>], scratch: &mut [Scratch<T>], memory: &mut Memory<T>, energies: &mut [T]) {
        let (w, half, one) = (self.wide, self.energy_in.output(), self.energy_out.output());
        let Memory { features, energy_hidden, features_bar, .. } = memory;
        let features = &*features;
        let parts: Vec<_> = tasks
            .iter()
            .zip(scratch)
            .zip(cut(energy_hidden, tasks, half))
            .zip(cut(features_bar, tasks, w))
            .zip(cut(energies, tasks, 1))
            .collect();
        run(parts, |((((task, scratch), hidden), features_bar), energies)| {
            self.energy_in.forward(&features[task.start * w..task.end * w], hidden);
            let [activated, out] = scratch.pair(hidden.len(), task.len() * one);
            activate(hidden, activated);
            self.energy_out.forward(activated, out);
            energies.iter_mut().zip(out.chunks_exact(one)).for_each(|(e, row)| *e = row[0]);
            out.chunks_exact_mut(one).for_each(|row| {
                row.fill(T::ZERO);
                row[0] = T::ONE;
            });
            self.energy_out.adjoint(out, activated);
            activate_adjoint(hidden, activated);
            self.energy_in.adjoint(activated, features_bar);
        });
    }

    /// `z̄` of every atom.
    fn receive_adjoint(
        &self,
        block: usize,
        tasks: &[Range<usize>],
        scratch: &mut [Scratch<T>],
        memory: &mut Memory<T>,
    ) {
        let (w, f) = (self.wide, self.filter_wide);
        let weights = &self.blocks[block];
        let (features_bar, messages) = (&memory.features_bar, &memory.messages[block]);
        let parts: Vec<_> = tasks.iter().zip(scratch).zip(cut(&mut memory.summed_bar, tasks, f)).collect();
        run(parts, |((task, scratch), summed_bar)| {
            let atoms = task.start * w..task.end * w;
            let blocks = features_bar[atoms.clone()].chunks(BLOCK * w).zip(messages[atoms].chunks(BLOCK * w));
            for ((x_bar, messages), summed_bar) in blocks.zip(summed_bar.chunks_mut(BLOCK * f)) {
                let message_bar = scratch.first(x_bar.len());
                weights.output.adjoint(x_bar, message_bar);
                activate_adjoint(messages, message_bar);
                weights.message.adjoint(message_bar, summed_bar);
            }
        });
    }

    /// What edges get, and `x̄` before the block.
    fn send_adjoint(
        &self,
        block: usize,
        pairs: &Pairs<T>,
        tasks: &[Range<usize>],
        scratch: &mut [Scratch<T>],
        memory: &mut Memory<T>,
        bars: &mut EdgeBars<T>,
    ) {
        let (w, f) = (self.wide, self.filter_wide);
        let weights = &self.blocks[block];
        let (sent, summed_bar) = (&memory.sent[block], &memory.summed_bar);
        let parts: Vec<_> = tasks
            .iter()
            .zip(scratch)
            .zip(cut(&mut memory.features_bar, tasks, w))
            .zip(cut_edges(&mut bars.distance, tasks, &pairs.out_of().first))
            .collect();
        run(parts, |(((task, scratch), features_bar), distance)| {
            let fan = pairs.out_of();
            let mut rows = std::mem::take(&mut scratch.rows);
            let mut partial = std::mem::take(&mut scratch.partial);
            for (b, x_bar) in features_bar.chunks_mut(BLOCK * w).enumerate() {
                let start = task.start + b * BLOCK;
                let m = x_bar.len() / w;
                let [sent_bar, update] = scratch.pair(m * f, m * w);
                let atoms = start..start + m;
                let edges = fan.edges_of(atoms.clone());
                let own = edges.start - fan.first[task.start]..edges.end - fan.first[task.start];
                dispatch(Scatter {
                    filters: weights.filters.rows(&fan.distance[edges], &mut rows),
                    fan,
                    atoms,
                    parts: self.parts,
                    sent: &sent[start * f..(start + m) * f],
                    summed_bar,
                    wide: f,
                    sent_bar: &mut *sent_bar,
                    partial: &mut partial,
                    distance: &mut distance[own],
                });
                // The embedding does not depend on positions.
                if block > 0 {
                    weights.source.adjoint(sent_bar, update);
                    add(x_bar, update);
                }
            }
            (scratch.rows, scratch.partial) = (rows, partial);
        });
    }
}

fn activate<T: Number>(x: &[T], y: &mut [T]) {
    let shift = T::of(SHIFT);
    vectorized(
        #[inline(always)]
        || {
            for (y, &x) in y.iter_mut().zip(x) {
                *y = x.softplus() - shift;
            }
        },
    );
}

fn activate_adjoint<T: Number>(x: &[T], y_bar: &mut [T]) {
    vectorized(
        #[inline(always)]
        || {
            for (y, &x) in y_bar.iter_mut().zip(x) {
                *y *= x.sigmoid();
            }
        },
    );
}
