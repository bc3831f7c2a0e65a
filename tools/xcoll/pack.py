#!/usr/bin/env python3
"""Split raw generator output by trajectory, drop duplicates, pack, verify, report.

  pack.py RAW.extxyz OUT_DIR --sizes 12000,1000,1000 [--names train,val,test] [--ood RAW2]

Whole trajectories go to one split.  A frame whose permutation-invariant
fingerprint (composition + sorted distances to 1e-3 A) was seen before, in any
split, is dropped.  --key groups by another info field (slabs: system).
"""
import argparse
import hashlib
import json
import lzma
import os

import numpy as np
from ase.io import read


def blocks(path):
    op = lzma.open if path.endswith(".xz") else open
    with op(path, "rt") as h:
        while True:
            line = h.readline()
            if not line:
                return
            n = int(line)
            yield [line, h.readline()] + [h.readline() for _ in range(n)]


def value(header, key):
    return int(header.split(f" {key}=")[1].split()[0])


def fingerprint(block):
    rows = [r.split() for r in block[2:]]
    xyz = np.array([[float(v) for v in r[1:4]] for r in rows])
    d = np.sort(np.linalg.norm(xyz[:, None] - xyz[None], axis=2)[np.triu_indices(len(xyz), 1)])
    text = " ".join(sorted(r[0] for r in rows)) + np.array2string(np.round(d, 3), threshold=10**6)
    return hashlib.sha1(text.encode()).hexdigest()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("raw")
    p.add_argument("out")
    p.add_argument("--sizes", default="12000,1000,1000")
    p.add_argument("--names", default="train,val,test")
    p.add_argument("--key", default="traj")
    p.add_argument("--ood")
    p.add_argument("--seed", type=int, default=1)
    o = p.parse_args()
    os.makedirs(o.out, exist_ok=True)
    seen, groups, dup = set(), {}, 0
    for b in blocks(o.raw):
        h = fingerprint(b)
        if h in seen:
            dup += 1
            continue
        seen.add(h)
        groups.setdefault(value(b[1], o.key), []).append(b)
    order = sorted(groups)
    np.random.default_rng(o.seed).shuffle(order)
    names, sizes = o.names.split(","), [int(s) for s in o.sizes.split(",")]
    # the small splits first, so that they are always full
    splits = {n: [] for n in names}
    for name, size in sorted(zip(names, sizes), key=lambda t: t[1]):
        while order and len(splits[name]) < size:
            splits[name] += groups[order.pop()]
        splits[name] = splits[name][:size]
    if o.ood:
        splits["test_ood"] = []
        for b in blocks(o.ood):
            h = fingerprint(b)
            if h not in seen:
                seen.add(h)
                splits["test_ood"].append(b)
    for name, bl in splits.items():
        path = os.path.join(o.out, f"{name}.extxyz.xz")
        with lzma.open(path, "wt", preset=6) as h:
            for b in bl:
                h.writelines(b)
        print(name, len(bl), "structures", len({value(b[1], o.key) for b in bl}), "groups",
              os.path.getsize(path), "bytes")
    print("duplicates dropped:", dup)


if __name__ == "__main__":
    main()
