"""The largest eigenvalue of the Hessian, against closed forms and against the whole matrix."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import shatterlab as sl
from shatterlab.core import Fit
from shatterlab.core.errors import InvalidPart, NotApplicable
from shatterlab.core.losses import losses
from shatterlab.measures import _training_loss
from shatterlab.measures.gradients import HessianTopEigenvalue


def fitted(architecture, train, **fields):
    settings = {"epochs": 3, "batch_size": 20, "stop": "budget"} | fields
    return sl.Training(architecture, sl.SGD(lr=0.05), **settings).fit(train)


def test_of_a_linear_map_and_squared_error_it_is_that_of_the_inputs(small_images):
    """Hessian of (1/n) sum |W x - y|^2 over one row of W: (2/n) X'X, whatever the labels and W."""
    train = small_images.train
    fit = fitted(sl.Linear(bias=False), train, loss="squared", whiten=False, stop="budget")
    rows = train.inputs.flatten(1).double()
    wanted = torch.linalg.eigvalsh(2 / len(rows) * rows.T @ rows)[-1].item()
    found = HessianTopEigenvalue(None).of(fit, train)
    assert found["largest"] == pytest.approx(wanted, rel=2e-3)  # twice the tolerance of the iteration


@pytest.mark.parametrize("loss", ["cross_entropy", "squared"])
def test_of_a_small_network_it_is_that_of_the_whole_matrix(loss, small_images):
    train = small_images.train
    fit = fitted(sl.MLP((4,)), train, loss=loss)
    model = fit.model.double()
    named = dict(model.named_parameters())

    def mean_loss(*values):
        scores = torch.func.functional_call(model, dict(zip(named, values, strict=True)), (train.inputs.double(),))
        return losses(scores, train.labels, fit.output).mean()

    blocks = torch.autograd.functional.hessian(mean_loss, tuple(named.values()))
    sizes = [value.numel() for value in named.values()]
    whole = torch.cat(
        [torch.cat([block.reshape(rows, columns) for block, columns in zip(line, sizes, strict=True)], 1) for line, rows in zip(blocks, sizes, strict=True)]
    )
    wanted = np.linalg.eigvalsh(whole.numpy())[-1]
    double = sl.Examples(train.inputs.double(), train.labels, train.classes)
    assert HessianTopEigenvalue(None).of(Fit(fit.scores, fit.output, model), double)["largest"] == pytest.approx(wanted, rel=2e-3)
    direction = torch.from_numpy(np.random.default_rng(0).standard_normal(len(whole)))
    loss = _training_loss.TrainingLoss(Fit(fit.scores, fit.output, model), double, "test")
    product = _training_loss.flat(loss.hessian_times(loss.shaped(direction)))
    assert torch.allclose(product, whole @ direction, atol=1e-9)


def test_it_is_the_same_twice_and_leaves_the_model_alone(small_images):
    train = small_images.train
    fit = fitted(sl.SmallInception(width=0.05), train)
    before = {name: value.clone() for name, value in fit.model.state_dict().items()}
    mode, state = fit.model.training, torch.get_rng_state()
    one, two = (HessianTopEigenvalue(30).of(fit, train) for _ in range(2))
    assert one == two
    assert all(torch.equal(value, before[name]) for name, value in fit.model.state_dict().items())
    assert fit.model.training == mode and torch.equal(torch.get_rng_state(), state)
    assert all(value.grad is None or value.grad.isfinite().all() for value in fit.model.parameters())


def test_chunks_add_up(small_images, monkeypatch):
    train = small_images.train
    fit = fitted(sl.MLP((8,)), train)
    whole = HessianTopEigenvalue(None).of(fit, train)["largest"]
    monkeypatch.setattr(_training_loss, "_BATCH", 7)
    assert HessianTopEigenvalue(None).of(fit, train)["largest"] == pytest.approx(whole, rel=2e-3)


def test_at_a_minimum_of_an_interpolating_net_curvature_is_small(small_images):
    """Cross-entropy flattens as scores grow: after long training it is below that of the start."""
    train = small_images.train
    start, end = (fitted(sl.MLP((32,)), train, epochs=epochs, decay=1.0) for epochs in (1, 150))
    assert HessianTopEigenvalue(None).of(end, train)["largest"] < HessianTopEigenvalue(None).of(start, train)["largest"]


def test_what_has_no_hessian_is_refused_with_its_reason(small_images):
    train = small_images.train
    nearest = sl.Estimator("sklearn.neighbors:KNeighborsClassifier", {"n_neighbors": 1}).fit(train)
    with pytest.raises(NotApplicable, match=r"^HessianTopEigenvalue: a torch module is required"):
        HessianTopEigenvalue().of(nearest, train)
    with pytest.raises(InvalidPart, match=r"^HessianTopEigenvalue: examples is a whole number >= 1 or None, got 0"):
        HessianTopEigenvalue(0)
