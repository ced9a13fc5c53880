"""Depth against width at equal parameter count: what fits faster, and what generalizes better?"""

from __future__ import annotations

from shatterlab import MLP, SGD, Curve, Experiment, Scale, Scatter, Table, Training, difference, every
from shatterlab.design.settings import RANDOM, TRUE, TRUE_AND_RANDOM
from shatterlab.experiments._networks import Setup, digits_or_images, hidden_column

_SHAPES = ((512,), (433,) * 2, (386,) * 3, (329,) * 5)  # of 3x28x28 images: 1,209,866 to 1,211,717 parameters
_SMALL = ((512,), (166,) * 2, (122,) * 3, (90,) * 5)  # of 8x8 digits: 38,410 to 40,022
_HIDDEN = "learner.architecture.hidden"


def experiment(scale: Scale) -> Experiment:
    """Smoke: digits. Laptop: 1,000 images. Paper: all of them."""
    shapes = scale.pick(smoke=_SMALL, laptop=_SHAPES)
    data = digits_or_images(scale, scale.pick(smoke=scale.examples, laptop=1000, paper=None))
    rate, batch = scale.pick(smoke=(0.05, 32), laptop=(0.01, 128))
    setups = [Setup(data, Training(MLP(hidden), SGD(lr=rate), batch_size=batch, epochs=scale.epochs)) for hidden in shapes]
    low, high = scale.pick(smoke=(38000, 40200), laptop=(1.205e6, 1.215e6))
    one, five = ({**TRUE, _HIDDEN: hidden_column(hidden)} for hidden in (shapes[0], shapes[-1]))
    alike = "one and five hidden layers generalize alike: test accuracy on true labels to within 5 points"
    source = "Zhang et al. 2017, section 4, which asks for it; Table 1 has MLP 1x512 and MLP 3x512, of unequal size"
    question = "With equally many parameters, does depth or width fit faster, and which generalizes better?"
    trials = sum((setup.trials(TRUE_AND_RANDOM, scale) for setup in setups), ())
    views = (
        Table((_HIDDEN, "setting"), ("fit.parameters", "fit.epochs_to_interpolation", "train.error", "test.accuracy")),
        Curve(_HIDDEN, "fit.epochs_to_interpolation", by="setting"),
        Curve(_HIDDEN, "test.error", by="setting"),
        Scatter("fit.epochs_to_interpolation", "test.error", by=_HIDDEN, title="Test error against time to fit"),
    )
    claims = (
        every("all shapes have equally many parameters", "fit.parameters", low=low, high=high),
        every("every shape fits random labels", "train.error", RANDOM, high=0.0, scales=("smoke", "laptop")),
        difference(alike, "test.accuracy", five, one, low=-0.05, high=0.05),
    )
    return Experiment("depth_against_width", source, question, trials, views, claims, scale.name)
