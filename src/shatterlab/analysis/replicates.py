"""Rows of replicates brought together: the same configuration, other seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shatterlab.core import Row

Configuration = tuple[tuple[str, Any], ...]

_SPECIFICATION = ("dataset.", "corruption.", "learner.")
_SEEDS = ("seeds.data", "seeds.corruption", "seeds.init", "seeds.order")
_OUTCOME = ("train.loss", "test.loss", "check.train_fingerprint")  # equal in all of them: nothing was random


def matches(row: Row, where: Mapping[str, Any]) -> bool:
    """Whether each column has the value asked for, or one of them where a sequence is given."""
    return all(row.get(column) in (wanted if isinstance(wanted, list | tuple | set | frozenset) else (wanted,)) for column, wanted in where.items())


def by_configuration(rows: Iterable[Row]) -> dict[Configuration, list[Row]]:
    """The rows of replicates brought together: equal in data set, corruption and learner, whatever their seeds.

    Returns:
        Sorted (column, value) pairs of the specification, nulls left out -> rows, both in the order of the rows.
    """
    groups: dict[Configuration, list[Row]] = {}
    for row in rows:
        said = tuple(sorted((column, value) for column, value in row.items() if column.startswith(_SPECIFICATION) and value is not None))
        groups.setdefault(said, []).append(row)
    return groups


def distinct(rows: Iterable[Row]) -> list[Row]:
    """The rows that count: one a key (the last), and one of replicates that are identical because nothing was random.

    Replicates are identical where training loss, test loss and the fingerprint of the corrupted sample are equal.
    """
    newest = {row.get("key") or id(row): row for row in rows}.values()
    return [row for members in by_configuration(newest).values() for row in {outcome(row): row for row in members}.values()]


def outcome(row: Row) -> tuple[Any, ...]:
    """What replicates have in common that are identical because nothing was random; the key where that is not known."""
    found = tuple(row.get(column) for column in _OUTCOME)
    return (row.get("key") or id(row),) if None in found else found


def pairs(ours: Sequence[Row], theirs: Sequence[Row]) -> list[tuple[Row, ...]]:
    """The rows of two configurations side by side where all four seeds are equal; the others are left out."""
    partner = {tuple(row.get(seed) for seed in _SEEDS): row for row in theirs}
    mine = {tuple(row.get(seed) for seed in _SEEDS): row for row in ours}
    return [(row, partner[seeds]) for seeds, row in mine.items() if seeds in partner]


def partners(ours: Iterable[Configuration], theirs: Iterable[Configuration], freed: tuple[str, ...]) -> dict[Configuration, Configuration | None]:
    """Each configuration with the one it is compared with: equal in all but the freed columns, or the only one."""
    ours, theirs = list(ours), list(theirs)
    if len(ours) == len(theirs) == 1:
        return {ours[0]: theirs[0]}

    def rest(configuration: Configuration) -> Configuration:
        return tuple(item for item in configuration if not f"{item[0]}\0".startswith(freed))

    found: dict[Configuration, Configuration | None] = {}
    for each in ours:
        alike = [other for other in theirs if rest(other) == rest(each)]
        found[each] = alike[0] if len(alike) == 1 else None
    return found
