//! A self-contained HTML report: tables and inline SVG, no scripts, no network.

mod html;
mod plot;
mod table;

use potstill_core::metrics::Metrics;

pub use table::table;

/// Named points.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// What the legend says.
    pub name: String,
    /// Pairs of x and y; those that are not finite are not drawn.
    pub points: Vec<(f64, f64)>,
}

/// Lines over a common axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Plot {
    /// Heading.
    pub title: String,
    /// Quantity and unit.
    pub x_label: String,
    /// Quantity and unit.
    pub y_label: String,
    /// Whether y is drawn on a logarithmic scale.
    pub log_y: bool,
    /// The lines.
    pub curves: Vec<Curve>,
}

/// Predictions over references, with the diagonal.
#[derive(Debug, Clone, PartialEq)]
pub struct Parity {
    /// Heading.
    pub title: String,
    /// Quantity and unit of the reference.
    pub x_label: String,
    /// Quantity and unit of the prediction.
    pub y_label: String,
    /// The clouds.
    pub series: Vec<Curve>,
}

/// One model of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelRow {
    /// What it is called.
    pub name: String,
    /// Number of weights.
    pub n_parameters: usize,
    /// Errors in eV and Å.
    pub metrics: Metrics,
    /// Throughput.
    pub systems_per_second: f64,
}

/// Everything on the page.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Heading.
    pub title: String,
    /// A sentence or two.
    pub summary: String,
    /// Teacher, student alone, student distilled.
    pub rows: Vec<ModelRow>,
    /// Gap closed in energy and in forces, in per cent.
    pub gap_closed: Option<(f64, f64)>,
    /// Learning curves.
    pub plots: Vec<Plot>,
    /// Parity plots.
    pub parities: Vec<Parity>,
    /// Labels and texts that say where the numbers come from.
    pub provenance: Vec<(String, String)>,
}
