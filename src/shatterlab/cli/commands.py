"""The command line: it chooses which and where, never what."""

from __future__ import annotations

import io
import os
import shlex
import signal
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from cyclopts import App, CycloptsError

from shatterlab import __version__
from shatterlab.cli.audit import audit
from shatterlab.cli.memorization import memorization
from shatterlab.cli.options import STORE, ExperimentOptions, RuntimeOptions
from shatterlab.cli.suspicious import suspicious
from shatterlab.cli.terminal import complain, end_as_interrupted, exit_code, interruptible, print_names, workers_or_cores
from shatterlab.core.errors import InvalidPart, ShatterlabError

EXIT_CODES = """Exit codes: 0 done; 1 some trials failed or a law is broken; 2 a name, field or option is wrong;
3 data is missing or damaged; 4 the store cannot be used; 5 the user's own code failed; 6 a condition of --fail-if holds;
130 interrupted, 143 terminated, 129 hung up (finished trials stay in the store, the same command does the rest); 141 the reader of the output has closed it."""

app = App(
    name="shatterlab",
    help="How much of what a model shows on its training data is learning, and how much is memory?",
    help_epilogue=EXIT_CODES,
    version=__version__,
    version_flags=["--version"],
    suppress_keyboard_interrupt=False,  # it would end SIGTERM as Ctrl-C, by 130
)
data_app = App(name="data", help="The published data sets: which files are needed where, and whether they are complete.")
app.command(data_app)
store_app = App(name="store", help="The files that hold rows: are they whole, keep what is, copy one that is in use.")
app.command(store_app)
app.command(audit)
app.command(memorization)
app.command(suspicious)


@app.command
def run(
    name: str,
    *,
    options: ExperimentOptions = ExperimentOptions(),
    runtime: RuntimeOptions = RuntimeOptions(),
    store: Path = STORE,
    workers: int | None = None,
) -> int:
    """Runs the missing trials of an experiment, and prints its tables and the verdicts on its claims.

    Args:
        name: An experiment of `shatterlab list`, or a file my_idea.py that defines experiment(scale).
        options: What it is made of.
        runtime: Where its trials run.
        store: Where rows are kept; rows already there are not computed again.
        workers: Processes; default: one a core, or one where they have several threads.
    """
    from shatterlab.report import text_report
    from shatterlab.studies.progress import ProgressLine
    from shatterlab.studies.run import complete

    experiment, root = options.experiment(name)
    with ProgressLine() as progress, interruptible(store):
        processes = workers_or_cores(workers if runtime.threads == 1 else workers or 1)
        rows = complete(experiment, store, processes, runtime.runtime(root), progress)
    print(text_report(experiment, rows))
    return exit_code(rows)


@app.command
def report(
    name: str,
    *,
    options: ExperimentOptions = ExperimentOptions(),
    store: Path = STORE,
    output: Path = Path("report.html"),
    figures: Path | None = None,
    frozen: Path | None = None,
) -> int:
    """Writes the report of an experiment from the rows in the store; runs nothing.

    Args:
        name: An experiment of `shatterlab list`, or a file my_idea.py.
        options: What was run.
        store: Where the rows are.
        output: The HTML file to write.
        figures: A folder to write each figure to as well, as SVG.
        frozen: A file of `shatterlab freeze`: the report says whether the claims are those, frozen before the first row.
    """
    from shatterlab.design.preregistration import Frozen
    from shatterlab.report import render, save_figures, write
    from shatterlab.store.database import Store

    experiment, _ = options.experiment(name)
    words = options.words(name)
    with Store(store, create=False) as database:
        rows = experiment.select(database.rows())
    if not rows:
        command = shlex.join(["shatterlab", "run", *words])
        raise InvalidPart(f"report: rows of {name} at scale {options.scale} are required, {store} has none. Run `{command}` first.")
    notes = [Frozen.read(frozen).text(experiment, rows)] if frozen else []
    reproduce = [shlex.join(["shatterlab", verb, *words]) for verb in ("run", "report")]
    write(output, render(experiment, rows, scale=options.scale, reproduce=reproduce, notes=notes))
    for note in notes:
        print(note)
    total = f" of {len(experiment.trials)}" if experiment.propose is None else ""  # an adaptive experiment has as many as it needs
    print(f"{len(rows)}{total} trials. Report: {output}")
    for file in save_figures(experiment, rows, figures) if figures else ():
        print(f"Figure: {file}")
    return exit_code(rows)


@app.command
def freeze(name: str, *, options: ExperimentOptions = ExperimentOptions(), output: Path) -> int:
    """Writes what an experiment claims, with the time and a hash, before it is run: its report then says so (`report --frozen`).

    Args:
        name: An experiment of `shatterlab list`, or a file my_idea.py.
        options: What it is made of.
        output: A new file.
    """
    from shatterlab.design.preregistration import freeze as freeze_claims

    experiment, _ = options.experiment(name)
    frozen = freeze_claims(experiment, output)
    print(f"{len(frozen.claims)} claims and {len(frozen.keys)} trials are frozen in {output}, sha256 {frozen.sha256}")
    return 0


@app.command
def export(*, store: Path = STORE, output: Path) -> int:
    """Writes all rows as a table: .csv or .parquet (scalars), .json or .jsonl (scalars and curves).

    Args:
        store: Where the rows are.
        output: The file to write; its suffix decides the format.
    """
    from shatterlab.report import export_rows
    from shatterlab.store.database import Store

    with Store(store, create=False) as database:
        rows = database.rows(arrays=False)
    export_rows(rows, output)
    print(f"{len(rows)} rows: {output}")
    return 0


@app.command(name="list")
def list_() -> int:
    """Lists the experiments and the parts that exist."""
    from shatterlab import experiments
    from shatterlab.core import catalog

    print_names("experiments", experiments.summaries().items())
    for kind in catalog.KINDS:
        print_names(kind, ((entry.name, entry.summary) for entry in catalog.find(kind).values()))
    return 0


@app.command
def show(name: str, *, options: ExperimentOptions = ExperimentOptions(), store: Path = STORE) -> int:
    """Shows a part (its documentation and fields) or an experiment (its question, trials and claims, and how small an effect they can decide).

    Args:
        name: A name of `shatterlab list`.
        options: What the experiment is made of.
        store: Where rows are that say how much replicates vary.
    """
    from shatterlab.core import catalog

    if name in catalog.find():
        print(catalog.documentation(name))
        return 0
    from shatterlab import experiments
    from shatterlab.core.errors import UnknownName
    from shatterlab.design.planning import decidable
    from shatterlab.store.database import Store

    if not name.endswith(".py") and name not in experiments.names():
        raise UnknownName("show", name, [*catalog.find(), *experiments.names()])
    experiment, _ = options.experiment(name)
    print(f"{experiment.name}: {experiment.question}\nSource: {experiment.source}\n{len(experiment.trials)} trials at scale {options.scale}; claims:")
    if store.exists():
        with Store(store, create=False) as database:
            rows = experiment.select(database.rows(arrays=False))
    else:
        rows = []
    sure = {id(each.claim): f"\n    {each.text}" for each in decidable(experiment, rows)}
    if experiment.scale == "smoke":
        print("(smoke scale shows values and decides nothing; what it takes to decide: --scale laptop)")
    print("\n".join(f"- {claim.text}{sure.get(id(claim), '')}" for claim in experiment.claims))
    return 0


@app.command
def check(name: str | None = None) -> int:
    """Tries the laws of its kind on a part, on the parts of a file, or on every part of the package (minutes).

    Args:
        name: A part of `shatterlab list`, or a file my_idea.py with parts of your own. Default: every part.
    """
    from shatterlab.laws import check_all, check_named

    broken = 0
    for specimen, findings in check_all(name) if name is None or name.endswith(".py") else check_named(name):
        failures = [finding for finding in findings if not finding.passed]
        broken += len(failures)
        print(f"{'ok  ' if not failures else 'FAIL'} {specimen}: {len(findings) - len(failures)} of {len(findings)} laws hold")
        for finding in failures:
            print(f"     {finding.text}")
    return 1 if broken else 0


@data_app.command(name="list")
def data_list(*, data: Path | None = None) -> int:
    """Lists the files of the published data sets and the folder that holds them.

    Args:
        data: The folder that holds the published data sets.
    """
    from shatterlab.readers.published_files import canonical_files, data_root

    print(f"Looked for in {data_root(data)} (--data, or SHATTERLAB_DATA)")
    for file in canonical_files():
        print(f"{file.dataset:13} {file.path:42} md5 {file.md5}")
    return 0


@data_app.command(name="check")
def data_check(*, data: Path | None = None) -> int:
    """Checks sizes and checksums of the files that are there.

    Args:
        data: The folder that holds the published data sets.
    """
    from shatterlab.readers.published_files import check_files

    states = list(check_files(data))
    for state in states:
        print(f"{state.status:8} {state.dataset:13} {state.path}{': ' + state.detail if state.detail else ''}")
    return 3 if any(state.status == "damaged" for state in states) else 0


@store_app.command(name="check")
def store_check(file: Path) -> int:
    """Reads every row of a store and says which ones are damaged; changes nothing.

    Args:
        file: The store.
    """
    from shatterlab.store.upkeep import check as check_store

    condition = check_store(file)
    for line in condition.lines:
        print(line)
    print(f"{file}: {condition}")
    return 0 if condition.is_whole else 4


@store_app.command(name="repair")
def store_repair(file: Path, *, output: Path | None = None) -> int:
    """Writes the whole rows of a damaged store to a new file; the old one stays as it is.

    Args:
        file: The damaged store.
        output: The new store. Default: FILE with .repaired before its suffix.
    """
    from shatterlab.store.upkeep import repair

    target = output or file.with_name(f"{file.stem}.repaired{file.suffix}")
    condition = repair(file, target)
    for line in condition.lines:
        print(line)
    print(f"{target}: {condition.runs} whole rows of {file}, which stays as it is. Give the new file as --store; what is missing is run again.")
    return 0


@store_app.command(name="backup")
def store_backup(file: Path, to: Path) -> int:
    """Copies a store, also one that a sweep is adding rows to.

    Args:
        file: The store.
        to: The copy, a file that does not exist yet.
    """
    from shatterlab.store.upkeep import backup

    backup(file, to)
    print(f"{to}: a copy of {file}")
    return 0


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point of the `shatterlab` command."""
    warnings.formatwarning = lambda message, *_: f"warning: {message}\n"
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files need not be UTF-8
    try:
        end_as_interrupted()
        code = app(arguments, exit_on_error=False, result_action="return_value")
        sys.stdout.flush()
    except CycloptsError:
        code = 2  # cyclopts has printed what is wrong
    except ShatterlabError as problem:
        code = complain(problem)
    except KeyboardInterrupt as ending:
        code = 128 + (ending.args[0] if ending.args else signal.SIGINT)
    except BrokenPipeError:  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
    sys.exit(code if isinstance(code, int) else 0)
