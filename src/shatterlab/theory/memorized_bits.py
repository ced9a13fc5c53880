"""How many bits of random labels a model holds."""

from __future__ import annotations

import math

import numpy as np

from shatterlab.core.errors import DataError
from shatterlab.statistics.intervals import Values


def memorized_bits(log_likelihoods: Values, classes: int) -> float:
    """Bits of uniformly random labels that a model saves its reader: n log2 k less the code length under its probabilities.

    The labels alone take n log2 k bits; whoever has the model needs only sum_i -log2 p(y_i | x_i). The rest is what the model holds of
    them. It is n log2 k for a model that is certain of every label, 0 for one that knows nothing, negative for one that
    is sure and wrong, and -inf where a label has probability 0.

    Args:
        log_likelihoods: ln p(y_i | x_i) of each label, <= 0; -inf is allowed.
        classes: k, >= 2.

    Returns:
        Bits, at most n log2 k.

    Raises:
        DataError: there is no label, one has NaN or a probability above 1, or there are fewer than two classes.

    Source:
        Morris et al. 2025 (the quantity, for language models).

    Example:
        >>> memorized_bits([0.0] * 8, 4)  # eight labels of two bits each, all known
        16.0
    """
    logs = np.asarray(log_likelihoods, dtype=np.float64)
    if logs.ndim != 1 or len(logs) == 0 or classes < 2:
        raise DataError(f"memorized_bits: at least one label and two classes are required, got {logs.size} and {classes}. Pass one value a label.")
    if np.isnan(logs).any() or logs.max() > 1e-6:  # log-softmax in float32 may exceed 0 by its rounding
        raise DataError(f"memorized_bits: logarithms of probabilities are required, all <= 0, got {logs.max()}. Normalize the scores.")
    return float(len(logs) * math.log2(classes) + np.minimum(logs, 0).sum() / math.log(2))
