//! Times the search for neighbours: `cargo run --release --workspace --example neighbors -- FILE CUTOFF [SECONDS] [EDGES]`.
//!
//! Prints as JSON the median time of drawing the graph of the first system, and of bringing a list with a skin of 0.5 Å up to date after
//! atoms have moved by 0.01 Å. `EDGES` names a file for the edges: target, source and three shifts of each, as little-endian i32.
//! Threads by `RAYON_NUM_THREADS`.
#![allow(clippy::print_stdout, reason = "a program of its own")]

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use potstill_core::graph::{GraphRule, NeighborList, Neighbors};
use potstill_data::io::{LabelKeys, read};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [file, cutoff, ..] = &args[..] else { return Err("usage: neighbors FILE CUTOFF [SECONDS] [EDGES]".into()) };
    let seconds: f64 = args.get(2).map_or(Ok(1.0), |text| text.parse())?;
    let mut system = read(Path::new(file), &LabelKeys::default())?.next().ok_or("the file holds no system")??;
    let rule = GraphRule { cutoff: cutoff.parse()?, neighbors: Neighbors::All, symmetric: false };
    let graph = rule.build(&[&system])?;
    if let Some(path) = args.get(3) {
        let ends = graph.target.iter().zip(&graph.source).zip(&graph.shifts);
        let numbers = ends.flat_map(|((&t, &s), n)| [t as i32, s as i32, n[0], n[1], n[2]]);
        std::fs::write(path, numbers.flat_map(i32::to_le_bytes).collect::<Vec<u8>>())?;
    }
    let drawn = median(seconds, || rule.build(&[&system]).map(drop))?;
    let mut list = NeighborList::new(rule, 0.5);
    let mut step = 0;
    let updated = median(seconds, || {
        step += 1;
        for (k, x) in system.positions.iter_mut().flatten().enumerate() {
            *x += if (k + step) % 2 == 0 { 0.01 } else { -0.01 };
        }
        list.update(&[&system])
    })?;
    println!("{{\"edges\": {}, \"ms\": {drawn:.4}, \"ms_update\": {updated:.4}}}", graph.n_edges());
    Ok(())
}

/// In ms.
fn median(seconds: f64, mut work: impl FnMut() -> potstill_core::Result<()>) -> potstill_core::Result<f64> {
    let (begin, mut times) = (Instant::now(), Vec::new());
    while times.len() < 5 || begin.elapsed().as_secs_f64() < seconds {
        let start = Instant::now();
        work()?;
        times.push(1e3 * start.elapsed().as_secs_f64());
    }
    times.sort_unstable_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}
