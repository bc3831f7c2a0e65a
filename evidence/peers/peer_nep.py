"""Neuroevolution potentials (NEP4): descriptors of Chebyshev and angular functions, and one small network for each element.

GPUMD trains them on a GPU. Here `torchnep` trains the same model by gradients on a processor and writes the same `nep.txt`; two stages,
forces first and energies last, as its manual advises. Settings: `cutoff` (radial and angular), `n_max`, `basis_size`, `l_max`, `neuron`,
`epochs`, `batch`.

NEP knows periodic systems only: a molecule lies in a cell of 20 Å. Training is in single precision, which would round total energies of
-9,391 eV, so the fit is to energies without the isolated atoms. The C++ program that `calorine` and `nep-adapters` wrap evaluates it (f64):
`nep-adapters`, called with arrays, is the fastest way, and `calorine` the ASE calculator.
"""

import pathlib

import numpy as np

import common

ENVIRONMENT = "torch"
SIDE = 20.0


def write(path, systems):
    """Extended XYZ as torchnep reads it."""
    with open(path, "w") as file:
        for atoms in systems:
            energy = atoms.info["energy"] - common.energy_of_atoms(atoms.numbers)
            cell = f"{SIDE} 0 0 0 {SIDE} 0 0 0 {SIDE}"
            file.write(f'{len(atoms)}\nLattice="{cell}" Properties=species:S:1:pos:R:3:force:R:3 energy={energy:.8f} pbc="T T T"\n')
            for symbol, position, force in zip(atoms.symbols, atoms.positions, atoms.arrays["forces"]):
                file.write(" ".join([symbol, *(f"{x:.8f}" for x in [*position, *force])]) + "\n")


def fit(train, validation, settings, folder):
    import torch

    torch.set_num_threads(1)
    from torchnep import train_nep

    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "train.xyz", train)
    write(folder / "validation.xyz", validation)
    words = {
        "type": "3 H C O",
        "version": 4,
        "cutoff": settings["cutoff"],
        "n_max": settings["n_max"],
        "basis_size": settings["basis_size"],
        "l_max": settings["l_max"],
        "neuron": settings["neuron"],
        "batch": settings["batch"],
        "epoch": settings["epochs"],
        "lr": settings["lr"],
        "lambda_v": 0,
        "stage2": 1,
        "start_stage2": int(0.7 * settings["epochs"]),
        "stage2_lambda_v": 0,
    }
    (folder / "nep.in").write_text("".join(f"{name} {value}\n" for name, value in words.items()))
    train_nep(
        str(folder / "nep.in"),
        str(folder / "train.xyz"),
        output_dir=str(folder / "fit"),
        valid_file=str(folder / "validation.xyz"),
        device="cpu",
        run_seed=1,
        print_interval=20,
        prediction_interval=0,
        restart=False,
    )


def file_of(folder):
    return str(pathlib.Path(folder) / "fit" / "nep_best.txt")


def calculator(folder):
    from ase.calculators.calculator import all_changes
    from calorine.calculators import CPUNEP

    class InACell(CPUNEP):
        """Gives a molecule the cell that NEP needs, and adds the energies of the isolated atoms."""

        def calculate(self, atoms=None, properties=None, system_changes=all_changes):
            super().calculate(atoms if atoms.cell.rank == 3 else common.in_a_cell(atoms, SIDE), properties, system_changes)
            self.results["energy"] += common.energy_of_atoms(self.atoms.numbers)

    return InACell(file_of(folder))


def stepper(folder, atoms):
    from nep_adapters import NEPCalculator

    nep = NEPCalculator(file_of(folder), backend="cpu")
    types, _, box, periodic = nep.compose_structures([atoms if atoms.cell.rank == 3 else common.in_a_cell(atoms, SIDE)])
    counts = np.array([len(atoms)], np.int32)
    constant = common.energy_of_atoms(atoms.numbers)
    native = nep.model

    def step(positions):
        energies, forces, _ = native.calculate(types, box, positions, counts, periodic)
        return energies.sum() + constant, forces

    return step
