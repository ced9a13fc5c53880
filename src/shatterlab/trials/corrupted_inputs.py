"""What a corruption did to inputs, against what it says that it does."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy import special
from torch import Tensor

from shatterlab.core import Examples, PixelCorruption, Scalar, Seeds, Splits

_PERMUTATIONS = ("one permutation", "a permutation each")
_VALUES = 2**14  # of a split that are looked at, where that are at least 4 inputs and at most 128
_CODES = 2**24  # positions that float32 tells apart


def input_columns(corruption: PixelCorruption, original: Splits, corrupted: Splits, seeds: Seeds) -> dict[str, Scalar]:
    """The `check.*` columns of sampled inputs of both splits, before and after.

    Permutations are read from coded inputs, whose values name their positions, by the corruption's own `inputs` with the trial's seed; the sample must be
    rearranged by exactly these. `check.permutation_p` asks whether they look uniform and independent; an identity shows from 11 positions on. Noise must
    stay the same when another input is replaced. `check.noise_p` holds its values against the stated normal law; 30,000 values show a mean that is off by
    0.06 deviations, or a deviation that is off by 10 percent.

    Args:
        corruption: fitted, as it says of itself.
        original: the sample before.
        corrupted: the sample after.
        seeds: of the trial.
    """
    corruption.require(corruption.effect in (None, *_PERMUTATIONS, "noise"), f"effect is {', '.join(_PERMUTATIONS)}, noise or None", corruption.effect)
    seed = seeds.integer("corruption", "pixels")
    splits = [_Share.of(corruption, seed, name, getattr(original, name), getattr(corrupted, name)) for name in ("train", "test")]
    columns: dict[str, Scalar] = {"check.same_when_read_again": all(_close(share.again, share.after) for share in splits)}
    if corruption.effect in _PERMUTATIONS:
        return columns | _permutations(*splits)
    if corruption.effect == "noise":
        law = corruption.normal_law(original.train)
        columns["check.noise_ignores_inputs"] = _ignores_inputs(*splits)
        columns["check.noise_p"] = None if law is None else noise_p(torch.cat([share.after for share in splits]), *law)
    return columns


@dataclass(frozen=True)
class _Share:
    """Some inputs of a split, evenly spaced through it: before and after the corruption, and corrupted again."""

    corruption: PixelCorruption
    seed: int
    split: str
    positions: np.ndarray
    before: Tensor
    after: Tensor
    again: Tensor

    @classmethod
    def of(cls, corruption: PixelCorruption, seed: int, split: str, original: Examples, corrupted: Examples) -> _Share:
        count = min(max(_VALUES // math.prod(original.shape), 4), 128)
        positions = np.unique(np.linspace(0, len(original) - 1, count).astype(int))
        before, after = (examples.inputs[torch.from_numpy(positions)] for examples in (original, corrupted))
        return cls(corruption, seed, split, positions, before, after, corruption.inputs(before.clone(), positions, split, seed))

    def of_others(self, inputs: Tensor, split: str = "") -> Tensor:
        """What the corruption makes of other inputs at these positions."""
        return self.corruption.inputs(inputs.clone(), self.positions, split or self.split, self.seed)

    def orders(self, split: str = "") -> Tensor | None:
        """The permutation of each input: the position whose value it has put at position 0, 1, ...; None where these are no permutations."""
        d = self.before[0].numel()
        scale = 2.0 ** d.bit_length()
        codes = (torch.arange(d, dtype=torch.float32) / scale).view(self.before.shape[1:]).expand(self.before.shape)
        places = (self.of_others(codes, split) * scale).flatten(1)
        return places.long() if torch.equal(places.sort(1).values, torch.arange(d, dtype=places.dtype).expand(places.shape)) else None


def _close(one: Tensor, other: Tensor) -> bool:
    """Whether two results of one computation agree, rounding in another order of the sums apart."""
    return one.shape == other.shape and torch.allclose(one, other, rtol=1e-4, atol=1e-4 * float(other.abs().max()), equal_nan=True)


def _permutations(train: _Share, test: _Share) -> dict[str, Scalar]:
    """Whether the sample is rearranged by the permutations that are read from codes, and whether those look uniform."""
    channels, d, shared = (train.before.shape[1] if train.before.ndim > 2 else 1), train.before[0].numel(), train.corruption.effect == _PERMUTATIONS[0]
    if d > _CODES:
        return {}
    orders, of_test, elsewhere = train.orders(), test.orders(), train.orders("test")
    if orders is None or of_test is None or elsewhere is None:
        return {"check.permuted": False}
    blocks = orders.view(len(orders), channels, -1)
    together = torch.equal(blocks, blocks[:, :1] + (d // channels * torch.arange(channels))[:, None])
    if shared:
        orders, of_test = orders[:1].expand_as(orders), orders[:1].expand_as(of_test)
    permuted = all(torch.equal(share.before.flatten(1).gather(1, order), share.after.flatten(1)) for share, order in ((train, orders), (test, of_test))) and (
        together or getattr(train.corruption, "unit", "") != "position"
    )
    size = d // channels if together else d
    return {"check.permuted": permuted, "check.permutation_p": permutations_p(orders[: 1 if shared else None, :size], elsewhere[:, :size])}


def permutations_p(orders: Tensor, others: Tensor) -> float:
    """A bound on the p-value that permutations are uniform and independent, by four counts: places kept, neighbours kept in either direction, equal pairs.

    In a uniform permutation the first three have factorial moments of at most 1, hence at most the tail that Chernoff gives a Poisson(1). Pairs are consecutive
    inputs, and the two splits at one position; each is equal with probability 1 / size!, independently.
    """
    m, size = orders.shape
    steps = orders.diff(dim=1)
    tails = [_poisson_tail(int(kept.sum()), m) for kept in (orders == torch.arange(size), steps == 1, steps == -1)]
    if m > 1:
        equal = int((orders[1:] == orders[:-1]).all(1).sum() + (orders == others).all(1).sum())
        tails.append(float(special.betainc(equal, 2 * m - equal, math.exp(-math.lgamma(size + 1)))) if equal else 1.0)
    return min(1.0, 4 * min(tails))


def _poisson_tail(count: int, mean: int) -> float:
    return math.exp(count - mean - count * math.log(count / mean)) if count > mean else 1.0


def _ignores_inputs(train: _Share, test: _Share) -> bool:
    """Whether noise is the same in place of other inputs, and another one in the other split."""
    same = all(torch.equal(share.again, share.of_others(torch.zeros_like(share.before))) for share in (train, test))
    return same and not torch.equal(train.again, train.of_others(train.before, "test"))


def noise_p(noise: Tensor, mean: Tensor, deviation: Tensor) -> float:
    """A bound on the p-value that all values of m inputs are independent normal deviates with these moments.

    The distribution function by Massart's bound 2 exp(-2 n D^2), for all values and for each channel; the mean input by chi-square. A value that does not vary
    must be its mean.

    Args:
        noise: m inputs.
        mean: broadcasts to one input.
        deviation: likewise, >= 0.

    Source:
        Massart 1990, "The tight constant in the Dvoretzky-Kiefer-Wolfowitz inequality".
    """
    mean, deviation = (moment.expand(noise.shape[1:]).double() for moment in (mean, deviation))
    varies = deviation > 1e-5 * mean.abs()
    fixed = noise.double()[:, ~varies]
    if not torch.allclose(fixed, mean[~varies].expand_as(fixed), rtol=1e-4, atol=1e-30):
        return 0.0
    if not varies.any():
        return 1.0
    scores = torch.where(varies, (noise - mean) / deviation, torch.nan).flatten(2 if noise.ndim > 2 else 1)  # m x channels x values, or m x features
    channels = scores.transpose(0, 1).flatten(1)
    tails = [_distance_tail(group[~group.isnan()]) for group in (scores.flatten(), *(channels if len(channels) > 1 else ()))]
    sums = scores.flatten(1).sum(0)[varies.flatten()]
    tails.append(float(special.gammaincc(len(sums) / 2, float(sums.square().sum()) / len(noise) / 2)))
    return min(1.0, len(tails) * min(tails))


def _distance_tail(scores: Tensor) -> float:
    n = len(scores)
    if n == 0:
        return 1.0
    shares = torch.special.ndtr(scores.sort().values)
    above = torch.arange(1, n + 1) / n - shares
    return min(1.0, 2 * math.exp(-2 * n * float(torch.maximum(above, 1 / n - above).max()) ** 2))
