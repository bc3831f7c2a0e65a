//! From a model file to energies, forces and virials.

use std::path::Path;
use std::sync::Mutex;

use potstill_core::elements::symbol;
use potstill_core::graph::{GraphRule, NeighborList, Neighbors, NetworkGraphRule};
use potstill_core::limits::{available_memory, gib};
use potstill_core::model::{Architecture, EnergyScale, ModelFile};
use potstill_core::system::Mat3;
use potstill_core::{Error, Potential, Prediction, Result, System};

use crate::order::Order;
use crate::painn::{self, PaiNN};
use crate::pairs::Pairs;
use crate::schnet::{self, SchNet};
use crate::work::{EdgeBars, Scratch};
use potstill_kernels::number::Number;

/// Bytes that an edge takes whatever the numbers are: as a candidate, while the list is drawn, and its source.
const BYTES_PER_EDGE: usize = 64;
/// Farther than the cutoff that candidates are listed, in Å; see [`Engine::skin`].
const SKIN: f64 = 0.5;
/// Atoms from which memory is looked at before it is taken.
const CHECKED: usize = 10_000;

/// Where filters come from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FilterChoice {
    /// Tables, whose values and derivatives are right to that part of the largest.
    Table {
        /// Relative error.
        accuracy: f64,
    },
    /// The filter networks themselves, at every edge: slow, and right to rounding.
    Exact,
}

impl Default for FilterChoice {
    fn default() -> Self {
        Self::Table { accuracy: 1e-6 }
    }
}

/// A student, compiled for this processor.
#[derive(Debug)]
pub struct Engine<T> {
    network: Network<T>,
    rule: GraphRule,
    skin: f64,
    elements: Vec<u8>,
    scale: EnergyScale,
    /// Memory of calls that are over, for calls to come.
    memory: Mutex<Vec<Memory<T>>>,
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "one exists at a time")]
enum Network<T> {
    SchNet(SchNet<T>),
    PaiNN(PaiNN<T>),
}

impl<T> Network<T> {
    /// Atoms that a task has at least: below, waking another thread takes longer than it saves.
    fn atoms_per_task(&self) -> usize {
        match self {
            Self::SchNet(_) => 32,
            Self::PaiNN(_) => 8,
        }
    }
}

#[derive(Debug)]
struct Memory<T> {
    neighbors: NeighborList,
    order: Order,
    /// In the engine's order.
    atomic_numbers: Vec<u8>,
    pairs: Pairs<T>,
    scratch: Vec<Scratch<T>>,
    schnet: schnet::Memory<T>,
    painn: painn::Memory<T>,
    energies: Vec<T>,
    bars: EdgeBars<T>,
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
        let accuracy = match filters {
            FilterChoice::Table { accuracy } => Some(accuracy),
            FilterChoice::Exact => None,
        };
        let network = match &header.model {
            Architecture::SchNet(config) => Network::SchNet(SchNet::new(config, &mut weights, accuracy)?),
            Architecture::PaiNN(config) => Network::PaiNN(PaiNN::new(config, &mut weights, accuracy)?),
            Architecture::GemNetOC(_) => return Err(unsupported(file)),
        };
        let NetworkGraphRule::Pairs(rule) = header.model.graph_rule() else { return Err(unsupported(file)) };
        weights.finish()?;
        Ok(Self {
            network,
            rule,
            skin: SKIN,
            elements: header.atomic_numbers().map_err(|e| Error::file(file.path(), format!("header: {e}")))?,
            scale: header.scale.clone(),
            memory: Mutex::new(Vec::new()),
        })
    }

    /// Largest number of segments of a table; none for exact filters.
    pub fn n_segments(&self) -> Option<usize> {
        match &self.network {
            Network::SchNet(network) => network.n_segments(),
            Network::PaiNN(network) => network.n_segments(),
        }
    }

    /// Bytes up to which a call keeps all that its way back reads (default: 1 GiB); beyond, it computes most of that anew, with
    /// the same result: half as many matrix products again in half of the memory. For PaiNN.
    #[must_use]
    pub fn keep_at_most(mut self, bytes: usize) -> Self {
        if let Network::PaiNN(network) = &mut self.network {
            network.keep_at_most = bytes;
        }
        self
    }

    /// Lists neighbours that far in Å beyond the cutoff (default: 0.5) from the second call on that is about the same atoms, so that
    /// the list is drawn anew only when an atom has moved half of that. It changes no number, only how fast a call is.
    #[must_use]
    pub fn skin(mut self, skin: f64) -> Self {
        self.skin = skin;
        self.memory = Mutex::default();
        self
    }

    /// About the bytes that a call needs.
    pub fn bytes(&self, n_atoms: usize, n_edges: usize) -> usize {
        let network = match &self.network {
            Network::SchNet(network) => network.bytes(n_atoms),
            Network::PaiNN(network) => network.bytes(n_atoms),
        };
        network.saturating_add(n_edges.saturating_mul(BYTES_PER_EDGE + 6 * size_of::<T>() * 2))
    }

    /// Refuses what would not fit, before it is tried.
    fn check_memory(&self, n_atoms: usize, n_edges: usize) -> Result<()> {
        let needed = self.bytes(n_atoms, n_edges) as f64;
        match available_memory() {
            Some(available) if needed > available => Err(Error::Other(format!(
                "{n_atoms} atoms with {n_edges} edges need about {}, and {} are free; evaluate fewer atoms at a \
                     time, or use more memory",
                gib(needed),
                gib(available)
            ))),
            _ => Ok(()),
        }
    }

    fn check(&self, systems: &[&System]) -> Result<()> {
        for (index, system) in systems.iter().enumerate() {
            if let Some(z) = system.atomic_numbers.iter().find(|z| self.elements.binary_search(z).is_err()) {
                let name = |z: u8| symbol(z).map_or_else(|| format!("number {z}"), str::to_owned);
                let message = format!(
                    "element {} is not among those of the model ({}); use a model that was trained on it",
                    name(*z),
                    self.elements.iter().map(|&z| name(z)).collect::<Vec<_>>().join(", ")
                );
                return Err(Error::System { index, name: system.name(), message });
            }
        }
        Ok(())
    }

    fn predict(&self, systems: &[&System], memory: &mut Memory<T>) -> Result<Prediction> {
        self.check(systems)?;
        let Memory { neighbors, order, atomic_numbers, pairs, scratch, schnet, painn, energies, bars } = memory;
        neighbors.update(systems)?;
        if neighbors.n_atoms() > CHECKED && energies.len() != neighbors.n_atoms() {
            self.check_memory(neighbors.n_atoms(), neighbors.n_edges())?;
        }
        order.update(systems, neighbors, self.rule.cutoff);
        pairs.fill(neighbors, order, self.rule.symmetric || self.rule.neighbors == Neighbors::All);
        let given = neighbors.atomic_numbers();
        atomic_numbers.clear();
        atomic_numbers.extend((0..given.len()).map(|atom| given[order.of_caller(atom)]));
        // More tasks than threads only where there is enough to do, so that threads which are held up do not hold up all.
        let threads = rayon::current_num_threads();
        let n_tasks =
            if threads == 1 { 1 } else { (neighbors.n_atoms() / self.network.atoms_per_task()).clamp(1, 4 * threads) };
        let tasks = pairs.tasks(n_tasks);
        scratch.resize_with(tasks.len().max(scratch.len()), Scratch::default);
        let direct = match &self.network {
            Network::SchNet(network) => {
                network.evaluate(atomic_numbers, pairs, &tasks, scratch, schnet, energies, bars);
                None
            }
            Network::PaiNN(network) => network.evaluate(atomic_numbers, pairs, &tasks, scratch, painn, energies, bars),
        };
        let own = |atom: usize| energies[order.of_engine(atom as u32) as usize].to_f64();
        let mut prediction = self.energies(systems, own)?;
        match direct {
            Some(forces) => {
                let (forces, _) = forces.as_chunks::<3>();
                let scale = |atom: u32| self.scale.force(forces[order.of_engine(atom) as usize].map(Number::to_f64));
                prediction.forces = (0..forces.len() as u32).map(scale).collect();
            }
            None => self.forces(neighbors.system_index(), systems.len(), (pairs, order), bars, &mut prediction),
        }
        Ok(prediction)
    }

    /// Energies in eV from normalised ones of the atoms of all systems.
    fn energies(&self, systems: &[&System], own: impl Fn(usize) -> f64) -> Result<Prediction> {
        let mut prediction = Prediction::default();
        let mut first = 0;
        for system in systems {
            let (atoms, numbers) = (first..first + system.n_atoms(), &system.atomic_numbers);
            prediction.energy.push(self.scale.energy(atoms.clone().map(&own).sum(), numbers)?);
            prediction.atomic_energies.extend(self.scale.atomic_energies(atoms.clone().map(&own), numbers));
            first = atoms.end;
        }
        Ok(prediction)
    }

    /// Sums over edges, in f64. With displacement `D = d u` from target to source,
    /// `∂E/∂D = u d̄ + (ū − u (u · ū)) / d`; the target's force is that, the source's its negative.
    fn forces(
        &self,
        system_index: &[u32],
        n_systems: usize,
        (pairs, order): (&Pairs<T>, &Order),
        bars: &EdgeBars<T>,
        prediction: &mut Prediction,
    ) {
        let scale = self.scale.gradient_factor();
        let mut forces = vec![[0.0; 3]; system_index.len()];
        let mut virials: Vec<Mat3> = vec![[[0.0; 3]; 3]; n_systems];
        let fan = pairs.out_of();
        for atom in 0..system_index.len() {
            let source = order.of_caller(atom);
            let virial = &mut virials[system_index[source] as usize];
            for e in fan.edges(atom) {
                let length = fan.distance[e].to_f64();
                // The fan points from the source to the target.
                let u = fan.direction[e].map(|c| -c.to_f64());
                let across = bars.direction.get(e).map_or([0.0; 3], |d| d.map(Number::to_f64));
                let along = bars.distance[e].to_f64() - (0..3).map(|c| u[c] * across[c]).sum::<f64>() / length;
                let gradient: [f64; 3] = std::array::from_fn(|c| scale * (u[c] * along + across[c] / length));
                let target = order.of_caller(fan.other[e] as usize);
                for c in 0..3 {
                    forces[target][c] += gradient[c];
                    forces[source][c] -= gradient[c];
                    for k in 0..3 {
                        virial[c][k] -= gradient[c] * length * u[k];
                    }
                }
            }
        }
        prediction.forces = forces;
        prediction.virial = Some(virials);
    }
}

fn unsupported(file: &ModelFile) -> Error {
    Error::file(file.path(), "the engine runs SchNet and PaiNN; this network runs with --engine network")
}

impl<T: Number> Potential for Engine<T> {
    fn cutoff(&self) -> f64 {
        self.rule.cutoff
    }

    fn elements(&self) -> &[u8] {
        &self.elements
    }

    fn evaluate(&self, systems: &[&System]) -> Result<Prediction> {
        let kept = self.memory.lock().ok().and_then(|mut kept| kept.pop());
        let mut memory = kept.unwrap_or_else(|| Memory {
            neighbors: NeighborList::new(self.rule, self.skin),
            order: Order::default(),
            atomic_numbers: Vec::new(),
            pairs: Pairs::default(),
            scratch: Vec::new(),
            schnet: schnet::Memory::default(),
            painn: painn::Memory::default(),
            energies: Vec::new(),
            bars: EdgeBars::default(),
        });
        let prediction = self.predict(systems, &mut memory);
        if let Ok(mut kept) = self.memory.lock() {
            kept.push(memory);
        }
        prediction
    }
}
