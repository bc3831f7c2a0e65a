//! Devices that networks run on.

use burn::tensor::Device;

/// The processor.
pub fn cpu() -> Device {
    Device::flex()
}

/// Whether a device, whether or not it records gradients, is the processor.
pub fn is_cpu(device: &Device) -> bool {
    device.clone().inner() == cpu()
}
