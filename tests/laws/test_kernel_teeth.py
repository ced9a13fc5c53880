"""Every law of kernels has teeth: for each a planted bug that breaks it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch

import shatterlab as sl
from shatterlab.kernels.linear import LinearKernel
from shatterlab.kernels.radial import Gaussian
from shatterlab.laws import kernels as kernel_laws

TEETH = []


def breaks(*names, **fields):
    """Plants a bug: the class, made with these fields, breaks these laws of kernels and no other."""

    def plant(cls):
        TEETH.append((cls(**fields), set(names)))
        return cls

    return plant


@breaks("is_symmetric")
@dataclass(frozen=True)
class LooksLeft(LinearKernel):
    """Not symmetric."""

    def gram(self, x, z):
        gram = super().gram(x, z)
        return gram * (1 + 1e-3 * torch.tanh(x.flatten(1).sum(1) - x.flatten(1).mean())[:, None]) if len(x) > 1 or len(z) > 1 else gram


@breaks("is_positive_semidefinite")
@dataclass(frozen=True)
class Indefinite(Gaussian):
    """A function of the distance that is no kernel."""

    @staticmethod
    def of_squared_distances(distances, sigma):
        return torch.cos(distances / sigma)


@breaks("has_the_diagonal_that_it_says")
@dataclass(frozen=True)
class SaysOne(LinearKernel):
    """Says 1 for its diagonal, which is 1.01."""

    def gram(self, x, z):
        return 1.01 * Gaussian(1.0).gram(x, z)

    def diagonal(self, x):
        return x.new_ones(len(x))


@breaks("looks_at_pairs_alone")
@dataclass(frozen=True)
class Normalizes(LinearKernel):
    """Divides by what else is asked for."""

    def gram(self, x, z):
        gram = super().gram(x, z)
        return gram / (1 + 1e-3 * (len(x) * len(z) > 1))

    def diagonal(self, x):
        return super().diagonal(x) / (1 + 1e-3)


@breaks("goes_by_tiles")
@dataclass(frozen=True)
class ForgetsHalf(LinearKernel):
    """Writes one triangle only."""

    def gram_into(self, out, x, z):
        super().gram_into(out, x, z)
        if x is z:
            out.tril_()


@breaks("goes_by_tiles")
@dataclass(frozen=True)
class AddsTwice(LinearKernel):
    """Counts the diagonal twice in products."""

    def product(self, x, z, weights):
        return super().product(x, z, weights) + (self.diagonal(x)[:, None] * weights if x is z else 0)


@breaks("keeps_the_number_format")
@dataclass(frozen=True)
class AlwaysDouble(LinearKernel):
    """Gives float64 whatever it is given."""

    def gram(self, x, z):
        return super().gram(x.double(), z)


@breaks("keeps_the_number_format")
@dataclass(frozen=True)
class Cancels(Gaussian):
    """Its distances lose their digits in float32."""

    def gram(self, x, z):
        x, z = x.flatten(1) + 1e3, z.flatten(1).to(x.dtype) + 1e3
        naive = x.square().sum(1)[:, None] + z.square().sum(1)[None] - 2 * x @ z.T
        return self.of_squared_distances(naive.clamp_min(0), 1e6 if naive.dtype == torch.float64 else 1.0)


@breaks("is_the_same_each_time")
@dataclass(frozen=True)
class DrawsAfresh(LinearKernel):
    """Draws a scale from a generator that nobody seeded."""

    random: ClassVar[bool] = True
    scale: float = sl.core.fitted_field(1.0)

    def fitted(self, train, seeds):
        return DrawsAfresh(scale=np.random.default_rng().random())

    def gram(self, x, z):
        return self.scale * super().gram(x, z)

    def diagonal(self, x):
        return self.scale * super().diagonal(x)


@breaks("follows_its_seed")
@dataclass(frozen=True)
class IsRandomAfterAll(DrawsAfresh):
    """Draws from its seed, and says that it draws nothing."""

    random: ClassVar[bool] = False

    def fitted(self, train, seeds):
        return IsRandomAfterAll(scale=seeds.rng("init").random())


@breaks("changes_nothing")
@dataclass(frozen=True)
class CentresInPlace(LinearKernel):
    """Doubles the inputs that it is given once it has used them."""

    def fitted(self, train, seeds):
        train.inputs.mul_(2)
        return self


@pytest.mark.parametrize(("part", "broken"), TEETH, ids=lambda value: type(value).__name__ if isinstance(value, sl.Part) else "")
def test_a_planted_bug_breaks_its_law(part, broken):
    failed = set()
    for law in kernel_laws.LAWS:
        try:
            law(part)
        except sl.LawBroken:
            failed.add(law.__name__)
    assert broken <= failed, f"{broken - failed} let it pass"


def test_every_law_of_kernels_has_teeth():
    assert {law.__name__ for law in kernel_laws.LAWS} == set().union(*(names for _, names in TEETH))
