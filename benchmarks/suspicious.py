"""Are labels that are wrong found as well as cleanlab finds them, and does the interval of their share hold it?

    python benchmarks/suspicious.py digits|features|coverage|human [--data FOLDER] > benchmarks/results/suspicious_PART.txt

Both rank by the same out-of-sample probabilities of the same run, those of `shatterlab.suspicious`; cleanlab must be installed (`pip install cleanlab==2.9.0`).
Printed is the average precision of the wrong labels, a mean over seeds with its 95 % interval (of the normal law for one seed: 200 bootstrap draws).

digits: 1,797 digits, 5, 20 and 40 % of the labels replaced by another class, logistic regression, 5 seeds.
features: the same of 3,000 images of CIFAR-10, logistic regression on averages of 400 random patch filters.
coverage: how often the interval of the share of wrong labels holds the planted share, 100 seeds; nearest neighbours on 600 digits.
human: 5,000 images of CIFAR10N(noise="worst"), the labels of people, a net of two convolutions, one cross-validation.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

import shatterlab as sl
from shatterlab.statistics import t_interval

SHARES = (0.05, 0.2, 0.4)
SCORES = {"margin": "normalized_margin", "self_confidence": "self_confidence"}  # ours -> cleanlab's
Make = Callable[[np.ndarray], sl.Suspicious]


def planted(labels: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The labels with exactly this share replaced by another class, drawn evenly, and where."""
    rng = np.random.default_rng(seed)
    wrong = np.zeros(len(labels), bool)
    wrong[rng.permutation(len(labels))[: round(share * len(labels))]] = True
    return np.where(wrong, (labels + rng.integers(1, 10, len(labels))) % 10, labels), wrong


def precisions(result: sl.Suspicious, wrong: np.ndarray) -> dict[str, float]:
    """The average precision of each score, ours and cleanlab's."""
    from cleanlab.rank import get_label_quality_scores

    found = {}
    for ours, theirs in SCORES.items():
        found[f"shatterlab {ours}"] = average_precision_score(wrong, -result.scores[ours])
        quality = get_label_quality_scores(result.labels, result.probabilities, method=theirs)
        found[f"cleanlab {theirs}"] = average_precision_score(wrong, -quality)
    return found


def estimated(result: sl.Suspicious) -> tuple[float, float]:
    """The share of wrong labels: ours, and cleanlab's from its calibrated joint."""
    from cleanlab.count import estimate_joint

    return result.findings[0].rate.estimate, 1 - float(np.trace(estimate_joint(result.labels, result.probabilities)))


def table(name: str, labels: np.ndarray, make: Make, seeds: int) -> None:
    """A line for each share and score."""
    for share in SHARES:
        start, every, shares = time.perf_counter(), [], []
        for seed in range(seeds):
            given, wrong = planted(labels, share, seed)
            result = make(given)
            every.append(precisions(result, wrong))
            shares.append(estimated(result))
        for score in every[0]:
            mean = t_interval([each[score] for each in every])
            print(f"{name}, {100 * share:g} % wrong, {score:28s} average precision {mean.estimate:.4f} [{mean.low:.4f}, {mean.high:.4f}]")
        ours, theirs = np.mean(shares, 0)
        seconds = time.perf_counter() - start
        print(
            f"{name}, {100 * share:g} % wrong: estimated share {100 * ours:.1f} %, cleanlab's {100 * theirs:.1f} % ({seeds} seeds, {seconds:.0f} s)", flush=True
        )


def digits(data: Path | None) -> None:
    x, y = load_digits(return_X_y=True)
    table("digits", y, lambda labels: sl.suspicious(LogisticRegression(C=0.1, max_iter=300), (x / 16, labels)), 5)


def features(data: Path | None) -> None:
    train = sl.CIFAR10(examples=3000).load(data).train
    patches = train.inputs.unfold(2, 6, 4).unfold(3, 6, 4).permute(0, 2, 3, 1, 4, 5).reshape(-1, 3, 6, 6)
    chosen = patches[torch.from_numpy(np.random.default_rng(0).permutation(len(patches))[:400])]
    chosen = chosen - chosen.mean((1, 2, 3), keepdim=True)
    chosen = chosen / chosen.flatten(1).norm(dim=1)[:, None, None, None].clamp(min=0.1)
    maps = [torch.nn.functional.conv2d(images, chosen) for images in train.inputs.split(250)]
    pooled = [torch.cat([torch.nn.functional.adaptive_avg_pool2d(signed.relu(), 2).flatten(1) for signed in (part, -part)], 1) for part in maps]
    x = torch.cat(pooled).numpy()
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.001, max_iter=200))
    table("CIFAR-10 features", train.labels.numpy(), lambda labels: sl.suspicious(model, (x, labels)), 2)


def coverage(data: Path | None, seeds: int = 100) -> None:
    x, y = load_digits(return_X_y=True)
    for share in (0.0, *SHARES):
        held, estimates = 0, []
        for seed in range(seeds):
            labels, _ = planted(y[:600], share, seed)
            rate = sl.suspicious(KNeighborsClassifier(10), (x[:600], labels)).findings[0].rate
            held += rate.low <= share <= rate.high
            estimates.append(rate.estimate)
        mean, deviation = 100 * np.mean(estimates), 100 * np.std(estimates)
        print(f"{100 * share:g} % wrong: the 95 % interval holds it in {held} of {seeds} seeds; estimates {mean:.2f} % +- {deviation:.2f}", flush=True)


def two_convolutions() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 24, 5, 2, 2), nn.ReLU(), nn.Conv2d(24, 48, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(48 * 64, 10))


def human(data: Path | None) -> None:
    start, dataset = time.perf_counter(), sl.CIFAR10N(noise="worst", examples=5000, test_examples=500)
    recipe = {"epochs": 12, "lr": 0.02, "batch_size": 64, "augmentation": "HorizontalFlip", "stop": "budget"}
    result = sl.suspicious(two_convolutions, dataset, runtime=sl.Runtime(data=data), progress=False, **recipe)
    whole = sl.CIFAR10().load(data).train  # the published labels of the same images, found by their pixels
    published = {hash(row.numpy().tobytes()): int(label) for row, label in zip(whole.inputs, whole.labels, strict=True)}
    clean = np.array([published[hash(row.numpy().tobytes())] for row in result.examples.inputs])
    wrong = clean != result.labels
    rng = np.random.default_rng(0)
    draws = [rng.integers(len(wrong), size=len(wrong)) for _ in range(200)]
    print(f"{len(wrong)} images, {100 * wrong.mean():.1f} % of the labels of people are wrong; {result.verdict.splitlines()[0]}")
    print(result.verdict.splitlines()[1])
    from cleanlab.rank import get_label_quality_scores

    for ours, theirs in SCORES.items():
        quality = {
            f"shatterlab {ours}": result.scores[ours],
            f"cleanlab {theirs}": get_label_quality_scores(result.labels, result.probabilities, method=theirs),
        }
        for name, values in quality.items():
            low, high = np.quantile([average_precision_score(wrong[draw], -values[draw]) for draw in draws], [0.025, 0.975])
            print(f"{name:28s} average precision {average_precision_score(wrong, -values):.4f} [{low:.4f}, {high:.4f}]")
    flagged = result.flagged
    right = (result.suggested == clean)[flagged & wrong].mean()
    print(f"flagged {flagged.sum()}, of which {100 * wrong[flagged].mean():.1f} % are wrong; the suggested label is right for {100 * right:.1f} % of these")
    print(f"estimated share: {100 * estimated(result)[0]:.1f} %, cleanlab's {100 * estimated(result)[1]:.1f} % ({time.perf_counter() - start:.0f} s)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("digits", "features", "coverage", "human"))
    parser.add_argument("--data", type=Path)
    options = parser.parse_args()
    {"digits": digits, "features": features, "coverage": coverage, "human": human}[options.part](options.data)
