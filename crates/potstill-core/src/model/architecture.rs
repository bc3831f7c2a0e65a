//! Settings of a network of any architecture, tagged by `architecture`.

use serde::{Deserialize, Serialize};

use super::settings::NetworkSettings;
use super::{Forces, GemNetOCConfig, PaiNNConfig, SchNetConfig, Tap};
use crate::graph::NetworkGraphRule;
use crate::{Result, limits};

/// Defines [`Architecture`] from one line per network.
macro_rules! architectures {
    ($($variant:ident($settings:ident) = $tag:literal),+ $(,)?) => {
        /// Settings of a network, tagged by `architecture`.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "architecture")]
        #[allow(clippy::large_enum_variant, reason = "a handful exist at a time")]
        pub enum Architecture {
            $(
                #[doc = concat!("See [`", stringify!($settings), "`].")]
                #[serde(rename = $tag)]
                $variant($settings),
            )+
        }

        impl Architecture {
            /// Settings of the variant.
            pub fn settings(&self) -> &dyn NetworkSettings {
                match self {
                    $(Self::$variant(settings) => settings,)+
                }
            }
        }

        $(
            impl From<$settings> for Architecture {
                fn from(settings: $settings) -> Self {
                    Self::$variant(settings)
                }
            }
        )+
    };
}

architectures! {
    SchNet(SchNetConfig) = "schnet",
    PaiNN(PaiNNConfig) = "painn",
    GemNetOC(GemNetOCConfig) = "gemnet_oc",
}

impl Architecture {
    /// Name as its authors write it.
    pub fn name(&self) -> &'static str {
        self.settings().name()
    }

    /// Checks that a network can be built, before anything of its size is allocated: for configurations, model files and caches.
    ///
    /// # Errors
    /// Names the setting that is out of range.
    pub fn validate(&self) -> Result<()> {
        self.settings().validate()?;
        limits::check_weights(self.n_parameters())
    }

    /// Checks that so many numbers for each weight fit into memory.
    ///
    /// # Errors
    /// More than the machine has left, with both numbers of bytes.
    pub fn check_memory(&self, what: &str, bytes_per_weight: usize) -> Result<()> {
        limits::check_memory("model", what, self.n_parameters() * bytes_per_weight as f64)
    }

    /// Number of weights; a real number, since sizes that a file claims may be absurd.
    pub fn n_parameters(&self) -> f64 {
        self.settings().n_parameters()
    }

    /// Estimated bytes that a training step in f32 saves for each edge between its two passes, rather more than less.
    ///
    /// Measured on batches of small molecules, and used to pass large batches through the network in parts.
    pub fn training_bytes_per_edge(&self) -> usize {
        4 * self.settings().saved_numbers_per_edge().max(1)
    }

    /// Rule by which graphs for this network are drawn.
    pub fn graph_rule(&self) -> NetworkGraphRule {
        self.settings().graph_rule()
    }

    /// Source of this network's forces.
    pub fn forces(&self) -> Forces {
        self.settings().forces()
    }

    /// Largest atomic number that the embedding holds.
    pub fn max_atomic_number(&self) -> u8 {
        self.settings().max_atomic_number()
    }

    /// Places where features can be taken, first to last.
    pub fn taps(&self) -> Vec<Tap> {
        self.settings().taps()
    }

    /// Width of the scalar features at every tap.
    pub fn node_channels(&self) -> usize {
        self.settings().node_channels()
    }

    /// Width of edge and vector features at every tap; `None` for a network without them.
    pub fn edge_channels(&self) -> Option<usize> {
        self.settings().edge_channels()
    }

    /// Whether the network has vector features.
    pub fn has_vectors(&self) -> bool {
        self.edge_channels().is_some()
    }
}
