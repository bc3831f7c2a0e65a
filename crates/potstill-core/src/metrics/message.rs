//! An evaluator as bytes, for another process.

use super::{Evaluator, Mean, Totals};

impl Evaluator {
    /// All sums and counts, exactly.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.totals.write(&mut bytes);
        for (group, totals) in &self.by_group {
            bytes.extend((group.len() as u64).to_le_bytes());
            bytes.extend(group.as_bytes());
            totals.write(&mut bytes);
        }
        bytes
    }

    /// Evaluator of [`Self::to_bytes`]; none where the bytes are not such.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut rest = Reader(bytes);
        let mut evaluator = Self { totals: Totals::read(&mut rest)?, ..Self::default() };
        while !rest.0.is_empty() {
            let length = rest.count()?;
            let group = std::str::from_utf8(rest.take(length)?).ok()?.to_owned();
            evaluator.by_group.insert(group, Totals::read(&mut rest)?);
        }
        Some(evaluator)
    }
}

impl Totals {
    fn write(&self, bytes: &mut Vec<u8>) {
        let mut count = |n: usize| bytes.extend((n as u64).to_le_bytes());
        count(self.n_systems);
        count(self.n_atoms);
        count(self.force_by_element.len());
        self.means().iter().for_each(|mean| mean.write(bytes));
        for (&z, mean) in &self.force_by_element {
            bytes.push(z);
            mean.write(bytes);
        }
    }

    fn read(bytes: &mut Reader<'_>) -> Option<Self> {
        let mut totals = Self { n_systems: bytes.count()?, n_atoms: bytes.count()?, ..Self::default() };
        let n_elements = bytes.count()?;
        for mean in totals.means_mut() {
            *mean = Mean::read(bytes)?;
        }
        for _ in 0..n_elements {
            let z = *bytes.take(1)?.first()?;
            totals.force_by_element.insert(z, Mean::read(bytes)?);
        }
        Some(totals)
    }
}

impl Mean {
    fn write(self, bytes: &mut Vec<u8>) {
        bytes.extend(self.total.to_le_bytes());
        bytes.extend((self.count as u64).to_le_bytes());
    }

    fn read(bytes: &mut Reader<'_>) -> Option<Self> {
        let total = f64::from_le_bytes(bytes.take(8)?.try_into().ok()?);
        Some(Self { total, count: bytes.count()? })
    }
}

/// Bytes that are still to be read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (own, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(own)
    }

    fn count(&mut self) -> Option<usize> {
        usize::try_from(u64::from_le_bytes(self.take(8)?.try_into().ok()?)).ok()
    }
}
