"""Steps of several processes: `python benches/mpi/bench.py --config configs/coll-painn.toml --potstill POTSTILL --mpirun mpirun`.

In turn, round by round: the program without mpirun with one thread and with two, one process under mpirun, two processes of one thread; all
with `training.shards=2`. The time of a step is that between the first line of metrics and the last, so that start and validation are left out.
Prints medians, ratios over rounds, memory and bytes of a message. POTSTILL must be built with `--features mpi`; `--plain` names one that
is not.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path


def seconds_per_step(command: list, folder: Path) -> tuple[float, float]:
    """Seconds of a step, and the peak of the largest process in MiB."""
    with (folder / "output.txt").open("w+") as output:
        process = subprocess.Popen([str(word) for word in command], stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        if process.returncode != 0:
            sys.exit(output.read()[-2000:])
    lines = [json.loads(line) for line in (folder / "run/metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if "loss" in line]
    return (steps[-1]["seconds"] - steps[0]["seconds"]) / (steps[-1]["step"] - steps[0]["step"]), usage.ru_maxrss / 1024


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--config", type=Path, required=True, help="configuration of a training without a teacher")
    arguments.add_argument("--set", action="append", default=[], help="a setting, as for potstill")
    arguments.add_argument("--potstill", required=True, help="the program, built with MPI")
    arguments.add_argument("--plain", help="the program, built without MPI (default: the same)")
    arguments.add_argument("--mpirun", default="mpirun", help="the command that starts processes (default: mpirun)")
    arguments.add_argument("--steps", type=int, default=200, help="steps of each run (default: 200)")
    arguments.add_argument("--rounds", type=int, default=3, help="rounds (default: 3)")
    chosen = arguments.parse_args()
    settings = [f"training.max_steps={chosen.steps}", "training.shards=2", "training.epochs=1000000", "training.validate_every=1000000"]
    settings = [word for setting in [*settings, *chosen.set] for word in ("--set", setting)]
    plain = chosen.plain or chosen.potstill
    starts = {
        "one thread": ([plain], 1),
        "two threads": ([plain], 2),
        "one process under mpirun": ([chosen.mpirun, "-n", "1", chosen.potstill], 1),
        "two processes": ([chosen.mpirun, "-n", "2", chosen.potstill], 1),
    }
    times: dict[str, list[float]] = {name: [] for name in starts}
    memory = {}
    for _ in range(chosen.rounds):
        for name, (start, threads) in starts.items():
            with tempfile.TemporaryDirectory() as place:
                folder = Path(place)
                command = [*start, "train", chosen.config, "--out", folder / "run", "--threads", str(threads), "--quiet", *settings]
                seconds, memory[name] = seconds_per_step(command, folder)
                times[name].append(seconds)
                info = subprocess.run([plain, "info", folder / "run/model.safetensors"], capture_output=True, text=True, check=True).stdout
    parameters = int(re.search(r"^parameters +(\d+)", info, re.MULTILINE).group(1))
    for name in starts:
        ratio = statistics.median(own / one for own, one in zip(times[name], times["one thread"], strict=True))
        print(f"{name:26} {1e3 * statistics.median(times[name]):8.2f} ms a step  {ratio:.3f} × one thread  {memory[name]:6.0f} MiB")
    pairs = statistics.median(a / b for a, b in zip(times["two processes"], times["two threads"], strict=True))
    print(f"two processes: {pairs:.3f} × two threads")
    print(f"{parameters} parameters: a message of {4 * parameters / 1e6:.2f} MB in f32")


main()
