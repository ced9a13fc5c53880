"""Training loss by epoch on true labels, random labels and shuffled, random and Gaussian pixels."""

from __future__ import annotations

from shatterlab import Curve, Dataset, Experiment, Learner, LearningCurves, Scale, Scatter, Table, difference, every, mean
from shatterlab.analysis.naming import model as model_name
from shatterlab.design.settings import FIVE_SETTINGS, GAUSSIAN_PIXELS, RANDOM, RANDOM_PIXELS, SHUFFLED_PIXELS, TRUE
from shatterlab.experiments._networks import TIME, published_losses, setups

FIGURE = "Figure 1(a)"


def experiment(scale: Scale, learner: Learner | None = None, dataset: Dataset | None = None) -> Experiment:
    """Smoke: digits and an MLP. Laptop: AlexNet and a quarter-width Inception on 300 images. Paper: the small Inception.

    Args:
        scale: how large.
        learner: a recipe of the user's own in place of these, on `dataset`.
        dataset: the data set of that recipe.
    """
    networks = setups(scale, ("alexnet", "inception"), ("inception",), learner, dataset)
    trials = tuple(trial for network in networks for trial in network.trials(FIVE_SETTINGS, scale))
    models = list(dict.fromkeys(model_name(trial.specification()) for trial in trials))
    source = "Zhang et al. 2017, Figure 1(a)"
    question = "How fast does the training loss fall on true labels, and how much slower on noise?"
    published = {} if scale.name == "smoke" else {"SmallInception": published_losses()}
    views = (
        *(LearningCurves("train.loss", title=f"Training loss of {name}", where={"model": name}, reference=published.get(name)) for name in models),
        Table(("model", "setting"), ("train.error", "test.accuracy", TIME, "fit.epochs_to_interpolation")),
        Curve("setting", TIME, by="model", title="Epochs to a training loss of 0.05"),
        Scatter("fit.epochs_to_interpolation", "test.error", by="setting", title="Test error against time to fit"),
    )
    claims = ANY_NET if learner is not None else (*ANY_NET, *TEN_CLASSES, *ORDER)
    return Experiment("figure1a", source, question, trials, views, claims, scale.name)


ANY_NET = (
    every("every setting is fitted: training error is zero", "train.error", high=0.0, scales=("smoke", "laptop"), reference=FIGURE),
    difference("true labels are learned: test accuracy is at least 0.1 above that of random labels", "test.accuracy", TRUE, RANDOM, low=0.1),
)
TEN_CLASSES = (
    every("random labels are fitted: training accuracy is at least 0.993", "train.accuracy", RANDOM, low=0.993, scales=("paper",), reference="Table 1"),
    mean("under random labels, test accuracy is chance to within 5 points", "test.accuracy", RANDOM, low=0.05, high=0.15, reference="Table 1"),
)
ORDER = tuple(  # of convergence as published, each setting against the next faster one, by at least an epoch
    difference(f"to a loss of 0.05, {slower} take longer than {faster}", TIME, where, versus, low=1.0, scales=("paper",), reference=FIGURE)
    for slower, where, faster, versus in (
        ("shuffled pixels", SHUFFLED_PIXELS, "true labels", TRUE),
        ("Gaussian pixels", GAUSSIAN_PIXELS, "shuffled pixels", SHUFFLED_PIXELS),
        ("random pixels", RANDOM_PIXELS, "Gaussian pixels", GAUSSIAN_PIXELS),
        ("random labels", RANDOM, "random pixels", RANDOM_PIXELS),
    )
)
