"""What is wrong with a network before it is trained, and with the answers of a model after its first trials."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from shatterlab.analysis.data_findings import DataFinding
from shatterlab.analysis.naming import model as model_name
from shatterlab.core import Learner, Row, Runtime, Seeds, Splits
from shatterlab.core.errors import ShatterlabError
from shatterlab.core.user_code import user_code
from shatterlab.learners.streamed_training import StreamedTraining
from shatterlab.learners.training import Training
from shatterlab.studies.first_try import few, quick, users_own
from shatterlab.trials.trial import surroundings

_TRIED = 16  # random inputs of each size
_SIZES = (1.0, 10.0)  # their standard deviation
_ROUNDING = 1e-4  # of the sum of k probabilities in float32


def model_findings(learner: Learner, splits: Splits, seeds: Seeds = Seeds(), runtime: Runtime = Runtime()) -> list[DataFinding]:
    """What is wrong with the user's own network: it ends in a softmax or a sigmoid although its loss takes logits, or all its scores are equal.

    Scores count as those of a softmax where they lie in [0, 1] and have sum 1 for all of 32 random inputs, as those of a sigmoid where they lie in [0, 1] and
    are not all equal. A network whose scores are equal at the start (a last layer of zeros, say) is trained for an epoch on 8 examples first.

    Args:
        learner: of which networks of the user's are looked at, and nothing else.
        splits: of the data.
        seeds: of the weights.
        runtime: where the network runs.

    Returns:
        Warnings; none for a network that cannot be tried.

    Example:
        >>> from shatterlab.architectures.imported import Imported
        >>> from shatterlab.datasets.digits import Digits
        >>> network = Imported(lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.Softmax(dim=1)))
        >>> [finding.kind for finding in model_findings(Training(network), Digits(examples=50).load())]
        ['softmax before the loss']
    """
    own = users_own(learner)
    if not isinstance(own, Training | StreamedTraining) or own.output != "logits" or splits.train.values is not None:
        return []
    try:
        with surroundings(runtime), user_code("model_findings"):
            network = own.build(splits.train, seeds, runtime)
            scores = _scores_of_noise(network[1].eval(), own.input_shape(splits.train))
            found = list(_last_layer(scores))
            if not found and _all_equal(scores):
                found += _constant(own, splits, seeds, runtime)
    except ShatterlabError:  # noise may be no input for it, and what fails in training is said elsewhere
        return []
    return found


def constant_answers(rows: Iterable[Row]) -> list[DataFinding]:
    """The models that answer all examples alike, as far as rows show it: with true labels, exactly the accuracies of always naming the majority class.

    Args:
        rows: of a study; one with true labels is enough for a finding.
    """
    models: dict[str, list[Row]] = {}
    for row in rows:
        if row["status"] in ("ok", "diverged") and row.get("corruption.kind") == "PartialLabels" and row.get("corruption.level") == 0:
            models.setdefault(model_name(row), []).append(row)
    return [_one_answer(name, len(of)) for name, of in models.items() if all(map(_is_majority, of))]


def _scores_of_noise(network: nn.Module, shape: tuple[int, ...]) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    device = next(network.parameters()).device
    batches = [size * torch.randn(_TRIED, *shape, generator=generator) for size in _SIZES]
    with torch.no_grad():
        return torch.cat([network(batch.to(device)).float().cpu() for batch in batches])


def _all_equal(scores: Tensor) -> bool:
    return bool((scores - scores[:1]).abs().max() <= 1e-6 * scores.abs().max())


def _last_layer(scores: Tensor) -> Iterator[DataFinding]:
    if not ((scores >= 0) & (scores <= 1)).all():
        return
    if (scores.sum(1) - 1).abs().max() <= _ROUNDING:
        what, layer = "its scores are probabilities", "softmax"
    elif not _all_equal(scores):
        what, layer = "its scores lie in [0, 1]", "sigmoid"
    else:
        return
    sentence = f"Your network ends in a {layer}: {what}, but the loss takes logits and applies its own softmax, so training is slow. Remove the last {layer}."
    yield DataFinding(f"{layer} before the loss", "warning", scores.shape[1], sentence)


def _constant(own: Training | StreamedTraining, splits: Splits, seeds: Seeds, runtime: Runtime) -> Iterator[DataFinding]:
    learner, most = quick(own)
    sample = few(splits.train, most)
    if _all_equal(learner.fit(sample, seeds, None, runtime).scores(sample.inputs[: len(sample)])):
        sentence = "Your network gives all inputs the same scores, before training and after its first steps: check that its inputs reach its last layer."
        yield DataFinding("constant scores", "warning", len(sample), sentence)


def _is_majority(row: Row) -> bool:
    return all(row.get(f"{split}.accuracy") is not None and row[f"{split}.accuracy"] == row.get(f"baseline.{split}.accuracy") for split in ("train", "test"))


def _one_answer(name: str, count: int) -> DataFinding:
    runs = f"all {count} runs" if count > 1 else "the run"
    sentence = f"{name} has exactly the accuracy of always answering the majority class, in {runs} with true labels: it may give every input the same scores."
    return DataFinding("one answer", "warning", count, sentence)
