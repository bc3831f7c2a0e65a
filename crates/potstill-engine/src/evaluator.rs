//! Evaluation of systems: neighbour list, network, energies, forces and virials.

use std::fmt::Debug;
use std::sync::Mutex;

use potstill_core::graph::{GraphRule, NeighborList, Neighbors};
use potstill_core::limits::{available_memory, gib};
use potstill_core::model::EnergyScale;
use potstill_core::system::{Mat3, Vec3};
use potstill_core::{Error, Prediction, Result, System};
use potstill_kernels::Number;

use crate::domain::{Domain, DomainPrediction, Exchange, NoGhosts};
use crate::edges::{EdgeLists, Neighbor};
use crate::networks::{Batch, Network, Output};
use crate::order::Order;

/// Bytes of an edge in the neighbour list: as a candidate while the list is built, and its source.
const BYTES_PER_EDGE: usize = 64;
/// Default distance beyond the cutoff to which candidates are listed, in Å; see [`Engine::skin`](crate::Engine::skin).
const SKIN: f64 = 0.5;
/// Minimum number of atoms for the memory check.
const CHECKED: usize = 10_000;

/// Compiled network with all that a call needs, whatever its type.
pub trait Evaluate<T>: Debug + Send + Sync {
    /// Rule by which pairs of atoms become edges.
    fn rule(&self) -> GraphRule;

    /// Largest number of segments of a filter table; none for exact filters.
    fn n_segments(&self) -> Option<usize>;

    /// Largest number of numbers that one exchange brings for each ghost.
    fn exchanged(&self) -> usize;

    /// Bytes of a call, about.
    fn bytes(&self, n_atoms: usize, n_edges: usize) -> usize;

    /// Sets the limit of saved activations in bytes; see [`Network::save_at_most`].
    fn save_at_most(&mut self, bytes: usize);

    /// Sets the distance beyond the cutoff to which candidates are listed, in Å.
    fn set_skin(&mut self, skin: f64);

    /// Evaluates systems whose elements are known to the network.
    ///
    /// # Errors
    /// Positions or cells of which no neighbour list can be built; too little memory.
    fn evaluate(&self, systems: &[&System], scale: &EnergyScale) -> Result<Prediction>;

    /// Evaluates a domain whose elements are known to the network.
    ///
    /// # Errors
    /// Positions of which no edges can be made; too little memory.
    fn evaluate_domain(&self, call: DomainCall<'_, T>, out: &mut DomainPrediction) -> Result<()>;
}

/// Domain to be evaluated.
pub struct DomainCall<'a, T> {
    /// Own atoms, ghosts and neighbours.
    pub domain: &'a Domain,
    /// Positions of all points in Å. Shape: `[n_points, 3]`.
    pub positions: &'a [Vec3],
    /// Atoms of all processes.
    pub n_atoms: usize,
    /// Exchange with the other processes.
    pub exchange: &'a mut dyn Exchange<T>,
    /// Whether virials of atoms are computed.
    pub wants_atomic_virials: bool,
    /// From the network's outputs to eV.
    pub scale: &'a EnergyScale,
}

/// Network with its neighbour rule and buffers.
#[derive(Debug)]
pub struct Evaluator<T: Number, N: Network<T>> {
    network: N,
    rule: GraphRule,
    skin: f64,
    /// Buffers reused between calls; several where calls overlap.
    buffers: Mutex<Vec<Buffers<T, N::Buffers>>>,
}

/// Buffers of one call. Atoms are in the engine's order.
#[derive(Debug)]
struct Buffers<T, B> {
    neighbors: NeighborList,
    order: Order,
    /// Number of edges of all atoms before each.
    counts: Vec<usize>,
    atomic_numbers: Vec<u8>,
    edges: EdgeLists<T>,
    network: B,
    output: Output<T>,
}

impl<T: Number, N: Network<T>> Evaluator<T, N> {
    /// Evaluator of a network whose edges follow a rule.
    pub fn new(network: N, rule: GraphRule) -> Self {
        Self { network, rule, skin: SKIN, buffers: Mutex::default() }
    }

    fn fresh_buffers(&self) -> Buffers<T, N::Buffers> {
        Buffers {
            neighbors: NeighborList::new(self.rule, self.skin),
            order: Order::default(),
            counts: Vec::new(),
            atomic_numbers: Vec::new(),
            edges: EdgeLists::default(),
            network: N::Buffers::default(),
            output: Output::default(),
        }
    }

    /// Refuses a batch that would not fit, before it is tried.
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

    fn run(
        &self,
        systems: &[&System],
        scale: &EnergyScale,
        buffers: &mut Buffers<T, N::Buffers>,
    ) -> Result<Prediction> {
        let Buffers { neighbors, order, counts, atomic_numbers, edges, network, output } = buffers;
        neighbors.update(systems)?;
        let n_atoms = neighbors.n_atoms();
        if n_atoms > CHECKED && output.energies.len() != n_atoms {
            self.check_memory(n_atoms, neighbors.n_edges())?;
        }
        order.update(systems, neighbors, self.rule.cutoff);
        count_edges(neighbors, order, counts);
        edges.fill(
            counts,
            N::ATOMS_PER_TASK,
            self.rule.symmetric || self.rule.neighbors == Neighbors::All,
            |atom| {
                let all = neighbors.neighbors(order.of_caller(atom));
                all.map(|neighbor| Neighbor {
                    other: order.of_engine(neighbor.source),
                    displacement: neighbor.displacement,
                    distance2: neighbor.distance2,
                })
            },
            |distances, edges| self.network.place(distances, edges),
        );
        let given = neighbors.atomic_numbers();
        atomic_numbers.clear();
        atomic_numbers.extend((0..n_atoms).map(|atom| given[order.of_caller(atom)]));
        let batch = Batch { n_local: n_atoms, atomic_numbers, edges };
        self.network.evaluate(&batch, &mut NoGhosts, network, output);

        let mut prediction = energies(systems, scale, output, order)?;
        match &output.direct_forces {
            Some(forces) => {
                let of = |atom: u32| scale.force(forces[order.of_engine(atom) as usize].map(Number::to_f64));
                prediction.forces = (0..n_atoms as u32).map(of).collect();
            }
            None => {
                let factor = scale.gradient_factor();
                let mut sums = ForceSums::new(neighbors.system_index(), systems.len());
                sums.add_edges(edges, output, order, factor);
                (prediction.forces, prediction.virial) = (sums.forces, Some(sums.virials));
            }
        }
        Ok(prediction)
    }
}

impl<T: Number, N: Network<T>> Evaluator<T, N> {
    /// Calls with the buffers of an earlier call, or with fresh ones.
    fn with_buffers<R>(&self, call: impl FnOnce(&mut Buffers<T, N::Buffers>) -> R) -> R {
        let reused = self.buffers.lock().ok().and_then(|mut buffers| buffers.pop());
        let mut buffers = reused.unwrap_or_else(|| self.fresh_buffers());
        let result = call(&mut buffers);
        if let Ok(mut all) = self.buffers.lock() {
            all.push(buffers);
        }
        result
    }

    fn run_domain(
        &self,
        call: DomainCall<'_, T>,
        buffers: &mut Buffers<T, N::Buffers>,
        out: &mut DomainPrediction,
    ) -> Result<()> {
        let DomainCall { domain, positions, n_atoms, exchange, wants_atomic_virials, scale } = call;
        let Buffers { counts, edges, network, output, .. } = buffers;
        let cutoff = self.rule.cutoff;
        domain.count_edges(positions, cutoff, counts)?;
        let (n_local, n_rows, atomic_numbers) = (domain.n_local(), domain.n_rows(), domain.atomic_numbers());
        if n_rows > CHECKED && output.energies.len() != n_local {
            self.check_memory(n_rows, counts[n_local])?;
        }
        edges.fill(
            counts,
            N::ATOMS_PER_TASK,
            true,
            |atom| domain.within(atom, positions, cutoff * cutoff),
            |distances, edges| self.network.place(distances, edges),
        );
        self.network.evaluate(&Batch { n_local, atomic_numbers, edges }, exchange, network, output);

        let raw = output.energies.iter().map(|energy| energy.to_f64());
        out.atomic_energies.clear();
        out.atomic_energies.extend(scale.atomic_energies_of_part(raw, &atomic_numbers[..n_local], n_atoms));
        out.forces.clear();
        out.forces.resize(n_rows, [0.0; 3]);
        out.atomic_virials.clear();
        out.virial = None;
        match &output.direct_forces {
            Some(forces) => {
                let forces = forces.iter().map(|force| scale.force(force.map(Number::to_f64)));
                out.forces.iter_mut().zip(forces).for_each(|(own, force)| *own = force);
            }
            None => {
                out.atomic_virials.resize(if wants_atomic_virials { n_rows } else { 0 }, [[0.0; 3]; 3]);
                out.add_edges(edges, &output.edge_gradients, scale.gradient_factor(), wants_atomic_virials);
            }
        }
        Ok(())
    }
}

impl<T: Number, N: Network<T>> Evaluate<T> for Evaluator<T, N> {
    fn rule(&self) -> GraphRule {
        self.rule
    }

    fn n_segments(&self) -> Option<usize> {
        self.network.n_segments()
    }

    fn exchanged(&self) -> usize {
        self.network.exchanged()
    }

    fn bytes(&self, n_atoms: usize, n_edges: usize) -> usize {
        let per_edge = BYTES_PER_EDGE + 6 * size_of::<T>() * 2;
        self.network.bytes(n_atoms).saturating_add(n_edges.saturating_mul(per_edge))
    }

    fn save_at_most(&mut self, bytes: usize) {
        self.network.save_at_most(bytes);
    }

    fn set_skin(&mut self, skin: f64) {
        self.skin = skin;
        self.buffers = Mutex::default();
    }

    fn evaluate(&self, systems: &[&System], scale: &EnergyScale) -> Result<Prediction> {
        self.with_buffers(|buffers| self.run(systems, scale, buffers))
    }

    fn evaluate_domain(&self, call: DomainCall<'_, T>, out: &mut DomainPrediction) -> Result<()> {
        self.with_buffers(|buffers| self.run_domain(call, buffers, out))
    }
}

/// Energies in eV from the normalised ones of the atoms of all systems.
fn energies<T: Number>(
    systems: &[&System],
    scale: &EnergyScale,
    output: &Output<T>,
    order: &Order,
) -> Result<Prediction> {
    let own = |atom: usize| output.energies[order.of_engine(atom as u32) as usize].to_f64();
    let mut prediction = Prediction::default();
    let mut first = 0;
    for system in systems {
        let (atoms, numbers) = (first..first + system.n_atoms(), &system.atomic_numbers);
        prediction.energy.push(scale.energy(atoms.clone().map(own).sum(), numbers)?);
        prediction.atomic_energies.extend(scale.atomic_energies(atoms.clone().map(own), numbers));
        first = atoms.end;
    }
    Ok(prediction)
}

/// Sums over edges, in f64 and in the caller's order.
struct ForceSums<'a> {
    /// System of each atom.
    system_index: &'a [u32],
    forces: Vec<[f64; 3]>,
    virials: Vec<Mat3>,
}

impl<'a> ForceSums<'a> {
    fn new(system_index: &'a [u32], n_systems: usize) -> Self {
        let forces = vec![[0.0; 3]; system_index.len()];
        Self { system_index, forces, virials: vec![[[0.0; 3]; 3]; n_systems] }
    }

    /// Adds what edges contribute.
    fn add_edges<T: Number>(&mut self, edges: &EdgeLists<T>, output: &Output<T>, order: &Order, factor: f64) {
        edges.for_each_gradient(&output.edge_gradients, factor, |atom, other, displacement, gradient| {
            let (atom, other) = (order.of_caller(atom), order.of_caller(other));
            let virial = &mut self.virials[self.system_index[atom] as usize];
            for c in 0..3 {
                self.forces[atom][c] += gradient[c];
                self.forces[other][c] -= gradient[c];
                for k in 0..3 {
                    virial[c][k] -= gradient[c] * displacement[k];
                }
            }
        });
    }
}

/// Counts the edges of all atoms before each of the engine's, and of all at the end.
fn count_edges(list: &NeighborList, order: &Order, counts: &mut Vec<usize>) {
    counts.clear();
    counts.push(0);
    let mut total = 0;
    counts.extend((0..list.n_atoms()).map(|atom| {
        let of_list = &list.first_edges()[order.of_caller(atom)..];
        total += of_list[1] - of_list[0];
        total
    }));
}
