//! Features that a strategy asks for.

use super::kind::Kind;
use super::projection::{ProjectionKind, Side};
use super::taps::TapNames;

/// Features that a strategy compares, and how they are brought to one width.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FeatureNeeds<'a> {
    /// Kind of the teacher's features.
    pub kind: Kind,
    /// Taps of the teacher. Default: its last layer.
    pub teacher_tap: Option<&'a TapNames>,
    /// Taps of the student. Default: its last layer.
    pub student_tap: Option<&'a TapNames>,
    /// Map between the widths of student and teacher.
    pub projection: ProjectionKind,
    /// Network whose features are projected.
    pub side: Side,
    /// Whether student and teacher may have different widths without a projection.
    pub any_width: bool,
    /// Whether the projection is that of the first term with the same features, taps and projection.
    pub shared: bool,
}
