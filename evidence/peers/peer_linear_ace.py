"""Linear atomic cluster expansion with `ace-jax`.

The energy of an atom is a linear function of symmetric products of its neighbours' densities, so one linear problem of least squares fits
it; `ace-jax` sets noise and prior by maximising the evidence of the training systems. Settings: `order` (neighbours in a product), `degree`
(total degree of the radial and angular functions), `cutoff`; `start`, a smaller potential whose noise and prior a large one starts
from, since each of many steps of the search for them costs as much as a fit.

The fastest way is the C++ kernel that the package ships for LAMMPS (f64, tabulated radial functions, compiled for this processor). It takes
positions and neighbours, which this file keeps up to date with a skin of 1 Å; images of atoms in periodic cells are atoms of their
own for the kernel, whose forces go back to the atom that they are images of, as in LAMMPS.
"""

import pathlib
import subprocess
import sys

import numpy as np

import common

ENVIRONMENT = "native"
ELEMENTS = [1, 6, 8]
# Twice the covalent radii in Å. The package has lengths of this kind for metals, but none for hydrogen; their mean scales the radial
# functions of a pair of elements.
BOND_LENGTHS = {1: 0.62, 6: 1.52, 8: 1.32}
SKIN = 1.0


def use_f64():
    import jax

    jax.config.update("jax_enable_x64", True)


def fit(train, validation, settings, folder):
    import ase.io

    use_f64()
    from ace_jax.basis.export import save_npz
    from ace_jax.basis.model import build_model

    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    scale = np.array([[(BOND_LENGTHS[a] + BOND_LENGTHS[b]) / 2 for b in ELEMENTS] for a in ELEMENTS])
    basis = build_model(ELEMENTS, settings["order"], settings["degree"], rcut=settings["cutoff"], r0=scale)
    save_npz(folder / "basis.npz", basis)
    for name, systems in (("train", train), ("validation", validation)):
        ready = []
        for atoms in systems:
            copy = atoms.copy()
            copy.info = {"REF_energy": atoms.info["energy"] - common.energy_of_atoms(atoms.numbers)}
            copy.arrays["REF_forces"] = copy.arrays.pop("forces")
            ready.append(copy)
        ase.io.write(folder / f"{name}.extxyz", ready)
    command = [pathlib.Path(sys.executable).with_name("aj"), "fit", "--model", folder / "basis.npz", "--r0", float(scale.mean())]
    command += ["--train", folder / "train.extxyz", "--test", folder / "validation.extxyz", "--energy-key", "REF_energy"]
    command += ["--force-key", "REF_forces", "--e0", "lsq", "--lml-solver", "cholesky", "--map-polish", "off", "--out", folder / "fit"]
    # The search for noise and prior is flat long before it would stop by itself: 15 steps, or 4 from a start that is nearly right.
    steps = 15
    if "start" in settings:
        smaller = common.RESULTS / "fits" / settings["start"]
        found = smaller / common.read_json(smaller / "fit.json")["best"] / "fit" / "theta_map.json"
        command += ["--init", found]
        steps = 4
    command += ["--map-steps", steps]
    with open(folder / "fit.log", "w") as log:
        subprocess.run([str(part) for part in command], stdout=log, stderr=subprocess.STDOUT, check=True)


def calculator(folder):
    use_f64()
    from ace_jax import ACECalculator

    class Shifted(ACECalculator):
        """Gives a molecule a cell, without which the package finds no volume, and adds the isolated atoms, which the fit was without."""

        def calculate(self, atoms=None, properties=("energy",), system_changes=()):
            if atoms.cell.rank < 3:
                atoms = common.in_a_cell(atoms)
                atoms.pbc = False
            super().calculate(atoms, properties, system_changes)
            for name in ("energy", "free_energy"):
                self.results[name] += common.energy_of_atoms(self.atoms.numbers)

    return Shifted(str(pathlib.Path(folder) / "fit" / "model.npz"), radial_table=True)


def stepper(folder, atoms):
    use_f64()
    import jax
    from ace_jax.eval import ffi, load
    from ace_jax.eval.model import lean
    from ase.neighborlist import primitive_neighbor_list

    ffi.register(ffi.library())
    model, meta = load(str(pathlib.Path(folder) / "fit" / "model.npz"))[:2]
    attributes, constants = ffi.kernel_inputs(lean(model, radial_table=True))
    cutoff = float(meta["rcut"])
    attributes["rc2"] = np.float64(cutoff**2)
    types = np.array([meta["elements"].index(number) for number in atoms.numbers], np.int32)
    constant = common.energy_of_atoms(atoms.numbers)
    n_atoms = len(atoms)
    cell, periodic = np.array(atoms.cell), atoms.pbc
    state = {}

    @jax.jit
    def kernel(positions, types, neighbours, counts, weights, constants):
        shapes = jax.ShapeDtypeStruct(types.shape, positions.dtype), jax.ShapeDtypeStruct(positions.shape, positions.dtype)
        return jax.ffi.ffi_call(ffi.TARGET, shapes)(positions, types, neighbours, counts, weights, *constants, **attributes)

    def renew(positions):
        """Neighbours within cutoff and skin, and the images among them as atoms after the real ones."""
        box = cell if periodic.any() else np.eye(3) * (np.ptp(positions) + 3 * (cutoff + SKIN))
        first, second, shift = primitive_neighbor_list("ijS", periodic, box, positions, cutoff + SKIN)
        keys, rows = np.unique(np.column_stack([second, shift]), axis=0, return_inverse=True)
        is_image = keys[:, 1:].any(axis=1)
        row_of_key = keys[:, 0].copy()
        row_of_key[is_image] = n_atoms + np.arange(is_image.sum())
        # Room for a few more images and neighbours, so that the compiled call is not made anew each time.
        n_images = -(-int(is_image.sum()) // 256) * 256 if is_image.any() else 0
        counts = np.bincount(first, minlength=n_atoms).astype(np.int32)
        most = -(-int(counts.max()) // 8) * 8
        matrix = np.full((most, n_atoms), -1, np.int32)
        place = np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
        matrix[place, first] = row_of_key[rows.ravel()]
        owner = np.zeros(n_images, int)
        offset = np.full((n_images, 3), 1e6)
        owner[: is_image.sum()] = keys[is_image, 0]
        offset[: is_image.sum()] = keys[is_image, 1:] @ cell
        put = jax.device_put
        weights = np.concatenate([np.ones(n_atoms), np.zeros(n_images)])
        state.update(positions=positions.copy(), owner=owner, offset=offset, n_real=int(is_image.sum()))
        state["arguments"] = [put(np.concatenate([types, types[owner]])), put(matrix), put(counts), put(weights), put(constants)]

    def step(positions):
        moved = state and ((positions - state["positions"]) ** 2).sum(axis=1).max() <= (SKIN / 2) ** 2
        if not moved:
            renew(positions)
        owner = state["owner"]
        everywhere = np.concatenate([positions, positions[owner] + state["offset"]]) if len(owner) else positions
        energies, forces = kernel(everywhere, *state["arguments"])
        energies, forces = np.asarray(energies), np.array(forces)
        if len(owner):
            n_real = state["n_real"]
            np.add.at(forces, owner[:n_real], forces[n_atoms : n_atoms + n_real])
        return energies[:n_atoms].sum() + constant, forces[:n_atoms]

    return step
