"""How large a fitted function is: norm of the weights, distance from initialization, RKHS norm, path norm."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from shatterlab.core import Examples, Fit, Measure
from shatterlab.core.errors import NotApplicable
from shatterlab.measures._fitted import device_of, evaluated, network, refused, without_preparation


@dataclass(frozen=True)
class ParameterNorm(Measure):
    """|theta|, the Euclidean length of all trainable parameters, biases and normalization included.

    For linear models it bounds the Rademacher complexity; of a ReLU net the same function has any norm above a minimum (`PathNorm` does not change then).

    Returns:
        `norm` (>= 0) and `squared`.

    Raises:
        NotApplicable: the fitted model is no torch module.

    Source:
        Jiang et al. 2020, "Fantastic generalization measures and where to find them", appendix C (parameter norm).
    """

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        model = network(fit, self.kind)
        squared = sum(value.detach().double().square().sum().item() for value in model.parameters() if value.requires_grad)
        return {"norm": squared**0.5, "squared": squared}


@dataclass(frozen=True)
class DistanceFromInitialization(Measure):
    """|theta - theta_0|, the Euclidean distance of the trainable parameters from their initial values.

    A network that must memorize moves farther. Unlike a norm it does not count the initial draw.

    Returns:
        `distance` (>= 0), and `relative`, the distance over |theta_0| (None where that is 0).

    Raises:
        NotApplicable: the fitted model is no torch module, or its initial weights are not known.

    Source:
        Nagarajan, Kolter 2017, "Generalization in deep networks: the role of distance from initialization".
    """

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        model = network(fit, self.kind)
        if fit.initial is None:
            raise NotApplicable(f"{self.kind}: initial weights are required, this fit has none")
        moved = begun = 0.0
        for name, value in model.named_parameters():
            if value.requires_grad:
                start = fit.initial[name].detach().cpu().double()
                moved += (value.detach().cpu().double() - start).square().sum().item()
                begun += start.square().sum().item()
        return {"distance": moved**0.5, "relative": (moved / begun) ** 0.5 if begun else None}


@dataclass(frozen=True)
class RKHSNorm(Measure):
    """|f| = sqrt(sum_c W_c' K W_c) of f(x) = sum_i k(x, x_i) W_i, all classes together.

    For the minimum-norm interpolant it is sqrt(y'K^-1 y). It is read from the fit: no Gram matrix is formed.

    Returns:
        `norm`; `complexity`, sqrt(|f|^2 / n), small where the kernel finds the labels simple; `largest_class`, the largest norm of one class's function;
        `norm_over_margin`, norm over the least training margin (None where that is not positive).

    Raises:
        NotApplicable: the fitted model is no kernel expansion.

    Source:
        Aronszajn 1950; as a measure of a fit: Belkin, Ma, Mandal 2018; Zhang et al. 2017, section 5.
    """

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        weights, fitted = (getattr(fit.model, name, None) for name in ("weights", "fitted"))
        if not isinstance(weights, torch.Tensor) or not isinstance(fitted, torch.Tensor):
            raise NotApplicable(f"{self.kind}: a kernel expansion is required, got {type(fit.model).__name__}. Fit KernelInterpolation")
        squares = (weights.double() * fitted.double()).sum(0).cpu()
        norm = squares.sum().clamp(min=0).sqrt().item()
        scores, label = fitted.double().cpu(), train.labels[:, None]
        margin = (scores.gather(1, label) - scores.scatter(1, label, -torch.inf).amax(1, keepdim=True)).min().item()
        return {
            "norm": norm,
            "complexity": norm / len(train) ** 0.5,
            "largest_class": squares.max().clamp(min=0).sqrt().item(),
            "norm_over_margin": norm / margin if margin > 0 else None,
        }


_AS_IT_IS = {
    "flatten", "view", "reshape", "permute", "transpose", "contiguous", "clone", "cat", "concat", "concatenate", "squeeze", "unsqueeze",
    "size", "dim", "__get__", "__len__", "__getitem__", "chunk", "split", "is_contiguous", "unflatten", "stack", "sum",
}  # fmt: skip
_KEPT = {"relu", "relu_"}
_REQUIRED = "layers whose paths can be counted (linear, convolution, batch norm, ReLU, pooling, addition, concatenation)"


@dataclass(frozen=True)
class PathNorm(Measure):
    """Sums over all paths from an input, or from a bias, to an output: sqrt(sum_paths prod w^2) and sum_paths prod |w|.

    Unlike a norm of the weights it depends on the function alone, and costs one forward pass of one image of ones. Batch norm counts as the fixed scale and
    shift of evaluation mode; max-pooling passes every input of its window; a mean over m inputs has the weight 1/m on each.

    Returns:
        `l2` and `l1` (>= 0).

    Raises:
        NotApplicable: the fitted model is no torch module, or has a layer that is not positively homogeneous (sigmoid, say); it is named.

    Source:
        Neyshabur, Tomioka, Srebro 2015, "Norm-based capacity control in neural networks"; with branches and pools: Gonon et al. 2024, "A path-norm toolkit".
    """

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        model = network(fit, self.kind)
        preparation, rest = without_preparation(model)
        device = device_of(model)
        with evaluated(model), torch.no_grad():
            shape = tuple(preparation(train.inputs[:1].to(device).clone()).shape[1:])
            squared, absolute = (Paths(rest, power, self.kind).total(shape, device) for power in (2, 1))
        return {"l2": squared**0.5, "l1": absolute}


class Paths(TorchFunctionMode):
    """A mode in which a network maps ones to sums over paths: sum over paths from an input (or a bias) of prod |weight|^power.

    Weights become their powers, ReLU the identity, max-pooling a sum over its window, averages sums with the power of their weights.

    Args:
        model: in evaluation mode; it is not changed.
        power: 1 or 2.
        owner: name used in errors.
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
                outputs = self.model(ones)
        finally:
            for hook in self._hooks:
                hook.remove()
        return float(outputs.sum())

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
        outputs: Tensor = x * (scale.abs() ** self.power).view(wide) + (shift.abs() ** self.power).view(wide)
        return outputs

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
        outputs = functional.adaptive_avg_pool2d(x, output_size)
        if any(side % small for side, small in zip(x.shape[-2:], outputs.shape[-2:], strict=True)):
            raise refused(self.model, self._inside[-1], self.owner, "adaptive pools whose windows are all of one size")
        window = prod(x.shape[-2:]) // prod(outputs.shape[-2:])
        return outputs * float(window) ** (1 - self.power)

    def _mean(self, x: Tensor, dim: Any = None, keepdim: bool = False, **_: Any) -> Tensor:
        outputs = x.mean(dim, keepdim) if dim is not None else x.mean()
        return outputs * (x.numel() / max(outputs.numel(), 1)) ** (1 - self.power)

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
