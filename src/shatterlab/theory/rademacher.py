"""Empirical Rademacher complexity: exact suprema over simple classes, and what training on random signs can say of others."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from shatterlab.core.errors import DataError
from shatterlab.statistics.intervals import Values, numbers
from shatterlab.theory.certificates import Certificate

Array = np.ndarray[Any, np.dtype[Any]]

_ALL_SIGNS = 14  # up to this many examples every sign vector is visited


@dataclass(frozen=True)
class Complexity:
    """E_sigma sup_f (1/n) sum_i sigma_i f(x_i): no factor 2, no absolute value.

    Args:
        value: the expectation, or the mean over drawn sign vectors.
        low: lower end, the value itself where it is exact.
        high: upper end, likewise.
        method: "all sign vectors", "closed form", or "drawn sign vectors".
        n: examples.
    """

    value: float
    low: float
    high: float
    method: str
    n: int


def linear_ball(inputs: Array, radius: float = 1.0, draws: int = 1000, delta: float = 1e-6, rng: np.random.Generator | None = None) -> Complexity:
    """Of x -> w.x with |w| <= W: the supremum is W |sum_i sigma_i x_i| / n.

    Args:
        inputs: n x d.
        radius: W, > 0.
        draws: sign vectors to draw above 14 examples; below, all are visited.
        delta: the interval of drawn ones misses with at most this probability, by bounded differences.
        rng: draws them; None: a fixed generator.

    Returns:
        The complexity; at most W sqrt(sum |x_i|^2) / n, at least that over sqrt 2.

    Raises:
        DataError: an argument is out of range.

    Source:
        Bartlett, Mendelson 2002, lemma 22.

    Example:
        >>> round(linear_ball(np.eye(4)).value, 12)  # |sum of signed unit vectors| = sqrt 4, always
        0.5
    """
    rows = _matrix(inputs, "linear_ball")
    _positive(radius, "linear_ball")
    return _expected(lambda signs: radius * np.linalg.norm(signs @ rows, axis=1), radius * np.linalg.norm(rows, axis=1), draws, delta, rng)


def rkhs_ball(gram: Array, radius: float = 1.0, draws: int = 1000, delta: float = 1e-6, rng: np.random.Generator | None = None) -> Complexity:
    """Of functions of a kernel's space with norm <= B: the supremum is B sqrt(s'Ks) / n.

    Args:
        gram: K, n x n, positive semidefinite.
        radius: B, > 0.
        draws: as in `linear_ball`.
        delta: as in `linear_ball`.
        rng: as in `linear_ball`.

    Returns:
        The complexity; between B sqrt(tr K / 2) / n and B sqrt(tr K) / n.

    Raises:
        DataError: an argument is out of range.

    Source:
        Bartlett, Mendelson 2002, lemma 22; the lower end by Khintchine's inequality with the constant of Szarek 1976 (Latala, Oleszkiewicz 1994
        for vectors).
    """
    matrix = _matrix(gram, "rkhs_ball")
    _positive(radius, "rkhs_ball")
    if matrix.shape[0] != matrix.shape[1]:
        raise DataError(f"rkhs_ball: a square Gram matrix is required, got {matrix.shape[0]} x {matrix.shape[1]}. Pass kernel.gram(x, x).")
    reach = radius * np.sqrt(np.clip(np.diag(matrix), 0, None))
    return _expected(lambda signs: radius * np.sqrt(np.clip(((signs @ matrix) * signs).sum(1), 0, None)), reach, draws, delta, rng)


def l1_ball(inputs: Array, radius: float = 1.0, draws: int = 1000, delta: float = 1e-6, rng: np.random.Generator | None = None) -> Complexity:
    """Of x -> w.x with sum |w_j| <= W: the supremum is W max_j |sum_i sigma_i x_ij| / n, at a corner.

    Args:
        inputs: n x d.
        radius: W, > 0.
        draws: as in `linear_ball`.
        delta: as in `linear_ball`.
        rng: as in `linear_ball`.

    Returns:
        The complexity; at most W max_j |x_.j| sqrt(2 ln 2d) / n (Massart).

    Raises:
        DataError: an argument is out of range.

    Source:
        Kakade, Sridharan, Tewari 2008.
    """
    rows = _matrix(inputs, "l1_ball")
    _positive(radius, "l1_ball")
    return _expected(lambda signs: radius * np.abs(signs @ rows).max(1), radius * np.abs(rows).max(1), draws, delta, rng)


def stumps(inputs: Array, draws: int = 1000, delta: float = 1e-6, rng: np.random.Generator | None = None) -> Complexity:
    """Of x -> +-sign(x_j - t) for all features j and thresholds t: the largest |sum - 2 prefix sum| in the order of any feature.

    Equal values of a feature fall on the same side of every threshold. The constants +-1 are in the class.

    Args:
        inputs: n x d.
        draws: as in `linear_ball`.
        delta: as in `linear_ball`.
        rng: as in `linear_ball`.

    Returns:
        The complexity, in (0, 1].

    Raises:
        DataError: an argument is out of range.
    """
    rows = _matrix(inputs, "stumps")
    orders = np.argsort(rows, axis=0, kind="stable")
    ends = [np.flatnonzero(np.diff(column[order], append=np.inf)) for column, order in zip(rows.T, orders.T, strict=True)]

    def supremum(signs: Array) -> Array:
        total = signs.sum(1)
        best = np.abs(total)
        for order, end in zip(orders.T, ends, strict=True):
            best = np.maximum(best, np.abs(total[:, None] - 2 * signs[:, order].cumsum(1)[:, end]).max(1))
        return np.asarray(best)

    return _expected(supremum, np.ones(len(rows)), draws, delta, rng)


def thresholds(n: int) -> Complexity:
    """Of x -> sign(x - t) on n different numbers: (2/n) E max_k S_k of a simple random walk, in closed form.

    The supremum over t is the largest S_n - 2 S_k, which has the mean of 2 max_k S_k; by reflection that is 2 (E S_n^+ + E (S_n - 1)^+).

    Args:
        n: examples, >= 1.

    Returns:
        The complexity, in (0, 1]; about sqrt(8 / (pi n)).

    Raises:
        DataError: n is below 1.

    Example:
        >>> round(thresholds(2).value, 12)  # signs -+, ++ and -- are followed exactly, +- not at all: (1 + 1 + 1 + 0) / 4
        0.75
    """
    if n < 1:
        raise DataError(f"thresholds: n >= 1 is required, got {n!r}. Pass the number of examples.")
    ups = np.arange(n + 1)
    ends = 2 * ups - n
    chances = np.exp(special.gammaln(n + 1) - special.gammaln(ups + 1) - special.gammaln(n - ups + 1) - n * math.log(2))
    value = float(2 / n * (chances * (np.maximum(ends, 0) + np.maximum(ends - 1, 0))).sum())
    return Complexity(value, value, value, "closed form", n)


def at_least(reached: Values, n: int, delta: float = 0.05) -> float:
    """A lower bound on the Rademacher complexity of whatever was trained: mean reached - sqrt(2 ln(1/delta) / (n m)).

    For each of m independent draws of signs, a function f of the class was found with (1/n) sum sigma_i f(x_i) = reached (for a +-1 classifier 1 - 2 training
    error). The mean is at most that of the suprema, which is near its expectation by bounded differences (outputs in [-1, 1]). It says "at
    least", never "equal": training need not find the supremum. The class must be fixed before the draws.

    Args:
        reached: one number a draw, in [-1, 1].
        n: examples.
        delta: the bound fails with at most this probability, in (0, 1).

    Returns:
        The bound, with confidence 1 - delta.

    Raises:
        DataError: no draw, a number outside [-1, 1], or delta outside (0, 1).

    Source:
        Bartlett, Mendelson 2002, theorem 11 (McDiarmid's inequality).
    """
    values = numbers(reached, "at_least")
    _delta(delta, "at_least")
    if n < 1 or np.abs(values).max() > 1:
        raise DataError(f"at_least: n >= 1 and correlations in [-1, 1] are required, got {n!r} and {np.abs(values).max():g}. Scale the outputs to [-1, 1].")
    return float(values.mean()) - math.sqrt(2 * math.log(1 / delta) / (n * len(values)))


def rademacher_bound(training_error: float, complexity: float, n: int, delta: float = 0.05) -> Certificate:
    """Training error + R_S + 3 sqrt(ln(2/delta) / 2n) for the 0-1 loss of +-1 classifiers.

    Args:
        training_error: a fraction.
        complexity: R_S of the class of +-1 classifiers on the sample.
        n: examples, >= 1.
        delta: in (0, 1).

    Returns:
        The certificate; with R_S near 1 it is vacuous whatever the training error.

    Raises:
        DataError: an argument is out of range.

    Source:
        Bartlett, Mendelson 2002; Mohri, Rostamizadeh, Talwalkar 2018, theorem 3.5.
    """
    _delta(delta, "rademacher_bound")
    if n < 1 or not 0 <= training_error <= 1:
        raise DataError(f"rademacher_bound: n >= 1 and an error in [0, 1] are required, got {n!r} and {training_error!r}. Pass a fraction.")
    bound = training_error + complexity + 3 * math.sqrt(math.log(2 / delta) / (2 * n))
    return Certificate("Rademacher", bound, training_error, delta, "examples drawn independently and a class of classifiers fixed before they were seen", 0.5)


def _expected(supremum: Callable[[Array], Array], reach: Array, draws: int, delta: float, rng: np.random.Generator | None) -> Complexity:
    """The mean of the supremum over n; a sign that flips moves it by at most 2 reach_i / n."""
    n = len(reach)
    if n <= _ALL_SIGNS:
        signs = 1.0 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
        value = float(supremum(signs).mean() / n)
        return Complexity(value, value, value, "all sign vectors", n)
    _delta(delta, "rademacher")
    if draws < 1:
        raise DataError(f"rademacher: at least one draw is required, got {draws!r}. Use 1000, say.")
    source = rng or np.random.default_rng(0)
    found = np.concatenate([supremum(source.choice([-1.0, 1.0], size=(min(100, draws - start), n))) for start in range(0, draws, 100)]) / n
    half = math.sqrt(2 * float(reach @ reach) * math.log(2 / delta) / draws) / n
    value = float(found.mean())
    return Complexity(value, max(value - half, 0.0), value + half, "drawn sign vectors", n)


def _matrix(rows: Array, owner: str) -> Array:
    array = np.asarray(rows, dtype=np.float64)
    if array.ndim != 2 or 0 in array.shape or not np.isfinite(array).all():
        raise DataError(f"{owner}: a matrix of finite numbers with at least one row is required, got shape {array.shape}. Flatten the inputs.")
    return array


def _positive(radius: float, owner: str) -> None:
    if not (radius > 0 and math.isfinite(radius)):
        raise DataError(f"{owner}: a finite radius > 0 is required, got {radius!r}. Use the norm of the fitted weights, say.")


def _delta(delta: float, owner: str) -> None:
    if not 0 < delta < 1:
        raise DataError(f"{owner}: delta is a probability in (0, 1), got {delta!r}. Use 0.05, say.")
