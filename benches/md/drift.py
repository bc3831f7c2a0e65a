#!/usr/bin/env python3
"""Measure how far the energy drifts in dynamics at constant energy.

    python3 benches/md/drift.py MODEL SYSTEM [--potstill potstill] [--temperatures 100,200,…] [--timesteps 0.5,1.0]
        [--picoseconds 100] [--dtype f32]

The first system of SYSTEM, an extended XYZ file, is relaxed, and for each temperature and timestep `potstill md` runs from there with velocities of twice that
temperature, half of which goes into the potential energy. Prints the slope of the total energy over time by least squares and the standard
deviation around that line, in meV per atom (and ps), and the mean temperature of the second half of the run, as a table in Markdown. A run
whose temperature passes ten times the one asked for, or 3000 K if that is more, is stopped and counted as exploded.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
from pathlib import Path


def relaxed(args, folder):
    path = Path(folder) / "relaxed.extxyz"
    first = Path(folder) / "first.extxyz"
    lines = Path(args.system).read_text().splitlines(keepends=True)
    first.write_text("".join(lines[: int(lines[0]) + 2]))
    command = [args.potstill, "relax", "--model", args.model, "--input", str(first), "--output", str(path), "--fmax", "0.01", "--quiet"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return path


def run(args, system, temperature, timestep):
    steps = round(1000 * args.picoseconds / timestep)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = [args.potstill, "md", "--model", args.model, "--input", system, "--out", out,
                   "--ensemble", "nve", "--temperature", 2 * temperature, "--exact-temperature", "--timestep", timestep, "--steps", steps,
                   "--every", max(1, steps // 2000), "--restart-every", steps, "--dtype", args.dtype, "--threads", 1, "--seed", args.seed,
                   "--stop-when", f"temperature={max(3000, 10 * temperature)}", "--quiet"]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        if done.returncode not in (0, 1):
            raise SystemExit(done.stderr.strip())
        lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
        n_atoms = int((out / "trajectory.extxyz").read_text().split("\n", 1)[0])
    if done.returncode == 1:
        return f"{temperature:g} | {timestep:g} | exploded after {lines[-1]['time'] / 1000:.1f} ps | |"
    time = [line["time"] / 1000 for line in lines]
    energy = [1e3 * line["conserved"] / n_atoms for line in lines]
    slope, offset = statistics.linear_regression(time, energy)
    spread = statistics.pstdev(e - slope * t - offset for t, e in zip(time, energy))
    mean = statistics.fmean(line["temperature"] for line in lines[len(lines) // 2 :])
    return f"{temperature:g} | {timestep:g} | {slope:+.1e} | {spread:.2e} | {mean:.0f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("system")
    parser.add_argument("--potstill", default="potstill")
    parser.add_argument("--temperatures", default=",".join(str(100 * k) for k in range(1, 11)))
    parser.add_argument("--timesteps", default="0.5,1.0")
    parser.add_argument("--picoseconds", type=float, default=100.0)
    parser.add_argument("--dtype", default="f32")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    print("| start at, K | timestep, fs | drift, meV/atom/ps | standard deviation, meV/atom | mean temperature, K |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        system = relaxed(args, folder)
        for timestep in args.timesteps.split(","):
            for temperature in args.temperatures.split(","):
                print(f"| {run(args, system, float(temperature), float(timestep))} |", flush=True)


if __name__ == "__main__":
    main()
