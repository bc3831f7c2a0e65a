//! Tables of numbers between 0 and 1 as pictures (SVG).

use std::fmt::Write;

/// Side of a cell, space for labels, and space between tables, in pixels.
const CELL: usize = 44;
const MARGIN: usize = 96;
const GAP: usize = 40;

/// Table with the names of its rows and columns.
pub struct HeatMap<'a> {
    /// Above the table.
    pub title: &'a str,
    /// Beside the rows.
    pub rows_title: &'a str,
    /// Names of rows.
    pub rows: &'a [String],
    /// Names of columns.
    pub columns: &'a [String],
    /// Values by row; NaN is left blank.
    pub values: &'a [Vec<f64>],
}

/// Tables side by side.
pub fn svg(maps: &[HeatMap]) -> String {
    let width = |map: &HeatMap| MARGIN + map.columns.len() * CELL;
    let total = maps.iter().map(width).sum::<usize>() + GAP * (maps.len() + 1);
    let height = maps.iter().map(|map| map.rows.len()).max().unwrap_or(0) * CELL + MARGIN + GAP;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{total}\" height=\"{height}\" viewBox=\"0 0 {total} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let mut left = GAP;
    for map in maps {
        // Writing to a string cannot fail.
        let _ = draw(&mut out, map, left);
        left += width(map) + GAP;
    }
    out.push_str("</svg>\n");
    out
}

fn draw(out: &mut String, map: &HeatMap, left: usize) -> std::fmt::Result {
    let (x0, y0) = (left + MARGIN, MARGIN);
    let middle = x0 + map.columns.len() * CELL / 2;
    let end = y0 + map.rows.len() * CELL / 2;
    writeln!(
        out,
        "<text x=\"{middle}\" y=\"24\" text-anchor=\"middle\" font-size=\"14\">{}</text>",
        escape(map.title)
    )?;
    writeln!(
        out,
        "<text transform=\"translate({},{end}) rotate(-90)\" text-anchor=\"middle\" font-size=\"14\">{}</text>",
        left + 14,
        escape(map.rows_title)
    )?;
    for (j, name) in map.columns.iter().enumerate() {
        let x = x0 + j * CELL + CELL / 2;
        writeln!(out, "<text x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{}</text>", y0 - 8, escape(name))?;
    }
    for (i, (name, values)) in map.rows.iter().zip(map.values).enumerate() {
        let y = y0 + i * CELL;
        writeln!(out, "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>", x0 - 8, y + CELL / 2 + 4, escape(name))?;
        for (j, &value) in values.iter().enumerate() {
            cell(out, x0 + j * CELL, y, value)?;
        }
    }
    Ok(())
}

fn cell(out: &mut String, x: usize, y: usize, value: f64) -> std::fmt::Result {
    if value.is_nan() {
        return Ok(());
    }
    let depth = value.clamp(0.0, 1.0);
    // White to dark blue.
    let channel = |from: f64, to: f64| (from + (to - from) * depth).round() as u8;
    let (r, g, b) = (channel(255.0, 8.0), channel(255.0, 48.0), channel(255.0, 107.0));
    let ink = if depth > 0.5 { "white" } else { "black" };
    writeln!(out, "<rect x=\"{x}\" y=\"{y}\" width=\"{CELL}\" height=\"{CELL}\" fill=\"rgb({r},{g},{b})\"/>")?;
    let (x, y) = (x + CELL / 2, y + CELL / 2 + 4);
    writeln!(out, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\" fill=\"{ink}\">{value:.2}</text>")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_and_name_is_drawn() {
        let (rows, columns) = (vec!["U1".to_owned()], vec!["U1".to_owned(), "<2>".to_owned()]);
        let values = vec![vec![0.123, f64::NAN]];
        let map = HeatMap { title: "a & b", rows_title: "a", rows: &rows, columns: &columns, values: &values };
        let text = svg(&[map]);
        for part in ["a &amp; b", "&lt;2&gt;", ">0.12<", "<svg", "</svg>"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("NaN"));
        assert_eq!(text.matches("<rect").count(), 2, "the background and one cell");
    }
}
