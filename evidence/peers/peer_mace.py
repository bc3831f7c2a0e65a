"""MACE, the equivariant network that many would pick first, trained with `mace-torch`.

Settings: the file `model` of a network that is trained already, or `options` of `mace_run_train` besides those below.

The fastest way is `symmetrix-xl` with the neighbour list that it keeps (skin 0.5 Å): of its two implementations the one that is faster for
the system at hand, which is found out at the start. It reads networks with products of three features (`correlation` 3, MACE's default);
one with products of two becomes such a network with zeros for the rest, which is the same function. Where it does not take a network,
`symmetrix.log` says why, and the calculator of `mace-torch` is the fastest way too. That, in single precision, is the ASE calculator.
"""

import os
import pathlib
import subprocess
import sys
import time

import common

ENVIRONMENT = "torch"
ALWAYS = {
    "energy_key": "REF_energy",
    "forces_key": "REF_forces",
    "E0s": repr(common.ATOM_ENERGIES),
    "model": "MACE",
    "scaling": "rms_forces_scaling",
    "loss": "weighted",
    "energy_weight": 100.0,
    "forces_weight": 1000.0,
    "batch_size": 5,
    "valid_batch_size": 50,
    "lr": 0.01,
    "ema_decay": 0.99,
    "scheduler": "ExponentialLR",
    "patience": 1000,
    "eval_interval": 5,
    "error_table": "TotalRMSE",
    "default_dtype": "float32",
    "device": "cpu",
    "seed": 0,
}


def program(name):
    return str(pathlib.Path(sys.executable).with_name(name))


def fit(train, validation, settings, folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if "model" in settings:
        model = common.REPOSITORY / settings["model"]
    else:
        options = ALWAYS | settings["options"] | {"train_file": common.TRAIN, "valid_file": common.VALIDATION, "work_dir": folder / "fit"}
        command = [program("mace_run_train"), "--name", "mace", "--amsgrad", "--ema", "--restart_latest"]
        command += [f"--{name}={value}" for name, value in options.items()]
        with open(folder / "fit.log", "a") as log:
            subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=True, cwd=folder)
        model = folder / "mace.model" if (folder / "mace.model").exists() else next((folder / "fit").rglob("mace.model"))
    (folder / "model.txt").write_text(os.path.relpath(model, folder) + "\n")
    with_three = folder / "correlation-3.model"
    to_correlation_3(model, with_three)
    command = [program("symmetrix_extract_mace"), "--model", str(with_three), "--output", str(folder / "symmetrix.json")]
    done = subprocess.run(command, capture_output=True, text=True)
    (folder / "symmetrix.log").write_text(done.stdout + done.stderr)


def to_correlation_3(model, out):
    """Write a network with products of three features that is the same function; weights are sorted from many features to few."""
    import torch
    from mace.modules import ScaleShiftMACE
    from mace.tools.scripts_utils import extract_config_mace_model

    before = torch.load(model, map_location="cpu", weights_only=False)
    config = extract_config_mace_model(before)
    missing = 3 - config["correlation"]
    if missing <= 0:
        torch.save(before, out)
        return
    torch.set_default_dtype(next(before.parameters()).dtype)
    after = ScaleShiftMACE(**config | {"correlation": 3})
    old, new = before.state_dict(), after.state_dict()
    for name, value in new.items():
        if name in old and old[name].shape == value.shape and "symmetric_contractions" not in name:
            new[name] = old[name]
        elif "symmetric_contractions" not in name:
            raise ValueError(f"{name} differs in shape")
    after.load_state_dict(new)
    for old_product, new_product in zip(before.products, after.products):
        pairs = zip(old_product.symmetric_contractions.contractions, new_product.symmetric_contractions.contractions)
        for old_part, new_part in pairs:
            with torch.no_grad():
                source = [old_part.weights_max, *old_part.weights]
                target = [new_part.weights_max, *new_part.weights]
                for k, weight in enumerate(target):
                    weight.copy_(source[k - missing] if k >= missing else torch.zeros_like(weight))
    torch.save(after, out)


def network(folder):
    folder = pathlib.Path(folder)
    return str((folder / (folder / "model.txt").read_text().strip()).resolve())


def calculator(folder, dtype="float32"):
    import torch

    torch.set_num_threads(1)
    from mace.calculators import MACECalculator

    return MACECalculator(model_paths=network(folder), device="cpu", default_dtype=dtype)


def precise(folder):
    """For the errors: MACE adds total energies up in the precision of the network, and 9,391 eV in f32 are right to half a meV only."""
    return calculator(folder, "float64")


def symmetrix(folder):
    """The two ways of symmetrix: generated and compiled code (f32), fast for many atoms; and plain C++ (f64), fast for few."""
    from symmetrix import Symmetrix

    model = str(pathlib.Path(folder) / "symmetrix.json")
    yield Symmetrix(model, dtype="float32", execution_profile="speed")
    yield Symmetrix(model, dtype="float64", streamed_edges="materialized", use_kokkos=False)


def stepper(folder, atoms):
    if atoms.cell.rank < 3:
        # symmetrix wants a cell also where nothing is periodic.
        atoms = common.in_a_cell(atoms)
        atoms.pbc = False
    candidates = list(symmetrix(folder)) if (pathlib.Path(folder) / "symmetrix.json").exists() else [calculator(folder)]
    start = atoms.positions.copy()
    times = []
    for candidate in candidates:
        atoms.calc = candidate
        # The first call builds lists and compiles; the others are timed.
        for k in range(4):
            atoms.positions = start + 1e-4 * k
            before = time.process_time()
            atoms.get_forces()
            if k:
                times.append((time.process_time() - before, candidates.index(candidate)))
    atoms.calc = candidates[min(times)[1]]

    def step(positions):
        atoms.positions = positions
        forces = atoms.get_forces()
        return atoms.calc.results["energy"], forces

    return step
