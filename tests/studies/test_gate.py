"""The gate: what fails a build, what is written for it, and the fixture for pytest."""

from __future__ import annotations

from importlib.metadata import entry_points
from xml.etree import ElementTree

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier

import shatterlab as sl
from shatterlab.studies.gate import QUANTITIES, Condition, gate, junit

QUICK = {"quick": True, "permutations": 19, "tell": None}


@pytest.fixture(scope="module")
def real():
    y = np.arange(120) % 2
    return sl.audit(DecisionTreeClassifier(), (np.random.default_rng(0).normal(size=(120, 3)) + y[:, None] * [1.8, 1.7, 1.6], y), **QUICK)


@pytest.fixture(scope="module")
def noise():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 3)), rng.integers(2, size=60)
    return sl.audit(DecisionTreeClassifier(), (np.r_[x, x], np.r_[y, 1 - y]), **QUICK)


def test_each_name_is_a_quantity_of_the_audit(real):
    outcomes = gate(real, [f"{name} != 12345" for name in QUANTITIES])
    values = {outcome.condition.name: outcome.value for outcome in outcomes}
    (finding,) = real.findings
    assert (values["p"], values["score"], values["memory"]) == (finding.p_value, finding.score, finding.memory)
    assert values["gain"] == pytest.approx(finding.score - finding.baseline) and values["failed"] == values["duplicates"] == 0
    assert all(outcome.failed for outcome in outcomes)


@pytest.mark.parametrize(("text", "fails"), [("p > 0.01", True), ("p > 0.05", False), ("p >= 0.05", True), ("memory > 0.9", True), ("score < 0.3", False)])
def test_a_condition_is_compared_as_it_is_spelled(real, text, fails):
    (outcome,) = gate(real, [text])
    assert outcome.failed == fails and outcome.text.startswith("FAIL" if fails else "ok  ")


def test_duplicates_and_conflicts_fail_whatever_the_score(noise):
    duplicates, conflicts, problems = (gate(noise, [f"{name} > 0"])[0] for name in ("duplicates", "conflicts", "problems"))
    assert duplicates.failed and conflicts.failed and problems.failed and duplicates.model == "data"
    assert duplicates.value == sum(found.count for found in noise.data_findings if found.kind == "equal across splits")


def test_what_was_not_measured_fails():
    x = np.random.default_rng(0).normal(size=(60, 3))
    audit = sl.audit(DecisionTreeClassifier(), (x, np.arange(60) % 2), quick=True, permutations=0, tell=None)
    (outcome,) = gate(audit, ["p > 0.5"])
    assert outcome.failed and "was not measured" in outcome.text


@pytest.mark.parametrize("text", ["p", "p > ", "> 0.1", "p > x", "p > 0.1 and memory > 2", "p = 0.1", ""])
def test_other_spellings_are_refused(text):
    with pytest.raises(sl.InvalidPart, match=r"gate: a condition such as 'p > 0.01' is required"):
        Condition.of(text)
    with pytest.raises(sl.UnknownName, match="Did you mean memory"):
        Condition.of("memroy > 0.1")


def test_junit_has_a_case_for_each_outcome_and_holds_hostile_names(real):
    outcomes = [*gate(real, ["p > 0.01", "p > 0.5"]), *[type(outcome)(outcome.condition, "<&\x1b\x00'\"", 1.0) for outcome in gate(real, ["p > 0.5"])]]
    root = ElementTree.fromstring(junit(outcomes, "a verdict <b>\x00"))
    assert (root.get("tests"), root.get("failures")) == ("3", "2")
    assert [case.get("name") for case in root.findall("testcase")] == ["p > 0.01", "p > 0.5", "p > 0.5"]
    assert [case.find("failure") is not None for case in root.findall("testcase")] == [True, False, True]


def test_the_command_ends_with_6_and_writes_junit(tmp_path, monkeypatch, capsys):
    from shatterlab.cli.commands import main

    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    np.savez("noise.npz", x=rng.normal(size=(80, 3)).astype(np.float32), y=np.arange(80) % 2)
    asked = ["audit", "--model", "sklearn.tree:DecisionTreeClassifier", "--data", "noise.npz", "--quick", "--permutations", "19", "--workers", "1"]
    codes = []
    for conditions in (["p > 0.05", "--junit", "gate.xml"], ["p < 0.01"]):
        with pytest.raises(SystemExit) as ended:
            main([*asked, "--fail-if", *conditions])
        codes.append(ended.value.code)
    assert codes == [6, 0] and "FAIL DecisionTreeClassifier: p = " in capsys.readouterr().out
    assert ElementTree.parse("gate.xml").getroot().get("failures") == "1"


pytest_plugins = ["pytester"]

TESTS = """
import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier

y = np.arange(120) % 2
x = np.random.default_rng(0).normal(size=(120, 3))


@pytest.mark.shatterlab(quick=True, permutations=19)
def test_real(shatterlab_audit):
    audit = shatterlab_audit(DecisionTreeClassifier(), (x + 2 * y[:, None], y), fail_if=["p > 0.05"])
    assert audit.findings[0].signal == "real"


@pytest.mark.shatterlab(fail_if=["p > 0.05"], quick=True, permutations=19)
def test_noise(shatterlab_audit):
    shatterlab_audit(DecisionTreeClassifier(), (x, y))
"""


def test_the_fixture_fails_where_the_score_is_not_real(pytester):
    pytester.makepyfile(TESTS)
    installed = any(point.name == "shatterlab" for point in entry_points(group="pytest11"))
    named = () if installed else ("-p", "shatterlab.pytest_plugin")  # a checkout that was installed before it had the plug-in
    result = pytester.runpytest_inprocess(*named, "--strict-markers", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*FAIL DecisionTreeClassifier: p = *", "*Whether your score is real is not decided*"])
