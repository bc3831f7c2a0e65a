#!/usr/bin/env python3
"""What Python and ASE add to a step of dynamics, measured against the engine alone.

In turn, so that whatever else the machine does disturbs all alike: a step of ASE's velocity Verlet with the calculator, and, on the
positions that it reached, one evaluation of the model (`Model.evaluate`) and one by the calculator (`atoms.get_forces()`).

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
    """Seconds of the clock and of the processor, all threads together, that a call takes."""
    clock, processor = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - clock, time.process_time() - processor


def measured(model, atoms, n_steps):
    """Seconds of the model, of the calculator and of a step of dynamics, by clock and processor. Shape: `[n_steps, 3, 2]`."""
    driven, asked = atoms.copy(), atoms.copy()
    driven.calc, asked.calc = PotstillCalculator(model), PotstillCalculator(model)
    dynamics = VelocityVerlet(driven, timestep=0.05 * ase.units.fs)
    times = np.zeros((n_steps, 3, 2))
    for step in range(n_steps):
        times[step, 2] = seconds(lambda: dynamics.run(1))
        # The engine draws neighbours again only where atoms have moved far: all three see the same list.
        positions = driven.positions.copy()
        asked.positions = positions
        calls = [(0, lambda: model.evaluate(numbers=asked.numbers, positions=positions)), (1, asked.get_forces)]
        for column, call in calls if step % 2 else reversed(calls):
            times[step, column] = seconds(call)
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default=MODEL, type=Path)
    parser.add_argument("--atoms", type=int, default=20)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()

    model = Model(arguments.model, threads=arguments.threads)
    times = 1e3 * measured(model, chain(arguments.atoms), arguments.steps)
    print(f"{arguments.model.name}, {arguments.atoms} atoms, {arguments.threads} threads, {arguments.steps} steps; medians in ms, clock (processor)")
    for column, name in enumerate(("Model.evaluate", "calculator.get_forces", "step of VelocityVerlet")):
        clock, processor = np.median(times[:, column], axis=0)
        more, more_processor = np.median(times[:, column] - times[:, 0], axis=0)
        added = f"   adds {more:.4f} ({more_processor:.4f})" if column else ""
        print(f"{name:24} {clock:.4f} ({processor:.4f}){added}")


if __name__ == "__main__":
    main()
