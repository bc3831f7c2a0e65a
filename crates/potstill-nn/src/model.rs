//! A network with its header: what maps systems to eV and eV/Å.

use std::path::Path;

use burn::tensor::{DType, Device};
use potstill_core::elements::{atomic_number, symbol};
use potstill_core::system::{Mat3, System};
use potstill_core::{Error, Potential, Prediction, Result};
use potstill_data::dataset::Visit;

use crate::batch::{Batch, to_host};
use crate::checkpoint::{self, Header};
use crate::features::Tap;
use crate::graph::NetworkGraph;
use crate::network::{Forces, Network, Output};

/// A trained network, ready to evaluate.
#[derive(Debug)]
pub struct Model {
    header: Header,
    network: Network,
    elements: Vec<u8>,
    device: Device,
    dtype: DType,
    hash: String,
}

impl Model {
    /// Joins a network and its header.
    ///
    /// # Errors
    /// A chemical symbol in the header that does not exist.
    pub fn new(header: Header, network: Network, device: &Device, dtype: DType, hash: String) -> Result<Self> {
        let mut elements = Vec::new();
        for name in &header.elements {
            let z =
                atomic_number(name).ok_or_else(|| Error::setting("elements", format!("`{name}` is not an element")))?;
            elements.push(z);
        }
        elements.sort_unstable();
        Ok(Self { header, network, elements, device: device.clone(), dtype, hash })
    }

    /// Reads a model file; computes in `dtype` on `device`.
    ///
    /// # Errors
    /// See [`checkpoint::load`].
    pub fn load(path: &Path, device: &Device, dtype: DType) -> Result<Self> {
        let loaded = checkpoint::load(path, device, dtype)?;
        Self::new(loaded.header, loaded.network, device, dtype, loaded.hash)
            .map_err(|e| Error::file(path, format!("header: {e}")))
    }

    /// Everything that is not a weight.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Where it computes.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The precision in which it computes.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The network itself.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Hash of the file that the model was read from; empty for a model that was never saved.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Whether forces are gradients of the energy.
    pub fn is_conservative(&self) -> bool {
        self.header.model.forces() == Forces::Gradient
    }

    /// Checks that every element of `systems` is among the model's.
    ///
    /// # Errors
    /// Names the first system and the element, and lists the model's.
    pub fn check_elements(&self, systems: &[&System]) -> Result<()> {
        for (index, system) in systems.iter().enumerate() {
            if let Some(z) = system.atomic_numbers.iter().find(|z| self.elements.binary_search(z).is_err()) {
                let message = format!(
                    "element {} is not among those of the model ({}); use a model that was trained on it",
                    symbol(*z).map_or_else(|| format!("number {z}"), str::to_owned),
                    self.header.elements.join(", ")
                );
                return Err(Error::System { index, name: system.name(), message });
            }
        }
        Ok(())
    }

    /// The same for a dataset, in memory or not.
    ///
    /// # Errors
    /// As [`Self::check_elements`]; a file that cannot be read.
    pub fn check_dataset(&self, systems: &(impl Visit + ?Sized)) -> Result<()> {
        systems.visit(&mut |i, system| self.check_elements(&[system]).map_err(|e| e.shifted(i)))
    }

    /// The forward pass in normalised units with features at `taps`, and the graph that it ran on.
    ///
    /// # Errors
    /// See [`Potential::evaluate`].
    pub fn forward(&self, systems: &[&System], taps: &[Tap]) -> Result<(NetworkGraph, Output)> {
        self.check_elements(systems)?;
        let graph = self.header.model.graph_rule().build(systems)?;
        let batch = Batch::of(&graph, &self.device, self.dtype);
        let output = self.network.forward(&batch, self.header.model.forces(), taps);
        Ok((graph, output))
    }

    /// Turns a forward pass into eV and eV/Å, adding reference energies in f64.
    ///
    /// # Errors
    /// An element without a reference energy.
    pub fn to_prediction(&self, systems: &[&System], output: &Output) -> Result<Prediction> {
        let normalizer = &self.header.normalizer;
        let references = &self.header.reference_energies;
        let raw_energy = to_host(&output.energy);
        let raw_atomic = to_host(&output.atomic_energies);
        let mut prediction = Prediction::default();
        let mut first = 0;
        for (system, raw) in systems.iter().zip(raw_energy) {
            let n = system.n_atoms();
            prediction.energy.push(normalizer.denormalize_energy(raw) + references.total(&system.atomic_numbers)?);
            let share = normalizer.energy_mean / n as f64;
            for (z, raw) in system.atomic_numbers.iter().zip(&raw_atomic[first..first + n]) {
                let reference = references.get(*z).unwrap_or(0.0);
                prediction.atomic_energies.push(raw * normalizer.energy_std + share + reference);
            }
            first += n;
        }
        if let Some(forces) = &output.forces {
            let scaled = to_host(forces);
            prediction.forces =
                scaled.chunks_exact(3).map(|f| [f[0], f[1], f[2]].map(|c| normalizer.denormalize_force(c))).collect();
        }
        prediction.virial = output.virial.as_ref().map(|virial| {
            to_host(virial)
                .chunks_exact(9)
                .map(|v| -> Mat3 {
                    std::array::from_fn(|i| std::array::from_fn(|j| v[3 * i + j] * normalizer.energy_std))
                })
                .collect()
        });
        Ok(prediction)
    }
}

impl Potential for Model {
    fn cutoff(&self) -> f64 {
        self.header.model.graph_rule().cutoff()
    }

    fn elements(&self) -> &[u8] {
        &self.elements
    }

    fn evaluate(&self, systems: &[&System]) -> Result<Prediction> {
        let (_, output) = self.forward(systems, &[])?;
        self.to_prediction(systems, &output)
    }
}
