//! Points of a curve that can be drawn, and how they look.

use super::Curve;
use super::axis::Scale;

/// Colours of Okabe and Ito, told apart by colour-blind readers, in hexadecimal; yellow is replaced by grey, as it
/// cannot be seen on white. The style sheet has a lighter shade and a dash pattern for each.
pub(super) const PALETTE: [(u8, u8, u8); 8] = [
    (0x00, 0x72, 0xB2),
    (0xD5, 0x5E, 0x00),
    (0x00, 0x9E, 0x73),
    (0xCC, 0x79, 0xA7),
    (0xE6, 0x9F, 0x00),
    (0x56, 0xB4, 0xE9),
    (0x80, 0x80, 0x80),
    (0x33, 0x33, 0x33),
];

/// Colour of the series of an index.
pub(super) fn colour(index: usize) -> (u8, u8, u8) {
    PALETTE[index % PALETTE.len()]
}

/// A colour in the notation of the drawings, which the style sheet refers to.
pub(super) fn hex((red, green, blue): (u8, u8, u8)) -> String {
    format!("#{red:02X}{green:02X}{blue:02X}")
}

/// Part of a curve that is drawn.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    /// Positions along the axes, at most as many as allowed.
    pub(super) points: Vec<(f64, f64)>,
    /// Number of points that could have been drawn.
    pub(super) n_valid: usize,
}

impl Series {
    /// The points of a curve that are on the scales, thinned out evenly to a limit; keeps the first and the last.
    pub(super) fn new(curve: &Curve, y_scale: Scale, limit: usize) -> Self {
        let position = |&(x, y): &(f64, f64)| Some((Scale::Linear.position(x)?, y_scale.position(y)?));
        let valid: Vec<_> = curve.points.iter().filter_map(position).collect();
        Self { n_valid: valid.len(), points: thin(valid, limit) }
    }
}

/// At most `limit` evenly spaced elements.
fn thin(points: Vec<(f64, f64)>, limit: usize) -> Vec<(f64, f64)> {
    let n = points.len();
    if n <= limit || limit < 2 {
        return points.into_iter().take(limit).collect();
    }
    let step = (n - 1) as f64 / (limit - 1) as f64;
    (0..limit).map(|i| points[((i as f64 * step).round() as usize).min(n - 1)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(points: &[(f64, f64)]) -> Curve {
        Curve { name: "a".to_owned(), points: points.to_vec() }
    }

    #[test]
    fn points_off_the_scale_are_dropped() {
        let curve = curve(&[(0.0, 1.0), (f64::NAN, 1.0), (1.0, f64::INFINITY), (2.0, 0.0), (3.0, -1.0), (4.0, 10.0)]);
        assert_eq!(Series::new(&curve, Scale::Linear, 9).n_valid, 4);
        assert_eq!(Series::new(&curve, Scale::Log, 9).points, [(0.0, 0.0), (4.0, 1.0)]);
    }

    #[test]
    fn thinning_keeps_the_ends_and_repeats_itself() {
        let many: Vec<_> = (0..10_001).map(|i| (f64::from(i), 1.0)).collect();
        let series = Series::new(&curve(&many), Scale::Linear, 2_000);
        assert_eq!((series.points.len(), series.n_valid), (2_000, 10_001));
        assert_eq!((series.points[0].0, series.points[1_999].0), (0.0, 10_000.0));
        assert!(series.points.windows(2).all(|w| w[0].0 < w[1].0));
        assert_eq!(series, Series::new(&curve(&many), Scale::Linear, 2_000));
    }
}
