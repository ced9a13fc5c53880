"""Networks of any depth that fit any labels: width falls as n/k, weights stay of the order of n + d."""

from __future__ import annotations

import math

from shatterlab import Curve, DeepConstruction, Experiment, GaussianCloud, RandomLabels, Scale, Table, Trial, every, grid

_D = 50
_DEPTH, _FORM = "learner.depth", "learner.form"
_COROLLARY = "Corollary 1"


def experiment(scale: Scale) -> Experiment:
    """Smoke: 256 points. Laptop: 4,096. Paper: 50,000, as many as CIFAR-10 has images; Gaussian points in 50 dimensions at each."""
    n = scale.pick(smoke=256, laptop=4096, paper=50_000)
    depths = scale.pick(smoke=(2, 3, 5, 9, 17, 33), laptop=(2, 3, 5, 9, 17, 33, 65), paper=(2, 3, 5, 9, 17, 33, 65, 129))
    learners = [*(DeepConstruction(depth=depth) for depth in depths), *(DeepConstruction(depth=depth, form="multiplexer") for depth in depths if depth > 2)]
    data = GaussianCloud(_D, n=n, test_examples=20)
    width = [{"x": depth, "y": n / depth, "name": "n / k"} for depth in depths]
    source = "Zhang et al. 2017, Corollary 1"
    question = "How do the width and the weights of a network that takes any labels fall and grow with its depth?"
    trials = grid(Trial, dataset=[data], corruption=[RandomLabels()], learner=learners, seeds=scale.seeds)
    views = (
        Curve(_DEPTH, "fit.width", by=_FORM, scale="log", title="Width against depth", reference=width),
        Curve(_DEPTH, "fit.connections", by=_FORM, title="Weights of all layers against depth"),
        Table((_FORM, _DEPTH), ("fit.width", "fit.weights", "fit.connections", "fit.certified_error", "train.error"), title="Sizes by depth"),
    )
    # the corollary states no constants; 4 and 8 leave room for the indicators of intervals
    carry, paper = {_FORM: "carry"}, {_FORM: "multiplexer"}
    last = depths[-1]
    exact = [
        every(f"carry, depth {k}: width {math.ceil(n / (k - 1)) + 3:,} at most, n/(k-1) + 3", "fit.width", carry | {_DEPTH: k}, high=math.ceil(n / (k - 1)) + 3)
        for k in depths
    ]
    claims = (
        every("every random label is reproduced at every depth", "train.error", high=0.0, reference=_COROLLARY),
        every("the certified error is at most 1e-6", "fit.certified_error", high=1e-6),
        *exact,
        every("carry: at most 4n + d + 5k weights", "fit.connections", carry, high=4 * n + _D + 5 * last),
        every(f"multiplexer: width at most 4n/k + 8 at depth {last}", "fit.width", paper | {_DEPTH: last}, high=4 * n / last + 8, reference=_COROLLARY),
        every("multiplexer: at most 8(n + d) + 64k weights, the order of n + d", "fit.connections", paper, high=8 * (n + _D) + 64 * last, reference=_COROLLARY),
    )
    return Experiment("corollary1", source, question, trials, views, claims, scale.name)
