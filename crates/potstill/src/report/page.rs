//! The page and its parts.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::{Context, Result};
use potstill_core::metrics::{EFWT_ENERGY, EFWT_FORCE, Metrics};

use super::chart::{self, Drawing};
use super::escape::escape;
use super::series::{Series, colour, hex};
use super::table::{COLUMNS, MISSING, NO_GAP, cells, gap_text, grouped, milli, numbers};
use super::{Bars, Curve, Gap, ModelRow, Parity, Plot, Report, bars};

/// The whole page.
pub(super) fn page(report: &Report) -> Result<String> {
    let title = escape(&report.title);
    let body = [
        summary(&report.summary),
        if report.table.is_empty() { results(&report.rows) } else { whole_table("Results", &report.table) },
        report.tables.iter().map(|(heading, rows)| whole_table(heading, rows)).collect(),
        gap(report),
        gaps(&report.gaps),
        figures("Accuracy and speed", &report.comparisons, plot)?,
        figures("Learning curves", &report.plots, plot)?,
        figures("Distances between atoms", &report.distributions, plot)?,
        figures("Predictions and references", &report.parities, parity)?,
        heat_maps(&report.heat_maps),
        details(report),
    ]
    .concat();
    Ok(format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>\n{}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n{body}</main>\n</body>\n</html>\n",
        include_str!("style.css")
    ))
}

fn summary(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let paragraphs = text.split("\n\n").map(str::trim).filter(|p| !p.is_empty());
    paragraphs.map(|p| format!("<p class=\"summary\">{}</p>\n", escape(p))).collect()
}

/// The table of models, with a line on what the errors are of.
fn results(rows: &[ModelRow]) -> String {
    let mut html = "<section>\n<h2>Models</h2>\n".to_owned();
    if rows.is_empty() {
        return html + "<p class=\"empty\">no data</p>\n</section>\n";
    }
    let header = COLUMNS.map(|(what, unit)| match unit {
        "" => what.to_owned(),
        unit => format!("{what}<br><small>{unit}</small>"),
    });
    let body = cells(rows).into_iter().map(|row| row.map(|cell| escape(&cell)).to_vec());
    html += &html_table(&header, body);
    html += &note(rows);
    html + "</section>\n"
}

/// A table of text; its first row holds the headings.
fn whole_table(heading: &str, rows: &[Vec<String>]) -> String {
    let mut rows = rows.iter().map(|row| row.iter().map(|cell| escape(cell)).collect::<Vec<_>>());
    let header = rows.next().unwrap_or_default();
    format!("<section>\n<h2>{}</h2>\n{}</section>\n", escape(heading), html_table(&header, rows))
}

/// A table of cells that are HTML already; the first of each row is its heading.
fn html_table(header: &[String], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut html = "<div class=\"wide\"><table>\n<thead><tr>".to_owned();
    html.extend(header.iter().map(|cell| format!("<th scope=\"col\">{cell}</th>")));
    html += "</tr></thead>\n<tbody>\n";
    for row in rows {
        let mut row = row.into_iter();
        html += &format!("<tr><th scope=\"row\">{}</th>", row.next().unwrap_or_default());
        html.extend(row.map(|cell| format!("<td>{cell}</td>")));
        html += "</tr>\n";
    }
    html + "</tbody>\n</table></div>\n"
}

fn note(rows: &[ModelRow]) -> String {
    let counts: BTreeSet<_> = rows.iter().map(|r| (r.metrics.n_systems, r.metrics.n_atoms)).collect();
    let mut text = "<p class=\"note\">".to_owned();
    if let (1, Some((systems, atoms))) = (counts.len(), counts.first()) {
        let _ = write!(text, "Errors on {} systems with {} atoms in all. ", grouped(*systems), grouped(*atoms));
    }
    let _ = writeln!(
        text,
        "MAE: mean absolute error; of forces, over components. EFwT: share of systems whose energy is within {:.0} meV \
         and every force component within {:.0} meV/Å of the label. {MISSING}: not known.</p>",
        milli(EFWT_ENERGY),
        milli(EFWT_FORCE)
    );
    text
}

/// Two bars from nothing to the whole gap for each way of distillation.
fn gap(report: &Report) -> String {
    if report.gaps_closed.is_empty() {
        return String::new();
    }
    let one = |gap: &Gap| match gap.percent {
        Some((energy, forces)) => format!(
            "<h3>By {}</h3>\n<div class=\"gaps\">\n{}{}</div>\n",
            escape(&gap.name),
            bar("Energy", energy),
            bar("Forces", forces)
        ),
        None => format!("<h3>By {}</h3>\n<p>{NO_GAP}</p>\n", escape(&gap.name)),
    };
    let content: String = report.gaps_closed.iter().map(one).collect();
    format!(
        "<section>\n<h2>Gap closed by distillation</h2>\n{content}\
         <p class=\"note\">0 %: as the student trained alone. 100 %: as the teacher.</p>\n</section>\n"
    )
}

/// Section with the gaps closed by many runs, each with an error.
fn gaps(gaps: &[Bars]) -> String {
    if gaps.is_empty() {
        return String::new();
    }
    let figures: String = gaps.iter().map(bars::html).collect();
    format!(
        "<section>\n<h2>Gap closed by distillation</h2>\n<div class=\"figures\">\n{figures}</div>\n\
         <p class=\"note\">0 %: as the student trained alone. 100 %: as the teacher. Lines: standard errors.</p>\n</section>\n"
    )
}

/// Drawings that are made elsewhere, as wide as they are.
fn heat_maps(maps: &[(String, String)]) -> String {
    if maps.is_empty() {
        return String::new();
    }
    let map = |(title, svg): &(String, String)| {
        // Within a page the name of the language is not needed.
        let svg = svg.replace(" xmlns=\"http://www.w3.org/2000/svg\"", "");
        format!("<h3>{}</h3>\n<div class=\"wide maps\">{svg}</div>\n", escape(title))
    };
    let maps: String = maps.iter().map(map).collect();
    format!(
        "<section>\n<h2>Similarity of features</h2>\n{maps}<p class=\"note\">Linear centred kernel alignment: 1 where one is \
         the other but for rotation and scale.</p>\n</section>\n"
    )
}

fn bar(name: &str, percent: f64) -> String {
    let width = if percent.is_finite() { percent.clamp(0.0, 100.0) } else { 0.0 };
    format!(
        "<span>{name}</span><svg viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <rect width=\"100\" height=\"10\" fill=\"#DDDDDD\"/>\
         <rect width=\"{width:.2}\" height=\"10\" fill=\"{}\"/></svg><span>{}</span>\n",
        hex(colour(2)),
        gap_text(percent).replace('-', "−")
    )
}

/// A section of drawings; nothing at all without any.
fn figures<T>(heading: &str, items: &[T], figure: fn(&T) -> Result<String>) -> Result<String> {
    if items.is_empty() {
        return Ok(String::new());
    }
    let figures = items.iter().map(figure).collect::<Result<String>>()?;
    Ok(format!("<section>\n<h2>{heading}</h2>\n<div class=\"figures\">\n{figures}</div>\n</section>\n"))
}

fn plot(plot: &Plot) -> Result<String> {
    let drawing = chart::lines(plot).with_context(|| format!("report: plot `{}` cannot be drawn", plot.title))?;
    Ok(figure(&plot.title, &plot.curves, &drawing, |colour| line(colour, 4), ""))
}

fn parity(parity: &Parity) -> Result<String> {
    let drawing = chart::parity(parity).with_context(|| format!("report: plot `{}` cannot be drawn", parity.title))?;
    let diagonal = legend_entry(&line("#222222", 2), "equal");
    let diagonal = if drawing.svg.is_some() { &diagonal } else { "" };
    let dot = |colour: &str| format!("<circle cx=\"32\" cy=\"10\" r=\"8\" fill=\"{colour}\"/>");
    Ok(figure(&parity.title, &parity.series, &drawing, dot, diagonal))
}

fn line(colour: &str, width: u32) -> String {
    format!("<line x1=\"2\" y1=\"10\" x2=\"62\" y2=\"10\" stroke=\"{colour}\" stroke-width=\"{width}\"/>")
}

/// A drawing with title and legend: an entry for each curve, then `last`.
fn figure(title: &str, curves: &[Curve], drawing: &Drawing, key: fn(&str) -> String, last: &str) -> String {
    let entry = |(i, (curve, series)): (usize, (&Curve, &Series))| {
        legend_entry(&key(&hex(colour(i))), &(escape(&curve.name) + &remark(series)))
    };
    let entries: String = curves.iter().zip(&drawing.series).enumerate().map(entry).collect();
    let svg = drawing.svg.as_deref().unwrap_or("<p class=\"empty\">no data</p>\n");
    format!(
        "<figure>\n<figcaption>{}</figcaption>\n<ul class=\"legend\">{entries}{last}</ul>\n{svg}</figure>\n",
        escape(title)
    )
}

fn legend_entry(key: &str, text: &str) -> String {
    format!("<li><svg class=\"key\" viewBox=\"0 0 64 20\" aria-hidden=\"true\">{key}</svg>{text}</li>")
}

/// Remark in the legend on a series that is not drawn whole.
fn remark(series: &Series) -> String {
    match (series.points.len(), series.n_valid) {
        (0, _) => " <small>(no data)</small>".to_owned(),
        (drawn, valid) if drawn < valid => {
            format!(" <small>({} of {} points)</small>", grouped(drawn), grouped(valid))
        }
        _ => String::new(),
    }
}

/// Errors by element and by group, and where everything comes from; folded.
fn details(report: &Report) -> String {
    let elements = breakdown(&report.rows, |m| m.forces_mae_by_element.iter().map(|(k, v)| (&**k, Some(*v))).collect());
    let energies = breakdown(&report.rows, |m| m.by_group.iter().map(|(k, g)| (&**k, g.energy_mae)).collect());
    let forces = breakdown(&report.rows, |m| m.by_group.iter().map(|(k, g)| (&**k, g.forces_mae)).collect());
    let mut html: String = [
        ("Force MAE by element, meV/Å", elements),
        ("Energy MAE by group, meV", energies),
        ("Force MAE by group, meV/Å", forces),
    ]
    .into_iter()
    .filter_map(|(title, table)| Some(folded(title, &table?)))
    .collect();
    for (label, text) in &report.provenance {
        html += &folded(label, &format!("<pre>{}</pre>", escape(text)));
    }
    if html.is_empty() { html } else { format!("<section>\n<h2>Details</h2>\n{html}</section>\n") }
}

fn folded(title: &str, content: &str) -> String {
    format!("<details>\n<summary>{}</summary>\n{content}</details>\n", escape(title))
}

/// A metric of each element or group.
type Parts<'a> = Vec<(&'a str, Option<f64>)>;

/// A table of parts (elements, groups) by models, in thousandths of the unit of the metrics; `None` without any value.
fn breakdown(rows: &[ModelRow], parts: fn(&Metrics) -> Parts<'_>) -> Option<String> {
    let columns: Vec<_> = rows.iter().map(|row| parts(&row.metrics)).collect();
    columns.iter().flatten().find(|(_, value)| value.is_some())?;
    let keys: BTreeSet<&str> = columns.iter().flatten().map(|(key, _)| *key).collect();
    let value = |column: &[(&str, Option<f64>)], key| column.iter().find(|(k, _)| *k == key).and_then(|(_, v)| *v);
    let texts: Vec<Vec<String>> = columns
        .iter()
        .map(|column| numbers(&keys.iter().map(|&key| value(column, key).map(milli)).collect::<Vec<_>>()))
        .collect();
    let header: Vec<_> = std::iter::once(String::new()).chain(rows.iter().map(|r| escape(&r.name))).collect();
    let body = keys
        .iter()
        .enumerate()
        .map(|(i, key)| std::iter::once(escape(key)).chain(texts.iter().map(|column| column[i].clone())).collect());
    Some(html_table(&header, body))
}
