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
//! with `‖q‖ = √(Σ q² + 10⁻⁸)`. The factors `1/√3` and `1/√h` are multiplied into the filters when the model is loaded. With bars
//! for gradients of the energy, the adjoints of these equations, from the last to the first, are:
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
//! An edge and its reverse have the same filter, so the kernels take both at once and write to both atoms; a task has rows of its own for
//! atoms of other tasks, which these add up afterwards, so that nothing is atomic (`crate::edges`). Edges without a reverse here, those
//! from ghosts among them, are taken one by one.
//!
//! | file | contents |
//! |---|---|
//! | `compile` | the network from a file's weights |
//! | `buffers` | activations, gradients and scratch memory |
//! | `forward`, `update` | messages and updates; the update has its adjoint beside it |
//! | `backward` | from the energies back to the edges |
//! | `direct` | the head of direct forces |
//! | `filter` | the filter network |

mod backward;
mod buffers;
mod compile;
mod direct;
mod filter;
mod forward;
mod update;

use potstill_kernels::Number;
use potstill_kernels::activation::scaled_silu;
use potstill_kernels::dense::Dense;
use potstill_kernels::filters::{Filters, PlacedEdge};
use potstill_kernels::norm::LayerNorm;

use self::buffers::{Buffers, TaskBuffers};
use self::direct::GatedBlock;
use super::{Batch, Network, Output};
use crate::buffers::resize;
use crate::domain::Exchange;
use crate::tasks::{Parts, rows, run};

/// Makes the norm of a zero vector differentiable.
const NORM_EPSILON: f64 = 1e-8;
/// Default limit of the saved activations in bytes.
const SAVE_AT_MOST: usize = 1 << 30;

/// PaiNN compiled for this processor.
#[derive(Debug)]
pub struct PaiNN<T> {
    /// Number of channels `h`, without and with padding.
    h: usize,
    wide: usize,
    /// Scalars before the first layer. Shape: `[83, h]`.
    embedding: Vec<T>,
    /// `x` of the first layer, which depends on the element alone. Shape: `[83, 3h]`.
    first_sent: Vec<T>,
    layers: Vec<Layer<T>>,
    filters: Filters<T>,
    energy_in: Dense<T>,
    energy_out: Dense<T>,
    direct: Option<[GatedBlock<T>; 2]>,
    /// Limit in bytes of the saved activations; beyond, most are recomputed in the backward pass.
    save_at_most: usize,
}

/// Weights of a message and an update.
#[derive(Debug)]
struct Layer<T> {
    norm: LayerNorm<T>,
    scalar_in: Dense<T>,
    scalar_out: Dense<T>,
    vector_mix: Dense<T>,
    gate_in: Dense<T>,
    gate_out: Dense<T>,
    scale: T,
}

impl<T: Number> Network<T> for PaiNN<T> {
    type Buffers = Buffers<T>;

    const ATOMS_PER_TASK: usize = 10;

    fn n_segments(&self) -> Option<usize> {
        self.filters.n_segments()
    }

    fn place(&self, distances: &[T], edges: &mut [PlacedEdge<T>]) {
        self.filters.place(distances, edges);
    }

    fn bytes(&self, n_atoms: usize) -> usize {
        n_atoms.saturating_mul(self.bytes_per_atom(self.recomputes(n_atoms)))
    }

    fn exchanged(&self) -> usize {
        // `x` and `v`; gradients of `s̃` and `ṽ` are fewer.
        6 * self.wide
    }

    fn save_at_most(&mut self, bytes: usize) {
        self.save_at_most = bytes;
    }

    fn evaluate(
        &self,
        batch: &Batch<'_, T>,
        exchange: &mut dyn Exchange<T>,
        buffers: &mut Buffers<T>,
        output: &mut Output<T>,
    ) {
        let (n, n_rows) = (batch.n_local, batch.atomic_numbers.len());
        buffers.resize(n, n_rows, self.layers.len(), self.wide, self.recomputes(n_rows));
        buffers.resize_tasks(batch.edges.tasks().len());
        resize(&mut buffers.energy_hidden, n * self.energy_in.output());
        resize(&mut output.energies, n);
        self.embed(batch, buffers);
        for layer in 0..self.layers.len() {
            self.receive(layer, batch, buffers);
            if layer + 1 < self.layers.len() {
                self.send(layer + 1, batch, buffers);
                buffers.refresh_input(layer + 1, self.wide, exchange);
            }
        }
        self.energies(batch, buffers, &mut output.energies);
        match &self.direct {
            Some(blocks) => {
                let Buffers { scalar, vector, head, .. } = buffers;
                output.direct_forces = Some(self.direct_forces(blocks, scalar, vector, head));
            }
            None => {
                output.clear_edges(batch.edges, true);
                self.backward(batch, exchange, buffers, &mut output.edge_gradients);
            }
        }
    }
}

/// Slices of a task for the energies of its atoms.
struct EnergyTask<'a, T> {
    scalar: &'a [T],
    buffers: &'a mut TaskBuffers<T>,
    hidden: &'a mut [T],
    energies: &'a mut [T],
}

impl<T: Number> PaiNN<T> {
    /// Whether activations of that many atoms are recomputed in the backward pass, since they would take more than the limit.
    fn recomputes(&self, n_atoms: usize) -> bool {
        n_atoms.saturating_mul(self.bytes_per_atom(false)) > self.save_at_most
    }

    /// Bytes of the buffers of an atom.
    fn bytes_per_atom(&self, recomputes: bool) -> usize {
        // Rows of sums: those of the atoms, and about as many in halos.
        let (each, once) = if recomputes { (8, 12 + 12) } else { (18, 8 + 12) };
        (self.layers.len() * each + once) * self.wide * size_of::<T>()
    }

    /// Writes scalars and `x` before the first layer.
    fn embed(&self, batch: &Batch<'_, T>, buffers: &mut Buffers<T>) {
        let w = self.wide;
        let Some(first) = buffers.layers.first_mut() else { return };
        let sent = if first.sent.is_empty() { &mut buffers.sent } else { &mut first.sent };
        let row = |z: u8| {
            let z = usize::from(z).saturating_sub(1);
            z..z + 1
        };
        for (scalar, &z) in first.scalar.chunks_exact_mut(w).zip(batch.atomic_numbers) {
            scalar.copy_from_slice(&self.embedding[rows(&row(z), w)]);
        }
        // Of ghosts, too: it depends on the element alone.
        for (sent, &z) in sent.chunks_exact_mut(3 * w).zip(batch.atomic_numbers) {
            sent.copy_from_slice(&self.first_sent[rows(&row(z), 3 * w)]);
        }
    }

    /// Energies of all atoms.
    fn energies(&self, batch: &Batch<'_, T>, buffers: &mut Buffers<T>, energies: &mut [T]) {
        let (w, half, one) = (self.wide, self.energy_in.output(), self.energy_out.output());
        let Buffers { scalar, energy_hidden, tasks, .. } = buffers;
        let (mut hidden, mut energies) = (Parts::of(energy_hidden), Parts::of(energies));
        let parts = batch.edges.tasks().iter().zip(tasks).map(|(task, buffers)| EnergyTask {
            scalar: &scalar[rows(&task.atoms, w)],
            buffers,
            hidden: hidden.next(task.atoms.len() * half),
            energies: energies.next(task.atoms.len()),
        });
        run(parts.collect(), |task| {
            let EnergyTask { scalar, buffers, hidden, energies } = task;
            self.energy_in.forward(scalar, hidden);
            let [activated, out] = buffers.scratch.arrays([hidden.len(), energies.len() * one]);
            scaled_silu(hidden, activated);
            self.energy_out.forward(activated, out);
            energies.iter_mut().zip(out.chunks_exact(one)).for_each(|(e, row)| *e = row[0]);
        });
    }
}

/// Consecutive parts of width `w` of a row.
#[inline(always)]
fn split<const N: usize, T>(row: &[T], w: usize) -> [&[T]; N] {
    std::array::from_fn(
        #[inline(always)]
        |part| &row[part * w..][..w],
    )
}

/// Mutable consecutive parts of width `w` of a row.
#[inline(always)]
fn split_mut<const N: usize, T>(row: &mut [T], w: usize) -> [&mut [T]; N] {
    let mut rest = row;
    std::array::from_fn(
        #[inline(always)]
        |_| {
            let (own, others) = std::mem::take(&mut rest).split_at_mut(w);
            rest = others;
            own
        },
    )
}
