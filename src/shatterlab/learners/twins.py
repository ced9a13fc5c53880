"""Any learner, run twice: on the sample, and on the sample with one example replaced."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from shatterlab.architectures.mlp import MLP
from shatterlab.core import Examples, Fit, Learner, Observer, Part, Runtime, Scalar, Seeds
from shatterlab.core.losses import losses
from shatterlab.learners.training import Training
from shatterlab.optimizers.sgd import SGD


@dataclass(frozen=True)
class Twins(Learner):
    """Fits another learner on S and on S with one example replaced, with the same seeds, and says how far the two fits are apart.

    The example that is replaced and the label that its twin gets (the same input, another class, drawn evenly) come from the order stream.
    Initial weights and the order of examples are equal, so all that differs comes from that one label. Uniform stability is the largest
    difference over all samples, replacements and points: what twins show is a lower bound on it. The model is that of S.

    Args:
        learner: what is fitted twice.

    Returns:
        The fit on S. Facts besides its own, over the examples of S and the twin: `sup_loss_difference` and `mean_loss_difference` (absolute),
        `own_loss_difference` (of the replaced example: loss when it was not seen minus loss when it was), `disagreement` (share classified
        differently), `memorized` (1 where only the fit that saw the replaced example gives it its label, else 0), and for networks
        `parameter_distance` and `relative_distance` (over the distance from the initial weights).

    Source:
        Bousquet, Elisseeff 2002; the parameter distance of twin runs: Hardt, Recht, Singer 2016, section 6.
    """

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
    """How far their losses are apart, on the sample and on the twin of the replaced example."""
    ours, theirs = (torch.cat([each.scores(few).double().cpu() for few in train.inputs.split(2048)]) for each in (fit, twin))
    true = train.labels
    at, seen = torch.cat([torch.arange(len(train)), torch.tensor([place])]), torch.cat([true, label[None]])
    gaps = losses(theirs[at], seen, fit.output) - losses(ours[at], seen, fit.output)
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
    ours, theirs = (dict(each.model.named_parameters()) for each in (fit, twin))
    distance = _length({name: value - theirs[name] for name, value in ours.items()})
    if fit.initial is None:
        return {"parameter_distance": distance, "relative_distance": None}
    travelled = _length({name: value.cpu() - fit.initial[name].cpu() for name, value in ours.items()})
    return {"parameter_distance": distance, "relative_distance": distance / travelled if travelled else None}


def _length(values: Mapping[str, Tensor]) -> float:
    return math.sqrt(sum(value.detach().double().square().sum().item() for value in values.values()))
