"""The command line: it chooses which and where, never what."""

from __future__ import annotations

import os
import shlex
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter

from shatterlab import __version__
from shatterlab.cli.options import Asked, Precision, Where, given
from shatterlab.cli.terminal import ProgressLine, complain, interruptible, outcome, print_names, require_writable, workers_or_cores
from shatterlab.core.errors import InvalidPart, ShatterlabError

EXIT_CODES = """Exit codes: 0 done; 1 some trials failed or a law is broken; 2 a name, field or option is wrong;
3 data is missing or damaged; 4 the store cannot be used; 5 the user's own code failed; 130 interrupted
(what is done stays in the store, the same command does the rest); 141 whoever read the output has closed it."""

STORE = Path("shatterlab.sqlite")
app = App(
    name="shatterlab",
    help="How much of what a model shows on its training data is learning, and how much is memory?",
    help_epilogue=EXIT_CODES,
    version=__version__,
    version_flags=["--version"],
)
data_app = App(name="data", help="The published data sets: which files are wanted where, and whether they are whole.")
app.command(data_app)


@app.command
def audit(
    *,
    model: str | None = None,
    data: Path | str | None = None,
    recipe: str | None = None,
    replicates: int = 5,
    levels: Annotated[tuple[float, ...], Parameter(consume_multiple=True)] = (0.0, 0.25, 0.5, 0.75, 1.0),
    epochs: int | None = None,
    lr: float | None = None,
    batch_size: int | None = None,
    precision: Precision | None = None,
    examples: int | None = None,
    store: Path = STORE,
    output: Path = Path("shatterlab-audit.html"),
    workers: int | None = None,
    device: str = "cpu",
) -> int:
    """Does your recipe fit noise as well as it fits the data? Trains it on both, and reports.

    Args:
        model: "module:factory" (a torch module's), "path/to/file.py:factory", a scikit-learn class as
            "sklearn.ensemble:RandomForestClassifier", or an architecture of `shatterlab list`. Default: an MLP and a
            small convolutional net.
        data: An .npz file, a folder of class folders, or a data set of `shatterlab list`. Default: digits.
        recipe: Your own training, "module:function", in place of a model.
        replicates: Runs of each setting.
        levels: Corruption levels of the sweep, in [0, 1]; 0 (true labels) and 1 (random labels) are always added.
        epochs: Budget of a torch model. Default: 100, or 5,000 steps where these are more.
        lr: Initial learning rate of a torch model. Default: 0.01; 0.05 for the two default nets.
        batch_size: Examples a step of a torch model. Default: 64.
        precision: Number format of a torch model's products. Default: float32.
        examples: Keep only so many training examples, class-stratified.
        store: Where rows are kept; rows already there are not computed again.
        output: The report.
        workers: Processes; default: one a core.
        device: Where trials run: cpu or cuda.
    """
    from shatterlab.core import Runtime
    from shatterlab.studies import model_and_data as asked
    from shatterlab.studies.audit import audit as audited

    require_writable(output)
    chosen, options = asked.model_from_options(model, recipe, given(epochs=epochs, lr=lr, batch_size=batch_size, precision=precision))
    with ProgressLine() as progress, interruptible(store):
        result = audited(
            chosen,
            asked.dataset(data, examples),
            replicates=replicates,
            levels=levels,
            store=store,
            workers=workers_or_cores(workers),
            runtime=Runtime(device=device),
            on_row=progress,
            reproduce=(shlex.join(["shatterlab", *sys.argv[1:]]),),
            **options,
        )
    result.save(output)
    print(result.text())
    print(f"\nReport: {output}")
    return outcome(result.rows)


@app.command
def run(name: str, *, asked: Asked = Asked(), where: Where = Where(), store: Path = STORE, workers: int | None = None) -> int:
    """Runs the missing trials of an experiment, and prints its tables and the verdicts on its claims.

    Args:
        name: An experiment of `shatterlab list`, or a file my_idea.py that defines experiment(scale).
        asked: What it is made of.
        where: Where its trials run.
        store: Where rows are kept; rows already there are not computed again.
        workers: Processes; default: one a core, or one where they have several threads.
    """
    from shatterlab.report import text_report
    from shatterlab.studies.run import complete

    experiment, root = asked.experiment(name)
    with ProgressLine() as progress, interruptible(store):
        count = workers_or_cores(workers if where.threads == 1 else workers or 1)
        rows = complete(experiment, store, count, where.runtime(root), progress)
    print(text_report(experiment, rows))
    return outcome(rows)


@app.command
def report(name: str, *, asked: Asked = Asked(), store: Path = STORE, output: Path = Path("report.html"), figures: Path | None = None) -> int:
    """Writes the report of an experiment from the rows in the store; runs nothing.

    Args:
        name: An experiment of `shatterlab list`, or a file my_idea.py.
        asked: What was run.
        store: Where the rows are.
        output: The HTML file to write.
        figures: A folder to write each figure to as well, as SVG.
    """
    from shatterlab.report import render, save_figures, write
    from shatterlab.store.database import Store

    experiment, _ = asked.experiment(name)
    words = asked.words(name)
    with Store(store, create=False) as opened:
        rows = experiment.select(opened.rows())
    if not rows:
        raise InvalidPart(
            f"report: rows of {name} at scale {asked.scale} are required, {store} has none. Run `shatterlab {shlex.join(['run', *words])}` first."
        )
    again = tuple(shlex.join(["shatterlab", verb, *words]) for verb in ("run", "report"))
    write(output, render(experiment, rows, scale=asked.scale, reproduce=again))
    asked_for = f" of {len(experiment.trials)}" if experiment.propose is None else ""  # one that proposes has as many as it needs
    print(f"{len(rows)}{asked_for} trials. Report: {output}")
    for file in save_figures(experiment, rows, figures) if figures else ():
        print(f"Figure: {file}")
    return outcome(rows)


@app.command
def export(*, store: Path = STORE, output: Path) -> int:
    """Writes all rows as a table: .csv (scalars), .json (scalars and curves).

    Args:
        store: Where the rows are.
        output: The file to write; its suffix says the form.
    """
    from shatterlab.report.export import export_rows
    from shatterlab.store.database import Store

    with Store(store, create=False) as opened:
        rows = opened.rows(arrays=False)
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
def show(name: str, *, asked: Asked = Asked()) -> int:
    """Shows a part (its documentation and fields) or an experiment (its question, trials and claims).

    Args:
        name: A name of `shatterlab list`.
        asked: What the experiment is made of.
    """
    import inspect

    from shatterlab import experiments
    from shatterlab.core import catalog
    from shatterlab.core.errors import UnknownName

    if name in experiments.names() or name.endswith(".py"):
        found, _ = asked.experiment(name)
        print(f"{found.name}: {found.question}\nSource: {found.source}\n{len(found.trials)} trials at scale {asked.scale}; claims:")
        print("\n".join(f"- {claim.text}" for claim in found.claims))
        return 0
    if name not in catalog.find():
        raise UnknownName("show", name, [*catalog.find(), *experiments.names()])
    part = catalog.get(name)
    print(f"{name}{inspect.signature(part)}\n\n{inspect.getdoc(part)}")
    return 0


@app.command
def check(file: Path | None = None) -> int:
    """Tries the laws of its kind on every part, of the package or of an outside file.

    Args:
        file: A file my_idea.py with parts of your own. Default: the package's.
    """
    from shatterlab.laws import check_all

    broken = 0
    for specimen, findings in check_all(file):
        failures = [finding for finding in findings if not finding.passed]
        broken += len(failures)
        print(f"{'ok  ' if not failures else 'FAIL'} {specimen}: {len(findings) - len(failures)} of {len(findings)} laws hold")
        for finding in failures:
            print(f"     {finding.text}")
    return 1 if broken else 0


@data_app.command(name="list")
def data_list(*, data: Path | None = None) -> int:
    """Lists the files of the published data sets and where they are looked for.

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


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point of the `shatterlab` command."""
    warnings.formatwarning = lambda message, *_: f"warning: {message}\n"
    try:
        code = app(arguments, exit_on_error=False, result_action="return_value")
        sys.stdout.flush()
    except CycloptsError:
        code = 2  # cyclopts has printed what is wrong
    except ShatterlabError as problem:
        code = complain(problem)
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:  # `| head` has read enough; nothing is left to be told
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
