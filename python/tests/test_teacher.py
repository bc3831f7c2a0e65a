"""The live teacher: a program between two pipes."""

import io
import os
import subprocess
import sys
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from potstill._frames import frames

EXAMPLES = Path(__file__).parents[2] / "examples"

#: A calculator that talks where it must not.
TALKATIVE = """
import os, sys
print("before", flush=False)
from ase.calculators.emt import EMT
from potstill.teacher import serve

class Talkative(EMT):
    def __init__(self):
        super().__init__()
        print("made")

    def calculate(self, *args, **kwargs):
        print("computing")
        os.write(1, b"from C\\n")
        os.system("echo from a child")
        assert sys.stdin.read() == "", "the questions are not for the calculator"
        super().calculate(*args, **kwargs)

serve(Talkative)
"""

#: A calculator that raises at the second system.
FAILING = """
from ase.calculators.emt import EMT
from potstill.teacher import serve

class Failing(EMT):
    count = 0

    def calculate(self, *args, **kwargs):
        self.count += 1
        if self.count == 2:
            raise RuntimeError("the SCF did\\nnot converge")
        super().calculate(*args, **kwargs)

serve(Failing())
"""

#: A calculator that sees metadata and columns, and has no stress for some systems.
CURIOUS = """
import numpy as np
from ase.calculators.calculator import Calculator, PropertyNotImplementedError
from potstill.teacher import serve

class Curious(Calculator):
    implemented_properties = ["energy", "forces", "stress"]

    def calculate(self, atoms=None, properties=("energy",), changes=()):
        super().calculate(atoms, properties, changes)
        assert atoms.info["charge"] == -1 and atoms.info["name"] == "a b" and atoms.info["flag"] is True
        assert list(atoms.info["levels"]) == [0.5, 1.0, 2.0] and atoms.info["made"] == {"by": [1, "x"]}
        assert list(atoms.get_initial_charges()) == [0.25, -1.25] and list(atoms.get_tags()) == [1, 2]
        assert not atoms.constraints and "forces" not in atoms.arrays
        self.results = {"energy": atoms.info["charge"], "forces": atoms.positions / 3}
        if "stress" in properties:
            raise PropertyNotImplementedError("none today")

serve(Curious())
"""

CURIOUS_FRAME = (
    '2\\nLattice="8 0 0 0 8 0 0 0 8" Properties=species:S:1:pos:R:3:move_mask:L:1:tags:I:1:forces:R:3:initial_charges:R:1 '
    'energy=-5.0 charge=-1 name="a b" flag levels="0.5 1.0 2.0" made="_JSON {\\"by\\": [1, \\"x\\"]}" stress="1 2 3 4 5 6" pbc="T T F"\\n'
    "H 0.1234567890123456789 0 1e-7 F 1 9.0 9.0 9.0 0.25\\nO 3.0 -0.3333333333333333 5 T 2 9.0 9.0 9.0 -1.25\\n"
).replace("\\n", "\n")


def start(program):
    arguments = [str(program)] if isinstance(program, Path) else ["-c", program]
    pipe = subprocess.PIPE
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.Popen([sys.executable, *arguments], stdin=pipe, stdout=pipe, stderr=pipe, env=environment)


def ask(program, text):
    child = start(program)
    out, err = child.communicate(text.encode(), timeout=120)
    return child.returncode, out.decode(), err.decode()


def written(*systems):
    text = io.StringIO()
    ase.io.write(text, systems, format="extxyz")
    return text.getvalue()


def read(text):
    return ase.io.read(io.StringIO(text), ":", format="extxyz")


def metals():
    slab = bulk("Cu", cubic=True) * (2, 1, 1)
    slab.rattle(0.1, seed=3)
    return [slab, bulk("Al", cubic=True), Atoms("Cu2", [[0, 0, 0], [2.3, 0.1, 0]])]


def test_answers_of_emt():
    status, out, err = ask(EXAMPLES / "teacher_emt.py", written(*metals()))
    assert (status, err) == (0, "")
    asked = read(written(*metals()))
    for atoms, answer in zip(asked, read(out), strict=True):
        np.testing.assert_array_equal(answer.positions, atoms.positions)
        np.testing.assert_array_equal(answer.cell, atoms.cell)
        assert (answer.pbc == atoms.pbc).all() and (answer.numbers == atoms.numbers).all()
        atoms.calc = EMT()
        assert answer.get_potential_energy() == pytest.approx(atoms.get_potential_energy(), abs=1e-12)
        np.testing.assert_allclose(answer.get_forces(), atoms.get_forces(), atol=1e-12)
        np.testing.assert_allclose(answer.arrays["atomic_energies"], atoms.get_potential_energies(), atol=1e-12)
        assert ("stress" in answer.calc.results) == (atoms.cell.rank == 3)
        if atoms.cell.rank == 3:
            np.testing.assert_allclose(answer.get_stress(), atoms.get_stress(), atol=1e-12)


def test_each_system_is_answered_at_once():
    child = start(EXAMPLES / "teacher_emt.py")
    # A teacher that waited for more, or kept answers back, would let this hang.
    for atoms in metals() * 2:
        child.stdin.write(written(atoms).encode())
        child.stdin.flush()
        n_atoms = int(child.stdout.readline())
        assert n_atoms == len(atoms)
        assert b"energy=" in child.stdout.readline()
        assert all(len(child.stdout.readline().split()) == 8 for _ in range(n_atoms))
    child.stdin.close()
    assert child.wait(timeout=60) == 0 and child.stdout.read() == b""
    child.stdout.close()
    child.stderr.close()


def test_what_is_printed_goes_to_standard_error():
    status, out, err = ask(TALKATIVE, written(*metals()))
    assert status == 0, err
    assert len(read(out)) == 3 and out == ask(EXAMPLES / "teacher_emt.py", written(*metals()))[1]
    for text in ("before", "made", "computing", "from C", "from a child"):
        assert text in err and text not in out


def test_an_exception_ends_the_program():
    status, out, err = ask(FAILING, written(*metals()))
    assert status == 1 and len(read(out)) == 1
    assert err.splitlines()[-1] == "teacher: system 1: RuntimeError: the SCF did not converge"
    assert "Traceback" in err


def test_text_goes_back_as_it_came():
    status, out, err = ask(CURIOUS, CURIOUS_FRAME)
    assert (status, err) == (0, "")
    head, comment, first, second = out.splitlines()
    assert head == "2"
    # Old labels are gone, all else stands as it was written.
    assert comment == (
        'Lattice="8 0 0 0 8 0 0 0 8" charge=-1 name="a b" flag levels="0.5 1.0 2.0" made="_JSON {\\"by\\": [1, \\"x\\"]}" pbc="T T F" '
        "Properties=species:S:1:pos:R:3:move_mask:L:1:tags:I:1:initial_charges:R:1:forces:R:3 energy=-1.0"
    )
    assert first.startswith("H 0.1234567890123456789 0 1e-7 F 1 0.25 0.041152263004115")
    assert second == f"O 3.0 -0.3333333333333333 5 T 2 -1.25 1.0 {-0.3333333333333333 / 3!r} {5 / 3!r}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hello\n", "expected a number of atoms, found `hello`"),
        ("0\n\n", "expected a number of atoms, found `0`"),
        ("2\n\nCu 0 0 0\n", "the input ends within a system"),
        ("1\n\nCu 0 0\n", "atom 0 has 3 words, and `Properties` 4"),
        ("1\n\nXx 0 0 0\n", "`Xx` is no element"),
        ("1\nProperties=species:S:1:pos\nCu 0 0 0\n", "Properties: expected name:kind:count"),
        ("1\nProperties=species:S:1:x:R:3\nCu 0 0 0\n", "no column `pos`"),
        ("1\npbc=\"T F\"\nCu 0 0 0\n", "pbc: expected T or F three times, found `T F`"),
        ("1\na={1 2\nCu 0 0 0\n", "the { in the comment line is never closed"),
        ("1\nLattice=\"1 2 3\"\nCu 0 0 0\n", "cannot reshape"),
    ],
)
def test_bad_text(text, expected):
    status, out, err = ask(EXAMPLES / "teacher_emt.py", text)
    assert (status, out) == (1, "") and expected in err.splitlines()[-1]
    assert err.splitlines()[-1].startswith("teacher: system 0: ValueError: ")


def test_properties_that_are_asked_for():
    program = "from ase.calculators.emt import EMT; from potstill.teacher import serve; serve(EMT, properties={})"
    text = written(bulk("Cu", cubic=True))
    _, out, _ = ask(program.replace("{}", "['energy', 'forces']"), text)
    assert "stress" not in out and "atomic_energies" not in out and ":forces:R:3" in out
    status, _, err = ask(program.replace("{}", "['force']"), text)
    assert status == 1 and "properties: 'force' is none of energy, forces, stress, energies" in err
    no_stress = "from ase.calculators.tip3p import TIP3P; from potstill.teacher import serve; serve(TIP3P(), properties=['stress'])"
    water = molecule("H2O")
    water.set_cell([9.0, 9.0, 9.0])
    status, out, err = ask(no_stress, written(water[[0, 1, 2]]))
    assert (status, out) == (1, "") and "PropertyNotImplementedError" in err


def test_a_reader_that_goes_away_ends_the_program_quietly():
    child = start(EXAMPLES / "teacher_emt.py")
    child.stdout.close()
    _, err = child.communicate(written(*metals()).encode(), timeout=60)
    assert child.returncode == 1 and err.decode() == "teacher: nobody reads the answers any more\n"


def test_frames_are_read_one_by_one():
    class Lines(io.BytesIO):
        def readline(self, *args):
            line = super().readline(*args)
            seen.append(line)
            return line

    seen = []
    systems = frames(Lines(b"1\n\nCu 0 0 0\n\n1\n\nAu 0 0 0\n"))
    assert next(systems).atoms().symbols[0] == "Cu" and len(seen) == 3
    assert next(systems).atoms().symbols[0] == "Au" and next(systems, None) is None
