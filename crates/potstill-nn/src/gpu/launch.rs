//! Tensors and launches of kernels.

use burn::backend::cubecl::dtype_to_storage_type;
use burn_cubecl::tensor::CubeTensor;
use cubecl::calculate_cube_count_elemwise;
use cubecl::ir::ElemType;
use cubecl::prelude::{CubeCount, CubeDim};
use cubecl::server::CubeCountSelection;

/// Row-major tensor without values yet, of the type and on the device of another.
pub fn empty(like: &CubeTensor, shape: [usize; 2]) -> CubeTensor {
    let handle = like.client.empty(shape[0] * shape[1] * like.dtype.size());
    CubeTensor::new_contiguous(like.client.clone(), like.device.clone(), shape.into(), handle, like.dtype)
}

/// Types of the elements of a tensor of numbers and one of indices, which kernels are compiled for.
pub fn types(numbers: &CubeTensor, indices: &CubeTensor) -> [ElemType; 2] {
    [numbers.dtype, indices.dtype].map(dtype_to_storage_type)
}

/// Launch with one thread for each of `n` elements.
pub fn elements(tensor: &CubeTensor, n: usize) -> (CubeCount, CubeDim) {
    let dimension = CubeDim::new(&tensor.client, n);
    (calculate_cube_count_elemwise(&tensor.client, n, dimension), dimension)
}

/// Launch with one group of threads for each of `n` elements.
pub fn groups(tensor: &CubeTensor, n: usize, threads: u32) -> (CubeCount, CubeDim) {
    (CubeCountSelection::new(&tensor.client, n as u32).cube_count(), CubeDim::new_1d(threads))
}
