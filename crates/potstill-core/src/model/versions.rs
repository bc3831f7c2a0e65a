//! Format versions of the header, and the one path that brings older ones to the newest.

use serde_json::Value;

/// Version of the header that this build writes; it reads this and all older ones.
pub const FORMAT_VERSION: u64 = 2;

/// Steps from each version to the next: the first leads from 1 to 2.
const STEPS: [fn(&mut Value); FORMAT_VERSION as usize - 1] = [to_version_2];

/// Brings a header of any older version to [`FORMAT_VERSION`].
///
/// # Errors
/// A newer version.
pub(super) fn migrate(mut header: Value) -> Result<Value, String> {
    let version = header["format_version"].as_u64().unwrap_or(0);
    if version > FORMAT_VERSION {
        return Err(format!(
            "format version {version} is newer than {FORMAT_VERSION}, which this potstill reads; update potstill"
        ));
    }
    let first = version.max(1) as usize - 1;
    STEPS[first..].iter().for_each(|step| step(&mut header));
    if header.is_object() {
        header["format_version"] = FORMAT_VERSION.into();
    }
    Ok(header)
}

/// PaiNN has `smooth_cutoff`; where it is left out, today's default is not what older networks computed.
fn to_version_2(header: &mut Value) {
    if header["model"]["architecture"] == "painn" {
        header["model"]["smooth_cutoff"] = false.into();
    }
}
