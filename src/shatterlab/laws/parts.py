"""Laws of every part: it is its own configuration, and says what it is."""

from __future__ import annotations

import copy
import dataclasses
import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from shatterlab.core import Part, catalog
from shatterlab.core.errors import NotApplicable, ShatterlabError, UnknownName
from shatterlab.core.part import canonical, digest
from shatterlab.laws.law import demand, laws_in


def description_is_plain(part: Part) -> None:
    """The description is plain JSON."""
    for defaults in (False, True):
        described = part.describe(defaults=defaults)
        try:
            same = json.loads(canonical(described)) == described
        except (TypeError, ValueError):
            same = False
        demand(part, same, "the description survives JSON", described, "Keep numbers, text, tuples, mappings and parts in fields.")


def description_builds_an_equal_part(part: Part) -> None:
    """The description builds an equal part."""
    try:
        known = catalog.get(part.kind)
    except UnknownName:
        raise NotApplicable(f"{part.kind} is not in the catalog; load its file to have this law tried") from None
    demand(part, known is type(part), "its class's name is its own", f"a name that {known.__module__} has too", "Rename the class.")
    for defaults in (False, True):
        described = part.describe(defaults=defaults)
        built = catalog.build(json.loads(canonical(described)))
        remedy = "Keep every choice in a field, and leave `describe` to the base class."
        demand(part, built == part, f"the description builds an equal part, here {part!r}", repr(built), remedy)


def numbers_are_normalized(part: Part) -> None:
    """A number means the same in every type: 1, 1.0 and numpy's 1 have one identity."""
    expected = digest(part.identity())
    for name, value in _other_types(part):
        try:
            same = digest(dataclasses.replace(part, **{name: value}).identity()) == expected
        except (ShatterlabError, TypeError):
            same = False
        got = f"another identity (or a refusal) for the {type(value).__name__} {value!r}"
        demand(part, same, f"{name} in another type is the same part", got, "Leave __post_init__ to the base class and write `validate`.")


def _other_types(part: Part) -> Iterator[tuple[str, Any]]:
    for item in part.configuration():
        value = getattr(part, item.name)
        if type(value) is float:
            yield item.name, np.float64(value)
            if value.is_integer():
                yield item.name, int(value)
        elif type(value) is int:
            yield from ((item.name, np.int64(value)), (item.name, float(value)))
        elif type(value) is tuple:
            yield item.name, list(value)


def identity_is_stable(part: Part) -> None:
    """The identity is the same every time."""
    first, again, twin = (canonical(same_part.identity()) for same_part in (part, part, copy.deepcopy(part)))
    remedy = "Let it depend on fields and file contents only."
    demand(part, first == again == twin, f"the identity stays {first}", again if first != again else twin, remedy)


def defaults_are_left_out(part: Part) -> None:
    """A field equal to its default is no part of the identity, so a new field with a default orphans no result."""
    described, identity = part.describe(), part.identity()
    for item in part.configuration():
        default = item.default if item.default_factory is dataclasses.MISSING else item.default_factory()
        if getattr(part, item.name) == default:
            left_out = item.name not in described and item.name not in identity
            remedy = "Leave `describe` and `identity` to the base class."
            demand(part, left_out, f"{item.name} is left out where it equals its default", repr(default), remedy)


def is_frozen(part: Part) -> None:
    """A part cannot be changed after construction."""
    for name in (*(item.name for item in part.configuration()), "anything"):
        victim = copy.copy(part)
        try:
            setattr(victim, name, None)
        except (dataclasses.FrozenInstanceError, AttributeError):
            continue
        demand(part, False, f"{name} cannot be set", "a changed part", "Decorate the class with @dataclass(frozen=True).")


def is_documented(part: Part) -> None:
    """The class says in one sentence what it is, and then what each field means."""
    cls = type(part)
    text = cls.__doc__ or ""
    first = text.partition("\n")[0].strip()
    written = bool(first) and not text.startswith(f"{cls.__name__}(") and first[-1] in ".:"
    demand(part, written, "the first line of the class's docstring is a sentence", repr(first), "Write one in plain words.")
    explained = "\n".join(base.__doc__ or "" for base in cls.__mro__ if issubclass(base, Part))
    for item in part.configuration():
        explains = re.search(rf"^\s+{item.name}: \S", explained, re.MULTILINE)
        demand(part, explains, f"the docstring's Args explain {item.name}", "nothing about it", f"Add a line `{item.name}: meaning, range, unit.`")


LAWS = laws_in(__name__)
