"""Writes the texts of ledger, judging and rademacher anew from complexity.csv: python benchmarks/complexity_text.py.

The table holds the scalars of all rows of `make complexity`, so that a change of a test or of a table needs no training; curves and arrays it has not.
"""

from __future__ import annotations

import csv
from pathlib import Path

from shatterlab import experiments
from shatterlab.core import Row
from shatterlab.design.experiment import Scale
from shatterlab.report import text_report

RESULTS = Path(__file__).resolve().parent / "results"
WORDS = ("key", "status", "finished", "error")


def value(name: str, cell: str) -> str | int | float | bool | None:
    """A cell as it was in the row."""
    if not cell or name in WORDS or name.endswith((".reason", "fingerprint")):
        return cell or None
    if cell in ("True", "False"):
        return cell == "True"
    for number in (int, float):
        try:
            return number(cell)
        except ValueError:
            continue
    return cell


def row(line: dict[str, str]) -> Row:
    """A line of the table; empty cells of parts that this trial does not have are no columns of it."""
    here = {name: cell for name, cell in line.items() if cell or line.get(f"{name.rpartition('.')[0]}.kind", "here")}
    return Row({name: value(name, cell) for name, cell in here.items()})


def rows() -> list[Row]:
    """All rows of the table."""
    with (RESULTS / "complexity.csv").open(newline="") as table:
        return list(map(row, csv.DictReader(table)))


def main() -> None:
    """Three files in the folder of results."""
    known = rows()
    for name in ("ledger", "judging", "rademacher"):
        experiment = experiments.find(name)(Scale.named("laptop"))
        (RESULTS / f"{name}.txt").write_text(text_report(experiment, experiment.select(known)) + "\n")


if __name__ == "__main__":
    main()
