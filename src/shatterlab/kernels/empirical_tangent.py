"""The tangent kernel of a network as it is at initialization."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from shatterlab.architectures.mlp import MLP
from shatterlab.core import Architecture, Examples, Kernel, Seeds, fitted_field
from shatterlab.kernels._tangent import tangent_diagonal, tangent_gram


@dataclass(frozen=True)
class EmpiricalTangent(Kernel):
    """What a network of finite size is near its fresh weights: <df_c(x), df_c(z)> of the gradients with respect to all parameters.

    Small steps of gradient descent move the scores on the sample as this kernel says. It takes inputs as they come; weights are those
    that `Training` draws from the same seed. Its matrix costs a pass forward and backward for each class, and memory that does not grow with n times p.

    Args:
        architecture: the network.
        output: c, one of the scores; None: the mean of the k kernels of all scores, to which all of them tend as width grows.

    Raises:
        InvalidPart: the network has nothing to train, its scores are not n x k, or it has no such output.

    Source:
        Jacot, Gabriel, Hongler 2018, section 4.
    """

    architecture: Architecture
    output: int | None = None
    network: nn.Module | None = fitted_field()
    random: ClassVar[bool] = True

    def validate(self) -> None:
        self.require(self.output is None or self.output >= 0, "output is a whole number >= 0, or None", self.output)

    @classmethod
    def specimens(cls) -> tuple[Kernel, ...]:
        return (cls(MLP((6,))), cls(MLP((6,)), 1))

    def fitted(self, train: Examples, seeds: Seeds) -> EmpiricalTangent:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeds.integer("init"))  # noqa: TID251 (inside fork_rng, hence undone)
            return replace(self, network=self.architecture.build(train.shape, train.classes))

    def gram(self, x: Tensor, z: Tensor) -> Tensor:
        return tangent_gram(self._network(), x, None if z is x else z.to(x.dtype), self.output)

    def diagonal(self, x: Tensor) -> Tensor:
        return tangent_diagonal(self._network(), x, self.output)

    def _network(self) -> nn.Module:
        self.require(self.network is not None, "a network is required, which fitted(train, seeds) draws", self.network, "Call fitted first")
        network: Any = self.network
        assert isinstance(network, nn.Module)
        return network
