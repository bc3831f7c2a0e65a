//! Weight of a term: fixed or found at the start, and its change over the run.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

/// λ of a term.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub enum Weight {
    /// A number.
    Fixed(f64),
    /// A weight with which, at the fresh weights and the first batch, the gradient of the term has that many times the norm of the
    /// gradient of the force loss (of the energy loss, where forces have no weight). In TOML: `"auto"` for 1, or
    /// `{ auto = 0.3 }`.
    Auto(f64),
}

/// A weight as configurations write it.
#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number, \"auto\" or { auto = 0.3 }")]
enum Written {
    Number(f64),
    Word(Word),
    Relative(Relative),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Auto,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Relative {
    auto: f64,
}

impl From<Written> for Weight {
    fn from(written: Written) -> Self {
        match written {
            Written::Number(value) => Self::Fixed(value),
            Written::Word(Word::Auto) => Self::Auto(1.0),
            Written::Relative(Relative { auto }) => Self::Auto(auto),
        }
    }
}

impl From<Weight> for Written {
    fn from(weight: Weight) -> Self {
        match weight {
            Weight::Fixed(value) => Self::Number(value),
            Weight::Auto(1.0) => Self::Word(Word::Auto),
            Weight::Auto(auto) => Self::Relative(Relative { auto }),
        }
    }
}

impl From<f64> for Weight {
    fn from(value: f64) -> Self {
        Self::Fixed(value)
    }
}

impl Weight {
    /// Number as written.
    pub fn number(self) -> f64 {
        match self {
            Self::Fixed(value) | Self::Auto(value) => value,
        }
    }

    /// Weight of the same kind times `factor`.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        match self {
            Self::Fixed(value) => Self::Fixed(factor * value),
            Self::Auto(value) => Self::Auto(factor * value),
        }
    }
}

/// Change of a weight over a run.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum WeightSchedule {
    /// No change. The default.
    #[default]
    Constant,
    /// Ramp from 0 to the full weight in equal steps, over the first part of the run.
    Ramp {
        /// Part of the run after which the full weight is reached: 0.1 for a tenth.
        until: f64,
    },
    /// Half a cosine from the full weight to 0 at the end of the run.
    CosineToZero,
}

impl WeightSchedule {
    /// Factor on the weight after that part of the run, in [0, 1].
    pub fn factor(self, done: f64) -> f64 {
        let done = done.clamp(0.0, 1.0);
        match self {
            Self::Constant => 1.0,
            Self::Ramp { until } => (done / until).min(1.0),
            Self::CosineToZero => 0.5 * (1.0 + (PI * done).cos()),
        }
    }

    /// Checks the numbers; the message says what is wrong.
    pub(super) fn check(self) -> Result<(), String> {
        match self {
            Self::Ramp { until } if !(until > 0.0 && until <= 1.0) => {
                Err(format!("schedule: until is {until}; it must be above 0 and at most 1"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Holder {
        weight: Weight,
    }

    #[test]
    fn weights_read_as_they_are_written() {
        for (text, weight) in
            [("2.5", Weight::Fixed(2.5)), ("\"auto\"", Weight::Auto(1.0)), ("{\"auto\":0.3}", Weight::Auto(0.3))]
        {
            let json = format!("{{\"weight\":{text}}}");
            let holder: Holder = serde_json::from_str(&json).unwrap();
            assert_eq!(holder, Holder { weight });
            assert_eq!(serde_json::to_string(&holder).unwrap(), json);
        }
        for text in ["\"much\"", "{\"auto\":1,\"x\":2}", "[]"] {
            assert!(serde_json::from_str::<Holder>(&format!("{{\"weight\":{text}}}")).is_err(), "{text}");
        }
    }

    #[test]
    fn schedules_start_and_end_where_they_say() {
        let ramp = WeightSchedule::Ramp { until: 0.2 };
        assert_eq!([0.0, 0.1, 0.2, 1.0].map(|done| ramp.factor(done)), [0.0, 0.5, 1.0, 1.0]);
        let cosine = WeightSchedule::CosineToZero;
        assert!((cosine.factor(0.0) - 1.0).abs() < 1e-15 && (cosine.factor(0.5) - 0.5).abs() < 1e-15);
        assert!(cosine.factor(2.0).abs() < 1e-15);
        assert!(WeightSchedule::Ramp { until: 0.0 }.check().is_err());
    }
}
