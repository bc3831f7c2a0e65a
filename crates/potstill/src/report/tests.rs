//! Tests of the whole page and of the table for the terminal.

use std::collections::BTreeMap;
use std::process::Command;

use potstill_core::metrics::Metrics;

use super::{Bar, Bars, Curve, Gap, ModelRow, Parity, Plot, Report, table};
use crate::heat_map::{HeatMap, svg};

const HOSTILE: &str = "<script>alert(\"x\")</script> & '\u{0}";

fn metrics(energy_mae: f64, forces_mae: f64) -> Metrics {
    let group = Metrics { energy_mae: Some(energy_mae), ..Metrics::default() };
    Metrics {
        n_systems: 1_500,
        n_atoms: 31_500,
        energy_mae: Some(energy_mae),
        energy_mae_per_atom: Some(energy_mae / 21.0),
        forces_mae: Some(forces_mae),
        forces_cos: Some(1.0 / (1.0 + 8.0 * forces_mae)),
        efwt: Some(0.02 / (1.0 + 40.0 * energy_mae)),
        forces_mae_by_element: BTreeMap::from([("C".to_owned(), 1.2 * forces_mae), ("H".to_owned(), 0.7 * forces_mae)]),
        by_group: BTreeMap::from([("in domain".to_owned(), group.clone()), ("adsorbates".to_owned(), group)]),
        ..Metrics::default()
    }
}

fn row(name: &str, n_parameters: usize, energy_mae: f64, forces_mae: f64, systems_per_second: f64) -> ModelRow {
    ModelRow { name: name.to_owned(), n_parameters, metrics: metrics(energy_mae, forces_mae), systems_per_second }
}

fn rows() -> Vec<ModelRow> {
    vec![
        row("teacher (GemNet-OC)", 30_900_000, 0.0412, 0.0151, 3.1),
        row("student alone (PaiNN)", 594_000, 0.1834, 0.0423, 412.0),
        row("student distilled (PaiNN)", 594_000, 0.1221, 0.0327, 409.4),
    ]
}

fn gaps() -> Vec<Bars> {
    let bar = |name: &str, value, error| Bar { name: name.to_owned(), value, error };
    let bars = vec![bar("node_to_node", 23.4, Some(3.1)), bar("vanilla", -4.0, Some(6.0)), bar("cka", f64::NAN, None)];
    ["energy", "force"]
        .map(|what| Bars { title: format!("{what} gap closed"), unit: "%".to_owned(), bars: bars.clone() })
        .to_vec()
}

fn heat_map() -> String {
    let names = ["U1", "U2", "U3"].map(str::to_owned);
    let values: Vec<Vec<f64>> = (0..3).map(|i| (0..3).map(|j| 0.3 * f64::from(i + j) / 1.3).collect()).collect();
    let map = HeatMap { title: "alone", rows_title: "teacher", rows: &names, columns: &names, values: &values };
    svg(&[map]).repeat(5)
}

/// Numbers between -0.5 and 0.5 that are always the same.
fn noise(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
    }
}

fn learning(name: &str, n: usize, end: f64) -> Curve {
    let mut noise = noise(n as u64 + name.len() as u64);
    let point =
        |i| (i as f64 * 20_000.0 / n as f64, (end + 600.0 / (1.0 + i as f64 * 80.0 / n as f64)) * noise().exp());
    Curve { name: name.to_owned(), points: (1..=n).map(point).collect() }
}

fn scatter(name: &str, n: usize, centre: f64, spread: f64, width: f64) -> Curve {
    let mut noise = noise(n as u64 + name.len() as u64);
    let point = |_| {
        let x = centre + spread * (noise() + noise());
        (x, x + width * (noise() + noise() + noise()))
    };
    Curve { name: name.to_owned(), points: (0..n).map(point).collect() }
}

fn sample() -> Report {
    let plot = |title: &str, y: &str, log_y, curves| Plot {
        title: title.to_owned(),
        x_label: "training step".to_owned(),
        y_label: y.to_owned(),
        log_y,
        curves,
    };
    let parity = |title: &str, unit: &str, series| Parity {
        title: title.to_owned(),
        x_label: format!("reference, {unit}"),
        y_label: format!("prediction, {unit}"),
        series,
    };
    Report {
        title: "PaiNN distilled from GemNet-OC".to_owned(),
        summary: "The student has 52 times fewer parameters than its teacher and is 132 times as fast.\n\nSettings: \
                  energies and forces of the teacher, node features of the last block."
            .to_owned(),
        rows: rows(),
        gaps_closed: vec![Gap { name: "distillation".to_owned(), percent: Some((43.1, -12.5)) }],
        table: Vec::new(),
        tables: Vec::new(),
        distributions: Vec::new(),
        comparisons: Vec::new(),
        gaps: gaps(),
        heat_maps: vec![("PaiNN: layers".to_owned(), heat_map())],
        plots: vec![
            plot(
                "Energy error, validation",
                "energy MAE, meV",
                true,
                vec![learning("alone", 20, 180.0), learning("distilled", 20, 110.0)],
            ),
            plot(
                "Training loss",
                "loss",
                false,
                vec![
                    learning("alone", 5_000, 40.0),
                    learning("distilled", 400, 20.0),
                    learning("energy term", 300, 10.0),
                    learning("force term", 300, 4.0),
                ],
            ),
        ],
        parities: vec![
            parity(
                "Energy",
                "eV",
                vec![scatter("alone", 1_500, -1_234.0, 6.0, 0.9), scatter("distilled", 1_500, -1_234.0, 6.0, 0.4)],
            ),
            parity(
                "Force components",
                "eV/Å",
                vec![scatter("alone", 31_500, 0.0, 2.0, 0.3), scatter("distilled", 31_500, 0.0, 2.0, 0.15)],
            ),
        ],
        provenance: vec![
            ("Settings".to_owned(), "seed = 7\n\n[model]\narchitecture = \"painn\"\ncutoff = 6.0  # Å".to_owned()),
            ("Environment".to_owned(), "potstill 0.1.0, 2 threads".to_owned()),
        ],
    }
}

fn html(report: &Report) -> String {
    report.to_html().unwrap()
}

#[test]
fn page_needs_nothing_from_elsewhere() {
    let page = html(&sample());
    for foreign in ["http://", "https://", "<script", "<link", "<img", "@import", "url(", "xmlns", "src="] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    for (tag, count) in
        [("<h1>", 1), ("<h2>", 7), ("<figure>", 4), ("role=\"img\"", 4), ("<table>", 3), ("<details>", 4)]
    {
        assert_eq!(page.matches(tag).count(), count, "{tag}");
    }
    for tag in ["svg", "figure", "section", "table", "tr", "details", "text", "ul", "li", "div"] {
        let opened = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
    assert!(page.contains("(2,000 of 31,500 points)") && page.contains("−12.5 % (worse than without teacher)"));
    assert!(page.len() < 2_000_000, "{}", page.len());
    assert_eq!(page, html(&sample()));
}

#[test]
fn all_text_is_escaped() {
    let curve = Curve { name: HOSTILE.to_owned(), points: vec![(0.0, 1.0), (1.0, 2.0)] };
    let text = || HOSTILE.to_owned();
    let mut row = row(HOSTILE, 1, 1.0, 1.0, 1.0);
    row.metrics.by_group.insert(text(), Metrics::default());
    row.metrics.forces_mae_by_element.insert(text(), 1.0);
    let report = Report {
        title: text(),
        summary: text(),
        rows: vec![row],
        gaps_closed: vec![Gap { name: text(), percent: None }],
        table: Vec::new(),
        tables: vec![(text(), vec![vec![text()], vec![text()]])],
        distributions: vec![Plot {
            title: text(),
            x_label: text(),
            y_label: text(),
            log_y: false,
            curves: vec![curve.clone()],
        }],
        comparisons: Vec::new(),
        gaps: vec![Bars { title: text(), unit: text(), bars: vec![Bar { name: text(), value: 1.0, error: None }] }],
        heat_maps: vec![(text(), String::new())],
        plots: vec![Plot { title: text(), x_label: text(), y_label: text(), log_y: true, curves: vec![curve.clone()] }],
        parities: vec![Parity { title: text(), x_label: text(), y_label: text(), series: vec![curve] }],
        provenance: vec![(text(), text())],
    };
    let page = html(&report);
    assert!(!page.contains("<script") && !page.contains("alert(\"") && !page.contains('\u{0}'));
    // Title and heading, summary, gap, model (in the table and two breakdowns), element, group, bars with caption, name
    // and unit, three plots with caption, description, two labels and legend each, heat map, provenance twice, another table with
    // heading, head and row.
    assert_eq!(page.matches("&lt;script&gt;").count(), 2 + 1 + 1 + 3 + 2 + 3 + 15 + 1 + 2 + 3);
}

#[test]
fn empty_and_odd_input_makes_a_page() {
    assert!(html(&Report::default()).contains("no data"));
    let points = vec![(0.0, f64::NAN), (f64::INFINITY, 1.0), (1.0, -1.0), (2.0, 0.0), (f64::MAX, f64::MAX)];
    for points in [Vec::new(), points.clone(), points[..2].to_vec(), vec![(1.0, 1.0)], vec![(1e-320, 1e-320)]] {
        for log_y in [false, true] {
            let curves = vec![Curve { name: String::new(), points: points.clone() }];
            let plot = Plot { title: String::new(), x_label: String::new(), y_label: String::new(), log_y, curves };
            let parity = Parity {
                title: String::new(),
                x_label: String::new(),
                y_label: String::new(),
                series: plot.curves.clone(),
            };
            let drawable = |x: f64, y: f64| x.abs() < 1e30 && y.is_finite() && (!log_y || y > 0.0);
            let report = Report { plots: vec![plot], ..Report::default() };
            let expected = points.iter().any(|&(x, y)| drawable(x, y));
            assert_eq!(html(&report).contains("<svg viewBox=\"0 0 960"), expected, "{points:?} {log_y}");
            let gap = Gap { name: String::new(), percent: Some((f64::NAN, f64::INFINITY)) };
            html(&Report { parities: vec![parity], gaps_closed: vec![gap], ..Report::default() });
        }
    }
}

#[test]
fn table_is_aligned() {
    let mut rows = rows();
    rows[1].metrics = Metrics::default();
    rows[1].name = "sténo\nname".to_owned();
    rows[1].systems_per_second = 0.0;
    let expected = "\
model                      parameters  energy MAE  energy MAE  force MAE  force cosine   EFwT      speed
                                              meV    meV/atom      meV/Å                    %  systems/s
teacher (GemNet-OC)        30,900,000        41.2        1.96       15.1         0.892  0.755        3.1
sténo name                    594,000           –           –          –             –      –          –
student distilled (PaiNN)     594,000       122.1        5.81       32.7         0.793  0.340      409.4
gap closed by distillation: energy 43.1 %, forces -12.5 % (worse than without teacher)
";
    let gap = |percent| [Gap { name: "distillation".to_owned(), percent }];
    let text = table(&rows, &gap(Some((43.14, -12.5))));
    assert_eq!(text + "\n", expected);
    assert_eq!(table(&[], &[]).lines().count(), 2);
    assert!(table(&rows, &gap(None)).ends_with(&format!("gap closed by distillation: {}", super::table::NO_GAP)));
}

/// Leaves a page to look at in the folder named by the variable, if it is set.
#[test]
fn sample_page_can_be_written() {
    let page = html(&sample());
    let folder = tempfile::tempdir().unwrap();
    let path = std::env::var_os("POTSTILL_SAMPLE_REPORT").map_or(folder.path().join("report.html"), Into::into);
    std::fs::write(&path, page.as_bytes()).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), page);
}

/// What a page measures of itself: requests for anything else, width beyond the window's, drawings without size, their number.
const PROBE: &str = "<script>const found = [performance.getEntriesByType('resource').length,\
     document.documentElement.scrollWidth - document.documentElement.clientWidth,\
     [...document.querySelectorAll('figure svg, .maps svg')].filter(e => !(e.getBoundingClientRect().width > 8)).length,\
     document.querySelectorAll('svg').length];\
     document.body.innerHTML = 'measured ' + found.join(' ') + ' end';</script>";

#[test]
#[ignore = "needs chromium or google-chrome: cargo xtask ci runs it where there is one"]
fn a_browser_shows_everything_without_a_network() {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let is_there = |name: &&&str| Command::new(name).arg("--version").output().is_ok();
    let browser = names.iter().find(is_there).expect("a browser");
    let page = html(&sample());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    std::fs::write(&path, page.replace("</main>", &format!("</main>{PROBE}"))).unwrap();
    for width in [1280, 420] {
        let output = Command::new(browser)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"])
            .args(["--disable-component-update", "--disable-sync", "--dump-dom"])
            .arg(format!("--window-size={width},900"))
            .arg(format!("--user-data-dir={}", folder.path().join(width.to_string()).display()))
            .arg(format!("file://{}", path.display()))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let found = text.split_once("measured ").and_then(|(_, rest)| rest.split_once(" end"));
        let (numbers, _) = found.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)));
        let found: Vec<i64> = numbers.split(' ').map(|n| n.parse().unwrap()).collect();
        let n_drawings = page.matches("<svg").count() as i64;
        assert_eq!(
            found,
            [0, 0, 0, n_drawings],
            "requests, overflow, drawings without size, drawings; at width {width}"
        );
    }
}
