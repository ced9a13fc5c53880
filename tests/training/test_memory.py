"""Networks that memory cannot hold are refused before they are built, and only these."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import shatterlab as sl
from shatterlab.core import memory as machine
from shatterlab.core.errors import InvalidPart
from shatterlab.training import device as memory
from shatterlab.training.device import free_memory, require_memory

CPU = torch.device("cpu")


def test_a_network_that_cannot_fit_is_refused_before_anything_is_allocated(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda device: 20 * 2**30)
    weights = 64 * 10**7 + 10**7 + 10**12 + 10**5 + 10**6 + 10
    with pytest.raises(InvalidPart) as refusal:
        require_memory(sl.MLP((10**7, 10**5)), sl.SGD(lr=0.1, momentum=0.9), (64,), 10, CPU)
    size = 4 * 4 * weights / 2**30  # weights, their first values, gradients, momentum: float32 each
    required = f"{size:,.0f} GiB of memory at least are required for {weights:,} weights of MLP"
    assert str(refusal.value) == f"Training: {required}, got 20 GiB free. Use a smaller network."


@pytest.mark.parametrize(("optimizer", "numbers"), [(sl.SGD(), 0), (sl.SGD(momentum=0.9), 1), (sl.Adam(), 2), (sl.RMSProp(momentum=0.0), 1), (sl.RMSProp(), 2)])
def test_what_is_needed_is_counted_to_the_byte(optimizer, numbers, monkeypatch):
    """The planted bug is an off-by-one in the copies: one byte less than the weights and their copies is refused."""
    weights = sum(each.numel() for each in sl.MLP((32,)).build((3, 8, 8), 10).parameters())
    optimizer = sl.SGD(momentum=0.0) if numbers == 0 else optimizer
    needed = 4 * weights * (3 + numbers)
    monkeypatch.setattr(memory, "free_memory", lambda device: needed)
    require_memory(sl.MLP((32,)), optimizer, (3, 8, 8), 10, CPU)
    monkeypatch.setattr(memory, "free_memory", lambda device: needed - 1)
    with pytest.raises(InvalidPart, match=r"^Training: .* GiB free"):
        require_memory(sl.MLP((32,)), optimizer, (3, 8, 8), 10, CPU)


@pytest.mark.parametrize(
    "architecture", [sl.MLP(), sl.MLP((8, 8), init="he"), sl.Linear(), sl.SmallAlexNet(), sl.SmallInception(), sl.SmallInception(init="he")]
)
def test_counting_draws_nothing_and_every_network_of_the_package_can_be_counted(architecture):
    memory._counts.cache_clear()
    generator = torch.get_rng_state()
    require_memory(architecture, sl.SGD(), (3, 28, 28), 10, CPU)
    assert torch.equal(torch.get_rng_state(), generator)
    built = architecture.build((3, 28, 28), 10)
    assert memory._counts(architecture, (3, 28, 28), 10) == (sum(p.numel() for p in built.parameters()), sum(b.numel() for b in built.buffers()))


def test_a_network_from_outside_is_not_built_to_be_counted(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda device: 0)

    def never():
        raise AssertionError

    require_memory(sl.Imported(never), sl.SGD(), (4,), 2, CPU)
    with pytest.raises(InvalidPart):
        require_memory(sl.Linear(), sl.SGD(), (4,), 2, CPU)


def test_an_optimizer_from_outside_is_not_tried(monkeypatch):
    class Mine(sl.Optimizer):
        lr = 0.1

        def build(self, parameters, fused=False):
            raise AssertionError

    assert memory._state(Mine()) == 0


def test_a_free_byte_is_one_that_the_system_names():
    free = free_memory(CPU)
    assert free == math.inf or 2**20 < free < 2**50
    assert free_memory(torch.device("meta")) == math.inf


class TestControlGroups:
    def unified(self, tmp_path, limits, group="a/b"):
        """Limits by group below the root; usage is 600 of which 100 would be dropped."""
        for name, limit in limits.items():
            folder = tmp_path / "root" / name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "memory.max").write_text(f"{limit}\n")
            (folder / "memory.current").write_text("600\n")
            (folder / "memory.stat").write_text("anon 500\ninactive_file 100\n")
        (tmp_path / "cgroup").write_text(f"0::/{group}\n")
        return list(machine._left_to_group(tmp_path / "cgroup", tmp_path / "root"))

    def test_the_group_and_those_around_it_count(self, tmp_path):
        assert self.unified(tmp_path, {"a/b": 1000, "a": 800, ".": 2000}) == [500, 300, 1500]

    def test_a_container_sees_its_own_limit_at_the_root(self, tmp_path):
        assert self.unified(tmp_path, {".": 1000}, group="") == [500]

    def test_no_limit_is_none_and_nothing_left_is_zero(self, tmp_path):
        assert self.unified(tmp_path, {"a/b": "max", "a": 300}) == [0]

    def test_the_old_scheme_under_docker(self, tmp_path):
        """There the process's group is not to be found below the root that a container sees."""
        folder = tmp_path / "root" / "memory"
        folder.mkdir(parents=True)
        (folder / "memory.limit_in_bytes").write_text("1000\n")
        (folder / "memory.usage_in_bytes").write_text("600\n")
        (folder / "memory.stat").write_text("inactive_file 3\ntotal_inactive_file 100\n")
        (tmp_path / "cgroup").write_text("5:cpu,cpuacct:/docker/1\n4:memory:/docker/1\n1:name=systemd:/docker/1\n0::/docker/1\n")
        assert list(machine._left_to_group(tmp_path / "cgroup", tmp_path / "root")) == [500]
        (folder / "memory.limit_in_bytes").write_text(f"{2**63 - 4096}\n")
        assert list(machine._left_to_group(tmp_path / "cgroup", tmp_path / "root")) == []

    def test_a_system_that_does_not_tell(self, tmp_path):
        assert list(machine._left_to_group(tmp_path / "nothing", tmp_path)) == [] == list(machine._available(tmp_path / "nothing"))

    def test_the_smallest_of_all_decides(self, monkeypatch):
        monkeypatch.setattr(machine, "_available", lambda: iter([900]))
        monkeypatch.setattr(machine, "_left_to_group", lambda: iter([700, 800]))
        assert free_memory(CPU) == 700


def test_what_the_system_can_give_is_read_in_kilobytes(tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal: 5 kB\nMemFree: 1 kB\nMemAvailable:   3 kB\n")
    assert list(machine._available(tmp_path / "meminfo")) == [3072]


def test_the_copies_are_those_that_a_fit_holds(monkeypatch):
    """Three tensors the size of the weights besides the optimizer's own: had a fit fewer, a network that fits would be refused."""
    learner = sl.Training(sl.Linear(), sl.SGD(lr=0.1), epochs=1)
    splits = sl.Digits(examples=50, test_examples=20).load()
    fit = learner.fit(splits.train)
    held = [*fit.model.parameters(), *(each.grad for each in fit.model.parameters()), *fit.initial.values()]
    assert len({each.data_ptr() for each in held}) == 3 * len(list(fit.model.parameters())) and isinstance(fit.model, nn.Module)
