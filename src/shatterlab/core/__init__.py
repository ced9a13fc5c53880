"""Read this first: `kinds` has the kinds of part, `values` what travels between them; both are named here."""

from __future__ import annotations

from shatterlab.core.kinds import *  # noqa: F403 (kinds says in __all__ what is public)
from shatterlab.core.kinds import __all__ as __all__
