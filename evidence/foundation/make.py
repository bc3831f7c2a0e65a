"""Makes everything: seeds, the teacher's own dynamics, students, controls, and what all of them say of silicon.

    python evidence/foundation/make.py --potstill target/release/potstill

One core is enough, and each step leaves a file. A run that was ended goes on with the same command: what has its file is not done
again, and dynamics and trainings go on from their last checkpoint. At the end `table.py` prints the tables.

Order of things: seeds (`seeds.py`); the teacher's dynamics, whose structures are the test; for each random seed the student and its
controls, their errors, their dynamics and their properties; the cost of an answer. Nothing is chosen on the test structures.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys

import ase.io

HERE = os.path.dirname(os.path.abspath(__file__))

#: The teacher's dynamics at zero pressure: start, temperature in K, steps of 2 fs to forget the start, steps after that, and every which
#: step is a test structure.
RUNS = {
    "crystal-300": ("crystal", 300, 200, 300, 10),
    "vacancy-300": ("vacancy", 300, 200, 300, 10),
    "crystal-1000": ("crystal", 1000, 300, 1500, 20),
    "vacancy-1000": ("vacancy", 1000, 200, 400, 10),
    "melt-2000": ("melt", 2000, 500, 2500, 20),
}
#: Those whose g(r) is compared, with student's runs of that many steps.
COMPARED = ("crystal-1000", "melt-2000")
STUDENT_STEPS = 20000
#: Steps between two frames of a trajectory.
EVERY = 10

#: Rounds of the distillation.
ROUNDS = 3

#: Students, with settings besides those of silicon.toml. All have 9,000 steps of training in all. "student" asks the teacher in three rounds,
#: "displaced" in one, for the first random seed; the others learn the structures of "student", and are asked for nothing.
STUDENTS = {
    "student": [],
    "displaced": ["training.max_steps=9000"],
    "no-stress": ["training.stress_weight=0"],
    "half": ["model.hidden_channels=32"],
}

#: The same on a tiny scale, to try the script.
TINY_RUNS = {name: (start, kelvin, 10, 20, 10) for name, (start, kelvin, *_) in RUNS.items()}
TINY_TRAINING = ["training.max_steps=20"]
TINY_ROUNDS = ["distill.rounds.teacher_calls=48", "distill.rounds.trajectories=9", "distill.rounds.picoseconds=0.1"]


def changed(settings: list[str]) -> list[str]:
    """Settings as arguments of potstill."""
    return [word for setting in settings for word in ("--set", setting)]


class Work:
    """Programs, folders, and the steps."""

    def __init__(self, potstill: str, out: str, tiny: bool, first: int):
        self.out, self.tiny, self.first = os.path.abspath(out), tiny, first
        self.potstill = shutil.which(potstill) or sys.exit(f"{potstill}: no such program; give its path with --potstill")
        self.runs = TINY_RUNS if tiny else RUNS
        python = os.path.dirname(os.path.abspath(sys.executable))
        # The teacher of silicon.toml is started as `python`.
        self.environment = {**os.environ, "OMP_NUM_THREADS": "1", "PATH": python + os.pathsep + os.environ.get("PATH", "")}
        os.makedirs(self.out, exist_ok=True)
        for name in ("silicon.toml", "teacher.py"):
            shutil.copyfile(os.path.join(HERE, name), self.path(name))

    def path(self, *names: str) -> str:
        return os.path.join(self.out, *names)

    def call(self, *command: str, output: str | None = None, may_fail: bool = False) -> int:
        """Runs a command in the folder of the results. Its standard output goes to a file, under another name until it is done."""
        print("$", " ".join(command), flush=True)
        if output is None:
            status = subprocess.run(command, cwd=self.out, env=self.environment).returncode
        else:
            with open(output + ".part", "w", encoding="utf-8") as file:
                status = subprocess.run(command, cwd=self.out, env=self.environment, stdout=file).returncode
        # A potential at fault is reported; an interruption ends everything.
        if status and not (may_fail and status in (1, 2, 70)):
            sys.exit(f"status {status}: {' '.join(command)}")
        if output is not None:
            os.replace(output + ".part", output)
        return status

    def program(self, name: str, *arguments: str, may_fail: bool = False) -> int:
        """Runs one of the scripts beside this one."""
        return self.call(sys.executable, os.path.join(HERE, name), *arguments, may_fail=may_fail)

    def dynamics(self, folder: str, start: str, potential: list[str], options: list[str]) -> int:
        """Molecular dynamics, or the rest of them; not 0 if they broke."""
        command = [self.potstill, "md", *potential, "--input", self.path(start), "--out", self.path(folder), "--timestep", "2"]
        limits = ["--stop-when", "distance=0.5", "--stop-when", "temperature=20000"]
        return self.call(*command, *options, *limits, "--threads", "1", "--resume", "--quiet", may_fail=True)

    def at_zero_pressure(self, folder: str, start: str, kelvin: int, steps: int, seed: int, potential: list[str]) -> int:
        """Dynamics at zero pressure: one program, one barostat for teacher and student."""
        # The compressibility is that of crystalline silicon; it sets how fast the volume follows, not what it becomes.
        bath = ["--ensemble", "npt", "--temperature", str(kelvin), "--pressure", "0", "--compressibility", "0.0102"]
        times = ["--thermostat-time", "100", "--barostat-time", "500", "--restart-every", "50"]
        how_long = ["--steps", str(steps), "--every", str(EVERY), "--seed", str(seed)]
        return self.dynamics(folder, start, potential, [*bath, *times, *how_long])

    def seeds(self):
        if not os.path.exists(self.path("seeds.extxyz")):
            self.program("seeds.py", "--out", self.out, *(["--tiny"] if self.tiny else []))

    def teacher(self):
        """The teacher's own dynamics and the test structures that come from them."""
        potential = ["--program", "python teacher.py"]
        if not os.path.exists(self.path("start-melt.extxyz")):
            bath = ["--ensemble", "langevin", "--temperature", "4000", "--friction-time", "50", "--restart-every", "50"]
            steps = "20" if self.tiny else "250"
            how_long = ["--steps", steps, "--every", steps, "--seed", "1001"]
            if self.dynamics("teacher-hot", "start-hot.extxyz", potential, [*bath, *how_long]):
                sys.exit("the teacher's dynamics broke: teacher-hot")
            last = ase.io.read(self.path("teacher-hot", "trajectory.extxyz"), "-1")
            last.calc = None
            self.write("start-melt.extxyz", [last])
        for number, (name, (start, kelvin, before, after, every)) in enumerate(self.runs.items()):
            if os.path.exists(self.path(f"test-{name}.extxyz")):
                continue
            folder = f"teacher-{name}"
            status = self.at_zero_pressure(folder, f"start-{start}.extxyz", kelvin, before + after, 2000 + number, potential)
            if status:
                sys.exit(f"the teacher's dynamics broke: {folder}")
            skip = before // EVERY + 1
            numbers = self.path(f"{folder}.json")
            self.program("distributions.py", "--run", self.path(folder), "--skip", str(skip), "--output", numbers)
            frames = ase.io.read(self.path(folder, "trajectory.extxyz"), f"{before // EVERY + every // EVERY}::{every // EVERY}")
            self.write(f"test-{name}.extxyz", frames)
        if not os.path.exists(self.path("test.extxyz")):
            self.write("test.extxyz", [atoms for name in self.runs for atoms in ase.io.read(self.path(f"test-{name}.extxyz"), ":")])
        if not os.path.exists(self.path("properties-teacher.json")):
            self.program("properties.py", "--output", self.path("properties-teacher.json"))

    def numbers(self, path: str, numbers: dict):
        with open(path + ".part", "w", encoding="utf-8") as file:
            json.dump(numbers, file)
        os.replace(path + ".part", path)

    def write(self, name: str, frames):
        ase.io.write(self.path(name + ".part"), frames, format="extxyz")
        os.replace(self.path(name + ".part"), self.path(name))

    def student(self, kind: str, seed: int):
        """One student, and everything that is asked of it."""
        name = f"{kind}-{seed}"
        if name in ("student-" + str(seed), "displaced-" + str(self.first)):
            if not os.path.exists(self.path(name, "rounds.json")):
                tiny = TINY_TRAINING + TINY_ROUNDS if self.tiny else []
                rounds = [] if kind == "student" else ["distill.rounds.n=1"]
                command = [self.potstill, "distill", "silicon.toml", "--out", name, "--seed", str(seed)]
                self.call(*command, *changed(STUDENTS[kind] + rounds + tiny), "--threads", "1", "--resume", "--quiet")
        elif not os.path.exists(self.path(name, "model.safetensors")):
            source = f"displaced-{self.first}" if kind == "displaced" else f"student-{seed}"
            self.listening(kind, name, seed, source)
        model = self.path(name, "model.safetensors")
        for test in self.runs:
            output = self.path(f"errors-{name}-{test}.json")
            if not os.path.exists(output):
                data = ["--data", self.path(f"test-{test}.extxyz"), "--threads", "1", "--json", "--quiet"]
                self.call(self.potstill, "evaluate", "--model", model, *data, output=output)
        for test in COMPARED:
            self.student_dynamics(name, test, model, seed)
        output = self.path(f"properties-{name}.json")
        if not os.path.exists(output) and self.program("properties.py", "--model", model, "--output", output, may_fail=True):
            self.numbers(output, {"failed": True})

    def listening(self, kind: str, name: str, seed: int, source: str):
        """Trains on the structures of another student's rounds, from round to round as that did; the teacher is asked nothing."""
        # Everything before the distillation is a configuration of `potstill train`.
        with open(self.path("silicon.toml"), encoding="utf-8") as file:
            text = file.read().split("[distill]")[0]
        with open(self.path("training.toml"), "w", encoding="utf-8") as file:
            file.write(text)
        for number in range(1, (1 if kind == "displaced" else ROUNDS) + 1):
            folder = os.path.join(name, f"training-{number}")
            model = self.path(folder, "model.safetensors")
            settings = STUDENTS[kind] + (TINY_TRAINING if self.tiny else [])
            for part in ("train", "validation"):
                files = [f"{source}/rounds/structures-{earlier}/{part}.extxyz" for earlier in range(1, number + 1)]
                settings = [*settings, f"data.{part}={json.dumps(files)}"]
            if number > 1:
                settings = [*settings, f'training.start_from="{name}/training-{number - 1}/model.safetensors"']
            if not os.path.exists(model):
                command = [self.potstill, "train", "training.toml", "--out", folder, "--seed", str(seed)]
                self.call(*command, *changed(settings), "--threads", "1", "--resume", "--quiet")
        shutil.copyfile(model, self.path(name, "model.safetensors.part"))
        os.replace(self.path(name, "model.safetensors.part"), self.path(name, "model.safetensors"))

    def student_dynamics(self, name: str, test: str, model: str, seed: int):
        """Dynamics as the teacher's, but longer."""
        start, kelvin, before, _, _ = self.runs[test]
        folder = f"{name}-{test}"
        output = self.path(f"{folder}.json")
        if os.path.exists(output):
            return
        steps = 200 if self.tiny else STUDENT_STEPS
        status = self.at_zero_pressure(folder, f"start-{start}.extxyz", kelvin, steps, 3000 + seed, ["--model", model])
        if status:
            # Reported, not repeated: the last line of its log says how far it came. Without a log, nothing has moved at all.
            with open(self.path(folder, "log.jsonl"), encoding="utf-8") as file:
                last = file.read().splitlines()[-1]
            self.numbers(output, {"broke": json.loads(last)})
            return
        self.program("distributions.py", "--run", self.path(folder), "--skip", str(before // EVERY + 1), "--output", output)

    def speed(self):
        for kind in ("student", "half"):
            output = self.path(f"speed-{kind}.json")
            if not os.path.exists(output):
                model = self.path(f"{kind}-0", "model.safetensors")
                structures = self.path("test-melt-2000.extxyz")
                self.program("properties.py", "--model", model, "--speed", "--structures", structures, "--output", output)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--potstill", default="potstill", help="the program; default: potstill on PATH")
    parser.add_argument("--out", default="runs/evidence/foundation", help="folder for everything; default: runs/evidence/foundation")
    parser.add_argument("--seeds", default="0,1,2", help="random seeds of the students; default: 0,1,2")
    parser.add_argument("--tiny", action="store_true", help="everything on a tiny scale, to try the script; give another --out")
    arguments = parser.parse_args()
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    work = Work(arguments.potstill, arguments.out, arguments.tiny, seeds[0])
    work.seeds()
    work.teacher()
    for seed in seeds:
        for kind in STUDENTS:
            work.student(kind, seed)
    work.speed()
    work.call(sys.executable, os.path.join(HERE, "table.py"), "--out", work.out, output=work.path("table.md"))
    print(open(work.path("table.md"), encoding="utf-8").read())


if __name__ == "__main__":
    main()
