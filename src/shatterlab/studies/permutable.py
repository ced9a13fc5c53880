"""Examples and what of them may change places: labels, groups of labels, or features within a class."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from shatterlab.core.errors import DataError, InvalidPart
from shatterlab.statistics.permutations import Exchange, Whole, shuffled_columns
from shatterlab.studies.scored_model import OWNER, parts_of

LABELS, FEATURES = "labels", "features within class"


@dataclass(frozen=True, eq=False)
class Permutable:
    """Examples and what of them may change places.

    Args:
        X: inputs.
        y: labels or targets.
        codes: the same as whole numbers.
        groups: the group of each example, or None.
        strata: the stratum of each example, or None.
        parts: the part of fixed splits that each example is in, or None.
        time: the rank of each example in time, or None.
        test: "labels" or "features within class".
        given: the permutations, or None to draw them.
    """

    X: Any
    y: Any
    codes: Whole
    groups: Whole | None
    strata: Whole | None
    parts: Whole | None
    time: Whole | None
    test: str
    given: tuple[Whole, ...] | None

    @classmethod
    def of(cls, X: Any, y: Any, cv: Any, groups: Any, strata: Any, time: Any, test: str, permutations: Any) -> Permutable:
        """Checks what a user gave.

        Raises:
            DataError: the data are unusable: lengths that differ, missing or unhashable labels, one class.
            InvalidPart: options that do not go together.
        """
        y, codes = labels(y, "y")
        n = len(codes)
        X = X.tocsr() if hasattr(X, "tocsr") else X if hasattr(X, "shape") else list(X)
        _require_length("X", X.shape[0] if hasattr(X, "shape") else len(X), n)
        if codes.max() == 0:
            raise DataError(f"{OWNER}: two different labels at least are required, all {n} are equal. Nothing can be told apart.")
        coded = [None if given is None else labels(given, name)[1] for name, given in (("groups", groups), ("strata", strata))]
        ranks = None if time is None else np.arange(n) if time is True else np.unique(np.asarray(time), return_inverse=True)[1].ravel()
        for name, each in (("groups", coded[0]), ("strata", coded[1]), ("time", ranks)):
            if each is not None:
                _require_length(name, len(each), n)
        given = None if isinstance(permutations, int | np.integer) else _given(permutations, n)
        examples = cls(X, y, codes, coded[0], coded[1], parts_of(cv, n), ranks, test, given)
        if test == FEATURES:
            examples._require_features()
        return examples

    @functools.cached_property
    def whole(self) -> bool:
        """Whether each group has one label, so that labels move between groups as wholes."""
        return self.groups is not None and self.time is None and _within(self.codes, self.groups)

    @property
    def change(self) -> str:
        """What is permuted, as in "with permuted labels"."""
        if self.given is not None:
            return "with labels permuted as given"
        if self.test == FEATURES:
            return "with features permuted within each class" + (" and stratum" if self.strata is not None else "")
        verb = (
            "shifted in time"
            if self.time is not None
            else f"moved between {self.groups.max() + 1} groups as wholes"
            if self.groups is not None and self.whole
            else ""
        )
        cells = {"group": self.groups is not None and not self.whole, "stratum": self.strata is not None, "part of the splits": self._parts is not None}
        within = " and ".join(name for name, there in cells.items() if there)
        if not verb and not within:
            return "with permuted labels"
        return f"with labels {verb or 'permuted'}{f' within each {within}' if within else ''}"

    @property
    def _parts(self) -> Whole | None:
        return None if self.parts is None or (self.whole and not _within(self.parts, self.groups)) else self.parts  # type: ignore[arg-type]

    @functools.cached_property
    def _exchange(self) -> Exchange:
        n, groups = len(self.codes), self.groups
        cells = _combined(n, self.strata, self._parts, None if self.whole else groups)
        return Exchange.of(groups if groups is not None and self.whole else np.arange(n), cells, self.time)

    def arrangements(self, classes: bool) -> float:
        """How many different data sets can come out, infinite for too many to count.

        Args:
            classes: whether labels are classes.

        Raises:
            DataError: nothing can be permuted.
        """
        if self.given is not None:
            return math.inf
        if self.test == FEATURES:
            if not classes:
                raise InvalidPart(f"{OWNER}: classes are required to permute features within them, got a regressor. Take test='labels'.")
            most = np.bincount(_combined(len(self.codes), self.codes, self.strata)).max()
            ways, reason = (math.inf if most > 1 else 1.0), "every class has one example in each stratum"
        else:
            ways, reason = self._exchange.arrangements(self.codes), "labels are equal wherever they may change places"
            if self.groups is not None and self.whole and classes and self.groups.max() == self.codes.max():
                ways, reason = 1.0, f"{self.groups.max() + 1} groups coincide with the classes, so that a permutation only renames classes"
        if ways == 1:
            raise DataError(
                f"{OWNER}: something that can be permuted is required, got none: {reason}. The smallest possible p is 1. Take coarser strata or groups."
            )
        return ways

    def draws(self, most: int, seed: int) -> Iterator[Any]:
        """What `rearranged` takes, at most that many times."""
        if self.given is not None:
            return iter(self.given)
        if self.test == FEATURES:
            return iter(np.random.SeedSequence(seed).spawn(most))
        return self._exchange.draws(self.codes, most, np.random.default_rng(seed))

    def rearranged(self, draw: Any) -> tuple[Any, Any, Whole]:
        """Inputs, labels and codes under one permutation; an index of pandas stays in place, so that nothing can undo it by alignment."""
        if self.test == FEATURES:
            return self._shuffled(np.random.default_rng(draw)), self.y, self.codes
        y = self.y.iloc[draw].set_axis(self.y.index) if hasattr(self.y, "iloc") else self.y[draw]
        return self.X, y, self.codes[draw]

    def _shuffled(self, rng: np.random.Generator) -> Any:
        cells = _combined(len(self.codes), self.codes, self.strata)
        if not hasattr(self.X, "iloc"):
            return shuffled_columns(self.X, cells, rng)
        orders = shuffled_columns(np.tile(np.arange(len(cells))[:, None], self.X.shape[1]), cells, rng)
        columns = {place: self.X.iloc[orders[:, place], place].set_axis(self.X.index) for place in range(self.X.shape[1])}
        return type(self.X)(columns).set_axis(self.X.columns, axis=1)

    def _require_features(self) -> None:
        refused = [name for name in ("groups", "time", "given") if getattr(self, name) is not None]
        if refused:
            name = refused[0].replace("given", "permutations as index arrays")
            raise InvalidPart(f"{OWNER}: features are permuted within classes and strata only, got {name}. Leave it out.")
        shape = getattr(self.X, "shape", ())
        if hasattr(self.X, "tocsr") or len(shape) < 2 or math.prod(shape[1:]) < 2:
            raise InvalidPart(f"{OWNER}: an array or a frame of two features at least is required to permute them apart, got {type(self.X).__name__} {shape}.")


def labels(values: Any, name: str) -> tuple[Any, Whole]:
    """Values of any hashable type as an array (a pandas series stays one), and as whole numbers from 0.

    Raises:
        DataError: a value is missing or not hashable, or there is not one value an example.
    """
    array: Any = values if hasattr(values, "iloc") else _array(values)
    if array.ndim != 1 or len(array) == 0:
        raise DataError(f"{OWNER}: one value an example is required as {name}, got shape {tuple(array.shape)}. Flatten it, or take one column.")
    try:
        plain = array.to_numpy() if hasattr(array, "iloc") else array
        missing = np.asarray(array.isna()) if hasattr(array, "iloc") else np.array([each is None or each != each for each in plain.tolist()])  # noqa: PLR0124
        if missing.any():
            raise DataError(f"{OWNER}: no missing value is allowed in {name}, got {missing.sum()}, the first at position {missing.argmax()}. Drop them.")
        if plain.dtype.kind != "O":
            return array, np.unique(plain, return_inverse=True)[1].ravel()
        numbers = {each: code for code, each in enumerate(dict.fromkeys(plain.tolist()))}
        return array, np.array([numbers[each] for each in plain.tolist()])
    except TypeError as problem:
        raise DataError(f"{OWNER}: hashable values are required as {name}, got {problem}. Number them.") from None


def _array(values: Any) -> np.ndarray[Any, Any]:
    if hasattr(values, "shape"):
        return np.asarray(values)
    values = list(values)
    if not any(isinstance(each, tuple | list) for each in values):
        return np.asarray(values)
    array = np.empty(len(values), object)
    array[:] = values
    return array


def joined(first: Any, second: Any) -> Any:
    """Two data of one form, one behind the other.

    Raises:
        DataError: they cannot be joined.
    """
    try:
        if hasattr(first, "iloc"):
            import pandas

            return pandas.concat([first, second], ignore_index=True)
        if hasattr(first, "tocsr"):
            return sparse.vstack([first, second], format="csr")
        return np.concatenate([first, second]) if hasattr(first, "shape") else [*first, *second]
    except (TypeError, ValueError) as problem:
        raise DataError(f"{OWNER}: held-out data of the form of the training data are required, got {problem}.") from None


def _given(permutations: Sequence[Any], n: int) -> tuple[Whole, ...]:
    arrays = tuple(np.asarray(each) for each in permutations)
    wrong = next((i for i, each in enumerate(arrays) if each.shape != (n,) or not np.array_equal(np.sort(each), np.arange(n))), None)
    if not arrays or wrong is not None:
        got = "none" if wrong is None else f"another array at position {wrong}"
        raise InvalidPart(f"{OWNER}: permutations are a number, or arrays of the indices 0..{n - 1}, each once, got {got}.")
    return arrays


def _require_length(name: str, got: int, n: int) -> None:
    if got != n:
        raise DataError(f"{OWNER}: as many of {name} as of y are required, got {got} and {n}. Pair them.")


def _within(codes: Whole, groups: Whole) -> bool:
    """Whether each group has one code."""
    return len(np.unique(np.stack([groups, codes]), axis=1).T) == len(np.unique(groups))


def _combined(n: int, *codes: Whole | None) -> Whole:
    there = [np.zeros(n, np.int64), *(each for each in codes if each is not None)]
    return np.asarray(np.unique(np.stack(there), axis=1, return_inverse=True)[1]).ravel()
