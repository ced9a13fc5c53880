"""The optimizers against their formulas, worked by hand in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from shatterlab.core import catalog
from shatterlab.core.errors import InvalidPart
from shatterlab.optimizers.descent import SGD, Adam, AdamW, RMSProp

START = np.array([1.0, -2.0, 0.5, 3.0])
TARGET = np.array([0.3, 0.1, -1.0, 2.0])
CURVATURE = np.array([1.0, 4.0, 0.5, 2.0])
STEPS = 7


def gradient(theta):
    return CURVATURE * (theta - TARGET)


def sgd(part, rates):
    theta, v = START.copy(), np.zeros(4)
    for lr in rates:
        g = gradient(theta) + part.weight_decay * theta
        v = part.momentum * v + g
        theta = theta - lr * (g + part.momentum * v if part.nesterov else v)
    return theta


def adam(part, rates):
    theta, m, v = START.copy(), np.zeros(4), np.zeros(4)
    b1, b2 = part.betas
    for t, lr in enumerate(rates, 1):
        g = gradient(theta) + part.weight_decay * theta
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        theta = theta - lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + part.eps)
    return theta


def adam_w(part, rates):
    theta, m, v = START.copy(), np.zeros(4), np.zeros(4)
    b1, b2 = part.betas
    for t, lr in enumerate(rates, 1):
        g = gradient(theta)
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        theta = (1 - lr * part.weight_decay) * theta - lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + part.eps)
    return theta


def rms_prop(part, rates):
    theta, v, u = START.copy(), np.zeros(4), np.zeros(4)
    for lr in rates:
        g = gradient(theta) + part.weight_decay * theta
        v = part.alpha * v + (1 - part.alpha) * g**2
        u = part.momentum * u + g / (np.sqrt(v) + part.eps)
        theta = theta - lr * u
    return theta


BY_HAND = [
    (SGD(lr=0.1), sgd),
    (SGD(lr=0.1, momentum=0.0), sgd),
    (SGD(lr=0.1, momentum=0.8, weight_decay=0.3), sgd),
    (SGD(lr=0.1, nesterov=True), sgd),
    (SGD(lr=0.1, momentum=0.5, nesterov=True, weight_decay=0.01), sgd),
    (Adam(lr=0.1), adam),
    (Adam(lr=0.1, betas=(0.5, 0.9), eps=0.1, weight_decay=0.3), adam),
    (Adam(lr=0.1, betas=(0.0, 0.0)), adam),
    (AdamW(lr=0.1), adam_w),
    (AdamW(lr=0.1, betas=(0.5, 0.9), eps=0.1, weight_decay=0.3), adam_w),
    (RMSProp(lr=0.1), rms_prop),
    (RMSProp(lr=0.1, alpha=0.5, momentum=0.0, eps=1.0, weight_decay=0.3), rms_prop),
]


def trained(part, rates, dtype=torch.float64, fused=False):
    theta = torch.tensor(START, dtype=dtype, requires_grad=True)
    optimizer = part.build([theta], fused=fused)
    for lr in rates:
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.zero_grad()
        (torch.tensor(CURVATURE, dtype=dtype) * (theta - torch.tensor(TARGET, dtype=dtype)) ** 2 / 2).sum().backward()
        optimizer.step()
    return theta.detach().double().numpy()


@pytest.mark.parametrize(("part", "by_hand"), BY_HAND, ids=lambda value: repr(value) if not callable(value) else "")
def test_steps_are_those_of_the_formula_at_a_constant_and_at_a_falling_rate(part, by_hand):
    for rates in ([part.lr] * STEPS, [part.lr * 0.7**step for step in range(STEPS)]):
        # float64: a few dozen roundings of relative size 1e-16 on numbers of order 1
        np.testing.assert_allclose(trained(part, rates), by_hand(part, rates), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("part", "by_hand"), BY_HAND, ids=lambda value: repr(value) if not callable(value) else "")
def test_one_kernel_a_step_changes_rounding_only(part, by_hand):
    rates = [part.lr] * STEPS
    # float32: as above with 6e-8; division by a small root magnifies it less than tenfold here
    np.testing.assert_allclose(trained(part, rates, torch.float32, fused=True), trained(part, rates, torch.float32), rtol=1e-5, atol=1e-5)


def test_every_field_changes_the_steps():
    pairs = [
        (SGD(), [SGD(lr=0.02), SGD(momentum=0.5), SGD(nesterov=True), SGD(weight_decay=0.1)]),
        (Adam(), [Adam(lr=0.02), Adam(betas=(0.5, 0.999)), Adam(betas=(0.9, 0.9)), Adam(eps=0.1), Adam(weight_decay=0.1)]),
        (AdamW(), [AdamW(lr=0.02), AdamW(betas=(0.5, 0.999)), AdamW(eps=0.1), AdamW(weight_decay=0.1)]),
        (RMSProp(), [RMSProp(lr=0.02), RMSProp(alpha=0.5), RMSProp(momentum=0.5), RMSProp(eps=0.1), RMSProp(weight_decay=0.1)]),
    ]
    for base, changed in pairs:
        for part in changed:
            assert np.abs(trained(part, [part.lr] * STEPS) - trained(base, [base.lr] * STEPS)).max() > 1e-8, part  # rounding: 1e-15


def test_defaults_are_the_documented_ones():
    assert SGD() == SGD(lr=0.01, momentum=0.9, nesterov=False, weight_decay=0.0)
    assert Adam() == Adam(lr=0.001, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    assert AdamW() == AdamW(lr=0.001, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01) and AdamW() != Adam(weight_decay=0.01)
    assert RMSProp() == RMSProp(lr=0.001, alpha=0.9, momentum=0.9, eps=1e-8, weight_decay=0.0)


def test_fused_kernels_are_used_where_torch_has_them():
    theta = [torch.ones(2, requires_grad=True)]
    assert all(part.build(theta, fused=True).defaults["fused"] for part in (SGD(), Adam(), AdamW()))
    assert "fused" not in RMSProp().build(theta, fused=True).defaults


@pytest.mark.parametrize("part", [part for part, _ in BY_HAND], ids=repr)
def test_a_description_builds_an_equal_part(part):
    assert catalog.build(part.describe()) == part


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: SGD(lr=0), "SGD: lr is a finite number > 0, got 0.0"),
        (lambda: SGD(lr=float("inf")), "SGD: lr is a finite number > 0, got inf"),
        (lambda: SGD(lr=float("nan")), "SGD: lr is a finite number > 0, got nan"),
        (lambda: SGD(momentum=1), "SGD: momentum is in [0, 1), got 1.0"),
        (lambda: SGD(momentum=-0.1), "SGD: momentum is in [0, 1), got -0.1"),
        (lambda: SGD(momentum=0, nesterov=True), "SGD: nesterov needs momentum > 0, got 0.0. Set momentum=0.9, say."),
        (lambda: SGD(weight_decay=-1), "SGD: weight_decay is a finite number >= 0, got -1.0"),
        (lambda: Adam(lr=-1), "Adam: lr is a finite number > 0, got -1.0"),
        (lambda: Adam(betas=(0.9, 1)), "Adam: betas are two numbers in [0, 1), got (0.9, 1.0)"),
        (lambda: Adam(betas=(0.9,)), "Adam: betas is 2 values, got (0.9,)"),
        (lambda: Adam(eps=0), "Adam: eps is a finite number > 0, got 0.0"),
        (lambda: Adam(weight_decay=float("inf")), "Adam: weight_decay is a finite number >= 0, got inf"),
        (lambda: AdamW(weight_decay=-1), "AdamW: weight_decay is a finite number >= 0, got -1.0"),
        (lambda: RMSProp(lr=0), "RMSProp: lr is a finite number > 0, got 0.0"),
        (lambda: RMSProp(alpha=1), "RMSProp: alpha is in [0, 1), got 1.0"),
        (lambda: RMSProp(momentum=1), "RMSProp: momentum is in [0, 1), got 1.0"),
        (lambda: RMSProp(eps=-1), "RMSProp: eps is a finite number > 0, got -1.0"),
        (lambda: RMSProp(weight_decay=-1), "RMSProp: weight_decay is a finite number >= 0, got -1.0"),
    ],
)
def test_fields_out_of_range_are_refused_in_words(make, text):
    with pytest.raises(InvalidPart) as refused:
        make()
    assert str(refused.value) == text
