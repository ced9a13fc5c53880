"""How many labellings of points in general position a hyperplane separates."""

from __future__ import annotations

from scipy import special

from shatterlab.core.errors import DataError


def cover_probability(n: int, d: int) -> float:
    """The probability that a hyperplane through 0 in d dimensions separates n points in general position with random +-1 labels.

    P = 2^(1-n) sum_{j<d} C(n-1, j), the distribution function of a binomial with n - 1 trials: 1 for n <= d, 1/2 at n = 2 d, near 0 soon
    beyond. With a bias it is that of d + 1 dimensions. It is computed by the incomplete beta function, so that no term over- or underflows.

    Args:
        n: how many points, >= 1.
        d: dimensions, >= 1; one more with a bias.

    Returns:
        A probability, accurate to some 1e-12 of itself.

    Raises:
        DataError: n or d is below 1.

    Source:
        Cover 1965, "Geometrical and statistical properties of systems of linear inequalities", theorem 1.

    Example:
        >>> [cover_probability(n, 3) for n in (3, 4, 6)]  # of 16 labellings of four points in space, 14 are separable
        [1.0, 0.875, 0.5]
    """
    if n < 1 or d < 1:
        raise DataError(f"cover_probability: n and d are whole numbers >= 1, got {n} and {d}. Count the points and the dimensions.")
    return 1.0 if n <= d else float(special.betainc(n - d, d, 0.5))
