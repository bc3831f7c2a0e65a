//! Options of an import.

use std::path::PathBuf;

/// Options of an import beside the checkpoint.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// YAML file with the model's settings; needed where the checkpoint has none of its own.
    pub config: Option<PathBuf>,
    /// File of scale factors, as `torch.save` wrote it.
    pub scale_factors: Option<PathBuf>,
    /// Take the averaged weights of a training checkpoint instead of the latest.
    pub use_ema: bool,
    /// Take 1 for scale factors that are nowhere to be found.
    pub allow_unit_scales: bool,
    /// Elements that the model was trained on, as nuclear charges; empty: all that its embedding holds.
    pub elements: Vec<u8>,
}
