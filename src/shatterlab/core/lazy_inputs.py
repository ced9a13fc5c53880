"""Inputs that are read when they are asked for, in place of a tensor that holds them all."""

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
Made = TypeVar("Made")
Positions = np.ndarray[Any, Any]
_VALUES = 2**25  # float32 values read at a time: 128 MiB, 125 photos of 299 x 299


@runtime_checkable
class Windowed(Protocol):
    """An augmentation that cuts windows, which a stream of photos does better while it decodes: of the whole photo, at full resolution."""

    def boxes(self, drawn: Mapping[str, Any]) -> np.ndarray[Any, Any]:
        """The windows of a batch from its share of what was drawn: m x 4, (top, left, height, width) in fractions of the sides."""


class NotInMemory(DataError, AttributeError):
    """Something wants a tensor of all inputs where they are read when asked for."""


class Streamed(ABC):
    """Inputs on disk or made on demand: `inputs[indices] -> tensor` reads those and no others.

    Whole numbers, slices, lists, masks, arrays and tensors index as they do a tensor. A subclass writes `read`.

    Args:
        n: how many there are.
        shape: of one input.
        owner: who gives them, for messages.
    """

    def __init__(self, n: int, shape: tuple[int, ...], owner: str) -> None:
        self._n, self._shape, self.owner = n, tuple(shape), owner

    @abstractmethod
    def read(self, positions: Positions) -> Tensor:
        """The inputs at these positions, int64 in 0 .. n - 1, as a float32 tensor of the caller's own. Threads may call it at once."""

    def codes(self, positions: Positions, boxes: np.ndarray[Any, Any] | None = None) -> Tensor | None:
        """The same in 8 bits, 255 for 1, a quarter of the bytes to move; None where the source has no such code.

        Args:
            positions: as for `read`.
            boxes: m x 4, a window of each photo in fractions of its height and width (top, left, height, width), scaled to the
                shape in place of the usual middle; None: the usual.
        """
        return None

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, *shape of one input)."""
        return (self._n, *self._shape)

    @property
    def ndim(self) -> int:
        """Dimensions of a tensor that would hold them all."""
        return 1 + len(self._shape)

    @property
    def dtype(self) -> torch.dtype:
        """float32, as of every sample's inputs."""
        import torch

        return torch.float32

    @property
    def step(self) -> int:
        """How many to read at a time, so that little memory is taken."""
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
        wanted = "what reads inputs by batches is required for a streamed sample"
        raise NotInMemory(f"{self.owner}: {wanted}, got a use of inputs.{name}. Use StreamedTraining, or a data set that is held in memory.")

    def at(self, indices: Any) -> Streamed:
        """Those at these positions, in this order, still unread."""
        return Selected(self, np.atleast_1d(self._positions(indices)))

    def mapped(self, change: Callable[[Tensor, Positions], Tensor]) -> Streamed:
        """The same inputs changed by a function of (inputs, positions) whenever they are read."""
        return Mapped(self, change)

    def _positions(self, indices: Any) -> Positions:
        if isinstance(indices, slice):
            return np.arange(*indices.indices(self._n))
        given = np.asarray(indices.cpu() if hasattr(indices, "cpu") else indices)
        if given.dtype == bool:
            if given.shape != (self._n,):
                raise IndexError(f"a mask of {self._n} inputs is required, got shape {given.shape}")
            return np.flatnonzero(given)
        given = given.astype(np.int64)
        if given.size and not (-self._n <= given.min() and given.max() < self._n):
            raise IndexError(f"positions lie in 0..{self._n - 1}, got {given.min()}..{given.max()}")
        return np.where(given < 0, given + self._n, given)


class Selected(Streamed):
    """Some of other streamed inputs."""

    def __init__(self, source: Streamed, positions: Positions) -> None:
        super().__init__(len(positions), source.shape[1:], source.owner)
        self._source, self._chosen = source, positions

    def read(self, positions: Positions) -> Tensor:
        return self._source.read(self._chosen[positions])

    def codes(self, positions: Positions, boxes: np.ndarray[Any, Any] | None = None) -> Tensor | None:
        return self._source.codes(self._chosen[positions], boxes)


class Mapped(Streamed):
    """Other streamed inputs, changed as they are read."""

    def __init__(self, source: Streamed, change: Callable[[Tensor, Positions], Tensor]) -> None:
        super().__init__(len(source), source.shape[1:], source.owner)
        self._source, self._change = source, change

    def read(self, positions: Positions) -> Tensor:
        return self._change(self._source.read(positions), positions)


def parts(inputs: Tensor | Streamed, step: int, threads: int = 1) -> Iterator[tuple[slice, Tensor]]:
    """All inputs in order, at most `step` at a time, each part with its place; streamed ones are read ahead by threads."""
    if isinstance(inputs, Streamed):
        step = min(step, inputs.step)
    places = (slice(start, min(start + step, len(inputs))) for start in range(0, len(inputs), step))
    if isinstance(inputs, Streamed):
        yield from ahead(lambda place: (place, inputs[place]), places, threads)
    else:
        yield from ((place, inputs[place]) for place in places)


def ahead(make: Callable[[Item], Made], items: Iterable[Item], threads: int = 1) -> Iterator[Made]:
    """What is made of each item, in order, made by threads while what came before is used.

    At most 2 + `threads` results wait. An exception is raised at its place; leaving the iteration early stops the threads.

    Args:
        make: called in the threads; releases the interpreter's lock where it is to gain from several.
        items: taken one after the other, in the caller's thread.
        threads: how many, >= 1.
    """
    rest = iter(items)
    with ThreadPoolExecutor(threads, thread_name_prefix="ahead") as pool:
        waiting: collections.deque[Future[Made]] = collections.deque(pool.submit(make, item) for item in itertools.islice(rest, threads + 2))
        try:
            while waiting:
                made = waiting.popleft().result()
                waiting.extend(pool.submit(make, item) for item in itertools.islice(rest, 1))
                yield made
        finally:
            for each in waiting:
                each.cancel()
