"""Kernel systems: independent routes to one solution, its least norm, leave-one-out against refits, refusals."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.kernel_ridge import KernelRidge

import shatterlab as sl
from shatterlab.core import kinds
from shatterlab.core.errors import DataError, InvalidPart, NotApplicable
from shatterlab.solvers import cholesky as _factor
from shatterlab.solvers import direct as _direct
from shatterlab.solvers import iterative as _iterative
from shatterlab.solvers import system as _system
from shatterlab.solvers.conjugate_gradients import conjugate_gradients
from shatterlab.training.device import free_memory
from solvers.closed_forms import RidgePath, replace_one

GAUSSIAN = sl.Gaussian(1.0)


@pytest.fixture(scope="module")
def digits():
    return sl.Digits(examples=400, test_examples=100).load()


@pytest.fixture(scope="module")
def eight_bit(digits):
    """The same digits as counts out of 255, which radial kernels keep as codes."""
    return replace(
        digits, **{name: replace(part, inputs=(part.inputs * 240).round().div(255)) for name, part in (("train", digits.train), ("test", digits.test))}
    )


def targets_of(examples):
    return torch.nn.functional.one_hot(examples.labels, examples.classes).double()


def exact(kernel, train, inputs, ridge=0.0):
    """Scores of inputs and y'K^-1 y (with ridge: W'K W) by LAPACK in float64."""
    x = train.inputs.double()
    gram, targets = kernel.gram(x, x).numpy(), targets_of(train).numpy()
    weights = scipy.linalg.solve(gram + ridge * np.eye(len(gram)), targets, assume_a="pos")
    return kernel.gram(inputs.double(), x).numpy() @ weights, float((weights * (gram @ weights)).sum())


def equal_pair(labels):
    inputs = torch.rand(20, 6, generator=torch.Generator().manual_seed(0))
    inputs[13] = inputs[4]
    all_labels = torch.arange(20) % 3
    all_labels[4], all_labels[13] = labels
    return sl.Examples(inputs, all_labels, 3)


ROUTES = [
    (sl.Gaussian(1.0), 0.0),
    (sl.Gaussian(5.0), 0.0),  # condition 1e7: out of reach of float32 alone
    (sl.Laplacian(10.0), 0.0),
    (sl.NeuralTangent(2), 0.0),
    (sl.Gaussian(2.0), 0.1),
    (sl.LinearKernel(), 0.5),
]


class TestRoutes:
    @pytest.mark.parametrize("solver", ["direct", "iterative"])
    @pytest.mark.parametrize(("kernel", "ridge"), ROUTES, ids=repr)
    def test_solvers_agree_with_lapack_in_float64(self, digits, kernel, ridge, solver):
        fit = sl.KernelInterpolation(kernel, ridge, solver).fit(digits.train)
        scores, norm = exact(kernel, digits.train, digits.test.inputs, ridge)
        assert np.abs(fit.scores(digits.test.inputs).numpy() - scores).max() < 1e-5
        # of second order in a residual of 1e-8 without ridge, of first order with; condition 1e7 times 1e-16 is smaller
        assert fit.facts["squared_norm"] == pytest.approx(norm, rel=1e-6)
        assert sum(fit.facts[f"squared_norm_{label}"] for label in range(10)) == pytest.approx(fit.facts["squared_norm"])
        assert fit.facts["relative_residual"] <= 1e-8
        assert fit.facts["interpolates"] is (ridge == 0)
        assert fit.output == "values"

    @pytest.mark.parametrize("kernel", [sl.Gaussian(5.0), sl.Laplacian(10.0)], ids=repr)
    @pytest.mark.parametrize("sizes", [{}, {"_BLOCK": 37, "_TRIANGLE": 29, "_STRIP": 23, "_WIDE": 41}], ids=["one block", "blocks"])
    @pytest.mark.parametrize("tile", [16_384, 47])
    def test_codes_of_eight_bits_agree_with_lapack_too(self, eight_bit, kernel, sizes, tile, monkeypatch):
        monkeypatch.setattr(_factor, "_TILE", tile)
        for name, size in sizes.items():
            monkeypatch.setattr(_factor, name, size)
        fit = sl.KernelInterpolation(kernel).fit(eight_bit.train)
        scores, norm = exact(kernel, eight_bit.train, eight_bit.test.inputs)
        assert fit.model.factor.factor.exact
        assert np.abs(fit.scores(eight_bit.test.inputs).numpy() - scores).max() < 1e-5
        assert fit.facts["squared_norm"] == pytest.approx(norm, rel=1e-6)
        assert fit.facts["relative_residual"] <= 1e-8

    def test_codes_gain_digits_that_float32_does_not_hold(self, eight_bit, monkeypatch):
        """The product that the solver takes is K itself; without codes it differs by float32 rounding."""
        weights = torch.randn(400, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
        system = _system.System(GAUSSIAN, eight_bit.train.inputs, targets_of(eight_bit.train), 0.0)
        wanted = GAUSSIAN.gram(system.inputs.double(), system.inputs.double()) @ weights
        coded = _factor.GramFactor(system)
        assert (coded.product(weights) - wanted).abs().max() < 1e-12  # 400 terms of size 1
        monkeypatch.setattr(sl.Gaussian, "coded", lambda *_: None)
        plain = _factor.GramFactor(system)
        assert not plain.exact and (plain.product(weights) - wanted).abs().max() > 1e-8

    def test_scikit_learn_agrees(self, digits):
        x, test = (part.inputs.flatten(1).double().numpy() for part in (digits.train, digits.test))
        theirs = KernelRidge(alpha=1e-12, kernel="rbf", gamma=0.5).fit(x, targets_of(digits.train).numpy()).predict(test)
        for solver in ("direct", "iterative"):
            ours = sl.KernelInterpolation(GAUSSIAN, solver=solver).fit(digits.train).scores(digits.test.inputs).numpy()
            assert np.abs(ours - theirs).max() < 1e-5

    def test_the_residual_is_what_a_fresh_product_says(self, digits):
        fit = sl.KernelInterpolation(sl.Gaussian(5.0)).fit(digits.train)
        x, targets = digits.train.inputs.double(), targets_of(digits.train)
        gram = sl.Gaussian(5.0).gram(x, x)
        true = ((gram @ fit.model.weights - targets).norm() / targets.norm()).item()
        assert fit.facts["relative_residual"] == pytest.approx(true, rel=0.05, abs=1e-12)  # 1e-16 times the condition of the product
        assert fit.facts["smallest_pivot"] > 0 and fit.facts["factor_jitter"] == 0

    def test_float32_alone_does_not_reach_the_tolerance(self, digits):
        x, targets = digits.train.inputs.double(), targets_of(digits.train)
        gram = sl.Gaussian(5.0).gram(x, x)
        single = torch.linalg.solve(gram.float(), targets.float()).double()
        assert ((gram @ single - targets).norm() / targets.norm()).item() > 1e-6

    def test_blocks_and_refinement_give_what_one_block_does(self, digits, monkeypatch):
        whole = sl.KernelInterpolation(sl.Gaussian(5.0)).fit(digits.train).scores(digits.test.inputs)
        for name, size in {"_BLOCK": 37, "_TRIANGLE": 29, "_STRIP": 23, "_WIDE": 41, "_COLUMNS": 53, "_PANEL": 19}.items():
            monkeypatch.setattr(_factor, name, size)
        monkeypatch.setattr(kinds, "_TILE", 64)
        fit = sl.KernelInterpolation(sl.Gaussian(5.0)).fit(digits.train)
        assert (fit.scores(digits.test.inputs) - whole).abs().max() < 1e-6
        x = digits.train.inputs.double()
        inverse = torch.linalg.inv(sl.Gaussian(5.0).gram(x, x)).diagonal()
        assert (fit.model.factor.inverse_diagonal() / inverse - 1).abs().max() < 1e-2

    def test_a_matrix_that_is_never_held_gives_what_one_that_is_gives(self, digits, monkeypatch):
        held = sl.KernelInterpolation(GAUSSIAN, solver="iterative").fit(digits.train)
        monkeypatch.setattr(_system, "free_memory", lambda device: 0.0)
        made = sl.KernelInterpolation(GAUSSIAN, solver="iterative").fit(digits.train)
        assert (held.facts["stored"], made.facts["stored"]) == (True, False)
        assert (held.scores(digits.test.inputs) - made.scores(digits.test.inputs)).abs().max() < 1e-6

    def test_an_iterative_fit_that_is_cut_short_says_so(self, digits):
        fit = sl.KernelInterpolation(sl.Gaussian(5.0), solver="iterative", passes=3).fit(digits.train)
        assert fit.facts["steps"] == 3
        assert fit.facts["relative_residual"] > 1e-6
        assert fit.facts["interpolates"] is False

    def test_a_preconditioner_of_higher_rank_takes_fewer_steps(self, digits):
        steps = [sl.KernelInterpolation(sl.Gaussian(3.0), solver="iterative", rank=rank).fit(digits.train).facts["steps"] for rank in (0, 50, 300)]
        assert steps[0] > steps[1] > steps[2]

    def test_the_row_of_a_trial_has_the_facts(self):
        row = sl.run(sl.Trial(sl.Digits(examples=300, test_examples=100), sl.TrueLabels(), sl.KernelInterpolation(GAUSSIAN), measures=(sl.LeaveOneOut(),)))
        assert (row["status"], row["error"], row["train.error"]) == ("ok", None, 0.0)
        assert row["fit.interpolates"] is True
        assert row["fit.squared_norm"] > 0 and row["fit.seconds_factor"] > 0
        assert 0 < row["measure.LeaveOneOut.error"] < 0.3

    def test_a_leave_one_out_bandwidth_is_a_fact(self, digits):
        fit = sl.KernelInterpolation(sl.Gaussian("leave_one_out", subset=150)).fit(digits.train)
        assert fit.facts["kernel_bandwidth"] == fit.model.kernel.bandwidth > 0


class TestFactor:
    def test_the_factor_lies_over_one_triangle_and_the_matrix_under_the_other(self, digits):
        few = digits.train.at(slice(0, 90))
        factor = _factor.GramFactor(_system.System(GAUSSIAN, few.inputs, targets_of(few), 0.25))
        x = few.inputs.double()
        gram = GAUSSIAN.gram(x, x) + 0.25 * torch.eye(90, dtype=torch.float64)
        upper = factor._gram.double().triu()
        assert (upper.T @ upper - gram).abs().max() < 90 * torch.finfo(torch.float32).eps * 2
        assert (factor._gram.double().tril(-1) - gram.tril(-1)).abs().max() < 1e-6
        weights = torch.randn(90, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        assert (factor.product(weights) - gram @ weights).abs().max() < 1e-5
        assert factor.pivot == pytest.approx(torch.linalg.cholesky(gram).diagonal().min().item() ** 2, rel=1e-4)

    @pytest.mark.parametrize("blocks", [1024, 17])
    @pytest.mark.parametrize("coded", [True, False])
    def test_a_matrix_without_a_factor_is_made_again_from_the_other_triangle(self, eight_bit, monkeypatch, blocks, coded):
        """Every example twice: K is singular, jitter grows, and the factor is that of K + jitter I."""
        monkeypatch.setattr(_factor, "_BLOCK", blocks)
        monkeypatch.setattr(_factor, "_TILE", blocks)
        few = eight_bit.train.at([i % 45 for i in range(90)])
        if not coded:
            monkeypatch.setattr(sl.Gaussian, "coded", lambda *_: None)
        factor = _factor.GramFactor(_system.System(GAUSSIAN, few.inputs, targets_of(few), 0.0))
        x = few.inputs.double()
        gram, upper = GAUSSIAN.gram(x, x), factor._gram.double().triu()
        assert factor.jitter > 0 and factor.exact is coded
        assert (upper.T @ upper - gram - factor.jitter * torch.eye(90)).abs().max() < 90 * torch.finfo(torch.float32).eps * 2
        weights = torch.ones(90, 1, dtype=torch.float64)
        assert (factor.product(weights) - gram @ weights).abs().max() < 1e-5

    @pytest.mark.parametrize("tile", [1, 7, 19, 20, 64])
    def test_tiles_give_the_factor_of_the_whole_and_touch_nothing_below(self, tile, monkeypatch):
        """At sizes that divide n and sizes that do not, against LAPACK in float64; a pivot that is not positive is named."""
        monkeypatch.setattr(_factor, "_TILE", tile)
        rng = np.random.default_rng(tile)
        half = rng.standard_normal((40, 40))
        matrix = half @ half.T + 40 * np.eye(40)
        buffer = np.triu(matrix).astype(np.float32)
        buffer[np.tril_indices(40, -1)] = 7.0
        assert _factor.factor_in_place(buffer) == 0
        wanted = scipy.linalg.cholesky(matrix)
        assert np.abs(np.triu(buffer) - wanted).max() < 40 * np.finfo(np.float32).eps * np.abs(wanted).max()
        assert (buffer[np.tril_indices(40, -1)] == 7).all()
        bad = np.diag([1.0] * 22 + [-1.0] + [1.0] * 17).astype(np.float32)
        assert _factor.factor_in_place(bad) == 23

    def test_a_wrong_triangle_would_be_seen(self, digits, monkeypatch):
        """Planted: the factor's triangle is taken for the matrix."""
        few = digits.train.at(slice(0, 90))
        factor = _factor.GramFactor(_system.System(GAUSSIAN, few.inputs, targets_of(few), 0.0))
        factor._gram = factor._gram.T
        weights = torch.ones(90, 1, dtype=torch.float64)
        x = few.inputs.double()
        assert (factor.product(weights) - GAUSSIAN.gram(x, x) @ weights).abs().max() > 0.1

    def test_a_wrong_solve_is_told_by_the_residual(self, digits, monkeypatch):
        """Planted: the inner solver lies; the fresh residual does not."""
        monkeypatch.setattr(_direct._Refinement, "_stored_solve", lambda self, residuals, tolerance: torch.zeros_like(residuals))
        fit = sl.KernelInterpolation(GAUSSIAN).fit(digits.train)
        assert fit.facts["relative_residual"] == 1 and fit.facts["interpolates"] is False


class TestMinimumNorm:
    @given(st.integers(0, 10**6), st.sampled_from([sl.Gaussian(1.0), sl.Laplacian(1.0), sl.LinearKernel()]))
    def test_any_other_interpolant_has_a_larger_norm(self, seed, kernel):
        """f + g interpolates too where g vanishes on the sample; then |f + g|^2 = |f|^2 + |g|^2."""
        rng = np.random.default_rng(seed)
        train = sl.Examples(torch.from_numpy(rng.standard_normal((12, 40)).astype(np.float32)), torch.from_numpy(rng.permutation(12) % 3), 3)
        centres = torch.cat([train.inputs, torch.from_numpy(rng.standard_normal((4, 40)).astype(np.float32))]).double()
        fit = sl.KernelInterpolation(kernel).fit(train)
        gram = kernel.gram(centres, centres)
        extra = torch.from_numpy(rng.standard_normal((4, 3)))
        null = torch.cat([-torch.linalg.solve(gram[:12, :12], gram[:12, 12:] @ extra), extra])
        other = null + torch.cat([fit.model.weights, torch.zeros(4, 3)])
        assert (gram[:12] @ other - targets_of(train)).abs().max() < 1e-6  # it interpolates
        norm, null_norm, other_norm = fit.facts["squared_norm"], (null * (gram @ null)).sum().item(), (other * (gram @ other)).sum().item()
        assert other_norm > norm
        assert other_norm == pytest.approx(norm + null_norm, rel=1e-6)

    def test_the_norm_is_right_to_second_order(self):
        """y'K^-1 y from weights that are off by a residual r is off by r'K^-1 r, far less than W'K W is."""
        from shatterlab.learners.kernel_interpolation import squared_norms

        rng = np.random.default_rng(0)
        half = torch.from_numpy(rng.standard_normal((30, 30)))
        gram, targets = half @ half.T + torch.eye(30), torch.from_numpy(rng.standard_normal((30, 2)))
        true = (targets * torch.linalg.solve(gram, targets)).sum(0)
        residual = 1e-4 * torch.from_numpy(rng.standard_normal((30, 2)))
        weights = torch.linalg.solve(gram, targets - residual)
        found = squared_norms(weights, gram @ weights, targets, 0.0)
        torch.testing.assert_close(true - found, (residual * torch.linalg.solve(gram, residual)).sum(0), rtol=1e-5, atol=1e-14)


class TestLeaveOneOut:
    @pytest.mark.parametrize("ridge", [0.0, 0.3])
    def test_residuals_are_those_of_real_refits(self, digits, ridge):
        few = digits.train.at(slice(0, 60))
        learner, measure = sl.KernelInterpolation(sl.Gaussian(2.0), ridge), sl.LeaveOneOut(sampled=60)
        fit = learner.fit(few)
        found = measure.of(fit, few)
        said = np.stack([learner.fit(few.at([j for j in range(60) if j != i])).scores(few.inputs[i : i + 1])[0].numpy() for i in range(60)])
        labels = few.labels.numpy()
        # the diagonal of the inverse comes from a float32 factor: its relative error is told
        np.testing.assert_allclose(found["residuals"], targets_of(few).numpy() - said, rtol=2 * found["inverse_error"] + 1e-5, atol=1e-6)
        assert found["inverse_error"] < 1e-3
        assert found["undecided"] == 0
        assert found["error"] == pytest.approx((said.argmax(1) != labels).mean())
        right = fit.scores(few.inputs).argmax(1).numpy() == labels
        scores = right.astype(int) - (said.argmax(1) == labels)
        assert (found["memorization_scores"] == scores).all()
        assert found["memorization"] == pytest.approx(scores.mean())
        assert found["memorized"] == pytest.approx((scores == 1).mean())

    def test_what_is_sampled_is_the_largest_error(self, digits):
        fit = sl.KernelInterpolation(GAUSSIAN).fit(digits.train)
        x = digits.train.inputs.double()
        inverse = torch.linalg.inv(GAUSSIAN.gram(x, x))
        columns = fit.model.factor.inverse_columns(torch.tensor([0, 7, 399]))
        torch.testing.assert_close(columns, inverse[:, [0, 7, 399]], rtol=1e-5, atol=1e-6)
        assert sl.LeaveOneOut(sampled=0).of(fit, digits.train)["inverse_error"] is None

    def test_a_fit_without_factor_has_none(self, digits):
        fit = sl.KernelInterpolation(GAUSSIAN, solver="iterative").fit(digits.train)
        with pytest.raises(
            NotApplicable, match=r"^LeaveOneOut: a factored kernel system is required, got KernelModel\. Fit KernelInterpolation\(\.\.\., solver="
        ):
            sl.LeaveOneOut().of(fit, digits.train)


class TestClosedForms:
    @pytest.mark.parametrize("ridge", [1e-3, 0.1, 10.0])
    def test_the_ridge_path_is_what_each_solve_gives(self, digits, ridge):
        few = digits.train.at(slice(0, 120))
        x, targets = few.inputs.double(), targets_of(few)
        gram = GAUSSIAN.gram(x, x)
        path = RidgePath.of(gram)
        weights = torch.linalg.solve(gram + ridge * torch.eye(120, dtype=torch.float64), targets)
        torch.testing.assert_close(path.weights(targets, ridge), weights, rtol=1e-8, atol=1e-9)
        assert path.squared_norm(targets, ridge) == pytest.approx((weights * (gram @ weights)).sum().item(), rel=1e-9)
        assert path.degrees_of_freedom(ridge) == pytest.approx(
            torch.trace(torch.linalg.solve(gram + ridge * torch.eye(120, dtype=torch.float64), gram)).item(), rel=1e-9
        )
        rest = [j for j in range(120) if j != 7]
        said = gram[7, rest] @ torch.linalg.solve(gram[rest][:, rest] + ridge * torch.eye(119, dtype=torch.float64), targets[rest])
        torch.testing.assert_close(path.left_out(targets, ridge)[7], said, rtol=1e-8, atol=1e-9)

    def test_a_singular_path_wants_ridge(self):
        path = RidgePath.of(torch.ones(3, 3))
        with pytest.raises(InvalidPart, match=r"^RidgePath: eigenvalues above .* are required, the least is .*\. Use a larger ridge\.$"):
            path.weights(torch.ones(3, 1), 0.0)

    @pytest.mark.parametrize("ridge", [0.0, 0.5])
    def test_replacing_one_is_what_a_refit_gives(self, digits, ridge):
        few, twins = digits.train.at(slice(0, 30)), digits.train.at(slice(100, 130))
        inputs = digits.test.inputs[:6]
        moved = replace_one(GAUSSIAN, few, twins, inputs, ridge)
        assert moved.shape == (30, 6, 10)
        before = exact(GAUSSIAN, few, inputs, ridge)[0]
        for i in (0, 11, 29):
            changed = replace(few, inputs=few.inputs.clone(), labels=few.labels.clone())
            changed.inputs[i], changed.labels[i] = twins.inputs[i], twins.labels[i]
            np.testing.assert_allclose(moved[i].numpy(), exact(GAUSSIAN, changed, inputs, ridge)[0] - before, rtol=1e-6, atol=1e-9)


class TestRefusals:
    def test_equal_inputs_of_different_labels_are_named(self):
        with pytest.raises(DataError) as caught:
            sl.KernelInterpolation(GAUSSIAN).fit(equal_pair((0, 2)))
        told = "one label an input is required without ridge, examples 4 and 13 have equal inputs and labels 0 and 2. Drop one, or set ridge > 0."
        assert str(caught.value) == f"KernelInterpolation: {told}"
        assert sl.KernelInterpolation(GAUSSIAN, ridge=0.1).fit(equal_pair((0, 2))).facts["relative_residual"] <= 1e-8

    @pytest.mark.parametrize("solver", ["direct", "iterative"])
    def test_equal_inputs_of_one_label_are_welcome(self, solver):
        train = equal_pair((1, 1))
        fit = sl.KernelInterpolation(GAUSSIAN, solver=solver).fit(train)
        once = train.at([i for i in range(20) if i != 13])
        scores, norm = exact(GAUSSIAN, once, train.inputs)
        assert fit.facts["interpolates"] is True
        assert np.abs(fit.scores(train.inputs).numpy() - scores).max() < 1e-6
        assert fit.facts["squared_norm"] == pytest.approx(norm, rel=1e-6)

    def test_a_kernel_of_too_low_rank_is_refused(self, digits):
        with pytest.raises(InvalidPart, match=r"^KernelInterpolation: the Gram matrix of 400 examples is singular in float32, and no weights come closer"):
            sl.KernelInterpolation(sl.LinearKernel()).fit(digits.train)
        fit = sl.KernelInterpolation(sl.LinearKernel(), solver="iterative", passes=200).fit(digits.train)
        assert fit.facts["interpolates"] is False

    def test_memory_is_refused_before_anything_is_made(self, digits, monkeypatch):
        monkeypatch.setattr(_direct, "free_memory", lambda device: 2.0**20)
        monkeypatch.setattr(sl.Gaussian, "gram", lambda *_: pytest.fail("work began"))
        with pytest.raises(InvalidPart) as caught:
            sl.KernelInterpolation(GAUSSIAN).fit(digits.train)
        needed = _direct.bytes_needed(400, 10, torch.device("cpu"))
        assert needed > 4 * 400**2
        assert str(caught.value) == (
            f"KernelInterpolation: {needed:,} bytes ({needed / 2**30:.3g} GiB) of memory are required to factor the Gram matrix of 400 examples, "
            'got 0.000977 GiB free. Set solver="iterative", which needs no such matrix, or use fewer examples.'
        )
        monkeypatch.setattr(_iterative, "free_memory", lambda device: 2.0**20)
        with pytest.raises(InvalidPart, match=r"of memory are required for a preconditioner of rank 200 for 400 examples, got .* Set a smaller rank\.$"):
            sl.KernelInterpolation(GAUSSIAN, solver="iterative").fit(digits.train)

    def test_mnist_is_said_to_need_less_than_16_gib(self):
        assert 14e9 < _direct.bytes_needed(60_000, 10, torch.device("cpu")) < 16 * 2**30
        assert free_memory(torch.device("cpu")) > 0

    def test_inputs_that_are_not_finite_and_labels_out_of_range(self, digits):
        bad = replace(digits.train, inputs=digits.train.inputs.clone())
        bad.inputs[3, 0, 0, 0], bad.inputs[7, 0, 0, 0] = math.nan, math.inf
        with pytest.raises(DataError, match=r"^KernelInterpolation: finite inputs are required, got NaN or infinity in 2 examples, the first at position 3\."):
            sl.KernelInterpolation(GAUSSIAN).fit(bad)
        with pytest.raises(DataError, match=r"^KernelInterpolation: labels are whole numbers in 0\.\.9, got 1\.\.10\. Renumber the classes\.$"):
            sl.KernelInterpolation(GAUSSIAN).fit(replace(digits.train, labels=digits.train.labels + 1))

    def test_inputs_of_another_width(self, digits):
        fit = sl.KernelInterpolation(GAUSSIAN).fit(digits.train.at(slice(0, 50)))
        with pytest.raises(
            DataError, match=r"^KernelInterpolation: inputs of shape \(1, 8, 8\), as in training, are required, got \(7,\)\. Score inputs of that shape\.$"
        ):
            fit.scores(torch.zeros(2, 7))

    @pytest.mark.parametrize(
        ("fields", "text"),
        [
            ({"ridge": -1}, "ridge is a finite number >= 0, got -1.0"),
            ({"ridge": math.nan}, "ridge is a finite number >= 0, got nan"),
            ({"tolerance": 0}, "tolerance is in [1e-12, 1), got 0.0"),
            ({"passes": 0}, "passes is a whole number >= 1, got 0"),
            ({"rank": -1}, "rank is a whole number >= 0 or None, got -1"),
            ({"solver": "magic"}, "solver is one of 'direct', 'iterative', got 'magic'"),
        ],
    )
    def test_a_bad_field_is_refused_in_one_sentence(self, fields, text):
        with pytest.raises(InvalidPart) as caught:
            sl.KernelInterpolation(GAUSSIAN, **fields)
        assert str(caught.value) == f"KernelInterpolation: {text}"

    def test_a_refusal_is_a_failed_row(self, monkeypatch):
        monkeypatch.setattr(_direct, "free_memory", lambda device: 0.0)
        row = sl.run(sl.Trial(sl.Digits(examples=60, test_examples=40), sl.TrueLabels(), sl.KernelInterpolation(GAUSSIAN)))
        assert row["status"] == "failed"
        assert "bytes" in row["error"] and 'solver="iterative"' in row["error"]


class TestConjugateGradients:
    def solve(self, matrix, targets, steps=500, tolerance=1e-10):
        return conjugate_gradients(lambda w: matrix @ w, lambda r: r, targets, tolerance, steps, lambda step, residual: None)

    def test_n_steps_solve_n_equations_and_columns_do_not_disturb_each_other(self):
        rng = np.random.default_rng(0)
        half = torch.from_numpy(rng.standard_normal((12, 12)))
        matrix = half @ half.T + torch.eye(12)
        targets = torch.from_numpy(rng.standard_normal((12, 3))) * torch.tensor([1.0, 1e-6, 0.0])
        found = self.solve(matrix, targets)
        torch.testing.assert_close(found.weights, torch.linalg.solve(matrix, targets), rtol=1e-6, atol=1e-12)
        assert found.steps <= 14  # n and a little rounding
        assert found.weights[:, 2].abs().max() == 0

    def test_a_singular_system_in_reach_is_solved_and_one_out_of_reach_ends(self):
        matrix = torch.diag(torch.tensor([1.0, 2.0, 0.0], dtype=torch.float64))
        found = self.solve(matrix, torch.tensor([[1.0], [2.0], [0.0]], dtype=torch.float64))
        assert found.weights.flatten().tolist() == pytest.approx([1, 1, 0])
        lost = self.solve(matrix, torch.tensor([[1.0], [2.0], [1.0]], dtype=torch.float64))
        assert lost.residual > 0.1 and lost.steps < 500


def test_the_low_rank_preconditioner_inverts_what_it_says(digits):
    few = digits.train.at(slice(0, 80))
    system = _system.System(GAUSSIAN, few.inputs, targets_of(few), 0.0)
    made = _iterative.low_rank_preconditioner(system, 30, np.random.default_rng(0))
    assert made.rank == 30
    matrix = made.vectors @ torch.diag(made.values - made.rest) @ made.vectors.T + made.rest * torch.eye(80, dtype=torch.float64)
    torch.testing.assert_close(made(matrix), torch.eye(80, dtype=torch.float64), rtol=1e-9, atol=1e-9)
    x = few.inputs.double()
    gap = torch.linalg.eigvalsh(GAUSSIAN.gram(x, x) - made.vectors @ torch.diag(made.values - made.rest) @ made.vectors.T)
    assert gap[0] > -1e-9  # a partial Cholesky factor never exceeds the matrix


def test_a_full_partial_factor_is_the_matrix(digits):
    few = digits.train.at(slice(0, 80))
    factor, left = _iterative.partial_factor(GAUSSIAN, few.inputs, 80, np.random.default_rng(1))
    x = few.inputs.double()
    assert (factor @ factor.T - GAUSSIAN.gram(x, x)).abs().max() < 1e-8
    assert left.max() < 1e-8


@dataclass(frozen=True)
class NotPositive(sl.Kernel):
    """No kernel: minus the inner product."""

    def gram(self, x, z):
        return -(x.flatten(1) @ z.flatten(1).to(x.dtype).T)

    def diagonal(self, x):
        return -x.flatten(1).square().sum(1)


def test_what_is_no_kernel_is_refused(digits):
    with pytest.raises(InvalidPart, match=r"^KernelInterpolation: a positive semidefinite Gram matrix is required, this one has no Cholesky factor\."):
        sl.KernelInterpolation(NotPositive()).fit(digits.train.at(slice(0, 40)))
