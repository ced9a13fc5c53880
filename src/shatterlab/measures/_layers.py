"""The affine layers of any fitted network as linear operators between inputs and outputs of their real size, and their norms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import prod, sqrt
from typing import Any

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor, nn
from torch.func import functional_call

from shatterlab.core import Examples, Fit
from shatterlab.measures._fitted import device_of, evaluated, network, refused
from shatterlab.measures._pools import Pools

Batched = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d
Weighted = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d
_DENSE = 512  # up to this many rows or columns all eigenvalues of A A' are quick
_TOLERANCE = 1e-4  # of the residual: the eigenvalue is then known to about its square


def affine_layers(fit: Fit, train: Examples, owner: str) -> list[Affine]:
    """Every affine map that the network applies to an example, in order of use; a layer that is used twice comes twice.

    Batch norm in evaluation mode is folded into a layer whose output it takes, else a layer of its own. Layers without parameters are skipped.

    Raises:
        NotApplicable: the fitted model is no torch module, or a parameter belongs to a layer of another kind.
    """
    return layers_and_pools(fit, train, owner)[0]


def layers_and_pools(fit: Fit, train: Examples, owner: str) -> tuple[list[Affine], float]:
    """The affine layers, and the product of the Lipschitz constants of all pools (see `Pools`); other layers without weights are taken as 1-Lipschitz.

    Raises:
        NotApplicable: as in `affine_layers`, or a pool draws its windows at random.
    """
    model = network(fit, owner)
    _require_known(model, owner)
    calls = _Calls(model, fit.initial or {}, owner)
    with evaluated(model), torch.no_grad(), calls, Pools(owner) as pools:
        model(train.inputs[:1].to(device_of(model)).clone())
    calls.check()
    uncalled = [name for name, layer in model.named_modules() if isinstance(layer, Weighted) and not calls.used(name)]
    if uncalled:
        raise refused(model, uncalled[0], owner, "layers that the forward pass calls")
    return calls.layers, pools.product


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
    model: nn.Module
    initial: Mapping[str, Tensor]
    owner: str
    layers: list[Affine] = field(default_factory=list)
    _outputs: dict[int, tuple[Tensor, int, int]] = field(default_factory=dict)  # keeps the tensors alive, so that no id is used twice
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
        """Refuses layers of further types that are not the linear map that their weight says."""
        for affine, inputs, output in self._doubted:
            if not affine.is_linear(inputs, output):
                raise refused(self.model, affine.name, self.owner, "layers that are linear in input and weight")

    def used(self, name: str) -> bool:
        return any(layer.name == name for layer in self.layers)

    def _watcher(self, name: str) -> Any:
        def watch(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            if isinstance(layer, Batched):
                self._normalized(name, layer, inputs[0], output)
            else:
                self._add(self._weighted(name, layer, inputs[0], output), output)

        return watch

    def _add(self, layer: Affine, output: Tensor) -> None:
        self._outputs[id(output)] = (output, output._version, len(self.layers))
        self.layers.append(layer)

    def _weighted(self, name: str, layer: nn.Module, inputs: Tensor, output: Tensor) -> Affine:
        start = self.initial.get(f"{name}.weight")
        weight = layer.weight.detach().double()  # type: ignore[operator]
        affine = Affine(name, layer, tuple(inputs.shape[1:]), weight, None if start is None else start.to(weight))
        if type(layer) not in (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d):
            self._doubted.append((affine, inputs.clone(), output.clone()))
        return affine

    def _normalized(self, name: str, layer: Batched, inputs: Tensor, output: Tensor) -> None:
        scale, start = _scale(layer), _initial_scale(layer, self.initial.get(f"{name}.weight"), bool(self.initial))
        source, version, place = self._outputs.get(id(inputs), (None, -1, -1))
        if source is inputs and version == inputs._version:
            self.layers[place] = self.layers[place].scaled(scale, start)
            self._outputs[id(output)] = (output, output._version, place)
        else:
            self._add(Affine(name, layer, tuple(inputs.shape[1:]), scale, start), output)


def _scale(layer: Batched) -> Tensor:
    assert layer.running_var is not None
    root = (layer.running_var.double() + layer.eps).rsqrt()
    return root if layer.weight is None else root * layer.weight.detach().double()


def _initial_scale(layer: Batched, weight: Tensor | None, known: bool) -> Tensor | None:
    if not known:
        return None
    now = torch.ones_like(_scale(layer)) if layer.weight is None else layer.weight.detach().double()
    begun: Tensor = (now if weight is None else weight.to(now)) / sqrt(1 + layer.eps)
    return begun


@dataclass(frozen=True)
class Affine:
    """A layer without its bias: z -> A z, all positions of a convolution with its stride and zero padding.

    Args:
        name: of the layer in the model.
        layer: a linear layer, a convolution, or batch norm (then the weight is its scale a channel).
        shape: of one input of the layer.
        weight: as trained, with a batch norm that follows directly folded in; float64.
        initial: the same at initialization, where that is known.
    """

    name: str
    layer: nn.Module
    shape: tuple[int, ...]
    weight: Tensor
    initial: Tensor | None = None

    def scaled(self, scale: Tensor, initial: Tensor | None) -> Affine:
        """The layer followed by a factor an output channel."""
        start = None if self.initial is None or initial is None else _rows(self.initial, initial)
        return replace(self, weight=_rows(self.weight, scale), initial=start)

    def mapped(self, inputs: Tensor, weight: Tensor) -> Tensor:
        """A z for a batch of inputs, with another weight of the same shape."""
        if weight.ndim == 1:
            return inputs * weight.view(-1, *[1] * (inputs.ndim - 2))
        parameters = {"weight": weight}
        bias = getattr(self.layer, "bias", None)
        if bias is not None:
            parameters["bias"] = torch.zeros_like(bias, dtype=weight.dtype)
        outputs: Tensor = functional_call(self.layer, parameters, (inputs,))
        return outputs

    def is_linear(self, inputs: Tensor, outputs: Tensor) -> bool:
        """Whether a layer of a further type is what its weight and bias say: outputs = A inputs + bias, and A doubles with the weight."""
        weight, inputs = self.weight.to(outputs.dtype), inputs.detach()
        bias = getattr(self.layer, "bias", None)
        once, twice = self.mapped(inputs, weight), self.mapped(inputs, 2 * weight)
        expected = once if bias is None else once + bias.detach().view(-1, *[1] * (outputs.ndim - 2))
        room = 1e-3 * float(outputs.abs().max())
        return torch.allclose(expected, outputs, rtol=1e-3, atol=room) and torch.allclose(twice, 2 * once, rtol=1e-3, atol=room)

    def row_norms(self, weight: Tensor) -> Tensor:
        """The Euclidean norm of each row of A, one for each coordinate of the output: one pass with squared weights."""
        ones = torch.ones((1, *self.shape), dtype=weight.dtype, device=weight.device)
        return self.mapped(ones, weight.square()).flatten().clamp(min=0).sqrt()

    def frobenius_norm(self) -> float:
        """The root of the sum of squares of all entries of A."""
        return float(self.row_norms(self.weight).norm())

    def spectral_norm(self) -> float:
        """The largest singular value of A: exact for small layers, else by Lanczos iteration on A'A."""
        if self.weight.ndim == 1:
            return float(self.weight.abs().max())
        if isinstance(self.layer, nn.Linear) and min(self.weight.shape) <= _DENSE:
            wide = self.weight if self.weight.shape[0] <= self.weight.shape[1] else self.weight.T
            return float(torch.linalg.eigvalsh(wide @ wide.T)[-1].clamp(min=0).sqrt())  # the largest is exact to rounding
        size = prod(self.shape)
        if size <= 64:
            columns = self.mapped(torch.eye(size, dtype=self.weight.dtype, device=self.weight.device).view(size, *self.shape), self.weight)
            return float(torch.linalg.matrix_norm(columns.flatten(1), 2))
        return self._lanczos(size)

    def _lanczos(self, size: int) -> float:
        if not self.weight.any():
            return 0.0

        weight = self.weight.float()  # twice as quick for a convolution, and the rounding is far below the tolerance

        def squared(vector: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            inputs = torch.from_numpy(np.asarray(vector, dtype=np.float32).reshape(1, *self.shape)).to(self.weight.device).requires_grad_()
            with torch.enable_grad():
                outputs = self.mapped(inputs, weight)
                [turned] = torch.autograd.grad(outputs, inputs, outputs.detach())  # A' (A z)
            product: np.ndarray[Any, Any] = turned.double().cpu().numpy().ravel()
            return product

        operator = LinearOperator((size, size), matvec=squared, dtype=np.float64)
        start = np.random.default_rng(0).standard_normal(size)
        [largest] = eigsh(operator, k=1, which="LM", v0=start, tol=_TOLERANCE, return_eigenvectors=False)
        return sqrt(max(float(largest), 0.0))


def _rows(weight: Tensor, scale: Tensor) -> Tensor:
    return weight * scale.to(weight).view(-1, *[1] * (weight.ndim - 1))
