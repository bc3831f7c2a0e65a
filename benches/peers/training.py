#!/usr/bin/env python3
"""Times training steps of potstill against those of PyTorch implementations of the same networks; see the README beside this file."""

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from run import ROOT, SIZES, GeometricSchNet, PackPaiNN, enter_venv, model_file, systems

BATCH = 32


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inside", action="store_true", help="use the Python that runs this, without a virtual environment")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="of potstill")
    parser.add_argument("--peer-device", default="cpu", help="of PyTorch")
    parser.add_argument("--data", default="labelled", help="file of labelled systems")
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=40, help="of potstill in a round, 40 or a multiple of 50; the peer makes an eighth of that")
    parser.add_argument("--cutoff", type=float, nargs="+", default=[12.0])
    parser.add_argument("--sizes", nargs="+", default=["schnet-128x6", "painn-128x4"], choices=list(SIZES))
    parser.add_argument("--potstill", default=str(ROOT / "target" / "release" / "potstill"))
    parser.add_argument("--json")
    return parser.parse_args()


def time_potstill(options, folder, data, size, cutoff):
    """ms of a step over the same systems again and again: reading, graphs and optimiser included, the first lines of metrics left out."""
    config, run = Path(folder) / "config.toml", Path(folder) / f"run-{time.monotonic_ns()}"
    config.write_text(
        f"[data]\ntrain = ['{data}']\nreference_energies = 'none'\nnormalization = 'none'\n"
        f"[model]\n{SIZES[size]}cutoff = {cutoff}\n"
        f"[training]\nmax_steps = {options.steps}\nbatch_size = {options.batch}\n"
        f"epochs = 1000000\nvalidate_every = {1 if options.steps < 100 else 1000000}\n"
    )
    command = [options.potstill, "train", str(config), "--out", str(run), "--threads", str(options.threads)]
    subprocess.run([*command, "--device", options.device], check=True, capture_output=True)
    steps = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    lines = [(step["step"], step["seconds"]) for step in steps if "loss" in step]
    (first, begin), (last, end) = lines[1 if options.steps < 100 else 0], lines[-1]
    return 1e3 * (end - begin) / (last - first)


class Training:
    """Steps of AdamW over the peer's systems: mean absolute errors of energies and forces."""

    def __init__(self, peer, all_systems, device):
        import numpy as np
        import torch

        self.peer = peer
        peer.to(device)
        self.energy = torch.tensor([s.get_potential_energy() for s in all_systems], dtype=torch.float32)
        self.forces = torch.tensor(np.concatenate([s.get_forces() for s in all_systems]), dtype=torch.float32)
        self.energy, self.forces = self.energy.to(device), self.forces.to(device)
        heads = [peer.network] + ([peer.head] if hasattr(peer, "head") else [])
        self.optimizer = torch.optim.AdamW([p for part in heads for p in part.parameters()], lr=1e-3)

    def step(self):
        import torch

        positions = self.peer.positions.clone().requires_grad_(True)
        displacement = positions[self.peer.source] - positions[self.peer.target] + self.peer.shift
        energy = self.peer.energy(positions, displacement)
        (gradient,) = torch.autograd.grad(energy.sum(), positions, create_graph=True)
        loss = (energy.flatten() - self.energy).abs().mean() + 100 * (gradient + self.forces).norm(dim=1).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def time(self, n_steps):
        """ms of a step."""
        import torch

        wait = torch.cuda.synchronize if self.energy.is_cuda else lambda: None
        self.step()
        wait()
        start = time.perf_counter()
        for _ in range(n_steps):
            self.step()
        wait()
        return 1e3 * (time.perf_counter() - start) / n_steps


def main():
    options = arguments()
    if not options.inside:
        enter_venv()
    import ase.io
    import torch

    torch.set_num_threads(options.threads)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        all_systems = systems(options.data)[: options.batch]
        data = Path(folder) / "data.extxyz"
        ase.io.write(data, all_systems)
        for cutoff in options.cutoff:
            for size in options.sizes:
                if size.startswith("schnet"):
                    model = model_file(options.potstill, folder, size, cutoff)
                    peer = GeometricSchNet(model, all_systems, cutoff)
                else:
                    hidden, layers = (int(n) for n in size.split("-")[1].split("x"))
                    peer = PackPaiNN(None, all_systems, cutoff, hidden, layers)
                training, rounds = Training(peer, all_systems, options.peer_device), []
                for _ in range(options.rounds):
                    ours = time_potstill(options, folder, data, size, cutoff)
                    rounds.append((ours, training.time(max(2, options.steps // 8))))
                ours, theirs = (statistics.median(r[k] for r in rounds) for k in (0, 1))
                ratio = statistics.median(r[1] / r[0] for r in rounds)
                n_atoms = sum(len(s) for s in all_systems)
                rows.append(
                    dict(size=size, cutoff=cutoff, systems=len(all_systems), atoms=n_atoms, edges=len(peer.source),
                         potstill_ms=ours, peer_ms=theirs, ratio=ratio, peer=peer.name, threads=options.threads,
                         device=options.device, peer_device=options.peer_device)
                )
                print(f"{size}, {cutoff} A, {options.threads} threads, {len(all_systems)} systems of {n_atoms} atoms: {peer.name}")
                print(f"    potstill {ours:.1f} ms, peer {theirs:.1f} ms a step: {ratio:.1f} times as fast", flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
