//! Growing edge arrays of one system, and their symmetrisation.

use crate::system::Vec3;

/// Edges with atoms numbered within their system, sorted by target, then source, then shift.
#[derive(Debug, Default)]
pub(super) struct EdgeList {
    pub source: Vec<u32>,
    pub target: Vec<u32>,
    pub shifts: Vec<[i32; 3]>,
    pub displacement: Vec<Vec3>,
}

/// The places of the edges of one target, to be written to by any thread.
#[derive(Debug, Default)]
pub(super) struct Slots<'a> {
    pub source: &'a mut [u32],
    pub target: &'a mut [u32],
    pub shifts: &'a mut [[i32; 3]],
    pub displacement: &'a mut [Vec3],
}

impl Slots<'_> {
    /// Takes the first `n` away.
    fn split_off(&mut self, n: usize) -> Self {
        fn first<'a, T>(all: &mut &'a mut [T], n: usize) -> &'a mut [T] {
            let (first, rest) = std::mem::take(all).split_at_mut(n);
            *all = rest;
            first
        }
        Self {
            source: first(&mut self.source, n),
            target: first(&mut self.target, n),
            shifts: first(&mut self.shifts, n),
            displacement: first(&mut self.displacement, n),
        }
    }
}

impl EdgeList {
    pub fn len(&self) -> usize {
        self.source.len()
    }

    pub fn clear(&mut self) {
        self.source.clear();
        self.target.clear();
        self.shifts.clear();
        self.displacement.clear();
    }

    pub fn push(&mut self, source: u32, target: u32, shift: [i32; 3], displacement: Vec3) {
        self.source.push(source);
        self.target.push(target);
        self.shifts.push(shift);
        self.displacement.push(displacement);
    }

    /// Becomes `n_edges` blank edges, cut into the slots of each target by their `counts`, which add up to it.
    pub fn slots(&mut self, counts: &[u32], n_edges: usize) -> Vec<Slots<'_>> {
        *self = Self::zeros(n_edges);
        let mut rest = Slots {
            source: &mut self.source,
            target: &mut self.target,
            shifts: &mut self.shifts,
            displacement: &mut self.displacement,
        };
        counts.iter().map(|&count| rest.split_off(count as usize)).collect()
    }

    /// Appends the edges of another system whose atoms are numbered from `base` on.
    pub fn extend_shifted(&mut self, other: &Self, base: u32) {
        self.source.extend(other.source.iter().map(|s| s + base));
        self.target.extend(other.target.iter().map(|t| t + base));
        self.shifts.extend_from_slice(&other.shifts);
        self.displacement.extend_from_slice(&other.displacement);
    }

    /// Keeps the edges that point to the higher index (of an atom and its own image: those with a lexicographically
    /// negative shift) and adds the reverse of each: the symmetrisation of OCP's PaiNN and GemNet-OC.
    pub fn symmetrised(&self, n_atoms: usize) -> Self {
        let kept: Vec<usize> = (0..self.len()).filter(|&e| self.is_kept(e)).collect();
        let mut next = vec![0usize; n_atoms + 1];
        for &e in &kept {
            next[self.source[e] as usize + 1] += 1;
            next[self.target[e] as usize + 1] += 1;
        }
        for atom in 1..=n_atoms {
            next[atom] += next[atom - 1];
        }
        let mut out = Self::zeros(2 * kept.len());
        // Targets come in ascending order. Into each atom this writes first its kept edges, then, while later targets
        // are handled, the reverses: sources ascend. Only the shifts of one pair must be turned round.
        for pair in kept.chunk_by(|&e, &f| (self.source[e], self.target[e]) == (self.source[f], self.target[f])) {
            for &e in pair {
                let (source, target) = (self.source[e], self.target[e]);
                out.put(&mut next[target as usize], source, target, self.shifts[e], self.displacement[e]);
            }
            for &e in pair.iter().rev() {
                let (source, target) = (self.target[e], self.source[e]);
                let (shift, displacement) = (self.shifts[e].map(|n| -n), self.displacement[e].map(|x| -x));
                out.put(&mut next[target as usize], source, target, shift, displacement);
            }
        }
        out
    }

    fn is_kept(&self, e: usize) -> bool {
        let (source, target) = (self.source[e], self.target[e]);
        source < target || (source == target && self.shifts[e] < [0; 3])
    }

    fn zeros(n: usize) -> Self {
        Self { source: vec![0; n], target: vec![0; n], shifts: vec![[0; 3]; n], displacement: vec![[0.0; 3]; n] }
    }

    fn put(&mut self, at: &mut usize, source: u32, target: u32, shift: [i32; 3], displacement: Vec3) {
        self.source[*at] = source;
        self.target[*at] = target;
        self.shifts[*at] = shift;
        self.displacement[*at] = displacement;
        *at += 1;
    }
}
