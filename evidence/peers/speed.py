"""Time all potentials in turn, in one run on one core: µs per atom and step.

    python speed.py OUT --rounds 7 --seconds 1 --environment native=... --environment torch=...

Every potential waits in a program of its own (`steps.py`) in the environment of its peer. In each round each of them makes steps for some
seconds, one after the other, first for one molecule and then for the box, through its own fastest way, through its ASE calculator, and by
its own dynamics where it has such; nothing else of this comparison runs meanwhile. Medians over the rounds are what counts. Beside the time
on the clock stands that of the processor, which is the same on an idle machine.
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import time

import common
import environments

WORKS = {"molecule": 15, "box": 960}
# Dynamics of the box are left out: its molecules lie where no potential has learnt how they repel each other.
WAYS = {"molecule": ["own", "ase", "dynamics"], "box": ["own", "ase"]}


def measure(entries, places, args):
    programs = {}
    for entry in entries:
        python = environments.python_of(environment_of(entry), places)
        command = [python, common.HERE / "steps.py", entry["name"], args.fits / entry["name"], args.trajectories]
        command += ["--potentials", args.potentials]
        log = open(args.out.with_name(f"speed-{entry['name']}.log"), "w")
        environment = os.environ | common.ONE_CORE
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": log, "text": True}
        programs[entry["name"]] = subprocess.Popen([str(part) for part in command], env=environment, **pipes)

    def ask(name, **asked):
        program = programs[name]
        try:
            program.stdin.write(json.dumps(asked) + "\n")
            program.stdin.flush()
            line = program.stdout.readline()
        except BrokenPipeError:
            line = ""
        return json.loads(line) if line else {"error": "the program ended"}

    rounds = {entry["name"]: {} for entry in entries}
    failed = {}
    # The first round makes everything ready and is not counted.
    for k in range(args.rounds + 1):
        for work in args.works:
            for way in WAYS[work]:
                for name in programs:
                    if (name, work, way) in failed:
                        continue
                    answer = ask(name, work=work, way=way, seconds=args.seconds if k else 0.2)
                    if "steps" not in answer:
                        failed[name, work, way] = answer.get("error")
                    elif k:
                        rounds[name].setdefault(f"{work} {way}", []).append(answer)
        print(f"round {k} of {args.rounds}, load {os.getloadavg()[0]:.1f}", flush=True)
    for program in programs.values():
        program.stdin.close()
        program.wait()
    errors = [{"name": name, "work": work, "way": way, "error": error} for (name, work, way), error in failed.items() if error]
    return rounds, errors


def environment_of(entry):
    """Which environment a peer needs, read from its file without loading it."""
    for line in (common.HERE / f"peer_{entry['peer']}.py").read_text().splitlines():
        if line.startswith("ENVIRONMENT"):
            return line.split('"')[1]
    raise SystemExit(f"peer_{entry['peer']}.py names no environment")


def summary(rounds):
    """Medians of µs per atom and step, of clock and processor."""
    result = {}
    for name, ways in rounds.items():
        result[name] = {}
        for way, answers in ways.items():
            atoms = WORKS[way.split()[0]]
            micro = {}
            for key in ("seconds", "processor_seconds"):
                micro[key] = [1e6 * one[key] / one["steps"] / atoms for one in answers if key in one]
            result[name][way] = {
                "microseconds": statistics.median(micro["seconds"]),
                "processor_microseconds": statistics.median(micro["processor_seconds"]) if micro["processor_seconds"] else None,
                "smallest": min(micro["seconds"]),
                "largest": max(micro["seconds"]),
                "rounds": len(answers),
            }
    return result


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def arguments(parser):
    """Options that `make.py` has as well."""
    parser.add_argument("--potentials", type=pathlib.Path, default=common.HERE / "potentials.json")
    parser.add_argument("--environment", action="append", default=[], metavar="NAME=FOLDER", help="take an environment that exists")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each potential, work and way in a round")
    parser.add_argument("--works", nargs="+", default=list(WORKS), choices=list(WORKS))
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these potentials instead of all that are fitted")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--fits", type=pathlib.Path, default=common.RESULTS / "fits")
    parser.add_argument("--trajectories", type=pathlib.Path, default=common.RESULTS / "trajectories")
    arguments(parser)
    args = parser.parse_args()
    places = dict(pair.split("=", 1) for pair in args.environment)
    entries = [entry for entry in common.read_json(args.potentials) if (args.fits / entry["name"] / "fit.json").exists()]
    entries = [entry for entry in entries if not args.only or entry["name"] in args.only]
    # One core for all programs, which are asked one at a time.
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    load = os.getloadavg()[0]
    rounds, errors = measure(entries, places, args)
    machine = {"processor": processor(), "load_before": load, "load_after": os.getloadavg()[0], "date": time.strftime("%Y-%m-%d %H:%M")}
    result = {"machine": machine, "seconds": args.seconds, "medians": summary(rounds), "failed": errors, "rounds": rounds}
    common.write_json(args.out, result)


if __name__ == "__main__":
    main()
