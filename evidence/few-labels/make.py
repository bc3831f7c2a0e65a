"""Everything of the second table: `python evidence/few-labels/make.py --potstill target/release/potstill`, from the root of the repository.

For each molecule: 450 structures with labels of DFT train MACE; with MACE as live teacher, three rounds find structures; then a study compares students
with and without them. For acetylacetone the mean of three students alone is another teacher. `pip install "potstill[ase]" mace-torch==0.3.16` comes first. It takes some eighteen hours of one core, goes on where it
was interrupted, and leaves all in runs/evidence/few-labels.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from steps import copy, run, write  # noqa: E402

import frames  # noqa: E402

DATA = HERE.parents[1] / "data"
RUNS = HERE.parents[1] / "runs" / "evidence" / "few-labels"

#: Files of a molecule: structures to learn from, structures of the tests.
FILES = {
    "acac": ("acac/train_300K.extxyz.xz", ["acac/test_300K.extxyz.xz", "acac/test_600K.extxyz.xz"]),
    "3bpa": ("3bpa/train_300K.extxyz.xz", ["3bpa/train_mixedT.extxyz.xz"]),
}


def prepare(molecule: str, potstill: str) -> None:
    """Draw 450 structures to learn from; those that are left choose checkpoints. No structure of a test set is among them."""
    out = RUNS / molecule
    source, tests = FILES[molecule]
    held_out = [frame for test in tests for frame in frames.read(DATA / test)]
    pool = frames.without(frames.read(DATA / source), held_out)
    write(out / "pool.extxyz", lambda: "".join(frame.text() for frame in pool))
    parts = ["--parts", "train=450", f"val={len(pool) - 450}", "--seed", "0"]
    run(out / "parts" / "val.extxyz", [potstill, "data", "split", out / "pool.extxyz", *parts, "--out", out / "parts"])
    for part in ("train", "val"):
        write(out / f"{part}.extxyz", lambda part=part: frames.for_mace(frames.read(out / "parts" / f"{part}.extxyz")))


def distil(chosen: argparse.Namespace, here: Path, out: Path, suffix: str) -> None:
    """Let a teacher's rounds find structures, then compare students with and without them."""
    rounds = [chosen.potstill, "distill", here / f"rounds{suffix}.toml", "--out", out / f"rounds{suffix}", "--resume", "--threads", "1"]
    run(out / f"rounds{suffix}" / "done", rounds, mark=True)
    study = [chosen.potstill, "study", here / f"study{suffix}.toml", "--out", out / f"study{suffix}"]
    run(out / f"study{suffix}" / "table.md", [*study, "--jobs", chosen.jobs, "--threads", chosen.jobs])
    print((out / f"study{suffix}" / "table.md").read_text())


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--potstill", default="potstill", help="the program (default: potstill)")
    arguments.add_argument("--jobs", default="2", help="trainings at a time (default: 2)")
    arguments.add_argument("--molecule", choices=tuple(FILES), help="only this one (default: both)")
    chosen = arguments.parse_args()
    for molecule in FILES if chosen.molecule is None else (chosen.molecule,):
        here, out = HERE / molecule, RUNS / molecule
        prepare(molecule, chosen.potstill)
        train = [Path(sys.executable).parent / "mace_run_train", "--config", here / "mace.yaml", "--work_dir", "mace", "--model_dir", "mace"]
        run(out / "mace" / "mace.model", train, folder=out, log=out / "mace.log")
        distil(chosen, here, out, "")
        if (here / "study-committee.toml").exists():
            for alone in sorted((out / "study").glob("painn-*/alone")):
                copy(alone, out / "study-committee" / alone.relative_to(out / "study"))
            distil(chosen, here, out, "-committee")


main()
