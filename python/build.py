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
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: Largest wheel in bytes.
LARGEST = 40_000_000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "target" / "wheels", help="folder of the wheel")
    parser.add_argument("--program", type=Path, help="potstill program to ship; default: build it")
    arguments, maturin = parser.parse_known_args()

    program = arguments.program or built_program()
    with tempfile.TemporaryDirectory(prefix="potstill-wheel-") as folder:
        stage(Path(folder), program)
        command = [sys.executable, "-m", "maturin", "build", "--locked", "--out", str(arguments.out.absolute()), *maturin]
        # Cargo's target folder is that of the repository, wherever maturin is started.
        if subprocess.run(command, cwd=folder).returncode:
            sys.exit("error: the wheel does not build")
    check(max(arguments.out.glob("potstill-*.whl"), key=os.path.getmtime))


def built_program():
    """The program, built with the profile that ships."""
    command = ["cargo", "build", "--locked", "--profile", "ship", "--package", "potstill"]
    if subprocess.run(command, cwd=ROOT).returncode:
        sys.exit("error: the program does not build")
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return target / "ship" / f"potstill{'.exe' if os.name == 'nt' else ''}"


def stage(folder, program):
    """Makes a project of the repository's with the program as a script.

    maturin takes scripts from a folder that its settings name, and fails where that is missing; so a plain build must not name one.
    """
    settings = (ROOT / "pyproject.toml").read_text()
    settings = settings.replace('manifest-path = "', f'manifest-path = "{ROOT.as_posix()}/')
    settings = settings.replace("[tool.maturin]\n", '[tool.maturin]\ndata = "data"\n')
    (folder / "pyproject.toml").write_text(settings)
    for name in ("README.md", "LICENSE-MIT", "LICENSE-APACHE"):
        shutil.copy(ROOT / name, folder)
    package = "python/potstill"
    shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    put_program(program, folder / "data" / "scripts")


def put_program(program, scripts):
    """Copies the program without symbols and tables of lines."""
    if not program.is_file():
        sys.exit(f"error: {program}: no such program")
    scripts.mkdir(parents=True)
    copy = Path(shutil.copy(program, scripts / program.name))
    copy.chmod(copy.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    # The profile strips; a program that was built otherwise may still be large.
    strip = shutil.which("strip")
    if strip and subprocess.run([strip, str(copy)]).returncode:
        sys.exit(f"error: {program}: cannot be stripped; is it a program?")


def check(wheel):
    """Refuses a wheel without one of its parts, or one that is too large to ship."""
    names = zipfile.ZipFile(wheel).namelist()
    for part in ("potstill/_potstill.", "potstill/ase.py", "potstill/py.typed", ".data/scripts/potstill"):
        if not any(part in name for name in names):
            sys.exit(f"error: {wheel}: has no {part} in it")
    size = wheel.stat().st_size
    if size > LARGEST:
        sys.exit(f"error: {wheel}: {size / 1e6:.1f} MB are more than {LARGEST / 1e6:.0f}; was the program stripped?")
    print(f"{wheel}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
