"""Strong scaling of pair_style potstill on paper: `python lammps/bench/scaling.py`.

Nothing is measured here. From the time of an atom and step on one core, which `bench.py` measures, the bytes that a layer exchanges for a
ghost, and published figures of an interconnect, a step of P cores takes

    compute: n_local × time of an atom
  + network: (bytes of ghosts from other nodes) / (bandwidth of a node) + messages × latency
  + memory:  (bytes of ghosts) × copies / (rate at which a core copies)

A core's atoms fill a cube, and so do those of a node; ghosts lie within cutoff + skin of it. Network and memory are not overlapped with
computation, as in the program. Left out: processes that wait for others with more atoms, and the bandwidth of memory that a node's cores
share while they compute.

Defaults: PaiNN 64×3 with a cutoff of 5 Å for silicon, and the CPU partition of LUMI: 128 cores a node, one 200 Gbit/s endpoint of
Slingshot 11 for each (docs.lumi-supercomputer.eu, "Network and interconnect"), 2 µs for a message.
"""

from __future__ import annotations

import argparse


def ghosts(side: float, reach: float, density: float) -> float:
    """Atoms within reach of a cube, outside of it."""
    # Faces, quarters of cylinders along the edges, eighths of spheres at the corners.
    return density * (6 * side**2 * reach + 3 * 3.141592653589793 * side * reach**2 + 4 / 3 * 3.141592653589793 * reach**3)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    number = lambda name, default, text: arguments.add_argument(f"--{name}", type=float, default=default, help=f"{text} (default: {default:g})")  # noqa: E731
    number("atoms", 1e6, "atoms")
    number("microseconds", 25.0, "time of an atom and step on one core, in µs")
    number("channels", 64, "channels of PaiNN")
    number("layers", 3, "layers of PaiNN")
    number("cutoff", 5.0, "cutoff in Å")
    number("skin", 1.0, "skin in Å")
    number("density", 8 / 5.431**3, "atoms in Å³")
    number("cores-per-node", 128, "cores of a node")
    number("bandwidth", 25.0, "bandwidth of a node, each way, in GB/s")
    number("latency", 2.0, "time of a message in µs")
    number("copies", 2.0, "times that a row is copied in memory: packed, and brought over")
    number("copy-rate", 3.0, "rate at which a core copies while the others do, in GB/s")
    chosen = arguments.parse_args()
    exchanges = 2 * chosen.layers - 1
    # 6 h numbers forward from the second layer on, 4 h back for each; positions and forces besides.
    row = 4 * chosen.channels * (6 * (chosen.layers - 1) + 4 * chosen.layers) + 2 * 3 * 8
    reach = chosen.cutoff + chosen.skin
    print(f"{row:.0f} bytes for a ghost and step, in {exchanges:.0f} exchanges\n")
    print("| cores | atoms a core | ghosts an atom | compute, ms | network, ms | memory, ms | a step, ms | efficiency, % | ns/day at 1 fs |")
    print("|---|---|---|---|---|---|---|---|---|")
    one = chosen.atoms * chosen.microseconds * 1e-3
    for cores in (1, 16, 128, 256, 512, 1000, 2000):
        local = chosen.atoms / cores
        own = ghosts((local / chosen.density) ** (1 / 3), reach, chosen.density) if cores > 1 else 0.0
        nodes = cores / chosen.cores_per_node
        remote = ghosts((chosen.atoms / nodes / chosen.density) ** (1 / 3), reach, chosen.density) if nodes > 1 else 0.0
        compute = local * chosen.microseconds * 1e-3
        network = remote * row / (chosen.bandwidth * 1e6) + (26 * exchanges * chosen.latency * 1e-3 if nodes > 1 else 0.0)
        memory = own * row * chosen.copies / (chosen.copy_rate * 1e6)
        step = compute + network + memory
        print(
            f"| {cores} | {local:.0f} | {own / local:.2f} | {compute:.2f} | {network:.2f} | {memory:.2f} | {step:.2f} "
            f"| {100 * one / cores / step:.0f} | {86.4 / step:.2f} |"
        )


main()
