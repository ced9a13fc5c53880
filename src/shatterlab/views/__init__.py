"""Rows drawn: tables, curves, scatter plots, histograms; every view is a pure function of rows."""

from __future__ import annotations

from shatterlab.analysis.comparisons import Effect
from shatterlab.analysis.ledger import Quantity
from shatterlab.analysis.naming import model, setting
from shatterlab.views.arrays import ArrayCurves, Histogram
from shatterlab.views.curve import Curve, FitProbability
from shatterlab.views.learning import LearningCurves
from shatterlab.views.memorization import MemorizationHistogram, MostMemorized
from shatterlab.views.ranking_table import RankingTable
from shatterlab.views.scatter import Scatter
from shatterlab.views.tables import ComparisonTable, Effects, JudgedMeasures, LedgerSummary, LedgerTable, PublishedLine, RademacherTable, Table
from shatterlab.views.true_and_permuted import TrueAndPermuted
from shatterlab.views.view import Grid, View

__all__ = [
    "ArrayCurves", "ComparisonTable", "Curve", "Effect", "Effects", "FitProbability", "Grid", "Histogram", "JudgedMeasures", "LearningCurves",
    "LedgerSummary", "LedgerTable", "MemorizationHistogram", "MostMemorized", "PublishedLine", "Quantity", "RademacherTable", "RankingTable", "Scatter",
    "Table", "TrueAndPermuted", "View", "model", "setting",
]  # fmt: skip
