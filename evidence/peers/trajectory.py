"""Make the positions that all potentials are timed along, in the environment of the potential that moves the molecule.

    python trajectory.py NAME FOLDER OUT [--potentials FILE]

`molecule.npz`: one molecule, 600 steps of 0.5 fs at constant energy, after 500 more, from velocities of 300 K. `box.npz`: 64 molecules in a
periodic cell, 960 atoms; each follows the same trajectory from a step of its own, so that positions change as in dynamics. They lie on a
grid along their principal axes, as close as 2 Å between the outermost atoms allows, which is about the density of the liquid.
"""

import importlib

import numpy as np

import common

STEPS, FIRST, TEMPERATURE, TIMESTEP = 600, 500, 300, 0.5
SIDE, GAP = 4, 2.0


def molecule(calculator):
    from ase import units
    from ase.md.velocitydistribution import Stationary, ZeroRotation, thermalize_momenta
    from ase.md.verlet import VelocityVerlet

    atoms = common.read(common.VALIDATION)[0]
    atoms.calc = calculator
    thermalize_momenta(atoms, temperature_K=TEMPERATURE, rng=np.random.default_rng(0))
    Stationary(atoms)
    ZeroRotation(atoms)
    dynamics = VelocityVerlet(atoms, TIMESTEP * units.fs)
    dynamics.run(FIRST)
    frames = []
    dynamics.attach(lambda: frames.append(atoms.positions.copy()))
    dynamics.run(STEPS - 1)
    return atoms.numbers, np.array(frames[-STEPS:])


def box(frames, steps=300):
    """Positions of the copies at each step, and the lengths of the cell."""
    centred = frames - frames.mean(axis=1, keepdims=True)
    axes = np.linalg.eigh(np.cov(centred[0].T))[1]
    turned = centred @ axes
    lengths = np.ptp(turned.reshape(-1, 3), axis=0) + GAP
    grid = np.array([(i, j, k) for i in range(SIDE) for j in range(SIDE) for k in range(SIDE)])
    places = (grid + 0.5) * lengths
    starts = np.linspace(0, len(frames) - steps, len(grid)).astype(int)
    path = [np.concatenate([turned[start + step] + place for start, place in zip(starts, places)]) for step in range(steps)]
    return np.array(path), SIDE * lengths


def main():
    args, entry = common.arguments(__doc__, "out")
    fitted = args.folder.resolve() / common.read_json(args.folder / "fit.json")["best"]
    args.out.mkdir(parents=True, exist_ok=True)
    numbers, frames = molecule(importlib.import_module("peer_" + entry["peer"]).calculator(fitted))
    positions, cell = box(frames)
    density = SIDE**3 * 100.12 / 0.602214 / cell.prod()
    print(f"box of {len(positions[0])} atoms, {' × '.join(f'{x:.1f}' for x in cell)} Å, {density:.2f} g/cm³", flush=True)
    np.savez(args.out / "box.part.npz", numbers=np.tile(numbers, SIDE**3), positions=positions, cell=cell)
    (args.out / "box.part.npz").replace(args.out / "box.npz")
    np.savez(args.out / "molecule.part.npz", numbers=numbers, positions=frames, cell=np.zeros(3))
    (args.out / "molecule.part.npz").replace(args.out / "molecule.npz")


if __name__ == "__main__":
    main()
