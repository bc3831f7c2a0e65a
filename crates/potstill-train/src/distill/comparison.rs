//! Student and teacher side by side on one shard: what a strategy computes its loss from.

use burn::module::Module;
use burn::tensor::Tensor;
use potstill_core::model::Tap;
use potstill_core::{Result, System};
use potstill_nn::features::Reduction;
use potstill_nn::tensors::float_tensor;
use potstill_nn::{Batch, Network, Output};

use super::groups::Groups;
use super::kind::Kind;
use super::projection::{Projection, ProjectionKind, Side};
use super::taps;
use super::targets::Targets;
use crate::loss::{FeatureLoss, LabelLosses, Scale};
use crate::prepared::{Rows, Shard};

/// A network with the projections of its distillation; only the network is ever shipped.
#[derive(Module, Debug)]
pub struct Student {
    /// Network that is trained.
    pub network: Network,
    /// Projections of the terms that compare features, in the order in which the terms first use them.
    pub projections: Vec<Projection>,
}

/// Counts over the whole batch, by which sums over shards are divided.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Counts {
    /// Systems.
    pub systems: f64,
    /// Atoms.
    pub atoms: f64,
    /// Atoms that may move.
    pub free: f64,
    /// Systems with a virial among their labels.
    pub virials: f64,
    /// Systems with a cell.
    pub cells: f64,
    /// Edges.
    pub edges: f64,
}

/// Forward pass of the student on a shard, and the teacher's answers about the same systems.
pub struct Pass<'a> {
    /// Student with the projections of all terms.
    pub student: &'a Student,
    /// Systems of the shard.
    pub shard: &'a Shard<'a>,
    /// Graph of the shard.
    pub batch: &'a Batch,
    /// Output of the student. For a strategy with probes, of all systems displaced to one side, then to the other.
    pub output: &'a Output,
    /// Answers of the teacher in the student's units, about the systems that the output is about.
    pub targets: &'a dyn Targets,
    /// Counts of the whole batch.
    pub counts: &'a Counts,
    /// Losses of the training section.
    pub losses: LabelLosses,
}

impl Pass<'_> {
    /// Training loss with the teacher's energies and forces in place of labels, times the weights of energies and forces.
    ///
    /// # Errors
    /// A teacher without energies or forces.
    pub fn ordinary(&self, (energy_weight, force_weight): (f64, f64)) -> Result<Tensor<1>> {
        let (shard, batch, counts) = (self.shard, self.batch, self.counts);
        let mut loss = self.zero();
        if energy_weight > 0.0 {
            let scale = shard.term_scale(Rows::Systems, energy_weight / counts.systems, batch);
            loss = self.losses.energy.evaluate(self.output.energy.clone(), self.targets.energy()?, scale);
        }
        match &self.output.forces {
            Some(forces) if force_weight > 0.0 => {
                let scale = shard.term_scale(Rows::Atoms, force_weight / counts.free.max(1.0), batch);
                let free = shard.free_mask(batch);
                Ok(loss + self.losses.forces.evaluate(forces.clone(), self.targets.forces()?, free, scale))
            }
            _ => Ok(loss),
        }
    }

    /// Stress loss of the training section with the teacher's virials in place of labels, for systems with a cell.
    ///
    /// # Errors
    /// A teacher without virials.
    pub fn stress(&self, weight: f64) -> Result<Tensor<1>> {
        let Some(virial) = &self.output.virial else { return Ok(self.zero()) };
        let systems = self.shard.systems();
        let per_atom = |system: &&System| if system.cell.is_some() { 1.0 / system.n_atoms() as f64 } else { 0.0 };
        let factors: Vec<f64> = systems.iter().map(per_atom).collect();
        let factor = float_tensor(factors, [systems.len(), 1], &self.batch.device, self.batch.dtype);
        let scale = self.shard.term_scale(Rows::Systems, weight / self.counts.cells.max(1.0), self.batch);
        let target = self.targets.virials()? * factor.clone();
        Ok(self.losses.stress.evaluate(virial.clone() * factor, target, scale))
    }

    /// Loss of 0 without a gradient.
    pub fn zero(&self) -> Tensor<1> {
        self.batch.zeros([1])
    }

    /// Features of the student at a tap; none where it has no such features.
    fn student_features(&self, tap: Tap, kind: Kind) -> Option<Tensor<2>> {
        let features = self.output.features.iter().find(|f| f.tap == tap)?;
        match kind {
            Kind::Node | Kind::EdgeSum => Some(features.node.clone()),
            Kind::Edge => features.edges(self.batch),
            Kind::Vector => features.vectors(self.batch, Reduction::Sum),
        }
    }
}

/// Features of a term with their taps found and their projection placed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FeaturePlan {
    pub kind: Kind,
    pub teacher: Vec<Tap>,
    pub student: Vec<Tap>,
    pub side: Side,
    pub projection: ProjectionKind,
}

/// Features of a term, and its projection among those of the student.
#[derive(Debug, Clone)]
pub(super) struct PlacedFeatures {
    pub plan: FeaturePlan,
    pub projection: usize,
}

/// Features of student and teacher of one width. Shapes: `[rows, channels]`, vectors with three components of each channel.
pub struct FeaturePair {
    /// Features of the student.
    pub student: Tensor<2>,
    /// Features of the teacher.
    pub teacher: Tensor<2>,
    /// Atoms or edges.
    pub rows: Rows,
    /// Rows of the whole batch.
    pub n_rows: f64,
}

/// One term on one shard: a forward pass with the weight and the features of the term.
pub struct Comparison<'a> {
    /// Forward pass and targets.
    pub pass: &'a Pass<'a>,
    /// λ in this step.
    pub weight: f64,
    pub(super) features: Option<&'a PlacedFeatures>,
}

impl Comparison<'_> {
    /// Factor of each row of a loss whose sum over the batch is divided by `count`.
    pub fn scale(&self, rows: Rows, count: f64) -> Scale {
        self.pass.shard.term_scale(rows, self.weight / count, self.pass.batch)
    }

    /// The features that [`Strategy::features`](super::Strategy::features) asks for, projected; none where the student has no
    /// such features or there is no row.
    ///
    /// # Errors
    /// A teacher without such features.
    pub fn features(&self) -> Result<Option<FeaturePair>> {
        let Some(PlacedFeatures { plan, projection }) = self.features else { return Ok(None) };
        let (pass, kind) = (self.pass, plan.kind);
        let theirs = plan.teacher.iter().map(|&tap| pass.targets.features(kind, tap)).collect::<Result<Vec<_>>>()?;
        let ours: Option<Vec<_>> = plan.student.iter().map(|&tap| pass.student_features(tap, kind)).collect();
        let (rows, n_rows) = match kind {
            Kind::Edge => (Rows::Edges, pass.counts.edges),
            _ => (Rows::Atoms, pass.counts.atoms),
        };
        let (Some(ours), Some(projection), true) = (ours, pass.student.projections.get(*projection), n_rows != 0.0)
        else {
            return Ok(None);
        };
        let [ours, theirs] = [ours, theirs].map(|features| taps::side_by_side(kind, features));
        let project = |features: Tensor<2>| match kind {
            Kind::Vector => projection.vector(features),
            _ => projection.node(features),
        };
        let (student, teacher) = match plan.side {
            Side::Student => (project(ours), theirs),
            Side::Teacher => (ours, project(theirs)),
        };
        Ok(Some(FeaturePair { student, teacher, rows, n_rows }))
    }

    /// Mean of an elementwise loss over rows and channels of the features.
    ///
    /// # Errors
    /// As [`Comparison::features`].
    pub fn each(&self, loss: FeatureLoss) -> Result<Tensor<1>> {
        let Some(pair) = self.features()? else { return Ok(self.pass.zero()) };
        let width = pair.teacher.dims()[1];
        let scale = self.scale(pair.rows, pair.n_rows * width as f64);
        Ok(loss.evaluate(pair.student, pair.teacher, scale))
    }

    /// Loss of a relation between the features of atoms that belong together.
    ///
    /// # Errors
    /// As [`Comparison::features`].
    pub fn relation(&self, loss: impl Fn(Tensor<2>, Tensor<2>, &Groups) -> Tensor<1>) -> Result<Tensor<1>> {
        let Some(pair) = self.features()? else { return Ok(self.pass.zero()) };
        let Pass { shard, batch, counts, .. } = self.pass;
        let weights = shard.weights.as_ref().map(|weights| weights.terms.clone());
        let groups = Groups::new(batch, (counts.systems, counts.atoms, counts.edges.max(1.0))).weighted(weights);
        Ok(loss(pair.student, pair.teacher, &groups).mul_scalar(self.weight))
    }
}
