"""The command `suspicious`: which labels look wrong?"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter, validators

from shatterlab.cli.options import STORE, Precision, without_none
from shatterlab.cli.terminal import exit_code, interruptible, require_writable, workers_or_cores


def suspicious(
    *,
    model: str | None = None,
    data: Path | str | None = None,
    target: str | None = None,
    group: str | None = None,
    time: str | None = None,
    split: str | None = None,
    recipe: str | None = None,
    arguments: Annotated[tuple[str, ...], Parameter(name="--set")] = (),
    folds: int = 5,
    replicates: int = 1,
    rank: Literal["margin", "self_confidence"] = "margin",
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
    output: Path = Path("shatterlab-suspicious.html"),
    csv: Path | None = None,
    workers: int | None = None,
    device: str = "cpu",
    trial_timeout: Annotated[float | None, Parameter(validator=validators.Number(gt=0))] = None,
) -> int:
    """Which labels look wrong? Cross-validates your model and ranks the labels by how much fits that did not see them contradict them.

    Args:
        model: "module:factory" (a torch module's), "path/to/file.py:factory", a scikit-learn class as
            "sklearn.ensemble:RandomForestClassifier", or an architecture of `shatterlab list`. Default: an MLP.
        data: An .npz, .csv or .parquet file, a folder of class folders or of Hugging Face's save_to_disk, or a data set of
            `shatterlab list`. Default: digits.
        target: The column of a table with the classes.
        group: A column of a table, a patient's number, say, whose values each stay in one fold.
        time: A column of a table that orders its rows: folds are blocks of time.
        split: A column of a table that says train or test; the rows for training are judged.
        recipe: Your own training, "module:function", in place of a model.
        arguments: An argument of a scikit-learn class, "n_estimators=200", or a field of a torch model's optimizer or training,
            "weight_decay=0.01"; again for each further one.
        folds: Of the cross-validation.
        replicates: Cross-validations, each with its own folds and seeds, whose probabilities are averaged.
        rank: What orders the list: the margin of the label over the likeliest other class, or its probability.
        epochs: Budget of a torch model. Default: 100, or 5,000 steps where these are more.
        lr: Initial learning rate of a torch model. Default: 0.01.
        batch_size: Examples a step of a torch model. Default: 64.
        precision: Number format of a torch model's products. Default: float32.
        optimizer: Of a torch model: SGD, Adam, AdamW or RMSProp. Default: SGD.
        augmentation: Of a torch model's training images: HorizontalFlip, say; again for each further one.
        whiten: Whether a torch model's inputs are whitened (images) or standardized (columns).
        size: Side in pixels of the square images of a folder. Default: 32. Large folders are read from disk batch by batch.
        examples: Keep only so many training examples, class-stratified.
        store: Where rows are kept; rows already there are not computed again.
        output: The report, with thumbnails or row values: .html, .md or .json.
        csv: A file for the whole list.
        workers: Processes; default: one a core.
        device: Where trials run: cpu or cuda.
        trial_timeout: Seconds after which a trial is ended and counts as failed. Default: no limit.
    """
    from shatterlab.core import Runtime
    from shatterlab.studies import model_and_data as user
    from shatterlab.studies.progress import ProgressLine
    from shatterlab.studies.run import form_of
    from shatterlab.studies.suspicious import suspicious as run_suspicious

    form = form_of(output)
    for file in filter(None, (output, csv)):
        require_writable(file)
    fields = without_none(epochs=epochs, lr=lr, batch_size=batch_size, precision=precision, optimizer=optimizer)
    fields |= ({"augmentation": augmentation} if augmentation else {}) | ({} if whiten else {"whiten": False})
    learner, fields = user.model_from_options(model, recipe, fields, "suspicious", arguments)
    with ProgressLine() as progress, interruptible(store):
        result = run_suspicious(
            learner,
            user.dataset(data, examples, size=size, target=target, group=group, time=time, split=split),
            folds=folds,
            replicates=replicates,
            rank=rank,
            store=store,
            workers=workers_or_cores(workers),
            runtime=Runtime(device=device, trial_timeout=trial_timeout),
            on_row=progress,
            reproduce=(shlex.join(["shatterlab", *sys.argv[1:]]),),
            **fields,
        )
    result.save(output, form)
    print(result.text())
    if csv is not None:
        print(f"\nList: {result.to_csv(csv)}")
    print(f"\nReport: {output}")
    return exit_code(result.rows)
