//! The page.

use anyhow::Result;

use super::table::{HEADINGS, cells, describe_gap};
use super::{Report, plot};

const STYLE: &str = "
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 1180px; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a; background: #fff; }
h1 { font-size: 1.7rem; margin-bottom: .3rem; } h2 { font-size: 1.2rem; margin-top: 2rem; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .8rem; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; }
.plots { display: flex; flex-wrap: wrap; gap: 1rem; } figure { margin: 0; } figcaption { font-weight: 600; }
figure svg { max-width: 100%; height: auto; }
.bar { display: flex; align-items: center; gap: .6rem; margin: .3rem 0; } .bar span:first-child { width: 5rem; }
.track { width: 320px; height: 14px; background: #e6e6e6; border-radius: 7px; overflow: hidden; }
.fill { height: 100%; background: #009e73; }
pre { background: #f6f6f6; padding: 1rem; overflow-x: auto; font-size: .85rem; } .none { color: #666; }
";

/// Text that HTML takes literally.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

impl Report {
    /// The whole page.
    ///
    /// # Errors
    /// A plot that cannot be drawn.
    pub fn to_html(&self) -> Result<String> {
        let mut body = format!("<h1>{}</h1>\n<p>{}</p>\n", escape(&self.title), escape(&self.summary));
        body += &self.table();
        body += &self.gap();
        body += "<h2>Learning curves</h2>\n<div class=\"plots\">\n";
        for plot in &self.plots {
            body += &figure(&plot.title, &plot::lines(plot)?);
        }
        body += "</div>\n<h2>Predicted against reference</h2>\n<div class=\"plots\">\n";
        for parity in &self.parities {
            body += &figure(&parity.title, &plot::parity(parity)?);
        }
        body += "</div>\n<h2>Where the numbers come from</h2>\n";
        for (label, text) in &self.provenance {
            body += &format!("<details><summary>{}</summary><pre>{}</pre></details>\n", escape(label), escape(text));
        }
        let title = escape(&self.title);
        Ok(format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n<style>{STYLE}</style></head>\n<body>\n{body}</body></html>\n"
        ))
    }

    fn table(&self) -> String {
        let heads: String = HEADINGS.iter().map(|h| format!("<th>{}</th>", escape(h))).collect();
        let row = |cells: [String; 8]| {
            let cells: String = cells.iter().map(|c| format!("<td>{}</td>", escape(c))).collect();
            format!("<tr>{cells}</tr>\n")
        };
        let rows: String = self.rows.iter().map(|r| row(cells(r))).collect();
        format!("<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody></table>\n")
    }

    fn gap(&self) -> String {
        let words = format!("<p>{}</p>\n", escape(&describe_gap(self.gap_closed)));
        let Some((energy, forces)) = self.gap_closed else { return words };
        let bar = |name: &str, value: f64| {
            let width = value.clamp(0.0, 100.0);
            format!(
                "<div class=\"bar\"><span>{name}</span><div class=\"track\"><div class=\"fill\" style=\"width:{width:.1}%\"></div></div>\
                 <span>{value:.1} %</span></div>\n"
            )
        };
        format!(
            "<h2>Gap between student and teacher that distillation closes</h2>\n{}{}{words}",
            bar("energy", energy),
            bar("forces", forces)
        )
    }
}

fn figure(title: &str, svg: &str) -> String {
    format!("<figure><figcaption>{}</figcaption>\n{svg}</figure>\n", escape(title))
}

#[cfg(test)]
mod tests {
    use potstill_core::metrics::Evaluator;

    use super::super::{Curve, ModelRow, Parity, Plot, table};
    use super::*;

    fn report(points: Vec<(f64, f64)>) -> Report {
        let curve = Curve { name: "<b>".to_owned(), points };
        let metrics = Evaluator::new().finish();
        let row = ModelRow { name: "a & b".to_owned(), n_parameters: 7, metrics, systems_per_second: 3.0 };
        Report {
            title: "t <script>".to_owned(),
            summary: "s".to_owned(),
            rows: vec![row],
            gap_closed: Some((120.0, -3.0)),
            plots: [true, false]
                .map(|log_y| Plot {
                    title: "p".to_owned(),
                    x_label: "x".to_owned(),
                    y_label: "y".to_owned(),
                    log_y,
                    curves: vec![curve.clone()],
                })
                .to_vec(),
            parities: vec![Parity {
                title: "q".to_owned(),
                x_label: "x".to_owned(),
                y_label: "y".to_owned(),
                series: vec![curve],
            }],
            provenance: vec![("label".to_owned(), "a < b".to_owned())],
        }
    }

    #[test]
    fn nothing_is_taken_for_markup_and_nothing_is_fetched() {
        let html = report(vec![(0.0, 1.0), (1.0, 0.1), (2.0, f64::NAN)]).to_html().unwrap();
        assert!(!html.contains("<script") && !html.contains("<b>"));
        assert!(html.contains("a &amp; b") && html.contains("a &lt; b"));
        assert!(html.contains("-3.0 % (worse than without a teacher)"));
        let fetched = html.replace("http://www.w3.org/2000/svg", "");
        assert!(!fetched.contains("http://") && !fetched.contains("https://"));
        assert_eq!(html.matches("<svg").count(), 3);
    }

    #[test]
    fn without_points_it_says_so() {
        for points in [vec![], vec![(f64::NAN, 1.0)]] {
            assert_eq!(report(points).to_html().unwrap().matches("no data").count(), 3);
        }
        assert!(report(vec![(1.0, 1.0)]).to_html().is_ok());
    }

    #[test]
    fn columns_line_up() {
        let text = table(&report(Vec::new()).rows, None);
        let widths: Vec<usize> = text.lines().take(2).map(|line| line.chars().count()).collect();
        assert_eq!(widths[0], widths[1]);
        assert!(text.contains("not defined"));
    }
}
