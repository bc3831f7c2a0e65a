//! The floating-point types of weights, cached features and computations.

use std::fmt;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

/// Floating-point type: `"f16"`, `"f32"` or `"f64"` in configurations and files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Half precision, relative error 5e-4; for stored features alone.
    F16,
    /// Single precision.
    F32,
    /// Double precision, about twice as slow as single.
    F64,
}

impl Precision {
    /// Default precision of cached features: half; for serde's `default`.
    pub fn of_features() -> Self {
        Self::F16
    }

    /// Reads the precision of a computation, which is `"f32"` or `"f64"`; for serde's `deserialize_with`.
    ///
    /// # Errors
    /// Any other name.
    pub fn of_computation<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        match name.as_str() {
            "f32" => Ok(Self::F32),
            "f64" => Ok(Self::F64),
            _ => Err(D::Error::unknown_variant(&name, &["f32", "f64"])),
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F16 => "f16",
            Self::F32 => "f32",
            Self::F64 => "f64",
        })
    }
}
