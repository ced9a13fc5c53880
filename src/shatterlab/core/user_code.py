"""Code outside the package: a user's factory, recipe, estimator or file of parts."""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import importlib
import importlib.metadata
import importlib.util
import sys
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from shatterlab.core.errors import InvalidPart, ShatterlabError, UnknownName, UserCodeError

_PACKAGE = str(Path(__file__).parent.parent)


@contextlib.contextmanager
def user_code(owner: str) -> Iterator[None]:
    """Turns any exception of user code into a UserCodeError with the frames of the user's code only."""
    try:
        yield
    except ShatterlabError:
        raise
    except (Exception, SystemExit) as problem:
        frames = traceback.extract_tb(problem.__traceback__)
        ours = [i for i, frame in enumerate(frames) if frame.filename.startswith((_PACKAGE, "<frozen", "<@beartype"))]
        theirs = frames[ours[-1] + 1 :] if ours else frames
        lines = traceback.format_list(theirs) + traceback.format_exception_only(problem)
        summary = f"{type(problem).__name__}: {str(problem).strip()}".partition("\n")[0]
        raise UserCodeError(f"{owner} failed with {summary}", "".join(lines)) from problem


def load_file(path: Path) -> ModuleType:
    """Imports a .py file under a name derived from its content, once a process, so that workers agree on it.

    Raises:
        InvalidPart: there is no such file.
        UserCodeError: the file fails while it is imported.
    """
    path = Path(path).resolve()
    if not path.is_file():
        raise InvalidPart(f"{path.name}: a Python file is required, nothing is at {path}. Check the path.")
    name = f"shatterlab_outside_{path.stem}_{hashlib.sha256(str(path).encode() + path.read_bytes()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # a .py path always has a loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    with _importable(path.parent):
        try:
            with user_code(str(path.name)):
                spec.loader.exec_module(module)
        except ShatterlabError:
            del sys.modules[name]
            raise
    return module


def resolve(reference: str, owner: str) -> Any:
    """The object behind "module:name" or "path/to/file.py:name"; modules in the working directory count.

    Raises:
        InvalidPart: the reference has no colon, or its module cannot be found.
        UnknownName: the module has no such name; the text lists the nearest.
        UserCodeError: the module fails while it is imported.
    """
    place, name = _split(reference, owner)
    if place.endswith(".py"):
        module = load_file(Path(place))
    else:
        with _importable(Path.cwd()), user_code(f"{owner}: importing {place}"):
            if _find(place) is None:
                remedy = f"Run where {place} can be imported, or give path/to/file.py:{name}."
                raise InvalidPart(f"{owner}: an importable module is required, got {place!r}. {remedy}")
            module = importlib.import_module(place)
    _require_unchanged(reference, module, owner)
    value: Any = module
    for step in name.split("."):
        if not hasattr(value, step):
            raise UnknownName(f"{owner}: {place}", name, [known for known in vars(module) if not known.startswith("_")])
        value = getattr(value, step)
    return value


def fingerprint(reference: str, owner: str) -> str:
    """A fingerprint of the code behind a reference.

    For an installed package: its name and version. For the user's own file: sha256 over that file and every
    file beside it (same folder or below) that it imports, directly or not, so an edited layer changes the key.
    """
    place, name = _split(reference, owner)
    path = Path(place).resolve() if place.endswith(".py") else _origin(place)
    if path is None:
        return f"{place}:{name}@{_version(place)}"
    if not path.is_file():
        raise InvalidPart(f"{owner}: a Python file is required, nothing is at {path}. Check the path.")
    return f"{name}@{_digest(path)}"


_imported: dict[ModuleType, str] = {}


def _require_unchanged(reference: str, module: ModuleType, owner: str) -> None:
    """Refuses a file that was edited after its import: the old code would run under the new fingerprint."""
    now = fingerprint(reference, owner).rpartition("@")[2]
    if _imported.setdefault(module, now) != now:
        place = reference.rpartition(":")[0]
        raise InvalidPart(f"{owner}: code that stays as it was imported is required, {place} or a file that it imports has changed. Restart Python.")


def _split(reference: str, owner: str) -> tuple[str, str]:
    place, colon, name = reference.rpartition(":")
    if not colon or not place or not name:
        raise InvalidPart(f'{owner}: "module:name" or "path/to/file.py:name" is required, got {reference!r}')
    return place, name


def _find(place: str) -> Any:
    try:
        return importlib.util.find_spec(place)
    except ModuleNotFoundError:
        return None


_digests: dict[Path, tuple[dict[Path, tuple[int, int]], str]] = {}


def _digest(path: Path) -> str:
    """sha256 over a file and the local files that it imports; cached until one of them changes."""
    known, digest = _digests.get(path, ({}, ""))
    if not known or known != _stamps(known):
        sources = _local_sources(path)
        digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
        _digests[path] = _stamps(sources), digest
    return digest


def _stamps(paths: Iterable[Path]) -> dict[Path, tuple[int, int]]:
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in paths if path.is_file()}


def _origin(place: str) -> Path | None:
    """The source file of a module of the user's own; None for an installed or a built-in one."""
    with _importable(Path.cwd()):
        spec = _find(place)
    return _own_file(spec)


def _own_file(spec: Any) -> Path | None:
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return None
    path = Path(spec.origin).resolve()
    installed = "site-packages" in path.parts or path.is_relative_to(Path(sys.base_prefix).resolve())
    return None if installed else path


def is_own(module: ModuleType) -> bool:
    """Whether a module was imported from a file of the user's own, neither installed nor of this package."""
    path = _own_file(module.__spec__)
    return path is not None and not path.is_relative_to(_PACKAGE)


@functools.cache  # reading the list of installed packages takes 0.2 s, and every key of an estimator needs it
def _version(place: str) -> str:
    top = place.partition(".")[0]
    names = importlib.metadata.packages_distributions().get(top, [])
    return importlib.metadata.version(names[0]) if names else sys.version.split()[0]


@contextlib.contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Puts the folder first on sys.path while a user's module is imported, as `python file.py` does."""
    entry = str(folder)
    sys.path.insert(0, entry)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(entry)


def _local_sources(path: Path) -> list[Path]:
    """The file and the files below its folder that it imports, in a fixed order."""
    root, visited, todo = path.parent, set[Path](), [path]
    while todo:
        current = todo.pop()
        if current in visited:
            continue
        visited.add(current)
        try:
            tree = ast.parse(current.read_bytes())
        except (SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                module = node.module or ""
                names = [module, *(f"{module}.{alias.name}".lstrip(".") for alias in node.names)]
            for base in {root, current.parent}:
                for name in filter(None, names):
                    target = base.joinpath(*name.split("."))
                    todo += [file for file in (target.with_suffix(".py"), target / "__init__.py") if file.is_file()]
    return sorted(visited)
