//! One optimisation step's loss and gradient, shared among threads.
//!
//! A batch is cut into one shard per thread by cost; each thread runs forward and backward alone, with a network of
//! its own that holds the same weights, and gradients are added in the order of the shards. The result is therefore
//! the same for the same number of threads, and differs by rounding between numbers. A batch whose intermediate results
//! would not fit into the memory that the settings allow is cut into more shards, which run one after the other.
//!
//! With `training.shards`, or with several processes, a batch is cut into that many shards by numbers of atoms, each process works on
//! some of them and reads no other systems, and gradients are added as a fixed tree: the result does not depend on the numbers of
//! processes and threads.
//!
//! Disturbed copies are functions of seed, step and system, so that runs resume exactly and the number of threads does not
//! matter. Fixed atoms stay where they are, labels stay behind: only the teacher speaks of a copy. A copy whose atoms come too
//! close, or whose positions are no numbers, is thrown away and counted.
//!
//! | file | idea |
//! |---|---|
//! | `losses` | losses by name |
//! | `shard` | forward and backward pass of one shard |
//! | `division` | shards of a batch among processes |
//! | `tree` | sum over shards that does not depend on who works on them |
//! | `copies` | disturbed copies of a batch |
//! | `attack` | copies that make student and teacher disagree |

mod attack;
mod copies;
mod division;
mod losses;
mod shard;
mod tree;

use std::ops::Range;

use burn::tensor::Device;
use potstill_core::graph::Graph;
use potstill_core::model::Forces;
use potstill_core::ranks::Ranks;
use potstill_core::{Error, Result};
use potstill_data::dataset::shards;
use potstill_nn::Batch;
use potstill_nn::device::is_cpu;
use rayon::prelude::*;

use crate::config::TrainingConfig;
use crate::distill::terms::Terms;
use crate::distill::{Counts, LossId, Student, TermWeights};
use crate::prepared::{Member, PreparedSystem, Shard, Split, SystemWeights};
use burn::tensor::Element;
use potstill_nn::Number;

use self::division::Division;
use self::tree::Tree;

pub use losses::{Losses, Part};

/// Bytes of a GiB.
const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

/// Everything that a step reads, besides the weights and the batch.
pub struct StepContext<'a> {
    /// A student with any weights.
    pub template: &'a Student,
    /// Source of its forces.
    pub forces: Forces,
    /// Systems that the indices of a batch refer to.
    pub split: &'a Split,
    /// Seed of copies.
    pub seed: u64,
    /// Steps done before this one.
    pub step: u64,
    /// Parameters whose gradients are divided, with the divisors.
    pub divisors: &'a [(Range<usize>, f64)],
    /// Distillation terms, if any.
    pub terms: Option<&'a Terms>,
    /// Weights of the terms in this step.
    pub term_weights: TermWeights,
    /// Losses and weights.
    pub training: &'a TrainingConfig,
    /// Bytes that a step holds for each edge.
    pub bytes_per_edge: usize,
    /// Device without differentiation.
    pub device: &'a Device,
    /// Processes that share the batches.
    pub ranks: &'a dyn Ranks,
    /// Shards of a batch, whatever the numbers of processes and threads; none for as many as threads.
    pub n_shards: Option<usize>,
}

/// Systems of a batch that this process works on, with their copies and everything that shards are divided by.
struct Work<'a> {
    batch: &'a [usize],
    members: &'a [Member<'a>],
    /// Copy of each system; absent where it was thrown away, empty without augmentation.
    copies: &'a [Option<Member<'static>>],
    weights: Option<SystemWeights>,
    system_counts: Counts,
    copy_counts: Counts,
}

impl StepContext<'_> {
    /// Loss and gradient of a batch at `values`.
    ///
    /// # Errors
    /// An answer of the teacher that is missing.
    pub fn gradient<T: Number + Element>(&self, values: &[T], batch: &[usize]) -> Result<(Losses, Vec<T>)> {
        self.gradient_of(Part::All, values, batch)
    }

    /// Loss of the whole batch, and the gradient of a part of it.
    ///
    /// # Errors
    /// As [`StepContext::gradient`].
    pub fn gradient_of<T: Number + Element>(
        &self,
        part: Part,
        values: &[T],
        batch: &[usize],
    ) -> Result<(Losses, Vec<T>)> {
        let division = self.n_shards.map(|n| Division::new(self, batch, n));
        let own: Vec<usize> = division.as_ref().map_or_else(|| batch.to_vec(), |own| own.of(batch));
        let members = self.split.members(&own)?;
        let system_counts = self.of_all_processes(counts(members.iter()));
        let copies = self.copies(values, (&own, &members), division.as_ref(), &system_counts)?;
        let n_rejected = copies.iter().filter(|copy| copy.is_none()).count();
        let (copy_counts, n_rejected) = match self.has_copies() {
            true => {
                let all = self.of_all_processes(counts(copies.iter().flatten()));
                (all, self.ranks.sums(&[n_rejected as f64])[0] as usize)
            }
            false => (Counts::default(), 0),
        };
        let weights = self.split.weights(batch);
        let work = Work {
            batch: &own,
            members: &members,
            copies: &copies,
            weights: match &division {
                None => weights,
                Some(division) => weights.map(|all| division.weights(&all)),
            },
            system_counts,
            copy_counts,
        };
        let (mut losses, mut gradient) = match &division {
            None => self.sum_of_shards(part, values, &work)?,
            Some(division) => self.sum_of_processes(part, values, &work, division)?,
        };
        losses.n_rejected = n_rejected;
        for (range, divisor) in self.divisors {
            gradient[range.clone()].iter_mut().for_each(|g| *g = T::of(g.to_f64() / divisor));
        }
        Ok((losses, gradient))
    }

    /// Whether terms compare on copies.
    fn has_copies(&self) -> bool {
        self.terms.is_some_and(|terms| terms.augmentation().is_some())
    }

    /// Counts of the whole batch from those of what each process works on.
    fn of_all_processes(&self, own: Counts) -> Counts {
        if self.ranks.is_alone() {
            return own;
        }
        let Counts { systems, atoms, free, virials, edges, cells } = own;
        match self.ranks.sums(&[systems, atoms, free, virials, edges, cells])[..] {
            [systems, atoms, free, virials, edges, cells] => Counts { systems, atoms, free, virials, edges, cells },
            _ => own,
        }
    }

    /// Losses and gradients of the shards of all processes, added as a tree.
    fn sum_of_processes<T: Number + Element>(
        &self,
        part: Part,
        values: &[T],
        work: &Work<'_>,
        division: &Division,
    ) -> Result<(Losses, Vec<T>)> {
        let threads = rayon::current_num_threads();
        let passes = self.passes(work.members, threads);
        let terms = self.terms.iter().flat_map(|terms| terms.weights()).map(|(id, _)| LossId::Term(id));
        let losses: Vec<LossId> = [LossId::Energy, LossId::Forces, LossId::Stress].into_iter().chain(terms).collect();
        let tree = Tree {
            ranks: self.ranks,
            n_shards: division.n_shards,
            // Side by side, shards hold as many times the memory of one.
            parallel: is_cpu(self.device) && threads > 1 && (passes == 1 || passes * threads <= division.n_own()),
            losses: &losses,
            n_values: values.len(),
            shard: &|shard| self.shard(part, values, work, &division.places(shard)),
        };
        tree.total()
    }

    /// Losses and gradients of all shards, added in their order.
    fn sum_of_shards<T: Number + Element>(
        &self,
        part: Part,
        values: &[T],
        work: &Work<'_>,
    ) -> Result<(Losses, Vec<T>)> {
        let costs: Vec<usize> = work.members.iter().map(|m| m.prepared.cost()).collect();
        let places: Vec<usize> = (0..work.batch.len()).collect();
        // A graphics processor works on one shard at a time, the larger the better.
        let threads = if is_cpu(self.device) { rayon::current_num_threads() } else { 1 };
        let parts = shards(&places, &costs, threads * self.passes(work.members, threads));
        let mut sum: Option<(Losses, Vec<T>)> = None;
        // As many parts at a time as there are threads: more would need the memory that the parts are there to save.
        for parts in parts.chunks(threads) {
            let one = |places: &Vec<usize>| self.shard(part, values, work, places);
            let results: Vec<(Losses, Vec<T>)> = parts.par_iter().map(one).collect::<Result<_>>()?;
            for (part_losses, part) in results {
                match &mut sum {
                    None => sum = Some((part_losses, part)),
                    Some((losses, gradient)) => {
                        losses.add(&part_losses);
                        gradient.iter_mut().zip(part).for_each(|(a, b)| *a += b);
                    }
                }
            }
        }
        sum.ok_or_else(|| Error::Other("an empty batch".to_owned()))
    }

    /// Number of shards that each thread runs one after the other, so that what all hold at a time stays within the memory that
    /// the settings allow.
    pub fn passes(&self, batch: &[Member<'_>], threads: usize) -> usize {
        let edges: usize = batch.iter().map(|m| m.prepared.n_edges).sum();
        let has_probes = self.terms.is_some_and(|terms| terms.probes().is_some());
        let has_copies = self.has_copies();
        // An attack records gradients of positions: whatever is fused elsewhere is then an array for each edge, as it is on a graphics
        // processor.
        let passes = match is_cpu(self.device) {
            true => 1 + 4 * usize::from(has_copies) + 2 * usize::from(has_probes),
            false => 4 * (1 + usize::from(has_copies) + 2 * usize::from(has_probes)),
        };
        let bytes = (edges * passes) as f64 * self.bytes_per_edge as f64;
        let parts = (bytes / (self.training.activation_gib * GIB)).ceil() as usize;
        parts.clamp(1, batch.len().div_ceil(threads).max(1))
    }

    /// Graphs of some systems as one batch.
    ///
    /// # Errors
    /// A graph that cannot be drawn; systems that were prepared give none.
    pub fn batch<T: Number + Element>(&self, shard: &Shard, device: &Device) -> Result<Batch> {
        let drawn: Option<Vec<&Graph>> = shard.prepared().map(|s| s.graph.as_ref()).collect();
        if let Some(graphs) = drawn {
            return Ok(Batch::new(&Graph::concatenate(&graphs), device, T::dtype()));
        }
        Ok(Batch::of(&self.split.rule().build(&shard.systems())?, device, T::dtype()))
    }
}

impl<'a> Work<'a> {
    /// Systems at some places of the batch.
    fn systems(&self, places: &[usize]) -> Shard<'a> {
        let mut shard =
            Shard::new(places.iter().map(|&p| self.batch[p]).collect(), places.iter().map(|&p| &self.members[p]));
        shard.weights = self.weights.as_ref().map(|weights| SystemWeights {
            labels: places.iter().map(|&p| weights.labels[p]).collect(),
            terms: places.iter().map(|&p| weights.terms[p]).collect(),
        });
        shard
    }

    /// Copies of the systems at some places of the batch.
    fn copies(&self, places: &[usize]) -> Shard<'a> {
        let copied = || places.iter().filter_map(|&p| Some((self.batch[p], self.copies.get(p)?.as_ref()?)));
        Shard::new(copied().map(|(i, _)| i).collect(), copied().map(|(_, copy)| copy))
    }
}

/// Counts of a batch, by which losses are divided.
pub fn counts<'a>(batch: impl Iterator<Item = &'a Member<'a>> + Clone) -> Counts {
    let n_cells = batch.clone().filter(|member| member.system.cell.is_some()).count();
    let sum = |count: fn(&PreparedSystem) -> usize| batch.clone().map(|m| count(&m.prepared)).sum::<usize>() as f64;
    Counts {
        systems: sum(|_| 1),
        atoms: sum(|s| s.n_atoms),
        free: sum(PreparedSystem::n_free),
        virials: sum(|s| usize::from(s.virial.is_some())),
        edges: sum(|s| s.n_edges),
        cells: n_cells as f64,
    }
}
