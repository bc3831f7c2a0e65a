"""Compiled part of potstill."""

import os
from collections.abc import Iterable, Sequence
from typing import Any, Literal, Protocol, TypeAlias, final, overload

import numpy as np
import numpy.typing as npt

__all__ = ["Model", "PotstillError", "Prediction", "__version__"]

__version__: str

class _AtomsLike(Protocol):
    """Anything with the arrays of an ``ase.Atoms``."""

    @property
    def numbers(self) -> npt.ArrayLike: ...
    @property
    def positions(self) -> npt.ArrayLike: ...
    @property
    def cell(self) -> Any: ...
    @property
    def pbc(self) -> Any: ...

_SystemLike: TypeAlias = _AtomsLike | dict[str, Any]

class PotstillError(Exception):
    """Failure that is neither bad input nor a file that cannot be used, such as too little memory."""

@final
class Prediction:
    """Energies, forces, virial and stress of one system."""

    @property
    def energy(self) -> float:
        """Energy in eV."""
    @property
    def energies(self) -> npt.NDArray[np.float64]:
        """Energy of each atom in eV, summing to `energy`. Shape: `[n]`."""
    @property
    def forces(self) -> npt.NDArray[np.float64]:
        """Force on each atom in eV/Å. Shape: `[n, 3]`."""
    @property
    def virial(self) -> npt.NDArray[np.float64] | None:
        """Virial `-∂E/∂strain` in eV, or `None` for direct forces. Shape: `[3, 3]`."""
    @property
    def stress(self) -> npt.NDArray[np.float64] | None:
        """Stress in eV/Å³, tension positive; `None` for direct forces and without a three-dimensional cell. Shape: `[3, 3]`."""

@final
class Model:
    """SchNet or PaiNN, compiled for this processor."""

    def __new__(
        cls,
        path: str | os.PathLike[str],
        dtype: Literal["float32", "float64"] = "float32",
        threads: int | None = None,
    ) -> Model: ...
    @overload
    def evaluate(self, atoms: _SystemLike) -> Prediction:
        """Energy, forces and stress of one system."""
    @overload
    def evaluate(
        self,
        *,
        numbers: npt.ArrayLike,
        positions: npt.ArrayLike,
        cell: npt.ArrayLike | None = None,
        pbc: bool | Sequence[bool] | npt.NDArray[np.bool_] | None = None,
    ) -> Prediction:
        """Energy, forces and stress of one system, given as arrays."""
    def evaluate_many(self, systems: Iterable[_SystemLike]) -> list[Prediction]:
        """Energies, forces and stresses of many systems as one batch."""
    def __copy__(self) -> Model: ...
    def __deepcopy__(self, _memo: Any) -> Model: ...
    @property
    def cutoff(self) -> float:
        """Largest distance in Å at which two atoms see each other."""
    @property
    def elements(self) -> list[str]:
        """Chemical symbols of the elements that the model was trained on, by atomic number."""
    @property
    def forces(self) -> Literal["gradient", "direct"]:
        """Source of the forces."""
    @property
    def info(self) -> dict[str, Any]:
        """What the model file says."""
    @property
    def dtype(self) -> Literal["float32", "float64"]:
        """Precision of the network."""
    @property
    def threads(self) -> int | None:
        """Number of threads, or `None` for one for each core."""
    @property
    def path(self) -> str:
        """Path of the model file."""
