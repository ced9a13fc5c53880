"""How well classes of models correlate with random signs: a lower bound on their Rademacher complexity."""

from __future__ import annotations

from shatterlab.architectures.linear import Linear
from shatterlab.architectures.mlp import MLP
from shatterlab.architectures.small_alexnet import SmallAlexNet
from shatterlab.core import Dataset, Learner, Seeds
from shatterlab.corruptions.partial_labels import RandomLabels, TrueLabels
from shatterlab.datasets.cifar import CIFAR10
from shatterlab.datasets.derived import OneAgainstRest
from shatterlab.datasets.digits import Digits
from shatterlab.design.experiment import Claim, Experiment, Scale, grid
from shatterlab.kernels.radial import Gaussian
from shatterlab.learners.estimator import Estimator
from shatterlab.learners.kernel_interpolation import KernelInterpolation
from shatterlab.learners.training import Training
from shatterlab.optimizers.sgd import SGD
from shatterlab.trials.trial import Trial
from shatterlab.views import RademacherTable, Table

_SIGNS = {"corruption.level": 1.0}
_EVEN = (0, 2, 4, 6, 8)


def experiment(scale: Scale) -> Experiment:
    """Smoke: 100 digits. Laptop: 300 images. Paper: 10,000 images. Two groups of five classes each; draws share their inputs.

    The class behind a line is all that the learner can give from any seed; it was fixed before the draws. A fit that stops at zero training error
    reaches 1 exactly. Test error of the same fits on true labels stands beside it: the bound cannot tell them apart.
    """
    n, width, draws = scale.pick(smoke=(100, 64, 3), laptop=(300, 512, 2), paper=(10_000, 512, 5))
    images = OneAgainstRest(CIFAR10(crop=28, examples=n, test_examples=scale.test_examples), _EVEN)
    data: Dataset = scale.pick(smoke=OneAgainstRest(Digits(examples=n, test_examples=scale.test_examples), _EVEN), laptop=images, paper=images)
    learners: list[Learner] = [
        Training(Linear(), SGD(lr=0.01), epochs=scale.epochs, batch_size=32),
        Training(MLP((width,)), SGD(lr=0.05 if scale.name == "smoke" else 0.01), epochs=2 * scale.epochs, batch_size=32),
        KernelInterpolation(Gaussian(scale.pick(smoke=2.0, laptop=10.0, paper=10.0)), ridge=1e-6),
        Estimator("sklearn.tree:DecisionTreeClassifier", {"max_depth": 1}),
        Estimator("sklearn.neighbors:KNeighborsClassifier", {"n_neighbors": 1}),
    ]
    if scale.name != "smoke":
        learners.append(Training(SmallAlexNet(), SGD(lr=0.01), epochs=scale.epochs))
    seeds = [Seeds(data=0, corruption=r, init=r, order=r) for r in range(draws)]
    return Experiment(
        name="rademacher",
        source="Zhang et al. 2017, section 2.2",
        question="How well do models fit random signs, and what is left of the bound that this enters?",
        trials=grid(Trial, dataset=[data], corruption=[RandomLabels(), TrueLabels()], learner=learners, seeds=seeds),
        views=(RademacherTable(), Table(("model", "setting"), ("train.error", "test.error"), title="The same learners on random and on true labels")),
        claims=(
            Claim("a lookup table reaches 1 on every draw", "train.error", _SIGNS | {"learner.estimator": "sklearn.neighbors:KNeighborsClassifier"}, high=0.0),
            Claim("a network with one hidden layer reaches 1", "train.error", _SIGNS | {"learner.architecture.kind": "MLP"}, high=0.0, reference="Section 2.2"),
            Claim("a decision stump does not", "train.error", _SIGNS | {"learner.estimator": "sklearn.tree:DecisionTreeClassifier"}, low=0.25),
        ),
        scale=scale.name,
    )
