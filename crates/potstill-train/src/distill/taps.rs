//! Where features are taken: one tap of a network, or several side by side.

use burn::tensor::Tensor;
use potstill_core::model::{Architecture, Tap};
use potstill_core::{Error, Result};
use serde::{Deserialize, Serialize};

use super::Kind;

/// Taps as a configuration names them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a tap such as \"U4\", or a list of taps")]
pub enum TapNames {
    /// One tap.
    One(String),
    /// Several, whose features are put side by side.
    Several(Vec<String>),
}

impl From<&str> for TapNames {
    fn from(name: &str) -> Self {
        Self::One(name.to_owned())
    }
}

impl TapNames {
    fn names(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Several(names) => names,
        }
    }
}

/// The taps of those names, or the last one of the network.
///
/// # Errors
/// A tap that the network does not have, with those that it has; an empty list, and a tap that comes twice.
pub(super) fn resolve(key: &str, names: Option<&TapNames>, network: &Architecture, whose: &str) -> Result<Vec<Tap>> {
    let known = network.taps();
    let Some(names) = names else {
        let last = known.last().copied();
        return Ok(vec![last.ok_or_else(|| Error::setting(key, format!("the {whose} has no layer")))?]);
    };
    let mut taps = Vec::new();
    for name in names.names() {
        let tap = name.parse::<Tap>().ok().filter(|tap| known.contains(tap));
        let tap = tap.ok_or_else(|| {
            let list = known.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            Error::setting(key, format!("the {whose} has no tap `{name}`; it has {list}"))
        })?;
        if taps.contains(&tap) {
            return Err(Error::setting(key, format!("the {whose}'s tap `{name}` comes twice")));
        }
        taps.push(tap);
    }
    match taps.is_empty() {
        true => Err(Error::setting(key, format!("names no tap of the {whose}; leave it out for the last one"))),
        false => Ok(taps),
    }
}

/// Features of several taps side by side: channels of the first, then of the next; for vectors, within each component.
pub(super) fn side_by_side(kind: Kind, mut features: Vec<Tensor<2>>) -> Tensor<2> {
    if features.len() == 1 {
        return features.remove(0);
    }
    if kind != Kind::Vector {
        return Tensor::cat(features, 1);
    }
    let n = features[0].dims()[0];
    let width: usize = features.iter().map(|f| f.dims()[1]).sum();
    let components = features.into_iter().map(|f| {
        let channels = f.dims()[1] / 3;
        f.reshape([n, 3, channels])
    });
    Tensor::cat(components.collect(), 2).reshape([n, width])
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device};
    use potstill_nn::batch::{float_tensor, to_host};

    use super::*;

    #[test]
    fn components_of_vectors_stay_together() {
        let tensor = |values: Vec<f64>| {
            let width = values.len();
            float_tensor(values, [1, width], &Device::flex(), DType::F64)
        };
        let (a, b) = (vec![1.0, 2.0, 3.0], vec![10.0, 11.0, 20.0, 21.0, 30.0, 31.0]);
        let side = |kind| to_host(&side_by_side(kind, vec![tensor(a.clone()), tensor(b.clone())]));
        assert_eq!(side(Kind::Vector), [1.0, 10.0, 11.0, 2.0, 20.0, 21.0, 3.0, 30.0, 31.0]);
        assert_eq!(side(Kind::Node), [1.0, 2.0, 3.0, 10.0, 11.0, 20.0, 21.0, 30.0, 31.0]);
    }
}
