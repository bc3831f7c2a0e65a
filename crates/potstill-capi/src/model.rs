//! Opening a model file, asking about it.

use std::ffi::{c_char, c_int};
use std::fmt::Debug;
use std::path::Path;

use potstill_core::elements::atomic_number;
use potstill_core::system::Vec3;
use potstill_core::{Potential, Result};
use potstill_engine::domain::{Domain, DomainPrediction};
use potstill_engine::{Engine, FilterChoice, Number};

use crate::arrays::{text, wrong};
use crate::error::guarded;
use crate::exchange::Callback;

/// Model that is open.
#[derive(Debug)]
pub struct PotstillModel(Box<dyn AnyEngine>);

impl PotstillModel {
    /// The engine, whatever its precision.
    pub(crate) fn engine(&self) -> &dyn AnyEngine {
        self.0.as_ref()
    }
}

/// Engine of single or double precision.
pub trait AnyEngine: Potential + Debug {
    /// Whether forces come from a head of their own; see [`Engine::has_direct_forces`].
    fn has_direct_forces(&self) -> bool;

    /// Whether an atom sees all others within the cutoff; see [`Engine::sees_all_neighbors`].
    fn sees_all_neighbors(&self) -> bool;

    /// Largest number of numbers that one exchange brings for each ghost; see [`Engine::exchanged`].
    fn exchanged(&self) -> usize;

    /// Evaluates a process's part of a system, with an exchange by a function of the caller.
    ///
    /// # Errors
    /// See [`Engine::evaluate_domain`].
    fn evaluate_domain(
        &self,
        place: (&Domain, &[Vec3]),
        n_atoms: usize,
        exchange: &mut Callback,
        wants_atomic_virials: bool,
        out: &mut DomainPrediction,
    ) -> Result<()>;
}

impl<T: Number> AnyEngine for Engine<T> {
    fn has_direct_forces(&self) -> bool {
        Self::has_direct_forces(self)
    }

    fn sees_all_neighbors(&self) -> bool {
        Self::sees_all_neighbors(self)
    }

    fn exchanged(&self) -> usize {
        Self::exchanged(self)
    }

    fn evaluate_domain(
        &self,
        place: (&Domain, &[Vec3]),
        n_atoms: usize,
        exchange: &mut Callback,
        wants_atomic_virials: bool,
        out: &mut DomainPrediction,
    ) -> Result<()> {
        Self::evaluate_domain(self, place, n_atoms, exchange, wants_atomic_virials, out)
    }
}

/// Reference to a model of a caller.
///
/// # Safety
/// `model` is null, or from `potstill_model_open` and not closed.
pub unsafe fn opened<'a>(model: *const PotstillModel) -> Result<&'a PotstillModel> {
    // SAFETY: the caller vouches for it.
    unsafe { model.as_ref() }.ok_or_else(|| wrong("model: is null; open one with potstill_model_open"))
}

/// Opens a model file of a PaiNN or SchNet. `bytes_per_number` is 4 for single precision, which is the faster one and precise enough for
/// molecular dynamics, or 8 for double. Returns null on failure.
///
/// # Safety
/// `path` is a text in UTF-8 that ends with a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn potstill_model_open(path: *const c_char, bytes_per_number: c_int) -> *mut PotstillModel {
    let open = || {
        // SAFETY: as this function.
        let path = Path::new(unsafe { text(path, "path") }?);
        let engine: Box<dyn AnyEngine> = match bytes_per_number {
            4 => Box::new(Engine::<f32>::load(path, FilterChoice::default())?),
            8 => Box::new(Engine::<f64>::load(path, FilterChoice::Table { accuracy: 1e-10 })?),
            other => return Err(wrong(format!("bytes_per_number: is {other}; must be 4 or 8"))),
        };
        Ok(Box::into_raw(Box::new(PotstillModel(engine))))
    };
    guarded(open).unwrap_or(std::ptr::null_mut())
}

/// Closes a model and frees its memory; null is allowed.
///
/// # Safety
/// `model` is null, or from `potstill_model_open` and not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn potstill_model_close(model: *mut PotstillModel) {
    if !model.is_null() {
        // SAFETY: not null, and the caller vouches for the rest.
        let model = unsafe { Box::from_raw(model) };
        guarded(|| {
            drop(model);
            Ok(())
        });
    }
}

/// Largest distance in Å at which two atoms see each other.
///
/// # Safety
/// `model` is from `potstill_model_open` and not closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn potstill_model_cutoff(model: *const PotstillModel) -> f64 {
    // SAFETY: as this function.
    guarded(|| Ok(unsafe { opened(model) }?.engine().cutoff())).unwrap_or(f64::NAN)
}

/// Whether forces come from a head of their own (1), and are no gradient of an energy: energy is not conserved, and there is no stress.
///
/// # Safety
/// `model` is from `potstill_model_open` and not closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn potstill_model_has_direct_forces(model: *const PotstillModel) -> c_int {
    // SAFETY: as this function.
    let ask = || Ok(unsafe { opened(model) }?.engine().has_direct_forces());
    c_int::from(guarded(ask).unwrap_or(false))
}

/// Whether an atom sees all others within the cutoff (1), or the nearest few (0): then the energy jumps where these change, and domains
/// cannot be evaluated.
///
/// # Safety
/// `model` is from `potstill_model_open` and not closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn potstill_model_sees_all_neighbors(model: *const PotstillModel) -> c_int {
    // SAFETY: as this function.
    let ask = || Ok(unsafe { opened(model) }?.engine().sees_all_neighbors());
    c_int::from(guarded(ask).unwrap_or(false))
}

/// Largest number of floats (or doubles) that one exchange of `potstill_domain_evaluate` brings for each ghost.
///
/// # Safety
/// `model` is from `potstill_model_open` and not closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn potstill_model_exchanged(model: *const PotstillModel) -> usize {
    // SAFETY: as this function.
    let ask = || Ok(unsafe { opened(model) }?.engine().exchanged());
    guarded(ask).unwrap_or(0)
}

/// Whether the model was trained on an element (1).
///
/// # Safety
/// `model` is from `potstill_model_open` and not closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn potstill_model_knows(model: *const PotstillModel, atomic_number: c_int) -> c_int {
    // SAFETY: as this function.
    let ask = || Ok(unsafe { opened(model) }?.engine().elements().iter().any(|&z| c_int::from(z) == atomic_number));
    c_int::from(guarded(ask).unwrap_or(false))
}

/// Atomic number of an element by its symbol, such as `Si`; 0 where there is none.
///
/// # Safety
/// `symbol` is a text that ends with a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn potstill_atomic_number(symbol: *const c_char) -> c_int {
    // SAFETY: as this function.
    let ask = || Ok(atomic_number(unsafe { text(symbol, "symbol") }?).map_or(0, c_int::from));
    guarded(ask).unwrap_or(0)
}
