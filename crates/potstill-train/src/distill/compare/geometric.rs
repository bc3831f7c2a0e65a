//! Directions and lengths of vectors, each by itself.

use burn::tensor::Tensor;

use super::{Groups, column};

/// `direction · mean(1 − cos) + (1 − direction) · mean |‖s‖ − ‖t‖|`, over channels, atoms of a system and systems in turn.
///
/// A vector of length 0 has no direction: its cosine counts as 0, and it gets no gradient from the direction.
///
/// Shapes: `[n_atoms, 3·c]` twice, components before channels; `direction` lies in [0, 1].
pub fn loss(student: Tensor<2>, teacher: Tensor<2>, direction: f64, groups: &Groups) -> Tensor<1> {
    let [n, width] = student.dims();
    let weights = column(groups.atom_weights(), &student);
    let channels = width / 3;
    let split = |x: Tensor<2>| x.reshape([n, 3, channels]);
    let (student, teacher) = (split(student), split(teacher));
    let dot: Tensor<3> = (student.clone() * teacher.clone()).sum_dim(1);
    let (ours, theirs) = (length(student), length(teacher));
    let product = ours.clone() * theirs.clone();
    // Filled before the division, so that no infinite gradient meets a zero.
    let nothing = product.clone().lower_equal_elem(1e-16);
    let cosine = (dot / product.mask_fill(nothing.clone(), 1.0)).mask_fill(nothing, 0.0);
    let directions = cosine.neg().add_scalar(1.0).mul_scalar(direction);
    let lengths = (ours - theirs).abs().mul_scalar(1.0 - direction);
    let each: Tensor<2> = (directions + lengths).reshape([n, channels]);
    (each.sum_dim(1) * weights).sum().mul_scalar(1.0 / channels as f64)
}

/// Length over the second axis, with gradient 0 where it is 0. Shape: `[n, 3, c]` to `[n, 1, c]`.
fn length(vectors: Tensor<3>) -> Tensor<3> {
    let squares = vectors.powi_scalar(2).sum_dim(1);
    let zero = squares.clone().equal_elem(0.0);
    squares.mask_fill(zero.clone(), 1.0).sqrt().mask_fill(zero, 0.0)
}
