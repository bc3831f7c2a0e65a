//! Client of i-PI's socket protocol on any [`Potential`](potstill_core::Potential): a *driver*, as i-PI calls it, for i-PI, ASE's
//! `SocketIOCalculator` and whatever else speaks the protocol.
//!
//! The server sends cells and positions, the driver answers with energies, forces and virials; lengths are in bohr and energies in
//! hartree on the wire, in Å and eV on this side. The protocol is that of i-PI 3.3 (Litman et al., J. Chem. Phys. 161, 062504,
//! 2024; `ipi/interfaces/sockets.py`), with UNIX sockets and TCP. Where i-PI is told to (`<batch_size>`), it sends several
//! systems in one message, such as the beads of a ring polymer, and the potential gets them as one batch. (i-PI's third mode,
//! shared memory, is refused with a message.)
//!
//! | message | follows | answer |
//! |---|---|---|
//! | `STATUS` | | `NEEDINIT` at first, `HAVEDATA` when forces are ready, else `READY` |
//! | `INIT` | index of a bead (i32), length (i32), text, perhaps with `batch_size:N` | |
//! | `POSDATA` | matrix with the lattice vectors as columns, its inverse, number of atoms (i32), positions | |
//! | `POSDATA`, N systems | number of atoms (i32), N times matrix and inverse, N times positions | |
//! | `GETFORCE` | | `FORCEREADY`, N energies, number of atoms (i32), N times forces, N virials, N times length (i32) and extras |
//! | `EXIT` | | |
//!
//! Names have 12 bytes, filled with blanks; numbers are f64 unless it says i32, in the order of bytes of the machine. `INIT` may be
//! left out.
//!
//! ```
//! use std::io::{Read, Write};
//! use std::os::unix::net::UnixStream;
//! use std::sync::atomic::AtomicBool;
//!
//! use potstill_core::{Potential, Prediction, Result, System};
//! use potstill_ipi::{Connection, Driver, End, Options};
//!
//! /// Atoms that feel nothing.
//! struct Ideal;
//!
//! impl Potential for Ideal {
//!     fn cutoff(&self) -> f64 {
//!         0.0
//!     }
//!     fn elements(&self) -> &[u8] {
//!         &[18]
//!     }
//!     fn evaluate(&self, systems: &[&System]) -> Result<Prediction> {
//!         let n_atoms = systems.iter().map(|s| s.n_atoms()).sum();
//!         Ok(Prediction {
//!             energy: vec![0.0; systems.len()],
//!             atomic_energies: vec![0.0; n_atoms],
//!             forces: vec![[0.0; 3]; n_atoms],
//!             virial: Some(vec![[[0.0; 3]; 3]; systems.len()]),
//!         })
//!     }
//! }
//!
//! let argon = System { atomic_numbers: vec![18], positions: vec![[0.0; 3]], ..System::default() };
//! let driver = Driver::new(&Ideal, &argon, Options::default())?;
//! // Elsewhere: `connect(&Address::unix("argon")?, Duration::from_secs(10), &interrupt)?`.
//! let (mut server, client) = UnixStream::pair().unwrap();
//! server.write_all(b"STATUS      EXIT        ").unwrap();
//! let ended = driver.run(Connection::over(client, "pair"), &AtomicBool::new(false), &mut |_| {})?;
//! assert_eq!(ended.end, End::Exit);
//! let mut answer = String::new();
//! server.read_to_string(&mut answer).unwrap();
//! assert_eq!(answer, "NEEDINIT    ");
//! # Ok::<(), potstill_core::Error>(())
//! ```

mod address;
mod answer;
mod batch;
mod connect;
mod connection;
mod driver;
mod message;
mod options;
mod units;

pub use address::Address;
pub use connect::connect;
pub use connection::Connection;
pub use driver::{Driver, End, Ended, Statistics};
pub use options::Options;
pub use units::AtomicUnits;
