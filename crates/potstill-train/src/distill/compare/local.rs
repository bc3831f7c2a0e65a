//! How far each atom's features are from those of its neighbours, compared with its other neighbours.
//!
//! After the local structure preservation of Y. Yang et al., *Distilling Knowledge from Graph Convolutional Networks*, CVPR
//! 2020, as the distillation paper's code has it.

use burn::tensor::Tensor;
use potstill_nn::tensors::{gather_rows, sum_rows};

use super::{Groups, column};
use crate::loss::norm;

/// Kullback–Leibler divergence `mean p_t (ln p_t − ln p_s)` over edges, where `p` is the softmax of `‖f_source − f_target‖`
/// over the edges into one target. The widths of both may differ. The edges are those that the student trains on.
///
/// Shapes: `[n_atoms, c]` and `[n_atoms, c']`.
pub fn loss(student: Tensor<2>, teacher: Tensor<2>, groups: &Groups) -> Tensor<1> {
    if groups.target.dims()[0] == 0 {
        return Tensor::zeros([1], (&student.device(), student.dtype()));
    }
    let (ours, theirs) = (log_softmax(student, groups), log_softmax(teacher, groups));
    let each = theirs.clone().exp() * (theirs - ours);
    let each = match groups.weights {
        None => each,
        Some(_) => {
            let weights = column(groups.of_atoms(|system, _| groups.weight(system)), &each);
            each * gather_rows(weights, groups.target.clone())
        }
    };
    each.sum().mul_scalar(1.0 / groups.edges)
}

/// Shape: `[n_edges, 1]`.
fn log_softmax(features: Tensor<2>, groups: &Groups) -> Tensor<2> {
    let n_atoms = features.dims()[0];
    let source = gather_rows(features.clone(), groups.source.clone());
    let target = gather_rows(features, groups.target.clone());
    let distance = norm(source - target);
    // One shift for all keeps exponentials finite; the softmax does not feel it.
    let largest = distance.clone().detach().max().reshape([1, 1]);
    let shifted = distance - largest;
    let sum = sum_rows(shifted.clone().exp(), groups.target.clone(), n_atoms);
    // Targets so much nearer than the farthest pair that all their exponentials vanish: a floor instead of ln 0.
    let sums = gather_rows(sum, groups.target.clone()).clamp_min(1e-30);
    shifted - sums.log()
}
