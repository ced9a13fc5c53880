"""Learners around another learner: fitted twice, fitted on growing parts of the sample, fitted with some labels redrawn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from shatterlab.architectures.mlp import MLP
from shatterlab.core import Batch, Examples, Fit, Learner, Observer, Part, Progress, Runtime, Scalar, Seeds
from shatterlab.core.losses import losses
from shatterlab.learners.training import Training
from shatterlab.optimizers.descent import SGD

_ROWS = 2048  # examples scored at a time


@dataclass(frozen=True)
class Twins(Learner):
    """Fits another learner on S and on S with one example replaced, with the same seeds, and measures how far the two fits are apart.

    The replaced example and its new label (another class, drawn evenly) come from the order stream. Every other random number is equal. The largest difference
    is a lower bound on uniform stability. The model is that of S.

    Args:
        learner: the learner that is fitted twice.

    Returns:
        The fit on S. Facts besides its own, over the examples of S and the twin: `sup_loss_difference` and `mean_loss_difference` (absolute),
        `own_loss_difference` (of the replaced example: loss of the fit that did not see it minus loss of the fit that did), `disagreement` (share classified
        differently), `memorized` (1 where only the fit that saw the replaced example predicts its label, else 0), and for networks
        `parameter_distance` and `relative_distance` (over the distance from the initial weights).

    Source:
        Bousquet, Elisseeff 2002; the parameter distance of twin runs: Hardt, Recht, Singer 2016, section 6.
    """

    role: ClassVar[str] = "twins"

    learner: Learner

    @classmethod
    def specimens(cls) -> tuple[Part, ...]:
        return (cls(Training(MLP((8,)), SGD(lr=0.05), epochs=2, batch_size=32)),)

    def fit(self, train: Examples, seeds: Seeds = Seeds(), observe: Observer | None = None, runtime: Runtime = Runtime()) -> Fit:
        rng = seeds.rng("order", "twins")
        place, shift = int(rng.integers(len(train))), int(rng.integers(1, train.classes))
        labels = train.labels.clone()
        labels[place] = (labels[place] + shift) % train.classes
        fit = self.learner.fit(train, seeds, observe, runtime)
        twin = self.learner.fit(replace(train, labels=labels), seeds, runtime=runtime)
        return replace(fit, facts={**fit.facts, **_apart(fit, twin, train, place, labels[place]), **_moved(fit, twin)})


def _apart(fit: Fit, twin: Fit, train: Examples, place: int, label: Tensor) -> Mapping[str, Scalar]:
    ours, theirs = (torch.cat([one.scores(batch).double().cpu() for batch in train.inputs.split(_ROWS)]) for one in (fit, twin))
    true = train.labels
    at, labels = torch.cat([torch.arange(len(train)), torch.tensor([place])]), torch.cat([true, label[None]])
    gaps = losses(theirs[at], labels, fit.output) - losses(ours[at], labels, fit.output)
    gaps = torch.where(gaps.isnan(), 0.0, gaps)  # infinite on both sides: equal; infinite on one stays infinite
    right = [int(scores[place].argmax() == true[place]) for scores in (ours, theirs)]
    return {
        "sup_loss_difference": gaps.abs().max().item(),
        "mean_loss_difference": gaps.abs().mean().item(),
        "own_loss_difference": gaps[place].item(),
        "disagreement": (ours.argmax(1) != theirs.argmax(1)).double().mean().item(),
        "memorized": int(right == [1, 0]),
    }


def _moved(fit: Fit, twin: Fit) -> Mapping[str, Scalar]:
    if not isinstance(fit.model, nn.Module) or not isinstance(twin.model, nn.Module):
        return {}
    ours, theirs = (dict(one.model.named_parameters()) for one in (fit, twin))
    distance = _length({name: value - theirs[name] for name, value in ours.items()})
    if fit.initial is None:
        return {"parameter_distance": distance, "relative_distance": None}
    travelled = _length({name: value.cpu() - fit.initial[name].cpu() for name, value in ours.items()})
    return {"parameter_distance": distance, "relative_distance": distance / travelled if travelled else None}


def _length(values: Mapping[str, Tensor]) -> float:
    return math.sqrt(sum(value.detach().double().square().sum().item() for value in values.values()))


@dataclass(frozen=True)
class Prequential(Learner):
    """Fits another learner on growing parts of the sample and sums -log2 p(label) of each next part; the model is that of the whole sample.

    The sample is put in random order and cut at n / 2^b, ..., n / 2, n. The first part costs log2 k bits a label; each next one is coded by the model of all
    parts before it. On uniformly random labels 2^(n log2 k - L) has mean 1 for every learner: more than 20 bits saved have a probability below 1e-6.

    Args:
        learner: the learner that is fitted.
        doublings: b, the number of parts that a model codes, >= 1.
        uniform: weight of the uniform distribution that is mixed into each prediction, in (0, 1]: no label then costs more than log2(k / uniform) bits.

    Returns:
        The fit on the whole sample. Facts besides its own: `code_bits` (L), `uniform_bits` (n log2 k), `saved_bits` (their difference; negative where the
        models did harm). Array `code`: the bits of each example, in the order of the sample.

    Raises:
        InvalidPart: a field is out of range, or a part of the sample would be empty.

    Source:
        Dawid 1984; Blier, Ollivier 2018, "The description length of deep learning models".
    """

    role: ClassVar[str] = "code"

    learner: Learner
    doublings: int = 4
    uniform: float = 0.01

    def validate(self) -> None:
        self.require(self.doublings >= 1, "doublings is a whole number >= 1", self.doublings)
        self.require(0 < self.uniform <= 1, "uniform is a weight in (0, 1]", self.uniform)

    @classmethod
    def specimens(cls) -> tuple[Part, ...]:
        return (cls(Training(MLP((8,)), SGD(lr=0.05), epochs=2, batch_size=32), doublings=2),)

    def fit(self, train: Examples, seeds: Seeds = Seeds(), observe: Observer | None = None, runtime: Runtime = Runtime()) -> Fit:
        n = len(train)
        cuts = [0, *(-(-n // 2**power) for power in range(self.doublings, 0, -1)), n]
        fewest = 2**self.doublings + 1
        self.require(n >= fewest, f"at least {fewest} examples are required for {self.doublings} doublings", n, "Use fewer doublings")
        order = torch.from_numpy(seeds.rng("order", "prequential").permutation(n))
        code = torch.empty(n, dtype=torch.float64)
        code[order[: cuts[1]]] = np.log2(train.classes)
        for start, end in pairwise(cuts[1:]):
            known, coded = train.at(order[:start]), order[start:end]
            code[coded] = self._bits(self.learner.fit(known, seeds, runtime=runtime), train.at(coded))
        fit = self.learner.fit(train, seeds, observe, runtime)
        bits, uniform = float(code.sum()), n * float(np.log2(train.classes))
        facts = {"code_bits": bits, "uniform_bits": uniform, "saved_bits": uniform - bits}
        return replace(fit, facts={**fit.facts, **facts}, arrays={**fit.arrays, "code": code.numpy()})

    def _bits(self, fit: Fit, block: Examples) -> Tensor:
        scores = torch.cat([fit.scores(batch).double().cpu() for batch in block.inputs.split(_ROWS)])
        shares = scores if fit.output == "probabilities" else scores.softmax(1)
        shares = torch.nan_to_num(shares, nan=0.0, posinf=0.0, neginf=0.0).clamp(min=0)
        total = shares.sum(1, keepdim=True)
        shares = torch.where(total > 0, shares / total, 1 / block.classes)  # probabilities add up to 1 for any model
        mixed = (1 - self.uniform) * shares + self.uniform / block.classes
        return -mixed.gather(1, block.labels[:, None]).squeeze(1).log2()


@dataclass(frozen=True)
class RandomizedPart(Learner):
    """Fits another learner once on the sample with the labels of m of its examples redrawn evenly from all k classes.

    Those m may be unlabelled. `RATTCertificate` turns the errors on both parts into a bound on the true error. All draws are from the order stream.

    Args:
        learner: the learner that is fitted.
        share: m / n, in (0, 1); m is rounded and at least 1, and at least 1 example keeps its label.

    Returns:
        The fit on the mixed sample. Facts besides its own: `labelled` (n - m), `randomized` (m), `labelled_error`, `random_error`. The figures of a run itself
        (`train.loss`, `train.error`) are those of the sample before the m labels were redrawn.

    Raises:
        InvalidPart: the share is out of range, or the sample has fewer than two examples.

    Source:
        Garg, Balakrishnan, Kolter, Lipton 2021, "RATT: leveraging unlabeled data to guarantee generalization".
    """

    role: ClassVar[str] = "part"

    learner: Learner
    share: float = 0.5

    def validate(self) -> None:
        self.require(0 < self.share < 1, "share is a fraction in (0, 1)", self.share)

    @classmethod
    def specimens(cls) -> tuple[Part, ...]:
        return (cls(Training(MLP((8,)), SGD(lr=0.05), epochs=2, batch_size=32), share=0.3),)

    def fit(self, train: Examples, seeds: Seeds = Seeds(), observe: Observer | None = None, runtime: Runtime = Runtime()) -> Fit:
        n = len(train)
        self.require(n >= 2, "at least 2 examples are required", n)
        m = min(max(round(self.share * n), 1), n - 1)
        rng = seeds.rng("order", "randomized part")
        redrawn = torch.zeros(n, dtype=torch.bool)
        redrawn[torch.from_numpy(rng.permutation(n)[:m])] = True
        labels = train.labels.clone()
        labels[redrawn] = torch.from_numpy(rng.integers(train.classes, size=m))
        fit = self.learner.fit(replace(train, labels=labels), seeds, None if observe is None else _without_redrawn(observe, ~redrawn), runtime)
        wrong = torch.cat([fit.scores(batch).argmax(1).cpu() for batch in train.inputs.split(_ROWS)]) != labels
        facts = {
            "labelled": n - m,
            "randomized": m,
            "labelled_error": wrong[~redrawn].double().mean().item(),
            "random_error": wrong[redrawn].double().mean().item(),
        }
        return replace(fit, facts={**fit.facts, **facts})


def _without_redrawn(observe: Observer, kept: Tensor) -> Observer:

    def report(progress: Progress) -> None:
        batch = progress.batch
        if batch is not None:
            known = kept[batch.indices.cpu()].to(batch.indices.device)
            targets = None if batch.targets is None else batch.targets[known]
            batch = Batch(batch.indices[known], batch.inputs[known], batch.labels[known], targets)
        observe(replace(progress, batch=batch, train_loss=None, train_accuracy=None, train_top5_accuracy=None))

    return report
