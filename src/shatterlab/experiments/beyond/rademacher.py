"""How well classes of models correlate with random signs: a lower bound on their Rademacher complexity."""

from __future__ import annotations

from shatterlab import MLP, SGD, Estimator, Experiment, Gaussian, KernelInterpolation, Linear, OneAgainstRest, Scale, SmallAlexNet, Training, Trial, grid
from shatterlab.core import Learner, Seeds
from shatterlab.design.claims import every, mean
from shatterlab.design.settings import RANDOM, TRUE_AND_RANDOM
from shatterlab.experiments._networks import digits_or_images
from shatterlab.views import RademacherTable, Table

_NEIGHBOUR, _TREE = "sklearn.neighbors:KNeighborsClassifier", "sklearn.tree:DecisionTreeClassifier"


def experiment(scale: Scale) -> Experiment:
    """Smoke: 100 digits. Laptop: 300 images. Paper: 10,000 images. Two groups of five classes each; draws share their inputs.

    The class of a line is every function that the learner can return from any seed; it was fixed before the draws. A fit that stops at zero training
    error reaches 1 exactly. Test error of the same fits on true labels stands beside it: the bound is the same for both.
    """
    n, width, draws = scale.pick(smoke=(100, 64, 3), laptop=(300, 512, 2), paper=(10_000, 512, 5))
    data = OneAgainstRest(digits_or_images(scale, n), (0, 2, 4, 6, 8))
    learners: list[Learner] = [
        Training(Linear(), SGD(lr=0.01), epochs=scale.epochs, batch_size=32),
        Training(MLP((width,)), SGD(lr=0.05 if scale.name == "smoke" else 0.01), epochs=2 * scale.epochs, batch_size=32),
        KernelInterpolation(Gaussian(scale.pick(smoke=2.0, laptop=10.0)), ridge=1e-6),
        Estimator(_TREE, {"max_depth": 1}),
        Estimator(_NEIGHBOUR, {"n_neighbors": 1}),
    ]
    if scale.name != "smoke":
        learners.append(Training(SmallAlexNet(), SGD(lr=0.01), epochs=scale.epochs))
    seeds = [Seeds(data=0, corruption=r, init=r, order=r) for r in range(draws)]
    source = "Zhang et al. 2017, section 2.2"
    question = "How well do models fit random signs, and what is left of the bound that this enters?"
    trials = grid(Trial, dataset=[data], corruption=TRUE_AND_RANDOM[::-1], learner=learners, seeds=seeds)
    views = (RademacherTable(), Table(("model", "setting"), ("train.error", "test.error"), title="The same learners on random and on true labels"))
    claims = (
        every("a lookup table reaches 1 on every draw", "train.error", RANDOM | {"learner.estimator": _NEIGHBOUR}, high=0.0),
        every("a network with one hidden layer reaches 1", "train.error", RANDOM | {"learner.architecture.kind": "MLP"}, high=0.0, reference="Section 2.2"),
        mean("a decision stump does not", "train.error", RANDOM | {"learner.estimator": _TREE}, low=0.25),
    )
    return Experiment("rademacher", source, question, trials, views, claims, scale.name)
