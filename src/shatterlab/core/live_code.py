"""Callables that only this process can name (lambdas, closures, functions of a script or of a notebook), and data that only it holds.

Each gets a name that ends in a hash of its code, so rows that an edited factory made are never taken for its own. Worker
processes of this machine receive the callable itself, pickled by value, through their pipe. No file, store, checkpoint
or description can bring code so.
"""

from __future__ import annotations

import dis
import functools
import hashlib
import inspect
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePath
from types import BuiltinFunctionType, CodeType, FunctionType, GetSetDescriptorType, MemberDescriptorType, MethodType, ModuleType
from typing import Any

from shatterlab.core import user_code
from shatterlab.core.errors import InvalidPart
from shatterlab.core.part import Part

_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(...), range)
_SILENT = ("__doc__", "__module__", "__qualname__", "__annotations__", "__firstlineno__", "__static_attributes__", "_abc_impl", "__dataclass_params__")
_GENERATED = ("__repr__", "__eq__", "__hash__", "__lt__", "__le__", "__gt__", "__ge__", "__setattr__", "__delattr__", "__replace__", "__match_args__")
_READS = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS", "IMPORT_NAME")
_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: made by a class statement, so the state of its instances is their __dict__
_registered: dict[str, Any] = {}
_pickles: dict[int, bytes] = {}  # of data that is held for ever, by id
_tokens: dict[int, tuple[object, str]] = {}  # holds the objects, so that no id is used twice


def reference(factory: Callable[..., Any]) -> str:
    """The name of a factory: "module:name" where another process can import it, else a name of this process."""
    address = _address(factory)
    if address is not None:
        return address
    name = f"live:{getattr(factory, '__qualname__', type(factory).__qualname__)}#{content_hash(factory)}"
    _registered[name] = factory
    return name


def hold(data: object, content: str) -> str:
    """The name of data of this process, which worker processes receive like callables.

    Args:
        data: must not change from now on.
        content: "what#digest", the same for equal data in every process.
    """
    name = f"live:{content}"
    _registered.setdefault(name, data)
    return name


def is_live(name: str) -> bool:
    """Whether `reference` made this name for this process only; a module may well be called live."""
    return name.startswith("live:") and "#" in name


def find(name: str, owner: str) -> Callable[..., Any]:
    """The factory that this process knows by that name.

    Raises:
        InvalidPart: another process made the name.
    """
    if name not in _registered:
        remedy = 'Later runs need "module:factory" or "path/to/file.py:factory".'
        raise InvalidPart(f"{owner}: a factory of this process is required, got {name!r} of another one. {remedy}")
    factory: Callable[..., Any] = _registered[name]
    return factory


def held(name: str, what: str, owner: str) -> Any:
    """The data that this process holds by that name.

    Args:
        name: as `hold` gave it.
        what: the data are, for the error.
        owner: name used in errors.

    Raises:
        InvalidPart: another process held it.
    """
    if name not in _registered:
        raise InvalidPart(f"{owner}: {what} of this process is required, got {name!r} of another one. Pass the data again.")
    return _registered[name]


def pickled(part: Part) -> dict[str, bytes]:
    """The live factories and data in a part, by name, for the worker processes of this one.

    Raises:
        InvalidPart: a factory encloses what cannot be pickled.
    """
    fields = [(inner.kind, getattr(inner, item.name)) for inner in part.parts() for item in inner.configuration()]
    return {name: _pickled(_registered[name], kind) for kind, name in fields if isinstance(name, str) and name in _registered}


def receive(factories: Mapping[str, bytes]) -> None:
    """Makes the factories that the parent process sent known here; called by worker processes only."""
    import cloudpickle

    for name, content in factories.items():
        if name not in _registered:
            _registered[name] = cloudpickle.loads(content)


def _pickled(factory: Any, owner: str) -> bytes:
    import cloudpickle

    if not callable(factory):  # data: the next trial of a sweep gets the same bytes
        if id(factory) not in _pickles:
            _pickles[id(factory)] = bytes(cloudpickle.dumps(factory))
        return _pickles[id(factory)]
    module = sys.modules.get(getattr(factory, "__module__", None) or "")
    by_value = module is not None and user_code.is_own(module) and module.__name__ not in cloudpickle.list_registry_pickle_by_value()
    if by_value:  # the code that was hashed travels, not what its file may hold by now
        cloudpickle.register_pickle_by_value(module)
    try:
        return bytes(cloudpickle.dumps(factory))
    except Exception as problem:
        got = f"{type(problem).__name__}: {problem}".partition("\n")[0].rstrip(".")
        remedy = "Create such objects inside the factory, or use workers=0."
        raise InvalidPart(f"{owner}: a factory that can be pickled for worker processes is required, got {got}. {remedy}") from problem
    finally:
        if by_value:
            cloudpickle.unregister_pickle_by_value(module)


def content_hash(factory: object) -> str:
    """A hash of the code, the defaults, the enclosed values and the globals behind a callable, followed recursively.

    What cannot be read (a tensor in the closure, say) gets a random token, so such a callable has a new hash in
    every process. The byte code is of one Python version, hence so is the hash.
    """
    return hashlib.sha256(_Contents(factory).text.encode()).hexdigest()[:16]


def _address(factory: Any) -> str | None:
    """Where another process can import this very object, if anywhere."""
    module = _home(factory)
    if module is None or not Path(getattr(module.__spec__, "origin", None) or "").is_file():
        return None
    place = module.__file__ if module.__name__.startswith("shatterlab_outside_") else module.__name__
    return f"{place}:{factory.__qualname__}"


def _home(value: Any) -> ModuleType | None:
    """The module, other than the script itself, that holds the object under the object's own name."""
    module = sys.modules.get(getattr(value, "__module__", None) or "")
    if module is None or module.__name__ == "__main__" or not _has_source(module):
        return None
    member: Any = module
    for step in getattr(value, "__qualname__", "?").split("."):
        member = getattr(member, step, None)
    return module if member is value else None


def _has_source(module: ModuleType) -> bool:
    origin = getattr(getattr(module, "__spec__", None), "origin", None)
    return origin is not None and (origin in ("built-in", "frozen") or Path(origin).is_file())


class _Contents:
    """The text of everything that decides what a callable does."""

    def __init__(self, root: object) -> None:
        self._start = getattr(root, "__module__", None)
        self._seen: dict[int, tuple[int, object]] = {}  # holds the objects, so that no id is used twice
        self.text = self._write(root)

    def _write(self, value: Any) -> str:
        if _is_plain(value):
            return f"{type(value).__name__} {value!r}"
        if id(value) in self._seen:
            return f"seen {self._seen[id(value)][0]}"
        self._seen[id(value)] = (len(self._seen), value)
        return f"{type(value).__name__}({','.join(self._pieces(value))})"

    def _pieces(self, value: Any) -> Iterator[str]:
        inner = _inner(value)
        match value:
            case _ if inner is not None:
                yield from map(self._write, inner)
            case set() | frozenset():
                yield from sorted(map(self._write, value))
            case CodeType():
                yield from self._code(value)
            case ModuleType() if _has_source(value):
                yield _named(value.__name__, "*")
            case FunctionType() | BuiltinFunctionType() | type() if self._is_elsewhere(value):
                yield _named(value.__module__, value.__qualname__)
            case FunctionType():
                yield from self._function(value)
            case type():
                yield from self._class(value)
            case _ if _is_its_attributes(value):
                yield from map(self._write, (type(value), vars(value)))
            case _:
                yield _token(value)

    def _is_elsewhere(self, value: Any) -> bool:
        module = _home(value)
        return module is not None and module.__name__ != self._start

    def _code(self, code: CodeType) -> Iterator[str]:
        stars = code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS)
        yield from (code.co_code.hex(), code.co_exceptiontable.hex(), f"{code.co_argcount} {code.co_kwonlyargcount} {stars}")
        yield from (repr(names) for names in (code.co_names, code.co_varnames, code.co_freevars))
        yield from map(self._write, code.co_consts)

    def _function(self, function: FunctionType) -> Iterator[str]:
        yield from map(self._write, (function.__code__, function.__defaults__, function.__kwdefaults__))
        for cell in function.__closure__ or ():
            try:
                yield self._write(cell.cell_contents)
            except ValueError:  # not yet assigned
                yield "empty"
        for operation, name in sorted(_outer_names(function.__code__)):
            if operation == "IMPORT_NAME":
                yield _named(name, "*")
            elif name in function.__globals__:
                yield f"{name}={self._write(function.__globals__[name])}"

    def _class(self, value: type) -> Iterator[str]:
        yield from map(self._write, value.__bases__)
        parameters = vars(value).get("__dataclass_params__")
        skipped = (*_GENERATED, *(("__init__",) if parameters.init else ())) if parameters else ()
        for name, member in vars(value).items():
            if name == "__dataclass_fields__":
                yield self._write([(item.name, item.default, item.default_factory) for item in member.values()])
            elif name not in (*_SILENT, *skipped) and not isinstance(member, GetSetDescriptorType | MemberDescriptorType):
                yield f"{name}={self._write(member)}"


def _is_plain(value: object) -> bool:
    kind = type(value)
    return kind in _PLAIN or isinstance(value, PurePath) or (kind.__module__ == "torch" and kind.__name__ in ("dtype", "device"))


def _inner(value: Any) -> Iterable[object] | None:
    """What a plain container or a wrapper of a callable holds, in order; None for everything else."""
    match value:
        case list() | tuple():
            return value
        case dict():
            return [member for item in value.items() for member in item]
        case MethodType():
            return value.__func__, value.__self__
        case staticmethod() | classmethod():
            return (value.__func__,)
        case property():
            return value.fget, value.fset
        case functools.partial():
            return value.func, value.args, value.keywords
        case functools._lru_cache_wrapper():
            return (value.__wrapped__,)
    return None


def _outer_names(code: CodeType) -> set[tuple[str, str]]:
    """The globals that a function and those inside it read, and the modules that they import."""
    names = {(step.opname, step.argval) for step in dis.get_instructions(code) if step.opname in _READS}
    return names.union(*(_outer_names(inner) for inner in code.co_consts if isinstance(inner, CodeType)))


def _named(module: str, name: str) -> str:
    """A thing of another module by name; with the version of its package, or the content of the user's own file.

    Python's and torch's own versions stay out, as they do for the package's parts.
    """
    top = module.partition(".")[0]
    return f"{module}:{name}" if top in sys.stdlib_module_names or top == "torch" else user_code.fingerprint(f"{module}:{name}", "live")


def _is_its_attributes(value: object) -> bool:
    classes = type(value).__mro__[:-1]
    return isinstance(getattr(value, "__dict__", None), Mapping) and all(kind.__flags__ & _HEAP_TYPE and "__slots__" not in vars(kind) for kind in classes)


def _token(value: object) -> str:
    return _tokens.setdefault(id(value), (value, secrets.token_hex(8)))[1]
