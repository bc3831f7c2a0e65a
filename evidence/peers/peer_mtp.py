"""Moment tensor potentials with `motep`.

The energy of an atom is linear in contractions of moment tensors; the radial functions inside the moments are fitted as well, which is not
linear. Settings: `level` (which contractions there are), `cutoff`, `forces_weight` of the loss, `iterations` and `systems` of the
non-linear part.

The recipe: random radial functions, the moments' coefficients by linear least squares, all coefficients by BFGS, and the linear ones once
more. (The package's example starts from a potential of level 2 instead. Here that leaves higher moments so alike that the linear fit is
singular, and BFGS stops where it starts.) BFGS sees every n-th training system, so many that `systems` of them remain, since an iteration
costs as much as thousands of steps of dynamics; the linear fits see all systems. Energies are fitted without those of the isolated atoms
and without what remains on average for each atom.

Potentials start from files that list the contractions of a level. They are not in the wheel on PyPI, but in the source package there, which
`environments.py` keeps unpacked in the environment.

The fastest way is the package's C extension (f64) with the neighbour list that it keeps.
"""

import os
import pathlib
import sys

import numpy as np

import common

ENVIRONMENT = "native"
LEVELS = "motep-0.2.0/tests/data_path/fitting/crystals/cubic/{level:02d}/initial.mtp"


def labelled(systems, constant):
    """Copies with energies, of which the isolated atoms and a constant for each atom are taken, and forces as motep wants them."""
    from ase.calculators.singlepoint import SinglePointCalculator

    copies = []
    for atoms in systems:
        copy = atoms.copy()
        energy = atoms.info["energy"] - common.energy_of_atoms(atoms.numbers) - constant * len(atoms)
        copy.calc = SinglePointCalculator(copy, energy=energy, forces=atoms.arrays["forces"])
        copies.append(copy)
    return copies


def fit(train, validation, settings, folder):
    import logging

    from motep.io.mlip.mtp import read_mtp, write_mtp
    from motep.train import Trainer

    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(filename=folder / "fit.log", filemode="w", level=logging.INFO, format="%(message)s", force=True)
    potential = read_mtp(pathlib.Path(sys.prefix) / "sources" / LEVELS.format(level=settings["level"]))
    potential.species = [1, 6, 8]
    potential.radial_basis.min, potential.radial_basis.max = common.SHORTEST, settings["cutoff"]
    loss = {"energy_weight": 1.0, "forces_weight": settings["forces_weight"], "stress_weight": 0.0}
    linear = {"method": "LLS", "optimized": ["moment_coeffs"]}
    options = {"jac": True, "tol": 1e-9, "method": "BFGS", "options": {"maxiter": settings["iterations"]}}
    both = {"method": "minimize", "optimized": ["radial_coeffs", "moment_coeffs"], "kwargs": options}
    constant = float(np.mean([(atoms.info["energy"] - common.energy_of_atoms(atoms.numbers)) / len(atoms) for atoms in train]))
    everything = labelled(train, constant)
    some = labelled(train[:: max(1, len(train) // settings["systems"])], constant)
    potential.species_coeffs = np.zeros(3)
    # Steps write intermediate files into the current folder.
    os.chdir(folder)
    Trainer(potential, seed=1, loss=loss, steps=[linear, both]).train(some)
    Trainer(potential, seed=1, loss=loss, steps=[linear]).train(everything)
    common.write_json("constant.json", constant)
    # The newer format leaves out a number without which it cannot be read again.
    write_mtp("potential.mtp", potential, legacy=True)


def potential(folder):
    from motep.io.mlip.mtp import read_mtp

    data = read_mtp(pathlib.Path(folder) / "potential.mtp")
    data.species = [1, 6, 8]
    return data


def constants(folder, numbers):
    """What the fit was without: energies of isolated atoms, and the constant for each atom."""
    return common.energy_of_atoms(numbers) + common.read_json(pathlib.Path(folder) / "constant.json") * len(numbers)


def calculator(folder):
    from motep.calculator import MTP

    class Shifted(MTP):
        """Adds what the fit was without."""

        def calculate(self, atoms=None, properties=("energy",), system_changes=()):
            super().calculate(atoms, properties, system_changes)
            # The engine gives out its own dictionary, which must stay as it is.
            self.results = dict(self.results)
            for name in ("energy", "free_energy"):
                self.results[name] += constants(folder, self.atoms.numbers)

    return Shifted(potential(folder))


def stepper(folder, atoms):
    from motep.calculator import make_mtp_engine

    engine = make_mtp_engine("cext")(potential(folder), mode="run")
    constant = constants(folder, atoms.numbers)

    def step(positions):
        atoms.positions = positions
        results = engine.calculate(atoms)
        return results["energy"] + constant, np.array(results["forces"])

    return step
