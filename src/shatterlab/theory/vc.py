"""Combinatorial dimensions: what a class could fit in the worst case, by formula."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from shatterlab.core.errors import DataError
from shatterlab.theory.certificates import Certificate


@dataclass(frozen=True)
class ReluDimension:
    """What is known of the VC dimension of a ReLU net.

    Args:
        upper: an upper bound with every constant in it.
        order: W L log2 W, the order of growth of that bound, without a constant.
        parameters: W.
        layers: L, layers with weights.
    """

    upper: float
    order: float
    parameters: int
    layers: int


def linear_dimension(d: int, bias: bool = True) -> int:
    """The VC dimension of linear classifiers in d dimensions: d + 1, or d through 0.

    Args:
        d: >= 1.
        bias: whether there is a threshold.

    Returns:
        The dimension, exactly.

    Raises:
        DataError: d is below 1.

    Source:
        Cover 1965; Vapnik, Chervonenkis 1971.

    Example:
        >>> linear_dimension(2)  # three points of the plane in all 8 ways, four never
        3
    """
    _whole(d, "linear_dimension", "d")
    return d + bias


def relu_dimension(widths: Sequence[int]) -> ReluDimension:
    """An upper bound on the VC dimension of the sign of a fully connected ReLU net with one output.

    L + Lbar W log2(4 e R log2(2 e R)), with W parameters, W_i those up to layer i, Lbar = sum_i W_i / W, k_i units in layer i, R = sum_i i k_i.

    Args:
        widths: d, then the units of each layer; the last is 1.

    Returns:
        The bound and its order.

    Raises:
        DataError: fewer than two widths, or one below 1, or more than one output, or at most two units.

    Source:
        Bartlett, Harvey, Liaw, Mehrabian 2019, "Nearly-tight VC-dimension and pseudodimension bounds for piecewise linear neural networks",
        theorem 7 with p = 1, d = 1. The lower bound of the order of W L log2(W / L) (theorem 3) is of some net of that size, not of each.
    """
    sizes = [int(each) for each in widths]
    if len(sizes) < 2 or min(sizes) < 1 or sizes[-1] != 1 or sum(sizes[1:]) <= 2:
        raise DataError(f"relu_dimension: d, hidden widths and 1 output, of at least 3 units, are required, got {tuple(widths)!r}. Take one output of many.")
    added = [(fan_in + 1) * fan_out for fan_in, fan_out in itertools.pairwise(sizes)]
    layers, parameters = len(added), sum(added)
    up_to = [sum(added[: i + 1]) for i in range(layers)]
    r = sum(i * units for i, units in enumerate(sizes[1:], 1))
    upper = layers + sum(up_to) * math.log2(4 * math.e * r * math.log2(2 * math.e * r))
    return ReluDimension(upper, parameters * layers * math.log2(parameters), parameters, layers)


def fat_shattering(radius: float, reach: float, margin: float) -> int:
    """The fat-shattering dimension at margin g of x -> w.x with |w| <= W on points with |x| <= R: floor((W R / g)^2).

    It does not depend on the dimension d, as long as d is at least as large (else it is at most d + 1 besides). The same holds in a kernel's space
    with |f| <= W and k(x, x) <= R^2: norms take the place of counts.

    Args:
        radius: W, > 0.
        reach: R, > 0.
        margin: g, > 0.

    Returns:
        The dimension, exactly in a space of enough dimensions.

    Raises:
        DataError: an argument is not positive.

    Source:
        Bartlett, Shawe-Taylor 1999, "Generalization performance of support vector machines and other pattern classifiers".
    """
    if not (radius > 0 and reach > 0 and margin > 0):
        raise DataError(f"fat_shattering: positive W, R and margin are required, got {radius!r}, {reach!r} and {margin!r}. Pass norms.")
    return math.floor((radius * reach / margin) ** 2 * (1 + 1e-12))


def growth(dimension: int, n: int) -> int:
    """At most how many labellings of n points a class of this VC dimension has: sum_{i <= dimension} C(n, i).

    Raises:
        DataError: n or the dimension is below 1.

    Source:
        Sauer 1972; Shelah 1972.

    Example:
        >>> growth(3, 4)  # all but one of the 16
        15
    """
    _whole(dimension, "growth", "dimension")
    _whole(n, "growth", "n")
    return sum(math.comb(n, i) for i in range(min(dimension, n) + 1))


def separable(n: int, d: int) -> float:
    """P[a linear classifier through 0 in R^d fits n random labels of points in general position]: 2^(1-n) sum_{j<d} C(n-1, j).

    Returns:
        The probability, 1 for n <= d and 1/2 at n = 2d.

    Raises:
        DataError: n or d is below 1.

    Source:
        Cover 1965.

    Example:
        >>> separable(10, 5)
        0.5
    """
    _whole(n, "separable", "n")
    _whole(d, "separable", "d")
    ways = sum(math.comb(n - 1, j) for j in range(min(d, n)))
    return float(ways / 2 ** (n - 1))


def vc_bound(training_error: float, dimension: float, n: int, delta: float = 0.05) -> Certificate:
    """Training error + sqrt(8 (h ln(2 e n / h) + ln(4 / delta)) / n) for a class of two-class classifiers of VC dimension h.

    Args:
        training_error: a fraction.
        dimension: h or an upper bound on it, > 0; above 2 n the class may label 2 n points in every way, and h = 2n is taken.
        n: examples, >= 1.
        delta: in (0, 1).

    Returns:
        The certificate.

    Raises:
        DataError: an argument is out of range.

    Source:
        Vapnik, Chervonenkis 1971 (P[sup gap > e] <= 4 growth(2n) exp(-n e^2 / 8)), with Sauer's lemma.
    """
    if n < 1 or not 0 < delta < 1 or not dimension > 0 or not 0 <= training_error <= 1:
        got = f"{n!r}, {delta!r}, {dimension!r} and {training_error!r}"
        raise DataError(f"vc_bound: n >= 1, delta in (0, 1), a dimension > 0 and an error in [0, 1] are required, got {got}. Pass fractions.")
    ways = dimension * math.log(2 * math.e * n / dimension) if dimension < 2 * n else 2 * n * math.log(2)
    bound = training_error + math.sqrt(8 * (min(ways, 2 * n * math.log(2)) + math.log(4 / delta)) / n)
    return Certificate("VC", bound, training_error, delta, "examples drawn independently and a class of classifiers fixed before they were seen", 0.5)


def _whole(value: int, owner: str, name: str) -> None:
    if value < 1:
        raise DataError(f"{owner}: {name} >= 1 is required, got {value!r}. Count again.")
