//! The systems of one message.

use potstill_core::System;
use potstill_core::system::Mat3;

use crate::connection::{Broken, Wire, vector};

/// Copies of the template with the positions that a server sent.
pub(crate) struct Batch {
    template: System,
    bohr: f64,
    systems: Vec<System>,
}

impl Batch {
    /// A batch of one system; `bohr` is the server's unit of length in Å.
    pub(crate) fn new(template: &System, bohr: f64) -> Self {
        let mut bare = System {
            atomic_numbers: template.atomic_numbers.clone(),
            positions: template.positions.clone(),
            cell: template.cell,
            pbc: template.pbc,
            ..System::default()
        };
        // Errors of potentials name the system.
        bare.metadata.extend(template.metadata.get_key_value("name").map(|(k, v)| (k.clone(), v.clone())));
        Self { systems: vec![bare.clone()], template: bare, bohr }
    }

    /// Number of systems of a message.
    pub(crate) fn size(&self) -> usize {
        self.systems.len()
    }

    /// Changes the number of systems of a message.
    pub(crate) fn resize(&mut self, size: usize) {
        self.systems.truncate(size);
        self.systems.reserve_exact(size - self.systems.len());
        self.systems.resize(size, self.template.clone());
    }

    /// Reads what follows `POSDATA`.
    ///
    /// One system: cell, its inverse, number of atoms, positions. Several: number of atoms, then cell and inverse of each, then
    /// the positions of each.
    pub(crate) fn read(&mut self, wire: &mut Wire<'_>) -> Result<(), Broken> {
        match self.size() {
            1 => {
                self.read_cell(0, wire)?;
                self.check_atoms(wire)?;
            }
            size => {
                self.check_atoms(wire)?;
                for index in 0..size {
                    self.read_cell(index, wire)?;
                }
            }
        }
        for system in &mut self.systems {
            for position in &mut system.positions {
                *position = wire.vector()?.map(|x| x * self.bohr);
            }
        }
        Ok(())
    }

    /// Systems without those that i-PI repeats at the end to fill a message; never empty.
    pub(crate) fn distinct(&self) -> Vec<&System> {
        let is_same = |pair: &[System]| pair[0].positions == pair[1].positions && pair[0].cell == pair[1].cell;
        let n_repeated = self.systems.windows(2).rev().take_while(|pair| is_same(pair)).count();
        self.systems[..self.systems.len() - n_repeated].iter().collect()
    }

    /// Reads cell and inverse cell of a system; a template without periodic axes keeps its own cell, if any.
    fn read_cell(&mut self, index: usize, wire: &mut Wire<'_>) -> Result<(), Broken> {
        let mut bytes = [0; 144];
        wire.bytes(&mut bytes[..72])?;
        if bytes[..72].windows(8).any(|text| text == b"ipi_shm_") {
            return wire
                .failed("i-PI exchanges numbers through shared memory; give its ffsocket mode='unix' or 'inet'");
        }
        wire.bytes(&mut bytes[72..])?;
        if self.template.pbc.contains(&true) {
            self.systems[index].cell = Some(lattice(&bytes[..72], self.bohr));
        }
        Ok(())
    }

    fn check_atoms(&self, wire: &mut Wire<'_>) -> Result<(), Broken> {
        let (n_atoms, expected) = (wire.integer()?, self.template.n_atoms());
        if usize::try_from(n_atoms) == Ok(expected) {
            return Ok(());
        }
        wire.failed(format_args!(
            "sent {n_atoms} atoms, but the template has {expected}; give both the same system, atoms in the same order"
        ))
    }
}

/// Lattice vectors in Å as rows; the protocol has them as columns of a matrix that is sent row by row.
fn lattice(bytes: &[u8], bohr: f64) -> Mat3 {
    let mut lattice = [[0.0; 3]; 3];
    for (axis, bytes) in bytes.chunks_exact(24).enumerate() {
        for (row, number) in lattice.iter_mut().zip(vector(bytes)) {
            row[axis] = number * bohr;
        }
    }
    lattice
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_become_rows() {
        let bytes: Vec<u8> = (1..=9).flat_map(|i| f64::from(i).to_ne_bytes()).collect();
        assert_eq!(lattice(&bytes, 2.0), [[2.0, 8.0, 14.0], [4.0, 10.0, 16.0], [6.0, 12.0, 18.0]]);
    }

    #[test]
    fn only_repetitions_at_the_end_are_left_out() {
        let template = System { atomic_numbers: vec![1], positions: vec![[0.0; 3]], ..System::default() };
        let mut batch = Batch::new(&template, 1.0);
        batch.resize(5);
        assert_eq!(batch.distinct().len(), 1);
        for (system, x) in batch.systems.iter_mut().zip([1.0, 1.0, 2.0, 3.0, 3.0]) {
            system.positions[0][0] = x;
        }
        assert_eq!(batch.distinct().len(), 4);
        batch.systems[4].cell = Some([[1.0; 3]; 3]);
        assert_eq!(batch.distinct().len(), 5);
        batch.resize(1);
        assert_eq!((batch.size(), batch.distinct().len()), (1, 1));
    }
}
