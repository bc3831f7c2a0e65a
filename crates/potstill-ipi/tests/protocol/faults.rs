//! What a server, a user or a potential may do wrong: one line each.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use potstill_core::System;
use potstill_ipi::{Connection, Driver, End, Options};

use crate::potentials::{Springs, water};
use crate::server::{Server, error_after, pair, positions_message};

const CELL: [[f64; 3]; 3] = [[9.0, 0.0, 0.0], [0.0, 9.0, 0.0], [0.0, 0.0, 9.0]];

fn init(text: &[u8], length: i32) -> Vec<u8> {
    [b"INIT        ".as_slice(), &[0; 4], &length.to_ne_bytes(), text].concat()
}

#[test]
fn words_that_are_none() {
    let error = |bytes: &[u8]| error_after(Springs::leaked(), &water(), bytes);
    assert_eq!(
        error(b"GET / HTTP/1.1\r\n\r\n"),
        "test: sent \"GET / HTTP/1\", which is no message of the i-PI protocol; is this the address of i-PI or an ASE \
         SocketIOCalculator?"
    );
    assert!(error(b"READY       ").contains("sent \"READY       \""));
    assert!(error(&[0xff; 12]).contains("\\xff"));
    assert_eq!(error(b"GETFORCE    "), "test: asked for forces before it sent positions");
    assert_eq!(error(b"STATUS"), "test: closed the connection in the middle of a message");
}

#[test]
fn connections_that_end_too_early() {
    let message = positions_message(CELL, &[[1.0; 3]; 3]);
    for length in [13, 12 + 72, 12 + 144, message.len() - 1] {
        let error = error_after(Springs::leaked(), &water(), &message[..length]);
        assert_eq!(error, "test: closed the connection in the middle of a message", "{length}");
    }
    let error = error_after(Springs::leaked(), &water(), &message);
    assert_eq!(error, "test: closed the connection before it fetched forces; see what its output says");
}

#[test]
fn counts_that_cannot_be() {
    for n_atoms in [0, 2, 4, -1, i32::MAX, i32::MIN] {
        let mut message = positions_message(CELL, &[]);
        message.truncate(12 + 144);
        message.extend(n_atoms.to_ne_bytes());
        let error = error_after(Springs::leaked(), &water(), &message);
        let expected = format!(
            "test: sent {n_atoms} atoms, but the template has 3; give both the same system, atoms in the same order"
        );
        assert_eq!(error, expected);
    }
    for length in [-1, i32::MAX, (1 << 20) + 1] {
        let error = error_after(Springs::leaked(), &water(), &init(b"", length));
        assert_eq!(error, format!("test: INIT announces {length} bytes; at most 1048576 are taken"));
    }
    for size in ["0", "-4", "four", "5592406", "99999999999999999999"] {
        let text = format!("batch_size:{size}");
        let error = error_after(Springs::leaked(), &water(), &init(text.as_bytes(), text.len() as i32));
        let expected = format!("test: INIT says batch_size:{size}; it must be a whole number from 1 to 5592405");
        assert_eq!(error, expected);
    }
}

#[test]
fn shared_memory_is_refused() {
    let name = b"ipi_shm_4711_9_pos";
    let mut message = b"POSDATA     ".to_vec();
    message.extend(3_i32.to_ne_bytes());
    for _ in 0..6 {
        message.extend((name.len() as i32).to_ne_bytes());
        message.extend(name);
    }
    for init in [init(b" ", 1), init(b"batch_size:4", 12)] {
        let error = error_after(Springs::leaked(), &water(), &[init, message.clone()].concat());
        let expected = "test: i-PI exchanges numbers through shared memory; give its ffsocket mode='unix' or 'inet'";
        assert_eq!(error, expected);
    }
}

#[test]
fn errors_of_the_potential_end_the_run_and_close_the_connection() {
    let (mut server, driver) = pair(Springs::leaked(), &water(), Options::default());
    server.positions(CELL, &[[f64::NAN; 3]; 3]);
    assert_eq!(driver.join().unwrap().unwrap_err().to_string(), "system 0: a position is NaN");
    assert!(server.is_closed());
}

#[test]
fn direct_forces_are_refused_unless_allowed() {
    let direct = Box::leak(Box::new(Springs { is_direct: true, ..Springs::default() }));
    let error = Driver::new(direct, &water(), Options::default()).unwrap_err().to_string();
    assert!(error.starts_with("the model's forces are direct, not derivatives of its energy"), "{error}");
    let (mut server, _driver) = pair(direct, &water(), Options { allow_direct: true, ..Options::default() });
    server.positions(CELL, &[[1.0; 3]; 3]);
    assert_eq!(server.forces(1)[0].virial, [[0.0; 3]; 3]);
}

#[test]
fn a_template_that_cannot_be_computed_is_refused_at_once() {
    let template = System { positions: vec![[f64::NAN; 3]; 3], ..water() };
    let error = Driver::new(Springs::leaked(), &template, Options::default()).unwrap_err().to_string();
    assert_eq!(error, "system 0: a position is NaN");
}

#[test]
fn an_interrupt_ends_a_run_that_waits() {
    let (server, client) = UnixStream::pair().unwrap();
    client.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let interrupt = Arc::new(AtomicBool::new(false));
    let driver = Driver::new(Springs::leaked(), &water(), Options::default()).unwrap();
    let flag = Arc::clone(&interrupt);
    let run = thread::spawn(move || driver.run(Connection::over(client, "test"), &flag, &mut |_| {}));
    let mut server = Server(server);
    server.positions(CELL, &[[1.0; 3]; 3]);
    server.forces(1);
    interrupt.store(true, Ordering::Relaxed);
    let ended = run.join().unwrap().unwrap();
    assert_eq!((ended.end, ended.statistics.n_requests), (End::Interrupted, 1));
    assert!(server.is_closed());
}
