"""What a model of the user's returns, read as scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def scores_in(output: Any) -> Any:
    """The scores in what a model returns: its `logits` where it has them by attribute or by key, else the output itself.

    Args:
        output: a tensor, an object with `logits`, as models of Hugging Face return it, or a mapping with "logits".

    Example:
        >>> scores_in({"logits": [[0.5, 0.5]], "loss": None})
        [[0.5, 0.5]]
    """
    if isinstance(output, Mapping) and "logits" in output:
        return output["logits"]
    return getattr(output, "logits", output)
