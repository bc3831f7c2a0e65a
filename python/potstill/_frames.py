"""Systems of extended XYZ as text that goes back unchanged, with answers added.

``ase.io`` writes positions with eight digits and numbers anew; here the rows and the pairs of the comment line stay as they were
written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

#: Columns that the answer brings itself.
ANSWERED_COLUMNS = {"forces", "atomic_energies"}
#: Types of columns.
TYPES: dict[str, type] = {"R": float, "I": int, "S": str, "L": bool}
#: Columns that make the atoms themselves, and whether one may move, which is no matter of a teacher.
OWN_COLUMNS = {"species", "pos", "Z", "numbers", "positions", "move_mask", "fixed"}
#: Opening of brackets and their ends.
BRACKETS = {"{": "}", "[": "]"}


@dataclass(frozen=True)
class Column:
    """Column of the rows of atoms: its name, kind and place among the words of a row."""

    name: str
    kind: str
    words: slice

    def __str__(self) -> str:
        return f"{self.name}:{self.kind}:{self.words.stop - self.words.start}"


@dataclass(frozen=True)
class Pair:
    """Pair of the comment line: its key, the text of its value without quotes, and both as they were written."""

    key: str
    value: str | None
    written: str


@dataclass(frozen=True)
class Frame:
    """One system as text. ``rows`` has the words of each atom."""

    pairs: list[Pair]
    columns: list[Column]
    rows: list[list[str]]

    def atoms(self) -> Atoms:
        """Atoms with cell, axes that repeat, keys as ``info`` and further columns as ``arrays``."""
        values = {pair.key: pair.value for pair in self.pairs}
        columns = {column.name: column for column in self.columns}
        if "pos" not in columns:
            raise ValueError(f"no column `pos` for the positions; there are {', '.join(columns)}")
        if "species" in columns:
            numbers = np.array([_atomic_number(words[columns["species"].words.start]) for words in self.rows])
        elif "Z" in columns:
            numbers = self._array(columns["Z"])
        else:
            raise ValueError(f"no column `species` or `Z`; there are {', '.join(columns)}")
        atoms = Atoms(numbers=numbers, positions=self._array(columns["pos"]))
        if lattice := values.get("Lattice"):
            atoms.cell = np.array(lattice.split(), dtype=float).reshape(3, 3)
        atoms.pbc = _axes(values.get("pbc"), default=bool(lattice))
        atoms.info = {pair.key: typed(pair) for pair in self.pairs if pair.key not in ("Lattice", "Properties", "pbc")}
        for name, column in columns.items():
            if name not in OWN_COLUMNS | ANSWERED_COLUMNS:
                atoms.arrays[name] = self._array(column)
        return atoms

    def answer(self, energy: float, columns: dict[str, np.ndarray], stress: np.ndarray | None) -> str:
        """Text of the system with an energy in eV, columns of atoms (``forces`` in eV/Å, …) and stress in eV/Å³, ``[3, 3]``."""
        kept = [column for column in self.columns if column.name not in ANSWERED_COLUMNS]
        properties = ":".join([*map(str, kept), *(f"{name}:R:{_width(values)}" for name, values in columns.items())])
        pairs = [pair.written for pair in self.pairs if not _is_answered(pair.key)]
        pairs += [f"Properties={properties}", f"energy={float(energy)!r}"]
        if stress is not None:
            pairs.append(f'stress="{" ".join(map(repr, stress.ravel().tolist()))}"')
        lines = [str(len(self.rows)), " ".join(pairs)]
        added = [np.reshape(values, (len(self.rows), -1)).tolist() for values in columns.values()]
        for words, *numbers in zip(self.rows, *added):
            old = [word for column in kept for word in words[column.words]]
            lines.append(" ".join([*old, *(repr(number) for row in numbers for number in row)]))
        return "\n".join(lines) + "\n"

    def _array(self, column: Column) -> np.ndarray:
        words = [words[column.words] for words in self.rows]
        if column.kind == "L":
            array = np.array([[word in ("T", "True", "true", "1") for word in row] for row in words])
        else:
            array = np.array(words).astype(TYPES[column.kind])
        return array[:, 0] if array.shape[1] == 1 and column.name != "pos" else array


def frames(file: BinaryIO) -> Iterator[Frame]:
    """Systems of a stream, each as soon as its last line is there.

    Raises
    ------
    ValueError
        Text that is no extended XYZ, or ends within a system.
    """
    while head := file.readline():
        if not head.strip():
            continue
        if not head.strip().isdigit() or int(head) == 0:
            raise ValueError(f"expected a number of atoms, found `{_shown(head)}`")
        yield _frame([file.readline() for _ in range(int(head) + 1)])


def _frame(lines: list[bytes]) -> Frame:
    if not lines[-1].strip():
        raise ValueError("the input ends within a system")
    comment, *text = (line.decode() for line in lines)
    pairs = list(_pairs(comment.strip()))
    properties = next((pair.value for pair in pairs if pair.key == "Properties"), None) or "species:S:1:pos:R:3"
    columns = list(_columns(properties))
    rows = [line.split() for line in text]
    width = columns[-1].words.stop
    for atom, row in enumerate(rows):
        if len(row) != width:
            raise ValueError(f"atom {atom} has {len(row)} words, and `Properties` {width}")
    return Frame(pairs, columns, rows)


def _columns(properties: str) -> Iterator[Column]:
    words = properties.split(":")
    if len(words) % 3 or any(kind not in TYPES or not count.isdigit() for kind, count in zip(words[1::3], words[2::3])):
        raise ValueError(f"Properties: expected name:kind:count, kinds R, I, S, L, found `{properties}`")
    first = 0
    for name, kind, count in zip(words[::3], words[1::3], words[2::3]):
        yield Column(name, kind, slice(first, first := first + int(count)))


def _pairs(comment: str) -> Iterator[Pair]:
    at = 0
    while at < len(comment):
        start = at
        key, at = _word(comment, at, r"[^\s=]*")
        value = None
        if sign := re.compile(r"=|\s+=\s*").match(comment, at):
            value, at = _word(comment, sign.end(), r"\S*")
        yield Pair(key, value, comment[start:at])
        at += len(comment[at:]) - len(comment[at:].lstrip())


def _word(text: str, at: int, bare: str) -> tuple[str, int]:
    """A quoted, bracketed or bare word and where it ends."""
    if quoted := re.compile(r'"((?:[^"\\]|\\.)*)"' r"|'((?:[^'\\]|\\.)*)'").match(text, at):
        inner = quoted[1] if quoted[1] is not None else quoted[2]
        return re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], inner), quoted.end()
    if text[at : at + 1] in BRACKETS:
        end = _closing(text, at)
        return text[at:end], end
    match = re.compile(bare).match(text, at)
    word = match[0] if match else ""
    return word, at + len(word)


def _closing(text: str, at: int) -> int:
    depth, is_text = 0, False
    for end in range(at, len(text)):
        if text[end] == '"' and text[end - 1] != "\\":
            is_text = not is_text
        elif not is_text:
            depth += (text[end] in "{[") - (text[end] in "}]")
            if depth == 0:
                return end + 1
    raise ValueError(f"the {text[at]} in the comment line is never closed")


def typed(pair: Pair) -> Any:
    """Value of a pair as truth value, number, array of numbers, JSON or text."""
    value = pair.value
    if value is None:
        return True
    if value.startswith("_JSON "):
        return json.loads(value[6:])
    if value in ("T", "F"):
        return value == "T"
    words = value.split()
    for kind in (int, float):
        try:
            numbers = [kind(word) for word in words]
        except ValueError:
            continue
        return numbers[0] if len(numbers) == 1 else np.array(numbers) if numbers else value
    return value


def _axes(text: str | None, default: bool) -> list[bool] | bool:
    if text is None:
        return default
    words = text.split()
    if len(words) != 3 or any(word not in ("T", "F", "True", "False", "1", "0") for word in words):
        raise ValueError(f"pbc: expected T or F three times, found `{text}`")
    return [word in ("T", "True", "1") for word in words]


def _atomic_number(symbol: str) -> int:
    if symbol not in atomic_numbers:
        raise ValueError(f"`{symbol}` is no element")
    return atomic_numbers[symbol]


def _is_answered(key: str) -> bool:
    """Whether an old value would be taken for the teacher's."""
    return key in ("Properties", "energy") or "stress" in key.lower() or "virial" in key.lower()


def _width(values: np.ndarray) -> int:
    return 1 if values.ndim == 1 else values.shape[1]


def _shown(line: bytes) -> str:
    return line[:60].decode(errors="replace").strip()
