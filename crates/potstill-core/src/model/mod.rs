//! Description of a trained model: what its file says besides the weights.

mod element_energies;
mod normalizer;

pub use element_energies::ElementEnergies;
pub use normalizer::Normalizer;
