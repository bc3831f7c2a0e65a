//! Tests of networks on a graphics processor, by default a software renderer that every machine can have.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::root;

/// Arguments of `cargo xtask gpu`.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// Device to test, such as vulkan or wgpu:1, instead of the software renderer.
    ///
    /// Its kind is the cargo feature that the tests are built with.
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
}

/// Folders where drivers of Vulkan say that they are there.
const DRIVERS: [&str; 3] = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d", "/usr/local/share/vulkan/icd.d"];

/// Runs the tests; answers whether they passed.
pub fn run(args: &Args) -> Result<bool> {
    let mut command = Command::new(env!("CARGO"));
    let kind = args.device.as_deref().map_or("wgpu", |device| device.split(':').next().unwrap_or(device));
    let features = format!("potstill/{kind}");
    command.args(["test", "--release", "--workspace", "--features", &features, "--test", "gpu"]).current_dir(root());
    match &args.device {
        Some(device) => command.env("POTSTILL_TEST_DEVICE", device),
        None => {
            let Some(driver) = software_renderer() else {
                bail!(
                    "no software renderer: install Mesa's llvmpipe (Debian: apt-get install mesa-vulkan-drivers libvulkan1)"
                );
            };
            command.env("VK_DRIVER_FILES", &driver).env("VK_ICD_FILENAMES", &driver)
        }
    };
    let status = command.status().context("cargo test")?;
    Ok(status.success())
}

/// File by which Vulkan finds Mesa's llvmpipe.
fn software_renderer() -> Option<PathBuf> {
    let folders = DRIVERS.iter().filter_map(|folder| Path::new(folder).read_dir().ok());
    folders.flatten().filter_map(|entry| Some(entry.ok()?.path())).find(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("lvp_icd") && path.extension().is_some_and(|extension| extension == "json")
    })
}
