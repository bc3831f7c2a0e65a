//! What dynamics and relaxation refuse, and what they say.

use potstill_core::{Error, Potential, System};
use potstill_simulate::{
    CellChange, Coupling, Dynamics, DynamicsSettings, Ensemble, Relaxation, Start, State, relax, relax_many,
};

use super::potentials::{CLUSTER, CRYSTAL, Watched, argon, cluster, fcc};

const START: Start = Start { temperature: 30.0, exact: false };

fn npt() -> Ensemble {
    Ensemble::Npt {
        temperature: 30.0,
        thermostat_time: 50.0,
        pressure: 0.0,
        barostat_time: 500.0,
        compressibility: 60.0,
        coupling: Coupling::Isotropic,
    }
}

fn complaint(potential: &dyn Potential, system: &System, settings: DynamicsSettings) -> String {
    Dynamics::start(potential, &[system], &START, settings).err().map_or_else(String::new, |error| error.to_string())
}

#[track_caller]
fn assert_starts(text: &str, wanted: &str) {
    assert!(text.starts_with(wanted) && !text.contains('\n'), "{text}");
}

#[test]
fn settings_that_are_unusable() {
    let nan = f64::NAN;
    let of = |ensemble| DynamicsSettings::new(ensemble, 1.0);
    let npt = |change: &dyn Fn(&mut [f64; 5])| {
        let mut n = [30.0, 50.0, 0.0, 500.0, 60.0];
        change(&mut n);
        let [temperature, thermostat_time, pressure, barostat_time, compressibility] = n;
        of(Ensemble::Npt {
            temperature,
            thermostat_time,
            pressure,
            barostat_time,
            compressibility,
            coupling: Coupling::Isotropic,
        })
    };
    let cases = [
        (DynamicsSettings::new(Ensemble::Nve, 0.0), "timestep: is 0; give a positive number of fs"),
        (DynamicsSettings::new(Ensemble::Nve, nan), "timestep: is NaN"),
        (DynamicsSettings::new(Ensemble::Nve, f64::INFINITY), "timestep: is inf"),
        (
            of(Ensemble::Langevin { temperature: -1.0, friction_time: 1.0 }),
            "temperature: is -1 K; it must not be negative",
        ),
        (of(Ensemble::Langevin { temperature: nan, friction_time: 1.0 }), "temperature: is NaN"),
        (of(Ensemble::Langevin { temperature: 1.0, friction_time: 0.0 }), "friction_time: is 0"),
        (of(Ensemble::Csvr { temperature: 1.0, time: -5.0 }), "time: is -5"),
        (npt(&|n| n[0] = f64::INFINITY), "temperature: is inf"),
        (npt(&|n| n[1] = 0.0), "thermostat_time: is 0"),
        (npt(&|n| n[2] = nan), "pressure: is NaN"),
        (npt(&|n| n[3] = 0.0), "barostat_time: is 0"),
        (npt(&|n| n[4] = -1.0), "compressibility: is -1"),
    ];
    for (settings, wanted) in cases {
        assert_starts(&complaint(&CRYSTAL, &fcc(2, 5.3), settings), wanted);
    }
    let cold = Start { temperature: -3.0, exact: false };
    let error = Dynamics::start(&CRYSTAL, &[&fcc(2, 5.3)], &cold, of(Ensemble::Nve)).err().unwrap();
    assert_starts(&error.to_string(), "temperature: is -3 K");
    assert_starts(&Dynamics::new(&CRYSTAL, Vec::new(), of(Ensemble::Nve)).err().unwrap().to_string(), "dynamics need");
}

#[test]
fn direct_forces_conserve_nothing() {
    let direct = Watched::direct(CRYSTAL);
    let crystal = fcc(2, 5.3);
    let of = |ensemble| complaint(&direct, &crystal, DynamicsSettings::new(ensemble, 1.0));
    assert_starts(
        &of(Ensemble::Nve),
        "ensemble: direct forces are no gradient of an energy, so that no energy is conserved",
    );
    assert_starts(&of(npt()), "ensemble: direct forces are no gradient of an energy, so that there is no virial");
    assert_eq!(of(Ensemble::Langevin { temperature: 30.0, friction_time: 50.0 }), "");
    assert_eq!(of(Ensemble::Csvr { temperature: 30.0, time: 50.0 }), "");
    let settings = Relaxation { cell: CellChange::Full, ..Relaxation::default() };
    let error = relax(&direct, &crystal, &settings, &mut |_| ()).unwrap_err().to_string();
    assert_starts(&error, "system 0: cell: direct forces have no stress");
}

#[test]
fn constant_pressure_needs_a_crystal() {
    let settings = DynamicsSettings::new(npt(), 1.0);
    let of = |system: &System| complaint(&CRYSTAL, system, settings);
    let wanted = "system 0: npt needs a cell that is periodic in three directions";
    assert_starts(&of(&cluster()), wanted);
    assert_starts(&of(&System { pbc: [true, true, false], ..fcc(2, 5.3) }), wanted);
    let fixed = System { fixed: Some((0..32).map(|i| i == 3).collect()), ..fcc(2, 5.3) };
    assert_starts(&of(&fixed), "system 0: npt scales all positions, but some atoms are fixed");
    // A barostat that is far too fast.
    let Ensemble::Npt { temperature, thermostat_time, pressure, coupling, .. } = npt() else { unreachable!() };
    let (barostat_time, compressibility) = (1.0, 1e6);
    let ensemble = Ensemble::Npt { temperature, thermostat_time, pressure, coupling, barostat_time, compressibility };
    let mut dynamics =
        Dynamics::start(&CRYSTAL, &[&fcc(2, 5.3)], &START, DynamicsSettings::new(ensemble, 5.0)).unwrap();
    assert_starts(&dynamics.step().unwrap_err().to_string(), "replica 0, step 1: the cell would change by more than");
}

#[test]
fn thermostats_need_motion() {
    let csvr = DynamicsSettings::new(Ensemble::Csvr { temperature: 30.0, time: 50.0 }, 1.0);
    let rest = State::at_rest(&cluster()).unwrap();
    let error = Dynamics::new(&CLUSTER, vec![rest], csvr).err().unwrap().to_string();
    assert_starts(&error, "system 0: is at rest, and velocities that are zero cannot be rescaled");
    assert_starts(&complaint(&CLUSTER, &argon(&[[0.0; 3]]), csvr), "system 0: has no degree of freedom");
}

#[test]
fn states_that_are_none() {
    let settings = DynamicsSettings::new(Ensemble::Nve, 1.0);
    let mut state = State::at_rest(&cluster()).unwrap();
    state.velocities[2][1] = f64::NAN;
    let of = |state: State| Dynamics::new(&CLUSTER, vec![state], settings).err().unwrap().to_string();
    assert_starts(&of(state.clone()), "system 0: a velocity is not finite");
    state.velocities.pop();
    assert_starts(&of(state), "system 0: positions, velocities, masses or fixed flags are of another number");
    let mut state = State::at_rest(&cluster()).unwrap();
    state.masses[0] = 0.0;
    assert_starts(&of(state), "system 0: an atom has a mass of 0 u");
    assert_starts(&complaint(&CLUSTER, &System::default(), settings), "system 0: has no atoms");
    let unknown = System { atomic_numbers: vec![2; 7], ..cluster() };
    assert_starts(&complaint(&CLUSTER, &unknown, settings), "replica 0, step 0: element 2 is unknown");
}

#[test]
fn forces_that_are_not_finite_are_placed() {
    let watched = Watched { fails_at: Some(4), ..Watched::new(CLUSTER) };
    let pair = [&cluster(), &cluster()];
    let mut dynamics = Dynamics::start(&watched, &pair, &START, DynamicsSettings::new(Ensemble::Nve, 1.0)).unwrap();
    let error = (0..5).find_map(|_| dynamics.step().err()).unwrap().to_string();
    assert_starts(&error, "replica 1, step 3: the force on atom 6 is [");
    assert_eq!(dynamics.step_count(), 2);
}

#[test]
fn relaxations_that_cannot_be() {
    let of = |system: &System, settings: Relaxation| {
        relax(&CRYSTAL, system, &settings, &mut |_| ()).err().map_or_else(String::new, |error| error.to_string())
    };
    let usual = Relaxation::default();
    assert_starts(&of(&cluster(), Relaxation { fmax: 0.0, ..usual }), "fmax: is 0; give a positive number of eV/Å");
    assert_starts(&of(&cluster(), Relaxation { max_displacement: f64::NAN, ..usual }), "max_displacement: is NaN");
    assert_starts(&of(&cluster(), Relaxation { pressure: 0.1, ..usual }), "pressure: acts only on a cell that changes");
    let full = Relaxation { cell: CellChange::Full, ..usual };
    assert_starts(&of(&fcc(2, 5.3), Relaxation { pressure: f64::NAN, ..full }), "pressure: is NaN");
    assert_starts(&of(&cluster(), full), "system 0: has no cell that is periodic in three directions");
    assert_starts(&of(&System::default(), usual), "system 0: has no atoms");
    let mut lost = cluster();
    lost.positions[3][0] = f64::NAN;
    assert_starts(&of(&lost, usual), "system 0: ");
}

#[test]
fn one_bad_system_leaves_the_others_alone() {
    let unknown = System { atomic_numbers: vec![2; 7], ..cluster() };
    let mut lost = cluster();
    lost.positions[3][0] = f64::NAN;
    let systems = [&cluster(), &unknown, &argon(&[[0.0; 3], [3.5, 0.0, 0.0]]), &lost, &System::default()];
    let results = relax_many(&CLUSTER, &systems, &Relaxation::default(), 1000, &mut |_| ()).unwrap();
    let index = |result: &Result<_, Error>| match result {
        Ok(_) => None,
        Err(Error::System { index, .. }) => Some(*index),
        Err(error) => panic!("{error}"),
    };
    assert_eq!(results.iter().map(index).collect::<Vec<_>>(), [None, Some(1), None, Some(3), Some(4)]);
    assert!(results[0].as_ref().is_ok_and(|relaxed| relaxed.converged));
}

#[test]
fn forces_that_turn_bad_end_one_relaxation() {
    // The last force of the third batch is the one of the second system.
    let watched = Watched { fails_at: Some(3), ..Watched::new(CLUSTER) };
    let settings = Relaxation { fmax: 1e-4, ..Relaxation::default() };
    let results = relax_many(&watched, &[&cluster(), &cluster()], &settings, 1000, &mut |_| ()).unwrap();
    let alone = relax(&CLUSTER, &cluster(), &settings, &mut |_| ()).unwrap();
    assert_eq!(results[0].as_ref().unwrap(), &alone);
    assert_starts(&results[1].as_ref().unwrap_err().to_string(), "system 1: after 2 steps: the force on atom 6 is [");
}
