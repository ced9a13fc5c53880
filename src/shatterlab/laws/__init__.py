"""Laws that every part of a kind must satisfy; each is a function whose docstring states it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

from shatterlab.core import Architecture, Augmentation, Corruption, Dataset, Kernel, Learner, Measure, Optimizer, catalog
from shatterlab.core.errors import InvalidPart, LawBroken, NotApplicable, ShatterlabError, UnknownName
from shatterlab.core.part import Part
from shatterlab.laws import architectures, augmentations, corruptions, datasets, kernels, learners, measures, optimizers, parts
from shatterlab.laws.law import Finding, Law, words

__all__ = ["Finding", "Law", "check", "check_all", "check_named", "laws", "words"]

_OF_A_KIND: dict[str, tuple[type[Part], tuple[Law, ...]]] = {
    "datasets": (Dataset, datasets.LAWS),
    "corruptions": (Corruption, corruptions.LAWS),
    "augmentations": (Augmentation, augmentations.LAWS),
    "architectures": (Architecture, architectures.LAWS),
    "optimizers": (Optimizer, optimizers.LAWS),
    "kernels": (Kernel, kernels.LAWS),
    "learners": (Learner, learners.LAWS),
    "measures": (Measure, measures.LAWS),
}


def laws(of: str | Part | type[Part]) -> tuple[Law, ...]:
    """The laws of a kind ("corruptions", ...), or of the kind that a part or its class belongs to.

    Those of all parts come first. A part of no kind has only these.

    Raises:
        UnknownName: there is no such kind.
    """
    if isinstance(of, str):
        if of not in _OF_A_KIND:
            raise UnknownName("laws", of, _OF_A_KIND)
        return parts.LAWS + _OF_A_KIND[of][1]
    cls = of if isinstance(of, type) else type(of)
    own = next((own_laws for kind, own_laws in _OF_A_KIND.values() if issubclass(cls, kind)), ())
    return parts.LAWS + own


def check(part: Part) -> list[Finding]:
    """Tries every law of its kind on a part; an exception of a law or the part becomes a finding.

    Returns:
        One finding a law, in order. A law that does not concern this part has passed, with the reason as its text.
    """
    return [_tried(law, part) for law in laws(part)]


def check_all(file: Path | str | None = None) -> Iterator[tuple[str, list[Finding]]]:
    """Tries the laws on every specimen of every part, of an outside file or (None) of the package.

    Yields:
        A specimen in words, `PartialLabels(level=0.3)`, and one finding a law.

    Raises:
        InvalidPart: there is no such file, or it defines no part.
        UserCodeError: the file fails while it is imported.
    """
    for cls in _outside_parts(file) if file is not None else [catalog.get(name) for name, entry in catalog.find().items() if entry.is_part]:
        yield from _check_class(cls, required=file is not None)


def check_named(name: str) -> Iterator[tuple[str, list[Finding]]]:
    """Tries the laws on every specimen of one part, which takes seconds where all parts take minutes.

    Args:
        name: a name of the catalog; a shorthand (`RandomLabels`) checks the part that it stands for.

    Yields:
        A specimen in words, `PartialLabels(level=0.3)`, and one finding a law.

    Raises:
        UnknownName: the catalog does not know the name.
        NotApplicable: the part reads files of the user, so there is nothing to try it on.
    """
    part = catalog.get(name)
    if not isinstance(part, type):
        instance = part()
        yield _label(instance), check(instance)
        return
    results = list(_check_class(part, required=False))
    if not results:
        raise NotApplicable(f"{name}: a specimen is required, got none: it reads files of yours. Its laws are tried by the tests.")
    yield from results


def _check_class(cls: type[Part], required: bool) -> Iterator[tuple[str, list[Finding]]]:
    try:
        specimens = cls.specimens()
    except Exception as problem:  # a field without default, or an error in the user's code
        got = f"{type(problem).__name__}: {problem}".partition("\n")[0]
        yield cls.__name__, [_no_specimens(cls, got)]
        return
    if not specimens and required:
        yield cls.__name__, [_no_specimens(cls, "none")]
    for part in specimens:
        yield _label(part), check(part)


def _outside_parts(file: Path | str) -> list[type[Part]]:
    module = catalog.load(file)
    parts = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, Part) and value.__module__ == module.__name__]
    if not parts:
        raise InvalidPart(f"{Path(file).name}: at least one part is required, it defines none. Derive a frozen dataclass from a kind of shatterlab.")
    return [part for part in parts if not inspect.isabstract(part)]


def _no_specimens(cls: type[Part], got: str) -> Finding:
    text = f"{cls.__name__}: specimens() gives instances for the laws to try, got {got}. Override it where a field has no default."
    return Finding("There are specimens to try", False, text)


def _label(part: Part) -> str:
    fields = {name: value["kind"] if isinstance(value, dict) and "kind" in value else repr(value) for name, value in part.describe().items()}
    return f"{part.kind}({', '.join(f'{name}={text}' for name, text in fields.items() if name != 'kind')})"


def _tried(law: Law, part: Part) -> Finding:
    try:
        law(part)
    except NotApplicable as reason:
        return Finding(words(law), True, str(reason))
    except LawBroken as broken:
        return Finding(words(law), False, str(broken))
    except ShatterlabError as problem:
        return Finding(words(law), False, f"{part.kind}: {words(law)} is a law, got {type(problem).__name__}: {problem}")
    except Exception as problem:  # code of a part: its exception breaks the law, not the check
        first = f"{type(problem).__name__}: {problem}".partition("\n")[0]
        return Finding(words(law), False, f"{part.kind}: {words(law)} is a law, got {first}. Correct the part.")
    return Finding(words(law), True, "")
