//! Settings that were pickled, as JSON.

use serde_json::{Map, Value as Json};

use super::{Kind, Value};

/// Deepest nesting of settings.
const MAX_DEPTH: usize = 32;
/// Most values and bytes of text in settings.
const MAX_SIZE: usize = 1 << 18;

/// Plain data (dictionaries, lists, text, numbers) as JSON; keys that are numbers become text.
///
/// Tensors, other objects, bytes, and reals that JSON cannot hold (NaN) become `null`: settings have none that matter.
///
/// # Errors
/// A message when the data is nested deeper than 32 levels or, written out, has more than 262,144 values.
pub fn to_json(value: Value<'_>) -> Result<Json, String> {
    let mut left = MAX_SIZE;
    convert(value, 0, &mut left)
}

fn convert(value: Value<'_>, depth: usize, left: &mut usize) -> Result<Json, String> {
    if depth > MAX_DEPTH {
        return Err(format!("the settings are nested deeper than {MAX_DEPTH} levels"));
    }
    spend(left, 1)?;
    Ok(match value.kind() {
        Kind::Bool(v) => v.into(),
        Kind::Int(v) => v.into(),
        Kind::Float(v) => v.into(),
        Kind::Str(text) => {
            spend(left, text.len())?;
            text.into()
        }
        Kind::List | Kind::Tuple => {
            Json::Array(value.items().map(|v| convert(v, depth + 1, left)).collect::<Result<_, _>>()?)
        }
        Kind::Dict => object(value, depth, left)?,
        Kind::Object if is_dict(value) => object(value, depth, left)?,
        _ => Json::Null,
    })
}

fn is_dict(value: Value<'_>) -> bool {
    matches!(value.class(), Some(("collections", "OrderedDict" | "defaultdict")))
}

fn object(value: Value<'_>, depth: usize, left: &mut usize) -> Result<Json, String> {
    let mut map = Map::new();
    for (key, v) in value.pairs() {
        let name = match key.kind() {
            Kind::Str(text) => text.to_owned(),
            Kind::Int(v) => v.to_string(),
            Kind::Float(v) => v.to_string(),
            Kind::Bool(v) => v.to_string(),
            Kind::None => "null".into(),
            _ => return Err(format!("the settings have {} as a key", key.describe())),
        };
        spend(left, name.len())?;
        map.insert(name, convert(v, depth + 1, left)?);
    }
    Ok(Json::Object(map))
}

fn spend(left: &mut usize, n: usize) -> Result<(), String> {
    *left = left.checked_sub(n).ok_or_else(|| format!("the settings have more than {MAX_SIZE} values"))?;
    Ok(())
}
