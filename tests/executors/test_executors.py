"""Executors: the same rows wherever trials run, and what is done stays, whatever dies or interrupts."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from shatterlab.core import Fit, Learner, Row, Runtime, Seeds, catalog
from shatterlab.core.errors import InvalidPart, ShatterlabError, StoreError
from shatterlab.corruptions.labels import PartialLabels
from shatterlab.datasets.digits import Digits
from shatterlab.executors import local
from shatterlab.executors.drive import Executor, InProcess, Task, drive
from shatterlab.executors.local import LocalPool
from shatterlab.kernels.radial import Gaussian
from shatterlab.learners.kernel_interpolation import KernelInterpolation
from shatterlab.store.database import Store
from shatterlab.trials import machine_limits as resources
from shatterlab.trials.trial import Trial, run

PROBE = '''\
"""A data set and a learner of somebody's own."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import beside_probe
from shatterlab.core import Batch, Dataset, Examples, Fit, Learner, Progress, Runtime, Seeds, Splits


@dataclass(frozen=True)
class Few(Dataset):
    def read(self, root, seeds):
        inputs, labels = torch.rand(40, 3, generator=torch.Generator().manual_seed(5)), torch.arange(40) % 4
        return Splits(Examples(inputs[:30], labels[:30], 4), Examples(inputs[30:], labels[30:], 4))


@dataclass(frozen=True)
class Probe(Learner):
    act: str = "live"
    mark: str = ""

    def fit(self, train, seeds=Seeds(), observe=None, runtime=Runtime()):
        if self.act == "die" or (self.act == "die once" and not Path(self.mark).exists()):
            Path(self.mark or os.devnull).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if self.act == "exit":
            sys.exit("enough")
        if self.act == "lose the GPU":
            raise RuntimeError("CUDA error: unspecified launch failure\\nCUDA kernel errors might be asynchronously reported.")
        if self.act == "ask for too much":
            torch.empty(10**14)
        if self.act.startswith("hang"):
            child = subprocess.Popen(["sleep", "60"]) if self.act == "hang with a child" else None
            Path(self.mark).write_text(str(child.pid if child else os.getpid()))
            (ctypes.PyDLL(None) if self.act == "hang with the lock" else time).sleep(60)
        if self.act == "leave":
            os.chdir("/")
        weights = torch.from_numpy(seeds.rng("init").normal(size=(3, 4)).astype(np.float32))
        score = lambda inputs: inputs @ weights
        batch = Batch(torch.arange(30), train.inputs, train.labels)
        for epoch in (1, 2, 3):
            observe(Progress(epoch, 10 * epoch, score, "logits", train_loss=1 / epoch, last=epoch == 3, batch=batch))
        return Fit(score, "logits", facts={"weight": float(weights[0, 0])}, arrays={"weights": weights.numpy()})


@dataclass(frozen=True)
class Place(Learner):
    """Tells where it runs."""

    def fit(self, train, seeds=Seeds(), observe=None, runtime=Runtime()):
        place = {
            "pid": os.getpid(), "threads": torch.get_num_threads(), "omp": os.environ["OMP_NUM_THREADS"], "mkl": os.environ["MKL_NUM_THREADS"],
            "ignores_sigint": signal.getsignal(signal.SIGINT) is signal.SIG_IGN, "folder": os.getcwd(), "beside": beside_probe.ANSWER,
            "script": getattr(sys.modules["__main__"], "__file__", None), "path": "a place of my own" in sys.path,
        }
        return Fit(lambda inputs: torch.zeros(len(inputs), 4), "logits", facts=place)
'''
VARYING = ("seconds", "seconds.", "peak_memory", "finished")


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outside")
    (folder / "beside_probe.py").write_text("ANSWER = 42\n")
    (folder / "probe.py").write_text(PROBE)
    catalog.load(folder / "probe.py")
    return folder / "probe.py"


@pytest.fixture
def store():
    with Store(":memory:") as opened:
        yield opened


def asked(act="live", replicate=0, level=0.5, mark="", learner=None):
    few, acting = catalog.get("Few"), catalog.get("Probe")
    return Trial(few(), PartialLabels(level), learner or acting(act, str(mark)), Seeds.replicate(replicate))


def lasting(row):
    """What two runs of one trial must agree on."""
    columns = {name: value for name, value in row.items() if not name.startswith(VARYING)}
    return columns, row.curves, {name: array.tolist() for name, array in row.arrays.items()}


class Instant:
    """An executor whose rows are given beforehand."""

    workers = 1

    def __init__(self, make):
        self.make, self.tasks, self.cancelled = make, [], None

    def submit(self, task):
        self.tasks.append(task)

    def as_completed(self):
        while self.tasks:
            task = self.tasks.pop(0)
            yield task, self.make(task.trial)

    def withdraw(self, unwanted):
        before = len(self.tasks)
        self.tasks = [task for task in self.tasks if not unwanted(task)]
        return before - len(self.tasks)

    def shutdown(self, cancel=False):
        self.cancelled = cancel


def answered(trial, **columns):
    return Row({**trial.specification(), "status": "ok", **columns})


# Driving


def test_driving_runs_only_what_is_missing_and_gives_all_rows_in_the_order_asked(probe, store):
    trials = [asked(replicate=r) for r in range(4)]
    told, executor = [], InProcess()
    assert drive([trials[2]], store, executor)[0]["seeds.init"] == 2
    rows = drive([*trials, trials[0]], store, executor, on_row=lambda row, done, total: told.append((row["seeds.init"], done, total)))
    assert told == [(0, 1, 3), (1, 2, 3), (3, 3, 3)]
    assert [row["key"] for row in rows] == [trial.key for trial in trials]
    assert {row["status"] for row in rows} == {"ok"}
    assert len(rows[0].curves) == 9 and rows[0].arrays["fit.weights"].shape == (3, 4)
    assert drive(trials, store, executor, on_row=lambda *_: pytest.fail("nothing was missing")) != []
    assert drive([], store, executor) == []


def test_failed_trials_run_again_and_the_newest_result_is_given(probe, store):
    trial = asked()
    (row,) = drive([trial], store, Instant(lambda trial: answered(trial, status="failed", finished="2026-01-01T00:00:00Z")))
    assert row["status"] == "failed"
    (row,) = drive([trial], store, InProcess())
    assert (row["status"], len(store)) == ("ok", 1)


def test_a_full_disk_surfaces_and_stops_the_executor(probe, tmp_path):
    with Store(tmp_path / "results.sqlite") as store:
        drive([asked(replicate=0)], store, InProcess())
        (pages,) = store._connection.execute("PRAGMA page_count").fetchone()
        store._connection.execute(f"PRAGMA max_page_count = {pages}")
        executor = Instant(lambda trial: answered(trial, much="x" * 10**6))
        with pytest.raises(StoreError, match=r"^Store: free space is required to add to results\.sqlite"):
            drive([asked(replicate=r) for r in range(3)], store, executor)
        assert executor.cancelled is True
        assert [row["seeds.init"] for row in store.rows()] == [0]


def test_an_interruption_stops_the_executor_and_keeps_what_is_done(probe, store):
    def interrupted(row, done, total):
        if done == 2:
            raise KeyboardInterrupt

    executor = Instant(answered)
    with pytest.raises(KeyboardInterrupt):
        drive([asked(replicate=r) for r in range(5)], store, executor, on_row=interrupted)
    assert executor.cancelled is True
    assert len(store) == 2


def test_what_no_table_can_hold_fails_its_own_trial_only(probe, store):
    odd = Instant(lambda trial: answered(trial, facts=[1] if trial.seeds.init == 0 else 1))
    rows = drive([asked(replicate=r) for r in range(2)], store, odd)
    assert [row["status"] for row in rows] == ["failed", "ok"]
    assert rows[0]["error"] == "Store: text, numbers, true, false or None are required, column facts has list. Put arrays in Row.arrays."


def test_code_that_changed_while_trials_ran_fails_the_trial(probe, store):
    (row,) = drive([asked()], store, Instant(lambda trial: answered(trial, key="of other code")))
    assert (row["key"], row["status"]) == (asked().key, "failed")
    assert row["error"] == "Trial: code and data that stay as they are required, they changed after this trial was submitted. Run it again."


def test_driving_costs_little_beside_the_trial(probe, store):
    """The aim is 3 ms a trial beyond the trial; twice that of processor time here, so that a busy machine raises no false alarm."""
    trials = [asked(replicate=r) for r in range(60)]
    given = run(trials[0])
    start = time.process_time()
    rows = drive(trials, store, Instant(lambda trial: Row({**given, **trial.specification()}, given.curves, given.arrays)))
    assert len(rows) == 60
    assert (time.process_time() - start) / 60 < 0.006


def test_the_executors_keep_the_protocol():
    executors: list[Executor] = [InProcess(), LocalPool(1), Instant(answered)]
    for executor in executors:
        assert list(executor.as_completed()) == []
        executor.shutdown()
        executor.shutdown(cancel=True)


# Worker processes


def a_keyboard_interruption_stops(pool, store, mark):
    def press():
        until(lambda: written(mark))
        os.kill(os.getpid(), signal.SIGINT)

    before = len(store)
    threading.Thread(target=press).start()
    with pytest.raises(KeyboardInterrupt):
        drive([asked("live", 10), asked("hang", 11, mark=mark), asked("live", 12), asked("live", 13)], store, pool)
    assert not alive(int(mark.read_text()))
    assert len(store) > before


@pytest.mark.filterwarnings("ignore:LocalPool")  # where there is one core
def test_a_pool_gives_the_rows_of_this_process_and_survives_dying_workers(probe, store, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend("a place of my own")
    monkeypatch.chdir(tmp_path)
    here = [asked(replicate=r, level=level) for r in range(2) for level in (0.0, 1.0)]
    place, leaves, dies_once, dies = (
        asked(learner=catalog.get("Place")()),
        asked("exit"),
        asked("die once", mark=tmp_path / "mark"),
        asked("die"),
    )
    pool = LocalPool(2)
    try:
        rows = drive([*here, place, leaves, dies_once, dies], store, pool, Runtime(threads=7))
        a_keyboard_interruption_stops(pool, store, tmp_path / "hangs")
    finally:
        pool.shutdown(cancel=True)
    for row, trial in zip(rows, here, strict=False):
        with Store(":memory:") as other:
            assert lasting(row) == lasting(drive([trial], other, InProcess())[0])
    told = {name: rows[4][f"fit.{name}"] for name in ("threads", "omp", "mkl", "ignores_sigint", "folder", "beside", "script", "path")}
    assert told == {
        "threads": 1, "omp": "1", "mkl": "1", "ignores_sigint": 1, "folder": str(tmp_path), "beside": 42, "script": None, "path": 1,
    }  # fmt: skip
    assert rows[4]["fit.pid"] != os.getpid()
    assert (rows[5]["status"], rows[5]["error"]) == ("failed", "SystemExit: enough")
    assert "sys.exit" in rows[5]["trace"]
    assert rows[6]["status"] == "ok"
    assert {name: rows[7][name] for name in ("key", "status", "error", "learner.act", "trace")} == {
        "key": dies.key,
        "status": "failed",
        "error": "LocalPool: a worker process died (signal 9) twice while running this trial. "
        "Out of memory? Use fewer --workers, or a smaller network or batch_size.",
        "learner.act": "die",
        "trace": None,
    }


LOST = "Trial: a GPU that answers is required, got CUDA error: unspecified launch failure. What is done is kept; the same command does the rest."
SHORT = "Trial: memory for the network, its batches and the sample is required, got none for a block of 372,529 GiB. Use a smaller network or batch_size."


def test_a_trial_that_outlasts_its_time_is_ended_with_what_it_started_and_the_sweep_goes_on(probe, store, tmp_path):
    pool, marks = LocalPool(2), [tmp_path / name for name in ("lock", "child")]
    trials = [asked("hang with the lock", mark=marks[0]), asked("hang with a child", mark=marks[1]), asked(replicate=1), asked(replicate=2)]
    start = time.monotonic()
    try:
        rows = drive(trials, store, pool, Runtime(trial_timeout=5))
    finally:
        pool.shutdown(cancel=True)
    assert [row["status"] for row in rows] == ["failed", "failed", "ok", "ok"] and time.monotonic() - start < 55
    wanted = "LocalPool: a trial within the time limit of 5 s is required, got one that was still running and was ended. "
    assert rows[0]["error"] == rows[1]["error"] == f"{wanted}Raise --trial-timeout, or see why it takes so long."
    assert until(lambda: not any(alive(int(mark.read_text())) for mark in marks), 10)
    with pytest.raises(InvalidPart, match=r"^InProcess: no time limit is required, got trial_timeout = 5\. "):
        InProcess().submit(Task(trials[0], Runtime(trial_timeout=5)))


def test_a_recipe_that_changes_the_folder_does_not_change_it_for_the_next_trial(probe, store):
    before = os.getcwd()
    assert run(asked("leave"))["status"] == "ok" and os.getcwd() == before
    pool = LocalPool(1)
    try:
        rows = drive([asked("leave"), asked(learner=catalog.get("Place")())], store, pool)
    finally:
        pool.shutdown()
    assert rows[1]["fit.folder"] == before


def test_what_a_worker_tells_of_a_long_computation_reaches_this_process(caplog):
    """A worker's solver tells its phases and residuals; the first message of a worker is never held back."""
    few = Trial(Digits(examples=60, test_examples=20), PartialLabels(0.0), KernelInterpolation(Gaussian(1.5)))
    pool = LocalPool(1)
    caplog.set_level("INFO", logger="shatterlab")
    try:
        pool.submit(Task(few, Runtime()))
        ((_, row),) = pool.as_completed()
    finally:
        pool.shutdown()
    assert row["status"] == "ok"
    assert "solver: gram, 60 examples" in caplog.messages


def test_a_worker_whose_gpu_failed_is_replaced_and_one_that_ran_short_of_memory_goes_on(probe, store, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # so that no GPU answers
    place = catalog.get("Place")()
    trials = [asked(learner=place), asked("ask for too much"), asked(replicate=1, learner=place), asked("lose the GPU"), asked(replicate=2, learner=place)]
    pool = LocalPool(1)
    try:
        rows = drive(trials, store, pool)
    finally:
        pool.shutdown(cancel=True)
    assert [row["error"] for row in rows] == [None, SHORT, None, LOST, None]
    before, between, after = (rows[i]["fit.pid"] for i in (0, 2, 4))
    assert before == between != after
    assert not alive(before)


def test_this_process_stops_where_its_gpu_failed_and_keeps_what_is_done(probe, store, monkeypatch):
    monkeypatch.setattr(resources, "_gpu_answers", lambda device: False)
    trials = [asked(), asked("ask for too much"), asked("lose the GPU"), asked(replicate=1), asked(replicate=2)]
    with pytest.raises(ShatterlabError) as problem:
        drive(trials, store, InProcess())
    assert str(problem.value) == "InProcess: a GPU that answers this process is required, it failed and 2 trials are left. Restart, or use worker processes."
    assert {row["key"]: row["error"] for row in store.rows()} == {trials[0].key: None, trials[1].key: SHORT, trials[2].key: LOST}
    assert [row["status"] for row in drive(trials[:2] + trials[3:], store, InProcess())] == ["ok", "failed", "ok", "ok"]
    assert drive([trials[2]], store, InProcess())[0]["error"] == LOST  # nothing is left to be stopped


def test_a_gpu_that_recovers_stops_nothing(probe, store, monkeypatch):
    monkeypatch.setattr(resources, "_gpu_answers", lambda device: True)
    rows = drive([asked("lose the GPU"), asked()], store, InProcess())
    assert [row["error"] for row in rows] == ["RuntimeError: CUDA error: unspecified launch failure", None]


def test_more_workers_than_cores_bring_one_warning(monkeypatch):
    monkeypatch.setattr(local, "cores", lambda: 2)
    with pytest.warns(UserWarning, match="^LocalPool: ") as told:
        LocalPool(3)
    assert [str(each.message) for each in told] == ["LocalPool: at most one worker a core is fastest, got 3 on 2. Use --workers 2."]
    LocalPool(2)  # no warning, which would be an error here


def test_cores_are_those_that_this_process_may_use(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 3, 5}, raising=False)
    assert local.cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert local.cores() == 7


@pytest.mark.parametrize(
    ("workers", "threads", "name", "value"), [(0, 1, "workers", "0"), (-2, 1, "workers", "-2"), (1, 0, "threads", "0"), (1.5, 1, "workers", "1.5")]
)
def test_a_pool_of_no_workers(workers, threads, name, value):
    with pytest.raises(InvalidPart) as problem:
        LocalPool(workers, threads)
    assert str(problem.value) == f"LocalPool: {name} is a whole number >= 1, got {value}. Use 1 for one after the other."


@dataclass(frozen=True)
class OfTheScript(Learner):
    """Defined where no worker looks."""

    def fit(self, train, seeds=Seeds(), observe=None, runtime=Runtime()):
        return Fit(lambda inputs: np.zeros((len(inputs), train.classes)), "logits")


def test_a_part_that_no_worker_could_find_is_refused_before_it_starts(probe):
    with pytest.raises(InvalidPart) as problem:
        LocalPool(1).submit(Task(asked(learner=OfTheScript()), Runtime()))
    remedy = "Put it in a file of its own and load that with `catalog.load`, or use InProcess."
    assert str(problem.value) == f"LocalPool: parts of the package or of a loaded file are required, OfTheScript is defined in {__name__}. {remedy}"


SCRIPT = """\
import sys
from shatterlab import catalog
from shatterlab.core import Seeds
from shatterlab.corruptions.labels import PartialLabels
from shatterlab.datasets.digits import Digits
from shatterlab.executors.drive import drive
from shatterlab.executors.local import LocalPool
from shatterlab.kernels.radial import Gaussian
from shatterlab.learners.kernel_interpolation import KernelInterpolation
from shatterlab.store.database import Store
from shatterlab.trials.trial import Trial

print("the script runs", flush=True)
probe, store, mark, hanging = sys.argv[1:]
catalog.load(probe)
Few, Probe = catalog.get("Few"), catalog.get("Probe")
trials = [Trial(Few(), PartialLabels(0.5), Probe(act, mark), Seeds(init=init)) for act, init in (("live", 0), ("live", 1), (hanging, 0))]
drive(trials, Store(store), LocalPool(1), on_row=lambda row, done, total: print(row["status"], done, total, flush=True))
"""


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text() if Path("/proc").is_dir() else True


def written(mark):
    return mark.exists() and mark.read_text()


def until(happens, seconds=120.0):
    deadline = time.monotonic() + seconds
    while not happens() and time.monotonic() < deadline:
        time.sleep(0.05)
    return happens()


@pytest.mark.parametrize(
    ("number", "act"), [(signal.SIGKILL, "hang"), (signal.SIGKILL, "hang with the lock"), pytest.param(signal.SIGINT, "hang", marks=pytest.mark.slow)]
)
def test_a_driver_that_dies_leaves_its_rows_and_no_worker(probe, tmp_path, number, act):
    """The script has no `if __name__ == "__main__"`; a worker that imported it would print, and start workers of its own."""
    script, store, mark = tmp_path / "script.py", tmp_path / "results.sqlite", tmp_path / "mark"
    script.write_text(SCRIPT)
    # a background job inherits an ignored SIGINT, which a terminal's programs do not have
    heard = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.default_int_handler)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True, **heard}
    with subprocess.Popen([sys.executable, script, probe, store, mark, act], **pipes) as driver:
        told = [driver.stdout.readline().strip() for _ in range(3)]  # the worker may begin the third trial before the second row is stored
        until(lambda: written(mark) or driver.poll() is not None)
        assert written(mark), driver.communicate(timeout=5)
        worker = int(mark.read_text())
        assert alive(worker)
        if number == signal.SIGINT:
            os.killpg(driver.pid, number)  # as a terminal does: to the workers too
        else:
            driver.send_signal(number)
        out, err = driver.communicate(timeout=60)
    assert (told, out) == (["the script runs", "ok 1 3", "ok 2 3"], "")
    assert driver.returncode == -number
    assert err.count("Traceback") == (number == signal.SIGINT)  # the driver's own, nothing of the worker's
    assert until(lambda: not alive(worker), 20)
    with Store(store, create=False) as kept:
        assert [row["status"] for row in kept.rows()] == ["ok", "ok"]


# The whole instrument, killed


@pytest.mark.slow
@pytest.mark.timeout(900)  # half a minute on two free cores
def test_an_experiment_killed_at_random_moments_ends_with_the_undisturbed_rows(tmp_path):
    def command(store):
        return [sys.executable, "-m", "shatterlab", "run", "figure1c", "--scale", "smoke", "--store", store, "--workers", "2"]

    def rows_of(path):
        with Store(path, create=False) as store:
            assert store._connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            return {row["key"]: lasting(row) for row in store.rows()}

    def count(path):
        try:
            with Store(path, create=False) as store:
                return len(store)
        except StoreError as problem:
            if "nothing is at" in str(problem) or "is empty" in str(problem):
                return 0
            raise

    whole, broken, moments, partial = tmp_path / "whole.sqlite", tmp_path / "broken.sqlite", random.Random(2), []
    subprocess.run(command(whole), check=True, capture_output=True, cwd=tmp_path)
    undisturbed = rows_of(whole)
    for _ in range(3):
        wanted = count(broken) + moments.randint(0, 3)
        with subprocess.Popen(command(broken), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path) as running:
            until(lambda wanted=wanted, running=running: count(broken) >= wanted or running.poll() is not None)
            time.sleep(moments.uniform(0, 1))
            running.send_signal(signal.SIGKILL)
        done = rows_of(broken) if count(broken) else {}
        assert all(undisturbed[key] == row for key, row in done.items())
        partial.append(len(done))
    subprocess.run(command(broken), check=True, capture_output=True, cwd=tmp_path)
    assert rows_of(broken) == undisturbed
    assert partial == sorted(partial)
    assert any(0 < done < len(undisturbed) for done in partial)  # else nothing was cut short
