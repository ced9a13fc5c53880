"""A trial is a value with a key; running it makes a row whatever happens."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

import shatterlab as sl
from shatterlab.core.errors import DataError, InvalidPart, NotApplicable, UnknownName, UserCodeError
from shatterlab.core.part import canonical
from shatterlab.measures.gradients import HessianTopEigenvalue
from shatterlab.measures.memorized_bits import MemorizedBits
from shatterlab.trials import machine_limits as resources
from shatterlab.trials import trial as trials

DIGITS = sl.Digits(examples=120, test_examples=80)
LEARNER = sl.Training(sl.MLP((32,)), sl.SGD(lr=0.05), batch_size=16, epochs=40)
TRIAL = sl.Trial(DIGITS, sl.RandomLabels(), LEARNER)


@pytest.fixture(scope="module")
def row():
    return sl.run(replace(TRIAL, measures=(sl.ParameterCount(), sl.Margins())))


# The value


def test_a_trial_builds_itself_again_from_its_description():
    trial = sl.Trial(DIGITS, sl.PartialLabels(0.3), LEARNER, sl.Seeds(1, 2, 3, 4), (sl.Margins(),))
    again = sl.Trial.of(json.loads(canonical(trial.describe())))
    assert again == trial and again.key == trial.key


def test_a_trial_survives_a_description_without_seeds_and_measures():
    description = {name: value for name, value in TRIAL.describe().items() if name not in ("kind", "seeds")}
    assert sl.Trial.of(description) == TRIAL


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (lambda d: d.pop("learner"), InvalidPart, "Trial: dataset, corruption and learner are required, learner is missing."),
        (
            lambda d: d["corruption"].update(kind="PartialLabel"),
            UnknownName,
            "catalog: a known name is required, got 'PartialLabel'. Did you mean PartialLabels",
        ),
        (lambda d: d["corruption"].update(level=2), InvalidPart, "PartialLabels: level is a probability in [0, 1], got 2.0"),
        (lambda d: d.update(corruption=d["dataset"]), InvalidPart, "Trial: corruption is one of the kind Corruption, got Digits("),
    ],
)
def test_a_description_of_something_else_is_refused(change, error, text):
    description = json.loads(canonical(TRIAL.describe()))
    change(description)
    with pytest.raises(error) as refused:
        sl.Trial.of(description)
    assert str(refused.value).startswith(text)


def test_the_key_hashes_what_decides_the_result_and_nothing_else():
    same = [sl.Trial(DIGITS, sl.PartialLabels(1), LEARNER), replace(TRIAL, measures=(sl.Margins(),)), sl.Trial.of(TRIAL.describe(defaults=True))]
    assert {trial.key for trial in same} == {TRIAL.key}
    others = [
        replace(TRIAL, dataset=sl.Digits(examples=121, test_examples=80)),
        replace(TRIAL, corruption=sl.PartialLabels(0.999)),
        replace(TRIAL, learner=replace(LEARNER, epochs=41)),
        *(replace(TRIAL, seeds=sl.Seeds(**{stream: 1})) for stream in ("data", "corruption", "init", "order")),
    ]
    assert len({TRIAL.key, *(trial.key for trial in others)}) == 1 + len(others)
    assert len(TRIAL.key) == 64 and set(TRIAL.key) <= set("0123456789abcdef")


# The row


def test_a_row_holds_the_specification_defaults_included(row):
    assert row["key"] == TRIAL.key
    specification = {name: row[name] for name in TRIAL.specification()}
    assert specification == TRIAL.specification()
    assert specification["dataset.kind"] == "Digits" and specification["dataset.examples"] == 120
    assert specification["corruption.level"] == 1.0
    assert specification["learner.optimizer.momentum"] == 0.9
    assert specification["learner.architecture.hidden"] == "[32]"
    assert {name for name in specification if name.startswith("seeds.")} == {f"seeds.{stream}" for stream in ("data", "corruption", "init", "order")}


def test_a_row_holds_results_facts_checks_and_where_it_comes_from(row):
    assert (row["status"], row["error"], row["trace"], row["classes"]) == ("ok", None, None, 10)
    assert (row["train.n"], row["test.n"]) == (120, 80)
    assert (row["train.accuracy"], row["train.error"]) == (1.0, 0.0)
    assert row["test.error"] == pytest.approx(1 - row["test.accuracy"])
    assert 0.7 < row["test.error"] <= 1  # at chance, 0.9, give or take 4.9 deviations of 80 examples and the seeds of one draw
    assert row["fit.epochs_to_interpolation"] == row["fit.epochs"] and row["fit.output"] == "logits"
    assert row["check.passed"] is True and row["check.batches"] == 2
    assert 0 < row["check.changed"] <= 120 and row["check.changed_expected"] == pytest.approx(108)
    assert row["version.shatterlab"] == sl.__version__ and row["version.torch"] == torch.__version__
    phases = [row[f"seconds.{phase}"] for phase in ("load", "corrupt", "fit", "evaluate", "measure")]
    assert all(seconds >= 0 for seconds in phases) and sum(phases) <= row["seconds"] + 1e-4
    assert row["peak_memory"] is None or row["peak_memory"] > 2**20
    assert all(value is None or isinstance(value, str | int | float | bool) for value in row.values())


def test_a_row_holds_curves_in_long_form(row):
    epochs = row["fit.epochs"]
    for name in ("train.loss", "train.accuracy", "online.loss", "online.accuracy", "learning_rate", "test.loss", "test.accuracy"):
        points = row.curve(name)
        assert [epoch for epoch, _, _ in points] == list(range(1, epochs + 1)), name
        assert [step for _, step, _ in points] == [8 * epoch for epoch in range(1, epochs + 1)]
    assert row.curve("train.accuracy")[-1][2] == 1.0
    assert row.curve("test.loss")[-1][2] == row["test.loss"]
    assert row.curve("train.loss")[-1][2] == pytest.approx(row["train.loss"])


def test_a_row_holds_measures_as_scalars_and_arrays(row):
    assert row["measure.ParameterCount.count"] == (64 + 1) * 32 + (32 + 1) * 10
    assert row["measure.ParameterCount.per_example"] == row["measure.ParameterCount.count"] / 120
    margins = row.arrays["measure.Margins.margins"]
    assert margins.shape == (120,) and margins.min() == pytest.approx(row["measure.Margins.minimum"])
    assert row["measure.Margins.minimum"] > 0  # it interpolates
    assert row["measure.Margins.median"] == pytest.approx(np.median(margins))


def test_a_row_is_the_same_each_time(row):
    again = sl.run(replace(TRIAL, measures=(sl.ParameterCount(), sl.Margins())))
    differing = {name for name in row if row[name] != again[name]}
    assert all(name.startswith(("seconds", "peak_memory", "finished")) for name in differing)
    assert again.curves == row.curves


def test_the_observer_of_a_trial_changes_nothing(row):
    """What the trial fitted is what the learner fits alone on the corrupted sample."""
    from shatterlab.core.losses import evaluate

    splits = TRIAL.corruption.apply(DIGITS.load(), sl.Seeds())
    fit = LEARNER.fit(splits.train)
    assert evaluate(fit.scores, splits.test, fit.output) == (row["test.loss"], row["test.accuracy"])


def test_the_test_split_is_scored_as_often_as_asked_and_at_the_end(row):
    sparse = sl.run(TRIAL, sl.Runtime(test_every=5))
    epochs = row["fit.epochs"]
    assert sparse["fit.epochs"] == epochs
    assert [epoch for epoch, _, _ in sparse.curve("test.loss")] == sorted({*range(5, epochs + 1, 5), epochs})
    assert [point for point in row.curve("test.loss") if point[0] % 5 == 0 or point[0] == epochs] == sparse.curve("test.loss")


def test_a_trial_leaves_threads_and_generators_as_they_were():
    threads, generator = torch.get_num_threads(), torch.get_rng_state()
    sl.run(replace(TRIAL, learner=replace(LEARNER, epochs=1)), sl.Runtime(threads=2))
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), generator)


def test_fitted_values_of_a_corruption_are_stored():
    row = sl.run(sl.Trial(DIGITS, sl.GaussianPixels("global"), replace(LEARNER, epochs=1)))
    data = DIGITS.load().train.inputs
    assert row.arrays["corruption.mean"].item() == pytest.approx(data.mean().item(), rel=1e-5)
    assert row.arrays["corruption.deviation"].item() == pytest.approx(data.std(correction=0).item(), rel=1e-5)
    assert row["check.labels_untouched"] is True and row["check.inputs_changed"] is True


def test_a_measure_that_does_not_apply_leaves_its_reason():
    nearest = sl.Estimator("sklearn.neighbors:KNeighborsClassifier", {"n_neighbors": 1})
    row = sl.run(sl.Trial(DIGITS, sl.RandomLabels(), nearest, measures=(sl.ParameterCount(), sl.Margins())))
    assert row["status"] == "ok"
    assert row["measure.ParameterCount"] is None
    assert row["measure.ParameterCount.reason"] == "ParameterCount: a torch module is required, got KNeighborsClassifier"
    assert row["measure.Margins.minimum"] == 1.0
    assert row.curves == () and row["train.loss"] == 0.0 and row["test.loss"] == math.inf  # certain, and wrong


# What goes wrong


@dataclass(frozen=True)
class Fails(sl.Learner):
    """Raises what the test wants."""

    def fit(self, train, seeds=sl.Seeds(), observe=None, runtime=sl.Runtime()):
        raise Fails.problem


@pytest.mark.parametrize(
    ("problem", "error"),
    [
        (ValueError("two\nlines"), "ValueError: two"),
        (ValueError("word"), "ValueError: word"),
        (InvalidPart("Mine: a is b, got c"), "Mine: a is b, got c"),
        (UserCodeError("Recipe: it failed", "the trace"), "Recipe: it failed"),
        (SystemExit(3), "SystemExit: 3"),
    ],
)
def test_whatever_is_raised_becomes_a_row(problem, error, monkeypatch):
    monkeypatch.setattr(Fails, "problem", problem, raising=False)
    trial = sl.Trial(DIGITS, sl.TrueLabels(), Fails())
    row = sl.run(trial)
    assert (row["status"], row["error"], row["key"]) == ("failed", error, trial.key)
    assert row["trace"] == "the trace" if isinstance(problem, UserCodeError) else type(problem).__name__ in row["trace"]
    assert row["learner.kind"] == "Fails" and "train.error" not in row
    assert row["version.shatterlab"] == sl.__version__


MEMORY = "Trial: memory for the network, its batches and the sample is required, got "
REMEDY = "Use a smaller network or batch_size"


@pytest.mark.parametrize(
    ("problem", "got"),
    [
        (MemoryError(), "MemoryError"),
        (MemoryError("Unable to allocate 728. TiB for an array with shape (100000000000000,) and data type float64"), "none for a block of 745,472 GiB"),
        (OSError(12, "Cannot allocate memory"), "[Errno 12] Cannot allocate memory"),
        (RuntimeError("Storage size calculation overflowed with sizes=[1, 2]"), "Storage size calculation overflowed with sizes=[1, 2]"),
        (RuntimeError("[enforce fail] not enough memory: you tried to allocate 5368709120 bytes."), "none for a block of 5 GiB"),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"), "CUDA error: out of memory"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 512.00 MiB. GPU 0 has a total capacity of 1 GiB."), "none for a block of 0.5 GiB"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), None),
        (RuntimeError("MPS backend out of memory (allocated: 1 GB). Tried to allocate 256.00 MB on the pool."), "none for a block of 0.25 GiB"),
    ],
)
def test_a_machine_that_runs_short_of_memory_is_told_as_such(problem, got, monkeypatch):
    monkeypatch.setattr(Fails, "problem", problem, raising=False)
    row = sl.run(sl.Trial(DIGITS, sl.TrueLabels(), Fails()))
    assert (row["status"], row["error"]) == ("failed", f"{MEMORY}{got or problem}. {REMEDY}.")
    assert type(problem).__name__ in row["trace"]


def too_wide(classes):
    """A network of 25.6 PB, more than a process can address: whatever a system promises, nothing is touched."""
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10**14), torch.nn.Linear(10**14, classes))


def test_a_network_too_large_for_memory_fails_its_own_trial_and_leaves_nothing_behind():
    asked = sl.Trial(DIGITS, sl.TrueLabels(), replace(LEARNER, architecture=sl.Imported(too_wide)))
    row, after = sl.run(asked), sl.run(replace(TRIAL, learner=replace(LEARNER, epochs=1)))
    assert (row["status"], row["error"]) == ("failed", f"{MEMORY}none for a block of 23,841,858 GiB. {REMEDY}.")
    assert "too_wide" in row["trace"]
    assert after["status"] == "ok"
    if row["peak_memory"] is not None:
        assert row["peak_memory"] < after["peak_memory"] + 2**30


def test_a_layer_that_is_too_large_in_the_forward_pass_is_a_lack_of_memory_too():
    class Repeats(torch.nn.Module):
        """Asks for 512 TB."""

        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(1))

        def forward(self, inputs):
            return inputs.flatten(1).repeat(10**6, 10**6) * self.scale

    row = sl.run(sl.Trial(DIGITS, sl.TrueLabels(), replace(LEARNER, architecture=sl.Imported(Repeats))))
    assert row["error"].startswith(MEMORY) and row["error"].endswith(f" GiB. {REMEDY}.")
    assert "repeat(10**6, 10**6)" in row["trace"]


LAUNCH = "CUDA error: unspecified launch failure\nCompile with `TORCH_USE_CUDA_DSA` to enable device-side assertions."
LOST = "Trial: a GPU that answers is required, got CUDA error: unspecified launch failure. What is done is kept; the same command does the rest."


@pytest.mark.parametrize("hidden", [False, True])
def test_a_gpu_that_is_gone_is_told_as_such(hidden, monkeypatch):
    problem = RuntimeError(LAUNCH)
    if hidden:
        problem = UserCodeError("Recipe: mine failed with RuntimeError", "my frames")
        problem.__cause__ = RuntimeError(LAUNCH)
    monkeypatch.setattr(Fails, "problem", problem, raising=False)
    monkeypatch.setattr(resources, "_gpu_answers", lambda device: False)
    row = sl.run(sl.Trial(DIGITS, sl.TrueLabels(), Fails()))
    assert (row["status"], row["error"]) == ("failed", LOST)
    assert resources.gpu_lost(row) and (row["trace"] == "my frames") is hidden


def test_a_gpu_that_goes_on_answering_is_not_gone(monkeypatch):
    """A kernel that could not be launched, say, fails its own trial; and a device that was never there is its own error."""
    monkeypatch.setattr(resources, "_gpu_answers", lambda device: True)
    monkeypatch.setattr(Fails, "problem", RuntimeError("CUDA error: invalid configuration argument"), raising=False)
    row = sl.run(sl.Trial(DIGITS, sl.TrueLabels(), Fails()))
    assert row["error"] == "RuntimeError: CUDA error: invalid configuration argument" and not resources.gpu_lost(row)
    monkeypatch.setattr(resources, "_gpu_answers", lambda device: False)
    row = sl.run(TRIAL, sl.Runtime(device="cuda:99"))
    assert row["error"].startswith("Runtime: device is one that torch can use here, got 'cuda:99'") and not resources.gpu_lost(row)


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks what a machine without a GPU says")
def test_no_gpu_does_not_answer():
    assert not resources._gpu_answers("cuda") and not resources._gpu_answers("cpu")


def test_an_interruption_passes_through(monkeypatch):
    monkeypatch.setattr(Fails, "problem", KeyboardInterrupt(), raising=False)
    with pytest.raises(KeyboardInterrupt):
        sl.run(sl.Trial(DIGITS, sl.TrueLabels(), Fails()))


def test_divergence_is_a_row_with_its_status():
    row = sl.run(replace(TRIAL, learner=replace(LEARNER, optimizer=sl.SGD(lr=1e30))))
    assert (row["status"], row["error"], row["fit.ended"], row["fit.diverged"]) == ("diverged", None, "diverged", True)


def test_nothing_is_measured_on_a_fit_that_diverged():
    """Planted: the curvature of weights that are infinite or NaN has no eigenvalues, and once cost the whole row."""
    measures = (HessianTopEigenvalue(), MemorizedBits())
    row = sl.run(replace(TRIAL, learner=replace(LEARNER, optimizer=sl.SGD(lr=1e30)), measures=measures))
    assert row["status"] == "diverged"
    assert row["measure.MemorizedBits"] is None
    assert row["measure.HessianTopEigenvalue.reason"] == "HessianTopEigenvalue: a fit that did not diverge is required"


@pytest.mark.parametrize(
    "problem", [DataError("Bad: no"), np.linalg.LinAlgError("Bad: no"), torch.linalg.LinAlgError("Bad: no")], ids=lambda each: type(each).__name__
)
def test_what_cannot_be_computed_is_an_empty_cell_with_its_reason(problem):
    @dataclass(frozen=True)
    class Bad(sl.Measure):
        """Meets a matrix that has no eigenvalues."""

        def of(self, fit, train):
            raise problem

    row = sl.run(replace(TRIAL, learner=replace(LEARNER, epochs=1), measures=(Bad(),)))
    assert (row["status"], row["measure.Bad"], row["measure.Bad.reason"]) == ("ok", None, "Bad: no")


def test_data_that_is_not_there_is_a_failed_row(tmp_path):
    row = sl.run(sl.Trial(sl.MNIST(), sl.TrueLabels(), LEARNER), sl.Runtime(data=tmp_path))
    assert row["status"] == "failed"
    assert row["error"].startswith("MNIST: ") and "train-images-idx3-ubyte" in row["error"] and "\n" not in row["error"]


def test_a_failed_measure_fails_the_trial():
    @dataclass(frozen=True)
    class Bad(sl.Measure):
        """Divides by nothing."""

        def of(self, fit, train):
            return {"x": 1 / 0}

    row = sl.run(replace(TRIAL, learner=replace(LEARNER, epochs=1), measures=(Bad(),)))
    assert (row["status"], row["error"]) == ("failed", "ZeroDivisionError: division by zero")


def test_not_applicable_from_a_learner_is_a_failure(monkeypatch):
    monkeypatch.setattr(Fails, "problem", NotApplicable("Fails: no"), raising=False)
    assert sl.run(sl.Trial(DIGITS, sl.TrueLabels(), Fails()))["status"] == "failed"


# The data behind it


def test_a_data_set_is_loaded_once_for_trials_that_share_it(monkeypatch):
    loads = []
    monkeypatch.setattr(sl.Digits, "read", lambda self, root, seeds, read=sl.Digits.read: loads.append(seeds.data) or read(self, root, seeds))
    trials._load.cache_clear()
    quick = replace(LEARNER, epochs=1)
    for corruption in (sl.TrueLabels(), sl.RandomLabels(), sl.ShuffledPixels()):
        sl.run(sl.Trial(DIGITS, corruption, quick, sl.Seeds(corruption=4)))
    assert loads == [0]
    sl.run(sl.Trial(DIGITS, sl.TrueLabels(), quick, sl.Seeds(data=1)))
    assert loads == [0, 1]
    trials._load.cache_clear()


def test_a_learner_that_writes_into_its_sample_leaves_nothing_to_the_next_trial():
    @dataclass(frozen=True)
    class Darkens(sl.Learner):
        """Halves the inputs that it is given."""

        def fit(self, train, seeds=sl.Seeds(), observe=None, runtime=sl.Runtime()):
            train.inputs.div_(2)
            return sl.Fit(lambda inputs: torch.zeros(len(inputs), 10), "logits")

    clean = sl.Trial(DIGITS, sl.TrueLabels(), replace(LEARNER, epochs=1))
    before = sl.run(clean)
    assert sl.run(replace(clean, learner=Darkens()))["check.failures"] == "unchanged_by_training"
    after = sl.run(clean)
    assert after["check.train_fingerprint"] == before["check.train_fingerprint"]
    assert after["train.loss"] == before["train.loss"]


def test_a_user_file_that_changes_is_loaded_again(tmp_path):
    def save(shift):
        rng = np.random.default_rng(0)
        np.savez(tmp_path / "mine.npz", x=rng.random((40, 3)) + shift, y=np.arange(40) % 2)

    save(0)
    trial = sl.Trial(sl.Arrays(str(tmp_path / "mine.npz")), sl.TrueLabels(), replace(LEARNER, epochs=1))
    first = sl.run(trial)
    save(5)
    again = sl.Trial.of(trial.describe())
    second = sl.run(again)
    assert first["status"] == second["status"] == "ok"
    assert again.key == second["key"] != first["key"]
    assert first["check.train_fingerprint"] != second["check.train_fingerprint"]


def test_a_table_goes_all_the_way(tmp_path):
    rng = np.random.default_rng(1)
    y = np.arange(90) % 3
    np.savez(tmp_path / "table.npz", x=rng.standard_normal((90, 4)) + 4 * np.eye(3, 4)[y], y=y)
    data = sl.Arrays(str(tmp_path / "table.npz"))
    for corruption in (sl.TrueLabels(), sl.RandomLabels(), sl.ShuffledPixels(), sl.RandomPixels(), sl.GaussianPixels()):
        row = sl.run(sl.Trial(data, corruption, replace(LEARNER, epochs=30)))
        assert (row["status"], row["error"]) == ("ok", None)
        if corruption == sl.TrueLabels():
            assert row["test.accuracy"] > 0.9
