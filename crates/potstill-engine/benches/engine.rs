//! Energies and forces of molecules and periodic boxes: `cargo bench -p potstill-engine`; criterion's `elem/s` are atoms per second.
//! `RAYON_NUM_THREADS=1` measures one thread. Weights are random, sizes those of the COLL settings, the cutoff is 6 Å.

#![allow(missing_docs, reason = "criterion's macros make public functions")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use potstill_core::model::{Architecture, PaiNNConfig, SchNetConfig};
use potstill_core::{Potential, System};
use potstill_engine::{Engine, FilterChoice};
use potstill_testkit::systems::molecule;
use rand::{RngExt, SeedableRng};

/// About fifty neighbours within 6 Å.
fn boxed(side: usize) -> System {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    let spacing = (4.0 / 3.0 * std::f64::consts::PI * 216.0_f64 / 50.0).cbrt();
    let n = side * side * side;
    let place = |i: usize| [i / (side * side), i / side % side, i % side];
    let positions = (0..n).map(|i| place(i).map(|x| spacing * (x as f64 + rng.random_range(-0.1..0.1)))).collect();
    let length = spacing * side as f64;
    System {
        atomic_numbers: (0..n).map(|i| [1, 6, 8][i % 3]).collect(),
        positions,
        cell: Some([[length, 0.0, 0.0], [0.0, length, 0.0], [0.0, 0.0, length]]),
        pbc: [true; 3],
        ..System::default()
    }
}

fn engines(c: &mut Criterion) {
    let place = tempfile::tempdir().expect("a temporary folder");
    let path = place.path().join("model.safetensors");
    let works = [
        ("molecule", vec![molecule(21, 1)]),
        ("32 molecules", (0..32).map(|k| molecule(13, k)).collect()),
        ("box of 1,000 atoms", vec![boxed(10)]),
    ];
    for (name, architecture) in [
        ("SchNet 128×6", Architecture::SchNet(SchNetConfig { cutoff: 6.0, ..SchNetConfig::default() })),
        ("PaiNN 128×4", Architecture::PaiNN(PaiNNConfig { cutoff: 6.0, ..PaiNNConfig::default() })),
    ] {
        support::save(&path, architecture, 0.0);
        let engine = Engine::<f32>::load(&path, FilterChoice::default()).expect("a model that was just saved");
        let mut group = c.benchmark_group(name);
        for (work, systems) in &works {
            let all: Vec<&System> = systems.iter().collect();
            group.throughput(Throughput::Elements(systems.iter().map(|s| s.n_atoms() as u64).sum()));
            group.bench_function(BenchmarkId::from_parameter(work), |b| {
                b.iter(|| engine.evaluate(black_box(&all)).expect("valid systems"));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, engines);
criterion_main!(benches);
