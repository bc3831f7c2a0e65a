"""Calculator for ASE, the atomic simulation environment.

Examples
--------
>>> from ase.build import molecule
>>> from potstill.ase import PotstillCalculator
>>> atoms = molecule("CH3CH2OH")
>>> atoms.calc = PotstillCalculator("student.safetensors")
>>> energy = atoms.get_potential_energy()
"""

from __future__ import annotations

import os
import threading
from typing import Any, Literal, TypeAlias

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from ._potstill import Model

__all__ = ["PotstillCalculator"]

Dtype: TypeAlias = Literal["float32", "float64"]


class PotstillCalculator(Calculator):
    """SchNet or PaiNN as an ASE calculator.

    Stress has ASE's sign (tension positive) and order (xx, yy, zz, yz, xz, xy). Models with direct forces have none, nor have systems
    without a three-dimensional cell: ``PropertyNotImplementedError``.

    A calculator that several threads share gives each its own results, one after the other; copies (``copy``, ``deepcopy``) share the
    compiled model and compute at the same time.

    Parameters
    ----------
    model : str, os.PathLike or Model
        Model file, or a model that is open already.
    default_dtype : {"float32", "float64"}, optional
        Precision of the network; ``"float32"`` where a file is given.
    device : "cpu", optional
        Where to compute; models run on the CPU alone.
    threads : int, optional
        Number of threads; default: one for each core.
    atoms : ase.Atoms, optional
        Atoms to attach the calculator to.

    Raises
    ------
    FileNotFoundError, PermissionError, OSError
        A model file that cannot be read.
    ValueError
        A file that is no model, a GemNet-OC, another device than the CPU, unknown precision.
    """

    name = "potstill"
    implemented_properties = ["energy", "free_energy", "energies", "forces", "stress"]

    def __init__(
        self,
        model: str | os.PathLike[str] | Model,
        default_dtype: Dtype | None = None,
        device: Any = None,
        threads: int | None = None,
        atoms: Atoms | None = None,
    ) -> None:
        if device is not None and str(device) != "cpu":
            raise ValueError(f"device {str(device)!r}: potstill's models run on the CPU; leave it out, or give 'cpu'")
        self.model = _opened(model, default_dtype, threads)
        self._lock = threading.RLock()
        super().__init__(atoms=atoms)
        # For programs that note down how a result was computed.
        self.parameters.update(model=self.model.path, default_dtype=self.model.dtype, threads=self.model.threads)
        if self.model.forces == "direct":
            self.implemented_properties = [p for p in type(self).implemented_properties if p != "stress"]

    def set(self, **kwargs: Any) -> dict[str, Any]:
        """Refuse changes: a calculator keeps its model, and another model is another calculator."""
        if kwargs:
            raise ValueError(f"{', '.join(kwargs)}: cannot be changed; make another PotstillCalculator")
        return {}

    def get_property(self, name: str, atoms: Atoms | None = None, allow_calculation: bool = True) -> Any:
        """Compute a property of atoms, or take it from the last results where nothing has changed."""
        with self._lock:
            return super().get_property(name, atoms, allow_calculation)

    def check_state(self, atoms: Atoms, tol: float = 0.0) -> list[str]:
        """List what differs from the atoms of the last results, of what a model sees: no charges or magnetic moments.

        Does what ASE's own comparison does, which would take most of the time of a calculation.
        """
        last = self.atoms
        if last is None:
            return list(all_changes)
        pairs = {
            "positions": (last.positions, atoms.positions),
            "numbers": (last.numbers, atoms.numbers),
            "cell": (last.cell.array, atoms.cell.array),
            "pbc": (last.pbc, atoms.pbc),
        }
        return [name for name, (old, new) in pairs.items() if not _same(old, new, tol)]

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Compute all properties of atoms into ``results``."""
        with self._lock:
            super().calculate(atoms, properties, system_changes)
            prediction = self.model.evaluate(self.atoms)
            self.results = {
                "energy": prediction.energy,
                "free_energy": prediction.energy,
                "energies": prediction.energies,
                "forces": prediction.forces,
            }
            if prediction.stress is not None:
                self.results["stress"] = full_3x3_to_voigt_6_stress(prediction.stress)
            elif "stress" in (properties or ()):
                raise PropertyNotImplementedError(self._why_no_stress())

    def _why_no_stress(self) -> str:
        if self.model.forces == "direct":
            return "stress: this model has direct forces, which are no gradient of its energy"
        return "stress: needs a three-dimensional cell; give the atoms three independent lattice vectors"

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.RLock()


def _same(old: np.ndarray, new: np.ndarray, tol: float) -> bool:
    if old.shape != new.shape:
        return False
    return bool((old == new).all()) or (tol > 0.0 and np.allclose(old, new, rtol=0.0, atol=tol))


def _opened(model: str | os.PathLike[str] | Model, dtype: Dtype | None, threads: int | None) -> Model:
    if not isinstance(model, Model):
        return Model(model, dtype or "float32", threads)
    if dtype not in (None, model.dtype) or threads not in (None, model.threads):
        raise ValueError("default_dtype, threads: an open model has its own; give them to potstill.Model, or give a path")
    return model
