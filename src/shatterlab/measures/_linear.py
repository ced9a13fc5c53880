"""Reads the linear map out of a fitted model."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from shatterlab.core import Examples, Fit
from shatterlab.core.errors import NotApplicable

_ROWS = 4096  # examples prepared at a time


def linear_map(fit: Fit, train: Examples, owner: str) -> tuple[Float[Tensor, "n d"], Float[Tensor, "k d"], str]:
    """The prepared inputs X and the map W of a model that is W x, both in float64, and the name of its weights.

    Raises:
        NotApplicable: the fitted model is another, or has a bias.
    """
    import torch

    model = fit.model
    known = isinstance(model, nn.Sequential) and len(model) == 2
    layers = [each for each in model[1].modules() if not isinstance(each, nn.Sequential | nn.Flatten)] if known else []
    if len(layers) != 1 or not isinstance(layers[0], nn.Linear) or layers[0].bias is not None:
        raise NotApplicable(f"{owner}: a linear map without bias is required, got {type(model).__name__} of another kind")
    with torch.no_grad():
        device = layers[0].weight.device
        rows = torch.cat([model[0](few.to(device)).flatten(1).cpu().double() for few in train.inputs.split(_ROWS)])
    name = next(name for name, value in model.named_parameters() if value is layers[0].weight)
    return rows, layers[0].weight.detach().cpu().double(), name
