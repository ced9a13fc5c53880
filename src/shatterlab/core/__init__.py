"""Read this first: the kinds of part, the values that travel between them, parts as values, seeds, the catalog and errors."""

from __future__ import annotations

from shatterlab.core.kinds import *  # noqa: F403 (kinds says in __all__ what is public)
from shatterlab.core.kinds import __all__ as __all__
