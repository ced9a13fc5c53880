"""Writes src/shatterlab/__init__.pyi: every public name, imported from the module that defines it, so that type checkers know it."""

from __future__ import annotations

from pathlib import Path

import shatterlab as sl

HEADER = '"""The public names with their types. Generated: `make face` (or `python tools/public_face.py`) writes it again."""'


def stub() -> str:
    """The text of the stub: one import for each name of `dir(shatterlab)`."""
    homes = {name: getattr(sl, name).__module__ for name in dir(sl) if name not in ("catalog", "__version__")} | {"catalog": "shatterlab.core"}
    lines = sorted(f"from {module} import {name} as {name}" for name, module in homes.items())
    return "\n".join([HEADER, "", *lines, "", "__version__: str", ""])


if __name__ == "__main__":
    Path(sl.__file__).with_suffix(".pyi").write_text(stub())
