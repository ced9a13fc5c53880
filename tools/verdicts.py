"""Writes the tables of verdicts on the pages of docs/, judged anew from the committed rows: what a page says is what the code says of its rows.

    python tools/verdicts.py           writes them
    python tools/verdicts.py NAME      prints the table of one experiment
    python tools/verdicts.py --logs    writes the claims of benchmarks/results/NAME.txt anew; where a store has the rows with their curves, the whole text

A page marks the place with `<!-- verdicts: NAME -->` and `<!-- end of verdicts -->`, the table of a view with `<!-- view: NAME, columns, title -->` and
`<!-- end of view -->` (columns by number, as in 1-4 6; "all"); tests/experiments/test_judged_results.py compares.
"""

from __future__ import annotations

import csv
import re
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from shatterlab import experiments
from shatterlab.core import Row
from shatterlab.design.experiment import Scale
from shatterlab.report import sections
from shatterlab.store.database import Store

TOP = Path(__file__).resolve().parents[1]
RESULTS = TOP / "benchmarks" / "results"
EVIDENCE = {  # experiment -> the file under benchmarks/results with its rows
    **dict.fromkeys(("figure1a", "figure1b", "figure1c"), "figure1.sqlite"),
    **dict.fromkeys(("depth_against_width", "number_format"), "figure1_others.sqlite"),
    **dict.fromkeys(("table1", "figure2b", "table4", "weight_decay", "double_descent", "implicit_regularizers"), "regularization.sqlite"),
    **dict.fromkeys(("table2", "figure2a"), "photos.sqlite"),
    **dict.fromkeys(("table3", "kernel_randomizations", "section5_sgd", "section5_bad_interpolants"), "kernels.csv"),
    **dict.fromkeys(("ledger", "stability", "rademacher", "ratt", "convergence"), "complexity.csv"),
    **dict.fromkeys(("theorem1", "corollary1", "memorizing_networks"), "expressivity.csv"),
}
_MARKS = re.compile(r"(<!-- verdicts: (\w+) -->\n).*?(<!-- end of verdicts -->)", re.DOTALL)
_SIMULATION = re.compile(r"(<!-- simulation -->\n).*?(<!-- end of simulation -->)", re.DOTALL)
_VIEWS = re.compile(r"(<!-- view: (\w+), ([^,\n]*), ([^\n]*) -->\n).*?(<!-- end of view -->)", re.DOTALL)


def rows_of(file: str, arrays: bool = False) -> list[Row]:
    """The committed rows: of a store, read from a copy, or of an exported table without curves."""
    source = RESULTS / file
    if source.suffix == ".csv":
        with source.open(encoding="utf-8", newline="") as lines:
            return [Row({name: _scalar(text) for name, text in line.items() if text != ""}) for line in csv.DictReader(lines)]
    with tempfile.TemporaryDirectory() as folder, Store(Path(shutil.copy(source, folder)), create=False) as store:
        return store.rows(arrays=arrays)


def _scalar(text: str) -> Any:
    if text in ("True", "False"):
        return text == "True"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def table(name: str, rows: list[Row]) -> str:
    """The claims of an experiment at laptop scale as a table in Markdown."""
    experiment = experiments.find(name)(Scale.named("laptop"))
    lines = ["| claim | verdict | measured | n | why |", "| --- | --- | --- | --- | --- |"]
    for claim in sections.claims(experiment, experiment.select(rows)):
        cells = (claim.text, claim.verdict, claim.interval, str(claim.n) if claim.n else "", claim.reason)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def write_logs() -> None:
    """Writes benchmarks/results/NAME.txt of every experiment with evidence: whole from a store, from a table without curves its verdict and claims."""
    for name, file in EVIDENCE.items():
        log, experiment = RESULTS / f"{name}.txt", experiments.find(name)(Scale.named("laptop"))
        if not log.exists():
            continue  # an experiment that is not complete yet
        if file.endswith(".sqlite"):
            log.write_text(sections.text_report(experiment, experiment.select(rows_of(file, arrays=True))) + "\n", encoding="utf-8")
            continue
        judged = sections.text_report(replace(experiment, views=()), experiment.select(rows_of(file))).partition("\n\nTrials: ")[0]
        views = log.read_text(encoding="utf-8").partition("\n\nClaims\n")[2].partition("\n\n")[2]
        log.write_text(f"{judged}\n\n{views}", encoding="utf-8")


def view_table(name: str, columns: str, title: str, rows: list[Row]) -> str:
    """Some columns of the view of that title as a table in Markdown, its notes below."""
    experiment = experiments.find(name)(Scale.named("laptop"))
    grid = next(view for view in experiment.views if view.title.startswith(title)).grid(experiment.select(rows))
    kept = [int(column) - 1 for column in columns.split()] if columns != "all" else list(range(len(grid.headers)))
    lines = [[line[i].replace("|", "\\|") for i in kept] for line in (grid.headers, *grid.rows)]
    lines.insert(1, ["---"] * len(kept))
    notes = "".join(f"\n{note}\n" for note in grid.notes)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n" + notes


def simulation() -> str:
    """The simulation of benchmarks/verdicts.py as tables in Markdown."""
    lines = (RESULTS / "verdicts.txt").read_text(encoding="utf-8").splitlines()
    cases = [match for line in lines if (match := re.fullmatch(r"(\w+(?: \w+)?)\s{2,}(.*?)((?:\s+\d+\.\d){5})((?:\s+\d+\.\d){5})", line))]
    heads = ["| kind | law of the replicates | coverage: n = 2 | 3 | 5 | 10 | 20 | at the border: n = 2 | 3 | 5 | 10 | 20 |", "| --- " * 12 + "|"]
    rows = [f"| {match[1].strip()} | {match[2].strip()} | {' | '.join((match[3] + match[4]).split())} |" for match in cases]
    families = [re.split(r"\s{2,}", line.strip()) for line in lines if "all false at the border" in line]
    family = ["", "| family, judged together | some claim called reproduced: n = 3 | n = 5 |", "| --- | --- | --- |"]
    return "\n".join([*heads, *rows, *family, *(f"| {' | '.join(cells)} |" for cells in families)]) + "\n"


def rewritten(page: str, known: dict[str, list[Row]]) -> str:
    """A page with its tables of verdicts judged anew.

    Args:
        page: its text.
        known: rows by file, filled as files are read.
    """

    def evidence(name: str) -> list[Row]:
        file = EVIDENCE[name]
        if file not in known:
            known[file] = rows_of(file)
        return known[file]

    page = _SIMULATION.sub(lambda match: match[1] + simulation() + match[2], page)
    page = _MARKS.sub(lambda match: match[1] + table(match[2], evidence(match[2])) + match[3], page)
    return _VIEWS.sub(lambda match: match[1] + view_table(match[2], match[3], match[4], evidence(match[2])) + match[5], page)


def main() -> None:
    """Writes the pages or the logs, or prints one table."""
    if sys.argv[1:] == ["--logs"]:
        write_logs()
        return
    if len(sys.argv) > 1:
        print(table(sys.argv[1], rows_of(EVIDENCE[sys.argv[1]])))
        return
    known: dict[str, list[Row]] = {}
    for page in (*sorted((TOP / "docs").glob("*.md")), TOP / "README.md"):
        before = page.read_text(encoding="utf-8")
        after = rewritten(before, known)
        if after != before:
            page.write_text(after, encoding="utf-8")
            print(f"rewritten: {page.relative_to(TOP)}")


if __name__ == "__main__":
    main()
