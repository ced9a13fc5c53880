"""The bounds on p-values of permutations and of noise: never too small, by simulation and by enumeration."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from shatterlab.trials.corrupted_inputs import noise_p, permutations_p


def rates(values):
    """How often p is at most alpha, over alpha, for a few alphas."""
    return [np.mean(np.array(values) <= alpha) / alpha for alpha in (0.02, 0.1, 0.3)]


@pytest.mark.parametrize("size", [2, 3, 5, 40])
@pytest.mark.parametrize("m", [1, 8])
def test_uniform_permutations_have_no_small_p_too_often(size, m):
    """2000 draws: a rate of 0.02 has a deviation of 16 percent, and five of those are allowed; the bounds are far from tight."""
    rng = np.random.default_rng(0)
    draws = (torch.from_numpy(rng.permuted(np.tile(np.arange(size), (2 * m, 1)), axis=1)) for _ in range(2000))
    assert max(rates([permutations_p(orders[:m], orders[m:]) for orders in draws])) < 1.8


@pytest.mark.parametrize("size", range(2, 8))
def test_one_permutation_by_enumeration(size):
    """Of all size! permutations at most a share alpha has p <= alpha."""
    ps = np.sort([permutations_p(torch.tensor([order]), torch.tensor([order])) for order in itertools.permutations(range(size))])
    assert (ps >= np.arange(1, len(ps) + 1) / len(ps) - 1e-9).all()


def test_an_identity_shows_from_eleven_positions_on():
    assert permutations_p(torch.arange(11)[None], torch.arange(11)[None]) <= 1e-6 / 3 < permutations_p(torch.arange(10)[None], torch.arange(10)[None])


@pytest.mark.parametrize("shape", [(3, 4, 4), (1, 5, 5), (6,), (1,)])
def test_normal_noise_has_no_small_p_too_often(shape):
    generator = torch.Generator().manual_seed(0)
    mean, deviation = torch.tensor(0.3), torch.tensor(0.2)
    values = [noise_p(0.3 + 0.2 * torch.randn(20, *shape, generator=generator), mean, deviation) for _ in range(1000)]
    assert max(rates(values)) < 2.2  # 1000 draws at 0.02: five deviations are 110 percent


def test_the_stated_power_of_the_noise_check():
    """30,000 values: D = 0.0239 for a mean off by 0.06 deviations, against sqrt(ln(2 x 3e6 x tests) / 2n) = 0.0168 with three tests."""
    noise = torch.randn(10, 1, 50, 60, generator=torch.Generator().manual_seed(0))
    zero, one = torch.zeros(1, 1, 1), torch.ones(1, 1, 1)
    assert noise_p(noise, zero, one) > 1e-3
    assert noise_p(noise + 0.06, zero, one) <= 1e-6 / 3
    assert noise_p(noise * 1.1, zero, one) <= 1e-6 / 3
    assert noise_p(noise, zero, torch.zeros(1, 1, 1)) == 0.0
    assert noise_p(torch.full((4, 3), 2.0), torch.full((3,), 2.0), torch.zeros(3)) == 1.0
    assert math.isclose(2 * math.exp(-2 * 30_000 * 0.0168**2) * 3, 2.7e-7, rel_tol=0.1)
