"""Significance of a score: scikit-learn's numbers, validity and power, leaks and groups, what it says, and what it refuses."""

from __future__ import annotations

import math
import re
import sys

import numpy as np
import pandas as pd
import pytest
from scipy import sparse, stats
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.dummy import DummyClassifier
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.linear_model import Ridge
from sklearn.metrics import make_scorer
from sklearn.model_selection import GridSearchCV, KFold, LeaveOneOut, PredefinedSplit, StratifiedKFold, permutation_test_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils import check_random_state

import shatterlab as sl
from shatterlab.studies.significance import p_text

RNG = np.random.default_rng


def judged(*arguments, **options):
    return sl.significance(*arguments, **{"tell": None, "permutations": 39} | options)


class Means(ClassifierMixin, BaseEstimator):
    """The class whose mean is nearest, in microseconds."""

    def fit(self, X, y):
        X, y = np.asarray(X), np.asarray(y)
        self.classes_ = np.unique(y)
        self.means_ = np.array([X[y == each].mean(0) for each in self.classes_])
        return self

    def predict(self, X):
        return self.classes_[((np.asarray(X)[:, None] - self.means_) ** 2).sum(2).argmin(1)]


def signal(n=60, d=3, seed=0, shift=2.0):
    y = np.arange(n) % 2
    return RNG(seed).normal(size=(n, d)) + shift * y[:, None], y


def noise(n=60, d=3, seed=0):
    return RNG(seed).normal(size=(n, d)), np.arange(n) % 2


def separation(X, y):
    """A score of the whole data that costs microseconds: how far the class means lie apart in the first feature."""
    return X[y == 1, 0].mean() - X[y == 0, 0].mean()


def as_scikit_learn_permutes(n, count, seed=0):
    random_state = check_random_state(seed)
    return [random_state.permutation(n) for _ in range(count)]


CANCER = tuple(each[:80] for each in load_breast_cancer(return_X_y=True))
DIABETES = tuple(each[:80] for each in load_diabetes(return_X_y=True))


@pytest.mark.parametrize(
    ("model", "data", "options"),
    [
        (GaussianNB(), CANCER, {"cv": 3}),
        (DecisionTreeClassifier(max_depth=2, random_state=0), CANCER, {"cv": StratifiedKFold(2, shuffle=True, random_state=1), "scoring": "balanced_accuracy"}),
        (make_pipeline(StandardScaler(), GaussianNB()), CANCER, {"cv": 2, "scoring": "roc_auc"}),
        (GridSearchCV(KNeighborsClassifier(), {"n_neighbors": [1, 5]}, cv=2, scoring="f1"), CANCER, {"cv": 2}),
        (GaussianNB(), noise(), {"cv": 2, "scoring": "neg_log_loss"}),
        (SVC(kernel="precomputed"), (CANCER[0] @ CANCER[0].T / 1e6, CANCER[1]), {"cv": 3}),
        (Ridge(), DIABETES, {"cv": 3}),
        (
            DecisionTreeRegressor(max_depth=1, random_state=0),
            tuple(each[:12] for each in DIABETES),
            {"cv": LeaveOneOut(), "scoring": "neg_mean_absolute_error"},
        ),
    ],
)
def test_the_numbers_are_those_of_scikit_learn(model, data, options):
    """Score, null and p, bit for bit, on the same permutations: a pipeline, a search, regression, any metric, a Gram matrix."""
    count = 19
    score, null, p = permutation_test_score(model, *data, n_permutations=count, random_state=0, **options)
    ours = judged(model, *data, permutations=as_scikit_learn_permutes(len(data[1]), count), sequential=False, **options)
    assert ours.score == score and ours.null.tolist() == null.tolist() and ours.p == p


def test_workers_change_no_number():
    data = noise(40, seed=3)
    alone, crew = (judged(Means(), *data, permutations=99, workers=workers, cv=2) for workers in (0, 2))
    assert alone.stopped and alone.null.tolist() == crew.null.tolist() and alone.p == crew.p
    assert judged(Means(), *data, permutations=99, cv=2, seed=1).null.tolist() != alone.null.tolist()


@pytest.mark.parametrize("sequential", [True, False])
def test_p_is_super_uniform_over_audits_of_noise(sequential):
    """500 audits: P(p <= a) <= a for all a by a one-sided Kolmogorov-Smirnov bound with false alarms of 1e-6."""
    n = 500
    p = np.sort([judged(separation, *noise(20, 1, seed), seed=seed, permutations=19, sequential=sequential).p for seed in range(n)])
    assert (np.arange(1, n + 1) / n - p).max() <= math.sqrt(math.log(1e6) / 2 / n)
    assert abs(p.mean() - 0.52) < 0.1  # and no larger than it must be


def test_p_is_super_uniform_with_cross_validation_and_fixed_splits():
    """A model that learns nothing but the majority: splits that were stratified beforehand would make it significant if labels could leave them."""
    X, y = noise(60)
    splits = list(StratifiedKFold(10).split(X, y))
    for cv in (splits, PredefinedSplit(np.repeat(range(10), 6)), 5):
        assert judged(DummyClassifier(), X, y, cv=cv, permutations=19).p == 1
    assert judged(DummyClassifier(), X, y, cv=splits, permutations=as_scikit_learn_permutes(60, 19)).p == 0.05  # what is guarded against
    assert judged(DummyClassifier(), X[:20], y[:20], held_out=(X[20:], y[20:])).p == 1


def test_power_is_that_of_the_formula():
    """One-sided, n = 30 in each class, means 0.7 apart: Phi(0.7 sqrt(15) - 1.645) = 0.857 for known variance, less about 0.01 for 99 permutations."""
    runs, found = 200, 0
    for seed in range(runs):
        X, y = signal(60, 1, seed, shift=0.7)
        found += judged(separation, X, y, seed=seed, permutations=99).verdict == "real"
    wanted = stats.norm.cdf(0.7 * math.sqrt(15) - stats.norm.ppf(0.95))
    low, high = stats.binom.ppf([1e-4, 1 - 1e-4], runs, wanted)
    assert low - 0.02 * runs <= found <= high


def grouped(seed=0, groups=12, each=8):
    """Subjects that inputs tell apart, each with a label of its own that inputs say nothing about."""
    rng = RNG(seed)
    subject = np.repeat(np.arange(groups), each)
    X = rng.normal(size=(groups, 6))[subject] + 0.1 * rng.normal(size=(groups * each, 6))
    return X, (rng.permutation(groups) % 2)[subject], subject


def test_a_permutation_that_ignores_groups_lies_and_one_of_groups_does_not():
    X, y, subject = grouped()
    model, folds = KNeighborsClassifier(1), KFold(4, shuffle=True, random_state=0)
    lie = judged(model, X, y, cv=folds)
    honest = judged(model, X, y, cv=folds, groups=subject)
    assert lie.score == honest.score > 0.95
    assert lie.verdict == "real" and lie.independent
    assert honest.verdict == "not shown" and honest.p > 0.5 and not honest.independent
    assert "with labels moved between 12 groups as wholes" in honest.text()
    apart = judged(model, X, y, groups=subject)  # folds that keep subjects together by default
    assert apart.score < 0.9 and apart.verdict != "real"


def test_labels_that_vary_within_groups_are_permuted_there():
    X, y = signal(40)
    groups = np.repeat(np.arange(4), 10)
    seen = []
    result = judged(lambda X, y: seen.append(y.copy()) or separation(X, y), X, y, groups=groups, strata=groups // 2)
    assert all(each.reshape(4, 10).sum(1).tolist() == [5, 5, 5, 5] for each in seen)
    assert len({each.tobytes() for each in seen}) > 30
    assert result.change == "with labels permuted within each group and stratum"


def test_strata_are_kept():
    X, y = noise(40)
    strata, seen = np.where(y, "a", np.where(np.arange(40) < 20, "a", "b")), []
    result = judged(lambda X, y: seen.append(y.copy()) or 0.0, X, y, strata=strata)
    assert all(each[strata == "b"].sum() == 0 for each in seen) and result.change == "with labels permuted within each stratum"


def test_time_is_shifted_circularly():
    n, seen = 30, []
    time = pd.Series(pd.Timestamp("2020-01-01") + pd.to_timedelta(RNG(0).permutation(n), "D"))
    X, y = noise(n)
    y = (np.arange(n) < 11).astype(int)
    result = judged(lambda X, y: seen.append(y[np.argsort(time)].tolist()) or separation(X, y), X, y, time=time, permutations=99, sequential=False)
    rotations = {tuple(np.roll(y[np.argsort(time)], shift)) for shift in range(n)}
    assert {tuple(each) for each in seen} == rotations and len(seen) == n == result.permutations + 1
    assert result.complete and result.smallest_p == 1 / n and result.change == "with labels shifted in time"
    assert judged(separation, X, y, time=True).change == "with labels shifted in time"


def test_a_slow_series_fools_permutations_and_not_shifts():
    """Two independent random walks are significantly related by permutation and not by shifts."""
    fooled = shifted = 0
    for seed in range(40):
        walk, other = RNG(seed).normal(size=(2, 100)).cumsum(1)
        fooled += judged(lambda X, y: abs(np.corrcoef(X[:, 0], y)[0, 1]), walk[:, None], other, seed=seed).p <= 0.05
        shifted += judged(lambda X, y: abs(np.corrcoef(X[:, 0], y)[0, 1]), walk[:, None], other, seed=seed, time=True).p <= 0.05
    assert fooled > 25 and shifted < 12


def test_features_selected_before_the_splits_are_caught_by_passing_the_whole_procedure():
    rng = RNG(0)
    X, y = rng.normal(size=(40, 500)), np.arange(40) % 2

    def leaky(X, y):
        """Looks at all labels before cross-validation."""
        best = SelectKBest(f_classif, k=10).fit_transform(X, y)
        return np.mean([Means().fit(best[train], y[train]).score(best[test], y[test]) for train, test in KFold(4).split(best)])

    caught = judged(leaky, X, y)
    assert caught.score > 0.75 and caught.p > 0.05 and not caught.verdict.startswith("real")
    best = SelectKBest(f_classif, k=10).fit_transform(X, y)
    assert judged(Means(), best, y, cv=KFold(4)).verdict == "real"  # the lie: the selection is not repeated
    right = judged(make_pipeline(SelectKBest(f_classif, k=10), Means()), X, y, cv=KFold(4))
    assert right.score < 0.75 and not right.verdict.startswith("real")


def test_a_function_of_two_samples_is_scored_on_the_splits_or_on_held_out_data():
    X, y = signal()
    sizes = []

    def fit_and_score(X_train, y_train, X_test, y_test, penalty=1.0):
        sizes.append((len(X_train), len(y_test)))
        return Means().fit(X_train, y_train).score(X_test, y_test) * penalty

    assert judged(fit_and_score, X, y, cv=5).verdict == "real" and set(sizes) == {(48, 12)}
    sizes.clear()
    held = judged(fit_and_score, X[:40], y[:40], held_out=(X[40:], y[40:]))
    assert held.verdict == "real" and set(sizes) == {(40, 20)} and held.change == "with labels permuted within each part of the splits"
    assert held.score == Means().fit(X[:40], y[:40]).score(X[40:], y[40:]) and held.baseline is None
    assert judged(Means(), X[:40], y[:40], held_out=(X[40:], y[40:])).null.tolist() == held.null.tolist()


def frames():
    X, y = signal()
    frame = pd.DataFrame(X, columns=list("abc"), index=RNG(0).permutation(60))
    return X, y, frame, pd.Series(np.where(y, "ill", "well"), index=frame.index)


def test_frames_sparse_matrices_lists_and_any_labels_give_the_same_numbers():
    X, y, frame, words = frames()
    plain = judged(Means(), X, y, permutations=19, cv=2)
    variants = [(frame, words), (X, y.astype(bool)), (X, words.to_numpy()), (frame, words.astype("category")), (X.tolist(), list(words)), (X, y.astype(float))]
    for inputs, labels in variants:
        assert judged(Means(), inputs, labels, permutations=19, cv=2).null.tolist() == plain.null.tolist()
    tree = DecisionTreeClassifier(random_state=0)
    assert judged(tree, sparse.coo_matrix(X), y, cv=2).null.tolist() == judged(tree, X.astype(np.float32), y, cv=2).null.tolist()
    tuples = [("class", int(each)) for each in y]
    assert judged(lambda a, b, c, d: float(isinstance(b[0], tuple)), X, tuples).score == 1.0
    parts = judged(Means(), frame[:40], words[:40], held_out=(frame[40:], words[40:]))
    assert parts.null.tolist() == judged(Means(), X[:40], y[:40], held_out=(X[40:], y[40:])).null.tolist()
    assert judged(tree, sparse.csr_array(X)[:40], y[:40], held_out=(sparse.csr_array(X)[40:], y[40:])).verdict == "real"


def test_an_index_cannot_undo_the_permutation():
    """A procedure that joins by the index of pandas would meet the true labels again if the index travelled with them."""
    _, _, frame, words = frames()

    def by_index(X, y):
        joined = X.assign(label=y)
        return joined[joined.label == "ill"].a.mean() - joined[joined.label == "well"].a.mean()

    result = judged(by_index, frame, words)
    assert result.null.max() < result.score and result.verdict == "real"
    seen = []
    judged(lambda X, y: seen.append((type(X), list(X.columns), y.index.equals(X.index))) or 0.0, frame, words)
    assert set(map(str, seen)) == {str((pd.DataFrame, ["a", "b", "c"], True))}


def test_test_2_tells_dependence_between_features_from_single_features():
    rng = RNG(0)
    X = rng.normal(size=(200, 2))
    tree = DecisionTreeClassifier(max_depth=4, random_state=0)
    both = (X[:, 0] * X[:, 1] > 0).astype(int)
    assert judged(tree, X, both, test="features within class", cv=2).verdict == "uses dependence between features"
    alone = judged(tree, X, (X[:, 0] > 0).astype(int), test="features within class", cv=2)
    assert alone.verdict == "not shown" and alone.text().splitlines()[1].startswith("Your model is not shown to use dependence between features")
    frame = judged(tree, pd.DataFrame(X, columns=["a", "b"]), both, test="features within class", cv=2)
    assert frame.verdict == "uses dependence between features" and frame.change == "with features permuted within each class"
    stratified = judged(lambda X, y: float(np.isfinite(X).all()), X.reshape(200, 2, 1), both, test="features within class", strata=np.arange(200) // 100)
    assert stratified.change == "with features permuted within each class and stratum" and stratified.p == 1


# What it says.


def test_noise_says_that_nothing_is_shown():
    result = judged(Means(), *noise(seed=1), permutations=99)
    assert result.verdict == "not shown"
    assert re.fullmatch(
        r"test accuracy [\d.]+ %; always answering the majority class gives [\d.]+ %; with permuted labels at best [\d.]+ %, half the time at most [\d.]+ %: "
        r"p = [\d.]+ \(\d+ permutations, which decided it before the planned 99\)\.\n"
        r"Your score is not shown to be real: \d+ % of the permutations score at least as high\. A score above [\d.]+ % would have been\.\n"
        r"Examples are taken as independent: give groups or time where some belong together\.",
        result.text(),
    )


def test_signal_says_that_it_is_real():
    result = judged(Means(), *signal(), permutations=199, cv=2)
    assert (result.verdict, result.p, result.smallest_p, result.permutations, result.exceedances) == ("real", 0.005, 0.005, 199, 0)
    assert "p = 0.005 (199 permutations).\nYour score is real. p can be no smaller with 199 permutations" in result.text()
    assert result.detectable < result.score


def test_a_test_that_stops_at_the_last_permutation_counts_right():
    scores = iter([0.5, *[0.1] * 9, *[0.9] * 10])
    result = judged(lambda X, y: next(scores), *signal(), permutations=19)
    assert (result.exceedances, result.p, result.stopped) == (10, 10 / 19, False)


def test_few_permutations_say_what_more_would_tell():
    result = judged(Means(), *signal(), permutations=19)
    assert (result.verdict, result.p) == ("real", 0.05)
    assert "Your score is real. p can be no smaller with 19 permutations: permutations=999 would tell how small it is." in result.text()
    scores = iter([0.9, 0.95, *[0.5] * 18])  # one of 19 is as high
    open_ = judged(lambda X, y: next(scores), *signal(), permutations=19)
    assert (open_.verdict, open_.p) == ("undecided", 0.1)
    assert "this is undecided: the share of all permutations that score as high lies between 0.0013 and 0.26. Take permutations=199." in open_.text()


def test_imbalance_alone_is_not_real():
    X = RNG(0).normal(size=(200, 3))
    result = judged(GaussianNB(), X, np.arange(200) % 10 == 0, cv=2)
    assert result.score >= 0.85 and result.baseline == 0.9 and result.verdict == "not shown"
    assert "always answering the majority class gives 90.0 %" in result.text()


def test_a_significant_score_below_the_majority_class_is_of_no_use():
    rng = RNG(0)
    y = np.arange(300) % 10 == 0
    result = judged(Means(), rng.normal(size=(300, 1)) + y[:, None], y, cv=2)
    assert result.score < 0.85
    assert result.verdict == "real, but no better than the baseline"
    assert (
        "Your score is real but of no use: the inputs say something about the labels, and always answering the majority class scores as high." in result.text()
    )


def test_five_examples_can_show_nothing():
    told = []
    result = judged(DecisionTreeClassifier(), np.arange(5.0)[:, None], [0, 0, 0, 1, 1], permutations=999, tell=told.append)
    assert result.verdict == "too few examples" and result.smallest_p == 0.1 and result.p >= 0.1 and result.permutations == 9
    assert "5 examples allow only 10 arrangements of their labels, so p is at least 0.1: no score can be shown to be real at p <= 0.05." in result.text()
    assert told == ["significance: at most 9 refits with permuted labels: p can be no smaller than 0.1, above 0.05: no score can be significant."]


def test_it_says_before_the_run_what_can_be_found():
    told = []
    result = judged(Means(), *signal(), permutations=59, cv=2, tell=told.append)
    assert told[0] == "significance: at most 59 refits with permuted labels: p can be no smaller than 0.0167."
    assert re.fullmatch(r"significance: by the first 40 permutations a score above [\d.]+ % is significant, yours is [\d.]+ %\.", told[1])
    assert len(told) == 2 and result.verdict == "real"


def test_regressors_are_compared_with_the_mean():
    result = judged(Ridge(), *DIABETES)
    assert result.verdict == "real" and "always answering the mean gives -0." in result.text() and result.text().startswith("test r2 0.")
    assert judged(DecisionTreeRegressor(), RNG(0).normal(size=(60, 2)), RNG(1).normal(size=60)).verdict == "not shown"


def test_metrics_have_their_names_and_baselines():
    X, y = signal()
    assert (
        "test roc_auc 0." in (text := judged(GaussianNB(), *signal(shift=1.0), scoring="roc_auc", cv=2).text())
        and "answering the class shares gives 0.5;" in text
    )
    own = judged(Means(), X, y, scoring=make_scorer(lambda true, predicted: float((true == predicted).sum())))
    assert own.metric == "<lambda>" and own.score > 9
    assert judged(KMeans(2, n_init=1, random_state=0), X, y, cv=KFold(3)).baseline is None


def test_forms_of_the_result(monkeypatch):
    result = judged(Means(), *signal(), permutations=19)
    assert re.fullmatch(r"<Significance real: test accuracy [\d.]+ %, p = 0\.05, 19 permutations>", repr(result))
    assert result._repr_html_().startswith("<p><strong>real</strong>: test accuracy ")
    frame = result.to_frame()
    assert list(frame.columns) == ["permutation", "score"] and frame.score[0] == result.score and frame.score[1:].tolist() == result.null.tolist()
    null, own = result.figure().to_dict()["layer"]
    assert [value["score"] for value in null["data"]["values"]] == result.null.tolist() and own["data"]["values"] == [{"score": result.score}]
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(sl.InvalidPart, match=r"^significance: pandas is required for a data frame, it is not installed\. Run "):
        result.to_frame()


@pytest.mark.parametrize(("p", "alpha", "text"), [(0.001, 0.05, "0.001"), (0.05, 0.05, "0.05"), (0.050001, 0.05, "0.050001"), (1 / 3, 0.05, "0.333")])
def test_a_p_value_is_printed_on_its_own_side_of_alpha(p, alpha, text):
    assert p_text(p, alpha) == text


# What it refuses.


class Greedy(ClassifierMixin, BaseEstimator):
    """Changes what it is fitted on."""

    def fit(self, X, y):
        X *= 0
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


def clear_labels(X, y):
    y[:] = 0
    return 1.0


X, Y = noise(40)
HALVES = np.arange(40) // 20
REFUSED = {
    "significance: at least 19 permutations are required at level 0.95, got 10, with which p is never below 0.0909. Take permutations=999.": (
        sl.InvalidPart, Means(), X, Y, {"permutations": 10}),
    "significance: level is a confidence in (0, 1), got 95. Use 0.95, say.": (sl.DataError, Means(), X, Y, {"level": 95}),
    "significance: workers is a whole number >= 0, got -1. 0 refits in this process.": (sl.InvalidPart, Means(), X, Y, {"workers": -1}),
    "significance: test is 'labels' or 'features within class', got 'rows'.": (sl.InvalidPart, Means(), X, Y, {"test": "rows"}),
    "significance: as many of X as of y are required, got 40 and 39. Pair them.": (sl.DataError, Means(), X, Y[:-1], {}),
    "significance: as many of groups as of y are required, got 3 and 40. Pair them.": (sl.DataError, Means(), X, Y, {"groups": [1, 2, 3]}),
    "significance: two different labels at least are required, all 40 are equal. Nothing can be told apart.": (sl.DataError, Means(), X, 0 * Y, {}),
    "significance: no missing value is allowed in y, got 1, the first at position 3. Drop them.": (
        sl.DataError, Ridge(), X, np.where(np.arange(40) == 3, np.nan, Y), {}),
    "significance: one value an example is required as y, got shape (40, 1). Flatten it, or take one column.": (sl.DataError, Means(), X, Y[:, None], {}),
    "significance: hashable values are required as y, got unhashable type: 'list'. Number them.": (
        sl.DataError, Means(), X, [[each] for each in Y], {}),
    "significance: something that can be permuted is required, got none: 2 groups coincide with the classes, so that a permutation only renames classes. "
    "The smallest possible p is 1. Take coarser strata or groups.": (sl.DataError, Means(), X, Y, {"groups": np.where(Y, "a", "b")}),
    "significance: something that can be permuted is required, got none: labels are equal wherever they may change places. "
    "The smallest possible p is 1. Take coarser strata or groups.": (sl.DataError, Ridge(), X, X[:, 0], {"strata": X[:, 0]}),
    "significance: a model that leaves its data as they are is required, its first fit changed them. Let it work on copies (copy=True).": (
        sl.DataError, Greedy(), X, Y, {}),
    "significance: one finite number is required as score, got nan. Take stratified or fewer splits, or another metric.": (
        sl.DataError, lambda X, y: math.nan, X, Y, {}),
    "significance: one finite number is required as score, got a NoneType. Take stratified or fewer splits, or another metric.": (
        sl.DataError, lambda X, y: None, X, Y, {}),
    "significance: scoring: a known name is required, got 'acuracy'. Did you mean accuracy, top_k_accuracy, balanced_accuracy?": (
        sl.UnknownName, Means(), X, Y, {"scoring": "acuracy"}),
    "significance: scoring is one metric, its name or a scorer, got ['accuracy', 'f1']. Call once for each metric.": (
        sl.InvalidPart, Means(), X, Y, {"scoring": ["accuracy", "f1"]}),
    "significance: a function gives its own score, got scoring='f1' beside it. Leave scoring out.": (sl.InvalidPart, separation, X, Y, {"scoring": "f1"}),
    "significance: a function of (X, y) makes its own splits, got cv=5 beside it. Leave cv out.": (sl.InvalidPart, separation, X, Y, {"cv": 5}),
    "significance: an estimator with fit and get_params or a function is required, got the class Means. "
    "Give an instance, or a function fit_and_score(X_train, y_train, X_test, y_test).": (sl.InvalidPart, Means, X, Y, {}),
    "significance: a function of (X, y) or of (X_train, y_train, X_test, y_test) is required, got 1 required arguments. Wrap the model in one.": (
        sl.InvalidPart, lambda X: 0.0, X, Y, {}),
    "significance: cross-validation or held-out data are required, got both. Leave cv or held_out out.": (
        sl.InvalidPart, Means(), X, Y, {"cv": 3, "held_out": (X, Y)}),
    "significance: the cross-validation failed with ValueError: n_splits=30 cannot be greater than the number of members in each class.": (
        sl.UserCodeError, Means(), X, Y, {"cv": 30}),
    "significance: classes are required to permute features within them, got a regressor. Take test='labels'.": (
        sl.InvalidPart, Ridge(), X, X[:, 0], {"test": "features within class"}),
    "significance: features are permuted within classes and strata only, got groups. Leave it out.": (
        sl.InvalidPart, Means(), X, Y, {"test": "features within class", "groups": HALVES}),
    "significance: permutations are a number, or arrays of the indices 0..39, each once, got another array at position 0.": (
        sl.InvalidPart, Means(), X, Y, {"permutations": [np.zeros(40, int)] * 19}),
}  # fmt: skip


@pytest.mark.parametrize("message", REFUSED)
def test_a_mistake_is_refused_in_one_line(message):
    kind, model, inputs, labels, options = REFUSED[message]
    with pytest.raises(kind, match=f"^{re.escape(message)}$"):
        judged(model, inputs, labels, **options)


def test_a_procedure_that_clears_its_labels_is_refused():
    with pytest.raises(sl.DataError, match=r"^significance: a model that leaves its data as they are is required, "):
        judged(clear_labels, X, Y.copy())


def test_a_failure_on_permuted_labels_says_so():
    def fails_later(X, y):
        if (y != Y).any():
            raise RuntimeError("no such case")
        return 1.0

    with pytest.raises(
        sl.UserCodeError, match=r"^significance: the model failed with RuntimeError: no such case \(with permuted labels; the data as they are "
    ):
        judged(fails_later, X, Y)
    with pytest.raises(sl.DataError, match=r"got nan\. .* The data as they are gave a score, those permuted labels did not\.$"):
        judged(lambda X, y: 1.0 if (y == Y).all() else math.nan, X, Y)
