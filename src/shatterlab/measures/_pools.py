"""By how much the pools of a network can stretch a difference of their inputs."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn  # noqa: F401 (for the example)
from torch.overrides import TorchFunctionMode

from shatterlab.core.errors import NotApplicable


class Pools(TorchFunctionMode):
    """A mode in which the forward pass of one batch notes the product of the Lipschitz constants (l2) of all max and mean pools that it calls.

    Windows of a maximum overlap where the stride is below their side. An input that lies in m of them may be the largest in each, so that the constant is
    sqrt(m), m the largest number of windows with a common input: 2 for 3 x 3 windows with stride 2, 1 without overlap. A mean pool is a matrix A of numbers
    >= 0, |A| <= sqrt(largest row sum times largest column sum). A pool that only shrinks counts 1, as every other layer without weights does.

    Args:
        owner: name used in errors.

    Source:
        Schur's test for the matrix; the maxima: |max_W x - max_W y|^2 <= sum_{i in W} (x_i - y_i)^2, summed over windows W.

    Example:
        >>> with Pools("test") as pools:
        ...     _ = nn.MaxPool2d(3, stride=2)(torch.zeros(1, 1, 7, 7))
        >>> pools.product
        2.0
    """

    def __init__(self, owner: str) -> None:
        super().__init__()
        self.owner, self.product = owner, 1.0

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        kind = re.search(r"(max|avg)_pool(\d)d", name := getattr(func, "__name__", ""))
        if kind is not None:
            inputs, rest = (args[0], args[1:]) if args else (kwargs["input"], ())
            named = {name: value for name, value in kwargs.items() if name != "input"}
            if "fractional" in name:
                raise NotApplicable(f"{self.owner}: pools with fixed windows are required, got {name.strip('_')}")
            sides = tuple(inputs.shape[-int(kind[2]) :])
            constant = _of_maxima if kind[1] == "max" else _of_means
            self.product *= max(1.0, constant(lambda x: func(x, *rest, **named), sides, inputs.device))
        return func(*args, **kwargs)


def _of_maxima(pool: Callable[[Tensor], Any], sides: tuple[int, ...], device: torch.device) -> float:
    return math.sqrt(math.prod(_most_windows(pool, sides, axis, device) for axis in range(len(sides))))


def _most_windows(pool: Callable[[Tensor], Any], sides: tuple[int, ...], axis: int, device: torch.device) -> int:
    """The largest number of windows along an axis that share a place: image i is 1 at place i of it, and windows that hold the place have the maximum 1."""
    size = sides[axis]
    images = torch.eye(size, device=device).view(size, 1, *(size if place == axis else 1 for place in range(len(sides)))).expand(size, 1, *sides)
    outputs = pool(images)
    maxima: Tensor = outputs[0] if isinstance(outputs, tuple) else outputs
    return int(maxima.movedim(axis + 2, 1).flatten(2)[:, :, 0].sum(1).max())


def _of_means(pool: Callable[[Tensor], Tensor], sides: tuple[int, ...], device: torch.device) -> float:
    ones = torch.ones((1, 1, *sides), device=device, dtype=torch.float64, requires_grad=True)
    with torch.enable_grad():
        rows = pool(ones)
        [columns] = torch.autograd.grad(rows.sum(), ones)
    return math.sqrt(rows.max().item() * columns.max().item())
