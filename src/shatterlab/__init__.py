"""How much of what a model shows on its training data is learning, and how much is memory?"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "ablation": ("Ablation", "Factor"),
    "core": ("Architecture", "Augmentation", "Corruption", "Dataset", "Examples", "Fit", "Kernel", "LabelCorruption", "Learner",
             "Measure", "Optimizer", "Part", "PixelCorruption", "Progress", "Row", "Runtime", "Seeds", "Splits", "random_bits", "stratified"),
    "classifiers": ("KernelInterpolator",),
    "errors": ("DataError", "InvalidPart", "LawBroken", "NotApplicable", "ShatterlabError", "StoreError", "UnknownName", "UserCodeError"),
    "trial": ("Trial", "run"),
    "store": ("Store",),
    "experiment": ("Claim", "Experiment", "Scale", "grid"),
    "views": (
        "Beside", "Curve", "Effect", "Effects", "FitProbability", "Histogram", "LearningCurves", "LedgerSummary", "LedgerTable", "Line", "Order",
        "Quantity", "Scatter", "Several", "Table",
    ),
    "kernels._tangent": ("tangent_gram",),
    "experiments._complete": ("complete",),
    "experiments.audit": ("Audit", "audit"),
    "experiments.capacity": ("Capacity", "capacity"),
    "experiments.ledger": ("Ledger", "ledger"),
}  # fmt: skip
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Public names are imported when they are first used, so that `import shatterlab` costs milliseconds."""
    if name in _HOME:
        return getattr(importlib.import_module(f"shatterlab.{_HOME[name]}"), name)
    if not name.startswith("_"):
        from shatterlab.catalog import find, get

        if name in find():
            return get(name)
    raise AttributeError(f"module 'shatterlab' has no attribute {name!r}")


def __dir__() -> list[str]:
    from shatterlab.catalog import find

    return sorted([*_HOME, *find(), "__version__"])
