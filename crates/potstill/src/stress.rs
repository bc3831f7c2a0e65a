//! Stresses from virials.

use potstill_core::system::Mat3;
use potstill_core::{Prediction, System};

/// Stress in eV/Å³ of system `i` of a batch; none without a virial, or where the system does not repeat.
pub fn stress(prediction: &Prediction, i: usize, system: &System) -> Option<Mat3> {
    let virial = prediction.virial.as_ref()?.get(i)?;
    let volume = system.volume().filter(|&volume| system.is_periodic() && volume > 0.0)?;
    Some(virial.map(|row| row.map(|v| -v / volume)))
}
