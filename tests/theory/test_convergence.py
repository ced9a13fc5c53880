"""The convergence explainer: tangent kernels against Jacobians and limits, predicted curves against models where they are exact."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call, jacrev

import shatterlab as sl
from shatterlab.core import Seeds
from shatterlab.core.errors import DataError, InvalidPart
from shatterlab.core.values import Examples, Row
from shatterlab.design.experiment import Scale
from shatterlab.experiments.beyond import convergence
from shatterlab.kernels import _per_example, empirical_tangent
from shatterlab.kernels._per_example import PerExample
from shatterlab.kernels.empirical_tangent import EmpiricalTangent, tangent_diagonal, tangent_gram
from shatterlab.kernels.wide_networks import NeuralTangent
from shatterlab.learners.predicted_descent import PredictedDescent
from shatterlab.theory.kernel_dynamics import Spectrum
from shatterlab.training.torch_seed import seeded
from shatterlab.views import ArrayCurves

EPS = np.finfo(np.float64).eps


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def images(n, seed=0, side=4):
    return torch.randn(n, 3, side, side, dtype=torch.float64, generator=generator(seed))


def naive(network, x, z, output=None):
    """J J' by torch.func.jacrev, the n x k x p arrays written out."""
    trainable = {name: value.detach() for name, value in network.named_parameters() if value.requires_grad}

    def jacobian(inputs):
        found = jacrev(lambda parameters: functional_call(network, parameters, (inputs.clone(),)))(trainable)
        return torch.cat([each.flatten(2) for each in found.values()], 2)

    left, right = jacobian(x), jacobian(z)
    whole = torch.einsum("icp,jcp->ijc", left, right)
    return whole.mean(2) if output is None else whole[..., output]


class Parallel(nn.Module):
    """Two branches, one of them through a layer that is used twice."""

    def __init__(self):
        super().__init__()
        self.shared, self.first, self.last = nn.Linear(48, 48), nn.Linear(48, 3), nn.Linear(48, 3, bias=False)

    def forward(self, x):
        x = x.flatten(1)
        return self.first(torch.relu(self.shared(x))) + self.last(torch.tanh(self.shared(self.shared(x))))


class Unseen(nn.Module):
    """A layer whose weight is also used behind the layer's back."""

    def __init__(self):
        super().__init__()
        self.layer, self.last = nn.Linear(48, 48), nn.Linear(48, 3)

    def forward(self, x):
        hidden = torch.relu(self.layer(x.flatten(1)))
        return self.last(torch.tanh(hidden @ self.layer.weight.T))


def networks():
    convolutions = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding="same", dilation=2), nn.ReLU(inplace=True), nn.BatchNorm2d(4), nn.Conv2d(4, 5, (2, 3), stride=2, padding=(1, 0)), nn.Tanh(),
        nn.Flatten(), nn.Linear(15, 3),
    )  # fmt: skip
    frozen = nn.Sequential(nn.Flatten(), nn.Linear(48, 7), nn.ReLU(), nn.Linear(7, 3))
    frozen[1].bias.requires_grad_(False)
    frozen[3].weight.requires_grad_(False)
    found = {
        "mlp": (nn.Sequential(nn.Flatten(), nn.Linear(48, 7), nn.ReLU(), nn.Linear(7, 3, bias=False)), True),
        "convolutions with batch norm": (convolutions, True),
        "positions, batch norm of a table": (
            nn.Sequential(nn.Flatten(2), nn.Linear(16, 7), nn.ReLU(), nn.Flatten(), nn.BatchNorm1d(21), nn.Linear(21, 3)),
            True,
        ),
        "partly frozen": (frozen, True),
        "layer norm": (nn.Sequential(nn.Flatten(), nn.Linear(48, 7), nn.LayerNorm(7), nn.ReLU(), nn.Linear(7, 3)), False),
        "groups": (nn.Sequential(nn.Conv2d(3, 6, 3, groups=3), nn.ReLU(), nn.Flatten(), nn.Linear(24, 3)), False),
        "a layer used twice": (Parallel(), False),
        "a weight used behind its layer's back": (Unseen(), True),  # readable by its layers, and found to disagree
    }
    for network, _ in found.values():
        network.double().train()(3 * images(40, 5) + 1)  # moves the running moments of batch norm
        network.eval()
    return found


with seeded(0, torch.device("cpu")):
    NETWORKS = networks()


def test_layers_are_summed_in_their_order_whatever_strings_hash_to():
    network = nn.Sequential(*(nn.Linear(3, 3) for _ in range(9)))
    layers = PerExample.of(network, torch.rand(1, 3))
    assert layers is not None and layers.dense == tuple(str(place) for place in range(9))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_empirical_kernel_is_the_product_of_jacobians(name):
    """To rounding: sums of some hundred products, 1e3 eps of the largest entry."""
    network, readable = NETWORKS[name]
    x, z = images(9), images(5, 1)
    assert (PerExample.of(network, x[:1]) is not None) == readable
    for other, output, structured in itertools.product((None, z), (None, 1), (True, False)):
        wanted = naive(network, x, x if other is None else other, output)
        found = tangent_gram(network, x, other, output, structured)
        assert (found - wanted).abs().max() <= 1e3 * EPS * wanted.abs().max()
    assert (tangent_diagonal(network, x) - naive(network, x, x).diagonal()).abs().max() <= 1e3 * EPS * naive(network, x, x).max()


@pytest.mark.parametrize("structured", [True, False])
def test_small_blocks_and_tiles_change_nothing(monkeypatch, structured):
    network, (x, z) = NETWORKS["convolutions with batch norm"][0], (images(9), images(5, 1))
    wanted = naive(network, x, x), naive(network, x, z)
    monkeypatch.setattr(empirical_tangent, "_NUMBERS", 200)
    monkeypatch.setattr(empirical_tangent, "_TILE", 4)
    monkeypatch.setattr(_per_example, "_BLOCK", 3)
    for other, right in zip((None, z), wanted, strict=True):
        assert (tangent_gram(network, x, other, structured=structured) - right).abs().max() <= 1e3 * EPS * right.abs().max()


def test_never_a_jacobian_of_the_sample(monkeypatch):
    """What is written out at a time keeps within its bound, whatever n and p."""
    monkeypatch.setattr(empirical_tangent, "_NUMBERS", 5000)
    network, seen = NETWORKS["convolutions with batch norm"][0], []
    made = _per_example._Side.__init__

    def watched(self, *arguments, **named):
        made(self, *arguments, **named)
        seen.append(self.written.numel())

    monkeypatch.setattr(_per_example._Side, "__init__", watched)
    x = images(60)
    tangent_gram(network, x)
    assert max(seen) <= 5000 < len(x) * sum(value.numel() for value in network.parameters())


def test_a_planted_bug_in_the_layers_is_found_by_the_self_check(monkeypatch):
    """Layers that lose their biases disagree with the Jacobian on three examples, and the other route is taken."""
    network, x = NETWORKS["convolutions with batch norm"][0], images(6)
    wanted = naive(network, x, x)
    right = _per_example._written
    monkeypatch.setattr(_per_example, "_written", lambda *arguments: 0.9 * right(*arguments))
    layers = PerExample.of(network, x[:1])
    assert (layers.gram(x, None, 0, 10**6) - naive(network, x, x, 0)).abs().max() > 0.01 * wanted.max()
    assert (tangent_gram(network, x) - wanted).abs().max() <= 1e3 * EPS * wanted.max()


def test_the_network_stays_as_it_is():
    network = NETWORKS["mlp"][0].train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    tangent_gram(network, images(4).float())
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert next(network.parameters()).dtype == torch.float64


@pytest.mark.parametrize(
    ("network", "output", "wanted"),
    [
        (nn.Flatten(), None, "EmpiricalTangent: trainable parameters are required, Flatten has none. Set requires_grad."),
        (nn.Conv2d(3, 2, 3), None, "EmpiricalTangent: scores of shape examples x classes are required, got (1, 2, 2, 2). Give the model one output a class."),
        (NETWORKS["mlp"][0], 3, "EmpiricalTangent: output is one of the scores, 0 .. 2, or None for their mean, got 3."),
    ],
)
def test_what_has_no_tangent_kernel_is_refused(network, output, wanted):
    with pytest.raises(InvalidPart) as problem:
        tangent_gram(network, images(3), output=output)
    assert str(problem.value) == wanted


class Limit(nn.Module):
    """One hidden ReLU layer of weights N(0, 1), the scores divided by the root of half the width: the closed form's normalization."""

    def __init__(self, d, width, seed):
        super().__init__()
        first, last = (torch.randn(*shape, dtype=torch.float64, generator=generator(seed + i)) for i, shape in enumerate(((width, d), (1, width))))
        self.first, self.last, self.scale = nn.Parameter(first), nn.Parameter(last), math.sqrt(2 / width)

    def forward(self, x):
        return self.scale * torch.relu(x @ self.first.T) @ self.last.T


def test_the_closed_form_is_the_limit_of_wide_networks():
    """At width 4,096 an entry is a mean of m independent terms: 6 of its standard deviations, estimated from 2e5 draws, fail once in 5e8.

    Of a unit (w, a): 2 (relu(w'x) relu(w'z) + a^2 1[w'x > 0] 1[w'z > 0] x'z). Its mean over the draws is the closed form, to 6 standard errors too.
    """
    x = torch.randn(5, 6, dtype=torch.float64, generator=generator(3))
    closed = NeuralTangent(1).gram(x, x)
    draws = torch.randn(200_000, 7, dtype=torch.float64, generator=generator(4))
    heights = draws[:, :6] @ x.T
    inner = x @ x.T
    width = 4096
    found = tangent_gram(Limit(6, width, 10), x)
    for i, j in itertools.combinations_with_replacement(range(5), 2):
        both = (heights[:, i] > 0) & (heights[:, j] > 0)
        terms = 2 * (heights[:, i].relu() * heights[:, j].relu() + draws[:, 6] ** 2 * both * inner[i, j])
        deviation = terms.std()
        assert abs(terms.mean() - closed[i, j]) <= 6 * deviation / len(draws) ** 0.5
        assert abs(found[i, j] - closed[i, j]) <= 6 * deviation / width**0.5
    deep = NeuralTangent(2).gram(x, x)
    assert (deep - closed).abs().max() > 0.5  # another depth is another kernel: the bound above tells them apart


def test_the_part_draws_the_network_that_training_starts_from():
    train = sl.Digits(examples=20).load().train
    kernel = EmpiricalTangent(sl.MLP((5,))).fitted(train, Seeds(init=3))
    started = sl.Training(sl.MLP((5,)), whiten=False).build(train, Seeds(init=3))
    x = train.inputs.double()
    assert torch.equal(kernel.gram(x, x), tangent_gram(started[1], x))
    with pytest.raises(InvalidPart, match=r"^EmpiricalTangent: a network is required, which fitted\(train, seeds\) draws, got None. Call fitted first.$"):
        EmpiricalTangent(sl.MLP((5,))).gram(x, x)
    with pytest.raises(InvalidPart, match=r"^EmpiricalTangent: output is a whole number >= 0, or None, got -1$"):
        EmpiricalTangent(sl.MLP((5,)), -1)


# Spectra and labels


def kernel_matrix(n, seed=0):
    points = np.random.default_rng(seed).standard_normal((n, 3))
    return np.exp(-np.square(points[:, None] - points).sum(2) / 2)


def test_the_mean_complexity_of_random_labels_is_exact():
    """By every labelling of six examples, with zero mean and without; at p = 0.7 each labelling has its own weight."""
    gram = kernel_matrix(6)
    spectrum = Spectrum.of(gram)
    inverse = np.linalg.inv(gram)
    for values, share in (((-1.0, 1.0), 0.5), ((0.0, 1.0), 0.7)):
        mean = values[0] * (1 - share) + values[1] * share
        variance = (values[1] - values[0]) ** 2 * share * (1 - share)
        total = 0.0
        for signs in itertools.product((0, 1), repeat=6):
            y = np.array([values[each] for each in signs])
            assert spectrum.complexity(y) == pytest.approx(y @ inverse @ y, rel=1e-9)  # condition number of some 1e2 times eps
            total += share ** sum(signs) * (1 - share) ** (6 - sum(signs)) * spectrum.complexity(y)
        assert total == pytest.approx(spectrum.expected_complexity(variance, mean), rel=1e-9)
        forgotten = spectrum.expected_complexity(variance)
        assert (abs(total - forgotten) > 0.1 * total) == (mean != 0)  # planted: the mean left out


def test_random_labels_of_k_classes_have_that_mean():
    """Uniform over k, one-hot less 1/k: variances sum to 1 - 1/k. Mean of 2,000 draws within 6 standard errors: fails once in 5e8."""
    spectrum, rng = Spectrum.of(kernel_matrix(30)), np.random.default_rng(1)
    found = [spectrum.complexity(np.eye(4)[rng.integers(0, 4, 30)] - 0.25) for _ in range(2000)]
    assert abs(np.mean(found) - spectrum.expected_complexity(0.75)) <= 6 * np.std(found) / 2000**0.5


def test_a_shared_permutation_of_pixels_leaves_a_radial_gram_matrix_as_it_was():
    """Bit for bit where pixels are 8-bit counts, whose squared distances are whole numbers; else to rounding of sums in another order."""
    clean = sl.Digits(examples=60).load()
    eighths = torch.randint(0, 256, (60, 3, 5, 5), generator=generator()).float() / 255
    for inputs, room in ((eighths, 0.0), (clean.train.inputs, 1e-12), (images(60).float(), 1e-12)):
        splits = sl.core.Splits(*[Examples(inputs, clean.train.labels, 10)] * 2)
        shuffled = sl.ShuffledPixels().apply(splits).train.inputs
        assert not torch.equal(shuffled, inputs)
        for kernel in (sl.Gaussian(3.0), sl.Laplacian(3.0)):
            one, other = (kernel.gram(each.double(), each.double()) for each in (inputs, shuffled))
            assert (one - other).abs().max() <= room
    random = sl.RandomPixels().apply(splits).train.inputs  # planted: a permutation of its own for each image
    assert (kernel.gram(inputs.double(), inputs.double()) - kernel.gram(random.double(), random.double())).abs().max() > 0.01


def test_the_predicted_curve_is_the_recursion():
    gram, rng = kernel_matrix(12), np.random.default_rng(2)
    labels = rng.standard_normal((12, 3))
    spectrum, eta = Spectrum.of(gram), 0.3
    residual, wanted = labels.copy(), []
    for _ in range(21):
        wanted.append(np.square(residual).sum() / 12)
        residual = residual - eta * gram @ residual
    assert spectrum.losses(labels, eta, 20) == pytest.approx(wanted, rel=1e-11)
    assert spectrum.cumulative(labels)[-1] == pytest.approx(1)
    assert spectrum.energies(labels).sum() == pytest.approx(np.square(labels).sum())
    first = next(t for t, loss in enumerate(wanted) if loss <= wanted[0] / 2)
    assert spectrum.steps_to(labels, eta, wanted[0] / 2) == first
    assert spectrum.steps_to(labels, eta, 2 * wanted[0]) == 0
    assert spectrum.steps_to(labels, 1.01 * spectrum.largest_rate, wanted[0] / 2) is None
    assert spectrum.losses(labels, 1.01 * spectrum.largest_rate, 2000)[-1] > 1e6


def test_a_singular_kernel_is_told_apart():
    points = np.random.default_rng(3).standard_normal((8, 3))
    spectrum = Spectrum.of(points @ points.T)  # rank 3
    assert spectrum.singular == 5
    assert spectrum.complexity(points[:, 0]) == pytest.approx(points[:, 0] @ np.linalg.pinv(points @ points.T) @ points[:, 0])  # a function takes these values
    assert spectrum.complexity(np.ones(8)) == math.inf
    assert spectrum.expected_complexity(1.0) == math.inf
    assert spectrum.steps_to(np.ones(8), 0.01, 1e-6) is None


@pytest.mark.parametrize(
    ("call", "wanted"),
    [
        (lambda: Spectrum.of(np.ones((2, 3))), "Spectrum: a square matrix is required, got shape (2, 3). Pass gram(x, x)."),
        (
            lambda: Spectrum.of(np.zeros((2, 2))),
            "Spectrum: a finite matrix other than 0 is required, got one that is not. Look for inputs that are 0 or not finite.",
        ),
        (lambda: Spectrum.of([[1, 2], [0, 1]]), "Spectrum: a symmetric matrix is required, got one that is not. Pass gram(x, x)."),
        (lambda: Spectrum.of([[1, 2], [2, 1]]), "Spectrum: eigenvalues >= 0 are required, got -1 beside 3. A kernel has none below 0."),
        (lambda: Spectrum.of(np.eye(2)).energies([1]), "Spectrum: one row of labels an example is required, got 1 for 2. Pass both of the same sample."),
        (lambda: Spectrum.of(np.eye(2)).losses([1, 1], 0.0, 3), "Spectrum: a finite rate > 0 and a number of steps >= 0 are required, got 0.0 and 3."),
    ],
)
def test_bad_matrices_are_refused(call, wanted):
    with pytest.raises(DataError) as problem:
        call()
    assert str(problem.value) == wanted


# The learner


def descent(architecture, **fields):
    rate = fields.pop("lr", 0.02)
    kernels = fields.pop("kernels", ())
    recipe = {"decay": 1.0, "batch_size": None, "loss": "squared", "stop": "budget"} | fields
    return PredictedDescent(sl.Training(architecture, sl.SGD(lr=rate, momentum=0.0), **recipe), kernels)


def test_the_prediction_is_exact_for_a_linear_model():
    """Whose kernel never moves. Training is in float32: 40 steps of relative rounding 1e-7 each, in sums of 64 terms."""
    train = sl.Digits(examples=60).load().train
    fit = descent(sl.Linear(), epochs=40).fit(train)
    measured, predicted = fit.arrays["measured_losses"], fit.arrays["predicted_losses"]
    assert len(measured) == len(predicted) == 41
    assert np.abs(measured / predicted - 1).max() <= 1e-5
    assert measured[-1] < 0.5 * measured[0]
    assert fit.facts["curve_gap"] <= 1e-5
    assert fit.facts["epochs_to_half_loss"] == fit.facts["predicted_epochs_to_half_loss"]
    planted = Spectrum.of(tangent_gram(sl.Training(sl.Linear()).build(train)[1], _whitened(train)).numpy()).losses(
        np.eye(10)[train.labels.numpy()], 0.02 / len(train), 40
    )  # without the factor 2, and from scores of 0
    assert np.abs(measured / planted - 1).max() > 0.1


def _whitened(train):
    return sl.Training(sl.Linear()).build(train).double()[0](train.inputs.double())


def test_the_rate_above_which_it_diverges_is_told():
    """For a linear model exactly: a hundredth below it the loss falls, above it the last component grows as 1.02^(2t)."""
    train = sl.Digits(examples=40).load().train
    largest = descent(sl.Linear(), epochs=1).fit(train).facts["largest_rate"]
    below, above = (descent(sl.Linear(), epochs=400, lr=factor * largest).fit(train) for factor in (0.98, 1.02))
    assert below.arrays["measured_losses"][-1] < below.arrays["measured_losses"][0]
    assert above.arrays["measured_losses"][-1] > 1e3 * above.arrays["measured_losses"][0]
    assert above.facts["predicted_epochs_to_half_loss"] is None


def test_wider_networks_keep_closer_to_their_prediction():
    """The kernel moves by order 1 / sqrt(width) in torch's parametrization at a fixed loss; 16 times the width leaves less than half of the gap."""
    train = sl.Digits(examples=40).load().train
    narrow, wide = (
        np.mean([descent(sl.MLP((width,)), epochs=30, lr=0.01).fit(train, Seeds.replicate(r)).facts["curve_gap"] for r in range(3)]) for width in (32, 512)
    )
    assert wide < narrow / 2


def test_further_kernels_are_asked_too():
    train = sl.Digits(examples=40).load().train
    fit = descent(sl.MLP((16,)), epochs=2, kernels=(NeuralTangent(1), sl.LinearKernel())).fit(train)
    assert fit.arrays["eigenvalues"].sum() == pytest.approx(fit.arrays["NeuralTangent.eigenvalues"].sum())  # the same trace
    assert 0 < fit.facts["NeuralTangent.relative_complexity"] < 1
    many = descent(sl.MLP((16,)), epochs=2, kernels=(sl.LinearKernel(),)).fit(sl.Digits(examples=100).load().train)
    assert many.facts["LinearKernel.singular"] >= 100 - 64
    assert many.facts["LinearKernel.complexity"] is many.facts["LinearKernel.relative_complexity"] is many.facts["LinearKernel.condition"] is None


@pytest.mark.parametrize(
    ("make", "wanted"),
    [
        (lambda: PredictedDescent(sl.Training(sl.Linear())), "PredictedDescent: the optimizer is SGD without momentum and weight decay, got "),
        (
            lambda: descent(sl.Linear(), batch_size=8),
            "PredictedDescent: batch_size=None, loss=\"squared\", decay=1.0 and float32 are required, got {'batch_size': 8",
        ),
        (lambda: descent(sl.Linear(), label_smoothing=0.1), "PredictedDescent: the sample as it is, without augmentation, label smoothing or validation"),
        (
            lambda: descent(sl.Linear(), kernels=(sl.Gaussian(), sl.Gaussian(2.0))),
            "PredictedDescent: kernels are of different kinds, got ['Gaussian', 'Gaussian']",
        ),
    ],
)
def test_other_recipes_are_refused(make, wanted):
    with pytest.raises(InvalidPart) as problem:
        make()
    assert str(problem.value).startswith(wanted)


def test_a_network_of_two_minds_is_refused(monkeypatch):
    train = sl.Digits(examples=20).load().train
    with pytest.raises(InvalidPart) as problem:
        descent(sl.MLP((8,), dropout=0.5), epochs=1).fit(train)
    assert str(problem.value) == (
        "PredictedDescent: a network that scores alike in training and in evaluation mode is required, got one with Dropout. Leave out dropout and batch norm."
    )
    monkeypatch.setattr("shatterlab.learners.predicted_descent.free_memory", lambda device: 1024.0)
    with pytest.raises(InvalidPart) as problem:
        descent(sl.MLP((8,)), epochs=1).fit(train)
    assert str(problem.value) == (
        "PredictedDescent: 1.79e-05 GiB of memory are required for the matrices of 20 examples, "
        "got '9.54e-07 GiB free'. Keep fewer examples: Dataset(examples=...)."
    )


# The experiment and its view


def test_the_experiment_takes_a_network_of_the_users_own():
    scale = Scale.named("smoke")
    recipe = sl.Training(sl.MLP((4,)), sl.SGD(lr=0.03), epochs=7, crop=6)
    made = convergence.experiment(scale, learner=recipe, dataset=sl.Digits(examples=20))
    learner = made.trials[0].learner
    assert (learner.learner.optimizer, learner.learner.epochs, learner.learner.crop, learner.learner.batch_size) == (sl.SGD(lr=0.03, momentum=0.0), 7, 6, None)
    assert made.claims == ()
    with pytest.raises(InvalidPart, match=r'^convergence: a torch model is required, got KernelInterpolation. Name it "module:factory".$'):
        convergence.experiment(scale, learner=sl.KernelInterpolation(sl.Gaussian()), dataset=sl.Digits())


def test_the_experiment_runs_and_its_views_show_it():
    made = convergence.experiment(
        Scale("smoke", replicates=1), learner=sl.Training(sl.MLP((4,)), sl.SGD(lr=0.01), epochs=3), dataset=sl.Digits(examples=20, test_examples=10)
    )
    rows = [sl.run(trial) for trial in made.trials]
    assert [row["status"] for row in rows] == ["ok"] * 5
    for view in made.views:
        assert view.grid(rows) is not None
        assert view.spec(rows) is not None if not isinstance(view, sl.Table) else True
    by_kind = {row["corruption.kind"] + str(row.get("corruption.level", "")): row for row in rows}
    assert by_kind["PartialLabels0.0"]["fit.largest_eigenvalue"] == by_kind["PartialLabels1.0"]["fit.largest_eigenvalue"]  # labels are no part of K


def test_array_curves_count_what_they_leave_out():
    rows = [
        Row(
            {"corruption.kind": "PartialLabels", "corruption.level": 0.0, "status": "ok", "key": str(i)},
            arrays={"a": np.array([4.0, 2.0 + i]), "b": np.ones(2)},
        )
        for i in range(2)
    ]
    rows += [Row({"corruption.kind": "PartialLabels", "corruption.level": 0.0, "status": "diverged", "key": "d"}, arrays={"a": np.ones(2), "b": np.ones(2)})]
    view = ArrayCurves({"measured": "a", "predicted": "b"}, "loss", scale="log")
    grid = view.grid(rows)
    assert grid.rows[0] == ("true labels", "2", "measured", "2", "4", "2.5")
    assert "Left out: 1 trial that diverged or failed, or keep no measured or predicted." in grid.notes
    spec = view.spec(rows)
    assert {point["line"] for point in spec["datasets"]["points"]} == {"true labels measured", "true labels predicted"}
    assert view.spec([]) is None
    assert "no trial keeps a, b" in view.text([])
