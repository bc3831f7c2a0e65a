//! Interaction blocks, atom updates and output blocks.

use std::f64::consts::FRAC_1_SQRT_2;

use burn::module::Module;
use burn::tensor::Tensor;
use potstill_core::model::{Forces, GemNetOCConfig};

use super::bases::BasisValues;
use super::interactions::{Pairs, Quadruplets, Triplets};
use super::layers::{Residual, Scale, ScaleFit, activated, apply, linear};
use crate::batch::Batch;
use crate::batch::gemnet::GemNetTables;
use crate::init::Initializer;
use crate::layers::Dense;
use crate::ops::{Ends, gate, join_silu};
use crate::tensors::sum_rows;

/// Features between two blocks.
#[derive(Debug, Clone)]
pub(super) struct State {
    /// Shape: `[n_atoms, atom]`.
    pub atom: Tensor<2>,
    /// Shape: `[n_edges, edge]`.
    pub edge: Tensor<2>,
}

/// New features of both ends and of the edge itself. Shape: `[n_edges, edge]`.
pub(super) fn edge_embedding(dense: &Dense, batch: &Batch, atom: &Tensor<2>, edge: Tensor<2>) -> Tensor<2> {
    let ends = Ends { host: &batch.ends, source: &batch.source, target: &batch.target };
    join_silu(atom, &edge, &dense.weight.val(), &ends)
}

/// Sums edges into atoms.
#[derive(Module, Debug)]
pub struct AtomUpdate {
    /// `radial_channels → edge`.
    pub radial: Dense,
    /// `edge → atom`; absent for equal widths.
    pub down: Option<Dense>,
    /// On atoms.
    pub residuals: Vec<Residual>,
    #[module(skip)]
    scale_sum: Scale,
}

impl AtomUpdate {
    fn new(config: &GemNetOCConfig, name: &str, rng: &mut Initializer) -> Self {
        let (atom, edge) = (config.atom_channels, config.edge_channels);
        Self {
            radial: linear(config.radial_channels, edge, rng),
            down: (atom != edge).then(|| linear(edge, atom, rng)),
            residuals: Residual::stack(config.n_atom, atom, rng),
            scale_sum: Scale::new(format!("{name}.scale_sum"), &config.scale_factors),
        }
    }

    fn forward(&self, batch: &Batch, edge: &Tensor<2>, radial: &Tensor<2>, fit: Option<&ScaleFit>) -> Tensor<2> {
        let gated = gate(edge, radial, &self.radial.weight.val(), 1.0);
        let sum = sum_rows(gated, &batch.target, batch.n_atoms);
        let x = self.scale_sum.apply(sum, Some(edge), fit);
        let x = match &self.down {
            Some(down) => activated(down, x),
            None => x,
        };
        apply(&self.residuals, x)
    }
}

/// Interaction block.
#[derive(Module, Debug)]
pub struct InteractionBlock {
    /// `edge → edge`, past all messages.
    pub skip: Dense,
    /// Triplets of main edges.
    pub edge_to_edge: Triplets,
    /// Quadruplets.
    pub quadruplets: Option<Quadruplets>,
    /// Messages from atoms to edges.
    pub atom_to_edge: Option<Triplets>,
    /// Messages from edges to atoms.
    pub edge_to_atom: Option<Triplets>,
    /// Messages from atoms to atoms.
    pub atom_to_atom: Option<Pairs>,
    /// On edges, before the skip connection.
    pub before_skip: Vec<Residual>,
    /// On edges, after it.
    pub after_skip: Vec<Residual>,
    /// On atoms.
    pub atom_residuals: Vec<Residual>,
    /// Update of atoms by their edges.
    pub atom_update: AtomUpdate,
    /// `2·atom + edge → edge`.
    pub concat: Dense,
    /// On edges, after `concat`.
    pub concat_residuals: Vec<Residual>,
}

impl InteractionBlock {
    pub(super) fn new(config: &GemNetOCConfig, index: usize, rng: &mut Initializer) -> Self {
        let (atom, edge) = (config.atom_channels, config.edge_channels);
        let name = |part: &str| format!("int_blocks.{index}.{part}");
        Self {
            skip: linear(edge, edge, rng),
            edge_to_edge: Triplets::new(config, (edge, edge), true, &name("trip_interaction"), rng),
            quadruplets: config.quadruplets.then(|| Quadruplets::new(config, &name("quad_interaction"), rng)),
            atom_to_edge: config
                .atom_to_edge
                .then(|| Triplets::new(config, (atom, edge), true, &name("atom_edge_interaction"), rng)),
            edge_to_atom: config
                .edge_to_atom
                .then(|| Triplets::new(config, (edge, atom), false, &name("edge_atom_interaction"), rng)),
            atom_to_atom: config.atom_to_atom.then(|| Pairs::new(config, &name("atom_interaction"), rng)),
            before_skip: Residual::stack(config.n_before_skip, edge, rng),
            after_skip: Residual::stack(config.n_after_skip, edge, rng),
            atom_residuals: Residual::stack(config.n_atom_embedding, atom, rng),
            atom_update: AtomUpdate::new(config, &name("atom_update"), rng),
            concat: linear(2 * atom + edge, edge, rng),
            concat_residuals: Residual::stack(config.n_concat, edge, rng),
        }
    }

    pub(super) fn forward(
        &self,
        batch: &Batch,
        tables: &GemNetTables,
        bases: &BasisValues,
        State { atom, edge }: State,
        fit: Option<&ScaleFit>,
    ) -> State {
        let x = self.edge_messages(tables, bases, &atom, &edge, fit);
        let atom = self.atom_messages(tables, bases, atom, &edge, fit);

        let edge = (edge + apply(&self.before_skip, x)).mul_scalar(FRAC_1_SQRT_2);
        let edge = apply(&self.after_skip, edge);

        let atom = apply(&self.atom_residuals, atom);
        let update = self.atom_update.forward(batch, &edge, &bases.atom_update, fit);
        let atom = (atom + update).mul_scalar(FRAC_1_SQRT_2);

        let news = edge_embedding(&self.concat, batch, &atom, edge.clone());
        let news = apply(&self.concat_residuals, news);
        State { atom, edge: (edge + news).mul_scalar(FRAC_1_SQRT_2) }
    }

    /// An interaction without a single triplet or quadruplet adds nothing; the factor counts it all the same.
    fn edge_messages(
        &self,
        tables: &GemNetTables,
        bases: &BasisValues,
        atom: &Tensor<2>,
        edge: &Tensor<2>,
        fit: Option<&ScaleFit>,
    ) -> Tensor<2> {
        let mut x = activated(&self.skip, edge.clone());
        let reverse = &tables.reverse;
        if let Some(values) = &bases.edge_to_edge {
            x = x + self.edge_to_edge.forward(edge, None, values, &tables.edge_to_edge.inputs, reverse, fit);
        }
        if let (Some(layer), Some(values), Some(tables)) = (&self.quadruplets, &bases.quadruplets, &tables.quadruplets)
        {
            x = x + layer.forward(edge, values, tables, reverse, fit);
        }
        if let (Some(layer), Some(values), Some(inputs)) =
            (&self.atom_to_edge, &bases.atom_to_edge, &tables.atom_to_edge)
        {
            x = x + layer.forward(atom, tables.atom_edge.as_ref(), values, &inputs.inputs, reverse, fit);
        }
        let terms = 2 + usize::from(self.quadruplets.is_some()) + usize::from(self.atom_to_edge.is_some());
        x.mul_scalar(1.0 / (terms as f64).sqrt())
    }

    fn atom_messages(
        &self,
        tables: &GemNetTables,
        bases: &BasisValues,
        atom: Tensor<2>,
        edge: &Tensor<2>,
        fit: Option<&ScaleFit>,
    ) -> Tensor<2> {
        let mut sum = atom.clone();
        if let (Some(layer), Some(values), Some(inputs)) =
            (&self.edge_to_atom, &bases.edge_to_atom, &tables.edge_to_atom)
        {
            sum = sum + layer.forward(edge, None, values, &inputs.triplets.inputs, &tables.reverse, fit);
        }
        if let (Some(layer), Some(radial), Some((edges, inputs))) =
            (&self.atom_to_atom, &bases.atom_to_atom, &tables.atom_to_atom)
        {
            sum = sum + layer.forward(&atom, radial, edges, inputs, fit);
        }
        let terms = 1 + usize::from(self.edge_to_atom.is_some()) + usize::from(self.atom_to_atom.is_some());
        sum.mul_scalar(1.0 / (terms as f64).sqrt())
    }
}

/// Contribution of an output block to the features of the heads.
#[derive(Module, Debug)]
pub struct OutputBlock {
    /// Update of atoms by their edges.
    pub energy: AtomUpdate,
    /// On atoms, after the skip connection.
    pub energy_residuals: Vec<Residual>,
    /// On edges, for direct forces.
    pub force_residuals: Vec<Residual>,
    /// `radial_channels → edge`, for direct forces.
    pub force_radial: Option<Dense>,
    #[module(skip)]
    scale_force: Scale,
}

impl OutputBlock {
    pub(super) fn new(config: &GemNetOCConfig, index: usize, rng: &mut Initializer) -> Self {
        let name = format!("out_blocks.{index}");
        let direct = config.forces == Forces::Direct;
        let n_force = if direct { config.n_atom } else { 0 };
        Self {
            energy: AtomUpdate::new(config, &name, rng),
            energy_residuals: Residual::stack(config.n_output_after_atom, config.atom_channels, rng),
            force_residuals: Residual::stack(n_force, config.edge_channels, rng),
            force_radial: direct.then(|| linear(config.radial_channels, config.edge_channels, rng)),
            scale_force: Scale::new(format!("{name}.scale_rbf_F"), &config.scale_factors),
        }
    }

    /// Features for the energy head and, for direct forces, the force head.
    pub(super) fn forward(
        &self,
        batch: &Batch,
        radial: &Tensor<2>,
        state: &State,
        fit: Option<&ScaleFit>,
    ) -> (Tensor<2>, Option<Tensor<2>>) {
        let mut energy = self.energy.forward(batch, &state.edge, radial, fit);
        if !self.energy_residuals.is_empty() {
            energy = (energy + state.atom.clone()).mul_scalar(FRAC_1_SQRT_2);
            energy = apply(&self.energy_residuals, energy);
        }
        let force = self.force_radial.as_ref().map(|dense| {
            let x = apply(&self.force_residuals, state.edge.clone());
            self.scale_force.gate(&x, radial, dense, fit)
        });
        (energy, force)
    }
}
