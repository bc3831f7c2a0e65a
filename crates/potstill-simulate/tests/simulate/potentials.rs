//! Potentials with analytic answers, and systems for them.

use std::sync::atomic::{AtomicUsize, Ordering};

use potstill_core::graph::{GraphRule, Neighbors};
use potstill_core::system::{Mat3, Vec3};
use potstill_core::{Error, Potential, Prediction, Result, System};

/// `kT` at 300 K in eV.
pub const KT_300: f64 = potstill_simulate::BOLTZMANN * 300.0;

/// Lennard-Jones argon, the energy shifted to vanish at the cutoff as in ASE's calculator.
pub struct LennardJones {
    pub epsilon: f64,
    pub sigma: f64,
    pub cutoff: f64,
}

/// Argon whose interactions reach as far as any cluster here.
pub const CLUSTER: LennardJones = LennardJones { epsilon: 0.0104, sigma: 3.4, cutoff: 100.0 };
/// Argon for crystals: the cutoff lies between two shells of neighbours.
pub const CRYSTAL: LennardJones = LennardJones { epsilon: 0.0104, sigma: 3.4, cutoff: 8.8 };

impl Potential for LennardJones {
    fn cutoff(&self) -> f64 {
        self.cutoff
    }

    fn elements(&self) -> &[u8] {
        &[18]
    }

    fn evaluate(&self, systems: &[&System]) -> Result<Prediction> {
        let mut out = Prediction { virial: Some(Vec::new()), ..Prediction::default() };
        for (index, system) in systems.iter().enumerate() {
            if let Some(z) = system.atomic_numbers.iter().find(|z| **z != 18) {
                return Err(Error::system(index, format!("element {z} is unknown")));
            }
            let (energies, forces, virial) = self.one(system).map_err(|error| error.shifted(index))?;
            out.energy.push(energies.iter().sum());
            out.atomic_energies.extend(energies);
            out.forces.extend(forces);
            out.virial.get_or_insert_default().push(virial);
        }
        Ok(out)
    }
}

impl LennardJones {
    fn one(&self, system: &System) -> Result<(Vec<f64>, Vec<Vec3>, Mat3)> {
        let rule = GraphRule { cutoff: self.cutoff, neighbors: Neighbors::All, symmetric: false };
        let graph = rule.build(&[system])?;
        let six = |square: f64| (self.sigma * self.sigma / square).powi(3);
        let energy = |six: f64| 4.0 * self.epsilon * (six * six - six);
        let shift = energy(six(self.cutoff * self.cutoff));
        let mut energies = vec![0.0; system.n_atoms()];
        let mut forces = vec![[0.0; 3]; system.n_atoms()];
        let mut virial = [[0.0; 3]; 3];
        for (target, d) in graph.target.iter().zip(&graph.displacement) {
            let square: f64 = d.iter().map(|x| x * x).sum();
            let c6 = six(square);
            let slope = -24.0 * self.epsilon * (2.0 * c6 * c6 - c6) / square;
            energies[*target as usize] += 0.5 * (energy(c6) - shift);
            for i in 0..3 {
                forces[*target as usize][i] += slope * d[i];
                (0..3).for_each(|j| virial[i][j] -= 0.5 * slope * d[i] * d[j]);
            }
        }
        Ok((energies, forces, virial))
    }
}

/// Springs of `stiffness` eV/Å² that bind every atom to the origin.
pub struct Springs {
    pub stiffness: f64,
}

impl Potential for Springs {
    fn cutoff(&self) -> f64 {
        0.0
    }

    fn elements(&self) -> &[u8] {
        &[18]
    }

    fn evaluate(&self, systems: &[&System]) -> Result<Prediction> {
        let energy = |r: &Vec3| 0.5 * self.stiffness * r.iter().map(|x| x * x).sum::<f64>();
        let mut out = Prediction { virial: Some(Vec::new()), ..Prediction::default() };
        for system in systems {
            out.energy.push(system.positions.iter().map(energy).sum());
            out.atomic_energies.extend(system.positions.iter().map(energy));
            out.forces.extend(system.positions.iter().map(|r| r.map(|x| -self.stiffness * x)));
            let entry = |i: usize, j: usize| system.positions.iter().map(|r| -self.stiffness * r[i] * r[j]).sum();
            let virial = std::array::from_fn(|i| std::array::from_fn(|j| entry(i, j)));
            out.virial.get_or_insert_default().push(virial);
        }
        Ok(out)
    }
}

/// Ideal gas in a box that resists a strain `e = (FᵀF − 1)/2` from a cube of `side` Å with the energy `stiffness/2 Σ e²`, in eV.
pub struct ElasticBox {
    pub side: f64,
    pub stiffness: f64,
}

impl Potential for ElasticBox {
    fn cutoff(&self) -> f64 {
        0.0
    }

    fn elements(&self) -> &[u8] {
        &[18]
    }

    fn evaluate(&self, systems: &[&System]) -> Result<Prediction> {
        let mut out = Prediction { virial: Some(Vec::new()), ..Prediction::default() };
        for system in systems {
            let cell = system.cell.unwrap_or_default();
            // The rows of the cell are the columns of `side · F`.
            let f = |i: usize, k: usize| cell[k][i] / self.side;
            let strain: Mat3 = std::array::from_fn(|k| {
                std::array::from_fn(|l| {
                    0.5 * ((0..3).map(|i| f(i, k) * f(i, l)).sum::<f64>() - f64::from(u8::from(k == l)))
                })
            });
            let sum = |terms: &dyn Fn(usize, usize) -> f64| (0..9).map(|at| terms(at / 3, at % 3)).sum::<f64>();
            out.energy.push(0.5 * self.stiffness * sum(&|k, l| strain[k][l].powi(2)));
            out.atomic_energies.extend(vec![0.0; system.n_atoms()]);
            out.forces.extend(vec![[0.0; 3]; system.n_atoms()]);
            let stress = |i, j| -self.stiffness * sum(&|k, l| f(i, k) * strain[k][l] * f(j, l));
            let virial = std::array::from_fn(|i| std::array::from_fn(|j| stress(i, j)));
            out.virial.get_or_insert_default().push(virial);
        }
        Ok(out)
    }
}

/// Potential that counts how often it is asked, says no virial if told so, and fails at its `n`-th call if told so.
pub struct Watched<P> {
    pub inner: P,
    pub is_direct: bool,
    pub fails_at: Option<usize>,
    pub calls: AtomicUsize,
}

impl<P> Watched<P> {
    pub fn new(inner: P) -> Self {
        Self { inner, is_direct: false, fails_at: None, calls: AtomicUsize::new(0) }
    }

    pub fn direct(inner: P) -> Self {
        Self { is_direct: true, ..Self::new(inner) }
    }

    pub fn n_calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

impl<P: Potential> Potential for Watched<P> {
    fn cutoff(&self) -> f64 {
        self.inner.cutoff()
    }

    fn elements(&self) -> &[u8] {
        self.inner.elements()
    }

    fn evaluate(&self, systems: &[&System]) -> Result<Prediction> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let mut out = self.inner.evaluate(systems)?;
        if self.is_direct {
            out.virial = None;
        }
        if self.fails_at == Some(call) {
            let last = out.forces.len() - 1;
            out.forces[last][1] = f64::NAN;
        }
        Ok(out)
    }
}

/// Argon atoms at these positions.
pub fn argon(positions: &[Vec3]) -> System {
    System { atomic_numbers: vec![18; positions.len()], positions: positions.to_vec(), ..System::default() }
}

/// Gas of argon atoms in a cubic box.
pub fn gas(n: usize, side: f64) -> System {
    let step = side / (n as f64).cbrt().ceil();
    let per_side = (side / step).round() as usize;
    let place =
        |i: usize| [i % per_side, i / per_side % per_side, i / per_side / per_side].map(|c| (c as f64 + 0.5) * step);
    boxed(argon(&(0..n).map(place).collect::<Vec<_>>()), side)
}

/// Face-centred cubic argon: `cells` cubes of side `a` Å along each axis.
pub fn fcc(cells: usize, a: f64) -> System {
    let basis = [[0.0, 0.0, 0.0], [0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]];
    let mut positions = Vec::new();
    for at in 0..cells.pow(3) {
        let corner = [at % cells, at / cells % cells, at / cells / cells];
        positions.extend(basis.map(|b| std::array::from_fn::<f64, 3, _>(|c| a * (corner[c] as f64 + b[c]))));
    }
    boxed(argon(&positions), a * cells as f64)
}

fn boxed(system: System, side: f64) -> System {
    let cell = Some([[side, 0.0, 0.0], [0.0, side, 0.0], [0.0, 0.0, side]]);
    System { cell, pbc: [true; 3], ..system }
}

/// Lennard-Jones argon's pentagonal bipyramid of seven atoms, somewhat out of shape.
pub fn cluster() -> System {
    let d = 3.8;
    let ring = (0..5).map(|k| {
        let angle = f64::from(k) * std::f64::consts::TAU / 5.0;
        [0.86 * d * angle.cos() + 0.05 * f64::from(k), 0.86 * d * angle.sin(), 0.1 * f64::from(k % 2)]
    });
    argon(&ring.chain([[0.1, 0.0, 0.56 * d], [0.0, -0.1, -0.55 * d]]).collect::<Vec<_>>())
}
