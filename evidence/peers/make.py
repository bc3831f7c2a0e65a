#!/usr/bin/env python3
"""The whole comparison in one command: environments, fits, errors, a trajectory, times, table and plot.

    python3 evidence/peers/make.py

Steps that are done are skipped: a fit whose `fit.json` has the settings that `potentials.json` asks for, a measurement that has its file.
Delete a folder under `runs/evidence/peers/fits`, or `speed.json`, and start again to repeat a step. Everything runs on one core, one step
after the other. Times are worth something on an idle machine only: `--until errors` does the fits beforehand, and a second call the rest.
"""

import argparse
import os
import subprocess
import sys
import time

import common
import environments
import speed

STEPS = ["environments", "fits", "errors", "trajectory", "speed", "table"]


def run(python, script, *arguments, log=None):
    """One step in an environment of its own, on one core; what it says goes to a log. True if it ended well."""
    command = [str(part) for part in [python, common.HERE / script, *arguments]]
    print(time.strftime("%H:%M:%S"), script, *arguments[:1], flush=True)
    environment = os.environ | common.ONE_CORE
    if log is None:
        return subprocess.run(command, env=environment).returncode == 0
    with open(log, "a") as file:
        done = subprocess.run(command, env=environment, stdout=file, stderr=subprocess.STDOUT)
    if done.returncode:
        words = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        print(f"  failed: {words[-1] if words else 'no output'} (see {log})", flush=True)
    return done.returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--until", choices=STEPS, default="table", help="the last step to do")
    parser.add_argument("--walker", help="potential that makes the trajectory; default: the last of the list that is fitted")
    speed.arguments(parser)
    args = parser.parse_args()
    wanted = STEPS[: STEPS.index(args.until) + 1]
    places = dict(pair.split("=", 1) for pair in args.environment)
    entries = [entry for entry in common.read_json(args.potentials) if not args.only or entry["name"] in args.only]
    fits, logs = common.RESULTS / "fits", common.RESULTS / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    listed = ["--potentials", args.potentials]

    if not common.VALIDATION.exists():
        sys.exit(f"{common.VALIDATION} is missing: evidence/few-labels/make.py writes it in its first step")
    pythons = {name: environments.make(name, places) for name in sorted({speed.environment_of(entry) for entry in entries})}
    for entry in entries:
        name, python = entry["name"], pythons[speed.environment_of(entry)]
        if "fits" in wanted and not common.is_fitted(entry, fits / name):
            model = entry["settings"].get("model")
            if model and not (common.REPOSITORY / model).exists():
                print(f"{name}: left out, there is no {model}", flush=True)
                continue
            (fits / name / "errors.json").unlink(missing_ok=True)
            run(python, "fit.py", name, fits / name, *listed, log=logs / f"fit-{name}.log")
        if "errors" in wanted and (fits / name / "fit.json").exists() and not (fits / name / "errors.json").exists():
            run(python, "errors.py", name, fits / name, *listed, log=logs / f"errors-{name}.log")

    trajectories = common.RESULTS / "trajectories"
    fitted = [entry for entry in entries if (fits / entry["name"] / "fit.json").exists()]
    if "trajectory" in wanted and not (trajectories / "molecule.npz").exists():
        walker = next(entry for entry in reversed(fitted) if args.walker in (None, entry["name"]))
        python = pythons[speed.environment_of(walker)]
        run(python, "trajectory.py", walker["name"], fits / walker["name"], trajectories, *listed, log=logs / "trajectory.log")
    if "speed" in wanted and not (common.RESULTS / "speed.json").exists():
        options = ["--rounds", args.rounds, "--seconds", args.seconds, "--works", *args.works, *listed]
        options += [part for pair in args.environment for part in ("--environment", pair)]
        options += ["--only", *args.only] if args.only else []
        run(sys.executable, "speed.py", common.RESULTS / "speed.json", *options)
    if "table" in wanted:
        python = environments.make("native", places)
        if not run(python, "table.py", *listed):
            sys.exit(1)


if __name__ == "__main__":
    main()
