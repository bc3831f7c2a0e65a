#!/usr/bin/env python3
"""What Python and ASE add to a step of dynamics, measured against the engine alone.

In turn, so that whatever else the machine does disturbs all alike: one evaluation of the model on the step's positions
(`Model.evaluate`), the same by the calculator (`atoms.get_forces()`), and a whole step of ASE's velocity Verlet.

    python python/benches/overhead.py [MODEL] [--atoms 20] [--steps 2000] [--threads 1]
"""

import argparse
import time
from pathlib import Path

import ase.units
import numpy as np
from ase import Atoms
from ase.md.verlet import VelocityVerlet
from potstill import Model
from potstill.ase import PotstillCalculator

MODEL = Path(__file__).parents[2] / "testdata" / "models" / "version-2-schnet.safetensors"


def chain(n_atoms):
    """Atoms of elements H, C, O about 1.3 Å apart, on a bent line."""
    k = np.arange(n_atoms)
    positions = np.stack([1.2 * k, 0.5 * (k % 2), 0.3 * (k % 3)], axis=1)
    return Atoms(numbers=np.array([6, 1, 8])[k % 3], positions=positions)


def seconds(function):
    """Seconds that a call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default=MODEL, type=Path)
    parser.add_argument("--atoms", type=int, default=20)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()

    # A model each, so that each keeps its own neighbour list; the engine's alone gets what a step gives the others.
    models = [Model(arguments.model, threads=arguments.threads) for _ in range(3)]
    alone, asked, driven = (chain(arguments.atoms) for _ in range(3))
    asked.calc, driven.calc = PotstillCalculator(models[1]), PotstillCalculator(models[2])
    dynamics = VelocityVerlet(driven, timestep=0.1 * ase.units.fs)
    numbers = alone.numbers
    times = []
    for step in range(arguments.steps):
        # Any other positions: a calculator keeps its results while atoms stay.
        positions = chain(arguments.atoms).positions + 1e-3 * np.sin(step)
        asked.positions = positions
        times.append(
            (
                seconds(lambda: models[0].evaluate(numbers=numbers, positions=positions)),
                seconds(asked.get_forces),
                seconds(lambda: dynamics.run(1)),
            )
        )
    engine, calculator, verlet = 1e3 * np.array(times).T
    print(f"{arguments.model.name}, {arguments.atoms} atoms, {arguments.threads} threads, {arguments.steps} steps, medians in ms")
    print(f"Model.evaluate              {np.median(engine):.4f}")
    print(f"calculator.get_forces       {np.median(calculator):.4f}   adds {np.median(calculator - engine):.4f}")
    print(f"a step of VelocityVerlet    {np.median(verlet):.4f}   adds {np.median(verlet - engine):.4f}")


if __name__ == "__main__":
    main()
