//! The driver against servers that speak the protocol well, badly, and not at all.
#![cfg(unix)]

mod batches;
mod conversations;
mod faults;
mod potentials;
mod random_bytes;
mod server;
mod sockets;
