"""Which measure of a fit orders networks as their generalization gap does, and which only sees that labels are random?"""

from __future__ import annotations

from dataclasses import replace

from shatterlab import MLP, SGD, Dataset, Experiment, InvalidPart, Learner, Scale, Seeds, Training, Trial, grid
from shatterlab.design.settings import TRUE_AND_RANDOM
from shatterlab.experiments._networks import digits_or_images, replicates
from shatterlab.studies.ledger import QUANTITIES, STOP, Effort, network_measures
from shatterlab.views import JudgedMeasures, Scatter


def experiment(scale: Scale, learner: Learner | None = None, dataset: Dataset | None = None) -> Experiment:
    """MLPs of two widths and depths, learning rates and batch sizes, on true and on random labels, all ended at one training loss.

    Smoke: 100 digits, one batch size. Laptop: 500 images of CIFAR-10. Paper: 10,000 images, and two coefficients of weight decay.

    Args:
        scale: how large.
        learner: a training of the user's own in place of these, at its learning rate and half of it, its batch size and half of it, without and with
            weight decay.
        dataset: the data set of that training.

    Raises:
        InvalidPart: the learner is no training of a network.
    """
    data, learners = digits_or_images(scale, scale.pick(smoke=100, laptop=500, paper=10_000)), _networks(scale)
    if learner is not None and dataset is not None:
        data, learners = dataset, _varied(learner)
    measures = network_measures(Effort.of(scale))
    kinds = {f"measure.{measure.kind}" for measure in measures}
    quantities = tuple(quantity for quantity in QUANTITIES if quantity.role == "fit" and quantity.column.rpartition(".")[0] in kinds)
    source = "Jiang et al. 2020; Dziugaite et al. 2020; Zhang et al. 2017, section 2.2"
    question = "Which measure of a fit orders networks as their generalization gap does?"
    trials = grid(
        Trial, dataset=[data], seeds=[Seeds.replicate(r) for r in range(replicates(scale))], learner=learners, corruption=TRUE_AND_RANDOM, measures=[measures]
    )
    views = (
        JudgedMeasures(quantities, title="True labels: do measures order networks as their generalization gap does?", where={"corruption.level": 0.0}),
        JudgedMeasures(quantities, title="With random labels among the choices"),
        Scatter("measure.PathNorm.l2", "test.error", by="corruption.level", title="Test error against path norm, every trial", x_scale="log"),
    )
    return Experiment("judging", source, question, trials, views, scale=scale.name)


def _networks(scale: Scale) -> list[Learner]:
    widths, rates = scale.pick(smoke=((16, 64), (0.02, 0.05)), laptop=((64, 512), (0.01, 0.03)), paper=((256, 1024), (0.01, 0.03)))
    batches, decays = scale.pick(smoke=((25,), (0.0,)), laptop=((16, 64), (0.0,)), paper=((32, 256), (0.0, 5e-4)))
    architectures = [MLP((width,) * depth) for width in widths for depth in (1, 3)]
    optimizers = [SGD(lr=rate, weight_decay=decay) for rate in rates for decay in decays]
    return list(grid(Training, architecture=architectures, optimizer=optimizers, batch_size=list(batches), epochs=[300], stop=[STOP]))


def _varied(learner: Learner) -> list[Learner]:
    if not isinstance(learner, Training) or not isinstance(learner.optimizer, SGD):
        raise InvalidPart(f"judging: a network trained by SGD is required, whose rate and batch size can be varied, got {learner.kind}. Use `ledger` for it.")
    rate, batch = learner.optimizer.lr, learner.batch_size or 64
    stop = STOP if isinstance(learner.stop, str) else learner.stop
    optimizers = [replace(learner.optimizer, lr=lr, weight_decay=decay) for lr in (rate, rate / 2) for decay in (0.0, 5e-4)]
    sizes = sorted({batch, max(1, batch // 2)})
    return [replace(learner, optimizer=optimizer, batch_size=size, stop=stop) for optimizer in optimizers for size in sizes]
