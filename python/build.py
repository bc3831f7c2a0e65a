#!/usr/bin/env python3
"""Builds the wheel that ships: the Python package, and the `potstill` program beside it.

    python python/build.py --out dist                   # builds the program, too: ten minutes on two cores
    python python/build.py --out dist --program FILE    # with a program that is built already

A plain `pip install .` makes a wheel without the program, in a minute. Both use the profile `ship` of Cargo.toml: the code of
`--release`, without the tables of lines that make the program 168 MB. Needs `pip install maturin`.
"""

import argparse
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: Where maturin looks for what a wheel installs beside its package; what lies in `scripts` goes where commands are found.
DATA = ROOT / "python" / "potstill.data"
#: Largest wheel in bytes.
LARGEST = 40_000_000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "target" / "wheels", help="folder of the wheel")
    parser.add_argument("--program", type=Path, help="potstill program to ship; default: build it")
    arguments, maturin = parser.parse_known_args()

    program = arguments.program or built_program()
    try:
        put_program(program)
        command = [sys.executable, "-m", "maturin", "build", "--out", str(arguments.out.absolute()), *maturin]
        subprocess.run(command, cwd=ROOT, check=True)
    except subprocess.CalledProcessError as error:
        sys.exit(f"error: {error}")
    finally:
        shutil.rmtree(DATA, ignore_errors=True)
    check(max(arguments.out.glob("potstill-*.whl"), key=os.path.getmtime))


def built_program():
    """The program, built with the profile that ships."""
    command = ["cargo", "build", "--locked", "--profile", "ship", "--package", "potstill"]
    if subprocess.run(command, cwd=ROOT).returncode:
        sys.exit("error: the program does not build")
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return target / "ship" / f"potstill{'.exe' if os.name == 'nt' else ''}"


def put_program(program):
    """Lays the program where maturin finds it, without symbols and tables of lines."""
    if not program.is_file():
        sys.exit(f"error: {program}: no such program")
    scripts = DATA / "scripts"
    scripts.mkdir(parents=True, exist_ok=True)
    copy = Path(shutil.copy(program, scripts / program.name))
    copy.chmod(copy.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    strip = shutil.which("strip")
    # The profile strips; a program that was built otherwise may still be large.
    if strip:
        subprocess.run([strip, str(copy)], check=True)


def check(wheel):
    """Refuses a wheel without the program, or one that is too large to ship."""
    names = zipfile.ZipFile(wheel).namelist()
    if not any("/scripts/potstill" in name for name in names):
        sys.exit(f"error: {wheel}: has no program in it")
    size = wheel.stat().st_size
    if size > LARGEST:
        sys.exit(f"error: {wheel}: {size / 1e6:.1f} MB are more than {LARGEST / 1e6:.0f}; was the program stripped?")
    print(f"{wheel}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
