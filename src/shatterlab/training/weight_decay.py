"""The optimizer of a run, with weight decay on the parameters that are named."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import torch
from torch import nn

from shatterlab.core import Optimizer
from shatterlab.core.errors import InvalidPart


def decaying(optimizer: Optimizer, network: nn.Module, patterns: Sequence[str]) -> torch.optim.Optimizer:
    """The torch optimizer over all trainable parameters, in which only those whose names match a pattern decay.

    Args:
        optimizer: the rule, whose weight decay is meant.
        network: names the parameters.
        patterns: shell patterns, "full*.weight", say; none at all: every parameter decays.

    Raises:
        InvalidPart: a pattern matches no parameter, or the torch optimizer has no weight decay.
    """
    named = {name: value for name, value in network.named_parameters() if value.requires_grad}
    if not patterns:
        return optimizer.build(list(named.values()), fused=True)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in named):
            raise InvalidPart(f"Training: weight_decay_on names parameters of the network, got {pattern!r}, which matches none. It has {', '.join(named)}.")
    chosen = [name for name in named if any(fnmatchcase(name, pattern) for pattern in patterns)]
    built = optimizer.build([named[name] for name in chosen], fused=True)
    if not all(group.get("weight_decay") for group in built.param_groups):
        raise InvalidPart(f"Training: an optimizer with weight_decay > 0 in its groups is required for weight_decay_on, got {optimizer.kind}. Use SGD, say.")
    others = [value for name, value in named.items() if name not in chosen]
    if others:
        built.add_param_group({"params": others, "weight_decay": 0.0})
    return built
