"""The report of an experiment: one self-contained HTML file, or text for a terminal."""

from __future__ import annotations

from shatterlab.report.figures import save_figures
from shatterlab.report.files import write
from shatterlab.report.page import render
from shatterlab.report.terminal import text_report

__all__ = ["render", "save_figures", "text_report", "write"]
