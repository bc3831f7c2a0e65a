//! System from a pickled graph object.

use crate::io::keys::{ChosenKeys, LabelKeys, search};
use crate::io::pickle::{Kind, Pickle, Value};
use crate::io::torch::{self, Array, TorchFile, number, read_inline};
use potstill_core::system::{Mat3, Metadata, Vec3};
use potstill_core::{System, system};

const ENERGY_KEYS: &[&str] = &["y", "energy"];
const FORCES_KEYS: &[&str] = &["force", "forces"];
/// Attributes that have a place of their own in a system, or none.
const NOT_METADATA: &[&str] = &["natoms", "num_nodes", "pbc"];

/// Classes that a graph object may name beside those of tensors.
fn allowed(module: &str, name: &str) -> bool {
    match module {
        "torch_geometric.data.data" => matches!(name, "Data" | "DataEdgeAttr" | "DataTensorAttr"),
        "torch_geometric.data.storage" => matches!(name, "GlobalStorage" | "BaseStorage" | "NodeStorage"),
        _ => torch::allowed(module, name),
    }
}

/// The number of systems, as the key `length` holds it.
pub(super) fn length(bytes: &[u8]) -> Result<u64, String> {
    let pickle = Pickle::parse(bytes, 0, allowed)?;
    let root = pickle.root();
    let length = root.as_i64().and_then(|v| u64::try_from(v).ok());
    length.ok_or_else(|| format!("`length` is {}, expected a whole number", root.describe()))
}

/// Reads a graph object.
pub(super) fn system(bytes: &[u8], keys: &LabelKeys, chosen: &mut ChosenKeys) -> Result<System, String> {
    let pickle = Pickle::parse(bytes, 0, allowed)?;
    let attributes = attributes(pickle.root())?;
    let get = |name: &str| attributes.get(name).filter(|v| !v.is_none());
    let required = |name: &str| get(name).ok_or_else(|| format!("`{name}` is absent"));

    let atomic_numbers = atomic_numbers(reals("atomic_numbers", required("atomic_numbers")?, &[])?)?;
    let n = atomic_numbers.len();
    let positions = vectors(reals("pos", required("pos")?, &[n, 3])?);
    let mut metadata = metadata(attributes);
    let energy = match choose(keys.energy.as_deref(), ENERGY_KEYS, &mut chosen.energy, &get)? {
        Some(key) => {
            metadata.remove(&key);
            Some(single(&key, required(&key)?)?)
        }
        None => None,
    };
    let forces = match choose(keys.forces.as_deref(), FORCES_KEYS, &mut chosen.forces, &get)? {
        Some(key) => Some(vectors(reals(&key, required(&key)?, &[n, 3])?)),
        None => None,
    };
    if let Some(key) = &keys.stress {
        return Err(format!("`{key}` is asked for as the stress, but OC20 files hold none"));
    }
    let cell = get("cell").map(cell).transpose()?.flatten();
    let column = |name| get(name).map(|v| reals(name, v, &[n])).transpose();
    let tags = column("tags")?.map(|tags| tags.into_iter().map(|tag| whole("tags", tag)).collect());
    let fixed = column("fixed")?.map(|fixed| fixed.into_iter().map(|f| f != 0.0).collect());
    let (tags, pbc) = (tags.transpose()?, [cell.is_some(); 3]);
    let labels = System { energy, forces, tags, fixed, metadata, ..System::default() };
    Ok(System { atomic_numbers, positions, cell, pbc, ..labels })
}

/// The dictionary of attributes, wherever the object keeps it.
fn attributes(root: Value<'_>) -> Result<Value<'_>, String> {
    if root.kind() == Kind::Dict {
        return Ok(root);
    }
    let state = root.state().filter(|_| root.class() == Some(("torch_geometric.data.data", "Data")));
    let state = state.ok_or_else(|| format!("is {}, expected a graph object (Data)", root.describe()))?;
    match state.get("_store") {
        Some(store) => store.state().and_then(|s| s.get("_mapping")).ok_or_else(|| "its `_store` is empty".into()),
        None => Ok(state),
    }
}

/// The key of a label: the one asked for, the one found before, or the first that is there.
fn choose<'a>(
    asked: Option<&str>,
    known: &[&str],
    chosen: &mut Option<String>,
    get: &impl Fn(&str) -> Option<Value<'a>>,
) -> Result<Option<String>, String> {
    if let Some(key) = asked {
        get(key).ok_or_else(|| format!("`{key}` is asked for, but absent"))?;
        *chosen = Some(key.to_owned());
    } else if chosen.is_none() {
        *chosen = search(known, |key| get(key).is_some()).map(|(best, _)| best);
    }
    Ok(chosen.clone().filter(|key| get(key).is_some()))
}

/// Entries of a tensor, finite and of that shape; of any shape with one axis when none is given.
fn reals(name: &str, value: Value<'_>, shape: &[usize]) -> Result<Vec<f64>, String> {
    let array = tensor(name, value)?;
    let fits = if shape.is_empty() { array.shape.len() == 1 } else { array.shape == shape };
    if !fits {
        let expected = if shape.is_empty() { "one axis".to_owned() } else { format!("{shape:?}") };
        return Err(format!("`{name}` has shape {:?}, expected {expected}", array.shape));
    }
    finite(name, array.into_f64())
}

fn tensor(name: &str, value: Value<'_>) -> Result<Array, String> {
    read_inline(value).map_err(|e| format!("`{name}`: {e}"))
}

fn finite(name: &str, values: Vec<f64>) -> Result<Vec<f64>, String> {
    if values.iter().all(|v| v.is_finite()) {
        return Ok(values);
    }
    Err(format!("`{name}` is not finite; repair or remove this system"))
}

fn vectors(values: Vec<f64>) -> Vec<Vec3> {
    values.as_chunks::<3>().0.to_vec()
}

/// A number, by itself or as a tensor of one entry.
fn single(name: &str, value: Value<'_>) -> Result<f64, String> {
    let values = match number(value) {
        Some(v) => vec![v],
        None => tensor(name, value)?.into_f64(),
    };
    match finite(name, values)?[..] {
        [v] => Ok(v),
        ref values => Err(format!("`{name}` has {} entries, expected one number", values.len())),
    }
}

fn atomic_numbers(values: Vec<f64>) -> Result<Vec<u8>, String> {
    let one = |v: f64| (v.fract() == 0.0 && (1.0..=118.0).contains(&v)).then_some(v as u8);
    let each = |(i, v)| one(v).ok_or_else(|| format!("atomic_numbers[{i}] = {v} is not an atomic number"));
    values.into_iter().enumerate().map(each).collect()
}

fn whole(name: &str, value: f64) -> Result<i32, String> {
    if value.fract() == 0.0 && value.abs() <= f64::from(i32::MAX) {
        return Ok(value as i32);
    }
    Err(format!("`{name}` contains {value}, expected whole numbers"))
}

/// Lattice vectors; absent when all are zero, as for a free molecule.
fn cell(value: Value<'_>) -> Result<Option<Mat3>, String> {
    let array = tensor("cell", value)?;
    let shape = array.shape.clone();
    let rows = vectors(finite("cell", array.into_f64())?);
    match rows[..] {
        [a, b, c] if matches!(shape[..], [1, 3, 3] | [3, 3]) => {
            Ok([a, b, c].iter().flatten().any(|&v| v != 0.0).then_some([a, b, c]))
        }
        _ => Err(format!("`cell` has shape {shape:?}, expected [1, 3, 3]")),
    }
}

/// Attributes that are single numbers or texts.
fn metadata(attributes: Value<'_>) -> Metadata {
    let mut metadata = Metadata::new();
    for (key, value) in attributes.pairs() {
        let Some(name) = key.as_str().filter(|name| !NOT_METADATA.contains(name)) else { continue };
        if TorchFile::is_tensor(value) {
            continue;
        }
        let value = match value.kind() {
            Kind::Bool(v) => system::Value::Bool(v),
            Kind::Int(v) => system::Value::Int(v),
            Kind::Str(text) => system::Value::Text(text.to_owned()),
            _ => match number(value) {
                Some(v) => system::Value::Real(v),
                None => continue,
            },
        };
        metadata.insert(name.to_owned(), value);
    }
    metadata
}
