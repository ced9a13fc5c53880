"""What is wrong with a network is seen from what it answers, before it is trained and after its first trials."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import shatterlab as sl
from shatterlab.core import Row
from shatterlab.studies.model_and_data import learners
from shatterlab.studies.model_findings import constant_answers, model_findings

SPLITS = sl.Digits(examples=60, test_examples=30).load()


class Deaf(nn.Module):
    """Forgets its inputs on the way."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(8, 10)

    def forward(self, images):
        return self.head(torch.zeros(len(images), 8))


class Words(nn.Module):
    """Takes whole numbers only."""

    def __init__(self):
        super().__init__()
        self.table, self.head = nn.Embedding(17, 4), nn.Linear(256, 10)

    def forward(self, images):
        return self.head(self.table(images.flatten(1)).flatten(1))


def ended(*last):
    return lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10), *last)


def of_zeros():
    network = ended()()
    nn.init.zeros_(network[-1].weight), nn.init.zeros_(network[-1].bias)
    return network


def kinds(model, **recipe):
    return [(finding.kind, finding.severity) for finding in model_findings(learners(model, 60, **recipe)[0], SPLITS)]


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        (ended(nn.Softmax(dim=1)), "softmax before the loss"),
        (ended(nn.Sigmoid()), "sigmoid before the loss"),
        (Deaf, "constant scores"),
    ],
)
def test_what_stands_before_the_loss_and_what_does_not_hear_its_inputs_is_found(model, kind):
    assert kinds(model) == [(kind, "warning")]


@pytest.mark.parametrize("model", [ended(), ended(nn.LogSoftmax(dim=1)), ended(nn.ReLU()), of_zeros, Words, "MLP"])
def test_what_learns_as_it_is_gives_no_finding(model):
    assert kinds(model) == []


def test_scores_that_the_loss_takes_as_values_may_lie_between_0_and_1():
    assert kinds(ended(nn.Sigmoid()), loss="squared") == []


def test_looking_changes_no_generator():
    before = torch.get_rng_state()
    kinds(ended(nn.Softmax(dim=1)))
    assert torch.equal(before, torch.get_rng_state())


def test_findings_of_the_model_stand_before_those_of_the_data():
    found = sl.data_findings(sl.Digits(examples=60, test_examples=20), ended(nn.Softmax(dim=1)))
    assert [finding.kind for finding in found][:2] == ["softmax before the loss", "small test split"]
    assert found[0].sentence == (
        "Your network ends in a softmax: its scores are probabilities, but the loss takes logits and applies its own softmax, so training is slow. "
        "Remove the last softmax."
    )


def ran(level, train, test, *, status="ok"):
    columns = {"learner.kind": "Training", "learner.architecture.kind": "MLP", "corruption.kind": "PartialLabels", "corruption.level": level}
    figures = {"train.accuracy": train, "test.accuracy": test, "baseline.train.accuracy": 0.4, "baseline.test.accuracy": 0.375}
    return Row(columns | figures | {"status": status})


def test_one_answer_to_all_is_seen_after_the_first_trial_on_true_labels():
    [finding] = constant_answers([ran(0.0, 0.4, 0.375), ran(1.0, 0.2, 0.1)])
    assert (finding.kind, finding.count) == ("one answer", 1)
    assert finding.sentence.startswith("MLP has exactly the accuracy of always answering the majority class, in the run with true labels: ")
    assert constant_answers([ran(0.0, 0.4, 0.375), ran(0.0, 0.5, 0.375)]) == []
    assert constant_answers([ran(1.0, 0.4, 0.375), ran(0.0, None, None, status="failed")]) == []
