"""One trial of Table 3 at full size, from end to end: seconds of each phase, peak memory, residual, test error.

    SHATTERLAB_DATA=folder python benchmarks/full_kernels.py mnist|gabor|cifar10|random_convolution --store FILE
        [--threads 2] [--filters 4000] [--ridge 0.3] [--device cpu] [--log FILE]

Trials are those of `shatterlab run table3 --scale paper`, replicate 0, so their rows are shared: neither computes what the other
has. Before it the rate of a float32 matrix product is measured in the same process. Without ridge the random conv-net needs more
features, 8 a filter, than there are examples. `--examples N` tries the same on fewer examples; such a row belongs to no experiment.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from _all_cores import cores, cpu_model, products
from threadpoolctl import threadpool_limits

import shatterlab as sl
from shatterlab.core import Dataset
from shatterlab.design.experiment import SCALES
from shatterlab.experiments.paper import table3
from shatterlab.experiments.paper.table3 import PROCESSOR_FILTERS, RIDGE

PHASES = ("seconds.load", "seconds.corrupt", "seconds.fit", "seconds.evaluate", "seconds")
SETTINGS = {
    "mnist": ("MNIST", "Gaussian"),
    "gabor": ("MNIST", "Gabor"),
    "cifar10": ("CIFAR10", "Gaussian"),
    "random_convolution": ("CIFAR10", "RandomConvolution"),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the trial, unless the store has its row, and tells what came of it."""
    options = parsed(arguments)
    trial = chosen(options)
    device = torch.device(options.device)
    torch.set_num_threads(options.threads)
    with threadpool_limits(options.threads):
        rate, side = products("float32", options.side, options.seconds, device, lambda: None)
    lines = [f"{options.setting} on {machine(options)}", f"float32 product of {side} x {side}: {rate / 1e9:.0f} GFLOP/s", *asked(trial)]
    say(lines, options.log)
    with sl.Store(options.store) as store:
        if store.missing([trial]):
            store.add(sl.run(trial, sl.Runtime(device=options.device, threads=options.threads)))
        else:
            say(["The store has its row already; nothing is computed."], options.log)
        (row,) = store.rows(keys=[trial.key], curves=False, arrays=False)
    say(list(told(row, rate)), options.log)
    if row["status"] != "ok":
        sys.exit(1)


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options, checked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("setting", choices=SETTINGS)
    parser.add_argument("--store", type=Path, required=True, help="where the row is kept")
    parser.add_argument("--threads", type=int, default=cores(), help="default: one a core")
    parser.add_argument("--filters", type=int, default=PROCESSOR_FILTERS, help="of the random conv-net")
    parser.add_argument("--ridge", type=float, default=RIDGE, help="of the random conv-net")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--log", type=Path, help="a file to append to what is printed")
    parser.add_argument("--examples", type=int, help="a trial run on so many training and test examples")
    parser.add_argument("--side", type=int, default=8192, help="of the matrices whose product is measured")
    parser.add_argument("--seconds", type=float, default=10.0, help="that measurement takes")
    options = parser.parse_args(arguments)
    if options.threads < 1:
        parser.error(f"--threads is a whole number >= 1, got {options.threads}")
    if options.setting == "random_convolution" and (options.filters, options.ridge) not in convolutions():
        there = ", ".join(f"{filters} with {ridge:g}" for filters, ridge in convolutions())
        parser.error(f"--filters and --ridge are those of a trial of table3 at paper scale, got {options.filters} with {options.ridge:g}. There are {there}.")
    return options


def convolutions() -> list[tuple[int, float]]:
    """Filters and ridge of each trial of the random conv-net."""
    return [(trial.learner.kernel.filters, trial.learner.ridge) for trial in trials("random_convolution")]


def trials(setting: str) -> Iterator[sl.Trial]:
    """Those of table3 at paper scale with this data set in full and this kernel, replicate 0."""
    data, kernel = SETTINGS[setting]
    for trial in table3.experiment(SCALES["paper"]).trials:
        columns = trial.specification()
        whole = columns["dataset.examples"] is None and trial.seeds == sl.Seeds.replicate(0)
        if whole and (columns["dataset.kind"], columns["learner.kernel.kind"]) == (data, kernel):
            yield trial


def chosen(options: argparse.Namespace) -> sl.Trial:
    """The trial asked for."""
    found = list(trials(options.setting))
    if options.setting == "random_convolution":
        found = [trial for trial in found if (trial.learner.kernel.filters, trial.learner.ridge) == (options.filters, options.ridge)]
    (trial,) = found
    if options.examples is None:
        return trial
    fewer: Dataset = replace(trial.dataset, examples=options.examples, test_examples=options.examples)
    return replace(trial, dataset=fewer)


def machine(options: argparse.Namespace) -> str:
    """What it runs on."""
    unit = torch.cuda.get_device_name(options.device) if options.device.startswith("cuda") else cpu_model()
    return f"{unit}, {options.threads} of {cores()} cores, Python {platform.python_version()}, torch {torch.__version__}, shatterlab {sl.__version__}"


def asked(trial: sl.Trial) -> Iterator[str]:
    """The trial in words."""
    columns = trial.specification()
    yield f"trial {trial.key[:12]}: " + ", ".join(f"{name.removeprefix('learner.')} {value}" for name, value in columns.items() if worth_saying(name, value))


def worth_saying(name: str, value: object) -> bool:
    """Whether a field of the trial says more than its defaults would."""
    return value is not None and name in (
        "dataset.kind",
        "dataset.examples",
        "learner.kernel.kind",
        "learner.kernel.sigma",
        "learner.kernel.filters",
        "learner.ridge",
    )


def told(row: sl.Row, rate: float) -> Iterator[str]:
    """What came of it."""
    if row["status"] == "failed":
        yield f"failed: {row['error']}"
        return
    phases = [name for name in row if name.startswith("fit.seconds_")]
    yield "seconds: " + ", ".join(f"{name.removeprefix('fit.').removeprefix('seconds').strip('._') or 'all'} {row[name]:,.1f}" for name in (*PHASES, *phases))
    yield from speed(row, rate)
    yield f"peak memory: {amount(row['peak_memory'], 2**30)} GiB"
    yield f"relative residual: {row['fit.relative_residual']:.3g}, interpolates: {bool(row['fit.interpolates'])}, steps: {row['fit.steps']}"
    yield f"smallest pivot: {amount(row.get('fit.smallest_pivot'), 1)}, added to the factored diagonal: {amount(row.get('fit.factor_jitter'), 1)}"
    yield f"bandwidth: {amount(row.get('fit.kernel_bandwidth'), 1)}, squared norm: {row['fit.squared_norm']:,.6g}"
    yield f"training error: {100 * row['train.error']:.3f} % of {row['train.n']:,}, test error: {100 * row['test.error']:.3f} % of {row['test.n']:,}"


def speed(row: sl.Row, rate: float) -> Iterator[str]:
    """Operations of the factor, n^3/3, against the measured product."""
    spent = row.get("fit.seconds_factor")
    if spent:
        reached = row["train.n"] ** 3 / 3 / spent
        yield f"factor: {reached / 1e9:.0f} GFLOP/s, {100 * reached / rate:.0f} % of the product's"


def amount(value: float | None, unit: float) -> str:
    """A number in that unit to three digits; - where there is none."""
    return "-" if value is None else f"{value / unit:.3g}"


def say(lines: Sequence[str], log: Path | None) -> None:
    """Prints them, and appends them to the log."""
    text = "\n".join(lines)
    print(text, flush=True)
    if log is not None:
        with log.open("a", encoding="utf-8") as file:
            file.write(text + "\n")


if __name__ == "__main__":
    main()
