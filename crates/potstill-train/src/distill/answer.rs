//! A teacher's answer about a run of systems.

/// Labels and features that a teacher gives for some systems, in eV, Å and the features' own units.
#[derive(Debug, Default)]
pub struct Answer {
    /// Energies of systems; empty where the teacher has none.
    pub energy: Vec<f64>,
    /// Energies of atoms; empty where the teacher has none.
    pub atomic_energies: Vec<f64>,
    /// Forces; empty where the teacher has none.
    pub forces: Vec<[f64; 3]>,
    /// Virials of systems; empty where the teacher has none.
    pub virials: Vec<[[f64; 3]; 3]>,
    /// Standard deviation of the energies of several teachers.
    pub energy_spread: Vec<f64>,
    /// Root mean square distance of the forces of several teachers from their mean, for each atom.
    pub forces_spread: Vec<f64>,
    /// Name, width and rows of each kind of features.
    pub features: Vec<(String, usize, Vec<f64>)>,
    /// Derivative of the forces along each probe, in eV/Å². Shape of each: `[n_atoms, 3]`.
    pub probes: Vec<Vec<f64>>,
    /// Edges of each system in the graph of the features; empty without features.
    pub edge_counts: Vec<u32>,
}
