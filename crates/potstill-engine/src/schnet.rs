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

use std::ops::Range;

use potstill_core::Result;

use crate::checkpoint::{SchNetSizes, Weights};
use crate::dense::{Dense, Parts, padded};
use crate::filters::{FilterNetwork, Filters};
use crate::pairs::Pairs;
use crate::radial::{Gaussians, Slope, cosine_cutoff};
use crate::rows::LANES;
use crate::rows::{Lanes, add, cut, cut_edges, run};
use crate::work::{EdgeBars, Scratch, resize};
use potstill_core::number::{Number, vectorized};

/// Rows of the embedding: atomic numbers 0 to 99.
const EMBEDDING_ROWS: usize = 100;
/// ln 2 rounded to f32, with which published networks were trained.
const SHIFT: f64 = std::f32::consts::LN_2 as f64;
/// Atoms whose matrices are multiplied at a time.
const BLOCK: usize = 64;
/// Edges whose filters are looked up at a time.
const EDGES: usize = 32;

/// The network.
#[derive(Debug)]
pub struct SchNet<T> {
    /// Padded widths of features and filters.
    wide: usize,
    filter_wide: usize,
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

/// Filters of one block: two dense layers of Gaussians, times the cutoff.
#[derive(Debug)]
struct Filter {
    gaussians: Gaussians,
    cutoff: f64,
    n_gaussians: usize,
    n_filters: usize,
    weight_in: Vec<f64>,
    bias_in: Vec<f64>,
    weight_out: Vec<f64>,
    bias_out: Vec<f64>,
}

impl FilterNetwork for Filter {
    fn width(&self) -> usize {
        padded(self.n_filters)
    }

    fn at(&self, distance: f64, work: &mut Vec<Slope>, values: &mut [f64], slopes: &mut [f64]) {
        work.resize(self.n_gaussians + self.n_filters, (0.0, 0.0));
        let (basis, hidden) = work.split_at_mut(self.n_gaussians);
        self.gaussians.at(distance, basis);
        let row = |weights: &[f64], bias: f64, input: &[Slope]| {
            weights.iter().zip(input).fold((bias, 0.0), |(v, s), (w, x)| (v + w * x.0, s + w * x.1))
        };
        let first = self.weight_in.chunks_exact(self.n_gaussians).zip(&self.bias_in);
        for (hidden, (weights, &bias)) in hidden.iter_mut().zip(first) {
            let (value, slope) = row(weights, bias, basis);
            *hidden = (value.softplus() - SHIFT, slope * value.sigmoid());
        }
        let (u, du) = cosine_cutoff(distance, self.cutoff);
        let second = self.weight_out.chunks_exact(self.n_filters).zip(&self.bias_out);
        for (k, (weights, &bias)) in second.enumerate() {
            let (value, slope) = row(weights, bias, hidden);
            (values[k], slopes[k]) = (u * value, du * value + u * slope);
        }
    }
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
    pub fn new(sizes: &SchNetSizes, weights: &mut Weights, accuracy: Option<f64>) -> Result<Self> {
        let (h, f, g) = (sizes.hidden_channels, sizes.n_filters, sizes.n_gaussians);
        let (one, filters) = (Parts(1, h), Parts(1, f));
        let wide = padded(h);
        let raw = weights.take("embedding.weight", &[EMBEDDING_ROWS, h])?;
        let mut embedding = vec![T::ZERO; EMBEDDING_ROWS * wide];
        for (to, from) in embedding.chunks_exact_mut(wide).zip(raw.chunks_exact(h)) {
            to.iter_mut().zip(from).for_each(|(to, &from)| *to = T::of(from));
        }
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
                    Some(accuracy) => Filters::table(&filter, sizes.cutoff, accuracy)?,
                    None => Filters::Exact(Box::new(filter)),
                },
                source: Dense::read(weights, &name("source"), one, filters, false)?,
                message: Dense::read(weights, &name("message"), filters, one, true)?,
                output: Dense::read(weights, &name("output"), one, one, true)?,
            });
        }
        Ok(Self {
            wide,
            filter_wide: padded(f),
            embedding,
            blocks,
            energy_in: Dense::read(weights, "energy_in", one, Parts(1, h / 2), true)?,
            energy_out: Dense::read(weights, "energy_out", Parts(1, h / 2), Parts(1, 1), true)?,
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
        bars.clear(pairs.len());
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
            let blocks = features.chunks_mut(BLOCK * w).zip(messages.chunks_mut(BLOCK * w));
            for (b, (features, messages)) in blocks.enumerate() {
                let start = task.start + b * BLOCK;
                let m = features.len() / w;
                let [rows, sums, activated, update] = scratch.four([EDGES * f, m * f, m * w, m * w]);
                for (atom, sum) in (start..start + m).zip(sums.chunks_exact_mut(f)) {
                    gather(&weights.filters, pairs, atom, sent, rows, sum);
                }
                weights.message.forward(sums, messages);
                activate(messages, activated);
                weights.output.forward(activated, update);
                add(features, update);
            }
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
            .zip(cut_edges(&mut bars.distance, tasks, &pairs.out_of.first))
            .collect();
        run(parts, |(((task, scratch), features_bar), distance)| {
            let offset = pairs.out_of.first[task.start];
            for (b, x_bar) in features_bar.chunks_mut(BLOCK * w).enumerate() {
                let start = task.start + b * BLOCK;
                let m = x_bar.len() / w;
                let [rows, slopes, sent_bar, update] = scratch.four([EDGES * f, EDGES * f, m * f, m * w]);
                sent_bar.fill(T::ZERO);
                for (atom, sent_bar) in (start..start + m).zip(sent_bar.chunks_exact_mut(f)) {
                    let own = pairs.out_of.edges(atom);
                    let distance = &mut distance[own.start - offset..own.end - offset];
                    let y = &sent[atom * f..(atom + 1) * f];
                    scatter(&weights.filters, pairs, atom, y, summed_bar, [rows, slopes], sent_bar, distance);
                }
                // The embedding does not depend on positions.
                if block > 0 {
                    weights.source.adjoint(sent_bar, update);
                    add(x_bar, update);
                }
            }
        });
    }
}

/// `Σ_j y_j ∘ w(d)` of one atom.
fn gather<T: Number>(filters: &Filters<T>, pairs: &Pairs<T>, atom: usize, sent: &[T], rows: &mut [T], sum: &mut [T]) {
    let f = sum.len();
    sum.fill(T::ZERO);
    let edges = pairs.into.edges(atom);
    let mut start = edges.start;
    while start < edges.end {
        let end = (start + EDGES).min(edges.end);
        let rows = &mut rows[..(end - start) * f];
        filters.values(&pairs.into.distance[start..end], rows);
        vectorized(
            #[inline(always)]
            || {
                for (e, row) in (start..end).zip(rows.chunks_exact(f)) {
                    let source = pairs.into.other[e] as usize;
                    let y = &sent[source * f..(source + 1) * f];
                    for ((sum, &y), &w) in sum.iter_mut().zip(y).zip(row) {
                        *sum = y.times_plus(w, *sum);
                    }
                }
            },
        );
        start = end;
    }
}

/// The edges out of one atom.
fn scatter<T: Number>(
    filters: &Filters<T>,
    pairs: &Pairs<T>,
    atom: usize,
    y: &[T],
    summed_bar: &[T],
    [rows, slopes]: [&mut [T]; 2],
    sent_bar: &mut [T],
    distance: &mut [T],
) {
    let f = y.len();
    let edges = pairs.out_of.edges(atom);
    let mut start = edges.start;
    while start < edges.end {
        let end = (start + EDGES).min(edges.end);
        let n = (end - start) * f;
        let (rows, slopes) = (&mut rows[..n], &mut slopes[..n]);
        filters.values_and_slopes(&pairs.out_of.distance[start..end], rows, slopes);
        vectorized(
            #[inline(always)]
            || {
                for ((e, row), slope) in (start..end).zip(rows.chunks_exact(f)).zip(slopes.chunks_exact(f)) {
                    let target = pairs.out_of.other[e] as usize;
                    let bar = &summed_bar[target * f..(target + 1) * f];
                    let mut along = Lanes::new();
                    let chunks = bar.chunks_exact(LANES).zip(y.chunks_exact(LANES));
                    let filters = row.chunks_exact(LANES).zip(slope.chunks_exact(LANES));
                    for (((bar, y), (row, slope)), out) in chunks.zip(filters).zip(sent_bar.chunks_exact_mut(LANES)) {
                        for k in 0..LANES {
                            out[k] = bar[k].times_plus(row[k], out[k]);
                            along.0[k] = (bar[k] * y[k]).times_plus(slope[k], along.0[k]);
                        }
                    }
                    distance[e - edges.start] += along.total();
                }
            },
        );
        start = end;
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
