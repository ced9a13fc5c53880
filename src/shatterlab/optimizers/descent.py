"""Optimizers of the training loop: Adam, AdamW and RMSProp, which scale the step of each weight, and stochastic gradient descent."""

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

    g = gradient + w theta; m <- b1 m + (1 - b1) g; v <- b2 v + (1 - b2) g^2 (both 0 at the start); at step t, theta <- theta - lr (m / (1 - b1^t)) / (sqrt(v /
    (1 - b2^t)) + eps).

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


@dataclass(frozen=True)
class AdamW(Adam):
    """AdamW: Adam whose weight decay shrinks the weights beside the step, not through the gradient.

    theta <- (1 - lr w) theta, then Adam's step for the gradient without w theta.

    Args:
        lr: initial learning rate, > 0.
        betas: b1 and b2, each in [0, 1).
        eps: added to the root, > 0.
        weight_decay: w, >= 0.

    Source:
        Loshchilov and Hutter 2019, algorithm 2, in the form of torch.optim.AdamW and with its defaults.

    Example:
        >>> theta = torch.ones(1, dtype=torch.float64, requires_grad=True)
        >>> optimizer = AdamW(lr=0.5, weight_decay=0.1).build([theta])
        >>> (3 * theta).sum().backward()
        >>> optimizer.step()
        >>> round(theta.item(), 6)  # (1 - 0.5 * 0.1) - 0.5
        0.45
    """

    weight_decay: float = 0.01

    def build(self, parameters: Sequence[Tensor], fused: bool = False) -> torch.optim.Optimizer:
        return torch.optim.AdamW(parameters, lr=self.lr, betas=self.betas, eps=self.eps, weight_decay=self.weight_decay, fused=fused)


@dataclass(frozen=True)
class RMSProp(Optimizer):
    """RMSProp with momentum: steps divided, weight by weight, by the gradient's running size.

    g = gradient + w theta; v <- a v + (1 - a) g^2; u <- m u + g / (sqrt(v) + eps) (both 0 at the start); theta <- theta - lr u. TensorFlow's, which trained the
    paper's Inception v3 (a = m = 0.9, eps = 1.0, lr = 0.045), adds eps inside the root and starts v at 1: equal constants do not give equal runs.

    Args:
        lr: initial learning rate, > 0.
        alpha: a, how much of v is kept a step, in [0, 1).
        momentum: m, in [0, 1).
        eps: added to the root, > 0.
        weight_decay: w, >= 0; adds w theta to the gradient.

    Source:
        Tieleman and Hinton 2012, lecture 6.5 (a = 0.9), in the form of torch.optim.RMSprop; a and m are also the defaults of TensorFlow's Inception.

    Example:
        >>> theta = torch.ones(1, dtype=torch.float64, requires_grad=True)
        >>> optimizer = RMSProp(lr=0.1, alpha=0.75).build([theta])
        >>> (3 * theta).sum().backward()
        >>> optimizer.step()
        >>> round(theta.item(), 6)  # 1 - 0.1 * 3 / sqrt(0.25 * 9)
        0.8
    """

    lr: float = 0.001
    alpha: float = 0.9
    momentum: float = 0.9
    eps: float = 1e-8
    weight_decay: float = 0.0

    @classmethod
    def specimens(cls) -> tuple[RMSProp, ...]:
        return (cls(), cls(momentum=0.0, eps=1.0, weight_decay=0.01))

    def validate(self) -> None:
        self.require(isfinite(self.lr) and self.lr > 0, "lr is a finite number > 0", self.lr)
        self.require(0 <= self.alpha < 1, "alpha is in [0, 1)", self.alpha)
        self.require(0 <= self.momentum < 1, "momentum is in [0, 1)", self.momentum)
        self.require(isfinite(self.eps) and self.eps > 0, "eps is a finite number > 0", self.eps)
        self.require(isfinite(self.weight_decay) and self.weight_decay >= 0, "weight_decay is a finite number >= 0", self.weight_decay)

    def build(self, parameters: Sequence[Tensor], fused: bool = False) -> torch.optim.Optimizer:
        """The torch optimizer; torch has no fused RMSProp, so `fused` changes nothing."""
        return torch.optim.RMSprop(parameters, lr=self.lr, alpha=self.alpha, momentum=self.momentum, eps=self.eps, weight_decay=self.weight_decay)


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent with momentum, the paper's optimizer.

    g = gradient + w theta; v <- m v + g (0 at the start); theta <- theta - lr v, or theta - lr (g + m v) with Nesterov's momentum. A lower rate acts at once.

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
        return torch.optim.SGD(parameters, lr=self.lr, momentum=self.momentum, nesterov=self.nesterov, weight_decay=self.weight_decay, fused=fused)
