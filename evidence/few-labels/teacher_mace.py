"""A MACE model as a live teacher: `python teacher_mace.py mace.model`. Needs `pip install "potstill[ase]" mace-torch==0.3.16`."""

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

from potstill.teacher import serve


def calculator():
    from mace.calculators import MACECalculator

    return MACECalculator(model_paths=sys.argv[1], device="cpu", default_dtype="float32")


serve(calculator, properties={"energy", "forces", "energies"})
