#!/usr/bin/env python3
"""Times the engine against PyTorch implementations of the same networks; see the README beside this file."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
VENV = HERE / ".venv"
PACKAGES = ["numpy", "ase", "torch", "torch_geometric", "safetensors", "schnetpack"]

SIZES = {
    "schnet-128x6": "architecture = 'schnet'\nhidden_channels = 128\nn_filters = 128\nn_interactions = 6\nn_gaussians = 50\n",
    "painn-128x4": "architecture = 'painn'\nhidden_channels = 128\nn_layers = 4\nn_radial = 128\n",
    "painn-256x6": "architecture = 'painn'\nhidden_channels = 256\nn_layers = 6\nn_radial = 128\n",
    "painn-512x6": "architecture = 'painn'\nhidden_channels = 512\nn_layers = 6\nn_radial = 128\n",
}


def enter_venv(more=()):
    """Starts over in the virtual environment, which is made where it is missing; `more` are packages besides those of this script."""
    python = VENV / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *PACKAGES], check=True)
    if more:
        subprocess.run([str(python), "-m", "pip", "install", "-q", *more], check=True)
    os.execv(str(python), [str(python), *sys.argv, "--inside"])


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inside", action="store_true", help="use the Python that runs this, without a virtual environment")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each side in a round")
    parser.add_argument("--cutoff", type=float, nargs="+", default=[6.0])
    parser.add_argument("--sizes", nargs="+", default=["schnet-128x6", "painn-128x4"], choices=list(SIZES))
    parser.add_argument("--work", nargs="+", default=["molecule", "batch", "box1000"])
    parser.add_argument("--potstill", default=str(ROOT / "target" / "release" / "potstill"))
    parser.add_argument("--json")
    return parser.parse_args()


def systems(work):
    """ASE systems of a kind of work: `molecule`, `batch`, `boxN`, `labelled`, all systems of the test split, or a file."""
    import lzma

    import ase.io
    import numpy as np
    from ase import Atoms

    rng = np.random.default_rng(1)
    if work.startswith("box"):
        n = int(work[3:])
        side = int(np.ceil(n ** (1 / 3)))
        # About fifty neighbours within 6 A.
        spacing = (4 / 3 * np.pi * 6.0**3 / 50) ** (1 / 3)
        grid = np.array([(i, j, k) for i in range(side) for j in range(side) for k in range(side)][:n], float)
        positions = spacing * (grid + rng.uniform(-0.1, 0.1, grid.shape))
        layers = int(np.ceil(n / side**2))
        numbers = rng.choice([1, 6, 8], n)
        return [Atoms(numbers, positions, cell=spacing * np.array([layers, side, side]), pbc=True)]
    path = Path(work) if Path(work).is_file() else ROOT / "data/xcoll-demo/test.extxyz.xz"
    with lzma.open(path, "rt") as file:
        all_systems = ase.io.read(file, ":", format="extxyz")
    if work == "labelled" or Path(work).is_file():
        return all_systems
    if work == "batch":
        return all_systems[:32]
    return [next(s for s in all_systems if len(s) == 21)]


def edges_of(all_systems, cutoff):
    """Atoms of all systems numbered through: source, target, shift in A."""
    import numpy as np
    from ase.neighborlist import neighbor_list

    source, target, shift, first = [], [], [], 0
    for atoms in all_systems:
        i, j, s = neighbor_list("ijS", atoms, cutoff)
        target.append(i + first)
        source.append(j + first)
        shift.append(s @ np.array(atoms.cell))
        first += len(atoms)
    return np.concatenate(source), np.concatenate(target), np.concatenate(shift)


class Peer:
    """What all peers have in common: tensors of a batch, and one call for energies and forces."""

    def __init__(self, all_systems, cutoff):
        import numpy as np
        import torch

        source, target, shift = edges_of(all_systems, cutoff)
        self.source, self.target = torch.tensor(source), torch.tensor(target)
        self.shift = torch.tensor(shift, dtype=torch.float32)
        self.numbers = torch.tensor(np.concatenate([s.numbers for s in all_systems]))
        self.positions = torch.tensor(np.concatenate([s.positions for s in all_systems]), dtype=torch.float32)
        index = np.concatenate([[k] * len(s) for k, s in enumerate(all_systems)])
        self.index, self.n_systems = torch.tensor(index), len(all_systems)

    def to(self, device):
        """Moves the batch and the network."""
        for name in ["source", "target", "shift", "numbers", "positions", "index"]:
            setattr(self, name, getattr(self, name).to(device))
        self.network.to(device)
        if hasattr(self, "head"):
            self.head.to(device)

    def evaluate(self):
        import torch

        positions = self.positions.clone().requires_grad_(True)
        displacement = positions[self.source] - positions[self.target] + self.shift
        energy = self.energy(positions, displacement)
        (gradient,) = torch.autograd.grad(energy.sum(), positions)
        return energy.detach(), -gradient


class GeometricSchNet(Peer):
    name = "PyTorch Geometric SchNet, same weights"

    def __init__(self, model, all_systems, cutoff):
        super().__init__(all_systems, cutoff)
        import torch
        from safetensors.torch import load_file
        from torch_geometric.nn.models import SchNet

        self.displacement = None
        graph = lambda positions, batch: (
            torch.stack([self.source, self.target]),
            self.displacement.norm(dim=1),
        )
        self.network = SchNet(128, 128, 6, 50, cutoff, interaction_graph=graph)
        names = {
            "filter_in": "mlp.0",
            "filter_out": "mlp.2",
            "source": "conv.lin1",
            "message": "conv.lin2",
            "output": "lin",
            "energy_in": "lin1",
            "energy_out": "lin2",
        }
        state = {}
        for name, value in load_file(model).items():
            for ours, theirs in names.items():
                name = name.replace(f"{ours}.", f"{theirs}.")
            state[name] = value.float()
        missing = self.network.load_state_dict(state, strict=False)
        assert not missing.unexpected_keys, missing

    def energy(self, positions, displacement):
        self.displacement = displacement
        return self.network(self.numbers, positions, self.index)


class PackPaiNN(Peer):
    name = "SchNetPack PaiNN, same sizes"

    def __init__(self, model, all_systems, cutoff, hidden=128, layers=4):
        super().__init__(all_systems, cutoff)
        import torch
        from torch.utils.data import dataloader

        # SchNetPack asks for a name of a type that newer PyTorch no longer has.
        if not hasattr(dataloader, "T_co"):
            dataloader.T_co = dataloader._T_co
        from schnetpack import properties
        from schnetpack.nn.cutoff import CosineCutoff
        from schnetpack.nn.radial import GaussianRBF
        from schnetpack.representation import PaiNN

        self.properties = properties
        self.network = PaiNN(hidden, layers, GaussianRBF(128, cutoff), CosineCutoff(cutoff))
        self.head = torch.nn.Sequential(
            torch.nn.Linear(hidden, hidden // 2), torch.nn.SiLU(), torch.nn.Linear(hidden // 2, 1)
        )

    def energy(self, positions, displacement):
        import torch

        p = self.properties
        inputs = {p.Z: self.numbers, p.Rij: displacement, p.idx_i: self.target, p.idx_j: self.source}
        scalar = self.network(inputs)["scalar_representation"]
        zeros = torch.zeros(self.n_systems, device=self.index.device)
        return zeros.index_add(0, self.index, self.head(scalar).squeeze(1))


def model_file(potstill, folder, size, cutoff):
    """A model of that size: one step of training, so that no weight is zero."""
    config = Path(folder) / f"{size}-{cutoff}.toml"
    data = ROOT / "data/xcoll-demo/train.extxyz.xz"
    config.write_text(
        f"[data]\ntrain = ['{data}']\nmax_train_systems = 64\nreference_energies = 'none'\nnormalization = 'none'\n"
        f"[model]\n{SIZES[size]}cutoff = {cutoff}\n[training]\nmax_steps = 1\nbatch_size = 4\n"
    )
    run = Path(folder) / f"{size}-{cutoff}"
    subprocess.run([potstill, "train", str(config), "--out", str(run)], check=True, capture_output=True)
    return run / "model.safetensors"


def products(size, n_atoms):
    """Floating-point operations of the engine's matrix products for energies and forces, and bytes of the weights they read."""
    hidden, layers = (int(n) for n in size.split("-")[1].split("x"))
    # In units of hidden²: PaiNN's message takes 4 (none in the first layer, where it depends on the element alone, and none back
    # from it), its update 11; SchNet's block takes 3, of which the first has 2 on the way back.
    each, saved = (3, 1) if size.startswith("schnet") else (15, 8)
    weights = (2 * layers * each - saved + 1) * hidden**2
    return 2 * n_atoms * weights, 4 * weights


def peak():
    """Operations per second of PyTorch's product of large matrices, in f32 with as many threads."""
    import torch

    a, b = torch.rand(1024, 1024), torch.rand(1024, 1024)
    times = []
    for _ in range(10):
        begin = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - begin)
    return 2 * 1024**3 / statistics.median(times)


def time_engine(options, model, data, n_systems):
    command = [options.potstill, "bench", "--model", model, "--data", data, "--batch", n_systems, "--engine", "fast"]
    command += ["--seconds", options.seconds, "--threads", options.threads, "--json"]
    out = subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True).stdout
    return json.loads(out)["timings"][0]["ms_per_evaluation"]


def time_peer(peer, seconds):
    peer.evaluate()
    times, start = [], time.perf_counter()
    while not times or time.perf_counter() - start < seconds:
        begin = time.perf_counter()
        peer.evaluate()
        times.append(1e3 * (time.perf_counter() - begin))
    return statistics.median(times)


def check(options, folder, model, data, peer):
    """Energies and forces of the same weights must agree."""
    import ase.io
    import numpy as np

    out = Path(folder) / "predicted.extxyz"
    subprocess.run(
        [options.potstill, "predict", "--model", str(model), "--input", str(data), "--output", str(out)],
        check=True,
        capture_output=True,
    )
    ours = ase.io.read(out, ":")
    energy, forces = peer.evaluate()
    our_forces = np.concatenate([s.get_forces() for s in ours])
    far = np.linalg.norm(forces.numpy() - our_forces) / np.linalg.norm(our_forces)
    our_energy = np.array([s.get_potential_energy() for s in ours])
    per_atom = np.abs(energy.numpy().ravel() - our_energy) / [len(s) for s in ours]
    print(f"    agrees: forces {far:.1e} (relative), energies {per_atom.max():.1e} eV per atom")
    assert far < 1e-4, "the peer computes something else"


def main():
    options = arguments()
    if not options.inside:
        enter_venv()
    import ase.io
    import torch

    torch.set_num_threads(options.threads)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for cutoff in options.cutoff:
            for size in options.sizes:
                model = model_file(options.potstill, folder, size, cutoff)
                for work in options.work:
                    all_systems = systems(work)
                    data = Path(folder) / f"{work}.extxyz"
                    for atoms in all_systems:
                        atoms.calc = None
                    ase.io.write(data, all_systems, columns=["symbols", "positions"], write_info=False)
                    if size.startswith("schnet"):
                        peer = GeometricSchNet(model, all_systems, cutoff)
                        print(f"{size}, {cutoff} A, {work}: {peer.name}")
                        check(options, folder, model, data, peer)
                    else:
                        hidden, layers = (int(n) for n in size.split("-")[1].split("x"))
                        peer = PackPaiNN(model, all_systems, cutoff, hidden, layers)
                        print(f"{size}, {cutoff} A, {work}: {peer.name}")
                    rounds, peaks = [], []
                    for _ in range(options.rounds):
                        peaks.append(peak())
                        ours = time_engine(options, model, data, len(all_systems))
                        rounds.append((ours, time_peer(peer, options.seconds)))
                    ours, theirs = (statistics.median(r[k] for r in rounds) for k in (0, 1))
                    ratio = statistics.median(r[1] / r[0] for r in rounds)
                    n_atoms = sum(len(s) for s in all_systems)
                    flops, weights = products(size, n_atoms)
                    rate, best = flops / ours * 1e-6, statistics.median(peaks) * 1e-9
                    rows.append(
                        dict(size=size, cutoff=cutoff, work=work, atoms=n_atoms, edges=len(peer.source),
                             engine_ms=ours, peer_ms=theirs, ratio=ratio, peer=peer.name, threads=options.threads,
                             products_gflop=flops * 1e-9, weights_mb=weights * 1e-6, peak_gflop_per_s=best)
                    )
                    print(f"    engine {ours:.3f} ms, peer {theirs:.3f} ms: {ratio:.1f} times as fast", flush=True)
                    print(f"    products {flops * 1e-6:.0f} MFLOP, {weights * 1e-6:.1f} MB of weights: {rate:.0f} GFLOP/s over the "
                          f"whole call, {rate / best:.0%} of the {best:.0f} that products of large matrices reach", flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
