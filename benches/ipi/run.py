"""Steps per second of i-PI with potstill's driver: path-integral dynamics of acetylacetone, the beads as single systems to one driver,
to one driver each, and as one batch.

    python -m venv venv && venv/bin/pip install ipi==3.3.1 ase
    cargo build --release -p potstill-ipi --examples
    venv/bin/python benches/ipi/run.py MODEL --threads 1

`--driver` names another command, such as "potstill ipi". The ways take turns, `--rounds` times; medians are printed as JSON. Times are
those between the first connection and the last word of i-PI, as the driver says them: starting the programs is not counted.
"""

import argparse
import json
import lzma
import os
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
from io import StringIO
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms

ROOT = Path(__file__).resolve().parents[2]

INPUT = """<simulation verbosity='quiet'>
  <output prefix='out'>
    <properties stride='{steps}' filename='out'> [ step, conserved{{electronvolt}}, potential{{electronvolt}} ] </properties>
  </output>
  <total_steps> {steps} </total_steps>
  <prng> <seed> 31415 </seed> </prng>
  <ffsocket name='potstill' mode='unix' pbc='false'>
    <address> {name} </address> <latency> 1e-5 </latency> <batch_size> {batch_size} </batch_size>
  </ffsocket>
  <system>
    <initialize nbeads='{beads}'>
      <file mode='ase'> start.extxyz </file>
      <velocities mode='thermal' units='kelvin'> 300 </velocities>
    </initialize>
    <forces> <force forcefield='potstill'/> </forces>
    <motion mode='dynamics'>
      <dynamics mode='nvt'>
        <timestep units='femtosecond'> 0.25 </timestep>
        <thermostat mode='pile_g'> <tau units='femtosecond'> 100 </tau> </thermostat>
      </dynamics>
    </motion>
    <ensemble> <temperature units='kelvin'> 300 </temperature> </ensemble>
  </system>
</simulation>
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--driver", default=str(ROOT / "target/release/examples/driver"), help="command of the driver")
    parser.add_argument("--beads", type=int, default=4)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="threads of each driver")
    args = parser.parse_args()
    text = lzma.open(ROOT / "data/acac/test_300K.extxyz.xz", "rt").read()
    molecule = ase.io.read(StringIO(text), index=0, format="extxyz")
    model = args.model.resolve()
    ways = {
        "one driver, single systems": (1, 1),
        f"{args.beads} drivers, single systems": (args.beads, 1),
        f"one driver, batches of {args.beads}": (1, args.beads),
    }
    found = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        start = Atoms(molecule.symbols, molecule.positions, cell=np.eye(3) * 30.0, pbc=False)
        ase.io.write("start.extxyz", start)
        for _ in range(args.rounds):
            for way, (n_drivers, batch_size) in ways.items():
                found[way].append(once(args, model, n_drivers, batch_size))
    report = {
        way: {
            "steps_per_second": round(args.steps / statistics.median(total for total, _ in times), 1),
            "all_rounds": [round(args.steps / total, 1) for total, _ in times],
            "share_of_time_in_the_model": round(statistics.median(model / total for total, model in times), 3),
        }
        for way, times in found.items()
    }
    print(json.dumps({"beads": args.beads, "threads": args.threads, "steps": args.steps, "ways": report}, indent=2))


def once(args, model, n_drivers, batch_size):
    """Seconds of a run, and those in the model of the driver that had most to do."""
    name = f"potstill-bench-{os.getpid()}"
    Path("input.xml").write_text(INPUT.format(name=name, batch_size=batch_size, beads=args.beads, steps=args.steps))
    ipi = subprocess.Popen([sys.executable, str(Path(sys.executable).parent / "i-pi"), "input.xml"], stdout=subprocess.DEVNULL)
    command = [*shlex.split(args.driver), str(model), "--template", "start.extxyz", "--unix", name, "--patience", "60"]
    environment = {**os.environ, "RAYON_NUM_THREADS": str(args.threads)}
    drivers = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) for _ in range(n_drivers)]
    words = [driver.communicate(timeout=600)[1] for driver in drivers]
    assert ipi.wait(timeout=60) == 0 and all(driver.returncode == 0 for driver in drivers), words
    # "… after 501 messages with 501 systems in 4.05 s, 0.71 s of them in the potential"
    times = [[float(t) for t in re.findall(r"([\d.]+) s\b", text.strip().splitlines()[-1])] for text in words]
    return max(times)


if __name__ == "__main__":
    main()
