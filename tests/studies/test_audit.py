"""The audit: what it plans, what it refuses, and that its verdict says what the rows say."""

from __future__ import annotations

import numpy as np
import pytest
from torch import nn

import shatterlab as sl
from shatterlab.analysis.null_distribution import null_test
from shatterlab.core.values import Row
from shatterlab.studies import model_and_data as asked
from shatterlab.studies.audit_plan import AuditPlan, budget_of
from shatterlab.studies.audit_verdict import findings, verdict


@pytest.fixture
def blobs(tmp_path):
    """Three classes around three centres in six dimensions, far apart: true labels are easy."""
    rng = np.random.default_rng(0)
    y = np.arange(120) % 3
    np.savez(tmp_path / "blobs.npz", x=(np.eye(3, 6)[y] * 4 + rng.normal(size=(120, 6))).astype(np.float32), y=y)
    return tmp_path / "blobs.npz"


def made(kind, accuracy, test, *, seed=0, draw=None, epochs=10, status="ok", classes=10, **more):
    """A row as an audit's verdict reads it (test data, not a result); `draw`: a further permutation of the first replicate."""
    seeds = {"seeds.data": seed} | {f"seeds.{stream}": seed if draw is None else draw for stream in ("corruption", "init", "order")}
    columns = {
        "key": f"{kind}-{seed}-{draw}",
        "status": status,
        "learner.kind": "Training",
        "learner.architecture.kind": "MLP",
        "corruption.kind": {"true": "PartialLabels", "permuted": "PermutedLabels"}[kind],
        "corruption.level": {"true": 0.0, "permuted": 1.0}[kind],
        "classes": classes,
        "train.accuracy": accuracy,
        "train.error": 1 - accuracy,
        "test.accuracy": test,
        "test.n": 200,
        "fit.epochs": epochs,
        "fit.epochs_to_interpolation": epochs if accuracy == 1 else None,
        "fit.censored": accuracy < 1,
    }
    return Row(columns | seeds | more)


def audited(true, permuted, null, test=0.1, **more):
    """Rows of three replicates with these training and test scores, and of as many permutations as the null has scores."""
    rows = [made("true", true[0], true[1] + 0.005 * r, seed=r, **more) for r in range(3)]
    rows += [made("permuted", permuted, test, seed=r, **({"epochs": 21} | more)) for r in range(1, 3)]
    return rows + [made("permuted", permuted, score, draw=k, **({"epochs": 21} | more)) for k, score in enumerate(null)]


def the_finding(rows, permutations=39, **fields):
    (found,) = findings(rows, permutations, **fields)
    return found


CHANCE = [0.1 + 0.001 * (k % 7) for k in range(39)]


def test_a_model_that_learns_and_would_fit_noise():
    found = the_finding(audited((1.0, 0.95), 1.0, CHANCE))
    assert found.text == (
        "MLP: Your score is real. Test accuracy 95.5 % [91.6, 97.9]; always answering the majority class gives 10.0 %; with permuted labels at best 10.6 %: "
        "p = 0.025 (39 permutations). "
        "Training accuracy 100.0 % on true and 100.0 % on permuted labels: your training score proves nothing. "
        "It has learned, and it would have fitted noise as well: believe its test score, never its training score. "
        "It fits permuted labels in 3 of 3 replicates (P(fit) >= 0.29), 2.1x slower than true ones."
    )
    assert (found.signal, found.kind, found.p_value, found.memory) == ("real", "all", 1 / 40, 1.0)


def test_what_memory_alone_could_make_is_said_in_points():
    found = the_finding(audited((0.99, 0.95), 0.37, CHANCE, epochs=None))
    assert "of the 89.0 points above the constant answer, memory alone could make 27.0" in found.text
    assert (found.kind, round(found.memory, 3)) == ("part", round(27 / 89, 3)) and "epoch" not in found.text and "fits" not in found.text
    none = the_finding(audited((0.99, 0.95), 0.09, CHANCE, epochs=None))
    assert "memory alone could make none." in none.text and "it could not have memorized" in none.text


SIGNALS = {  # test score, null, test examples, permutations
    "real": (0.97, [0.9] * 39, {}),
    "small": (0.93, [0.9] * 39, {}),
    "no use": (0.88, [0.8] * 39, {}),
    "not shown": (0.9, [0.91] * 20 + [0.89] * 19, {}),
    "undecided": (0.9, [0.91] * 2 + [0.89] * 37, {}),
    "too few": (0.97, [0.9] * 39, {"least": 1 / 6}),
    "given away": (0.97, [0.9] * 39, {"leaks": True}),
}
KINDS = {"all": (1.0, 1.0), "part": (1.0, 0.95), "none": (1.0, 0.88), "nothing": (0.9, 0.9)}
MORE = {"classes": 2, "baseline.test.accuracy": 0.9, "baseline.train.accuracy": 0.9, "epochs": None}


def cell(signal, kind):
    score, null, fields = SIGNALS[signal]
    return the_finding(audited((KINDS[kind][0], score - 0.005), KINDS[kind][1], null, **MORE), **fields)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("signal", SIGNALS)
def test_every_cell_of_signal_and_memory_has_its_own_words(signal, kind):
    """Nine in ten labels are equal: an accuracy near 0.9 shows nothing."""
    found = cell(signal, kind)
    assert (found.signal, found.kind) == (signal, kind), found.text
    assert ("Your score is real" in found.text) == (signal in ("real", "small", "no use"))
    assert ("Your score is real." in found.text) == (signal == "real")
    assert ("proves nothing" in found.text) == (kind == "all")
    assert len(found.sentences) <= 5 and "epoch" not in found.text


def test_no_two_cells_say_the_same():
    told = {(signal, kind): cell(signal, kind).sentences[2] for signal in SIGNALS for kind in KINDS}
    assert len(set(told.values())) == len(told)


def test_without_permutations_nothing_is_called_real():
    found = the_finding(audited((1.0, 0.95), 1.0, CHANCE), permutations=0)
    assert found.signal == "unknown" and "real" not in found.text and found.p_value is None
    assert "permutations=99" in found.text


def test_the_permutation_test_takes_the_first_replicate_and_its_permutations_in_order():
    rows = audited((1.0, 0.95), 1.0, [0.96] * 12 + [0.1] * 27)
    test = null_test(rows[::-1], 39)
    assert (test.score, len(test.null), test.exceedances, test.stopped, test.p) == (0.95, 10, 10, True, 1.0)  # h / l at the tenth exceedance
    lost = [Row({**row, "status": "failed", "test.accuracy": None}) if row["seeds.corruption"] == 5 else row for row in audited((1.0, 0.95), 1.0, CHANCE)]
    assert null_test(lost, 39).exceedances == 1  # a lost permutation counts against the score
    assert null_test([row for row in rows if row["corruption.kind"] == "PartialLabels"], 39) is None


@pytest.mark.parametrize("planned", [39, 99])
def test_p_is_uniform_where_inputs_say_nothing(planned):
    """500 synthetic audits of 1-nearest neighbour on noise, sequential as always: P(p <= a) <= a for every a, and nearly so."""
    rng, ps = np.random.default_rng(0), []
    for _ in range(500):
        x, y = rng.normal(size=(60, 2)), rng.integers(3, size=60)
        nearest = ((x[40:, None] - x[None, :40]) ** 2).sum(2).argmin(1)
        scores = [float((labels[nearest] == y[40:]).mean()) for labels in (y[:40], *(rng.permutation(y[:40]) for _ in range(planned)))]
        rows = [made("true", 1.0, scores[0])] + [made("permuted", 1.0, score, draw=k) for k, score in enumerate(scores[1:])]
        ps.append(null_test(rows, planned).p)
    for alpha in (0.05, 0.1, 0.25, 0.5, 0.75):
        assert np.mean(np.array(ps) <= alpha + 1e-9) <= alpha + 4 * np.sqrt(alpha * (1 - alpha) / 500)
    assert np.mean(np.array(ps) <= 0.5) > 0.35  # ties make it smaller than 0.5, not useless


def test_divergence_is_not_taken_for_a_small_budget():
    rows = [Row({**row, "status": "diverged", "test.accuracy": None, "train.accuracy": None}) for row in audited((0.1, 0.1), 0.1, CHANCE, epochs=1)]
    text = the_finding(rows).text
    assert "No verdict: training diverges on true labels: lower the learning rate." in text and "44 of 44 trials diverged." in text


def test_lost_trials_are_said_and_left_out():
    rows = audited((1.0, 0.95), 1.0, CHANCE)
    lost = [Row({**row, "status": "failed"}) if row["seeds.data"] == 2 else row for row in rows]
    assert "2 of 44 trials failed and are left out." in the_finding(lost).text
    assert "No verdict: no trial with true labels ended." in the_finding([Row({**row, "status": "failed"}) for row in rows]).text


def test_each_model_has_its_own_finding():
    rows = audited((1.0, 0.95), 1.0, CHANCE)
    linear = [Row({**row, "learner.architecture.kind": "Linear", "key": f"linear {row['key']}"}) for row in audited((0.1, 0.1), 0.1, CHANCE)]
    found = findings(rows + linear, 39)
    assert [(each.model, each.signal) for each in found] == [("MLP", "real"), ("Linear", "not shown")]
    lines = verdict(found)
    assert lines[0] == "The score of 1 of 2 models is real (MLP). The training score of 1 proves nothing (MLP)."
    assert [line.partition(":")[0] for line in lines[1:]] == ["MLP", "Linear"]


def plan_of(model="MLP", data=None, **fields):
    source = asked.dataset(data)
    return AuditPlan(tuple(asked.learners(model)), source, source.load(), **fields)


def timed(plan, seconds):
    return [Row({**trial.specification(), "seconds": seconds, "status": "ok", "test.accuracy": 0.9, "train.accuracy": 1.0}) for trial in plan.first]


def test_the_plan_begins_with_one_pair_and_then_has_replicates_settings_and_permutations():
    plan = plan_of(replicates=2, levels=(0.25,), permutations=39)
    assert [trial.corruption.kind for trial in plan.first] == ["PartialLabels", "PermutedLabels"]
    rows = timed(plan, 1.0)
    further = plan(rows)
    kinds = [(trial.corruption.kind, getattr(trial.corruption, "level", None)) for trial in further if len({*vars(trial.seeds).values()}) == 1]
    once = {("PartialLabels", 0.0), ("PermutedLabels", 0.25), ("PermutedLabels", 1.0)} | {
        (n, None) for n in ("ShuffledPixels", "RandomPixels", "GaussianPixels")
    }
    assert len(kinds) == 13 and set(kinds) == once  # with the first permutation
    assert {trial.seeds.data for trial in further if trial.corruption.kind == "PermutedLabels" and trial.seeds.init != trial.seeds.data} == {0}
    assert "At most 50 trainings (2 replicates of 6 settings, up to 39 permutations), about 50 seconds on 1 process; p can be as small as 0.025." in plan.text(
        rows
    )


@pytest.mark.parametrize(
    ("seconds", "budget", "quick", "replicates", "permutations"),
    [(0.01, None, False, 5, 999), (0.5, None, False, 5, 39), (2.0, None, False, 5, 39), (60.0, None, False, 3, 19), (1.0, 600, False, 5, 499),
     (60.0, 600, False, 1, 19), (0.05, None, True, 1, 199), (5.0, None, True, 1, 19)],
)  # fmt: skip
def test_the_time_that_there_is_chooses_replicates_and_permutations(seconds, budget, quick, replicates, permutations):
    plan = plan_of(budget=budget, quick=quick)
    chosen = plan.chosen(timed(plan, seconds))
    assert (chosen.replicates, chosen.permutations) == (replicates, permutations)


def test_permutations_end_when_it_is_decided():
    plan = plan_of(replicates=1, levels=(), permutations=999, quick=True)
    score = dict.fromkeys(("test.accuracy", "train.accuracy"), 0.5)

    def rows_of(trials):
        return [Row({**trial.specification(), "seconds": 0.1, "status": "ok", **score}) for trial in trials]

    rows, batches = rows_of(plan.first), []
    while trials := tuple(trial for trial in plan(rows) if trial.key not in {row["key"] for row in rows}):
        batches.append(len(trials))
        rows += rows_of(trials)
    assert batches == [18, 20, 60]  # the fiftieth permutation that scores as high decides it; asked after 19, 39 and 99
    test = null_test(rows, 999)
    assert (len(test.null), test.exceedances, test.stopped) == (50, 50, True)


def test_the_budget_is_enough_steps_on_a_small_sample_and_enough_epochs_on_a_large_one():
    def budget(examples, **recipe):
        (learner,) = asked.learners("MLP", examples, **recipe)
        return learner.epochs

    assert budget(300) == 1000  # 5 steps an epoch
    assert budget(50_000) == 100
    assert budget(300, batch_size=None) == 5000
    assert budget(300, epochs=7) == 7


FEW = {"replicates": 2, "levels": (), "permutations": 19, "tell": None}


def noise(n, positives=0.5, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 8)), (rng.random(n) < positives).astype(int)


def told(model, data, **fields):
    return sl.audit(model, data, **FEW | fields)


def test_signal_and_noise_get_different_verdicts():
    from sklearn.datasets import load_breast_cancer
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(20)
    signal, none = told(forest, load_breast_cancer(return_X_y=True)), told(forest, noise(300))
    assert [audit.findings[0].signal for audit in (signal, none)] == ["real", "not shown"]
    assert "Your score is real." in signal.verdict and "Your score is not shown to be real" in none.verdict
    assert signal.p_value == 0.05 < none.p_value


def test_a_rare_class_is_no_signal():
    from sklearn.ensemble import RandomForestClassifier

    audit = told(RandomForestClassifier(20), noise(600, 0.1))
    assert audit.findings[0].signal in ("not shown", "undecided", "no use") and "points: reproduced" not in audit.text()
    assert "Accuracy says little where one class has" in audit.verdict


@pytest.mark.parametrize("name", ["neighbors:KNeighborsClassifier", "linear_model:LogisticRegression", "ensemble:HistGradientBoostingClassifier", "svm:SVC"])
def test_the_memory_of_estimators_is_told_and_no_epochs_are_advised(name, blobs):
    audit = sl.audit(f"sklearn.{name}", str(blobs), **FEW)
    text = audit.verdict
    assert "% on permuted labels" in text and "epoch" not in text and "learning rate" not in text
    assert audit.findings[0].memory is not None


def test_pipelines_and_searches_with_missing_parameters():
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.tree import DecisionTreeClassifier

    x, y = noise(80)
    x[::7, 2] = np.nan
    for model in (make_pipeline(SimpleImputer(), RandomForestClassifier(5)), GridSearchCV(DecisionTreeClassifier(), {"max_depth": [1, 2]}, cv=2)):
        audit = told(model, (x, y), quick=True, replicates=None)
        assert {row["status"] for row in audit.rows} == {"ok"}, audit.rows[0]["error"]


def test_labels_from_one_on_have_no_phantom_class():
    from sklearn.tree import DecisionTreeClassifier

    rng = np.random.default_rng(0)
    audit = told(DecisionTreeClassifier(), (rng.normal(size=(90, 4)), np.arange(90) % 3 + 1), quick=True)
    assert {row["classes"] for row in audit.rows} == {3} and "gives 30.4 %" in audit.verdict  # 7 of 23


def test_no_score_is_called_real_where_the_data_give_labels_away():
    from sklearn.tree import DecisionTreeClassifier

    x, y = noise(120)
    leaky = told(DecisionTreeClassifier(), (np.c_[x, y], y))
    assert "the data give labels away (below)" in leaky.verdict and "is real" not in leaky.verdict
    assert "In the data: Column 8 alone gives every test label" in leaky.verdict
    twice = told(DecisionTreeClassifier(), (np.r_[x, x], np.r_[y, y]))
    assert "memory alone scores on them" in twice.verdict and "is real" not in twice.verdict


def test_groups_that_share_a_label_are_permuted_as_wholes_and_rows_would_lie():
    """Twelve patients of ten visits, each with a face of its own and a label that is a coin's: a model that knows faces learns nothing of new ones."""
    import pandas as pd
    from sklearn.neighbors import KNeighborsClassifier

    def p_of(seed, **columns):
        rng = np.random.default_rng(seed)
        patient = np.repeat(np.arange(12), 10)
        frame = pd.DataFrame(rng.normal(size=(12, 3))[patient] + 0.05 * rng.normal(size=(120, 3)), columns=list("abc"))
        frame = frame.assign(patient=patient, y=rng.permutation(np.arange(12) % 2)[patient])
        return told(KNeighborsClassifier(1), frame, target="y", quick=True, **columns)

    grouped = [p_of(seed, group="patient") for seed in range(4)]
    assert [audit.p_value <= 0.05 for audit in grouped] == [False] * 4
    assert all(row["check.passed"] for audit in grouped for row in audit.rows)
    leaked = sl.significance(KNeighborsClassifier(1), *_visits(0), permutations=19, tell=None)
    assert leaked.p == 0.05  # rows of one patient on both sides: the labels look learned


def _visits(seed):
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(12), 10)
    return rng.normal(size=(12, 3))[patient] + 0.05 * rng.normal(size=(120, 3)), (np.arange(12) % 2)[patient]


def test_groups_that_cannot_be_permuted_are_refused():
    import pandas as pd
    from sklearn.tree import DecisionTreeClassifier

    x = np.random.default_rng(0).normal(size=(40, 2))
    frame = pd.DataFrame(x, columns=list("ab")).assign(site=np.arange(40) % 2, y=np.arange(40) // 4 % 2)
    frame.loc[frame.site == 0, "y"] = 0
    frame.loc[frame.site == 1, "y"] = 1
    with pytest.raises(sl.DataError) as refused:  # training has one site, hence one class
        sl.audit(DecisionTreeClassifier(), frame, target="y", group="site")
    assert "class" in str(refused.value)


def test_a_live_factory_a_forest_and_a_recipe_on_the_user_s_own_data(blobs):
    width = 128

    def net(shape, classes):
        return nn.Sequential(nn.Linear(shape[0], width), nn.ReLU(), nn.Linear(width, classes))

    audited = sl.audit(net, str(blobs), epochs=300, lr=0.1, **FEW | {"permutations": 0})
    assert [row["status"] for row in audited.rows] == ["ok"] * len(audited.rows)
    assert audited.findings[0].fitted == 2
    assert audited.verdict.startswith("net: Test accuracy ") and "It fits permuted labels in 2 of 2 replicates" in audited.verdict

    from sklearn.ensemble import RandomForestClassifier
    from sklearn.neighbors import KNeighborsClassifier

    for estimator in (RandomForestClassifier(20, bootstrap=False), KNeighborsClassifier(1)):
        audited = sl.audit(estimator, str(blobs), **FEW)
        assert audited.findings[0].fitted == 2, audited.verdict  # a lookup table fits anything
        assert all(row["check.passed"] for row in audited.rows)

    audited = sl.audit(sl.Recipe("shatterlab.learners.recipe:nearest_class_mean", output="values"), str(blobs), **FEW)
    assert audited.findings[0].fitted == 0  # three means cannot memorize 90 labels
    assert audited.findings[0].kind == "part"


def test_an_audit_is_saved_and_told(blobs, tmp_path):
    audited = sl.audit("Linear", str(blobs), epochs=5, replicates=1, levels=(), permutations=0, tell=None)
    assert audited.text().count("Linear") > 1
    page = audited.save(tmp_path / "page.html").read_text()
    assert "Linear" in page
    assert "<script" in page


def test_an_audit_finds_its_rows_again(blobs, tmp_path):
    from sklearn.tree import DecisionTreeClassifier

    def once(seen):
        return sl.audit(
            DecisionTreeClassifier(), str(blobs), store=tmp_path / "rows.sqlite", quick=True, permutations=39, tell=None, on_row=lambda *_: seen.append(1)
        )

    first, second = [], []
    assert once(first).verdict == once(second).verdict and first and not second


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
        (lambda: sl.audit(permutations=5), "audit: permutations is 0 or at least 19, got 5, with which p is never below 0.167. Take 999"),
        (lambda: sl.audit(budget=0), "audit: budget is a number of seconds > 0, got 0."),
        (lambda: budget_of("soon"), "audit: budget is a time such as 90s, 10m or 2h, got 'soon'."),
    ],
)
def test_misuse_is_told_before_anything_runs(call, message):
    with pytest.raises(sl.ShatterlabError) as refused:
        call()
    assert str(refused.value)[: len(message)] == message


def test_regression_is_audited_by_r2():
    from sklearn.datasets import load_diabetes
    from sklearn.linear_model import Ridge
    from sklearn.tree import DecisionTreeRegressor

    real = told(Ridge(), load_diabetes(return_X_y=True), permutations=39)
    assert real.findings[0].signal == "real" and real.p_value == 1 / 40 and "always answering the mean" in real.verdict
    x, _ = noise(120)
    none = told(DecisionTreeRegressor(), (x, np.random.default_rng(1).normal(size=120)))
    assert none.findings[0].signal in ("not shown", "undecided") and none.findings[0].kind == "all" and "permuted targets" in none.verdict


def test_the_split_is_said_and_hostile_names_in_it_are_harmless():
    import pandas as pd
    from sklearn.tree import DecisionTreeClassifier

    x, y = noise(60)
    frame = pd.DataFrame(x).rename(columns=str).assign(**{"\x1b[2J<b>": np.arange(60) // 3, "y": y})
    verdict = sl.audit(DecisionTreeClassifier(), frame, target="y", group="\x1b[2J<b>", quick=True, permutations=0, tell=None).verdict
    assert "The test split is 5 of 20 whole groups of" in verdict and "\x1b" not in verdict
