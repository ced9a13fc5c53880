"""Gradients of single examples as products of a layer's input and the gradient of its output."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

_BLOCK = 32  # examples that one pass holds the activations of
_BATCHED = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
Calls = dict[str, list[tuple[Tensor, Tensor]]]


@dataclass(frozen=True)
class _Share:
    """Some units of a layer whose gradients are written out: filters of a convolution, outputs of a linear layer, channels."""

    name: str
    units: slice
    columns: int


class PerExample:
    """The layers of a network that hold its trainable parameters, each called once with one input.

    Args:
        model: in evaluation mode.
        layers: by name.
        dense: the names of linear layers that meet one vector an example.
    """

    def __init__(self, model: nn.Module, layers: Mapping[str, nn.Module], dense: tuple[str, ...]) -> None:
        self.model, self.layers, self.dense = model, layers, dense

    @classmethod
    def of(cls, model: nn.Module, examples: Tensor) -> PerExample | None:
        """The layers, or None where a trainable parameter is shared or belongs to another kind of layer."""
        layers: dict[str, nn.Module] = {}
        owners: set[int] = set()
        for name, layer in model.named_modules(remove_duplicate=False):
            own = [value for value in layer.parameters(recurse=False) if value.requires_grad]
            if own and (not _readable(layer) or owners & {id(value) for value in own}):
                return None
            owners |= {id(value) for value in own}
            layers |= {name: layer} if own else {}
        calls = _watched(model, layers, examples)[1]
        if any(len(records) != 1 or len(records[0][0]) != len(examples) for records in calls.values()):
            return None
        dense = tuple(name for name, layer in layers.items() if isinstance(layer, nn.Linear) and calls[name][0][0].ndim == 2)  # sums follow this order
        return cls(model, layers, dense)

    def gram(self, x: Tensor, z: Tensor | None, output: int, numbers: int) -> Tensor:
        """Inner products of the gradients of one score, all parameters together.

        Args:
            x: inputs of the rows.
            z: of the columns; None: x again.
            output: which score.
            numbers: numbers of written-out gradients held for a side.
        """
        out = x.new_zeros((len(x), len(x if z is None else z)))
        for turn, shares in enumerate(self._plan(numbers // max(len(x), 0 if z is None else len(z)))):
            left = _Side(self, x, output, shares, dense=turn == 0)
            right = left if z is None else _Side(self, z, output, shares, dense=turn == 0)
            out.addmm_(left.written, right.written.T)
            for name in self.dense if turn == 0 else ():
                (inputs, returned), (other_inputs, other_returned) = left.pairs[name], right.pairs[name]
                layer = self.layers[name]
                inner = inputs @ other_inputs.T if _trains(layer.weight) else out.new_zeros(out.shape)
                out.addcmul_(inner.add_(1.0) if _trains(layer.bias) else inner, returned @ other_returned.T)
        return out

    def _plan(self, columns: int) -> list[list[_Share]]:
        turns: list[list[_Share]] = [[]]
        left = columns
        for name, layer in self.layers.items():
            if name in self.dense:
                continue
            weight = layer.weight
            assert isinstance(weight, Tensor)
            units, wide = weight.shape[0], weight[0].numel() + 1
            start = 0
            while start < units:
                fits = min(units - start, max(left, 0) // wide)
                if fits == 0 and turns[-1]:
                    turns.append([])
                    left = columns
                    continue
                fits = max(fits, 1)
                turns[-1].append(_Share(name, slice(start, start + fits), fits * wide))
                start, left = start + fits, left - fits * wide
        return turns


class _Side:
    """One side of a Gram matrix: factors of the dense layers, gradients of some units of the other layers."""

    def __init__(self, layers: PerExample, x: Tensor, output: int, shares: Sequence[_Share], dense: bool) -> None:
        self.written = x.new_zeros((len(x), sum(share.columns for share in shares)))
        self.pairs: dict[str, tuple[Tensor, Tensor]] = {}
        parts: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in layers.dense} if dense else {}
        for start, calls in _passes(layers, x, output):
            for name, pairs in parts.items():
                pairs.append(calls[name])
            place = 0
            for share in shares:
                gradients = _written(layers.layers[share.name], *calls[share.name], share.units)
                self.written[start : start + len(gradients), place : place + share.columns] = gradients
                place += share.columns
        for name, pairs in parts.items():
            inputs, returned = (torch.cat(blocks) for blocks in zip(*pairs, strict=True))
            self.pairs[name] = inputs, returned


def _passes(layers: PerExample, x: Tensor, output: int) -> Iterator[tuple[int, dict[str, tuple[Tensor, Tensor]]]]:
    for start in range(0, len(x), _BLOCK):
        scores, calls = _watched(layers.model, layers.layers, x[start : start + _BLOCK])
        outputs = [calls[name][0][1] for name in layers.layers]
        returned = torch.autograd.grad(scores[:, output].sum(), outputs, allow_unused=True, materialize_grads=True)
        yield start, {name: (calls[name][0][0], back) for name, back in zip(layers.layers, returned, strict=True)}


def _watched(model: nn.Module, layers: Mapping[str, nn.Module], x: Tensor) -> tuple[Tensor, Calls]:
    calls: Calls = {name: [] for name in layers}

    def watch(name: str) -> object:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            calls[name].append((inputs[0].detach().clone() if inputs else output.detach(), output))
            return output.clone()  # a network may go on in place

        return hook

    hooks = [layer.register_forward_hook(watch(name)) for name, layer in layers.items()]  # type: ignore[arg-type]
    try:
        with torch.enable_grad():
            scores: Tensor = model(x.clone())
    finally:
        for handle in hooks:
            handle.remove()
    return scores, calls


def _written(layer: nn.Module, inputs: Tensor, returned: Tensor, units: slice) -> Tensor:
    if isinstance(layer, _BATCHED):
        back = returned.reshape(*returned.shape[:2], -1)[:, units]
        weights = (back * _normalized(layer, inputs).reshape(*returned.shape[:2], -1)[:, units]).sum(2, keepdim=True)
    else:
        patches, back = _patches(layer, inputs, returned)
        back = back[:, units]
        weights = back @ patches.transpose(1, 2)
    biases = back.sum(2, keepdim=True)
    kept = [gradients if _trains(value) else torch.zeros_like(gradients) for gradients, value in ((weights, layer.weight), (biases, layer.bias))]
    return torch.cat(kept, 2).flatten(1)


def _patches(layer: nn.Module, inputs: Tensor, returned: Tensor) -> tuple[Tensor, Tensor]:
    if isinstance(layer, nn.Linear):
        return inputs.flatten(1, -2).transpose(1, 2), returned.flatten(1, -2).transpose(1, 2)
    assert isinstance(layer, nn.Conv2d)
    padded = functional.pad(inputs, _padding(layer))
    patches = functional.unfold(padded, layer.kernel_size, dilation=layer.dilation, stride=layer.stride)
    return patches, returned.flatten(2)


def _padding(layer: nn.Conv2d) -> list[int]:
    if isinstance(layer.padding, str):
        totals = [step * (side - 1) if layer.padding == "same" else 0 for step, side in zip(layer.dilation, layer.kernel_size, strict=True)]
        ends = [(total // 2, total - total // 2) for total in totals]
    else:
        ends = [(side, side) for side in layer.padding]
    return [*ends[1], *ends[0]]


def _normalized(layer: nn.Module, inputs: Tensor) -> Tensor:
    shape = (1, -1, *[1] * (inputs.ndim - 2))
    mean, variance = (getattr(layer, f"running_{name}").view(shape) for name in ("mean", "var"))
    normalized: Tensor = (inputs - mean) * (variance + layer.eps).rsqrt()
    return normalized


def _readable(layer: nn.Module) -> bool:
    if type(layer) is nn.Conv2d:
        return layer.groups == 1 and layer.padding_mode == "zeros"
    return type(layer) is nn.Linear or (type(layer) in _BATCHED and layer.running_var is not None and layer.weight is not None)


def _trains(value: object) -> bool:
    return isinstance(value, Tensor) and value.requires_grad
