//! Range, tick marks and tick labels of an axis.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

/// Values beyond this are not drawn: the width of the range would not be finite.
const LARGEST: f64 = 1e30;
/// Free room at either end, as part of the range.
const MARGIN: f64 = 0.04;

/// Layout of values along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// Proportional to the value.
    Linear,
    /// Proportional to the logarithm of the value.
    Log,
}

impl Scale {
    /// Position of a value along the axis; `None` when it cannot be drawn.
    pub(super) fn position(self, value: f64) -> Option<f64> {
        match self {
            Scale::Linear => (value.abs() <= LARGEST).then_some(value),
            Scale::Log => (value > 0.0 && value.is_finite()).then(|| value.log10()),
        }
    }
}

/// A range of positions and the marked ones among them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    /// First position.
    pub(super) low: f64,
    /// Last position, larger than the first.
    pub(super) high: f64,
    /// Positions of the tick marks, ascending, with their labels.
    pub(super) ticks: Vec<(f64, String)>,
}

impl Axis {
    /// An axis that holds all positions (not values) given; `None` without any.
    pub(super) fn around(scale: Scale, positions: impl Iterator<Item = f64>) -> Option<Self> {
        let (low, high) = positions
            .fold(None, |range: Option<(f64, f64)>, x| Some(range.map_or((x, x), |(l, h)| (l.min(x), h.max(x)))))?;
        let (low, high) = widen(scale, low, high);
        let ticks = match scale {
            Scale::Linear => linear_ticks(low, high, 5.0),
            Scale::Log => log_ticks(low, high),
        };
        Some(Self { low, high, ticks })
    }
}

/// Lets the drawing library use the axis; what it calls values are positions here.
impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, position: &f64, (first, last): (i32, i32)) -> i32 {
        let part = (position - self.low) / (self.high - self.low);
        (f64::from(first) + part * (f64::from(last) - f64::from(first))).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.iter().map(|tick| tick.0).collect()
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Axis {
    fn format(position: &f64) -> String {
        position.to_string()
    }

    fn format_ext(&self, position: &f64) -> String {
        self.ticks.iter().find(|tick| tick.0 == *position).map(|tick| tick.1.clone()).unwrap_or_default()
    }
}

/// The range with some room at its ends, and of a width that can be drawn.
fn widen(scale: Scale, low: f64, high: f64) -> (f64, f64) {
    let size = low.abs().max(high.abs());
    let margin = match scale {
        _ if high - low > 1e-9 * size => MARGIN * (high - low),
        Scale::Log => 0.3,
        Scale::Linear if size < 1e-300 => 1.0,
        Scale::Linear => 0.05 * size,
    };
    // Room below zero would suggest that steps or errors can be negative.
    let floor = if scale == Scale::Linear && low >= 0.0 { 0.0 } else { f64::NEG_INFINITY };
    ((low - margin).max(floor), high + margin)
}

/// About `count` multiples of 1, 2 or 5 times a power of ten.
fn linear_ticks(low: f64, high: f64, count: f64) -> Vec<(f64, String)> {
    let rough = (high - low) / count;
    if !(rough.is_finite() && rough > 1e-300) {
        return Vec::new();
    }
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0].iter().map(|m| m * power).find(|&s| s >= rough * 0.999).unwrap_or(10.0 * power);
    let (first, last) = ((low / step).ceil() as i64, (high / step).floor() as i64);
    // The exponent of the last digit that differs between ticks.
    let digit = (step.log10() + 1e-9).floor() as i32;
    let size = low.abs().max(high.abs());
    (first..=last).take(20).map(|k| (k as f64 * step, linear_label(k as f64 * step, digit, size))).collect()
}

fn linear_label(value: f64, digit: i32, size: f64) -> String {
    if (1e-4..1e6).contains(&size) {
        return format!("{value:.*}", digit.min(0).unsigned_abs() as usize).replace('-', "−");
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let digits = (value.abs().log10() + 1e-9).floor() as i32 - digit;
    let text = format!("{value:.*e}", digits.max(0) as usize);
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    format!("{}×10{}", mantissa.replace('-', "−"), superscript(exponent))
}

/// Powers of ten if there are enough, otherwise some of their multiples. Positions are logarithms.
fn log_ticks(low: f64, high: f64) -> Vec<(f64, String)> {
    let every = ((high - low) / 7.0).ceil().max(1.0) as i32;
    for (mantissas, at_least) in [(&[1][..], 4), (&[1, 2, 5], 3), (&[1, 2, 3, 4, 6, 8], 3)] {
        let ticks = multiples(low, high, every, mantissas);
        if ticks.len() >= at_least {
            return ticks;
        }
    }
    let ticks = linear_ticks(10f64.powf(low), 10f64.powf(high), 4.0);
    ticks.into_iter().filter(|(value, _)| *value > 0.0).map(|(value, label)| (value.log10(), label)).collect()
}

fn multiples(low: f64, high: f64, every: i32, mantissas: &[u32]) -> Vec<(f64, String)> {
    let exponents = (low.floor() as i32..=high.ceil() as i32).filter(|e| e.rem_euclid(every) == 0);
    exponents
        .flat_map(|e| mantissas.iter().map(move |&m| (f64::from(e) + f64::from(m).log10(), log_label(m, e))))
        .filter(|(position, _)| (low..=high).contains(position))
        .collect()
}

fn log_label(mantissa: u32, exponent: i32) -> String {
    match (mantissa, exponent) {
        (_, -3..=4) => {
            format!("{:.*}", exponent.min(0).unsigned_abs() as usize, f64::from(mantissa) * 10f64.powi(exponent))
        }
        (1, _) => format!("10{}", superscript(&exponent.to_string())),
        _ => format!("{mantissa}×10{}", superscript(&exponent.to_string())),
    }
}

fn superscript(digits: &str) -> String {
    const RAISED: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    digits.chars().map(|c| c.to_digit(10).map_or('⁻', |d| RAISED[d as usize])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: Scale, values: &[f64]) -> Vec<String> {
        let axis = Axis::around(scale, values.iter().filter_map(|&v| scale.position(v)));
        axis.map(|a| a.ticks.into_iter().map(|t| t.1).collect()).unwrap_or_default()
    }

    #[test]
    fn round_numbers_on_a_linear_axis() {
        assert_eq!(labels(Scale::Linear, &[0.0, 100.0]), ["0", "50", "100"]);
        assert_eq!(labels(Scale::Linear, &[-0.3, 0.31]), ["−0.2", "0.0", "0.2"]);
        assert_eq!(labels(Scale::Linear, &[0.0, 4e6]), ["0", "1×10⁶", "2×10⁶", "3×10⁶", "4×10⁶"]);
    }

    #[test]
    fn powers_of_ten_on_a_log_axis() {
        assert_eq!(labels(Scale::Log, &[1e-5, 1.0]), ["10⁻⁵", "10⁻⁴", "0.001", "0.01", "0.1", "1"]);
        assert_eq!(labels(Scale::Log, &[0.01, 0.1]), ["0.01", "0.02", "0.05", "0.1"]);
        assert_eq!(labels(Scale::Log, &[0.30, 0.34]), ["0.30", "0.32", "0.34"]);
    }

    #[test]
    fn any_numbers_make_a_drawable_axis() {
        let odd = [0.0, -0.0, 5e-324, 1e-300, -1.0, 1.0, 1.0 + 1e-15, 1e9, 1e9 + 1e-6, 1e30, -1e30, f64::MAX, f64::NAN];
        for scale in [Scale::Linear, Scale::Log] {
            for (a, b) in odd.iter().flat_map(|&a| odd.iter().map(move |&b| (a, b))) {
                let Some(axis) = Axis::around(scale, [a, b].into_iter().filter_map(|v| scale.position(v))) else {
                    continue;
                };
                assert!(axis.low < axis.high && (axis.high - axis.low).is_finite(), "{a} {b} {axis:?}");
                assert!(axis.ticks.len() <= 30, "{a} {b} {axis:?}");
            }
        }
    }
}
