"""What a potential says of silicon: lattice constant, elastic constants, formation energy of a vacancy, and what an answer costs.

Student and teacher go through the same code as ASE calculators, so that a difference of two numbers is one of the potentials.

* The lattice constant is where the pressure of a cubic cell of 8 atoms vanishes.
* Elastic constants are slopes of the stress: (σ(+δ) − σ(−δ)) / 2δ with δ = 0.005, atoms relaxed in each strained cell. A strain ε_xx
  gives C11 and C12; a shear γ_yz gives C44, where the relaxation matters: atoms of the diamond structure move against each other.
* The vacancy is relaxed in the cell of the perfect crystal: E(N − 1) − E(N) (N − 1) / N, for N = 64, as in training, and N = 216, a
  larger cell than the student has ever seen. Atoms start from sites displaced at random by 0.05 Å, the same for all potentials.

    python properties.py --model model.safetensors --output properties.json     (no --model: the teacher)
    python properties.py --model model.safetensors --speed --structures melt.extxyz --output speed.json

`--speed` times both potentials in turn, in one process, on one thread: each structure is given to the teacher once and to the student
twenty times, with its neighbours found again each time. The ratio is a median of the ratios of these pairs, so that a machine that is
busy with other work slows both alike. Times are those of the processor, not of the clock.
"""

import argparse
import json
import os
import time

import numpy as np
from ase.build import bulk
from ase.optimize import BFGS

#: GPa in eV/Å³.
GPA = 160.21766208
#: Strain on either side of the relaxed cell.
STRAIN = 0.005


def cubic(lattice: float):
    """The cubic cell of 8 atoms."""
    return bulk("Si", "diamond", a=lattice, cubic=True)


def lattice_constant(calculator) -> float:
    """Lattice constant in Å at which the pressure vanishes, by the secant rule."""

    def pressure(lattice: float) -> float:
        atoms = cubic(lattice)
        atoms.calc = calculator
        return float(np.mean(atoms.get_stress()[:3]))

    a, b = 5.40, 5.50
    at_a, at_b = pressure(a), pressure(b)
    for _ in range(20):
        a, b, at_a = b, b - at_b * (b - a) / (at_b - at_a), at_b
        if abs(b - a) < 1e-5:
            break
        at_b = pressure(b)
    return b


def relaxed(atoms, fmax: float, steps: int) -> tuple[bool, int]:
    """Relaxes the atoms in their cell; whether that worked, and steps."""
    optimizer = BFGS(atoms, logfile=None)
    return bool(optimizer.run(fmax=fmax, steps=steps)), optimizer.get_number_of_steps()


def stress_at(strain: np.ndarray, lattice: float, calculator) -> tuple[np.ndarray, bool]:
    """Stress in GPa (xx, yy, zz, yz, xz, xy) of the strained cell with relaxed atoms, and whether they were relaxed."""
    atoms = cubic(lattice)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    atoms.calc = calculator
    converged, _ = relaxed(atoms, fmax=0.0005, steps=100)
    return atoms.get_stress() * GPA, converged


def slope(strain: np.ndarray, lattice: float, calculator) -> tuple[np.ndarray, bool]:
    """Change of the stress in GPa with the strain."""
    (more, well), (less, also) = (stress_at(sign * strain, lattice, calculator) for sign in (1, -1))
    return (more - less) / (2 * STRAIN), well and also


def elastic_constants(lattice: float, calculator) -> dict:
    """C11, C12 and C44 in GPa, and whether all relaxations converged."""
    stretch = np.diag([STRAIN, 0.0, 0.0])
    # Half of an engineering strain on each side of the diagonal.
    shear = np.zeros((3, 3))
    shear[1, 2] = shear[2, 1] = STRAIN / 2
    (stretched, well), (sheared, also) = slope(stretch, lattice, calculator), slope(shear, lattice, calculator)
    constants = {"C11": float(stretched[0]), "C12": float((stretched[1] + stretched[2]) / 2), "C44": float(sheared[3])}
    return {**constants, "converged": well and also}


def vacancy(lattice: float, repeats: int, calculator) -> dict:
    """Formation energy in eV of a vacancy in a cell of `repeats`³ cubic cells, and how the relaxation went."""
    perfect = cubic(lattice) * (repeats, repeats, repeats)
    perfect.calc = calculator
    whole = perfect.get_potential_energy() / len(perfect)
    atoms = perfect.copy()
    del atoms[0]
    atoms.positions += np.random.default_rng(0).normal(0.0, 0.05, atoms.positions.shape)
    atoms.calc = calculator
    converged, steps = relaxed(atoms, fmax=0.01, steps=400)
    energy = atoms.get_potential_energy() - len(atoms) * whole
    return {"energy": float(energy), "converged": converged, "steps": steps}


def properties(calculator) -> dict:
    """All of them."""
    lattice = lattice_constant(calculator)
    answer = {"lattice_constant": lattice, **elastic_constants(lattice, calculator)}
    answer["energy_per_atom"] = float(_energy(cubic(lattice), calculator) / 8)
    answer["vacancy_64"] = vacancy(lattice, 2, calculator)
    answer["vacancy_216"] = vacancy(lattice, 3, calculator)
    return answer


def _energy(atoms, calculator) -> float:
    atoms.calc = calculator
    return atoms.get_potential_energy()


def speed(model_path: str, structures_path: str, n: int = 20, students: int = 20) -> dict:
    """Processor's time in µs per atom and answer (energy, forces, stress) of teacher and student, and the ratios of the pairs."""
    import ase.io
    import potstill
    import teacher as teacher_program

    teacher = teacher_program.calculator()
    model = potstill.Model(model_path, dtype="float32", threads=1)
    structures = ase.io.read(structures_path, ":")
    structures = [structures[k * len(structures) // (n + 2)] for k in range(n + 2)]
    random = np.random.default_rng(0)
    times = []
    for atoms in structures:
        start = time.process_time()
        teacher.calculate(atoms, properties=["energy", "forces", "stress"])
        slow = time.process_time() - start
        copies = []
        for _ in range(students):
            copy = atoms.copy()
            copy.positions += random.normal(0.0, 0.01, copy.positions.shape)
            copies.append(copy)
        start = time.process_time()
        for copy in copies:
            model.evaluate(copy)
        fast = (time.process_time() - start) / students
        times.append((1e6 * slow / len(atoms), 1e6 * fast / len(atoms)))
    # The first two answers of a program load and compile what it needs.
    slow, fast = np.array(times[2:]).T
    ratios = slow / fast
    return {
        "atoms": len(structures[0]),
        "pairs": len(ratios),
        "teacher_us_per_atom": float(np.median(slow)),
        "student_us_per_atom": float(np.median(fast)),
        "ratio": float(np.median(ratios)),
        "ratio_quartiles": [float(q) for q in np.quantile(ratios, [0.25, 0.75])],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="model file of a student; default: the teacher")
    parser.add_argument("--speed", action="store_true", help="times of teacher and student in place of properties")
    parser.add_argument("--structures", help="structures to time")
    parser.add_argument("--output", required=True, help="file for the numbers")
    arguments = parser.parse_args()
    if arguments.speed:
        answer = speed(arguments.model, arguments.structures)
    elif arguments.model:
        from potstill.ase import PotstillCalculator

        answer = properties(PotstillCalculator(arguments.model, default_dtype="float64", threads=1))
    else:
        import teacher

        answer = properties(teacher.calculator())
    with open(arguments.output + ".part", "w", encoding="utf-8") as file:
        json.dump(answer, file, indent=1)
    os.replace(arguments.output + ".part", arguments.output)
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
