#!/usr/bin/env python3
"""Label a dataset with any ASE calculator, as a teacher for `potstill distill`.

The file that this writes is an ordinary extended XYZ file: for each system, in the order of the dataset,
positions, cell, `energy` (eV), `forces` (eV/A) and, where the calculator gives them, `atomic_energies` (eV).
Name it as the teacher:

    [distill]
    teacher = "labels.extxyz"

Needs `pip install ase` and the calculator's own package, for example `pip install sevenn` for SevenNet-0,
whose weights come with it.

    python label_with_ase.py train.extxyz labels.extxyz --calculator sevennet
    python label_with_ase.py train.extxyz labels.extxyz --calculator mypackage.calculators:MyCalculator

A run that was stopped goes on where it was: finished systems are kept in `labels.extxyz.part`.
"""

import argparse
import importlib
import lzma
import os
import sys
import time

import ase.io
from ase.calculators.singlepoint import SinglePointCalculator


def sevennet():
    from sevenn.calculator import SevenNetCalculator

    return SevenNetCalculator("7net-0", device="cpu")


def mace():
    from mace.calculators import mace_mp

    return mace_mp(model="small", device="cpu", default_dtype="float64")


def emt():
    from ase.calculators.emt import EMT

    return EMT()


KNOWN = {"sevennet": sevennet, "mace": mace, "emt": emt}


def make_calculator(name):
    """A known calculator, or `module:callable` that returns one."""
    if name in KNOWN:
        return KNOWN[name]()
    module, colon, function = name.partition(":")
    if not colon:
        sys.exit(f"--calculator {name}: not one of {', '.join(KNOWN)}, nor module:callable")
    return getattr(importlib.import_module(module), function)()


def systems(path):
    """Systems of a file, one at a time; ASE cannot read compressed files that it must search."""
    if path.endswith(".xz"):
        with lzma.open(path, "rt") as file:
            yield from ase.io.iread(file, format="extxyz")
    else:
        yield from ase.io.iread(path)


def labelled(atoms, calculator):
    """A copy with nothing but the structure and the calculator's answers."""
    copy = atoms.copy()
    # Forces on fixed atoms are wanted as they are.
    copy.set_constraint()
    copy.info = {}
    for name in list(copy.arrays):
        if name not in ("numbers", "positions"):
            del copy.arrays[name]
    copy.calc = calculator
    energy, forces = copy.get_potential_energy(), copy.get_forces()
    try:
        copy.info["atomic_energies"] = copy.get_potential_energies()
    except Exception:  # Not every calculator has them, and each says so in its own way.
        pass
    copy.calc = SinglePointCalculator(copy, energy=float(energy), forces=forces)
    return copy


def finished(part):
    """How many systems an earlier run finished; cuts off one that it did not."""
    if not os.path.exists(part):
        return 0
    count, good = 0, 0
    with open(part, "rb+") as file:
        while True:
            head = file.readline()
            if not head.endswith(b"\n"):
                break
            rows = [file.readline() for _ in range(int(head) + 1)]
            if not rows[-1].endswith(b"\n"):
                break
            count, good = count + 1, file.tell()
        file.truncate(good)
    return count


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", help="systems, in any format that ASE reads; .xz is unpacked")
    parser.add_argument("labels", help="extended XYZ file to write")
    parser.add_argument("--calculator", required=True, help=f"{', '.join(KNOWN)}, or module:callable")
    arguments = parser.parse_args()

    if not os.path.exists(arguments.dataset):
        sys.exit(f"{arguments.dataset}: does not exist")
    part = arguments.labels + ".part"
    done = finished(part)
    calculator = make_calculator(arguments.calculator)
    start, count = time.time(), 0
    with open(part, "a") as file:
        for count, atoms in enumerate(systems(arguments.dataset), 1):
            if count <= done:
                continue
            ase.io.write(file, labelled(atoms, calculator), format="extxyz")
            if count % 10 == 0:
                file.flush()
                rate = (count - done) / (time.time() - start)
                print(f"\r{count} systems, {rate:.1f} per second", end="", file=sys.stderr, flush=True)
    print(f"\r{count} systems in {time.time() - start:.0f} s" + " " * 20, file=sys.stderr)
    os.replace(part, arguments.labels)


if __name__ == "__main__":
    main()
