//! Opening a model file, asking about it.

use std::ffi::{c_char, c_int};
use std::path::Path;

use potstill_core::elements::atomic_number;
use potstill_core::{Potential, Result};
use potstill_engine::{Engine, FilterChoice};

use crate::arrays::{text, wrong};
use crate::error::guarded;

/// Model that is open.
#[derive(Debug)]
pub enum PotstillModel {
    /// Computes in single precision.
    Single(Engine<f32>),
    /// Computes in double precision.
    Double(Engine<f64>),
}

impl PotstillModel {
    fn potential(&self) -> &dyn Potential {
        match self {
            Self::Single(engine) => engine,
            Self::Double(engine) => engine,
        }
    }

    pub(crate) fn evaluate(&self, system: &potstill_core::System) -> Result<potstill_core::Prediction> {
        self.potential().evaluate(&[system])
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
        let model = match bytes_per_number {
            4 => PotstillModel::Single(Engine::load(path, FilterChoice::default())?),
            8 => PotstillModel::Double(Engine::load(path, FilterChoice::Table { accuracy: 1e-10 })?),
            other => return Err(wrong(format!("bytes_per_number: is {other}; must be 4 or 8"))),
        };
        Ok(Box::into_raw(Box::new(model)))
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
    guarded(|| Ok(unsafe { opened(model) }?.potential().cutoff())).unwrap_or(f64::NAN)
}

/// Whether forces come from a head of their own (1), and are no gradient of an energy: energy is not conserved, and there is no stress.
///
/// # Safety
/// `model` is from `potstill_model_open` and not closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn potstill_model_has_direct_forces(model: *const PotstillModel) -> c_int {
    let ask = || {
        // SAFETY: as this function.
        Ok(match unsafe { opened(model) }? {
            PotstillModel::Single(engine) => engine.has_direct_forces(),
            PotstillModel::Double(engine) => engine.has_direct_forces(),
        })
    };
    c_int::from(guarded(ask).unwrap_or(false))
}

/// Whether an atom sees all others within the cutoff (1), or the nearest few (0): then the energy jumps where these change, and domains
/// cannot be evaluated.
///
/// # Safety
/// `model` is from `potstill_model_open` and not closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn potstill_model_sees_all_neighbors(model: *const PotstillModel) -> c_int {
    let ask = || {
        // SAFETY: as this function.
        Ok(match unsafe { opened(model) }? {
            PotstillModel::Single(engine) => engine.sees_all_neighbors(),
            PotstillModel::Double(engine) => engine.sees_all_neighbors(),
        })
    };
    c_int::from(guarded(ask).unwrap_or(false))
}

/// Largest number of floats (or doubles) that one exchange of `potstill_domain_evaluate` brings for each ghost.
///
/// # Safety
/// `model` is from `potstill_model_open` and not closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn potstill_model_exchanged(model: *const PotstillModel) -> usize {
    let ask = || {
        // SAFETY: as this function.
        Ok(match unsafe { opened(model) }? {
            PotstillModel::Single(engine) => engine.exchanged(),
            PotstillModel::Double(engine) => engine.exchanged(),
        })
    };
    guarded(ask).unwrap_or(0)
}

/// Whether the model was trained on an element (1).
///
/// # Safety
/// `model` is from `potstill_model_open` and not closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn potstill_model_knows(model: *const PotstillModel, atomic_number: c_int) -> c_int {
    // SAFETY: as this function.
    let ask = || Ok(unsafe { opened(model) }?.potential().elements().iter().any(|&z| c_int::from(z) == atomic_number));
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
