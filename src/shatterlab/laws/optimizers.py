"""Laws of optimizers: steps go downhill, their length follows the learning rate, and gradients alone determine them."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from shatterlab.core import Optimizer
from shatterlab.core.errors import InvalidPart
from shatterlab.laws.law import demand, laws_in, leaving_generators_alone

_SLOW = 1e-4  # a learning rate at which every rule is in its first-order regime
_STEPS = 5


def goes_downhill(part: Optimizer) -> None:
    """One small step lowers a quadratic."""
    theta = _start()
    before = _quadratic(theta).item()
    _walk(dataclasses.replace(part, lr=_SLOW), theta, 1)  # type: ignore[call-arg]
    after = _quadratic(theta).item()
    demand(part, after < before, f"one step at lr = {_SLOW} lowers the loss from {before:.9g}", f"{after:.9g}", "Subtract, do not add.")


def honours_the_rate(part: Optimizer) -> None:
    """Twice the learning rate makes the first step twice as long."""
    steps = []
    for lr in (_SLOW, 2 * _SLOW):
        theta = _start()
        _walk(dataclasses.replace(part, lr=lr), theta, 1)  # type: ignore[call-arg]
        steps.append(_start().detach() - theta.detach())
    ratio = float((steps[1] / steps[0]).mean())
    double = torch.allclose(steps[1], 2 * steps[0], rtol=1e-6, atol=1e-14)  # float64 differences of numbers near 1
    demand(part, double, "twice the learning rate doubles the first step", f"{ratio:.4g} times its length", "Pass `lr` on unchanged.")


def follows_a_changing_rate(part: Optimizer) -> None:
    """Its groups carry `lr`, and a rate set there acts at once: at rate 0 nothing moves."""
    theta = _start()
    optimizer = part.build([theta])
    rates = [group.get("lr") for group in optimizer.param_groups]
    demand(part, all(rate == part.lr for rate in rates), f"param_groups carry lr = {part.lr}", rates, "Pass `lr` on to torch.")
    for rate in (part.lr, 0.0):
        for group in optimizer.param_groups:
            group["lr"] = rate
        before = theta.detach().clone()
        _step(optimizer, theta)
    moved = (theta.detach() - before).abs().max().item()
    demand(part, moved == 0, "nothing moves at rate 0", f"a step of {moved:.2g}", "Read the rate from the group at each step.")


def refuses_other_rates(part: Optimizer) -> None:
    """Its learning rate is a finite number > 0; anything else is refused."""
    for lr in (0.0, -0.1, float("nan"), float("inf")):
        try:
            dataclasses.replace(part, lr=lr)  # type: ignore[call-arg]
        except InvalidPart:
            continue
        remedy = 'Write `validate`: self.require(isfinite(self.lr) and self.lr > 0, "lr is a finite number > 0", self.lr).'
        demand(part, False, "lr is a finite number > 0", f"no refusal of {lr}", remedy)


def walks_the_same_path_twice(part: Optimizer) -> None:
    """Each new optimizer starts without state, and its path depends on gradients alone."""
    ends = []
    with leaving_generators_alone(part, "a step"):
        for _ in range(2):
            theta = _start()
            _walk(part, theta, _STEPS)
            ends.append(theta.detach().clone())
    apart = (ends[0] - ends[1]).abs().max().item()
    remedy = "Keep state in the torch optimizer, and draw nothing."
    demand(part, apart == 0, f"{_STEPS} steps from one start end in one place", f"two places {apart:.2g} apart", remedy)


def moves_what_it_is_given(part: Optimizer) -> None:
    """It moves every parameter with a gradient, and no other."""
    first, second, idle = _start(), _start(), _start()
    optimizer = part.build([first, second, idle])
    (_quadratic(first) + _quadratic(second)).backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    moved = [not torch.equal(parameter.detach(), _start().detach()) for parameter in (first, second, idle)]
    demand(part, moved == [True, True, False], "of three parameters the two with gradients move", moved, "Pass all parameters on to torch.")


def fused_is_the_same(part: Optimizer) -> None:
    """One kernel a step gives what many give, up to rounding."""
    ends = []
    for fused in (False, True):
        theta = _start().detach().float().requires_grad_()
        _walk(part, theta, _STEPS, fused)
        ends.append(theta.detach())
    apart = (ends[0] - ends[1]).abs().max().item()
    room = 1e-5 * (1 + ends[0].abs().max().item())  # a few float32 roundings a step
    demand(part, apart <= room, f"fused=True and False end within {room:.1g}", f"{apart:.2g}", "Pass `fused` on, and let nothing else differ.")


def _start() -> Tensor:
    return torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64, requires_grad=True)


def _quadratic(theta: Tensor) -> Tensor:
    curvature = torch.tensor([0.5, 1.0, 2.0, 1.0], dtype=theta.dtype)
    return (curvature * theta.square()).sum() / 2


def _step(optimizer: Any, theta: Tensor) -> None:
    optimizer.zero_grad()
    _quadratic(theta).backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def _walk(part: Optimizer, theta: Tensor, steps: int, fused: bool = False) -> None:
    optimizer = part.build([theta], fused)
    demand(part, isinstance(optimizer, torch.optim.Optimizer), "build gives a torch optimizer", type(optimizer).__name__, "Return it.")
    for _ in range(steps):
        _step(optimizer, theta)


LAWS = laws_in(__name__)
