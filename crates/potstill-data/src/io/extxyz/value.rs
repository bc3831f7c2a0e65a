//! Values of the comment line, from text to types.

use std::borrow::Cow;

use super::comment::{Pair, Wrap};
use potstill_core::system::{Mat3, Value};

/// Marks a value as JSON.
pub const JSON_MARK: &str = "_JSON ";

/// Type of a value, as its text looks.
///
/// Integers, reals and truth values (`T`, `F`, `True`, …) are recognised in quotes, too, and lists of them become
/// JSON arrays. Integers that i64 cannot hold, or with leading zeros (`007`), stay text, so that names survive.
pub fn typed(pair: &Pair<'_>) -> Value {
    let text: &str = &pair.text;
    match pair.wrap {
        Wrap::Absent => return Value::Bool(true),
        Wrap::Bracketed => {
            if let Ok(json) = serde_json::from_str(text) {
                return Value::Json(json);
            }
            let inner = unbracketed(text);
            return scalar(inner).or_else(|| list(&inner.replace(',', " "))).unwrap_or_else(|| plain(text));
        }
        Wrap::Bare | Wrap::Quoted => {}
    }
    if let Some(json) = text.strip_prefix(JSON_MARK) {
        return serde_json::from_str(json).map_or_else(|_| plain(text), from_json);
    }
    scalar(text).or_else(|| list(text)).unwrap_or_else(|| plain(text))
}

fn plain(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// A JSON value; what needs no structure becomes a plain value.
fn from_json(json: serde_json::Value) -> Value {
    match json {
        serde_json::Value::Bool(v) => Value::Bool(v),
        serde_json::Value::String(v) => Value::Text(v),
        serde_json::Value::Number(ref v) => match (v.as_i64(), v.as_f64()) {
            (Some(v), _) => Value::Int(v),
            (None, Some(v)) => Value::Real(v),
            (None, None) => Value::Json(json),
        },
        structured => Value::Json(structured),
    }
}

fn scalar(text: &str) -> Option<Value> {
    let first = *text.as_bytes().first()?;
    // Most text values end here, before any number is tried.
    if first.is_ascii_alphabetic() && !matches!(first, b'T' | b't' | b'F' | b'f' | b'n' | b'N' | b'i' | b'I') {
        return None;
    }
    if let Some(v) = truth(text) {
        return Some(Value::Bool(v));
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        let padded = digits.len() > 1 && digits.starts_with('0');
        return if padded { None } else { text.parse().ok().map(Value::Int) };
    }
    real(text).map(Value::Real)
}

/// Several numbers or several truth values, separated by blanks.
fn list(text: &str) -> Option<Value> {
    let first = text.split_ascii_whitespace().next()?;
    scalar(first)?;
    let items: Option<Vec<serde_json::Value>> = text
        .split_ascii_whitespace()
        .map(|word| match scalar(word)? {
            Value::Bool(v) => Some(v.into()),
            Value::Int(v) => Some(v.into()),
            Value::Real(v) => serde_json::Number::from_f64(v).map(Into::into),
            _ => None,
        })
        .collect();
    let items = items?;
    let truths = items.iter().filter(|v| v.is_boolean()).count();
    match items.len() {
        0 | 1 => None,
        n if truths == 0 || truths == n => Some(Value::Json(items.into())),
        _ => None,
    }
}

/// A truth value as extended XYZ writes it.
pub fn truth(text: &str) -> Option<bool> {
    match text {
        "T" | "True" | "true" | "TRUE" => Some(true),
        "F" | "False" | "false" | "FALSE" => Some(false),
        _ => None,
    }
}

/// A real number; a Fortran exponent (`1.0D+00`) is understood, NaN and infinities are let through.
pub fn real(text: &str) -> Option<f64> {
    real_bytes(text.as_bytes())
}

/// [`real`] for bytes.
pub fn real_bytes(text: &[u8]) -> Option<f64> {
    if let Ok(v) = fast_float2::parse(text) {
        return Some(v);
    }
    let numeric = text.iter().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'+' | b'-' | b'd' | b'D'));
    if !numeric || text.len() > 64 {
        return None;
    }
    let exponent: Vec<u8> = text.iter().map(|&b| if matches!(b, b'd' | b'D') { b'e' } else { b }).collect();
    fast_float2::parse(exponent).ok()
}

/// All numbers of a value, however they are nested or separated; `None` when anything else is in it.
pub fn numbers(pair: &Pair<'_>) -> Option<Vec<f64>> {
    let text = pair.text.strip_prefix(JSON_MARK).unwrap_or(&pair.text);
    let flat: Cow<'_, str> =
        if text.contains(['[', '{', ',']) { text.replace(['[', ']', '{', '}', ','], " ").into() } else { text.into() };
    flat.split_ascii_whitespace().map(real).collect()
}

/// Three truth values: `T F T`, `1 0 1`, `[true, false, true]`, `TFT`, or one for all.
pub fn truths(pair: &Pair<'_>) -> Option<[bool; 3]> {
    let text = pair.text.strip_prefix(JSON_MARK).unwrap_or(&pair.text);
    let flat = text.replace(['[', ']', '{', '}', ','], " ");
    let one = |word: &str| match word {
        "1" => Some(true),
        "0" => Some(false),
        _ => truth(word),
    };
    let words: Vec<&str> = flat.split_ascii_whitespace().collect();
    match words[..] {
        [a, b, c] => Some([one(a)?, one(b)?, one(c)?]),
        [all] if one(all).is_some() => one(all).map(|v| [v; 3]),
        [abc] if abc.len() == 3 && abc.is_ascii() => Some([one(&abc[..1])?, one(&abc[1..2])?, one(&abc[2..])?]),
        _ => None,
    }
}

/// A 3×3 matrix from nine numbers, row by row, or from six: xx yy zz yz xz xy.
pub fn matrix(numbers: &[f64]) -> Option<Mat3> {
    match *numbers {
        [a, b, c, d, e, f, g, h, i] => Some([[a, b, c], [d, e, f], [g, h, i]]),
        [xx, yy, zz, yz, xz, xy] => Some([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]),
        _ => None,
    }
}

fn unbracketed(text: &str) -> &str {
    let text = text.strip_prefix(['{', '[']).unwrap_or(text);
    text.strip_suffix(['}', ']']).unwrap_or(text).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Value {
        typed(&super::super::comment::parse(&format!("k={text}")).unwrap()[0])
    }

    #[test]
    fn types() {
        assert_eq!(of("5"), Value::Int(5));
        assert_eq!(of("\"-5\""), Value::Int(-5));
        assert_eq!(of("5.0"), Value::Real(5.0));
        assert_eq!(of("1.5D+01"), Value::Real(15.0));
        assert_eq!(of("T"), Value::Bool(true));
        assert_eq!(of("-"), Value::Text("-".into()));
        assert_eq!(of("007"), Value::Text("007".into()));
        assert_eq!(of("99999999999999999999"), Value::Text("99999999999999999999".into()));
        assert_eq!(of("CH"), Value::Text("CH".into()));
        assert_eq!(of("\"1 2 3\""), Value::Json(serde_json::json!([1, 2, 3])));
        assert_eq!(of("{1 2.5}"), Value::Json(serde_json::json!([1, 2.5])));
        assert_eq!(of("[T, F]"), Value::Json(serde_json::json!([true, false])));
        assert_eq!(of("[1, [2]]"), Value::Json(serde_json::json!([1, [2]])));
        assert_eq!(of(r#""_JSON {\"a\": [1]}""#), Value::Json(serde_json::json!({"a": [1]})));
        assert_eq!(of(r#""_JSON \"5\"""#), Value::Text("5".into()));
        assert_eq!(of("\"\""), Value::Text(String::new()));
    }

    #[test]
    fn periodic_axes() {
        for text in ["\"T F T\"", "\"1 0 1\"", "[T, F, T]", "TFT"] {
            let line = format!("pbc={text}");
            assert_eq!(truths(&super::super::comment::parse(&line).unwrap()[0]), Some([true, false, true]));
        }
    }
}
