"""Cost of adding gradients over processes, on paper: `python benches/mpi/cost.py`.

Nothing is measured here. A step of P processes, one for each node, takes

    work:     systems of a process × seconds of a system
  + up:       log2(P) × (latency + bytes / bandwidth + bytes / rate of adding)    the tree of decision 0020
  + down:     log2(P) × latency + 2 × bytes / bandwidth                           a broadcast that scatters and gathers
  + counts:   4 × log2(P) × latency

One row for each model: parameters, and seconds of a system in a training step on one core as `bench.py` gives them; a node has 128 cores
that work at `--share` of that rate each. Interconnect: one endpoint of 200 Gbit/s Slingshot 11 for each node (LUMI's CPU partition,
docs.lumi-supercomputer.eu), 2 µs for a message.
"""

from __future__ import annotations

import argparse
from math import log2

#: Name, parameters, milliseconds of a system in a training step of one core: systems of xcoll, 11 atoms on average; PaiNN of COLL by
#: `bench.py` with batches of 32, the others by 16 steps of 8 systems.
MODELS: list[tuple[str, float, float]] = [
    ("SchNet, COLL", 455_809, 2.4),
    ("PaiNN, COLL", 5_334_531, 8.2),
    ("PaiNN, OC20", 20_073_475, 46.0),
    ("GemNet-OC, COLL", 11_197_184, 81.0),
]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--model", nargs=3, action="append", metavar=("NAME", "PARAMETERS", "MS"), help="another row")
    arguments.add_argument("--systems", type=int, default=128, help="systems of a process in a batch (default: 128)")
    arguments.add_argument("--cores", type=int, default=128, help="cores of a node (default: 128)")
    arguments.add_argument("--share", type=float, default=0.6, help="rate of a core among others (default: 0.6)")
    arguments.add_argument("--bandwidth", type=float, default=25.0, help="bandwidth of a node, each way, in GB/s (default: 25)")
    arguments.add_argument("--latency", type=float, default=2.0, help="time of a message in µs (default: 2)")
    arguments.add_argument("--adding", type=float, default=5.0, help="rate of adding gradients in GB/s (default: 5)")
    chosen = arguments.parse_args()
    models = [*MODELS, *((name, float(parameters), float(ms)) for name, parameters, ms in chosen.model or [])]
    nodes = (2, 4, 8, 16, 32, 64)
    print("| model | message, MB | a step alone, ms | " + " | ".join(f"{n} nodes" for n in nodes) + " |")
    print("|---" * (3 + len(nodes)) + "|")
    for name, parameters, ms in models:
        megabytes = 4e-6 * parameters
        work = ms * chosen.systems / (chosen.cores * chosen.share)
        cells = []
        for n in nodes:
            up = log2(n) * (chosen.latency * 1e-3 + megabytes / chosen.bandwidth + megabytes / chosen.adding)
            down = log2(n) * chosen.latency * 1e-3 + 2 * megabytes / chosen.bandwidth
            cost = up + down + 4 * log2(n) * chosen.latency * 1e-3
            cells.append(f"{cost:.1f} ms, {100 * work / (work + cost):.0f} %")
        print(f"| {name} | {megabytes:.1f} | {work:.1f} | " + " | ".join(cells) + " |")


main()
