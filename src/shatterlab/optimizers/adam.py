"""Adam."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import torch
from torch import Tensor

from shatterlab.core import Optimizer


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam: steps scaled, weight by weight, by running moments of the gradient.

    g = gradient + w theta; m <- b1 m + (1 - b1) g; v <- b2 v + (1 - b2) g^2 (both 0 at the start); at step t,
    theta <- theta - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps).

    Args:
        lr: initial learning rate, > 0.
        betas: b1 and b2, each in [0, 1).
        eps: added to the root, > 0.
        weight_decay: w, >= 0; adds w theta to the gradient (not AdamW's decoupled decay).

    Source:
        Kingma and Ba 2015, algorithm 1, with its defaults.

    Example:
        >>> theta = torch.ones(1, dtype=torch.float64, requires_grad=True)
        >>> optimizer = Adam(lr=0.5).build([theta])
        >>> (3 * theta).sum().backward()
        >>> optimizer.step()
        >>> round(theta.item(), 6)  # the first step has length lr: m / sqrt(v) is the gradient's sign
        0.5
    """

    lr: float = 0.001
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0

    @classmethod
    def specimens(cls) -> tuple[Adam, ...]:
        return (cls(), cls(betas=(0.5, 0.9), weight_decay=0.01))

    def validate(self) -> None:
        self.require(isfinite(self.lr) and self.lr > 0, "lr is a finite number > 0", self.lr)
        self.require(all(0 <= beta < 1 for beta in self.betas), "betas are two numbers in [0, 1)", self.betas)
        self.require(isfinite(self.eps) and self.eps > 0, "eps is a finite number > 0", self.eps)
        self.require(isfinite(self.weight_decay) and self.weight_decay >= 0, "weight_decay is a finite number >= 0", self.weight_decay)

    def build(self, parameters: Sequence[Tensor], fused: bool = False) -> torch.optim.Optimizer:
        return torch.optim.Adam(parameters, lr=self.lr, betas=self.betas, eps=self.eps, weight_decay=self.weight_decay, fused=fused)
