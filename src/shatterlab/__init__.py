"""How much of what a model shows on its training data is learning, and how much is memory?"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "design.ablation": ("Ablation", "Factor"),
    "core": ("Architecture", "Augmentation", "Corruption", "Dataset", "Examples", "Fit", "Kernel", "LabelCorruption", "Learner",
             "Measure", "Optimizer", "Part", "PixelCorruption", "Progress", "Row", "Runtime", "Seeds", "Splits", "random_bits", "stratified"),
    "sklearn": ("KernelInterpolator",),
    "core.errors": ("DataError", "InvalidPart", "LawBroken", "NotApplicable", "ShatterlabError", "StoreError", "UnknownName", "UserCodeError"),
    "trials.trial": ("Trial", "run"),
    "store.database": ("Store",),
    "design.claims": ("Claim", "difference", "every", "mean", "ratio"),
    "design.experiment": ("Experiment", "Scale", "grid"),
    "views": (
        "ComparisonTable", "Curve", "Effect", "Effects", "FitProbability", "Histogram", "LearningCurves", "LedgerSummary", "LedgerTable",
        "MemorizationHistogram", "MostMemorized", "PublishedLine",
        "Quantity", "RademacherTable", "RankingTable", "Scatter", "Table",
    ),
    "kernels.empirical_tangent": ("tangent_gram",),
    "studies.run": ("complete",),
    "analysis.data_findings": ("DataFinding",),
    "studies.data_findings": ("data_findings",),
    "design.preregistration": ("Frozen", "freeze"),
    "studies.audit": ("Audit", "audit"),
    "studies.gate": ("gate",),
    "studies.capacity": ("Capacity", "capacity"),
    "studies.ledger": ("Ledger", "ledger"),
    "studies.memorization": ("Memorization", "memorization"),
    "studies.significance": ("Significance", "significance"),
    "studies.suspicious": ("Suspicious", "suspicious"),
}  # fmt: skip
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Public names are imported when they are first used, so that `import shatterlab` costs milliseconds."""
    if name == "catalog":
        return importlib.import_module("shatterlab.core.catalog")
    if name in _HOME:
        return getattr(importlib.import_module(f"shatterlab.{_HOME[name]}"), name)
    if not name.startswith("_"):
        from shatterlab.core.catalog import find, get

        if name in find():
            return get(name)
    raise AttributeError(f"module 'shatterlab' has no attribute {name!r}")


def __dir__() -> list[str]:
    from shatterlab.core.catalog import find

    return sorted([*_HOME, *find(), "catalog", "__version__"])
