"""The processes that train one model together: started by torchrun, joined by torch.distributed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from types import MethodType
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.distributed.nn.functional import all_reduce
from torch.nn.parallel import DistributedDataParallel

_LAUNCHED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


class Ranks:
    """This process among those that train together; alone where torchrun did not start it.

    Args:
        device: where this process trains; the group talks through NCCL on a GPU, through Gloo on a processor.
        join: whether to train together at all; else this process is alone.
    """

    def __init__(self, device: torch.device, join: bool = True) -> None:
        if join and distributed.is_available() and not distributed.is_initialized() and all(name in os.environ for name in _LAUNCHED):
            distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        together = join and distributed.is_available() and distributed.is_initialized()
        self.rank, self.size = (distributed.get_rank(), distributed.get_world_size()) if together else (0, 1)
        self.device = device

    def share(self, positions: Tensor) -> Tensor:
        """This process's contiguous part of a batch."""
        return positions.tensor_split(self.size)[self.rank]

    def total(self, values: Tensor) -> Tensor:
        """The sum over all processes, the same in each."""
        if self.size > 1:
            values = values.clone()
            distributed.all_reduce(values)
        return values

    def from_first(self, value: Any) -> Any:
        """What the first process has."""
        if self.size == 1:
            return value
        held = [value]
        distributed.broadcast_object_list(held)
        return held[0]

    @contextlib.contextmanager
    def training(self, model: nn.Module, unused: bool) -> Iterator[nn.Module]:
        """The model to call in training: gradients are averaged over the processes, batch statistics taken over all of them.

        Args:
            model: in the same state in each process.
            unused: some of its parameters get no gradient.
        """
        if self.size == 1:
            yield model
            return
        norms = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d)]
        for norm in norms:
            norm.forward = MethodType(_normalized, norm)  # type: ignore[method-assign]
        try:
            places = [self.device] if self.device.type == "cuda" else None
            yield DistributedDataParallel(model, device_ids=places, broadcast_buffers=False, find_unused_parameters=unused)
        finally:
            for norm in norms:
                del norm.forward


def _normalized(norm: nn.BatchNorm2d, inputs: Tensor) -> Tensor:
    """Batch norm whose mean and variance are those of the batch of all processes; torch's own needs a GPU."""
    if not norm.training:
        return type(norm).forward(norm, inputs)
    axes = [axis for axis in range(inputs.ndim) if axis != 1]
    wide = inputs.float()
    count = torch.full((1,), inputs.numel() / inputs.shape[1], device=inputs.device)
    sums = all_reduce(torch.cat([wide.sum(axes), count]))
    total = sums[-1].detach()
    mean = sums[:-1] / total
    shape = [1, -1, *(1 for _ in axes[1:])]
    centred = wide - mean.view(shape)
    variance = all_reduce(centred.square().sum(axes)) / total  # of the centred values: nothing cancels
    with torch.no_grad():
        if norm.running_mean is not None and norm.running_var is not None and norm.num_batches_tracked is not None:
            norm.num_batches_tracked += 1
            weight = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
            norm.running_mean.lerp_(mean, weight)
            norm.running_var.lerp_(variance * total / (total - 1), weight)
    scaled = centred * (variance + norm.eps).rsqrt().view(shape)
    if norm.weight is not None:
        scaled = scaled * norm.weight.view(shape)
    if norm.bias is not None:
        scaled = scaled + norm.bias.view(shape)
    normalized: Tensor = scaled.to(inputs.dtype)
    return normalized
