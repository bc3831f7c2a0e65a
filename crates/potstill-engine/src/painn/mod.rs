//! PaiNN (Schütt, Unke, Gastegger, ICML 2021, arXiv 2102.03150), forward and backward.
//!
//! Equations as in `potstill-nn`, with `σ` the scaled SiLU `x · sigmoid(x) / 0.6`, `h` channels, `s_i` scalars and `v_i` vectors
//! of atom `i`, edges `j → i` with distance `d` and direction `u` from `i` to `j`. A layer is
//!
//! ```text
//! x_j = W₂ σ(W₁ norm(s_j) + b₁) + b₂                        (3h numbers: a, b, c)
//! g   = x_j ∘ w(d)                                          (filters; g = gₐ, g_b, g_c)
//! s̃_i = (s_i + Σ_j gₐ) / √2
//! ṽ_i = v_i + Σ_j (v_j g_b / √3 + u g_c) / √h
//! p, q = U ṽ_i, V ṽ_i                                       (each component)
//! γ   = W₄ σ(W₃ [s̃_i, ‖q‖] + b₃) + b₄                       (3h numbers: γ₀, γ₁, γ₂)
//! s_i ← (s̃_i + (γ₀ + γ₁ ⟨p, q⟩/√h) / √2) · scale
//! v_i ← ṽ_i + γ₂ p
//! ```
//!
//! with `‖q‖ = √(Σ q² + 10⁻⁸)`. The factors `1/√3` and `1/√h` are multiplied into the filters when the model is loaded. Bars are
//! derivatives of the energy; those of the forward equations, from the last to the first:
//!
//! ```text
//! γ̄   = [ ŝ, ŝ ⟨p, q⟩/√h, Σ v̄_i p ],  ŝ = s̄_i scale / √2
//! [s′, n̄] = W₃ᵀ (σ′ ∘ W₄ᵀ γ̄)
//! p̄   = q ŝ γ₁ / √h + v̄_i γ₂,   q̄ = p ŝ γ₁ / √h + q n̄ / ‖q‖
//! s̃̄_i = s̄_i scale + s′,          ṽ̄_i = v̄_i + Uᵀ p̄ + Vᵀ q̄
//!
//! ḡ   = [ s̃̄_i / √2, Σ ṽ̄_i v_j, Σ ṽ̄_i u ]                   (for each edge j → i)
//! x̄_j = Σ_i ḡ ∘ w(d),             v̄_j = ṽ̄_j + Σ_i ṽ̄_i g_b
//! d̄   = Σ ḡ ∘ x_j ∘ w′(d),        ū = Σ ṽ̄_i g_c             (sums over channels)
//! s̄_j = s̃̄_j / √2 + norm*(W₁ᵀ (σ′ ∘ W₂ᵀ x̄_j))
//! ```
//!
//! The sums over `i` run over the edges out of `j`, so that every atom writes to itself alone and nothing is atomic; and what
//! an edge gets is written by its source alone.

mod activation;
mod backward;
mod direct;
mod filter;
mod forward;
mod message;

use std::ops::Range;

use potstill_core::Result;
use potstill_kernels::number::Number;

use self::activation::silu;
use self::direct::{Gated, GatedWork};
use self::filter::Filter;
use crate::dense::{Dense, Parts, padded};
use crate::filters::Filters;
use crate::pairs::Pairs;
use crate::radial::RadialBasis;
use crate::rows::{cut, run};
use crate::work::{EdgeBars, MessageKept, Scratch, UpdateKept, resize};
use potstill_core::model::{Forces, PaiNNConfig, RadialKind, Weights};

/// Rows of the embedding: hydrogen to bismuth.
const EMBEDDING_ROWS: usize = 83;
/// Keeps the norm of a zero vector differentiable.
const NORM_EPSILON: f64 = 1e-8;
/// Added to the variance in the layer norm.
const VARIANCE_EPSILON: f64 = 1e-5;
/// Gain of the scaled SiLU.
const GAIN: f64 = 1.0 / 0.6;
/// Atoms whose matrices are multiplied at a time.
const BLOCK: usize = 64;
/// Default of what is kept.
const KEEP_AT_MOST: usize = 1 << 30;

/// The network.
#[derive(Debug)]
pub struct PaiNN<T> {
    /// Channels, without and with padding.
    h: usize,
    wide: usize,
    embedding: Vec<T>,
    /// `x` of the first layer, which depends on the element alone. Shape: `[83, 3h]`.
    first_sent: Vec<T>,
    layers: Vec<Layer<T>>,
    energy_in: Dense<T>,
    energy_out: Dense<T>,
    direct: Option<[Gated<T>; 2]>,
    /// Bytes up to which all that the way back reads is kept; beyond, most of it is computed anew: half as many matrix products
    /// again in half of the memory.
    pub keep_at_most: usize,
}

#[derive(Debug)]
struct Layer<T> {
    norm_weight: Vec<T>,
    norm_bias: Vec<T>,
    scalar_in: Dense<T>,
    scalar_out: Dense<T>,
    filters: Filters<T>,
    vector_mix: Dense<T>,
    gate_in: Dense<T>,
    gate_out: Dense<T>,
    scale: T,
}

/// What one call keeps: activations of each layer, and derivatives.
#[derive(Debug, Default)]
pub struct Memory<T> {
    layers: Vec<Kept<T>>,
    /// `x` of the current layer, where layers do not keep it.
    sent: Vec<T>,
    /// Scalars and vectors after the last layer.
    scalar: Vec<T>,
    vector: Vec<T>,
    energy_hidden: Vec<T>,
    /// `s̃̄ / √2` and `ṽ̄` of the layer above and of the one that is being worked on.
    bars: [Bars<T>; 2],
    head: [GatedWork<T>; 2],
}

#[derive(Debug, Default)]
struct Bars<T> {
    scalar: Vec<T>,
    vector: Vec<T>,
}

/// Activations of one layer that the way back reads.
#[derive(Debug, Default)]
struct Kept<T> {
    /// `s`, `v` at the start.
    scalar: Vec<T>,
    vector: Vec<T>,
    /// `s̃`, `ṽ`, where the rest is computed anew on the way back; else empty.
    middle_scalar: Vec<T>,
    middle_vector: Vec<T>,
    /// The rest, where there is memory for it; else empty.
    message: MessageKept<T>,
    update: UpdateKept<T>,
}

impl<T: Number> PaiNN<T> {
    /// Takes the weights; `accuracy` is that of the tables, none for exact filters.
    ///
    /// # Errors
    /// Weights that do not fit; filters that no table follows closely enough.
    pub fn new(sizes: &PaiNNConfig, weights: &mut Weights, accuracy: Option<f64>) -> Result<Self> {
        let (h, wide) = (sizes.hidden_channels, padded(sizes.hidden_channels));
        let one = Parts::of(1, h);
        let widened = |raw: Vec<f64>| -> Vec<T> {
            let mut values = vec![T::ZERO; wide];
            values.iter_mut().zip(raw).for_each(|(to, from)| *to = T::of(from));
            values
        };
        let trained = match sizes.radial_basis {
            RadialKind::Gaussian => Vec::new(),
            RadialKind::SphericalBessel => weights.take("radial_basis.frequencies", &[sizes.n_radial])?,
            RadialKind::Bernstein => weights.take("radial_basis.pregamma", &[1])?,
        };
        let basis = RadialBasis::new(
            sizes.radial_basis,
            sizes.n_radial,
            &trained,
            sizes.envelope,
            sizes.envelope_exponent,
            sizes.cutoff,
        );
        let raw = weights.take("embedding.weight", &[EMBEDDING_ROWS, h])?;
        let embedding = raw.chunks_exact(h).flat_map(|row| widened(row.to_vec())).collect();
        let mut layers = Vec::new();
        for i in 0..sizes.n_layers {
            let message = |name: &str| format!("messages.{i}.{name}");
            let update = |name: &str| format!("updates.{i}.{name}");
            let filter = Filter {
                basis: basis.clone(),
                weight: weights.take(&message("filter.weight"), &[3 * h, sizes.n_radial])?,
                bias: weights.take(&message("filter.bias"), &[3 * h])?,
                smooth: sizes.smooth_cutoff,
                h,
                n_radial: sizes.n_radial,
            };
            layers.push(Layer {
                norm_weight: widened(weights.take(&message("norm.weight"), &[h])?),
                norm_bias: widened(weights.take(&message("norm.bias"), &[h])?),
                scalar_in: Dense::read(weights, &message("scalar_in"), one, one, true)?,
                scalar_out: Dense::read(weights, &message("scalar_out"), one, Parts::interleaved::<T>(3, h), true)?,
                filters: match accuracy {
                    Some(accuracy) => Filters::table(&filter, 3, sizes.cutoff, accuracy)?,
                    None => Filters::Exact(Box::new(filter), 3),
                },
                vector_mix: Dense::read(weights, &update("vector_mix"), one, Parts::of(2, h), false)?,
                gate_in: Dense::read(weights, &update("gate_in"), Parts::of(2, h), one, true)?,
                gate_out: Dense::read(weights, &update("gate_out"), one, Parts::of(3, h), true)?,
                scale: T::of(sizes.update_scales.get(i).copied().unwrap_or(1.0)),
            });
        }
        let direct = match sizes.forces {
            Forces::Direct => Some([
                Gated::read(weights, "direct_forces.first", h, h / 2)?,
                Gated::read(weights, "direct_forces.second", h / 2, 1)?,
            ]),
            _ => None,
        };
        let mut network = Self {
            h,
            wide,
            embedding,
            first_sent: vec![T::ZERO; EMBEDDING_ROWS * 3 * wide],
            layers,
            energy_in: Dense::read(weights, "energy_in", one, Parts::of(1, h / 2), true)?,
            energy_out: Dense::read(weights, "energy_out", Parts::of(1, h / 2), Parts::of(1, 1), true)?,
            direct,
            keep_at_most: KEEP_AT_MOST,
        };
        let mut sent = std::mem::take(&mut network.first_sent);
        if let Some(first) = network.layers.first() {
            let [mut hidden, mut normalized, mut activated] = [(); 3].map(|()| network.embedding.clone());
            let work = [&mut normalized[..], &mut activated[..]];
            network.send_block(first, &network.embedding, &mut hidden, &mut sent, work);
        }
        network.first_sent = sent;
        Ok(network)
    }

    /// Largest number of segments of a table.
    pub fn n_segments(&self) -> Option<usize> {
        self.layers.iter().filter_map(|layer| layer.filters.n_segments()).max()
    }

    /// Bytes that a call keeps for each atom; `lean`: where the way back computes anew what it can.
    fn bytes_per_atom(&self, lean: bool) -> usize {
        let (each, once) = if lean { (8, 15) } else { (19, 12) };
        (self.layers.len() * each + once) * self.wide * size_of::<T>()
    }

    /// Bytes that a call with so many atoms keeps.
    pub fn bytes(&self, n_atoms: usize) -> usize {
        let all = n_atoms.saturating_mul(self.bytes_per_atom(false));
        if all > self.keep_at_most { n_atoms.saturating_mul(self.bytes_per_atom(true)) } else { all }
    }

    /// Energies of atoms, normalised; with direct forces those, else derivatives with respect to distances and directions of the
    /// edges where they are wanted.
    pub fn evaluate(
        &self,
        atomic_numbers: &[u8],
        pairs: &Pairs<T>,
        tasks: &[Range<usize>],
        scratch: &mut [Scratch<T>],
        memory: &mut Memory<T>,
        energies: &mut Vec<T>,
        bars: &mut EdgeBars<T>,
    ) -> Option<Vec<T>> {
        let (n, w) = (atomic_numbers.len(), self.wide);
        let lean = n.saturating_mul(self.bytes_per_atom(false)) > self.keep_at_most;
        memory.layers.resize_with(self.layers.len(), Kept::default);
        for (i, kept) in memory.layers.iter_mut().enumerate() {
            resize(&mut kept.scalar, n * w);
            // There are no vectors before the first layer.
            resize(&mut kept.vector, if i == 0 { 0 } else { 3 * n * w });
            let (rest, middle) = if lean { (0, n) } else { (n, 0) };
            resize(&mut kept.middle_scalar, middle * w);
            resize(&mut kept.middle_vector, 3 * middle * w);
            resize(&mut kept.message.hidden, rest * w);
            resize(&mut kept.message.sent, 3 * rest * w);
            kept.update.resize(rest, w);
        }
        resize(&mut memory.sent, if lean { 3 * n * w } else { 0 });
        resize(&mut memory.scalar, n * w);
        resize(&mut memory.vector, 3 * n * w);
        resize(&mut memory.energy_hidden, n * self.energy_in.output());
        resize(energies, n);
        let first = memory.layers.first_mut()?;
        let sent = if lean { &mut memory.sent } else { &mut first.message.sent };
        let rows = first.scalar.chunks_exact_mut(w).zip(sent.chunks_exact_mut(3 * w));
        for ((scalar, sent), &z) in rows.zip(atomic_numbers) {
            let z = usize::from(z).saturating_sub(1);
            scalar.copy_from_slice(&self.embedding[z * w..(z + 1) * w]);
            sent.copy_from_slice(&self.first_sent[3 * z * w..3 * (z + 1) * w]);
        }
        for layer in 0..self.layers.len() {
            self.receive(layer, pairs, tasks, scratch, memory);
            if layer + 1 < self.layers.len() {
                self.send(layer + 1, tasks, scratch, memory);
            }
        }
        self.energies(tasks, scratch, memory, energies);
        match &self.direct {
            Some(head) => Some(self.direct_forces(head, memory)),
            None => {
                self.backward(pairs, tasks, scratch, memory, bars);
                None
            }
        }
    }

    fn energies(&self, tasks: &[Range<usize>], scratch: &mut [Scratch<T>], memory: &mut Memory<T>, energies: &mut [T]) {
        let (w, half) = (self.wide, self.energy_in.output());
        let Memory { scalar, energy_hidden, .. } = memory;
        let scalar = &*scalar;
        let parts: Vec<_> =
            tasks.iter().zip(scratch).zip(cut(energy_hidden, tasks, half)).zip(cut(energies, tasks, 1)).collect();
        run(parts, |(((task, scratch), hidden), energies)| {
            self.energy_in.forward(&scalar[task.start * w..task.end * w], hidden);
            let [activated, out] = scratch.pair(hidden.len(), task.len() * self.energy_out.output());
            silu(hidden, activated);
            self.energy_out.forward(activated, out);
            energies.iter_mut().zip(out.chunks_exact(self.energy_out.output())).for_each(|(e, row)| *e = row[0]);
        });
    }
}
