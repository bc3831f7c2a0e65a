//! GemNet-OC: messages along edges, triplets, quadruplets and pairs of atoms, with direct forces.
//!
//! J. Gasteiger, M. Shuaibi, A. Sriram, S. Günnemann, Z. Ulissi, C. L. Zitnick, A. Das, *GemNet-OC: Developing Graph Neural
//! Networks for Large and Diverse Molecular Simulation Datasets*, TMLR 2022, arXiv 2204.02782.
//!
//! | here | in the paper and its code | shape |
//! |---|---|---|
//! | `atom` | h | `[n_atoms, atom_channels]` |
//! | `edge` | m, of the edge c → a | `[n_edges, edge_channels]` |
//! | `cutoff`, `max_neighbors` | c_emb; the main graph | |
//! | quadruplets, `edge_to_edge`, `atom_to_edge`, `edge_to_atom`, `atom_to_atom` | qint, tint, aeint, eaint, aint | |
//!
//! | file | contents |
//! |---|---|
//! | `layers` | linear maps, residuals, scale factors and their fit |
//! | `angular` | functions of one and two angles |
//! | `bases` | radial and angular bases, shared projections |
//! | `names` | the names of parameters in the reference's checkpoints |
//! | `interactions` | messages along triplets, quadruplets, pairs |
//! | `blocks` | interaction and output blocks |
//!
//! Departures from the Open Catalyst implementation, whose checkpoints this network reads: a batch without triplets or
//! quadruplets gets zeros from them (the reference crashes); forces are direct only; the sum over quadruplets is done in two
//! steps, which is the same sum; scale factors are part of the model's settings (the reference keeps them in a file of their
//! own).

mod angular;
mod bases;
mod blocks;
mod interactions;
mod layers;
pub(crate) mod names;

use burn::module::Module;
use burn::tensor::Tensor;
use potstill_core::model::{Forces, GemNetOCConfig, Tap};

pub use self::bases::Bases;
pub use self::blocks::{InteractionBlock, OutputBlock};
use self::blocks::{State, edge_embedding};
pub use self::layers::{Residual, ScaleFit};
use self::layers::{activated, apply, linear};
use crate::batch::Batch;
use crate::batch::gemnet::GemNetTables;
use crate::features::Features;
use crate::init::{Init, Initializer};
use crate::layers::{Dense, Embedding};
use crate::output::Output;
use crate::tensors::{gather_rows, sum_rows};

/// Joins the contributions of all output blocks.
#[derive(Module, Debug)]
pub struct GlobalOutput {
    /// `(n_blocks + 1)·c → c`.
    pub join: Dense,
    /// On the joined features.
    pub residuals: Vec<Residual>,
    /// `c → 1`.
    pub head: Dense,
}

impl GlobalOutput {
    fn new(config: &GemNetOCConfig, channels: usize, rng: &mut Initializer) -> Self {
        Self {
            join: linear((config.n_blocks + 1) * channels, channels, rng),
            residuals: Residual::stack(config.n_global_output, channels, rng),
            head: linear(channels, 1, rng),
        }
    }

    fn features(&self, parts: Vec<Tensor<2>>) -> Tensor<2> {
        apply(&self.residuals, activated(&self.join, Tensor::cat(parts, 1)))
    }
}

/// GemNet-OC with its weights.
#[derive(Module, Debug)]
pub struct GemNetOC {
    /// Row `Z − 1` starts the features of element `Z`. Shape: `[83, atom_channels]`.
    pub embedding: Embedding,
    /// `2·atom + n_radial → edge`.
    pub first_edge: Dense,
    /// Bases and their shared projections.
    pub bases: Bases,
    /// Interaction blocks, first to last.
    pub blocks: Vec<InteractionBlock>,
    /// Output blocks: before the first interaction block and after each.
    pub outputs: Vec<OutputBlock>,
    /// Head of the energy.
    pub energy: GlobalOutput,
    /// Head of direct forces.
    pub force: Option<GlobalOutput>,
    #[module(skip)]
    config: GemNetOCConfig,
}

impl GemNetOC {
    /// Network with fresh weights: semi-orthogonal matrices with normalised rows, embeddings uniform within ±√3.
    pub fn new(config: &GemNetOCConfig, rng: &mut Initializer) -> Self {
        let (atom, edge) = (config.atom_channels, config.edge_channels);
        Self {
            embedding: Embedding::new(GemNetOCConfig::EMBEDDING_ROWS, atom, Init::Uniform(3.0_f64.sqrt()), rng),
            first_edge: linear(2 * atom + config.n_radial, edge, rng),
            bases: Bases::new(config, rng),
            blocks: (0..config.n_blocks).map(|i| InteractionBlock::new(config, i, rng)).collect(),
            outputs: (0..=config.n_blocks).map(|i| OutputBlock::new(config, i, rng)).collect(),
            energy: GlobalOutput::new(config, atom, rng),
            force: (config.forces == Forces::Direct).then(|| GlobalOutput::new(config, edge, rng)),
            config: config.clone(),
        }
    }

    /// Parameters that several blocks share: the reference divides their gradients by the number given here.
    pub(crate) fn gradient_divisors(config: &GemNetOCConfig) -> Vec<(&'static str, usize)> {
        Bases::shared_parameters(config.n_blocks)
    }

    /// Energies, direct forces when asked, and the features at `taps`, in normalised units.
    ///
    /// The batch must come from this network's graph rule; without its tables only atoms are seen.
    pub fn forward(&self, batch: &Batch, forces: Forces, taps: &[Tap]) -> Output {
        self.run(batch, forces, taps, None)
    }

    /// Forward pass that fits every scale factor that `fit` does not know yet.
    pub fn fit_scales(&self, batch: &Batch, fit: &ScaleFit) {
        self.run(batch, Forces::Direct, &[], Some(fit));
    }

    fn run(&self, batch: &Batch, forces: Forces, taps: &[Tap], fit: Option<&ScaleFit>) -> Output {
        let empty;
        let tables = match &batch.gemnet {
            Some(tables) => tables.as_ref(),
            None => {
                empty = GemNetTables::empty(batch.n_edges, &batch.device, batch.dtype);
                &empty
            }
        };
        let bases = self.bases.forward(batch, tables, fit);
        let atom = self.embedding.forward(&batch.element_rows(1));
        let edge = edge_embedding(&self.first_edge, batch, &atom, bases.main.clone());
        let mut state = State { atom, edge };
        let mut features = Vec::new();
        let mut tap = |tap: Tap, node: &Tensor<2>, edge: Option<&Tensor<2>>| {
            if taps.contains(&tap) {
                features.push(Features { tap, node: node.clone(), vector: None, edge: edge.cloned() });
            }
        };

        let (mut energies, mut edge_forces) = (Vec::new(), Vec::new());
        for (i, output) in self.outputs.iter().enumerate() {
            if i > 0 {
                state = self.blocks[i - 1].forward(batch, tables, &bases, state, fit);
                tap(Tap::Block(i), &state.atom, Some(&state.edge));
            }
            let (energy, force) = output.forward(batch, &bases.output, &state, fit);
            tap(Tap::Output(i), &energy, force.as_ref());
            energies.push(energy);
            edge_forces.extend(force);
        }

        let energy = self.energy.features(energies);
        let atomic_energies = self.energy.head.forward(energy.clone());
        let force = self.force.as_ref().map(|head| head.features(edge_forces));
        tap(Tap::Head, &energy, force.as_ref());

        let mut output = Output::new(batch, self.share(batch, atomic_energies), features);
        if let (Forces::Direct, Some(head), Some(force)) = (forces, &self.force, force) {
            output.forces = Some(self.sum_forces(batch, tables, head.head.forward(force)));
        }
        output
    }

    /// Atomic energies that add up to the energy: with a mean each atom counts by its share.
    fn share(&self, batch: &Batch, atomic_energies: Tensor<2>) -> Tensor<2> {
        if self.config.extensive {
            return atomic_energies;
        }
        let counts = batch.sum_over_systems(atomic_energies.ones_like());
        atomic_energies / gather_rows(counts, &batch.system_index)
    }

    /// `Σ_edges f · direction` at each target; the reference's unit vectors run from source to target.
    fn sum_forces(&self, batch: &Batch, tables: &GemNetTables, along: Tensor<2>) -> Tensor<2> {
        if batch.n_edges == 0 {
            return batch.zeros([batch.n_atoms, 3]);
        }
        let along = match self.config.coupled_forces {
            true => (along.clone() + gather_rows(along, &tables.reverse)).mul_scalar(0.5),
            false => along,
        };
        sum_rows(batch.direction.clone().neg() * along, &batch.target, batch.n_atoms)
    }
}
