"""Measure one fitted potential on the test systems, in the environment of its peer; the same code for all of them.

    python errors.py NAME FOLDER [--potentials FILE]

Energies are compared as they are: no constant is fitted away. Writes `errors.json` into the folder.
"""

import importlib

import common


def main():
    args, entry = common.arguments(__doc__)
    peer = importlib.import_module("peer_" + entry["peer"])
    fitted = args.folder.resolve() / common.read_json(args.folder / "fit.json")["best"]
    # A peer may have a more precise way than the one that is timed.
    calculator = getattr(peer, "precise", peer.calculator)(fitted)
    errors = {test: common.errors_of(calculator, common.read(path)) for test, path in common.TESTS.items()}
    common.write_json(args.folder / "errors.json", errors)
    print(args.name, errors, flush=True)


if __name__ == "__main__":
    main()
