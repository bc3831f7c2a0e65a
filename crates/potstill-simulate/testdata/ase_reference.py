"""Writes ase_reference.json: numbers of ASE that the tests of potstill-simulate are compared with.

    pip install ase==3.29.0
    python ase_reference.py

Argon as Lennard-Jones atoms, energy shifted at the cutoff. Times are in fs with potstill's own constant, so that the units of both
programs agree to the last digit.
"""

import json
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk, make_supercell
from ase.calculators.lj import LennardJones
from ase.filters import FrechetCellFilter, UnitCellFilter
from ase.md.verlet import VelocityVerlet
from ase.optimize import FIRE, LBFGS

LJ = {"epsilon": 0.0104, "sigma": 3.4, "rc": 8.8}
MASS = 39.95  # u
FS = np.sqrt(9.648533212e-3)  # 1 fs in ASE's unit of time, Å √(u/eV)


def calculator(rc=LJ["rc"]):
    return LennardJones(epsilon=LJ["epsilon"], sigma=LJ["sigma"], rc=rc, smooth=False)


def described(atoms):
    out = {"positions": atoms.positions.tolist(), "energy": atoms.get_potential_energy()}
    if atoms.pbc.all():
        out |= {"cell": np.array(atoms.cell).tolist(), "stress": atoms.get_stress(voigt=False).tolist()}
    return out | {"forces": atoms.get_forces().tolist()}


def crystal(rng, jitter, strain):
    atoms = make_supercell(bulk("Ar", "fcc", a=5.3, cubic=True), np.eye(3) * 2)
    atoms.set_cell(atoms.cell @ (np.eye(3) + strain), scale_atoms=True)
    atoms.positions += rng.normal(scale=jitter, size=atoms.positions.shape)
    atoms.calc = calculator()
    return atoms


def cluster(rng):
    d = 2 ** (1 / 6) * LJ["sigma"]
    ring = [[0.85 * d * np.cos(t), 0.85 * d * np.sin(t), 0.0] for t in np.arange(5) * 2 * np.pi / 5]
    atoms = Atoms("Ar7", positions=[*ring, [0, 0, 0.55 * d], [0, 0, -0.55 * d]])
    atoms.positions += rng.normal(scale=0.1, size=atoms.positions.shape)
    atoms.calc = calculator(rc=100.0)
    return atoms


def verlet():
    rng = np.random.default_rng(0)
    atoms = crystal(rng, 0.05, np.zeros((3, 3)))
    atoms.set_masses([MASS] * len(atoms))
    velocities = rng.normal(scale=1e-3, size=atoms.positions.shape)  # Å/fs
    atoms.set_velocities(velocities / FS)
    start = described(atoms) | {"velocities": velocities.tolist()}
    VelocityVerlet(atoms, timestep=5.0 * FS).run(100)
    end = described(atoms) | {"velocities": (atoms.get_velocities() * FS).tolist()}
    return {"timestep": 5.0, "steps": 100, "start": start, "end": end}


def relaxations():
    out = []
    for name, optimizer in [("fire", FIRE), ("lbfgs", LBFGS)]:
        atoms = cluster(np.random.default_rng(1))
        start = described(atoms)
        search = optimizer(atoms, logfile=None)
        search.run(fmax=1e-12, steps=30)
        after = described(atoms)
        atoms = cluster(np.random.default_rng(1))
        search = optimizer(atoms, logfile=None)
        search.run(fmax=1e-4, steps=2000)
        out.append({"optimizer": name, "start": start, "after_30": after, "steps": search.nsteps, "end": described(atoms)})
    return out


def cells():
    out = []
    strain = np.array([[0.02, 0.01, 0.0], [0.0, -0.015, 0.005], [0.0, 0.0, 0.01]])
    for isotropic, pressure in [(False, 0.0), (False, 0.002), (True, 0.002)]:
        ends = {}
        for name, cell_filter in [("unit", UnitCellFilter), ("frechet", FrechetCellFilter)]:
            atoms = crystal(np.random.default_rng(2), 0.0, np.eye(3) * 0.01 if isotropic else strain)
            start = described(atoms)
            filtered = cell_filter(atoms, hydrostatic_strain=isotropic, scalar_pressure=pressure)
            search = FIRE(filtered, logfile=None)
            search.run(fmax=1e-12, steps=15)
            ends[f"{name}_after_15"] = described(atoms)
            search.run(fmax=1e-5, steps=3000)
            ends[name] = described(atoms)
        out.append({"isotropic": isotropic, "pressure": pressure, "start": start} | ends)
    return out


reference = {"lennard_jones": LJ, "verlet": verlet(), "relaxations": relaxations(), "cells": cells()}
path = Path(__file__).with_name("ase_reference.json")
path.write_text(json.dumps(reference) + "\n", encoding="utf-8")
print(path, path.stat().st_size, "bytes")
for cell in reference["cells"]:
    for name in ("unit", "frechet"):
        volume = abs(np.linalg.det(cell[name]["cell"]))
        print(cell["isotropic"], cell["pressure"], name, cell[name]["energy"], volume, np.abs(cell[name]["forces"]).max())
for r in reference["relaxations"]:
    print(r["optimizer"], r["steps"], r["end"]["energy"])
