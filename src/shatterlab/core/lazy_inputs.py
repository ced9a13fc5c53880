"""Inputs that are read on demand, in place of a tensor that holds them all."""

from __future__ import annotations

import collections
import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

import numpy as np

from shatterlab.core.errors import DataError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Item = TypeVar("Item")
Result = TypeVar("Result")
Positions = np.ndarray[Any, Any]
_VALUES = 2**25  # float32 values read at a time: 128 MiB, 125 photos of 299 x 299


@runtime_checkable
class Windowed(Protocol):
    """An augmentation that cuts windows: a stream of photos cuts them from the full photo while it decodes."""

    def boxes(self, drawn: Mapping[str, Any]) -> np.ndarray[Any, Any]:
        """The windows of a batch from its random numbers: m x 4, (top, left, height, width) in fractions of the sides."""


class NotInMemory(DataError, AttributeError):
    """Code needs a tensor of all inputs, but they are read on demand."""


class Streamed(ABC):
    """Inputs on disk or computed on demand: `inputs[indices] -> tensor` reads only these.

    Whole numbers, slices, lists, masks, arrays and tensors index as they do a tensor. A subclass writes `read`.

    Args:
        n: number of inputs.
        shape: of one input.
        owner: name used in errors.
    """

    def __init__(self, n: int, shape: tuple[int, ...], owner: str) -> None:
        self._n, self._shape, self.owner = n, tuple(shape), owner

    @abstractmethod
    def read(self, positions: Positions) -> Tensor:
        """The inputs at these positions, int64 in 0 .. n - 1, as a new float32 tensor. Must be thread-safe."""

    def codes(self, positions: Positions, boxes: np.ndarray[Any, Any] | None = None) -> Tensor | None:
        """The inputs in 8 bits, 255 for 1.0, a quarter of the bytes; None where the source has no 8-bit values.

        Args:
            positions: as for `read`.
            boxes: m x 4, a window of each photo in fractions of its height and width (top, left, height, width), scaled to the
                shape; None: the centre of each photo.
        """
        return None

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, *shape of one input)."""
        return (self._n, *self._shape)

    @property
    def ndim(self) -> int:
        """The number of dimensions, as of a tensor of all inputs."""
        return 1 + len(self._shape)

    @property
    def dtype(self) -> torch.dtype:
        """float32, as for every sample."""
        import torch

        return torch.float32

    @property
    def step(self) -> int:
        """The number of inputs to read at a time, to bound the memory."""
        return max(1, _VALUES // max(1, int(np.prod(self._shape))))

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, indices: Any) -> Tensor:
        positions = self._positions(indices)
        return self.read(np.atleast_1d(positions))[0] if positions.ndim == 0 else self.read(positions)

    def __iter__(self) -> Iterator[Tensor]:
        return (self[position] for position in range(len(self)))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        required = "what reads inputs by batches is required for a streamed sample"
        raise NotInMemory(f"{self.owner}: {required}, got a use of inputs.{name}. Use StreamedTraining, or a data set that is held in memory.")

    def at(self, indices: Any) -> Streamed:
        """The inputs at these positions, in this order, without reading them."""
        return Selected(self, np.atleast_1d(self._positions(indices)))

    def mapped(self, change: Callable[[Tensor, Positions], Tensor]) -> Streamed:
        """The inputs, changed by a function of (inputs, positions) whenever they are read."""
        return Mapped(self, change)

    def _positions(self, indices: Any) -> Positions:
        if isinstance(indices, slice):
            return np.arange(*indices.indices(self._n))
        positions = np.asarray(indices.cpu() if hasattr(indices, "cpu") else indices)
        if positions.dtype == bool:
            if positions.shape != (self._n,):
                raise IndexError(f"a mask of {self._n} inputs is required, got shape {positions.shape}")
            return np.flatnonzero(positions)
        positions = positions.astype(np.int64)
        if positions.size and not (-self._n <= positions.min() and positions.max() < self._n):
            raise IndexError(f"positions lie in 0..{self._n - 1}, got {positions.min()}..{positions.max()}")
        return np.where(positions < 0, positions + self._n, positions)


class Selected(Streamed):
    """A selection of other streamed inputs."""

    def __init__(self, source: Streamed, positions: Positions) -> None:
        super().__init__(len(positions), source.shape[1:], source.owner)
        self._source, self._selection = source, positions

    def read(self, positions: Positions) -> Tensor:
        return self._source.read(self._selection[positions])

    def codes(self, positions: Positions, boxes: np.ndarray[Any, Any] | None = None) -> Tensor | None:
        return self._source.codes(self._selection[positions], boxes)


class Mapped(Streamed):
    """Other streamed inputs, changed as they are read."""

    def __init__(self, source: Streamed, change: Callable[[Tensor, Positions], Tensor]) -> None:
        super().__init__(len(source), source.shape[1:], source.owner)
        self._source, self._change = source, change

    def read(self, positions: Positions) -> Tensor:
        return self._change(self._source.read(positions), positions)


def chunks(inputs: Tensor | Streamed, step: int, threads: int = 1) -> Iterator[tuple[slice, Tensor]]:
    """All inputs in order, at most `step` at a time, as (positions, inputs); streamed inputs are read ahead by threads."""
    if isinstance(inputs, Streamed):
        step = min(step, inputs.step)
    slices = (slice(start, min(start + step, len(inputs))) for start in range(0, len(inputs), step))
    if isinstance(inputs, Streamed):
        yield from ahead(lambda chunk: (chunk, inputs[chunk]), slices, threads)
    else:
        yield from ((chunk, inputs[chunk]) for chunk in slices)


def ahead(compute: Callable[[Item], Result], items: Iterable[Item], threads: int = 1) -> Iterator[Result]:
    """The results of a function of each item, in order, computed by threads while earlier results are used.

    At most 2 + `threads` results wait. An exception is raised in its place; leaving the iteration early stops the threads.

    Args:
        compute: called in the threads; several threads help where it releases the interpreter's lock.
        items: taken one after the other, in the caller's thread.
        threads: number of threads, >= 1.
    """
    rest = iter(items)
    with ThreadPoolExecutor(threads, thread_name_prefix="ahead") as pool:
        waiting: collections.deque[Future[Result]] = collections.deque(pool.submit(compute, item) for item in itertools.islice(rest, threads + 2))
        try:
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(pool.submit(compute, item) for item in itertools.islice(rest, 1))
                yield result
        finally:
            for future in waiting:
                future.cancel()
