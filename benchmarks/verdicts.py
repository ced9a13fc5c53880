"""How often do intervals hold the truth, and how often is a claim at the border of what is true called reproduced? A seeded simulation.

    python benchmarks/verdicts.py [--repetitions 1000] > benchmarks/results/verdicts.txt

Every case draws replicates from a known law, reads them as a trial's row would give them (shares of so many examples, times in whole epochs), and asks the
package for its interval and its verdict. Printed as percentages: the coverage of intervals that say 95 %, and how often a claim whose bound is exactly the
true mean is called "reproduced" (at most 2.5 % is the aim), for n = 2, 3, 5, 10, 20 replicates; then the same for families of claims, judged together (at most
5 %). At 1,000 repetitions coverage is uncertain by 1.4 and a rate of 2.5 % by 1.0 points (two standard errors).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from shatterlab.core import Row
from shatterlab.design.claims import Claim, difference, judge_together, mean, ratio
from shatterlab.design.verdicts import ClaimedRange, sample

SIZES = (2, 3, 5, 10, 20)
Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]
TEST = {"accuracy": ("test.accuracy", "test.n"), "time": ("fit.epochs_to_interpolation", ""), "loss": ("test.loss", ""), "score": ("my.score", "")}


@dataclass(frozen=True)
class Case:
    """A law of replicates: `draw` gives what lies behind the rows, `target` what the interval should hold."""

    kind: str
    name: str
    draw: Draw
    target: float
    examples: int = 0
    other: Draw | None = None
    divided: bool = False

    @property
    def column(self) -> str:
        return TEST[self.kind.partition(" ")[0]][0]

    def rows(self, rng: np.random.Generator, behind: np.ndarray) -> list[list[dict[str, float]]]:
        if self.kind.startswith("accuracy"):
            values = rng.binomial(self.examples, np.clip(behind, 0, 1)) / self.examples
        elif self.kind.startswith("time"):
            values = np.maximum(1, np.ceil(behind))
        else:
            values = behind
        extra = {"test.n": self.examples} if self.examples else {}
        return [[{self.column: int(value) if self.kind.startswith("time") else float(value), **extra} for value in line] for line in values]


def normal(mean: float, deviation: float) -> Draw:
    return lambda rng, shape: rng.normal(mean, deviation, shape)


def lognormal(middle: float, deviation: float) -> Draw:
    return lambda rng, shape: middle * np.exp(rng.normal(0, deviation, shape))


def fixed(value: float) -> Draw:
    return lambda rng, shape: np.full(shape, value)


def skewed(mean: float, concentration: float) -> Draw:
    return lambda rng, shape: rng.beta(mean * concentration, (1 - mean) * concentration, shape)


CASES = (
    Case("accuracy", "normal: 50 %, deviation 3 points, 2,000 examples", normal(0.5, 0.03), 0.5, 2000),
    Case("accuracy", "discrete: 90 %, deviation 0.3 points, 100 examples", normal(0.9, 0.003), 0.9, 100),
    Case("accuracy", "counting alone: 10 % of 200 examples", fixed(0.1), 0.1, 200),
    Case("accuracy", "skewed: beta law, mean 5 %, 400 examples", skewed(0.05, 40), 0.05, 400),
    Case("accuracy", "boundary: 2 % of 50 examples", fixed(0.02), 0.02, 50),
    Case("accuracy", "boundary: 0.1 % of 500 examples", fixed(0.001), 0.001, 500),
    Case("accuracy", "extreme skewness: exponential-like, mean 1 %, 5,000 examples", skewed(0.01, 100), 0.01, 5000),
    Case("accuracy difference", "normal: 3 points, 500 examples", normal(0.53, 0.02), 0.03, 500, normal(0.5, 0.02)),
    Case("accuracy difference", "none, 100 examples each at 90 %", fixed(0.9), 0.0, 100, fixed(0.9)),
    Case("accuracy difference", "boundary: none, 500 examples each at 99.9 %", fixed(0.999), 0.0, 500, fixed(0.999)),
    Case("time", "20 epochs, deviation a tenth", lognormal(20, 0.1), 20),
    Case("time", "20 epochs, deviation 0.4", lognormal(20, 0.4), 20),
    Case("time", "discrete: 8.4 epochs, deviation 0.05", lognormal(8.4, 0.05), 8.4),
    Case("time", "boundary: 1.5 epochs, deviation 0.4", lognormal(1.5, 0.4), 1.5),
    Case("time", "skewed: 100 epochs, deviation 0.7", lognormal(100, 0.7), 100),
    Case("time difference", "0.9 epochs, deviation 0.4", normal(10.9, 0.4), 0.9, 0, fixed(10.0)),
    Case("time difference", "5 epochs, deviation 2", normal(25.0, 2.0), 5.0, 0, normal(20.0, 0.5)),
    Case("time ratio", "1.5, deviation 0.1 a side", lognormal(30, 0.1), 1.5, 0, lognormal(20, 0.1), True),
    Case("loss", "lognormal, deviation 0.5", lognormal(0.3, 0.5), 0.3),
    Case("loss", "gamma law of shape 4", lambda rng, shape: rng.gamma(4, 1, shape), float(np.exp(1.2561176684318003))),
    Case("loss ratio", "2, deviation 0.3 a side", lognormal(0.6, 0.3), 2.0, 0, lognormal(0.3, 0.3), True),
    Case("score", "normal", normal(0, 1), 0.0),
    Case("score", "heavy tails: Laplace", lambda rng, shape: rng.laplace(size=shape), 0.0),
    Case("score", "skewed: Gumbel", lambda rng, shape: rng.gumbel(size=shape), float(np.euler_gamma)),
    Case("score", "discrete: whole deviations", lambda rng, shape: np.round(rng.normal(0, 1, shape)), 0.0),
)


def measured(case: Case, repetitions: int, rng: np.random.Generator) -> Iterator[tuple[int, float, float]]:
    """(n, coverage, the more frequent of the two false verdicts at the border: at least, at most) for each n."""
    for n in SIZES:
        ours = case.rows(rng, case.draw(rng, (repetitions, n)))
        theirs = case.rows(rng, case.other(rng, (repetitions, n))) if case.other else None
        covered, above, below = 0, 0, 0
        for i in range(repetitions):
            pairs = [(Row({**row, "key": j}), *((Row({**theirs[i][j], "key": -j}),) if theirs else ())) for j, row in enumerate(ours[i])]
            values = sample("", pairs, case.column, case.divided)
            interval = values.interval(0.95)
            covered += interval.low <= case.target <= interval.high
            decided = interval.method != "no spread" and not values.certain
            above += decided and interval.low >= case.target
            below += decided and interval.high <= case.target
        yield n, covered / repetitions, max(above, below) / repetitions


def families(repetitions: int, rng: np.random.Generator) -> Iterator[tuple[str, list[float]]]:
    """How often some claim of a family is called reproduced where all are false at the border (each by its own replicates)."""
    single = {"learner.kind": "A"}
    claims: list[tuple[Claim, Case]] = []
    for i, case in enumerate([CASES[0], CASES[7], CASES[10], CASES[17], CASES[18], CASES[21]] * 3):
        where, versus = {**single, "corruption.level": float(i)}, {**single, "corruption.level": i + 0.5}
        make = ratio if case.divided else difference
        claim = make(case.name, case.column, where, versus, low=case.target) if case.other else mean(case.name, case.column, where, low=case.target)
        claims.append((claim, case))
    for size in (1, 6, 18):
        rates = []
        for n in (3, 5):
            wrong = 0
            for _ in range(repetitions):
                rows = [row for i, (_, case) in enumerate(claims[:size]) for row in _family_rows(case, i, n, rng)]
                verdicts = judge_together([claim for claim, _ in claims[:size]], rows, "laptop")
                wrong += any(judged.verdict == "reproduced" for judged in verdicts)
            rates.append(wrong / repetitions)
        yield f"{size} claims, all false at the border", rates


def _family_rows(case: Case, place: int, n: int, rng: np.random.Generator) -> Iterator[Row]:
    for level, draw in ((float(place), case.draw), (place + 0.5, case.other)):
        for j, row in enumerate(case.rows(rng, draw(rng, (1, n)))[0] if draw else ()):
            yield Row({**row, "learner.kind": "A", "corruption.level": level, "seeds.order": j, "key": f"{place} {level} {j}", "status": "ok"})


def all_or_none(repetitions: int, rng: np.random.Generator) -> Iterator[tuple[str, list[float]]]:
    """Zero training error in each run with probability 0.7: how often a mean of it is called reproduced."""
    rates = []
    for n in SIZES:
        fitted = rng.random((repetitions, n)) < 0.7
        wrong = 0
        for line in fitted:
            rows = [(Row({"train.error": 0.0 if good else 0.1, "train.n": 500, "key": j}),) for j, good in enumerate(line)]
            found = ClaimedRange(None, 0.0, 0.95, True).judge([sample("", rows, "train.error")], "replicates")
            wrong += found.verdict == "reproduced"
        rates.append(wrong / repetitions)
    yield "zero training error, P(fit) = 0.7", rates


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=1000)
    repetitions = parser.parse_args().repetitions
    head = " ".join(f"{f'n={n}':>6}" for n in SIZES)
    print(f"{repetitions} repetitions, seed 0; percentages\n\n{'':20} {'':60} coverage of 95 %: {head}   reproduced at the border: {head}")
    for i, case in enumerate(CASES):
        results = list(measured(case, repetitions, np.random.default_rng([0, i])))
        cover, wrong = (" ".join(f"{100 * result[j]:6.1f}" for result in results) for j in (1, 2))
        print(f"{case.kind:20} {case.name:60} {'':18}{cover}   {'':25}{wrong}", flush=True)
    print(f"\nfamilies: some claim called reproduced, by Holm's correction; {repetitions // 4} repetitions, n = 3 and 5")
    for name, rates in families(repetitions // 4, np.random.default_rng(1)):
        print(f"{name:60} {' '.join(f'{100 * rate:6.1f}' for rate in rates)}", flush=True)
    print(f"\nall or none: called reproduced (never: it is counted), {head}")
    for name, rates in all_or_none(repetitions // 4, np.random.default_rng(2)):
        print(f"{name:60} {' '.join(f'{100 * rate:6.1f}' for rate in rates)}")


if __name__ == "__main__":
    main()
