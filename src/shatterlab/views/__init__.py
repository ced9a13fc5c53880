"""Rows -> text, figure, grid: everything here is a pure function of rows."""

from __future__ import annotations

from shatterlab.analysis.naming import model, setting
from shatterlab.views.array_curves import ArrayCurves
from shatterlab.views.comparison_table import ComparisonTable, PublishedLine
from shatterlab.views.curve import Curve
from shatterlab.views.effects import Effect, Effects
from shatterlab.views.fit_probability import FitProbability
from shatterlab.views.grid import Grid, View
from shatterlab.views.histogram import Histogram
from shatterlab.views.judged_measures import JudgedMeasures
from shatterlab.views.learning import LearningCurves
from shatterlab.views.ledger_table import LedgerSummary, LedgerTable, Quantity
from shatterlab.views.rademacher_table import RademacherTable
from shatterlab.views.ranking_table import RankingTable
from shatterlab.views.scatter import Scatter
from shatterlab.views.table import Table

__all__ = [
    "ArrayCurves", "ComparisonTable", "Curve", "Effect", "Effects", "FitProbability", "Grid", "Histogram", "JudgedMeasures", "LearningCurves",
    "LedgerSummary", "LedgerTable", "PublishedLine", "Quantity", "RademacherTable", "RankingTable", "Scatter", "Table", "View", "model", "setting",
]  # fmt: skip
