"""Trial, one configuration as a value, and `run`, from a trial to one row."""

from __future__ import annotations

import contextlib
import datetime
import functools
import json
import math
import os
import platform
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from shatterlab import __version__
from shatterlab.core import Corruption, Dataset, Examples, Fit, Learner, Measure, Part, Row, Runtime, Scalar, Seeds, Splits
from shatterlab.core.catalog import build
from shatterlab.core.errors import DataError, InvalidPart, NotApplicable, ShatterlabError, UserCodeError
from shatterlab.core.losses import number_results
from shatterlab.core.part import canonical, digest
from shatterlab.trials.machine_limits import machine_error, release_after
from shatterlab.trials.observer import TrialObserver
from shatterlab.trials.self_check import SelfCheck
from shatterlab.trials.split_results import split_results


@dataclass(frozen=True)
class Trial(Part):
    """One configuration with its seeds: a data set, a corruption and a learner.

    Args:
        dataset: the source of the sample.
        corruption: changes the sample.
        learner: fits the corrupted training split.
        seeds: of all randomness; replicates of one configuration differ in nothing else.
        measures: quantities to compute on the fit; they do not enter the key.
    """

    dataset: Dataset
    corruption: Corruption
    learner: Learner
    seeds: Seeds = Seeds()
    measures: tuple[Measure, ...] = ()

    @functools.cached_property
    def key(self) -> str:
        """sha256 of the canonical JSON of data set, corruption, learner and seeds; 64 hexadecimal digits."""
        parts = {"dataset": self.dataset, "corruption": self.corruption, "learner": self.learner, "seeds": self.seeds}
        return digest({name: part.identity() for name, part in parts.items()})

    @classmethod
    def of(cls, description: Mapping[str, Any]) -> Trial:
        """The trial of a description, the inverse of `describe`.

        Raises:
            InvalidPart: a piece is missing or is of another kind.
            UnknownName: this version does not know a part or field.
        """
        missing = [name for name in ("dataset", "corruption", "learner") if name not in description]
        if missing:
            raise InvalidPart(f"Trial: dataset, corruption and learner are required, {', '.join(missing)} is missing.")
        seeds = {name: value for name, value in description.get("seeds", {}).items() if name != "kind"}
        parts = {name: build(description[name]) for name in ("dataset", "corruption", "learner")}
        measures = [build(measure) for measure in description.get("measures", ())]
        return cls(**parts, seeds=Seeds(**seeds), measures=measures)  # type: ignore[arg-type]

    @classmethod
    def specimens(cls) -> tuple[Part, ...]:
        return ()

    def specification(self) -> dict[str, Scalar]:
        """The columns that describe the trial: its key and every field, defaults included."""
        columns: dict[str, Scalar] = {"key": self.key}
        for name in ("dataset", "corruption", "learner", "seeds"):
            columns |= getattr(self, name).columns(name)
        del columns["seeds.kind"]
        return columns


def run(trial: Trial, runtime: Runtime = Runtime()) -> Row:
    """Runs a trial from data to row.

    Errors become rows too: `status` is "failed" with the `error` (and the user's own traceback in `trace`) after an
    exception, a lack of memory or a failed self-check, "diverged" where the loss is not finite, else "ok". Only an
    interruption from the keyboard is raised.
    """
    with contextlib.suppress(Exception):
        _ = trial.key, trial.learner.predicts_numbers  # loads libraries of the user's, whose first import is no part of a trial's time
    start = time.perf_counter()
    _reset_peak_memory()
    with surroundings(runtime):
        try:
            row = _completed(trial, runtime)
        except (Exception, SystemExit) as problem:  # a row, not a crash: the sweep goes on
            trace = problem.trace if isinstance(problem, UserCodeError) else traceback.format_exc()
            name = "" if isinstance(problem, ShatterlabError) else f"{type(problem).__name__}: "
            row = failed(trial, machine_error(problem, runtime.device) or f"{name}{problem}".partition("\n")[0], trace)
    if row["status"] == "failed":
        _load.cache_clear()  # the failed trial may have changed the sample that later trials would share
        release_after(row)
    spent = {"seconds": round(time.perf_counter() - start, 6), "peak_memory": _peak_memory()}
    return Row({**row, **spent, **_made_with(runtime), **_versions(), "finished": datetime.datetime.now(datetime.UTC).isoformat()}, row.curves, row.arrays)


def failed(trial: Trial, error: str, trace: str = "") -> Row:
    """The row of a trial that has no result."""
    return Row({**trial.specification(), "status": "failed", "error": error, "trace": trace or None})


def _completed(trial: Trial, runtime: Runtime) -> Row:
    clock = _Clock()
    splits = sample(trial.dataset, runtime, trial.seeds)
    trial.learner.require_inputs(splits.train)
    clock.lap("load")
    corruption = trial.corruption.fitted(splits.train, trial.seeds)
    corrupted = corruption.apply(splits, trial.seeds)
    check = SelfCheck(splits, corrupted, corruption, trial.seeds)
    clock.lap("corrupt")
    interval = 2 * (math.ceil(len(corrupted.test) / len(corrupted.train)) - 1)  # scoring a larger test split then costs far less than training
    observer = TrialObserver(corrupted.test, check, max(runtime.test_every, interval))
    fit = trial.learner.fit(corrupted.train, trial.seeds, observer, replace(runtime, trial=trial.key))
    clock.lap("fit")
    results = split_results(fit, splits, corrupted, corruption, observer.final)
    clock.lap("evaluate")
    diverged = bool(fit.facts.get("diverged")) or any(math.isnan(value) for value in results.values() if isinstance(value, float))
    measured, arrays = _measure(trial.measures, fit, corrupted.train, diverged)
    clock.lap("measure")
    checks = check.columns()
    error = None if checks["check.passed"] else f"Trial: a clean self-check is required, failed: {checks['check.failures']}. Do not use this result."
    curves = observer.finished(results)
    columns: dict[str, Scalar] = {
        **trial.specification(),
        "status": "failed" if error else "diverged" if diverged else "ok",
        "error": error,
        "trace": None,
        **_facts(splits),
        **results,
        **_oracle(curves),
        **{f"fit.{name}": value for name, value in fit.facts.items()},
        "fit.output": fit.output,
        **measured,
        **checks,
        **clock.laps,
    }
    arrays |= {f"fit.{name}": value for name, value in fit.arrays.items()} | _fitted_values(corruption)
    return Row(columns, curves, arrays)


def sample(dataset: Dataset, runtime: Runtime, seeds: Seeds) -> Splits:
    """The sample of a trial before its corruption, kept for the trials that follow.

    Raises:
        DataError: it is missing or damaged.
    """
    return _load(canonical(dataset.describe()), canonical(dataset.identity()), runtime.data, seeds.data)


@functools.lru_cache(maxsize=2)
def _load(description: str, identity: str, root: Path | None, seed: int) -> Splits:
    """A data set, kept for the trials that follow; the identity holds the fingerprint of the user's files."""
    dataset = build(json.loads(description))
    assert isinstance(dataset, Dataset)
    return dataset.load(root, Seeds(data=seed))


def _facts(splits: Splits) -> dict[str, Scalar]:
    k = splits.train.classes
    facts: dict[str, Scalar] = {"classes": k} if splits.train.values is None else {"classes": None, "distinct_targets": k}
    facts |= _baseline(splits)
    if splits.train.names:
        facts["class_names"] = canonical(splits.train.names)
    return facts | ({"split_text": splits.split_text} if splits.split_text else {})


def _baseline(splits: Splits) -> dict[str, Scalar]:
    """The accuracy of always answering the class that most true training labels have; of numbers, R2 and RMSE of the mean of the true training targets."""
    if splits.train.values is not None:
        mean = splits.train.targets.mean()
        constant = {name: number_results(mean.expand(len(part)), part.targets) for name, part in (("train", splits.train), ("test", splits.test))}
        return {f"baseline.{name}.{column}": columns[column] for name, columns in constant.items() for column in ("r2", "rmse")}
    majority = int(torch.bincount(splits.train.labels, minlength=splits.train.classes).argmax())
    return {f"baseline.{name}.accuracy": float((split.labels == majority).double().mean()) for name, split in (("train", splits.train), ("test", splits.test))}


def _oracle(curves: Iterable[tuple[int, int, str, float | None]]) -> dict[str, Scalar]:
    """The best test accuracy of the whole curve and its first epoch: a reference for early stopping, chosen on the test split.

    No learner sees it, and no result may be selected by it.
    """
    tested = [(value, -epoch) for epoch, _, name, value in curves if name == "test.accuracy" and value is not None]
    best, epoch = max(tested, default=(None, None))
    return {"oracle.test.accuracy": best, "oracle.test.epoch": None if epoch is None else -epoch}


def _measure(measures: tuple[Measure, ...], fit: Fit, train: Examples, diverged: bool) -> tuple[dict[str, Scalar], dict[str, np.ndarray[Any, Any]]]:
    """Columns and arrays of the measures; one that does not apply is an empty cell with its reason."""
    columns: dict[str, Scalar] = {}
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for measure in measures:
        try:
            train.require_classes(measure.kind, "No measure is defined for regression.")
            if diverged:
                raise NotApplicable(f"{measure.kind}: a fit that did not diverge is required")
            values = measure.of(fit, train)
        except (NotApplicable, DataError, np.linalg.LinAlgError, torch.linalg.LinAlgError) as reason:  # type: ignore[attr-defined]
            columns |= {f"measure.{measure.kind}": None, f"measure.{measure.kind}.reason": str(reason)}
            continue
        for name, value in values.items():
            column = f"measure.{measure.kind}.{name}"
            if isinstance(value, np.ndarray | Tensor):
                arrays[column] = np.asarray(value)
            else:
                columns[column] = value
    return columns, arrays


def _fitted_values(part: Part) -> dict[str, np.ndarray[Any, Any]]:
    values = {item.name: getattr(part, item.name) for item in fields(part) if item.metadata.get("fitted")}
    return {f"corruption.{name}": np.asarray(value) for name, value in values.items() if value is not None}


class _Clock:
    """Seconds of each phase."""

    def __init__(self) -> None:
        self.start = time.perf_counter()
        self.laps: dict[str, Scalar] = {}

    def lap(self, phase: str) -> None:
        now = time.perf_counter()
        self.laps[f"seconds.{phase}"], self.start = round(now - self.start, 6), now


@contextlib.contextmanager
def surroundings(runtime: Runtime) -> Iterator[None]:
    """The threads of a trial; afterwards those of before, and the working folder of before, which the user's code may have left."""
    threads = torch.get_num_threads()
    try:
        folder = os.getcwd()
    except OSError:  # it was removed
        folder = None
    torch.set_num_threads(runtime.threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        if folder is not None:
            with contextlib.suppress(OSError):
                os.chdir(folder)


def _reset_peak_memory() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_memory() -> int | None:
    """Peak resident memory since the last reset, in bytes; None where the system does not report it."""
    try:
        line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return None
    return int(line.split()[1]) * 1024


def _made_with(runtime: Runtime) -> dict[str, Scalar]:
    """What rounding, and so a result, depends on besides the trial."""
    gpu = torch.device(runtime.device).type == "cuda" and torch.cuda.is_available()
    return {
        "runtime.device": torch.cuda.get_device_name(runtime.device) if gpu else "cpu",
        "runtime.threads": runtime.threads,
        "runtime.capability": torch.backends.cpu.get_cpu_capability(),
        "runtime.tf32": torch.backends.cuda.matmul.allow_tf32 if gpu else None,
        "runtime.test_every": runtime.test_every,
    }


@functools.cache
def _versions() -> dict[str, Scalar]:
    return {
        "version.shatterlab": __version__,
        "version.torch": str(torch.__version__),
        "version.numpy": np.__version__,
        "version.python": platform.python_version(),
        "version.machine": platform.machine(),
    }
