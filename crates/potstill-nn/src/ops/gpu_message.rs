//! PaiNN's messages over edges on a graphics processor, their adjoint, and the derivatives of both.
//!
//! The equations are those of the operation on the CPU, beside this file: with filters `f` of an edge `s → t` with direction `u`, all
//! are derivatives of one form, linear in each argument,
//!
//! ```text
//! F = Σ_edges Σ_channels  ŝ_t x_a f_a + β (v̂_t · v_s) x_b f_b + γ (v̂_t · u) x_c f_c
//! ```
//!
//! with `β = 1/√(3h)` and `γ = 1/√h`. Filters and their derivatives with respect to the distance are arrays with a row for each edge,
//! made by products of matrices; nothing else has one but the gradients with respect to them. A sum at an atom is one thread's for
//! each channel, over the edges of the atom in a fixed order: results repeat, and nothing is added atomically.
//!
//! | kernel | a thread or group for | result |
//! |---|---|---|
//! | `sum_messages` | target, channel | `∂F/∂(ŝ, v̂)` |
//! | `send_back` | source, channel | `∂F/∂(x, v)` |
//! | `turn_edges` | edge | `∂F/∂(d, u)`, summed over channels by a group of threads |
//! | `change_filters` | edge, channel | `∂F/∂f` |
//! | `second_targets`, `second_sources`, `second_edges` | as above | derivatives of the adjoint |

use burn::backend::ops::FloatTensorOps;
use burn::tensor::{Slice, Tensor};
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::MessageGradients;
use super::gpu_message_kernels::{
    THREADS, change_filters, second_edges, second_sources, second_targets, send_back, sum_messages, turn_edges,
};
use crate::gpu::Index;
use crate::gpu::launch::{elements, empty, groups, types};
use crate::gpu::operation::{GpuOperation, plain, run};
use crate::tensors::RowIndex;

/// Edges of a batch.
#[derive(Debug, Clone, Copy)]
pub struct GpuEdges<'a> {
    /// Source of each edge.
    pub source: &'a RowIndex,
    /// Target of each edge.
    pub target: &'a RowIndex,
    /// Unit vectors from target to source. Shape: `[n_edges, 3]`.
    pub direction: &'a Tensor<2>,
}

/// Sums of the messages at each atom, those of scalars and of vectors side by side. Shapes: `sent` (x) and `vector` `[n, 3h]`, `filters`
/// `[n_edges, 3h]` to `[n, 4h]`.
///
/// `None` on the CPU.
pub fn messages_on_gpu(
    edges: GpuEdges<'_>,
    sent: &Tensor<2>,
    vector: &Tensor<2>,
    filters: &Tensor<2>,
) -> Option<Tensor<2>> {
    let edges = Edges::of(edges, sent.dims())?;
    run(&Messages(edges), [sent, vector, filters])
}

/// Adjoint of [`messages_on_gpu`], given the gradients of the sums, of shapes `[n, h]` and `[n, 3h]`, the inputs `x` and `v`, and the
/// filters with their derivatives with respect to the distance.
///
/// `None` on the CPU.
pub fn messages_adjoint_on_gpu(
    edges: GpuEdges<'_>,
    [scalar_gradient, vector_gradient]: [&Tensor<2>; 2],
    [sent, vector]: [&Tensor<2>; 2],
    [filters, slopes]: [&Tensor<2>; 2],
) -> Option<MessageGradients> {
    let [n, wide] = sent.dims();
    let n_edges = edges.source.len();
    let edges = Edges::of(edges, [n, wide])?;
    let all = run(&MessagesAdjoint(edges), [scalar_gradient, vector_gradient, sent, vector, filters, slopes])?;
    let mut start = 0;
    let mut part = |shape: [usize; 2]| {
        let len = shape[0] * shape[1];
        start += len;
        all.clone().narrow(1, start - len, len).reshape(shape)
    };
    let (sent, vector) = (part([n, wide]), part([n, wide]));
    let (distance, direction) = (part([n_edges, 1]), part([n_edges, 3]));
    Some(MessageGradients { sent, vector: Some(vector), distance, direction })
}

/// Edges on the device.
#[derive(Debug, Clone)]
struct Edges {
    source: Index,
    target: Index,
    /// Unit vectors from target to source. Shape: `[n_edges, 3]`.
    direction: CubeTensor,
    n_atoms: usize,
    n_edges: usize,
    h: usize,
}

impl Edges {
    fn of(edges: GpuEdges<'_>, [n_atoms, wide]: [usize; 2]) -> Option<Self> {
        Some(Self {
            source: Index::of(edges.source.on_gpu()?)?,
            target: Index::of(edges.target.on_gpu()?)?,
            direction: into_contiguous(plain(edges.direction)?),
            n_atoms,
            n_edges: edges.source.len(),
            h: wide / 3,
        })
    }

    /// `β` and `γ`.
    fn factors(&self) -> [f32; 2] {
        let h = self.h as f64;
        [(1.0 / (3.0 * h).sqrt()) as f32, (1.0 / h.sqrt()) as f32]
    }

    /// `∂F/∂(ŝ, v̂)` side by side. Shape: `[n, 4h]`.
    fn sum_messages(&self, [sent, vector, filters]: [&CubeTensor; 3]) -> CubeTensor {
        let output = empty(sent, [self.n_atoms, 4 * self.h]);
        let n = self.n_atoms * self.h;
        if n > 0 {
            let (count, dimension) = elements(sent, n);
            let [beta, gamma] = self.factors();
            sum_messages::launch(
                &sent.client,
                count,
                dimension,
                sent.clone().into_tensor_arg(),
                vector.clone().into_tensor_arg(),
                filters.clone().into_tensor_arg(),
                self.direction.clone().into_tensor_arg(),
                self.source.rows.clone().into_tensor_arg(),
                self.target.entries.clone().into_tensor_arg(),
                self.target.first.clone().into_tensor_arg(),
                output.clone().into_tensor_arg(),
                n,
                self.h,
                beta,
                gamma,
                types(sent, &self.source.rows),
            );
        }
        output
    }

    /// `∂F/∂(x, v)` of all atoms at the start of `output`.
    fn send_back(&self, [scalar, vector_gradient, sent, vector, filters]: [&CubeTensor; 5], output: &CubeTensor) {
        let n = self.n_atoms * self.h;
        if n > 0 {
            let (count, dimension) = elements(sent, n);
            let [beta, gamma] = self.factors();
            send_back::launch(
                &sent.client,
                count,
                dimension,
                scalar.clone().into_tensor_arg(),
                vector_gradient.clone().into_tensor_arg(),
                sent.clone().into_tensor_arg(),
                vector.clone().into_tensor_arg(),
                filters.clone().into_tensor_arg(),
                self.direction.clone().into_tensor_arg(),
                self.target.rows.clone().into_tensor_arg(),
                self.source.entries.clone().into_tensor_arg(),
                self.source.first.clone().into_tensor_arg(),
                output.clone().into_tensor_arg(),
                n,
                self.h,
                beta,
                gamma,
                types(sent, &self.source.rows),
            );
        }
    }

    /// `∂F/∂(d, u)` of all edges at the end of `output`.
    fn turn_edges(
        &self,
        [scalar, vector_gradient, sent, vector, filters, slopes]: [&CubeTensor; 6],
        output: &CubeTensor,
    ) {
        let start = 6 * self.n_atoms * self.h;
        let n = self.n_edges;
        if n > 0 {
            let (count, dimension) = groups(sent, self.n_edges, THREADS);
            let [beta, gamma] = self.factors();
            turn_edges::launch(
                &sent.client,
                count,
                dimension,
                scalar.clone().into_tensor_arg(),
                vector_gradient.clone().into_tensor_arg(),
                sent.clone().into_tensor_arg(),
                vector.clone().into_tensor_arg(),
                filters.clone().into_tensor_arg(),
                slopes.clone().into_tensor_arg(),
                self.direction.clone().into_tensor_arg(),
                self.source.rows.clone().into_tensor_arg(),
                self.target.rows.clone().into_tensor_arg(),
                output.clone().into_tensor_arg(),
                n,
                start,
                self.h,
                beta,
                gamma,
                types(sent, &self.source.rows),
            );
        }
    }

    /// `∂F/∂f`. Shape: `[n_edges, 3h]`.
    fn change_filters(&self, [scalar, vector_gradient, sent, vector]: [&CubeTensor; 4]) -> CubeTensor {
        let output = empty(sent, [self.n_edges, 3 * self.h]);
        let n = self.n_edges * self.h;
        if n > 0 {
            let (count, dimension) = elements(sent, n);
            let [beta, gamma] = self.factors();
            change_filters::launch(
                &sent.client,
                count,
                dimension,
                scalar.clone().into_tensor_arg(),
                vector_gradient.clone().into_tensor_arg(),
                sent.clone().into_tensor_arg(),
                vector.clone().into_tensor_arg(),
                self.direction.clone().into_tensor_arg(),
                self.source.rows.clone().into_tensor_arg(),
                self.target.rows.clone().into_tensor_arg(),
                output.clone().into_tensor_arg(),
                n,
                self.h,
                beta,
                gamma,
                types(sent, &self.source.rows),
            );
        }
        output
    }

    /// Derivatives of the adjoint with respect to `(ŝ, v̂)`, side by side. Shape: `[n, 4h]`.
    fn second_targets(&self, [sent, vector, filters, slopes]: [&CubeTensor; 4], changes: &CubeTensor) -> CubeTensor {
        let output = empty(sent, [self.n_atoms, 4 * self.h]);
        let n_edges = self.n_edges;
        let n = self.n_atoms * self.h;
        if n > 0 {
            let (count, dimension) = elements(sent, n);
            let [beta, gamma] = self.factors();
            second_targets::launch(
                &sent.client,
                count,
                dimension,
                sent.clone().into_tensor_arg(),
                vector.clone().into_tensor_arg(),
                filters.clone().into_tensor_arg(),
                slopes.clone().into_tensor_arg(),
                changes.clone().into_tensor_arg(),
                self.direction.clone().into_tensor_arg(),
                self.source.rows.clone().into_tensor_arg(),
                self.target.entries.clone().into_tensor_arg(),
                self.target.first.clone().into_tensor_arg(),
                output.clone().into_tensor_arg(),
                n,
                n_edges,
                self.h,
                beta,
                gamma,
                types(sent, &self.source.rows),
            );
        }
        output
    }

    /// Derivatives of the adjoint with respect to `(x, v)`, side by side. Shape: `[n, 6h]`.
    fn second_sources(
        &self,
        [scalar, vector_gradient, sent, vector, filters, slopes]: [&CubeTensor; 6],
        changes: &CubeTensor,
    ) -> CubeTensor {
        let output = empty(sent, [self.n_atoms, 6 * self.h]);
        let n_edges = self.n_edges;
        let n = self.n_atoms * self.h;
        if n > 0 {
            let (count, dimension) = elements(sent, n);
            let [beta, gamma] = self.factors();
            second_sources::launch(
                &sent.client,
                count,
                dimension,
                scalar.clone().into_tensor_arg(),
                vector_gradient.clone().into_tensor_arg(),
                sent.clone().into_tensor_arg(),
                vector.clone().into_tensor_arg(),
                filters.clone().into_tensor_arg(),
                slopes.clone().into_tensor_arg(),
                changes.clone().into_tensor_arg(),
                self.direction.clone().into_tensor_arg(),
                self.target.rows.clone().into_tensor_arg(),
                self.source.entries.clone().into_tensor_arg(),
                self.source.first.clone().into_tensor_arg(),
                output.clone().into_tensor_arg(),
                n,
                n_edges,
                self.h,
                beta,
                gamma,
                types(sent, &self.source.rows),
            );
        }
        output
    }

    /// Derivatives of the adjoint with respect to `f` and `f′`. Shapes: `[n_edges, 3h]`.
    fn second_edges(
        &self,
        [scalar, vector_gradient, sent, vector]: [&CubeTensor; 4],
        changes: &CubeTensor,
    ) -> [CubeTensor; 2] {
        let outputs = [(); 2].map(|()| empty(sent, [self.n_edges, 3 * self.h]));
        let n_atoms = self.n_atoms;
        let n = self.n_edges * self.h;
        if n > 0 {
            let (count, dimension) = elements(sent, n);
            let [beta, gamma] = self.factors();
            second_edges::launch(
                &sent.client,
                count,
                dimension,
                scalar.clone().into_tensor_arg(),
                vector_gradient.clone().into_tensor_arg(),
                sent.clone().into_tensor_arg(),
                vector.clone().into_tensor_arg(),
                changes.clone().into_tensor_arg(),
                self.direction.clone().into_tensor_arg(),
                self.source.rows.clone().into_tensor_arg(),
                self.target.rows.clone().into_tensor_arg(),
                outputs[0].clone().into_tensor_arg(),
                outputs[1].clone().into_tensor_arg(),
                n,
                n_atoms,
                self.h,
                beta,
                gamma,
                types(sent, &self.source.rows),
            );
        }
        outputs
    }
}

/// Columns `start..start + width` of a matrix.
fn columns(matrix: &CubeTensor, start: usize, width: usize) -> CubeTensor {
    let rows = matrix.meta.shape()[0];
    let slices = [Slice::new(0, Some(rows as isize), 1), Slice::new(start as isize, Some((start + width) as isize), 1)];
    into_contiguous(CubeBackend::float_slice(matrix.clone(), &slices))
}

#[derive(Debug, Clone)]
struct Messages(Edges);

impl GpuOperation<3> for Messages {
    type Saved = [CubeTensor; 3];

    fn forward(&self, inputs: [CubeTensor; 3]) -> (CubeTensor, Self::Saved) {
        let inputs = inputs.map(into_contiguous);
        (self.0.sum_messages(inputs.each_ref()), inputs)
    }

    fn backward(&self, [sent, vector, filters]: Self::Saved, gradient: CubeTensor) -> [CubeTensor; 3] {
        let (edges, h) = (&self.0, self.0.h);
        let (scalar, vector_gradient) = (columns(&gradient, 0, h), columns(&gradient, h, 3 * h));
        let of_atoms = empty(&sent, [2, 3 * edges.n_atoms * h]);
        edges.send_back([&scalar, &vector_gradient, &sent, &vector, &filters], &of_atoms);
        let of_filters = edges.change_filters([&scalar, &vector_gradient, &sent, &vector]);
        let [of_sent, of_vector] = [0, 1].map(|k| row(&of_atoms, k, [edges.n_atoms, 3 * h]));
        [of_sent, of_vector, of_filters]
    }
}

/// Row `k` of a matrix, in another shape.
fn row(matrix: &CubeTensor, k: usize, shape: [usize; 2]) -> CubeTensor {
    let width = matrix.meta.shape()[1];
    let slices = [Slice::new(k as isize, Some(k as isize + 1), 1), Slice::new(0, Some(width as isize), 1)];
    CubeBackend::float_reshape(CubeBackend::float_slice(matrix.clone(), &slices), shape.into())
}

#[derive(Debug, Clone)]
struct MessagesAdjoint(Edges);

impl GpuOperation<6> for MessagesAdjoint {
    type Saved = [CubeTensor; 6];

    /// `∂F/∂x`, `∂F/∂v`, `∂F/∂d` and `∂F/∂u`, one after the other. Shape: `[1, 6nh + 4 n_edges]`.
    fn forward(&self, inputs: [CubeTensor; 6]) -> (CubeTensor, Self::Saved) {
        let inputs = inputs.map(into_contiguous);
        let edges = &self.0;
        let output = empty(&inputs[2], [1, 6 * edges.n_atoms * edges.h + 4 * edges.n_edges]);
        let [scalar, vector_gradient, sent, vector, filters, slopes] = inputs.each_ref();
        edges.send_back([scalar, vector_gradient, sent, vector, filters], &output);
        edges.turn_edges([scalar, vector_gradient, sent, vector, filters, slopes], &output);
        (output, inputs)
    }

    fn backward(&self, inputs: Self::Saved, gradient: CubeTensor) -> [CubeTensor; 6] {
        let (edges, h) = (&self.0, self.0.h);
        let changes = into_contiguous(gradient);
        let [scalar, vector_gradient, sent, vector, filters, slopes] = inputs.each_ref();
        let of_targets = edges.second_targets([sent, vector, filters, slopes], &changes);
        let of_sources = edges.second_sources([scalar, vector_gradient, sent, vector, filters, slopes], &changes);
        let [of_filters, of_slopes] = edges.second_edges([scalar, vector_gradient, sent, vector], &changes);
        [
            columns(&of_targets, 0, h),
            columns(&of_targets, h, 3 * h),
            columns(&of_sources, 0, 3 * h),
            columns(&of_sources, 3 * h, 3 * h),
            of_filters,
            of_slopes,
        ]
    }
}
