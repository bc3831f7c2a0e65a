//! The active terms of a run: taps found, projections placed, each with its name, weight and targets.

use burn::tensor::{DType, Device, Tensor};
use potstill_core::model::{Architecture, EnergyScale, Tap};
use potstill_core::{Error, Result};
use potstill_nn::Batch;
use potstill_nn::init::Initializer;

use super::augmentation::Augmentation;
use super::cache::TeacherCache;
use super::comparison::{Comparison, FeaturePlan, Pass, PlacedFeatures};
use super::config::DistillConfig;
use super::kind::Kind;
use super::loss_id::{LossId, Set, TermId, TermWeights};
use super::probes::Probes;
use super::projection::{Projection, ProjectionKind, Side};
use super::strategies::Term;
use super::taps;
use super::targets::{CachedProbes, CachedTargets, LiveTeacher, Targets};
use super::weight::Weight;
use crate::prepared::{PreparedSystem, Shard};

/// Seeds projections apart from the network, whose weights must not depend on the terms.
const PROJECTION_SEED: u64 = 0x70726f6a;

/// Source of the teacher's answers about the systems of a batch.
#[derive(Debug)]
pub enum Source {
    /// A cache of the training systems.
    Cache(TeacherCache),
    /// The teacher itself, asked at each step.
    Live,
}

/// A term that takes part in a run.
#[derive(Debug)]
struct ActiveTerm {
    id: TermId,
    term: Term,
    features: Option<PlacedFeatures>,
}

/// All active terms with the teacher's targets: terms on systems, then on copies, then between probes.
#[derive(Debug)]
pub struct Terms {
    active: Vec<ActiveTerm>,
    probes: Option<Probes>,
    projected: Vec<FeaturePlan>,
    teacher: Option<Architecture>,
    source: Source,
    live: Option<LiveTeacher>,
    augmentation: Option<Augmentation>,
    units: EnergyScale,
}

/// Teacher of a run, as its terms see it.
#[derive(Debug)]
pub struct TermTeacher {
    /// Network that shows features, where there is one.
    pub architecture: Option<Architecture>,
    /// Source of the answers about the systems of a batch.
    pub source: Source,
    /// Networks that are asked during the steps, where that is needed.
    pub live: Option<LiveTeacher>,
}

/// Systems of a forward pass that the teacher is asked about.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// Systems; of probes, displaced to one side, then to the other.
    pub shard: &'a Shard<'a>,
    /// Steps done before this one.
    pub step: u64,
    /// Device of the student.
    pub device: &'a Device,
    /// Precision of the student.
    pub dtype: DType,
}

impl Terms {
    /// The active terms of `config`; inactive terms leave no trace.
    ///
    /// # Errors
    /// A tap that a network does not have, features of a teacher without them.
    pub fn new(
        config: &DistillConfig,
        student: &Architecture,
        teacher: TermTeacher,
        units: EnergyScale,
    ) -> Result<Self> {
        let TermTeacher { architecture, source, live } = teacher;
        let mut terms = Self {
            active: Vec::new(),
            probes: config.probes()?,
            projected: Vec::new(),
            teacher: architecture,
            source,
            live,
            augmentation: config.augmentation.clone(),
            units,
        };
        let on_copies = config.augmentation.iter().flat_map(|a| &a.terms);
        let (between_probes, on_systems): (Vec<&Term>, Vec<&Term>) =
            config.terms.iter().partition(|term| term.probes().is_some());
        let on_systems = on_systems.into_iter().map(|term| (Set::Systems, term));
        let all = on_systems.chain(on_copies.map(|term| (Set::Copies, term)));
        for (set, term) in all.chain(between_probes.into_iter().map(|term| (Set::Probes, term))) {
            if term.is_active() {
                terms.add(set, term, student)?;
            }
        }
        Ok(terms)
    }

    fn add(&mut self, set: Set, term: &Term, student: &Architecture) -> Result<()> {
        let same = |own: &&ActiveTerm| own.id.set == set && own.id.strategy == term.name();
        let id = TermId { set, strategy: term.name(), number: self.active.iter().filter(same).count() };
        let features = self.place(set, term, student)?;
        self.active.push(ActiveTerm { id, term: term.clone(), features });
        Ok(())
    }

    /// Finds the taps of a term and its projection, which it may share with an earlier one.
    fn place(&mut self, set: Set, term: &Term, student: &Architecture) -> Result<Option<PlacedFeatures>> {
        let Some(needs) = term.features() else { return Ok(None) };
        let key = format!("{} ({})", set.section(), term.name());
        let teacher = self.teacher.as_ref().ok_or_else(|| Error::setting(&key, "the teacher has no features"))?;
        let plan = FeaturePlan {
            kind: needs.kind,
            teacher: taps::resolve(&key, needs.teacher_tap, teacher, "teacher")?,
            student: taps::resolve(&key, needs.student_tap, student, "student")?,
            side: needs.side,
            projection: needs.projection,
        };
        let may_share = set == Set::Copies || needs.shared;
        let projection = match self.projected.iter().position(|own| may_share && *own == plan) {
            Some(shared) => shared,
            None => {
                self.projected.push(plan.clone());
                self.projected.len() - 1
            }
        };
        Ok(Some(PlacedFeatures { plan, projection }))
    }

    fn of(&self, set: Set) -> impl Iterator<Item = &ActiveTerm> {
        self.active.iter().filter(move |term| term.id.set == set)
    }

    /// Whether there is a term on these systems.
    pub fn has(&self, set: Set) -> bool {
        self.of(set).next().is_some()
    }

    /// Copies that are compared, and the networks that are asked about them.
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

    /// Names of the terms as metrics show them, in the order of the losses.
    pub fn names(&self) -> Vec<String> {
        self.active.iter().map(|term| term.id.to_string()).collect()
    }

    /// Weights as the configuration gives them.
    pub fn weights(&self) -> impl Iterator<Item = (TermId, Weight)> {
        self.active.iter().map(|term| (term.id, term.term.weight()))
    }

    /// Weights after that part of the run, from those at the full height of the schedules.
    pub fn scheduled(&self, full: &TermWeights, done: f64) -> TermWeights {
        self.active.iter().map(|term| (term.id, full.of(term.id) * term.term.schedule().factor(done))).collect()
    }

    /// Answers of the teacher about the systems of a forward pass.
    ///
    /// # Errors
    /// A live teacher that does not know an element.
    pub fn targets<'a>(&'a self, set: Set, asked: Asked<'a>) -> Result<Box<dyn Targets + 'a>> {
        let Asked { shard, step, device, dtype } = asked;
        let units = &self.units;
        let cached = |cache| CachedTargets { cache, shard, units, device, dtype };
        match (&self.source, set, &self.live) {
            (Source::Cache(cache), Set::Systems, _) => Ok(Box::new(cached(cache))),
            (Source::Cache(cache), Set::Probes, _) => Ok(Box::new(CachedProbes { systems: cached(cache), step })),
            (_, _, Some(live)) => {
                Ok(Box::new(live.answer(&shard.systems(), &self.teacher_taps(set), units, device)?))
            }
            (_, _, None) => Err(Error::Other("the teacher is wanted at each step, but was not loaded".to_owned())),
        }
    }

    /// Checks that the student's training graphs have the edges of the teacher's where a term compares them.
    ///
    /// # Errors
    /// The first system with another number of edges.
    pub fn check_edges<'a>(&self, systems: impl IntoIterator<Item = (usize, &'a PreparedSystem)>) -> Result<()> {
        let compares = |term: &ActiveTerm| term.features.as_ref().is_some_and(|f| f.plan.kind == Kind::Edge);
        let Source::Cache(cache) = &self.source else { return Ok(()) };
        if !self.of(Set::Systems).any(compares) {
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
    pub fn projections(&self, student: &Architecture, seed: u64, device: &Device, dtype: DType) -> Vec<Projection> {
        let mut rng = Initializer::new(seed ^ PROJECTION_SEED, device, dtype);
        let draw = |plan: &FeaturePlan| {
            let ours = plan.student.len() * plan.kind.student_channels(student);
            let theirs = self.teacher.as_ref().map_or(0, |teacher| plan.kind.teacher_channels(teacher));
            let theirs = plan.teacher.len() * theirs;
            let (input, output) = if plan.side == Side::Student { (ours, theirs) } else { (theirs, ours) };
            match plan.projection {
                ProjectionKind::Identity => Projection::identity(),
                ProjectionKind::Linear => Projection::linear(input, output, plan.kind != Kind::Vector, &mut rng),
                ProjectionKind::Mlp => Projection::mlp(input, output, &mut rng),
            }
        };
        self.projected.iter().map(draw).collect()
    }

    /// Taps of the student that the terms on these systems read.
    pub fn student_taps(&self, set: Set) -> Vec<Tap> {
        self.taps(set, |plan| &plan.student)
    }

    /// Taps of the teacher that the terms on these systems read.
    pub fn teacher_taps(&self, set: Set) -> Vec<Tap> {
        self.taps(set, |plan| &plan.teacher)
    }

    fn taps(&self, set: Set, of: fn(&FeaturePlan) -> &Vec<Tap>) -> Vec<Tap> {
        let plans = self.of(set).filter_map(|term| term.features.as_ref());
        let mut taps: Vec<Tap> = plans.flat_map(|features| of(&features.plan)).copied().collect();
        taps.sort_unstable();
        taps.dedup();
        taps
    }

    /// Losses of the terms on these systems for one shard, each times its weight; a weight of 0 spares the work.
    ///
    /// # Errors
    /// An answer of the teacher that is missing.
    pub fn evaluate(&self, set: Set, pass: &Pass<'_>, weights: &TermWeights) -> Result<Vec<(LossId, Tensor<1>)>> {
        let one = |own: &ActiveTerm| {
            let comparison = Comparison { pass, weight: weights.of(own.id), features: own.features.as_ref() };
            let loss = match comparison.weight {
                0.0 => pass.zero(),
                _ => own.term.strategy().loss(&comparison)?,
            };
            Ok((LossId::Term(own.id), loss))
        };
        self.of(set).map(one).collect()
    }

    /// Losses of 0 for the terms on these systems.
    pub fn zeros(&self, set: Set, batch: &Batch) -> Vec<(LossId, Tensor<1>)> {
        self.of(set).map(|own| (LossId::Term(own.id), batch.zeros([1]))).collect()
    }
}
