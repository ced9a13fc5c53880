"""The empirical neural tangent kernel of any torch module, block by block: no Jacobian of the whole sample ever exists."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from shatterlab.architectures.mlp import MLP
from shatterlab.core import Architecture, Examples, Kernel, Seeds, fitted_field
from shatterlab.core.errors import InvalidPart
from shatterlab.kernels._per_example import PerExample

_TILE = 1024  # rows and columns of the matrix computed at a time
_NUMBERS = 2**25  # of Jacobian rows held for one side of a tile: 128 MiB in float32
_AGREES = {torch.float32: 1e-3, torch.float64: 1e-9}  # of the two routes on a few examples, relative to the diagonal: thousands of roundings


@dataclass(frozen=True)
class EmpiricalTangent(Kernel):
    """The tangent kernel of a finite network at initialization: <df_c(x), df_c(z)>, gradients with respect to all parameters.

    Weights are those that `Training` draws from the same seed. Its matrix costs a pass forward and backward for each class.

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


def tangent_gram(
    network: nn.Module, x: Float[Tensor, "n *shape"], z: Float[Tensor, "m *shape"] | None = None, output: int | None = None, structured: bool = True
) -> Float[Tensor, "n m"]:
    """The inner products of the parameter gradients of a network's scores: K_ij = <df_c(x_i), df_c(z_j)>, in evaluation mode.

    In linear layers, two-dimensional convolutions and batch norm, called once, an example's gradient is a product of the layer's input and the gradient of its
    output. Where that does not apply, or disagrees on three examples, blocks of Jacobian rows are multiplied. Memory grows with n m, never with n p.

    Args:
        network: any module from inputs to n x k scores; it stays as it is.
        x: inputs.
        z: others; None: x again, and half of the work.
        output: c; None: the mean of the k matrices of all scores.
        structured: False goes by blocks of Jacobian rows in any case.

    Returns:
        n x m in the dtype of x, which the network is copied to.

    Raises:
        InvalidPart: nothing to train, scores that are not n x k, or an output that is none of them.

    Source:
        Jacot, Gabriel, Hongler 2018, section 4; gradients of linear layers as products: Goodfellow 2015.
    """
    model = copy.deepcopy(network).to(device=x.device, dtype=x.dtype).eval()
    trainable = {name: value for name, value in model.named_parameters() if value.requires_grad}
    if not trainable:
        raise InvalidPart(f"EmpiricalTangent: trainable parameters are required, {type(network).__name__} has none. Set requires_grad.")
    outputs = _outputs(model, x, output)
    rows = _Rows(model, trainable)
    layers = _layers(model, rows, x, outputs[0]) if structured else None
    out = x.new_zeros((len(x), len(x if z is None else z)))
    for one, other in _tiles(len(x), None if z is None else len(z)):
        right = None if z is None and one == other else (x if z is None else z)[other]
        for c in outputs:
            out[one, other] += rows.gram(x[one], right, c) if layers is None else layers.gram(x[one], right, c, _NUMBERS)
        if z is None and right is not None:
            out[other, one] = out[one, other].T
    return out.div_(len(outputs))


def tangent_diagonal(network: nn.Module, x: Float[Tensor, "n *shape"], output: int | None = None) -> Float[Tensor, " n"]:
    """The diagonal of `tangent_gram(network, x, output=output)`: squared lengths of the gradients."""
    return torch.cat([tangent_gram(network, block, output=output).diagonal() for block in x.split(16)])


def _outputs(model: nn.Module, x: Tensor, output: int | None) -> list[int]:
    with torch.no_grad():
        scores = model(x[:1].clone())
    if not isinstance(scores, Tensor) or scores.ndim != 2:
        got = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
        raise InvalidPart(f"EmpiricalTangent: scores of shape examples x classes are required, got {got}. Give the model one output a class.")
    if output is None:
        return list(range(scores.shape[1]))
    if not 0 <= output < scores.shape[1]:
        raise InvalidPart(f"EmpiricalTangent: output is one of the scores, 0 .. {scores.shape[1] - 1}, or None for their mean, got {output}.")
    return [output]


def _layers(model: nn.Module, rows: _Rows, x: Tensor, output: int) -> PerExample | None:
    layers = PerExample.of(model, x[:1])
    if layers is None:
        return None
    one, other = layers.gram(x[:3], None, output, _NUMBERS), rows.gram(x[:3], None, output)
    return layers if (one - other).abs().max() <= _AGREES[x.dtype] * other.diagonal().max().clamp_min(torch.finfo(x.dtype).tiny) else None


def _tiles(n: int, m: int | None) -> Iterator[tuple[slice, slice]]:
    for row in range(0, n, _TILE):
        for column in range(0, row + 1 if m is None else m, _TILE):
            yield slice(row, min(row + _TILE, n)), slice(column, min(column + _TILE, n if m is None else m))


class _Rows:
    """Jacobian rows of one score, a block of examples at a time: works for whatever torch can differentiate."""

    def __init__(self, model: nn.Module, trainable: Mapping[str, Tensor]) -> None:
        self.model = model
        self.parameters = {name: value.detach() for name, value in trainable.items()}
        self.block = max(1, _NUMBERS // sum(value.numel() for value in trainable.values()))

    def gram(self, x: Tensor, z: Tensor | None, output: int) -> Tensor:
        """Inner products of all rows; every block of rows meets every block of columns, whose Jacobian rows are recomputed."""
        out = x.new_zeros((len(x), len(x if z is None else z)))
        for start in range(0, len(x), self.block):
            these = slice(start, start + self.block)
            left = self._of(x[these], output)
            for begin in range(0, start + 1 if z is None else len(z), self.block):
                others = slice(begin, begin + self.block)
                right = left if z is None and begin == start else self._of((x if z is None else z)[others], output)
                out[these, others] = left @ right.T
                if z is None and begin != start:
                    out[others, these] = out[these, others].T
        return out

    def _of(self, x: Tensor, output: int) -> Tensor:
        def score(parameters: Mapping[str, Tensor], example: Tensor) -> Tensor:
            scores: Tensor = functional_call(self.model, dict(parameters), (example[None].clone(),))
            return scores[0, output]

        try:
            gradients = vmap(grad(score), in_dims=(None, 0), chunk_size=32)(self.parameters, x)
        except RuntimeError:  # a network that vmap cannot vectorize: one example at a time
            single = [grad(score)(self.parameters, example) for example in x]
            gradients = {name: torch.stack([example_gradients[name] for example_gradients in single]) for name in self.parameters}
        return torch.cat([gradients[name].reshape(len(x), -1) for name in self.parameters], 1)
