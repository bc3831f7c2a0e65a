#!/usr/bin/env python3
"""Compare the speed of two builds of potstill on one machine, in turn, in one run.

    python3 benches/paired/run.py OLD NEW [--rounds 7] [--threads 1] [--folder DIR] [--only WORDS]

OLD and NEW are two `potstill` binaries. Both evaluate a molecule, a batch and a box with the fast engine, and train SchNet,
PaiNN and GemNet-OC for a few steps, round after round: old, new, new, old, … so that whatever else the machine does strikes
both. Prints the median time of each and the median of the ratios new / old (below 1: the new one is faster).
"""

import argparse
import json
import statistics
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NETWORKS = {
    "schnet": 'architecture = "schnet"\ncutoff = 6.0',
    "painn": 'architecture = "painn"\ncutoff = 6.0',
    "gemnet_oc": 'architecture = "gemnet_oc"\ncutoff = 6.0\natom_channels = 64\nedge_channels = 64',
}
STEPS = {"schnet": 40, "painn": 40, "gemnet_oc": 16}
CONFIG = """seed = 3
[data]
train = ["train.extxyz"]
reference_energies = "least_squares"
normalization = "forces"
[model]
{model}
[training]
epochs = {epochs}
batch_size = 16
validate_every = 1
"""
N_SYSTEMS = 64


def run(*command, cwd):
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
    return done.stdout


def prepare(folder, old):
    """Systems, configurations and models; the models are those of the old build after one epoch."""
    lines = run("xz", "-dkc", ROOT / "data/acac/train_300K.extxyz.xz", cwd=folder).split("\n")
    rows = int(lines[0]) + 2
    (folder / "train.extxyz").write_text("\n".join(lines[: rows * N_SYSTEMS]) + "\n")
    (folder / "one.extxyz").write_text("\n".join(lines[:rows]) + "\n")
    for name, model in NETWORKS.items():
        epochs = STEPS[name] * 16 // N_SYSTEMS
        (folder / f"{name}.toml").write_text(CONFIG.format(model=model, epochs=epochs))
        if name != "gemnet_oc":
            run(old, "train", f"{name}.toml", "--out", f"model-{name}", "--set", "training.epochs=1", "--overwrite", "--quiet", cwd=folder)


def evaluate(binary, network, what, threads, folder):
    """Milliseconds of one evaluation with the fast engine."""
    data = {"molecule": ["--data", "one.extxyz"], "batch": ["--data", "train.extxyz", "--batch", 32], "box": ["--atoms", 1000]}
    model = f"model-{network}/model.safetensors"
    out = run(binary, "bench", "--model", model, *data[what], "--engine", "fast", "--seconds", 2, "--threads", threads, "--json", cwd=folder)
    timings = json.loads(out)
    return (timings["timings"] if isinstance(timings, dict) else timings)[0]["ms_per_evaluation"]


def train(binary, network, threads, folder):
    """Milliseconds of one training step, start-up left out: the difference of the last and the first line of metrics."""
    run(binary, "train", f"{network}.toml", "--out", "run", "--overwrite", "--quiet", "--threads", threads, cwd=folder)
    lines = [json.loads(line) for line in (folder / "run/metrics.jsonl").read_text().splitlines()]
    lines = [line for line in lines if "seconds" in line]
    first, last = lines[0], lines[-1]
    return 1e3 * (last["seconds"] - first["seconds"]) / (last["step"] - first["step"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", help="only the timings whose name contains this, such as 'train painn'")
    parser.add_argument("--folder", type=Path, help="where models and runs are kept; default: a temporary folder")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        binaries = {"old": args.old.resolve(), "new": args.new.resolve()}
        prepare(folder, binaries["old"])
        tasks = [(f"engine {n} {w}", lambda b, n=n, w=w: evaluate(b, n, w, args.threads, folder)) for n in ("schnet", "painn") for w in ("molecule", "batch", "box")]
        tasks += [(f"train {n}", lambda b, n=n: train(b, n, args.threads, folder)) for n in NETWORKS]
        tasks = [(name, task) for name, task in tasks if (args.only or "") in name]
        if not tasks:
            parser.error(f"--only: no timing has {args.only!r} in its name")
        times = {name: {"old": [], "new": []} for name, _ in tasks}
        for round in range(args.rounds):
            for name, task in tasks:
                for which in ("old", "new") if round % 2 == 0 else ("new", "old"):
                    times[name][which].append(task(binaries[which]))
        print(f"{'':24} {'old ms':>10} {'new ms':>10} {'new / old':>10}")
        for name, both in times.items():
            ratio = statistics.median(n / o for o, n in zip(both["old"], both["new"]))
            print(f"{name:24} {statistics.median(both['old']):10.3f} {statistics.median(both['new']):10.3f} {ratio:10.3f}")


if __name__ == "__main__":
    main()
