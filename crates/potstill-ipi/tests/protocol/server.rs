//! The other side: sends what i-PI and ASE send, and reads the answers.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::AtomicBool;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use potstill_core::system::{Mat3, Vec3};
use potstill_core::{Potential, Result, System};
use potstill_ipi::{Connection, Driver, Ended, Options};

/// Answer to `GETFORCE` for one system, in atomic units; the virial as it lies on the wire.
#[derive(Debug, PartialEq)]
pub struct Forces {
    pub energy: f64,
    pub forces: Vec<Vec3>,
    pub virial: Mat3,
    pub extras: String,
}

/// A server that has a connection with a driver.
pub struct Server<S>(pub S);

impl<S: Read + Write> Server<S> {
    /// Sends a message without content, or the name of one.
    pub fn say(&mut self, name: &str) {
        self.0.write_all(format!("{name:12}").as_bytes()).unwrap();
    }

    pub fn status(&mut self) -> String {
        self.say("STATUS");
        self.name()
    }

    pub fn init(&mut self, text: &[u8]) {
        self.say("INIT");
        self.integer(0);
        self.integer(text.len() as i32);
        self.0.write_all(text).unwrap();
    }

    /// Sends cell (lattice vectors as rows here, as columns on the wire), inverse and positions in bohr.
    pub fn positions(&mut self, cell: Mat3, positions: &[Vec3]) {
        self.0.write_all(&positions_message(cell, positions)).unwrap();
    }

    /// Sends several systems at once.
    pub fn batch(&mut self, cells: &[Mat3], positions: &[Vec<Vec3>]) {
        self.say("POSDATA");
        self.integer(positions[0].len() as i32);
        for cell in cells {
            self.numbers(transposed(*cell).as_flattened());
            self.numbers(&[0.0; 9]);
        }
        positions.iter().for_each(|positions| self.numbers(positions.as_flattened()));
    }

    /// Asks for the forces of `n` systems.
    pub fn forces(&mut self, n: usize) -> Vec<Forces> {
        self.say("GETFORCE");
        assert_eq!(self.name(), "FORCEREADY");
        let energies = self.read_numbers(n);
        let n_atoms = self.read_integer() as usize;
        let forces = self.read_numbers(3 * n_atoms * n);
        let virials = self.read_numbers(9 * n);
        let extras: Vec<String> = (0..n).map(|_| self.read_text()).collect();
        let of = |i: usize| Forces {
            energy: energies[i],
            forces: forces[3 * n_atoms * i..][..3 * n_atoms].as_chunks().0.to_vec(),
            virial: [0, 1, 2].map(|k| virials[9 * i + 3 * k..][..3].try_into().unwrap()),
            extras: extras[i].clone(),
        };
        (0..n).map(of).collect()
    }

    pub fn integer(&mut self, number: i32) {
        self.0.write_all(&number.to_ne_bytes()).unwrap();
    }

    /// Whether the driver has closed the connection, once all that it said is read.
    pub fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        // A driver that closes with words of ours unread may reset the connection.
        self.0
            .read_to_end(&mut rest)
            .map_or_else(|e| e.kind() == std::io::ErrorKind::ConnectionReset, |_| rest.is_empty())
    }

    fn numbers(&mut self, numbers: &[f64]) {
        let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_ne_bytes()).collect();
        self.0.write_all(&bytes).unwrap();
    }

    fn name(&mut self) -> String {
        let mut bytes = [0; 12];
        self.0.read_exact(&mut bytes).unwrap();
        String::from_utf8(bytes.to_vec()).unwrap().trim_end().to_owned()
    }

    fn read_integer(&mut self) -> i32 {
        let mut bytes = [0; 4];
        self.0.read_exact(&mut bytes).unwrap();
        i32::from_ne_bytes(bytes)
    }

    fn read_numbers(&mut self, n: usize) -> Vec<f64> {
        let mut bytes = vec![0; 8 * n];
        self.0.read_exact(&mut bytes).unwrap();
        bytes.as_chunks().0.iter().map(|bytes| f64::from_ne_bytes(*bytes)).collect()
    }

    fn read_text(&mut self) -> String {
        let mut bytes = vec![0; self.read_integer() as usize];
        self.0.read_exact(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }
}

/// Message `POSDATA` of one system, in bohr.
pub fn positions_message(cell: Mat3, positions: &[Vec3]) -> Vec<u8> {
    let mut message = b"POSDATA     ".to_vec();
    let mut add = |numbers: &[f64]| message.extend(numbers.iter().flat_map(|x| x.to_ne_bytes()));
    add(transposed(cell).as_flattened());
    // The inverse is never looked at.
    add(&[f64::NAN; 9]);
    message.extend((positions.len() as i32).to_ne_bytes());
    message.extend(positions.as_flattened().iter().flat_map(|x| x.to_ne_bytes()));
    message
}

fn transposed(matrix: Mat3) -> Mat3 {
    [0, 1, 2].map(|column| matrix.map(|row| row[column]))
}

/// A driver in a thread of its own, and the server that it is connected with.
pub fn pair(
    potential: &'static (dyn Potential + 'static),
    template: &System,
    options: Options,
) -> (Server<UnixStream>, JoinHandle<Result<Ended>>) {
    let (server, client) = UnixStream::pair().unwrap();
    client.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let driver = Driver::new(potential, template, options).unwrap();
    let run = move || driver.run(Connection::over(client, "test"), &AtomicBool::new(false), &mut |_| {});
    (Server(server), thread::spawn(run))
}

/// The error that a driver ends with when a server sends `bytes` and then nothing more.
pub fn error_after(potential: &'static (dyn Potential + 'static), template: &System, bytes: &[u8]) -> String {
    let (mut server, driver) = pair(potential, template, Options::default());
    // The driver may end before it has read all.
    let _ = server.0.write_all(bytes);
    let _ = server.0.shutdown(Shutdown::Write);
    driver.join().unwrap().unwrap_err().to_string()
}
