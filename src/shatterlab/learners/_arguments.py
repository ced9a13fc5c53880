"""An estimator as plain data, and back: every argument that differs from its default, at any depth."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from shatterlab.core.errors import InvalidPart, ShatterlabError
from shatterlab.core.user_code import resolve, user_code


def written(value: Any, inside: bool = False) -> Any:
    """The plain data of an estimator or of one of its arguments.

    What JSON has no word for is a mapping with one key: {"float": "nan"}, {"mapping": pairs} where a key is no text, {"tuple": items} inside of a mapping,
    {"name": "module:name"} for a class or function that can be imported, {"object": ..., "arguments": ...} for a column selector or a cross-validator.

    Args:
        value: what `built` is to build again.
        inside: of a mapping, where a list may hold alternatives (of a grid search), so that tuples have to stay tuples.

    Raises:
        InvalidPart: it holds something else.
    """
    if isinstance(value, np.integer | np.floating | np.bool_):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        pairs = [(written(name), written(option, True)) for name, option in value.items()]
        return dict(pairs) if all(isinstance(name, str) for name in value) else {"mapping": [list(pair) for pair in pairs]}
    if isinstance(value, np.ndarray):
        return written(value.tolist(), inside)
    if isinstance(value, list | tuple):
        items = [written(option, inside) for option in value]
        return {"tuple": items} if inside and isinstance(value, tuple) else items
    return _object(value)


def _object(value: Any) -> Any:
    place = f"{getattr(value, '__module__', '__main__')}:{getattr(value, '__qualname__', '')}"
    if not place.startswith("__main__:") and _at(place) is value:  # a function of the running script has no name that another process can import
        return {"name": place}
    if hasattr(value, "dist") and hasattr(value, "args") and hasattr(value, "kwds"):  # a frozen distribution of scipy, for a randomized search
        return {"object": f"scipy.stats:{value.dist.name}", "arguments": dict(written(value.kwds)), "positions": written(value.args)}
    cls = type(value)
    parameters = inspect.signature(cls).parameters if not inspect.isclass(value) and cls.__module__ != "builtins" else {}
    options = value.get_params(deep=False) if hasattr(value, "get_params") and not inspect.isclass(value) else vars(value) if hasattr(value, "__dict__") else {}
    if hasattr(value, "get_params") or (parameters and options.keys() == parameters.keys()):
        changed = {name: written(option) for name, option in options.items() if name not in parameters or not _same(option, parameters[name].default)}
        return {"estimator" if hasattr(value, "get_params") else "object": f"{cls.__module__}:{cls.__qualname__}", "arguments": changed}
    raise InvalidPart(f"Estimator: parameters of plain data are required, got {value!r}. Wrap the estimator in a Recipe.")


def _at(place: str) -> Any:
    try:
        return resolve(place, "Estimator")
    except ShatterlabError:
        return None


def _same(option: Any, default: Any) -> bool:
    if type(option) is not type(default) or isinstance(option, np.ndarray):
        return False
    return option is default or bool(option == default) or (isinstance(option, float) and math.isnan(option) and math.isnan(default))


def built(description: Any) -> Any:
    """What was `written`: a fresh estimator, or an argument.

    Raises:
        InvalidPart: a name is not that of an estimator's class.
        UserCodeError: a constructor fails.
    """
    if isinstance(description, list | tuple):
        return [built(value) for value in description]
    if not isinstance(description, Mapping):
        return description
    match dict(description):
        case {"float": str(text), **rest} if not rest:
            return float(text)
        case {"tuple": list(items), **rest} if not rest:
            return tuple(built(items))
        case {"mapping": list(pairs), **rest} if not rest:
            return dict(built(pairs))
        case {"name": str(place), **rest} if not rest and ":" in place:
            return resolve(place, "Estimator")
        case {"object": str(place), **rest} if rest.keys() <= {"arguments", "positions"}:
            return _constructed(resolve(place, "Estimator"), place, rest)
        case {"estimator": str(place), **rest} if rest.keys() <= {"arguments"}:
            factory = resolve(place, "Estimator")
            classifier = inspect.isclass(factory) and all(hasattr(factory, name) for name in ("fit", "predict", "get_params"))
            if not classifier and not hasattr(factory, "transform"):
                raise InvalidPart(f"Estimator: a class with fit, predict and get_params is required, got {place!r}. Name a classifier or a regressor.")
            return _constructed(factory, place, rest)
    return {name: built(value) for name, value in description.items()}


def places(description: Any) -> set[str]:
    """Every "module:name" in the description of an argument."""
    if isinstance(description, list | tuple):
        return set().union(*map(places, description))
    if not isinstance(description, Mapping):
        return set()
    own = {value for name, value in description.items() if name in ("estimator", "object", "name") and isinstance(value, str) and ":" in value}
    return own.union(*map(places, description.values()))


def _constructed(factory: Any, place: str, description: Mapping[str, Any]) -> Any:
    arguments = built(dict(description.get("arguments", {})))
    with user_code(f"Estimator: {place}"):
        defaults = {name: item.default for name, item in inspect.signature(factory).parameters.items()} if inspect.isclass(factory) else {}
        tuples = {name: tuple(value) for name, value in arguments.items() if isinstance(value, list) and isinstance(defaults.get(name), tuple)}
        return factory(*built(description.get("positions", [])), **(arguments | tuples))
