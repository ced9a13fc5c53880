"""The verdict of an audit on each recipe, in plain words and with its uncertainty."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shatterlab.analysis.naming import model
from shatterlab.core import Row
from shatterlab.statistics import clopper_pearson, equivalence, mean_interval, ratio_interval

CHANCE_MARGIN = 0.05  # of test accuracy: what still counts as chance, stated before looking
_LEVEL = 0.95


@dataclass(frozen=True)
class Finding:
    """The verdict on one recipe.

    Args:
        model: its name.
        fitted: replicates with random labels whose training error is zero.
        replicates: replicates with random labels that ended.
        sentences: the verdict, the main sentence first.
    """

    model: str
    fitted: int
    replicates: int
    sentences: tuple[str, ...]

    @property
    def text(self) -> str:
        """The model's name and the verdict in one line."""
        return f"{self.model}: {'; '.join(self.sentences)}."


def findings(rows: Iterable[Row]) -> list[Finding]:
    """One finding a recipe, in the order of the rows."""
    recipes: dict[str, list[Row]] = {}
    for row in rows:
        recipe = {column: value for column, value in row.items() if column.startswith("learner.")}
        recipes.setdefault(json.dumps(recipe, sort_keys=True), []).append(row)
    return [_finding(members) for members in recipes.values()]


def verdict(findings: Sequence[Finding]) -> list[str]:
    """One line a recipe, after a summary where there are several."""
    lines = [finding.text for finding in findings]
    if len(findings) == 1:
        return lines
    fit = [finding.model for finding in findings if finding.fitted]
    conclusion = f" ({', '.join(fit)}): for these a perfect training score cannot by itself certify generalization" if fit else ""
    return [f"{len(fit)} of {len(findings)} recipes fit random labels{conclusion}.", *lines]


def _finding(rows: Sequence[Row]) -> Finding:
    name = model(rows[0])
    ended = [row for row in rows if row["status"] in ("ok", "diverged")]
    true, noise = _by_seed(ended, 0.0), _by_seed(ended, 1.0)
    failures = len(rows) - len(ended)
    problems = [f"{failures} of {len(rows)} trials failed and are left out"] if failures else []
    diverged = sum(row["status"] == "diverged" for row in ended)
    problems += [f"{diverged} of {len(rows)} trials diverged"] if diverged else []
    if not noise:
        return Finding(name, 0, 0, ("no verdict: no trial with random labels ended", *problems))
    fitted = sum(_fits(row) for row in noise.values())
    sentences = [_fitting(fitted, noise), *_slowdown(true, noise), _chance(list(noise.values())), _conclusion(fitted, true, noise), *problems]
    return Finding(name, fitted, len(noise), tuple(sentences))


def _by_seed(rows: Iterable[Row], level: float) -> dict[Any, Row]:
    labels = [row for row in rows if row["corruption.kind"] == "PartialLabels" and row["corruption.level"] == level]
    return {tuple(row[f"seeds.{stream}"] for stream in ("data", "corruption", "init", "order")): row for row in labels}


def _fits(row: Mapping[str, Any]) -> bool:
    return bool(row["status"] == "ok" and row["train.error"] == 0)


def _fitting(fitted: int, noise: Mapping[Any, Row]) -> str:
    n = len(noise)
    interval = clopper_pearson(fitted, n, _LEVEL)
    if fitted:
        return f"fits random labels: {fitted} of {n} (P(fit) >= {interval.low:.2f} at 95 %)"
    best = max(float(row["train.accuracy"]) for row in noise.values())  # type: ignore[arg-type]
    budgets = {int(str(row["fit.epochs"])) for row in noise.values() if row.get("fit.epochs")}
    within = f" within {max(budgets)} epoch{'s' if max(budgets) > 1 else ''}" if budgets else ""
    return f"does not fit random labels{within}: 0 of {n} (P(fit) <= {interval.high:.2f} at 95 %), training accuracy on them reaches {_percent(best)}"


def _slowdown(true: Mapping[Any, Row], noise: Mapping[Any, Row]) -> list[str]:
    """The ratio of epochs on random and on true labels, over the replicates in which both were fitted."""
    both = [(noise[seed], true[seed]) for seed in noise if seed in true and _fits(noise[seed]) and _fits(true[seed])]
    times = [(a.get("fit.epochs_to_interpolation"), b.get("fit.epochs_to_interpolation")) for a, b in both]
    known = [(float(a), float(b)) for a, b in times if isinstance(a, int | float) and isinstance(b, int | float)]
    if not known:
        return []
    interval = ratio_interval([a for a, _ in known], [b for _, b in known], _LEVEL)
    factor, low, high, word = interval.estimate, interval.low, interval.high, "slower"
    if factor < 1:
        factor, low, high, word = 1 / factor, 1 / high, 1 / low, "faster"
    spread = f" [{low:.1f}, {high:.1f}]" if len(known) > 1 else ""
    return [f"{factor:.1f}x{spread} {word} than true labels"]


def _chance(noise: Sequence[Row]) -> str:
    chance = 1 / int(str(noise[0]["classes"]))
    values = [float(str(row["test.accuracy"])) for row in noise]
    result = equivalence(values, chance, CHANCE_MARGIN, _LEVEL)
    mean = sum(values) / len(values)
    sentence = f"test accuracy then is {_percent(mean)}"
    if result.verdict == "equivalent":
        return f"{sentence}, chance ({_percent(chance)}) to within {100 * CHANCE_MARGIN:.0f} points"
    if result.verdict == "different" and mean > chance:
        return f"{sentence}, ABOVE chance ({_percent(chance)}): look for examples that are in both splits, or labels that leak into inputs"
    if result.verdict == "different":
        return f"{sentence}, below chance ({_percent(chance)})"
    return f"{sentence}; whether that is chance ({_percent(chance)}) needs more replicates"


def _conclusion(fitted: int, true: Mapping[Any, Row], noise: Mapping[Any, Row]) -> str:
    learned = sum(_fits(row) for row in true.values())
    if fitted:
        return "so a perfect training score cannot by itself certify generalization for this recipe"
    if true and not learned:
        if any(row["status"] == "diverged" for row in true.values()):
            return "but training diverges on true labels too: lower the learning rate before reading more into it"
        best = max(float(str(row["train.accuracy"])) for row in true.values())
        return f"but true labels are not fitted either (training accuracy {_percent(best)}): raise the epochs or the learning rate before reading more into it"
    memory = mean_interval([float(str(row["train.accuracy"])) for row in noise.values()], _LEVEL)
    return f"so of its training score, about {_percent(memory.estimate)} is what memory alone reaches on this sample and budget"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f} %"
