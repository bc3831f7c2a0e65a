"""Bad input is a Python exception with one line that says what to do."""

import multiprocessing
import os

import numpy as np
import pytest
from conftest import MODELS, model_path
from potstill import Model
from potstill.ase import PotstillCalculator


def message(raised):
    text = str(raised.value)
    assert text and "\n" not in text
    return text


BAD_SYSTEMS = {
    "element": ({"numbers": [26, 1]}, "element Fe is not among those of the model (H, C, O)"),
    "no element": ({"numbers": [0, 1]}, "atom 0 has the atomic number 0, which no element has"),
    "negative number": ({"numbers": [1, -1]}, "atom 1 has the atomic number -1"),
    "large number": ({"numbers": [1, 300]}, "atom 1 has the atomic number 300"),
    "NaN": ({"positions": [[0, 0, np.nan], [1, 0, 0]]}, "position of atom 0 is"),
    "infinite": ({"positions": [[0, 0, 0], [np.inf, 0, 0]]}, "position of atom 1 is"),
    "one place": ({"positions": np.zeros((2, 3))}, "atoms 0 and 1"),
    "flat": ({"positions": np.zeros(6)}, "positions must have shape [n, 3], not [6]"),
    "two columns": ({"positions": np.zeros((2, 2))}, "positions must have shape [n, 3], not [2, 2]"),
    "three axes": ({"positions": np.zeros((1, 2, 3))}, "positions must have shape [n, 3], not [1, 2, 3]"),
    "more positions": ({"positions": np.eye(3)}, "2 atomic numbers for 3 positions"),
    "no atoms": ({"numbers": np.zeros(0, int), "positions": np.zeros((0, 3))}, "has no atoms"),
    "ragged": ({"positions": [[0, 0, 0], [1]]}, "positions: "),
    "text": ({"positions": [["a", "b", "c"]] * 2}, "positions: type <U1 does not hold real numbers"),
    "complex": ({"positions": np.eye(3, dtype=complex)[:2]}, "positions: type complex128 does not hold real numbers"),
    "fractions": ({"numbers": [1.5, 1.0]}, "numbers: type float64 does not hold integers"),
    "symbols": ({"numbers": ["H", "H"]}, "numbers: type <U1 does not hold integers"),
    "table": ({"numbers": [[1, 1]]}, "numbers must have shape [n], not [1, 2]"),
    "cell of two": ({"cell": np.eye(3)[:2], "pbc": True}, "cell must have shape [3, 3], not [2, 3]"),
    "lengths": ({"cell": [5, 5, 5], "pbc": True}, "cell must have shape [n, 3], not [3]"),
    "cell alone": ({"cell": 9 * np.eye(3)}, "has a cell but no pbc"),
    "infinite cell": ({"cell": np.full((3, 3), np.nan), "pbc": False}, "its numbers must be finite"),
    "flat cell": ({"cell": np.ones((3, 3)), "pbc": True}, "the cell has zero volume along its periodic axes (a, b, c)"),
    "zero cell": ({"cell": np.zeros((3, 3)), "pbc": True}, "has pbc but no cell"),
    "two axes": ({"cell": np.eye(3), "pbc": [True, False]}, "pbc must be one truth value or three, not 2"),
    "pbc in words": ({"cell": np.eye(3), "pbc": "TTT"}, "pbc: type <U3 does not hold truth values"),
    "unknown key": ({"position": 1}, "unknown key `position`; the keys are numbers, positions, cell, pbc"),
}


@pytest.mark.parametrize("name", BAD_SYSTEMS)
def test_systems(model, name):
    change, expected = BAD_SYSTEMS[name]
    good = {"numbers": [1, 1], "positions": [[0, 0, 0], [0.74, 0, 0]]}
    with pytest.raises(ValueError) as raised:
        model.evaluate({**good, **change})
    assert expected in message(raised) and message(raised).startswith("system 0: ")
    with pytest.raises(ValueError) as raised:
        model.evaluate_many([good, {**good, **change}])
    assert expected in message(raised) and message(raised).startswith("system 1: ")
    # The model is as good as before.
    assert np.isfinite(model.evaluate(good).energy)


def test_what_is_no_system(model, molecule):
    for bad in (3, "H2", [1, 2], None):
        with pytest.raises(ValueError, match="system 0: expected an ase.Atoms or a dict of arrays"):
            model.evaluate_many([bad])
    for missing in ("numbers", "positions"):
        arrays = {"numbers": [1], "positions": [[0.0, 0.0, 0.0]]}
        del arrays[missing]
        with pytest.raises(ValueError, match=f"needs {missing}"):
            model.evaluate(arrays)
    with pytest.raises(TypeError, match="needs atoms, or numbers and positions"):
        model.evaluate()
    with pytest.raises(TypeError, match="not both"):
        model.evaluate(molecule, pbc=True)


def test_files(tmp_path):
    with pytest.raises(FileNotFoundError) as raised:
        Model(tmp_path / "none.safetensors")
    assert message(raised).endswith("none.safetensors: cannot open: No such file or directory (os error 2)")
    with pytest.raises(OSError):
        Model(tmp_path)
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(model_path().read_bytes()[:-100])
    with pytest.raises(ValueError, match="broken.safetensors: "):
        Model(broken)
    foreign = tmp_path / "foreign.safetensors"
    foreign.write_text("hello")
    with pytest.raises(ValueError, match="foreign.safetensors: "):
        Model(str(foreign))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_may_not_be_read(tmp_path):
    path = tmp_path / "secret.safetensors"
    path.touch(0o000)
    with pytest.raises(PermissionError):
        Model(path)


@pytest.mark.parametrize("opened", [Model, PotstillCalculator])
def test_gemnet_oc(opened):
    with pytest.raises(ValueError) as raised:
        opened(MODELS / "version-2-gemnet_oc.safetensors")
    assert "GemNetOC" in message(raised) and "distil a student" in message(raised)
    assert "`potstill predict`" in message(raised)


def test_settings():
    with pytest.raises(ValueError, match="dtype `float16`: must be float32 or float64"):
        Model(model_path(), dtype="float16")
    for threads in (0, -1, 5000):
        with pytest.raises(ValueError, match=f"threads is {threads}"):
            Model(model_path(), threads=threads)
    with pytest.raises(ValueError, match="device 'cuda': potstill's models run on the CPU"):
        PotstillCalculator(model_path(), device="cuda")
    with pytest.raises(ValueError, match="an open model has its own"):
        PotstillCalculator(Model(model_path()), default_dtype="float64")
    with pytest.raises(ValueError, match="default_dtype: cannot be changed"):
        PotstillCalculator(model_path()).set(default_dtype="float64")


def _energy(model, atoms):
    return model.evaluate(atoms).energy


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_has_threads_of_its_own(model, molecule):
    expected = model.evaluate(molecule).energy
    with multiprocessing.get_context("fork").Pool(2) as pool:
        results = pool.starmap_async(_energy, [(model, molecule)] * 4).get(timeout=60)
    assert results == [expected] * 4
