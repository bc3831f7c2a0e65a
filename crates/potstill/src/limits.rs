//! Values that options of the command line accept.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use potstill_core::{Error, Precision};

/// Reads a whole number in a range.
pub fn whole<T>(range: RangeInclusive<T>) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync
where
    T: FromStr + PartialOrd + Display + Clone + Send + Sync,
{
    move |text| match text.parse() {
        Ok(value) if range.contains(&value) => Ok(value),
        _ => Err(format!("must be a whole number from {} to {}", range.start(), range.end())),
    }
}

/// Reads a number in a range.
pub fn number(range: RangeInclusive<f64>) -> impl Fn(&str) -> Result<f64, String> + Clone + Send + Sync {
    move |text| match text.parse() {
        Ok(value) if range.contains(&value) => Ok(value),
        _ => Err(format!("must be a number from {} to {}", range.start(), range.end())),
    }
}

/// Reads a number above 0 and up to a limit.
pub fn positive(most: f64) -> impl Fn(&str) -> Result<f64, String> + Clone + Send + Sync {
    move |text| match text.parse() {
        Ok(value) if value > 0.0 && value <= most => Ok(value),
        _ => Err(format!("must be positive and at most {most}")),
    }
}

/// Reads the seed of a random-number generator.
pub fn seed(text: &str) -> Result<u64, String> {
    whole(0..=u64::MAX)(text)
}

/// Reads the precision of a network, `f32` or `f64`.
pub fn precision() -> impl TypedValueParser<Value = Precision> {
    let names = [
        PossibleValue::new("f32").help("Single precision"),
        PossibleValue::new("f64").help("Double precision, slower"),
    ];
    PossibleValuesParser::new(names).map(|name| if name == "f64" { Precision::F64 } else { Precision::F32 })
}

/// Error about a setting, under the name of its option.
pub fn of_option(error: Error) -> anyhow::Error {
    match error {
        Error::Setting { key, message } => anyhow::anyhow!("--{}: {message}", key.replace('_', "-")),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_range_is_refused_with_the_range() {
        assert_eq!(whole(1..=8)("8"), Ok(8));
        for text in ["0", "9", "-1", "1.5", "x", "99999999999999999999999", ""] {
            assert_eq!(whole(1..=8)(text).unwrap_err(), "must be a whole number from 1 to 8", "{text}");
        }
        assert_eq!(number(0.0..=2.0)("0"), Ok(0.0));
        for text in ["-1e-9", "2.1", "nan", "inf", "x"] {
            assert_eq!(number(0.0..=2.0)(text).unwrap_err(), "must be a number from 0 to 2", "{text}");
        }
        assert_eq!(positive(2.0)("2"), Ok(2.0));
        for text in ["0", "-1", "2.1", "nan", "inf"] {
            assert_eq!(positive(2.0)(text).unwrap_err(), "must be positive and at most 2", "{text}");
        }
        assert!(seed("18446744073709551615").is_ok() && seed("-1").is_err());
    }
}
