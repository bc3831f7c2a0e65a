//! SVG plots. Colours are told apart by colour-blind readers (Okabe & Ito 2008).

use anyhow::{Result, anyhow};
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

use super::{Curve, Parity, Plot};

const SIZE: (u32, u32) = (560, 380);
const COLOURS: [RGBColor; 5] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
];

/// A plot as an SVG element.
pub fn lines(plot: &Plot) -> Result<String> {
    let visible = |p: &(f64, f64)| p.0.is_finite() && p.1.is_finite() && (!plot.log_y || p.1 > 0.0);
    let Some(((x0, x1), (y0, y1))) = bounds(&plot.curves, &visible) else { return Ok(no_data(&plot.title)) };
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut builder = ChartBuilder::on(&area);
        builder.margin(14).x_label_area_size(42).y_label_area_size(64);
        let labels = (plot.x_label.as_str(), plot.y_label.as_str());
        if plot.log_y {
            let range = (y0 / 1.15..y1 * 1.15).log_scale();
            draw_lines(&mut builder, x0..x1, range, labels, &plot.curves, &visible)?;
        } else {
            let pad = 0.05 * (y1 - y0);
            draw_lines(&mut builder, x0..x1, y0 - pad..y1 + pad, labels, &plot.curves, &visible)?;
        }
        area.present().map_err(|e| anyhow!("plot: {e}"))?;
    }
    Ok(svg)
}

fn draw_lines<Y>(
    builder: &mut ChartBuilder<'_, '_, SVGBackend<'_>>,
    x: std::ops::Range<f64>,
    y: Y,
    (x_label, y_label): (&str, &str),
    curves: &[Curve],
    visible: &dyn Fn(&(f64, f64)) -> bool,
) -> Result<()>
where
    Y: AsRangedCoord<Value = f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    let failed = |e: &dyn std::fmt::Display| anyhow!("plot: {e}");
    let mut chart = builder.build_cartesian_2d(x, y).map_err(|e| failed(&e))?;
    let mut mesh = chart.configure_mesh();
    mesh.light_line_style(WHITE.mix(0.0)).bold_line_style(BLACK.mix(0.12)).axis_style(BLACK.mix(0.5));
    mesh.x_desc(x_label)
        .y_desc(y_label)
        .label_style(("sans-serif", 13))
        .x_label_formatter(&short)
        .y_label_formatter(&short);
    mesh.draw().map_err(|e| failed(&e))?;
    for (k, curve) in curves.iter().enumerate() {
        let colour = COLOURS[k % COLOURS.len()];
        let points: Vec<(f64, f64)> = curve.points.iter().copied().filter(visible).collect();
        let dots = points.iter().map(|p| Circle::new(*p, 2, colour.filled())).collect::<Vec<_>>();
        let series = chart.draw_series(LineSeries::new(points, colour.stroke_width(2))).map_err(|e| failed(&e))?;
        let key = move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(3));
        series.label(curve.name.as_str()).legend(key);
        chart.draw_series(dots).map_err(|e| failed(&e))?;
    }
    let mut legend = chart.configure_series_labels();
    legend.border_style(BLACK.mix(0.2)).background_style(WHITE.mix(0.85)).label_font(("sans-serif", 13));
    legend.position(SeriesLabelPosition::UpperRight).draw().map_err(|e| failed(&e))
}

/// A parity plot as an SVG element; later series lie on top.
pub fn parity(parity: &Parity) -> Result<String> {
    let visible = |p: &(f64, f64)| p.0.is_finite() && p.1.is_finite();
    let Some((x, y)) = bounds(&parity.series, &visible) else { return Ok(no_data(&parity.title)) };
    let (low, high) = (x.0.min(y.0), x.1.max(y.1));
    let failed = |e: &dyn std::fmt::Display| anyhow!("plot: {e}");
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut builder = ChartBuilder::on(&area);
        builder.margin(14).x_label_area_size(42).y_label_area_size(64);
        let mut chart = builder.build_cartesian_2d(low..high, low..high).map_err(|e| failed(&e))?;
        let mut mesh = chart.configure_mesh();
        mesh.light_line_style(WHITE.mix(0.0)).bold_line_style(BLACK.mix(0.12)).axis_style(BLACK.mix(0.5));
        mesh.x_desc(parity.x_label.as_str()).y_desc(parity.y_label.as_str()).label_style(("sans-serif", 13));
        mesh.x_label_formatter(&short).y_label_formatter(&short);
        mesh.draw().map_err(|e| failed(&e))?;
        let diagonal = LineSeries::new([(low, low), (high, high)], BLACK.mix(0.5));
        chart.draw_series(diagonal).map_err(|e| failed(&e))?;
        for (k, series) in parity.series.iter().enumerate() {
            let colour = COLOURS[k % COLOURS.len()];
            let dots =
                series.points.iter().filter(|p| visible(p)).map(|p| Circle::new(*p, 2, colour.mix(0.55).filled()));
            let drawn = chart.draw_series(dots).map_err(|e| failed(&e))?;
            drawn.label(series.name.as_str()).legend(move |(x, y)| Circle::new((x + 9, y), 4, colour.filled()));
        }
        let mut legend = chart.configure_series_labels();
        legend.border_style(BLACK.mix(0.2)).background_style(WHITE.mix(0.85)).label_font(("sans-serif", 13));
        legend.position(SeriesLabelPosition::UpperLeft).draw().map_err(|e| failed(&e))?;
        area.present().map_err(|e| failed(&e))?;
    }
    Ok(svg)
}

fn no_data(title: &str) -> String {
    format!("<p class=\"none\">{}: no data</p>", super::html::escape(title))
}

/// Numbers of an axis without superfluous digits.
fn short(value: &f64) -> String {
    let text = if value.abs() >= 100.0 || *value == 0.0 { format!("{value:.0}") } else { format!("{value:.3}") };
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// Ranges of x and y over all visible points, never of zero width.
fn bounds(curves: &[Curve], visible: &dyn Fn(&(f64, f64)) -> bool) -> Option<((f64, f64), (f64, f64))> {
    let mut points = curves.iter().flat_map(|c| c.points.iter()).filter(|p| visible(p));
    let first = points.next()?;
    let start = ((first.0, first.0), (first.1, first.1));
    let (x, y) = points.fold(start, |(x, y), p| ((x.0.min(p.0), x.1.max(p.0)), (y.0.min(p.1), y.1.max(p.1))));
    let widen =
        |(a, b): (f64, f64)| if b > a { (a, b) } else { (a - 0.5 * a.abs().max(1e-3), a + 0.5 * a.abs().max(1e-3)) };
    Some((widen(x), widen(y)))
}
