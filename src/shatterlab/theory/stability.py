"""Uniform stability: upper bounds on how far replacing one training example moves the loss."""

from __future__ import annotations

from shatterlab.core.errors import DataError, NotApplicable
from shatterlab.statistics.intervals import Values, numbers

RELU = "the loss of a ReLU net is neither convex, nor smooth, nor Lipschitz over all weights"


def convex_descent(lipschitz: float | None, smoothness: float | None, steps: Values, n: int) -> float:
    """(2 L^2 / n) sum_t a_t: uniform stability of stochastic gradient steps a_t <= 2 / beta on a convex loss.

    Args:
        lipschitz: L, of the loss in the weights; None where there is none.
        smoothness: beta, of its gradient; None where there is none.
        steps: a_1, a_2, ..., > 0.
        n: examples, >= 1.

    Returns:
        The bound, in the unit of the loss.

    Raises:
        NotApplicable: there is no such constant, or a step is above 2 / beta.
        DataError: an argument is out of range.

    Source:
        Hardt, Recht, Singer 2016, "Train faster, generalize better", theorem 3.8.

    Example:
        >>> convex_descent(1.0, 1.0, [0.5] * 100, n=1000)
        0.1
    """
    rate = _smooth(lipschitz, smoothness, n, "convex_descent")
    sizes = numbers(steps, "convex_descent")
    if sizes.max() > 2 / rate[1]:
        raise NotApplicable(f"convex_descent: steps of at most 2 / beta = {2 / rate[1]:g} are required, got {sizes.max():g}")
    return float(2 * rate[0] ** 2 / n * sizes.sum())


def nonconvex_descent(lipschitz: float | None, smoothness: float | None, rate: float, steps: int, n: int) -> float:
    """(1 + 1/(beta c)) / (n - 1) (2 c L^2)^(1/(beta c + 1)) T^(beta c/(beta c + 1)): stability of steps a_t <= c / t on any smooth loss in [0, 1].

    Args:
        lipschitz: L; None where there is none.
        smoothness: beta; None where there is none.
        rate: c, > 0.
        steps: T, >= 1.
        n: examples, >= 2.

    Returns:
        The bound; above 1 it says nothing of a loss in [0, 1].

    Raises:
        NotApplicable: there is no such constant.
        DataError: an argument is out of range.

    Source:
        Hardt, Recht, Singer 2016, theorem 3.12.
    """
    slope, bend = _smooth(lipschitz, smoothness, n, "nonconvex_descent")
    if not rate > 0 or steps < 1 or n < 2:
        raise DataError(f"nonconvex_descent: c > 0, T >= 1 and n >= 2 are required, got {rate!r}, {steps!r} and {n!r}. Read them off the recipe.")
    power = bend * rate
    return float((1 + 1 / power) / (n - 1) * (2 * rate * slope**2) ** (1 / (power + 1)) * steps ** (power / (power + 1)))


def kernel_ridge(reach: float, slope: float, ridge: float, n: int) -> tuple[float, float]:
    """Uniform stability s^2 k^2 / (l n) of kernel ridge regression to one example replaced, where (1/n) sum loss + l |f|^2 is minimized.

    (K + lambda I) alpha = y is l = lambda / n: at fixed lambda the bound does not shrink with n. Removing an example halves it: the source's 2 k^2 B^2 / (l n).

    Args:
        reach: k, the root of the largest k(x, x), > 0.
        slope: s, the largest |d loss / d f| that occurs, > 0: for squared error twice the largest |f - y|.
        ridge: lambda of (K + lambda I), > 0.
        n: examples, >= 1.

    Returns:
        The bound, and l = lambda / n.

    Raises:
        DataError: an argument is out of range.

    Source:
        Bousquet, Elisseeff 2002, "Stability and generalization", theorem 22 and example 3; replaced: Mohri, Rostamizadeh, Talwalkar 2018, chapter 14.
    """
    if not (reach > 0 and slope > 0 and ridge > 0) or n < 1:
        raise DataError(
            f"kernel_ridge: positive k, s and lambda and n >= 1 are required, got {reach!r}, {slope!r}, {ridge!r} and {n!r}. A ridge of 0 has no bound."
        )
    penalty = ridge / n
    return slope**2 * reach**2 / (penalty * n), penalty


def _smooth(lipschitz: float | None, smoothness: float | None, n: int, owner: str) -> tuple[float, float]:
    if lipschitz is None or smoothness is None:
        raise NotApplicable(f"{owner}: not applicable, a Lipschitz and smooth loss is required; {RELU}")
    if not (lipschitz > 0 and smoothness > 0) or n < 1:
        raise DataError(f"{owner}: positive L and beta and n >= 1 are required, got {lipschitz!r}, {smoothness!r} and {n!r}. Bound the gradient first.")
    return lipschitz, smoothness
