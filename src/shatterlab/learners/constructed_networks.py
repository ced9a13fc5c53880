"""The networks of Theorem 1 and Corollary 1, written down for a sample."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from shatterlab.constructions.line import Line
from shatterlab.constructions.multiplexer import multiplexer_along
from shatterlab.constructions.network import Network, require_depth
from shatterlab.constructions.two_layer import TwoLayer, carry_along, two_layer_along
from shatterlab.learners._constructed import Construction


@dataclass(frozen=True)
class TwoLayerConstruction(Construction):
    """Writes down the network with 2n + d weights and one hidden layer that gives every training example its label; nothing is trained.

    c(z) = sum_j w_j max(<a, z> - b_j, 0) takes class numbers as values; a score is 1 for the class number nearest to c(z) and 0 for the others. With
    `outputs="one_hot"` there are k outputs on the same hidden layer, (k + 1) n + d weights, and the scores are the outputs.

    Inputs of 8-bit sources are read as whole numbers, whose projections are exact in float64. Equal inputs with equal labels count once in n.

    Facts: `weights`, `connections` (layer by layer, the shared direction once), `width`, `neurons`, `depth`, `distinct` and `duplicates` (examples), `bits` (64
    a weight), `exact_projections`, `direction_bits`; in units in which the projections span [0, 1], `smallest_gap` and `largest_weight`; `certified_error`, a
    bound on max |c(z_i) - y_i| in exact arithmetic on the float64 weights; `float64_error`, `float32_error`, the errors of plain prefix sums, and whether these
    give every label, `float64_reproduces`, `float32_reproduces`; `interpolates` (the scores give every label); seconds.

    Args:
        outputs: "class_number": one output and the theorem's count. "one_hot": one a class.
        arithmetic: of the scores. "double_double" is exact, rounded once; "float64" and "float32" show the error of plain numbers.
        evaluation: of the scores. "sorted": by prefix sums, log n operations an example. "relu": unit by unit, n operations.
        directions: how many directions to try, >= 1, drawn from the init stream; the one with the widest smallest gap is taken.

    Raises:
        DataError: equal inputs have different labels, or no direction separates the inputs.
        InvalidPart: a field is out of range.

    Source:
        Zhang et al. 2017, Theorem 1.
    """

    @classmethod
    def specimens(cls) -> tuple[TwoLayerConstruction, ...]:
        return cls(), cls("one_hot"), cls("one_hot", arithmetic="float64", evaluation="relu", directions=1)

    def network(self, line: Line) -> TwoLayer:
        return two_layer_along(line)


@dataclass(frozen=True)
class DeepConstruction(Construction):
    """Writes down a network of a given depth k, width about n/k and O(n + d) weights that gives every training example its label.

    "carry" cuts the sum of `TwoLayerConstruction` into k - 1 chunks and carries the sum so far: the same function, 2n + d numbers. "multiplexer" is the
    paper's: the theorem's network on each of k - 2 intervals of the line, and indicators of the intervals that pick the right one.

    Facts: as of `TwoLayerConstruction`.

    Args:
        outputs: "class_number": one output and the theorem's count. "one_hot": one a class.
        arithmetic: of the scores. "double_double" is exact, rounded once; "float64" and "float32" show the error of plain numbers.
        evaluation: of the scores. "sorted": by prefix sums, log n operations an example. "relu": unit by unit, n operations.
        directions: how many directions to try, >= 1, drawn from the init stream; the one with the widest smallest gap is taken.
        depth: k, layers of weights: 2 .. n (carry) or 3 .. n (multiplexer), n the number of distinct examples.
        form: "carry" or "multiplexer".

    Raises:
        DataError: equal inputs have different labels, or no direction separates the inputs.
        InvalidPart: a field is out of range, or the depth is above the number of distinct examples.

    Source:
        Zhang et al. 2017, Corollary 1.
    """

    depth: int = field(default=3, kw_only=True)
    form: Literal["carry", "multiplexer"] = field(default="carry", kw_only=True)

    def validate(self) -> None:
        super().validate()
        self.require(self.depth >= self._least, f"depth of the {self.form} form is a whole number >= {self._least}", self.depth)

    @classmethod
    def specimens(cls) -> tuple[DeepConstruction, ...]:
        return cls(), cls("one_hot", depth=5, form="multiplexer"), cls("one_hot", "float64", "relu", depth=4)

    @property
    def _least(self) -> int:
        return 2 if self.form == "carry" else 3

    def network(self, line: Line) -> Network:
        require_depth(self.kind, self.depth, self._least, len(line.order))
        along = carry_along if self.form == "carry" else multiplexer_along
        return along(line, self.depth)
