"""Benchmarks: their peers solve the same task; their tables say what they should."""

from __future__ import annotations

import re
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

import shatterlab as sl
from shatterlab.design.experiment import Scale
from shatterlab.experiments.beyond import ledger
from shatterlab.training.torch_seed import seeded

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
import _demo_loop
import complexity_text
import kernel_solvers
import report_size
import significance

import training

CPU = torch.device("cpu")
NETS = sorted(training.NETS)


def trainable(network):
    return [each for each in network.parameters() if each.requires_grad]


def twins(name):
    """Our network and the peer's with our weights; every number of the peer's that training moves is one of ours."""
    with seeded(0, CPU):
        own, peer = training.NETS[name].architecture.build((3, 28, 28), 10), training.NETS[name].peer()
    with torch.no_grad():
        for mine, its in zip(trainable(own), trainable(peer), strict=True):
            assert mine.shape == its.shape
            its.copy_(mine)
    return own, peer


def some_inputs(n):
    return 10 * torch.randn(n, 3, 28, 28, generator=torch.Generator().manual_seed(1))  # so large that response normalization matters


def furthest(scores, others):
    return (scores - others).abs().max() / scores.abs().max()


def scores_and_gradients(network, inputs):
    """In training mode, where batch norm takes its moments from the batch."""
    scores = network.train()(inputs)
    loss = nn.functional.cross_entropy(scores, torch.arange(len(inputs)) % 10)
    return scores.detach(), torch.autograd.grad(loss, trainable(network))


@pytest.mark.parametrize("name", NETS)
def test_the_peer_is_the_same_network(name):
    """As many parameters, the same logits and gradients on the same batch: sums in another order differ by float32 rounding.

    That is at most some hundred eps = 6e-8 relative to the largest entry after a dozen layers, hence 1e-5.
    """
    own, peer = twins(name)
    published = {"mlp-1x512": 1_209_866, "mlp-3x512": 1_735_178, "alexnet": 1_387_786, "inception": 1_649_402}
    assert [sum(each.numel() for each in trainable(net)) for net in (own, peer)] == [published[name]] * 2
    inputs = some_inputs(8)
    (scores, gradients), (its_scores, its_gradients) = scores_and_gradients(own, inputs), scores_and_gradients(peer, inputs)
    assert furthest(scores, its_scores) <= 1e-5
    largest = max(each.abs().max() for each in gradients)
    assert max((mine - its).abs().max() for mine, its in zip(gradients, its_gradients, strict=True)) <= 1e-4 * largest  # a backward pass is as long again
    with torch.no_grad():
        assert furthest(own.eval()(inputs), peer.eval()(inputs)) <= 1e-5


@pytest.mark.parametrize("mistake", [nn.Identity(), nn.LocalResponseNorm(7, alpha=0.001, beta=0.75, k=1), nn.LocalResponseNorm(9, alpha=0.009, k=1)])
def test_another_response_normalization_would_be_seen(mistake):
    own, peer = twins("alexnet")
    assert isinstance(peer[3], nn.LocalResponseNorm)
    peer[3] = mistake
    with torch.no_grad():
        assert furthest(own(some_inputs(8)), peer(some_inputs(8))) > 1e-4


@pytest.mark.parametrize("name", NETS)
def test_operations_a_step_are_the_known_ones(name):
    assert training.operations(name) == pytest.approx(training.NETS[name].megaflops, rel=0.02)


def drawn(n):
    rng = np.random.default_rng(0)
    return training.Sample(rng.integers(0, 256, (n, 32, 32, 3), np.uint8), rng.integers(0, 10, n), "drawn")


def test_the_peer_sees_the_centre_of_each_image_normalized_by_channel():
    sample = drawn(5)
    pictures = _demo_loop.Pictures(sample.images, sample.labels.tolist(), 28)
    mean, deviation = np.array([125.3, 123.0, 113.9]), np.array([63.0, 62.1, 66.7])
    for index, image in enumerate(sample.images):
        inputs, label = pictures[index]
        wanted = ((image[2:30, 2:30] - mean) / deviation).transpose(2, 0, 1)
        assert label == sample.labels[index] and inputs.dtype == torch.float32 and inputs.is_contiguous()
        assert np.abs(inputs.numpy() - wanted).max() <= 1e-6  # of values up to 2.3 in float32, three roundings
        assert torch.equal(sample.as_examples().inputs[index], torch.from_numpy(image[2:30, 2:30].transpose(2, 0, 1) / np.float32(255)))


def test_the_peer_learns():
    """Random labels of 128 images: the loss falls below half of the ln 10 of guessing, and scoring agrees with a pass by hand."""
    sample = drawn(128)
    with seeded(0, CPU):
        loop = _demo_loop.DemoLoop(_demo_loop.mlp(512), sample.images, sample.labels.tolist(), 0.01, CPU)
        untrained, _ = loop.evaluate()
        for _ in range(20):
            online, _ = loop.train()
        loss, percent = loop.evaluate()
    assert untrained == pytest.approx(np.log(10), rel=0.15)
    assert loss <= online < 0.5 * np.log(10)
    inputs = torch.stack([loop.loader.dataset[index][0] for index in range(128)])
    with torch.no_grad():
        scores, labels = loop.network(inputs), torch.from_numpy(sample.labels)
    assert loss == pytest.approx(nn.functional.cross_entropy(scores, labels).item(), rel=1e-5)
    assert percent == pytest.approx(100 * (scores.argmax(1) == labels).float().mean().item())


def test_the_clock_tells_steps_from_evaluation(monkeypatch):
    """Ours in 2 epochs of 2 steps after the warm-up, by a clock that a step moves by 1 s and the evaluation of an epoch by 5 s."""
    now = 0.0
    monkeypatch.setattr(training, "time", SimpleNamespace(perf_counter=lambda: now))
    told = []
    clock = training.EpochClock(2, 10, CPU, lambda: told.append("warm"))
    for epoch in (1, 2, 3):
        for _ in range(2):
            now += 1
            clock.step_ended()
        now += 5
        with pytest.raises(training.EnoughError) if epoch == 3 else nullcontext():
            clock.epoch_ended(sl.Progress(epoch, 2 * epoch, lambda inputs: inputs))
    assert told == ["warm"]
    assert clock.rates(256) == training.Rates(steps=256 / 2, epochs=256 / 7)


def test_the_benchmark_prints_its_table(capsys, monkeypatch):
    monkeypatch.delenv("SHATTERLAB_DATA", raising=False)
    monkeypatch.setattr(sl.CIFAR10, "load", no_files)
    training.main(["--nets", "mlp-1x512", "--repeats", "1", "--seconds", "0.05", "--examples", "128", "--processes", "1", "--side", "256"])
    printed = capsys.readouterr().out
    assert "random images" in printed and "1 processes of one thread" in printed
    (line,) = [line for line in printed.splitlines() if line.startswith("| mlp-1x512 |")]
    numbers = [float(cell) for cell in re.findall(r"([\d.]+) \[", line)]
    own_steps, own_epochs, its_steps, its_epochs, steps, epochs, share = numbers
    assert own_steps > own_epochs > 0 and its_steps > its_epochs > 0 and share > 0
    assert steps == pytest.approx(own_steps / its_steps, rel=0.05) and epochs == pytest.approx(own_epochs / its_epochs, rel=0.05)  # of rounded figures
    assert "| 4.848 |" in line and printed.count("GFLOP/s") == 2
    assert 0 < float(re.search(r"process had while it was measured: ([\d.]+)", printed)[1]) <= 1.05


def no_files(*_):
    raise sl.DataError("CIFAR10: its files are required, got none.")


def test_an_epoch_of_broken_batches_is_refused(capsys):
    with pytest.raises(SystemExit):
        training.main(["--examples", "100"])
    assert "--examples is a multiple of 128, got 100" in capsys.readouterr().err


def eight_bit_digits(self, *_):
    """In place of MNIST: digits as 8-bit fractions, as many as asked for."""
    splits = sl.Digits(examples=self.examples, test_examples=self.test_examples // 10).load()
    grid = [sl.Examples((part.inputs * 240).round().div(255), part.labels, part.classes) for part in (splits.train, splits.test)]
    return sl.Splits(*grid)


def test_solvers_of_one_kernel_system_agree(capsys, monkeypatch):
    """Three routes to the same system at n = 150: residual at most 1e-8, predictions within 1e-5, y'K^-1 y within 1e-6."""
    monkeypatch.setattr(sl.MNIST, "load", eight_bit_digits)
    monkeypatch.setattr(kernel_solvers, "products", lambda *_: (1e9, 256))
    monkeypatch.setattr(kernel_solvers, "alone", kernel_solvers.measure)
    kernel_solvers.main(["--examples", "150", "--threads", "1", "--repeats", "2"])
    printed = capsys.readouterr().out
    rows = [line.split("|")[1:-1] for line in printed.splitlines() if line.startswith(("| shatterlab", "| KernelRidge", "| scipy"))]
    assert [row[0].strip() for row in rows] == ["shatterlab", "KernelRidge", "scipy.linalg.solve"]
    assert all(float(row[5]) <= 1e-8 and float(row[6]) <= 1e-5 and float(row[7]) <= 1e-6 for row in rows)
    assert "All leave-one-out residuals: " in printed and "% of the float32 matrix product, 1 [1, 1] GFLOP/s" in printed


def test_permutation_tests_of_one_forest_are_timed_beside_each_other(capsys):
    significance.main(["--permutations", "19", "--trees", "1", "--repeats", "1", "--workers", "1", "--examples", "60"])
    printed = capsys.readouterr().out.splitlines()
    assert "60 x 30, 1 trees, 5 folds, 19 permutations at most, 1 processes" in printed[0]
    rows = [re.fullmatch(r"(?:permutation_test_score|significance), .*? labels\S*.* ([\d.]+) +(\d+)(?: +[\d.]+ \[.*?\]){4}", line) for line in printed[2:]]
    assert len(rows) == 4 and [int(row[2]) for row in rows][:3] == [19, 19, 19]


def test_the_size_of_a_report_is_that_of_its_files(capsys):
    report_size.main(["--permutations", "19", "--replicates", "1", "--epochs", "1", "--repeats", "0"])
    first, *forms = capsys.readouterr().out.splitlines()
    trials, megabytes = re.match(r"(\d+) trials \(p = 0\.\d+\): ([\d.]+) MB, written in [\d.]+ s; load ", first).groups()
    assert int(trials) >= 20 and 0.8 < float(megabytes) < 1.5  # most of it is Vega
    assert [re.fullmatch(r"as (md|json): (\d+) kB", line)[1] for line in forms] == ["md", "json"]


def test_of_the_mlps_quantities_the_committed_rows_show_one_to_differ():
    """README and docs/complexity.md quote this: by themselves eight quantities would pass, corrected for all that are tested one does."""
    rows = complexity_text.rows()
    [mlp] = [view for view in ledger.experiment(Scale.named("laptop")).views if view.title == "MLP 1x512"]
    entries = mlp.entries(rows)
    tested = [entry for entry in entries if entry.difference is not None]
    assert len(tested) == 21
    assert [entry.quantity.name for entry in tested if entry.verdict == "passes"] == ["log product of spectral norms"]
    assert sum(entry.difference.low > 0 for entry in tested) == 8
    products = [(row["measure.SpectralNorms.log_product"], row["measure.SpectralNorms.product"]) for row in rows if row.get("measure.SpectralNorms.pools")]
    assert all(np.exp(log) == pytest.approx(product, rel=1e-9) for log, product in products)
    assert {row["measure.SpectralNorms.pools"] for row in rows if row.get("learner.architecture.kind") == "SmallAlexNet"} >= {4.0}
