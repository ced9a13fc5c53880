"""Initial weights that several architectures offer by name."""

from __future__ import annotations

from torch import nn


def initialize(network: nn.Module, scheme: str) -> None:
    """Draws the weights of every convolution and linear layer anew, and sets their biases to 0.

    Args:
        network: changed in place; its other layers stay as they are.
        scheme: "default" leaves torch's own (weights and biases uniform within 1/sqrt(fan-in)); "he" is normal with
            variance 2/fan-in; "glorot" uniform with variance 2/(fan-in + fan-out); "zero" all zeros.

    Source:
        He et al. 2015, "Delving deep into rectifiers"; Glorot and Bengio 2010.
    """
    if scheme == "default":
        return
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            if scheme == "he":
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            elif scheme == "glorot":
                nn.init.xavier_uniform_(layer.weight)
            else:
                nn.init.zeros_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
