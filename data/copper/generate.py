#!/usr/bin/env python3
"""Make the copper dataset: 32-atom cells of strained, rattled and hot copper, with energies, forces and stresses of ASE's EMT.

    pip install ase numpy
    python3 data/copper/generate.py FOLDER [--seed 0]

Writes train.extxyz (240 systems), val.extxyz (60) and test.extxyz (100). Each comes from a trajectory or a strained cell of its own: a
third of each file are rattled cells under a random strain, two thirds last frames of Langevin dynamics at 300 to 1500 K in a strained
cell. EMT is a toy of a potential; what is tested with it is the software, not copper.
"""

import argparse
from pathlib import Path

import numpy as np
from ase import units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from ase.md.langevin import Langevin

SIZES = {"train": 240, "val": 60, "test": 100}


def strained(rng):
    """A cell of 32 atoms whose lattice vectors are stretched and sheared by a few percent."""
    atoms = bulk("Cu", a=3.61, cubic=True) * (2, 2, 2)
    strain = rng.normal(0.0, 0.015, (3, 3))
    strain = 0.5 * (strain + strain.T) + np.eye(3) * rng.uniform(-0.02, 0.04)
    atoms.set_cell(atoms.cell @ (np.eye(3) + strain), scale_atoms=True)
    return atoms


def system(index, rng):
    atoms = strained(rng)
    if index % 3 == 0:
        atoms.positions += rng.normal(0.0, rng.uniform(0.02, 0.2), (len(atoms), 3))
        origin = {"origin": "rattled"}
    else:
        temperature = rng.uniform(300.0, 1500.0)
        atoms.calc = EMT()
        atoms.positions += rng.normal(0.0, 0.05, (len(atoms), 3))
        Langevin(atoms, 4 * units.fs, temperature_K=temperature, friction=0.02 / units.fs, rng=rng).run(300)
        origin = {"origin": "dynamics", "temperature_K": round(temperature)}
    atoms.wrap()
    atoms.positions = atoms.positions.round(6)
    atoms.set_cell(atoms.cell.array.round(6))
    return atoms, origin


def labelled(atoms, origin):
    atoms.calc = EMT()
    energy, forces, stress = atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress(voigt=False)
    bare = atoms.copy()
    bare.arrays.pop("momenta", None)
    bare.info = origin
    bare.calc = SinglePointCalculator(bare, energy=round(energy, 6), forces=forces.round(6), stress=stress.round(8))
    return bare


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    for part, (name, size) in enumerate(SIZES.items()):
        rng = np.random.default_rng([args.seed, part])
        write(args.folder / f"{name}.extxyz", [labelled(*system(index, rng)) for index in range(size)])


if __name__ == "__main__":
    main()
