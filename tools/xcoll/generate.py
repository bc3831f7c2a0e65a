#!/usr/bin/env python3
"""xcoll: a COLL-like set of molecular-collision frames labelled with GFN2-xTB.

Two closed- or open-shell H/C/O molecules from ASE's public G2 collection are
shot at each other (random orientation, impact parameter, collision energy and
internal temperature), propagated by NVE velocity Verlet on the GFN2-xTB
surface (tblite), and diverse frames are kept.  Every kept frame is labelled
again from a cold start with tighter SCF; it is dropped when SCF fails, when
the cold and the warm energies disagree (two SCF solutions) or when any force
exceeds --fmax.

Energy reference: energy = E_total - sum_i E_atom(Z_i), the isolated-atom
GFN2-xTB energies being computed here and stored in isolated_atoms.json.
Units: Angstrom, eV, eV/Angstrom.

Every trajectory is seeded by (--seed, trajectory number), so the result does
not depend on the number of worker processes.

  generate.py OUT.extxyz --first 0 --count 1500 --procs 2 --seed 2026
"""
import os
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
import argparse
import json
import multiprocessing as mp
import sys
import time

import numpy as np
from ase.collections import g2
from ase.data import atomic_masses, chemical_symbols
from ase.units import Bohr, Hartree, fs, kB
from tblite.interface import Calculator

MAX_ATOMS = 26
# ground-state unpaired electrons of the isolated atoms
ATOM_UHF = {1: 1, 6: 2, 8: 2}
# molecules never used by the ordinary splits; they make up the 'ood' set
HELD_OUT = {"C4H4O", "CH3COOH", "CH3CH2OCH3", "C3H6_D3h", "2-butyne", "cyclobutene",
            "OCHCHO", "H2CCO"}
# O2 and triplet CH2 would need another spin state than nelec % 2
EXCLUDE = {"O2", "CH2_s3B1d", "Si2", "H", "C", "O", "H2"}


def pool():
    names = []
    for name in g2.names:
        mol = g2[name]
        if name in EXCLUDE or len(mol) < 2:
            continue
        if set(mol.numbers) <= {1, 6, 8}:
            names.append(name)
    return sorted(names)


def calculator(numbers, xyz, accuracy=1.0):
    uhf = int(np.sum(numbers)) % 2
    calc = Calculator("GFN2-xTB", numbers, xyz / Bohr, charge=0.0, uhf=uhf)
    calc.set("verbosity", 0)
    calc.set("max-iter", 250)
    calc.set("accuracy", accuracy)
    return calc


def evaluate(calc, xyz):
    calc.update(positions=xyz / Bohr)
    res = calc.singlepoint()
    return res.get("energy") * Hartree, -res.get("gradient") * (Hartree / Bohr)


def atom_energies():
    out = {}
    for z, uhf in ATOM_UHF.items():
        calc = Calculator("GFN2-xTB", np.array([z]), np.zeros((1, 3)), charge=0.0, uhf=uhf)
        calc.set("verbosity", 0)
        out[z] = calc.singlepoint().get("energy") * Hartree
    return out


def rotation(rng):
    q = rng.normal(size=4)
    w, x, y, z = q / np.linalg.norm(q)
    return np.array([[1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
                     [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
                     [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)]])


def fragment(name, rng, temperature):
    """Numbers, rotated positions and thermal velocities (no net momentum)."""
    if name == "H":
        return np.array([1]), np.zeros((1, 3)), np.zeros((1, 3))
    mol = g2[name]
    z = np.array(mol.numbers)
    m = atomic_masses[z][:, None]
    x = mol.positions - (m * mol.positions).sum(0) / m.sum()
    x = x @ rotation(rng).T
    v = rng.normal(size=x.shape) * np.sqrt(2.0 * kB * temperature / m)
    v -= (m * v).sum(0) / m.sum()
    return z, x, v


def draw(names, rng):
    """A pair of fragment names and the kind of collision."""
    while True:
        u = rng.random()
        a = names[rng.integers(len(names))]
        if u < 0.45:
            kind, b = "H2+M", "H2"
        elif u < 0.58:
            kind, b = "H+M", "H"
        elif u < 0.95:
            kind, b = "M+M", names[rng.integers(len(names))]
        else:
            kind, b = "M", None
        n = len(g2[a]) + (len(g2[b]) if b else 0)
        if n <= MAX_ATOMS and n >= 3:
            return kind, a, b


def trajectory(task):
    index, opts = task
    rng = np.random.default_rng([opts.seed, index])
    names = sorted(HELD_OUT) if opts.ood else [n for n in pool() if n not in HELD_OUT]
    kind, a, b = draw(names, rng)
    za, xa, va = fragment(a, rng, rng.uniform(100, 1500) if b else rng.uniform(1500, 5000))
    if b:
        zb, xb, vb = fragment(b, rng, rng.uniform(100, 1500))
        energy = rng.uniform(0.3, 8.0)                      # collision energy, eV
        mu = 1.0 / (1.0 / atomic_masses[za].sum() + 1.0 / atomic_masses[zb].sum())
        speed = np.sqrt(2 * energy / mu)
        impact = 1.5 * np.sqrt(rng.random())
        z = np.concatenate([za, zb])
        gap = rng.uniform(2.8, 3.6)
        # put b on the +x side, pulled in until the closest contact equals gap
        lift = np.array([0.0, impact, 0.0])
        offset = 20.0
        for _ in range(60):
            pos = xb + lift + [offset, 0, 0]
            d = np.linalg.norm(pos[:, None] - xa[None], axis=2).min()
            if d <= gap + 1e-3:
                break
            offset -= max(d - gap, 1e-3) * 0.9
            if offset < 0:
                break
        x = np.vstack([xa, pos])
        share = atomic_masses[zb].sum() / (atomic_masses[za].sum() + atomic_masses[zb].sum())
        v = np.vstack([va + [speed * share, 0, 0], vb - [speed * (1 - share), 0, 0]])
        frag = np.array([0] * len(za) + [1] * len(zb))
        dt_fs = float(np.clip(0.05 / (speed * fs), 0.2, 0.5))
        approach = gap / (speed * fs)                       # fs until contact
        length_fs = float(np.clip(2.2 * approach + 25.0, 35.0, 75.0))
    else:
        z, x, v, frag = za, xa, va, np.zeros(len(za), int)
        energy, impact, dt_fs, length_fs = 0.0, 0.0, 0.5, 60.0
    mass = atomic_masses[z][:, None]
    dt = dt_fs * fs
    stat = dict(steps=0, cand=0, scf=0, multi=0, fmax=0, kept=0, drift=0)
    frames = []
    calc = calculator(z, x)
    try:
        e, f = evaluate(calc, x)
        e0 = e + 0.5 * float((mass * v * v).sum())
        stride = max(1, round(2.0 / dt_fs))                 # a candidate every 2 fs
        cands = []
        for step in range(1, int(length_fs / dt_fs) + 1):
            v += 0.5 * dt * f / mass
            x = x + dt * v
            e, f = evaluate(calc, x)
            v += 0.5 * dt * f / mass
            stat["steps"] += 1
            etot = e + 0.5 * float((mass * v * v).sum())
            if abs(etot - e0) > 0.5:                        # SCF jumped or step too long
                stat["drift"] = 1
                break
            if step % stride == 0:
                if b:
                    d = np.linalg.norm(x[frag == 0][:, None] - x[frag == 1][None], axis=2).min()
                else:
                    d = 1.0
                cands.append((step, x.copy(), e, d))
    except RuntimeError:
        stat["scf"] += 1
        cands = locals().get("cands", [])
    stat["cand"] = len(cands)
    if cands:
        # contact frames (first contact onwards) three times as likely as approach frames
        hit = next((i for i, c in enumerate(cands) if c[3] < 2.2), len(cands))
        w = np.array([1.0 if i < hit else 3.0 for i in range(len(cands))])
        take = min(opts.per_traj, len(cands))
        pick = np.sort(rng.choice(len(cands), take, replace=False, p=w / w.sum()))
        uhf = int(z.sum()) % 2
        for i in pick:
            step, pos, e_warm, dmin = cands[i]
            try:
                ec, fc = evaluate(calculator(z, pos, 0.1), pos)
            except RuntimeError:
                stat["scf"] += 1
                continue
            if abs(ec - e_warm) > 0.002 * len(z):
                stat["multi"] += 1
                continue
            if np.linalg.norm(fc, axis=1).max() > opts.fmax or not np.isfinite(fc).all():
                stat["fmax"] += 1
                continue
            pos = pos - pos.mean(0)
            frames.append((pos, ec, fc, step * dt_fs, dmin))
        stat["kept"] = len(frames)
    meta = dict(traj=index, kind=kind, a=a, b=b or "-", ecoll=energy, uhf=int(z.sum()) % 2)
    return meta, z, frames, stat


def write(out, meta, z, frames, e_atom):
    base = sum(e_atom[int(k)] for k in z)
    for pos, e, f, t, dmin in frames:
        out.write(f"{len(z)}\n")
        out.write('Properties=species:S:1:pos:R:3:forces:R:3 '
                  f'energy={e - base:.6f} total_energy={e:.6f} charge=0 uhf={meta["uhf"]} '
                  f'traj={meta["traj"]} time_fs={t:.2f} kind={meta["kind"]} '
                  f'mol_a={meta["a"]} mol_b={meta["b"]} ecoll={meta["ecoll"]:.3f} pbc="F F F"\n')
        for k, p, g in zip(z, pos, f):
            out.write(f"{chemical_symbols[k]:<2s} {p[0]:.6f} {p[1]:.6f} {p[2]:.6f} "
                      f"{g[0]:.5f} {g[1]:.5f} {g[2]:.5f}\n")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("out")
    p.add_argument("--first", type=int, default=0)
    p.add_argument("--count", type=int, default=20)
    p.add_argument("--per-traj", dest="per_traj", type=int, default=10)
    p.add_argument("--fmax", type=float, default=50.0)
    p.add_argument("--procs", type=int, default=2)
    p.add_argument("--seed", type=int, default=2026)
    p.add_argument("--ood", action="store_true", help="use only the held-out molecules")
    p.add_argument("--max-frames", type=int, default=10**9)
    opts = p.parse_args()
    e_atom = atom_energies()
    here = os.path.dirname(os.path.abspath(opts.out))
    with open(os.path.join(here, "isolated_atoms.json"), "w") as h:
        json.dump({chemical_symbols[k]: round(v, 6) for k, v in e_atom.items()}, h)
    tot, t0 = {}, time.time()
    tasks = [(i, opts) for i in range(opts.first, opts.first + opts.count)]
    with open(opts.out, "w") as out, mp.get_context("fork").Pool(opts.procs) as workers:
        for n, (meta, z, frames, stat) in enumerate(workers.imap(trajectory, tasks), 1):
            write(out, meta, z, frames, e_atom)
            for k, val in stat.items():
                tot[k] = tot.get(k, 0) + val
            if n % 50 == 0 or n == len(tasks):
                print(n, f"{time.time() - t0:.0f}s", tot, flush=True)
            if tot["kept"] >= opts.max_frames:
                print("enough frames", n, f"{time.time() - t0:.0f}s", tot, flush=True)
                workers.terminate()
                break


if __name__ == "__main__":
    main()
