"""What a model returns, read as scores."""

from __future__ import annotations

import types

import torch

from shatterlab.core.model_outputs import scores_in


def test_logits_are_found_by_attribute_and_by_key_and_tensors_stay():
    scores = torch.ones(2, 3)
    for output in (scores, types.SimpleNamespace(logits=scores), {"logits": scores, "loss": None}):
        assert scores_in(output) is scores
    assert scores_in((scores, None)) == (scores, None)
