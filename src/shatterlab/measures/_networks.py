"""Reads the affine layers out of any fitted network: linear layers, convolutions, and batch norm as it stands in evaluation mode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn

from shatterlab.core import Examples, Fit
from shatterlab.core.errors import NotApplicable
from shatterlab.measures._fitted import device_of, evaluated, network
from shatterlab.measures._operators import Affine

Batched = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d
Weighted = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d


def without_preparation(model: nn.Module) -> tuple[nn.Module, nn.Module]:
    """The input layers without parameters that a sequential model begins with, and the rest."""
    if not isinstance(model, nn.Sequential):
        return nn.Identity(), model
    layers = list(model)
    weightless = [not any(True for _ in layer.parameters()) for layer in layers]
    start = weightless.index(False) if False in weightless else 0
    return nn.Sequential(*layers[:start]), nn.Sequential(*layers[start:])


def refused(model: nn.Module, name: str, owner: str, required: str) -> NotApplicable:
    """The reason for an empty cell: which layer is not of the kind that is required."""
    return NotApplicable(f"{owner}: {required} are required, got {type(model.get_submodule(name)).__name__} at {name or 'the top'}")


def affine_layers(fit: Fit, train: Examples, owner: str) -> list[Affine]:
    """Every affine map that the network applies to an example, in order of use; a layer that is used twice comes twice.

    Batch norm in evaluation mode is a fixed scale and shift a channel. Where it is given what a linear layer or convolution has just
    made, it is folded into that layer; elsewhere it is a layer of its own. Layers without parameters (activations, pools, response
    normalization) are passed over: the measures take them as 1-Lipschitz maps that keep 0.

    Raises:
        NotApplicable: the fitted model is no torch module, or a parameter belongs to a layer of another kind.
    """
    model = network(fit, owner)
    _require_known(model, owner)
    calls = _Calls(model, fit.initial or {}, owner)
    with evaluated(model), torch.no_grad(), calls:
        model(train.inputs[:1].to(device_of(model)).clone())
    calls.check()
    uncalled = [name for name, layer in model.named_modules() if isinstance(layer, Weighted) and not calls.used(name)]
    if uncalled:
        raise refused(model, uncalled[0], owner, "layers that the forward pass calls")
    return calls.found


def _require_known(model: nn.Module, owner: str) -> None:
    for name, _ in model.named_parameters():
        home = name.rpartition(".")[0]
        layer = model.get_submodule(home)
        if not isinstance(layer, Weighted | Batched):
            raise refused(model, home, owner, "linear, convolution and batch-norm layers")
        if getattr(layer, "padding_mode", "zeros") != "zeros":
            raise refused(model, home, owner, "convolutions that pad with zeros")
    for name, layer in model.named_modules():
        if isinstance(layer, Batched) and layer.running_var is None:
            raise refused(model, name, owner, "batch-norm layers with running statistics")


@dataclass
class _Calls:
    """Watches one forward pass."""

    model: nn.Module
    initial: Mapping[str, Tensor]
    owner: str
    found: list[Affine] = field(default_factory=list)
    _outputs: dict[int, tuple[Tensor, int, int]] = field(default_factory=dict)  # holds the tensors, so that no id is used twice
    _doubted: list[tuple[Affine, Tensor, Tensor]] = field(default_factory=list)
    _hooks: list[Any] = field(default_factory=list)

    def __enter__(self) -> _Calls:
        for name, layer in self.model.named_modules():
            if isinstance(layer, Weighted | Batched):
                self._hooks.append(layer.register_forward_hook(self._watcher(name)))
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def check(self) -> None:
        """Refuses layers of types of their own that are not the linear map their weight says."""
        for affine, given, made in self._doubted:
            if not affine.is_linear(given, made):
                raise refused(self.model, affine.name, self.owner, "layers that are linear in input and weight")

    def used(self, name: str) -> bool:
        return any(each.name == name for each in self.found)

    def _watcher(self, name: str) -> Any:
        def watch(layer: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> None:
            if isinstance(layer, Batched):
                self._normalized(name, layer, given[0], made)
            else:
                self._add(self._weighted(name, layer, given[0], made), made)

        return watch

    def _add(self, layer: Affine, made: Tensor) -> None:
        self._outputs[id(made)] = (made, made._version, len(self.found))
        self.found.append(layer)

    def _weighted(self, name: str, layer: nn.Module, given: Tensor, made: Tensor) -> Affine:
        start = self.initial.get(f"{name}.weight")
        weight = layer.weight.detach().double()  # type: ignore[operator]
        affine = Affine(name, layer, tuple(given.shape[1:]), weight, None if start is None else start.to(weight))
        if type(layer) not in (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d):
            self._doubted.append((affine, given.clone(), made.clone()))
        return affine

    def _normalized(self, name: str, layer: Batched, given: Tensor, made: Tensor) -> None:
        scale, start = _scale(layer), _initial_scale(layer, self.initial.get(f"{name}.weight"), bool(self.initial))
        source, version, place = self._outputs.get(id(given), (None, -1, -1))
        if source is given and version == given._version:
            self.found[place] = self.found[place].scaled(scale, start)
            self._outputs[id(made)] = (made, made._version, place)
        else:
            self._add(Affine(name, layer, tuple(given.shape[1:]), scale, start), made)


def _scale(layer: Batched) -> Tensor:
    assert layer.running_var is not None
    root = (layer.running_var.double() + layer.eps).rsqrt()
    return root if layer.weight is None else root * layer.weight.detach().double()


def _initial_scale(layer: Batched, weight: Tensor | None, known: bool) -> Tensor | None:
    """Of a fresh layer: running variance 1; a scale that is not trained is what it is now."""
    if not known:
        return None
    now = torch.ones_like(_scale(layer)) if layer.weight is None else layer.weight.detach().double()
    begun: Tensor = (now if weight is None else weight.to(now)) / sqrt(1 + layer.eps)
    return begun
