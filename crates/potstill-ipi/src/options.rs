//! What users may choose.

use crate::units::AtomicUnits;

/// Choices of a driver.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Options {
    /// Sends the energy of each atom in eV as JSON with the forces (`extras`: `{"atomic_energies": […]}`); default: no.
    pub atomic_energies: bool,
    /// Accepts forces that are not derivatives of the energy, with a virial of zero; default: refused, as dynamics would not
    /// conserve energy and no pressure could be computed.
    pub allow_direct: bool,
    /// Atomic units of the server; default: CODATA 2018.
    pub units: AtomicUnits,
}
