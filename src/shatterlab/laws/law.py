"""A law, its finding, and checks that several kinds of part share."""

from __future__ import annotations

import contextlib
import inspect
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from shatterlab.core import Examples, Part, Seeds
from shatterlab.core.errors import LawBroken

Law = Callable[[Any], None]
SEEDS = Seeds.replicate(11)
OTHER_SEEDS = Seeds.replicate(12)


@dataclass(frozen=True)
class Finding:
    """The outcome of one law.

    Args:
        law: the law in words.
        passed: whether it holds, or does not concern this part.
        text: the failure where it does not hold; the reason where it does not concern the part; else empty.
    """

    law: str
    passed: bool
    text: str


def laws_in(module: str) -> tuple[Law, ...]:
    """The laws of a module: its public functions, in the order of the file."""
    functions = vars(sys.modules[module]).items()
    return tuple(law for name, law in functions if inspect.isfunction(law) and law.__module__ == module and not name.startswith("_"))


def words(law: Law) -> str:
    """The law in words: the first line of its docstring, without the full stop."""
    return (law.__doc__ or law.__name__).partition("\n")[0].rstrip(".")


def demand(part: Part, condition: object, required: str, got: object, remedy: str) -> None:
    """Raises LawBroken in the one form of this package unless the condition holds."""
    if not condition:
        raise LawBroken(f"{part.kind}: {required}, got {got}. {remedy}")


def global_generators() -> dict[str, Any]:
    """The states of the process-wide generators of torch, numpy and Python, for comparison."""
    _, key, position, *_ = np.random.get_state(legacy=True)  # noqa: NPY002 (looked at, not drawn from)
    return {"torch": torch.get_rng_state().numpy().tobytes(), "numpy": (np.asarray(key).tobytes(), position), "random": random.getstate()}


@contextlib.contextmanager
def leaving_generators_alone(part: Part, doing: str) -> Iterator[None]:
    """Demands that the block leaves every process-wide generator unchanged."""
    before = global_generators()
    yield
    after = global_generators()
    moved = [name for name, state in after.items() if state != before[name]]
    remedy = "Draw from the generator or seed of the call."
    demand(part, not moved, f"{doing} leaves the process-wide generators alone", f"a changed state of {', '.join(moved)}", remedy)


def differing(a: torch.Tensor, b: torch.Tensor) -> int:
    """How many rows of two tensors of one shape differ anywhere, NaN equal to NaN."""
    same = (a == b) | (a.isnan() & b.isnan())
    return int((~same.reshape(len(a), -1).all(1)).sum())


def copied(examples: Examples) -> Examples:
    """A copy of the examples."""
    return Examples(examples.inputs.clone(), examples.labels.clone(), examples.classes, examples.levels)


def changed(before: Examples, after: Examples) -> str:
    """Differences between two samples, in words; empty where there are none."""
    changes = []
    for name in ("inputs", "labels"):
        old, new = getattr(before, name), getattr(after, name)
        if old.shape != new.shape:
            changes.append(f"{name} of shape {tuple(new.shape)} in place of {tuple(old.shape)}")
        elif old.dtype != new.dtype:
            changes.append(f"{name} of type {new.dtype} in place of {old.dtype}")
        elif count := differing(old[:], new[:]):
            changes.append(f"{count} changed {name}")
    changes += [
        f"{name} {getattr(after, name)} in place of {getattr(before, name)}" for name in ("classes", "levels") if getattr(before, name) != getattr(after, name)
    ]
    return " and ".join(changes)
