"""Pickles of arrays and plain containers, read by an interpreter that can do nothing else: it calls nothing that a file names."""

from __future__ import annotations

import pickletools
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shatterlab.core.errors import DataError

_MARK = object()
_NUMBERS = re.compile(r"[<>|=]?[biuf][1248]")  # dtypes of plain numbers; an array of objects would hold addresses that the file chose
_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": (), "MARK": _MARK}
_CONTAINERS: dict[str, type[list[Any] | tuple[Any, ...] | dict[Any, Any]]] = {"LIST": list, "TUPLE": tuple, "EMPTY_LIST": list, "EMPTY_DICT": dict}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_TEXTS = ("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8")
_PYTHON2_STRINGS = ("STRING", "BINSTRING", "SHORT_BINSTRING")  # arrive as bytes
_VALUES = (*_TEXTS, "INT", "BININT", "BININT1", "BININT2", "LONG1", "FLOAT", "BINFLOAT", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8")
_GLOBALS = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),  # how protocol 2 holds bytes
}


@dataclass(eq=False)
class _Global:
    module: str
    name: str


@dataclass(eq=False)
class _Type:
    code: str


@dataclass(eq=False)
class _Array:
    values: np.ndarray[Any, Any] | None = None


def read_pickle(path: Path, owner: str) -> Any:
    """What a pickle of numpy arrays and plain containers holds; text of Python 2 arrives as bytes.

    Args:
        path: the file.
        owner: name used in errors.

    Raises:
        DataError: the pickle names anything but what rebuilds an array of numbers (nothing of it is run), or it is damaged.
    """
    return _read(path, owner, Path.read_bytes, "pickle")


def read_torch_file(path: Path, owner: str) -> Any:
    """What a file of `torch.save` holds where that is numpy arrays and plain containers; torch's own loader is not used.

    Args:
        path: the file: a zip archive with one member "NAME/data.pkl", which torch stores unpacked.
        owner: name used in errors.

    Raises:
        DataError: as `read_pickle`; also where the file is no such archive, or holds tensors.
    """
    return _read(path, owner, _stored_pickle, "file of torch.save")


def _read(path: Path, owner: str, content: Callable[[Path], bytes], what: str) -> Any:
    try:
        return _Reader(path, owner).read(content(path))
    except DataError:
        raise
    except Exception as problem:  # a damaged pickle or archive can fail in any way that its bytes can
        reason = f"{type(problem).__name__}: {problem}"[:200]
        raise DataError(f"{owner}: a whole {what} is required, got {reason} at {path}. Delete it and get it again.") from problem


def _stored_pickle(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        [member] = [item for item in archive.infolist() if re.fullmatch(r"[^/]+/data\.pkl", item.filename)]
        if member.compress_type != zipfile.ZIP_STORED or member.file_size > path.stat().st_size:
            raise ValueError("a packed member, or one larger than the file")
        return archive.read(member)


class _Reader:
    """A stack machine: what it allocates is bounded by the size of the file, since the memo is a dictionary and nothing nests."""

    def __init__(self, path: Path, owner: str) -> None:
        self.path, self.owner = path, owner
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.room = 0  # bytes that texts may still be copied into

    def read(self, content: bytes) -> Any:
        self.room = len(content)
        for opcode, argument, _ in pickletools.genops(content):
            if opcode.name == "STOP":
                [value] = self.stack
                return _plain(value)
            self._do(opcode.name, argument)
        raise EOFError("no end")

    def _do(self, name: str, argument: Any) -> None:
        if name in _VALUES:
            self.stack.append(argument)
        elif name in _PYTHON2_STRINGS:
            self.stack.append(argument.encode("latin1"))
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _CONTAINERS:
            self.stack.append(_CONTAINERS[name](() if name.startswith("EMPTY") else self._since_mark()))
        elif name in _TUPLES:
            count = _TUPLES[name]
            self.stack[-count:] = [tuple(self.stack[-count:])]
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self.memo[argument] = self.stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[argument])
        elif name in ("GLOBAL", "INST"):
            self._global(*argument.split(" ", 1))
        elif name not in ("PROTO", "FRAME"):
            action: Callable[[], None] | None = getattr(self, f"_{name.lower()}", None)
            if action is None:
                raise ValueError(f"the opcode {name}, which no pickle of arrays needs")
            action()

    def _global(self, module: str, name: str) -> None:
        if (module, name) not in _GLOBALS:
            raise DataError(
                f"{self.owner}: a pickle of arrays and plain containers is required, got one that names {f'{module}.{name}'[:200]} at {self.path}. "
                "It could run code, so nothing of it was run: delete it and get it again from the data set's own page."
            )
        self.stack.append(_Global(module, name))

    def _stack_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self._global(str(module), str(name))

    def _memoize(self) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _since_mark(self) -> list[Any]:
        place = len(self.stack) - 1 - next(i for i, value in enumerate(reversed(self.stack)) if value is _MARK)
        values = self.stack[place + 1 :]
        del self.stack[place:]
        return values

    def _dict(self) -> None:
        self.stack.append(dict(_in_pairs(self._since_mark())))

    def _append(self) -> None:
        value = self.stack.pop()
        _expect(self.stack[-1], list).append(value)

    def _appends(self) -> None:
        values = self._since_mark()
        _expect(self.stack[-1], list).extend(values)

    def _setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        _expect(self.stack[-1], dict).update(_in_pairs([key, value]))

    def _setitems(self) -> None:
        values = self._since_mark()
        _expect(self.stack[-1], dict).update(_in_pairs(values))

    def _reduce(self) -> None:
        arguments, function = self.stack.pop(), _expect(self.stack.pop(), _Global)
        match function.name, arguments:
            case "_reconstruct", (_Global(), tuple(), _):
                self.stack.append(_Array())
            case "dtype", (str() | bytes() as code, *_):
                self.stack.append(_Type(code if isinstance(code, str) else code.decode("ascii")))
            case "encode", (str() as text, str() | bytes()):
                self.room -= len(text)
                if self.room < 0:
                    raise ValueError("texts that would be copied into more bytes than the file has")
                self.stack.append(text.encode("latin1"))
            case _:
                raise ValueError(f"a call of {function.module}.{function.name} that rebuilds no array")

    def _build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        match target, state:
            case _Type(), (_, str() | bytes() as order, *_):
                order = order if isinstance(order, str) else order.decode("ascii")
                if len(order + target.code) > 8:
                    raise ValueError("a dtype that is none of numbers")
                target.code = f"{order}{target.code}"
            case _Array(), (_, tuple() as shape, _Type() as kind, fortran, bytes() as data):
                if not _NUMBERS.fullmatch(kind.code):
                    raise ValueError(f"an array of dtype {kind.code!r}, numbers are required")
                target.values = np.frombuffer(data, kind.code).reshape(shape, order="F" if fortran else "C")
            case _:
                raise ValueError("a state that belongs to no array")


def _plain(value: Any) -> Any:
    pending, visited = [value], set()
    while pending:
        container = pending.pop()
        if not isinstance(container, list | dict) or id(container) in visited:
            continue
        visited.add(id(container))
        for key, inner in container.items() if isinstance(container, dict) else enumerate(container):
            if isinstance(inner, _Array):
                container[key] = inner.values
            pending.append(inner)
    return value.values if isinstance(value, _Array) else value


def _in_pairs(values: list[Any]) -> Iterator[tuple[Any, Any]]:
    if not all(isinstance(key, str | bytes | int) for key in values[::2]):  # the hash of a tuple in a million tuples ends the process
        raise TypeError("a key that is neither text nor a whole number")
    return zip(values[::2], values[1::2], strict=True)


def _expect(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{kind.__name__} expected, got {type(value).__name__}")
    return value
