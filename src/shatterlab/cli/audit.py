"""The command `audit`: is my score real, and how much of it could be memory?"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter, validators

from shatterlab.cli.options import STORE, Precision, without_none
from shatterlab.cli.terminal import exit_code, interruptible, require_writable, workers_or_cores

if TYPE_CHECKING:
    from shatterlab.studies.audit import Audit
    from shatterlab.studies.gate import Condition

GATE_FAILED = 6  # exit code


def audit(
    *,
    model: str | None = None,
    data: Path | str | None = None,
    target: str | None = None,
    group: str | None = None,
    time: str | None = None,
    split: str | None = None,
    recipe: str | None = None,
    arguments: Annotated[tuple[str, ...], Parameter(name="--set")] = (),
    quick: bool = False,
    budget: str | None = None,
    permutations: int | None = None,
    replicates: int | None = None,
    levels: Annotated[tuple[float, ...], Parameter(consume_multiple=True)] = (0.0, 0.25, 0.5, 0.75, 1.0),
    epochs: int | None = None,
    lr: float | None = None,
    batch_size: int | None = None,
    precision: Precision | None = None,
    optimizer: str | None = None,
    augmentation: tuple[str, ...] = (),
    whiten: bool = True,
    size: int | None = None,
    examples: int | None = None,
    store: Path = STORE,
    output: Path | None = None,
    form: Annotated[Literal["html", "md", "json"] | None, Parameter(name="--format")] = None,
    workers: int | None = None,
    device: str = "cpu",
    fail_if: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    junit: Path | None = None,
    trial_timeout: Annotated[float | None, Parameter(validator=validators.Number(gt=0))] = None,
) -> int:
    """Is your score real, and how much of what your model shows in training could be memory? Trains it on true and on permuted labels, and reports.

    Args:
        model: "module:factory" (a torch module's), "path/to/file.py:factory", a scikit-learn class as
            "sklearn.ensemble:RandomForestClassifier", or an architecture of `shatterlab list`. Default: an MLP and a
            small convolutional net.
        data: An .npz, .csv or .parquet file, a folder of class folders or of Hugging Face's save_to_disk, or a data set of
            `shatterlab list`. Default: digits.
        target: The column of a table with the classes.
        group: A column of a table, a patient's number, say, whose values each stay on one side of the split.
        time: A column of a table that orders its rows: the latest quarter is the test split.
        split: A column of a table that says train or test.
        recipe: Your own training, "module:function", in place of a model.
        arguments: An argument of a scikit-learn class, "n_estimators=200", or a field of a torch model's optimizer or training,
            "weight_decay=0.01"; again for each further one.
        quick: True and permuted labels only, in some ten seconds where that is possible.
        budget: The time that the trainings may take, "90s", "10m" or "2h": it chooses replicates and permutations.
        permutations: Of the first replicate's labels at most, 19 or more; 0 for no test. Default: 39 to 999, as many as about a minute allows.
        replicates: Runs of each setting. Default: 5, or fewer where a training takes long.
        levels: Shares of the labels that are permuted, in [0, 1]; 0 (true labels) and 1 (all) are always added.
        epochs: Budget of a torch model. Default: 100, or 5,000 steps where these are more.
        lr: Initial learning rate of a torch model. Default: 0.01; 0.05 for the two default nets.
        batch_size: Examples a step of a torch model. Default: 64.
        precision: Number format of a torch model's products. Default: float32.
        optimizer: Of a torch model: SGD, Adam, AdamW or RMSProp. Default: SGD.
        augmentation: Of a torch model's training images: HorizontalFlip, say; again for each further one.
        whiten: Whether a torch model's inputs are whitened (images) or standardized (columns).
        size: Side in pixels of the square images of a folder. Default: 32. Large folders are read from disk batch by batch.
        examples: Keep only so many training examples, class-stratified.
        store: Where rows are kept; rows already there are not computed again.
        output: The report. Default: shatterlab-audit.html, or .md or .json.
        form: The report as one HTML page, as Markdown with all tables, or as JSON. Default: what the name of the output ends in.
        workers: Processes; default: one a core.
        device: Where trials run: cpu or cuda.
        fail_if: A condition under which the command ends with exit code 6, "p > 0.01", say; again for each further one. Names: p, score, baseline, gain,
            memory, failed, duplicates, leaks, conflicts, problems.
        junit: A file for the conditions as JUnit XML.
        trial_timeout: Seconds after which a trial is ended and counts as failed. Default: no limit.
    """
    from shatterlab.core import Runtime
    from shatterlab.studies import model_and_data as user
    from shatterlab.studies.audit import audit as run_audit
    from shatterlab.studies.audit_plan import budget_of
    from shatterlab.studies.gate import Condition
    from shatterlab.studies.progress import ProgressLine
    from shatterlab.studies.run import form_of

    output = output or Path(f"shatterlab-audit.{form or 'html'}")
    form = form or form_of(output)
    for file in filter(None, (output, junit)):
        require_writable(file)
    conditions = [Condition.of(condition) for condition in fail_if]
    recipe_fields = without_none(epochs=epochs, lr=lr, batch_size=batch_size, precision=precision, optimizer=optimizer)
    recipe_fields |= ({"augmentation": augmentation} if augmentation else {}) | ({} if whiten else {"whiten": False})
    learner, recipe_fields = user.model_from_options(model, recipe, recipe_fields, arguments=arguments)
    with ProgressLine() as progress, interruptible(store):
        result = run_audit(
            learner,
            user.dataset(data, examples, size=size, target=target, group=group, time=time, split=split),
            replicates=replicates,
            levels=levels,
            permutations=permutations,
            budget=None if budget is None else budget_of(budget),
            quick=quick,
            store=store,
            workers=workers_or_cores(workers),
            runtime=Runtime(device=device, trial_timeout=trial_timeout),
            on_row=progress,
            tell=lambda plan: print(plan, file=sys.stderr),
            reproduce=(shlex.join(["shatterlab", *sys.argv[1:]]),),
            **recipe_fields,
        )
    result.save(output, form)
    print(result.text())
    print(f"\nReport: {output}")
    gated = _gated(result, conditions, junit)  # said and written although trials failed
    return exit_code(result.rows) or gated


def _gated(result: Audit, conditions: Sequence[Condition], junit: Path | None) -> int:
    """What the conditions say of an audit, printed and written; the exit code of the gate."""
    from shatterlab.report import write
    from shatterlab.studies import gate

    outcomes = gate.gate(result, conditions)
    for outcome in outcomes:
        print(outcome.text)
    if junit is not None:
        write(junit, gate.junit(outcomes, result.verdict))
    return GATE_FAILED if any(outcome.failed for outcome in outcomes) else 0
