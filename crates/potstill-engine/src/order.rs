//! The order in which the engine numbers atoms.
//!
//! Messages read the rows of neighbours. In a system whose rows do not fit into the caches, these are near if atoms that are close in
//! space are close in memory, whatever their order in the file: atoms are sorted by boxes of one cutoff, and the boxes along a Morton
//! curve.

use potstill_core::System;
use potstill_core::graph::NeighborList;

/// Number of atoms from which sorting pays.
const SORTED: usize = 2_000;
/// Bits of a box's number along each axis.
const BITS: u32 = 20;

/// Permutation between the caller's and the engine's numbers of the atoms.
#[derive(Debug, Default)]
pub struct Order {
    /// Caller's number of each of the engine's atoms. Empty, as the other, where the numbers are the same.
    caller: Vec<u32>,
    engine: Vec<u32>,
    /// Count of builds of the neighbour list when this order was made.
    made_for: usize,
}

impl Order {
    /// Sorts again where the neighbour list was built again.
    pub fn update(&mut self, systems: &[&System], list: &NeighborList, cutoff: f64) {
        if self.made_for == list.n_drawn() {
            return;
        }
        self.made_for = list.n_drawn();
        self.caller.clear();
        self.engine.clear();
        if list.n_atoms() < SORTED {
            return;
        }
        let mut keys: Vec<(u32, u64, u32)> = Vec::with_capacity(list.n_atoms());
        for (index, system) in systems.iter().enumerate() {
            let lower = |low: [f64; 3], p: &[f64; 3]| std::array::from_fn(|c| low[c].min(p[c]));
            let corner = system.positions.iter().fold([f64::INFINITY; 3], lower);
            for position in &system.positions {
                let place = std::array::from_fn(|c| (position[c] - corner[c]) / cutoff);
                keys.push((index as u32, morton(place), keys.len() as u32));
            }
        }
        keys.sort_unstable();
        self.caller.extend(keys.iter().map(|key| key.2));
        self.engine.resize(keys.len(), 0);
        for (engine, &caller) in (0..).zip(&self.caller) {
            self.engine[caller as usize] = engine;
        }
    }

    /// Caller's number of one of the engine's atoms.
    #[inline]
    pub fn of_caller(&self, atom: usize) -> usize {
        self.caller.get(atom).map_or(atom, |&atom| atom as usize)
    }

    /// Engine's number of one of the caller's atoms.
    #[inline]
    pub fn of_engine(&self, atom: u32) -> u32 {
        self.engine.get(atom as usize).copied().unwrap_or(atom)
    }
}

/// Morton code: the bits of the three coordinates in turn.
fn morton(place: [f64; 3]) -> u64 {
    let most = f64::from((1_u32 << BITS) - 1);
    let place = place.map(|x| x.clamp(0.0, most) as u64);
    (0..BITS).fold(0, |key, bit| {
        let bits = place.iter().fold(0, |bits, x| bits << 1 | (x >> bit & 1));
        key | bits << (3 * bit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_boxes_have_near_keys() {
        let keys = [[0.0; 3], [0.0, 0.0, 1.5], [0.2, 1.0, 0.0], [1.0; 3], [2.0, 0.0, 0.0]].map(morton);
        assert_eq!(keys, [0, 1, 2, 7, 32]);
        assert_eq!(morton([1e300, 0.0, -5.0]), (0..BITS).fold(0, |key, bit| key | 4 << (3 * bit)));
    }
}
