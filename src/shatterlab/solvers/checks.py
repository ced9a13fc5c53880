"""What a sample must be before a linear system is made of it, each refusal naming the examples."""

from __future__ import annotations

import torch

from shatterlab.core import Examples
from shatterlab.core.errors import DataError


def require_sound(owner: str, train: Examples) -> None:
    """Refuses inputs that are not finite and labels that are no class.

    Raises:
        DataError: the text names the first example at fault.
    """
    bad = (~train.inputs.flatten(1).isfinite().all(1)).nonzero().flatten().tolist()
    if bad:
        raise DataError(f"{owner}: finite inputs are required, got NaN or infinity in {len(bad)} examples, the first at position {bad[0]}. Clean or drop them.")
    low, high = int(train.labels.min()), int(train.labels.max())
    if low < 0 or high >= train.classes:
        raise DataError(f"{owner}: labels are whole numbers in 0..{train.classes - 1}, got {low}..{high}. Renumber the classes.")


def require_consistent(owner: str, train: Examples) -> None:
    """Refuses equal inputs with different labels, which no function takes.

    Raises:
        DataError: the text names the first such pair.
    """
    seen: dict[bytes, int] = {}
    for position, row in enumerate((train.inputs.flatten(1) + 0.0).contiguous().numpy()):  # -0.0 + 0.0 is 0.0, of the same bytes
        first = seen.setdefault(row.tobytes(), position)
        if not torch.equal(train.labels[first], train.labels[position]):
            same = f"examples {first} and {position} have equal inputs and labels {int(train.labels[first])} and {int(train.labels[position])}"
            raise DataError(f"{owner}: one label an input is required without ridge, {same}. Drop one, or set ridge > 0.")
