//! Connecting to a server that may not be there yet.

use std::io::{Error as IoError, ErrorKind, Result as IoResult};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use potstill_core::{Error, Result};

use crate::address::Address;
use crate::connection::Connection;

/// Time that a read or write may block before the interrupt is looked at.
const ATTENTION: Duration = Duration::from_millis(200);
/// Time between two tries.
const PAUSE: Duration = Duration::from_millis(50);
/// Longest wait for one answer of one machine.
const ONE_TRY: Duration = Duration::from_secs(5);

/// Connects to the server at `address`, again and again for the time of `patience` while nobody listens there.
///
/// `None` if `interrupt` was set meanwhile.
///
/// # Errors
/// An address that cannot be used, or where nobody listens in time: names it and what to do.
pub fn connect(address: &Address, patience: Duration, interrupt: &AtomicBool) -> Result<Option<Connection>> {
    let start = Instant::now();
    while !interrupt.load(Ordering::Relaxed) {
        let left = patience.saturating_sub(start.elapsed());
        match try_once(address, left.clamp(PAUSE, ONE_TRY)) {
            Ok(connection) => return Ok(Some(connection)),
            Err(e) if !may_come(e.kind()) => return Err(Error::Other(format!("{address}: cannot connect: {e}"))),
            Err(e) if left.is_zero() => {
                let seconds = patience.as_secs_f64();
                let advice = advice(address, e.kind());
                let message = format!("{address}: nobody answered within {seconds} s ({e}); {advice}");
                return Err(Error::Other(message));
            }
            Err(_) => sleep(PAUSE.min(left)),
        }
    }
    Ok(None)
}

fn try_once(address: &Address, patience: Duration) -> IoResult<Connection> {
    match address {
        Address::Unix(path) => unix(path, address),
        Address::Tcp { host, port } => {
            let mut last = IoError::new(ErrorKind::InvalidInput, "the name of the machine has no address");
            for place in (host.as_str(), *port).to_socket_addrs()? {
                match TcpStream::connect_timeout(&place, patience) {
                    Ok(stream) => {
                        // The protocol is a ping-pong of small messages.
                        stream.set_nodelay(true)?;
                        stream.set_read_timeout(Some(ATTENTION))?;
                        stream.set_write_timeout(Some(ATTENTION))?;
                        return Ok(Connection::over(stream, address.to_string()));
                    }
                    Err(e) => last = e,
                }
            }
            Err(last)
        }
    }
}

#[cfg(unix)]
fn unix(path: &std::path::Path, address: &Address) -> IoResult<Connection> {
    let stream = std::os::unix::net::UnixStream::connect(path)?;
    stream.set_read_timeout(Some(ATTENTION))?;
    stream.set_write_timeout(Some(ATTENTION))?;
    Ok(Connection::over(stream, address.to_string()))
}

#[cfg(not(unix))]
fn unix(_: &std::path::Path, _: &Address) -> IoResult<Connection> {
    Err(IoError::new(ErrorKind::Unsupported, "this system has no UNIX sockets; use a port"))
}

/// Whether a server may still appear where the error came from.
fn may_come(kind: ErrorKind) -> bool {
    use ErrorKind::{ConnectionRefused, ConnectionReset, Interrupted, NotFound, TimedOut, WouldBlock};
    matches!(kind, NotFound | ConnectionRefused | ConnectionReset | Interrupted | TimedOut | WouldBlock)
}

fn advice(address: &Address, kind: ErrorKind) -> String {
    match address {
        // i-PI does not start where the socket of an earlier run lies.
        Address::Unix(path) if kind == ErrorKind::ConnectionRefused => {
            format!("its server has ended: remove {} and start the server again", path.display())
        }
        Address::Unix(path) => match path.to_str().and_then(|path| path.strip_prefix("/tmp/ipi_")) {
            Some(name) => {
                format!("start the server first, i-PI with <address>{name}</address> in <ffsocket mode='unix'>")
            }
            None => "start the server first".to_owned(),
        },
        Address::Tcp { port, .. } => {
            format!("start the server first, i-PI with <port>{port}</port> in <ffsocket mode='inet'>")
        }
    }
}
