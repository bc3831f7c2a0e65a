//! Volumes and shapes under the barostat against statistical mechanics.

use potstill_core::Potential;
use potstill_core::system::Mat3;
use potstill_simulate::{Coupling, Dynamics, DynamicsSettings, Ensemble, Start};

use super::potentials::{CRYSTAL, ElasticBox, KT_300, fcc, gas};
use super::statistics::{assert_mean, mean, squares};

/// Pressure in eV/Å³ of the gases.
const PRESSURE: f64 = 1e-3;

fn npt(coupling: Coupling, pressure: f64, compressibility: f64, barostat_time: f64) -> Ensemble {
    let (temperature, thermostat_time) = (300.0, 50.0);
    Ensemble::Npt { temperature, thermostat_time, pressure, barostat_time, compressibility, coupling }
}

fn dynamics<'p>(potential: &'p dyn Potential, n: usize, side: f64, settings: DynamicsSettings) -> Dynamics<'p> {
    let start = Start { temperature: 300.0, exact: false };
    Dynamics::start(potential, &[&gas(n, side)], &start, settings).unwrap()
}

fn volumes(dynamics: &mut Dynamics<'_>, skip: usize, n: usize) -> Vec<f64> {
    (0..skip).for_each(|_| dynamics.step().unwrap());
    let mut next = || {
        dynamics.step().unwrap();
        dynamics.observables(0).volume.unwrap()
    };
    (0..n).map(|_| next()).collect()
}

/// An ideal gas of N atoms has P(V) ∝ Vᴺ exp(−PV/kT).
fn check_gas(coupling: Coupling, remove_drift: bool) {
    let ideal = ElasticBox { side: 8.0, stiffness: 0.0 };
    let ensemble = npt(coupling, PRESSURE, 1.0 / PRESSURE, 400.0);
    let settings = DynamicsSettings { remove_drift, ..DynamicsSettings::new(ensemble, 1.0) };
    let mut dynamics = dynamics(&ideal, 12, 7.0, settings);
    let volumes = volumes(&mut dynamics, 2_000, 600_000);
    let unit = KT_300 / PRESSURE;
    assert_mean("volume", &volumes, 13.0 * unit, 0.012, 0.005);
    assert_mean("its variance", &squares(&volumes, 13.0 * unit), 13.0 * unit * unit, 0.08, 0.02);
}

#[test]
fn volume_of_an_ideal_gas() {
    check_gas(Coupling::Isotropic, true);
}

#[test]
fn volume_of_an_ideal_gas_with_momentum() {
    check_gas(Coupling::Isotropic, false);
}

#[test]
fn volume_of_an_ideal_gas_in_a_box_of_any_shape() {
    check_gas(Coupling::Anisotropic, true);
}

#[test]
fn strains_of_an_elastic_box() {
    // E = stiffness/2 Σ e²: the variance of a diagonal strain is kT/stiffness, of another one half of that.
    let stiffness = 600.0 * KT_300;
    let elastic = ElasticBox { side: 10.0, stiffness };
    // Bulk modulus: stiffness / 3 V.
    let settings = DynamicsSettings::new(npt(Coupling::Anisotropic, 0.0, 3.0 * 1000.0 / stiffness, 100.0), 2.0);
    let mut dynamics = dynamics(&elastic, 4, 10.0, settings);
    (0..1000).for_each(|_| dynamics.step().unwrap());
    let (mut diagonal, mut others) = (Vec::new(), Vec::new());
    for _ in 0..150_000 {
        dynamics.step().unwrap();
        let strain = strain(&dynamics.states()[0].system.cell.unwrap(), 10.0);
        let mean = (strain[0][0] + strain[1][1] + strain[2][2]) / 3.0;
        // Without the volume, which the gas moves: two of three independent strains are left.
        diagonal.push((0..3).map(|i| (strain[i][i] - mean).powi(2)).sum::<f64>() / 2.0);
        others.push((strain[0][1].powi(2) + strain[0][2].powi(2) + strain[1][2].powi(2)) / 3.0);
    }
    assert_mean("variance of diagonal strains", &diagonal, 1.0 / 600.0, 0.04, 0.03);
    assert_mean("variance of other strains", &others, 1.0 / 1200.0, 0.04, 0.03);
}

/// `(FᵀF − 1)/2` of a cell that was a cube.
fn strain(cell: &Mat3, side: f64) -> Mat3 {
    std::array::from_fn(|k| {
        std::array::from_fn(|l| {
            let product: f64 = (0..3).map(|i| cell[k][i] * cell[l][i]).sum();
            0.5 * (product / side.powi(2) - f64::from(u8::from(k == l)))
        })
    })
}

#[test]
fn the_shape_stays_under_isotropic_coupling() {
    let ideal = ElasticBox { side: 8.0, stiffness: 0.0 };
    let ensemble = npt(Coupling::Isotropic, PRESSURE, 1.0 / PRESSURE, 500.0);
    let mut dynamics = dynamics(&ideal, 12, 7.0, DynamicsSettings::new(ensemble, 1.0));
    (0..1000).for_each(|_| dynamics.step().unwrap());
    let cell = dynamics.states()[0].system.cell.unwrap();
    assert!((cell[0][0] - 7.0).abs() > 0.01);
    assert!((0..3).all(|i| (0..3).all(|j| (cell[i][j] - if i == j { cell[0][0] } else { 0.0 }).abs() < 1e-12)));
}

#[test]
fn the_mean_pressure_of_a_crystal_is_the_one_asked_for() {
    // In every direction, from a start that is neither cubic nor at rest.
    let mut crystal = fcc(2, 5.3);
    let stretch = |r: &mut [f64; 3]| r[0] *= 1.03;
    crystal.positions.iter_mut().chain(crystal.cell.iter_mut().flatten()).for_each(stretch);
    let wanted = 0.001;
    for coupling in [Coupling::Isotropic, Coupling::Anisotropic] {
        let ensemble = Ensemble::Npt {
            temperature: 20.0,
            thermostat_time: 100.0,
            pressure: wanted,
            barostat_time: 400.0,
            compressibility: 60.0,
            coupling,
        };
        let settings = DynamicsSettings::new(ensemble, 5.0);
        let mut dynamics =
            Dynamics::start(&CRYSTAL, &[&crystal], &Start { temperature: 20.0, exact: false }, settings).unwrap();
        (0..1000).for_each(|_| dynamics.step().unwrap());
        let (mut pressures, mut kelvin) = (Vec::new(), Vec::new());
        for _ in 0..6_000 {
            dynamics.step().unwrap();
            let now = dynamics.observables(0);
            pressures.push(now.pressure.unwrap());
            kelvin.push(now.temperature);
        }
        assert_mean("pressure", &pressures, wanted, 0.05, 0.02);
        assert_mean("temperature", &kelvin, 20.0, 0.02, 0.01);
        let cell = dynamics.states()[0].system.cell.unwrap();
        let lengths = [cell[0][0], cell[1][1], cell[2][2]];
        let is_cubic = lengths.iter().all(|l| (l / lengths[0] - 1.0).abs() < 0.02);
        assert_eq!(is_cubic, coupling == Coupling::Anisotropic, "{lengths:?}");
    }
}

#[test]
fn the_conserved_energy_drifts_less_in_shorter_steps() {
    let crystal = fcc(2, 5.25);
    let spread = |coupling: Coupling, timestep: f64| {
        let ensemble = Ensemble::Npt {
            temperature: 20.0,
            thermostat_time: 100.0,
            pressure: 0.0,
            barostat_time: 1000.0,
            compressibility: 60.0,
            coupling,
        };
        let settings = DynamicsSettings::new(ensemble, timestep);
        let mut dynamics =
            Dynamics::start(&CRYSTAL, &[&crystal], &Start { temperature: 20.0, exact: false }, settings).unwrap();
        let first = dynamics.observables(0).conserved;
        let mut off = Vec::new();
        for _ in 0..(8000.0 / timestep) as usize {
            dynamics.step().unwrap();
            off.push((dynamics.observables(0).conserved - first).abs());
        }
        mean(&off).0
    };
    for coupling in [Coupling::Isotropic, Coupling::Anisotropic] {
        let (coarse, fine) = (spread(coupling, 8.0), spread(coupling, 2.0));
        // The kinetic energy alone is 80 meV.
        assert!(fine < 1e-3 && fine < 0.5 * coarse, "{coupling:?}: {coarse:e} {fine:e}");
    }
}
