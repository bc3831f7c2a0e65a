#!/usr/bin/env python3
"""Times potstill's search for neighbours against vesin and matscipy, and compares the edges; see the README beside this file."""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from run import ROOT, enter_venv, systems

EXAMPLE = ROOT / "target" / "release" / "examples" / "neighbors"


def timed(work, seconds):
    work()
    times, start = [], time.perf_counter()
    while len(times) < 5 or time.perf_counter() - start < seconds:
        begin = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - begin))
    return statistics.median(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inside", action="store_true", help="use the Python that runs this, without a virtual environment")
    parser.add_argument("--atoms", type=int, nargs="+", default=[1000, 10000, 100000])
    parser.add_argument("--cutoff", type=float, nargs="+", default=[6.0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0)
    options = parser.parse_args()
    if not options.inside:
        enter_venv(["vesin", "matscipy"])
    import ase.io
    import numpy as np
    import vesin
    from matscipy.neighbours import neighbour_list

    environment = {**os.environ, "RAYON_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        for n in options.atoms:
            for cutoff in options.cutoff:
                data, edges = Path(folder) / "box.extxyz", Path(folder) / "edges"
                ase.io.write(data, systems(f"box{n}"), columns=["symbols", "positions"], write_info=False)
                atoms = ase.io.read(data)
                points, cell = atoms.positions, np.array(atoms.cell)
                find = vesin.NeighborList(cutoff=cutoff, full_list=True)
                peers = {
                    "vesin": lambda: find.compute(points=points, box=cell, periodic=True, quantities="ijSD"),
                    "matscipy": lambda: neighbour_list("ijSD", atoms, cutoff),
                }
                command = [str(EXAMPLE), str(data), str(cutoff), str(options.seconds), str(edges)]
                rounds = []
                for _ in range(options.rounds):
                    out = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
                    rounds.append((json.loads(out), {name: timed(work, options.seconds) for name, work in peers.items()}))
                own = np.fromfile(edges, "<i4").reshape(-1, 5)
                order = lambda rows: rows[np.lexsort(rows.T[::-1])]
                for name, work in peers.items():
                    i, j, shifts, _ = work()
                    theirs = np.column_stack([i, j, shifts]).astype(np.int32)
                    same = np.array_equal(order(own), order(theirs))
                    drawn = statistics.median(peer[name] / ours["ms"] for ours, peer in rounds)
                    updated = statistics.median(peer[name] / ours["ms_update"] for ours, peer in rounds)
                    ours = statistics.median(r[0]["ms"] for r in rounds)
                    update = statistics.median(r[0]["ms_update"] for r in rounds)
                    peer = statistics.median(r[1][name] for r in rounds)
                    print(
                        f"{n} atoms, {cutoff} A, {len(own)} edges: drawn {ours:.2f} ms, kept up {update:.2f} ms, {name} {peer:.2f} ms: "
                        f"{drawn:.1f} and {updated:.1f} times as fast; {'same' if same else 'OTHER'} edges",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
