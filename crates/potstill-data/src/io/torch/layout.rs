//! Layout of a pickled tensor's entries in its storage.

use super::DType;
use crate::io::pickle::{Kind, Value};

/// A tensor as its pickle describes it; nothing has been checked against the storage yet.
pub(super) struct Layout<'a> {
    /// Name of the storage.
    pub storage: Value<'a>,
    /// The type, where the tensor and not its storage says it.
    pub dtype: Option<DType>,
    /// First entry, counted in entries from the start of the storage.
    pub offset: usize,
    pub shape: Vec<usize>,
    /// Distance between neighbours along each axis, in entries.
    pub strides: Vec<usize>,
}

impl<'a> Layout<'a> {
    /// Whether a value is a tensor or a parameter.
    pub fn is_tensor(value: Value<'_>) -> bool {
        matches!(value.class(), Some(("torch._utils", name)) if name.starts_with("_rebuild_"))
    }

    pub fn parse(value: Value<'a>) -> Result<Self, String> {
        let mut value = value;
        // A parameter wraps its tensor; one level is all that PyTorch ever writes.
        if let Some(("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state")) = value.class() {
            value = argument(value, 0)?;
        }
        let dtype = match value.class() {
            Some(("torch._utils", "_rebuild_tensor_v2" | "_rebuild_tensor")) => None,
            Some(("torch._utils", "_rebuild_tensor_v3")) => Some(dtype(argument(value, 6)?)?),
            Some(("torch._utils", name)) => {
                return Err(format!("tensors made by `{name}` are not known; save it dense"));
            }
            _ => return Err(format!("a tensor is expected, found {}", value.describe())),
        };
        let offset = argument(value, 1)?;
        let offset = offset.as_usize().ok_or_else(|| format!("a tensor's offset is {}", offset.describe()))?;
        let (shape, strides) = (sizes(argument(value, 2)?, "shape")?, sizes(argument(value, 3)?, "stride")?);
        if shape.len() != strides.len() {
            return Err(format!("a tensor has shape {shape:?} but strides {strides:?}"));
        }
        Ok(Self { storage: argument(value, 0)?, dtype, offset, shape, strides })
    }
}

pub(super) fn argument(value: Value<'_>, i: usize) -> Result<Value<'_>, String> {
    let found = value.called().and_then(|(_, args)| args.item(i));
    found.ok_or_else(|| format!("{} lacks argument {i}", value.describe()))
}

fn dtype(value: Value<'_>) -> Result<DType, String> {
    match value.kind() {
        Kind::Global { module: "torch", name } => DType::of_name(name),
        _ => None,
    }
    .ok_or_else(|| format!("a tensor's type is {}, which is not known", value.describe()))
}

fn sizes(value: Value<'_>, what: &str) -> Result<Vec<usize>, String> {
    /// Most axes of a tensor; PyTorch has a limit of 64 as well.
    const MAX_AXES: usize = 64;
    // `torch.Size` may stand around the tuple.
    let value = if value.class() == Some(("torch", "Size")) { argument(value, 0)? } else { value };
    if !matches!(value.kind(), Kind::Tuple | Kind::List) || value.n_items() > MAX_AXES {
        return Err(format!("a tensor's {what} is {}", value.describe()));
    }
    let size = |v: Value<'_>| v.as_usize().ok_or_else(|| format!("a tensor's {what} contains {}", v.describe()));
    value.items().map(size).collect()
}
