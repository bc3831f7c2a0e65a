//! Edges of one system from its candidates: exact distances, the two rules, threads.

use rayon::prelude::*;

use super::cell_list::{CellList, Key, key_source};
use super::edges::{EdgeList, Slots};
use super::frame::Frame;
use super::{GraphRule, Neighbors, check};
use crate::system::{System, Vec3, dot};
use crate::{Error, Result};

/// Free systems of at most that many atoms are searched pair by pair.
const MAX_DIRECT_ATOMS: usize = 50;
/// Targets that one thread takes at a time, in systems larger than that.
const ATOMS_PER_TASK: usize = 1024;
/// Square of the distance in Å up to which two atoms are at one place.
const SAME_PLACE: f64 = 1e-8;

/// The search for the edges of one system.
pub(super) struct Search<'a> {
    rule: GraphRule,
    index: usize,
    system: &'a System,
    frame: Frame,
    /// Absent for small free systems, which are searched pair by pair.
    cells: Option<CellList>,
}

/// An edge into some target.
struct Edge {
    shift: [i32; 3],
    displacement: Vec3,
}

/// Two atoms at one place. Small, unlike an error with its text, since every pair of atoms might return it.
struct Clash {
    source: usize,
    target: usize,
    shift: [i32; 3],
}

/// The keys of the edges into some targets, one target after the other, each sorted.
#[derive(Default)]
struct Found {
    keys: Vec<Key>,
    /// Number of keys of each target.
    counts: Vec<u32>,
}

impl<'a> Search<'a> {
    /// Prepares the search in `system`, which has been checked and is the `index`th of its batch.
    pub fn new(rule: GraphRule, index: usize, system: &'a System) -> Result<Self> {
        let in_system = |message: String| check::refuse(index, system, message);
        let frame = Frame::new(system).map_err(in_system)?;
        let direct = system.positions.len() <= MAX_DIRECT_ATOMS && !frame.periodic.contains(&true);
        let cells = if direct { None } else { Some(CellList::new(system, &frame, rule.cutoff).map_err(in_system)?) };
        Ok(Self { rule, index, system, frame, cells })
    }

    /// Appends the edges of all targets in order.
    pub fn run(&self, out: &mut EdgeList) -> Result<()> {
        match &self.cells {
            Some(cells) if self.system.positions.len() > ATOMS_PER_TASK => self.run_by_bins(cells.order(), out),
            _ => self.run_in_order(out),
        }
    }

    fn run_in_order(&self, out: &mut EdgeList) -> Result<()> {
        let (mut keys, mut ranked) = (Vec::new(), Vec::new());
        for target in 0..self.system.positions.len() {
            self.keys(target, &mut keys, &mut ranked)?;
            for &key in &keys {
                if let Some(edge) = self.edge(target, key).map_err(|c| self.clash(c))? {
                    out.push(key_source(key) as u32, target as u32, edge.shift, edge.displacement);
                }
            }
        }
        Ok(())
    }

    /// Runs over the targets in the order of their bins, so that successive targets share their
    /// sources in the processor's cache however the atoms are numbered. First the edges are found, as keys of eight
    /// bytes; when it is known how many each target has, they are written to their places.
    fn run_by_bins(&self, targets: &[u32], out: &mut EdgeList) -> Result<()> {
        let found: Vec<Result<Found>> = targets.par_chunks(ATOMS_PER_TASK).map(|chunk| self.find(chunk)).collect();
        // The first error in order of the bins, whichever thread was faster.
        let found: Vec<Found> = found.into_iter().collect::<Result<_>>()?;

        let mut counts = vec![0; targets.len()];
        for (&target, &count) in targets.iter().zip(found.iter().flat_map(|part| &part.counts)) {
            counts[target as usize] = count;
        }
        let n_edges = counts.iter().map(|&count| count as usize).sum();
        let mut slots = out.slots(&counts, n_edges);
        let mut slots: Vec<Slots> = targets.iter().map(|&target| std::mem::take(&mut slots[target as usize])).collect();
        targets.par_chunks(ATOMS_PER_TASK).zip(slots.par_chunks_mut(ATOMS_PER_TASK)).zip(found).for_each(
            |((targets, slots), part)| {
                let mut keys = part.keys.as_slice();
                for ((&target, slots), &count) in targets.iter().zip(slots).zip(&part.counts) {
                    let (own, rest) = keys.split_at(count as usize);
                    self.write(target, own, slots);
                    keys = rest;
                }
            },
        );
        Ok(())
    }

    /// Finds the edges into these targets.
    fn find(&self, targets: &[u32]) -> Result<Found> {
        let (mut keys, mut ranked, mut found) = (Vec::new(), Vec::new(), Found::default());
        for target in targets.iter().map(|&target| target as usize) {
            self.keys(target, &mut keys, &mut ranked)?;
            let before = found.keys.len();
            for &key in &keys {
                let edge = self.edge(target, key).map_err(|c| self.clash(c))?;
                found.keys.extend(edge.map(|_| key));
            }
            found.counts.push((found.keys.len() - before) as u32);
        }
        Ok(found)
    }

    /// Writes the edges of these keys, which `find` has found.
    fn write(&self, target: u32, keys: &[Key], slots: &mut Slots) {
        for (i, &key) in keys.iter().enumerate() {
            if let Ok(Some(edge)) = self.edge(target as usize, key) {
                slots.source[i] = key_source(key) as u32;
                slots.target[i] = target;
                slots.shifts[i] = edge.shift;
                slots.displacement[i] = edge.displacement;
            }
        }
    }

    /// Writes the keys of all sources of `target` that the rule admits to `keys`, sorted, and perhaps some that are a
    /// little too far. `ranked` is scratch.
    fn keys(&self, target: usize, keys: &mut Vec<Key>, ranked: &mut Vec<(f64, Key)>) -> Result<()> {
        match &self.cells {
            Some(cells) => cells.candidates(target, keys),
            None => {
                keys.clear();
                keys.extend((0..self.system.positions.len()).map(|source| (source as Key) << 32));
            }
        }
        if let Neighbors::Nearest(k) = self.rule.neighbors {
            self.keep_nearest(target, k, keys, ranked)?;
        }
        keys.sort_unstable();
        Ok(())
    }

    /// Keeps the keys of the `k` nearest sources within the cutoff, in any order; ties go to the smaller key.
    fn keep_nearest(&self, target: usize, k: usize, keys: &mut Vec<Key>, ranked: &mut Vec<(f64, Key)>) -> Result<()> {
        if keys.len() <= k {
            return Ok(());
        }
        ranked.clear();
        for &key in keys.iter() {
            let edge = self.edge(target, key).map_err(|c| self.clash(c))?;
            ranked.extend(edge.map(|edge| (dot(edge.displacement, edge.displacement), key)));
        }
        if ranked.len() > k {
            ranked.select_nth_unstable_by(k, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            ranked.truncate(k);
        }
        keys.clear();
        keys.extend(ranked.iter().map(|&(_, key)| key));
        Ok(())
    }

    /// The edge of that key, none if it is too long or the atom itself.
    #[inline]
    fn edge(&self, target: usize, key: Key) -> Result<Option<Edge>, Clash> {
        let source = key_source(key);
        let shift = self.cells.as_ref().map_or([0; 3], |cells| cells.shift(target, key));
        let (from, to) = (self.system.positions[source], self.system.positions[target]);
        let translation = self.frame.translation(shift);
        // From the positions as given, so that an edge and its reverse are exact opposites and both or neither kept.
        let displacement: Vec3 = std::array::from_fn(|x| from[x] - to[x] + translation[x]);
        let distance2 = dot(displacement, displacement);
        if distance2 > self.rule.cutoff * self.rule.cutoff {
            return Ok(None);
        }
        if distance2 <= SAME_PLACE {
            return if source == target && shift == [0; 3] { Ok(None) } else { Err(Clash { source, target, shift }) };
        }
        Ok(Some(Edge { shift, displacement }))
    }

    #[cold]
    fn clash(&self, Clash { source, target, shift }: Clash) -> Error {
        let (low, high) = (source.min(target), source.max(target));
        let through = if shift == [0; 3] { "" } else { " (through the periodic boundary)" };
        let message = if low == high {
            format!("atom {low} and its own image {shift:?} are at one place; check the cell and the units")
        } else {
            format!("atoms {low} and {high} are at one place{through}; remove one of them")
        };
        check::refuse(self.index, self.system, message)
    }
}
