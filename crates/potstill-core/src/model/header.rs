//! Header of a model file: everything about a model that is not a weight.

use serde::{Deserialize, Serialize};

use super::{Architecture, EnergyScale, versions};
use crate::elements::{atomic_number, symbol_or_number};
use crate::{Error, Result};

/// Header of a model file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Version of the format; see [`FORMAT_VERSION`](super::FORMAT_VERSION).
    pub format_version: u64,
    /// Network and its sizes.
    pub model: Architecture,
    /// Chemical symbols of the elements that the model was trained on.
    pub elements: Vec<String>,
    /// Conversion of the network's outputs to eV and eV/Å.
    #[serde(flatten)]
    pub scale: EnergyScale,
    /// Units of energies and lengths, always eV and Å.
    pub units: Units,
    /// Provenance: data hashes, seed, strategy, metrics, …
    #[serde(default)]
    pub training: serde_json::Value,
}

/// Units of a model's inputs and outputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Units {
    /// Always `eV`.
    pub energy: String,
    /// Always `Å`.
    pub length: String,
}

impl Default for Units {
    fn default() -> Self {
        Self { energy: "eV".to_owned(), length: "Å".to_owned() }
    }
}

impl Header {
    /// Header of this format version in eV and Å.
    pub fn new(model: impl Into<Architecture>, elements: Vec<String>, scale: EnergyScale) -> Self {
        Self {
            format_version: super::FORMAT_VERSION,
            model: model.into(),
            elements,
            scale,
            units: Units::default(),
            training: serde_json::Value::Null,
        }
    }

    /// Reads a header of this or any older format version, as JSON, and checks every number in it.
    ///
    /// # Errors
    /// JSON that is no header, a newer version, sizes or scales out of range.
    pub fn from_json(text: &str) -> Result<Self, String> {
        let value: serde_json::Value = serde_json::from_str(text).map_err(|e| format!("header: {e}"))?;
        let value = versions::migrate(value)?;
        let header: Self = serde_json::from_value(value).map_err(|e| format!("header: {e}"))?;
        header.validate().map_err(|e| format!("header: {e}"))?;
        Ok(header)
    }

    fn validate(&self) -> Result<()> {
        self.model.validate()?;
        self.scale.normalizer.validate(false)?;
        let largest = self.model.max_atomic_number();
        match self.atomic_numbers()?.last() {
            Some(&z) if z > largest => {
                let name = symbol_or_number(z);
                let message = format!("{name} has an atomic number above {largest}, the largest of this network");
                Err(Error::setting("elements", message))
            }
            _ => Ok(()),
        }
    }

    /// Atomic numbers of the elements, ascending.
    ///
    /// # Errors
    /// A symbol of no element.
    pub fn atomic_numbers(&self) -> Result<Vec<u8>> {
        let number = |name: &String| {
            atomic_number(name).ok_or_else(|| Error::setting("elements", format!("`{name}` is not an element")))
        };
        let mut numbers = self.elements.iter().map(number).collect::<Result<Vec<u8>>>()?;
        numbers.sort_unstable();
        Ok(numbers)
    }
}
