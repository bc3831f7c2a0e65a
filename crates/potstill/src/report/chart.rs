//! Drawings as SVG that stands inside a page.
//!
//! Titles and legends are HTML: browsers set text better than the drawing library, which does not know the font. Colours
//! are replaced by the style sheet in the dark, which finds them by their value.

use anyhow::Result;
use plotters::prelude::*;

use super::axis::{Axis, Scale};
use super::series::{Series, colour};
use super::{Curve, Parity, Plot};

/// Width of a drawing in its own units; two of them are one pixel, as the library rounds to whole units.
const WIDTH: u32 = 960;
const HEIGHT: u32 = 620;
/// Height of the text; the library divides it by 1.24.
const FONT_SIZE: f64 = 24.0 * 1.24;
/// Width of a digit of that size.
const DIGIT_WIDTH: usize = 14;
const MARGIN: u32 = 26;
/// Room for accents of the vertical label, as in Å.
const MARGIN_LEFT: u32 = 8;
const BOTTOM: u32 = 92;
/// Lines and text; must be those of the style sheet.
const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
const GRID: RGBColor = RGBColor(0xDD, 0xDD, 0xDD);
/// Curves of at most this many points get a mark at each.
const MARKED: usize = 30;
/// Most points of a curve, and of a series in a parity plot.
const CURVE_LIMIT: usize = 2_000;
const PARITY_LIMIT: usize = 2_000;

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Axis, Axis>>;

/// A drawing and what its legend needs.
pub(super) struct Drawing {
    /// An `<svg>` element; `None` when there is no point to draw.
    pub(super) svg: Option<String>,
    /// Series of each curve, in order.
    pub(super) series: Vec<Series>,
}

/// Curves as lines, with marks where the points are few.
pub(super) fn lines(plot: &Plot) -> Result<Drawing> {
    let y_scale = if plot.log_y { Scale::Log } else { Scale::Linear };
    let series = collect(&plot.curves, y_scale, CURVE_LIMIT);
    let x = Axis::around(Scale::Linear, points(&series).map(|p| p.0));
    let y = Axis::around(y_scale, points(&series).map(|p| p.1));
    let (Some(x), Some(y)) = (x, y) else { return Ok(Drawing { svg: None, series }) };
    let svg = draw(&plot.title, HEIGHT, [&x, &y], [&plot.x_label, &plot.y_label], |chart| {
        for (index, series) in series.iter().enumerate() {
            line(chart, index, series)?;
        }
        Ok(())
    })?;
    Ok(Drawing { svg: Some(svg), series })
}

/// Points around the diagonal, in a square.
pub(super) fn parity(parity: &Parity) -> Result<Drawing> {
    let series = collect(&parity.series, Scale::Linear, PARITY_LIMIT);
    let axis = Axis::around(Scale::Linear, points(&series).flat_map(|p| [p.0, p.1]));
    let Some(axis) = axis else { return Ok(Drawing { svg: None, series }) };
    // As high as wide without labels; the margins to the right and above are the same.
    let height = WIDTH - MARGIN_LEFT - left(&axis) + BOTTOM;
    let svg = draw(&parity.title, height, [&axis, &axis], [&parity.x_label, &parity.y_label], |chart| {
        for (index, series) in series.iter().enumerate() {
            dots(chart, index, series)?;
        }
        let diagonal = [(axis.low, axis.low), (axis.high, axis.high)];
        chart.draw_series([PathElement::new(diagonal, INK.stroke_width(2))])?;
        Ok(())
    })?;
    Ok(Drawing { svg: Some(svg), series })
}

fn collect(curves: &[Curve], y_scale: Scale, limit: usize) -> Vec<Series> {
    curves.iter().map(|curve| Series::new(curve, y_scale, limit)).collect()
}

fn points(series: &[Series]) -> impl Iterator<Item = (f64, f64)> {
    series.iter().flat_map(|s| s.points.iter().copied())
}

fn line(chart: &mut Chart, index: usize, series: &Series) -> Result<()> {
    let colour = rgb(index);
    if series.points.len() > 1 {
        chart.draw_series([PathElement::new(series.points.clone(), colour.stroke_width(4))])?;
    }
    if series.points.len() <= MARKED {
        chart.draw_series(series.points.iter().map(|&p| Circle::new(p, 7, colour.filled())))?;
    }
    Ok(())
}

fn dots(chart: &mut Chart, index: usize, series: &Series) -> Result<()> {
    let style = rgb(index).mix(0.5).filled();
    chart.draw_series(series.points.iter().map(|&p| Circle::new(p, 5, style)))?;
    Ok(())
}

fn rgb(index: usize) -> RGBColor {
    let (red, green, blue) = colour(index);
    RGBColor(red, green, blue)
}

/// Room for the labels of a vertical axis: the ticks' and the axis' own.
fn left(axis: &Axis) -> u32 {
    let longest = axis.ticks.iter().map(|t| t.1.chars().count()).max().unwrap_or(0);
    // Ticks never have more than some twenty characters.
    (70 + longest.min(30) * DIGIT_WIDTH) as u32
}

/// Axes with grid and labels, then whatever the caller adds.
fn draw(
    title: &str,
    height: u32,
    [x, y]: [&Axis; 2],
    [x_label, y_label]: [&str; 2],
    add: impl FnOnce(&mut Chart) -> Result<()>,
) -> Result<String> {
    let mut svg = String::new();
    let root = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
    let mut chart = ChartBuilder::on(&root)
        .margin_top(MARGIN)
        .margin_right(MARGIN)
        .margin_left(MARGIN_LEFT)
        .x_label_area_size(BOTTOM)
        .y_label_area_size(left(y))
        .build_cartesian_2d(x.clone(), y.clone())?;
    let text = ("sans-serif", FONT_SIZE).into_font().color(&INK);
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID.stroke_width(1))
        .axis_style(INK.stroke_width(2))
        .label_style(text.clone())
        .axis_desc_style(text)
        .set_all_tick_mark_size(8)
        // The library escapes them, but lets through what may not stand in a page.
        .x_desc(x_label.replace(char::is_control, " "))
        .y_desc(y_label.replace(char::is_control, " "))
        .draw()?;
    add(&mut chart)?;
    root.present()?;
    drop(chart);
    drop(root);
    Ok(inline(&svg, title, height))
}

/// The drawing with a start tag for HTML: no fixed size, no name space, a description.
fn inline(svg: &str, title: &str, height: u32) -> String {
    let body = svg.split_once('>').map_or("", |(_, body)| body);
    let title = super::escape::escape(title);
    format!(r#"<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{title}">{body}"#)
}
