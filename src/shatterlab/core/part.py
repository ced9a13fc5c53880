"""Part: a frozen dataclass that is its own configuration, with a description, a key and columns."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Union

from shatterlab.core.errors import InvalidPart, ShatterlabError


def fitted_field(default: Any = None) -> Any:
    """A field that `fitted` computes from data; the configuration, the key and equality ignore it."""
    return field(default=default, metadata={"fitted": True}, repr=False, compare=False, kw_only=True)


def canonical(value: Any) -> str:
    """The canonical JSON text of a description: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: Any) -> str:
    """sha256 of the canonical JSON of a description, in hexadecimal."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


@functools.cache
def _declared_types(part: typing.Any) -> dict[str, Any]:
    return typing.get_type_hints(part)


@dataclass(frozen=True)
class Part:
    """A piece of an experiment whose fields are its whole configuration.

    Subclasses are frozen dataclasses. Numbers are normalized by declared type (`PartialLabels(1)` equals
    `PartialLabels(1.0)`), lists become tuples where a tuple is declared, and `validate` checks the values.
    Raise `version` when a default or the meaning of a field changes: it enters every key.
    """

    version: ClassVar[int] = 1
    outside_fingerprint: ClassVar[str] = ""

    def __post_init__(self) -> None:
        hints = _declared_types(typing.cast(Any, type(self)))
        for item in self.configuration():
            value = getattr(self, item.name)
            normal = _normalize(value, hints[item.name], f"{self.kind}: {item.name}")
            if normal is not value:
                object.__setattr__(self, item.name, normal)
        self.validate()

    def validate(self) -> None:
        """Raises InvalidPart where a field is out of range; the base class accepts all values."""

    def require(self, condition: object, required: str, got: object, remedy: str = "") -> None:
        """Raises InvalidPart, `owner: required, got value. Remedy.`, unless the condition holds."""
        if not condition:
            raise InvalidPart(f"{self.kind}: {required}, got {got!r}" + (f". {remedy.rstrip('.')}." if remedy else ""))

    @property
    def kind(self) -> str:
        """The name of this part in descriptions and columns: its class's."""
        return type(self).__name__

    @classmethod
    def configuration(cls) -> list[dataclasses.Field[Any]]:
        """The fields of the configuration, in order, without fitted values."""
        return [item for item in dataclasses.fields(cls) if not item.metadata.get("fitted")]

    @classmethod
    def mappings(cls) -> set[str]:
        """The names of fields declared as mappings, whose values are plain data, never parts."""
        return {name for name, declared in _declared_types(typing.cast(Any, cls)).items() if typing.get_origin(declared) in (Mapping, dict)}

    @classmethod
    def specimens(cls) -> tuple[Part, ...]:
        """Instances on which the laws of the kind are checked; override where a field has no default."""
        return (cls(),)

    def fingerprints(self) -> Mapping[str, str]:
        """Field name -> fingerprint of the content behind it (a file, say), which keys use in place of the value."""
        return {}

    def describe(self, *, defaults: bool = False) -> dict[str, Any]:
        """The plain-JSON description, from which `catalog.build` builds an equal part.

        Args:
            defaults: also list the fields that equal their default.
        """
        return self._as_mapping(lambda part: part.describe(defaults=defaults), defaults)

    def identity(self) -> dict[str, Any]:
        """The description that a trial's key hashes: fingerprints in place of paths, and `version` unless it is 1."""
        identity = self._as_mapping(Part.identity, False) | dict(self.fingerprints())
        if self.version != 1:
            identity["version"] = self.version
        if self.outside_fingerprint:
            identity["source"] = self.outside_fingerprint
        return identity

    def columns(self, prefix: str) -> dict[str, str | int | float | bool | None]:
        """Every field, defaults included, as dotted columns of a row; sequences and mappings as JSON text."""
        return dict(_flatten(self.describe(defaults=True), prefix)) | {f"{prefix}.{name}.fingerprint": value for name, value in self.fingerprints().items()}

    def parts(self) -> Iterator[Part]:
        """This part and every part inside it."""
        yield self
        for item in self.configuration():
            value = getattr(self, item.name)
            for inner in value if isinstance(value, tuple) else (value,):
                if isinstance(inner, Part):
                    yield from inner.parts()

    def _as_mapping(self, describe: Callable[[Part], dict[str, Any]], defaults: bool) -> dict[str, Any]:
        mapping: dict[str, Any] = {"kind": self.kind}
        for item in self.configuration():
            value = getattr(self, item.name)
            if defaults or not _is_default(value, item):
                mapping[item.name] = _plain(value, describe, f"{self.kind}: {item.name}")
        return mapping


def _is_default(value: Any, item: dataclasses.Field[Any]) -> bool:
    if item.default is not dataclasses.MISSING:
        return bool(value == item.default)
    if item.default_factory is not dataclasses.MISSING:
        return bool(value == item.default_factory())
    return False


def _plain(value: Any, describe: Callable[[Part], dict[str, Any]], owner: str) -> Any:
    if isinstance(value, Part):
        return describe(value)
    if isinstance(value, list | tuple):
        return [_plain(inner, describe, owner) for inner in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(inner, describe, owner) for key, inner in value.items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise InvalidPart(f"{owner} must be plain data (numbers, text, lists, mappings, parts), got {value!r}")


def _flatten(value: Any, prefix: str) -> Iterator[tuple[str, str | int | float | bool | None]]:
    if isinstance(value, dict) and "kind" in value:
        for name, inner in value.items():
            yield from _flatten(inner, f"{prefix}.{name}")
    else:
        yield prefix, canonical(value) if isinstance(value, list | dict) else value


def _normalize(value: Any, declared: Any, owner: str) -> Any:
    """The value in its declared type, or InvalidPart; values of other declared types pass unchanged."""
    origin, inner = typing.get_origin(declared), typing.get_args(declared)
    if origin in (Union, types.UnionType):
        return _normalize_union(value, inner, owner)
    if origin is Literal:
        return _expect(value, value in inner, f"one of {', '.join(map(repr, inner))}", owner)
    if origin is tuple:
        _expect(value, isinstance(value, list | tuple), "a sequence", owner)
        items = inner[:1] * len(value) if inner[1:] == (...,) else inner
        _expect(value, len(items) == len(value), f"{len(items)} values", owner)
        normal = tuple(_normalize(element, kind, owner) for element, kind in zip(value, items, strict=True))
        unchanged = isinstance(value, tuple) and all(a is b for a, b in zip(normal, value, strict=True))
        return value if unchanged else normal
    if declared is float:
        numeric = not isinstance(value, bool) and (isinstance(value, int | float) or hasattr(value, "__float__"))
        return value if type(value) is float else float(_expect(value, numeric, "a number", owner))
    if declared is int:
        whole = not isinstance(value, bool) and hasattr(value, "__int__") and not isinstance(value, str)
        return value if type(value) is int else int(_expect(value, whole and value == int(value), "a whole number", owner))
    if declared is str and isinstance(value, os.PathLike):
        return os.fspath(value)
    if declared in (str, bool):
        return _expect(value, isinstance(value, declared), "text" if declared is str else "true or false", owner)
    if isinstance(declared, type) and issubclass(declared, Part):
        return _expect(value, isinstance(value, declared), f"one of the kind {declared.__name__}", owner)
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return _expect(value, isinstance(value, Mapping), "a mapping", owner)
    return value


def _normalize_union(value: Any, options: tuple[Any, ...], owner: str) -> Any:
    if value is None and types.NoneType in options:
        return None
    real = [option for option in options if option is not types.NoneType]
    problems = []
    for option in sorted(real, key=lambda option: option is not type(value)):
        try:
            return _normalize(value, option, owner)
        except ShatterlabError as problem:
            problems.append(problem)
    required = " or ".join(str(problem).removeprefix(f"{owner} is ").removesuffix(f", got {value!r}") for problem in problems)
    raise InvalidPart(f"{owner} is {required}, got {value!r}")


def _expect(value: Any, condition: bool, required: str, owner: str) -> Any:
    if not condition:
        raise InvalidPart(f"{owner} is {required}, got {value!r}")
    return value
