//! A part of the systems of a file, kept for checks that look at many of them together.

use potstill_core::System;

/// Systems in a row that are kept or left together: neighbouring frames are worth most.
const BLOCK: usize = 64;

/// Blocks of systems from all over a file, up to a number of atoms.
#[derive(Debug)]
pub(super) struct Sample {
    systems: Vec<(usize, System)>,
    n_atoms: usize,
    max_atoms: usize,
    /// Every so many blocks one is kept.
    stride: usize,
    n_seen: usize,
}

impl Sample {
    /// An empty sample for about that many atoms.
    pub(super) fn new(max_atoms: usize) -> Self {
        Self { systems: Vec::new(), n_atoms: 0, max_atoms, stride: 1, n_seen: 0 }
    }

    /// Takes in the next system, perhaps.
    pub(super) fn add(&mut self, system: &System) {
        let number = self.n_seen;
        self.n_seen += 1;
        if !(number / BLOCK).is_multiple_of(self.stride) {
            return;
        }
        let kept = System { metadata: Default::default(), ..system.clone() };
        self.n_atoms += kept.n_atoms();
        self.systems.push((number, kept));
        // Within one block there is nothing to thin out.
        while self.n_atoms > self.max_atoms && self.stride <= number / BLOCK {
            self.stride *= 2;
            let stride = self.stride;
            self.systems.retain(|(number, _)| (number / BLOCK).is_multiple_of(stride));
            self.n_atoms = self.systems.iter().map(|(_, s)| s.n_atoms()).sum();
        }
    }

    /// Systems of the sample.
    pub(super) fn systems(&self) -> impl Iterator<Item = &System> {
        self.systems.iter().map(|(_, system)| system)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_the_whole_file_are_kept() {
        let mut sample = Sample::new(1000);
        for i in 0..20_000 {
            sample.add(&System { atomic_numbers: vec![1], energy: Some(i as f64), ..System::default() });
        }
        let kept: Vec<usize> = sample.systems.iter().map(|(i, _)| *i).collect();
        assert!((400..=1000).contains(&kept.len()), "{}", kept.len());
        assert!(kept.windows(2).filter(|w| w[1] == w[0] + 1).count() > kept.len() * 9 / 10);
        assert!(*kept.last().unwrap() > 15_000);
    }

    #[test]
    fn a_few_large_systems_are_kept() {
        let mut sample = Sample::new(100);
        let large = System { atomic_numbers: vec![1; 5000], ..System::default() };
        (0..300).for_each(|_| sample.add(&large));
        assert!((1..=BLOCK).contains(&sample.systems().count()));
    }
}
