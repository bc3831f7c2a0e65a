"""Makes steps with one potential when told to; `speed.py` starts one such program for each potential and lets them run in turn.

    python steps.py NAME FOLDER TRAJECTORIES [--potentials FILE]

Reads one JSON object a line: {"work": "molecule" or "box", "way": "own", "ase" or "dynamics", "seconds": S}; answers with the number of
steps, the seconds on the clock and the seconds of the processor. A step of "own" and "ase" is: the next positions of the trajectory, which
is walked to and fro, and energy and forces for them. "dynamics" are the peer's own program, integrator included, where it has one; it tells
the time on the clock only.
"""

import importlib
import json
import sys
import time

import common

import numpy as np


class Walk:
    """Positions of the trajectory one after the other, to and fro."""

    def __init__(self, path):
        from ase import Atoms

        stored = np.load(path)
        self.positions = np.ascontiguousarray(stored["positions"])
        periodic = bool(stored["cell"].any())
        self.start = Atoms(stored["numbers"], self.positions[0], cell=stored["cell"] if periodic else None, pbc=periodic)
        self.at, self.direction = 0, 1

    def next(self):
        if not 0 <= self.at + self.direction < len(self.positions):
            self.direction = -self.direction
        self.at += self.direction
        return self.positions[self.at]


class Steps:
    def __init__(self, peer, fitted, trajectories):
        self.peer, self.fitted, self.trajectories = peer, fitted, trajectories
        self.ready = {}

    def step(self, work, way):
        """A function that makes one step, made once and warmed up: networks are compiled in the first calls."""
        if (work, way) not in self.ready:
            walk = Walk(self.trajectories / f"{work}.npz")
            if way == "own":
                evaluate = self.peer.stepper(self.fitted, walk.start.copy())
                step = lambda: evaluate(walk.next())
            else:
                atoms = walk.start.copy()
                atoms.calc = self.peer.calculator(self.fitted)

                def step():
                    atoms.positions = walk.next()
                    return atoms.get_potential_energy(), atoms.get_forces()

            start = time.perf_counter()
            for k in range(20):
                energy, forces = step()
                if k >= 2 and time.perf_counter() - start > 10:
                    break
            if not (np.isfinite(energy) and np.isfinite(forces).all() and forces.shape == walk.start.positions.shape):
                raise RuntimeError("energy or forces are not finite")
            self.ready[work, way] = step
        return self.ready[work, way]

    def run(self, work, way, seconds):
        if way == "dynamics":
            path = self.trajectories / f"{work}.npz"
            return self.peer.dynamics(self.fitted, Walk(path).start, seconds)
        step = self.step(work, way)
        clock, processor, steps = time.perf_counter(), time.process_time(), 0
        while steps < 3 or time.perf_counter() - clock < seconds:
            step()
            steps += 1
        return {"steps": steps, "seconds": time.perf_counter() - clock, "processor_seconds": time.process_time() - processor}


def main():
    args, entry = common.arguments(__doc__, "trajectories")
    # What libraries print must not come between the answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    steps = None
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            if steps is None:
                fitted = args.folder.resolve() / common.read_json(args.folder / "fit.json")["best"]
                steps = Steps(importlib.import_module("peer_" + entry["peer"]), fitted, args.trajectories.resolve())
            if asked["way"] == "dynamics" and not hasattr(steps.peer, "dynamics"):
                answer = {}
            else:
                answer = steps.run(asked["work"], asked["way"], asked["seconds"])
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:300]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
