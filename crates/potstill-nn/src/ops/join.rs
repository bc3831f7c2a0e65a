//! Features of both ends of an edge and of the edge itself through one dense layer.

use std::sync::Arc;

use burn::tensor::Tensor;
use potstill_kernels::activation::scaled_silu_adjoint;
use potstill_kernels::number::{Number, vectorized};

use super::dense::silu_of;
use super::operation::{Forward, Input, Operation, Primitive, run};
use super::product::{Factor, product, product_into};
use crate::tensors::{RowIndex, gather_rows, scaled_silu};

/// Both ends of each edge, on the host and on the device.
#[derive(Debug, Clone)]
pub struct Ends<'a> {
    /// Source and target of each edge, on the host.
    pub host: &'a Arc<[[u32; 2]]>,
    /// Source of each edge.
    pub source: &'a RowIndex,
    /// Target of each edge.
    pub target: &'a RowIndex,
}

/// [`scaled_silu`] of `(atom[source] ‖ atom[target] ‖ edge) Wᵀ`. Shape: `[n_atoms, a]`, `[n_edges, b]` and `[c, 2a + b]` to
/// `[n_edges, c]`.
///
/// The weight acts on the atoms before they are spread over their edges: that is fewer rows, and the joined features never
/// exist.
pub fn join_silu(atom: &Tensor<2>, edge: &Tensor<2>, weight: &Tensor<2>, ends: &Ends<'_>) -> Tensor<2> {
    let operation = JoinOperation { ends: ends.host.clone() };
    let fused = run(operation, [Primitive::of(atom), Primitive::of(edge), Primitive::of(weight)]);
    fused.unwrap_or_else(|| portable(atom, edge, weight, ends))
}

fn portable(atom: &Tensor<2>, edge: &Tensor<2>, weight: &Tensor<2>, ends: &Ends<'_>) -> Tensor<2> {
    let source = gather_rows(atom.clone(), ends.source);
    let target = gather_rows(atom.clone(), ends.target);
    scaled_silu(Tensor::cat(vec![source, target, edge.clone()], 1).matmul(weight.clone().transpose()))
}

#[derive(Debug, Clone)]
struct JoinOperation {
    ends: Arc<[[u32; 2]]>,
}

/// Columns `start..start + length` of a row-major matrix.
fn columns<T: Number>(matrix: &Input<'_, T>, start: usize, length: usize) -> Vec<T> {
    matrix.values.chunks_exact(matrix.shape[1]).flat_map(|row| &row[start..start + length]).copied().collect()
}

impl Operation<3> for JoinOperation {
    fn forward<T: Number>(&self, [atom, edge, weight]: [Input<'_, T>; 3], save: bool) -> Forward<T> {
        let ((n_atoms, a), (n, b), (c, _)) = (atom.matrix(), edge.matrix(), weight.matrix());
        let atom = Factor::new(atom.values, n_atoms, a);
        let of_atoms = [0, a].map(|start| {
            let part = columns(&weight, start, a);
            product(atom, Factor::new(&part, c, a).transpose())
        });
        let part = columns(&weight, 2 * a, b);
        let mut y = product(Factor::new(edge.values, n, b), Factor::new(&part, c, b).transpose());
        vectorized(
            #[inline(always)]
            || {
                for (y, ends) in y.chunks_exact_mut(c).zip(self.ends.iter()) {
                    let [source, target] = ends.map(|atom| atom as usize * c);
                    let source = &of_atoms[0][source..source + c];
                    let target = &of_atoms[1][target..target + c];
                    for ((y, &source), &target) in y.iter_mut().zip(source).zip(target) {
                        *y += source + target;
                    }
                }
            },
        );
        let output = silu_of(&y);
        Forward { output, shape: vec![n, c], saved: if save { vec![y] } else { Vec::new() } }
    }

    fn backward<T: Number>(
        &self,
        [atom, edge, weight]: [Input<'_, T>; 3],
        saved: &[Vec<T>],
        mut gradient: Vec<T>,
        [atom_wanted, edge_wanted, weight_wanted]: [bool; 3],
    ) -> [Option<Vec<T>>; 3] {
        let [argument] = saved else { unreachable!("forward saves one array") };
        let ((n_atoms, a), (n, b), (c, row)) = (atom.matrix(), edge.matrix(), weight.matrix());
        scaled_silu_adjoint(argument, &mut gradient);
        let of_atoms = [0, 1].map(|end| self.sum_over_edges(&gradient, n_atoms, c, end));
        let of_atoms = of_atoms.each_ref().map(|values| Factor::new(values, n_atoms, c));
        let gradient = Factor::new(&gradient, n, c);

        let atom_gradient = atom_wanted.then(|| {
            let mut sum = vec![T::ZERO; n_atoms * a];
            for (gradient, start) in of_atoms.into_iter().zip([0, a]) {
                product_into(&mut sum, gradient, Factor::new(&columns(&weight, start, a), c, a), true);
            }
            sum
        });
        let edge_gradient = edge_wanted.then(|| product(gradient, Factor::new(&columns(&weight, 2 * a, b), c, b)));
        let weight_gradient = weight_wanted.then(|| {
            let atom = Factor::new(atom.values, n_atoms, a);
            let parts = [
                product(of_atoms[0].transpose(), atom),
                product(of_atoms[1].transpose(), atom),
                product(gradient.transpose(), Factor::new(edge.values, n, b)),
            ];
            let mut all = Vec::with_capacity(c * row);
            for channel in 0..c {
                for (part, width) in parts.iter().zip([a, a, b]) {
                    all.extend_from_slice(&part[channel * width..(channel + 1) * width]);
                }
            }
            all
        });
        [atom_gradient, edge_gradient, weight_gradient]
    }
}

impl JoinOperation {
    /// Sums rows of edges into one of their ends.
    fn sum_over_edges<T: Number>(&self, values: &[T], n_atoms: usize, c: usize, end: usize) -> Vec<T> {
        let mut sums = vec![T::ZERO; n_atoms * c];
        vectorized(
            #[inline(always)]
            || {
                for (values, ends) in values.chunks_exact(c).zip(self.ends.iter()) {
                    let start = ends[end] as usize * c;
                    for (sum, &value) in sums[start..start + c].iter_mut().zip(values) {
                        *sum += value;
                    }
                }
            },
        );
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::same_derivatives;

    #[test]
    fn agrees_with_plain_operations() {
        let host: Arc<[[u32; 2]]> = [[0, 1], [1, 0], [2, 1], [1, 2], [0, 0]].into();
        let device = burn::tensor::Device::flex();
        let of = |end: usize| RowIndex::new(host.iter().map(|ends| ends[end] as i32).collect(), &device);
        let ends = Ends { host: &host, source: &of(0), target: &of(1) };
        let shapes = [[3, 4], [5, 2], [6, 10]];
        same_derivatives(shapes, |[a, e, w]| join_silu(a, e, w, &ends), |[a, e, w]| portable(a, e, w, &ends));
    }
}
