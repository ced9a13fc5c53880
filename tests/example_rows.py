"""Rows made by hand, as trials would write them, for tests of views and reports."""

from __future__ import annotations

import hashlib
import math

import numpy as np

from shatterlab.core import Row

SETTINGS = [("PartialLabels", level) for level in (0.0, 0.25, 0.5, 0.75, 1.0)] + [(kind, None) for kind in ("ShuffledPixels", "RandomPixels", "GaussianPixels")]


def made_row(kind="PartialLabels", level=0.0, replicate=0, architecture="MLP", **more):
    """One row as a trial of 10 classes would write it; its numbers are made up, its shape is real."""
    rng = np.random.default_rng([replicate, len(kind), int(100 * (level or 0)), len(architecture)])
    noise = {"PartialLabels": level or 0.0, "ShuffledPixels": 0.1, "RandomPixels": 0.85, "GaussianPixels": 0.95}[kind]
    epochs = int(8 + 22 * noise + rng.integers(0, 6) + 5 * (architecture != "MLP"))
    losses = 2.3 * np.exp(-np.arange(1, epochs + 1) * 5.5 / epochs) * rng.uniform(0.85, 1.15, epochs)
    accuracy = float(np.clip(0.97 - 0.87 * noise + rng.normal(0, 0.012), 0, 1))
    rising = accuracy * (1 - np.exp(-np.arange(1, epochs + 1) / 3))
    rising[-1] = accuracy
    curves = [(e, 12 * e, name, float(v)) for name, ys in (("train.loss", losses), ("test.accuracy", rising)) for e, v in enumerate(ys, 1)]
    columns = {
        "key": hashlib.sha256(f"{kind}{level}{replicate}{architecture}".encode()).hexdigest(),
        "dataset.kind": "Digits", "dataset.examples": None, "corruption.kind": kind,
        **({"corruption.level": level} if level is not None else {"corruption.unit": "position"}),
        "learner.kind": "Training", "learner.architecture.kind": architecture, "learner.batch_size": 128,
        **{f"seeds.{stream}": replicate for stream in ("data", "corruption", "init", "order")},
        "status": "ok", "error": None, "trace": None, "classes": 10,
        "train.accuracy": 1.0, "train.error": 0.0, "train.loss": float(losses[-1]),
        "test.accuracy": accuracy, "test.error": 1 - accuracy, "test.loss": 0.2 + 4 * noise,
        "fit.epochs": epochs, "fit.steps": 12 * epochs, "fit.epochs_to_interpolation": epochs, "fit.steps_to_interpolation": 12 * epochs,
        "fit.censored": False, "fit.ended": "interpolated", "fit.parameters": 38_282,
        "check.unchanged_by_training": True, "check.batches": 2, "check.batches_equal_sample": True, "check.test_labels_true": True,
        "check.failures": None, "check.passed": True,
        "seconds": float(0.05 * epochs), "peak_memory": None, "version.shatterlab": "0.1.0", "version.torch": "2.13.0", "finished": "2026-01-02T03:04:05+00:00",
    }  # fmt: skip
    if level is not None:
        columns |= {"check.inputs_untouched": True, "check.changed": 5, "check.changed_p": 0.3 + 0.1 * replicate, "check.transition_p": 0.5}
        columns |= {"check.independence_p": 0.42} if level == 1.0 else {}
    else:
        columns |= {"check.labels_untouched": True, "check.inputs_changed": True}
    return Row(columns | more, more.pop("curves", curves))


def made_rows(replicates=3, architectures=("MLP", "SmallAlexNet")):
    """An audit's worth of rows: two models, six settings, a sweep of levels; one failed, one diverged, two censored."""
    rows = [made_row(kind, level, r, name) for name in architectures for kind, level in SETTINGS for r in range(replicates)]
    trace = 'Traceback (most recent call last):\n  File "my_model.py", line 3, in forward\n    x = <b>self</b>.layer(x)\nValueError: bad width'
    error = "scores: examples x classes, (64, 10), are required, got (64, 9)."
    rows[1] = Row({**rows[1], "status": "failed", "error": error, "trace": trace, "train.error": None, "test.error": None})
    broken = [point if point[0] < 5 else (*point[:3], math.nan) for point in rows[5].curves]
    rows[5] = Row({**rows[5], "status": "diverged", "train.loss": math.nan, "test.loss": math.nan, "test.error": 0.9, "fit.ended": "diverged"}, broken)
    cut = {"fit.epochs_to_interpolation": None, "fit.censored": True, "fit.ended": "budget", "train.error": 0.02, "train.accuracy": 0.98}
    rows[12:14] = [Row({**row, **cut}, row.curves) for row in rows[12:14]]
    return rows
