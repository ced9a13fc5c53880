"""Certificates: bounds on the error of a fitted model that hold with a stated probability under a stated assumption."""

from __future__ import annotations

import math
from dataclasses import dataclass

from shatterlab.core.errors import DataError

_HALVINGS = 100


@dataclass(frozen=True)
class Certificate:
    """An upper bound on an error, its assumption, and whether it is better than guessing.

    Args:
        name: of the bound.
        bound: on the error, a fraction; not clipped at 1.
        training_error: the error on the sample that the bound starts from.
        delta: the bound holds with probability at least 1 - delta over samples.
        assumption: the condition for that.
        chance: the error of guessing, 1 - 1 / k; a bound at or above it is vacuous.
    """

    name: str
    bound: float
    training_error: float
    delta: float
    assumption: str
    chance: float = 1.0

    @property
    def vacuous(self) -> bool:
        """Whether the bound is no better than guessing."""
        return self.bound >= self.chance

    @property
    def text(self) -> str:
        """The bound, its assumption and whether it is vacuous, in one line."""
        judgement = f"vacuous: guessing errs {self.chance:.4g}" if self.vacuous else "not vacuous"
        return f"{self.name}: error <= {self.bound:.4g} with probability {1 - self.delta:g} ({judgement}). Assumes {self.assumption}."


@dataclass(frozen=True)
class CodeLength:
    """The bits that the labels take when each block is coded by a model of the blocks before it.

    Args:
        bits: L, the length of the code.
        uniform_bits: n log2 k, the length without any model.
        p_value: an upper bound on the probability of so short a code if the labels are uniform and independent of all else.
    """

    bits: float
    uniform_bits: float
    p_value: float

    @property
    def saved(self) -> float:
        """Bits saved, n log2 k - L; negative where the model is worse than uniform probabilities."""
        return self.uniform_bits - self.bits

    @property
    def text(self) -> str:
        """The code length and its p-value, in one line."""
        proved = f"P[this or more saved | random labels] <= {self.p_value:.3g}, for any model" if self.saved > 0 else "nothing is saved: it proves nothing"
        return f"code length {self.bits:.1f} of {self.uniform_bits:.1f} bits, {self.saved:.1f} saved; {proved}"


def kl_inverse(error: float, divergence: float) -> float:
    """The largest p with kl(error || p) <= divergence, where kl(q || p) = q ln(q/p) + (1-q) ln((1-q)/(1-p)).

    Args:
        error: q, in [0, 1].
        divergence: in nats, >= 0.

    Returns:
        A probability in [q, 1].

    Raises:
        DataError: an argument is out of range.

    Source:
        Langford 2005, "Tutorial on practical prediction theory for classification"; Seeger 2002.

    Example:
        >>> round(kl_inverse(0.0, 0.6931471805599453), 12)  # 1 - exp(-divergence)
        0.5
    """
    if not 0 <= error <= 1 or not divergence >= 0:
        raise DataError(f"kl_inverse: an error in [0, 1] and a divergence >= 0 are required, got {error!r} and {divergence!r}. Pass fractions and nats.")
    low, high = error, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _kl(error, middle) <= divergence else (low, middle)
    return high if _kl(error, high) <= divergence else low


def pac_bayes(training_error: float, divergence: float, n: int, delta: float = 0.05, classes: int = 2) -> Certificate:
    """The bound kl^-1(training error, (KL + ln(2 sqrt(n) / delta)) / n) on the mean error of a random classifier.

    Args:
        training_error: mean error on the sample of classifiers drawn from the posterior Q, a fraction.
        divergence: KL(Q || P) in nats, >= 0, where the prior P was fixed before the sample was seen.
        n: examples, >= 1.
        delta: in (0, 1).
        classes: k.

    Raises:
        DataError: an argument is out of range.

    Source:
        Maurer 2004; Seeger 2002. McAllester's bound follows by Pinsker's inequality.
    """
    _sized(n, delta, "pac_bayes")
    bound = kl_inverse(training_error, (divergence + math.log(2 * math.sqrt(n) / delta)) / n)
    assumed = "examples drawn independently and a prior chosen before they were seen; the bound is on classifiers drawn from the posterior, not on their mean"
    return Certificate("PAC-Bayes-kl", bound, training_error, delta, assumed, 1 - 1 / classes)


def occam(training_error: float, bits: float, n: int, delta: float = 0.05, classes: int = 2) -> Certificate:
    """The bound kl^-1(training error, (bits ln 2 + ln(1 / delta)) / n): a model of a short description cannot have memorized much.

    Args:
        training_error: a fraction.
        bits: length of a message that gives the classifier, > 0, in a prefix-free code fixed before the sample was seen (`prefix_bits` makes one of bytes).
        n: examples, >= 1.
        delta: in (0, 1).
        classes: k.

    Raises:
        DataError: an argument is out of range.

    Source:
        Blumer, Ehrenfeucht, Haussler, Warmuth 1987; in this form Langford 2005; for compressed nets Zhou et al. 2019.

    Example:
        >>> round(occam(0.0, bits=10, n=1000).bound, 6)  # 1 - exp(-(10 ln 2 + ln 20) / 1000)
        0.009878
    """
    _sized(n, delta, "occam")
    if not bits > 0:
        raise DataError(f"occam: a message of more than 0 bits is required, got {bits!r}. Count the whole message.")
    bound = kl_inverse(training_error, (bits * math.log(2) + math.log(1 / delta)) / n)
    assumed = "examples drawn independently and a prefix-free code chosen before they were seen"
    return Certificate("Occam", bound, training_error, delta, assumed, 1 - 1 / classes)


def prefix_bits(message: bytes) -> int:
    """The bits of a message with its length in front, a prefix-free code: 8 b + 2 floor(log2(b + 1)) + 1 for b bytes.

    Source:
        Elias 1975 (the gamma code, of b + 1).
    """
    return 8 * len(message) + 2 * (len(message) + 1).bit_length() - 1


def ratt(labelled_error: float, random_error: float, labelled: int, randomized: int, classes: int, delta: float = 0.05) -> Certificate:
    """The bound E_S + (k - 1) - k E_R + concentration for a model trained on labelled and randomly labelled examples together.

    E_S, E_R: training errors on n labelled, m randomly labelled examples, W of these with a wrong label. (k - 1) (1 - (m E_R - (m - W) E_C) / W +
    sqrt(ln(4/delta) / 2W)), E_C <= E_S + (1 + (m - W) / n) sqrt(ln(4/delta) / 2(m - W)), for the least favourable W within sqrt(m ln(4/delta) / 2) of (k - 1) m
    / k. Each step fails with probability at most delta / 4 (W: on each side).

    Args:
        labelled_error: E_S, a fraction.
        random_error: E_R, a fraction; 0 for a model that interpolates, which makes the bound vacuous.
        labelled: n, >= 1.
        randomized: m, >= 1.
        classes: k, >= 2.
        delta: in (0, 1).

    Returns:
        The certificate; infinite where m is too small for any statement.

    Raises:
        DataError: an argument is out of range.

    Source:
        Garg et al. 2021, "RATT", theorems 1 and 3; the concentration by Hoeffding's inequality, since the constants differ between versions.
    """
    _sized(min(labelled, randomized), delta, "ratt")
    if not (0 <= labelled_error <= 1 and 0 <= random_error <= 1 and classes >= 2):
        raise DataError(f"ratt: errors in [0, 1] and k >= 2 are required, got {labelled_error!r}, {random_error!r} and {classes!r}. Pass fractions.")
    n, m, room = labelled, randomized, math.log(4 / delta)
    spread, mean = math.sqrt(m * room / 2), m * (classes - 1) / classes
    least, most = math.ceil(mean - spread), min(m - 1, math.floor(mean + spread))

    def bound(wrong: int) -> float:
        right = m - wrong
        on_right = min(1.0, labelled_error + (1 + right / n) * math.sqrt(room / (2 * right)))
        on_wrong = (m * random_error - right * on_right) / wrong
        return (classes - 1) * (1 - on_wrong + math.sqrt(room / (2 * wrong)))

    worst = max(bound(wrong) for wrong in range(least, most + 1)) if 1 <= least <= most else math.inf
    learner = "a learner that minimizes the number of training errors over a class (or a linear model trained by gradient descent)"
    assumed = f"examples drawn independently and {learner}; of deep nets that is assumed, not known"
    return Certificate("RATT", worst, labelled_error, delta, assumed, 1 - 1 / classes)


def code_length(bits: float, n: int, classes: int) -> CodeLength:
    """The p-value of a prequential code of n labels: 2^(n log2 k - L) has mean 1 on uniformly random labels, whatever the model.

    Hence P[n log2 k - L >= c] <= 2^-c: an exact test of the hypothesis that the labels are random.

    Args:
        bits: L, the sum of -log2 p(label | all that was coded before), >= 0.
        n: labels, >= 1.
        classes: k, >= 2.

    Returns:
        The code length with its p-value, min(1, 2^-(n log2 k - L)).

    Raises:
        DataError: an argument is out of range.

    Source:
        Dawid 1984 (prequential codes); Ville 1939 (the inequality).

    Example:
        >>> code_length(80.0, n=100, classes=2).p_value == 2.0**-20
        True
    """
    if n < 1 or classes < 2 or not bits >= 0:
        raise DataError(f"code_length: n >= 1, k >= 2 and bits >= 0 are required, got {n!r}, {classes!r} and {bits!r}. Count again.")
    uniform = n * math.log2(classes)
    return CodeLength(bits, uniform, min(1.0, 2.0 ** max(bits - uniform, -1074)) if bits < uniform else 1.0)


def _kl(q: float, p: float) -> float:
    first = q * math.log(q / p) if q else 0.0
    return first + ((1 - q) * math.log((1 - q) / (1 - p)) if p < 1 else math.inf) if q < 1 else first


def _sized(n: int, delta: float, owner: str) -> None:
    if n < 1 or not 0 < delta < 1:
        raise DataError(f"{owner}: n >= 1 and delta in (0, 1) are required, got {n!r} and {delta!r}. Use 0.05, say.")
