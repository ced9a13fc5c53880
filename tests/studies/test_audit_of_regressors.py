"""The audit of a regressor: R2 on true and permuted targets, by every way in."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import shatterlab as sl
from readers.made_files import refusal
from shatterlab.analysis.metric import Metric
from shatterlab.cli.commands import app
from shatterlab.core.errors import InvalidPart
from shatterlab.studies.model_and_data import with_task

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 4))
Y = 3 * X[:, 0] - X[:, 1] + RNG.normal(size=200)
FEW = {"quick": True, "permutations": 19, "tell": None}


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "prices.csv"
    pd.DataFrame({**{f"x{j}": X[:, j] for j in range(4)}, "town": np.arange(200) // 4, "price": Y}).to_csv(path, index=False)
    return path


def test_a_regressor_on_a_pair_is_judged_by_r2():
    audit = sl.audit(RandomForestRegressor(10), (X, Y), **FEW)
    assert {row["status"] for row in audit.rows} == {"ok"} and all(row["train.accuracy"] is None for row in audit.rows)
    assert audit.p_value == pytest.approx(0.05) and audit.findings[0].score == audit.rows[0]["test.r2"] > 0.6
    assert audit.findings[0].baseline == audit.rows[0]["baseline.test.r2"] <= 0
    assert "Test R2" in audit.verdict and "permuted targets" in audit.verdict and "accuracy" not in audit.text()


def test_one_replicate_has_the_interval_of_its_test_examples():
    audit = sl.audit(Ridge(), (X, Y), **FEW)
    row, half = audit.rows[0], stats.t.ppf(0.975, 49) * audit.rows[0]["test.r2_se"]
    assert audit.findings[0].signal == "real" and "Your score is real." in audit.verdict
    assert f"[{row['test.r2'] - half:.2f}, {min(1, row['test.r2'] + half):.2f}]" in audit.verdict
    interval = Metric("r2").interval([0.5, 0.5, 0.5], 50, [0.1, 0.1, 0.1])  # replicates that agree are no closer than their test examples tell
    assert (interval.low, interval.high) == pytest.approx((0.5 - 0.1 * stats.t.ppf(0.975, 49), 0.5 + 0.1 * stats.t.ppf(0.975, 49)))
    apart = Metric("r2").interval([0.2, 0.5, 0.8], 50, [0.01] * 3)
    assert (apart.low, apart.high) == pytest.approx((0.5 - stats.t.ppf(0.975, 2) * 0.3 / 3**0.5, 1.0))
    assert Metric("r2").interval([0.5], 50).low == -np.inf


def test_noise_is_not_shown_to_be_real():
    audit = sl.audit(Ridge(), (X, RNG.normal(size=200)), **FEW | {"permutations": 39})
    assert audit.p_value > 0.05 and audit.findings[0].signal in ("not shown", "undecided")


def test_a_pipeline_on_a_table_and_the_name_of_a_class(table):
    audit = sl.audit(make_pipeline(StandardScaler(), Ridge()), table, target="price", replicates=3, permutations=19, tell=None)
    assert audit.findings[0].signal == "real" and audit.findings[0].kind in ("part", "none")
    named = sl.audit("sklearn.linear_model:Ridge", str(table), target="price", **FEW)
    assert named.rows[0]["test.r2"] == pytest.approx(audit.rows[0]["test.r2"], abs=0.01)
    assert "Test RMSE against the share of permuted targets" in audit.text()


def test_groups_of_a_regression_stay_whole(table):
    audit = sl.audit(Ridge(), table, target="price", group="town", **FEW)
    assert {row["status"] for row in audit.rows} == {"ok"} and audit.rows[0]["split_text"].startswith("The test split is")


def test_the_command_line_audits_a_regressor(table, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["audit", "--data", str(table), "--target", "price", "--model", "sklearn.linear_model:Ridge", "--set", "alpha=0.5", "--quick", "--workers", "1"]
    assert app([*words, "--permutations", "19"], result_action="return_value") == 0
    told = capsys.readouterr()
    assert "Test R2 0." in told.out and "test R2 0." in told.err


def test_a_classifier_is_told_to_be_a_regressor_and_a_regressor_needs_numbers(table):
    assert refusal(lambda: sl.audit(LogisticRegression(), (X, Y), **FEW)).endswith("A quantity to be predicted is regression: use a regressor, or bin it.")
    frame = pd.read_csv(table).assign(price=np.where(Y > 0, "dear", "cheap"))
    message = refusal(lambda: sl.audit(Ridge(), frame, target="price", **FEW))
    assert message.startswith("DataTable: the target column 'price': numbers are required for a regressor, got text in labels, such as ")
    assert with_task(sl.Digits(), Ridge()) == sl.Digits()
    assert refusal(lambda: sl.audit(Ridge(), **FEW)) == (
        "Estimator: a target of numbers is required for a regressor, got 10 classes. Use a classifier, or data whose task is 'numbers'."
    )


@pytest.mark.parametrize("study", [sl.capacity, sl.ledger])
def test_studies_that_count_fitted_labels_refuse_regressors(study):
    message = f"{study.__name__}: a model that tells classes apart is required, got a regressor. Take a classifier, or audit the regressor."
    for data in ((X, Y), None):
        with pytest.raises(InvalidPart, match=re.escape(message)):
            study(Ridge(), data)
