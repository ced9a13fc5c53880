"""Networks that take any labels by formula: untied, Baum's, and Yun, Sra and Jadbabaie's; sizes exact, every label reproduced."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

import shatterlab as sl
from shatterlab.constructions import baum as baum_module
from shatterlab.constructions import untied as untied_module
from shatterlab.constructions import yun as yun_module
from shatterlab.constructions._points import distinct_points
from shatterlab.constructions.baum import baum
from shatterlab.constructions.untied import untied
from shatterlab.constructions.yun import exact_bits, separating, yun, yun_widths
from shatterlab.core.errors import DataError, InvalidPart
from shatterlab.core.values import Row
from shatterlab.design.claims import judge_together
from shatterlab.design.experiment import SCALES
from shatterlab.experiments.beyond import memorizing_networks
from shatterlab.learners.memorizing_network import MemorizingNetwork, dense_facts, dense_values
from shatterlab.trials.trial import run

BUILDERS = pytest.mark.parametrize("build", [untied, baum, yun], ids=lambda build: build.__name__)
EPS = np.finfo(np.float64).eps


def cloud(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def labels_of(kind, n, seed):
    rng = np.random.default_rng(seed)
    made = {
        "classes": lambda: rng.integers(0, 10, n).astype(float),
        "real": lambda: rng.standard_normal(n),
        "huge": lambda: 1e6 * rng.standard_normal(n),
        "constant": lambda: np.full(n, 3.5),
        "zero": lambda: np.zeros(n),
        "pairs": lambda: rng.standard_normal((n, 2)),
    }
    return made[kind]()


def bound(network, z):
    """How far float64 may be off: running error analysis, layer by layer, and as much again three times for building the net.

    A rounded sum of m products is off by at most m eps sum |w h|, plus what errors of h do; ReLU enlarges no error.
    """
    height = torch.as_tensor(z, dtype=torch.float64).flatten(1)
    error = torch.zeros_like(height)
    for layer in network:
        if isinstance(layer, nn.Linear):
            size = layer.weight.detach().abs()
            bias = 0 if layer.bias is None else layer.bias.detach().abs()
            error = error @ size.T + (layer.in_features + 1) * EPS * (height.abs() @ size.T + bias)
            height = layer(height).detach()
        else:
            height = layer(height)
    return 4 * error.max().item()


def exact(network, z):
    """The network's values in rational arithmetic, by the obvious loops."""
    values = []
    for point in np.asarray(z, dtype=float).tolist():
        height = [Fraction(each) for each in point]
        for layer in network:
            if isinstance(layer, nn.Linear):
                bias = [0.0] * layer.out_features if layer.bias is None else layer.bias.tolist()
                rows = zip(layer.weight.tolist(), bias, strict=True)
                height = [sum((Fraction(w) * h for w, h in zip(row, height, strict=True)), Fraction(b)) for row, b in rows]
            else:
                height = [max(each, Fraction(0)) for each in height]
        values.append([float(each) for each in height])
    return np.array(values)


def furthest(network, z, y):
    return (dense_values(network, z) - torch.as_tensor(y).double().reshape(len(y), -1)).abs().max().item()


SAMPLES = {
    "n": st.integers(1, 40),
    "d": st.integers(1, 6),
    "seed": st.integers(0, 10**6),
    "kind": st.sampled_from(["classes", "real", "huge", "constant", "zero", "pairs"]),
}


@BUILDERS
@settings(max_examples=20)
@given(**SAMPLES)
def test_every_label_of_any_sample_is_taken(build, n, d, seed, kind):
    z, y = cloud(n, d, seed), labels_of(kind, n, seed + 1)
    network = build(z, y)
    assert furthest(network, z, y) <= bound(network, z)


@BUILDERS
@pytest.mark.parametrize(("n", "d"), [(1, 1), (2, 1), (40, 1), (40, 3), (300, 10), (300, 400)])
def test_labels_are_taken_to_many_digits(build, n, d):
    z, y = cloud(n, d), labels_of("classes", n, 1)
    assert furthest(build(z, y), z, y) < 1e-7


@BUILDERS
def test_exact_arithmetic_agrees_with_float64(build):
    z, y = cloud(9, 3), labels_of("pairs", 9, 1)
    network = build(z, y)
    tolerance = bound(network, z)
    assert np.abs(exact(network, z) - y).max() <= tolerance < 1e-9
    elsewhere = cloud(5, 3, seed=7)
    assert np.abs(exact(network, elsewhere) - dense_values(network, elsewhere).numpy()).max() <= bound(network, elsewhere)


@BUILDERS
@settings(max_examples=15)
@given(n=st.integers(2, 20), d=st.integers(1, 4), seed=st.integers(0, 10**6), apart=st.sampled_from([1e-3, 1e-6, 1e-9, 1e-12, 1e-15]))
def test_points_however_close_are_taken_or_refused(build, n, d, seed, apart):
    z, y = cloud(n, d, seed), np.arange(2.0 * n)
    z = np.concatenate([z, z + apart * cloud(n, d, seed + 1)])
    refusal = ""
    try:
        network = build(z, y)
    except DataError as problem:
        refusal = str(problem)
    if refusal:  # the last two are of points that float64 made equal, or projects alike
        assert apart <= 1e-6
        assert refusal.startswith(
            tuple(f"{build.__name__}: {what}" for what in ("points further apart", "points in general position", "points whose", "one label a point"))
        )
        return
    assert furthest(network, z, y) <= bound(network, z)


@settings(max_examples=20)
@given(n=st.integers(1, 40), d=st.integers(1, 6), k=st.integers(1, 3), seed=st.integers(0, 1000))
def test_sizes_are_those_of_the_theorems(n, d, k, seed):
    z, y = cloud(n, d, seed), cloud(n, k, seed + 1)
    facts = dense_facts(untied(z, y), z, y)
    assert (facts["weights"], facts["neurons"], facts["width"], facts["depth"]) == (n * d + n + n * k, n, n, 2)
    facts = dense_facts(baum(z, y), z, y)
    neurons = 4 * k * math.ceil(n / d)
    assert (facts["weights"], facts["neurons"], facts["width"], facts["depth"]) == (neurons * (d + 1 + k), neurons, neurons, 2)
    first, second = yun_widths(n, k)
    facts = dense_facts(yun(z, y), z, y)
    assert first % 2 == 0 and first * second >= 4 * n * k
    assert (first - 2) ** 2 < 4 * n  # the least even number >= 2 sqrt(n)
    assert (facts["neurons"], facts["width"], facts["depth"]) == (first + second, max(first, second), 3)
    assert facts["weights"] == first * (d + 1) + second * (first + 1) + k * (second + 1)
    assert facts["bits"] == 64 * facts["weights"] and facts["distinct_weights"] <= facts["weights"]


@pytest.mark.parametrize("first", [2, 6, 30, 64])
def test_the_first_width_of_three_layers_can_be_chosen(first):
    z, y = cloud(30, 2), labels_of("classes", 30, 1)
    network = yun(z, y, first=first)
    assert network[0].out_features == first and network[2].out_features == 2 * math.ceil(30 / (first // 2))
    assert furthest(network, z, y) <= bound(network, z)
    assert yun_widths(1000) == (64, 64)


def test_three_layers_are_constant_beyond_the_sample():
    z = cloud(10, 1)
    network = yun(z, labels_of("classes", 10, 1))
    ends = dense_values(network, np.array([[z.min()], [z.min() - 5], [z.max()], [z.max() + 5]]))
    assert torch.allclose(ends[0], ends[1], atol=1e-9) and torch.allclose(ends[2], ends[3], atol=1e-9)  # weights of some 1e3 times eps


def test_baum_gives_nothing_away_from_its_slabs():
    z = cloud(12, 3)
    far = 100 * cloud(50, 3, seed=5)
    assert dense_values(baum(z, np.ones(12)), far).abs().max() < 1e-6


def test_each_untied_unit_is_off_at_all_points_nearer_to_the_centre():
    """Sorted by distance, the hidden layer is lower triangular with a positive diagonal; its directions span all dimensions."""
    z = cloud(60, 4)
    network = untied(z, np.arange(60.0))
    arms = network[0].weight.detach()
    nearer = arms.square().sum(1)
    assert (nearer[1:] >= nearer[:-1]).all() and torch.linalg.matrix_rank(arms) == 4
    centre = torch.from_numpy(z).mean(0) - arms.mean(0)  # arms are points less the centre
    sorted_points = arms + centre
    hidden = network[1](network[0](sorted_points)).detach()
    assert torch.equal(hidden, hidden.tril()) and (hidden.diagonal() > 0).all()


def test_a_subspace_counts_with_its_own_dimension():
    """40 points in 9 dimensions that span 3: constant coordinates, and one that is a sum of others."""
    inner = cloud(40, 3)
    z = np.column_stack([inner, inner @ [1.0, -2.0, 3.0], np.full((40, 5), 7.0)])
    y = labels_of("real", 40, 1)
    facts = dense_facts(baum(z, y), z, y)
    assert facts["neurons"] == 4 * math.ceil(40 / 3)
    assert facts["weights"] == facts["neurons"] * (9 + 2)  # counted in the dimension of the inputs
    assert facts["float64_error"] < 1e-9


def test_few_points_need_one_hyperplane():
    z, y = cloud(7, 20), labels_of("real", 7, 1)
    facts = dense_facts(baum(z, y), z, y)
    assert facts["neurons"] == 4 and facts["float64_error"] < 1e-12


def test_fewer_points_a_hyperplane_need_less_than_general_position():
    z, y = cloud(30, 4), labels_of("real", 30, 1)
    z[:25, 0] = 0.0  # 25 points on one hyperplane
    with pytest.raises(DataError, match=r"^baum: points in general position are required, got .*\. Set plane below 4, or drop points\.$"):
        baum(z, y)
    network = baum(z, y, plane=3)
    assert network[0].out_features == 4 * math.ceil(30 / 3)
    assert furthest(network, z, y) < 1e-8


def test_points_on_a_line_are_not_in_general_position():
    z = np.column_stack([np.arange(6.0), np.append(np.zeros(5), 1.0)])
    with pytest.raises(DataError) as refusal:
        baum(z, np.arange(6.0))
    assert str(refusal.value).startswith("baum: points in general position are required, got point ")
    assert str(refusal.value).endswith(" on the hyperplane through 2 others (" + str(refusal.value).split("others (")[1])
    assert "Set plane below 2, or drop points." in str(refusal.value)


@BUILDERS
def test_equal_points_count_once_or_name_their_labels(build):
    z, y = cloud(6, 2), np.arange(6.0)
    twice = np.concatenate([z, z[2:3]])
    once, doubled = build(z, y), build(twice, np.append(y, 2.0))
    assert [tuple(each.shape) for each in once.parameters()] == [tuple(each.shape) for each in doubled.parameters()]
    assert furthest(doubled, twice, np.append(y, 2.0)) < 1e-8
    with pytest.raises(DataError) as refusal:
        build(twice, np.append(y, 5.0))
    assert str(refusal.value) == f"{build.__name__}: one label a point is required, points 2 and 6 are equal and have labels 2 and 5. Drop one of them."


@BUILDERS
@pytest.mark.parametrize(
    ("z", "y", "text"),
    [
        ([[0.0], [math.nan]], [1.0, 2.0], "finite points are required, got NaN or infinity in 1, the first at position 1. Clean or drop them."),
        ([[0.0], [1.0]], [math.inf, 2.0], "finite labels are required, got NaN or infinity in 1, the first at position 0. Clean or drop them."),
        ([[0.0]], [1.0, 2.0], "one label a point is required, got 1 points of 1 numbers and 2 labels of 1. Pass n x d points and n or n x k labels."),
    ],
)
def test_bad_samples_are_refused(build, z, y, text):
    with pytest.raises(DataError) as refusal:
        build(np.array(z), np.array(y))
    assert str(refusal.value) == f"{build.__name__}: {text}"


def test_signed_zeros_are_one_point():
    points = distinct_points("here", np.array([[0.0], [-0.0], [1.0]]), np.array([2.0, 2.0, 3.0]))
    assert len(points) == 2 and points.positions.tolist() == [0, 2]


def test_widths_and_planes_out_of_range_are_refused():
    with pytest.raises(InvalidPart, match=r"^yun: the first width is an even number >= 2, got 3\. Two ReLUs clip once\.$"):
        yun(cloud(4, 1), np.zeros(4), first=3)
    with pytest.raises(InvalidPart, match=r"^baum: plane is a number of points in 1\.\.2, got 3\. The points span that dimension\.$"):
        baum(cloud(9, 2), np.zeros(9), plane=3)


def test_projections_of_pixels_are_exact():
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (50, 100)).astype(np.float32)) / 255
    points = distinct_points("here", pixels, np.zeros(50))
    assert exact_bits(points.inputs) >= 10
    direction, projections = separating(points, seed=0)
    shuffle = np.random.default_rng(1).permutation(100)
    wanted = [sum(Fraction(a) * Fraction(b) for a, b in zip(row, direction, strict=True)) for row in points.inputs]
    assert [Fraction(value) for value in projections] == wanted
    assert (points.inputs[:, shuffle] @ direction[shuffle] == projections).all()  # in any order of summation
    assert exact_bits(cloud(5, 3)) == 0


@pytest.mark.parametrize(
    ("module", "name", "wrong", "build"),
    [
        (untied_module, "_INTO_GAP", -3.0, untied),  # knots below earlier points: no longer triangular
        (baum_module, "_HALF", 3.0, baum),  # a slab holds points of other groups
        (yun_module, "_STEEP", 0.5, yun),  # neighbours are not clipped
        (yun_module, "_AWAY", 0.0, lambda z, y: yun(z[:23], y[:23])),  # idle nodes are not clipped
    ],
    ids=["untied", "baum", "yun steep", "yun idle"],
)
def test_a_planted_error_is_noticed(module, name, wrong, build, monkeypatch):
    z, y = cloud(40, 2), labels_of("real", 40, 1)
    network = build(z, y)
    assert furthest(network, z[:23], y[:23]) <= bound(network, z)
    monkeypatch.setattr(module, name, wrong)
    network = build(z, y)
    assert not furthest(network, z[:23], y[:23]) <= bound(network, z)


@pytest.mark.parametrize("learner", MemorizingNetwork.specimens(), ids=lambda part: f"{part.construction}-{part.outputs}")
def test_the_learner_fits_random_labels(learner, images):
    train = sl.RandomLabels().apply(images).train.at(torch.arange(90))
    fit = learner.fit(train)
    assert (fit.scores(train.inputs).argmax(1) == train.labels).all()
    assert torch.allclose(fit.scores(train.inputs).clamp(min=0), functional.one_hot(train.labels, train.classes).double(), atol=1e-6)
    assert fit.facts["parameters"] == sum(each.numel() for each in fit.model.parameters()) == fit.facts["weights"]
    assert fit.facts["float64_error"] < 1e-6


def test_the_learner_refuses_what_is_not_its_construction():
    with pytest.raises(InvalidPart, match=r'^MemorizingNetwork: plane is None where construction is not "baum", got 3$'):
        MemorizingNetwork("yun", plane=3)
    with pytest.raises(InvalidPart, match=r'^MemorizingNetwork: first_width is None where construction is not "yun", got 4$'):
        MemorizingNetwork("baum", first_width=4)
    with pytest.raises(InvalidPart, match=r"^MemorizingNetwork: first_width is an even number >= 2 or None, got 5$"):
        MemorizingNetwork("yun", first_width=5)
    with pytest.raises(InvalidPart, match=r"^MemorizingNetwork: plane is a whole number >= 1 or None, got 0$"):
        MemorizingNetwork("baum", plane=0)


def test_the_learner_names_equal_inputs_with_different_labels(images):
    train = images.train.at(torch.tensor([0, 1, 2, 1]))
    train = sl.Examples(train.inputs, torch.tensor([0, 1, 2, 3]), train.classes)
    with pytest.raises(DataError, match=r"^untied: one label a point is required, points 1 and 3 are equal and have labels 1 and 3\. Drop one of them\.$"):
        MemorizingNetwork().fit(train)


SCALED = pytest.mark.parametrize("scale", SCALES.values(), ids=list(SCALES))


@SCALED
def test_the_experiment_compares_all_constructions_on_the_same_sample(scale):
    made = memorizing_networks.experiment(scale)
    assert len({trial.key for trial in made.trials}) == len(made.trials) == 3 * len({trial.learner for trial in made.trials})
    assert len({(trial.dataset, trial.seeds) for trial in made.trials}) == 3  # one sample a replicate for all
    assert {trial.corruption for trial in made.trials} == {sl.RandomLabels()}


def test_the_claims_hold_of_one_run_and_notice_a_wrong_size():
    made = memorizing_networks.experiment(SCALES["smoke"])
    rows = [run(trial) for trial in made.trials]
    assert {row["status"] for row in rows} == {"ok"}
    judged = judge_together(made.claims, rows, "laptop")
    assert {each.verdict for each in judged} == {"observed", "reproduced"}, [(each.claim.text, each.reason) for each in judged]
    for column in ("fit.weights", "fit.neurons", "fit.largest_weight", "fit.float64_error", "train.error"):
        planted = [Row({**row, column: 1.0 + i % 7 / 1000}) for i, row in enumerate(rows)]
        assert "contradicted" in {each.verdict for each in judge_together(made.claims, planted, "laptop")}, column
