//! Description of a trained model: its file, the settings of its network, and the scale of its energies.
//!
//! Read once, here: networks for training and the engine are both made from a [`ModelFile`].
//!
//! | file | what it holds |
//! |---|---|
//! | `architecture` | settings of any network; one line per network |
//! | `settings` | the trait that settings of every network have |
//! | `schnet`, `painn`, `gemnet_oc` | settings of each |
//! | `radial`, `forces`, `tap` | what those settings are made of |
//! | `element_energies`, `normalizer`, `energy_scale` | from raw outputs to eV and back |
//! | `header`, `versions` | the header of a file, and how older ones are read |
//! | `file`, `weights`, `write` | the file itself |

mod architecture;
mod element_energies;
mod energy_scale;
mod file;
mod forces;
mod gemnet_oc;
mod header;
mod normalizer;
mod painn;
mod radial;
mod schnet;
mod settings;
mod tap;
mod versions;
mod weights;
#[cfg(feature = "write")]
mod write;

pub use architecture::Architecture;
pub use element_energies::ElementEnergies;
pub use energy_scale::{EnergyScale, ScaleChange};
pub use file::ModelFile;
pub use forces::Forces;
pub use gemnet_oc::{CircularKind, GemNetOCConfig, ScaleFactors, SphericalKind};
pub use header::{Header, Units};
pub use normalizer::Normalizer;
pub use painn::PaiNNConfig;
pub use radial::{EnvelopeKind, RadialKind};
pub use schnet::SchNetConfig;
pub use settings::NetworkSettings;
pub use tap::Tap;
pub use versions::FORMAT_VERSION;
pub use weights::Weights;
#[cfg(feature = "write")]
pub use write::{Tensors, model_file_head, write_model, write_tensors};
