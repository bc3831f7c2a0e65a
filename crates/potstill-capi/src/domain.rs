//! Energies, forces and virial of a process's part of a system.

use std::ffi::{c_int, c_void};

use potstill_core::system::Vec3;
use potstill_core::{Error, Result};
use potstill_engine::domain::{Domain, DomainPrediction};

use crate::arrays::{atomic_numbers, read, write, wrong};
use crate::error::{guarded, status};
use crate::exchange::{Callback, PotstillExchange};
use crate::model::{PotstillModel, opened};

/// Atoms of a process, copies of atoms around them, and which of them may be neighbours.
#[derive(Debug)]
pub struct PotstillDomain {
    domain: Domain,
    out: DomainPrediction,
}

/// Makes a domain, for as long as the lists of neighbours hold. Its *points* are the process's own atoms, then copies of atoms: of its
/// own (in a periodic cell) or of others. Each own atom has a row of features, and so has each *ghost*, an atom of another process: its
/// copies may share one. Returns null on failure.
///
/// - `n_local`: number of own atoms; `n_points`: with copies.
/// - `numbers`: atomic numbers of the points. Shape: `[n_points]`.
/// - `rows` of the points: of an own atom its number; of a copy of an own atom the number of that; of ghosts numbers from `n_local` on,
///   none left out. Shape: `[n_points]`.
/// - `first`, shape `[n_local + 1]`, and `neighbors`, shape `[first[n_local]]`: points that may be within the cutoff of own atom `i` are
///   `neighbors[first[i]]` to `neighbors[first[i + 1] - 1]`. Every pair of own atoms stands in both lists.
///
/// # Safety
/// Arrays have the shapes above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn potstill_domain_open(
    n_local: usize,
    n_points: usize,
    numbers: *const i32,
    rows: *const i32,
    first: *const usize,
    neighbors: *const i32,
) -> *mut PotstillDomain {
    let open = || -> Result<*mut PotstillDomain> {
        // SAFETY: as this function, here and below.
        let numbers = atomic_numbers(unsafe { read(numbers, n_points, "numbers") }?)?;
        let rows = unsigned(unsafe { read(rows, n_points, "rows") }?, "rows")?;
        let n_first = n_local.checked_add(1).ok_or_else(|| wrong("n_local: is too large"))?;
        let first = unsafe { read(first, n_first, "first") }?;
        let n_neighbors = first[n_local];
        if first.windows(2).any(|pair| pair[0] > pair[1]) {
            return Err(wrong("first: does not ascend"));
        }
        let neighbors = unsigned(unsafe { read(neighbors, n_neighbors, "neighbors") }?, "neighbors")?;
        let lists: Vec<&[u32]> = first.windows(2).map(|pair| &neighbors[pair[0]..pair[1]]).collect();
        let domain = Domain::new(&numbers, rows, lists)?;
        Ok(Box::into_raw(Box::new(PotstillDomain { domain, out: DomainPrediction::default() })))
    };
    guarded(open).unwrap_or(std::ptr::null_mut())
}

/// Frees a domain; null is allowed.
///
/// # Safety
/// `domain` is null, or from `potstill_domain_open` and not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn potstill_domain_close(domain: *mut PotstillDomain) {
    if !domain.is_null() {
        // SAFETY: not null, and the caller vouches for the rest.
        drop(unsafe { Box::from_raw(domain) });
    }
}

/// Evaluates a domain. Lengths are in Å, energies in eV.
///
/// - `n_atoms` of all processes.
/// - `positions` of the points. Shape: `[n_points, 3]`.
/// - `exchange` with the other processes, and its `context`; null where there are no ghosts.
/// - Results, each null where it is not wanted: `atomic_energies` of own atoms, shape `[n_local]`; `forces` on own atoms and ghosts in
///   eV/Å, shape `[n_rows, 3]`: those on ghosts are to be added to the forces on the atoms that they are copies of; `virial`, the
///   process's part of it, shape `[3, 3]`; `atomic_virials` of own atoms and ghosts, shape `[n_rows, 3, 3]`. Virials of direct forces
///   are zero.
///
/// # Safety
/// `model` and `domain` are open; arrays have the shapes above; `exchange` writes nothing but the rows of ghosts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn potstill_domain_evaluate(
    model: *const PotstillModel,
    domain: *mut PotstillDomain,
    n_atoms: usize,
    positions: *const f64,
    exchange: PotstillExchange,
    context: *mut c_void,
    atomic_energies: *mut f64,
    forces: *mut f64,
    virial: *mut f64,
    atomic_virials: *mut f64,
) -> c_int {
    status(|| {
        // SAFETY: as this function, here and below.
        let model = unsafe { opened(model) }?;
        let own = unsafe { domain.as_mut() };
        let PotstillDomain { domain, out } =
            own.ok_or_else(|| wrong("domain: is null; make one with potstill_domain_open"))?;
        if exchange.is_none() && domain.n_rows() > domain.n_local() {
            return Err(wrong("exchange: is null, and the domain has ghosts"));
        }
        let positions = unsafe { read(positions, 3 * domain.n_points(), "positions") }?.as_chunks::<3>().0;
        let mut exchange = Callback { exchange, context };
        let wants_atomic_virials = !atomic_virials.is_null();
        let place: (&Domain, &[Vec3]) = (domain, positions);
        model.engine().evaluate_domain(place, n_atoms, &mut exchange, wants_atomic_virials, out)?;
        let own_virial = out.virial.unwrap_or_default();
        for (to, n, from) in [
            (atomic_energies, domain.n_local(), out.atomic_energies.as_slice()),
            (forces, 3 * domain.n_rows(), out.forces.as_flattened()),
            (virial, 9, own_virial.as_flattened()),
        ] {
            if let Some(to) = unsafe { write(to, n) } {
                to.copy_from_slice(from);
            }
        }
        if let Some(to) = unsafe { write(atomic_virials, 9 * domain.n_rows()) } {
            let from = out.atomic_virials.as_flattened().as_flattened();
            let n = from.len();
            to[..n].copy_from_slice(from);
            to[n..].fill(0.0);
        }
        Ok(())
    })
}

/// Numbers of points or rows.
fn unsigned(numbers: &[i32], name: &str) -> Result<Vec<u32>> {
    let one = |&number: &i32| u32::try_from(number).map_err(|_| wrong(format!("{name}: has {number}, below 0")));
    numbers.iter().map(one).collect::<Result<_, Error>>()
}
