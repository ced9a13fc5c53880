"""The fitted network that a measure looks at, in evaluation mode."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import nn

from shatterlab.core import Fit
from shatterlab.core.errors import NotApplicable


def network(fit: Fit, owner: str) -> nn.Module:
    """The fitted torch module.

    Raises:
        NotApplicable: the fitted model is none, or has nothing to train.
    """
    if not isinstance(fit.model, nn.Module):
        raise NotApplicable(f"{owner}: a torch module is required, got {type(fit.model).__name__}")
    if not any(value.requires_grad for value in fit.model.parameters()):
        raise NotApplicable(f"{owner}: trainable parameters are required, {type(fit.model).__name__} has none")
    return fit.model


@contextlib.contextmanager
def evaluated(model: nn.Module) -> Iterator[nn.Module]:
    """The model in evaluation mode; every module is put back into the mode it was in."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield model
    finally:
        for module, mode in modes.items():
            module.training = mode


def device_of(model: nn.Module) -> torch.device:
    """Where its parameters lie."""
    return next(model.parameters()).device
