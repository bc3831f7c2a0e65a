//! Real sockets: UNIX and TCP, on this machine alone.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use potstill_core::{Potential, System};
use potstill_engine::{Engine, FilterChoice};
use potstill_ipi::{Address, AtomicUnits, Driver, End, Options, connect};

use crate::potentials::{Springs, shipped, water};
use crate::server::{Server, positions_message};

const CELL: [[f64; 3]; 3] = [[11.0, 0.0, 0.5], [0.3, 12.0, 0.0], [0.0, 0.7, 13.0]];
const PATIENCE: Duration = Duration::from_secs(60);

/// Sends a message in parts of seven bytes.
fn trickle(stream: &mut impl Write, message: &[u8]) {
    for part in message.chunks(7) {
        stream.write_all(part).unwrap();
        stream.flush().unwrap();
    }
}

/// Sends some periodic systems and compares with the engine.
fn compare(stream: impl Read + Write, engine: &dyn Potential, template: &System) {
    let units = AtomicUnits::default();
    let mut server = Server(stream);
    assert_eq!(server.status(), "NEEDINIT");
    server.init(&[0]);
    for step in 0..3 {
        let mut system = template.clone();
        system.cell = Some(CELL);
        system.positions.iter_mut().enumerate().for_each(|(i, r)| r[(i + step) % 3] += 0.02 * step as f64);
        let in_bohr: Vec<_> = system.positions.iter().map(|r| r.map(|x| x / units.bohr)).collect();
        trickle(&mut server.0, &positions_message(CELL.map(|row| row.map(|x| x / units.bohr)), &in_bohr));
        let answer = server.forces(1).remove(0);
        let expected = engine.evaluate(&[&system]).unwrap();
        let close = |found: &[f64], wanted: &[f64]| {
            let largest = wanted.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
            assert_eq!(found.len(), wanted.len());
            assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-11 * largest), "{found:?} {wanted:?}");
        };
        close(&[answer.energy * units.hartree], &expected.energy);
        let forces: Vec<_> = answer.forces.as_flattened().iter().map(|f| f * units.hartree / units.bohr).collect();
        close(&forces, expected.forces.as_flattened());
        let virial: Vec<_> = (0..9).map(|k| answer.virial[k % 3][k / 3] * units.hartree).collect();
        close(&virial, expected.virial.unwrap()[0].as_flattened());
    }
    server.say("EXIT");
}

fn run(address: &Address, engine: &dyn Potential, template: &System) -> End {
    let interrupt = AtomicBool::new(false);
    let connection = connect(address, PATIENCE, &interrupt).unwrap().unwrap();
    let driver = Driver::new(engine, template, Options::default()).unwrap();
    driver.run(connection, &interrupt, &mut |_| {}).unwrap().end
}

#[test]
fn the_engines_numbers_come_through_both_kinds_of_sockets() {
    let (model, molecule) = shipped("version-2-painn");
    let engine = Engine::<f64>::load(&model, FilterChoice::Exact).unwrap();
    let template = System { pbc: [true; 3], cell: Some(CELL), ..molecule };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let (unix, tcp) = (UnixListener::bind(&path).unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let port = tcp.local_addr().unwrap().port();
    thread::scope(|scope| {
        scope.spawn(|| compare(unix.accept().unwrap().0, &engine, &template));
        assert_eq!(run(&Address::unix(path.to_str().unwrap()).unwrap(), &engine, &template), End::Exit);
        scope.spawn(|| compare(tcp.accept().unwrap().0, &engine, &template));
        assert_eq!(run(&Address::tcp(&format!("localhost:{port}")).unwrap(), &engine, &template), End::Exit);
    });
}

#[test]
fn a_server_may_come_late() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let late = path.clone();
    let server = thread::spawn(move || {
        thread::sleep(Duration::from_millis(300));
        let mut stream = UnixListener::bind(&late).unwrap().accept().unwrap().0;
        stream.write_all(b"EXIT        ").unwrap();
    });
    assert_eq!(run(&Address::Unix(path), Springs::leaked(), &water()), End::Exit);
    server.join().unwrap();
}

#[test]
fn where_nobody_listens_the_error_says_what_to_do() {
    let error = |address: &Address| {
        connect(address, Duration::from_millis(100), &AtomicBool::new(false)).unwrap_err().to_string()
    };
    let name = format!("potstill-test-{}", std::process::id());
    assert_eq!(
        error(&Address::unix(&name).unwrap()),
        format!(
            "UNIX socket /tmp/ipi_{name}: nobody answered within 0.1 s (No such file or directory (os error 2)); start the \
             server first, i-PI with <address>{name}</address> in <ffsocket mode='unix'>"
        )
    );
    // The socket of a server that has ended.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    drop(UnixListener::bind(&path).unwrap());
    let expected = format!("its server has ended: remove {} and start the server again", path.display());
    assert!(error(&Address::Unix(path)).ends_with(&expected));
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let refused = error(&Address::tcp(&format!("127.0.0.1:{port}")).unwrap());
    assert!(refused.starts_with(&format!("127.0.0.1:{port}: nobody answered within 0.1 s")), "{refused}");
    assert!(refused.contains(&format!("<port>{port}</port>")), "{refused}");
    let long = Address::Unix(Path::new("/tmp").join("x".repeat(200)));
    assert!(error(&long).contains("cannot connect: path must be shorter than"), "{}", error(&long));
}

#[test]
fn an_interrupt_ends_the_tries() {
    let address = Address::unix("potstill-test-nobody").unwrap();
    assert!(connect(&address, PATIENCE, &AtomicBool::new(true)).unwrap().is_none());
}
