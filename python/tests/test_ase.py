"""The ASE calculator: derivatives, dynamics, copies, changes between calls."""

import copy
import pickle
import threading

import ase.io
import ase.units
import numpy as np
import pytest
from ase.calculators.calculator import PropertyNotImplementedError, all_changes
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.calculators.test import gradient_test
from ase.filters import FrechetCellFilter
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS, FIRE
from conftest import DIRECT, GRADIENT, model_path
from potstill import Model
from potstill.ase import PotstillCalculator


@pytest.fixture
def calculator(model):
    return PotstillCalculator(model)


def test_results_are_those_of_the_model(calculator, model, crystal):
    crystal.calc = calculator
    prediction = model.evaluate(crystal)
    assert crystal.get_potential_energy() == prediction.energy
    assert crystal.get_potential_energy(force_consistent=True) == prediction.energy
    assert isinstance(crystal.get_potential_energy(), float)
    np.testing.assert_array_equal(crystal.get_forces(), prediction.forces)
    np.testing.assert_array_equal(crystal.get_potential_energies(), prediction.energies)
    np.testing.assert_allclose(crystal.get_stress(voigt=False), prediction.stress, atol=1e-15)
    s = prediction.stress
    np.testing.assert_array_equal(crystal.get_stress(), [s[0, 0], s[1, 1], s[2, 2], s[1, 2], s[0, 2], s[0, 1]])


@pytest.mark.parametrize("name", GRADIENT)
def test_forces_and_stress_are_derivatives(name, crystal):
    crystal.calc = PotstillCalculator(model_path(name), default_dtype="float64")
    forces = calculate_numerical_forces(crystal, eps=1e-4)
    assert np.abs(forces).max() > 0.01
    np.testing.assert_allclose(crystal.get_forces(), forces, atol=1e-6)
    stress = calculate_numerical_stress(crystal, eps=1e-5)
    np.testing.assert_allclose(crystal.get_stress(), stress, atol=1e-7)


def test_gradient_test_of_ase(calculator, molecule):
    molecule.calc = calculator
    numerical, analytical = gradient_test(molecule, [0, 7])
    # ASE's smallest step, 1e-8 Å, leaves four digits of energies of thousands of eV.
    np.testing.assert_allclose(numerical, analytical, atol=5e-4)


def test_stress_only_where_it_means_something(calculator, molecule):
    molecule.calc = calculator
    with pytest.raises(PropertyNotImplementedError, match="three-dimensional cell"):
        molecule.get_stress()
    assert np.isfinite(molecule.get_forces()).all()
    molecule.set_cell([9.0, 9.0, 0.0])
    molecule.pbc = [True, True, False]
    with pytest.raises(PropertyNotImplementedError, match="three-dimensional cell"):
        molecule.get_stress()
    molecule.set_cell([9.0, 9.0, 9.0])
    assert molecule.get_stress().shape == (6,)


def test_direct_forces_have_no_stress(crystal):
    calculator = PotstillCalculator(model_path(DIRECT))
    assert "stress" not in calculator.implemented_properties
    crystal.calc = calculator
    assert crystal.get_forces().shape == (len(crystal), 3)
    prediction = calculator.model.evaluate(crystal)
    assert prediction.virial is None and prediction.stress is None
    with pytest.raises(PropertyNotImplementedError):
        crystal.get_stress()
    with pytest.raises(PropertyNotImplementedError, match="direct forces"):
        calculator.calculate(crystal, ["stress"])


def test_changes_between_calls(calculator, model, crystal):
    crystal.calc = calculator

    def move():
        crystal.positions[3] += 0.1

    def strain():
        crystal.set_cell(crystal.cell * 1.02)

    def cut():
        crystal.pbc = [True, False, True]

    def replace():
        crystal.numbers[0] = 8

    def remove():
        del crystal[2]

    def free():
        crystal.cell = None
        crystal.pbc = False

    last = crystal.get_potential_energy()
    for change in (move, strain, cut, replace, remove, free):
        change()
        energy, expected = crystal.get_potential_energy(), model.evaluate(crystal)
        assert energy != last, change.__name__
        assert energy == pytest.approx(expected.energy, abs=1e-9), change.__name__
        np.testing.assert_allclose(crystal.get_forces(), expected.forces, atol=1e-9)
        last = energy


def test_results_are_kept_until_atoms_change(molecule):
    class Counting(PotstillCalculator):
        count = 0

        def calculate(self, *args, **kwargs):
            self.count += 1
            super().calculate(*args, **kwargs)

    molecule.calc = calculator = Counting(model_path())
    molecule.get_forces()
    molecule.get_potential_energy()
    molecule.get_potential_energies()
    assert calculator.count == 1
    molecule.rattle(0.01)
    molecule.get_forces()
    assert calculator.count == 2


def test_what_counts_as_a_change(calculator, crystal):
    assert calculator.check_state(crystal) == list(all_changes)
    crystal.calc = calculator
    crystal.get_forces()
    other = crystal.copy()
    assert calculator.check_state(other) == []
    other.set_initial_charges(np.ones(len(other)))
    other.info["name"] = "other"
    assert calculator.check_state(other) == []
    other.positions[0, 0] += 1e-12
    assert calculator.check_state(other) == ["positions"]
    assert calculator.check_state(other, tol=1e-9) == []
    other.pbc = False
    other.set_cell(other.cell * 2)
    assert calculator.check_state(other) == ["positions", "cell", "pbc"]
    assert calculator.check_state(other[:3]) == ["positions", "numbers", "cell", "pbc"]


def test_a_failure_leaves_no_old_results(calculator, molecule):
    molecule.calc = calculator
    energy = molecule.get_potential_energy()
    molecule.numbers[0] = 26
    for _ in range(2):
        with pytest.raises(ValueError, match="element Fe"):
            molecule.get_potential_energy()
    molecule.numbers[0] = 6
    assert molecule.get_potential_energy() == energy


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))])
@pytest.mark.parametrize("used", [False, True])
def test_copies_and_pickles(again, used, calculator, crystal):
    crystal.calc = calculator
    if used:
        crystal.get_forces()
    other = crystal.copy()
    other.calc = again(calculator)
    other.rattle(0.05)
    moved = other.get_forces()
    # Neither touches the other.
    np.testing.assert_array_equal(crystal.get_forces(), calculator.model.evaluate(crystal).forces)
    np.testing.assert_array_equal(other.get_forces(), moved)
    assert other.calc.parameters == calculator.parameters
    assert not np.allclose(moved, crystal.get_forces())


def test_atoms_with_a_calculator_are_copied_deeply(calculator, crystal):
    crystal.calc = calculator
    energy = crystal.get_potential_energy()
    other = copy.deepcopy(crystal)
    other.positions += 0.3 * np.arange(3)
    assert other.get_potential_energy() == pytest.approx(energy, abs=1e-8)
    assert pickle.loads(pickle.dumps(crystal)).get_potential_energy() == energy


@pytest.mark.parametrize("shared", [True, False])
def test_threads(shared, calculator, model, crystal, rng):
    systems = []
    for n in (4, 9, 15, 12):
        atoms = crystal[:n]
        atoms.rattle(0.05, rng=rng)
        systems.append(atoms)
    expected = [model.evaluate(atoms).forces for atoms in systems]
    wrong = []

    def work(k):
        atoms = systems[k].copy()
        atoms.calc = calculator if shared else copy.copy(calculator)
        for _ in range(20):
            forces = atoms.get_forces()
            if forces.shape != expected[k].shape or not np.allclose(forces, expected[k], atol=1e-9):
                wrong.append(k)

    workers = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    [worker.start() for worker in workers]
    [worker.join() for worker in workers]
    assert not wrong


def test_as_benchmarks_make_it(molecule):
    for device in (None, "cpu"):
        calculator = PotstillCalculator(model=model_path(), default_dtype="float64", device=device)
        assert calculator.model.dtype == "float64"
    assert PotstillCalculator(str(model_path())).model.dtype == "float32"
    attached = PotstillCalculator(Model(model_path()), atoms=molecule)
    assert molecule.calc is attached
    assert attached.todict()["model"] == str(model_path())
    with pytest.raises(TypeError):
        PotstillCalculator(model_path(), default_dtpye="float64")


@pytest.mark.parametrize("optimizer", [BFGS, FIRE])
def test_optimizers(optimizer, trained, molecule):
    molecule.calc = PotstillCalculator(trained)
    start = molecule.get_potential_energy()
    assert optimizer(molecule, logfile=None).run(fmax=0.01, steps=300)
    assert molecule.get_potential_energy() < start - 0.05
    assert np.linalg.norm(molecule.get_forces(), axis=1).max() < 0.01


def test_a_cell_relaxes(trained, crystal):
    crystal.set_cell(crystal.cell * 1.2)
    crystal.calc = PotstillCalculator(trained)
    start = crystal.get_potential_energy(), np.abs(crystal.get_stress()).max()
    BFGS(FrechetCellFilter(crystal), logfile=None).run(fmax=0.05, steps=30)
    assert crystal.get_potential_energy() < start[0]
    assert np.abs(crystal.get_stress()).max() < start[1]


def test_dynamics_conserve_energy(trained, molecule, rng):
    molecule.calc = PotstillCalculator(trained)
    width = np.sqrt(molecule.get_masses() * 300 * ase.units.kB)
    molecule.set_momenta(width[:, None] * rng.normal(size=(len(molecule), 3)))
    dynamics = VelocityVerlet(molecule, timestep=0.25 * ase.units.fs)
    energies = []
    dynamics.attach(lambda: energies.append((molecule.get_total_energy(), molecule.get_kinetic_energy())))
    dynamics.run(400)
    total, kinetic = np.array(energies).T
    assert np.ptp(kinetic) > 0.1, "nothing moved"
    assert np.ptp(total) < 0.02 * np.ptp(kinetic)


def test_files_of_ase_keep_results(calculator, crystal, tmp_path):
    crystal.calc = calculator
    energy, forces, stress = crystal.get_potential_energy(), crystal.get_forces(), crystal.get_stress()
    for name in ("atoms.traj", "atoms.json"):
        ase.io.write(tmp_path / name, crystal)
        again = ase.io.read(tmp_path / name)
        assert again.get_potential_energy() == pytest.approx(energy, abs=1e-9)
        np.testing.assert_allclose(again.get_forces(), forces, atol=1e-9)
        np.testing.assert_allclose(again.get_stress(), stress, atol=1e-12)
