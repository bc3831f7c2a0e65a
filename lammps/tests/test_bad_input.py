"""What cannot be done is said on one line, and nothing crashes."""

import subprocess

import pytest
from conftest import MODELS, acetylacetone, model_path
from test_pair import crystal

GOOD = model_path("trained")


def change(text, old, new):
    """Text with one thing changed."""
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("H C O\n", "H C\n", "an element (or NULL) for each of the 3 atom types"),
        ("* *", "1 1", "must start with * *"),
        ("H C O\n", "H C Xx\n", "Xx (atom type 3) is no element"),
        ("H C O\n", "H C Au\n", "the model was not trained on Au (atom type 3)"),
        ("H C O\n", "NULL NULL NULL\n", "no atom type to work on"),
        (str(GOOD), "nothing.safetensors", "nothing.safetensors"),
        ("precision double", "precision half", "precision is half; must be single or double"),
        ("precision double", "speed high", "unknown or incomplete option speed"),
        ("precision double", "threads 0", "threads is 0; must be 1 or more"),
        ("precision double", "precision", "unknown or incomplete option precision"),
        ("units metal", "newton off\nunits metal", "needs newton on"),
        ("units metal", "units lj", "units are lj; must be metal or real"),
    ],
)
def test_settings(lammps, old, new, expected):
    output = lammps.run(change(lammps.setup(crystal(), GOOD), old, new) + "run 0\n", check=False)
    assert expected in output, output
    assert "ERROR" in output


def test_models(lammps):
    folder = lammps.folder
    (folder / "text.safetensors").write_text("no model")
    direct, gemnet = MODELS / "version-2-painn_smooth.safetensors", sorted(MODELS.glob("*gemnet*"))
    nearest = [path for path in sorted(MODELS.glob("*.safetensors")) if path.name in ("version-2-painn.safetensors",)]
    cases = [(direct, "forces of the model are no gradient of its energy"), (folder / "text.safetensors", "text.safetensors")]
    cases += [(path, "the engine runs SchNet and PaiNN") for path in gemnet if path.suffix == ".safetensors"]
    newer = (GOOD.read_bytes()).replace(b'"format_version":2', b'"format_version":9').replace(b'\\"format_version\\":2', b'\\"format_version\\":9')
    assert newer != GOOD.read_bytes()
    (folder / "newer.safetensors").write_bytes(newer)
    cases.append((folder / "newer.safetensors", "newer"))
    for path, expected in cases:
        output = lammps.run(lammps.setup(crystal(), path) + "run 0\n", check=False)
        assert expected in output, output


def test_direct_forces_where_they_are_asked_for(lammps):
    direct = MODELS / "version-2-painn_smooth.safetensors"
    output = lammps.run(lammps.setup(crystal(), direct, style="potstill_allow_direct") + "run 0\n")
    assert "WARNING" in output and "direct forces" in output


@pytest.mark.parametrize("ranks", [1, 2])
def test_lost_atoms(lammps, ranks):
    text = lammps.setup(acetylacetone(), GOOD, style="") + "velocity all set 1e4 0 0\nfix 1 all nve\nrun 50\n"
    output = lammps.run(text, ranks, check=False)
    assert "Lost atoms" in output, output


def test_positions_that_are_no_numbers(lammps):
    text = lammps.setup(crystal(), GOOD) + "variable bad atom 0.0/0.0\nset atom 3 x NAN\nrun 0\n"
    output = lammps.run(change(text, "variable bad atom 0.0/0.0\n", ""), check=False)
    assert "ERROR" in output, output


def test_atoms_at_one_place(lammps):
    system = acetylacetone()
    system.positions[1] = system.positions[0]
    output = lammps.run(lammps.setup(system, GOOD) + "run 0\n", check=False)
    assert "are at one place" in output, output


def test_bonded_neighbours_that_are_left_out(lammps):
    text = lammps.setup(crystal(), GOOD)
    text = change(text, "atom_style atomic", "atom_style molecular")
    path = lammps.folder / "system.data"
    lines, atoms = [], False
    for line in path.read_text().splitlines():
        atoms = atoms or line == "Atoms"
        words = line.split()
        lines.append(f"{words[0]} 1 {' '.join(words[1:])}" if atoms and len(words) == 5 else line)
    path.write_text("\n".join(lines) + "\n")
    output = lammps.run(text + "run 0\n", check=False)
    assert "special_bonds leaves bonded neighbours out" in output, output
    lammps.run(text + "special_bonds lj/coul 1 1 1\nrun 0\n")


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("lammps_version(void *handle) { (void)handle; return 20240829; }", "compiled for LAMMPS 20250722, and this is 20240829"),
        (
            "lammps_extract_setting(void *handle, const char *name) { (void)handle; (void)name; return 8; }",
            "compiled with -D LAMMPS_SIZES=SMALLBIG, and this LAMMPS needs BIGBIG",
        ),
    ],
)
def test_another_lammps(lammps, function, expected):
    # A library that says so stands in for another LAMMPS.
    (lammps.folder / "other.c").write_text(f"int {function}\n")
    subprocess.run(["cc", "-shared", "-fPIC", "other.c", "-o", "other.so"], cwd=lammps.folder, check=True)
    text = lammps.setup(crystal(), GOOD) + "run 0\n"
    output = lammps.run(text, check=False, environment={"LD_PRELOAD": str(lammps.folder / "other.so")})
    assert expected in output, output
    assert "Unrecognized pair style 'potstill'" in output, output
