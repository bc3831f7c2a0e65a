//! Several systems in a message.

use potstill_core::{Potential, System};
use potstill_engine::{Engine, FilterChoice};
use potstill_ipi::{AtomicUnits, Options};

use crate::potentials::{Springs, shipped, water};
use crate::server::pair;

const CELL: [[f64; 3]; 3] = [[30.0, 0.0, 0.0], [0.0, 30.0, 0.0], [0.0, 0.0, 30.0]];

#[test]
fn beads_are_one_batch_and_repetitions_are_left_out() {
    let potential = Springs::leaked();
    let template = System { pbc: [true; 3], cell: Some(CELL), ..water() };
    let units = AtomicUnits { bohr: 1.0, hartree: 1.0 };
    let (mut server, driver) = pair(potential, &template, Options { units, ..Options::default() });
    assert_eq!(server.status(), "NEEDINIT");
    server.init(b"batch_size : 2 , , batch_size:4");
    assert_eq!(server.status(), "READY");
    let beads: Vec<_> = [1.0, 2.0, 3.0, 3.0].map(|x| vec![[x, 0.0, 0.0]; 3]).to_vec();
    let cells = [20.0, 21.0, 22.0, 22.0].map(|edge| [[edge, 0.0, 0.0], [1.0, edge, 0.0], [0.0, 0.0, edge]]);
    server.batch(&cells, &beads);
    let answers = server.forces(4);
    let energies: Vec<f64> = answers.iter().map(|answer| answer.energy).collect();
    assert_eq!(energies, [1.5, 6.0, 13.5, 13.5]);
    assert_eq!(answers[1].forces, [[-2.0, 0.0, 0.0]; 3]);
    assert_eq!(answers[2], answers[3]);
    server.say("EXIT");
    let statistics = driver.join().unwrap().unwrap().statistics;
    assert_eq!((statistics.n_requests, statistics.n_systems), (1, 3));
    let batches = potential.batches();
    assert_eq!(batches.len(), 1);
    let asked: Vec<_> = batches[0].iter().map(|system| system.cell.unwrap()).collect();
    assert_eq!(asked, cells[..3]);
}

#[test]
fn a_batch_has_the_numbers_of_single_systems() {
    let (model, molecule) = shipped("version-2-schnet");
    let engine: &'static Engine<f64> = Box::leak(Box::new(Engine::load(&model, FilterChoice::Exact).unwrap()));
    let (mut server, _driver) = pair(engine, &molecule, Options::default());
    let units = AtomicUnits::default();
    server.init(b"batch_size:3");
    let moved = |k: usize| {
        let mut system = molecule.clone();
        system.positions.iter_mut().enumerate().for_each(|(i, r)| r[(i + k) % 3] += 0.03 * k as f64);
        system
    };
    let systems = [0, 1, 2].map(moved);
    let in_bohr = |s: &System| s.positions.iter().map(|r| r.map(|x| x / units.bohr)).collect::<Vec<_>>();
    server.batch(&[CELL; 3], &systems.each_ref().map(in_bohr));
    for (system, answer) in systems.iter().zip(server.forces(3)) {
        let alone = engine.evaluate(&[system]).unwrap();
        let energy = answer.energy * units.hartree;
        assert!((energy - alone.energy[0]).abs() < 1e-12 * energy.abs(), "{energy} {:?}", alone.energy);
        let expected = alone.forces.as_flattened();
        let largest = expected.iter().fold(0.0_f64, |most, f| most.max(f.abs()));
        for (found, force) in answer.forces.as_flattened().iter().zip(expected) {
            let found = found * units.hartree / units.bohr;
            assert!((found - force).abs() < 1e-11 * largest, "{found} {force}");
        }
    }
}
