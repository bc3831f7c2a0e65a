//! A network with its header: what maps systems to eV and eV/Å.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{DType, Device};
use potstill_core::elements::symbol;
use potstill_core::graph::NetworkGraph;
use potstill_core::model::{Forces, Header, ModelFile, Tap};
use potstill_core::{Error, Potential, Prediction, Result, System};
use potstill_data::dataset::Visit;

use crate::batch::Batch;
use crate::checkpoint;
use crate::networks::Network;
use crate::output::Output;
use crate::tensors::to_host;

/// Trained network, ready to evaluate.
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
    /// Joins a network and its header; `hash` is that of the file, empty for a model that was never saved.
    ///
    /// # Errors
    /// A chemical symbol in the header that does not exist, a network on another device.
    pub fn new(header: Header, network: Network, device: &Device, dtype: DType, hash: String) -> Result<Self> {
        let elements = header.atomic_numbers()?;
        let is_elsewhere = |other: &Device| other.clone().inner() != device.clone().inner();
        if let Some(other) = network.devices().into_iter().find(is_elsewhere) {
            let message = format!("the network is on {other:?}, and systems would be on {device:?}; move one of them");
            return Err(Error::Other(message));
        }
        Ok(Self { header, network, elements, device: device.clone(), dtype, hash })
    }

    /// Reads a model file; computes in `dtype` on `device`.
    ///
    /// # Errors
    /// See [`ModelFile::read`] and [`Model::from_file`].
    pub fn load(path: &Path, device: &Device, dtype: DType) -> Result<Self> {
        Self::from_file(&ModelFile::read(path)?, device, dtype)
    }

    /// Makes the network of a model file; computes in `dtype` on `device`.
    ///
    /// # Errors
    /// See [`checkpoint::network`]; a chemical symbol in the header that does not exist.
    pub fn from_file(file: &ModelFile, device: &Device, dtype: DType) -> Result<Self> {
        let network = checkpoint::network(file, device, dtype)?;
        Self::new(file.header().clone(), network, device, dtype, file.hash())
            .map_err(|e| Error::file(file.path(), format!("header: {e}")))
    }

    /// Header of the model: all that is not a weight.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Device of the network.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Floating-point type of the network.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Network without its scale.
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

    /// Checks that every element of a dataset, in memory or not, is among the model's.
    ///
    /// # Errors
    /// As [`Self::check_elements`]; a file that cannot be read.
    pub fn check_dataset(&self, systems: &(impl Visit + ?Sized)) -> Result<()> {
        systems.visit(&mut |i, system| self.check_elements(&[system]).map_err(|e| e.shifted(i)))
    }

    /// Forward pass in normalised units with features at `taps`, and the graph that it ran on.
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

    /// Converts the output of a forward pass to eV and eV/Å, adding reference energies in f64.
    ///
    /// # Errors
    /// An element without a reference energy.
    pub fn to_prediction(&self, systems: &[&System], output: &Output) -> Result<Prediction> {
        let scale = &self.header.scale;
        let raw_energy = to_host(&output.energy);
        let raw_atomic = to_host(&output.atomic_energies);
        let mut prediction = Prediction::default();
        let mut atoms = raw_atomic.into_iter();
        for (system, raw) in systems.iter().zip(raw_energy) {
            let numbers = &system.atomic_numbers;
            prediction.energy.push(scale.energy(raw, numbers)?);
            prediction.atomic_energies.extend(scale.atomic_energies(atoms.by_ref().take(numbers.len()), numbers));
        }
        if let Some(forces) = &output.forces {
            let raw = to_host(forces);
            prediction.forces = raw.as_chunks::<3>().0.iter().map(|force| scale.force(*force)).collect();
        }
        prediction.virial = output.virial.as_ref().map(|virial| {
            let raw = to_host(virial);
            raw.as_chunks::<3>().0.as_chunks::<3>().0.iter().map(|rows| scale.virial(*rows)).collect()
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
