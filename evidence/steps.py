"""Steps of a study that takes hours: each is done once, and the same command goes on where it was interrupted.

A step is a command and the file that it leaves. A step whose file is there is skipped. A command that was interrupted has left no file
under that name, or can go on itself (``--resume``), so that no finished work is lost and no half of a file is taken for the whole.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path


def run(
    result: Path,
    command: Sequence[str | Path],
    *,
    folder: Path | None = None,
    log: Path | None = None,
    mark: bool = False,
) -> None:
    """Run a command unless its result is there; its output goes to `log`, or is shown.

    With `mark` the result is an empty file that says that the command ended well, for commands that leave files before they are done.
    """
    if result.exists():
        print(f"{result}: done already", flush=True)
        return
    print("$ " + shlex.join(str(word) for word in command), flush=True)
    started = time.monotonic()
    result.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    words = [str(word) for word in command]
    if log is None:
        status = subprocess.run(words, cwd=folder, env=environment, check=False).returncode
    else:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            status = subprocess.run(words, cwd=folder, env=environment, stdout=output, stderr=output, check=False).returncode
    if status != 0:
        sys.exit(f"{words[0]} ended with status {status}" + ("" if log is None else f"; its last words are in {log}"))
    if mark:
        result.touch()
    if not result.exists():
        sys.exit(f"{words[0]} ended well but left no {result}")
    print(f"{result}: done in {time.monotonic() - started:.0f} s", flush=True)


def write(result: Path, make: Callable[[], str]) -> None:
    """Write a text unless it is there, to a temporary name first."""
    if result.exists():
        print(f"{result}: done already", flush=True)
        return
    result.parent.mkdir(parents=True, exist_ok=True)
    temporary = result.with_name(result.name + ".part")
    temporary.write_text(make())
    temporary.rename(result)


def copy(folder: Path, to: Path) -> None:
    """Copy a folder unless its copy is there, to a temporary name first."""
    if to.exists():
        return
    temporary = to.with_name(to.name + ".part")
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(folder, temporary)
    temporary.rename(to)
