//! The MPI that the program is linked with.
#![allow(unsafe_code, reason = "functions of C; every pointer is that of a slice, with its length")]

use std::ffi::c_int;
use std::thread::{self, ThreadId};

use potstill_core::ranks::Ranks;

unsafe extern "C" {
    fn potstill_mpi_start(rank: *mut c_int, n_ranks: *mut c_int) -> c_int;
    fn potstill_mpi_send(to: c_int, bytes: *const u8, n: usize);
    fn potstill_mpi_receive(from: c_int, bytes: *mut u8, n: usize);
    fn potstill_mpi_broadcast(bytes: *mut u8, n: usize);
    fn potstill_mpi_finish();
    fn potstill_mpi_abort(status: c_int);
}

/// All processes that `mpirun` has started.
#[derive(Debug)]
pub struct World {
    rank: usize,
    n_ranks: usize,
    /// Thread that may call MPI.
    thread: ThreadId,
}

impl World {
    /// Starts MPI.
    ///
    /// # Errors
    /// An MPI that allows no other threads.
    pub fn start() -> Result<Self, String> {
        let (mut rank, mut n_ranks) = (0, 0);
        // SAFETY: both are written, nothing is kept.
        let status = unsafe { potstill_mpi_start(&raw mut rank, &raw mut n_ranks) };
        if status != 0 {
            return Err(
                "this MPI allows no threads beside the one that calls it; use one with MPI_THREAD_FUNNELED".to_owned()
            );
        }
        let count = |n: c_int| usize::try_from(n).map_err(|_| format!("MPI says {n}, which is no number of processes"));
        Ok(Self { rank: count(rank)?, n_ranks: count(n_ranks)?, thread: thread::current().id() })
    }

    /// Rank as MPI counts.
    fn peer(&self, rank: usize) -> c_int {
        assert!(rank < self.n_ranks, "there is no process {rank}");
        assert!(thread::current().id() == self.thread, "MPI is called by another thread than the one that started it");
        rank as c_int
    }
}

impl Ranks for World {
    fn rank(&self) -> usize {
        self.rank
    }

    fn n_ranks(&self) -> usize {
        self.n_ranks
    }

    fn send(&self, to: usize, bytes: &[u8]) {
        // SAFETY: reads as many bytes as the slice has.
        unsafe { potstill_mpi_send(self.peer(to), bytes.as_ptr(), bytes.len()) };
    }

    fn receive(&self, from: usize, bytes: &mut [u8]) {
        // SAFETY: writes as many bytes as the slice has.
        unsafe { potstill_mpi_receive(self.peer(from), bytes.as_mut_ptr(), bytes.len()) };
    }

    fn broadcast(&self, bytes: &mut [u8]) {
        self.peer(0);
        // SAFETY: reads or writes as many bytes as the slice has.
        unsafe { potstill_mpi_broadcast(bytes.as_mut_ptr(), bytes.len()) };
    }
}

/// Ends MPI; nothing is sent afterwards.
pub fn finish() {
    // SAFETY: no arguments; the program calls it once, at its end.
    unsafe { potstill_mpi_finish() };
}

/// Ends all processes.
pub fn abort(status: u8) {
    // SAFETY: ends the process.
    unsafe { potstill_mpi_abort(c_int::from(status)) };
}
