"""The command line as a person meets it: exit codes, whole messages, nothing but one line where something is wrong."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import resource
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import shatterlab as sl
from shatterlab.cli.commands import main
from shatterlab.store.database import Store

MODELS = """
import torch
from torch import nn


def net(shape, classes):
    size = 1
    for side in shape:
        size *= side
    return nn.Sequential(nn.Flatten(), nn.Linear(size, 64), nn.ReLU(), nn.Linear(64, classes))


def narrow(classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(6, classes - 1))


def broken(classes):
    return nn.Linear(undefined_name, classes)


def listing(classes):
    return [classes]


live = nn.Linear(6, 3)
"""

MY_IDEA = '''
"""Labels mirrored: class c becomes k - 1 - c with probability level."""

from dataclasses import dataclass

import numpy as np
import shatterlab as sl


@dataclass(frozen=True)
class MirroredLabels(sl.LabelCorruption):
    """Each label c becomes k - 1 - c with probability `level`.

    Args:
        level: the probability of a change, in [0, 1].
    """

    level: float = 0.5

    def validate(self):
        self.require(0 <= self.level <= 1, "level is a probability in [0, 1]", self.level)

    def labels(self, labels, classes, rng):
        return np.where(rng.random(len(labels)) < self.level, classes - 1 - labels, labels)

    def transition(self, classes):
        return (1 - self.level) * np.eye(classes) + self.level * np.eye(classes)[::-1]


def experiment(scale):
    learner = sl.Training(sl.MLP(hidden=(32,)), sl.SGD(lr=0.1), batch_size=32, epochs=30)
    return sl.Experiment(
        name="mirror",
        source="nobody",
        question="Does a net mind mirrored labels?",
        trials=sl.grid(sl.Trial, dataset=[sl.Digits(examples=100)], corruption=[MirroredLabels(0.0), MirroredLabels(1.0)], learner=[learner]),
        views=(sl.Table(rows=("setting",), columns=("train.error", "test.error")),),
    )
'''


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_models.py").write_text(MODELS)
    return tmp_path


@pytest.fixture
def table(here):
    """A learnable table: three classes around three centres in six dimensions."""
    rng = np.random.default_rng(0)
    y = np.arange(160) % 3
    x = np.eye(3, 6)[y] * 3 + rng.normal(size=(160, 6))
    np.savez(here / "table.npz", x=x.astype(np.float32), y=y)
    return here / "table.npz"


def shatterlab(*arguments) -> int:
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    return int(end.value.code or 0)


def refusal(capsys, *arguments) -> tuple[int, str]:
    """The exit code and the one line of a refused command."""
    code = shatterlab(*arguments)
    lines = capsys.readouterr().err.strip().splitlines()
    assert "Traceback" not in "\n".join(lines) or code == 5
    return code, lines[-1]


def test_help_is_quick():
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-m", "shatterlab", "--help"], capture_output=True, text=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert "audit" in done.stdout
    assert "Exit codes" in done.stdout
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, shatterlab.cli.commands; print('torch' in sys.modules)"], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == "False"  # what makes it quick, whatever the machine is doing
    assert min(seconds) < 1.5  # of a processor, which a busy machine stretches less than the time on the wall; 0.4 alone


def test_list_show_and_check_speak_of_every_kind(capsys):
    assert shatterlab("list") == 0
    listed = capsys.readouterr().out
    for name in ("figure1c", "audit", "Digits", "RandomLabels", "SmallInception", "SGD", "Training", "ParameterCount"):
        assert name in listed
    assert shatterlab("show", "PartialLabels") == 0
    assert "level" in capsys.readouterr().out
    assert shatterlab("show", "figure1c") == 0
    assert "trials at scale smoke" in capsys.readouterr().out
    assert shatterlab("check", "ShuffledPixels") == 0
    checked = capsys.readouterr().out.splitlines()
    assert len(checked) == len(sl.ShuffledPixels.specimens())
    assert all(line.startswith("ok   ShuffledPixels(") for line in checked)


def test_a_part_is_shown_without_importing_it():
    code = "import sys; from shatterlab.cli.commands import app; app(['show', 'Training'], result_action='return_value'); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Training(\n    architecture: Architecture,\n    optimizer: Optimizer = SGD(lr=0.01, momentum=0.9),\n")
    assert done.stdout.endswith("False\n")


def test_an_outside_module_on_an_npz_file_is_audited(here, table, capsys):
    audit = ("audit", "--model", "my_models.py:net", "--data", table, "--replicates", 2, "--epochs", 200, "--lr", 0.1, "--levels", 0, 1, "--workers", 1)
    audit = (*audit, "--permutations", 0)
    assert shatterlab(*audit) == 0
    first = capsys.readouterr()
    assert "It fits permuted labels in 2 of 2 replicates (P(fit) >= 0.16)" in " ".join(first.out.split())
    assert "Report: shatterlab-audit.html" in first.out
    page = (here / "shatterlab-audit.html").read_text()
    assert "It fits permuted labels in 2 of 2 replicates" in page
    assert "http://" not in page.split("<body", 1)[1].split("<script", 1)[0]
    with contextlib.closing(sqlite3.connect(here / "shatterlab.sqlite")) as store:
        runs = store.execute("SELECT count(*) FROM runs WHERE status = 'ok'").fetchone()
        broken = store.execute("SELECT count(*) FROM scalars WHERE name = 'check.passed' AND value <> 1").fetchone()
    assert runs == (4,)  # two settings, two replicates
    assert broken == (0,)

    assert shatterlab(*audit, "--format", "json") == 0  # nothing is missing: no trial runs
    assert "[1/" not in capsys.readouterr().err
    assert len(json.loads((here / "shatterlab-audit.json").read_text())["rows"]) == 4
    assert shatterlab(*audit, "--output", "audit.md") == 0
    assert "## The settings" in (here / "audit.md").read_text()
    assert shatterlab(*audit, "--output", "audit.pdf") == 2
    assert "a file that ends in .html, .md or .json is required, got 'audit.pdf'." in " ".join(capsys.readouterr().err.split())

    assert shatterlab("export", "--output", "rows.csv") == 0
    rows = list(csv.DictReader((here / "rows.csv").read_text().splitlines()))
    assert len(rows) == 4
    assert {row["corruption.kind"] for row in rows} == {"PartialLabels", "PermutedLabels"}  # a table has no pixels
    assert shatterlab("export", "--output", "rows.json") == 0
    assert len(json.loads((here / "rows.json").read_text())) == 4


def test_a_table_is_audited_with_groups_and_arguments(here, capsys):
    rng = np.random.default_rng(0)
    with open("visits.csv", "w", newline="") as stream:
        csv.writer(stream).writerows([("age", "patient", "ill"), *((rng.normal(), i // 2, "ny"[i % 2]) for i in range(80))])
    asked = ("audit", "--data", "visits.csv", "--model", "sklearn.tree:DecisionTreeClassifier", "--set", "max_depth=2", "--set", "criterion=entropy")
    asked = (*asked, "--quick", "--permutations", 19, "--workers", 1)
    assert shatterlab(*asked, "--target", "ill", "--group", "patient") == 0
    with Store("shatterlab.sqlite", create=False) as store:
        row = store.rows()[0]
    assert (row["dataset.group"], row["learner.arguments"], row["class_names"]) == ("patient", '{"criterion":"entropy","max_depth":2}', '["n","y"]')
    assert row["split_text"] == "The test split is 10 of 40 whole groups of patient: 20 of 80 rows."
    capsys.readouterr()
    assert refusal(capsys, *asked, "--target", "il") == (2, "error: DataTable: target: a known name is required, got 'il'. Did you mean ill?")
    needed = "error: audit: target, the name of the column with the classes, is required, got none. Columns: age, patient, ill."
    assert refusal(capsys, *asked) == (2, needed)
    assert refusal(capsys, "audit", "--data", "gone.csv", "--target", "ill")[0] == 3


def test_an_outside_file_runs_and_is_checked_by_the_laws(here, capsys):
    (here / "my_idea.py").write_text(MY_IDEA)
    assert shatterlab("run", "my_idea.py", "--workers", 1) == 0
    assert "mirrored labels" in capsys.readouterr().out
    assert shatterlab("report", "my_idea.py", "--output", "idea.html") == 0
    assert (here / "idea.html").stat().st_size > 10_000
    assert shatterlab("check", "my_idea.py") == 0
    told = capsys.readouterr().out
    assert "MirroredLabels" in told
    assert "FAIL" not in told
    (here / "bad_idea.py").write_text(MY_IDEA.replace("MirroredLabels", "HonestLabels").replace("classes - 1 - labels", "labels"))
    assert shatterlab("check", "bad_idea.py") == 1
    assert "FAIL" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (("audit", "--levels", "0", "1.5"), 2, "error: PermutedLabels: level is a probability in [0, 1], got 1.5"),
        (("audit", "--replicates", "0"), 2, "error: audit: replicates is a whole number >= 1, got 0. Three give an interval."),
        (("audit", "--permutations", "3"), 2, "error: audit: permutations is 0 or at least 19, got 3, with which p is never below 0.25."),
        (("audit", "--budget", "ten"), 2, "error: audit: budget is a time such as 90s, 10m or 2h, got 'ten'. Write --budget 10m."),
        (("audit", "--fail-if", "p less 1"), 2, "error: gate: a condition such as 'p > 0.01' is required, got 'p less 1'."),
        (("audit", "--fail-if", "q > 1"), 2, "error: gate: condition: a known name is required, got 'q'."),
        (("audit", "--epochs", "0"), 2, "error: Training: epochs is a whole number >= 1, got 0"),
        (("audit", "--lr", "-1"), 2, "error: SGD: lr is "),
        (("audit", "--workers", "0"), 2, "error: --workers: a whole number >= 1 is required, got 0. Leave it out for one a core."),
        (("audit", "--device", "gpu"), 2, "error: Runtime: device is one that torch can use here, got 'gpu' ("),
        (("audit", "--model", "MPL"), 2, "error: audit: model: a known name is required, got 'MPL'. Did you mean MLP"),
        (("audit", "--data", "Digit"), 2, "error: audit: data: a known name is required, got 'Digit'. Did you mean Digits?"),
        (("audit", "--model", "my_models.py:nett"), 2, "error: audit: --model: my_models.py: a known name is required, got 'nett'. Did you mean net?"),
        (("audit", "--model", "my_models.py:broken"), 5, "error: Imported: "),
        (("audit", "--model", "my_models.py:listing"), 5, "error: Imported: "),
        (("audit", "--model", "my_models.py:live"), 2, "error: "),
        (("audit", "--model", "nowhere:net"), 2, "error: audit: --model: an importable module is required, got 'nowhere'."),
        (("audit", "--output", "nowhere/report.html"), 2, "error: --output: a file in a folder that can be written is required, got nowhere/report.html."),
        (("audit", "--model", "MLP", "--recipe", "a:b"), 2, "error: audit: a model or a recipe is required, got both"),
        (("run", "figure1d"), 2, "error: experiments: a known name is required, got 'figure1d'. Did you mean figure1"),
        (("run", "nothing.py"), 2, "error: nothing.py: a Python file is required, nothing is at "),
        (("show", "Digit"), 2, "error: show: a known name is required, got 'Digit'. Did you mean Digits"),
        (("check", "Digit"), 2, "error: catalog: a known name is required, got 'Digit'. Did you mean Digits"),
        (("report", "figure1c"), 4, "error: Store: "),
    ],
)
def test_bad_input_is_refused_in_one_line(here, capsys, arguments, code, line):
    got, last = refusal(capsys, *arguments)
    assert (got, last[: len(line)]) == (code, line)


def test_a_failing_factory_shows_its_own_frames_only(here, capsys):
    assert shatterlab("audit", "--model", "my_models.py:broken") == 5
    told = capsys.readouterr().err
    assert "undefined_name" in told
    assert "my_models.py" in told
    assert "shatterlab/" not in told.replace("shatterlab_outside", "")


def test_a_wrong_output_width_is_told_before_training(here, table, capsys):
    code, line = refusal(capsys, "audit", "--model", "my_models.py:narrow", "--data", table)
    assert code == 2
    assert line == "error: Training: the model gives one score for each of 3 classes, shape (2, 3), got (2, 2). Change its last layer."


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda x, y: {"x": x, "y": y + 0.5 * np.random.default_rng(0).random(len(y))}, "use a regressor, or bin it"),
        (lambda x, y: {"x": np.where(np.arange(6) == 2, np.nan, x), "y": y}, "finite inputs are required"),
        (lambda x, y: {"x": x, "y": y * 0}, "at least two classes"),
        (lambda x, y: {"x": x[:0], "y": y[:0]}, "empty"),
        (lambda x, y: {"x": x.astype(str), "y": y}, "text"),
        (lambda x, y: {"inputs": x, "y": y}, "x_train"),
    ],
)
def test_unusable_data_is_refused_in_one_line(here, table, capsys, change, line):
    with np.load(table) as arrays:
        np.savez("bad.npz", **change(arrays["x"], arrays["y"]))
    code, told = refusal(capsys, "audit", "--data", "bad.npz", "--model", "MLP")
    assert code == 3
    assert line in told
    assert not Path("shatterlab.sqlite").exists()


def test_a_store_that_cannot_be_used_is_refused_and_left_alone(here, capsys):
    Path("noise.sqlite").write_bytes(bytes(range(256)) * 40)
    code, told = refusal(capsys, "run", "figure1c", "--store", "noise.sqlite")
    assert (code, told[:13]) == (4, "error: Store:")
    assert Path("noise.sqlite").read_bytes() == bytes(range(256)) * 40

    Store("newer.sqlite").close()
    with contextlib.closing(sqlite3.connect("newer.sqlite")) as newer, newer:
        newer.execute("UPDATE meta SET value = 99 WHERE name = 'schema_version'")
    code, told = refusal(capsys, "run", "figure1c", "--store", "newer.sqlite")
    assert code == 4
    assert "99" in told
    code, told = refusal(capsys, "run", "figure1c", "--store", "nowhere/rows.sqlite")
    assert code == 4


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_stops_early_gets_no_traceback(unbuffered):
    """As `shatterlab list | true` does."""
    command = f'"{sys.executable}" -m shatterlab list | true'
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONUNBUFFERED": unbuffered})
    assert done.stderr == ""


def test_an_unknown_option_exits_with_2(capsys):
    assert shatterlab("audit", "--modle", "MLP") == 2
    assert shatterlab("auditt") == 2


def test_the_data_files_are_listed_and_checked(here, capsys, monkeypatch):
    monkeypatch.setenv("SHATTERLAB_DATA", str(here))
    assert shatterlab("data", "list") == 0
    assert "data_batch_1" in capsys.readouterr().out
    assert shatterlab("data", "check") == 0  # nothing there is not damage
    folder = here / "MNIST" / "raw"
    folder.mkdir(parents=True)
    (folder / "train-labels-idx1-ubyte").write_bytes(b"no labels")
    assert shatterlab("data", "check") == 3
    assert "damaged" in capsys.readouterr().out


@pytest.mark.data
def test_real_images_with_random_labels_are_fitted_and_test_accuracy_is_not(here, capsys):
    """The paper's claim on the real CIFAR-10, in small: an MLP fits 300 images under any labels."""
    audit = ("audit", "--data", "CIFAR10", "--examples", 300, "--model", "MLP", "--replicates", 2, "--levels", 0, 1, "--permutations", 0, "--workers", 2)
    assert shatterlab(*audit) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "It fits permuted labels in 2 of 2 replicates" in told
    assert "Self-checks: passed in 10 of 10 trials" in told


@pytest.mark.data
def test_the_real_files_are_whole(capsys):
    assert shatterlab("data", "check") == 0
    told = capsys.readouterr().out
    assert told.count("ok ") >= 14  # MNIST 4, Fashion-MNIST 4, CIFAR-10 6
    assert "damaged" not in told


# A model of one's own in the paper's figures, and mistakes that are told before a sweep


def test_the_figures_can_be_made_for_a_model_of_ones_own(here, table, capsys):
    asked = ("figure1a", "--model", "my_models.py:net", "--data", table, "--epochs", 60, "--lr", 0.1, "--replicates", 2, "--store", "own.sqlite")
    assert shatterlab("run", *asked, "--workers", 1) == 0
    told = capsys.readouterr().out
    assert "net" in told and "random labels" in told and "10 ok" in told
    assert shatterlab("report", *asked, "--output", "own.html") == 0
    assert "10 of 10 trials" in capsys.readouterr().out
    page = (here / "own.html").read_text()
    assert "shatterlab run figure1a --scale smoke --replicates 2 --model my_models.py:net" in page
    assert shatterlab("show", *asked[:-2]) == 0


@pytest.mark.parametrize(
    ("asked", "code", "message"),
    [
        (("figure1c", "--lr", "0.1"), 2, "run: lr change a model of your own, got no --model. Name one, or leave them out."),
        (
            ("audit", "--model", "MLP"),
            2,
            "run: an experiment that takes a model is required, got audit. figure1a, figure1b, figure1c, capacity, convergence, judging and ledger do.",
        ),
        (("figure1c", "--replicates", "0"), 2, "Scale: replicates is a whole number >= 1, got 0"),
        (("figure1a", "--model", "my_models.py:nett"), 2, None),
        (("figure1a", "--model", "my_models.py:narrow", "--data", "table.npz"), 2, None),
        (
            ("figure1a", "--data", "table.npz"),
            2,
            "run: --data is the folder that holds the published data sets, got the file table.npz.",
        ),
        (
            ("figure1a", "--model", "sklearn.neighbors:KNeighborsClassifier", "--lr", "1"),
            2,
            "run: fields of Training go with a torch model, got lr beside Estimator. Leave them out.",
        ),
        (("figure1c", "--scale", "laptop", "--data", "."), 3, None),
        (("figure1c", "--device", "cuda:7"), 2, None),
    ],
)
def test_a_mistake_is_told_before_the_first_trial(asked, code, message, here, table, capsys, monkeypatch):
    monkeypatch.delenv("SHATTERLAB_DATA", raising=False)
    found = refusal(capsys, "run", *asked, "--store", "x.sqlite", "--workers", 1)
    assert found[0] == code
    if message is not None:
        assert message in found[1]
    if (here / "x.sqlite").exists():
        with Store(here / "x.sqlite") as store:
            assert store.rows() == []


def test_options_of_training_beside_what_does_not_train_are_refused(here, table, capsys):
    code, line = refusal(capsys, "audit", "--model", "sklearn.neighbors:KNeighborsClassifier", "--data", table, "--lr", 0.1)
    assert code == 2
    assert "audit: fields of Training go with a torch model, got lr beside Estimator. Leave them out." in line
