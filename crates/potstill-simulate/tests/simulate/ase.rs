//! ASE's numbers, written by `testdata/ase_reference.py`.

use potstill_core::system::{Mat3, Vec3};
use potstill_core::{Potential, System};
use potstill_simulate::{
    CellChange, Dynamics, DynamicsSettings, Ensemble, Optimizer, Relaxation, Relaxed, State, relax,
};
use serde::Deserialize;

use super::potentials::{CLUSTER, CRYSTAL, argon};

#[derive(Deserialize)]
struct Reference {
    verlet: Verlet,
    relaxations: Vec<Search>,
    cells: Vec<Cell>,
}

#[derive(Deserialize)]
struct Moment {
    positions: Vec<Vec3>,
    #[serde(default)]
    velocities: Vec<Vec3>,
    forces: Vec<Vec3>,
    energy: f64,
    cell: Option<Mat3>,
    stress: Option<Mat3>,
}

#[derive(Deserialize)]
struct Verlet {
    timestep: f64,
    steps: usize,
    start: Moment,
    end: Moment,
}

#[derive(Deserialize)]
struct Search {
    optimizer: Optimizer,
    start: Moment,
    after_30: Moment,
    steps: u64,
    end: Moment,
}

#[derive(Deserialize)]
struct Cell {
    isotropic: bool,
    pressure: f64,
    start: Moment,
    unit_after_15: Moment,
    unit: Moment,
    frechet: Moment,
}

fn reference() -> Reference {
    serde_json::from_str(include_str!("../../testdata/ase_reference.json")).unwrap()
}

impl Moment {
    fn system(&self) -> System {
        System { cell: self.cell, pbc: [self.cell.is_some(); 3], ..argon(&self.positions) }
    }
}

fn largest(a: &[Vec3], b: &[Vec3]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().flatten().zip(b.iter().flatten()).fold(0.0, |most, (x, y)| most.max((x - y).abs()))
}

#[test]
fn the_potentials_agree() {
    let reference = reference();
    let cells = reference.cells.iter().flat_map(|cell| [&cell.start, &cell.unit_after_15, &cell.unit]);
    let mut n = 0;
    for moment in cells.chain([&reference.verlet.start, &reference.verlet.end]) {
        let system = moment.system();
        let prediction = CRYSTAL.evaluate(&[&system]).unwrap();
        assert!((prediction.energy[0] - moment.energy).abs() < 1e-12);
        assert!(largest(&prediction.forces, &moment.forces) < 1e-13);
        let volume = system.volume().unwrap();
        let stress = prediction.virial.unwrap()[0].map(|row| row.map(|w| -w / volume));
        assert!(largest(&stress, &moment.stress.unwrap()) < 1e-15);
        n += 1;
    }
    assert_eq!(n, 11);
}

#[test]
fn a_hundred_steps_of_verlet_agree() {
    let Verlet { timestep, steps, start, end } = reference().verlet;
    let mut state = State::at_rest(&start.system()).unwrap();
    state.velocities.clone_from(&start.velocities);
    let settings = DynamicsSettings { remove_drift: false, ..DynamicsSettings::new(Ensemble::Nve, timestep) };
    let mut dynamics = Dynamics::new(&CRYSTAL, vec![state], settings).unwrap();
    (0..steps).for_each(|_| dynamics.step().unwrap());
    let now = &dynamics.states()[0];
    assert!(largest(&end.positions, &start.positions) > 0.1);
    assert!(largest(&now.system.positions, &end.positions) < 1e-10);
    assert!(largest(&now.velocities, &end.velocities) < 1e-12);
    assert!((dynamics.observables(0).potential - end.energy).abs() < 1e-11);
}

#[test]
fn optimisers_take_the_same_steps() {
    let searches = reference().relaxations;
    assert_eq!(searches.len(), 2);
    for search in searches {
        let settings = Relaxation { optimizer: search.optimizer, fmax: 1e-12, max_steps: 30, ..Relaxation::default() };
        let after = relax(&CLUSTER, &search.start.system(), &settings, &mut |_| ()).unwrap();
        let off = largest(&after.system.positions, &search.after_30.positions);
        assert!(largest(&search.start.positions, &search.after_30.positions) > 0.05);
        assert!(off < 1e-9, "{:?}: {off:e}", search.optimizer);
        let settings = Relaxation { fmax: 1e-4, max_steps: 2000, ..settings };
        let end = relax(&CLUSTER, &search.start.system(), &settings, &mut |_| ()).unwrap();
        assert!(end.converged && (end.prediction.energy[0] - search.end.energy).abs() < 1e-7);
        assert_eq!(end.steps, search.steps, "{:?}", search.optimizer);
    }
}

fn relaxed(cell: &Cell, fmax: f64, max_steps: u64) -> Relaxed {
    let change = if cell.isotropic { CellChange::Isotropic } else { CellChange::Full };
    let settings = Relaxation { cell: change, pressure: cell.pressure, fmax, max_steps, ..Relaxation::default() };
    relax(&CRYSTAL, &cell.start.system(), &settings, &mut |_| ()).unwrap()
}

#[test]
fn cells_relax_by_the_same_steps_to_the_same_end() {
    for cell in reference().cells {
        let after = relaxed(&cell, 1e-12, 15);
        let wanted = cell.unit_after_15.cell.unwrap();
        let off = largest(&after.system.cell.unwrap(), &wanted);
        assert!(largest(&cell.start.cell.unwrap(), &wanted) > 0.01 && off < 1e-10, "{off:e}");
        assert!(largest(&after.system.positions, &cell.unit_after_15.positions) < 1e-10);

        let end = relaxed(&cell, 1e-5, 3000);
        assert!(end.converged);
        for filter in [&cell.unit, &cell.frechet] {
            let enthalpy = |energy: f64, volume: f64| energy + cell.pressure * volume;
            let ours = enthalpy(end.prediction.energy[0], end.system.volume().unwrap());
            let theirs = enthalpy(filter.energy, filter.system().volume().unwrap());
            assert!((ours - theirs).abs() < 1e-6, "{ours} {theirs}");
        }
    }
}
