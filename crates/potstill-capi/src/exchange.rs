//! Exchange between processes by a function of the caller.

use std::ffi::c_void;

use potstill_engine::domain::{Exchange, Rows};

/// Overwrites the rows of ghosts by those of the atoms that they are copies of. `arrays` has `n_arrays` arrays of rows, those of own
/// atoms first, then those of ghosts; `widths` has the number of floats (or doubles, for a model of double precision) in a row of
/// each. Every process calls it equally often, with the same widths, on the thread that evaluates.
pub type PotstillExchange = Option<
    unsafe extern "C" fn(context: *mut c_void, n_arrays: usize, arrays: *const *mut c_void, widths: *const usize),
>;

/// Exchange by a function of the caller.
pub struct Callback {
    /// The function; none where there are no ghosts.
    pub exchange: PotstillExchange,
    /// What it is called with.
    pub context: *mut c_void,
}

impl<T> Exchange<T> for Callback {
    fn refresh(&mut self, rows: &mut [Rows<'_, T>]) {
        let Some(exchange) = self.exchange else { return };
        let arrays: Vec<*mut c_void> = rows.iter_mut().map(|rows| rows.values.as_mut_ptr().cast()).collect();
        let widths: Vec<usize> = rows.iter().map(|rows| rows.width).collect();
        // SAFETY: `potstill_domain_evaluate` demands a function that writes nothing but these rows.
        unsafe { exchange(self.context, arrays.len(), arrays.as_ptr(), widths.as_ptr()) };
    }
}
