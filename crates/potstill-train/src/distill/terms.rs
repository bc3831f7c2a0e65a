//! Terms made ready for the steps: taps resolved, projections placed, teacher labels in the student's units.

use burn::module::Module;
use burn::tensor::{DType, Tensor};
use potstill_core::dataset::{ElementEnergies, Normalizer};
use potstill_core::{Error, Result, System};
use potstill_nn::batch::float_tensor;
use potstill_nn::features::Reduction;
use potstill_nn::init::Initializer;
use potstill_nn::{Architecture, Batch, Network, Output, Tap};

use super::compare::{self, Groups};
use super::{
    Compare, DistillConfig, Kind, Projection, ProjectionKind, Side, TeacherCache, Term, Weight, WeightSchedule,
    resolve_tap,
};
use crate::loss::{EnergyLoss, ForceLoss};
use crate::prepared::{PreparedSystem, Shard};

/// Seeds projections apart from the network, whose weights must not depend on the terms.
const PROJECTION_SEED: u64 = 0x70726f6a;

/// A network with the projections of its distillation; only the network is ever shipped.
#[derive(Module, Debug)]
pub struct Student {
    /// What is being trained.
    pub network: Network,
    /// One for each feature term, in their order.
    pub projections: Vec<Projection>,
}

/// What an active term does.
#[derive(Debug, Clone, PartialEq)]
enum Action {
    Vanilla { energy_weight: f64, force_weight: f64 },
    AtomicEnergy,
    Feature { kind: Kind, compare: Compare, side: Side, teacher: Tap, student: Tap, projection: usize },
}

/// Teacher labels of one system in the student's normalised units.
#[derive(Debug, Clone)]
struct Labels {
    energy: f64,
    atomic_energies: Vec<f64>,
    forces: Vec<[f64; 3]>,
}

/// All active terms with the teacher's targets.
#[derive(Debug)]
pub struct Terms {
    actions: Vec<Action>,
    names: Vec<&'static str>,
    weights: Vec<Weight>,
    schedules: Vec<WeightSchedule>,
    projections: Vec<ProjectionKind>,
    cache: TeacherCache,
    references: ElementEnergies,
    normalizer: Normalizer,
}

/// Counts over the whole batch, by which sums over shards are divided.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Counts {
    /// Systems.
    pub systems: f64,
    /// Atoms.
    pub atoms: f64,
    /// Atoms that may move.
    pub free: f64,
    /// Edges.
    pub edges: f64,
}

impl Terms {
    /// Resolves the active terms of `config` and draws their projections; inactive terms leave no trace.
    ///
    /// # Errors
    /// A tap that a network does not have; a cache that lacks labels.
    pub fn new(
        config: &DistillConfig,
        teacher: &Architecture,
        student: &Architecture,
        cache: TeacherCache,
        references: &ElementEnergies,
        normalizer: &Normalizer,
    ) -> Result<Self> {
        let mut actions = Vec::new();
        let mut projections = Vec::new();
        let (mut names, mut weights, mut schedules) = (Vec::new(), Vec::new(), Vec::new());
        for term in config.terms.iter().filter(|t| t.is_active()) {
            let key = format!("distill.terms ({})", term.name());
            let action = match (term, term.feature()) {
                (_, Some(feature)) => {
                    let teacher = resolve_tap(&key, feature.teacher_tap.as_deref(), teacher, "teacher")?;
                    let student = resolve_tap(&key, feature.student_tap.as_deref(), student, "student")?;
                    let projection = projections.len();
                    projections.push(feature.projection);
                    weights.push(feature.weight);
                    let (compare, side) = (feature.compare, feature.side);
                    Action::Feature { kind: term.kind(), compare, side, teacher, student, projection }
                }
                (Term::AtomicEnergy { weight, .. }, _) => {
                    weights.push(*weight);
                    Action::AtomicEnergy
                }
                (Term::Vanilla { energy_weight, force_weight, .. }, _) => {
                    weights.push(Weight::Fixed(1.0));
                    Action::Vanilla { energy_weight: *energy_weight, force_weight: *force_weight }
                }
                _ => continue,
            };
            names.push(term.name());
            schedules.push(term.schedule());
            actions.push(action);
        }
        let (references, normalizer) = (references.clone(), *normalizer);
        Ok(Self { actions, names, weights, schedules, projections, cache, references, normalizer })
    }

    /// Names of the strategies, in the order of the losses.
    pub fn names(&self) -> &[&'static str] {
        &self.names
    }

    /// Weights as the configuration gives them.
    pub fn weights(&self) -> &[Weight] {
        &self.weights
    }

    /// Factors of the schedules after that part of the run.
    pub fn schedule_factors(&self, done: f64) -> Vec<f64> {
        self.schedules.iter().map(|schedule| schedule.factor(done)).collect()
    }

    /// Checks that the student's training graphs have the edges of the teacher's where a term compares them.
    ///
    /// # Errors
    /// The first system with another number of edges.
    pub fn check_edges<'a>(&self, systems: impl IntoIterator<Item = (usize, &'a PreparedSystem)>) -> Result<()> {
        let compares = |a: &Action| matches!(a, Action::Feature { kind: Kind::Edge, .. });
        if !self.actions.iter().any(compares) {
            return Ok(());
        }
        match systems.into_iter().find(|(i, s)| self.cache.n_edges(*i) != s.n_edges) {
            None => Ok(()),
            Some((i, system)) => {
                let (ours, theirs) = (system.n_edges, self.cache.n_edges(i));
                let message =
                    format!("has {ours} edges for the student and {theirs} in the teacher's cache; remake it");
                Err(Error::System { index: i, name: None, message })
            }
        }
    }

    /// Fresh projections for a student of that architecture.
    pub fn projections(
        &self,
        student: &Architecture,
        seed: u64,
        device: &burn::tensor::Device,
        dtype: DType,
    ) -> Vec<Projection> {
        let mut rng = Initializer::new(seed ^ PROJECTION_SEED, device, dtype);
        self.actions
            .iter()
            .filter_map(|action| match action {
                Action::Feature { kind, teacher, side, .. } => Some((*kind, *teacher, *side)),
                _ => None,
            })
            .zip(&self.projections)
            .map(|((kind, tap, side), projection)| {
                let ours = super::student_channels(kind, student);
                let theirs = self.cache.channels(kind, tap).unwrap_or(ours);
                let (input, output) = if side == Side::Student { (ours, theirs) } else { (theirs, ours) };
                match projection {
                    ProjectionKind::Identity => Projection::identity(),
                    ProjectionKind::Linear => Projection::linear(input, output, kind != Kind::Vector, &mut rng),
                    ProjectionKind::Mlp => Projection::mlp(input, output, &mut rng),
                }
            })
            .collect()
    }

    /// Taps of the student that the terms read.
    pub fn student_taps(&self) -> Vec<Tap> {
        let mut taps: Vec<Tap> = self
            .actions
            .iter()
            .filter_map(|action| match action {
                Action::Feature { student, .. } => Some(*student),
                _ => None,
            })
            .collect();
        taps.sort_unstable();
        taps.dedup();
        taps
    }

    /// Losses of the terms on one shard of a batch, each times its weight in `weights`; a weight of 0 spares the work.
    ///
    /// # Errors
    /// A cache that lacks a tensor.
    pub fn evaluate(
        &self,
        student: &Student,
        batch: &Batch,
        output: &Output,
        shard: &Shard,
        counts: &Counts,
        losses: (EnergyLoss, ForceLoss),
        weights: &[f64],
    ) -> Result<Vec<Tensor<1>>> {
        self.actions
            .iter()
            .zip(weights)
            .map(|(action, &weight)| match weight {
                0.0 => Ok(zero(batch)),
                _ => self.one(action, weight, student, batch, output, shard, counts, losses),
            })
            .collect()
    }

    fn one(
        &self,
        action: &Action,
        weight: f64,
        student: &Student,
        batch: &Batch,
        output: &Output,
        shard: &Shard,
        counts: &Counts,
        (energy_loss, force_loss): (EnergyLoss, ForceLoss),
    ) -> Result<Tensor<1>> {
        let column = |values: Vec<f64>, width: usize| {
            let rows = values.len() / width;
            float_tensor::<2>(values, [rows, width], &batch.device, batch.dtype)
        };
        let labels = || self.labels(shard);
        Ok(match action {
            Action::Vanilla { energy_weight, force_weight } => {
                let labels = labels()?;
                let energy = column(labels.iter().map(|l| l.energy).collect(), 1);
                let scale = weight * energy_weight / counts.systems;
                let loss = energy_loss.evaluate(output.energy.clone(), energy, scale);
                match &output.forces {
                    Some(forces) if *force_weight > 0.0 => {
                        let target =
                            column(labels.iter().flat_map(|l| l.forces.iter().flatten().copied()).collect(), 3);
                        loss + force_loss.evaluate(
                            forces.clone(),
                            target,
                            shard.free_mask(batch),
                            weight * force_weight / counts.free.max(1.0),
                        )
                    }
                    _ => loss,
                }
            }
            Action::AtomicEnergy => {
                let target = column(labels()?.iter().flat_map(|l| l.atomic_energies.iter().copied()).collect(), 1);
                energy_loss.evaluate(output.atomic_energies.clone(), target, weight / counts.atoms)
            }
            Action::Feature { kind, compare, side, teacher, student: tap, projection } => {
                let components = if *kind == Kind::Vector { 3 } else { 1 };
                let width = components * self.cache.channels(*kind, *teacher).unwrap_or(1);
                let theirs = column(self.cache.features(*kind, *teacher, &shard.indices)?, width);
                let Some(ours) = student_features(output, *tap, *kind, batch) else { return Ok(zero(batch)) };
                let projection = &student.projections[*projection];
                let project = |features: Tensor<2>| match kind {
                    Kind::Vector => projection.vector(features),
                    _ => projection.node(features),
                };
                let (ours, theirs) = match side {
                    Side::Student => (project(ours), theirs),
                    Side::Teacher => (ours, project(theirs)),
                };
                let rows = if *kind == Kind::Edge { counts.edges } else { counts.atoms };
                if rows == 0.0 {
                    return Ok(zero(batch));
                }
                let groups = || Groups::new(batch, (counts.systems, counts.atoms, counts.edges.max(1.0)));
                match compare {
                    Compare::Each(loss) => {
                        let width = theirs.dims()[1];
                        loss.evaluate(ours, theirs, weight / (rows * width as f64))
                    }
                    Compare::Geometric(direction) => {
                        compare::geometric::loss(ours, theirs, *direction, &groups()).mul_scalar(weight)
                    }
                    Compare::Local => compare::local::loss(ours, theirs, &groups()).mul_scalar(weight),
                    Compare::Global => compare::global::loss(ours, theirs, &groups()).mul_scalar(weight),
                    Compare::Cka => compare::cka::loss(ours, theirs, &groups()).mul_scalar(weight),
                }
            }
        })
    }
}

impl Terms {
    /// What the teacher says of the systems of a shard, in the student's units.
    fn labels(&self, shard: &Shard) -> Result<Vec<Labels>> {
        let normalizer = &self.normalizer;
        let one = |(&index, system): (&usize, &System)| {
            let labels = self.cache.labels(index)?;
            let total = self.references.total(&system.atomic_numbers)?;
            let share = normalizer.energy_mean / system.n_atoms() as f64;
            let atomic =
                |(z, e): (&u8, &f64)| (e - self.references.get(*z).unwrap_or(0.0) - share) / normalizer.energy_std;
            Ok(Labels {
                energy: normalizer.normalize_energy(labels.energy - total),
                atomic_energies: system.atomic_numbers.iter().zip(&labels.atomic_energies).map(atomic).collect(),
                forces: labels.forces.iter().map(|f| f.map(|c| normalizer.normalize_force(c))).collect(),
            })
        };
        shard.indices.iter().zip(shard.systems()).map(one).collect()
    }
}

/// What the student shows at a tap; `None` where it has no such features.
fn student_features(output: &Output, tap: Tap, kind: Kind, batch: &Batch) -> Option<Tensor<2>> {
    let features = output.features.iter().find(|f| f.tap == tap)?;
    match kind {
        Kind::Node | Kind::EdgeSum => Some(features.node.clone()),
        Kind::Edge => features.edges(batch),
        Kind::Vector => features.vectors(batch, Reduction::Sum),
    }
}

fn zero(batch: &Batch) -> Tensor<1> {
    batch.zeros([1])
}
