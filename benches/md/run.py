#!/usr/bin/env python3
"""Compare `potstill md` with ASE's velocity Verlet, in turn, in one run: with the same model as a calculator, or with SchNetPack's PaiNN.

    pip install ase potstill schnetpack
    python3 benches/md/run.py MODEL SYSTEM [--peer schnetpack] [--potstill potstill] [--atoms 20,200,2000] [--rounds 5] [--seconds 3]

SYSTEM is a file with a molecule or crystal that MODEL knows. Molecules are copied on a cubic grid, 9 Å apart, crystals repeated, to about
as many atoms as asked for. Both make steps of 0.5 fs at constant energy from 300 K on one core, in single precision, and write nothing but
their first and last frame. SchNetPack's PaiNN has random weights and the sizes of MODEL; its neighbour list keeps a skin of 1 Å. Prints
steps per second of each, nanoseconds per day, and the median ratio.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

from ase import units  # noqa: E402
from ase.io import read, write  # noqa: E402
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution  # noqa: E402
from ase.md.verlet import VelocityVerlet  # noqa: E402

SPACING = 9.0
TIMESTEP = 0.5


def copies(start, wanted):
    """About as many atoms as wanted: a crystal repeated, or copies of a molecule on a grid."""
    if start.pbc.all():
        factors = [1, 1, 1]
        while len(start) * math.prod(factors) < 0.75 * wanted:
            factors[min(range(3), key=lambda i: start.cell.lengths()[i] * factors[i])] += 1
        return start.repeat(factors)
    n_molecules = max(1, round(wanted / len(start)))
    side = next(n for n in range(1, 1000) if n**3 >= n_molecules)
    atoms = start[:0]
    for k in range(n_molecules):
        copy = start.copy()
        copy.translate([SPACING * (k // side**i % side) for i in range(3)])
        atoms += copy
    atoms.set_cell(None)
    atoms.pbc = False
    return atoms


def same_model(args):
    from potstill.ase import PotstillCalculator

    return PotstillCalculator(args.model, threads=1)


def schnetpack_model(args):
    """SchNetPack's PaiNN of the sizes of the model, as its authors couple it to ASE."""
    import torch
    from torch.utils.data import dataloader

    torch.set_num_threads(1)
    # SchNetPack asks for a name of a type that newer PyTorch no longer has.
    if not hasattr(dataloader, "T_co"):
        dataloader.T_co = dataloader._T_co
    from schnetpack import properties
    from schnetpack.atomistic import Atomwise, Forces, PairwiseDistances
    from schnetpack.interfaces.ase_interface import SpkCalculator
    from schnetpack.model import NeuralNetworkPotential
    from schnetpack.nn.cutoff import CosineCutoff
    from schnetpack.nn.radial import GaussianRBF
    from schnetpack.representation import PaiNN
    from schnetpack.transform import MatScipyNeighborList, SkinNeighborList

    info = subprocess.run([args.potstill, "info", args.model, "--json"], check=True, capture_output=True, text=True)
    size = json.loads(info.stdout)["model"]
    cutoff, hidden = size["cutoff"], size["hidden_channels"]
    network = NeuralNetworkPotential(
        representation=PaiNN(hidden, size["n_layers"], GaussianRBF(size["n_radial"], cutoff), CosineCutoff(cutoff)),
        input_modules=[PairwiseDistances()],
        output_modules=[Atomwise(n_in=hidden, output_key=properties.energy), Forces()],
    )

    class Calculator(SpkCalculator):
        # Its own way reads a pickle, which newer PyTorch refuses.
        def _load_model(self, model_file):
            return network.eval()

    neighbors = SkinNeighborList(MatScipyNeighborList(cutoff=cutoff), cutoff_skin=1.0)
    return Calculator("", neighbors, energy_unit="eV", dtype=torch.float32)


PEERS = {"same": same_model, "schnetpack": schnetpack_model}


def with_ase(atoms, calculator, n_steps):
    atoms = atoms.copy()
    atoms.calc = calculator
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
    parser.add_argument("--peer", choices=sorted(PEERS), default="same")
    parser.add_argument("--atoms", default="20,200,2000")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    molecule = read(args.system, index=0)
    molecule.calc = None
    molecule.info.clear()
    print(f"{'atoms':>6} {'potstill steps/s':>17} {'ns/day':>8} {'ASE steps/s':>12} {'ns/day':>8} {'ratio':>6}")
    for wanted in (int(n) for n in args.atoms.split(",")):
        atoms = copies(molecule, wanted)
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            calculator = PEERS[args.peer](args)
            write(folder / "start.extxyz", atoms, columns=["symbols", "positions"])
            n_theirs = max(20, int(args.seconds * with_ase(atoms, calculator, 20)))
            n_ours = max(20, int(args.seconds * with_potstill(folder / "start.extxyz", args.model, 200, args.potstill, folder)))
            pairs = []
            for turn in range(args.rounds):
                ours = lambda: with_potstill(folder / "start.extxyz", args.model, n_ours, args.potstill, folder)  # noqa: E731
                theirs = lambda: with_ase(atoms, calculator, n_theirs)  # noqa: E731
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
