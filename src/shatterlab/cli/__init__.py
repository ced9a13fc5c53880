"""The command line: commands, their options, output at the terminal."""

from __future__ import annotations

from shatterlab.cli.commands import app, main

__all__ = ["app", "main"]
