//! Networks of every architecture, and one type for all of them.

pub mod gemnet_oc;
pub mod painn;
pub mod schnet;

use burn::module::Module;
use burn::tensor::{DType, Device};
use potstill_core::model::{Architecture, Forces, Tap};

use self::gemnet_oc::GemNetOC;
use self::painn::PaiNN;
use self::schnet::SchNet;
use crate::batch::Batch;
use crate::init::Initializer;
use crate::output::Output;

/// Defines [`Network`] from one line per architecture; names are those of the variants of [`Architecture`].
macro_rules! networks {
    ($($network:ident,)+) => {
        /// Network of any architecture.
        #[derive(Module, Debug)]
        #[allow(clippy::large_enum_variant, reason = "a handful exist at a time, and a module cannot be boxed")]
        pub enum Network {
            $(
                #[doc = concat!("See [`", stringify!($network), "`].")]
                $network($network),
            )+
        }

        impl Network {
            fn build(architecture: &Architecture, rng: &mut Initializer) -> Self {
                match architecture {
                    $(Architecture::$network(settings) => Self::$network($network::new(settings, rng)),)+
                }
            }

            /// Energies, forces when `forces` asks for them, and features at `taps`, in normalised units.
            pub fn forward(&self, batch: &Batch, forces: Forces, taps: &[Tap]) -> Output {
                match self {
                    $(Self::$network(network) => network.forward(batch, forces, taps),)+
                }
            }
        }
    };
}

networks! {
    SchNet,
    PaiNN,
    GemNetOC,
}

impl Network {
    /// Network with fresh weights drawn from `seed`.
    pub fn init(architecture: &Architecture, seed: u64, device: &Device, dtype: DType) -> Self {
        Self::build(architecture, &mut Initializer::new(seed, device, dtype))
    }

    /// Network whose weights are all zero, to be filled from a file.
    pub fn blank(architecture: &Architecture, device: &Device, dtype: DType) -> Self {
        Self::build(architecture, &mut Initializer::blank(device, dtype))
    }
}

/// Parameters whose gradients are divided by a number before anything else is done with them, with that number.
///
/// GemNet-OC's reference divides the gradients of parameters that several blocks share.
pub fn gradient_divisors(architecture: &Architecture) -> Vec<(&'static str, usize)> {
    match architecture {
        Architecture::GemNetOC(config) => GemNetOC::gradient_divisors(config),
        _ => Vec::new(),
    }
}
