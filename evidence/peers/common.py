"""What all scripts of this folder share: where the data lie, how they are read, and how results are written.

A *potential* is one fitted model with a name of its own, such as `mtp-16`. It lives in the folder `fits/<name>` of the results. The file
of its *peer* (`peer_mtp.py`, `peer_nep.py`, …) says how it is fitted and how it is evaluated, through four names that every peer has:

    ENVIRONMENT                               the virtual environment (see `environments.py`) in which the peer runs
    fit(train, validation, settings, folder)  fit to ASE atoms with energies and forces, keep what is needed in the folder
    calculator(folder)                        an ASE calculator of the fitted potential
    stepper(folder, atoms)                    the peer's fastest way in the same process: a function from positions to (energy, forces)

Units are eV and Å. Everything runs on one core; the variables below say so to all libraries, and are set before any of them is loaded.
"""

import argparse
import io
import json
import lzma
import os
import pathlib

ONE_CORE = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}
os.environ.update(ONE_CORE)

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
RESULTS = REPOSITORY / "runs" / "evidence" / "peers"
DATA = REPOSITORY / "runs" / "evidence" / "few-labels" / "acac"

# Written by the first step of `evidence/few-labels/make.py`; no structure of a test is among them.
TRAIN = DATA / "train.extxyz"
VALIDATION = DATA / "val.extxyz"
TESTS = {kelvin: REPOSITORY / "data" / "acac" / f"test_{kelvin.replace(' ', '')}.extxyz.xz" for kelvin in ("300 K", "600 K")}

# The energies of the isolated atoms in eV, of the same publication as the structures.
ATOM_ENERGIES = {1: -13.568422178253735, 6: -1026.8538996116154, 8: -2037.796869412825}

# Radial functions are fitted between these lengths in Å; no two atoms of the data are closer than the first.
SHORTEST = 0.7


def read(path):
    """The systems of a file with their energy and forces under one name each: `info["energy"]` and `arrays["forces"]`."""
    import ase.io

    # ASE jumps to and fro in a file, which takes long where that is compressed.
    text = lzma.open(path, "rt").read() if str(path).endswith(".xz") else pathlib.Path(path).read_text()
    systems = ase.io.read(io.StringIO(text), ":", format="extxyz")
    for atoms in systems:
        labels = atoms.calc.results if atoms.calc else {}
        energy = labels.get("energy", atoms.info.get("REF_energy"))
        forces = labels.get("forces", atoms.arrays.get("REF_forces"))
        atoms.calc = None
        atoms.info = {"energy": float(energy)}
        atoms.arrays = {name: atoms.arrays[name] for name in ("numbers", "positions")} | {"forces": forces}
        # A molecule is alone: no cell, nothing periodic. Peers that need a cell add one.
        atoms.set_cell(None)
        atoms.pbc = False
    return systems


def energy_of_atoms(numbers):
    """The sum of the energies of isolated atoms, which peers without large numbers in mind are better off without."""
    return sum(ATOM_ENERGIES[int(number)] for number in numbers)


def in_a_cell(atoms, side=30.0):
    """A copy in a cubic periodic cell, so large that a molecule does not see its images: for peers that know periodic systems only."""
    copy = atoms.copy()
    copy.set_cell([side] * 3)
    copy.pbc = True
    return copy


def write_json(path, content):
    """Write a result whole or not at all: to a name beside it, which then takes its place."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    beside.write_text(json.dumps(content, indent=1) + "\n")
    beside.replace(path)


def read_json(path):
    return json.loads(pathlib.Path(path).read_text())


def asked(entry):
    """What an entry of `potentials.json` asks for; a fit of anything else is not taken for done."""
    return {"peer": entry["peer"], "settings": entry["settings"], "choose": entry.get("choose", {})}


def is_fitted(entry, folder):
    done = pathlib.Path(folder) / "fit.json"
    return done.exists() and read_json(done).get("asked") == asked(entry)


def errors_of(calculator, systems):
    """Mean absolute and root mean square errors of energies (meV per molecule) and force components (meV/Å); the largest of the latter."""
    import numpy as np

    of_energy, of_forces = [], []
    for atoms in systems:
        probe = atoms.copy()
        probe.calc = calculator
        of_forces.append(probe.get_forces() - atoms.arrays["forces"])
        of_energy.append(probe.get_potential_energy() - atoms.info["energy"])
    milli = 1000.0
    energy, forces = milli * np.array(of_energy), milli * np.array(of_forces)
    return {
        "systems": len(systems),
        "energy_mae": float(np.abs(energy).mean()),
        "energy_rmse": float(np.sqrt((energy**2).mean())),
        "forces_mae": float(np.abs(forces).mean()),
        "forces_rmse": float(np.sqrt((forces**2).mean())),
        "forces_largest": float(np.abs(forces).max()),
    }


def validation_score(errors):
    """What settings are chosen by, on the validation systems alone: energy MAE in meV plus force MAE in meV/Å, smaller is better."""
    return errors["energy_mae"] + errors["forces_mae"]


def arguments(description: str, *folders: str) -> tuple[argparse.Namespace, dict]:
    """Arguments of a program about one potential, and the entry of that potential in the list of all."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    for folder in ("folder", *folders):
        parser.add_argument(folder, type=pathlib.Path)
    parser.add_argument("--potentials", default=HERE / "potentials.json")
    args = parser.parse_args()
    return args, next(entry for entry in read_json(args.potentials) if entry["name"] == args.name)
