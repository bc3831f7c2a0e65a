//! Building neighbour graphs: a batch of molecules, periodic boxes of growing size, and GemNet-OC's lists of a slab.
//!
//! `cargo bench -p potstill-core --bench graph`; criterion's `elem/s` are edges (of the slab: quadruplets) per second.
//! `RAYON_NUM_THREADS=1` measures one thread.

#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use potstill_core::graph::gemnet::{GemNetGraph, GemNetRule};
use potstill_core::graph::{Graph, GraphRule, Neighbors};
use potstill_core::system::{System, Vec3};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn rule(cutoff: f64, neighbors: Neighbors) -> GraphRule {
    GraphRule { cutoff, neighbors, symmetric: true }
}

/// Points of a jittered grid: random, but no two at one place.
fn jittered(n: usize, spacing: f64, rng: &mut ChaCha8Rng) -> (Vec<Vec3>, f64) {
    let side = (n as f64).cbrt().ceil() as usize;
    let at = |i: usize, rng: &mut ChaCha8Rng| (i as f64 + rng.random_range(0.0..0.8)) * spacing;
    let positions = (0..n).map(|i| [at(i / (side * side), rng), at(i / side % side, rng), at(i % side, rng)]).collect();
    (positions, side as f64 * spacing)
}

/// A system of hydrogen, in a cube if it has a length.
fn hydrogens(positions: Vec<Vec3>, length: Option<f64>) -> System {
    let cell = length.map(|l| [[l, 0.0, 0.0], [0.0, l, 0.0], [0.0, 0.0, l]]);
    System {
        atomic_numbers: vec![1; positions.len()],
        positions,
        cell,
        pbc: [length.is_some(); 3],
        ..System::default()
    }
}

/// Fills the box in random order, as after long dynamics: neighbours lie far apart in memory.
fn shuffled_box(n: usize, rng: &mut ChaCha8Rng) -> System {
    // 50 neighbours within 5 Å.
    let density = 50.0 / (4.0 / 3.0 * std::f64::consts::PI * 125.0);
    let (mut positions, length) = jittered(n, (1.0f64 / density).cbrt(), rng);
    for i in (1..n).rev() {
        positions.swap(i, rng.random_range(0..=i));
    }
    hydrogens(positions, Some(length))
}

fn molecules(c: &mut Criterion) {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let systems: Vec<System> = (0..32).map(|_| hydrogens(jittered(11, 1.5, &mut rng).0, None)).collect();
    let batch: Vec<&System> = systems.iter().collect();
    let rule = rule(12.0, Neighbors::All);
    let singles: Vec<Graph> = batch.iter().map(|s| rule.build(&[s]).expect("valid")).collect();
    let mut group = c.benchmark_group("32 molecules of 11 atoms, 12 Å");
    group.throughput(Throughput::Elements(singles.iter().map(|g| g.n_edges() as u64).sum()));
    group.bench_function("build", |b| b.iter(|| rule.build(black_box(&batch)).expect("valid")));
    let singles: Vec<&Graph> = singles.iter().collect();
    group.bench_function("concatenate", |b| b.iter(|| Graph::concatenate(black_box(&singles))));
    group.finish();
}

fn boxes(c: &mut Criterion) {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut group = c.benchmark_group("periodic box, 50 neighbours within 5 Å");
    group.sample_size(10);
    for n in [1_000, 10_000, 100_000] {
        let system = shuffled_box(n, &mut rng);
        let rules = [("all", rule(5.0, Neighbors::All)), ("nearest 30", rule(5.0, Neighbors::Nearest(30)))];
        for (name, rule) in rules {
            let graph = rule.build(&[&system]).expect("valid");
            group.throughput(Throughput::Elements(graph.n_edges() as u64));
            group.bench_with_input(BenchmarkId::new(name, n), &system, |b, system| {
                b.iter(|| rule.build(black_box(&[system])).expect("valid"));
            });
            if name == "all" {
                group.bench_function(BenchmarkId::new("reverse edges", n), |b| b.iter(|| graph.reverse_edges()));
            }
        }
    }
    group.finish();
}

/// Four layers of 5 × 4 atoms, rattled, periodic along the surface.
fn slab(rng: &mut ChaCha8Rng) -> System {
    let spacing = 2.6;
    let at = |i: usize, rng: &mut ChaCha8Rng| i as f64 * spacing + rng.random_range(-0.1..0.1);
    let positions = (0..80).map(|i| [at(i % 5, rng), at(i / 5 % 4, rng), at(i / 20, rng)]).collect();
    let cell = Some([[5.0 * spacing, 0.0, 0.0], [0.0, 4.0 * spacing, 0.0], [0.0, 0.0, 30.0]]);
    System { cell, pbc: [true, true, false], ..hydrogens(positions, None) }
}

fn gemnet(c: &mut Criterion) {
    let system = slab(&mut ChaCha8Rng::seed_from_u64(3));
    let rule = GemNetRule {
        cutoff: 12.0,
        cutoff_qint: 12.0,
        cutoff_aeaint: 12.0,
        cutoff_aint: 12.0,
        max_neighbors: Neighbors::Nearest(30),
        max_neighbors_qint: Neighbors::Nearest(8),
        max_neighbors_aeaint: Neighbors::Nearest(20),
        max_neighbors_aint: Neighbors::Nearest(1000),
        qint_tags: vec![1, 2],
        quad: true,
        atom_edge: true,
        edge_atom: true,
        atom_atom: true,
    };
    let without_lists = GemNetRule { quad: false, atom_edge: false, edge_atom: false, cutoff: 1e-3, ..rule.clone() };
    let graph = rule.build(&[&system]).expect("valid");
    let mut group = c.benchmark_group("GemNet-OC, slab of 80 atoms, 12 Å");
    group.sample_size(10);
    group.throughput(Throughput::Elements(graph.quadruplets.as_ref().map_or(0, |q| q.len() as u64)));
    group.bench_function("edges, triplets, quadruplets", |b| {
        b.iter(|| rule.build(black_box(&[&system])).expect("valid"))
    });
    group.bench_function("edges between atoms alone", |b| {
        b.iter(|| without_lists.build(black_box(&[&system])).expect("valid"));
    });
    group.bench_function("angles", |b| b.iter(|| black_box(&graph).angles()));
    group.bench_function("concatenate four", |b| b.iter(|| GemNetGraph::concatenate(black_box(&[&graph; 4]))));
    group.finish();
}

criterion_group!(benches, molecules, boxes, gemnet);
criterion_main!(benches);
