//! Layers from the weights of a model file.

use potstill_core::Result;
use potstill_core::model::Weights;
use potstill_kernels::Number;
use potstill_kernels::dense::{Dense, Parts};
use potstill_kernels::rows::padded;

/// Takes the linear map of that name: `{name}.weight` of shape `[output, input]`, and `{name}.bias` where there is one.
///
/// # Errors
/// See [`Weights::take`].
pub fn dense<T: Number>(
    weights: &mut Weights,
    name: &str,
    input: Parts,
    output: Parts,
    has_bias: bool,
) -> Result<Dense<T>> {
    let weight = weights.take(&format!("{name}.weight"), &[output.width(), input.width()])?;
    let bias = match has_bias {
        true => Some(weights.take(&format!("{name}.bias"), &[output.width()])?),
        false => None,
    };
    Ok(Dense::new(&weight, bias.as_deref(), input, output))
}

/// Rows of `width` numbers, each padded with zeros.
pub fn padded_rows<T: Number>(rows: &[f64], width: usize) -> Vec<T> {
    let wide = padded(width);
    let mut out = vec![T::ZERO; rows.len() / width * wide];
    for (to, from) in out.chunks_exact_mut(wide).zip(rows.chunks_exact(width)) {
        to.iter_mut().zip(from).for_each(|(to, &from)| *to = T::of(from));
    }
    out
}
