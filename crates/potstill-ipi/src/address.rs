//! Where a server listens.

use std::fmt;
use std::path::PathBuf;

use potstill_core::{Error, Result};

/// What i-PI and ASE put before the name of a UNIX socket.
const PREFIX: &str = "/tmp/ipi_";

/// Place where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A UNIX socket, by its path.
    Unix(PathBuf),
    /// A port of a machine.
    Tcp {
        /// Name or number of the machine, without brackets.
        host: String,
        /// Port, from 1 on.
        port: u16,
    },
}

impl Address {
    /// UNIX socket of a name as i-PI's `<address>` and ASE's `unixsocket` have it (`NAME` is `/tmp/ipi_NAME`), or of a path if
    /// there is a `/` in it.
    ///
    /// # Errors
    /// An empty name.
    pub fn unix(name: &str) -> Result<Self> {
        match name {
            "" => Err(Error::Other("the UNIX socket has no name; give that of the server, as `driver`".to_owned())),
            path if path.contains('/') => Ok(Self::Unix(path.into())),
            name => Ok(Self::Unix(format!("{PREFIX}{name}").into())),
        }
    }

    /// Port of a machine, from `HOST:PORT`, such as `localhost:31415` or `[::1]:31415`.
    ///
    /// # Errors
    /// A text without host or port, a port that is none.
    pub fn tcp(text: &str) -> Result<Self> {
        let wrong = || Error::Other(format!("{text:?} is no address; give HOST:PORT, as localhost:31415"));
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        match port.parse() {
            Ok(port) if port > 0 && !host.is_empty() => Ok(Self::Tcp { host: host.to_owned(), port }),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "UNIX socket {}", path.display()),
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_paths_and_paths_stay() {
        assert_eq!(Address::unix("water").unwrap(), Address::Unix("/tmp/ipi_water".into()));
        assert_eq!(Address::unix("./here").unwrap().to_string(), "UNIX socket ./here");
        assert!(Address::unix("").unwrap_err().to_string().contains("no name"));
    }

    #[test]
    fn hosts_have_ports() {
        let tcp = |host: &str, port| Address::Tcp { host: host.to_owned(), port };
        assert_eq!(Address::tcp("localhost:31415").unwrap(), tcp("localhost", 31415));
        assert_eq!(Address::tcp("[::1]:8").unwrap(), tcp("::1", 8));
        assert_eq!(tcp("::1", 8).to_string(), "[::1]:8");
        for text in ["", "localhost", "localhost:", ":31415", "a:0", "a:65536", "a:-1", "a:b"] {
            let expected = format!("{text:?} is no address; give HOST:PORT, as localhost:31415");
            assert_eq!(Address::tcp(text).unwrap_err().to_string(), expected);
        }
    }
}
