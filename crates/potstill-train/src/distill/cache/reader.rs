//! Reading the answers about each system from a cache.

use std::path::Path;

use potstill_core::model::Tap;
use potstill_core::{Error, Part, Result};
use potstill_data::dataset::Systems;
use rayon::prelude::*;

use super::index::Index;
use super::probe_name;
use super::shard::{Contents, Shard};
use crate::distill::kind::Kind;
use crate::distill::questions::Holds;

/// An open cache.
#[derive(Debug)]
pub struct TeacherCache {
    index: Index,
    shards: Vec<Shard>,
    places: Vec<Place>,
}

/// Place of the answers about a system.
#[derive(Debug, Clone, Copy)]
struct Place {
    shard: usize,
    /// Row of the system in the shard.
    system: usize,
    first_atom: usize,
    n_atoms: usize,
    first_edge: usize,
    n_edges: usize,
}

impl TeacherCache {
    /// Opens the shards of an index and verifies each of them, or those of a part, where other processes verify the others.
    pub(in crate::distill) fn open(
        folder: &Path,
        index: Index,
        systems: &Systems,
        verified: Option<Part>,
    ) -> Result<Self> {
        let covered: usize = index.shards.iter().fold(0, |sum, shard| sum.saturating_add(shard.n_systems));
        if covered != systems.len() {
            let message = format!("covers {covered} of {} systems; delete the folder to make it anew", systems.len());
            return Err(Error::file(folder, message));
        }
        let mut places = places(&index, systems);
        let mut n_atoms = vec![0; index.shards.len()];
        places.iter().for_each(|place| n_atoms[place.shard] += place.n_atoms);
        let open = |(k, &n_atoms): (usize, &usize)| {
            let contents =
                if verified.is_none_or(|part| part.holds(k)) { Contents::Verified } else { Contents::Trusted };
            Shard::open(folder, &index, (k, n_atoms), contents)
        };
        let shards = n_atoms.par_iter().enumerate().map(open).collect::<Vec<_>>();
        // The first error, whichever thread was faster.
        let shards = shards.into_iter().collect::<Result<Vec<Shard>>>()?;
        if let Some(other) = shards.iter().find(|shard| !shard.origin.agrees(&shards[0].origin)) {
            return Err(other.stranger());
        }
        count_edges(&mut places, &shards);
        Ok(Self { index, shards, places })
    }

    /// Channels of the features of one kind at a tap, absent when the cache does not hold it.
    pub fn channels(&self, kind: Kind, tap: Tap) -> Option<usize> {
        let name = tap.to_string();
        let found = self.index.taps.iter().find(|t| t.tap == name)?;
        Some(if kind == Kind::Node { found.node_channels } else { found.edge_channels })
    }

    /// Edges of system `i` in the teacher's main graph.
    pub fn n_edges(&self, i: usize) -> usize {
        self.places[i].n_edges
    }

    /// Labels that the cache holds.
    pub fn holds(&self) -> Holds {
        self.index.holds
    }

    /// Bytes of all shards.
    pub fn n_bytes(&self) -> usize {
        self.shards.iter().map(Shard::n_bytes).sum()
    }

    /// Energy of system `i` in eV.
    ///
    /// # Errors
    /// A shard that lacks a tensor.
    pub fn energy(&self, i: usize) -> Result<f64> {
        let place = self.places[i];
        Ok(self.shards[place.shard].rows("energy", place.system..place.system + 1)?[0])
    }

    /// Energies of the atoms of system `i` in eV. Shape: `[n_atoms]`.
    ///
    /// # Errors
    /// As [`TeacherCache::energy`].
    pub fn atomic_energies(&self, i: usize) -> Result<Vec<f64>> {
        self.of_atoms(i, "atomic_energies")
    }

    /// Forces on the atoms of system `i` in eV/Å, row-major. Shape: `[n_atoms, 3]`.
    ///
    /// # Errors
    /// As [`TeacherCache::energy`].
    pub fn forces(&self, i: usize) -> Result<Vec<f64>> {
        self.of_atoms(i, "forces")
    }

    /// Virial of system `i` in eV, row-major; zero where it has no cell and the teacher gives stresses. Shape: `[9]`.
    ///
    /// # Errors
    /// As [`TeacherCache::energy`].
    pub fn virial(&self, i: usize) -> Result<Vec<f64>> {
        let place = self.places[i];
        self.shards[place.shard].rows("virial", place.system..place.system + 1)
    }

    /// Standard deviation in eV of the energies that several teachers gave system `i`.
    ///
    /// # Errors
    /// A shard that lacks a tensor, as where one teacher was asked.
    pub fn energy_spread(&self, i: usize) -> Result<f64> {
        let place = self.places[i];
        Ok(self.shards[place.shard].rows("energy_spread", place.system..place.system + 1)?[0])
    }

    /// Root mean square distance in eV/Å of the forces of several teachers from their mean, for each atom of system `i`.
    ///
    /// # Errors
    /// As [`TeacherCache::energy_spread`].
    pub fn forces_spread(&self, i: usize) -> Result<Vec<f64>> {
        self.of_atoms(i, "forces_spread")
    }

    /// Derivative of the forces on the atoms of system `i` along a probe, in eV/Å², row-major. Shape: `[n_atoms, 3]`.
    ///
    /// # Errors
    /// A shard that lacks a tensor.
    pub fn force_derivative(&self, i: usize, probe: usize) -> Result<Vec<f64>> {
        self.of_atoms(i, &probe_name(probe))
    }

    fn of_atoms(&self, i: usize, name: &str) -> Result<Vec<f64>> {
        let place = self.places[i];
        self.shards[place.shard].rows(name, place.first_atom..place.first_atom + place.n_atoms)
    }

    /// Features of the systems `indices`, one after the other, row-major.
    ///
    /// # Errors
    /// A shard that lacks a tensor.
    pub fn features(&self, kind: Kind, tap: Tap, indices: &[usize]) -> Result<Vec<f64>> {
        let name = kind.tensor(tap);
        let mut values = Vec::new();
        for &i in indices {
            let place = self.places[i];
            let (first, n) = match kind {
                Kind::Edge => (place.first_edge, place.n_edges),
                _ => (place.first_atom, place.n_atoms),
            };
            values.extend(self.shards[place.shard].rows(&name, first..first + n)?);
        }
        Ok(values)
    }
}

/// The systems of each shard in dataset order, whose edges are still to be counted.
fn places(index: &Index, systems: &Systems) -> Vec<Place> {
    let mut places = Vec::with_capacity(systems.len());
    for (shard, entry) in index.shards.iter().enumerate() {
        let mut first_atom = 0;
        for system in 0..entry.n_systems {
            let n_atoms = systems.n_atoms(places.len());
            places.push(Place { shard, system, first_atom, n_atoms, first_edge: 0, n_edges: 0 });
            first_atom += n_atoms;
        }
    }
    places
}

fn count_edges(places: &mut [Place], shards: &[Shard]) {
    let mut first_edge = 0;
    for place in places {
        if place.system == 0 {
            first_edge = 0;
        }
        place.first_edge = first_edge;
        place.n_edges = shards[place.shard].edge_counts.get(place.system).copied().unwrap_or(0);
        first_edge += place.n_edges;
    }
}
