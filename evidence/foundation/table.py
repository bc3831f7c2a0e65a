"""Prints the tables, as Markdown, from the files that make.py has left: means over the random seeds with their standard errors.

    python evidence/foundation/table.py

What is not there yet is left out, and the number of seeds stands beside each student. Errors are against the teacher on structures of
the teacher's own dynamics. The constant predictor knows the mean energy per atom and the mean stress of each set of test structures
itself, and says that there are no forces: no constant is better.
"""

import argparse
import glob
import json
import os

import ase.io
import numpy as np
from distributions import difference, overlap
from make import COMPARED, RUNS, STUDENTS
from properties import GPA

NAMES = {
    "student": "student, three rounds",
    "displaced": "displaced structures only, one round",
    "no-stress": "the student's structures, no stress in the loss",
    "half": "the student's structures, half the width (32)",
}


class Results:
    """Files of numbers in the folder of the results."""

    def __init__(self, out: str):
        self.out = out

    def read(self, name: str):
        try:
            with open(os.path.join(self.out, name), encoding="utf-8") as file:
                return json.load(file)
        except FileNotFoundError:
            return None

    def of_seeds(self, kind: str, end: str = "", start: str = "") -> list:
        """What is there of a file for each random seed."""
        paths = sorted(glob.glob(os.path.join(self.out, f"{start}{kind}-[0-9]*{end}.json")))
        names = [os.path.basename(path) for path in paths]
        wanted = [name for name in names if name[len(start + kind) + 1 :].removesuffix(f"{end}.json").isdigit()]
        return [self.read(name) for name in wanted]

    def rounds(self, kind: str) -> list:
        paths = sorted(glob.glob(os.path.join(self.out, f"{kind}-[0-9]", "rounds.json")))
        return [self.read(os.path.relpath(path, self.out)) for path in paths]


def mean(values, digits: int, factor: float = 1.0) -> str:
    """Mean and standard error."""
    values = factor * np.array(values, dtype=float)
    if len(values) == 0:
        return "–"
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{values.mean():.{digits}f} ± {values.std(ddof=1) / np.sqrt(len(values)):.{digits}f}"


def row(*cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |")


def head(*cells):
    row(*cells)
    print("|" + "---|" * len(cells))


def constant(path: str) -> tuple[float, float, float, float]:
    """Errors of the best constants: energy MAE per atom, force MAE and RMSE, stress MAE, in eV and Å."""
    frames = ase.io.read(path, ":")
    energies = np.array([atoms.get_potential_energy() / len(atoms) for atoms in frames])
    forces = np.concatenate([atoms.get_forces() for atoms in frames])
    stresses = np.array([atoms.get_stress(voigt=False) for atoms in frames])
    return (
        float(np.abs(energies - energies.mean()).mean()),
        float(np.abs(forces).mean()),
        float(np.sqrt((forces**2).mean())),
        float(np.abs(stresses - stresses.mean(axis=0)).mean()),
    )


def errors(results: Results):
    print("### Errors against the teacher, on the teacher's own dynamics\n")
    print("Energy MAE in meV/atom; force MAE and RMSE in meV/Å; stress MAE in GPa.\n")
    head("test structures", "", "energy", "forces, MAE", "forces, RMSE", "stress")
    for test in RUNS:
        path = os.path.join(results.out, f"test-{test}.extxyz")
        if not os.path.exists(path):
            continue
        kind, kelvin = test.rsplit("-", 1)
        energy, force, root, stress = constant(path)
        title = f"{kind}, {int(kelvin):,} K ({len(ase.io.read(path, ':'))})"
        row(title, "constant", f"{1000 * energy:.1f}", f"{1000 * force:.0f}", f"{1000 * root:.0f}", f"{GPA * stress:.2f}")
        for student in STUDENTS:
            found = results.of_seeds(student, f"-{test}", "errors-")
            if found:
                of = lambda key: [metrics[key] for metrics in found]
                cells = (mean(of("energy_mae_per_atom"), 2, 1000), mean(of("forces_mae"), 1, 1000))
                cells += (mean(of("forces_rmse"), 1, 1000), mean(of("stress_mae"), 3, GPA))
                row("", f"{NAMES[student]} (n = {len(found)})", *cells)


def elastic(results: Results):
    print("\n### Lattice, elasticity, vacancy\n")
    head("", "a, Å", "C11, GPa", "C12, GPa", "C44, GPa", "vacancy of 64, eV", "vacancy of 216, eV")

    def line(name: str, found: list):
        of = lambda key: [numbers[key] for numbers in found]
        cells = [mean(of("lattice_constant"), 4)] + [mean(of(key), 1) for key in ("C11", "C12", "C44")]
        for key in ("vacancy_64", "vacancy_216"):
            good = [vacancy["energy"] for vacancy in of(key) if vacancy["converged"]]
            failed = len(found) - len(good)
            cells.append(mean(good, 3) + (f" ({failed} not converged)" if failed else ""))
        soft = sum(not numbers["converged"] for numbers in found)
        row(name + (f" ({soft} with a strained cell that did not relax)" if soft else ""), *cells)

    teacher = results.read("properties-teacher.json")
    if teacher:
        line("teacher", [teacher])
    for student in STUDENTS:
        found = results.of_seeds(student, "", "properties-")
        worked = [numbers for numbers in found if "failed" not in numbers]
        if found:
            failed = f"; {len(found) - len(worked)} failed" if len(worked) < len(found) else ""
            line(f"{NAMES[student]} (n = {len(worked)}{failed})", worked)


def dynamics(results: Results):
    print("\n### Dynamics at zero pressure\n")
    print("Against the teacher's run: mean |Δg(r)| from 1.5 to 6 Å, and the part of the distributions of distances in common, in %.\n")
    head("run", "", "density, g/cm³", "mean abs. difference of g(r)", "distances in common, %")
    for test in COMPARED:
        teacher = results.read(f"teacher-{test}.json")
        if not teacher:
            continue
        one, two, whole = (teacher[part] for part in ("first", "second", "whole"))
        densities = f"{whole['density']:.3f} (halves {one['density']:.3f}, {two['density']:.3f})"
        noise = f"halves: {difference(one['g'], two['g']):.4f}", f"halves: {100 * overlap(one['g'], two['g']):.2f}"
        row(test, "teacher", densities, *noise)
        for student in STUDENTS:
            found = results.of_seeds(student, f"-{test}")
            lasted = [run["whole"] for run in found if "broke" not in run]
            if not found:
                continue
            name = f"{NAMES[student]} (n = {len(lasted)}" + (f"; {len(found) - len(lasted)} broke)" if len(lasted) < len(found) else ")")
            cells = mean([run["density"] for run in lasted], 3), mean([difference(run["g"], whole["g"]) for run in lasted], 4)
            row("", name, *cells, mean([overlap(run["g"], whole["g"]) for run in lasted], 2, 100))


def rounds(results: Results):
    print("\n### Rounds\n")
    print("Validation errors are on structures of the run's own rounds, which differ from run to run.\n")
    head("", "answers of the teacher", "structures", "energy, meV/atom; forces, meV/Å (validation)", "trajectories of 4 ps that lasted", "largest drift, meV/atom/ps")
    for student in STUDENTS:
        found = results.rounds(student)
        if not found:
            continue
        between = lambda values: f"{min(values):,}" if min(values) == max(values) else f"{min(values):,} to {max(values):,}"
        last = [outcome["rounds"][-1] for outcome in found]
        judged = [entry["against_teacher"] for entry in last]
        energy = mean([metrics["energy_mae_per_atom"] for metrics in judged], 2, 1000)
        force = mean([metrics["forces_mae"] for metrics in judged], 1, 1000)
        checks = [entry for outcome in found for entry in outcome["dynamics"]["temperatures"]]
        total = sum(entry["n_trajectories"] for entry in checks)
        lasted = total - sum(entry["n_broken"] for entry in checks)
        drifts = [abs(entry["drift"]) for entry in checks if entry["drift"] is not None]
        cells = between([outcome["n_calls"] for outcome in found]), between([entry["n_labels"] for entry in last])
        row(f"{NAMES[student]} (n = {len(found)})", *cells, f"{energy}; {force}", f"{lasted} of {total}", f"{1000 * max(drifts, default=np.nan):.2f}")


def speed(results: Results):
    print("\n### Cost\n")
    head("student", "teacher, µs per atom and answer", "student, µs per atom and answer", "ratio (quartiles)")
    for student in ("student", "half"):
        if numbers := results.read(f"speed-{student}.json"):
            low, high = numbers["ratio_quartiles"]
            cells = f"{numbers['teacher_us_per_atom']:,.0f}", f"{numbers['student_us_per_atom']:.1f}"
            row(NAMES[student], *cells, f"{numbers['ratio']:.0f} ({low:.0f} to {high:.0f})")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="runs/evidence/foundation", help="folder of the results; default: runs/evidence/foundation")
    results = Results(parser.parse_args().out)
    errors(results)
    elastic(results)
    dynamics(results)
    rounds(results)
    speed(results)


if __name__ == "__main__":
    main()
