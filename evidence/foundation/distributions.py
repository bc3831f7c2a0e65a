"""How atoms are arranged in a run of molecular dynamics: g(r) and the density, of the whole run and of its two halves.

g(r) says how many atoms lie at a distance r from another one, relative to as many atoms spread evenly. Each frame is divided by its own
density, so that g(r) and the density are two independent numbers to compare. Two halves of one run differ by chance alone: their
difference is the noise below which no two potentials can be told apart.

    python distributions.py --run FOLDER --skip 50 --output run.json
"""

import argparse
import json
import os

import ase.io
import numpy as np
from ase.neighborlist import neighbor_list

#: Longest distance, and width of a bin, in Å.
LONGEST, WIDTH = 6.0, 0.05
#: Mass of a silicon atom in g/cm³ · Å³.
MASS = 28.0855 * 1.66053907


def radial(frames) -> np.ndarray:
    """g(r) of some frames, at the middle of each bin."""
    edges = np.arange(0.0, LONGEST + WIDTH / 2, WIDTH)
    shells = 4 / 3 * np.pi * (edges[1:] ** 3 - edges[:-1] ** 3)
    total = np.zeros(len(shells))
    for atoms in frames:
        counts = np.histogram(neighbor_list("d", atoms, LONGEST), edges)[0]
        total += counts / (len(atoms) * shells * len(atoms) / atoms.get_volume())
    return total / len(frames)


def density(frames) -> float:
    """Mean density in g/cm³."""
    return float(np.mean([len(atoms) * MASS / atoms.get_volume() for atoms in frames]))


def difference(one, other) -> float:
    """Mean absolute difference of two g(r), from 1.5 Å on, below which there are no atoms."""
    start = round(1.5 / WIDTH)
    return float(np.mean(np.abs(np.asarray(one) - np.asarray(other))[start:]))


def overlap(one, other) -> float:
    """Part of two distributions of distances, r² g(r), that they have in common."""
    middles = (np.arange(len(one)) + 0.5) * WIDTH
    one, other = (np.asarray(g) * middles**2 for g in (one, other))
    return float(np.minimum(one / one.sum(), other / other.sum()).sum())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", required=True, help="folder of `potstill md`")
    parser.add_argument("--skip", type=int, default=0, help="frames at the start that are left out")
    parser.add_argument("--output", required=True, help="file for the numbers")
    arguments = parser.parse_args()
    frames = ase.io.read(os.path.join(arguments.run, "trajectory.extxyz"), f"{arguments.skip}:")
    middle = len(frames) // 2
    parts = {"whole": frames, "first": frames[:middle], "second": frames[middle:]}
    answer = {"n_frames": len(frames)}
    for name, part in parts.items():
        answer[name] = {"density": density(part), "g": radial(part).tolist()}
    with open(arguments.output + ".part", "w", encoding="utf-8") as file:
        json.dump(answer, file)
    os.replace(arguments.output + ".part", arguments.output)


if __name__ == "__main__":
    main()
