"""The minimum-norm interpolant: against numpy's pseudo-inverse, against every other interpolant, and as the end of gradient descent."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

import shatterlab as sl
from shatterlab.core.errors import InvalidPart, NotApplicable
from shatterlab.learners import linear
from shatterlab.learners.linear import minimum_norm


def matrix(n, d, rank, seed, spread=1.0):
    """Rank r, singular values from 1 down to 10^-spread."""
    rng = np.random.default_rng(seed)
    left, right = (np.linalg.qr(rng.standard_normal((size, rank)))[0] for size in (n, d))
    return torch.from_numpy(left * np.logspace(0, -spread, rank) @ right.T)


def weight(fit):
    """The map as it acts on prepared inputs, k x d, in float64."""
    return fit.model[1][1].weight.detach().double()


def prepared(fit, train):
    return fit.model[0](train.inputs).flatten(1).double()


# Theorems


@settings(max_examples=30)
@given(n=st.integers(1, 12), d=st.integers(1, 12), lost=st.integers(0, 3), seed=st.integers(0, 10**6))
def test_it_is_the_pseudo_inverse(n, d, lost, seed):
    rank = max(1, min(n, d) - lost)
    x, y = matrix(n, d, rank, seed), torch.from_numpy(np.random.default_rng(seed + 1).standard_normal((n, 3)))
    found, kept = minimum_norm(x, y)
    assert len(kept) == rank
    wanted = np.linalg.pinv(x.numpy(), rcond=1e-6) @ y.numpy()
    # condition number 10 of X, 100 of the Gram matrix, and two corrections: a few hundred eps
    assert np.abs(found.numpy() - wanted).max() <= 1e-11 * max(1, np.abs(wanted).max())
    assert kept.numpy() == pytest.approx(np.logspace(0, -1, rank) if rank > 1 else np.ones(1), rel=1e-10)


@settings(max_examples=30)
@given(n=st.integers(1, 8), more=st.integers(1, 8), seed=st.integers(0, 10**6))
def test_every_other_interpolant_is_longer(n, more, seed):
    """X (W + V) = Y means X V = 0, and then |W + V|^2 = |W|^2 + |V|^2, since W lies in the span of the rows."""
    rng = np.random.default_rng(seed)
    x, y = matrix(n, n + more, n, seed), torch.from_numpy(rng.standard_normal((n, 2)))
    w, _ = minimum_norm(x, y)
    assert (x @ w - y).abs().max() <= 1e-12
    v = torch.from_numpy(rng.standard_normal(tuple(w.shape)))
    v = v - torch.linalg.pinv(x) @ (x @ v)
    assert (x @ (w + v) - y).abs().max() <= 1e-11
    assert (w + v).square().sum().item() == pytest.approx((w.square().sum() + v.square().sum()).item(), rel=1e-9)
    assert w.square().sum().item() == pytest.approx(torch.trace(y.T @ torch.linalg.inv(x @ x.T) @ y).item(), rel=1e-9)  # y' K^-1 y


def test_ill_conditioned_systems_keep_their_residual():
    """Singular values down to 1e-5, so 1e-10 in the Gram matrix: the correction brings the residual back."""
    x, y = matrix(30, 50, 30, 0, spread=5), torch.eye(30, dtype=torch.float64)
    w, kept = minimum_norm(x, y)
    assert len(kept) == 30
    assert (x @ w - y).norm() / y.norm() <= 1e-9


def test_singular_values_below_the_tolerance_count_as_zero():
    x = matrix(10, 20, 10, 0, spread=9)  # the last are 1e-8 and 1e-9 of the largest
    _, kept = minimum_norm(x, torch.eye(10, dtype=torch.float64))
    assert 7 <= len(kept) < 10
    assert kept.min() > 6e-8  # (max(n, d) eps)^(1/2) = 6.7e-8, give or take rounding


# The learner


@pytest.mark.parametrize("size", [30, 60], ids=["n < d", "n < d too"])
def test_it_interpolates_and_says_so(images, size):
    train = sl.RandomLabels().apply(images).train.at(torch.arange(size))  # d = 108
    fit = sl.LinearMinimumNorm().fit(train)
    x, y = train.inputs.flatten(1).double(), functional.one_hot(train.labels, 5).double()
    facts = fit.facts
    assert (facts["interpolates"], facts["rank"]) == (True, size)
    assert facts["relative_residual"] <= 1e-10
    assert facts["squared_norm"] == pytest.approx(torch.trace(y.T @ torch.linalg.inv(x @ x.T) @ y).item(), rel=1e-6)
    assert fit.arrays["squared_norms"].sum() == pytest.approx(facts["squared_norm"])
    assert fit.arrays["singular_values"] == pytest.approx(np.linalg.svd(x.numpy(), compute_uv=False), rel=1e-6)
    assert torch.allclose(fit.scores(train.inputs), y, atol=1e-8)


def test_with_more_examples_than_dimensions_it_is_least_squares(table):
    train = table.train
    fit = sl.LinearMinimumNorm(whiten=True).fit(train)
    x, y = prepared(fit, train), functional.one_hot(train.labels, 5).double()
    assert fit.facts["rank"] == 7 and not fit.facts["interpolates"]
    assert torch.allclose(weight(fit).T, torch.linalg.lstsq(x, y).solution, atol=1e-10)
    assert fit.facts["relative_residual"] == pytest.approx(((x @ weight(fit).T - y).norm() / y.norm()).item())


def test_examples_twice_over_lower_the_rank_and_change_nothing(images):
    train = images.train.at(torch.arange(40))
    twice = train.at(torch.arange(80) % 40)
    one, two = sl.LinearMinimumNorm().fit(train), sl.LinearMinimumNorm().fit(twice)
    assert two.facts["rank"] == one.facts["rank"] == 40
    assert torch.allclose(weight(one), weight(two), atol=1e-8 * weight(one).abs().max().item())
    assert two.facts["interpolates"]


def test_contradictory_examples_are_not_interpolated(images):
    train = images.train.at(torch.arange(40))
    both = replace(train.at(torch.arange(80) % 40), labels=torch.cat([train.labels, (train.labels + 1) % 5]))
    fit = sl.LinearMinimumNorm().fit(both)
    assert not fit.facts["interpolates"]
    assert fit.facts["relative_residual"] == pytest.approx(math.sqrt(0.5), rel=1e-6)  # half of each label: (1/4 + 1/4) of 1 remains


def test_what_does_not_fit_is_refused_before_it_is_made(images, monkeypatch):
    monkeypatch.setattr(linear, "free_memory", lambda device: 2.0**18)
    with pytest.raises(InvalidPart, match=r"^LinearMinimumNorm: 0.000583 GiB of memory are required for 400 x 108 inputs, got '0.000244 GiB free'. Take fewer"):
        sl.LinearMinimumNorm().fit(images.train)


# Gradient descent

LOSS = 1e-7  # at which descent stops


def descent(init, **fields):
    return sl.Training(
        sl.Linear(bias=False, init=init),
        sl.SGD(lr=fields.pop("lr", 0.02), momentum=0.95),
        **{"decay": 1.0, "batch_size": None, "epochs": 3000, "stop": LOSS, "whiten": False, "loss": "squared", **fields},
    )


@pytest.fixture(scope="module")
def twelve():
    """12 images of 108 values, and four linear fits of them: exact, from 0, from elsewhere, and two steps from there."""
    from shatterlab.laws import samples

    train = samples.images(60, 40).train.at(torch.arange(12))
    learners = {
        "exact": sl.LinearMinimumNorm(),
        "zero": descent("zero"),
        "elsewhere": descent("default"),
        "early": descent("default", epochs=2, stop="budget"),
    }
    return train, {name: learner.fit(train) for name, learner in learners.items()}


def rest(exact, trained):
    """How far descent that ended at this loss may be: residual / smallest singular value, plus float32 rounding."""
    return math.sqrt(12 * LOSS) / exact.facts["smallest_singular_value"] + 1e-5 * weight(trained).norm().item()


def beside(train):
    """The projector onto what is orthogonal to every input."""
    x = train.inputs.flatten(1).double()
    return torch.eye(108, dtype=torch.float64) - torch.linalg.pinv(x) @ x


def test_descent_from_zero_ends_at_it(twelve):
    _, fits = twelve
    assert fits["zero"].facts["ended"] == "loss"
    assert (weight(fits["zero"]) - weight(fits["exact"])).norm().item() <= rest(fits["exact"], fits["zero"])


def test_small_batches_from_zero_end_at_it_too(twelve):
    train, fits = twelve
    trained = descent("zero", batch_size=4, lr=0.005).fit(train)
    assert trained.facts["ended"] == "loss"
    assert (weight(trained) - weight(fits["exact"])).norm().item() <= rest(fits["exact"], trained)


def test_a_start_outside_the_span_keeps_its_orthogonal_part(twelve):
    """Gradients are combinations of inputs, so what is orthogonal to all of them never changes."""
    train, fits = twelve
    trained, exact, outside = fits["elsewhere"], fits["exact"], beside(train)
    start = trained.initial["1.1.weight"].double()
    assert (start @ outside).norm() > 0.1
    assert ((weight(trained) - start) @ outside).norm().item() <= 1e-5 * weight(trained).norm().item()  # float32, errors of either sign
    assert (weight(trained) - weight(exact) - start @ outside).norm().item() <= rest(exact, trained)


def test_measures_of_linear_fits_tell_the_same(twelve):
    """The distance to the minimum-norm interpolant and its part outside the span, as rows show them."""
    train, fits = twelve
    measure, scale = sl.DistanceToMinimumNorm(), weight(fits["exact"]).norm()
    assert measure.of(fits["exact"], train)["distance"] <= 1e-9
    assert measure.of(fits["exact"], train)["outside_moved"] is None
    found = measure.of(fits["zero"], train)
    assert found["distance"] == pytest.approx(((weight(fits["zero"]) - weight(fits["exact"])).norm() / scale).item(), rel=1e-6)
    assert found["outside"] <= 1e-5
    found, start = measure.of(fits["elsewhere"], train), fits["elsewhere"].initial["1.1.weight"].double()
    assert found["outside"] == pytest.approx(((start @ beside(train)).norm() / scale).item(), rel=1e-3)
    assert found["outside_moved"] <= 1e-4
    assert found["distance"] == pytest.approx(math.hypot(found["inside"], found["outside"]), rel=1e-9)


# Curvature


def test_curvature_cannot_tell_interpolants_apart(twelve):
    """(1/n) X' diag(sech^2(z - y)) X: the same matrix wherever z = y, another elsewhere, with at least d - n zero eigenvalues."""
    train, fits = twelve
    assert (weight(fits["elsewhere"]) - weight(fits["exact"])).norm() > 0.1 * weight(fits["exact"]).norm()
    one, two, three = (sl.LogCoshCurvature().of(fits[name], train) for name in ("exact", "elsewhere", "early"))
    # sech^2 is 1 - gap^2, and the mean of gap^2 is 1e-7: no eigenvalue moves by more than 12e-7 of the largest
    assert np.abs(two["eigenvalues"] - one["eigenvalues"]).max() <= 12 * LOSS * one["largest"]
    assert one["trace"] == pytest.approx(two["trace"], rel=12 * LOSS)
    assert three["trace"] < 0.99 * one["trace"]
    for each in (one, two, three):
        assert each["zeros_per_class"] >= 108 - 12
    assert one["smallest_factor"] == pytest.approx(1.0, abs=1e-9) and three["smallest_factor"] < 0.95


def test_curvature_is_the_second_derivative_of_the_loss(twelve):
    """Against automatic differentiation, at a map that interpolates nothing."""
    train, fit = twelve[0], twelve[1]["early"]
    x, y = train.inputs.flatten(1).double(), functional.one_hot(train.labels, 5).double()

    def loss(w):
        return torch.log(torch.cosh(x @ w - y[:, 2])).mean()

    hessian = torch.autograd.functional.hessian(loss, weight(fit)[2])
    wanted = torch.linalg.eigvalsh(hessian).flip(0).numpy()
    found = sl.LogCoshCurvature().of(fit, train)["eigenvalues"][2]
    assert found == pytest.approx(wanted, rel=1e-5, abs=1e-7 * wanted[0])


def test_only_linear_maps_have_these_measures(small_images):
    train = small_images.train
    fits = [
        sl.Training(sl.MLP((8,)), epochs=1).fit(train),
        sl.Training(sl.Linear(), epochs=1).fit(train),
        sl.Recipe("shatterlab.learners.recipe:nearest_class_mean").fit(train),
    ]
    for measure in (sl.DistanceToMinimumNorm(), sl.LogCoshCurvature()):
        for fit in fits:
            with pytest.raises(NotApplicable, match=f"^{measure.kind}: a linear map without bias is required"):
                measure.of(fit, train)
