"""Sparse ReLU networks of whole numbers, evaluated exactly: what no floating-point module can hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Row = tuple[int, tuple[tuple[int, int], ...]]  # bias, and (input, weight) where the weight is not 0


@dataclass(frozen=True)
class Sum:
    """A constant and a weighted sum of the neurons of one layer."""

    constant: int = 0
    terms: tuple[tuple[int, int], ...] = ()

    def __add__(self, other: Sum | int) -> Sum:
        if isinstance(other, int):
            return Sum(self.constant + other, self.terms)
        found = dict(self.terms)
        for neuron, weight in other.terms:
            found[neuron] = found.get(neuron, 0) + weight
        return Sum(self.constant + other.constant, tuple((neuron, weight) for neuron, weight in found.items() if weight))

    def __mul__(self, factor: int) -> Sum:
        return Sum(self.constant * factor, tuple((neuron, weight * factor) for neuron, weight in self.terms if factor))

    def __sub__(self, other: Sum | int) -> Sum:
        return self + other * -1


@dataclass
class Layers:
    """A network as it is built, hidden layer by hidden layer."""

    rows: list[tuple[Row, ...]] = field(default_factory=list)

    def relu(self, sums: Sequence[Sum]) -> list[Sum]:
        """One more layer: the ReLU of each sum of the neurons of the last one; constants need no neuron."""
        layer: list[Row] = []
        made: list[Sum] = []
        for each in sums:
            if each.terms:
                made.append(Sum(0, ((len(layer), 1),)))
                layer.append((each.constant, each.terms))
            else:
                made.append(Sum(max(each.constant, 0)))
        self.rows.append(tuple(layer))
        return made


@dataclass(frozen=True)
class IntegerNetwork:
    """A ReLU network with one output whose weights are whole numbers of any length.

    Args:
        hidden: for each hidden layer the rows of its neurons.
        output: of the last hidden layer.
        fine: inputs are multiplied by 2^fine first.
    """

    hidden: tuple[tuple[Row, ...], ...]
    output: Sum
    fine: int

    def values(self, z: Any) -> list[Fraction]:
        """Its values at n x d points, exactly: whole numbers carry them, in a unit that makes all inputs whole."""
        rows = np.asarray(z, dtype=np.float64).reshape(len(z), -1)
        unit = max(self.fine, finest(rows)) - self.fine
        neurons = list(np.vectorize(int, otypes=[object])(np.ldexp(rows, self.fine + unit)).T)
        for layer in self.hidden:
            neurons = [np.maximum(_summed(bias, terms, neurons, unit, len(rows)), 0) for bias, terms in layer]
        found = _summed(self.output.constant, self.output.terms, neurons, unit, len(rows))
        return [Fraction(each, 2**unit) for each in found]

    def facts(self) -> dict[str, int]:
        """`weights` (numbers other than 0), `neurons`, `width`, `depth`, `largest_weight_bits` and `bits` (of all weights together)."""
        rows = [*(row for layer in self.hidden for row in layer), (self.output.constant, self.output.terms)]
        sizes = [abs(number).bit_length() for bias, terms in rows for number in (bias, *(weight for _, weight in terms)) if number]
        widths = [len(layer) for layer in self.hidden]
        return {
            "weights": len(sizes),
            "neurons": sum(widths),
            "width": max(widths),
            "depth": len(widths) + 1,
            "largest_weight_bits": max(sizes),
            "bits": sum(sizes),
        }


def finest(rows: Array) -> int:
    """The least e >= 0 for which all numbers are multiples of 2^-e."""
    used = rows[rows != 0]
    if not len(used):
        return 0
    fraction, exponent = np.frexp(used)
    whole = np.abs(fraction * 2.0**53).astype(np.int64)
    return max(0, int((53 - exponent - np.log2(whole & -whole).astype(int)).max()))


def _summed(bias: int, terms: Sequence[tuple[int, int]], neurons: Sequence[Array], unit: int, n: int) -> Array:
    total = np.full(n, bias << unit, dtype=object)
    for neuron, weight in terms:
        total = total + neurons[neuron] * weight
    return total
