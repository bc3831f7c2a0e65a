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

use std::f64::consts::FRAC_1_SQRT_2;
use std::ops::Range;

use potstill_core::{Error, Result};

use crate::checkpoint::{Forces, PaiNNSizes, RadialKind, Weights};
use crate::dense::{Dense, Parts, padded};
use crate::filters::{FilterNetwork, Filters};
use crate::number::{LANES, Number, vectorized};
use crate::pairs::Pairs;
use crate::radial::RadialBasis;
use crate::rows::{Lanes, add, cut, cut_edges, run};
use crate::work::{EdgeBars, MessageKept, Scratch, UpdateKept, UpdateRead, UpdateView, resize};

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
/// Edges whose filters are looked up at a time.
const EDGES: usize = 16;
/// Default of what is kept.
const KEEP_AT_MOST: usize = 1 << 30;

/// The network.
#[derive(Debug)]
pub struct PaiNN<T> {
    /// Channels, without and with padding.
    h: usize,
    wide: usize,
    embedding: Vec<T>,
    layers: Vec<Layer<T>>,
    energy_in: Dense<T>,
    energy_out: Dense<T>,
    direct: Option<[Gated<T>; 2]>,
    /// Bytes up to which all that the way back reads is kept; beyond, most of it is computed anew: a third more work in half
    /// of the memory.
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

/// A gated equivariant block of the head of direct forces (sec. 4.3 of the paper).
#[derive(Debug)]
struct Gated<T> {
    norm_mix: Dense<T>,
    vector_mix: Dense<T>,
    gate_in: Dense<T>,
    gate_out: Dense<T>,
}

/// Filters of one layer: a linear function of radial functions times envelope.
#[derive(Debug)]
struct Filter {
    basis: RadialBasis,
    /// Shape: `[3h, n_radial]`.
    weight: Vec<f64>,
    bias: Vec<f64>,
    smooth: bool,
    h: usize,
    n_radial: usize,
}

impl FilterNetwork for Filter {
    fn width(&self) -> usize {
        3 * padded(self.h)
    }

    fn at(&self, distance: f64, values: &mut [f64], slopes: &mut [f64]) {
        let mut radial = vec![(0.0, 0.0); self.n_radial];
        self.basis.at(distance, &mut radial);
        // A constant, or with a smooth cutoff a multiple of the envelope.
        let (u, du) = if self.smooth { self.basis.envelope(distance) } else { (1.0, 0.0) };
        let wide = padded(self.h);
        let root = (self.h as f64).sqrt();
        let factors = [1.0, 1.0 / (3.0_f64.sqrt() * root), 1.0 / root];
        for (o, row) in self.weight.chunks_exact(self.n_radial).enumerate() {
            let (mut value, mut slope) = (u * self.bias[o], du * self.bias[o]);
            for (w, (r, dr)) in row.iter().zip(&radial) {
                value += w * r;
                slope += w * dr;
            }
            let (part, k) = (o / self.h, o % self.h);
            (values[part * wide + k], slopes[part * wide + k]) = (factors[part] * value, factors[part] * slope);
        }
    }
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
    pub fn new(sizes: &PaiNNSizes, weights: &mut Weights, accuracy: Option<f64>) -> Result<Self> {
        let (h, wide) = (sizes.hidden_channels, padded(sizes.hidden_channels));
        let one = Parts(1, h);
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
                scalar_out: Dense::read(weights, &message("scalar_out"), one, Parts(3, h), true)?,
                filters: match accuracy {
                    Some(accuracy) => Filters::table(&filter, sizes.cutoff, accuracy)?,
                    None => Filters::Exact(Box::new(filter)),
                },
                vector_mix: Dense::read(weights, &update("vector_mix"), one, Parts(2, h), false)?,
                gate_in: Dense::read(weights, &update("gate_in"), Parts(2, h), one, true)?,
                gate_out: Dense::read(weights, &update("gate_out"), one, Parts(3, h), true)?,
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
        if h < 2 {
            return Err(Error::setting("model.hidden_channels", "is below 2"));
        }
        Ok(Self {
            h,
            wide,
            embedding,
            layers,
            energy_in: Dense::read(weights, "energy_in", one, Parts(1, h / 2), true)?,
            energy_out: Dense::read(weights, "energy_out", Parts(1, h / 2), Parts(1, 1), true)?,
            direct,
            keep_at_most: KEEP_AT_MOST,
        })
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
        for (row, &z) in first.scalar.chunks_exact_mut(w).zip(atomic_numbers) {
            let z = usize::from(z).saturating_sub(1);
            row.copy_from_slice(&self.embedding[z * w..(z + 1) * w]);
        }
        self.send(0, tasks, scratch, memory);
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

    /// `x` of every atom.
    fn send(&self, layer: usize, tasks: &[Range<usize>], scratch: &mut [Scratch<T>], memory: &mut Memory<T>) {
        let (w, weights) = (self.wide, &self.layers[layer]);
        let Memory { layers, sent: shared, .. } = memory;
        let Kept { scalar, message: MessageKept { hidden, sent }, .. } = &mut layers[layer];
        let scalar = &*scalar;
        let is_lean = sent.is_empty();
        let sent = if is_lean { shared } else { sent };
        let hidden_width = if is_lean { 0 } else { w };
        let parts: Vec<_> =
            tasks.iter().zip(scratch).zip(cut(hidden, tasks, hidden_width)).zip(cut(sent, tasks, 3 * w)).collect();
        run(parts, |(((task, scratch), hidden), sent)| {
            let scalar = &scalar[task.start * w..task.end * w];
            let blocks = scalar.chunks(BLOCK * w).zip(sent.chunks_mut(3 * BLOCK * w));
            for (b, (scalar, sent)) in blocks.enumerate() {
                let [own, normalized, activated] = scratch.three([scalar.len(); 3]);
                let hidden = match is_lean {
                    true => own,
                    false => &mut hidden[b * BLOCK * w..][..scalar.len()],
                };
                self.send_block(weights, scalar, hidden, sent, [normalized, activated]);
            }
        });
    }

    /// The same for some atoms.
    fn send_block(
        &self,
        weights: &Layer<T>,
        scalar: &[T],
        hidden: &mut [T],
        sent: &mut [T],
        [normalized, activated]: [&mut [T]; 2],
    ) {
        self.normalize(weights, scalar, normalized);
        weights.scalar_in.forward(normalized, hidden);
        silu(hidden, activated);
        weights.scalar_out.forward(activated, sent);
    }

    /// Layer norm of each row; padding stays zero.
    fn normalize(&self, layer: &Layer<T>, scalar: &[T], out: &mut [T]) {
        let (w, h) = (self.wide, self.h);
        vectorized(
            #[inline(always)]
            || {
                for (x, y) in scalar.chunks_exact(w).zip(out.chunks_exact_mut(w)) {
                    let (mean, inverse) = moments(x, h);
                    for (((y, &x), &a), &b) in y.iter_mut().zip(x).zip(&layer.norm_weight).zip(&layer.norm_bias) {
                        *y = ((x - mean) * inverse).times_plus(a, b);
                    }
                }
            },
        );
    }

    /// Message and update of a layer.
    fn receive(
        &self,
        layer: usize,
        pairs: &Pairs<T>,
        tasks: &[Range<usize>],
        scratch: &mut [Scratch<T>],
        memory: &mut Memory<T>,
    ) {
        let (w, weights) = (self.wide, &self.layers[layer]);
        let Memory { layers, sent: shared, scalar: last_scalar, vector: last_vector, .. } = memory;
        let (lower, upper) = layers.split_at_mut(layer + 1);
        let Some(kept) = lower.last_mut() else { return };
        let (next_scalar, next_vector) = match upper.first_mut() {
            Some(next) => (&mut next.scalar, &mut next.vector),
            None => (last_scalar, last_vector),
        };
        let Kept { scalar, vector, middle_scalar, middle_vector, message, update } = kept;
        let is_lean = message.sent.is_empty();
        let (scalar, vector, sent) = (&*scalar, &*vector, if is_lean { &*shared } else { &*message.sent });
        let middle_width = if is_lean { w } else { 0 };
        let parts: Vec<_> = tasks
            .iter()
            .zip(scratch)
            .zip(cut(next_scalar, tasks, w))
            .zip(cut(next_vector, tasks, 3 * w))
            .zip(cut(middle_scalar, tasks, middle_width))
            .zip(cut(middle_vector, tasks, 3 * middle_width))
            .zip(update.cut(tasks, w))
            .collect();
        run(parts, |((((((task, scratch), s), v), middle_scalar), middle_vector), mut update)| {
            let mut own = std::mem::take(&mut scratch.update);
            let blocks = s.chunks_mut(BLOCK * w).zip(v.chunks_mut(3 * BLOCK * w));
            for (b, (s, v)) in blocks.enumerate() {
                let start = task.start + b * BLOCK;
                let m = s.len() / w;
                let filters = scratch.first(EDGES * 3 * w);
                for (k, (s, v)) in s.chunks_exact_mut(w).zip(v.chunks_exact_mut(3 * w)).enumerate() {
                    self.gather(&weights.filters, start + k, pairs, scalar, vector, sent, filters, s, v);
                }
                let mut view = match is_lean {
                    true => {
                        middle_scalar[b * BLOCK * w..][..s.len()].copy_from_slice(s);
                        middle_vector[3 * b * BLOCK * w..][..v.len()].copy_from_slice(v);
                        own.resize(m, w);
                        own.view()
                    }
                    false => update.block(b * BLOCK..b * BLOCK + m, w),
                };
                self.update_block(weights, s, v, &mut view, scratch);
                self.update(weights.scale, view.mixed, view.gates, s, v);
            }
            scratch.update = own;
        });
    }

    /// All of the update up to `γ`, for some atoms.
    fn update_block(
        &self,
        weights: &Layer<T>,
        s: &[T],
        v: &[T],
        view: &mut UpdateView<'_, T>,
        scratch: &mut Scratch<T>,
    ) {
        weights.vector_mix.forward(v, view.mixed);
        let [input, activated] = scratch.pair(2 * s.len(), s.len());
        self.norms(s, view.mixed, view.norm, input);
        weights.gate_in.forward(input, view.hidden);
        silu(view.hidden, activated);
        weights.gate_out.forward(activated, view.gates);
    }

    /// `s̃` and `ṽ` of one atom.
    fn gather(
        &self,
        filters: &Filters<T>,
        atom: usize,
        pairs: &Pairs<T>,
        scalar: &[T],
        vector: &[T],
        sent: &[T],
        rows: &mut [T],
        s: &mut [T],
        v: &mut [T],
    ) {
        let w = self.wide;
        s.copy_from_slice(&scalar[atom * w..(atom + 1) * w]);
        match vector.is_empty() {
            true => v.fill(T::ZERO),
            false => v.copy_from_slice(&vector[3 * atom * w..3 * (atom + 1) * w]),
        }
        let edges = pairs.into.edges(atom);
        let mut start = edges.start;
        while start < edges.end {
            let end = (start + EDGES).min(edges.end);
            let rows = &mut rows[..(end - start) * 3 * w];
            filters.values(&pairs.into.distance[start..end], rows);
            vectorized(
                #[inline(always)]
                || {
                    for (e, row) in (start..end).zip(rows.chunks_exact(3 * w)) {
                        let source = pairs.into.other[e] as usize;
                        let x = &sent[3 * source * w..3 * (source + 1) * w];
                        let u = pairs.into.direction[e];
                        match vector.is_empty() {
                            true => receive_first(row, x, u, s, v, w),
                            false => {
                                receive_one(row, x, &vector[3 * source * w..3 * (source + 1) * w], u, s, v, w);
                            }
                        }
                    }
                },
            );
            start = end;
        }
        let half = T::of(FRAC_1_SQRT_2);
        s.iter_mut().for_each(|s| *s *= half);
    }

    /// `‖q‖`, and the input of the gate: `[s̃, ‖q‖]`.
    fn norms(&self, s: &[T], mixed: &[T], norm: &mut [T], input: &mut [T]) {
        let w = self.wide;
        let epsilon = T::of(NORM_EPSILON);
        vectorized(
            #[inline(always)]
            || {
                let rows = s.chunks_exact(w).zip(mixed.chunks_exact(6 * w));
                let out = norm.chunks_exact_mut(w).zip(input.chunks_exact_mut(2 * w));
                for ((s, mixed), (norm, input)) in rows.zip(out) {
                    // Three components of p and q, one after the other.
                    let (x, y, z) = (&mixed[w..2 * w], &mixed[3 * w..4 * w], &mixed[5 * w..6 * w]);
                    for (((n, &x), &y), &z) in norm.iter_mut().zip(x).zip(y).zip(z) {
                        *n = x.times_plus(x, y.times_plus(y, z.times_plus(z, epsilon))).root();
                    }
                    let (left, right) = input.split_at_mut(w);
                    left.copy_from_slice(s);
                    right.copy_from_slice(norm);
                }
            },
        );
    }

    /// From `s̃`, `ṽ` to `s`, `v`.
    fn update(&self, scale: T, mixed: &[T], gates: &[T], s: &mut [T], v: &mut [T]) {
        let w = self.wide;
        let (half, root) = (T::of(FRAC_1_SQRT_2), T::of(1.0 / (self.h as f64).sqrt()));
        vectorized(
            #[inline(always)]
            || {
                let rows = s.chunks_exact_mut(w).zip(v.chunks_exact_mut(3 * w));
                for ((s, v), (mixed, gates)) in rows.zip(mixed.chunks_exact(6 * w).zip(gates.chunks_exact(3 * w))) {
                    let (g0, rest) = gates.split_at(w);
                    let (g1, g2) = rest.split_at(w);
                    let (px, qx, rest) = two(mixed, w);
                    let (py, qy, rest) = two(rest, w);
                    let (pz, qz, _) = two(rest, w);
                    for k in 0..w {
                        let dot = px[k].times_plus(qx[k], py[k].times_plus(qy[k], pz[k] * qz[k])) * root;
                        s[k] = (g1[k].times_plus(dot, g0[k])).times_plus(half, s[k]) * scale;
                    }
                    let (vx, rest) = v.split_at_mut(w);
                    let (vy, vz) = rest.split_at_mut(w);
                    for k in 0..w {
                        vx[k] = px[k].times_plus(g2[k], vx[k]);
                        vy[k] = py[k].times_plus(g2[k], vy[k]);
                        vz[k] = pz[k].times_plus(g2[k], vz[k]);
                    }
                }
            },
        );
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

    /// Normalised forces of the head. Shape: `[n_atoms, 3]`.
    fn direct_forces(&self, [first, second]: &[Gated<T>; 2], memory: &Memory<T>) -> Vec<T> {
        let (scalar, vector) = first.forward(&memory.scalar, &memory.vector, self.wide);
        let (_, vector) = second.forward(&scalar, &vector, padded(self.h / 2));
        vector.chunks_exact(padded(1)).map(|row| row[0]).collect()
    }

    /// From the energies back to the edges.
    fn backward(
        &self,
        pairs: &Pairs<T>,
        tasks: &[Range<usize>],
        scratch: &mut [Scratch<T>],
        memory: &mut Memory<T>,
        bars: &mut EdgeBars<T>,
    ) {
        let w = self.wide;
        let n = memory.scalar.len() / w;
        for bars in &mut memory.bars {
            resize(&mut bars.scalar, n * w);
            resize(&mut bars.vector, 3 * n * w);
        }
        bars.clear(pairs.len());
        let Memory { layers, energy_hidden, bars: [mine, others], .. } = memory;
        let (mut mine, mut others) = (mine, others);
        for layer in (0..layers.len()).rev() {
            let is_last = layer + 1 == layers.len();
            let (kept, above) = (&layers[layer], layers.get(layer + 1));
            let parts: Vec<_> = tasks
                .iter()
                .zip(scratch.iter_mut())
                .zip(cut(&mut mine.scalar, tasks, w))
                .zip(cut(&mut mine.vector, tasks, 3 * w))
                .zip(cut_edges(&mut bars.distance, tasks, &pairs.out_of.first))
                .zip(cut_edges(&mut bars.direction, tasks, &pairs.out_of.first))
                .collect();
            let (hidden, others_now) = (&*energy_hidden, &*others);
            run(parts, |(((((task, scratch), s_bar), v_bar), distance), direction)| {
                let blocks = s_bar.chunks_mut(BLOCK * w).zip(v_bar.chunks_mut(3 * BLOCK * w));
                for (b, (s_bar, v_bar)) in blocks.enumerate() {
                    let start = task.start + b * BLOCK;
                    let atoms = start..start + s_bar.len() / w;
                    match above {
                        None => {
                            self.energy_adjoint(hidden, atoms.clone(), scratch, s_bar);
                            v_bar.fill(T::ZERO);
                        }
                        Some(above) => {
                            let edges = pairs.out_of.first[atoms.start]..pairs.out_of.first[atoms.end];
                            let offset = pairs.out_of.first[task.start];
                            let own = edges.start - offset..edges.end - offset;
                            let weights = &self.layers[layer + 1];
                            self.message_adjoint(
                                weights,
                                above,
                                pairs,
                                atoms.clone(),
                                others_now,
                                scratch,
                                (s_bar, v_bar),
                                (&mut distance[own.clone()], &mut direction[own]),
                            );
                        }
                    }
                    self.update_adjoint(&self.layers[layer], kept, atoms, is_last, scratch, s_bar, v_bar);
                }
            });
            std::mem::swap(&mut mine, &mut others);
        }
        // The first message: nothing before it depends on positions, but its edges do.
        let Some(first) = layers.first() else { return };
        let parts: Vec<_> = tasks
            .iter()
            .zip(scratch.iter_mut())
            .zip(cut_edges(&mut bars.distance, tasks, &pairs.out_of.first))
            .zip(cut_edges(&mut bars.direction, tasks, &pairs.out_of.first))
            .collect();
        let (weights, others_now) = (&self.layers[0], &*others);
        run(parts, |(((task, scratch), distance), direction)| {
            let offset = pairs.out_of.first[task.start];
            let mut again = std::mem::take(&mut scratch.message);
            for start in task.clone().step_by(BLOCK) {
                let atoms = start..(start + BLOCK).min(task.end);
                let [_, sent] = self.message_of(weights, first, atoms.clone(), &mut again, scratch);
                for (atom, x) in atoms.zip(sent.chunks_exact(3 * w)) {
                    let own = pairs.out_of.edges(atom);
                    let own = own.start - offset..own.end - offset;
                    let (distance, direction) = (&mut distance[own.clone()], &mut direction[own]);
                    self.scatter(weights, (x, &[]), pairs, atom, others_now, scratch, None, distance, direction);
                }
            }
            scratch.message = again;
        });
    }

    /// `s̄` of the last layer.
    fn energy_adjoint(&self, hidden: &[T], atoms: Range<usize>, scratch: &mut Scratch<T>, s_bar: &mut [T]) {
        let (half, one) = (self.energy_in.output(), self.energy_out.output());
        let hidden = &hidden[atoms.start * half..atoms.end * half];
        let [ones, hidden_bar] = scratch.pair(atoms.len() * one, hidden.len());
        ones.chunks_exact_mut(one).for_each(|row| {
            row.fill(T::ZERO);
            row[0] = T::ONE;
        });
        self.energy_out.adjoint(ones, hidden_bar);
        silu_adjoint(hidden, hidden_bar);
        self.energy_in.adjoint(hidden_bar, s_bar);
    }

    /// Turns `s̄`, `v̄` of a layer's output into `s̃̄ / √2` and `ṽ̄`, in place.
    fn update_adjoint(
        &self,
        weights: &Layer<T>,
        kept: &Kept<T>,
        atoms: Range<usize>,
        is_last: bool,
        scratch: &mut Scratch<T>,
        s_bar: &mut [T],
        v_bar: &mut [T],
    ) {
        let w = self.wide;
        let m = atoms.len();
        let (half, root) = (T::of(FRAC_1_SQRT_2), T::of(1.0 / (self.h as f64).sqrt()));
        let mut own = std::mem::take(&mut scratch.update);
        let UpdateRead { mixed, norm, hidden: gate_hidden, gates } = match kept.middle_scalar.is_empty() {
            true => kept.update.read(atoms, w),
            false => {
                own.resize(m, w);
                let s = &kept.middle_scalar[atoms.start * w..atoms.end * w];
                let v = &kept.middle_vector[3 * atoms.start * w..3 * atoms.end * w];
                self.update_block(weights, s, v, &mut own.view(), scratch);
                own.read(0..m, w)
            }
        };
        let [gates_bar, hidden_bar, input_bar, mixed_bar] = scratch.four([3 * m * w, m * w, 2 * m * w, 6 * m * w]);
        vectorized(
            #[inline(always)]
            || {
                let rows =
                    s_bar.chunks_exact_mut(w).zip(v_bar.chunks_exact(3 * w)).zip(gates_bar.chunks_exact_mut(3 * w));
                for (((s_bar, v_bar), gates_bar), mixed) in rows.zip(mixed.chunks_exact(6 * w)) {
                    let (px, qx, rest) = two(mixed, w);
                    let (py, qy, rest) = two(rest, w);
                    let (pz, qz, _) = two(rest, w);
                    let (b0, rest) = gates_bar.split_at_mut(w);
                    let (b1, b2) = rest.split_at_mut(w);
                    let (vx, rest) = v_bar.split_at(w);
                    let (vy, vz) = rest.split_at(w);
                    for k in 0..w {
                        let dot = px[k].times_plus(qx[k], py[k].times_plus(qy[k], pz[k] * qz[k])) * root;
                        s_bar[k] *= weights.scale;
                        let change = s_bar[k] * half;
                        (b0[k], b1[k]) = (change, change * dot);
                        b2[k] = px[k].times_plus(vx[k], py[k].times_plus(vy[k], pz[k] * vz[k]));
                    }
                }
            },
        );
        weights.gate_out.adjoint(gates_bar, hidden_bar);
        silu_adjoint(gate_hidden, hidden_bar);
        weights.gate_in.adjoint(hidden_bar, input_bar);
        vectorized(
            #[inline(always)]
            || {
                let rows =
                    s_bar.chunks_exact_mut(w).zip(v_bar.chunks_exact(3 * w)).zip(mixed_bar.chunks_exact_mut(6 * w));
                let kept = mixed.chunks_exact(6 * w).zip(gates.chunks_exact(3 * w)).zip(norm.chunks_exact(w));
                for ((((s_bar, v_bar), mixed_bar), ((mixed, gates), norm)), input_bar) in
                    rows.zip(kept).zip(input_bar.chunks_exact(2 * w))
                {
                    let (g1, g2) = (&gates[w..2 * w], &gates[2 * w..3 * w]);
                    let (through, norm_bar) = input_bar.split_at(w);
                    for x in 0..3 {
                        let (p, q) = mixed[2 * x * w..2 * (x + 1) * w].split_at(w);
                        let (p_bar, q_bar) = mixed_bar[2 * x * w..2 * (x + 1) * w].split_at_mut(w);
                        let v = &v_bar[x * w..(x + 1) * w];
                        for k in 0..w {
                            let dot_bar = s_bar[k] * half * g1[k] * root;
                            p_bar[k] = q[k].times_plus(dot_bar, v[k] * g2[k]);
                            q_bar[k] = p[k].times_plus(dot_bar, q[k] * (norm_bar[k] / norm[k]));
                        }
                    }
                    for (s, &t) in s_bar.iter_mut().zip(through) {
                        *s = (*s + t) * half;
                    }
                }
            },
        );
        let through = &mut gates_bar[..3 * m * w];
        weights.vector_mix.adjoint(mixed_bar, through);
        match is_last {
            true => v_bar.copy_from_slice(through),
            false => vectorized(
                #[inline(always)]
                || add(v_bar, through),
            ),
        }
        scratch.update = own;
    }

    /// `W₁ norm(s) + b₁` and `x` of some atoms: kept, or computed anew.
    fn message_of<'a>(
        &self,
        weights: &Layer<T>,
        kept: &'a Kept<T>,
        atoms: Range<usize>,
        again: &'a mut MessageKept<T>,
        scratch: &mut Scratch<T>,
    ) -> [&'a [T]; 2] {
        let w = self.wide;
        let MessageKept { hidden, sent } = &kept.message;
        if !sent.is_empty() {
            return [&hidden[atoms.start * w..atoms.end * w], &sent[3 * atoms.start * w..3 * atoms.end * w]];
        }
        let scalar = &kept.scalar[atoms.start * w..atoms.end * w];
        resize(&mut again.hidden, scalar.len());
        resize(&mut again.sent, 3 * scalar.len());
        let work = scratch.pair(scalar.len(), scalar.len());
        self.send_block(weights, scalar, &mut again.hidden, &mut again.sent, work);
        [&again.hidden, &again.sent]
    }

    /// `s̄`, `v̄` of a layer's input, given `s̃̄ / √2` and `ṽ̄` of all atoms; and what its edges get.
    fn message_adjoint(
        &self,
        weights: &Layer<T>,
        kept: &Kept<T>,
        pairs: &Pairs<T>,
        atoms: Range<usize>,
        bars: &Bars<T>,
        scratch: &mut Scratch<T>,
        (s_bar, v_bar): (&mut [T], &mut [T]),
        (distance, direction): (&mut [T], &mut [[T; 3]]),
    ) {
        let w = self.wide;
        let m = atoms.len();
        let first = pairs.out_of.first[atoms.start];
        let mut sent_bar = std::mem::take(&mut scratch.sent_bar);
        let mut again = std::mem::take(&mut scratch.message);
        resize(&mut sent_bar, 3 * m * w);
        let [hidden, sent] = self.message_of(weights, kept, atoms.clone(), &mut again, scratch);
        let rows = sent_bar.chunks_exact_mut(3 * w).zip(v_bar.chunks_exact_mut(3 * w)).zip(sent.chunks_exact(3 * w));
        for (atom, ((sent_bar, v_bar), x)) in atoms.clone().zip(rows) {
            let v = &kept.vector[3 * atom * w..3 * (atom + 1) * w];
            let own = pairs.out_of.edges(atom);
            let own = own.start - first..own.end - first;
            v_bar.copy_from_slice(&bars.vector[3 * atom * w..3 * (atom + 1) * w]);
            sent_bar.fill(T::ZERO);
            let (distance, direction) = (&mut distance[own.clone()], &mut direction[own]);
            self.scatter(weights, (x, v), pairs, atom, bars, scratch, Some((sent_bar, v_bar)), distance, direction);
        }
        let [hidden_bar, normalized_bar] = scratch.pair(m * w, m * w);
        weights.scalar_out.adjoint(&sent_bar, hidden_bar);
        silu_adjoint(hidden, hidden_bar);
        weights.scalar_in.adjoint(hidden_bar, normalized_bar);
        s_bar.copy_from_slice(&bars.scalar[atoms.start * w..atoms.end * w]);
        let scalar = &kept.scalar[atoms.start * w..atoms.end * w];
        self.normalize_adjoint(weights, scalar, normalized_bar, s_bar);
        scratch.sent_bar = sent_bar;
        scratch.message = again;
    }

    /// Adds the gradient with respect to the input of the layer norm: `(ḡ − mean ḡ − n mean(ḡ n)) / σ`, `ḡ = ȳ weight`.
    fn normalize_adjoint(&self, layer: &Layer<T>, scalar: &[T], y_bar: &mut [T], x_bar: &mut [T]) {
        let (w, h) = (self.wide, self.h);
        let count = T::of(1.0 / h as f64);
        vectorized(
            #[inline(always)]
            || {
                let rows = scalar.chunks_exact(w).zip(y_bar.chunks_exact_mut(w)).zip(x_bar.chunks_exact_mut(w));
                for ((x, y), x_bar) in rows {
                    let (mean, inverse) = moments(x, h);
                    let (mut sum, mut along) = (Lanes::<T>::new(), Lanes::<T>::new());
                    let chunks = y.chunks_exact_mut(LANES).zip(x.chunks_exact(LANES));
                    for ((y, x), a) in chunks.zip(layer.norm_weight.chunks_exact(LANES)) {
                        for k in 0..LANES {
                            // Padding has no weight.
                            y[k] *= a[k];
                            sum.0[k] += y[k];
                            along.0[k] = y[k].times_plus((x[k] - mean) * inverse, along.0[k]);
                        }
                    }
                    let (sum, along) = (sum.total() * count, along.total() * count);
                    for ((x_bar, &y), &x) in x_bar[..h].iter_mut().zip(&y[..h]).zip(&x[..h]) {
                        *x_bar += (y - sum - (x - mean) * inverse * along) * inverse;
                    }
                }
            },
        );
    }

    /// The edges out of one atom: what they get, and what its `x̄` and `v̄` get from them where these are wanted.
    fn scatter(
        &self,
        weights: &Layer<T>,
        (x, v): (&[T], &[T]),
        pairs: &Pairs<T>,
        atom: usize,
        bars: &Bars<T>,
        scratch: &mut Scratch<T>,
        mut own: Option<(&mut [T], &mut [T])>,
        distance: &mut [T],
        direction: &mut [[T; 3]],
    ) {
        let w = self.wide;
        let edges = pairs.out_of.edges(atom);
        let [rows, slopes] = scratch.pair(EDGES * 3 * w, EDGES * 3 * w);
        let mut start = edges.start;
        while start < edges.end {
            let end = (start + EDGES).min(edges.end);
            let n = (end - start) * 3 * w;
            let (rows, slopes) = (&mut rows[..n], &mut slopes[..n]);
            weights.filters.values_and_slopes(&pairs.out_of.distance[start..end], rows, slopes);
            vectorized(
                #[inline(always)]
                || {
                    for ((e, row), slope) in (start..end).zip(rows.chunks_exact(3 * w)).zip(slopes.chunks_exact(3 * w))
                    {
                        let target = pairs.out_of.other[e] as usize;
                        let s_bar = &bars.scalar[target * w..(target + 1) * w];
                        let v_bar = &bars.vector[3 * target * w..3 * (target + 1) * w];
                        let u = pairs.out_of.direction[e];
                        let edge = (row, slope, u);
                        let (along, across) = match &mut own {
                            Some((x_bar, own_v_bar)) => send_back(edge, x, v, (s_bar, v_bar), x_bar, own_v_bar, w),
                            None => send_back_first(edge, x, (s_bar, v_bar), w),
                        };
                        distance[e - edges.start] += along;
                        let d = &mut direction[e - edges.start];
                        for c in 0..3 {
                            d[c] += across[c];
                        }
                    }
                },
            );
            start = end;
        }
    }
}

/// One edge of a message: `s̃ += gₐ`, `ṽ += v g_b + u g_c`.
#[inline(always)]
fn receive_one<T: Number>(row: &[T], x: &[T], v: &[T], u: [T; 3], s: &mut [T], out: &mut [T], w: usize) {
    let (wa, wb, wc) = (&row[..w], &row[w..2 * w], &row[2 * w..3 * w]);
    let (xa, xb, xc) = (&x[..w], &x[w..2 * w], &x[2 * w..3 * w]);
    let (vx, vy, vz) = (&v[..w], &v[w..2 * w], &v[2 * w..3 * w]);
    let s = &mut s[..w];
    let (ox, rest) = out.split_at_mut(w);
    let (oy, oz) = rest.split_at_mut(w);
    let oz = &mut oz[..w];
    for k in 0..w {
        s[k] = xa[k].times_plus(wa[k], s[k]);
        let (b, c) = (xb[k] * wb[k], xc[k] * wc[k]);
        ox[k] = vx[k].times_plus(b, u[0].times_plus(c, ox[k]));
        oy[k] = vy[k].times_plus(b, u[1].times_plus(c, oy[k]));
        oz[k] = vz[k].times_plus(b, u[2].times_plus(c, oz[k]));
    }
}

/// The same where there are no vectors yet.
#[inline(always)]
fn receive_first<T: Number>(row: &[T], x: &[T], u: [T; 3], s: &mut [T], out: &mut [T], w: usize) {
    let (wa, wc) = (&row[..w], &row[2 * w..3 * w]);
    let (xa, xc) = (&x[..w], &x[2 * w..3 * w]);
    let s = &mut s[..w];
    let (ox, rest) = out.split_at_mut(w);
    let (oy, oz) = rest.split_at_mut(w);
    let oz = &mut oz[..w];
    for k in 0..w {
        s[k] = xa[k].times_plus(wa[k], s[k]);
        let c = xc[k] * wc[k];
        ox[k] = u[0].times_plus(c, ox[k]);
        oy[k] = u[1].times_plus(c, oy[k]);
        oz[k] = u[2].times_plus(c, oz[k]);
    }
}

/// One edge on the way back; `d̄` and `ū`.
#[inline(always)]
fn send_back<T: Number>(
    (row, slope, u): (&[T], &[T], [T; 3]),
    x: &[T],
    v: &[T],
    (s_bar, v_bar): (&[T], &[T]),
    x_bar: &mut [T],
    own_v_bar: &mut [T],
    w: usize,
) -> (T, [T; 3]) {
    let (mut along, mut across) = (Lanes::new(), [Lanes::new(); 3]);
    let mut start = 0;
    while start < w {
        let part = |p: usize| p * w + start..p * w + start + LANES;
        let (wa, wb, wc) = (&row[part(0)], &row[part(1)], &row[part(2)]);
        let (da, db, dc) = (&slope[part(0)], &slope[part(1)], &slope[part(2)]);
        let (xa, xb, xc) = (&x[part(0)], &x[part(1)], &x[part(2)]);
        let (vx, vy, vz) = (&v[part(0)], &v[part(1)], &v[part(2)]);
        let (bx, by, bz) = (&v_bar[part(0)], &v_bar[part(1)], &v_bar[part(2)]);
        let s_bar = &s_bar[part(0)];
        let (mut ga, mut gb, mut gc) = ([T::ZERO; LANES], [T::ZERO; LANES], [T::ZERO; LANES]);
        let mut b = [T::ZERO; LANES];
        for k in 0..LANES {
            ga[k] = s_bar[k];
            gb[k] = bx[k].times_plus(vx[k], by[k].times_plus(vy[k], bz[k] * vz[k]));
            gc[k] = bx[k].times_plus(u[0], by[k].times_plus(u[1], bz[k] * u[2]));
            let (ta, tb, tc) = (ga[k] * xa[k], gb[k] * xb[k], gc[k] * xc[k]);
            along.0[k] = ta.times_plus(da[k], tb.times_plus(db[k], tc.times_plus(dc[k], along.0[k])));
            let c = xc[k] * wc[k];
            across[0].0[k] = bx[k].times_plus(c, across[0].0[k]);
            across[1].0[k] = by[k].times_plus(c, across[1].0[k]);
            across[2].0[k] = bz[k].times_plus(c, across[2].0[k]);
            b[k] = xb[k] * wb[k];
        }
        for (p, (g, row)) in [(&ga, wa), (&gb, wb), (&gc, wc)].into_iter().enumerate() {
            let out = &mut x_bar[part(p)];
            for k in 0..LANES {
                out[k] = g[k].times_plus(row[k], out[k]);
            }
        }
        for (p, bar) in [bx, by, bz].into_iter().enumerate() {
            let out = &mut own_v_bar[part(p)];
            for k in 0..LANES {
                out[k] = bar[k].times_plus(b[k], out[k]);
            }
        }
        start += LANES;
    }
    (along.total(), across.map(Lanes::total))
}

/// The same for the first message, whose sources depend on nothing.
#[inline(always)]
fn send_back_first<T: Number>(
    (row, slope, u): (&[T], &[T], [T; 3]),
    x: &[T],
    (s_bar, v_bar): (&[T], &[T]),
    w: usize,
) -> (T, [T; 3]) {
    let (mut along, mut across) = (Lanes::new(), [Lanes::new(); 3]);
    let mut start = 0;
    while start < w {
        let part = |p: usize| p * w + start..p * w + start + LANES;
        let (wc, da, dc) = (&row[part(2)], &slope[part(0)], &slope[part(2)]);
        let (xa, xc) = (&x[part(0)], &x[part(2)]);
        let (bx, by, bz) = (&v_bar[part(0)], &v_bar[part(1)], &v_bar[part(2)]);
        let s_bar = &s_bar[part(0)];
        for k in 0..LANES {
            let gc = bx[k].times_plus(u[0], by[k].times_plus(u[1], bz[k] * u[2]));
            along.0[k] = (s_bar[k] * xa[k]).times_plus(da[k], (gc * xc[k]).times_plus(dc[k], along.0[k]));
            let c = xc[k] * wc[k];
            across[0].0[k] = bx[k].times_plus(c, across[0].0[k]);
            across[1].0[k] = by[k].times_plus(c, across[1].0[k]);
            across[2].0[k] = bz[k].times_plus(c, across[2].0[k]);
        }
        start += LANES;
    }
    (along.total(), across.map(Lanes::total))
}

impl<T: Number> Gated<T> {
    fn read(weights: &mut Weights, name: &str, input: usize, output: usize) -> Result<Self> {
        let (one, out) = (Parts(1, input), Parts(1, output));
        Ok(Self {
            norm_mix: Dense::read(weights, &format!("{name}.norm_mix"), one, one, false)?,
            vector_mix: Dense::read(weights, &format!("{name}.vector_mix"), one, out, false)?,
            gate_in: Dense::read(weights, &format!("{name}.gate_in"), Parts(2, input), one, true)?,
            gate_out: Dense::read(weights, &format!("{name}.gate_out"), one, Parts(2, output), true)?,
        })
    }

    /// Shapes: `[n, w]` and `[n, 3, w]` to those of the output.
    fn forward(&self, scalar: &[T], vector: &[T], w: usize) -> (Vec<T>, Vec<T>) {
        let n = scalar.len() / w;
        let out = self.vector_mix.output();
        let (mut squares, mut input) = (vec![T::ZERO; 3 * n * w], vec![T::ZERO; 2 * n * w]);
        self.norm_mix.forward(vector, &mut squares);
        for ((input, s), q) in
            input.chunks_exact_mut(2 * w).zip(scalar.chunks_exact(w)).zip(squares.chunks_exact(3 * w))
        {
            input[..w].copy_from_slice(s);
            for k in 0..w {
                input[w + k] = (q[k] * q[k] + q[w + k] * q[w + k] + q[2 * w + k] * q[2 * w + k]).root();
            }
        }
        let (mut hidden, mut gates) = (vec![T::ZERO; n * w], vec![T::ZERO; 2 * n * out]);
        self.gate_in.forward(&input, &mut hidden);
        let mut activated = vec![T::ZERO; hidden.len()];
        silu(&hidden, &mut activated);
        self.gate_out.forward(&activated, &mut gates);
        let mut mixed = vec![T::ZERO; 3 * n * out];
        self.vector_mix.forward(vector, &mut mixed);
        let mut next = vec![T::ZERO; n * out];
        for ((gates, mixed), next) in
            gates.chunks_exact(2 * out).zip(mixed.chunks_exact_mut(3 * out)).zip(next.chunks_exact_mut(out))
        {
            silu(&gates[..out], next);
            for component in mixed.chunks_exact_mut(out) {
                component.iter_mut().zip(&gates[out..]).for_each(|(v, &gate)| *v *= gate);
            }
        }
        (next, mixed)
    }
}

/// Mean and inverse standard deviation of the first `h` numbers of a row; what pads it is zero.
#[inline(always)]
fn moments<T: Number>(row: &[T], h: usize) -> (T, T) {
    let count = T::of(1.0 / h as f64);
    let mut sum = Lanes::<T>::new();
    for chunk in row.chunks_exact(LANES) {
        sum.0.iter_mut().zip(chunk).for_each(|(sum, &x)| *sum += x);
    }
    let mean = sum.total() * count;
    let mut squares = Lanes::<T>::new();
    for chunk in row[..h].chunks(LANES) {
        for (sum, &x) in squares.0.iter_mut().zip(chunk) {
            *sum = (x - mean).times_plus(x - mean, *sum);
        }
    }
    (mean, T::ONE / (squares.total() * count + T::of(VARIANCE_EPSILON)).root())
}

/// The first two rows, and the rest.
#[inline(always)]
fn two<T>(rows: &[T], w: usize) -> (&[T], &[T], &[T]) {
    let (first, rest) = rows.split_at(w);
    let (second, rest) = rest.split_at(w);
    (first, second, rest)
}

fn silu<T: Number>(x: &[T], y: &mut [T]) {
    let gain = T::of(GAIN);
    vectorized(
        #[inline(always)]
        || {
            for (y, &x) in y.iter_mut().zip(x) {
                *y = x * x.sigmoid() * gain;
            }
        },
    );
}

/// `ȳ` times the derivative at `x`: `s (1 + x (1 − s))`.
fn silu_adjoint<T: Number>(x: &[T], y_bar: &mut [T]) {
    let gain = T::of(GAIN);
    vectorized(
        #[inline(always)]
        || {
            for (y, &x) in y_bar.iter_mut().zip(x) {
                let s = x.sigmoid();
                *y = *y * s * (T::ONE + x * (T::ONE - s)) * gain;
            }
        },
    );
}
