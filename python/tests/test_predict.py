"""The same numbers as `potstill predict`."""

import subprocess

import ase.io
import numpy as np
import pytest
from conftest import MODELS, NAMES, model_path
from potstill import Model


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("dtype", "option", "tolerance"), [("float32", "f32", 1e-5), ("float64", "f64", 1e-10)])
def test_predict(name, dtype, option, tolerance, program, crystal, molecule, tmp_path):
    systems = [ase.io.read(MODELS / f"{name}.extxyz"), crystal]
    for atoms in systems:
        atoms.calc = None
        atoms.arrays.pop("atomic_energies", None)
    ase.io.write(tmp_path / "in.extxyz", systems)
    # As both read them: ASE writes eight digits.
    systems = ase.io.read(tmp_path / "in.extxyz", ":")
    command = [program, "predict", "--model", model_path(name), "--dtype", option]
    command += ["--input", tmp_path / "in.extxyz", "--output", tmp_path / "out.extxyz"]
    subprocess.run(command, check=True, capture_output=True)
    for expected, prediction in zip(
        ase.io.read(tmp_path / "out.extxyz", ":"), Model(model_path(name), dtype=dtype).evaluate_many(systems), strict=True
    ):
        forces = expected.get_forces()
        assert prediction.energy == pytest.approx(expected.get_potential_energy(), abs=tolerance * 1e4)
        np.testing.assert_allclose(prediction.forces, forces, atol=tolerance * np.abs(forces).max())
        np.testing.assert_allclose(prediction.energies, expected.arrays["atomic_energies"], atol=tolerance * 1e3)
