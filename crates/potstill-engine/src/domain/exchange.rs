//! Exchange of rows between the processes of a simulation.

/// Rows of features or gradients, one after the other: those of a process's own atoms, then those of its ghosts.
#[derive(Debug)]
pub struct Rows<'a, T> {
    /// Shape: `[n_rows, width]`.
    pub values: &'a mut [T],
    /// Numbers in a row.
    pub width: usize,
}

/// Exchange of rows between the processes of a simulation.
pub trait Exchange<T> {
    /// Overwrites the rows of ghosts by those of the atoms that they are copies of. All processes call it equally often, with rows of
    /// the same widths: also those that own no atom.
    fn refresh(&mut self, rows: &mut [Rows<'_, T>]);
}

/// Exchange where there are no ghosts.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoGhosts;

impl<T> Exchange<T> for NoGhosts {
    fn refresh(&mut self, _rows: &mut [Rows<'_, T>]) {}
}
