"""Polynomial machine-learning potentials with `pypolymlp`: polynomials of rotation invariants, which span what moment tensors span.

The fit is linear ridge regression with the package's own weights; the strength of the ridge is chosen on the validation systems, by the
package. Settings: `cutoff`, `model_type`, `max_p`, `n_gaussians`, `order` and `angular` of the invariants, as in the package's manual.

The fastest way is the package's C++ library (f64), which draws its neighbour list anew in each call.
"""

import pathlib

import numpy as np

import common

ENVIRONMENT = "native"
ELEMENTS = ("H", "C", "O")


def structure(atoms):
    """The package's own kind of system: lattice vectors as columns, fractional positions, atoms grouped by element."""
    from pypolymlp.core.data_format import PolymlpStructure

    symbols = atoms.get_chemical_symbols()
    return PolymlpStructure(
        axis=np.array(atoms.cell).T,
        positions=atoms.get_scaled_positions(wrap=False).T,
        n_atoms=[symbols.count(element) for element in ELEMENTS],
        elements=symbols,
        types=[ELEMENTS.index(symbol) for symbol in symbols],
    )


def fit(train, validation, settings, folder):
    from pypolymlp.mlp_dev.pypolymlp import Pypolymlp

    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    fitter = Pypolymlp(verbose=False)
    fitter.set_params(
        elements=ELEMENTS,
        include_force=True,
        include_stress=False,
        cutoff=settings["cutoff"],
        model_type=settings["model_type"],
        max_p=settings["max_p"],
        feature_type="gtinv" if settings["order"] > 1 else "pair",
        gaussian_params2=(0.0, settings["cutoff"] - 1.0, settings["n_gaussians"]),
        reg_alpha_params=(-6.0, 0.0, 13),
        gtinv_order=max(settings["order"], 2),
        gtinv_maxl=tuple(settings["angular"]),
        atomic_energy=tuple(common.ATOM_ENERGIES[number] for number in (1, 6, 8)),
    )

    def parts(systems):
        # Atoms grouped by element, as the package wants them.
        grouped = [atoms[np.argsort([ELEMENTS.index(symbol) for symbol in atoms.symbols], kind="stable")] for atoms in systems]
        celled = [common.in_a_cell(atoms) for atoms in grouped]
        energies = np.array([atoms.info["energy"] for atoms in systems])
        return [structure(atoms) for atoms in celled], energies, [atoms.arrays["forces"].T for atoms in grouped]

    (train_systems, train_energies, train_forces), (test_systems, test_energies, test_forces) = parts(train), parts(validation)
    fitter.set_datasets_structures(train_systems, test_systems, train_energies, test_energies, train_forces, test_forces)
    fitter.run()
    fitter.save_mlp(str(folder / "potential.yaml"))


def properties(folder):
    from pypolymlp.calculator.properties import Properties

    return Properties(pot=str(pathlib.Path(folder) / "potential.yaml"))


def calculator(folder):
    from ase.calculators.calculator import all_changes
    from pypolymlp.calculator.utils.ase_calculator import PolymlpASECalculator

    class InACell(PolymlpASECalculator):
        """Gives a molecule the large cell that the package needs, and adds the isolated atoms, which it leaves out."""

        def calculate(self, atoms, properties=("energy", "forces"), system_changes=all_changes):
            super().calculate(atoms if atoms.cell.rank == 3 else common.in_a_cell(atoms), properties, system_changes)
            self.results["energy"] += common.energy_of_atoms(atoms.numbers)

    return InACell(properties=properties(folder))


def stepper(folder, atoms):
    # Below `Properties` lies the library's object, which takes plain arrays.
    library = properties(folder)._prop._obj
    celled = atoms if atoms.cell.rank == 3 else common.in_a_cell(atoms)
    axis = np.array(celled.cell).T
    types = [ELEMENTS.index(symbol) for symbol in atoms.get_chemical_symbols()]
    constant = common.energy_of_atoms(atoms.numbers)

    def step(positions):
        library.eval(axis, positions.T, types, False)
        return library.get_e() + constant, np.array(library.get_f())

    return step
