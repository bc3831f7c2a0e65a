//! Keys of a file that hold the labels.

/// Names under which the labels are stored; an absent name is searched for among the common ones.
///
/// The search takes the first name of [`ENERGY_KEYS`], [`FORCES_KEYS`], [`STRESS_KEYS`] that the first labelled
/// system has, and keeps it for the rest of the file. A name given here must be there in every system.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelKeys {
    /// Key of the total energy in eV.
    pub energy: Option<String>,
    /// Column of the forces in eV/Å.
    pub forces: Option<String>,
    /// Key of the stress in eV/Å³, or of the virial in eV (any name that contains `virial`).
    pub stress: Option<String>,
}

/// Keys that a reader has settled on so far, and those it passed over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChosenKeys {
    /// Key of the energy; absent while no system had one.
    pub energy: Option<String>,
    /// Column of the forces; absent while no system had one.
    pub forces: Option<String>,
    /// Key of the stress or virial; absent while no system had one.
    pub stress: Option<String>,
    /// Other energies that stood beside the chosen one; they stay in the metadata.
    pub other_energies: Vec<String>,
    /// Other force columns that stood beside the chosen one; they are ignored.
    pub other_forces: Vec<String>,
    /// Other stresses or virials that stood beside the chosen one; they stay in the metadata.
    pub other_stresses: Vec<String>,
}

/// Common names of the total energy, the preferred first.
pub const ENERGY_KEYS: &[&str] = &[
    "energy",
    "REF_energy",
    "ref_energy",
    "dft_energy",
    "DFT_energy",
    "TotEnergy",
    "Energy",
    "total_energy",
    "potential_energy",
    "free_energy",
    "E",
];

/// Common names of the forces, the preferred first.
pub const FORCES_KEYS: &[&str] = &[
    "forces",
    "REF_forces",
    "ref_forces",
    "dft_forces",
    "DFT_forces",
    "force",
    "Forces",
    "Force",
    "REF_force",
    "dft_force",
    "DFT_force",
];

/// Common names of the stress and the virial, the preferred first.
pub const STRESS_KEYS: &[&str] = &[
    "stress",
    "REF_stress",
    "ref_stress",
    "dft_stress",
    "DFT_stress",
    "Stress",
    "virial",
    "REF_virial",
    "ref_virial",
    "dft_virial",
    "DFT_virial",
    "virials",
    "REF_virials",
    "Virial",
];

/// The best of `known` that `present` accepts, and the others that it accepts.
pub(crate) fn search(known: &[&str], present: impl Fn(&str) -> bool) -> Option<(String, Vec<String>)> {
    let mut found = known.iter().filter(|name| present(name)).map(|name| (*name).to_owned());
    let best = found.next()?;
    Some((best, found.collect()))
}
