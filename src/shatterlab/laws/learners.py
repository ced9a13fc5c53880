"""Laws of learners: a fit depends on the sample and the seeds alone, and its reports are true."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
import random
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from shatterlab.core import Examples, Fit, Learner, Observer, Progress, Splits
from shatterlab.core.errors import InvalidPart, NotApplicable
from shatterlab.core.losses import evaluate
from shatterlab.laws import samples
from shatterlab.laws.law import SEEDS, changed, copied, demand, differing, laws_in, leaving_generators_alone
from shatterlab.trials.self_check import stand_for

_OUTPUTS = ("logits", "probabilities", "values")
_SIZE = 120  # examples to fit


def fits_the_same_twice(part: Learner) -> None:
    """The same sample and seeds give the same scores, bit for bit, and the same facts."""
    sample = _sample(part)
    one, other = _fit(part, sample.train), _fit(part, _sample(part).train)
    count = differing(one.scores(sample.test.inputs), other.scores(sample.test.inputs))
    remedy = "Draw from `seeds` only."
    demand(part, not count, "two fits from one seed score alike", f"{count} of {len(sample.test)} scores that differ", remedy)
    facts, again = ({name: value for name, value in fit.facts.items() if not name.startswith("seconds")} for fit in (one, other))
    demand(part, facts == again, "two fits from one seed have the same facts, seconds apart", again, remedy)


def observers_change_nothing(part: Learner) -> None:
    """An observer that scores inputs and draws random numbers changes nothing."""
    sample, again = _sample(part), _sample(part)

    def busy(progress: Progress) -> None:
        progress.scores(sample.test.inputs[:3])
        torch.rand(3), np.random.rand(3), random.random()  # noqa: NPY002 (a stranger's observer does)

    with _generators_restored():
        watched = _fit(part, sample.train, busy)
    count = differing(watched.scores(sample.test.inputs), _fit(part, again.train).scores(sample.test.inputs))
    got = f"{count} of {len(sample.test)} scores that differ"
    demand(part, not count, "a fit is the same with an observer and without", got, "Call the observer where its random draws cannot shift yours.")


def leaves_generators_alone(part: Learner) -> None:
    """Process-wide random generators are left as they were, by fitting and by scoring."""
    sample = _sample(part)
    with leaving_generators_alone(part, "fit"):
        _fit(part, sample.train, lambda progress: None).scores(sample.test.inputs)


def leaves_the_sample_alone(part: Learner) -> None:
    """The training sample and the inputs to score stay unchanged."""
    sample = _sample(part)
    before = Splits(copied(sample.train), copied(sample.test))
    _fit(part, sample.train).scores(sample.test.inputs)
    got = changed(before.train, sample.train) or changed(before.test, sample.test)
    demand(part, not got, "the sample stays as it is", got, "Work on a copy.")


def scores_every_class(part: Learner) -> None:
    """Scores of new inputs are n x k, not NaN, and the same one by one as all at once."""
    sample = _sample(part)
    fit, unseen = _fit(part, sample.train), sample.test.inputs
    _demand_scores(part, fit, unseen, sample.train.classes)
    whole, alone = fit.scores(unseen), fit.scores(unseen[4:5])
    demand(part, not differing(whole, fit.scores(unseen)), "scores of the same inputs are the same", "others the second time", "Score in evaluation mode.")
    # sums in another order: float32 rounding, amplified by at most a few layers
    close = torch.allclose(whole[4:5].float(), alone.float(), rtol=1e-3, atol=1e-4)
    remedy = "Score each input by itself."
    demand(part, close, "an input's scores do not depend on the rest", f"{alone.tolist()[0]} in place of {whole[4].tolist()}", remedy)


def scores_absent_classes(part: Learner) -> None:
    """A class without training examples still has a column of scores."""
    sample = _sample(part)
    present = sample.train.at((sample.train.labels != 2).nonzero().flatten())
    _demand_scores(part, _fit(part, present), sample.test.inputs, sample.train.classes)


def says_what_scores_are(part: Learner) -> None:
    """Scores are logits, probabilities or values, the same in every report; probabilities sum to 1."""
    sample, reports = _sample(part), list[Progress]()
    fit = _fit(part, sample.train, reports.append)
    known = {fit.output, *(progress.output for progress in reports)}
    constant = known <= set(_OUTPUTS) and len(known) == 1
    demand(part, constant, f"output is one of {', '.join(_OUTPUTS)}, always the same", sorted(known), "Set it in Fit and Progress.")
    if fit.output == "probabilities":
        scores = fit.scores(sample.test.inputs).double()
        sums = scores.sum(1)
        good = scores.min() >= 0 and torch.allclose(sums, torch.ones_like(sums), atol=1e-5)  # float32 sums of k numbers
        demand(part, good, "probabilities are >= 0 and sum to 1", f"sums {sums.min():.4g} .. {sums.max():.4g}", 'Normalize, or say output="values".')


def reports_in_order(part: Learner) -> None:
    """It reports once an epoch, in order; the last report, and no other, says that it is the last."""
    reports = _reports(part, _sample(part).train)
    epochs, steps = [report.epoch for report in reports], [report.step for report in reports]
    rising = epochs == list(range(1, len(reports) + 1)) and all(a <= b for a, b in itertools.pairwise(steps))
    demand(part, reports and rising, "epochs 1, 2, ... are reported once each", epochs, "Call the observer after each epoch, once where there are none.")
    lasts = [report.last for report in reports]
    demand(part, lasts == [False] * (len(reports) - 1) + [True], "the last report alone has last=True", lasts, "Set it when training ends.")


def reports_what_it_was_given(part: Learner) -> None:
    """In its first and last report is a batch, equal to the sample at the same positions, targets of the loss included where they are reported."""
    sample = _sample(part).train
    reports = _reports(part, sample)
    for progress in (reports[0], reports[-1]) if reports else ():
        batch = progress.batch
        demand(part, batch is not None, f"epoch {progress.epoch} reports a batch", "none", "Report what the model was given before augmentation.")
        assert batch is not None
        positions = batch.indices.cpu()
        same = torch.equal(batch.inputs.cpu(), sample.inputs[positions]) and torch.equal(batch.labels.cpu(), sample.labels[positions])
        remedy = "Train on the sample as it is."
        targets = batch.targets is None or stand_for(batch.targets.cpu(), sample.labels[positions])
        demand(part, targets, f"targets of the loss in epoch {progress.epoch} are the labels of the sample", "others", remedy)
        demand(part, same, f"the batch of epoch {progress.epoch} equals the sample at its positions", "other inputs or labels", remedy)


def reports_what_it_fitted(part: Learner) -> None:
    """The last report describes the fitted model: its scores, and its loss and accuracy on the training sample."""
    sample, reports = _sample(part), list[Progress]()
    fit = _fit(part, sample.train, reports.append)
    if not reports:
        raise NotApplicable("it reports nothing")
    count = differing(reports[-1].scores(sample.test.inputs), fit.scores(sample.test.inputs))
    demand(part, not count, "the last report scores as the fit does", f"{count} scores that differ", "Give both the same function.")
    for name, reported, value in zip(
        ("loss", "accuracy"), (reports[-1].train_loss, reports[-1].train_accuracy), evaluate(fit.scores, sample.train, fit.output), strict=True
    ):
        close = reported is None or math.isclose(reported, value, rel_tol=1e-4, abs_tol=1e-6)  # float32 sums in batches of another size
        demand(part, close, f"the reported training {name} is that of the fitted model, {value:.6g}", reported, "Evaluate after the epoch, in evaluation mode.")


def learns_from_its_labels(part: Learner) -> None:
    """Other labels give another fit."""
    sample = _sample(part)
    other = dataclasses.replace(sample.train, labels=(sample.train.labels + 1) % sample.train.classes)
    differ = differing(_fit(part, sample.train).scores(sample.test.inputs), _fit(part, other).scores(sample.test.inputs))
    demand(part, differ, "scores depend on the labels", "the same scores for other labels", "Train on `train.labels`.")


def facts_are_plain(part: Learner) -> None:
    """Facts are text, numbers, true, false or None by name; arrays are numpy's."""
    fit = _fit(part, _sample(part).train)
    wrong = [name for name, value in fit.facts.items() if not isinstance(name, str) or not (value is None or isinstance(value, str | int | float))]
    wrong += [name for name, value in fit.arrays.items() if not isinstance(value, np.ndarray)]
    demand(part, not wrong, "facts are plain scalars and arrays numpy's", f"others at {', '.join(map(str, wrong))}", "Call .item() or .numpy().")


def takes_tables(part: Learner) -> None:
    """Tables are learned too, or refused in one line."""
    sample = samples.table(_SIZE, 60)
    try:
        fit = _fit(part, sample.train)
    except InvalidPart as refusal:
        raise NotApplicable(f"it refuses tables: {refusal}") from None
    _demand_scores(part, fit, sample.test.inputs, sample.train.classes)


def _sample(part: Learner) -> Splits:
    try:
        _fit(part, samples.images(20, 10).train)
    except InvalidPart:
        return samples.table(_SIZE, 60)
    return samples.images(_SIZE, 60)


def _fit(part: Learner, train: Examples, observe: Observer | None = None) -> Fit:
    return part.fit(train, SEEDS, observe)


def _reports(part: Learner, train: Examples) -> list[Progress]:
    reports: list[Progress] = []
    _fit(part, train, reports.append)
    return reports


def _demand_scores(part: Learner, fit: Fit, inputs: Tensor, classes: int) -> None:
    scores = fit.scores(inputs)
    tensor = isinstance(scores, Tensor) and scores.is_floating_point() and scores.device.type == "cpu" and not scores.requires_grad
    demand(part, tensor, "scores are a tensor of numbers on the CPU, without gradients", type(scores).__name__, "Detach and move them.")
    expected = (len(inputs), classes)
    demand(part, scores.shape == expected, f"scores are n x k, {expected}", tuple(scores.shape), "Give one score a class.")
    rows = int(scores.isnan().any(1).sum())
    demand(part, not rows, "scores are numbers", f"NaN in {rows} of {len(inputs)} rows", "Look for infinity minus infinity.")


@contextlib.contextmanager
def _generators_restored() -> Iterator[None]:
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002 (kept, not drawn from)
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002
            random.setstate(python_state)


LAWS = laws_in(__name__)
