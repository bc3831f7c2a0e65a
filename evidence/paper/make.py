"""Everything of the first table: `python evidence/paper/make.py --potstill target/release/potstill`, from the root of the repository.

Two teachers are trained on the labels that the students have, too; then three studies. It takes about eight hours of one core, goes on where it
was interrupted, and leaves all in runs/evidence/paper.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from steps import run  # noqa: E402

#: Studies and their teachers.
STUDIES = {"gemnet-to-painn": "gemnet-oc", "painn-to-painn-small": "painn", "painn-to-schnet": "painn"}
LARGE = ("model.hidden_channels=128", "model.n_layers=4", "training.learning_rate=3e-3")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--potstill", default="potstill", help="the program (default: potstill)")
    arguments.add_argument("--jobs", default="2", help="trainings at a time (default: 2)")
    arguments.add_argument("--study", choices=tuple(STUDIES), help="only this one and its teacher (default: all)")
    chosen = arguments.parse_args()
    studies = STUDIES if chosen.study is None else {chosen.study: STUDIES[chosen.study]}
    out = HERE.parents[1] / "runs" / "evidence" / "paper"
    settings = [word for setting in LARGE for word in ("--set", setting)]
    for name, extra in (("gemnet-oc", []), ("painn", settings)):
        if name in studies.values():
            folder = out / name
            train = [chosen.potstill, "train", HERE / f"{name}.toml", "--out", folder, "--resume", "--threads", "1", *extra]
            run(folder / "done", train, mark=True)
    for study in studies:
        command = [chosen.potstill, "study", HERE / f"{study}.toml", "--out", out / study, "--jobs", chosen.jobs]
        run(out / study / "table.md", [*command, "--threads", chosen.jobs])
        print((out / study / "table.md").read_text())


main()
