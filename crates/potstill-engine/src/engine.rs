//! The fast student: a model file compiled for this processor.

use std::path::Path;

use potstill_core::elements::symbol;
use potstill_core::graph::{Neighbors, NetworkGraphRule};
use potstill_core::model::{Architecture, EnergyScale, Forces, ModelFile};
use potstill_core::system::Vec3;
use potstill_core::{Error, Potential, Prediction, Result, System};
use potstill_kernels::Number;

use crate::domain::{Domain, DomainPrediction, Exchange};
use crate::evaluator::{DomainCall, Evaluate, Evaluator};
use crate::networks::painn::PaiNN;
use crate::networks::schnet::SchNet;

/// Source of the filters of edges.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FilterChoice {
    /// Tables, whose values and derivatives are right to a part of the largest.
    Table {
        /// Relative error.
        accuracy: f64,
    },
    /// The filter networks themselves, evaluated at every edge: slow, and right to rounding.
    Exact,
}

impl FilterChoice {
    /// Relative error of tables; none for exact filters.
    pub(crate) fn accuracy(self) -> Option<f64> {
        match self {
            Self::Table { accuracy } => Some(accuracy),
            Self::Exact => None,
        }
    }
}

impl Default for FilterChoice {
    fn default() -> Self {
        Self::Table { accuracy: 1e-6 }
    }
}

/// Whether the engine has a network of that architecture.
pub fn runs(architecture: &Architecture) -> bool {
    matches!(architecture, Architecture::SchNet(_) | Architecture::PaiNN(_))
}

/// Student compiled for this processor, in f32 or f64.
#[derive(Debug)]
pub struct Engine<T> {
    evaluator: Box<dyn Evaluate<T>>,
    elements: Vec<u8>,
    scale: EnergyScale,
    has_direct_forces: bool,
}

impl<T: Number> Engine<T> {
    /// Reads and compiles a model file.
    ///
    /// # Errors
    /// See [`ModelFile::read`] and [`Engine::compile`].
    pub fn load(path: &Path, filters: FilterChoice) -> Result<Self> {
        Self::compile(&ModelFile::read(path)?, filters)
    }

    /// Compiles the network of a model file.
    ///
    /// # Errors
    /// A network that is neither SchNet nor PaiNN, weights that are missing, left over, of the wrong shape or not finite, filters
    /// that no table follows closely enough.
    pub fn compile(file: &ModelFile, filters: FilterChoice) -> Result<Self> {
        let (header, mut weights) = (file.header(), file.weights()?);
        let NetworkGraphRule::Pairs(rule) = header.model.graph_rule() else { return Err(unsupported(file)) };
        let accuracy = filters.accuracy();
        let evaluator: Box<dyn Evaluate<T>> = match &header.model {
            Architecture::SchNet(c) => Box::new(Evaluator::new(SchNet::<T>::new(c, &mut weights, accuracy)?, rule)),
            Architecture::PaiNN(c) => Box::new(Evaluator::new(PaiNN::<T>::new(c, &mut weights, accuracy)?, rule)),
            _ => return Err(unsupported(file)),
        };
        weights.finish()?;
        let elements = header.atomic_numbers().map_err(|e| Error::file(file.path(), format!("header: {e}")))?;
        Ok(Self {
            evaluator,
            elements,
            scale: header.scale.clone(),
            has_direct_forces: header.model.forces() == Forces::Direct,
        })
    }

    /// Largest number of segments of a table; none for exact filters.
    pub fn n_segments(&self) -> Option<usize> {
        self.evaluator.n_segments()
    }

    /// Limits the bytes of activations that a call saves for the backward pass (default: 1 GiB). Beyond, most are recomputed with the
    /// same result: half as many matrix products again in half of the memory. For PaiNN.
    #[must_use]
    pub fn save_at_most(mut self, bytes: usize) -> Self {
        self.evaluator.save_at_most(bytes);
        self
    }

    /// Lists neighbours that far in Å beyond the cutoff (default: 0.5) from the second call on for the same atoms, so that the list is
    /// built again only when an atom has moved half of that. It changes no number, only how fast a call is.
    #[must_use]
    pub fn skin(mut self, skin: f64) -> Self {
        self.evaluator.set_skin(skin);
        self
    }

    /// Bytes that a call needs, about.
    pub fn bytes(&self, n_atoms: usize, n_edges: usize) -> usize {
        self.evaluator.bytes(n_atoms, n_edges)
    }

    /// Whether forces come from a head of their own, and are no gradient of an energy.
    pub fn has_direct_forces(&self) -> bool {
        self.has_direct_forces
    }

    /// Whether the energy depends on all neighbours within the cutoff, not on the nearest few of each atom.
    pub fn sees_all_neighbors(&self) -> bool {
        self.evaluator.rule().neighbors == Neighbors::All
    }

    /// Largest number of numbers that one exchange of [`Engine::evaluate_domain`] brings for each ghost.
    pub fn exchanged(&self) -> usize {
        self.evaluator.exchanged()
    }

    /// Evaluates a process's part of a system; the parts of all processes add up to what [`Potential::evaluate`] says of the whole, but
    /// for rounding.
    ///
    /// - `positions` of the domain's points, in Å. Shape: `[n_points, 3]`.
    /// - `n_atoms` of all processes.
    /// - `exchange` is called several times, by this thread; a call that fails may not have called it as often as others.
    ///
    /// # Errors
    /// Elements that the model does not know; a model that sees the nearest few neighbours only; positions that are not finite, two
    /// atoms at one place; too little memory.
    pub fn evaluate_domain(
        &self,
        (domain, positions): (&Domain, &[Vec3]),
        n_atoms: usize,
        exchange: &mut dyn Exchange<T>,
        wants_atomic_virials: bool,
        out: &mut DomainPrediction,
    ) -> Result<()> {
        if !self.sees_all_neighbors() {
            let message = "the model sees the nearest few neighbours of each atom; a domain needs one that sees all within the cutoff";
            return Err(Error::Other(message.to_owned()));
        }
        if let Some(z) = domain.atomic_numbers().iter().find(|z| self.elements.binary_search(z).is_err()) {
            return Err(Error::Other(self.unknown(*z)));
        }
        let scale = &self.scale;
        // Energies of elements that have none are no zeros.
        scale.reference_energies.total(&domain.atomic_numbers()[..domain.n_local()])?;
        self.evaluator
            .evaluate_domain(DomainCall { domain, positions, n_atoms, exchange, wants_atomic_virials, scale }, out)
    }

    /// Refuses elements that the model was not trained on.
    fn check_elements(&self, systems: &[&System]) -> Result<()> {
        for (index, system) in systems.iter().enumerate() {
            if let Some(z) = system.atomic_numbers.iter().find(|z| self.elements.binary_search(z).is_err()) {
                return Err(Error::System { index, name: system.name(), message: self.unknown(*z) });
            }
        }
        Ok(())
    }

    fn unknown(&self, z: u8) -> String {
        let name = |z: u8| symbol(z).map_or_else(|| format!("number {z}"), str::to_owned);
        format!(
            "element {} is not among those of the model ({}); use a model that was trained on it",
            name(z),
            self.elements.iter().map(|&z| name(z)).collect::<Vec<_>>().join(", ")
        )
    }
}

fn unsupported(file: &ModelFile) -> Error {
    Error::file(file.path(), "the engine runs SchNet and PaiNN; this network runs with --engine network")
}

impl<T: Number> Potential for Engine<T> {
    fn cutoff(&self) -> f64 {
        self.evaluator.rule().cutoff
    }

    fn elements(&self) -> &[u8] {
        &self.elements
    }

    fn evaluate(&self, systems: &[&System]) -> Result<Prediction> {
        self.check_elements(systems)?;
        self.evaluator.evaluate(systems, &self.scale)
    }
}
