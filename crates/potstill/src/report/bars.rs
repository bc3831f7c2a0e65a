//! Bars with errors, from a common zero.

use super::escape::escape;
use super::series::{colour, hex};
use super::table::MISSING;

/// A number with a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// Name of the bar.
    pub name: String,
    /// Length of the bar.
    pub value: f64,
    /// Standard error, where it is known.
    pub error: Option<f64>,
}

/// Bars below each other on one scale.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bars {
    /// Heading of the drawing.
    pub title: String,
    /// Unit behind each number.
    pub unit: String,
    /// Bars from top to bottom; those that are not finite have a name and no length.
    pub bars: Vec<Bar>,
}

/// Least length of the positive side, so that next to nothing does not look like much.
const SMALLEST: f64 = 1.0;
/// Width of the drawing in its own units.
const WIDTH: f64 = 100.0;

/// The bars as part of a page.
pub(super) fn html(bars: &Bars) -> String {
    let known = || bars.bars.iter().filter(|bar| bar.value.is_finite());
    let ends = || known().flat_map(|bar| [-1.0, 1.0].map(|sign| bar.value + sign * bar.error.unwrap_or(0.0)));
    let (low, high) = (ends().fold(0.0, f64::min), ends().fold(SMALLEST, f64::max));
    let position = |value: f64| WIDTH * (value - low) / (high - low);
    let mut html = format!("<figure class=\"bars\">\n<figcaption>{}</figcaption>\n", escape(&bars.title));
    if bars.bars.is_empty() {
        return html + "<p class=\"empty\">no data</p>\n</figure>\n";
    }
    html += "<div class=\"gaps\">\n";
    for bar in &bars.bars {
        let zero = position(0.0);
        let mut svg = format!("<line x1=\"{zero:.2}\" x2=\"{zero:.2}\" y1=\"0\" y2=\"10\" stroke=\"#222222\"/>");
        let mut text = MISSING.to_owned();
        if bar.value.is_finite() {
            let (from, to) = (position(bar.value.min(0.0)), position(bar.value.max(0.0)));
            // Worse than nothing is another colour.
            let fill = hex(colour(if bar.value < 0.0 { 1 } else { 2 }));
            svg =
                format!("<rect x=\"{from:.2}\" y=\"1\" width=\"{:.2}\" height=\"8\" fill=\"{fill}\"/>{svg}", to - from);
            text = format!("{:.1}", bar.value);
            if let Some(error) = bar.error {
                let [from, to] = [bar.value - error, bar.value + error].map(position);
                svg += &format!("<line x1=\"{from:.2}\" x2=\"{to:.2}\" y1=\"5\" y2=\"5\" stroke=\"#222222\"/>");
                text += &format!(" ± {error:.1}");
            }
            text = format!("{text} {}", bars.unit).replace('-', "−");
        }
        html += &format!(
            "<span>{}</span><svg viewBox=\"0 0 {WIDTH} 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">{svg}</svg>\
             <span>{}</span>\n",
            escape(&bar.name),
            escape(text.trim_end())
        );
    }
    html + "</div>\n</figure>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_start_at_zero_on_either_side() {
        let bar = |value: f64, error| Bar { name: "a<b".to_owned(), value, error };
        let bars = vec![bar(30.0, Some(10.0)), bar(-10.0, None), bar(f64::NAN, None)];
        let text = html(&Bars { title: "Gap".to_owned(), unit: "%".to_owned(), bars });
        // From −10 to 40: zero at a fifth.
        for part in [
            "<rect x=\"20.00\" y=\"1\" width=\"60.00\"",
            "<line x1=\"60.00\" x2=\"100.00\"",
            "<rect x=\"0.00\" y=\"1\" width=\"20.00\" height=\"8\" fill=\"#D55E00\"",
            "30.0 ± 10.0 %",
            "−10.0 %",
            "a&lt;b",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("NaN"));
    }
}
