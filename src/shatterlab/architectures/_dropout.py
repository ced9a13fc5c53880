"""Dropout as several architectures offer it: absent from the network where it is 0."""

from __future__ import annotations

from torch import nn

from shatterlab.core import Architecture


def require_probability(owner: Architecture, dropout: float) -> None:
    """Refuses what is no share of activations that can be left out.

    Raises:
        InvalidPart: it lies outside [0, 1).
    """
    owner.require(0 <= dropout < 1, "dropout is a probability in [0, 1)", dropout, "0 leaves dropout out")


def dropping(dropout: float) -> list[nn.Module]:
    """The layer that sets a share of the activations to 0 in training and divides the rest by 1 - dropout; none where it is 0.

    Source:
        Srivastava et al. 2014, in the form of torch.nn.Dropout, which draws from the order stream's generator.
    """
    return [nn.Dropout(dropout)] if dropout else []
