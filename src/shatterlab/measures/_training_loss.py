"""The training loss of a fitted network as a function of its parameters: gradients, products with the Hessian, noise on the weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from shatterlab.core import Examples, Fit
from shatterlab.core.errors import NotApplicable
from shatterlab.core.losses import losses
from shatterlab.measures._fitted import device_of, evaluated, network

Vectors = tuple[Tensor, ...]
_BATCH = 256  # examples that one pass holds the activations of


class TrainingLoss:
    """Mean loss over the sample at any parameters, in evaluation mode; the model stays as it is.

    Args:
        fit: a network.
        train: the sample.
        owner: name used in errors.
        examples: how many of them, evenly spread; None: all.
    """

    def __init__(self, fit: Fit, train: Examples, owner: str, examples: int | None = None) -> None:
        self.owner, self.model, self.output = owner, network(fit, owner), fit.output
        if examples is not None and examples < len(train):
            train = train.at(torch.linspace(0, len(train) - 1, examples).long())
        self.train, self.device = train, device_of(self.model)
        trainable = {name: value for name, value in self.model.named_parameters() if value.requires_grad}
        self.names = tuple(trainable)
        self.parameters: Vectors = tuple(value.detach().clone() for value in trainable.values())
        self.count = sum(value.numel() for value in self.parameters)

    def __len__(self) -> int:
        return len(self.train)

    def batches(self, size: int = _BATCH, order: Tensor | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and labels on the model's device."""
        positions = torch.arange(len(self.train)) if order is None else order
        for batch in positions.split(size):
            yield self.train.inputs[batch].to(self.device), self.train.labels[batch].to(self.device)

    def scores(self, parameters: Vectors, inputs: Tensor) -> Tensor:
        """Scores of these inputs."""
        with evaluated(self.model):
            scores: Tensor = functional_call(self.model, dict(zip(self.names, parameters, strict=True)), (inputs.clone(),))
        return scores

    def summed(self, parameters: Vectors, inputs: Tensor, labels: Tensor) -> Tensor:
        """The sum of the losses of these examples."""
        return losses(self.scores(parameters, inputs), labels, self.output).sum()

    def error(self, parameters: Vectors) -> float:
        """The fraction that is misclassified."""
        with torch.no_grad():
            wrong = sum(int((self.scores(parameters, inputs).argmax(1) != labels).sum()) for inputs, labels in self.batches())
        return wrong / len(self)

    def gradient(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """The gradient of the mean loss of these examples, as one vector in float64."""
        held = self._held()
        with torch.enable_grad():
            gradients = torch.autograd.grad(self.summed(held, inputs, labels) / len(labels), held, materialize_grads=True)
        return flat(gradients)

    def perturbed(self, scales: Vectors, floor: float, deviation: float, draws: int, seed: int) -> Iterator[Vectors]:
        """The parameters with each draw of noise added, of standard deviation sqrt(deviation^2 scale^2 + floor^2)."""
        generator = torch.Generator().manual_seed(seed)
        for _ in range(draws):
            noise = [torch.randn(value.shape, generator=generator, dtype=torch.float32).to(value) for value in self.parameters]
            spreads = [(deviation**2 * scale.square() + floor**2).sqrt() for scale in scales]
            yield tuple(value + normal * spread for value, normal, spread in zip(self.parameters, noise, spreads, strict=True))

    def hessian_times(self, direction: Vectors) -> Vectors:
        """H v of the mean loss: two passes backward, the second through the first; no Hessian is formed."""
        total = [torch.zeros_like(value) for value in self.parameters]
        for inputs, labels in self.batches():
            held = self._held()
            with torch.enable_grad():
                slopes = torch.autograd.grad(self.summed(held, inputs, labels), held, create_graph=True, materialize_grads=True)
                along = sum(((one * other).sum() for one, other in zip(slopes, direction, strict=True)), torch.zeros((), device=self.device))
                if not along.requires_grad:
                    continue
                products = torch.autograd.grad(along, held, materialize_grads=True)
            total = [one + other for one, other in zip(total, products, strict=True)]
        return tuple(value / len(self) for value in total)

    def shaped(self, vector: Tensor) -> Vectors:
        """One vector of all numbers, in the shapes, types and devices of the parameters."""
        pieces = vector.split([value.numel() for value in self.parameters])
        return tuple(piece.view(value.shape).to(value) for piece, value in zip(pieces, self.parameters, strict=True))

    def moved(self, initial: Mapping[str, Tensor]) -> float:
        """The squared distance of the parameters from their initial values."""
        return sum((value - initial[name].to(value)).double().square().sum().item() for name, value in zip(self.names, self.parameters, strict=True))

    def initial(self, fit: Fit, use: str) -> Mapping[str, Tensor]:
        """The initial weights of a fit, for a statement about any network with these parameters.

        Args:
            fit: the fit.
            use: their role, for errors.

        Raises:
            NotApplicable: they are unknown, or batch norm's running statistics, which come from the sample, are part of the network.
        """
        if fit.initial is None:
            raise NotApplicable(f"{self.owner}: initial weights are required as {use}, this fit has none")
        statistics = [name for name, module in self.model.named_modules() if getattr(module, "running_mean", None) is not None]
        if statistics:
            raise NotApplicable(
                f"{self.owner}: a network that its parameters determine is required, the running statistics of {statistics[0]} come from the sample"
            )
        return fit.initial

    def _held(self) -> Vectors:
        return tuple(value.detach().requires_grad_() for value in self.parameters)


def flat(values: Vectors | list[Tensor]) -> Tensor:
    """All numbers in one vector, in float64 on the CPU."""
    return torch.cat([value.detach().reshape(-1).double().cpu() for value in values])


def require_examples(part: Any, examples: int | None) -> None:
    """Refuses a number of examples below 1."""
    part.require(examples is None or examples >= 1, "examples is a whole number >= 1 or None", examples)
