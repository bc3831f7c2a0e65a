//! PyTorch's own files (`torch.save`), read without PyTorch and without running anything.
//!
//! Both kinds are read: zip archives (PyTorch 1.6 and later) and the older stream of pickles. [`TorchFile::open`]
//! reads the pickle only; the numbers of a tensor are read when [`TorchFile::read`] asks for them, so the memory needed
//! is that of the tensors which the caller keeps.

mod dtype;
mod file;
mod layout;
mod legacy;
mod read;
mod scalar;
mod storage;
mod zip;

pub use dtype::DType;
pub use file::TorchFile;
pub(crate) use file::read_inline;
pub use read::{Array, Numbers, TensorRef};
pub use scalar::number;

/// Classes and functions that a checkpoint may name; they are only looked at, never called.
pub fn allowed(module: &str, name: &str) -> bool {
    match module {
        "collections" => matches!(name, "OrderedDict" | "defaultdict"),
        "torch" => name.ends_with("Storage") || matches!(name, "Size" | "device") || DType::of_name(name).is_some(),
        "torch._utils" => name.starts_with("_rebuild_"),
        "torch.storage" => matches!(name, "UntypedStorage" | "TypedStorage" | "_load_from_bytes"),
        "numpy" => matches!(name, "dtype" | "ndarray"),
        "numpy.core.multiarray" | "numpy._core.multiarray" => matches!(name, "scalar" | "_reconstruct"),
        "_codecs" => name == "encode",
        "builtins" | "__builtin__" => {
            matches!(
                name,
                "dict" | "list" | "tuple" | "set" | "frozenset" | "int" | "float" | "str" | "bool" | "object"
            )
        }
        "pathlib" => matches!(name, "PosixPath" | "PurePosixPath" | "WindowsPath" | "PureWindowsPath"),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
