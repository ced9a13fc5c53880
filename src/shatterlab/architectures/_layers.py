"""What several architectures share: initial weights, dropout, TensorFlow's SAME padding at stride 2, and the check of image sizes."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from shatterlab.core import Architecture
from shatterlab.core.errors import InvalidPart


def initialize(network: nn.Module, scheme: str) -> None:
    """Draws the weights of every convolution and linear layer, and sets their biases to 0.

    Args:
        network: changed in place; its other layers stay as they are.
        scheme: "default" leaves torch's own (weights and biases uniform within 1/sqrt(fan-in)); "he" is normal with variance 2/fan-in; "glorot" uniform with
            variance 2/(fan-in + fan-out); "zero" all zeros.

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


def require_probability(owner: Architecture, dropout: float) -> None:
    """Refuses a dropout outside [0, 1).

    Raises:
        InvalidPart: it lies outside.
    """
    owner.require(0 <= dropout < 1, "dropout is a probability in [0, 1)", dropout, "0 leaves dropout out")


def dropping(dropout: float) -> list[nn.Module]:
    """The layer that sets a share of the activations to 0 in training and divides the rest by 1 - dropout; none where it is 0."""
    return [nn.Dropout(dropout)] if dropout else []


def image_shape(owner: Architecture, shape: tuple[int, ...], halvings: int) -> tuple[int, int, int]:
    """Channels, height and width of the inputs, which must leave at least two pixels a side to each halving: a side of 2^(halvings - 1) + 1.

    Raises:
        InvalidPart: the inputs are table rows, or smaller than that.
    """
    if len(shape) != 3:
        raise InvalidPart(f"{owner.kind}: images are required, got inputs of shape {tuple(shape)}. Use MLP or Linear for tables.")
    channels, height, width = shape
    least = 2 ** (halvings - 1) + 1
    if min(height, width) < least:
        raise InvalidPart(f"{owner.kind}: inputs of at least {least}x{least} are required, got {height}x{width}. Use larger images or MLP.")
    return channels, height, width


class SameConv2d(nn.Conv2d):
    """A 3x3 convolution with stride 2 that pads as TensorFlow does: an even side at its end only.

    SAME pads max(0, 2 (ceil(s / 2) - 1) + 3 - s) zeros to side s, the smaller half in front: 0 + 1 where s is even, 1 + 1 where it is odd.
    """

    def __init__(self, inputs: int, outputs: int, bias: bool) -> None:
        super().__init__(inputs, outputs, 3, stride=2, bias=bias)

    def forward(self, images: Tensor) -> Tensor:
        """Halves height and width, rounding up."""
        height, width = images.shape[-2:]
        return super().forward(functional.pad(images, (width % 2, 1, height % 2, 1)))


class SameMaxPool2d(nn.Module):
    """A 3x3 max-pool with stride 2 that pads as TensorFlow does, with -infinity: an even side at its end only."""

    def forward(self, images: Tensor) -> Tensor:
        """Halves height and width, rounding up; windows are clipped at the border, which costs no padded copy."""
        height, width = images.shape[-2:]
        return functional.max_pool2d(images, 3, stride=2, padding=(height % 2, width % 2), ceil_mode=True)
