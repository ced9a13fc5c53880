"""Rows brought together: grouped by columns or configuration, paired by seeds, selected by what they have."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from shatterlab.analysis.naming import Setting, value_of
from shatterlab.core import Row

SPECIFICATION = ("dataset.", "corruption.", "learner.")
_SEEDS = ("seeds.data", "seeds.corruption", "seeds.init", "seeds.order")
_OUTCOME = ("train.loss", "test.loss", "check.train_fingerprint")  # equal in all of them: nothing was random

Key = TypeVar("Key", bound=Hashable)
Configuration = tuple[tuple[str, Any], ...]
Groups = dict[tuple[Any, ...], list[Row]]


def ended_well(row: Mapping[str, Any]) -> bool:
    """Whether the trial neither failed nor diverged."""
    return bool(row.get("status", "ok") == "ok")


def finite(row: Mapping[str, Any], column: str) -> float | None:
    """The number in a column; None where it is absent or not finite."""
    value = row.get(column)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def by(rows: Iterable[Row], key: Callable[[Row], Key]) -> dict[Key, list[Row]]:
    """The rows with equal keys together, both in the order of the rows."""
    groups: dict[Key, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def seeds(row: Row) -> tuple[Any, ...]:
    """The four seeds of a trial."""
    return tuple(row.get(column) for column in _SEEDS)


def configuration(row: Row, freed: tuple[str, ...] = ()) -> Configuration:
    r"""Sorted (column, value) pairs of the specification, nulls left out.

    Args:
        row: any row.
        freed: columns to leave out: "corruption." for all that start so, "learner.ridge\0" for that one.
    """
    specified = (item for item in row.items() if item[0].startswith(SPECIFICATION) and item[1] is not None)
    return tuple(sorted(item for item in specified if not f"{item[0]}\0".startswith(freed)))


def by_configuration(rows: Iterable[Row], freed: tuple[str, ...] = ()) -> dict[Configuration, list[Row]]:
    """The replicates together: rows equal in data set, corruption and learner (but for `freed` columns), whatever their seeds."""
    return by(rows, partial(configuration, freed=freed))


def grouped(rows: Iterable[Row], columns: Sequence[str]) -> Groups:
    """The rows by what they have in these columns: settings in the paper's order, numbers ascending, the rest as they come."""
    groups = by(rows, lambda row: tuple(value_of(row, column) for column in columns))
    first = [{value: place for place, value in enumerate(dict.fromkeys(values[i] for values in groups))} for i in range(len(columns))]
    return dict(sorted(groups.items(), key=lambda item: [_place(value, first[i]) for i, value in enumerate(item[0])]))


def _place(value: Any, first: Mapping[Any, int]) -> tuple[float, float, float]:
    if isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value):
        return (0, 0, float(value))
    if isinstance(value, Setting) and value.place < Setting("").place:
        return (1, value.place, value.level or 0.0)
    return (2, 0, first[value])


def pairs(*sides: Iterable[Row]) -> list[tuple[Row, ...]]:
    """The rows of several configurations side by side where all four seeds are equal; the others are left out."""
    tables = [{seeds(row): row for row in side} for side in sides]
    return [tuple(table[key] for table in tables) for key in tables[0] if all(key in table for table in tables)] if tables else []


def partners(ours: Iterable[Configuration], theirs: Iterable[Configuration], freed: tuple[str, ...]) -> dict[Configuration, Configuration | None]:
    """Each configuration with the one it is compared with: equal in all but the freed columns, or the only one."""
    ours, theirs = list(ours), list(theirs)
    if len(ours) == len(theirs) == 1:
        return {ours[0]: theirs[0]}

    def rest(items: Configuration) -> Configuration:
        return tuple(item for item in items if not f"{item[0]}\0".startswith(freed))

    alike = {own: [other for other in theirs if rest(other) == rest(own)] for own in ours}
    return {own: others[0] if len(others) == 1 else None for own, others in alike.items()}


def unique(rows: Iterable[Row]) -> list[Row]:
    """The rows, each key once (the last one counts); rows without a key all stay."""
    return list({row.get("key") or id(row): row for row in rows}.values())


def distinct(rows: Iterable[Row]) -> list[Row]:
    """The rows that count: one a key (the last), and one of replicates that are identical (see `outcome`) because nothing was random."""
    return [row for members in by_configuration(unique(rows)).values() for row in {outcome(row): row for row in members}.values()]


def outcome(row: Row) -> tuple[Any, ...]:
    """What replicates have in common that are identical because nothing was random; the key where that is not known."""
    values = tuple(row.get(column) for column in _OUTCOME)
    return (row.get("key") or id(row),) if None in values else (*values, row.get("fit.subset"))  # subsets may have equal losses, infinite ones above all


def has(row: Mapping[str, Any], column: str, value: Any) -> bool:
    """Whether a column, "setting" or "model" has this value, or one of them where it is a sequence."""
    return value_of(row, column) in (value if isinstance(value, list | tuple | set | frozenset) else (value,))


def matches(row: Row, where: Mapping[str, Any]) -> bool:
    """Whether every column has its value, as `has` compares them."""
    return all(has(row, column, value) for column, value in where.items())


def selected(rows: Iterable[Row], where: Mapping[str, Any]) -> tuple[list[Row], list[str]]:
    """The rows that match and count, and a note where some do not: each key once, replicates in which nothing was random once."""
    matching = [row for row in unique(rows) if matches(row, where)]
    kept = distinct(matching)
    dropped = len(matching) - len(kept)
    identical, are = ("trial identical to another", "is") if dropped == 1 else ("trials identical to others", "are")
    return kept, [f"{dropped} {identical}, in which nothing was random, {are} counted once."] if dropped else []


def mixed(groups: Iterable[Sequence[Row]]) -> list[str]:
    """The columns of the specification that differ inside a group: there, "replicates" are not replicates."""
    differing: dict[str, None] = {}
    for rows in groups:
        if len(rows) > 1:
            columns = dict.fromkeys(column for row in rows for column in row if column.startswith(SPECIFICATION))
            differing |= dict.fromkeys(column for column in columns if len({row.get(column) for row in rows}) > 1)
    return list(differing)


def melted(rows: Iterable[Row], x: str, columns: Mapping[str, str], line: str) -> list[Row]:
    """One row for each row and column: its value in the first of the columns, the column's name in `line`.

    Of the configuration only `x` stays, so that rows of different lines differ in the line alone.
    """
    first = next(iter(columns.values()))
    kept = [(row, {x: value_of(row, x), "status": row.get("status", "ok")}) for row in rows]
    return [
        Row({**base, "key": f"{row.get('key', place)} {name}", line: name, first: row.get(column)})
        for name, column in columns.items()
        for place, (row, base) in enumerate(kept)
    ]
