"""Any ASE calculator as a live teacher: the filter protocol.

potstill starts a program once, writes systems as extended XYZ to its standard input, and reads the same systems with ``energy`` (eV),
``forces`` (eV/Å) and, where the calculator has them, ``stress`` (eV/Å³) and ``atomic_energies`` (eV) from its standard output, in the
same order. Each system is answered as soon as it is read. Standard error is the program's own. The program ends when its input does.

Examples
--------
The whole of a teacher with the EMT that comes with ASE:

>>> from ase.calculators.emt import EMT
>>> from potstill.teacher import serve
>>> serve(EMT)
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Collection
from typing import Any, BinaryIO, NoReturn

import numpy as np
from ase.stress import voigt_6_to_full_3x3_stress

from ._frames import Frame, frames

__all__ = ["serve"]

#: Properties of ASE that a teacher can answer with.
PROPERTIES = ("energy", "forces", "stress", "energies")


def serve(calculator: Any | Callable[[], Any], properties: Collection[str] | None = None) -> None:
    """Answer systems on standard input with a calculator's energies and forces on standard output, until the input ends.

    Whatever else is printed to standard output, by Python or by other code in the process, goes to standard error meanwhile. A function
    that makes the calculator is called after that, so that what its imports print cannot disturb the answers.

    Metadata and columns of the systems go back as they came; old energies, forces and stresses do not.

    Parameters
    ----------
    calculator : ase.calculators.calculator.BaseCalculator, or a function or class that makes one
        Calculator in ASE's units.
    properties : collection of {"energy", "forces", "stress", "energies"}, optional
        What to answer with; default: energy and forces, and those of the others that the calculator has. Stress only for systems
        with a three-dimensional cell.

    Raises
    ------
    SystemExit
        With status 1 and a message on standard error, when a system cannot be read or the calculator raises.
    """
    questions, answers = _take_streams()
    n_answered = 0
    try:
        _check(properties)
        if not hasattr(calculator, "get_property") or isinstance(calculator, type):
            calculator = calculator()
        for frame in frames(questions):
            answers.write(_answer(frame, calculator, properties).encode())
            answers.flush()
            n_answered += 1
    except KeyboardInterrupt:
        _end(130)
    except BrokenPipeError:
        # Or closing the file at the end would fail once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), answers.fileno())
        _end(1, "teacher: nobody reads the answers any more")
    except Exception as error:
        traceback.print_exc()
        line = " ".join(str(error).split())
        _end(1, f"teacher: system {n_answered}: {type(error).__name__}: {line}")


def _take_streams() -> tuple[BinaryIO, BinaryIO]:
    """The streams of the protocol, out of reach of everything else in the process."""
    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    # What was printed and not yet written goes to standard error, too.
    sys.stdout.flush()
    return questions, answers


def _check(properties: Collection[str] | None) -> None:
    unknown = [name for name in properties or () if name not in PROPERTIES]
    if unknown:
        raise ValueError(f"properties: {unknown[0]!r} is none of {', '.join(PROPERTIES)}")


def _answer(frame: Frame, calculator: Any, properties: Collection[str] | None) -> str:
    atoms = frame.atoms()
    wanted = properties or [p for p in PROPERTIES if p in ("energy", "forces", *calculator.implemented_properties)]
    energy = float(calculator.get_property("energy", atoms))
    columns = {}
    for name, column in (("forces", "forces"), ("energies", "atomic_energies")):
        if name in wanted and (values := _optional(name, atoms, calculator, properties)) is not None:
            columns[column] = _shaped(values, (len(atoms), 3) if name == "forces" else (len(atoms),), name)
    stress = None
    if "stress" in wanted and atoms.cell.rank == 3:
        stress = _optional("stress", atoms, calculator, properties)
    if stress is not None and np.size(stress) == 6:
        stress = voigt_6_to_full_3x3_stress(stress)
    return frame.answer(energy, columns, None if stress is None else _shaped(stress, (3, 3), "stress"))


def _optional(name: str, atoms: Any, calculator: Any, properties: Collection[str] | None) -> Any:
    """A property; none where the calculator turns out not to have it, unless it must."""
    try:
        return calculator.get_property(name, atoms)
    except NotImplementedError:
        if name == "forces" or name in (properties or ()):
            raise
        return None


def _shaped(values: Any, shape: tuple[int, ...], name: str) -> np.ndarray:
    array = np.asarray(values, dtype=float)
    if array.shape != shape:
        raise ValueError(f"the calculator's {name} have shape {array.shape}, not {shape}")
    return array


def _end(status: int, line: str = "") -> NoReturn:
    if line:
        print(line, file=sys.stderr, flush=True)
    sys.exit(status)
