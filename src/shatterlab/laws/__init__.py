"""What every part of a kind must satisfy, each law a function that says in words what it demands."""

from __future__ import annotations

from shatterlab.core import Architecture, Corruption, Dataset, Learner, Measure, Optimizer
from shatterlab.errors import LawBroken, NotApplicable, ShatterlabError, UnknownName
from shatterlab.laws import architectures, corruptions, datasets, learners, measures, optimizers, parts
from shatterlab.laws.law import Finding, Law, words
from shatterlab.part import Part

__all__ = ["Finding", "Law", "check", "laws", "words"]

_OF_A_KIND: dict[str, tuple[type[Part], tuple[Law, ...]]] = {
    "datasets": (Dataset, datasets.LAWS),
    "corruptions": (Corruption, corruptions.LAWS),
    "architectures": (Architecture, architectures.LAWS),
    "optimizers": (Optimizer, optimizers.LAWS),
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
    own = next((found for kind, found in _OF_A_KIND.values() if issubclass(cls, kind)), ())
    return parts.LAWS + own


def check(part: Part) -> list[Finding]:
    """Tries every law of its kind on a part; whatever a law or the part raises becomes a finding.

    Returns:
        One finding a law, in order. A law that does not concern this part has passed, with the reason as its text.
    """
    return [_tried(law, part) for law in laws(part)]


def _tried(law: Law, part: Part) -> Finding:
    try:
        law(part)
    except NotApplicable as reason:
        return Finding(words(law), True, str(reason))
    except LawBroken as broken:
        return Finding(words(law), False, str(broken))
    except ShatterlabError as problem:
        return Finding(words(law), False, f"{part.kind}: {words(law)} is a law, got {type(problem).__name__}: {problem}")
    except Exception as problem:  # a part is somebody's code: what it raises breaks the law, not the check
        first = f"{type(problem).__name__}: {problem}".partition("\n")[0]
        return Finding(words(law), False, f"{part.kind}: {words(law)} is a law, got {first}. Mend the part.")
    return Finding(words(law), True, "")
