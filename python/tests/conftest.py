"""Models and systems that the tests share."""

import os
import shutil
import sys
from pathlib import Path

import ase.io
import numpy as np
import pytest
from potstill import Model

MODELS = Path(__file__).parents[2] / "testdata" / "models"

#: Models that the engine runs; GemNet-OC is the one that it does not.
NAMES = ["version-1-painn", "version-1-schnet", "version-2-painn", "version-2-painn_smooth", "version-2-schnet"]
#: The model for most tests: its energy is smooth where a pair crosses the cutoff.
SMOOTH = "version-2-schnet"
#: One of each network with gradient forces.
GRADIENT = ["version-2-schnet", "version-2-painn"]
#: A model with direct forces.
DIRECT = "version-2-painn_smooth"


def model_path(name=SMOOTH):
    """Path of a model file of the repository."""
    return MODELS / f"{name}.safetensors"


@pytest.fixture(scope="session")
def model():
    """A SchNet in double precision."""
    return Model(model_path(), dtype="float64")


@pytest.fixture(scope="session")
def trained():
    """A PaiNN that knows acetylacetone, in double precision."""
    return Model(Path(__file__).parent / "models" / "acac-painn.safetensors", dtype="float64")


@pytest.fixture
def molecule():
    """Acetylacetone without a cell."""
    atoms = ase.io.read(MODELS / f"{SMOOTH}.extxyz")
    atoms.calc = None
    atoms.info.clear()
    atoms.cell = None
    atoms.pbc = False
    return atoms


@pytest.fixture
def crystal(molecule):
    """Acetylacetone in a skewed cell, so small that images of atoms meet."""
    molecule.set_cell([[6.5, 0.0, 0.0], [1.0, 6.0, 0.0], [-0.5, 0.8, 5.5]])
    molecule.pbc = True
    return molecule


@pytest.fixture(scope="session")
def program():
    """The program `potstill`."""
    beside = Path(sys.executable).parent
    path = os.environ.get("POTSTILL") or shutil.which("potstill", path=beside) or shutil.which("potstill")
    if path is None:
        pytest.skip("POTSTILL does not name the program, and none is installed: nothing is compared with `potstill predict`")
    return path


@pytest.fixture
def rng():
    """Random numbers, the same in every run."""
    return np.random.default_rng(7)
