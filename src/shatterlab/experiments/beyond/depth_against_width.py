"""Depth against width at equal parameter count: what fits faster, and what generalizes better?"""

from __future__ import annotations

from shatterlab.architectures.mlp import MLP
from shatterlab.corruptions.partial_labels import RandomLabels, TrueLabels
from shatterlab.datasets.cifar import CIFAR10
from shatterlab.datasets.digits import Digits
from shatterlab.design.experiment import Claim, Experiment, Scale
from shatterlab.experiments.paper._figure1 import Contender
from shatterlab.learners.training import Training
from shatterlab.optimizers.sgd import SGD
from shatterlab.views import Curve, Scatter, Table

_SHAPES = ((512,), (433,) * 2, (386,) * 3, (329,) * 5)  # of 3x28x28 images: 1,209,866 to 1,211,717 parameters
_SMALL = ((512,), (166,) * 2, (122,) * 3, (90,) * 5)  # of 8x8 digits: 38,410 to 40,022
_HIDDEN = "learner.architecture.hidden"
_TRUE, _RANDOM = {"corruption.level": 0.0}, {"corruption.level": 1.0}


def experiment(scale: Scale) -> Experiment:
    """Smoke: digits. Laptop: 1,000 images. Paper: all of them."""
    shapes = scale.pick(smoke=_SMALL, laptop=_SHAPES, paper=_SHAPES)
    images = CIFAR10(crop=28, examples=scale.pick(smoke=None, laptop=1000, paper=None), test_examples=scale.test_examples)
    digits = Digits(examples=scale.examples, test_examples=scale.test_examples)
    data = scale.pick(smoke=digits, laptop=images, paper=images)
    rate, batch = scale.pick(smoke=(0.05, 32), laptop=(0.01, 128), paper=(0.01, 128))
    recipes = [Training(MLP(hidden), SGD(lr=rate), batch_size=batch, epochs=scale.epochs) for hidden in shapes]
    low, high = scale.pick(smoke=(38000, 40200), laptop=(1.205e6, 1.215e6), paper=(1.205e6, 1.215e6))
    return Experiment(
        name="depth_against_width",
        source="Zhang et al. 2017, section 4, which asks for it; Table 1 has MLP 1x512 and MLP 3x512, of unequal size",
        question="With equally many parameters, does depth or width fit faster, and which generalizes better?",
        trials=sum((Contender(data, recipe).trials([TrueLabels(), RandomLabels()], scale.replicates) for recipe in recipes), ()),
        views=(
            Table((_HIDDEN, "setting"), ("fit.parameters", "fit.epochs_to_interpolation", "train.error", "test.accuracy")),
            Curve(_HIDDEN, "fit.epochs_to_interpolation", by="setting"),
            Curve(_HIDDEN, "test.error", by="setting"),
            Scatter("fit.epochs_to_interpolation", "test.error", by=_HIDDEN, title="Test error against time to fit"),
        ),
        claims=(
            Claim("all shapes have equally many parameters", "fit.parameters", low=low, high=high),
            Claim("every shape fits random labels", "train.error", _RANDOM, high=0.0, scales=("smoke", "laptop")),
            Claim(
                "one and five hidden layers generalize alike: test accuracy on true labels to within 5 points",
                "test.accuracy",
                _TRUE | {_HIDDEN: _told(shapes[-1])},
                versus=_TRUE | {_HIDDEN: _told(shapes[0])},
                low=-0.05,
                high=0.05,
            ),
        ),
        scale=scale.name,
    )


def _told(hidden: tuple[int, ...]) -> str:
    """The column's text for this shape."""
    return str(MLP(hidden).columns("learner.architecture")[_HIDDEN])
