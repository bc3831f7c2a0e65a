"""The columns of a study that the manual shows: `python evidence/table.py STUDY_FOLDER ...` prints Markdown.

Reads `summary.json`, which `potstill study` leaves. Means over seeds with standard errors; errors in meV and meV/Å.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

HEADS = (
    "test",
    "student",
    "run",
    "chosen",
    "energy MAE, meV",
    "force MAE, meV/Å",
    "force RMSE, meV/Å",
    "against the teacher: energy MAE, meV",
    "force MAE, meV/Å",
    "energy gap closed, %",
    "force gap closed, %",
    "CKA",
)


def mean(value: dict | None, scale: float = 1e3, digits: int = 1) -> str:
    """Text of a mean with its standard error."""
    if value is None:
        return "–"
    text = f"{scale * value['mean']:.{digits}f}"
    return text if value["standard_error"] is None else f"{text} ± {scale * value['standard_error']:.{digits}f}"


def chosen(row: dict) -> str:
    """Factor or settings that the trials chose."""
    if row["factor"] is not None:
        return f"× {row['factor']:g}"
    return " ".join(row["settings"]) or "–"


def cells(row: dict) -> list[str]:
    """Texts of a row."""
    return [
        row["test"],
        row["student"],
        row["run"].strip("`"),
        chosen(row),
        mean(row["energy_mae"]),
        mean(row["forces_mae"]),
        mean(row["forces_rmse"]),
        mean(row["energy_mae_against_teacher"]),
        mean(row["forces_mae_against_teacher"]),
        mean(row["energy_gap_closed"], 1.0),
        mean(row["forces_gap_closed"], 1.0),
        "–" if row["alignment"] is None else f"{row['alignment']:.2f}",
    ]


def table(rows: list[dict]) -> str:
    """Markdown without the columns that say the same, or nothing, in every row."""
    columns = [list(column) for column in zip(HEADS, *map(cells, rows), strict=True)]
    shown = [column for column in columns if len(set(column[1:])) > 1]
    lines = ["| " + " | ".join(line) + " |" for line in zip(*shown, strict=True)]
    return "\n".join([lines[0], "|" + "---|" * len(shown), *lines[1:]])


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("studies", nargs="+", type=Path, metavar="STUDY_FOLDER")
    for folder in arguments.parse_args().studies:
        print(table(json.loads((folder / "summary.json").read_text())), end="\n\n")


if __name__ == "__main__":
    main()
