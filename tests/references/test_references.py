"""The published numbers: whole, in fractions, and the ones that everybody quotes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from shatterlab import references
from shatterlab.core.errors import UnknownName
from shatterlab.references import curves, paper, published

FILE = Path(references.__file__).with_name("paper.json")


def value(source, metric, **conditions):
    found = published(source, metric=metric, **conditions)
    assert len(found) == 1, found
    return found[0].value


def test_every_error_and_accuracy_is_a_fraction():
    rates = [each for each in published() if "accuracy" in each.metric or "error" in each.metric]
    assert len(rates) == 135
    for each in rates:
        assert each.unit == "fraction", each
        for one in each.value if isinstance(each.value, tuple) else (each.value,):
            assert 0 <= one <= 1, each


def test_nothing_is_in_percent():
    assert not {each.unit for each in published()} & {"percent", "percentage_points", "percentage_points_range"}
    assert "percent" not in FILE.read_text().replace("converted from the printed percentages", "")
    for replication in paper()["replications"]:
        for number in re.findall(r"(?<![\w.])\d+\.\d+", json.dumps({name: each for name, each in replication.items() if name not in ("settings", "name")})):
            assert float(number) <= 1, replication["name"]


@pytest.mark.parametrize(
    ("source", "metric", "conditions", "expected"),
    [
        ("table1", "test_accuracy", {"model": "inception", "labels": "random"}, 0.0978),
        ("table1", "test_accuracy", {"model": "inception", "labels": "true", "random_crop": True, "weight_decay": True}, 0.8905),
        ("table1", "train_accuracy", {"model": "mlp_1x512", "labels": "random"}, 0.9934),
        ("table1", "num_params", {"model": "inception"}, 1_649_402),
        ("table1", "num_params", {"model": "alexnet"}, 1_387_786),
        ("table2", "test_top1_accuracy", {"labels": "random", "dropout": False, "weight_decay": False}, 0.0011),
        ("table3", "test_error", {"dataset": "mnist", "preprocessing": "none"}, 0.012),
        ("table4", "converged", {"model": "alexnet"}, False),
        ("table4", "train_accuracy", {"model": "mlp_1x512"}, 0.9921),
        ("figure1b", "time_to_overfit_epochs", {"model": "inception", "label_corruption": 1.0}, 36),
        ("figure1b", "relative_time_to_overfit", {"model": "inception", "label_corruption": 1.0}, 3.6),
        ("figure1c", "test_error", {"model": "mlp_1x512", "label_corruption": 0.0}, 0.4951),
        ("section2.1", "chance_test_error", {}, 0.9),
        ("section3.1", "batch_norm_test_accuracy_effect", {}, (0.03, 0.04)),
        ("section5", "min_norm_solution_l2_norm", {"preprocessing": "none"}, 220),
    ],
)
def test_spot_values(source, metric, conditions, expected):
    assert value(source, metric, **conditions) == expected


def test_figure1c_ends_at_chance_and_agrees_with_its_curve():
    ends = published("figure1c", label_corruption=1.0)
    assert [each.conditions["model"] for each in ends] == ["inception", "alexnet", "mlp_1x512"]
    assert all(0.88 <= each.value <= 0.92 and each.status == "digitized" for each in ends)
    curve = curves()["figure1c"]
    for model, series in curve["series"].items():
        assert series == [each.value for each in published("figure1c", model=model)]
        assert curve["p"] == [each.conditions["label_corruption"] for each in published("figure1c", model=model)]


def test_ratios_of_figure1b_are_ratios_of_its_epochs():
    """Two entries for one thing: the digitized ratio (1e-4) and the inferred whole epochs."""
    for model in ("inception", "alexnet", "mlp_1x512"):
        epochs = [each.value for each in published("figure1b", metric="time_to_overfit_epochs", model=model)]
        ratios = [each.value for each in published("figure1b", metric="relative_time_to_overfit", model=model)]
        assert ratios == pytest.approx([epoch / epochs[0] for epoch in epochs], abs=1e-4)


def test_the_whole_file_is_there():
    assert len(published()) == len(paper()["targets"]) == 239
    assert len({each.id for each in published()}) == 239
    assert {each.status for each in published()} == {"verified", "digitized", "inferred"}
    assert set(curves()) == {"figure1a", "figure1b", "figure1c", "figure2a", "figure2b"}
    assert paper()["architectures"]["inception"]["num_params"] == 1_649_402


def test_it_names_no_place_of_a_machine():
    assert not re.search(r"(?<![\w.])/[a-z]+/|\.\./|localhost|file:", FILE.read_text())


def test_unknown_names_offer_the_nearest():
    with pytest.raises(UnknownName) as refusal:
        published("figure1d")
    assert str(refusal.value) == "references: a known name is required, got 'figure1d'. Did you mean figure1c, figure1b, figure1a?"
    with pytest.raises(UnknownName, match="Did you mean model"):
        published(modell="inception")
    assert published("table1", model="vgg") == []
