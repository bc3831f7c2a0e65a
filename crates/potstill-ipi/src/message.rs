//! Names and fixed parts of messages.

use crate::connection::{Broken, Wire};

/// Bytes of the name that begins each message, padded with blanks.
const NAME_LEN: usize = 12;

/// Largest initialisation in bytes.
const MAX_INIT: usize = 1 << 20;

/// Largest number of atoms in one message with several systems.
const MAX_ATOMS: usize = 1 << 24;

/// Word of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    /// What does the driver do?
    Status,
    /// An initialisation follows.
    Init,
    /// Cells and positions follow.
    Positions,
    /// What are energies and forces?
    Forces,
    /// All is done.
    Exit,
}

impl Request {
    /// Reads the name of the next message.
    pub(crate) fn read(wire: &mut Wire<'_>) -> Result<Self, Broken> {
        let bytes: [u8; NAME_LEN] = wire.begin()?;
        match bytes.trim_ascii_end() {
            b"STATUS" => Ok(Self::Status),
            b"INIT" => Ok(Self::Init),
            b"POSDATA" => Ok(Self::Positions),
            b"GETFORCE" => Ok(Self::Forces),
            b"EXIT" => Ok(Self::Exit),
            _ => wire.failed(format_args!(
                "sent \"{}\", which is no message of the i-PI protocol; is this the address of i-PI or an ASE SocketIOCalculator?",
                bytes.escape_ascii()
            )),
        }
    }
}

/// Name of an answer as it is sent.
pub(crate) fn name(name: &str) -> [u8; NAME_LEN] {
    let mut bytes = [b' '; NAME_LEN];
    for (byte, letter) in bytes.iter_mut().zip(name.bytes()) {
        *byte = letter;
    }
    bytes
}

/// Reads what follows `INIT` and returns the number of systems, of `n_atoms` atoms each, that every later message has.
///
/// i-PI says it as `batch_size:N` among its other parameters, which are separated by commas; without it, it is 1.
pub(crate) fn read_init(wire: &mut Wire<'_>, n_atoms: usize) -> Result<usize, Broken> {
    // The index of a bead means nothing to a potential.
    wire.integer()?;
    let length = wire.integer()?;
    let mut text = match usize::try_from(length) {
        Ok(length @ 0..=MAX_INIT) => vec![0; length],
        _ => return wire.failed(format_args!("INIT announces {length} bytes; at most {MAX_INIT} are taken")),
    };
    wire.bytes(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let size = |part: &str| {
        let (key, value) = part.split_once(':')?;
        (key.trim() == "batch_size").then(|| value.trim().to_owned())
    };
    // i-PI adds its own word after those of the user.
    let Some(value) = text.split(',').filter_map(size).next_back() else { return Ok(1) };
    let most = (MAX_ATOMS / n_atoms.max(1)).max(1);
    match value.parse() {
        Ok(size) if (1..=most).contains(&size) => Ok(size),
        _ => wire.failed(format_args!(
            "INIT says batch_size:{}; it must be a whole number from 1 to {most}",
            value.escape_debug()
        )),
    }
}
