"""Learners of this package as scikit-learn classifiers, for use without experiments."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from shatterlab.core import Examples, Fit, Kernel, Runtime, Seeds
from shatterlab.core.errors import InvalidPart
from shatterlab.kernels.radial import Laplacian
from shatterlab.learners.kernel_interpolation import KernelInterpolation


class KernelInterpolator(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """The minimum-norm interpolant of a kernel as a scikit-learn classifier.

    It fits any one-hot labels exactly unless ridge > 0; without ridge, equal inputs with different labels are refused. Classes are of any type.

    Args:
        kernel: a kernel of this package; None: Laplacian with the root of the total variance of X as its bandwidth, which is well conditioned.
        ridge: lambda, >= 0.
        solver: "direct" or "iterative".
        tolerance: relative residual to reach.
        random_state: a whole number >= 0, the seed of kernels that draw (random filters, say) and of the iterative solver; None: 0.
        device: a torch device.
        threads: threads of the libraries below, >= 1.

    Attributes:
        classes_: the classes, sorted.
        n_features_in_: d.
        fit_: the Fit, with its facts: squared norm, residual, solver.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> x, y = load_iris(return_X_y=True)
        >>> KernelInterpolator().fit(x, y).score(x, y)  # it interpolates
        1.0
    """

    def __init__(
        self,
        kernel: Kernel | None = None,
        ridge: float = 0.0,
        solver: str = "direct",
        tolerance: float = 1e-8,
        random_state: int | None = None,
        device: str = "cpu",
        threads: int = 1,
    ) -> None:
        self.kernel, self.ridge, self.solver, self.tolerance = kernel, ridge, solver, tolerance
        self.random_state, self.device, self.threads = random_state, device, threads

    def fit(self, X: Any, y: Any) -> KernelInterpolator:
        """Solves the system of all examples.

        Args:
            X: n x d numbers.
            y: n labels of at least two classes.

        Returns:
            Itself.

        Raises:
            ValueError: an argument is out of range, or X or y is not as above.
        """
        X, y = validate_data(self, X, y, dtype=np.float32)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise InvalidPart(f"KernelInterpolator: at least two classes are required, got one class, {self.classes_[0]!r}. Nothing can be told apart.")
        learner = KernelInterpolation(self._kernel(X), self.ridge, self.solver, self.tolerance)  # type: ignore[arg-type]
        train = Examples(torch.from_numpy(X.copy()), torch.from_numpy(labels.astype(np.int64)), len(self.classes_))
        seed = 0 if self.random_state is None else self.random_state
        self.fit_: Fit = learner.fit(train, Seeds(init=seed), runtime=Runtime(self.device, self.threads))
        return self

    def decision_function(self, X: Any) -> np.ndarray[Any, Any]:
        """Scores: n x k, of two classes n, those of the second less those of the first.

        Args:
            X: n x d numbers.

        Returns:
            float64.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float32, reset=False)
        scores: np.ndarray[Any, Any] = self.fit_.scores(torch.from_numpy(X.copy())).numpy()
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def predict(self, X: Any) -> np.ndarray[Any, Any]:
        """The class of the highest score for each row, the first of equal ones.

        Args:
            X: n x d numbers.

        Returns:
            Shape (n,), of the type of the labels.
        """
        scores = self.decision_function(X)
        classes: np.ndarray[Any, Any] = self.classes_[(scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(1)]
        return classes

    def _kernel(self, X: np.ndarray[Any, Any]) -> Kernel:
        if self.kernel is None:
            return Laplacian(float(np.sqrt(X.var(0, dtype=np.float64).sum())) or 1.0)
        if not isinstance(self.kernel, Kernel):
            raise InvalidPart(f"KernelInterpolator: a kernel of shatterlab is required, got {self.kernel!r}. Pass shatterlab.Laplacian(1.0), say.")
        return self.kernel
