"""What an audit says of one model: is its score real, how much of it could be memory, and what that means."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from shatterlab.analysis.metric import Metric
from shatterlab.analysis.naming import capital
from shatterlab.analysis.naming import model as model_name
from shatterlab.analysis.null_distribution import NullTest, null_test
from shatterlab.core import Row
from shatterlab.statistics import Interval, clopper_pearson, ratio_interval
from shatterlab.statistics.permutations import p_text, significant
from shatterlab.studies.gap_sentence import gap_sentence

_LEVEL = 0.95
_ALL, _NONE = 0.95, 0.05  # of the training score above the baseline: what permuted labels reach is all of it, none of it
_SHOWN_FROM = 3  # replicates, from which on an interval is printed
_UNEQUAL = 0.8  # share of the majority class, from which on accuracy says little

Signal = Literal["real", "small", "no use", "not shown", "undecided", "too few", "given away", "unknown"]
Memory = Literal["all", "part", "none", "nothing", "unknown"]

_KINDS: tuple[Memory, ...] = ("all", "part", "none", "nothing")
_MEANING: dict[Signal, tuple[str, str, str, str]] = {  # by what permuted labels reach of the training score
    "real": (
        "It has learned, and it would have fitted noise as well: believe its test score, never its training score.",
        "It has learned, and part of its training score may be memory: believe its test score.",
        "It has learned, and it could not have memorized: its training score is honest too.",
        "It has learned something that its training score does not show: look at how the two splits differ.",
    ),
    "small": (
        "It has learned something, too little to be sure that it is of use; its training score is what it reaches on noise.",
        "It has learned something, too little to be sure that it is of use; part of its training score may be memory.",
        "It has learned something, too little to be sure that it is of use, and it memorizes nothing.",
        "It has learned something, too little to be sure that it is of use, and no more than that in training.",
    ),
    "no use": (
        "The inputs say something about the labels, but it is of no use as it is: a constant answer scores as high, and it fits noise as well.",
        "The inputs say something about the labels, but it is of no use as it is: a constant answer scores as high. Part of its training may be memory.",
        "The inputs say something about the labels, but it is of no use as it is: a constant answer scores as high. It memorizes nothing.",
        "The inputs say something about the labels, but it is of no use as it is: a constant answer scores as high, even in training.",
    ),
    "not shown": (
        "Nothing shows that it has learned: it fits these labels as it fits noise.",
        "Nothing shows that it has learned: part of its training score may be memory, and the rest did not carry over to the test split.",
        "Nothing shows that it has learned, although it fits true labels better than permuted ones: the splits may differ, or too few are tested.",
        "Nothing shows that it has learned, nor that it memorizes: a constant answer is as good, even in training.",
    ),
    "undecided": (
        "Whether it has learned is open, and its training score cannot tell: it fits noise as well.",
        "Whether it has learned is open; part of its training score may be memory.",
        "Whether it has learned is open; that it fits true labels better than permuted ones speaks for it.",
        "Whether it has learned is open; in training a constant answer is as good.",
    ),
    "too few": (
        "With so few examples no score can be told from luck, and it would have fitted noise as well.",
        "With so few examples no score can be told from luck; part of its training score may be memory.",
        "With so few examples no score can be told from luck, although it fits true labels better than permuted ones.",
        "With so few examples no score can be told from luck; in training a constant answer is as good.",
    ),
    "given away": (
        "What it has learned can be said when the data are mended; its training score is what it reaches on noise.",
        "What it has learned can be said when the data are mended; part of its training score may be memory.",
        "What it has learned can be said when the data are mended; it does not memorize.",
        "What it has learned can be said when the data are mended; in training a constant answer is as good.",
    ),
    "unknown": (
        "Its training score is what it reaches on noise: only its test score can say what it has learned.",
        "Part of its training score may be memory: only its test score can say what it has learned.",
        "It could not have memorized: its training score is what it has found in the training data.",
        "In training a constant answer is as good.",
    ),
}


@dataclass(frozen=True, eq=False)
class Finding:
    """The verdict on one model.

    Args:
        model: its name.
        sentences: the verdict, the main sentence first.
        signal: whether the test score is more than permuted labels give: "real", "small" (real, but perhaps no gain over the baseline), "no use" (not above
            the baseline), "not shown", "undecided" (more permutations would tell), "too few" (examples), "given away" (by the data) or "unknown".
        kind: how much of the training score above the baseline permuted labels reach: "all", "part", "none", "nothing" (there is none) or "unknown".
        score: mean test score on true labels.
        baseline: the test score of always answering the majority class, or the mean.
        null: the permutation test.
        memory: the share of the training score above the baseline that permuted labels reach too, in [0, 1].
        fitted: permuted replicates that are fitted without an error.
        replicates: permuted replicates that ended.
        failed: trials that failed.
    """

    model: str
    sentences: tuple[str, ...]
    signal: Signal = "unknown"
    kind: Memory = "unknown"
    score: float | None = None
    baseline: float | None = None
    null: NullTest | None = None
    memory: float | None = None
    fitted: int = 0
    replicates: int = 0
    failed: int = 0

    @property
    def p_value(self) -> float | None:
        """Of the permutation test; None where it was left out."""
        return None if self.null is None else self.null.p

    @property
    def text(self) -> str:
        """The model's name and the verdict in one line."""
        return f"{self.model}: {' '.join(self.sentences)}"


def findings(rows: Iterable[Row], permutations: int = 0, leaks: bool = False, least: float = 0.0) -> list[Finding]:
    """One finding a model, in the order of the rows.

    Args:
        rows: of an audit.
        permutations: planned at most.
        leaks: whether the data themselves may give test labels away, so that no score on them is called real.
        least: a bound on every p-value: 1 over the arrangements of the labels.
    """
    models: dict[str, list[Row]] = {}
    for row in rows:
        learner = {column: value for column, value in row.items() if column.startswith("learner.")}
        models.setdefault(json.dumps(learner, sort_keys=True), []).append(row)
    return [_finding(members, permutations, leaks, least) for members in models.values()]


def verdict(findings: Sequence[Finding]) -> list[str]:
    """Of one model its sentences, the main one first; of several a summary, then one line each."""
    if len(findings) == 1:
        first, *rest = findings[0].sentences
        return [f"{findings[0].model}: {first}", *rest]
    real = [finding.model for finding in findings if finding.signal in ("real", "small")]
    noise = [finding.model for finding in findings if finding.kind == "all"]
    names = f" ({', '.join(real)})" if real else ""
    sentence = f"The score of {len(real)} of {len(findings)} models is real{names}."
    fits = f" The training score of {len(noise)} proves nothing ({', '.join(noise)})." if noise else ""
    return [sentence + fits, *(finding.text for finding in findings)]


def _finding(rows: Sequence[Row], permutations: int, leaks: bool, least: float) -> Finding:
    name, metric = model_name(rows[0]), Metric.of(rows)
    ended = [row for row in rows if row["status"] in ("ok", "diverged")]
    true, noise = _replicates(ended, "PartialLabels", 0.0), _replicates(ended, "PermutedLabels", 1.0)
    failed = len(rows) - len(ended)
    problems = [f"{failed} of {len(rows)} trials failed and are left out."] if failed else []
    diverged = sum(row["status"] == "diverged" for row in ended)
    problems += [f"{diverged} of {len(rows)} trials diverged."] if diverged else []
    known = [row for row in true.values() if metric.of_row(row, "test") is not None]
    if not known:
        why = "training diverges on true labels: lower the learning rate" if true else "no trial with true labels ended"
        return Finding(name, (f"No verdict: {why}.", *problems), failed=failed)
    null = null_test(rows, permutations, metric.column("test"), _LEVEL, least) if permutations else None
    score = _Score.of(known, metric, null, leaks)
    fit = _Training.of(known, [row for row in ended if row["corruption.kind"] == "PermutedLabels" and row["corruption.level"] == 1], metric)
    fitted = sum(metric.perfect(row) for row in noise.values())
    sentences = [score.sentence(null), fit.sentence(), gap_sentence(rows), _meaning(score.signal, fit.kind) + _advice(score.signal, fit.kind, known)]
    sentences += [*_swallowed(true, noise, fitted, metric), *_open(score, null, metric), *problems]
    told = tuple(filter(None, sentences))
    return Finding(name, told, score.signal, fit.kind, score.value, score.baseline, null, fit.share, fitted, len(noise), failed)


def _replicates(rows: Iterable[Row], kind: str, level: float) -> dict[Any, Row]:
    """The rows of whole replicates, whose four seeds are equal, by their seed; further permutations of the first replicate are none."""
    replicates = {}
    for row in rows:
        seeds = {row[f"seeds.{stream}"] for stream in ("data", "corruption", "init", "order")}
        if row["corruption.kind"] == kind and row["corruption.level"] == level and len(seeds) == 1:
            replicates[seeds.pop()] = row
    return replicates


@dataclass(frozen=True)
class _Score:
    """The test score on true labels."""

    value: float
    interval: Interval
    baseline: float
    signal: Signal
    metric: Metric

    @classmethod
    def of(cls, true: Sequence[Row], metric: Metric, null: NullTest | None, leaks: bool) -> _Score:
        values = [float(value) for row in true if (value := metric.of_row(row, "test")) is not None]
        guesses = [metric.baseline(row, "test") for row in true]
        sizes = {row.get("test.n") for row in true}
        examples = int(str(sizes.pop())) if len(sizes) == 1 and None not in sizes else None
        errors = [float(str(each)) for row in true if (each := row.get("test.r2_se")) is not None]
        value, guess, interval = sum(values) / len(values), sum(guesses) / len(guesses), metric.interval(values, examples, errors)
        return cls(value, interval, guess, cls._signal(value, guess, interval, null, leaks), metric)

    @staticmethod
    def _signal(value: float, guess: float, interval: Interval, null: NullTest | None, leaks: bool) -> Signal:
        if null is None:
            return "given away" if leaks else "unknown"
        if null.smallest_p > significant(null.level):
            return "too few"
        if not null.significant:
            open_still = not null.stopped and clopper_pearson(null.exceedances, len(null.null)).low <= significant(null.level)
            return "undecided" if open_still else "not shown"
        if leaks:
            return "given away"
        return "no use" if value <= guess else "small" if -math.inf < interval.low <= guess else "real"

    def sentence(self, null: NullTest | None) -> str:
        """Is the score real? The answer first."""
        metric, interval = self.metric, self.interval
        spread = f" [{metric.text(interval.low, unit=False)}, {metric.text(interval.high, unit=False)}]" if math.isfinite(interval.low) else ""
        spread = "" if (interval.low, interval.high) == (0, 1) else spread
        answer = f"{self._answer()} " if null is not None else ""
        first = f"{answer}Test {metric.title} {metric.text(self.value)}{spread}; {metric.constant} gives {metric.text(self.baseline)}"
        if null is None:
            return f"{first}; without permutations nothing says whether that is luck."
        best, p = float(null.null.max()), p_text(null.p, significant(null.level))
        permuted = f"with permuted {metric.labels} at best {metric.text(best)}" if math.isfinite(best) else f"some permuted {metric.labels} gave no score"
        count = f"{len(null.null)} permutation{'s' if len(null.null) > 1 else ''}{', which decided it' if null.stopped else ''}"
        return f"{first}; {permuted}: p = {p} ({count})."

    def _answer(self) -> str:
        return {
            "real": "Your score is real.",
            "small": f"Your score is real, but that it beats {self.metric.constant} is not shown.",
            "no use": "Your score is real, but no better than the constant answer.",
            "not shown": f"Your score is not shown to be real{' and lies below the constant answer' if self.interval.high < self.baseline else ''}.",
            "undecided": "Whether your score is real is not decided.",
            "too few": "No score can be shown to be real.",
            "given away": "The score is not luck, but the data give labels away (below).",
            "unknown": "",
        }[self.signal]


@dataclass(frozen=True)
class _Training:
    """The training score on true and on permuted labels."""

    true: float
    noise: float
    baseline: float
    interval: Interval
    count: int
    metric: Metric

    @classmethod
    def of(cls, true: Sequence[Row], noise: Sequence[Row], metric: Metric) -> _Training:
        values = [value for row in noise if (value := metric.of_row(row, "train")) is not None]
        reached = [value for row in true if (value := metric.of_row(row, "train")) is not None]
        guess = sum(metric.baseline(row, "train") for row in true) / len(true)
        interval = metric.interval(values, None) if values else Interval(math.nan, math.nan, math.nan, _LEVEL, "none", 0)
        return cls(sum(reached) / max(1, len(reached)) if reached else math.nan, interval.estimate, guess, interval, len(values), metric)

    @property
    def share(self) -> float | None:
        """Of the training score above the baseline: what permuted labels reach too."""
        gained = self.true - self.baseline
        if not self.count or math.isnan(gained) or gained <= 1e-9:
            return None
        return min(1.0, max(0.0, (self.noise - self.baseline) / gained))

    @property
    def kind(self) -> Memory:
        """In words."""
        if self.count == 0 or math.isnan(self.true):
            return "unknown"
        share = self.share
        return "nothing" if share is None else "all" if share >= _ALL else "none" if share <= _NONE else "part"

    def sentence(self) -> str:
        """How much could be memory?"""
        metric = self.metric
        if self.kind == "unknown":
            return f"No trial with permuted {metric.labels} ended, so nothing is known of memory."
        first = f"Training {metric.title} {metric.text(self.true)} on true and {metric.text(self.noise)} on permuted {metric.labels}"
        points = f"{metric.text(self.true - self.baseline, unit=False)}{' points' if metric.name == 'accuracy' else ''}"
        gained = f"of the {points} above the constant answer, memory alone could make"
        if self.kind == "nothing":
            return f"{first}: no better than {metric.constant} ({metric.text(self.baseline)})."
        if self.kind == "all":
            return f"{first}: your training score proves nothing."
        if self.kind == "none":
            return f"{first}: {gained} {'none' if self.noise <= self.baseline else f'no more than {metric.text(self.noise - self.baseline, unit=False)}'}."
        return f"{first}: {gained} {metric.text(self.noise - self.baseline, unit=False)}{self._spread()}."

    def _spread(self) -> str:
        low, high = self.interval.low - self.baseline, self.interval.high - self.baseline
        if self.count < _SHOWN_FROM or not math.isfinite(low) or (self.interval.low, self.interval.high) == (0, 1):
            return ""
        return f" [{self.metric.text(max(0.0, low), unit=False)}, {self.metric.text(high, unit=False)}]"


def _meaning(signal: Signal, kind: Memory) -> str:
    return _MEANING[signal][_KINDS.index(kind)] if kind in _KINDS else ""


def _advice(signal: Signal, kind: Memory, true: Sequence[Row]) -> str:
    """What may help; epochs only for what has them."""
    if kind not in ("none", "nothing") or signal in ("real", "given away", "unknown"):
        return ""
    if any(row.get("fit.epochs") for row in true):
        return " More epochs or another learning rate may fit more." if not any(row.get("train.error") == 0 for row in true) else ""
    return "" if kind == "none" else " A more flexible model may fit more."


def _swallowed(true: Mapping[Any, Row], noise: Mapping[Any, Row], fitted: int, metric: Metric) -> list[str]:
    """Of a model with epochs: whether it swallows noise, and how much slower."""
    budgets = {int(str(row["fit.epochs"])) for row in noise.values() if row.get("fit.epochs")}
    if not budgets:
        return []
    n = len(noise)
    sure = clopper_pearson(fitted, n, _LEVEL)
    if not fitted:
        within = f"{max(budgets)} epoch{'s' if max(budgets) > 1 else ''}"
        return [f"It fits permuted {metric.labels} in 0 of {n} replicates within {within} (P(fit) <= {sure.high:.2f})."]
    return [f"It fits permuted {metric.labels} in {fitted} of {n} replicates (P(fit) >= {sure.low:.2f}){_slowdown(true, noise, metric)}."]


def _slowdown(true: Mapping[Any, Row], noise: Mapping[Any, Row], metric: Metric) -> str:
    both = [(noise[seed], true[seed]) for seed in noise if seed in true and metric.perfect(noise[seed]) and metric.perfect(true[seed])]
    times = [(a.get("fit.epochs_to_interpolation"), b.get("fit.epochs_to_interpolation")) for a, b in both]
    known = [(float(a), float(b)) for a, b in times if isinstance(a, int | float) and isinstance(b, int | float)]
    if not known:
        return ""
    interval = ratio_interval([a for a, _ in known], [b for _, b in known], _LEVEL)
    factor, low, high, word = interval.estimate, interval.low, interval.high, "slower"
    if factor < 1:
        factor, low, high, word = 1 / factor, 1 / high, 1 / low, "faster"
    spread = f" [{low:.1f}, {high:.1f}]" if interval.method == "log-ratio t" else ""
    return f", {factor:.1f}x{spread} {word} than true ones"


def _open(score: _Score, null: NullTest | None, metric: Metric) -> list[str]:
    """What was not decided, and what would decide it."""
    if null is None:
        return ["Not decided: whether the score is luck. Permutations would tell: permutations=99."]
    told = []
    if score.signal == "undecided":
        told.append(f"Not decided: whether the score is luck. permutations={10 * (null.planned + 1) - 1} would tell.")
    elif score.signal == "too few":
        told.append(f"Not decided, and cannot be: p is at least {p_text(null.smallest_p, significant(null.level))} with these examples. Collect more.")
    elif score.signal == "not shown" and null.detectable is not None and math.isfinite(null.detectable):
        told.append(f"A test {metric.title} above {metric.text(null.detectable)} would have been shown to be real.")
    elif score.signal == "small":
        told.append("Not decided: the gain over the constant answer. More test examples would tell.")
    if metric.name == "accuracy" and score.baseline >= _UNEQUAL and score.signal in ("small", "no use", "not shown", "undecided"):
        told.append(f"{capital(metric.title)} says little where one class has {100 * score.baseline:.0f} %: ask sl.significance(..., scoring='roc_auc').")
    return told
