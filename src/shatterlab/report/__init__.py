"""The report of an experiment: one self-contained HTML file, Markdown, JSON, or text for a terminal."""

from __future__ import annotations

from shatterlab.report.data import json_report
from shatterlab.report.files import export_rows, save_figures, write
from shatterlab.report.markdown import markdown_report
from shatterlab.report.page import notebook, render
from shatterlab.report.sections import text_report

__all__ = ["export_rows", "json_report", "markdown_report", "notebook", "render", "save_figures", "text_report", "write"]
