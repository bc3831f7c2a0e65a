//! Tensors from host values, and back.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};

/// Integer tensor from host values.
pub fn int_tensor(values: Vec<i32>, device: &Device) -> Tensor<1, Int> {
    let n = values.len();
    Tensor::from_data(TensorData::new(values, [n]), (device, DType::I32))
}

/// Floating-point tensor of type `dtype` from host values.
pub fn float_tensor<const D: usize>(values: Vec<f64>, shape: [usize; D], device: &Device, dtype: DType) -> Tensor<D> {
    // Narrow here: handing f64 to a conversion inside the framework costs another pass.
    let data = match dtype {
        DType::F64 => TensorData::new(values, shape),
        _ => TensorData::new(values.iter().map(|&v| v as f32).collect::<Vec<_>>(), shape),
    };
    Tensor::from_data(data, (device, dtype))
}

/// Host copy of a tensor in f64, row-major.
pub fn to_host<const D: usize>(tensor: &Tensor<D>) -> Vec<f64> {
    let data = tensor.to_data();
    match data.as_slice::<f32>() {
        Ok(values) => values.iter().map(|&v| f64::from(v)).collect(),
        // Any other type.
        Err(_) => data.iter::<f64>().collect(),
    }
}
