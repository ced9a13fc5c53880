"""Seeds: independent random streams by name, and random bits that any worker can draw in any order."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from shatterlab.core.errors import UnknownName
from shatterlab.core.part import Part

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_STREAMS = ("data", "corruption", "init", "order")


@dataclass(frozen=True)
class Seeds(Part):
    """The four seeds of a trial: which examples, which corruption, which initial weights, which order.

    Equal integers in two streams are independent, and a new consumer of randomness never shifts an old
    one, because every stream has a name: `SeedSequence(value, spawn_key=(crc32(stream), crc32(name), ...))`.

    Args:
        data: subsampling and train/test splits, >= 0.
        corruption: labels and pixels, >= 0.
        init: initial weights and a scikit-learn estimator's `random_state`, >= 0.
        order: order of examples, dropout, augmentation, >= 0.

    Source:
        numpy.random.SeedSequence (O'Neill 2015).
    """

    data: int = 0
    corruption: int = 0
    init: int = 0
    order: int = 0

    def validate(self) -> None:
        for stream in _STREAMS:
            value = getattr(self, stream)
            self.require(0 <= value < 2**63, f"{stream} is a whole number in 0 .. 2^63 - 1", value)

    @classmethod
    def replicate(cls, r: int) -> Seeds:
        """The seeds of replicate r: everything that is random differs between replicates."""
        return cls(r, r, r, r)

    def sequence(self, stream: str, *names: str) -> np.random.SeedSequence:
        """The seed sequence of a stream or of a named sub-stream.

        Raises:
            UnknownName: the stream is not one of data, corruption, init, order.
        """
        if stream not in _STREAMS:
            raise UnknownName("Seeds", stream, _STREAMS)
        key = tuple(zlib.crc32(name.encode()) for name in (stream, *names))
        return np.random.SeedSequence(getattr(self, stream), spawn_key=key)

    def rng(self, stream: str, *names: str) -> np.random.Generator:
        """A fresh numpy generator at the start of the stream."""
        return np.random.default_rng(self.sequence(stream, *names))

    def integer(self, stream: str, *names: str) -> int:
        """A 63-bit integer from the stream, for generators that are seeded by one (torch, scikit-learn)."""
        return int(self.sequence(stream, *names).generate_state(1, np.uint64)[0] >> np.uint64(1))


def random_bits(seed: int, split: str, indices: np.ndarray[Any, Any], count: int) -> np.ndarray[Any, Any]:
    """64 random bits for every (example, position), a pure function of (seed, split, example index, position).

    Counter-based, so any worker gets the same bits for an example in any order and any batch, with no
    Python step per example: each example's key is mixed from (seed, split, index), and position j yields
    output j of SplitMix64 started at that key.

    Args:
        seed: the stream's integer, 0 <= seed < 2^64.
        split: "train" or "test"; the splits are independent.
        indices: whole numbers >= 0, one an example; shape (n,).
        count: positions an example.

    Returns:
        uint64 array of shape (n, count).

    Source:
        Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators" (SplitMix64).
    """
    start = np.array([seed ^ (zlib.crc32(split.encode()) << 31)], dtype=np.uint64)
    keys = _mix(_mix(start + _GOLDEN) + _mix(np.asarray(indices, dtype=np.uint64) + _GOLDEN) * _GOLDEN)
    steps = np.arange(1, count + 1, dtype=np.uint64) * _GOLDEN
    return _mix(keys[:, None] + steps[None, :])


def _mix(bits: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """SplitMix64's finalizer, a bijection of 64-bit words; changes its argument in place."""
    shifted = bits >> np.uint64(30)
    bits ^= shifted
    bits *= np.uint64(0xBF58476D1CE4E5B9)
    np.right_shift(bits, np.uint64(27), out=shifted)
    bits ^= shifted
    bits *= np.uint64(0x94D049BB133111EB)
    np.right_shift(bits, np.uint64(31), out=shifted)
    bits ^= shifted
    return bits
