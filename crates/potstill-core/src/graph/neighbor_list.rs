//! Edges of systems that move a little from call to call.
//!
//! A list of candidates reaches farther than the cutoff by a skin (Verlet, Phys. Rev. 159, 98, 1967). While no atom has moved more
//! than half of that from where it was when the list was drawn, no pair that was left out has come within the cutoff, and only the
//! candidates' distances are computed anew.

use std::collections::HashMap;

use rayon::prelude::*;

use super::frame::Frame;
use super::{Graph, GraphRule, Neighbors, check};
use crate::Result;
use crate::system::{Mat3, System, Vec3, dot};

/// Square of the distance in Å up to which two atoms are at one place.
const SAME_PLACE: f64 = 1e-8;
/// Targets that one thread takes at a time.
const ATOMS_PER_TASK: usize = 512;

/// The edges that [`GraphRule::build`] draws, kept up to date.
#[derive(Debug)]
pub struct NeighborList {
    rule: GraphRule,
    skin: f64,
    /// Distance in Å by which the present candidates reach beyond the cutoff.
    reach: f64,
    n_drawn: usize,
    boxes: Vec<(Option<Mat3>, [bool; 3])>,
    system_offsets: Vec<usize>,
    system_index: Vec<u32>,
    atomic_numbers: Vec<u8>,
    /// Present positions, and those for which the candidates were drawn.
    positions: Vec<Vec3>,
    drawn: Vec<Vec3>,
    /// First candidate of each target, and their number at the end.
    first: Vec<usize>,
    candidates: Vec<Candidate>,
    translations: Vec<Vec3>,
    shifts: Vec<[i32; 3]>,
    /// First edge of each target, and their number at the end.
    first_edge: Vec<usize>,
}

#[derive(Debug, Clone, Copy)]
struct Candidate {
    source: u32,
    /// Index into the translations.
    translation: u32,
}

/// An edge into some target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbor {
    /// Atom that the edge comes from.
    pub source: u32,
    /// Vector from the target to (the image of) the source, in Å.
    pub displacement: Vec3,
    /// Square of its length.
    pub distance2: f64,
}

impl NeighborList {
    /// An empty list. `skin` in Å takes effect from the second of two calls on that find the same atoms less than half of it away: for
    /// systems that are seen once it would only cost. Half an ångström is a good one for molecular dynamics. A rule of nearest
    /// neighbours has none, since who is nearest may change at any time.
    pub fn new(rule: GraphRule, skin: f64) -> Self {
        let skin = if rule.neighbors == Neighbors::All { skin.max(0.0) } else { 0.0 };
        Self {
            rule,
            skin,
            reach: 0.0,
            n_drawn: 0,
            boxes: Vec::new(),
            system_offsets: Vec::new(),
            system_index: Vec::new(),
            atomic_numbers: Vec::new(),
            positions: Vec::new(),
            drawn: Vec::new(),
            first: Vec::new(),
            candidates: Vec::new(),
            translations: Vec::new(),
            shifts: Vec::new(),
            first_edge: Vec::new(),
        }
    }

    /// Brings the list up to date; afterwards it holds the edges of these systems as one batch.
    ///
    /// # Errors
    /// As [`GraphRule::build`].
    pub fn update(&mut self, systems: &[&System]) -> Result<()> {
        let same = self.holds(systems);
        let half = 0.5 * self.reach;
        if same && moved_at_most(&self.drawn, systems, half) {
            self.positions.clear();
            self.positions.extend(systems.iter().flat_map(|system| &system.positions));
        } else {
            let follows = same && moved_at_most(&self.positions, systems, 0.5 * self.skin);
            let reach = if follows { self.skin } else { 0.0 };
            if let Err(error) = self.draw(systems, reach) {
                // Nothing that is half done is used again.
                self.boxes.clear();
                return Err(error);
            }
        }
        if !self.count() {
            // Two atoms at one place: drawing the graph says which.
            self.boxes.clear();
            self.rule.build(systems)?;
        }
        Ok(())
    }

    /// Number of times that candidates were drawn.
    pub fn n_drawn(&self) -> usize {
        self.n_drawn
    }

    /// Number of atoms of all systems.
    pub fn n_atoms(&self) -> usize {
        self.atomic_numbers.len()
    }

    /// Number of directed edges.
    pub fn n_edges(&self) -> usize {
        self.first_edge.last().copied().unwrap_or(0)
    }

    /// First edge of each target, and their number at the end. Shape: `[n_atoms + 1]`.
    pub fn first_edges(&self) -> &[usize] {
        &self.first_edge
    }

    /// Nuclear charges. Shape: `[n_atoms]`.
    pub fn atomic_numbers(&self) -> &[u8] {
        &self.atomic_numbers
    }

    /// System of each atom. Shape: `[n_atoms]`.
    pub fn system_index(&self) -> &[u32] {
        &self.system_index
    }

    /// The edges into an atom, sorted by source, then shift.
    #[inline]
    pub fn neighbors(&self, target: usize) -> impl Iterator<Item = Neighbor> {
        self.within(target).map(|(_, neighbor)| neighbor)
    }

    /// Neighbours within the cutoff, each with the index of its translation.
    #[inline]
    fn within(&self, target: usize) -> impl Iterator<Item = (u32, Neighbor)> {
        let to = self.positions[target];
        let cutoff2 = self.rule.cutoff * self.rule.cutoff;
        self.candidates[self.first[target]..self.first[target + 1]].iter().filter_map(move |candidate| {
            let from = self.positions[candidate.source as usize];
            let translation = self.translations[candidate.translation as usize];
            // As the graph's search computes it, to the last bit.
            let displacement: Vec3 = std::array::from_fn(|x| from[x] - to[x] + translation[x]);
            let distance2 = dot(displacement, displacement);
            let neighbor = Neighbor { source: candidate.source, displacement, distance2 };
            (distance2 <= cutoff2).then_some((candidate.translation, neighbor))
        })
    }

    /// The edges as a graph: equal to [`GraphRule::build`].
    pub fn graph(&self) -> Graph {
        let mut graph = Graph {
            system_offsets: self.system_offsets.clone(),
            system_index: self.system_index.clone(),
            atomic_numbers: self.atomic_numbers.clone(),
            ..Graph::default()
        };
        for target in 0..self.n_atoms() {
            for (translation, neighbor) in self.within(target) {
                graph.source.push(neighbor.source);
                graph.target.push(target as u32);
                graph.shifts.push(self.shifts[translation as usize]);
                graph.displacement.push(neighbor.displacement);
            }
        }
        graph
    }

    /// Whether these are the atoms and cells that the list is about.
    fn holds(&self, systems: &[&System]) -> bool {
        systems.len() == self.boxes.len()
            && systems.iter().zip(&self.boxes).zip(self.system_offsets.windows(2)).all(|((system, held), atoms)| {
                (system.cell, system.pbc) == *held
                    && system.positions.len() == atoms[1] - atoms[0]
                    && system.atomic_numbers == self.atomic_numbers[atoms[0]..atoms[1]]
            })
    }

    fn draw(&mut self, systems: &[&System], reach: f64) -> Result<()> {
        // Two lists at a time would be the largest thing in memory.
        self.candidates = Vec::new();
        let rule = GraphRule { cutoff: self.rule.cutoff + reach, ..self.rule };
        check::rule(&rule)?;
        let graph = rule.build(systems)?;
        self.n_drawn += 1;
        self.reach = reach;
        self.boxes.clear();
        self.boxes.extend(systems.iter().map(|system| (system.cell, system.pbc)));
        self.positions.clear();
        self.positions.extend(systems.iter().flat_map(|system| &system.positions));
        self.drawn.clone_from(&self.positions);
        self.first.clear();
        self.first.resize(graph.n_atoms() + 1, 0);
        graph.target.iter().for_each(|&target| self.first[target as usize + 1] += 1);
        (0..graph.n_atoms()).for_each(|atom| self.first[atom + 1] += self.first[atom]);
        self.translations.clear();
        self.shifts.clear();
        self.candidates.reserve_exact(graph.n_edges());
        for (index, system) in systems.iter().enumerate() {
            let frame = Frame::new(system).map_err(|message| check::refuse(index, system, message))?;
            let atoms = graph.system_offsets[index]..graph.system_offsets[index + 1];
            let edges = self.first[atoms.start]..self.first[atoms.end];
            let mut known: HashMap<[i32; 3], u32> = HashMap::new();
            let mut last = None;
            for (&source, &shift) in graph.source[edges.clone()].iter().zip(&graph.shifts[edges]) {
                // Most neighbours are in the same image.
                let translation = match last {
                    Some((held, translation)) if held == shift => translation,
                    _ => *known.entry(shift).or_insert_with(|| {
                        self.translations.push(frame.translation(shift));
                        self.shifts.push(shift);
                        self.translations.len() as u32 - 1
                    }),
                };
                last = Some((shift, translation));
                self.candidates.push(Candidate { source, translation });
            }
        }
        (self.system_offsets, self.system_index) = (graph.system_offsets, graph.system_index);
        self.atomic_numbers = graph.atomic_numbers;
        Ok(())
    }

    /// Counts the edges into each target; false where two atoms are at one place.
    fn count(&mut self) -> bool {
        let n = self.n_atoms();
        let mut counts = std::mem::take(&mut self.first_edge);
        counts.clear();
        counts.resize(n + 1, 0);
        let list = &*self;
        let count = |(task, counts): (usize, &mut [usize])| {
            let mut apart = true;
            for (target, count) in (task * ATOMS_PER_TASK..).zip(counts) {
                *count = list.neighbors(target).inspect(|neighbor| apart &= neighbor.distance2 > SAME_PLACE).count();
            }
            apart
        };
        let apart = match n <= ATOMS_PER_TASK {
            true => count((0, &mut counts[1..])),
            false => counts[1..].par_chunks_mut(ATOMS_PER_TASK).enumerate().map(count).reduce(|| true, |a, b| a & b),
        };
        (0..n).for_each(|atom| counts[atom + 1] += counts[atom]);
        self.first_edge = counts;
        apart
    }
}

/// Whether no atom is farther than that from where it was; what is not a number is.
fn moved_at_most(from: &[Vec3], systems: &[&System], distance: f64) -> bool {
    let square = distance * distance;
    systems.iter().flat_map(|system| &system.positions).zip(from).all(|(to, from)| {
        let d: Vec3 = std::array::from_fn(|x| to[x] - from[x]);
        dot(d, d) <= square
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A walk of some atoms with steps of at most that length.
    fn walk(n: usize, pbc: [bool; 3], step: f64, seed: u64) -> Vec<System> {
        use rand::{RngExt, SeedableRng};
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let mut system = System {
            atomic_numbers: vec![6; n],
            positions: (0..n).map(|_| std::array::from_fn(|_| rng.random_range(-3.0..6.0))).collect(),
            cell: Some([[4.0, 0.3, 0.0], [0.0, 5.0, 0.5], [-0.4, 0.0, 3.0]]),
            pbc,
            ..System::default()
        };
        (0..12)
            .map(|_| {
                let now = system.clone();
                system.positions.iter_mut().flatten().for_each(|x| *x += rng.random_range(-step..=step));
                now
            })
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn is_the_graph_at_every_step(
            n in 1_usize..12, pbc: [bool; 3], skin in 0.0..1.0, step in 0.0..0.3, seed: u64, nearest: bool
        ) {
            let neighbors = if nearest { Neighbors::Nearest(4) } else { Neighbors::All };
            let rule = GraphRule { cutoff: 2.5, neighbors, symmetric: seed % 2 == 0 };
            let mut list = NeighborList::new(rule, skin);
            for (one, other) in walk(n, pbc, step, seed).iter().zip(walk(5, [false; 3], step, seed + 1)) {
                let systems = [one, &other];
                let wanted = rule.build(&systems);
                let found = list.update(&systems).map(|()| list.graph());
                prop_assert_eq!(found.map_err(|e| e.to_string()), wanted.map_err(|e| e.to_string()));
            }
        }
    }

    #[test]
    fn is_drawn_anew_only_when_an_atom_has_moved_half_a_skin() {
        let rule = GraphRule { cutoff: 3.0, neighbors: Neighbors::All, symmetric: false };
        let mut system = walk(30, [true; 3], 0.1, 3).remove(0);
        let mut list = NeighborList::new(rule, 0.4);
        let mut drawn = Vec::new();
        for _ in 0..12 {
            list.update(&[&system]).unwrap();
            drawn.push(list.n_drawn());
            system.positions[7][1] += 0.06;
        }
        // Without a skin, with it, and then every fourth step.
        assert_eq!(drawn, [1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4]);
        system.cell.as_mut().unwrap()[0][0] += 0.01;
        list.update(&[&system]).unwrap();
        assert_eq!(list.n_drawn(), 5, "another cell");
    }

    #[test]
    fn atoms_that_meet_are_named_and_the_list_recovers() {
        let rule = GraphRule { cutoff: 3.0, neighbors: Neighbors::All, symmetric: false };
        let at = |x: f64| System {
            atomic_numbers: vec![1, 1],
            positions: vec![[0.0; 3], [x, 0.0, 0.0]],
            ..System::default()
        };
        let mut list = NeighborList::new(rule, 2.0);
        for x in [0.5, 0.4] {
            list.update(&[&at(x)]).unwrap();
        }
        assert!(list.update(&[&at(0.0)]).unwrap_err().to_string().contains("at one place"));
        assert!(list.update(&[&at(f64::NAN)]).unwrap_err().to_string().contains("must be finite"));
        list.update(&[&at(1.0)]).unwrap();
        assert_eq!(list.graph(), rule.build(&[&at(1.0)]).unwrap());
    }
}
