"""Theorem 1 and Corollary 1: any values at any points, exact sizes, and errors that are proved and not sampled."""

from __future__ import annotations

import math
import re
import warnings
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.linalg import solve_triangular

import shatterlab as sl
from shatterlab.constructions import line
from shatterlab.constructions._exact import Dyadic, Hinges, dyadic, fed_back
from shatterlab.constructions.multiplexer import Multiplexer, multiplexer
from shatterlab.constructions.two_layer import Carry, TwoLayer, carry, telescoped, two_layer
from shatterlab.core.errors import DataError, InvalidPart

EPS = 2.0**-53


def sample(n, d, seed, kind="pixels", outputs=None):
    """n different points and values: 8-bit pixels, real numbers, or pairs of real points that differ by about 1e-9."""
    rng = np.random.default_rng(seed)
    z = rng.integers(0, 256, (n, d), dtype=np.uint8)
    while kind == "pixels" and len(np.unique(z, axis=0)) < n:
        z = rng.integers(0, 256, (n, d), dtype=np.uint8)
    if kind != "pixels":
        z = rng.standard_normal((n, d))
    if kind == "close":
        z[1::2] = z[: n - 1 : 2][: len(z[1::2])] + 1e-9 * rng.standard_normal((len(z[1::2]), d))
    return z, rng.standard_normal(n if outputs is None else (n, outputs))


def rational(values):
    return [Fraction(value) for value in np.asarray(values, dtype=np.float64).ravel().tolist()]


def exactly(net, z):
    """c(z_i) by the formula of the theorem, in rational numbers; one output."""
    a, b, w = rational(net.a.detach()), rational(net.knots()), rational(net.w.detach())
    x = [sum(p * q for p, q in zip(a, rational(row), strict=True)) for row in z]
    return [sum(weight * max(each - knot, 0) for knot, weight in zip(b, w, strict=True)) for each in x]


def plainly(net, z):
    with torch.no_grad():
        return net(torch.from_numpy(np.asarray(z, dtype=np.float64))).numpy()


def rounding(net, z):
    """What plain float64 may be off by: some 2 log2(n d) + 10 roundings of each of the terms w_j max(x - b_j, 0), and of projections."""
    a, b, w = net.a.detach().numpy(), net.knots(), net.w.detach().numpy().reshape(-1, len(net.knots()))
    x = z.astype(float) @ a
    terms = np.abs(w) @ np.maximum(x[:, None] - b, 0).T
    slope = np.abs(w).sum(1)[:, None] * (np.abs(z.astype(float)) @ np.abs(a))
    return (2 * math.log2(2 * len(b) * len(a)) + 10) * EPS * (terms + slope).max()


SIZES = {"n": st.integers(1, 40), "d": st.integers(1, 6), "seed": st.integers(0, 10**6), "kind": st.sampled_from(["pixels", "real", "close"])}


# Theorem 1


@given(**SIZES)
def test_theorem_1_any_values_at_any_points_with_2n_plus_d_numbers(n, d, seed, kind):
    z, y = sample(n, d, seed, kind)
    net = two_layer(z, y)
    assert (net.weights, sum(each.numel() for each in net.state_dict().values())) == (2 * n + d, 2 * n + d)
    found = exactly(net, z)
    error = max(abs(a - b) for a, b in zip(found, rational(y), strict=True))
    # a weight is rounded by 2^-53 of itself; w_i times its gap is y_i less what is extrapolated, at most the largest ratio of gaps times a jump
    x = np.sort(np.concatenate([[net.knots()[0]], z.astype(float) @ net.a.detach().numpy()]))
    gaps = np.diff(x)
    ratio = (gaps[1:] / gaps[:-1]).max(initial=1.0)
    assert error <= 8 * EPS * np.abs(np.append(y, 1)).max() * (1 + ratio) * 2
    assert net.certified_error(z, y) >= error  # the certificate is an upper bound ...
    assert net.certified_error(z, y) == pytest.approx(float(error), rel=1e-12, abs=0)  # ... and no looser than its rounding
    assert net.values(z).tolist() == [float(value) for value in found]  # exact, and rounded once
    assert np.abs(plainly(net, z) - y).max() <= error + rounding(net, z)


@settings(max_examples=20)
@given(n=st.integers(1, 30), d=st.integers(1, 5), k=st.integers(1, 4), seed=st.integers(0, 10**6))
def test_several_outputs_share_the_hidden_layer(n, d, k, seed):
    z, y = sample(n, d, seed, outputs=k)
    net = two_layer(z, y)
    assert net.weights == (k + 1) * n + d and net.values(z).shape == (n, k)
    alone = [two_layer(z, column) for column in y.T]
    assert all(torch.equal(net.w[output], each.w) and torch.equal(net.b, each.b) for output, each in enumerate(alone))
    assert net.certified_error(z, y) == max(each.certified_error(z, column) for each, column in zip(alone, y.T, strict=True))


@settings(max_examples=30)
@given(n=st.integers(2, 30), seed=st.integers(0, 10**6))
def test_the_recurrence_solves_the_triangular_system_of_lemma_1(n, seed):
    rng = np.random.default_rng(seed)
    x = np.cumsum(rng.uniform(0.5, 2, n))
    b, y = np.concatenate([[x[0] - 1], x[:-1]]), rng.standard_normal(n)
    matrix = np.maximum(x[:, None] - b, 0)
    assert (np.diag(matrix) > 0).all() and (np.triu(matrix, 1) == 0).all()
    solved = solve_triangular(matrix, y, lower=True)
    # gaps are within a factor 4: substitution loses some n eps times products of it and of weights up to 4 |y| / gap
    tolerance = 1e-13 * n * np.abs(solved).max()
    assert np.abs(telescoped(x, b, y) - solved).max() <= tolerance
    assert np.abs(fed_back(dyadic(x), b, y) - solved).max() <= tolerance


def test_the_build_without_certificate_is_the_same_network_up_to_rounding():
    z, y = sample(500, 20, 0)
    certain, quick = (two_layer(z, y, certified=certified) for certified in (True, False))
    assert torch.equal(certain.a, quick.a) and torch.equal(certain.b, quick.b)
    scale = certain.w.abs().max().item()
    assert (certain.w - quick.w).abs().max().item() <= 1e-14 * scale  # four roundings of slopes
    assert certain.certified_error(z, y) < 1e-2 * quick.certified_error(z, y)  # feedback is what keeps errors from adding up


def test_a_weight_that_is_off_is_certified_as_off():
    z, y = sample(50, 4, 1)
    net = two_layer(z, y)
    good = net.certified_error(z, y)
    with torch.no_grad():
        net.w[10] += 1e-6 * net.w[10]
    assert good < 1e-12
    assert net.certified_error(z, y) > 1e-7


# Precision


@given(n=st.integers(1, 8), d=st.integers(1, 40), seed=st.integers(0, 10**6), wide=st.integers(0, 60), whole=st.booleans())
def test_projections_are_exact_for_any_numbers(n, d, seed, wide, whole):
    """Points over 2 * wide powers of two, directions of whole or real numbers: all limbs together are the rational product."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, d)) * 2.0 ** rng.integers(-wide, wide + 1, (n, d))
    a = rng.integers(-(2**30), 2**30, d).astype(float) if whole else rng.standard_normal(d)
    found = line.projections(z, a)
    for each, row in zip(found.whole, z, strict=True):
        assert Fraction(each) * Fraction(2) ** found.unit == sum(p * q for p, q in zip(rational(a), rational(row), strict=True))


@pytest.mark.parametrize(("d", "bits"), [(784, 34), (3072, 33), (100, 34)])
def test_a_direction_on_pixels_is_exact_in_float64(d, bits):
    z = np.full((2, d), 255, dtype=np.uint8)
    z[1] = 0
    assert line.direction_bits(z) == bits
    assert 255 * d * (2**bits - 1) < 2**53
    a = np.full(d, 2.0**bits - 1)
    assert line.is_exact(z, a) and not line.is_exact(z, 2.0**6 * a)
    assert int(z[0].astype(float) @ a) == 255 * d * (2**bits - 1)  # whatever the order of summation


@pytest.mark.parametrize("make", [two_layer, lambda z, y: carry(z, y, 4), lambda z, y: multiplexer(z, y, 5)])
@pytest.mark.parametrize("kind", ["pixels", "real"])
def test_no_batch_changes_a_bit(make, kind):
    z, y = sample(200, 30, 2, kind)
    net, order = make(z, y), np.random.default_rng(0).permutation(200)
    for evaluate in (net.values, lambda points: plainly(net, points)):
        whole = evaluate(z)
        assert np.array_equal(evaluate(z[order]), whole[order])
        assert np.array_equal(np.concatenate([evaluate(z[:1]), evaluate(z[1:8]), evaluate(z[8:])]), whole)


@settings(max_examples=20)
@given(**SIZES)
def test_sorting_and_plain_relus_give_the_same_function_everywhere(n, d, seed, kind):
    z, y = sample(n, d, seed, kind)
    rng = np.random.default_rng(seed + 1)
    unseen = z + (rng.integers(-30, 30, z.shape) if kind == "pixels" else rng.standard_normal(z.shape))
    nets = [two_layer(z, y)] + ([carry(z, y, 3), multiplexer(z, y, 4)] if n >= 4 else [])
    for net in nets:
        scale = 1 + np.abs(plainly(net, unseen)).max() if not isinstance(net, Multiplexer) else 1 + 8 * np.abs(y).max()
        budget = rounding(nets[0], unseen.astype(float)) * (8 if isinstance(net, Multiplexer) else 1) + 1e-12 * scale
        assert np.abs(net.values(unseen) - plainly(net, unseen)).max() <= budget


def test_exact_sums_of_hinges_are_the_formula():
    x, b, w = np.array([-1.0, 0.5, 0.5000001, 3.0]), np.array([-1.0, 0.25, 0.5, 7.0]), np.array([1e-3, -7.0, 1e9, 1.0])
    hinges = Hinges(b, np.stack([w, -w[::-1]], axis=1))
    for found, weights in zip(hinges.at(dyadic(x)), (w, -w[::-1]), strict=True):
        wanted = [sum(q * max(p - r, 0) for r, q in zip(rational(b), rational(weights), strict=True)) for p in rational(x)]
        assert [found.fraction(place) for place in range(4)] == wanted
    steep = Hinges(np.zeros(1), np.full((1, 1), 1e300)).values(dyadic(np.array([-1.0, 1.0, 1e10])))
    assert steep.tolist() == [[0.0], [1e300], [math.inf]]


@pytest.mark.data
@pytest.mark.parametrize("dataset", [sl.MNIST(), sl.CIFAR10()])
def test_random_labels_of_all_images_are_certified_to_1e_10(dataset):
    inputs = dataset.load().train.inputs
    z = (inputs.flatten(1) * 255).round().to(torch.uint8).numpy()
    y = np.random.default_rng(0).integers(0, 10, len(z))
    net = two_layer(z, y)
    assert net.weights == 2 * len({row.tobytes() for row in z}) + z.shape[1]
    assert net.certified_error(z, y) <= 1e-10
    assert np.abs(net.values(z) - y).max() <= 1.01e-10


# Corollary 1


@settings(max_examples=30)
@given(
    n=st.integers(2, 30),
    d=st.integers(1, 5),
    k=st.integers(2, 9),
    seed=st.integers(0, 10**6),
    kind=st.sampled_from(["pixels", "real"]),
    outputs=st.sampled_from([None, 1, 3]),
)
def test_carry_is_the_same_sum_in_k_layers_of_exact_size(n, d, k, seed, kind, outputs):
    assume(k <= n)
    z, y = sample(n, d, seed, kind, outputs)
    net, flat = carry(z, y, k), two_layer(z, y)
    assert net.weights == flat.weights == (1 + (outputs or 1)) * n + d
    assert np.array_equal(net.knots(), flat.knots()) and torch.equal(net.w, flat.w)
    assert net.certified_error(z, y) == flat.certified_error(z, y)
    written_out_is_the_network(net, z, d, k)
    share = -(-n // (k - 1))
    assert net.width <= share + (1 + 2 * (outputs or 1) if k > 2 else 0)
    if outputs is None:
        assert net.connections() <= 4 * n + d + 5 * k
    assert np.abs(plainly(net, z) - y).max() <= net.certified_error(z, y) + k * rounding(flat, z)


@settings(max_examples=30)
@given(
    n=st.integers(3, 30),
    d=st.integers(1, 5),
    k=st.integers(3, 9),
    seed=st.integers(0, 10**6),
    kind=st.sampled_from(["pixels", "real"]),
    outputs=st.sampled_from([None, 1, 3]),
)
def test_multiplexer_picks_the_interval_in_k_layers_of_exact_size(n, d, k, seed, kind, outputs):
    assume(k <= n)
    z, y = sample(n, d, seed, kind, outputs)
    net, flat = multiplexer(z, y, k), two_layer(z, y)
    o, intervals = outputs or 1, k - 2
    assert net.weights == (1 + o) * n + d + (o + 2) * (intervals - 1) + 1  # and one to close an interval, a step's two numbers, M
    written_out_is_the_network(net, z, d, k)
    assert net.width <= -(-n // intervals) + 6 + 4 * o
    assert net.connections() <= (2 + 2 * o) * n + d + (12 + 20 * o) * k
    error = net.certified_error(z, y)
    scale = np.abs(np.append(y, 1)).max()
    assert error <= 1e-9 * scale  # 2^-53 times ratios of gaps of at most 30 points, and of M = 2 |y| for the indicators
    assert np.abs(net.values(z) - y).max() <= error + 8 * EPS * scale
    assert np.abs(plainly(net, z) - y).max() <= error + 16 * rounding(flat, z)


def written_out_is_the_network(net, z, d, depth):
    """As an ordinary stack of Linear and ReLU: so many layers, so wide, so many numbers other than 0, and the same values."""
    stack = list(net.layers())
    assert len(stack) == net.depth == depth
    assert max(len(matrix) for matrix, _ in stack[:-1]) == net.width
    numbers = sum(np.count_nonzero(matrix) + (0 if bias is None else np.count_nonzero(bias)) for matrix, bias in stack)
    zeros = sum(int((each == 0).sum()) for each in net.parameters())  # a weight or a knot may happen to be 0
    assert zeros or numbers - d * (len(stack[0][0]) - 1) == net.connections()
    inputs = torch.from_numpy(z.astype(np.float64))
    with torch.no_grad():
        written = net.written_out()(inputs).numpy().reshape(net.values(z).shape)
    assert np.abs(written - net.values(z)).max() <= 1e-5 * (1 + np.abs(net.values(z)).max())


def test_a_point_left_of_all_knots_is_certified_too():
    z, y = sample(12, 1, 0)
    net = multiplexer(z, y, 5, direction=[1.0])
    far = np.concatenate([z, [[-1000.0]]])
    assert net.certified_error(far, np.append(y, 3.0)) == pytest.approx(3.0)  # the network is 0 there
    assert net.certified_error(far, np.append(y, 0.0)) == net.certified_error(z, y)


def test_an_open_gate_is_noticed():
    z, y = sample(12, 3, 0)
    net = multiplexer(z, y, 5)
    with torch.no_grad():
        net.bound /= 2**6
    with pytest.raises(DataError, match=r"^Multiplexer: closed gates beyond each interval are required, that of interval \d is open\. Build it certified\.$"):
        net.certified_error(z, y)


# Bad input: a clear sentence, and nothing half-built

Z = [[0.0, 0.0], [1.0, 2.0], [3.0, 1.0]]
BAD = {
    "two_layer: one value a point is required, points 0 and 2 are equal and have values 1 and 3. Drop one.": ([[1, 2], [3, 4], [1, 2]], [1, 2, 3], {}),
    "two_layer: values are finite, got nan at position 1. Clean or rescale them.": (Z, [1, math.nan, 3], {}),
    "two_layer: points are finite, got nan at position 2. Clean or rescale them.": ([[0, 1], [1, 2], [math.nan, 1]], [1, 2, 3], {}),
    "two_layer: points are finite, got inf at position 1. Clean or rescale them.": ([[0, 1], [math.inf, 2], [3, 1]], [1, 2, 3], {}),
    "two_layer: points are 0 or between 2^-500 and 2^500 in size, got 1e+200 at position 0. Clean or rescale them.": ([[1e200], [1.0]], [1, 2], {}),
    "two_layer: values that are whole numbers are at most 2^53 in size, which float64 holds, got 9007199254740993. Renumber or rescale them.": (
        Z,
        [1, 2, 2**53 + 1],
        {},
    ),
    "two_layer: points that are whole numbers are at most 2^53 in size, which float64 holds, got 9223372036854775807. Renumber or rescale them.": (
        [[2**63 - 1], [0]],
        [1, 2],
        {},
    ),
    "two_layer: a direction that tells the points apart is required, points 0 and 1 differ and project alike. Try more directions.": (
        [[1, 2], [2, 1]],
        [1, 2],
        {"direction": [1, 1]},
    ),
    "two_layer: a direction of 2 numbers, one a coordinate, is required, got shape (3,). Give one for these points.": (Z, [1, 2, 3], {"direction": [1, 1, 1]}),
    "two_layer: values of shape n or n x k for n = 3 points are required, got shape (2,). Give each point its values.": (Z, [1, 2], {}),
    "two_layer: at least one point, as rows of n x d, is required, got shape (0,). Give one row a point.": ([], [], {}),
    "two_layer: at least one point, as rows of n x d, is required, got shape (3,). Give one row a point.": ([1, 2, 3], [1, 2, 3], {}),
    "two_layer: points are real numbers, got an array of complex128. Convert them.": ([[1j]], [1], {}),
    "two_layer: directions is a whole number >= 1, got 0. Try at least one.": (Z, [1, 2, 3], {"directions": 0}),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_refused_in_one_sentence(message):
    z, y, options = BAD[message]
    for certified in (True, False):
        if "2^-500" in message and not certified:
            continue  # plain float64 has room for it
        with pytest.raises((DataError, InvalidPart)) as refusal:
            two_layer(z, y, certified=certified, **options)
        assert str(refusal.value) == message


def test_points_nearer_than_float64_tells_are_refused():
    z = np.array([[1 / 3, 1e6], [1 / 3 + 2**-54, 1e6]])
    with pytest.raises(
        DataError, match=r"^two_layer: a direction that tells the points apart is required, points 0 and 1 differ and are nearer to each other than"
    ):
        two_layer(z, [0.0, 1.0], direction=[1.0, 1.0])
    assert two_layer(z, [0.0, 0.0], direction=[1.0, 0.0]).weights == 6  # along the other coordinate they are told apart


@pytest.mark.parametrize(("make", "least", "depth"), [(carry, 2, 1), (carry, 2, 4), (multiplexer, 3, 2), (multiplexer, 3, 4)])
def test_a_depth_that_cannot_be_is_refused(make, least, depth):
    with pytest.raises(InvalidPart) as refusal:
        make(Z, [1, 2, 3], depth)
    name = make.__name__
    assert str(refusal.value) == f"{name}: depth is {least} .. 3 for n = 3 distinct points, got {depth}. Each layer holds a point at least."


def test_equal_points_with_equal_values_count_once():
    z, y = [[1, 2], [3, 4], [1, 2], [0, 9]], [5.0, 6.0, 5.0, 7.0]
    for certified in (True, False):
        assert two_layer(z, y, certified=certified).weights == 2 * 3 + 2
    assert two_layer(np.array(z) + 0.1, y).weights == 2 * 3 + 2
    assert two_layer([[4, 4]] * 5, [2.0] * 5).weights == 2 * 1 + 2  # all equal: one point


# Export


@pytest.mark.parametrize(
    ("make", "blank"),
    [(two_layer, TwoLayer(4, 30)), (lambda z, y: carry(z, y, 4), Carry(4, 30, 4)), (lambda z, y: multiplexer(z, y, 5), Multiplexer(4, 30, 5))],
)
def test_the_state_makes_the_same_network(make, blank, tmp_path):
    z, y = sample(30, 4, 3)
    net = make(z, y)
    safetensors = pytest.importorskip("safetensors.torch")
    safetensors.save_file(net.state_dict(), tmp_path / "net.safetensors")
    assert blank.load_state_dict(safetensors.load_file(tmp_path / "net.safetensors")) is not None
    assert np.array_equal(blank.values(z), net.values(z)) and np.array_equal(plainly(blank, z), plainly(net, z))
    assert blank.certified_error(z, y) == net.certified_error(z, y)


@pytest.mark.slow
@pytest.mark.parametrize("make", [two_layer, lambda z, y: carry(z, y, 4), lambda z, y: multiplexer(z, y, 4)])
def test_onnx_reproduces_the_labels(make):
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    z = sample(40, 6, 4)[0].astype(np.float64)
    labels = np.random.default_rng(0).integers(0, 10, 40)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporter warns of its own parts
        made = torch.onnx.export(make(z, labels).eval(), (torch.from_numpy(z),), dynamo=True, dynamic_shapes=({0: torch.export.Dim("m", min=2)},))
    session = runtime.InferenceSession(made.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
    for m in (2, 7, 40):
        (values,) = session.run(None, {session.get_inputs()[0].name: z[:m]})
        assert values.dtype == np.float64 and np.array_equal(np.rint(values), labels[:m])


# Learners


@pytest.mark.parametrize("outputs", ["class_number", "one_hot"])
def test_the_learners_interpolate_random_labels_and_say_how(images, table, outputs):
    for train in (sl.RandomLabels().apply(images).train, table.train):
        n, d, k = len(train), math.prod(train.shape), 5 if outputs == "one_hot" else 1
        exact = train.levels is not None
        for learner in (sl.TwoLayerConstruction(outputs), sl.DeepConstruction(outputs, depth=5), sl.DeepConstruction(outputs, depth=6, form="multiplexer")):
            fit = learner.fit(train)
            facts = fit.facts
            assert facts["interpolates"] and facts["certified_error"] < 1e-9 and facts["exact_projections"] == exact
            assert torch.equal(fit.scores(train.inputs).argmax(1), train.labels)
            assert facts["weights"] == (1 + k) * n + d + (3 * (k + 2) + 1 if facts["depth"] == 6 else 0) == sum(each.numel() for each in fit.model.parameters())
            assert 0 < facts["smallest_gap"] < 1 / (n - 1) and facts["largest_weight"] >= 1 and facts["direction_bits"] == (34 if exact else 24)


def test_equal_examples_count_once_and_must_agree(images):
    train = images.train.at(torch.arange(40))
    twice = train.at(torch.arange(80) % 40)
    facts = sl.TwoLayerConstruction().fit(twice).facts
    assert (facts["distinct"], facts["duplicates"], facts["weights"]) == (40, 40, 80 + 108)
    both = replace(twice, labels=torch.cat([train.labels, (train.labels + 1) % 5]))
    first = int(train.labels[0])
    with pytest.raises(DataError) as refusal:
        sl.TwoLayerConstruction().fit(both)
    said = f"points 0 and 40 are equal and have values {first} and {(first + 1) % 5}"
    assert str(refusal.value) == f"TwoLayerConstruction: one value a point is required, {said}. Drop one."
    with pytest.raises(InvalidPart, match=r"^DeepConstruction: depth is 2 \.\. 40 for n = 40 distinct points, got 41\."):
        sl.DeepConstruction(depth=41).fit(twice)


def test_what_a_learner_cannot_be_is_refused():
    with pytest.raises(InvalidPart, match=r"^TwoLayerConstruction: arithmetic of plain ReLU evaluation is float64 or float32, got 'double_double'\."):
        sl.TwoLayerConstruction(evaluation="relu")
    with pytest.raises(InvalidPart, match=r"^DeepConstruction: depth of the multiplexer form is a whole number >= 3, got 2$"):
        sl.DeepConstruction(depth=2, form="multiplexer")


def test_float32_loses_labels_that_float64_keeps(images):
    """At n = 400 the weights reach 1e4 and more times a label, of which float32 has 7 digits: facts and scores agree on it."""
    train = sl.RandomLabels().apply(images).train
    by = {arithmetic: sl.TwoLayerConstruction(arithmetic=arithmetic, directions=1).fit(train) for arithmetic in ("double_double", "float64", "float32")}
    facts = by["double_double"].facts
    assert facts["float32_error"] > 1e4 * facts["float64_error"] and facts["float64_reproduces"]
    for arithmetic in ("float64", "float32"):
        assert by[arithmetic].facts["interpolates"] == facts[f"{arithmetic}_reproduces"]


def test_the_nearest_class_is_read_from_a_value():
    from shatterlab.learners._constructed import nearest_class

    values = torch.tensor([-7.0, 0.4, 1.6, 99.0, math.nan], dtype=torch.float64)
    assert nearest_class(values, 3)[:4].argmax(1).tolist() == [0, 0, 2, 2]
    assert nearest_class(values, 3)[4].isnan().all()


def test_another_seed_takes_another_direction(images):
    one, other = (sl.TwoLayerConstruction().fit(images.train, sl.Seeds(init=seed)).model[1].a for seed in (0, 1))
    assert not torch.equal(one, other)


def test_inputs_off_their_levels_are_taken_as_real_numbers(images):
    train = sl.GaussianPixels().apply(images).train
    facts = sl.TwoLayerConstruction().fit(train).facts
    assert not facts["exact_projections"] and facts["interpolates"]


def test_dyadic_numbers_are_exact():
    values = np.array([0.0, -0.1, 3.5, 1e-30, 2.0**60])
    found = dyadic(values)
    assert [Fraction(each) * Fraction(2) ** found.unit for each in found.whole] == rational(values)
    assert Dyadic([1, 3], -1).rounded().tolist() == [0.5, 1.5]


def test_the_benchmark_prints_its_figures(capsys, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    import constructions

    constructions.main(["--repeats", "1", "--points", "2000", "--real", "300", "--dense", "300", "--without-data"])
    printed = capsys.readouterr().out
    assert "n = 2000, d = 100" in printed and "goal at most 3" in printed and "goal at least 100" in printed
    assert float(re.search(r"weights 700, certified error (\S+)", printed)[1]) < 1e-10
