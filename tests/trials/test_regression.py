"""Trials of regressors: figures are scikit-learn's, permuted targets give its permutation test, and what has no meaning says so."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.datasets import load_diabetes
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import mean_squared_error, r2_score, root_mean_squared_error
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import shatterlab as sl
from readers.made_files import refusal
from shatterlab.analysis.null_distribution import null_test
from shatterlab.core import Examples, LabelCorruption, Progress, Row, Seeds
from shatterlab.core.errors import InvalidPart
from shatterlab.core.losses import number_results
from shatterlab.learners.estimator import Estimator
from shatterlab.statistics.permutations import monte_carlo_test, stopping_count
from shatterlab.studies.model_and_data import dataset, learners, with_task
from shatterlab.studies.progress import summary
from shatterlab.trials.corrupted_labels import label_columns

X, Y = load_diabetes(return_X_y=True)
NOISY = X, Y + np.random.default_rng(0).random(len(Y)) / 2  # all different
MODELS = {
    "ridge": Ridge(0.1),
    "pipeline": make_pipeline(StandardScaler(), Ridge()),
    "search": GridSearchCV(Ridge(), {"alpha": [0.01, 1.0]}, cv=3),
    "forest": RandomForestRegressor(10),
}


def trial(model, corruption=None, seeds=Seeds(), data=NOISY, measures=()):
    (learner,) = learners(model)
    return sl.Trial(with_task(dataset(data), model), corruption or sl.TrueLabels(), learner, seeds, measures)


class Interface:
    """The interface of a regressor, without scikit-learn's classes, as CatBoost and others have it."""

    _estimator_type = "regressor"

    def fit(self, rows, targets):
        self.mean = targets.mean()
        targets[:] = 0  # its own copy
        return self

    def predict(self, rows):
        return np.full((len(rows), 1), self.mean, np.float32)

    def get_params(self, deep=True):
        return {}

    def set_params(self, **params):
        return self


class TwoTargets(Interface):
    """Predicts one number too many."""

    def predict(self, rows):
        return np.zeros((len(rows), 2))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("corruption", [sl.TrueLabels(), sl.PermutedLabels()], ids=["true", "permuted"])
def test_a_row_has_the_figures_that_scikit_learn_gives_the_same_fit(name, corruption):
    made = trial(MODELS[name], corruption, Seeds.replicate(1))
    splits = corruption.apply(made.dataset.load(seeds=made.seeds), made.seeds)
    fit, row = made.learner.fit(splits.train, made.seeds), sl.run(made)
    assert (row["status"], row["error"], row["fit.output"]) == ("ok", None, "targets")
    mean = splits.train.targets.numpy().mean()
    for split, part in (("train", splits.train), ("test", splits.test)):
        truth, predicted = part.targets.numpy(), fit.model.predict(part.inputs.numpy())
        expected = {"loss": mean_squared_error(truth, predicted), "rmse": root_mean_squared_error(truth, predicted), "r2": r2_score(truth, predicted)}
        assert {column: row[f"{split}.{column}"] for column in expected} == pytest.approx(expected, rel=1e-12)
        assert row[f"{split}.n"] == len(part) and row[f"{split}.accuracy"] is None and row[f"{split}.error"] is None
        constant = np.full(len(part), mean)
        assert row[f"baseline.{split}.rmse"] == pytest.approx(root_mean_squared_error(truth, constant))
        assert row[f"baseline.{split}.r2"] == pytest.approx(r2_score(truth, constant), abs=1e-12) and row[f"baseline.{split}.r2"] <= 0
    assert row["classes"] is None and row["distinct_targets"] == len(set(NOISY[1]))


def test_true_labels_are_learned_and_permuted_ones_only_memorized():
    true, permuted = (sl.run(trial(RandomForestRegressor(30), corruption)) for corruption in (sl.TrueLabels(), sl.PermutedLabels()))
    assert true["train.r2"] > 0.85 and permuted["train.r2"] > 0.7
    assert true["test.r2"] > 0.2 and permuted["test.r2"] < 0.1
    assert permuted["check.changed"] > 300 and permuted["check.class_counts_kept"] is True and permuted["check.passed"] is True
    assert sl.run(trial(RandomForestRegressor(30)))["test.r2"] == true["test.r2"]


@pytest.mark.parametrize("predicted", [[1.0, 2.0], [0.0, 0.0]])
def test_r2_is_none_where_all_targets_are_equal(predicted):
    results = number_results(torch.tensor(predicted).double(), torch.tensor([1.0, 1.0]).double())
    assert results["r2"] is None and results["rmse"] == pytest.approx(mean_squared_error([1.0, 1.0], predicted) ** 0.5)
    assert number_results(torch.tensor([2.0]).double(), torch.tensor([5.0]).double()) == {
        "loss": 9.0,
        "r2": None,
        "r2_se": None,
        "rmse": 3.0,
    }


def test_the_standard_error_of_r2_is_that_of_the_jackknife_and_its_interval_covers():
    rng, covered = np.random.default_rng(0), 0
    for _ in range(400):
        x = rng.normal(size=100)
        targets, predictions = x + rng.normal(size=100), 0.9 * x
        results = number_results(torch.from_numpy(predictions), torch.from_numpy(targets))
        covered += abs(results["r2"] - (1 - 1.01 / 2)) <= stats.t.ppf(0.975, 99) * results["r2_se"]
    left_out = [r2_score(np.delete(targets, i), np.delete(predictions, i)) for i in range(100)]
    assert results["r2_se"] == pytest.approx(np.std(left_out) * np.sqrt(99), rel=0.05)
    assert 0.92 <= covered / 400 <= 0.98  # 94.4 % in 3,000 draws


def null_rows(model, data, permutations):
    return [sl.run(trial(model, data=data)), *(sl.run(trial(model, sl.PermutedLabels(), Seeds(0, k, k, k), data)) for k in range(permutations))]


def test_the_permutation_test_is_that_of_scikit_learn_on_the_same_permutations():
    permutations, model = 30, Ridge(0.1)
    test = null_test(null_rows(model, NOISY, permutations), permutations, score="test.r2")
    splits = trial(model).dataset.load()
    (inputs, targets), (held, truth) = ((part.inputs.numpy(), part.targets.numpy()) for part in (splits.train, splits.test))
    scores = []
    for k in range(permutations):
        order = Seeds(corruption=k).rng("corruption", "labels").permutation(len(targets))
        scores.append(Ridge(0.1).fit(inputs, targets[order]).score(held, truth))
    score = Ridge(0.1).fit(inputs, targets).score(held, truth)
    assert test.score == pytest.approx(score) and test.null.tolist() == pytest.approx(scores[: len(test.null)])
    own = monte_carlo_test(score, scores, permutations, stopping_count(permutations, 0.95))
    p = (np.sum(np.array(scores) >= score) + 1) / (permutations + 1)  # the formula of permutation_test_score
    assert test.p == own.p == pytest.approx(p) == pytest.approx(1 / 31) and test.significant


def test_rows_whose_targets_are_permuted_in_part_are_no_null():
    rows = null_rows(Ridge(0.1), NOISY, 5)
    partial = [Row({**row, "corruption.level": 0.25, "test.r2": 0.99}) for row in rows[1:]]
    one, other = (null_test(each, 5, score="test.r2") for each in (rows, [*partial, *rows]))
    assert one.null.tolist() == other.null.tolist() and one.p == other.p


def test_p_of_pure_noise_is_as_good_as_uniform():
    ps = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        ps.append(null_test(null_rows(Ridge(), (rng.normal(size=(40, 3)), rng.normal(size=40)), 4), 4, score="test.r2").p)
    assert stats.binomtest(sum(p <= 0.2 for p in ps), 20, 0.2, alternative="greater").pvalue > 0.01
    assert stats.binomtest(sum(p > 0.5 for p in ps), 20, 0.5, alternative="less").pvalue > 0.01


def test_rows_of_regressions_come_back_from_a_store_as_they_were(tmp_path):
    trials = [trial(Ridge(), corruption) for corruption in (sl.TrueLabels(), sl.PermutedLabels())]
    rows = [sl.run(each) for each in trials]
    path = tmp_path / "rows.sqlite"
    with sl.Store(path) as store:
        for row in rows:
            store.add(row)
    with sl.Store(path) as store:
        assert store.missing(trials) == []
        back = {row["key"]: row for row in store.rows()}
    for row in rows:
        known = back[row["key"]]
        assert {column: known[column] for column in row if "r2" in column or "rmse" in column} == {
            column: row[column] for column in row if "r2" in column or "rmse" in column
        }
        assert known["test.accuracy"] is None and known["classes"] is None


def test_anything_with_the_interface_of_a_regressor_is_one():
    row = sl.run(trial(Interface()))
    assert row["status"] == "ok" and row["test.r2"] == pytest.approx(row["baseline.test.r2"], abs=1e-6)
    assert sl.run(trial(DummyRegressor()))["test.r2"] == pytest.approx(row["baseline.test.r2"], abs=1e-12)
    assert not Estimator.of(LogisticRegression()).predicts_numbers and not sl.Recipe("shatterlab.learners.recipe:nearest_class_mean").predicts_numbers
    error = sl.run(trial(TwoTargets()))["error"]
    assert (
        error == f"Estimator: {__name__}:TwoTargets: one number for each row is required, got predictions of shape (331, 2) for 331 rows. Predict one target."
    )


NUMBERS = f"a target of numbers ({len(set(NOISY[1]))} distinct values)"


@pytest.mark.parametrize(
    ("learner", "corruption", "error"),
    [
        ("LogisticRegression", sl.TrueLabels(), f"Estimator: classes are required, got {NUMBERS}. Bin it, or use a regressor."),
        ("MLP", sl.TrueLabels(), f"Training: classes are required, got {NUMBERS}. Bin it, or use a regressor."),
        ("Ridge", sl.RandomLabels(), f"PartialLabels: classes are required, got {NUMBERS}. Permute it: PermutedLabels."),
        ("Ridge", sl.RandomSigns(), f"RandomSigns: classes are required, got {NUMBERS}. Permute it: PermutedLabels."),
    ],
)
def test_what_has_no_meaning_for_numbers_refuses_itself(learner, corruption, error):
    models = {"LogisticRegression": LogisticRegression(), "Ridge": Ridge(), "MLP": "MLP"}
    row = sl.run(sl.Trial(trial(Ridge()).dataset, corruption, learners(models[learner])[0]))
    assert (row["status"], row["error"]) == ("failed", error)


def test_a_regressor_refuses_classes_and_wrappers_refuse_numbers():
    error = "Estimator: a target of numbers is required for a regressor, got 10 classes. Use a classifier, or data whose task is 'numbers'."
    assert sl.run(sl.Trial(sl.Digits(), sl.TrueLabels(), Estimator.of(Ridge())))["error"] == error
    assert refusal(lambda: Estimator.of(Ridge()).fit(sl.Digits().load().train)) == error
    assert refusal(lambda: sl.Twins(Estimator.of(Ridge())).require_inputs(trial(Ridge()).dataset.load().train)).startswith("Twins: classes are required")
    cell = sl.run(trial(Ridge(), measures=(sl.ParameterCount(),)))
    assert cell["measure.ParameterCount"] is None and cell["measure.ParameterCount.reason"].startswith("ParameterCount: classes are required")


def test_numbers_that_are_class_like_are_regression_for_a_regressor():
    row = sl.run(trial(Ridge(), data=(X, (Y > 140).astype(int))))
    assert row["status"] == "ok" and row["distinct_targets"] == 2 and 0 < row["test.r2"] < 1


@dataclass(frozen=True)
class Untouched(LabelCorruption):
    """Says that it permutes, and does nothing."""

    keeps_class_counts = True

    def labels(self, labels, classes, rng):
        return labels


@dataclass(frozen=True)
class NearlySorted(Untouched):
    """Moves every number a little."""

    def labels(self, labels, classes, rng):
        order = np.argsort(labels, kind="stable")
        new = labels.copy()
        new[order] = labels[np.roll(order, 1)]
        return new


@dataclass(frozen=True)
class Redrawn(Untouched):
    """Draws with replacement."""

    def labels(self, labels, classes, rng):
        return rng.choice(labels, len(labels))


@pytest.mark.parametrize(("bug", "check"), [(Untouched(), "independence_p"), (NearlySorted(), "independence_p"), (Redrawn(), "class_counts_kept")])
def test_the_self_check_sees_numbers_that_were_not_permuted(bug, check):
    assert sl.run(trial(Ridge(), bug))["error"] == f"Trial: a clean self-check is required, failed: {check}. Do not use this result."


@pytest.mark.parametrize("values", [np.arange(60.0), np.repeat([0.0, 1.0, 7.0], 20), np.repeat(np.arange(55.0), 2)], ids=["distinct", "few", "ties"])
def test_the_check_of_permuted_numbers_keeps_its_level(values):
    codes = np.unique(values, return_inverse=True)[1]
    examples = Examples(torch.zeros(len(codes), 1), torch.from_numpy(codes), codes.max() + 1, values=torch.from_numpy(np.unique(values)))
    rng, ps = np.random.default_rng(0), []
    for _ in range(2000):
        new = Examples(examples.inputs, torch.from_numpy(rng.permutation(codes)), examples.classes, values=examples.values)
        ps.append(label_columns(sl.PermutedLabels(), examples, new)["check.independence_p"])
    assert np.mean(np.array(ps) <= 0.05) <= 0.05
    assert label_columns(sl.PermutedLabels(), examples, examples)["check.independence_p"] < 1e-4


@dataclass(frozen=True)
class Epochs(sl.Learner):
    """A learner of numbers that reports epochs: the mean, approached."""

    @property
    def predicts_numbers(self):
        return True

    def fit(self, train, seeds=Seeds(), observe=None, runtime=sl.Runtime()):
        def score(share):
            return lambda inputs: torch.full((len(inputs), 1), share * float(train.targets.mean()), dtype=torch.float64)

        for epoch in (1, 2):
            if observe is not None:
                observe(Progress(epoch, epoch, score(epoch / 2), "targets", train_loss=1.0, last=epoch == 2))
        return sl.Fit(score(1), "targets")


def test_a_learner_of_numbers_with_epochs_has_curves_of_r2():
    row = sl.run(sl.Trial(trial(Ridge()).dataset, sl.TrueLabels(), Epochs()))
    assert row["status"] == "ok", row["error"]
    curve = row.curve("test.r2")
    assert [epoch for epoch, _, _ in curve] == [1, 2] and curve[0][2] < curve[1][2] == row["test.r2"]
    assert row["train.loss"] == pytest.approx(row["baseline.train.rmse"] ** 2)  # computed, not as reported


def test_the_progress_line_prints_r2_where_there_is_no_accuracy():
    row = sl.run(trial(Ridge()))
    assert summary(row).startswith(f"Ridge, true labels, seeds 0: train R2 {row['train.r2']:.3g}, test R2 {row['test.r2']:.3g} (")
    assert "train 1" in summary(sl.run(sl.Trial(sl.Digits(examples=100), sl.TrueLabels(), Estimator.of(LogisticRegression()))))
    assert json.loads(json.dumps(dict(row)))["test.r2"] == row["test.r2"]


def test_a_failing_regressor_is_a_row():
    row = sl.run(trial(Ridge(alpha=-1.0)))
    assert row["status"] == "failed" and row["error"].startswith("Estimator: sklearn.linear_model._ridge:Ridge")


def fit_arrays(X, y):
    """A recipe of numbers."""
    return Ridge(0.1).fit(X, y)


def fit_tensors(inputs, labels, seed):
    """Least squares in float64, which gives a column."""
    rows = torch.cat([inputs.double(), torch.ones(len(inputs), 1, dtype=torch.float64)], 1)
    weights = torch.linalg.lstsq(rows, labels[:, None]).solution
    return lambda queries: torch.cat([queries.double(), torch.ones(len(queries), 1, dtype=torch.float64)], 1) @ weights


def fit_classes(inputs, labels, classes, seed):
    """A recipe of classes."""
    return lambda queries: torch.zeros(len(queries))


def fit_two(X, y):
    """Predicts one number too many."""
    return lambda queries: np.zeros((len(queries), 2))


def test_training_code_of_the_users_own_predicts_numbers():
    arrays, tensors = (sl.run(trial(sl.Recipe(function, output="targets"))) for function in (fit_arrays, fit_tensors))
    assert arrays["test.r2"] == pytest.approx(sl.run(trial(Ridge(0.1)))["test.r2"]) and tensors["test.r2"] > 0.3
    with pytest.raises(
        InvalidPart, match=r"^Recipe: arguments without classes are required for output='targets', .*fit_classes takes them\. Write def fit\(X, y\)\.$"
    ):
        sl.Recipe(fit_classes, output="targets").arguments()
    assert sl.run(trial(sl.Recipe(fit_two, output="targets")))["error"].endswith(
        "gives one number for each row, got shape (331, 2) for 331 rows. Predict one target."
    )
    message = "Recipe: a target of numbers is required for a regressor, got 10 classes. Use a classifier, or data whose task is 'numbers'."
    assert refusal(lambda: sl.Recipe(fit_arrays, output="targets").fit(sl.Digits().load().train)) == message
