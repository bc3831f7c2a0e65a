//! The tensor framework's name of each precision.

use burn::tensor::DType;
use potstill_core::Precision;

/// Floating-point type of tensors of that precision.
pub fn dtype(precision: Precision) -> DType {
    match precision {
        Precision::F16 => DType::F16,
        Precision::F32 => DType::F32,
        Precision::F64 => DType::F64,
    }
}
