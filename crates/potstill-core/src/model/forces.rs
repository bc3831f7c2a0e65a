//! Source of a network's forces.

use serde::{Deserialize, Serialize};

/// Source of the forces of one forward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forces {
    /// `−∂E/∂positions`: energy is conserved. The default.
    #[default]
    Gradient,
    /// A head of their own: cheaper, but dynamics with them do not conserve energy.
    Direct,
    /// No forces.
    #[serde(skip)]
    None,
}
