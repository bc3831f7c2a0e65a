//! A system in parts, each evaluated by a thread of its own that exchanges rows with the others.

use std::sync::mpsc::{Receiver, Sender, channel};

use potstill_core::System;
use potstill_core::system::{Mat3, Vec3};
use potstill_engine::domain::{Domain, DomainPrediction, Exchange, Rows};
use potstill_engine::{Engine, Number};

/// Where a ghost comes from: part, and number of the atom in it.
type Origin = (usize, usize);

/// One part of a system.
pub struct Part {
    /// Atoms of the system that it owns.
    pub atoms: Vec<usize>,
    domain: Domain,
    positions: Vec<Vec3>,
    ghosts: Vec<Origin>,
}

/// How copies of one atom are treated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Copies {
    /// They share a row: that of the atom itself, where the part owns it.
    ShareRows,
    /// Each is a ghost with a row of its own.
    HaveRows,
}

/// Cuts a system into parts; `part_of` each atom, and images within `reach` of a part's atoms become its ghosts.
pub fn cut(system: &System, part_of: &[usize], n_parts: usize, reach: f64, copies: Copies) -> Vec<Part> {
    let atoms: Vec<Vec<usize>> =
        (0..n_parts).map(|part| (0..system.n_atoms()).filter(|&atom| part_of[atom] == part).collect()).collect();
    let images = images(system, reach);
    let square = |a: Vec3, b: Vec3| (0..3).map(|c| (a[c] - b[c]).powi(2)).sum::<f64>();
    (0..n_parts)
        .map(|part| {
            let own = &atoms[part];
            let mut positions: Vec<Vec3> = own.iter().map(|&atom| system.positions[atom]).collect();
            let mut rows: Vec<u32> = (0..own.len() as u32).collect();
            let mut numbers: Vec<u8> = own.iter().map(|&atom| system.atomic_numbers[atom]).collect();
            let mut ghosts = Vec::new();
            for (image, translation) in images.iter().enumerate() {
                for atom in 0..system.n_atoms() {
                    let at: Vec3 = std::array::from_fn(|c| system.positions[atom][c] + translation[c]);
                    let is_own = part_of[atom] == part;
                    let near = own.iter().any(|&other| square(at, system.positions[other]) <= reach * reach);
                    if !near || (is_own && image == 0) {
                        continue;
                    }
                    let number = atoms[part_of[atom]].iter().position(|&other| other == atom).unwrap();
                    positions.push(at);
                    numbers.push(system.atomic_numbers[atom]);
                    let origin = (part_of[atom], number);
                    let known = ghosts.iter().position(|&other| other == origin);
                    rows.push(match (copies, is_own, known) {
                        (Copies::ShareRows, true, _) => number as u32,
                        (Copies::ShareRows, false, Some(ghost)) => (own.len() + ghost) as u32,
                        _ => {
                            ghosts.push(origin);
                            (own.len() + ghosts.len() - 1) as u32
                        }
                    });
                }
            }
            let lists: Vec<Vec<u32>> = (0..own.len())
                .map(|i| {
                    let near = |&j: &usize| j != i && square(positions[i], positions[j]) <= reach * reach;
                    (0..positions.len()).filter(near).map(|j| j as u32).collect()
                })
                .collect();
            let domain = Domain::new(&numbers, rows, lists.iter().map(Vec::as_slice)).unwrap();
            Part { atoms: own.clone(), domain, positions, ghosts }
        })
        .collect()
}

/// Translations of the images that may be within reach; the first is none.
fn images(system: &System, reach: f64) -> Vec<Vec3> {
    let Some(cell) = system.cell else { return vec![[0.0; 3]] };
    // Enough for the tests' cells, whose planes are at least 1 Å apart.
    let most = (reach + 4.0).ceil() as i64;
    let range = |axis: usize| if system.pbc[axis] { -most..=most } else { 0..=0 };
    let mut all = vec![[0.0; 3]];
    for i in range(0) {
        for j in range(1) {
            for k in range(2) {
                let n = [i, j, k].map(|n| n as f64);
                if n != [0.0; 3] {
                    all.push(std::array::from_fn(|c| (0..3).map(|axis| n[axis] * cell[axis][c]).sum()));
                }
            }
        }
    }
    all
}

/// Exchange by channels between all pairs of parts.
struct Channels<'a, T> {
    part: usize,
    ghosts: &'a [Origin],
    n_local: usize,
    to: Vec<Sender<Vec<Vec<T>>>>,
    from: Vec<Receiver<Vec<Vec<T>>>>,
    /// Numbers that came in.
    received: usize,
}

impl<T: Number> Exchange<T> for Channels<'_, T> {
    fn refresh(&mut self, rows: &mut [Rows<'_, T>]) {
        let own = |rows: &Rows<'_, T>| rows.values[..self.n_local * rows.width].to_vec();
        let own: Vec<Vec<T>> = rows.iter().map(own).collect();
        self.to.iter().for_each(|to| to.send(own.clone()).expect("all parts evaluate"));
        let all: Vec<Vec<Vec<T>>> = self.from.iter().map(|from| from.recv().expect("all parts evaluate")).collect();
        for (k, Rows { values, width }) in rows.iter_mut().enumerate() {
            let ghosts = values[self.n_local * *width..].chunks_exact_mut(*width);
            assert_eq!(ghosts.len(), self.ghosts.len(), "rows of part {}", self.part);
            for (row, &(part, number)) in ghosts.zip(self.ghosts) {
                row.copy_from_slice(&all[part][k][number * *width..][..*width]);
                self.received += *width;
            }
        }
    }
}

/// What the parts say together: energies of atoms, forces, virial, sum of the atoms' virials, numbers that were exchanged.
pub struct Together {
    pub atomic_energies: Vec<f64>,
    pub forces: Vec<Vec3>,
    pub virial: Option<Mat3>,
    pub atomic_virials: Mat3,
    pub received: usize,
    pub n_ghosts: usize,
}

/// Evaluates all parts side by side.
pub fn evaluate<T: Number>(engine: &Engine<T>, parts: &[Part], n_atoms: usize) -> Together {
    let mut ends: Vec<(Vec<Sender<_>>, Vec<Receiver<_>>)> = parts.iter().map(|_| Default::default()).collect();
    for to in 0..parts.len() {
        for from in 0..parts.len() {
            let (sender, receiver) = channel();
            ends[from].0.push(sender);
            ends[to].1.push(receiver);
        }
    }
    let results: Vec<(DomainPrediction, usize)> = std::thread::scope(|scope| {
        let ends = parts.iter().zip(ends).enumerate();
        let threads: Vec<_> = ends
            .map(|(part, (own, (to, from)))| {
                scope.spawn(move || {
                    let Part { domain, positions, ghosts, .. } = own;
                    let mut exchange = Channels { part, ghosts, n_local: domain.n_local(), to, from, received: 0 };
                    let mut out = DomainPrediction::default();
                    engine.evaluate_domain((domain, positions), n_atoms, &mut exchange, true, &mut out).unwrap();
                    (out, exchange.received)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut together = Together {
        atomic_energies: vec![0.0; n_atoms],
        forces: vec![[0.0; 3]; n_atoms],
        virial: None,
        atomic_virials: [[0.0; 3]; 3],
        received: results.iter().map(|(_, received)| received).sum(),
        n_ghosts: parts.iter().map(|part| part.ghosts.len()).sum(),
    };
    let add = |sum: &mut [f64], part: &[f64]| sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
    for (part, (out, _)) in parts.iter().zip(&results) {
        let of = |row: usize| match row.checked_sub(part.atoms.len()) {
            None => part.atoms[row],
            Some(ghost) => parts[part.ghosts[ghost].0].atoms[part.ghosts[ghost].1],
        };
        for (row, force) in out.forces.iter().enumerate() {
            add(&mut together.forces[of(row)], force);
        }
        for (number, energy) in out.atomic_energies.iter().enumerate() {
            together.atomic_energies[part.atoms[number]] = *energy;
        }
        if let Some(virial) = out.virial {
            add(together.virial.get_or_insert_default().as_flattened_mut(), virial.as_flattened());
        }
        for virial in &out.atomic_virials {
            add(together.atomic_virials.as_flattened_mut(), virial.as_flattened());
        }
    }
    together
}
