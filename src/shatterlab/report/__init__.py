"""The report of an experiment: one self-contained HTML file, or text for a terminal."""

from __future__ import annotations

from shatterlab.report.files import export_rows, save_figures, write
from shatterlab.report.page import render
from shatterlab.report.sections import text_report

__all__ = ["export_rows", "render", "save_figures", "text_report", "write"]
