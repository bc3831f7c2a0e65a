"""Models: numbers, batches, arrays, what they say of themselves."""

import copy
import pickle
import shutil
import threading

import ase.io
import numpy as np
import potstill
import pytest
from ase.stress import full_3x3_to_voigt_6_stress
from conftest import GRADIENT, MODELS, NAMES, model_path
from potstill import Model


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-9), ("float32", 2e-5)])
def test_numbers_of_the_network(name, dtype, tolerance):
    # The file beside the model has what the network predicted in double precision.
    expected = ase.io.read(MODELS / f"{name}.extxyz")
    prediction = Model(model_path(name), dtype=dtype).evaluate(expected)
    scale = np.abs(expected.get_forces()).max()
    assert np.abs(prediction.forces - expected.get_forces()).max() < tolerance * scale
    assert abs(prediction.energy - expected.get_potential_energy()) < tolerance * len(expected)
    assert np.abs(prediction.energies - expected.arrays["atomic_energies"]).max() < tolerance * 500
    assert prediction.energies.sum() == pytest.approx(prediction.energy, abs=1e-8)


def test_arrays_of_any_type_and_layout(model, crystal):
    expected = model.evaluate(crystal)
    arrays = {"numbers": crystal.numbers, "positions": crystal.positions, "cell": crystal.cell[:], "pbc": crystal.pbc}
    fortran = np.asfortranarray(crystal.positions)
    strided = np.zeros((len(crystal), 6))[:, ::2]
    strided[:] = crystal.positions
    variants = [
        {},
        {"positions": fortran},
        {"positions": strided},
        {"positions": crystal.positions.tolist()},
        {"numbers": crystal.numbers.astype(np.uint8)},
        {"numbers": list(crystal.numbers)},
        {"cell": crystal.cell, "pbc": True},
        {"cell": crystal.cell.tolist(), "pbc": [True, True, True]},
    ]
    for variant in variants:
        for prediction in (model.evaluate({**arrays, **variant}), model.evaluate(**{**arrays, **variant})):
            assert prediction.energy == pytest.approx(expected.energy, abs=1e-9)
            np.testing.assert_allclose(prediction.forces, expected.forces, atol=1e-10)
            np.testing.assert_allclose(prediction.stress, expected.stress, atol=1e-12)
    single = model.evaluate({**arrays, "positions": crystal.positions.astype(np.float32)})
    assert single.energy == pytest.approx(expected.energy, abs=1e-3)


def test_inputs_are_left_alone_and_results_belong_to_the_caller(model, molecule):
    before = molecule.positions.copy()
    first = model.evaluate(molecule)
    kept = first.forces.copy()
    first.forces[:] = 0.0
    first.energies[:] = 0.0
    assert (molecule.positions == before).all()
    np.testing.assert_array_equal(model.evaluate(molecule).forces, kept)


def test_many_are_as_one_by_one(model, molecule, crystal, rng):
    systems = []
    for atoms in (molecule, crystal, molecule[:3], crystal[5:]):
        atoms = atoms.copy()
        atoms.rattle(0.05, rng=rng)
        systems.append(atoms)
    predictions = model.evaluate_many(iter(systems))
    assert len(predictions) == len(systems)
    for atoms, prediction in zip(systems, predictions, strict=True):
        alone = model.evaluate(atoms)
        assert prediction.forces.shape == (len(atoms), 3) and prediction.energies.shape == (len(atoms),)
        assert prediction.energy == pytest.approx(alone.energy, abs=1e-8)
        np.testing.assert_allclose(prediction.forces, alone.forces, atol=1e-9)
        np.testing.assert_allclose(prediction.energies, alone.energies, atol=1e-9)
        np.testing.assert_allclose(prediction.virial, alone.virial, atol=1e-9)
        assert (prediction.stress is None) == (alone.stress is None)
    assert model.evaluate_many([]) == []


@pytest.mark.parametrize("name", GRADIENT)
def test_stress_is_the_derivative_of_the_energy(name, crystal):
    model = Model(model_path(name), dtype="float64")
    prediction, h = model.evaluate(crystal), 1e-5
    numerical = np.zeros((3, 3))
    for i in range(3):
        for k in range(3):
            energies = []
            for step in (h, -h):
                strain = np.eye(3)
                strain[i, k] += step
                energies.append(
                    model.evaluate(
                        numbers=crystal.numbers,
                        positions=crystal.positions @ strain.T,
                        cell=crystal.cell[:] @ strain.T,
                        pbc=True,
                    ).energy
                )
            numerical[i, k] = (energies[0] - energies[1]) / (2 * h)
    assert np.abs(numerical).max() > 0.1
    np.testing.assert_allclose(prediction.virial, -numerical, atol=1e-5)
    np.testing.assert_allclose(prediction.stress, numerical / crystal.get_volume(), atol=1e-8)
    assert full_3x3_to_voigt_6_stress(prediction.stress).shape == (6,)


def test_virial_without_stress_where_there_is_no_volume(model, molecule):
    prediction = model.evaluate(molecule)
    assert prediction.virial.shape == (3, 3) and prediction.stress is None
    molecule.set_cell([10.0, 0.0, 0.0])
    molecule.pbc = [True, False, False]
    assert model.evaluate(molecule).stress is None


def test_a_chain_along_one_axis(model, molecule):
    # Whatever stands along the axes that do not repeat is no matter.
    molecule.set_cell([[8.0, 0, 0], [0, 0, 0], [0, 0, 0]])
    molecule.pbc = [True, False, False]
    chain = model.evaluate(molecule)
    molecule.set_cell([[8.0, 0, 0], [0, 500, 0], [0, 0, 500]])
    np.testing.assert_allclose(model.evaluate(molecule).forces, chain.forces, atol=1e-10)


def test_what_a_model_says_of_itself():
    model = Model(model_path("version-2-schnet"), threads=1)
    assert model.elements == ["H", "C", "O"]
    assert model.forces == "gradient" and model.dtype == "float32" and model.threads == 1
    info = model.info
    assert info["architecture"] == "SchNet" and info["forces"] == "gradient"
    assert info["settings"]["cutoff"] == model.cutoff > 0
    assert info["elements"] and info["n_parameters"] > 0 and len(info["hash"]) == 64
    assert isinstance(info["training"], dict) and info["units"] == {"energy": "eV", "length": "Å"}
    info["settings"].clear()
    assert model.info["settings"], "a caller's change must not reach the model"
    assert "SchNet" in repr(model) and "float32" in repr(model) and "H C O" in repr(model)
    assert potstill.__version__.count(".") == 2


def test_copies_are_the_model_and_pickles_open_it_again(model, molecule, tmp_path):
    assert copy.copy(model) is model and copy.deepcopy([model])[0] is model
    again = pickle.loads(pickle.dumps(model))
    assert again.dtype == "float64" and again.evaluate(molecule).energy == model.evaluate(molecule).energy

    path = tmp_path / "model.safetensors"
    shutil.copy(model_path(), path)
    pickled = pickle.dumps(Model(path))
    shutil.copy(model_path("version-2-painn"), path)
    with pytest.raises(ValueError, match="another model than the one that was pickled"):
        pickle.loads(pickled)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        pickle.loads(pickled)


@pytest.mark.parametrize("threads", [None, 1, 2])
def test_many_threads_at_once(threads, molecule, crystal):
    model = Model(model_path(), dtype="float64", threads=threads)
    systems = [molecule[:4], molecule, crystal, crystal[2:]]
    expected = [model.evaluate(atoms).forces for atoms in systems]
    wrong = []

    def work(k):
        for _ in range(25):
            if not np.allclose(model.evaluate(systems[k]).forces, expected[k], atol=1e-9):
                wrong.append(k)

    workers = [threading.Thread(target=work, args=(k % 4,)) for k in range(8)]
    [worker.start() for worker in workers]
    [worker.join() for worker in workers]
    assert not wrong


def test_other_threads_run_while_a_model_computes(crystal):
    model = Model(model_path(), threads=1)
    large = crystal * (6, 6, 6)
    steps, done = [0], threading.Event()

    def count():
        while not done.is_set():
            steps[0] += 1

    counter = threading.Thread(target=count)
    counter.start()
    before = steps[0]
    model.evaluate(large)
    during = steps[0] - before
    done.set()
    counter.join()
    # With the interpreter's lock held, no more than a slice of the counter's would come between.
    assert during > 1000
