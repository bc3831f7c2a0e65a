"""The virtual environments in which the peers run, with pinned versions. `python3 environments.py [FOLDER]` makes those that are missing.

    native     linear ACE, MTP, polynomial potentials; wants g++ and Eigen (`apt-get install g++ libeigen3-dev`), several minutes
    torch      MACE with its C++ implementation, training and evaluation of NEP; about 6 GB
    potstill   potstill's Python package, from this repository (wants Rust) or from elsewhere

An environment that exists is taken as it is: `--environment torch=/path/to/venv` of `make.py` names one in another place.
"""

import pathlib
import subprocess
import sys

import common

FOLDER = common.RESULTS / "environments"
PACKAGES = {
    "native": [
        "numpy==2.4.6",
        "ase==3.29.0",
        "matplotlib==3.11.2",
        "ace-jax==0.4.1",
        "motep==0.2.0",
        "pypolymlp==0.22.1",
        "phonopy==4.10.0",
    ],
    "torch": [
        "numpy==2.4.6",
        "ase==3.29.0",
        "torch==2.15.0",
        "mace-torch==0.3.16",
        "symmetrix-xl==0.1.1",
        "torchnep==1.0.7",
        "calorine==4.1",
        "nep-adapters==1.0.3",
    ],
    "potstill": ["numpy==2.4.6", f"{common.REPOSITORY}[ase]"],
}
# Source packages that are unpacked into `sources` in an environment, for files that their wheels leave out.
SOURCES = {"native": ["motep==0.2.0"]}


def python_of(name, places):
    """The Python of an environment; `places` names folders of environments that lie elsewhere."""
    return pathlib.Path(places.get(name, FOLDER / name)) / "bin" / "python"


def make(name, places):
    python = python_of(name, places)
    folder = python.parent.parent
    ready = folder / "ready.txt"
    if not (name in places or ready.exists()):
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PACKAGES[name]], check=True)
        ready.write_text("\n".join(PACKAGES[name]) + "\n")
    for package in SOURCES.get(name, []):
        sources = folder / "sources"
        if not (sources / package.replace("==", "-")).exists():
            sources.mkdir(exist_ok=True)
            name_of_package = package.split("==")[0]
            command = [str(python), "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", name_of_package, "--dest", str(sources)]
            subprocess.run([*command, package], check=True)
            archive = next(sources.glob(f"{name_of_package}*.tar.gz"))
            subprocess.run(["tar", "-xzf", str(archive), "-C", str(sources)], check=True)
    return python


if __name__ == "__main__":
    if len(sys.argv) > 1:
        FOLDER = pathlib.Path(sys.argv[1])
    for name in PACKAGES:
        print(name, make(name, {}))
