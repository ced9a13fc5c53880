"""Interpolants of a kernel: the minimum-norm one, by a linear system on all training data, and a bad one from random centres."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Literal

import torch
from threadpoolctl import threadpool_limits
from torch import Tensor
from torch.nn import functional

from shatterlab.core import Examples, Fit, Kernel, Learner, Observer, Runtime, Scalar, Seeds
from shatterlab.core.errors import DataError
from shatterlab.kernels.radial import Gaussian, Laplacian
from shatterlab.learners._report import report_values
from shatterlab.solvers import direct as _direct
from shatterlab.solvers import iterative as _iterative
from shatterlab.solvers.system import Factor, Solved, System, require_consistent, require_sound
from shatterlab.training.device import free_memory, usable_device

INTERPOLATES = 1e-6  # largest relative residual that counts as interpolation


@dataclass(frozen=True)
class KernelInterpolation(Learner):
    """Solves (K + lambda I) W = Y on all training examples: without ridge, the minimum-norm interpolant in the kernel's space.

    K_ij = k(x_i, x_j), Y has a one-hot row an example, and the scores of x are sum_i k(x, x_i) W_i. Of all functions in the kernel's space (RKHS) that take the
    values Y, the one with ridge 0 has the least norm, y'K^-1 y squared for each class. Only the pivots of the iterative solver are random.

    A Gram matrix recomputed in float64 checks the solution. Equal inputs are allowed where their labels agree (the matrix is singular, the function unique).

    Args:
        kernel: k; a bandwidth or filters that depend on data are fitted to the sample.
        ridge: lambda, >= 0; above 0 this is kernel ridge regression.
        solver: "direct": a Cholesky factor in float32, n^3/3 multiplications, 4 n^2 bytes, refined in float64; "iterative": preconditioned conjugate gradients.
        tolerance: the relative residual |(K + lambda I) W - Y| / |Y| to reach, in [1e-12, 1).
        passes: products of conjugate gradients with the Gram matrix, at most, >= 1.
        rank: of the iterative solver's preconditioner, >= 0 (None: 10 sqrt(n)).

    Returns:
        Facts: `squared_norm` (the squared RKHS norm of all classes together; `squared_norm_0` .. of each), `relative_residual`,
        `training_residual` (|K W - Y| / |Y|), `interpolates` (training_residual <= tolerance), `steps`, `smallest_pivot`,
        `factor_jitter`, `rank`, `stored`, `kernel_...` (fitted values of the kernel) and seconds of each phase.

    Raises:
        DataError: equal inputs have different labels at ridge 0, an input is not finite, or a label is out of range.
        InvalidPart: memory does not suffice, or the matrix is singular and Y outside its range.

    Source:
        Zhang et al. 2017, section 5, equation 3.
    """

    kernel: Kernel
    ridge: float = 0.0
    solver: Literal["direct", "iterative"] = "direct"
    tolerance: float = 1e-8
    passes: int = 1000
    rank: int | None = None

    def validate(self) -> None:
        self.require(math.isfinite(self.ridge) and self.ridge >= 0, "ridge is a finite number >= 0", self.ridge)
        self.require(1e-12 <= self.tolerance < 1, "tolerance is in [1e-12, 1)", self.tolerance)
        self.require(self.passes >= 1, "passes is a whole number >= 1", self.passes)
        self.require(self.rank is None or self.rank >= 0, "rank is a whole number >= 0 or None", self.rank)

    @classmethod
    def specimens(cls) -> tuple[KernelInterpolation, ...]:
        return cls(Gaussian(1.0)), cls(Laplacian(), ridge=0.1), cls(Gaussian("leave_one_out"), solver="iterative")

    def fit(self, train: Examples, seeds: Seeds = Seeds(), observe: Observer | None = None, runtime: Runtime = Runtime()) -> Fit:
        device = usable_device(runtime)
        require_sound(self.kind, train)
        if self.ridge == 0:
            require_consistent(self.kind, train)
        self._require_room(len(train), train.classes, device)
        with threadpool_limits(runtime.threads):
            kernel = self.kernel.fitted(train, seeds)
            targets = functional.one_hot(train.labels, train.classes).double().to(device)
            system = System(kernel, train.inputs.to(device), targets, self.ridge, self.kind)
            solved = self._solved(system, seeds)
            model = KernelModel(kernel, system.inputs, solved.weights, solved.fitted, solved.factor, runtime.threads)
            learned = {f"kernel_{item.name}": getattr(kernel, item.name) for item in fields(kernel) if item.metadata.get("fitted")}
            facts = self._facts(system, solved) | {name: value for name, value in learned.items() if isinstance(value, str | int | float)}
        report_values(observe, train, model.scores, solved.fitted, solved.steps)
        return Fit(model.scores, "values", model, facts=facts)

    def _rank(self, n: int) -> int:
        return _iterative.default_rank(n) if self.rank is None else min(self.rank, n)

    def _require_room(self, n: int, classes: int, device: torch.device) -> None:
        if self.solver == "direct":
            _direct.require_room(self.kind, n, classes, device)
        else:
            _iterative.require_room(self.kind, n, classes, self._rank(n), device)

    def _solved(self, system: System, seeds: Seeds) -> Solved:
        if self.solver == "direct":
            return _direct.solve_directly(system, self.tolerance, self.passes)
        rng = seeds.rng("init", "preconditioner")
        return _iterative.solve_iteratively(system, self.tolerance, self.passes, self._rank(len(system)), rng)

    def _facts(self, system: System, solved: Solved) -> dict[str, Scalar]:
        norms = squared_norms(solved.weights, solved.fitted, system.targets, self.ridge).tolist()
        training = system.relative(solved.fitted - system.targets)
        return {
            "squared_norm": sum(norms),
            **{f"squared_norm_{label}": value for label, value in enumerate(norms)},
            "relative_residual": system.relative(system.targets - solved.fitted - self.ridge * solved.weights),
            "training_residual": training,
            "interpolates": training <= self.tolerance,
            "steps": solved.steps,
            "smallest_pivot": solved.pivot,
            "factor_jitter": solved.jitter,
            "rank": solved.rank,
            "stored": solved.stored,
            **{f"seconds_{phase}": round(seconds, 6) for phase, seconds in system.seconds.items()},
        }


@dataclass(frozen=True)
class KernelModel:
    """A fitted kernel expansion: f(x) = sum_i k(x, x_i) W_i.

    Args:
        kernel: k, fitted.
        inputs: the training inputs, on the device of the solver.
        weights: W, n x k, float64.
        fitted: K W, the scores of the training inputs.
        factor: of the system, from the direct solver.
        threads: for libraries.
    """

    kernel: Kernel
    inputs: Tensor
    weights: Tensor
    fitted: Tensor
    factor: Factor | None = None
    threads: int = 1

    def scores(self, inputs: Tensor) -> Tensor:
        """Scores of inputs as `Examples` gives them: n x k, float64, on the CPU.

        Raises:
            DataError: the inputs are of another shape than those that were fitted.
        """
        required, got = tuple(self.inputs.shape[1:]), tuple(inputs.shape[1:])
        if got != required:
            raise DataError(f"KernelInterpolation: inputs of shape {required}, as in training, are required, got {got}. Score inputs of that shape.")
        with threadpool_limits(self.threads):
            return self._scorer(inputs.to(self.inputs.device)).cpu()

    @functools.cached_property
    def _scorer(self) -> Callable[[Tensor], Tensor]:
        return self.kernel.scorer(self.inputs, self.weights)


def squared_norms(weights: Tensor, fitted: Tensor, targets: Tensor, ridge: float) -> Tensor:
    """The squared RKHS norm of each class's function; shape (k,).

    W'K W; without ridge 2 W'Y - W'K W, which is y'K^-1 y with an error of second order in the residual r: -r'K^-1 r.
    """
    norms = (weights * fitted).sum(0)
    return norms if ridge else 2 * (weights * targets).sum(0) - norms


@dataclass(frozen=True)
class RandomCentres(Learner):
    """Interpolates with a kernel centred at random points, which do not depend on the data: a bad interpolant.

    f(x) = sum_j k(x, u_j) C_j with f(x_i) = y_i; the m points u_j are uniform in the box between the least and the largest input value; where m > n,
    coefficients have minimum norm. Its norm in the kernel's space is far above the minimum. Cost: some 20 n m min(n, m) operations.

    Facts: `squared_norm` (sum over classes of c'K_uu c), `relative_residual`, `interpolates` (that it is at most 1e-6), `centres` (m).

    Args:
        kernel: k.
        ratio: m / n, >= 1. At 1 the interpolant is worst; many more centres approach the kernel's own (1,000 images of MNIST, sigma 5: test error 84 % at 1, 20
            % at 2).

    Raises:
        InvalidPart: a field is out of range, or memory does not suffice.

    Source:
        Zhang et al. 2017, section 5: interpolants of large norm are easy to construct.
    """

    kernel: Kernel
    ratio: float = 1.0

    def validate(self) -> None:
        self.require(1 <= self.ratio < math.inf, "ratio is a finite number >= 1", self.ratio)

    @classmethod
    def specimens(cls) -> tuple[RandomCentres, ...]:
        return (cls(Gaussian(2.0)),)

    def fit(self, train: Examples, seeds: Seeds = Seeds(), observe: Observer | None = None, runtime: Runtime = Runtime()) -> Fit:
        device = usable_device(runtime)
        count = math.ceil(self.ratio * len(train))
        needed, free = 8 * count * (2 * count + 4 * len(train)), free_memory(device)
        self.require(needed <= free, f"{needed / 2**30:.3g} GiB of memory are required", f"{free / 2**30:.3g} GiB free", "Take fewer examples")
        kernel, inputs = self.kernel.fitted(train, seeds), train.inputs.double().to(device)
        low, high = inputs.min().item(), inputs.max().item()
        drawn = torch.from_numpy(seeds.rng("init", "centres").uniform(low, high, size=(count, *train.shape))).to(device)
        design = kernel.gram(inputs, drawn)
        targets = functional.one_hot(train.labels, train.classes).to(design)
        weights = _minimum_norm(design, targets)
        residual = ((design @ weights - targets).norm() / targets.norm()).item()
        squared_norm = (weights * (kernel.gram(drawn, drawn) @ weights)).sum().item()

        def score(rows: Tensor) -> Tensor:
            return (kernel.gram(rows.double().to(device), drawn) @ weights).cpu()

        report_values(observe, train, score)
        facts: dict[str, Scalar] = {"squared_norm": squared_norm, "relative_residual": residual, "interpolates": residual <= INTERPOLATES, "centres": count}
        return Fit(score, "values", None, None, facts)


def _minimum_norm(design: Tensor, targets: Tensor) -> Tensor:
    left, values, right = torch.linalg.svd(design, full_matrices=False)
    kept = values > max(design.shape) * torch.finfo(design.dtype).eps * values[0]
    weights = design.new_zeros((design.shape[1], targets.shape[1]))
    for _ in range(2):
        weights = weights + right[kept].T @ (left[:, kept].T @ (targets - design @ weights) / values[kept, None])
    return weights
