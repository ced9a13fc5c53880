"""What is memorized: accuracy on examples inside and outside of random subsets, on true, partly random and random labels."""

from __future__ import annotations

from shatterlab import MLP, SGD, Estimator, Gaussian, KernelInterpolation, OnSubset, PartialLabels, Seeds, Training, Trial
from shatterlab.core import Learner
from shatterlab.design.claims import difference, every, mean
from shatterlab.design.experiment import Experiment, Scale, grid
from shatterlab.design.settings import RANDOM, TRUE, TRUE_AND_RANDOM
from shatterlab.experiments._networks import digits_or_images
from shatterlab.views import MemorizationHistogram, Table

_TREE, _NEIGHBOUR, _FOREST = "sklearn.tree:DecisionTreeClassifier", "sklearn.neighbors:KNeighborsClassifier", "sklearn.ensemble:RandomForestClassifier"
_INSIDE, _OUTSIDE, _MEMORIZATION = "fit.inside_accuracy", "fit.outside_accuracy", "fit.mean_memorization"
_PARTLY = {"corruption.kind": "PartialLabels", "corruption.level": 0.2}


def experiment(scale: Scale) -> Experiment:
    """Smoke: 200 digits, 12 fits of each kind. Laptop: 2,000 images, 200 fits. Paper: all images, 2,000 fits.

    All fits of a setting have one sample with one draw of labels; subset, initial weights and order differ.
    """
    n, fits, width = scale.pick(smoke=(200, 12, 64), laptop=(2000, 200, 512), paper=(None, 2000, 512))
    rate, sigma = scale.pick(smoke=(0.05, 2.0), laptop=(0.01, 10.0))
    learners: list[Learner] = [
        Estimator(_TREE),
        Estimator(_NEIGHBOUR, {"n_neighbors": 1}),
        Estimator(_FOREST, {"n_estimators": scale.pick(smoke=20, laptop=100)}),
        KernelInterpolation(Gaussian(sigma)),
        Training(MLP((width,)), SGD(lr=rate), epochs=scale.pick(smoke=40, laptop=100), batch_size=64),
    ]
    trials = grid(
        Trial,
        dataset=[digits_or_images(scale, n)],
        corruption=[*TRUE_AND_RANDOM, PartialLabels(0.2)],
        learner=[OnSubset(learner) for learner in learners],
        seeds=[Seeds(init=r, order=r) for r in range(fits)],
    )
    tree, neighbour = ({"learner.learner.estimator": name} for name in (_TREE, _NEIGHBOUR))
    views = (
        Table(("learner.learner.kind", "learner.learner.estimator", "setting"), (_INSIDE, _OUTSIDE, _MEMORIZATION), title="Trained on it, and not"),
        MemorizationHistogram(where=tree | TRUE, title="Memorization by a fully grown tree, true labels"),
        MemorizationHistogram(where=tree | _PARTLY, title="Memorization by a fully grown tree, a fifth of the labels redrawn"),
        MemorizationHistogram(where=neighbour | _PARTLY, title="Memorization by the nearest neighbour, a fifth of the labels redrawn"),
    )
    claims = (
        every("a fully grown tree is right on all that it was trained on, whatever the labels", _INSIDE, tree, low=1.0),
        every("so is the nearest neighbour", _INSIDE, neighbour, low=1.0),
        difference("a tree memorizes more where a fifth of the labels are redrawn", _MEMORIZATION, tree | _PARTLY, tree | TRUE, low=0.0),
        difference("so does the nearest neighbour", _MEMORIZATION, neighbour | _PARTLY, neighbour | TRUE, low=0.0),
        mean("of random labels nearly all is memory: those not trained on are guessed", _OUTSIDE, RANDOM, high=0.2),
    )
    question = "How much of what a model gets right on its training examples does it get right only because it was trained on them?"
    return Experiment("memorization", "Feldman, Zhang 2020", question, trials, views, claims, scale.name)
