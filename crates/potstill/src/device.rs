//! Devices that networks run on.

use anyhow::{Result, bail};
use burn::tensor::Device;

/// Names that `--device` accepts.
pub const NAMES: [&str; 1] = ["cpu"];

/// The processor.
pub fn cpu() -> Device {
    Device::flex()
}

/// Device of a name from the command line.
///
/// # Errors
/// A name that is not one of [`NAMES`].
pub fn named(name: &str) -> Result<Device> {
    match name {
        "cpu" => Ok(cpu()),
        _ => bail!("--device {name}: must be one of {}", NAMES.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_device() {
        assert!(NAMES.iter().all(|name| named(name).is_ok()));
        assert_eq!(named("gpu").unwrap_err().to_string(), "--device gpu: must be one of cpu");
    }
}
