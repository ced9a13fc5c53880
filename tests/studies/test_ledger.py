"""The ledger: verdicts from planted rows, empty cells with their reason, a network of the user's from Python and from the command line."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import pytest
from torch import nn

import shatterlab as sl
from shatterlab import experiments
from shatterlab.core.errors import InvalidPart
from shatterlab.corruptions.labels import RandomSigns
from shatterlab.experiments.beyond import ledger as scaled
from shatterlab.studies import ledger as lines
from shatterlab.studies.ledger import ledger
from shatterlab.views import LedgerSummary, LedgerTable, Quantity

OF = {"kind": "Training", "architecture.kind": "MLP"}


def row(level, seed, ended="loss", **columns):
    said = {"key": f"{level} {seed} {columns}", "status": "ok", "corruption.kind": "PartialLabels", "corruption.level": level, "classes": 10, "train.n": 100}
    said |= {"learner.kind": "Training", "learner.architecture.kind": "MLP", "fit.ended": ended, "train.loss": 0.05 - seed / 100}
    return sl.Row(said | {f"seeds.{each}": seed for each in ("data", "corruption", "init", "order")} | columns)


def planted(true, noise, **both):
    """Rows with one measure, true[r] and noise[r] at replicate r."""
    return [row(level, r, **{"measure.M.v": value}, **both) for level, values in ((0.0, true), (1.0, noise)) for r, value in enumerate(values)]


def entry(rows, **fields):
    [found] = LedgerTable(OF, (Quantity("m", "measure.M.v", **fields),)).entries(rows)
    return found


@pytest.mark.parametrize(
    ("true", "noise", "verdict"),
    [((1.0, 2.0, 3.0), (2.0, 3.1, 4.0), "passes"), ((2.0, 3.1, 4.0), (1.0, 2.0, 3.0), "fails"), ((1.0, 2.0, 3.0), (3.0, 1.0, 2.5), "undecided")],
)
def test_the_verdict_is_that_of_the_paired_interval(true, noise, verdict):
    assert entry(planted(true, noise)).verdict == verdict
    turned = {"passes": "fails", "fails": "passes"}.get(verdict, verdict)
    assert entry(planted(true, noise), rises=False).verdict == turned
    assert entry(planted(true, noise), of_class=True).verdict == "fails (blind)"
    assert entry(planted(true, noise), judged=False).verdict == "-"


def test_the_quantities_of_a_model_are_one_family():
    """A difference that passes by itself is undecided beside twenty others; the interval stays its own, what is blind or not judged is no test."""
    rows = planted((1.0, 2.0, 3.0), (2.0, 3.1, 3.9))  # t = 17.3 with 2 degrees of freedom: p = 0.0033
    judged = Quantity("m", "measure.M.v")
    others = [Quantity("blind", "measure.M.v", of_class=True), Quantity("loss", "measure.M.v", judged=False), Quantity("empty", "measure.M.w")]
    alone = entry(rows)
    first, *rest = LedgerTable(OF, (judged, *others)).entries(rows)
    assert (first.verdict, first.p, first.difference) == ("passes", alone.p, alone.difference)
    assert [each.difference for each in rest] == [None, None, None]
    table = LedgerTable(OF, (judged,) * 21)
    many = table.entries(rows)
    assert {each.verdict for each in many} == {"undecided"}
    assert many[0].p == pytest.approx(21 * alone.p, rel=1e-12)
    assert many[0].difference == alone.difference
    assert alone.difference.low > 0
    grid = table.grid(rows)
    assert grid.headers[3:6] == ("random minus true", "p, adjusted", "larger on random?")
    assert grid.rows[0][3:6] == ("1.00 [0.75, 1.25]", f"{many[0].p:.3f}", "undecided")
    assert grid.notes == ("Random minus true: 95 % intervals, each by itself; p, adjusted: Holm, over the 21 quantities tested.",)
    [turned] = LedgerTable(OF, (Quantity("m", "measure.M.v", rises=False),)).grid(rows).rows
    assert turned[3:6] == ("1.00 [0.75, 1.25]", f"{alone.p:.3f}", "fails")


def test_fits_that_ended_at_different_losses_are_not_compared():
    rows = [row(level, r, ended="budget", **{"measure.M.v": level + r, "train.loss": level}) for level in (0.0, 1.0) for r in range(3)]
    found = entry(rows)
    assert found.verdict == "not comparable"
    assert found.reason == "the fits did not stop at the same training loss: budget at 1, budget at 0"
    grid = LedgerTable(OF, (Quantity("m", "measure.M.v"),)).grid(rows)
    assert grid.notes == ("Empty or not comparable: the fits did not stop at the same training loss: budget at 1, budget at 0 (m).",)


@pytest.mark.parametrize(("bound", "says"), [(1.2, "vacuous"), (0.95, "vacuous"), (0.4, "below 0.9"), (math.inf, "vacuous")])
def test_a_bound_is_held_against_one_and_against_chance(bound, says):
    rows = planted((1.0, 2.0), (2.0, 3.0), **{"measure.M.bound": bound})
    found = entry(rows, bound="measure.M.bound")
    assert (found.bounds, found.says) == ((bound, bound), says)
    assert entry(rows, bound="measure.M.bound", chance=0.3).says.startswith("vacuous")
    assert entry(rows).says == "-"


def test_an_empty_cell_has_its_reason():
    rows = [row(level, r, **{"measure.M": None, "measure.M.reason": "M: a torch module is required, got Tree"}) for level in (0.0, 1.0) for r in range(2)]
    table = LedgerTable(OF, (Quantity("m", "measure.M.v"), Quantity("other", "measure.M.w")))
    grid = table.grid(rows)
    assert [line[:4] for line in grid.rows] == [("m", "-", "-", "-"), ("other", "-", "-", "-")]
    assert grid.notes == ("Empty or not comparable: a torch module is required, got Tree (m, other).",)
    assert not table.entries(rows)[0].measured
    assert table.grid([]) is None
    assert table.text([]) == "The ledger\n(no rows)"
    assert table.spec(rows) is None


def signs(errors, **columns):
    return [row(1.0, r, **{"corruption.kind": "RandomSigns", "corruption.level": None, "train.error": e, **columns}) for r, e in enumerate(errors)]


def test_sign_draws_say_at_least_and_never_equal():
    table = LedgerTable(OF, (Quantity("R", "train.error", role="signs"), Quantity("e", "train.error")))
    rows = signs([0.0, 0.1])
    found, other = table.entries(rows)
    least = 0.9 - math.sqrt(2 * math.log(20) / 200)
    assert found.least == pytest.approx(least)
    assert found.bounds[0] == found.bounds[1] == pytest.approx(least + 3 * math.sqrt(math.log(40) / 200))
    assert (found.verdict, found.says) == ("fails (blind)", "vacuous")
    assert table.grid(rows).rows[0][1:3] == (f"≥ {least:.3g}",) * 2
    assert not other.measured  # a draw of signs is no fit of random labels
    weak = table.entries(signs([0.45, 0.45], **{"train.n": 1000}))[0]  # the bound is at least 0.24: no bound, so nothing that is below guessing
    assert weak.bounds[0] < 0.5
    assert (weak.vacuous, weak.says) == (None, "not known")
    assert LedgerSummary((table,)).grid(signs([0.45, 0.45], **{"train.n": 1000})).rows[0][-4:] == ("0", "0", "0", "0")
    failed = table.entries(signs([None], status="failed", error="Training: the model gives one score for each of 2 classes, got 10"))[0]
    assert failed.reason == "Training: the model gives one score for each of 2 classes, got 10"


def test_wrapped_runs_belong_to_the_learner_inside():
    inside = {"learner.kind": "Twins", "learner.learner.kind": "Training", "learner.learner.architecture.kind": "MLP", "learner.architecture.kind": None}
    rows = [row(level, r, **inside, **{"fit.d": 1.0 + level * (1 + r / 10)}) for level in (0.0, 1.0) for r in range(3)]
    table = LedgerTable(OF, (Quantity("d", "fit.d", role="twins"), Quantity("d", "fit.d", role="code"), Quantity("d", "fit.d")))
    twins, code, own = table.entries(rows)
    assert (twins.measured, twins.verdict) == (True, "passes")
    assert (code.measured, own.measured) == (False, False)
    assert code.reason == "no such fit was made"
    assert LedgerTable({"kind": "Training", "architecture.kind": "Linear"}, table.quantities).entries(rows) == []


def test_the_summary_counts_a_line_a_model():
    rows = planted((1.0, 2.0, 3.0), (2.0, 3.1, 4.0), **{"measure.M.bound": 0.5})
    quantities = (Quantity("m", "measure.M.v", bound="measure.M.bound"), Quantity("none", "measure.M.w"))
    tables = (LedgerTable(OF, quantities, title="MLP"), LedgerTable({"kind": "Other"}, quantities, title="gone"))
    grid = LedgerSummary(tables).grid(rows)
    assert grid.rows == (("MLP", "1", "1", "0", "0", "0", "1", "1", "1", "1"),)
    assert LedgerSummary(tables).grid([]) is None


# The plan


def test_the_plan_has_every_kind_of_run_with_equal_seeds_on_both_labels():
    effort = lines.Effort(replicates=3, draws=2, twins=2, codes=1)
    trials = lines.trials(sl.Digits(), [sl.KernelInterpolation(sl.Gaussian(1.0))], effort)
    kinds = [(trial.learner.kind, trial.corruption.describe().get("level", "signs")) for trial in trials]
    wanted = {"KernelInterpolation": 3, "Twins": 2, "Prequential": 1, "RandomizedPart": 3}
    assert {name: [kinds.count((name, level)) for level in (0.0, 1.0)] for name in wanted} == {name: [count, count] for name, count in wanted.items()}
    drawn = [trial for trial in trials if trial.corruption == RandomSigns()]
    assert [(trial.seeds.data, trial.seeds.corruption) for trial in drawn] == [(0, 0), (0, 1)]  # the inputs are shared
    assert len({trial.key for trial in trials}) == len(trials)


@pytest.mark.parametrize("scale", ["smoke", "laptop", "paper"])
def test_every_scale_looks_at_nets_kernels_forests_and_lookup_tables(scale):
    made = scaled.learners(sl.Scale.named(scale))
    assert {"Linear model", "Gaussian kernel", "Random forest", "Fully grown tree", "1-nearest neighbour"} <= set(made)
    assert ("AlexNet" in made) == (scale != "smoke")
    nets = [each for each in made.values() if isinstance(each, sl.Training)]
    assert {each.stop for each in nets} == {lines.STOP}
    experiment = experiments.find("ledger")(sl.Scale.named(scale))
    asked = {quantity.column.split(".")[1] for quantity in lines.QUANTITIES if quantity.column.startswith("measure.")}
    computed = {measure.kind for trial in experiment.trials for measure in trial.measures}
    assert asked <= computed  # no line waits for a measure that nobody makes


# A network of the user's


def tiny(shape, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), 12), nn.ReLU(), nn.Linear(12, classes))


def test_a_network_of_the_users_has_a_ledger(tmp_path):
    data = sl.Digits(examples=60, test_examples=40)
    options = {"replicates": 2, "draws": 1, "twins": 0, "codes": 0, "store": tmp_path / "rows.sqlite"}
    options |= {"epochs": 60, "lr": 0.1, "batch_size": 20}  # labels are fitted within 42 epochs; signs never are, and would take the whole default budget
    found = ledger(tiny, data, **options)
    assert [row["error"] for row in found.rows if row["error"]] == []
    [(name, entries)] = found.entries.items()
    by_name = {each.quantity.name: each for each in entries}
    assert name == "tiny"
    assert by_name["VC dimension"].verdict == "fails (blind)"
    assert by_name["VC dimension"].says.startswith("vacuous")
    assert by_name["path norm"].verdict in ("passes", "fails", "undecided")
    assert by_name["RKHS norm"].reason == "RKHSNorm: a kernel expansion is required, got Sequential. Fit KernelInterpolation"
    assert by_name["Rademacher complexity, sign draws"].least > 0.3
    assert found.verdict.startswith("tiny: of ")
    done = []
    again = ledger(tiny, data, **options, on_row=lambda *told: done.append(told))
    assert (done, again.verdict) == ([], found.verdict)
    page = found.save(tmp_path / "ledger.html").read_text()
    assert "VC dimension" in page and "(blind)" in page


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"replicates": 0}, r"^ledger: replicates is a whole number >= 1, got 0\. Three are usual\.$"),
        ({"draws": -1}, r"^ledger: draws is a whole number >= 0, got -1\. Two are usual\.$"),
    ],
)
def test_what_the_ledger_refuses(fields, text):
    with pytest.raises(InvalidPart, match=text):
        ledger(lambda shape, classes: nn.Sequential(tiny(shape, classes)), sl.Digits(examples=40, test_examples=20), **fields)


NET = """
from torch import nn
def net(shape, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], classes))
"""


@pytest.mark.slow
def test_a_network_of_the_users_has_a_ledger_from_the_command_line(tmp_path):
    (tmp_path / "mine.py").write_text(NET)
    words = ["run", "ledger", "--model", "mine.py:net", "--examples", "60", "--replicates", "2", "--lr", "0.1", "--workers", "1"]
    done = subprocess.run([sys.executable, "-m", "shatterlab", *words], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "fails (blind)" in done.stdout
    exported = subprocess.run([sys.executable, "-m", "shatterlab", "export", "--output", "rows.json"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert exported.returncode == 0
    assert json.loads((tmp_path / "rows.json").read_text())
