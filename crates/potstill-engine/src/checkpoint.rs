//! Reading a model file: the header and the weights, without the tensor framework.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use potstill_core::elements::atomic_number;
use potstill_core::files::checksum;
use potstill_core::graph::Neighbors;
use potstill_core::limits::{self, cutoff_complaint};
use potstill_core::model::{ElementEnergies, Normalizer};
use potstill_core::{Error, Result};
use potstill_kernels::Number;
use potstill_kernels::dense::{Dense, Parts};
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;

/// Newest header that this engine reads; the writer's number is in `potstill-nn`.
const FORMAT_VERSION: u64 = 2;
/// Key of the header in the file's metadata.
const HEADER_KEY: &str = "potstill";

/// What a model file says besides its weights.
#[derive(Debug, Deserialize)]
pub struct Header {
    /// Network and its sizes.
    pub model: Architecture,
    /// Chemical symbols.
    elements: Vec<String>,
    /// In eV.
    pub reference_energies: ElementEnergies,
    /// Between eV, eV/Å and what the network predicts.
    pub normalizer: Normalizer,
}

impl Header {
    /// Atomic numbers of the elements, ascending.
    ///
    /// # Errors
    /// A symbol of no element, or of one beyond the embedding.
    pub fn atomic_numbers(&self) -> Result<Vec<u8>, String> {
        let largest = match self.model {
            Architecture::PaiNN(_) => 83,
            _ => 99,
        };
        let number = |symbol: &String| match atomic_number(symbol) {
            Some(z) if z <= largest => Ok(z),
            _ => Err(format!("element `{symbol}` is unknown to this network")),
        };
        let mut numbers = self.elements.iter().map(number).collect::<Result<Vec<u8>, String>>()?;
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Refuses sizes that no network has, before anything is made of them.
    fn check(&self) -> Result<(), String> {
        let (sizes, cutoff, neighbors) = match &self.model {
            Architecture::SchNet(s) => (
                vec![
                    ("hidden_channels", s.hidden_channels, limits::WIDTH.at_least(2)),
                    ("n_filters", s.n_filters, limits::WIDTH),
                    ("n_interactions", s.n_interactions, limits::DEPTH),
                    ("n_gaussians", s.n_gaussians, limits::RADIAL),
                ],
                s.cutoff,
                s.neighbors,
            ),
            Architecture::PaiNN(s) => (
                vec![
                    ("hidden_channels", s.hidden_channels, limits::WIDTH.at_least(2)),
                    ("n_layers", s.n_layers, limits::DEPTH),
                    ("n_radial", s.n_radial, limits::RADIAL),
                    ("envelope_exponent", s.envelope_exponent as usize, limits::EXPONENT),
                ],
                s.cutoff,
                s.neighbors,
            ),
            Architecture::Other => return Ok(()),
        };
        let wrong =
            |&(name, value, bound): &(&'static str, usize, limits::Bound)| Some((name, bound.complaint(value)?));
        if let Some((name, complaint)) = sizes.iter().find_map(wrong) {
            return Err(format!("model.{name} {complaint}"));
        }
        if let Some(complaint) = cutoff_complaint(cutoff) {
            return Err(format!("model.cutoff: {complaint}"));
        }
        if let Neighbors::Nearest(n) = neighbors
            && let Some(complaint) = limits::NEIGHBORS.complaint(n)
        {
            return Err(format!("model.neighbors.nearest {complaint}"));
        }
        self.normalizer.validate(false).map_err(|e| e.to_string())?;
        self.atomic_numbers().map(|_| ())
    }
}

/// Sizes of the networks that the engine runs, as in the model file.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "architecture", rename_all = "lowercase")]
pub enum Architecture {
    /// SchNet.
    SchNet(SchNetSizes),
    /// PaiNN.
    PaiNN(PaiNNSizes),
    /// Anything else.
    #[serde(other)]
    Other,
}

/// Sizes of a SchNet.
#[derive(Debug, Clone, Deserialize)]
pub struct SchNetSizes {
    /// Width of the atom features.
    pub hidden_channels: usize,
    /// Width of the filters.
    pub n_filters: usize,
    /// Number of interaction blocks.
    pub n_interactions: usize,
    /// Number of Gaussians.
    pub n_gaussians: usize,
    /// In Å.
    pub cutoff: f64,
    /// Which pairs are edges.
    pub neighbors: Neighbors,
}

/// Sizes of a PaiNN.
#[derive(Debug, Clone, Deserialize)]
pub struct PaiNNSizes {
    /// Width of scalars and vectors.
    pub hidden_channels: usize,
    /// Number of layers.
    pub n_layers: usize,
    /// Number of radial functions.
    pub n_radial: usize,
    /// Which ones.
    #[serde(default)]
    pub radial_basis: RadialKind,
    /// In Å.
    pub cutoff: f64,
    /// What takes them to zero.
    #[serde(default)]
    pub envelope: EnvelopeKind,
    /// Exponent of the polynomial envelope.
    pub envelope_exponent: u32,
    /// Whether the envelope multiplies the whole filter; older files do not say, and mean false.
    #[serde(default)]
    pub smooth_cutoff: bool,
    /// Which pairs are edges.
    pub neighbors: Neighbors,
    /// Where forces come from.
    pub forces: Forces,
    /// Factors after each update.
    #[serde(default)]
    pub update_scales: Vec<f64>,
}

/// Where forces come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forces {
    /// From nowhere.
    None,
    /// From the energy.
    Gradient,
    /// From a head of their own.
    Direct,
}

/// Functions of a distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RadialKind {
    /// Gaussians on a grid.
    #[default]
    Gaussian,
    /// Spherical Bessel functions.
    SphericalBessel,
    /// Bernstein polynomials of an exponential.
    Bernstein,
}

/// What takes them to zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnvelopeKind {
    /// A polynomial.
    #[default]
    Polynomial,
    /// An exponential of a quotient.
    Exponential,
}

/// Weights by name, in f64.
#[derive(Debug)]
pub struct Weights {
    path: PathBuf,
    left: BTreeMap<String, (Vec<usize>, Vec<f64>)>,
}

impl Weights {
    /// Takes a weight out.
    ///
    /// # Errors
    /// It is missing, of another shape, or not finite.
    pub fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f64>> {
        let fail = |message: String| Error::file(&self.path, format!("weight {name}{message}"));
        let Some((found, values)) = self.left.remove(name) else {
            return Err(fail(" is missing; the file does not fit its header".to_owned()));
        };
        if found != shape {
            return Err(fail(format!(": expected shape {shape:?}, found {found:?}")));
        }
        if values.iter().any(|v| !v.is_finite()) {
            return Err(fail(" is not finite; use an older checkpoint".to_owned()));
        }
        Ok(values)
    }
}

impl Weights {
    /// Takes the linear map of that name: `{name}.weight` of shape `[output, input]`, and `{name}.bias` where there is one.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub fn dense<T: Number>(&mut self, name: &str, input: Parts, output: Parts, bias: bool) -> Result<Dense<T>> {
        let weight = self.take(&format!("{name}.weight"), &[output.width(), input.width()])?;
        let bias = match bias {
            true => Some(self.take(&format!("{name}.bias"), &[output.width()])?),
            false => None,
        };
        Ok(Dense::new(&weight, bias.as_deref(), input, output))
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// A weight that nothing took.
    pub fn finish(self) -> Result<()> {
        match self.left.keys().next() {
            Some(name) => {
                Err(Error::file(&self.path, format!("weight {name} is not part of the network in the header")))
            }
            None => Ok(()),
        }
    }
}

/// Reads a model file.
///
/// # Errors
/// A missing, truncated, damaged or foreign file, a newer format, numbers of another type.
pub fn read(path: &Path) -> Result<(Header, Weights)> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, "cannot open", e))?;
    let broken = |e: safetensors::SafeTensorError| {
        Error::file(path, format!("not a complete safetensors file ({e}); copy it again or use an older checkpoint"))
    };
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(broken)?;
    let text = metadata.metadata().as_ref().and_then(|m| m.get(HEADER_KEY)).ok_or_else(|| {
        Error::file(path, "no potstill header in its metadata: give a model that `potstill train` or `distill` wrote")
    })?;
    let bad = |e: serde_json::Error| Error::file(path, format!("header: {e}"));
    let value: serde_json::Value = serde_json::from_str(text).map_err(bad)?;
    let version = value["format_version"].as_u64().unwrap_or(0);
    if version > FORMAT_VERSION {
        let message = format!("format version {version} is newer than {FORMAT_VERSION}; update potstill");
        return Err(Error::file(path, message));
    }
    let header: Header = serde_json::from_value(value).map_err(bad)?;
    header.check().map_err(|e| Error::file(path, format!("header: {e}")))?;
    checksum::verify(path, &bytes)?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(broken)?;
    let mut left = BTreeMap::new();
    for (name, view) in tensors.tensors() {
        let values = match view.dtype() {
            Dtype::F32 => {
                view.data().chunks_exact(4).map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]]))).collect()
            }
            Dtype::F64 => view
                .data()
                .chunks_exact(8)
                .map(|b| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]))
                .collect(),
            other => {
                return Err(Error::file(path, format!("weight {name}: {other:?} numbers; expected F32 or F64")));
            }
        };
        left.insert(name, (view.shape().to_vec(), values));
    }
    Ok((header, Weights { path: path.to_owned(), left }))
}
