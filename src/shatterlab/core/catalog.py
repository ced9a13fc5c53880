"""Catalog of all parts, read from syntax trees; builds a part from its description."""

from __future__ import annotations

import ast
import functools
import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from types import ModuleType
from typing import Any

from shatterlab.core.errors import InvalidPart, UnknownName
from shatterlab.core.part import Part
from shatterlab.core.user_code import load_file

KINDS = ("datasets", "corruptions", "augmentations", "architectures", "optimizers", "kernels", "learners", "measures")
_ROOT = Path(__file__).parent.parent
_outside: dict[str, type[Part]] = {}


@dataclass(frozen=True)
class Entry:
    """One public name of a kind, its module and the first line of its docstring."""

    name: str
    kind: str
    module: str
    summary: str
    is_part: bool


@functools.cache
def find(kind: str | None = None) -> Mapping[str, Entry]:
    """The public parts and constructors of a kind's folder (None: of all kinds) by name, in the order of the files.

    Nothing is imported: a class decorated as a dataclass is a part, a function named like a class is a
    shorthand for one (`TrueLabels`).

    Raises:
        UnknownName: there is no such kind.
    """
    if kind is None:
        return {name: entry for folder in KINDS for name, entry in find(folder).items()}
    if kind not in KINDS:
        raise UnknownName("catalog", kind, KINDS)
    files = sorted((_ROOT / kind).glob("[!_]*.py"))
    return {entry.name: entry for file in files for entry in _entries(file, kind)}


def _entries(file: Path, kind: str) -> Iterator[Entry]:
    for node in _tree(file).body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef) or not node.name[0].isupper():
            continue
        if isinstance(node, ast.ClassDef) and not (node.bases and any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)):
            continue
        summary = (ast.get_docstring(node) or "").partition("\n")[0]
        yield Entry(node.name, kind, f"shatterlab.{kind}.{file.stem}", summary, isinstance(node, ast.ClassDef))


@functools.cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_bytes())


def documentation(name: str) -> str:
    """Fields and docstring of a part of the package; nothing is imported, so the answer takes no second.

    Raises:
        UnknownName: the package has no part of that name.
    """
    if name not in find():
        raise UnknownName("catalog", name, find())
    node, module = _definition(name, find()[name].module)
    if isinstance(node, ast.FunctionDef):
        return f"{name}({ast.unparse(node.args)})\n\n{ast.get_docstring(node)}"
    fields = [text for _, text in sorted(_fields(node, module).values(), key=itemgetter(0))]
    return "\n".join([f"{name}(", *(f"    {text}," for text in fields), ")", "", str(ast.get_docstring(node))])


def _definition(name: str, module: str) -> tuple[Any, str]:
    """The syntax tree of a class or function that a module defines or imports, and the module that defines it."""
    path = _ROOT.joinpath(*module.split(".")[1:])
    body = _tree(path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).body
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return node, module
    imports = [node for node in body if isinstance(node, ast.ImportFrom) and {alias.name for alias in node.names} & {name, "*"}]
    return _definition(name, str(imports[0].module))


def _fields(node: ast.ClassDef, module: str) -> dict[str, tuple[bool, str]]:
    """The fields of a dataclass and its bases by name: whether keyword-only, and the text `name: type = default`."""
    fields: dict[str, tuple[bool, str]] = {}
    for base in map(ast.unparse, reversed(node.bases)):
        if base not in ("ABC", "Part"):
            fields |= _fields(*_definition(base, module))
    keyword_only = False
    for item in node.body:
        if not isinstance(item, ast.AnnAssign) or (annotation := ast.unparse(item.annotation)).startswith("ClassVar"):
            continue
        name, value, options = ast.unparse(item.target), item.value, dict[str | None, ast.expr]()
        if annotation == "KW_ONLY":
            keyword_only = True
        elif not (isinstance(value, ast.Call) and ast.unparse(value.func) == "fitted_field"):
            if isinstance(value, ast.Call) and ast.unparse(value.func) == "field":
                options = {option.arg: option.value for option in value.keywords}
                value = options.get("default", options.get("default_factory"))
            fields[name] = keyword_only or "kw_only" in options, f"{name}: {annotation}" + (f" = {ast.unparse(value)}" if value else "")
    return fields


def get(name: str) -> Any:
    """The class or constructor of that name, from the package or a loaded outside file.

    Raises:
        UnknownName: there is none; the text offers the nearest names.
    """
    if name in _outside:
        return _outside[name]
    entry = find().get(name)
    if entry is None:
        raise UnknownName("catalog", name, [*find(), *_outside])
    return getattr(importlib.import_module(entry.module), name)


def build(description: Any) -> Part:
    """The part of a description: the inverse of `Part.describe`.

    Raises:
        UnknownName: no part or field has that name.
        InvalidPart: a field is out of range, or the description is not a mapping with a `kind`.
    """
    if not isinstance(description, Mapping) or not isinstance(description.get("kind"), str):
        raise InvalidPart(f'catalog: a description is a mapping with a "kind", got {description!r}')
    constructor = get(description["kind"])
    plain: set[str] = set()
    if isinstance(constructor, type) and issubclass(constructor, Part):
        known = [item.name for item in constructor.configuration()]
        for name in description:
            if name not in (*known, "kind"):
                raise UnknownName(constructor.__name__, name, known)
        plain = constructor.mappings()
    arguments = {name: value if name in plain else _built(value) for name, value in description.items() if name != "kind"}
    try:
        part = constructor(**arguments)
    except TypeError as problem:
        raise InvalidPart(f"{description['kind']}: {problem}. Known fields: `shatterlab show {description['kind']}`.") from problem
    assert isinstance(part, Part)
    return part


def _built(value: Any) -> Any:
    if isinstance(value, Mapping) and "kind" in value:
        return build(value)
    if isinstance(value, list | tuple):
        return [_built(inner) for inner in value]
    return value


def load(path: Path | str) -> ModuleType:
    """Imports an outside file and adds its parts to the catalog.

    Raises:
        InvalidPart: no such file, or one of its parts takes a name of the package.
        UserCodeError: the file fails while it is imported.
    """
    module = load_file(Path(path))
    for value in list(vars(module).values()):
        if isinstance(value, type) and issubclass(value, Part) and value.__module__ == module.__name__:
            if value.__name__ in find():
                raise InvalidPart(f"{Path(path).name}: a name of its own is required for {value.__name__}, which shatterlab already has. Rename the class.")
            value.outside_fingerprint = module.__name__.rpartition("_")[2]
            _outside[value.__name__] = value
    return module


def outside_files(part: Part) -> list[str]:
    """The outside files that another process must load to build this part."""
    modules = {type(inner).__module__ for inner in part.parts() if type(inner).outside_fingerprint}
    return sorted(str(importlib.import_module(module).__file__) for module in modules)
