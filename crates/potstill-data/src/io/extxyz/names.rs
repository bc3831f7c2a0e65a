//! Names under which further columns and metadata are written, so that no reader takes them for something else.

use crate::io::keys::{ENERGY_KEYS, FORCES_KEYS};
use potstill_core::columns::{Column, ColumnValues};
use potstill_core::system::{System, Value};

/// Keys that shape a system and so cannot be metadata.
const RESERVED_KEYS: [&str; 3] = ["Properties", "Lattice", "pbc"];
/// Keys of labels. An `energy` that is mere metadata (another key was chosen) is written as `other_energy`.
const LABEL_KEYS: [&str; 2] = ["energy", "stress"];
/// Columns that the writer sets itself; a further column of that name is written as `other_forces`, for example.
const OWN_COLUMNS: [&str; 6] = ["species", "pos", "forces", "tags", "move_mask", "fixed"];

/// Name of a metadata key in the file.
///
/// # Errors
/// A key that cannot be written.
pub fn key_name(system: &System, key: &str, value: &Value) -> Result<String, String> {
    if key.is_empty() || RESERVED_KEYS.contains(&key) {
        return Err(format!("`{key}` cannot be a metadata key: it is reserved"));
    }
    // Of a system without an energy, a reader would take any of these for it.
    let chosen = system.energy.is_none() && ENERGY_KEYS.contains(&key) && (key != "E" || is_number(value));
    let taken = LABEL_KEYS.contains(&key) || chosen;
    Ok(unused(key, taken, &|name| system.metadata.contains_key(name)))
}

/// Name of a further column in the file.
///
/// # Errors
/// A column that cannot be written.
pub fn column_name(system: &System, name: &str, column: &Column) -> Result<String, String> {
    let n = system.n_atoms();
    if !column.fits(n) {
        let (found, width) = (column.values.len(), column.width);
        return Err(format!("column {name} has {found} entries for {n} atoms, {width} each"));
    }
    if name.is_empty() || name.contains(|c: char| c == ':' || c.is_control()) {
        return Err(format!("`{}` cannot be the name of a column", name.escape_debug()));
    }
    if let ColumnValues::Text(values) = &column.values {
        let broken = |text: &&String| text.is_empty() || text.contains(|c: char| c.is_ascii_whitespace());
        if let Some(text) = values.iter().find(broken) {
            return Err(format!("column {name}: `{}` is not one word", text.escape_debug()));
        }
    }
    let is_vector = column.width == 3 && matches!(column.values, ColumnValues::Real(_));
    let chosen = system.forces.is_none() && FORCES_KEYS.contains(&name) && is_vector;
    let taken = OWN_COLUMNS.contains(&name) || chosen;
    Ok(unused(name, taken, &|name| system.columns.contains_key(name)))
}

fn is_number(value: &Value) -> bool {
    matches!(value, Value::Int(_) | Value::Real(_))
}

/// The name, or another one where it is taken.
fn unused(name: &str, taken: bool, exists: &dyn Fn(&str) -> bool) -> String {
    let mut free = name.to_owned();
    let mut taken = taken;
    while taken {
        free.insert_str(0, "other_");
        taken = exists(&free);
    }
    free
}
