"""Errors of the package, each one sentence: owner, what is required, what it got, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def printable(text: str) -> str:
    r"""The text with backslash escapes for what a line cannot show: control characters, and bytes of a file name that are no UTF-8.

    Example:
        >>> print(printable("caf\udce9\n"))
        caf\udce9\n
    """
    return text if text.isprintable() else "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


class ShatterlabError(Exception):
    """Base class of the errors of this package; the text addresses the user, in one line: what a terminal cannot print becomes a backslash escape."""

    exit_code = 2

    def __init__(self, message: str = "") -> None:
        super().__init__(printable(message))


class InvalidPart(ShatterlabError, ValueError):
    """A field of a part is outside its range or of the wrong type."""


class UnknownName(ShatterlabError, LookupError):
    """An unknown name; the text lists the nearest known ones."""

    def __init__(self, owner: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        lowered = dict.fromkeys(candidate.lower() for candidate in names)
        matches = difflib.get_close_matches(name.lower(), lowered, n=3, cutoff=0.5)
        close = [candidate for match in matches for candidate in names if candidate.lower() == match]
        hint = f"Did you mean {', '.join(close)}?" if close else f"Known: {', '.join(names)}."
        super().__init__(f"{owner}: a known name is required, got {name!r}. {hint}")


class DataError(ShatterlabError, ValueError):
    """Data is missing, damaged or in an unusable form."""

    exit_code = 3


class StoreError(ShatterlabError):
    """A results database cannot be opened, read or written."""

    exit_code = 4


class UserCodeError(ShatterlabError):
    """A user's factory, recipe, estimator or module failed; `trace` holds its own frames only."""

    exit_code = 5

    def __init__(self, message: str, trace: str = "") -> None:
        super().__init__(message)
        self.trace = trace

    def __reduce__(self) -> tuple[type[UserCodeError], tuple[str, str]]:
        return UserCodeError, (str(self), self.trace)


class NotApplicable(ShatterlabError):
    """A measure cannot be computed for this fit; the text is the reason shown in the empty cell."""


class LawBroken(ShatterlabError, AssertionError):
    """A part violates a law of its kind; the text names the law, what it demands and what the part did."""

    exit_code = 1
