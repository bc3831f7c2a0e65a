#!/usr/bin/env python3
"""Cut the demo's practical case out of data/xcoll-demo/train.extxyz.xz: few labels, and structures without any.

    python3 tools/xcoll/cut_few.py data/xcoll-demo

Writes few-train.extxyz.xz (the first trajectories, 440 systems or a little more), few-val.extxyz.xz (the next 50 or a little more) and
structures.extxyz.xz (all others, without energies and forces). No trajectory is in two of them.
"""

import lzma
import re
import sys
from pathlib import Path

SIZES = {"few-train": 440, "few-val": 50}


def frames(text):
    lines = text.splitlines(keepends=True)
    first = 0
    while first < len(lines):
        size = int(lines[first]) + 2
        yield lines[first : first + size]
        first += size


def trajectory(frame):
    return re.search(r"traj=(\S+)", frame[1]).group(1)


def bare(frame):
    """A frame without labels."""
    comment = re.sub(r"\b(energy|total_energy)=\S+ ?", "", frame[1]).replace(":forces:R:3", "").rstrip() + "\n"
    return [frame[0], comment, *(" ".join(line.split()[:4]) + "\n" for line in frame[2:])]


def main():
    folder = Path(sys.argv[1])
    every = list(frames(lzma.open(folder / "train.extxyz.xz", "rt").read()))
    parts, first = {}, 0
    for name, size in SIZES.items():
        end = first
        while end - first < size or trajectory(every[end]) == trajectory(every[end - 1]):
            end += 1
        parts[name], first = every[first:end], end
    parts["structures"] = [bare(frame) for frame in every[first:]]
    for name, part in parts.items():
        text = "".join(line for frame in part for line in frame)
        (folder / f"{name}.extxyz.xz").write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))
        print(f"{name}: {len(part)} systems")


if __name__ == "__main__":
    main()
