//! Terms made ready for the steps: taps resolved, projections placed, teacher labels in the student's units.

use potstill_core::model::{Architecture, EnergyScale, Tap};
use std::ops::Range;

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor};
use potstill_core::{Error, Result};
use potstill_nn::batch::float_tensor;
use potstill_nn::features::Reduction;
use potstill_nn::init::Initializer;
use potstill_nn::{Batch, Network, Output};

use super::compare::{self, Groups};
use super::targets::{CachedTargets, LiveTeacher, Targets};
use super::{
    Compare, DistillConfig, Kind, Probes, Projection, ProjectionKind, Side, TeacherCache, Term, Weight, WeightSchedule,
    taps,
};
use crate::augment::Augmentation;
use crate::loss::{EnergyLoss, FeatureLoss, ForceLoss};
use crate::prepared::{PreparedSystem, Rows, Shard};

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
    Hessian(FeatureLoss),
    Feature { kind: Kind, compare: Compare, side: Side, teacher: Vec<Tap>, student: Vec<Tap>, projection: usize },
}

/// Which systems terms compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// Those of the batch.
    Systems,
    /// Their disturbed copies.
    Copies,
    /// Pairs of copies on either side, between which forces are differentiated.
    Probes,
}

/// Where the teacher's answers about the systems of a batch come from.
#[derive(Debug)]
pub enum Source {
    /// Asked once.
    Cache(TeacherCache),
    /// Asked at each step.
    Live,
}

/// Width and place of a projection.
#[derive(Debug, Clone, PartialEq)]
struct Projected {
    kind: Kind,
    teacher: Vec<Tap>,
    student: Vec<Tap>,
    side: Side,
    projection: ProjectionKind,
}

/// All active terms with the teacher's targets: those on systems first, then those on copies, then those between probes.
#[derive(Debug)]
pub struct Terms {
    actions: Vec<Action>,
    /// Where the terms on systems and those on copies end.
    ends: [usize; 2],
    probes: Option<Probes>,
    names: Vec<String>,
    weights: Vec<Weight>,
    schedules: Vec<WeightSchedule>,
    projected: Vec<Projected>,
    teacher: Option<Architecture>,
    source: Source,
    live: Option<LiveTeacher>,
    augmentation: Option<Augmentation>,
    units: EnergyScale,
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
    /// Edges.
    pub edges: f64,
}

impl Terms {
    /// Resolves the active terms of `config`; inactive terms leave no trace. `live` is needed where the teacher is asked during
    /// the steps.
    ///
    /// # Errors
    /// A tap that a network does not have; a cache that lacks labels.
    pub fn new(
        config: &DistillConfig,
        teacher: Option<&Architecture>,
        student: &Architecture,
        source: Source,
        live: Option<LiveTeacher>,
        units: EnergyScale,
    ) -> Result<Self> {
        let mut terms = Self {
            actions: Vec::new(),
            ends: [0; 2],
            probes: config.probes()?,
            names: Vec::new(),
            weights: Vec::new(),
            schedules: Vec::new(),
            projected: Vec::new(),
            teacher: teacher.cloned(),
            source,
            live,
            augmentation: config.augmentation.clone(),
            units,
        };
        let on_copies = config.augmentation.iter().flat_map(|a| &a.terms);
        let (between_probes, on_systems): (Vec<&Term>, Vec<&Term>) =
            config.terms.iter().partition(|term| term.probes().is_some());
        for term in on_systems.into_iter().filter(|t| t.is_active()) {
            terms.add(Set::Systems, term, student)?;
        }
        terms.ends[0] = terms.actions.len();
        for term in on_copies.filter(|t| t.is_active()) {
            terms.add(Set::Copies, term, student)?;
        }
        terms.ends[1] = terms.actions.len();
        for term in between_probes.into_iter().filter(|t| t.is_active()) {
            terms.add(Set::Probes, term, student)?;
        }
        Ok(terms)
    }

    fn add(&mut self, set: Set, term: &Term, student: &Architecture) -> Result<()> {
        let (section, prefix) = match set {
            Set::Systems | Set::Probes => ("distill.terms", ""),
            Set::Copies => ("distill.augmentation.terms", "copies: "),
        };
        let key = format!("{section} ({})", term.name());
        let (action, weight) = match (term, term.feature()) {
            (_, Some(feature)) => {
                let no_features = || Error::setting(&key, "the teacher has no features");
                let teacher = self.teacher.as_ref().ok_or_else(no_features)?;
                let teacher = taps::resolve(&key, feature.teacher_tap.as_ref(), teacher, "teacher")?;
                let student = taps::resolve(&key, feature.student_tap.as_ref(), student, "student")?;
                let (kind, compare, side) = (term.kind(), feature.compare, feature.side);
                let (theirs, ours) = (teacher.clone(), student.clone());
                let own = Projected { kind, teacher: theirs, student: ours, side, projection: feature.projection };
                let share = set == Set::Copies || feature.shared;
                let projection = match self.projected.iter().position(|p| share && *p == own) {
                    Some(shared) => shared,
                    None => {
                        self.projected.push(own);
                        self.projected.len() - 1
                    }
                };
                (Action::Feature { kind, compare, side, teacher, student, projection }, feature.weight)
            }
            (Term::AtomicEnergy { weight, .. }, _) => (Action::AtomicEnergy, *weight),
            (Term::Vanilla { energy_weight, force_weight, .. }, _) => {
                let (energy_weight, force_weight) = (*energy_weight, *force_weight);
                (Action::Vanilla { energy_weight, force_weight }, Weight::Fixed(1.0))
            }
            (Term::Hessian(term), _) => (Action::Hessian(term.loss), term.weight),
            _ => return Ok(()),
        };
        self.names.push(format!("{prefix}{}", term.name()));
        self.weights.push(weight);
        self.schedules.push(term.schedule());
        self.actions.push(action);
        Ok(())
    }

    fn range(&self, set: Set) -> Range<usize> {
        match set {
            Set::Systems => 0..self.ends[0],
            Set::Copies => self.ends[0]..self.ends[1],
            Set::Probes => self.ends[1]..self.actions.len(),
        }
    }

    /// Number of terms in a set.
    pub fn n_terms(&self, set: Set) -> usize {
        self.range(set).len()
    }

    /// Copies that are compared, and who is asked about them.
    pub fn augmentation(&self) -> Option<(&Augmentation, &LiveTeacher)> {
        self.augmentation.as_ref().zip(self.live.as_ref())
    }

    /// Directions along which derivatives of the forces are compared.
    pub fn probes(&self) -> Option<Probes> {
        self.probes
    }

    /// Reference energies and normalisation of the student.
    pub fn units(&self) -> &EnergyScale {
        &self.units
    }

    /// The teacher's answers about the systems of a shard or about copies of them.
    ///
    /// # Errors
    /// A live teacher that does not know an element.
    pub fn targets<'a>(
        &'a self,
        set: Set,
        shard: &'a Shard<'a>,
        device: &'a Device,
        dtype: DType,
    ) -> Result<Box<dyn Targets + 'a>> {
        match (&self.source, set, &self.live) {
            (Source::Cache(cache), Set::Systems, _) => {
                Ok(Box::new(CachedTargets { cache, shard, units: &self.units, device, dtype }))
            }
            (_, _, Some(live)) => {
                let taps = self.teacher_taps(set);
                Ok(Box::new(live.answer(&shard.systems(), &taps, &self.units, device)?))
            }
            (_, _, None) => Err(not_loaded()),
        }
    }

    /// The teacher's derivatives of the forces on a shard's atoms in a step, normalised. `pairs` are the systems displaced to
    /// the one side, then to the other. Shape: `[n_atoms, 3]`.
    ///
    /// # Errors
    /// As [`Terms::targets`].
    pub fn force_derivatives(
        &self,
        probes: &Probes,
        step: u64,
        shard: &Shard,
        pairs: &Shard,
        device: &Device,
        dtype: DType,
    ) -> Result<Tensor<2>> {
        match (&self.source, &self.live) {
            (Source::Cache(cache), _) => {
                let mut all = Vec::new();
                for &index in &shard.indices {
                    let values = cache.force_derivative(index, probes.choose(step, index))?;
                    all.extend(values.as_chunks::<3>().0.iter().flat_map(|row| self.units.raw_force(*row)));
                }
                let rows = all.len() / 3;
                Ok(float_tensor(all, [rows, 3], device, dtype))
            }
            (Source::Live, Some(live)) => {
                Ok(central_difference(live.answer(&pairs.systems(), &[], &self.units, device)?.forces()?, probes.step))
            }
            (Source::Live, None) => Err(not_loaded()),
        }
    }

    /// Losses of the terms between probes, as [`Terms::evaluate`]. Shapes: `[n_atoms, 3]`.
    pub fn evaluate_probes(
        &self,
        ours: Tensor<2>,
        theirs: Tensor<2>,
        batch: &Batch,
        shard: &Shard,
        counts: &Counts,
        weights: &[f64],
    ) -> Vec<Tensor<1>> {
        let range = self.range(Set::Probes);
        // A fixed atom was not moved; what the others do to it is not trained on either.
        let free = shard.free_mask(batch);
        let (ours, theirs) = (ours * free.clone(), theirs * free);
        let one = |(action, &weight): (&Action, &f64)| match action {
            Action::Hessian(loss) if weight > 0.0 => {
                let scale = shard.term_scale(Rows::Atoms, weight / (3.0 * counts.free.max(1.0)), batch);
                loss.evaluate(ours.clone(), theirs.clone(), scale)
            }
            _ => zero(batch),
        };
        self.actions[range.clone()].iter().zip(&weights[range]).map(one).collect()
    }

    /// Names of the strategies, in the order of the losses.
    pub fn names(&self) -> &[String] {
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
        let Source::Cache(cache) = &self.source else { return Ok(()) };
        if !self.actions[self.range(Set::Systems)].iter().any(compares) {
            return Ok(());
        }
        match systems.into_iter().find(|(i, s)| cache.n_edges(*i) != s.n_edges) {
            None => Ok(()),
            Some((i, system)) => {
                let (ours, theirs) = (system.n_edges, cache.n_edges(i));
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
        let draw = |p: &Projected| {
            let ours = p.student.len() * super::student_channels(p.kind, student);
            let theirs = self.teacher.as_ref().map_or(0, |teacher| super::teacher_channels(p.kind, teacher));
            let theirs = p.teacher.len() * theirs;
            let (input, output) = if p.side == Side::Student { (ours, theirs) } else { (theirs, ours) };
            match p.projection {
                ProjectionKind::Identity => Projection::identity(),
                ProjectionKind::Linear => Projection::linear(input, output, p.kind != Kind::Vector, &mut rng),
                ProjectionKind::Mlp => Projection::mlp(input, output, &mut rng),
            }
        };
        self.projected.iter().map(draw).collect()
    }

    /// Taps of the student that the terms of a set read.
    pub fn student_taps(&self, set: Set) -> Vec<Tap> {
        self.taps(set, |action| match action {
            Action::Feature { student, .. } => student,
            _ => &[],
        })
    }

    /// Taps of the teacher that the terms of a set read.
    pub fn teacher_taps(&self, set: Set) -> Vec<Tap> {
        self.taps(set, |action| match action {
            Action::Feature { teacher, .. } => teacher,
            _ => &[],
        })
    }

    fn taps(&self, set: Set, of: fn(&Action) -> &[Tap]) -> Vec<Tap> {
        let mut taps: Vec<Tap> = self.actions[self.range(set)].iter().flat_map(of).copied().collect();
        taps.sort_unstable();
        taps.dedup();
        taps
    }

    /// Losses of the terms of a set on one shard of a batch, each times its weight in `weights`, which holds those of both
    /// sets; a weight of 0 spares the work.
    ///
    /// # Errors
    /// A cache that lacks a tensor.
    pub fn evaluate(
        &self,
        set: Set,
        student: &Student,
        batch: &Batch,
        output: &Output,
        shard: &Shard,
        targets: &dyn Targets,
        counts: &Counts,
        losses: (EnergyLoss, ForceLoss),
        weights: &[f64],
    ) -> Result<Vec<Tensor<1>>> {
        let range = self.range(set);
        self.actions[range.clone()]
            .iter()
            .zip(&weights[range])
            .map(|(action, &weight)| match weight {
                0.0 => Ok(zero(batch)),
                _ => self.one(action, weight, student, batch, output, shard, targets, counts, losses),
            })
            .collect()
    }

    /// The ordinary loss with the teacher's energies and forces in place of labels.
    ///
    /// # Errors
    /// As [`Terms::evaluate`].
    pub fn ordinary(
        &self,
        output: &Output,
        targets: &dyn Targets,
        batch: &Batch,
        shard: &Shard,
        counts: &Counts,
        (energy_loss, force_loss): (EnergyLoss, ForceLoss),
        (energy_weight, force_weight): (f64, f64),
    ) -> Result<Tensor<1>> {
        let mut loss = zero(batch);
        if energy_weight > 0.0 {
            let scale = shard.term_scale(Rows::Systems, energy_weight / counts.systems, batch);
            loss = energy_loss.evaluate(output.energy.clone(), targets.energy()?, scale);
        }
        match &output.forces {
            Some(forces) if force_weight > 0.0 => {
                let scale = shard.term_scale(Rows::Atoms, force_weight / counts.free.max(1.0), batch);
                let free = shard.free_mask(batch);
                Ok(loss + force_loss.evaluate(forces.clone(), targets.forces()?, free, scale))
            }
            _ => Ok(loss),
        }
    }

    fn one(
        &self,
        action: &Action,
        weight: f64,
        student: &Student,
        batch: &Batch,
        output: &Output,
        shard: &Shard,
        targets: &dyn Targets,
        counts: &Counts,
        losses: (EnergyLoss, ForceLoss),
    ) -> Result<Tensor<1>> {
        Ok(match action {
            Action::Vanilla { energy_weight, force_weight } => {
                let weights = (weight * energy_weight, weight * force_weight);
                self.ordinary(output, targets, batch, shard, counts, losses, weights)?
            }
            // See `evaluate_probes`.
            Action::Hessian(_) => zero(batch),
            Action::AtomicEnergy => {
                let target = targets.atomic_energies()?;
                let scale = shard.term_scale(Rows::Atoms, weight / counts.atoms, batch);
                losses.0.evaluate(output.atomic_energies.clone(), target, scale)
            }
            Action::Feature { kind, compare, side, teacher, student: own, projection } => {
                let theirs = teacher.iter().map(|&tap| targets.features(*kind, tap)).collect::<Result<Vec<_>>>()?;
                let ours =
                    own.iter().map(|&tap| student_features(output, tap, *kind, batch)).collect::<Option<Vec<_>>>();
                let Some(ours) = ours else { return Ok(zero(batch)) };
                let [ours, theirs] = [ours, theirs].map(|features| taps::side_by_side(*kind, features));
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
                let of_terms = || shard.weights.as_ref().map(|weights| weights.terms.clone());
                let groups =
                    || Groups::new(batch, (counts.systems, counts.atoms, counts.edges.max(1.0))).weighted(of_terms());
                match compare {
                    Compare::Each(loss) => {
                        let width = theirs.dims()[1];
                        let of = if *kind == Kind::Edge { Rows::Edges } else { Rows::Atoms };
                        loss.evaluate(ours, theirs, shard.term_scale(of, weight / (rows * width as f64), batch))
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

/// What the student shows at a tap; `None` where it has no such features.
fn student_features(output: &Output, tap: Tap, kind: Kind, batch: &Batch) -> Option<Tensor<2>> {
    let features = output.features.iter().find(|f| f.tap == tap)?;
    match kind {
        Kind::Node | Kind::EdgeSum => Some(features.node.clone()),
        Kind::Edge => features.edges(batch),
        Kind::Vector => features.vectors(batch, Reduction::Sum),
    }
}

fn not_loaded() -> Error {
    Error::Other("the teacher is wanted at each step, but was not loaded".to_owned())
}

/// Derivative of forces on atoms that were displaced to the one side, then to the other. Shape: `[2·n, 3]` to `[n, 3]`.
pub fn central_difference(forces: Tensor<2>, step: f64) -> Tensor<2> {
    let [rows, _] = forces.dims();
    let (plus, minus) = (forces.clone().narrow(0, 0, rows / 2), forces.narrow(0, rows / 2, rows / 2));
    (plus - minus).mul_scalar(0.5 / step)
}

fn zero(batch: &Batch) -> Tensor<1> {
    batch.zeros([1])
}
