//! Checkpoints of the reference implementation (Open Catalyst Project) as our models, and our weights under its names.
//!
//! | file | contents |
//! |---|---|
//! | `options` | options of an import |
//! | `checkpoint` | conversion of a `.pt` file to a model file |
//! | `config` | its model settings as ours |
//! | `yaml` | its configuration files |
//! | `weights` | tensors of the parameters |
//! | `scales` | its scale factors |
//! | `export` | our weights under its names |
//!
//! Reading the pickles is [`potstill_data::io::pickle`]'s work; nothing in a file is ever run.

mod checkpoint;
mod config;
mod export;
mod options;
mod scales;
mod weights;
mod yaml;

pub use checkpoint::{Imported, import};
pub use config::architecture;
pub use export::export;
pub use options::ImportOptions;
pub use scales::read as read_scale_factors;
pub use weights::{Matched, match_weights, strip_prefix};
pub use yaml::read as read_yaml;
