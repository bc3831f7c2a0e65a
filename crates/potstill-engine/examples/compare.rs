//! Compares an engine with predictions in a file: `compare MODEL REFERENCE [N]`.
use std::path::Path;
use std::time::Instant;

use potstill_core::io::{LabelKeys, read};
use potstill_core::{Potential, System};
use potstill_engine::{Engine, FilterChoice, Number};

fn check<T: Number>(model: &str, systems: &[System], filters: FilterChoice, name: &str) {
    let start = Instant::now();
    let engine = Engine::<T>::load(Path::new(model), filters).unwrap();
    let loaded = start.elapsed().as_secs_f64();
    let all: Vec<&System> = systems.iter().collect();
    let (mut de, mut df, mut ff) = (0.0_f64, 0.0, 0.0);
    for chunk in all.chunks(32) {
        let p = engine.evaluate(chunk).unwrap();
        let mut first = 0;
        for (k, s) in chunk.iter().enumerate() {
            de = de.max((p.energy[k] - s.energy.unwrap()).abs() / s.n_atoms() as f64);
            for (a, b) in p.forces[first..first + s.n_atoms()].iter().zip(s.forces.as_ref().unwrap()) {
                for c in 0..3 {
                    df += (a[c] - b[c]).powi(2);
                    ff += b[c] * b[c];
                }
            }
            first += s.n_atoms();
        }
    }
    let chunk = &all[..32.min(all.len())];
    let start = Instant::now();
    let mut n = 0;
    while n < 3 || start.elapsed().as_secs_f64() < 1.0 {
        engine.evaluate(chunk).unwrap();
        n += 1;
    }
    let batch = start.elapsed().as_secs_f64() / f64::from(n);
    println!(
        "{name}: load {loaded:.2} s, segments {:?}, energy {de:.1e} eV/atom, forces {:.1e}; {:.3} ms for {} systems",
        engine.n_segments(),
        (df / ff).sqrt(),
        1e3 * batch,
        chunk.len()
    );
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let n: usize = args.get(3).map_or(200, |n| n.parse().unwrap());
    let systems: Vec<System> =
        read(Path::new(&args[2]), &LabelKeys::default()).unwrap().take(n).collect::<Result<_, _>>().unwrap();
    check::<f64>(&args[1], &systems, FilterChoice::Exact, "f64 exact");
    check::<f64>(&args[1], &systems, FilterChoice::default(), "f64 table");
    check::<f32>(&args[1], &systems, FilterChoice::Exact, "f32 exact");
    check::<f32>(&args[1], &systems, FilterChoice::default(), "f32 table");
}
