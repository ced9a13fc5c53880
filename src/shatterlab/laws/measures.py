"""Laws of measures: they read a fit and change nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from shatterlab.core import Examples, Fit, Measure
from shatterlab.core.errors import NotApplicable
from shatterlab.kernels.radial import Gaussian
from shatterlab.laws import samples
from shatterlab.laws.law import changed, copied, demand, laws_in, leaving_generators_alone
from shatterlab.learners.estimator import Estimator
from shatterlab.learners.kernel_interpolation import KernelInterpolation
from shatterlab.training.torch_seed import seeded


def gives_scalars_and_arrays(part: Measure) -> None:
    """It gives scalars and arrays by name, or says why it does not apply to this fit."""
    for name, fit, train in _fits():
        values = _of(part, fit, train)
        if values is None:
            continue
        demand(part, isinstance(values, Mapping) and values, f"of {name} it gives values by name", type(values).__name__, "Return a mapping.")
        wrong = [key for key, value in values.items() if not isinstance(key, str) or not _plain(value)]
        remedy = "Call .item(), or .detach() for arrays."
        demand(part, not wrong, "values are scalars, arrays or tensors without gradients", f"others at {', '.join(map(str, wrong))}", remedy)


def is_the_same_twice(part: Measure) -> None:
    """The same fit and sample give the same values."""
    for name, fit, train in _fits():
        one, other = _of(part, fit, train), _of(part, fit, train)
        remedy = "Draw from a generator of the measure, seeded by a field."
        demand(part, _alike(one, other), f"two measurements of {name} agree", "other values the second time", remedy)


def leaves_the_model_alone(part: Measure) -> None:
    """Weights, buffers, gradients and training mode of the model stay as they are."""
    for name, fit, train in _fits():
        if not isinstance(fit.model, nn.Module):
            continue
        before = _state(fit.model)
        _of(part, fit, train)
        after = _state(fit.model)
        moved = [key for key, value in before.items() if not _alike(value, after[key])]
        demand(part, not moved, f"the model of {name} stays as it is", f"a change in {', '.join(moved[:3])}", "Work on a deep copy of the model.")


def leaves_the_sample_alone(part: Measure) -> None:
    """The training sample stays unchanged."""
    for name, fit, train in _fits():
        before = copied(train)
        _of(part, fit, train)
        demand(part, not (got := changed(before, train)), f"the sample of {name} stays as it is", got, "Work on a copy.")


def leaves_generators_alone(part: Measure) -> None:
    """Process-wide random generators are neither read nor seeded."""
    for _, fit, train in _fits():
        with leaving_generators_alone(part, "of"):
            _of(part, fit, train)


def _fits() -> Iterator[tuple[str, Fit, Examples]]:
    train = samples.images(60, 10).train
    d = train.inputs[0].numel()
    with seeded(3, torch.device("cpu")):
        network = nn.Sequential(nn.Flatten(), nn.Linear(d, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, train.classes))
    initial = {name: value.detach().clone() for name, value in network.named_parameters()}

    def scores(inputs: Tensor) -> Tensor:
        mode = network.training
        network.eval()
        with torch.no_grad():
            outputs: Tensor = network(inputs)
        network.train(mode)
        return outputs

    yield "a network", Fit(scores, "logits", network, initial, {"epochs": 1}), train
    shares = torch.bincount(train.labels, minlength=train.classes) / len(train)
    yield "an estimator", Fit(lambda inputs: shares.repeat(len(inputs), 1), "probabilities", object()), train
    yield "a support vector machine", Estimator("sklearn.svm:SVC", {"C": 1e6, "gamma": 0.3}).fit(train), train
    yield "a kernel system", KernelInterpolation(Gaussian(1.0)).fit(train), train
    yield "a function", Fit(lambda inputs: inputs.flatten(1)[:, : train.classes].clone(), "values"), train


def _of(part: Measure, fit: Fit, train: Examples) -> Mapping[str, Any] | None:
    try:
        return part.of(fit, train)
    except NotApplicable:
        return None


def _plain(value: Any) -> bool:
    if isinstance(value, Tensor):
        return not value.requires_grad
    return value is None or isinstance(value, str | int | float | np.ndarray)


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_alike(value, other[name]) for name, value in one.items())
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.shape == other.shape and torch.allclose(one.detach(), other.detach(), rtol=0, atol=0, equal_nan=True)
    if isinstance(one, np.ndarray | float):
        return type(one) is type(other) and bool(np.array_equal(one, other, equal_nan=True))
    return bool(one == other)


def _state(model: nn.Module) -> dict[str, Any]:
    state: dict[str, Any] = {f"value of {name}": value.detach().clone() for name, value in model.state_dict().items()}
    for name, value in model.named_parameters():
        state[f"gradient of {name}"] = None if value.grad is None else value.grad.clone()
        state[f"requires_grad of {name}"] = value.requires_grad
    return state | {f"mode of {name or 'the model'}": module.training for name, module in model.named_modules()}


LAWS = laws_in(__name__)
