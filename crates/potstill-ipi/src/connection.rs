//! A connection with a server: whole messages in, whole messages out, and an ear for interrupts.

use std::fmt;
use std::io::{BufReader, ErrorKind, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use potstill_core::{Error, Result};

/// Bytes that are fetched at once.
const BUFFER: usize = 1 << 16;

/// Two-way stream of bytes.
trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

/// Connection with a server, closed when it is dropped.
pub struct Connection {
    stream: BufReader<Box<dyn Stream>>,
    place: String,
}

impl Connection {
    /// Connection over a stream of bytes; `place` is its name in errors.
    ///
    /// Reads and writes of the stream must return after a while ([`WouldBlock`](ErrorKind::WouldBlock) or
    /// [`TimedOut`](ErrorKind::TimedOut)) if an interrupt is to be noticed meanwhile.
    pub fn over(stream: impl Read + Write + Send + 'static, place: impl Into<String>) -> Self {
        Self { stream: BufReader::with_capacity(BUFFER, Box::new(stream)), place: place.into() }
    }

    /// Name of the other side, as errors have it.
    pub fn place(&self) -> &str {
        &self.place
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({})", self.place)
    }
}

/// Reason why a message did not come or go.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The server closed the connection before the first byte.
    Closed,
    /// The user interrupted.
    Interrupted,
    /// Something went wrong.
    Failed(Error),
}

/// A connection in use.
pub(crate) struct Wire<'a> {
    connection: Connection,
    interrupt: &'a AtomicBool,
}

impl<'a> Wire<'a> {
    pub(crate) fn new(connection: Connection, interrupt: &'a AtomicBool) -> Self {
        Self { connection, interrupt }
    }

    /// An error that names the server.
    pub(crate) fn error(&self, message: impl fmt::Display) -> Error {
        Error::Other(format!("{}: {message}", self.connection.place))
    }

    /// As [`Wire::error`], where a message is read.
    pub(crate) fn failed<T>(&self, message: impl fmt::Display) -> Result<T, Broken> {
        Err(Broken::Failed(self.error(message)))
    }

    /// Reads the first bytes of a message.
    pub(crate) fn begin<const N: usize>(&mut self) -> Result<[u8; N], Broken> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads bytes in the midst of a message.
    pub(crate) fn bytes(&mut self, bytes: &mut [u8]) -> Result<(), Broken> {
        match self.fill(bytes) {
            Err(Broken::Closed) => self.failed("closed the connection in the middle of a message"),
            other => other,
        }
    }

    /// Reads a number of 4 bytes, in the machine's order as everything in this protocol.
    pub(crate) fn integer(&mut self) -> Result<i32, Broken> {
        let mut bytes = [0; 4];
        self.bytes(&mut bytes)?;
        Ok(i32::from_ne_bytes(bytes))
    }

    /// Reads three real numbers.
    pub(crate) fn vector(&mut self) -> Result<[f64; 3], Broken> {
        let mut bytes = [0; 24];
        self.bytes(&mut bytes)?;
        Ok(vector(&bytes))
    }

    /// Sends a whole message.
    pub(crate) fn send(&mut self, message: &[u8]) -> Result<(), Broken> {
        let mut rest = message;
        while !rest.is_empty() {
            self.check_interrupt()?;
            match self.connection.stream.get_mut().write(rest) {
                Ok(0) => return self.failed("takes no more answers"),
                Ok(n) => rest = &rest[n..],
                Err(e) if is_only_late(e.kind()) => {}
                Err(e) => return self.failed(format_args!("cannot answer: {e}")),
            }
        }
        Ok(())
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Broken> {
        let mut n_read = 0;
        while n_read < bytes.len() {
            self.check_interrupt()?;
            match self.connection.stream.read(&mut bytes[n_read..]) {
                Ok(0) if n_read == 0 => return Err(Broken::Closed),
                Ok(0) => return self.failed("closed the connection in the middle of a message"),
                Ok(n) => n_read += n,
                Err(e) if is_only_late(e.kind()) => {}
                Err(e) => return self.failed(format_args!("cannot read: {e}")),
            }
        }
        Ok(())
    }

    fn check_interrupt(&self) -> Result<(), Broken> {
        match self.interrupt.load(Ordering::Relaxed) {
            true => Err(Broken::Interrupted),
            false => Ok(()),
        }
    }
}

/// Three real numbers from their bytes.
pub(crate) fn vector(bytes: &[u8]) -> [f64; 3] {
    let mut vector = [0.0; 3];
    for (number, bytes) in vector.iter_mut().zip(bytes.as_chunks().0) {
        *number = f64::from_ne_bytes(*bytes);
    }
    vector
}

/// Whether a read or write may simply be tried again.
fn is_only_late(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// Gives and takes a byte at a time, and is late every second time.
    struct Slow {
        given: Vec<u8>,
        taken: Vec<u8>,
        n_calls: usize,
    }

    impl Slow {
        fn is_late(&mut self) -> io::Result<()> {
            self.n_calls += 1;
            if self.n_calls.is_multiple_of(2) { Err(ErrorKind::WouldBlock.into()) } else { Ok(()) }
        }
    }

    impl Read for Slow {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            self.is_late()?;
            if self.given.is_empty() {
                return Ok(0);
            }
            bytes[0] = self.given.remove(0);
            Ok(1)
        }
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.is_late()?;
            self.taken.push(bytes[0]);
            Ok(1)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn slow(given: &[u8]) -> Connection {
        Connection::over(Slow { given: given.to_vec(), taken: Vec::new(), n_calls: 0 }, "slow")
    }

    #[test]
    fn parts_become_a_whole() {
        let numbers: Vec<u8> = [1.5_f64, -2.0, 3.0].iter().flat_map(|x| x.to_ne_bytes()).collect();
        let interrupt = AtomicBool::new(false);
        let mut wire = Wire::new(slow(&numbers), &interrupt);
        assert_eq!(wire.vector().unwrap(), [1.5, -2.0, 3.0]);
        wire.send(b"READY").unwrap();
        assert!(matches!(wire.begin::<12>(), Err(Broken::Closed)));
        let mut wire = Wire::new(slow(&numbers[..20]), &interrupt);
        let Err(Broken::Failed(error)) = wire.vector() else { panic!("20 bytes are no vector") };
        assert_eq!(error.to_string(), "slow: closed the connection in the middle of a message");
    }

    #[test]
    fn an_interrupt_ends_the_wait() {
        let interrupt = AtomicBool::new(true);
        assert!(matches!(Wire::new(slow(b"STATUS      "), &interrupt).begin::<12>(), Err(Broken::Interrupted)));
    }
}
