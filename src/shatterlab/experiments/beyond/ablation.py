"""Crops, flips, weight decay and dropout on a small AlexNet, each on and off in every combination: main effects and interactions."""

from __future__ import annotations

from shatterlab import Experiment, HorizontalFlip, Scale, Trial, TrueLabels
from shatterlab.design.ablation import Ablation, Factor
from shatterlab.experiments._networks import nets, replicates


def experiment(scale: Scale) -> Experiment:
    """AlexNet as in `table1`. Smoke: crop, weight decay and dropout; else flips too, 16 cells and one on random labels."""
    net = nets(scale)["alexnet"]
    on = {"learner.optimizer.weight_decay": net.weight_decay, "learner.weight_decay_on": net.weight_decay_on}
    factors = [
        Factor("crop", adds={"learner.augmentation": (net.crop,)}),
        Factor("weight decay", sets=on),
        Factor("dropout", sets={"learner.architecture.dropout": 0.5}),
    ]
    if scale.name != "smoke":
        factors.append(Factor("flip", adds={"learner.augmentation": (HorizontalFlip(),)}))
    base = Trial(net.dataset, TrueLabels(), net.learner)
    return Ablation(base, tuple(factors), replicates=replicates(scale)).experiment("ablation", "Zhang et al. 2017, section 3", scale.name)
