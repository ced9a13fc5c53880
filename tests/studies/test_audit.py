"""The audit: what it plans, what it refuses, and that its verdict says what the rows say."""

from __future__ import annotations

import numpy as np
import pytest
from torch import nn

import shatterlab as sl
from shatterlab.core.values import Row
from shatterlab.studies import audit as audits
from shatterlab.studies import model_and_data as asked
from shatterlab.studies.audit import findings, verdict


@pytest.fixture
def blobs(tmp_path):
    """Three classes around three centres in six dimensions, far apart: true labels are easy."""
    rng = np.random.default_rng(0)
    y = np.arange(120) % 3
    np.savez(tmp_path / "blobs.npz", x=(np.eye(3, 6)[y] * 4 + rng.normal(size=(120, 6))).astype(np.float32), y=y)
    return tmp_path / "blobs.npz"


def made(level, accuracy, test, *, seed=0, epochs=10, ended="interpolation", status="ok", classes=10, **more):
    """A row as an audit's verdict reads it (test data, not a result)."""
    seeds = {f"seeds.{stream}": seed for stream in ("data", "corruption", "init", "order")}
    fitted = accuracy == 1 and ended == "interpolation"
    columns = {
        "key": f"{level}-{seed}",
        "status": status,
        "learner.kind": "Training",
        "learner.architecture.kind": "MLP",
        "corruption.kind": "PartialLabels",
        "corruption.level": level,
        "classes": classes,
        "train.accuracy": accuracy,
        "train.error": 1 - accuracy,
        "test.accuracy": test,
        "fit.epochs": epochs,
        "fit.epochs_to_interpolation": epochs if fitted else None,
        "fit.censored": not fitted,
    }
    return Row(columns | seeds | more)


def told_of(*rows):
    (found,) = findings(rows)
    return found.text


def test_a_recipe_that_fits_noise():
    rows = [made(0.0, 1.0, 0.95, seed=r, epochs=10, **{"test.n": 200}) for r in range(3)]
    rows += [made(1.0, 1.0, test, seed=r, epochs=21) for r, test in enumerate((0.09, 0.1, 0.11))]
    assert told_of(*rows) == (
        "MLP: test accuracy on true labels is 95.0 % [92.9, 96.6], always answering the majority class gives 10.0 %: the score is real; "
        "fits random labels: 3 of 3 (P(fit) >= 0.29 at 95 %); 2.1x slower than true labels; "
        "test accuracy then is 10.0 %, chance (10.0 %) to within 5 points; "
        "so a perfect training score certifies nothing for this recipe; what it has learned is in the test score."
    )


def test_a_recipe_that_does_not():
    rows = [made(0.0, 1.0, 0.95, seed=r) for r in range(3)]
    rows += [made(1.0, 0.3, 0.1, seed=r, epochs=50, ended="budget") for r in range(3)]
    told = told_of(*rows)
    assert "does not fit random labels within 50 epochs: 0 of 3 (P(fit) <= 0.71 at 95 %), training accuracy on them reaches 30.0 %" in told
    assert "slower" not in told  # nothing was reached, so nothing is divided
    assert "training accuracy is 100.0 % on true and 30.0 % on random labels, which is what memory alone reaches" in told
    assert "certify" not in told


def test_a_recipe_that_learns_nothing_is_not_called_honest():
    rows = [made(level, 0.2, 0.1, seed=r, ended="budget") for level in (0.0, 1.0) for r in range(3)]
    told = told_of(*rows)
    assert "training accuracy is 20.0 % on true and 20.0 % on random labels, which is what memory alone reaches; and nothing shows that it has learned" in told
    assert told.endswith("true labels are not fitted either: more epochs or another learning rate may fit more of both.")


def test_advice_fits_what_has_no_epochs():
    rows = [made(level, accuracy, 0.9, seed=r, epochs=None, ended="") for level, accuracy in ((0.0, 0.99), (1.0, 0.62)) for r in range(3)]
    told = told_of(*rows)
    assert "training accuracy is 99.0 % on true and 62.0 % on random labels" in told and "epochs" not in told and "rate" not in told


SIGNAL = {"real": 0.97, "not shown": 0.905, "below": 0.6}


@pytest.mark.parametrize("fits", [True, False], ids=["fits noise", "does not"])
@pytest.mark.parametrize("signal", SIGNAL)
def test_every_cell_of_signal_and_memory_has_its_own_words(signal, fits):
    """Nine in ten labels are equal: an accuracy near 0.9 shows nothing."""
    more = {"test.n": 300, "classes": 2, "baseline.test.accuracy": 0.9}
    rows = [Row({**made(0.0, 1.0, SIGNAL[signal] + 0.002 * r, seed=r), **more}) for r in range(3)]
    rows += [Row({**made(1.0, 1.0 if fits else 0.6, 0.5, seed=r, ended="interpolation" if fits else "budget"), **more}) for r in range(3)]
    (finding,) = findings(rows)
    assert finding.signal == signal
    words = {"real": "the score is real", "not shown": "is not shown by 3 replicates", "below": "the score is BELOW that"}
    assert [word in finding.text for word in words.values()] == [name == signal for name in words]
    assert ("certifies nothing" in finding.text, "60.0 % on random labels" in finding.text) == (fits, not fits)
    assert ("nothing shows that it has learned" in finding.text) == (signal != "real")


def test_no_score_is_called_real_where_the_data_give_labels_away():
    x = np.random.default_rng(0).normal(size=(120, 4))
    y = np.arange(120) % 2
    from sklearn.tree import DecisionTreeClassifier

    leaky = sl.audit(DecisionTreeClassifier(), (np.c_[x, y], y), replicates=2, levels=())
    assert "the data may give labels away, see below" in leaky.verdict and "is real" not in leaky.verdict
    assert "In the data: Column 4 alone gives every test label" in leaky.verdict
    noise = sl.audit(DecisionTreeClassifier(), (x, y), replicates=2, levels=())
    assert "is not shown by 2 replicates" in noise.verdict and "In the data" not in noise.verdict


def test_divergence_is_not_taken_for_a_small_budget():
    rows = [made(level, 0.1, 0.1, seed=r, epochs=1, ended="diverged", status="diverged") for level in (0.0, 1.0) for r in range(2)]
    told = told_of(*rows)
    assert "but training diverges on true labels too: lower the learning rate" in told
    assert "within 1 epoch:" in told
    assert "4 of 4 trials diverged" in told
    assert "raise" not in told


def test_test_accuracy_above_chance_cannot_come_from_random_labels():
    rows = [made(1.0, 1.0, test, seed=r) for r, test in enumerate((0.3, 0.31, 0.29))]
    assert "test accuracy then is 30.0 %, above chance (10.0 %), which random labels cannot teach: check how the test split is scored" in told_of(*rows)


def test_a_wide_spread_decides_nothing_about_chance():
    rows = [made(1.0, 1.0, test, seed=r) for r, test in enumerate((0.02, 0.1, 0.2))]
    assert "whether that is chance (10.0 %) needs more replicates" in told_of(*rows)


def test_lost_trials_are_said_and_left_out():
    rows = [made(1.0, 1.0, 0.1, seed=0), Row({**made(1.0, 1.0, 0.1, seed=1), "status": "failed"})]
    assert "fits random labels: 1 of 1" in told_of(*rows)
    assert "1 of 2 trials failed and are left out" in told_of(*rows)
    assert "no verdict: no trial with random labels ended" in told_of(Row({**made(1.0, 1.0, 0.1), "status": "failed"}))


def test_each_recipe_has_its_own_finding():
    rows = [made(1.0, 1.0, 0.1), Row({**made(1.0, 0.5, 0.1, ended="budget"), "learner.architecture.kind": "Linear", "key": "other"})]
    assert [(found.model, found.fitted, found.replicates) for found in findings(rows)] == [("MLP", 1, 1), ("Linear", 0, 1)]
    lines = verdict(findings(rows))
    assert lines[0] == "The score of 0 of 2 recipes is real. 1 of 2 fit random labels (MLP): for these a perfect training score certifies nothing."
    assert [line.partition(":")[0] for line in lines[1:]] == ["MLP", "Linear"]


def test_the_plan_has_the_settings_and_the_sweep_for_each_replicate():
    experiment = audits.plan(asked.learners("MLP"), asked.dataset(), replicates=2, levels=(0.25,))
    kinds = [(trial.corruption.kind, getattr(trial.corruption, "level", None)) for trial in experiment.trials]
    once = {("PartialLabels", level) for level in (0.0, 0.25, 1.0)} | {(name, None) for name in ("ShuffledPixels", "RandomPixels", "GaussianPixels")}
    assert len(kinds) == 12  # the levels that were asked for, and the two ends; no others
    assert set(kinds) == once
    assert {trial.seeds for trial in experiment.trials[:6]} == {sl.Seeds.replicate(0)}  # an early look sees whole replicates


def test_the_budget_is_enough_steps_on_a_small_sample_and_enough_epochs_on_a_large_one():
    def budget(examples, **recipe):
        (learner,) = asked.learners("MLP", examples, **recipe)
        return learner.epochs

    assert budget(300) == 1000  # 5 steps an epoch
    assert budget(50_000) == 100
    assert budget(300, batch_size=None) == 5000
    assert budget(300, epochs=7) == 7


def test_a_live_factory_a_forest_and_a_recipe_on_the_user_s_own_data(blobs):
    width = 128

    def net(shape, classes):
        return nn.Sequential(nn.Linear(shape[0], width), nn.ReLU(), nn.Linear(width, classes))

    audited = sl.audit(net, str(blobs), replicates=2, levels=(1.0,), epochs=300, lr=0.1)
    assert [row["status"] for row in audited.rows] == ["ok"] * len(audited.rows)
    assert audited.findings[0].fitted == 2
    assert audited.verdict.startswith("net: test accuracy on true labels is ") and "Fits random labels: 2 of 2" in audited.verdict

    from sklearn.ensemble import RandomForestClassifier
    from sklearn.neighbors import KNeighborsClassifier

    for estimator in (RandomForestClassifier(20, bootstrap=False), KNeighborsClassifier(1)):
        audited = sl.audit(estimator, str(blobs), replicates=2)
        assert audited.findings[0].fitted == 2, audited.verdict  # a lookup table fits anything
        assert all(row["check.passed"] for row in audited.rows)

    audited = sl.audit(sl.Recipe("shatterlab.learners.recipe:nearest_class_mean", output="values"), str(blobs), replicates=2)
    assert audited.findings[0].fitted == 0  # three means cannot memorize 90 labels
    assert "Does not fit random labels" in audited.verdict


def test_an_audit_is_saved_and_told(blobs, tmp_path):
    audited = sl.audit("Linear", str(blobs), replicates=1, epochs=5)
    assert audited.text().count("Linear") > 1
    page = audited.save(tmp_path / "page.html").read_text()
    assert "Linear" in page
    assert "<script" in page


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: sl.audit(nn.Linear(2, 2)),
            "audit: a factory is required, got a live Linear. Pass `lambda: Linear()`: each replicate needs a fresh initialization.",
        ),
        (lambda: sl.audit("MPL"), "audit: model: a known name is required, got 'MPL'. Did you mean MLP"),
        (lambda: sl.audit(data=3), "audit: data is a Dataset, the name of one, a file (.npz, .csv, .parquet), a folder, a data frame with target=, a pair"),
        (lambda: sl.audit("MLP", epoch=3), "audit: recipe: a known name is required, got 'epoch'. Did you mean epochs"),
        (lambda: sl.audit(sl.Recipe("a:b"), epochs=3), "audit: fields of Training go with a torch model, got epochs beside Recipe. Leave them out."),
        (lambda: sl.audit(replicates=0), "audit: replicates is a whole number >= 1, got 0. Three give an interval."),
    ],
)
def test_misuse_is_told_before_anything_runs(call, message):
    with pytest.raises(sl.ShatterlabError) as refused:
        call()
    assert str(refused.value)[: len(message)] == message
