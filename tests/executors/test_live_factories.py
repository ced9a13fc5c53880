"""A model of the running script or notebook in worker processes: pickled by value, for these processes alone."""

from __future__ import annotations

import ast
import subprocess
import sys
import threading
from pathlib import Path

import cloudpickle
import pytest
from torch import nn

import shatterlab as sl
from shatterlab.core import Runtime, live_code
from shatterlab.core.errors import InvalidPart
from shatterlab.core.user_code import load_file
from shatterlab.executors.drive import Task
from shatterlab.executors.local import LocalPool
from shatterlab.trials.trial import Trial

pytestmark = pytest.mark.filterwarnings("ignore:LocalPool")  # where there is one core
SOURCE = Path(sl.__file__).parent
VARYING = ("seconds", "peak_memory", "finished", "run")
UNITS = 12


def built(units):
    class Net(nn.Module):
        def __init__(self, shape, classes, units):
            super().__init__()
            self.layers = nn.Sequential(nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], units), nn.ReLU(), nn.Linear(units, classes))

        def forward(self, inputs):
            return self.layers(inputs)

    return lambda shape, classes: Net(shape, classes, units)


def lasting(row):
    columns = {name: value for name, value in row.items() if not name.startswith(VARYING)}
    return columns, row.curves, {name: array.tolist() for name, array in row.arrays.items()}


def test_a_lambda_gives_the_same_rows_in_worker_processes_as_in_this_one():
    fields = {"replicates": 1, "levels": (), "permutations": 0, "epochs": 2}
    here, there = (sl.audit(built(UNITS), sl.Digits(examples=60, test_examples=20), workers=workers, **fields) for workers in (0, 2))
    assert [lasting(row) for row in there.rows] == [lasting(row) for row in here.rows]
    assert {row["status"] for row in there.rows} == {"ok"} and len(there.rows) == 5


SCRIPT = """\
import shatterlab as sl
from shatterlab.executors.drive import Task
from shatterlab.executors.local import LocalPool
from torch import nn
print("the script runs", flush=True)
class Net(nn.Linear):
    def forward(self, inputs):
        return super().forward(inputs.flatten(1))
def net(classes):
    return Net(64, classes)
def fit(X, y):
    return lambda X: X[:, :10]
pool = LocalPool(1)
for learner in (sl.Training(sl.Imported(net), epochs=1), sl.Recipe(fit)):
    pool.submit(Task(sl.Trial(sl.Digits(examples=60, test_examples=20), sl.TrueLabels(), learner), sl.Runtime()))
for _, row in pool.as_completed():
    print(row["status"], (row.get("learner.architecture.factory") or row["learner.function"]).partition("#")[0], flush=True)
"""


def test_a_function_of_a_script_reaches_workers_that_do_not_run_the_script(tmp_path):
    """The script has no `if __name__ == "__main__"`: a worker that imported it would print."""
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=200)
    assert done.stdout.splitlines() == ["the script runs", "ok live:net", "ok live:fit"]


def test_a_factory_that_cannot_be_pickled_is_refused_in_one_sentence():
    lock = threading.Lock()

    def guarded(classes):
        with lock:
            return nn.Linear(64, classes)

    trial = Trial(sl.Digits(examples=60, test_examples=20), sl.TrueLabels(), sl.Training(sl.Imported(guarded), epochs=1))
    with pytest.raises(InvalidPart) as refused:
        LocalPool(1).submit(Task(trial, Runtime()))
    required = "Imported: a factory that can be pickled for worker processes is required, got TypeError: cannot pickle '_thread.lock' object."
    assert str(refused.value) == f"{required} Create such objects inside the factory, or use workers=0."


def test_the_code_that_was_hashed_travels_and_needs_no_file(tmp_path, monkeypatch):
    file = tmp_path / "mine.py"
    file.write_text("from torch import nn\nUNITS = 3\ndef head(): return nn.Linear(4, UNITS)\nfactory = lambda: head()\n")
    module = load_file(file)
    part = sl.Imported(module.factory)
    (content,) = live_code.pickled(part).values()
    monkeypatch.delitem(sys.modules, module.__name__)  # no other process could import it by this name
    assert cloudpickle.loads(content)().out_features == 3


def imports(file):
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = "" if isinstance(node, ast.Import) else f"{node.module}."
            yield from (f"{module}{alias.name}" for alias in node.names)


def test_nothing_but_what_the_parent_process_sends_is_unpickled():
    places = {name: set() for name in ("cloudpickle", "pickle", "shatterlab.core.live_code.receive")}
    for file in SOURCE.rglob("*.py"):
        for name in imports(file):
            places.setdefault(name, set()).add(file.relative_to(SOURCE).as_posix())
    assert places["cloudpickle"] == {"core/live_code.py"}
    assert places["shatterlab.core.live_code.receive"] == {"executors/_worker.py"}
    # a reader that refuses all but arrays, and the name of an exception
    assert places["pickle"] <= {"training/checkpoint.py"}
    assert {name for name in places if name.partition(".")[0] == "joblib"} == {"joblib.hash"}  # which reads nothing
    assert not places.keys() & {"dill", "marshal", "shelve"}
    for file in SOURCE.rglob("*.py"):
        text = file.read_text()
        assert text.count("torch.load(") == text.count("weights_only=True") and "allow_pickle=True" not in text, file
