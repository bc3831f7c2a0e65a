//! What a network can show of its inside, and where.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Tensor;

use crate::batch::Batch;
use crate::layers::scatter::gather_rows;

/// A place in a network where features can be taken; layers are counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tap {
    /// After the message of a PaiNN layer, `M<i>`.
    Message(usize),
    /// After the update of a PaiNN layer, `U<i>`.
    Update(usize),
    /// After a SchNet interaction, `I<i>`.
    Interaction(usize),
}

impl fmt::Display for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(i) => write!(f, "M{i}"),
            Self::Update(i) => write!(f, "U{i}"),
            Self::Interaction(i) => write!(f, "I{i}"),
        }
    }
}

impl FromStr for Tap {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a tap; taps are written M<i>, U<i> (PaiNN) or I<i> (SchNet), from 1");
        let (kind, number) = text.split_at_checked(1).ok_or_else(wrong)?;
        let layer = number.parse().ok().filter(|&i| i > 0).ok_or_else(wrong)?;
        match kind {
            "M" => Ok(Self::Message(layer)),
            "U" => Ok(Self::Update(layer)),
            "I" => Ok(Self::Interaction(layer)),
            _ => Err(wrong()),
        }
    }
}

/// Features at one tap.
#[derive(Debug, Clone)]
pub struct Features {
    /// Where they were taken.
    pub tap: Tap,
    /// Scalar features of each atom. Shape: `[n_atoms, c]`.
    pub node: Tensor<2>,
    /// Vector features of each atom, the three components of all channels one after the other; absent in SchNet.
    /// Shape: `[n_atoms, 3·c]`.
    pub vector: Option<Tensor<2>>,
}

/// Edge features of a network with vector features: `Σ_xyz v_s ⊙ v_t`, invariant under rotation. Shape: `[n_edges, c]`.
pub fn edge_features(vector: &Tensor<2>, batch: &Batch) -> Tensor<2> {
    let channels = vector.dims()[1] / 3;
    let source = gather_rows(vector.clone(), batch.source.clone());
    let target = gather_rows(vector.clone(), batch.target.clone());
    (source * target).reshape([batch.n_edges, 3, channels]).sum_dim(1).reshape([batch.n_edges, channels])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taps_read_as_they_are_written() {
        for tap in [Tap::Message(1), Tap::Update(12), Tap::Interaction(3)] {
            assert_eq!(tap.to_string().parse(), Ok(tap));
        }
        for wrong in ["", "U", "U0", "X1", "1", "Uone", "Ü1"] {
            assert!(wrong.parse::<Tap>().is_err(), "{wrong}");
        }
    }
}
