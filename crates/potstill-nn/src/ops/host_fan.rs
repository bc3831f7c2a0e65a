//! Which inputs each row sums over.

/// The inputs of each row on the host: rows of `width` slots, the first `taken` of which are used.
#[derive(Debug)]
pub struct HostFan {
    /// Slots of each row.
    pub width: usize,
    /// Input of each slot.
    pub input: Vec<u32>,
    /// Used slots of each row.
    pub taken: Vec<u32>,
}

impl HostFan {
    /// Used slots of a row with their inputs.
    pub(super) fn slots(&self, row: usize) -> impl Iterator<Item = (usize, usize)> {
        let start = row * self.width;
        let inputs = &self.input[start..start + self.taken[row] as usize];
        inputs.iter().enumerate().map(|(slot, &input)| (slot, input as usize))
    }
}
