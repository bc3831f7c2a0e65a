//! Reading speed of one file: `cargo run --release --workspace --example read_speed -- FILE [REPEATS]`.
//!
//! Prints the best of the repeats, in MB (10^6 bytes) of the file per second; plain files measure the parser.
#![allow(clippy::print_stdout, reason = "a program of its own")]

use std::path::Path;
use std::time::Instant;

use potstill_data::io::{LabelKeys, read};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let file = args.next().ok_or("usage: read_speed FILE [REPEATS]")?;
    let repeats: usize = args.next().map_or(Ok(5), |n| n.parse())?;
    let megabytes = std::fs::metadata(&file)?.len() as f64 / 1e6;
    let (mut best, mut n_systems, mut n_atoms) = (f64::INFINITY, 0, 0);
    for _ in 0..repeats.max(1) {
        let start = Instant::now();
        (n_systems, n_atoms) = (0, 0);
        for system in read(Path::new(&file), &LabelKeys::default())? {
            n_systems += 1;
            n_atoms += system?.n_atoms();
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!("{n_systems} systems, {n_atoms} atoms, {megabytes:.1} MB: {:.0} MB/s", megabytes / best);
    Ok(())
}
