"""Fit one potential, in the environment of its peer: every choice that `potentials.json` leaves open is decided on the validation systems.

    python fit.py NAME FOLDER [--potentials FILE]

Each combination of the values under "choose" is fitted into a folder of its own; the one with the smallest energy MAE (meV) plus force MAE
(meV/Å) on the 50 validation systems is kept, and `fit.json` says which and how long all fits took. The test systems are not read here.
"""

import importlib
import itertools
import resource
import time

import common


def main():
    args, entry = common.arguments(__doc__)
    peer = importlib.import_module("peer_" + entry["peer"])
    train, validation = common.read(common.TRAIN), common.read(common.VALIDATION)
    args.folder = args.folder.resolve()

    open_choices = entry.get("choose", {})
    tried = []
    for k, values in enumerate(itertools.product(*open_choices.values())):
        settings = entry["settings"] | dict(zip(open_choices, values))
        folder = args.folder / f"try-{k}"
        done = folder / "done.json"
        if not done.exists() or common.read_json(done)["settings"] != settings:
            start, used = time.time(), processor_seconds()
            peer.fit(train, validation, settings, folder)
            fitted = {"seconds": time.time() - start, "processor_seconds": processor_seconds() - used}
            errors = common.errors_of(peer.calculator(folder), validation)
            common.write_json(done, {"settings": settings, "validation": errors} | fitted)
        tried.append(common.read_json(done) | {"folder": folder.name})
        print(entry["name"], tried[-1], flush=True)

    best = min(tried, key=lambda one: common.validation_score(one["validation"]))
    result = {"name": entry["name"], "asked": common.asked(entry), "best": best["folder"], "settings": best["settings"], "tried": tried}
    common.write_json(args.folder / "fit.json", result)


def processor_seconds():
    """Seconds of the processor that this process and the programs that it started have used."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


if __name__ == "__main__":
    main()
