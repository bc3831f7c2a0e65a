#!/usr/bin/env python3
"""Cut the shipped part of xcoll: as many whole trajectories of the training split as fit.

  cut_demo.py XCOLL_DIR OUT_DIR [--bytes 2250000]

Trajectories are taken in file order and their lines kept verbatim; the validation and test splits are copied whole.
Needs nothing but Python. The same input gives the same bytes for the same version of liblzma.
"""
import argparse
import lzma
import os
import shutil


def frames(path):
    with lzma.open(path, "rt") as handle:
        while line := handle.readline():
            yield [line, handle.readline()] + [handle.readline() for _ in range(int(line))]


def trajectory(frame):
    return int(frame[1].split(" traj=")[1].split()[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("xcoll")
    parser.add_argument("out")
    parser.add_argument("--bytes", type=int, default=2_250_000, help="largest size of the packed training split")
    options = parser.parse_args()
    groups = {}
    for frame in frames(os.path.join(options.xcoll, "train.extxyz.xz")):
        groups.setdefault(trajectory(frame), []).append(frame)
    names = list(groups)

    def pack(n):
        text = "".join(line for name in names[:n] for frame in groups[name] for line in frame)
        return lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME)

    low, high = 0, len(names)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if len(pack(middle)) <= options.bytes else (low, middle - 1)
    os.makedirs(options.out, exist_ok=True)
    with open(os.path.join(options.out, "train.extxyz.xz"), "wb") as handle:
        handle.write(pack(low))
    for name in ("val.extxyz.xz", "test.extxyz.xz", "isolated_atoms.json"):
        shutil.copyfile(os.path.join(options.xcoll, name), os.path.join(options.out, name))
    print(low, "trajectories,", sum(len(groups[name]) for name in names[:low]), "systems")


if __name__ == "__main__":
    main()
