"""A network trained by plain gradient descent, and the training curve that its kernel at initialization predicts."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from shatterlab.architectures.mlp import MLP
from shatterlab.core import Examples, Fit, Kernel, Learner, Observer, Part, Progress, Runtime, Scalar, Seeds
from shatterlab.core.errors import InvalidPart
from shatterlab.core.memory import gibibytes
from shatterlab.kernels.empirical_tangent import tangent_gram
from shatterlab.learners.training import Training
from shatterlab.optimizers.descent import SGD
from shatterlab.theory.kernel_dynamics import Spectrum
from shatterlab.training.device import free_memory
from shatterlab.training.torch_seed import seeded

_MATRICES = 6  # n x n at most at a time: K, its copy, eigenvectors, their workspace
_SAME = 1e-9  # of scores in training and in evaluation mode, in float64, relative to the largest
_LEAD = 10  # the facts have the energy of the first tenth of the eigenvectors


@dataclass(frozen=True)
class PredictedDescent(Learner):
    """Full-batch gradient descent on squared error, and the curve that kernels predict: |r_t|^2 = sum_i (1 - eta lambda_i)^(2t) (v_i'r_0)^2.

    r_0 is one-hot labels less the scores before the first step; lambda_i and v_i belong to the Gram matrix of the network's tangent kernel there (mean over the
    k scores, in float64, inputs as prepared for the network); eta = 2 lr / n. Exact for a model that is linear in its parameters; for others right as long as
    the kernel does not move and scores share little. Further kernels get the same inputs and are scaled to the same trace.

    Args:
        learner: a `Training` with batch_size=None, loss="squared", plain SGD, decay=1 and nothing that changes inputs or labels; its `epochs` are steps.
        kernels: further kernels, each of another kind.

    Returns:
        The fit. Facts besides its own: `initial_loss`; `curve_gap`, the largest difference between measured and predicted loss over the initial one;
        `epochs_to_half_loss` (null where the run ended before) and `predicted_epochs_to_half_loss`; `largest_rate`, the learning rate above which the
        prediction diverges. And of the network's kernel, and with `KIND.` before the name of each other: `predicted_loss` after the last step;
        `largest_eigenvalue`, `condition` (over the smallest; null where singular), `singular`, how many eigenvalues cannot be told from 0; `complexity`, the
        sum over classes of y'K^-1 y of y = one-hot - 1/k (null where the labels reach into singular directions: no function takes these values),
        `relative_complexity`, the same over (1 - 1/k) tr K^-1, its exact mean over random labels, and `leading_energy`, the share of |y|^2 in the first tenth
        of the eigenvectors. Arrays: `measured_losses`, `predicted_losses` (steps 0, 1, ...), `eigenvalues`, `label_energy` (cumulative shares of |y|^2).

    Raises:
        InvalidPart: the recipe is not plain gradient descent, training changes the scores (dropout, batch norm), or n x n matrices do not fit into memory.

    Source:
        Arora et al. 2019, "Fine-grained analysis", theorem 4.1; Jacot, Gabriel, Hongler 2018; Lee et al. 2019 for finite networks.
    """

    learner: Training
    kernels: tuple[Kernel, ...] = ()

    def validate(self) -> None:
        recipe, optimizer = self.learner, self.learner.optimizer
        plain = isinstance(optimizer, SGD) and optimizer.momentum == 0 and optimizer.weight_decay == 0
        self.require(plain, "the optimizer is SGD without momentum and weight decay", optimizer, "Write SGD(lr=..., momentum=0.0)")
        full = recipe.batch_size is None and recipe.loss == "squared" and recipe.decay == 1 and recipe.precision == "float32"
        got = {name: getattr(recipe, name) for name in ("batch_size", "loss", "decay", "precision")}
        self.require(full, 'batch_size=None, loss="squared", decay=1.0 and float32 are required', got, "Only that is comparable")
        changed = bool(recipe.augmentation) or recipe.label_smoothing > 0 or recipe.validation > 0
        self.require(not changed, "the sample as it is, without augmentation, label smoothing or validation, is required", recipe.kind)
        kinds = [kernel.kind for kernel in self.kernels]
        self.require(len(set(kinds)) == len(kinds), "kernels are of different kinds", kinds, "Use the others in another trial")

    @classmethod
    def specimens(cls) -> tuple[Part, ...]:
        return (cls(Training(MLP((8,)), SGD(lr=0.01, momentum=0.0), decay=1.0, batch_size=None, loss="squared", epochs=3)),)

    def fit(self, train: Examples, seeds: Seeds = Seeds(), observe: Observer | None = None, runtime: Runtime = Runtime()) -> Fit:
        needed, free = 8 * _MATRICES * len(train) ** 2, free_memory(torch.device("cpu"))
        required = f"{gibibytes(needed)} GiB of memory are required for the matrices of {len(train):,} examples"
        self.require(needed <= free, required, f"{gibibytes(free)} GiB free", "Keep fewer examples: Dataset(examples=...)")
        with seeded(None, torch.device("cpu")):
            start = _Start(self.learner, train, seeds, runtime)
            grams = self._grams(start, train, seeds)
        measured = [float(np.square(start.residuals).sum()) / len(train)]

        def watch(progress: Progress) -> None:
            measured.append(float("nan") if progress.train_loss is None else progress.train_loss)
            if observe is not None:
                observe(progress)

        fit = self.learner.fit(train, seeds, watch, runtime)
        facts, arrays = dict(fit.facts), dict(fit.arrays)
        arrays["measured_losses"] = np.array(measured)
        for name, gram in grams.items():
            figures, curves = _predictions(Spectrum.of(gram), start, len(measured) - 1)
            facts |= {f"{name}{key}": value for key, value in figures.items()}
            arrays |= {f"{name}{key}": value for key, value in curves.items()}
        losses = arrays["measured_losses"]
        gaps, half = np.abs(losses - arrays["predicted_losses"]) / losses[0], np.flatnonzero(losses <= losses[0] / 2)
        facts |= {"initial_loss": float(losses[0]), "curve_gap": float(gaps.max()) if np.isfinite(gaps).all() else None}
        facts |= {"epochs_to_half_loss": int(half[0]) if len(half) else None, "largest_rate": len(train) / float(arrays["eigenvalues"][0])}
        return replace(fit, facts=facts, arrays=arrays)

    def _grams(self, start: _Start, train: Examples, seeds: Seeds) -> Mapping[str, np.ndarray[Any, Any]]:
        own = tangent_gram(start.network, start.inputs)
        grams = {"": own.cpu().numpy()}
        prepared = replace(train, inputs=start.inputs.cpu().float())
        for kernel in self.kernels:
            inputs = start.inputs.cpu()
            gram = kernel.fitted(prepared, seeds).gram(inputs, inputs)
            grams[f"{kernel.kind}."] = (gram * (own.trace().cpu() / gram.trace())).numpy()
        return grams


class _Start:
    """The model before the first step, in float64 and evaluation mode, on its prepared inputs."""

    def __init__(self, learner: Training, train: Examples, seeds: Seeds, runtime: Runtime) -> None:
        model = copy.deepcopy(learner.build(train, seeds, runtime)).double().eval()
        device = next(model.parameters()).device
        with torch.no_grad():
            self.inputs: Tensor = model[0](train.inputs.double().to(device))
            self.network: nn.Module = model[1]
            scores = torch.cat([self.network(batch.clone()) for batch in self.inputs.split(128)])
            self._require_one_mode(scores)
        targets = functional.one_hot(train.labels, train.classes).double()
        self.residuals = (targets - scores.cpu()).numpy()
        self.centred = (targets - 1 / train.classes).numpy()
        self.eta = 2 * learner.optimizer.lr / len(train)

    def _require_one_mode(self, scores: Tensor) -> None:
        trained = copy.deepcopy(self.network).train()(self.inputs.clone())
        if torch.allclose(trained, scores, rtol=0, atol=_SAME * float(scores.abs().max())):
            return
        kinds = sorted(
            {type(layer).__name__ for layer in self.network.modules() if isinstance(layer, nn.modules.dropout._DropoutNd | nn.modules.batchnorm._NormBase)}
        )
        got = ", ".join(kinds) or type(self.network).__name__
        required = "a network that scores alike in training and in evaluation mode is required"
        raise InvalidPart(f"PredictedDescent: {required}, got one with {got}. Leave out dropout and batch norm.")


def _predictions(spectrum: Spectrum, start: _Start, steps: int) -> tuple[dict[str, Scalar], dict[str, np.ndarray[Any, Any]]]:
    predicted, energy = spectrum.losses(start.residuals, start.eta, steps), spectrum.cumulative(start.centred)
    complexity = spectrum.complexity(start.centred)
    expected = spectrum.expected_complexity(1 - 1 / start.centred.shape[1])
    facts: dict[str, Scalar] = {
        "predicted_loss": float(predicted[-1]),
        "predicted_epochs_to_half_loss": spectrum.steps_to(start.residuals, start.eta, float(predicted[0]) / 2),
        "largest_eigenvalue": float(spectrum.values[0]),
        "condition": None if spectrum.singular else float(spectrum.values[0] / spectrum.values[-1]),
        "singular": spectrum.singular,
        "complexity": complexity if math.isfinite(complexity) else None,
        "relative_complexity": complexity / expected if math.isfinite(complexity) and math.isfinite(expected) else None,
        "leading_energy": float(energy[max(1, len(energy) // _LEAD) - 1]),
    }
    return facts, {"predicted_losses": predicted, "eigenvalues": spectrum.values, "label_energy": energy}
