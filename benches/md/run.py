#!/usr/bin/env python3
"""Compare `potstill md` with ASE's velocity Verlet and the same model as a calculator, in turn, in one run.

    pip install ase potstill
    python3 benches/md/run.py MODEL SYSTEM [--potstill potstill] [--atoms 15,195,1995] [--rounds 5] [--seconds 3]

SYSTEM is a file with a molecule that MODEL knows; larger systems are copies of it on a cubic grid, 9 Å apart. Both make steps of 0.5 fs
at constant energy on one core, in single precision, and write nothing but their first and last frame. Prints steps per second of each,
nanoseconds per day, and the median ratio.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

from ase import units  # noqa: E402
from ase.io import read, write  # noqa: E402
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution  # noqa: E402
from ase.md.verlet import VelocityVerlet  # noqa: E402

from potstill.ase import PotstillCalculator  # noqa: E402

SPACING = 9.0
TIMESTEP = 0.5


def grid(molecule, n_molecules):
    side = next(n for n in range(1, 1000) if n**3 >= n_molecules)
    atoms = molecule[:0]
    for k in range(n_molecules):
        copy = molecule.copy()
        copy.translate([SPACING * (k // side**i % side) for i in range(3)])
        atoms += copy
    atoms.set_cell(None)
    atoms.pbc = False
    return atoms


def with_ase(atoms, model, n_steps):
    atoms = atoms.copy()
    atoms.calc = PotstillCalculator(model, threads=1)
    MaxwellBoltzmannDistribution(atoms, temperature_K=300)
    dynamics = VelocityVerlet(atoms, TIMESTEP * units.fs)
    dynamics.run(5)
    start = time.perf_counter()
    dynamics.run(n_steps)
    return n_steps / (time.perf_counter() - start)


def with_potstill(path, model, n_steps, program, folder):
    command = [program, "md", "--model", model, "--input", path, "--out", folder / "run", "--ensemble", "nve", "--steps", n_steps,
               "--timestep", TIMESTEP, "--every", 10**9, "--restart-every", 10**9, "--threads", 1, "--overwrite", "--quiet", "--json"]
    done = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)["steps_per_second"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("system")
    parser.add_argument("--potstill", default="potstill")
    parser.add_argument("--atoms", default="15,195,1995")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    args = parser.parse_args()
    molecule = read(args.system, index=0)
    molecule.calc = None
    print(f"{'atoms':>6} {'potstill steps/s':>17} {'ns/day':>8} {'ASE steps/s':>12} {'ns/day':>8} {'ratio':>6}")
    for wanted in (int(n) for n in args.atoms.split(",")):
        atoms = grid(molecule, max(1, round(wanted / len(molecule))))
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            write(folder / "start.extxyz", atoms, columns=["symbols", "positions"])
            n_steps = max(20, int(args.seconds * with_ase(atoms, args.model, 20)))
            pairs = []
            for turn in range(args.rounds):
                ours = lambda: with_potstill(folder / "start.extxyz", args.model, n_steps, args.potstill, folder)  # noqa: E731
                theirs = lambda: with_ase(atoms, args.model, n_steps)  # noqa: E731
                if turn % 2 == 0:
                    pairs.append((ours(), theirs()))
                else:
                    second = theirs()
                    pairs.append((ours(), second))
        ours, theirs = (statistics.median(column) for column in zip(*pairs))
        ratio = statistics.median(a / b for a, b in pairs)
        day = TIMESTEP * 86400 * 1e-6
        print(f"{len(atoms):6} {ours:17.0f} {ours * day:8.2f} {theirs:12.0f} {theirs * day:8.2f} {ratio:6.2f}", flush=True)


if __name__ == "__main__":
    main()
