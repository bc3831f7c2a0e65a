//! Single numbers, Python's own and NumPy's.

use super::layout::argument;
use crate::io::pickle::{Kind, Value};

/// A number, as Python's `int`, `float` or `bool`, or a NumPy scalar; absent for anything else.
pub fn number(value: Value<'_>) -> Option<f64> {
    match value.class() {
        Some(("numpy.core.multiarray" | "numpy._core.multiarray", "scalar")) => numpy(value),
        _ => match value.kind() {
            Kind::Bool(v) => Some(f64::from(u8::from(v))),
            _ => value.as_f64(),
        },
    }
}

fn numpy(value: Value<'_>) -> Option<f64> {
    let dtype = argument(value, 0).ok()?;
    if dtype.class() != Some(("numpy", "dtype")) || dtype.state().and_then(|s| s.item(1)?.as_str()) == Some(">") {
        return None;
    }
    let bytes = latin1(argument(value, 1).ok()?)?;
    let name = argument(dtype, 0).ok()?.as_str()?;
    Some(match name.trim_start_matches(['<', '=', '|']) {
        "f8" => f64::from_le_bytes(bytes.try_into().ok()?),
        "f4" => f32::from_le_bytes(bytes.try_into().ok()?).into(),
        "i8" => i64::from_le_bytes(bytes.try_into().ok()?) as f64,
        "i4" => i32::from_le_bytes(bytes.try_into().ok()?).into(),
        "b1" => f64::from(*bytes.first()?),
        _ => return None,
    })
}

/// Bytes, which protocol 2 can only write as text to be encoded again.
fn latin1(value: Value<'_>) -> Option<Vec<u8>> {
    /// Bytes of the widest number.
    const WIDEST: usize = 8;
    if let Some(bytes) = value.as_bytes() {
        return (bytes.len() <= WIDEST).then(|| bytes.to_vec());
    }
    if value.class() != Some(("_codecs", "encode")) {
        return None;
    }
    let text = argument(value, 0).ok()?.as_str()?;
    if text.len() > 2 * WIDEST {
        return None;
    }
    text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect()
}
