"""Extended XYZ as blocks of text: what the preparation of the data needs, and no more."""

from __future__ import annotations

import lzma
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


class Frame(NamedTuple):
    """One structure: its comment line, and its lines of atoms."""

    comment: str
    atoms: tuple[str, ...]

    @property
    def geometry(self) -> tuple[str, ...]:
        """Elements and positions, as the file has them."""
        return tuple(" ".join(line.split()[:4]) for line in self.atoms)

    def text(self) -> str:
        """The structure as extended XYZ."""
        return f"{len(self.atoms)}\n{self.comment}\n" + "".join(f"{line}\n" for line in self.atoms)


def read(path: Path) -> list[Frame]:
    """All structures of a file, which may be compressed with xz."""
    lines = (lzma.open(path, "rt") if path.suffix == ".xz" else path.open()).read().splitlines()
    frames, first = [], 0
    while first < len(lines) and lines[first].strip():
        end = first + 2 + int(lines[first])
        frames.append(Frame(lines[first + 1], tuple(lines[first + 2 : end])))
        first = end
    return frames


def without(frames: Iterable[Frame], others: Iterable[Frame]) -> list[Frame]:
    """The structures that are not among the others."""
    known = {frame.geometry for frame in others}
    return [frame for frame in frames if frame.geometry not in known]


def for_mace(frames: Iterable[Frame]) -> str:
    """The same structures with the names of labels that MACE reads, and without the box around a molecule."""
    renamed = []
    for frame in frames:
        words = frame.comment.split('Lattice="', 1)
        comment = words[0] + words[1].split('"', 1)[1].strip() if len(words) == 2 else frame.comment
        comment = comment.replace(" energy=", " REF_energy=").replace(":forces:", ":REF_forces:")
        renamed.append(frame._replace(comment=comment).text())
    return "".join(renamed)
