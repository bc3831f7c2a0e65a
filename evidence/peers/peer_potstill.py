"""Students of potstill, trained already: `model` in the settings is a model file, relative to the repository.

Evaluated in single precision by potstill's engine, whose Python module takes arrays and keeps the compiled network. The engine's own
dynamics (`potstill md`), which keep the neighbour list as well, are timed in addition by `speed.py`.
"""

import os
import pathlib

import common

ENVIRONMENT = "potstill"


def fit(train, validation, settings, folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.txt").write_text(os.path.relpath(common.REPOSITORY / settings["model"], folder) + "\n")


def network(folder):
    folder = pathlib.Path(folder)
    return str((folder / (folder / "model.txt").read_text().strip()).resolve())


def calculator(folder):
    from potstill.ase import PotstillCalculator

    return PotstillCalculator(network(folder), threads=1)


def stepper(folder, atoms):
    import potstill

    model = potstill.Model(network(folder), dtype="float32", threads=1)
    numbers = atoms.numbers
    cell = {"cell": atoms.cell.array, "pbc": True} if atoms.cell.rank == 3 else {}

    def step(positions):
        prediction = model.evaluate(numbers=numbers, positions=positions, **cell)
        return prediction.energy, prediction.forces

    return step


def dynamics(folder, atoms, seconds):
    """Steps of the engine's own dynamics at constant energy, integrator included; the program says how many it made a second."""
    import json
    import subprocess
    import tempfile

    import ase.io

    program = os.environ.get("POTSTILL") or str(common.REPOSITORY / "target" / "release" / "potstill")
    with tempfile.TemporaryDirectory() as scratch:
        start = pathlib.Path(scratch) / "start.extxyz"
        ase.io.write(start, atoms)
        command = [program, "md", "--model", network(folder), "--input", str(start), "--ensemble", "nve", "--timestep", "0.5"]
        command += ["--every", "1000000000", "--restart-every", "1000000000", "--threads", "1", "--overwrite", "--quiet", "--json"]

        def run(steps):
            out = ["--out", str(pathlib.Path(scratch) / "run"), "--steps", str(steps)]
            done = subprocess.run(command + out, check=True, capture_output=True, text=True)
            return json.loads(done.stdout)["steps_per_second"]

        steps = max(20, int(seconds * run(20)))
        took = steps / run(steps)
    return {"steps": steps, "seconds": took}
