"""VC dimensions: by formula for linear and ReLU classifiers, by experiment for any learner, and the bound on the error that they give."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from shatterlab.core.errors import DataError
from shatterlab.statistics.intervals import Values, numbers
from shatterlab.theory.certificates import Certificate

_A, _B, _C = 0.16, 1.2, 0.14928  # of Vapnik, Levin, LeCun; c makes the formula continuous where it leaves 1, at t = 1/2


@dataclass(frozen=True)
class ReluDimension:
    """An upper bound on the VC dimension of a ReLU net.

    Args:
        upper: the bound, with every constant in it.
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

    Raises:
        DataError: d is below 1.

    Source:
        Cover 1965; Vapnik, Chervonenkis 1971.

    Example:
        >>> linear_dimension(2)  # three points of the plane in all 8 ways, four never
        3
    """
    if d < 1:
        raise DataError(f"linear_dimension: d >= 1 is required, got {d!r}. Count again.")
    return d + bias


def relu_dimension(widths: Sequence[int]) -> ReluDimension:
    """An upper bound on the VC dimension of the sign of a fully connected ReLU net with one output.

    L + Lbar W log2(4 e R log2(2 e R)), with W parameters, W_i those up to layer i, Lbar = sum_i W_i / W, k_i units in layer i, R = sum_i i k_i.

    Args:
        widths: d, then the units of each layer; the last is 1.

    Raises:
        DataError: fewer than two widths, or one below 1, or more than one output, or at most two units.

    Source:
        Bartlett, Harvey, Liaw, Mehrabian 2019, "Nearly-tight VC-dimension bounds", theorem 7 (p = d = 1); theorem 3's lower bound is of some net of that size.
    """
    sizes = [int(width) for width in widths]
    if len(sizes) < 2 or min(sizes) < 1 or sizes[-1] != 1 or sum(sizes[1:]) <= 2:
        raise DataError(f"relu_dimension: d, hidden widths and 1 output, of at least 3 units, are required, got {tuple(widths)!r}. Take one output of many.")
    added = [(fan_in + 1) * fan_out for fan_in, fan_out in itertools.pairwise(sizes)]
    layers, parameters = len(added), sum(added)
    up_to = sum(itertools.accumulate(added))
    r = sum(i * units for i, units in enumerate(sizes[1:], 1))
    upper = layers + up_to * math.log2(4 * math.e * r * math.log2(2 * math.e * r))
    return ReluDimension(upper, parameters * layers * math.log2(parameters), parameters, layers)


def fat_shattering(radius: float, reach: float, margin: float) -> int:
    """The fat-shattering dimension at margin g of x -> w.x with |w| <= W on points with |x| <= R: floor((W R / g)^2).

    Exact where d is at least as large; otherwise it is also at most d + 1. The same holds in the space of a kernel with |f| <= W and k(x, x) <= R^2.

    Args:
        radius: W, > 0.
        reach: R, > 0.
        margin: g, > 0.

    Raises:
        DataError: an argument is not positive.

    Source:
        Bartlett, Shawe-Taylor 1999, "Generalization performance of support vector machines and other pattern classifiers".
    """
    if not (radius > 0 and reach > 0 and margin > 0):
        raise DataError(f"fat_shattering: positive W, R and margin are required, got {radius!r}, {reach!r} and {margin!r}. Pass norms.")
    return math.floor((radius * reach / margin) ** 2 * (1 + 1e-12))


def cover_probability(n: int, d: int) -> float:
    """The probability that a hyperplane through 0 in d dimensions separates n points in general position with random +-1 labels.

    P = 2^(1-n) sum_{j<d} C(n-1, j): 1 for n <= d, 1/2 at n = 2 d, near 0 soon beyond; by the incomplete beta function, whose terms do not overflow.

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


def vc_bound(training_error: float, dimension: float, n: int, delta: float = 0.05) -> Certificate:
    """Training error + sqrt(8 (h ln(2 e n / h) + ln(4 / delta)) / n) for a class of two-class classifiers of VC dimension h.

    Args:
        training_error: a fraction.
        dimension: h or an upper bound on it, > 0; above 2 n the class may label 2 n points in every way, and h = 2n is taken.
        n: examples, >= 1.
        delta: in (0, 1).

    Raises:
        DataError: an argument is out of range.

    Source:
        Vapnik, Chervonenkis 1971 (P[sup gap > e] <= 4 growth(2n) exp(-n e^2 / 8)), with the lemma of Sauer 1972 on the growth function.
    """
    if n < 1 or not 0 < delta < 1 or not dimension > 0 or not 0 <= training_error <= 1:
        got = f"{n!r}, {delta!r}, {dimension!r} and {training_error!r}"
        raise DataError(f"vc_bound: n >= 1, delta in (0, 1), a dimension > 0 and an error in [0, 1] are required, got {got}. Pass fractions.")
    ways = dimension * math.log(2 * math.e * n / dimension) if dimension < 2 * n else 2 * n * math.log(2)
    bound = training_error + math.sqrt(8 * (min(ways, 2 * n * math.log(2)) + math.log(4 / delta)) / n)
    return Certificate("VC", bound, training_error, delta, "examples drawn independently and a class of classifiers fixed before they were seen", 0.5)


def expected_deviation(t: float) -> float:
    """Phi(t): the expected largest difference between the error rates of two half samples of size n, at t = n / h.

    1 for t <= 1/2, else a (ln 2t + 1) / (t - c) (sqrt(1 + b (t - c) / (ln 2t + 1)) + 1), a = 0.16, b = 1.2, c = 0.14928, fitted to linear classifiers.

    Args:
        t: the size of each half over the VC dimension, > 0.

    Returns:
        In (0, 1].

    Source:
        Vapnik, Levin, LeCun 1994, "Measuring the VC-dimension of a learning machine".

    Example:
        >>> expected_deviation(0.4), round(expected_deviation(0.5 + 1e-9), 4), expected_deviation(10) < 0.5
        (1.0, 1.0, True)
    """
    if t <= 0.5:
        return 1.0
    rise = math.log(2 * t) + 1
    return min(1.0, _A * rise / (t - _C) * (math.sqrt(1 + _B * (t - _C) / rise) + 1))


@dataclass(frozen=True)
class VCDimension:
    """A fitted experimental VC dimension.

    Args:
        h: the dimension, > 0; the formula's only parameter.
        residual: root mean square distance of the deviations from the formula.
        lower_bound: no deviation is below 1, so that h is only known to be at least twice the largest half.
    """

    h: float
    residual: float
    lower_bound: bool


def fitted_vc_dimension(halves: Values, deviations: Values) -> VCDimension:
    """The h whose formula Phi(n / h) is nearest to measured deviations, by least squares.

    The source trains on 2n examples of two classes with the labels of one half flipped; the deviation is |e1 - (1 - e2)| for training errors e1 and e2 of the
    halves. Random labels make that 1 - 2 e, with e the training error on 2n random labels: no run of its own is needed.

    Args:
        halves: n, the size of each half (half of the training sample), > 0.
        deviations: 1 - 2 e at each, in [0, 1].

    Returns:
        The fit; where every deviation is 1 the smallest h that gives this, as a lower bound.

    Raises:
        DataError: lengths that differ, no value, or values out of range.

    Source:
        Vapnik, Levin, LeCun 1994, "Measuring the VC-dimension of a learning machine".

    Example:
        >>> round(fitted_vc_dimension([10, 20, 40, 80], [expected_deviation(n / 25) for n in (10, 20, 40, 80)]).h, 3)
        25.0
    """
    n, xi = numbers(halves, "fitted_vc_dimension"), numbers(deviations, "fitted_vc_dimension")
    if len(n) != len(xi) or n.min() <= 0 or xi.min() < 0 or xi.max() > 1:
        got = f"{len(xi)} in {xi.min():g}..{xi.max():g} for {len(n)} sizes from {n.min():g}"
        raise DataError(f"fitted_vc_dimension: as many deviations in [0, 1] as sizes > 0 are required, got {got}. Pass 1 - 2 e of two classes.")
    if xi.min() == 1:
        return VCDimension(2 * float(n.max()), 0.0, True)

    from scipy import optimize  # takes a tenth of a second to import

    def distance(log_h: float) -> float:
        return float(np.mean([(expected_deviation(size / math.exp(log_h)) - deviation) ** 2 for size, deviation in zip(n, xi, strict=True)]))

    grid = np.linspace(math.log(n.min()) - 5, math.log(n.max()) + 5, 200)  # the distance may have several minima: start at the best
    best = int(np.argmin([distance(log_h) for log_h in grid]))
    around = (grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)])
    result = optimize.minimize_scalar(distance, bounds=around, method="bounded", options={"xatol": 1e-9})
    return VCDimension(math.exp(result.x), math.sqrt(result.fun), False)
