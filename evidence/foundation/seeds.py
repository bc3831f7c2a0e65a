"""Structures to start from: 48 cells of silicon without labels, and the starts of the teacher's own dynamics.

The student is to know a crystal (64 atoms), the crystal with a vacancy (63 atoms) and the melt (64 atoms). It needs cells that are
stretched and sheared, or it learns nothing of stress. So there are eight of each kind, in turn, with a random strain each, from which
dynamics start:

* crystal and vacancy: ideal sites in a cell of the teacher's own lattice constant, its volume changed by up to 8 %, sheared by up to 3 %;
* melt: a crystal at a higher density, melted by the teacher in half a picosecond at 4,000 K, and then half a picosecond at 2,000 K, from
  which every 30th step is taken and strained in the same way.

After these come 16 crystals and 8 vacancies more, strained half as much: small strains of a nearly perfect crystal are what elastic
constants are made of.

The teacher is asked about 520 times for all that. All random numbers come from fixed seeds.

    python seeds.py --out FOLDER
"""

import argparse
import os

import ase.io
import numpy as np
from ase import units
from ase.build import bulk
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from properties import lattice_constant
from teacher import calculator

#: Length of a melt's cell in parts of a crystal's. Liquid silicon is the denser one.
MELT = 0.97


def crystal(lattice: float):
    """64 atoms of the diamond structure in a cubic cell."""
    return bulk("Si", "diamond", a=lattice, cubic=True) * (2, 2, 2)


def vacancy(lattice: float):
    """The same with one atom less."""
    atoms = crystal(lattice)
    del atoms[0]
    return atoms


def strained(atoms, random, part: float = 1.0):
    """A copy whose volume is changed by up to 8 %, and which is stretched and sheared by up to 3 %; or by a part of that."""
    strain = random.uniform(-0.03, 0.03, (3, 3))
    strain = (strain + strain.T) / 2
    strain += np.eye(3) * (random.uniform(-0.027, 0.027) - np.trace(strain) / 3)
    strain *= part
    copy = atoms.copy()
    copy.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    return copy


def melts(lattice: float, random, teacher, n: int, steps: int, interval: int):
    """Systems of a melt that the teacher has made of a crystal."""
    atoms = crystal(MELT * lattice)
    atoms.calc = teacher
    MaxwellBoltzmannDistribution(atoms, temperature_K=4000, rng=random)
    dynamics = Langevin(atoms, 2 * units.fs, temperature_K=4000, friction=0.02 / units.fs, fixcm=False, rng=random)
    dynamics.run(steps)
    dynamics.set_temperature(temperature_K=2000)
    taken = []
    for _ in range(n):
        dynamics.run(interval)
        copy = atoms.copy()
        copy.set_momenta(None)
        copy.calc = None
        taken.append(copy)
    return taken


def more(lattice: float, random) -> list:
    """Crystals and vacancies that are strained less."""
    cells = []
    for number in range(24):
        kind = vacancy if number % 3 == 2 else crystal
        cells.append(bare(strained(kind(lattice), random, 0.5), f"{kind.__name__}-small-{number}"))
    return cells


def bare(atoms, name: str):
    """Positions and cell alone, under a name."""
    copy = atoms.copy()
    copy.arrays = {key: copy.arrays[key] for key in ("numbers", "positions")}
    copy.info = {"name": name}
    return copy


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="folder for seeds.extxyz and start-*.extxyz")
    parser.add_argument("--tiny", action="store_true", help="a short melt, to try the script")
    arguments = parser.parse_args()
    random = np.random.default_rng(0)
    teacher = calculator()
    lattice = lattice_constant(teacher)
    steps, interval = (20, 2) if arguments.tiny else (250, 30)
    melted = melts(lattice, random, teacher, 8, steps, interval)
    seeds = []
    for number in range(8):
        for kind, atoms in (("crystal", crystal(lattice)), ("vacancy", vacancy(lattice)), ("melt", melted[number])):
            seeds.append(bare(strained(atoms, random), f"{kind}-{number}"))
    seeds += more(lattice, np.random.default_rng(1))
    starts = {"crystal": crystal(lattice), "vacancy": vacancy(lattice), "hot": crystal(MELT * lattice)}
    for name, atoms in starts.items():
        ase.io.write(os.path.join(arguments.out, f"start-{name}.extxyz"), bare(atoms, name), format="extxyz")
    # The file that says that this step is done comes last, and at once.
    path = os.path.join(arguments.out, "seeds.extxyz")
    ase.io.write(path + ".part", seeds, format="extxyz")
    os.replace(path + ".part", path)
    print(f"lattice constant of the teacher: {lattice:.4f} Å; {len(seeds)} seeds")


if __name__ == "__main__":
    main()
