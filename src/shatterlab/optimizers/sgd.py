"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import torch
from torch import Tensor

from shatterlab.core import Optimizer


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent with momentum, the paper's optimizer.

    g = gradient + w theta; v <- m v + g (v = 0 at the start); theta <- theta - lr v, or, with Nesterov's momentum,
    theta <- theta - lr (g + m v). The learning rate multiplies the velocity as it is applied, so lowering it acts
    at once.

    Args:
        lr: initial learning rate, > 0. The paper: 0.1 for Inception, 0.01 for AlexNet and MLPs.
        momentum: m, in [0, 1).
        nesterov: look one step ahead; needs momentum > 0.
        weight_decay: w, >= 0; adds w theta to the gradient, penalty (w/2) |theta|^2.

    Source:
        Zhang et al. 2017, appendix A; Sutskever et al. 2013, in the form of torch.optim.SGD.

    Example:
        >>> theta = torch.ones(1, requires_grad=True)
        >>> optimizer = SGD(lr=0.5, momentum=0.0).build([theta])
        >>> (theta**2 / 2).sum().backward()
        >>> optimizer.step()
        >>> theta.item()  # 1 - 0.5 * 1
        0.5
    """

    lr: float = 0.01
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0

    @classmethod
    def specimens(cls) -> tuple[SGD, ...]:
        return (cls(), cls(nesterov=True, weight_decay=0.01))

    def validate(self) -> None:
        self.require(isfinite(self.lr) and self.lr > 0, "lr is a finite number > 0", self.lr)
        self.require(0 <= self.momentum < 1, "momentum is in [0, 1)", self.momentum)
        self.require(self.momentum > 0 or not self.nesterov, "nesterov needs momentum > 0", self.momentum, "Set momentum=0.9, say.")
        self.require(isfinite(self.weight_decay) and self.weight_decay >= 0, "weight_decay is a finite number >= 0", self.weight_decay)

    def build(self, parameters: Sequence[Tensor], fused: bool = False) -> torch.optim.Optimizer:
        return torch.optim.SGD(
            parameters,
            lr=self.lr,
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay,
            fused=fused,
        )
