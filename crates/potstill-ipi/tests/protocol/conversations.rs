//! Conversations that go well, one system a message.

use potstill_core::units::{BOHR, HARTREE};
use potstill_ipi::{AtomicUnits, End, Options};

use crate::potentials::{Springs, VIRIAL, water};
use crate::server::pair;

const CUBE: [[f64; 3]; 3] = [[20.0, 0.0, 0.0], [1.0, 21.0, 0.0], [2.0, 3.0, 22.0]];

#[test]
fn states_follow_each_other() {
    let (mut server, driver) = pair(Springs::leaked(), &water(), Options::default());
    assert_eq!(server.status(), "NEEDINIT");
    server.init(b" ");
    assert_eq!(server.status(), "READY");
    server.positions(CUBE, &[[1.0; 3]; 3]);
    assert_eq!((server.status(), server.status()), ("HAVEDATA".to_owned(), "HAVEDATA".to_owned()));
    server.forces(1);
    assert_eq!(server.status(), "READY");
    // i-PI may initialise again for another bead.
    server.init(b"seed : 3 , ");
    assert_eq!(server.status(), "READY");
    server.say("EXIT");
    let ended = driver.join().unwrap().unwrap();
    assert_eq!((ended.end, ended.statistics.n_requests, ended.statistics.n_systems), (End::Exit, 1, 1));
    assert!(server.is_closed());
}

#[test]
fn a_server_may_leave_out_status_and_init() {
    let potential = Springs::leaked();
    let (mut server, driver) = pair(potential, &water(), Options::default());
    for step in 1..=3 {
        server.positions(CUBE, &[[f64::from(step), 0.0, 0.0]; 3]);
        let answer = server.forces(1).remove(0);
        let energy = 1.5 * (f64::from(step) * BOHR).powi(2) / HARTREE;
        assert!((answer.energy - energy).abs() < 1e-14 * energy, "{} {energy}", answer.energy);
    }
    assert_eq!(server.status(), "READY");
    drop(server);
    // ASE never says EXIT.
    assert_eq!(driver.join().unwrap().unwrap().end, End::Closed);
    assert_eq!(potential.batches().len(), 3);
}

#[test]
fn units_virial_and_extras() {
    let units = AtomicUnits { bohr: 0.5, hartree: 32.0 };
    let options = Options { units, atomic_energies: true, ..Options::default() };
    let (mut server, _driver) = pair(Springs::leaked(), &water(), options);
    server.positions(CUBE, &[[2.0, 4.0, 8.0], [0.0, 0.0, 2.0], [0.0; 3]]);
    let answer = server.forces(1).remove(0);
    // All of these are exact: 1, 2, 4 and 0, 0, 1 Å; energies 10.5 and 0.5 eV.
    assert_eq!(answer.energy, 11.0 / 32.0);
    assert_eq!(answer.forces, [[-1.0 / 64.0, -2.0 / 64.0, -4.0 / 64.0], [0.0, 0.0, -1.0 / 64.0], [0.0; 3]]);
    let transposed = [0, 1, 2].map(|column| VIRIAL.map(|row| row[column] / 32.0));
    assert_eq!(answer.virial, transposed);
    let extras: serde_json::Value = serde_json::from_str(&answer.extras).unwrap();
    assert_eq!(extras, serde_json::json!({ "atomic_energies": [10.5, 0.5, 0.0] }));
}

#[test]
fn only_a_periodic_template_takes_the_cell() {
    let units = AtomicUnits { bohr: 0.5, hartree: 1.0 };
    for (pbc, cell) in [([false; 3], None), ([true, true, false], Some(CUBE.map(|row| row.map(|x| 0.5 * x))))] {
        let potential = Springs::leaked();
        let template = potstill_core::System { pbc, cell: cell.map(|_| [[1.0; 3]; 3]), ..water() };
        let (mut server, driver) = pair(potential, &template, Options { units, ..Options::default() });
        server.positions(CUBE, &[[2.0; 3]; 3]);
        server.say("EXIT");
        driver.join().unwrap().unwrap();
        let system = &potential.batches()[0][0];
        assert_eq!((system.cell, system.pbc), (cell, pbc));
        assert_eq!(system.positions, [[1.0; 3]; 3]);
        assert_eq!(system.atomic_numbers, template.atomic_numbers);
    }
}
