//! Synthetic systems among those of the dataset: their share and their weight.

use potstill_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// Part and weight of synthetic systems in the batches.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mix {
    /// Part of the systems of an epoch that is synthetic, in [0, 1). An epoch visits every other system once, and as many
    /// synthetic ones, drawn each time, as make up that part. Default 0.2.
    #[serde(default = "fifth")]
    pub synthetic: f64,
    /// Weight of a synthetic system relative to another. Default 1.
    #[serde(default = "one")]
    pub weight: f64,
    /// Whether their own labels count too, and not only what the terms of a distillation compare. Default true.
    #[serde(default = "yes")]
    pub labels: bool,
}

/// Largest part of an epoch that may be synthetic: it has a thousand times as many systems then.
const MOST: f64 = 0.999;

fn fifth() -> f64 {
    0.2
}

fn one() -> f64 {
    1.0
}

fn yes() -> bool {
    true
}

impl Default for Mix {
    fn default() -> Self {
        Self { synthetic: fifth(), weight: one(), labels: yes() }
    }
}

impl Mix {
    /// Checks the numbers.
    ///
    /// # Errors
    /// Names the one that is out of range.
    pub fn validate(&self) -> Result<()> {
        if !(0.0..=MOST).contains(&self.synthetic) {
            let message = format!("is {}; it must be at least 0 and below 1 ({MOST} at most)", self.synthetic);
            return Err(Error::setting("data.mix.synthetic", message));
        }
        if !(self.weight.is_finite() && self.weight > 0.0) {
            let message = format!("is {}; it must be positive", self.weight);
            return Err(Error::setting("data.mix.weight", message));
        }
        Ok(())
    }

    /// Weights of other and synthetic systems in a batch for what the terms compare: they have that ratio and mean 1 (C. Ekström
    /// Kelvinius et al. 2023, app. G).
    pub fn term_weights(&self, n_other: usize, n_synthetic: usize) -> (f64, f64) {
        let synthetic = n_synthetic as f64 / (n_other + n_synthetic) as f64;
        let other = 1.0 / (1.0 - synthetic + self.weight * synthetic);
        (other, self.weight * other)
    }

    /// Weights of other and synthetic systems in losses against labels; 0 for synthetic systems whose labels do not count.
    pub fn label_weights(&self, n_other: usize, n_synthetic: usize) -> (f64, f64) {
        match self.labels {
            true => self.term_weights(n_other, n_synthetic),
            false if n_other == 0 => (0.0, 0.0),
            false => ((n_other + n_synthetic) as f64 / n_other as f64, 0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device, Tensor};
    use potstill_fixtures as fixtures;
    use potstill_nn::tensors::{float_tensor, to_host};

    use super::*;
    use crate::loss::{FeatureLoss, Scale};

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-12 * b.abs()
    }

    #[test]
    fn weights_and_losses_are_those_of_the_reference() {
        for path in fixtures::files("kd_losses", ".json") {
            let case = path.display();
            let json = fixtures::json(&path);
            let tensors = fixtures::read(&path.with_extension("safetensors"));
            let device = Device::flex().autodiff();
            let sizes: Vec<usize> =
                json["sizes"].as_array().unwrap().iter().map(|s| s.as_u64().unwrap() as usize).collect();
            let is_synthetic: Vec<bool> = tensors["sid"].integers().iter().map(|&sid| sid > 4_999_999).collect();
            let n_synthetic = is_synthetic.iter().filter(|&&s| s).count();
            let n_other = sizes.len() - n_synthetic;
            let (mut n_weights, mut n_losses) = (0, 0);
            for entry in json["losses"].as_array().unwrap() {
                let name = entry["loss"].as_str().unwrap();
                let Some(weight) = entry["distillation"]["loss_weighting_synthetic"].as_f64() else { continue };
                let mix = Mix { weight, labels: name != "weights_main", ..Mix::default() };
                let (other, synthetic) = mix.label_weights(n_other, n_synthetic);
                let of = |s: &bool| if *s { synthetic } else { other };
                let expected = entry["per_sample"].as_array();
                for (found, expected) in is_synthetic.iter().map(of).zip(expected.into_iter().flatten()) {
                    assert!(close(found, expected.as_f64().unwrap()), "{case}, {name}: {found}");
                    n_weights += 1;
                }
                let feature = match name {
                    "vec2vec_distill_loss_d1M" => "vector_feature",
                    "node2node_distill_loss_d1M" => "node_feature",
                    _ => continue,
                };
                let rows = |who: &str| -> Tensor<2> {
                    let tensor = &tensors[&format!("{who}.{feature}")];
                    let n = tensor.shape[0];
                    float_tensor(tensor.values.clone(), [n, tensor.values.len() / n], &device, DType::F64)
                };
                let leaf = rows("student").require_grad();
                let [n_atoms, width] = leaf.dims();
                let scale = is_synthetic.iter().map(of).zip(&sizes).flat_map(|(w, &n)| std::iter::repeat_n(w, n));
                let scale = scale.map(|w| w / (n_atoms * width) as f64).collect();
                let scale = Scale::Rows(float_tensor(scale, [n_atoms, 1], &device, DType::F64));
                let value = FeatureLoss::Mse.evaluate(leaf.clone(), rows("teacher"), scale);
                assert!(close(to_host(&value)[0], entry["value"].as_f64().unwrap()), "{case}, {name}");
                let gradient = to_host(&leaf.grad(&value.backward()).unwrap());
                let expected = &tensors[&format!("grad.{}.{feature}", entry["index"])];
                assert!(expected.relative_difference(&gradient) < 1e-9, "{case}, {name}");
                n_losses += 1;
            }
            assert!(n_weights >= 8 && n_losses == 4, "{case}: {n_weights} weights, {n_losses} losses");
        }
    }

    #[test]
    fn weights_have_mean_one() {
        let mix = Mix { weight: 0.2, labels: false, synthetic: 0.3 };
        for (n_other, n_synthetic) in [(3, 5), (8, 0), (1, 1)] {
            for (other, synthetic) in [mix.term_weights(n_other, n_synthetic), mix.label_weights(n_other, n_synthetic)]
            {
                let sum = other * n_other as f64 + synthetic * n_synthetic as f64;
                assert!(close(sum, (n_other + n_synthetic) as f64));
            }
        }
        assert_eq!(mix.label_weights(0, 4), (0.0, 0.0));
        for wrong in [Mix { synthetic: 1.0, ..mix }, Mix { synthetic: -0.1, ..mix }, Mix { weight: 0.0, ..mix }] {
            assert!(wrong.validate().unwrap_err().to_string().starts_with("data.mix."));
        }
    }
}
