"""A curve over numbers that no axis can hold: zero and then powers of ten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shatterlab.analysis.naming import text_of
from shatterlab.views.curve import Curve


@dataclass(frozen=True)
class Steps(Curve):
    """A curve whose x are steps one below the other, in ascending order, whatever their distance.

    For numbers that start at 0 and go up by powers of ten, a ridge, say: a logarithmic axis has no place for 0 and a linear one
    none for the rest. Arguments and meaning are those of `Curve`.
    """

    def _x(self, names: tuple[Any, ...]) -> Any:
        return text_of(names[0], self.x)
