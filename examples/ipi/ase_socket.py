"""Relaxes a structure in ASE with a model of potstill behind a socket.

    pip install ase
    python examples/ipi/ase_socket.py model.safetensors start.extxyz relaxed.extxyz

`--driver` names the command where `potstill` is not found.
"""

import argparse
import shlex
import subprocess

import ase.io
from ase.calculators.socketio import SocketIOCalculator
from ase.optimize import LBFGS


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("start", help="file of the structure, in eV and Å; also the driver's template")
    parser.add_argument("output")
    parser.add_argument("--driver", default="potstill ipi")
    parser.add_argument("--fmax", type=float, default=0.01, help="largest force at the end in eV/Å")
    parser.add_argument("--steps", type=int, default=500, help="steps at most")
    args = parser.parse_args()

    def launch(atoms, properties=None, port=None, unixsocket=None):
        # ASE's units, so that energies agree with the model's to the last figure.
        flags = ["--template", args.start, "--unix", unixsocket, "--dtype", "f64", "--units", "ase"]
        return subprocess.Popen([*shlex.split(args.driver), args.model, *flags])

    atoms = ase.io.read(args.start, index=0)
    with SocketIOCalculator(unixsocket="potstill-relax", launch_client=launch) as calculator:
        atoms.calc = calculator
        LBFGS(atoms).run(fmax=args.fmax, steps=args.steps)
        ase.io.write(args.output, atoms)


if __name__ == "__main__":
    main()
