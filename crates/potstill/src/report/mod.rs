//! The report of a distillation: one HTML page that needs no network, no script and no font.
//!
//! `table` and `columns` make the numbers for a terminal, `axis`, `chart` and `bars` the drawings, `page` puts everything together.

mod axis;
mod bars;
mod chart;
mod columns;
mod escape;
mod page;
mod series;
mod table;
#[cfg(test)]
mod tests;

use potstill_core::metrics::Metrics;

pub use bars::{Bar, Bars};
pub use columns::columns;
pub use table::table;

/// A named list of points; those that are not finite are not drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Name in the legend.
    pub name: String,
    /// Pairs of x and y, in the units of the axes they are drawn on.
    pub points: Vec<(f64, f64)>,
}

/// Curves over a common axis, such as errors against training steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Plot {
    /// Heading of the drawing.
    pub title: String,
    /// Label of the horizontal axis, with its unit.
    pub x_label: String,
    /// Label of the vertical axis, with its unit.
    pub y_label: String,
    /// Draws the vertical axis in decades; values that are not positive are left out then.
    pub log_y: bool,
    /// Curves in the order of the legend. Colours repeat after eight.
    pub curves: Vec<Curve>,
}

/// Predictions against references, both axes of the same range, with the line where they agree.
///
/// Of a series with more than 2,000 points, 2,000 evenly spaced ones are drawn, and the legend says so.
#[derive(Debug, Clone, PartialEq)]
pub struct Parity {
    /// Heading of the drawing.
    pub title: String,
    /// Label of the reference, with its unit.
    pub x_label: String,
    /// Label of the prediction, with its unit.
    pub y_label: String,
    /// Points of reference and prediction for each model. Colours repeat after eight series.
    pub series: Vec<Curve>,
}

/// Row of a table: a model with its size, errors and speed.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelRow {
    /// Name of the model.
    pub name: String,
    /// Number of trained parameters.
    pub n_parameters: usize,
    /// Errors against the labels; absent ones show as an en dash.
    pub metrics: Metrics,
    /// Systems evaluated in a second. Zero or not finite: not measured, shows as an en dash.
    pub systems_per_second: f64,
}

/// Part of the gap between student alone and teacher that a way of distillation closed.
#[derive(Debug, Clone, PartialEq)]
pub struct Gap {
    /// Way of distillation, as in "gap closed by …".
    pub name: String,
    /// Parts in percent: energy, forces. None where the student alone is no worse than its teacher.
    pub percent: Option<(f64, f64)>,
}

/// Everything on the page.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// Heading of the page.
    pub title: String,
    /// Text below the heading; an empty line starts a paragraph.
    pub summary: String,
    /// The models compared: teacher, student alone, student distilled.
    pub rows: Vec<ModelRow>,
    /// Stands for the table of models where there is more to say; the first row holds the headings.
    pub table: Vec<Vec<String>>,
    /// Headings of further tables, and their rows; the first row of each holds its headings.
    pub tables: Vec<(String, Vec<Vec<String>>)>,
    /// Parts of the gap between student alone and teacher that ways of distillation closed.
    pub gaps_closed: Vec<Gap>,
    /// Gaps closed by many runs.
    pub gaps: Vec<Bars>,
    /// Errors against speed.
    pub comparisons: Vec<Plot>,
    /// Learning curves.
    pub plots: Vec<Plot>,
    /// Distributions, such as those of distances between atoms.
    pub distributions: Vec<Plot>,
    /// Predictions against references.
    pub parities: Vec<Parity>,
    /// Titles and finished drawings (SVG) of how alike the features of networks are.
    pub heat_maps: Vec<(String, String)>,
    /// Label and text (settings, versions, hashes) of what the numbers come from, folded away at the end.
    pub provenance: Vec<(String, String)>,
}

impl Report {
    /// The page as UTF-8 text. All text is escaped; the same report gives the same bytes.
    ///
    /// # Errors
    /// A drawing that could not be made; names the drawing.
    pub fn to_html(&self) -> anyhow::Result<String> {
        page::page(self)
    }
}
