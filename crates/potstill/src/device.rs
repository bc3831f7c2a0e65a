//! Devices that networks run on.

use std::fmt::{Display, Formatter};
use std::str::FromStr;

use anyhow::{Result, anyhow, bail};
use burn::tensor::Device;
pub use potstill_nn::device::cpu;

/// Kinds of graphics processors, and whether this program was built for them.
const KINDS: [(Kind, &str, bool); 5] = [
    (Kind::Wgpu, "wgpu", cfg!(feature = "wgpu")),
    (Kind::Vulkan, "vulkan", cfg!(feature = "vulkan")),
    (Kind::Metal, "metal", cfg!(feature = "metal")),
    (Kind::Cuda, "cuda", cfg!(feature = "cuda")),
    (Kind::Rocm, "rocm", cfg!(feature = "rocm")),
];

/// Way to a graphics processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Wgpu,
    Vulkan,
    Metal,
    Cuda,
    Rocm,
}

/// Name of a device: `cpu`, or the kind of a graphics processor, such as `wgpu`, with its number, such as `wgpu:1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceName {
    /// The processor.
    #[default]
    Cpu,
    /// A graphics processor: place in [`KINDS`], and number among its kind; none for the best.
    Gpu(usize, Option<usize>),
}

impl FromStr for DeviceName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, number) = match text.split_once(':') {
            Some((name, number)) => (name, Some(number)),
            None => (text, None),
        };
        let known = || {
            let kinds = KINDS.map(|(_, name, _)| format!("{name}[:n]"));
            format!("must be one of cpu, {}", kinds.join(", "))
        };
        if text == "cpu" {
            return Ok(Self::Cpu);
        }
        let kind = KINDS.iter().position(|(_, known, _)| *known == name).ok_or_else(known)?;
        let number = number.map(|n| n.parse().map_err(|_| known())).transpose()?;
        Ok(Self::Gpu(kind, number))
    }
}

impl Display for DeviceName {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Gpu(kind, None) => f.write_str(KINDS[*kind].1),
            Self::Gpu(kind, Some(number)) => write!(f, "{}:{number}", KINDS[*kind].1),
        }
    }
}

impl DeviceName {
    /// Opens the device.
    ///
    /// # Errors
    /// A kind that this program was not built for, a device that the machine does not have or that does not start.
    pub fn open(self) -> Result<Device> {
        let Self::Gpu(kind, number) = self else { return Ok(cpu()) };
        let (kind, name, is_built) = KINDS[kind];
        if !is_built {
            bail!(
                "--device {self}: this program was built without {name}; build it with `cargo install --path crates/potstill --features {name}`"
            );
        }
        let found = found(kind);
        let chosen = match number {
            Some(number) => found.get(number),
            None => found.iter().find(|device| !device.is_software).or(found.first()),
        };
        let Some(chosen) = chosen else {
            let all: Vec<String> = found.iter().enumerate().map(|(n, d)| format!("{name}:{n} {}", d.name)).collect();
            let has = if all.is_empty() { "none, or its driver does not answer".to_owned() } else { all.join(", ") };
            bail!("--device {self}: no such device; this machine has {has}");
        };
        if chosen.is_software {
            say!("warning: --device {self}: {} is the processor in disguise; --device cpu is faster", chosen.name);
        }
        Ok(chosen.device.clone())
    }

    /// Opens the device, and says which it is.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn opened(self) -> Result<Device> {
        let device = self.open()?;
        if self != Self::Cpu {
            say!("device: {}", label(&device).unwrap_or_else(|| self.to_string()));
        }
        Ok(device)
    }
}

/// Argument `--device`.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct DeviceArgs {
    /// Where to compute; default: cpu.
    ///
    /// Or wgpu, vulkan, metal, cuda, rocm, where this program was built for it; with a number, as wgpu:1, where there are several.
    /// `potstill info --devices` lists them.
    #[arg(long, default_value = "cpu", value_name = "DEVICE", hide_default_value = true, hide_short_help = true)]
    pub device: DeviceName,
}

/// A graphics processor of this machine.
struct Found {
    name: String,
    is_software: bool,
    device: Device,
}

/// Lists what `--device` accepts on this machine: names and descriptions.
pub fn list() -> Vec<(String, String)> {
    let mut all = vec![("cpu".to_owned(), format!("{} threads", rayon::current_num_threads()))];
    for (kind, name, is_built) in KINDS {
        if is_built {
            all.extend(found(kind).into_iter().enumerate().map(|(n, found)| (format!("{name}:{n}"), found.name)));
        }
    }
    all
}

/// Graphics processors of a kind that answer.
fn found(kind: Kind) -> Vec<Found> {
    let identified = |device: Device| {
        let name = quietly(|| label(&device)).ok().flatten()?;
        let lower = name.to_lowercase();
        let is_software = ["llvmpipe", "swiftshader", "basic render"].iter().any(|software| lower.contains(software));
        Some(Found { name, is_software, device })
    };
    quietly(|| enumerate(kind)).unwrap_or_default().into_iter().filter_map(identified).collect()
}

/// Result of a call into a driver; drivers that are not there end such calls with a panic.
fn quietly<T>(call: impl FnOnce() -> T) -> Result<T> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(call));
    std::panic::set_hook(hook);
    result.map_err(|_| anyhow!("the driver does not answer"))
}

#[cfg(any(feature = "wgpu", feature = "cuda", feature = "rocm"))]
fn enumerate(kind: Kind) -> Vec<Device> {
    use burn::tensor::DeviceType;
    let of = |kind: DeviceType| Device::enumerate(kind).into_iter().collect();
    match kind {
        #[cfg(feature = "wgpu")]
        Kind::Wgpu => of(DeviceType::Wgpu),
        #[cfg(feature = "vulkan")]
        Kind::Vulkan => of(DeviceType::Vulkan),
        #[cfg(feature = "metal")]
        Kind::Metal => of(DeviceType::Metal),
        #[cfg(feature = "cuda")]
        Kind::Cuda => of(DeviceType::Cuda),
        #[cfg(feature = "rocm")]
        Kind::Rocm => of(DeviceType::Rocm),
        #[allow(unreachable_patterns)]
        _ => Vec::new(),
    }
}

#[cfg(not(any(feature = "wgpu", feature = "cuda", feature = "rocm")))]
fn enumerate(_kind: Kind) -> Vec<Device> {
    Vec::new()
}

/// Name of a graphics processor as its driver has it.
#[cfg(any(feature = "wgpu", feature = "cuda", feature = "rocm"))]
fn label(device: &Device) -> Option<String> {
    device.identity().map(|identity| identity.name)
}

#[cfg(not(any(feature = "wgpu", feature = "cuda", feature = "rocm")))]
fn label(_device: &Device) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        for name in ["cpu", "wgpu", "wgpu:0", "vulkan:3", "metal", "cuda:1", "rocm"] {
            assert_eq!(name.parse::<DeviceName>().unwrap().to_string(), name);
        }
        for name in ["gpu", "cpu:0", "wgpu:", "wgpu:-1", "wgpu:x", "", "Wgpu"] {
            assert!(name.parse::<DeviceName>().unwrap_err().contains("must be one of cpu, wgpu[:n], vulkan[:n]"));
        }
    }

    #[test]
    fn a_device_that_is_not_there_is_an_error_on_one_line() {
        for (_, name, is_built) in KINDS {
            let message = format!("{}:77", name).parse::<DeviceName>().unwrap().open().unwrap_err().to_string();
            let says = if is_built { "no such device" } else { "was built without" };
            assert!(message.contains(says) && message.contains(name) && !message.contains('\n'), "{message}");
        }
    }

    #[test]
    fn the_processor_is_listed_first() {
        assert_eq!(list()[0].0, "cpu");
    }
}
