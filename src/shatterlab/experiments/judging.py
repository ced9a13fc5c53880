"""Which measure of a fit orders networks as their generalization gap does, and which only sees that labels are random?"""

from __future__ import annotations

from shatterlab.architectures.mlp import MLP
from shatterlab.core import Dataset, Seeds
from shatterlab.corruptions.partial_labels import RandomLabels, TrueLabels
from shatterlab.datasets.cifar10 import CIFAR10
from shatterlab.datasets.digits import Digits
from shatterlab.experiment import Experiment, Scale, grid
from shatterlab.experiments._ledger import QUANTITIES, STOP, Effort, network_measures
from shatterlab.learners.training import Training
from shatterlab.optimizers.sgd import SGD
from shatterlab.trial import Trial
from shatterlab.views import JudgedMeasures, Scatter

_TRUE = {"corruption.level": 0.0}


def experiment(scale: Scale) -> Experiment:
    """MLPs of two widths and depths, learning rates and batch sizes, on true and on random labels, all ended at one training loss.

    Smoke: 100 digits, 2 replicates, one batch size. Laptop: 500 images of CIFAR-10. Paper: 10,000 images, and two coefficients of weight decay.

    Args:
        scale: how large.
    """
    widths, rates = scale.pick(smoke=((16, 64), (0.02, 0.05)), laptop=((64, 512), (0.01, 0.03)), paper=((256, 1024), (0.01, 0.03)))
    batches, decays = scale.pick(smoke=((25,), (0.0,)), laptop=((16, 64), (0.0,)), paper=((32, 256), (0.0, 5e-4)))
    replicates = scale.pick(smoke=2, laptop=3, paper=scale.replicates)
    learners = [
        Training(MLP((width,) * depth), SGD(lr=rate, weight_decay=decay), batch_size=batch, epochs=300, stop=STOP)
        for width in widths
        for depth in (1, 3)
        for rate in rates
        for batch in batches
        for decay in decays
    ]
    effort = Effort.of(scale)
    measures = network_measures(effort)
    own = {f"measure.{measure.kind}" for measure in measures}
    quantities = tuple(each for each in QUANTITIES if each.role == "fit" and each.column.rpartition(".")[0] in own)
    return Experiment(
        name="judging",
        source="Jiang et al. 2020; Dziugaite et al. 2020; Zhang et al. 2017, section 2.2",
        question="Which measure of a fit orders networks as their generalization gap does?",
        trials=grid(
            Trial,
            dataset=[_data(scale)],
            seeds=[Seeds.replicate(r) for r in range(replicates)],
            learner=learners,
            corruption=[TrueLabels(), RandomLabels()],
            measures=[measures],
        ),
        views=(
            JudgedMeasures(quantities, title="True labels: do measures order networks as their generalization gap does?", where=_TRUE),
            JudgedMeasures(quantities, title="With random labels among the choices"),
            Scatter("measure.PathNorm.l2", "test.error", by="corruption.level", title="Test error against path norm, every trial", x_scale="log"),
        ),
        scale=scale.name,
    )


def _data(scale: Scale) -> Dataset:
    if scale.name == "smoke":
        return Digits(examples=100, test_examples=scale.test_examples)
    return CIFAR10(crop=28, examples=scale.pick(smoke=0, laptop=500, paper=10_000), test_examples=scale.test_examples)
