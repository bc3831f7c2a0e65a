//! Reading systems in any order: `cargo run --release --workspace --example stored_speed -- FILE [SYSTEMS]`.
//!
//! Prints the time of a first pass that makes the index, of opening with the index, and the rate of reading systems at
//! random places.
#![allow(clippy::print_stdout, reason = "a program of its own")]

use std::path::Path;
use std::time::Instant;

use potstill_data::io::LabelKeys;
use potstill_data::io::stored::StoredFile;
use rand::{RngExt, SeedableRng};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let file = args.next().ok_or("usage: stored_speed FILE [SYSTEMS]")?;
    let wanted: usize = args.next().map_or(Ok(20_000), |n| n.parse())?;
    let open = || StoredFile::open(Path::new(&file), &LabelKeys::default(), None, &|_| {});
    let start = Instant::now();
    let n = open()?.len();
    let first = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let stored = open()?;
    let again = start.elapsed().as_secs_f64();
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(0);
    let start = Instant::now();
    let mut n_atoms = 0;
    for _ in 0..wanted {
        n_atoms += stored.get(rng.random_range(0..n))?.n_atoms();
    }
    let rate = wanted as f64 / start.elapsed().as_secs_f64();
    println!(
        "{n} systems: first opening {first:.2} s, with the index {again:.4} s; at random {rate:.0} systems/s ({n_atoms} atoms)"
    );
    Ok(())
}
