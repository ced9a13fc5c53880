"""Empirical Rademacher complexity: exact for decision stumps and balls of linear and kernel functions, from below by training on random signs for others."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

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
        method: "all sign vectors" or "drawn sign vectors".
        n: examples.
    """

    value: float
    low: float
    high: float
    method: str
    n: int


def linear_ball(inputs: Array, radius: float = 1.0, draws: int = 1000, delta: float = 1e-6, rng: np.random.Generator | None = None) -> Complexity:
    """The complexity of x -> w.x with |w| <= W, whose supremum is W |sum_i sigma_i x_i| / n.

    Args:
        inputs: n x d.
        radius: W, > 0.
        draws: sign vectors to draw for more than 14 examples; up to 14, all are visited.
        delta: the interval from drawn vectors misses with at most this probability, by bounded differences.
        rng: draws the vectors; None: a fixed generator.

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
    """The complexity of the functions of RKHS norm <= B, whose supremum is B sqrt(s'Ks) / n.

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
        Bartlett, Mendelson 2002, lemma 22; the lower end by Khintchine's inequality (Szarek 1976; for vectors Latala, Oleszkiewicz 1994).
    """
    matrix = _matrix(gram, "rkhs_ball")
    _positive(radius, "rkhs_ball")
    if matrix.shape[0] != matrix.shape[1]:
        raise DataError(f"rkhs_ball: a square Gram matrix is required, got {matrix.shape[0]} x {matrix.shape[1]}. Pass kernel.gram(x, x).")
    reach = radius * np.sqrt(np.clip(np.diag(matrix), 0, None))
    return _expected(lambda signs: radius * np.sqrt(np.clip(((signs @ matrix) * signs).sum(1), 0, None)), reach, draws, delta, rng)


def stumps(inputs: Array, draws: int = 1000, delta: float = 1e-6, rng: np.random.Generator | None = None) -> Complexity:
    """The complexity of decision stumps: one question about one coordinate, x_j <= t, and a sign for either answer, equal signs included.

    The supremum is the largest |sum of sigma_i on one side| + |sum on the other| over all cuts, over n; a coordinate is sorted once for all sign vectors.

    Args:
        inputs: n x d.
        draws: as in `linear_ball`; each takes about n d additions.
        delta: as in `linear_ball`.
        rng: as in `linear_ball`.

    Returns:
        The complexity, in (0, 1].

    Raises:
        DataError: an argument is out of range.

    Source:
        Mohri, Rostamizadeh, Talwalkar 2018, definition 3.1, with the supremum written out.

    Example:
        >>> stumps(np.array([[1.0], [2.0]])).value  # a cut between two points follows all signs
        1.0
    """
    rows = _matrix(inputs, "stumps")
    order = np.argsort(rows, axis=0, kind="stable")
    between = np.diff(np.take_along_axis(rows, order, 0), axis=0) > 0  # no cut between equal values

    def best(signs: Array) -> float:
        left, total = np.cumsum(signs[order[:-1]], axis=0), signs.sum()
        return float(np.max(np.abs(left) + np.abs(total - left), initial=abs(total), where=between))

    return _expected(lambda signs: np.array([best(each) for each in signs]), np.ones(len(rows)), draws, delta, rng)


def at_least(reached: Values, n: int, delta: float = 0.05) -> float:
    """A lower bound on the Rademacher complexity of a trained class: mean reached - sqrt(2 ln(1/delta) / (n m)).

    For each of m independent draws of signs, training reached f with (1/n) sum sigma_i f(x_i) = reached (1 - 2 training error for +-1 classifiers). It need not
    find the supremum, so this is never an estimate. The class must be fixed before the draws.

    Args:
        reached: one number a draw, in [-1, 1].
        n: examples.
        delta: the bound fails with at most this probability, in (0, 1).

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
        complexity: R_S of the class of +-1 classifiers on the sample, or an upper bound on it. With a lower bound on R_S (`at_least`) the result is a lower
            bound on what this theorem says, and bounds no error.
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
    n = len(reach)
    if n <= _ALL_SIGNS:
        signs = 1.0 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
        value = float(supremum(signs).mean() / n)
        return Complexity(value, value, value, "all sign vectors", n)
    _delta(delta, "rademacher")
    if draws < 1:
        raise DataError(f"rademacher: at least one draw is required, got {draws!r}. Use 1000, say.")
    source = rng or np.random.default_rng(0)
    suprema = np.concatenate([supremum(source.choice([-1.0, 1.0], size=(min(100, draws - start), n))) for start in range(0, draws, 100)]) / n
    half = math.sqrt(2 * float(reach @ reach) * math.log(2 / delta) / draws) / n
    value = float(suprema.mean())
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
