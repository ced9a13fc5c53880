"""Sums over all paths through a network, by one forward pass in which every weight stands to a power."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from shatterlab.core.errors import NotApplicable
from shatterlab.measures._networks import refused

_AS_IT_IS = {
    "flatten", "view", "reshape", "permute", "transpose", "contiguous", "clone", "cat", "concat", "concatenate", "squeeze", "unsqueeze",
    "size", "dim", "__get__", "__len__", "__getitem__", "chunk", "split", "is_contiguous", "unflatten", "stack", "sum",
}  # fmt: skip
_KEPT = {"relu", "relu_"}
_REQUIRED = "layers whose paths can be counted (linear, convolution, batch norm, ReLU, pooling, addition, concatenation)"


class Paths(TorchFunctionMode):
    """Within it, a network maps ones to sums over paths: sum over paths from an input (or a bias) of prod |weight|^power.

    Every operation is replaced by that of the sums: weights by their powers, ReLU by the identity (sums are not negative),
    max-pooling by a sum over its window (a path leads through each of its inputs), averages by sums with the power of their weights.

    Args:
        model: in evaluation mode; it stays as it is.
        power: 1 or 2.
        owner: for errors.
    """

    def __init__(self, model: nn.Module, power: int, owner: str) -> None:
        super().__init__()
        self.model, self.power, self.owner = model, power, owner
        self._inside: list[str] = []
        self._hooks: list[Any] = []

    def total(self, shape: tuple[int, ...], device: torch.device) -> float:
        """The sum over all paths to all outputs, for inputs of this shape.

        Raises:
            NotApplicable: an operation has no such sum; the layer is named.
        """
        for name, layer in self.model.named_modules():
            self._hooks += [layer.register_forward_pre_hook(self._enter(name)), layer.register_forward_hook(self._leave)]
        try:
            ones = torch.ones((1, *shape), dtype=torch.float64, device=device)
            with torch.no_grad(), self:
                made = self.model(ones)
        finally:
            for hook in self._hooks:
                hook.remove()
        return float(made.sum())

    def _enter(self, name: str) -> Callable[..., None]:
        return lambda *_: self._inside.append(name)

    def _leave(self, *_: object) -> None:
        self._inside.pop()

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        name, kwargs = getattr(func, "__name__", str(func)), kwargs or {}
        name = name.removeprefix("_") if name.startswith("_max_pool") or name == "_adaptive_avg_pool2d" else name
        if name in _AS_IT_IS or (name == "pad" and self._pads_zeros(args, kwargs)):
            return func(*args, **kwargs)
        if name in _KEPT or ("dropout" in name and not kwargs.get("training", args[2] if len(args) > 2 else True)):
            return args[0]
        rule: Callable[..., Any] | None = getattr(self, f"_{name.strip('_')}", None)
        if rule is None:
            raise refused(self.model, self._inside[-1] if self._inside else "", self.owner, _REQUIRED)
        return rule(*args, **kwargs)

    def _raised(self, weight: Tensor | None) -> Tensor | None:
        return None if weight is None else weight.detach().double().abs() ** self.power

    def _pads_zeros(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        mode = kwargs.get("mode", args[2] if len(args) > 2 else "constant")
        return mode == "constant" and not kwargs.get("value", args[3] if len(args) > 3 else 0)

    def _linear(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return functional.linear(x, self._raised(weight), self._raised(bias))  # type: ignore[arg-type]

    def _conv1d(self, x: Tensor, weight: Tensor, bias: Tensor | None = None, *rest: Any, **named: Any) -> Tensor:
        return functional.conv1d(x, self._raised(weight), self._raised(bias), *rest, **named)  # type: ignore[arg-type]

    def _conv2d(self, x: Tensor, weight: Tensor, bias: Tensor | None = None, *rest: Any, **named: Any) -> Tensor:
        return functional.conv2d(x, self._raised(weight), self._raised(bias), *rest, **named)  # type: ignore[arg-type]

    def _batch_norm(
        self, x: Tensor, mean: Tensor | None, variance: Tensor | None, weight: Tensor | None = None, bias: Tensor | None = None, *rest: Any, **named: Any
    ) -> Tensor:
        training, eps = named.get("training", rest[0] if rest else False), named.get("eps", rest[2] if len(rest) > 2 else 1e-5)
        if training or mean is None or variance is None:
            raise refused(self.model, self._inside[-1], self.owner, "batch-norm layers with running statistics")
        scale = (variance.double() + eps).rsqrt() * (1 if weight is None else weight.detach().double())
        shift = (0 if bias is None else bias.detach().double()) - mean.double() * scale
        wide = (-1, *[1] * (x.ndim - 2))
        made: Tensor = x * (scale.abs() ** self.power).view(wide) + (shift.abs() ** self.power).view(wide)
        return made

    def _max_pool2d(self, x: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False, **_: Any) -> Tensor:
        if dilation not in (1, (1, 1), [1, 1]):
            raise refused(self.model, self._inside[-1], self.owner, "pools without dilation")
        return functional.avg_pool2d(x, kernel_size, stride, padding, ceil_mode, divisor_override=1)

    _max_pool2d_with_indices = _max_pool2d

    def _avg_pool2d(self, x: Tensor, *rest: Any, **named: Any) -> Tensor:
        ones = torch.ones_like(x)
        mean = functional.avg_pool2d(x, *rest, **named)
        named = {name: value for name, value in named.items() if name != "divisor_override"}
        shares = functional.avg_pool2d(ones, *rest[:4], **{**named, "divisor_override": 1}) / functional.avg_pool2d(ones, *rest, **named)
        return mean * shares ** (1 - self.power)

    def _adaptive_avg_pool2d(self, x: Tensor, output_size: Any) -> Tensor:
        made = functional.adaptive_avg_pool2d(x, output_size)
        if any(side % small for side, small in zip(x.shape[-2:], made.shape[-2:], strict=True)):
            raise refused(self.model, self._inside[-1], self.owner, "adaptive pools whose windows are all of one size")
        window = prod(x.shape[-2:]) // prod(made.shape[-2:])
        return made * float(window) ** (1 - self.power)

    def _mean(self, x: Tensor, dim: Any = None, keepdim: bool = False, **_: Any) -> Tensor:
        made = x.mean(dim, keepdim) if dim is not None else x.mean()
        return made * (x.numel() / max(made.numel(), 1)) ** (1 - self.power)

    def _add(self, x: Tensor, other: Any, *_: Any, **__: Any) -> Tensor:
        if not isinstance(other, Tensor) or not isinstance(x, Tensor):
            raise NotApplicable(f"{self.owner}: sums of layers are required, got a constant added in {self._place()}")
        return x + other

    def _mul(self, x: Any, other: Any) -> Any:
        factor, rest = (x, other) if isinstance(x, int | float) else (other, x)
        if not isinstance(factor, int | float):
            raise NotApplicable(f"{self.owner}: products with constants are required, got a product of two layers in {self._place()}")
        return rest * abs(factor) ** self.power

    def _div(self, x: Any, other: Any, **_: Any) -> Any:
        if not isinstance(other, int | float):
            raise NotApplicable(f"{self.owner}: division by constants is required, got a quotient of two layers in {self._place()}")
        return x / abs(other) ** self.power

    _truediv = _true_divide = _div

    def _place(self) -> str:
        return (self._inside[-1] if self._inside else "") or "the top"
