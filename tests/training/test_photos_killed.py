"""`shatterlab run` on photos, killed in the middle of an epoch: the same command then ends as if nothing had happened."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import shatterlab as sl

EXPERIMENT = '''
"""Inception v3 on photos, with what draws random numbers in a step: windows, mirror images, dropout."""

import shatterlab as sl


def experiment(scale):
    learner = sl.StreamedTraining(
        sl.InceptionV3(dropout=0.2, width=WIDTH, init="he"), sl.RMSProp(lr=0.0003, momentum=0.9, eps=0.001, weight_decay=4e-5),
        batch_size=BATCH, epochs=EPOCHS, smoothing=0.1, augmentation=(sl.RandomResizedCrop((0.5, 1.0)), sl.HorizontalFlip()),
    )
    return sl.Experiment(
        name="killed", source="nobody", question="Does it go on where it was?",
        trials=(sl.Trial(PHOTOS, sl.RandomLabels(), learner),),
        views=(sl.Table(rows=("corruption.level",), columns=("train.accuracy", "test.accuracy")),),
    )
'''
GENERATED = {"WIDTH": "0.04", "BATCH": "6", "EPOCHS": "10", "PHOTOS": "sl.GeneratedPhotos(classes=3, per_class=16, side=80, size=75)"}
IMAGENETTE = {"WIDTH": "0.25", "BATCH": "30", "EPOCHS": "4", "PHOTOS": 'sl.StreamedFolder("data:imagenette", size=75, examples=300, test_examples=100)'}
TIMES = ("seconds", "finished", "peak_memory", "fit.seconds")  # what two undisturbed runs differ in


def command(folder: Path, name: str) -> list[str]:
    places = ["--store", f"{name}.sqlite", "--checkpoints", f"{name}_checkpoints", "--checkpoint-every", "0", "--readers", "2"]
    return [sys.executable, "-m", "shatterlab", "run", str(folder / "killed.py"), "--workers", "1", *places]


def state(folder: Path, name: str) -> dict[str, Any] | None:
    """Of its only checkpoint."""
    files = list((folder / f"{name}_checkpoints").glob("*.checkpoint"))
    return torch.load(files[0], weights_only=True) if files else None


def written(folder: Path, name: str) -> int | None:
    """When its checkpoint was, in nanoseconds."""
    files = list((folder / f"{name}_checkpoints").glob("*.checkpoint"))
    return files[0].stat().st_mtime_ns if files else None


def lasting(folder: Path, name: str) -> tuple[dict[str, Any], list[tuple[Any, ...]]]:
    """Its only row without what a clock tells, and its curves."""
    with sl.Store(folder / f"{name}.sqlite", create=False) as store:
        [row] = store.rows()
    return {column: value for column, value in row.items() if not column.startswith(TIMES)}, list(row.curves)


def process(folder: Path, name: str) -> subprocess.Popen[str]:
    with (folder / f"{name}.log").open("a") as log:
        return subprocess.Popen(command(folder, name), cwd=folder, stdout=log, stderr=log, text=True, start_new_session=True)


def killed_in_the_middle(folder: Path, name: str, epoch: int, steps: int) -> tuple[int, int]:
    """Kills a run, driver and worker, once its last checkpoint lies in the middle of this epoch or of a later one; returns epoch and steps in it."""
    before = (state(folder, name) or {"place": (0, 0, 0)})["place"]
    seen = written(folder, name)
    running = process(folder, name)
    try:
        while running.poll() is None:
            time.sleep(0.05)
            if written(folder, name) == seen:
                continue
            os.killpg(running.pid, signal.SIGSTOP)  # it takes no step while its new checkpoint is looked at
            seen, place = written(folder, name), (state(folder, name) or {})["place"]
            assert place >= before  # it went on, it did not begin again
            if place[0] >= epoch and 0 < place[1] < steps:
                return place[0], place[1]
            os.killpg(running.pid, signal.SIGCONT)
    finally:
        ended = running.poll()
        if ended is None:
            os.killpg(running.pid, signal.SIGKILL)
            assert running.wait() == -signal.SIGKILL
    raise AssertionError(f"it ended with {ended} before it could be killed: {(folder / f'{name}.log').read_text()}")


@pytest.mark.slow
@pytest.mark.timeout(3000)  # two minutes on a free core, the generated photos half of one
@pytest.mark.parametrize(
    ("fields", "steps"), [pytest.param(GENERATED, 8, id="generated"), pytest.param(IMAGENETTE, 10, id="imagenette", marks=pytest.mark.data)]
)
def test_a_run_on_photos_killed_twice_in_the_middle_of_an_epoch_ends_with_the_undisturbed_weights_and_row(fields, steps, tmp_path):
    if fields is IMAGENETTE and not (Path(os.environ["SHATTERLAB_DATA"]) / "imagenette").is_dir():
        pytest.skip("no imagenette below SHATTERLAB_DATA")
    text = EXPERIMENT
    for name, value in fields.items():
        text = text.replace(name, value)
    (tmp_path / "killed.py").write_text(text)
    print("\n$", " ".join(["shatterlab", "run", "killed.py", *command(tmp_path, "broken")[5:]]), "\n\nkilled.py:", text)
    assert process(tmp_path, "whole").wait() == 0
    places = [killed_in_the_middle(tmp_path, "broken", epoch, steps) for epoch in (1, 3)]
    assert places[0] < places[1]
    with sl.Store(tmp_path / "broken.sqlite", create=False) as store:
        assert not len(store)  # no row yet
    assert process(tmp_path, "broken").wait() == 0
    whole, broken = state(tmp_path, "whole"), state(tmp_path, "broken")
    assert whole is not None and broken is not None and whole["place"] == broken["place"] == (int(fields["EPOCHS"]), steps, int(fields["EPOCHS"]) * steps)
    assert whole["model"].keys() == broken["model"].keys()
    assert all(torch.equal(value, broken["model"][name]) for name, value in whole["model"].items())
    assert lasting(tmp_path, "whole") == lasting(tmp_path, "broken")
    row, curves = lasting(tmp_path, "broken")
    assert row["status"] == "ok" and len([each for each in curves if each[2] == "train.accuracy"]) == int(fields["EPOCHS"])
    for number, (epoch, done) in enumerate(places, 1):
        print(f"kill {number}: SIGKILL in epoch {epoch} after {done} of {steps} steps")
    print(f"{len(whole['model'])} tensors of weights and moments are equal bit for bit, {len(row)} columns and {len(curves)} points of curves are equal")
    print(f"train {row['train.accuracy']!r} {row['train.loss']!r}, test {row['test.accuracy']!r} {row['test.loss']!r}")
