"""Checks potstill's driver with the real servers, i-PI and ASE's SocketIOCalculator, over UNIX sockets and TCP on this machine.

    python -m venv venv && venv/bin/pip install ipi==3.3.1 ase
    cargo build --release -p potstill-ipi --examples
    venv/bin/python crates/potstill-ipi/tests/with_ipi.py

`--driver` and `--predict` name other commands, such as "potstill ipi" and "potstill predict". Prints what was compared; exit status
1 at the first check that fails.
"""

import argparse
import lzma
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.calculators import socketio

ROOT = Path(__file__).resolve().parents[3]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--driver", default=str(ROOT / "target/release/examples/driver"), help="command of the driver")
    parser.add_argument("--predict", default=str(ROOT / "target/release/examples/predict"), help="command that predicts")
    parser.add_argument("--model", type=Path, default=ROOT / "testdata/models/version-2-schnet.safetensors")
    parser.add_argument("--steps", type=int, default=100, help="steps of dynamics")
    args = parser.parse_args()
    text = lzma.open(ROOT / "data/acac/test_300K.extxyz.xz", "rt").read()
    molecule = ase.io.read(StringIO(text), index=0, format="extxyz")
    molecule = Atoms(molecule.symbols, molecule.positions, cell=np.eye(3) * 30.0, pbc=False)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        bench = Bench(args, molecule)
        for check in [
            bench.ase_molecule,
            bench.ase_crystal,
            bench.ipi_virial,
            bench.ipi_path_integrals,
            bench.ipi_constant_pressure,
            bench.ipi_other_composition,
            bench.ipi_that_dies,
        ]:
            print(f"== {check.__name__}: {check.__doc__}", flush=True)
            check()
    print("all passed")


class Bench:
    """Model, molecule, and the commands to try."""

    def __init__(self, args, molecule):
        self.args, self.model, self.molecule = args, args.model.resolve(), molecule
        self.crystal = crystal(molecule)
        self.n_names = 0

    # -- checks ------------------------------------------------------------------------------------------------------------

    def ase_molecule(self):
        """ASE, molecule: energies and forces are those of the engine, over both kinds of sockets"""
        frames = [rattled(self.molecule, k) for k in range(4)]
        for address in ["unix", "tcp"]:
            self.compare_with_ase(address, frames)

    def ase_crystal(self):
        """ASE, triclinic cell that changes: energies, forces and stress; stress against finite differences of energies"""
        frames = [rattled(self.crystal, k, strain=0.02) for k in range(4)]
        for address in ["unix", "tcp"]:
            self.compare_with_ase(address, frames)
        with self.ase_calculator("unix", frames[1]) as calculator:
            atoms = frames[1].copy()
            atoms.calc = calculator
            stress = atoms.get_stress(voigt=False)
            numerical = numerical_stress(atoms)
        difference = np.abs(stress - numerical).max()
        print(f"   stress against finite differences: {difference:.2e} of {np.abs(stress).max():.2e} eV/Å³")
        assert difference < 1e-6 * np.abs(stress).max()

    def ipi_virial(self):
        """i-PI, NVE of the triclinic cell: potential and virial that i-PI prints are those of the engine"""
        start = rattled(self.crystal, 1, strain=0.02)
        self.run_ipi(start, nbeads=1, steps=1, dynamics="nve", units="i-pi")
        row = properties("out.out")
        expected = self.predict([start])[0]
        energy, virial = expected["energy"], -expected["stress"]
        found = row["virial_md{ev/ang3}"][0]
        wanted = virial[[0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]]
        print(f"   potential {row['potential{electronvolt}'][0]} {energy}\n   virial {found}\n   wanted {wanted}")
        assert abs(row["potential{electronvolt}"][0] - energy) < 1e-7 * abs(energy)
        # i-PI keeps an upper triangular cell: it must be that of the template.
        assert np.abs(found - wanted).max() < 1e-6 * np.abs(wanted).max()

    def ipi_path_integrals(self):
        """i-PI, 4 beads: batches of 4 and of 3 (padded), and single systems give one trajectory; atomic energies add up"""
        trajectories = []
        for batch_size in [1, 3, 4]:
            seconds, talk = self.run_ipi(
                self.molecule, nbeads=4, steps=self.args.steps, batch_size=batch_size, extra=["--atomic-energies"], units="i-pi"
            )
            rows = properties("out.out")
            potential, conserved = rows["potential{electronvolt}"], rows["conserved{electronvolt}"]
            print(
                f"   batches of {batch_size}: {self.args.steps / seconds:.0f} steps/s; conserved quantity moves "
                f"{1e3 * np.ptp(conserved):.1f} meV, potential {1e3 * np.ptp(potential):.0f} meV; {talk}"
            )
            # i-PI prints eight or nine figures of each number.
            atomic = np.array([np.loadtxt(f"out.energies_{bead}") for bead in range(4)])
            assert np.abs(atomic.sum(axis=2).mean(axis=0) - potential).max() < 1e-4
            assert np.ptp(conserved) < 0.2 * np.ptp(potential), "the conserved quantity drifts"
            trajectories.append(np.array([frame.positions for frame in ase.io.read("out.pos_0.xyz", index=":")]))
        for other in trajectories[1:]:
            difference = np.abs(other - trajectories[0]).max()
            print(f"   largest difference of positions: {difference:.1e} Å")
            assert difference < 1e-5

    def ipi_constant_pressure(self):
        """i-PI, NPT: the conserved quantity stays, which it does only if the virial has the right sign and size"""
        _, talk = self.run_ipi(self.crystal, nbeads=1, steps=2 * self.args.steps, dynamics="npt", units="i-pi")
        rows = properties("out.out")
        conserved, potential, volume = (rows[k] for k in ["conserved{electronvolt}", "potential{electronvolt}", "volume{angstrom3}"])
        print(
            f"   conserved quantity moves {1e3 * np.ptp(conserved):.2f} meV, potential {1e3 * np.ptp(potential):.0f} meV, "
            f"volume {volume.min():.1f} to {volume.max():.1f} Å³; {talk}"
        )
        assert np.ptp(volume) > 0.005 * volume[0], "the cell does not move"
        assert np.ptp(conserved) < 0.05 * np.ptp(potential)

    def ipi_other_composition(self):
        """i-PI with another number of atoms than the template: one line, exit status other than 0, i-PI waits on"""
        name = self.new_name()
        write_input(self.molecule[:-1], name, nbeads=1, steps=1)
        ase.io.write("template.extxyz", self.molecule)
        with started(ipi_command(), "ipi.log") as ipi:
            driver = subprocess.run(self.driver_command("template.extxyz", ["--unix", name]), capture_output=True, text=True)
            assert ipi.poll() is None
        print(f"   {driver.stderr.strip().splitlines()[-1]}")
        assert driver.returncode != 0 and "sent 14 atoms, but the template has 15" in driver.stderr

    def ipi_that_dies(self):
        """i-PI that is killed: the driver ends"""
        name = self.new_name()
        write_input(self.molecule, name, nbeads=4, steps=1_000_000, batch_size=4)
        ase.io.write("template.extxyz", self.molecule)
        Path("out.out").unlink(missing_ok=True)
        command = self.driver_command("template.extxyz", ["--unix", name, "--atomic-energies"])
        with started(ipi_command(), "ipi.log") as ipi, started(command, "driver.log") as driver:
            wait_for(lambda: Path("out.out").exists() and len(Path("out.out").read_text().splitlines()) > 20)
            ipi.send_signal(signal.SIGKILL)
            driver.wait(timeout=60)
        print(f"   exit status {driver.returncode}: {Path('driver.log').read_text().strip().splitlines()[-1]}")
        Path(f"/tmp/ipi_{name}").unlink(missing_ok=True)

    # -- helpers -----------------------------------------------------------------------------------------------------------

    def compare_with_ase(self, address, frames):
        expected = self.predict(frames)
        worst = {"energy": 0.0, "forces": 0.0, "stress": 0.0}
        with self.ase_calculator(address, frames[0]) as calculator:
            atoms = frames[0].copy()
            atoms.calc = calculator
            for frame, wanted in zip(frames, expected):
                atoms.set_cell(frame.cell)
                atoms.positions[:] = frame.positions
                found = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
                if frame.pbc.any():
                    found["stress"] = atoms.get_stress(voigt=False)
                for key, value in found.items():
                    error = np.abs(value - wanted[key]).max() / np.abs(wanted[key]).max()
                    worst[key] = max(worst[key], error)
        print(f"   {address}: largest relative differences {({k: float(f'{v:.1e}') for k, v in worst.items()})}")
        assert max(worst.values()) < 1e-10

    @contextmanager
    def ase_calculator(self, address, template):
        """A SocketIOCalculator with a driver in f64 and ASE's units."""
        ase.io.write("template.extxyz", template)
        extra = ["--dtype", "f64", "--units", "ase"]
        if address == "unix":
            name = self.new_name()
            where, flags = {"unixsocket": name}, ["--unix", name]
        else:
            port = free_port()
            where, flags = {"port": port}, ["--address", f"localhost:{port}"]
        drivers = []

        def launch(*_, **__):
            with open("driver.log", "w") as log:
                drivers.append(subprocess.Popen(self.driver_command("template.extxyz", flags + extra), stderr=log))
            return drivers[0]

        with socketio.SocketIOCalculator(**where, launch_client=launch) as calculator:
            yield calculator
        assert drivers[0].wait(timeout=60) == 0, Path("driver.log").read_text()

    def run_ipi(self, start, nbeads, steps, dynamics="nvt", batch_size=1, extra=(), units="codata"):
        """Runs i-PI with drivers; returns the seconds that the steps took and the last word of the first driver."""
        name = self.new_name()
        for old in Path(".").glob("out.*"):
            old.unlink()
        write_input(start, name, nbeads, steps, dynamics, batch_size)
        ase.io.write("template.extxyz", start)
        flags = ["--unix", name, "--dtype", "f64", "--units", units, "--patience", "60", *extra]
        with started(ipi_command(), "ipi.log") as ipi:
            begin = time.monotonic()
            with started(self.driver_command("template.extxyz", flags), "driver.log") as driver:
                code = ipi.wait(timeout=600)
                seconds = time.monotonic() - begin
                assert code == 0, Path("ipi.log").read_text()[-2000:]
                assert driver.wait(timeout=60) == 0, Path("driver.log").read_text()
        return seconds, Path("driver.log").read_text().strip().splitlines()[-1]

    def predict(self, frames):
        """Energy, forces and stress of systems without a socket between."""
        ase.io.write("frames.extxyz", [Atoms(f.symbols, f.positions, cell=f.cell, pbc=f.pbc) for f in frames])
        # Positions in files are rounded: take them back from there.
        for frame, read in zip(frames, ase.io.read("frames.extxyz", index=":")):
            frame.set_cell(read.cell)
            frame.positions[:] = read.positions
        flags = ["--model", str(self.model), "--input", "frames.extxyz", "--output", "predicted.extxyz"]
        if "potstill" in Path(shlex.split(self.args.predict)[0]).name:
            flags += ["--dtype", "f64", "--overwrite"]
        subprocess.run([*shlex.split(self.args.predict), *flags], check=True, stderr=subprocess.DEVNULL)
        results = []
        for atoms in ase.io.read("predicted.extxyz", index=":"):
            of = atoms.calc.results
            stress = atoms.get_stress(voigt=False) if "stress" in of else None
            results.append({"energy": of["energy"], "forces": of["forces"], "stress": stress})
        return results

    def driver_command(self, template, flags):
        return [*shlex.split(self.args.driver), str(self.model), "--template", template, *flags]

    def new_name(self):
        self.n_names += 1
        return f"potstill-{os.getpid()}-{self.n_names}"


def crystal(molecule):
    """The molecule in a triclinic box that is small enough for neighbours to be felt; lattice as i-PI wants it."""
    positions = molecule.positions @ np.linalg.svd(molecule.positions - molecule.positions.mean(axis=0))[2].T
    size = np.ptp(positions, axis=0) + 2.8
    cell = np.diag(size) + np.array([[0.0, 0, 0], [0.7, 0, 0], [-0.4, 0.5, 0]])
    return Atoms(molecule.symbols, positions, cell=cell, pbc=True)


def rattled(atoms, seed, strain=0.0):
    """Another structure; the strain leaves the first lattice vector along x and the second in the xy plane."""
    rng = np.random.default_rng(seed)
    atoms = atoms.copy()
    matrix = np.eye(3) + strain * np.tril(rng.uniform(-1, 1, (3, 3)))
    atoms.set_cell(atoms.cell @ matrix, scale_atoms=True)
    atoms.positions += rng.normal(0.0, 0.02, atoms.positions.shape)
    return atoms


def numerical_stress(atoms, step=1e-4):
    """Stress by central differences of the energy, symmetric strains."""
    stress, volume, start = np.zeros((3, 3)), atoms.get_volume(), atoms.copy()
    for i in range(3):
        for j in range(i, 3):
            energies = []
            for sign in [1, -1]:
                strain = np.eye(3)
                strain[i, j] += 0.5 * sign * step
                strain[j, i] += 0.5 * sign * step
                atoms.set_cell(start.cell @ strain)
                atoms.positions[:] = start.positions @ strain
                energies.append(atoms.get_potential_energy())
            stress[i, j] = stress[j, i] = (energies[0] - energies[1]) / (2 * step * volume)
    return stress


def write_input(start, name, nbeads, steps, dynamics="nvt", batch_size=1, stride=5):
    """input.xml and start.extxyz of i-PI."""
    ase.io.write("start.extxyz", start)
    pressure = "<pressure units='megapascal'> 10 </pressure>" if dynamics == "npt" else ""
    thermostat = "<thermostat mode='pile_g'> <tau units='femtosecond'> 100 </tau> </thermostat>"
    barostat = (
        "<barostat mode='isotropic'> <tau units='femtosecond'> 200 </tau>"
        "<thermostat mode='langevin'> <tau units='femtosecond'> 200 </tau> </thermostat> </barostat>"
    )
    inside = {"nve": "", "nvt": thermostat, "npt": thermostat.replace("pile_g", "langevin") + barostat}[dynamics]
    extras = f"<trajectory filename='energies' stride='{stride}' extra_type='atomic_energies'> extras </trajectory>"
    quantities = "step, conserved{electronvolt}, potential{electronvolt}, temperature{kelvin}, volume{angstrom3}"
    if dynamics == "nve":
        quantities += ", virial_md{ev/ang3}"
    Path("input.xml").write_text(
        f"""<simulation verbosity='low'>
  <output prefix='out'>
    <properties stride='{stride}' filename='out' flush='1'> [ {quantities} ] </properties>
    <trajectory filename='pos' stride='{stride}' format='xyz' bead='0'> positions{{angstrom}} </trajectory>
    {extras if nbeads > 1 else ''}
  </output>
  <total_steps> {steps} </total_steps>
  <prng> <seed> 31415 </seed> </prng>
  <ffsocket name='potstill' mode='unix' pbc='false'>
    <address> {name} </address> <latency> 1e-4 </latency> <batch_size> {batch_size} </batch_size>
  </ffsocket>
  <system>
    <initialize nbeads='{nbeads}'>
      <file mode='ase'> start.extxyz </file>
      <velocities mode="thermal" units="kelvin"> 300 </velocities>
    </initialize>
    <forces> <force forcefield='potstill'/> </forces>
    <motion mode='dynamics'>
      <dynamics mode='{dynamics}'> <timestep units='femtosecond'> 0.25 </timestep> {inside} </dynamics>
    </motion>
    <ensemble> <temperature units='kelvin'> 300 </temperature> {pressure} </ensemble>
  </system>
</simulation>
"""
    )


def ipi_command():
    return [sys.executable, str(Path(sys.executable).parent / "i-pi"), "input.xml"]


def properties(path):
    """Columns of a file of properties, by name; several columns of one name are one array."""
    lines = [line[1:].split("-->") for line in Path(path).read_text().splitlines() if line.startswith("#")]
    rows, columns = np.loadtxt(path, ndmin=2), {}
    for place, about in lines:
        ends = [int(word) for word in place.split()[1].split("-")]
        found = rows[:, ends[0] - 1 : ends[-1]]
        columns[about.split(":")[0].strip()] = found if len(ends) > 1 else found[:, 0]
    return columns


@contextmanager
def started(command, log):
    """A program that is ended with the block."""
    with open(log, "w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(timeout=60)


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happens"
        time.sleep(0.05)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextmanager
def bind_loopback(port):
    """ASE listens on every interface; this machine's own will do."""
    with socket.socket(socket.AF_INET) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", port))
        yield server


socketio.bind_inetsocket = bind_loopback

if __name__ == "__main__":
    main()
