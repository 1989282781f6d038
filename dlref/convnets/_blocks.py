"""What the architectures share.

How weights begin, and the block of convolution, normalisation and activation.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dlref import _check
from dlref.generalization.dropout import drop_units


def kaiming(model: nn.Module, *, dense: bool = True) -> None:
    """How the weights of an architecture begin.

    Convolutions with He's normal weights by fan-out, dense layers with deviation 0.01,
    biases with zero.
    """
    if next(model.parameters()).is_meta:
        # nothing to draw; and a draw on meta imports torch's compiler, for seconds
        return
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif dense and isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0, 0.01)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def conv_norm(
    in_channels: int,
    out_channels: int,
    kernel_size: int = 3,
    stride: int = 1,
    groups: int = 1,
    activation: Callable[[], nn.Module] | None = nn.ReLU6,
    norm: Callable[[int], nn.Module] = nn.BatchNorm2d,
    conv: type[nn.Conv2d] = nn.Conv2d,
) -> nn.Sequential:
    """Convolution that keeps the size, normalisation, and perhaps an activation.

    Only the stride changes the size.
    """
    padding = (kernel_size - 1) // 2
    first = conv(
        in_channels,
        out_channels,
        kernel_size,
        stride,
        padding,
        groups=groups,
        bias=False,
    )
    return nn.Sequential(
        first, norm(out_channels), *([activation()] if activation else [])
    )


# What torch.fx is to keep as one call: a trace has no sizes to look at. It finds them
# by the names of this module, so that other modules must not import them by name.


@torch.fx.wrap
def image_batch(
    x: Tensor, channels: int | None, height: int | None = None, width: int | None = None
) -> Tensor:
    """``x`` if it is a batch of images of these channels and that size, or an error."""
    given = {"C": channels, "H": height, "W": width}
    sizes = {name: size for name, size in given.items() if size is not None}
    return _check.tensor("x", x, "B C H W", empty=True, **sizes)


@torch.fx.wrap
def same_padded(x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    """``x`` with so many zeros that the stride alone changes the size."""
    around = []
    for n, k, s in zip(x.shape[:1:-1], kernel[::-1], stride[::-1], strict=True):
        total = max((-(-n // s) - 1) * s + k - n, 0)
        around += [total // 2, total - total // 2]
    return F.pad(x, around)


@torch.fx.wrap
def without_some(y: Tensor, p: float) -> Tensor:
    """Each example as a whole left out with probability p, the others scaled up."""
    return y * drop_units(y.new_ones(len(y), 1, 1, 1), p)


def channels_in(model: nn.Module) -> int | None:
    """Channels that the first layer of a network takes, whatever layer it is now."""
    for module in model.modules():
        channels = getattr(module, "in_channels", None)
        if channels is not None and module is not model:
            return channels
    return None


class SameConv2d(nn.Conv2d):
    """Pads so that stride 2 halves the size, as TensorFlow does.

    The odd zero is at the bottom and on the right.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  the name in torch
        """Maps of the images."""
        return F.conv2d(
            same_padded(input, self.kernel_size, self.stride),
            self.weight,
            self.bias,
            self.stride,
            0,
            self.dilation,
            self.groups,
        )


class SqueezeExcitation(nn.Module):
    """Weigh the channels by what they hold on average.

    Two 1 x 1 convolutions on the means, and a sigmoid.
    """

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The input, each channel times its weight."""
        scale = self.fc2(F.silu(self.fc1(x.mean((2, 3), keepdim=True))))
        return torch.sigmoid(scale) * x


class MBConv(nn.Module):
    """Inverted residual block of EfficientNet.

    In training, the whole block is left out with ``drop_probability``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int,
        expand_ratio: int,
        drop_probability: float = 0.0,
        lite: bool = False,
        norm: Callable[[int], nn.Module] = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        inside, conv = in_channels * expand_ratio, SameConv2d if lite else nn.Conv2d
        activation = partial(nn.ReLU6 if lite else nn.SiLU, inplace=True)
        layers: list[nn.Module] = []
        if expand_ratio > 1:
            layers.append(
                conv_norm(in_channels, inside, 1, activation=activation, norm=norm)
            )
        layers.append(
            conv_norm(
                inside, inside, kernel_size, stride, inside, activation, norm, conv
            )
        )
        if not lite:
            layers.append(SqueezeExcitation(inside, max(1, in_channels // 4)))
        layers.append(conv_norm(inside, out_channels, 1, activation=None, norm=norm))
        self.block = nn.Sequential(*layers)
        self.shortcut = stride == 1 and in_channels == out_channels
        self.drop_probability = drop_probability

    def forward(self, x: Tensor) -> Tensor:
        """Maps of the block, plus its input if they have its shape."""
        y = self.block(x)
        if not self.shortcut:
            return y
        if self.training and self.drop_probability:
            y = without_some(y, self.drop_probability)
        return x + y


class InvertedResidual(nn.Module):
    """Up to many channels, depthwise there, down again without an activation.

    A shortcut between the narrow ends.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, expand_ratio: int
    ) -> None:
        super().__init__()
        inside = _check.integer("in_channels", in_channels, 1) * _check.integer(
            "expand_ratio", expand_ratio, 1
        )
        self.shortcut = (
            _check.integer("stride", stride, 1) == 1 and in_channels == out_channels
        )
        up = [conv_norm(in_channels, inside, 1)] if expand_ratio > 1 else []
        down = conv_norm(
            inside, _check.integer("out_channels", out_channels, 1), 1, activation=None
        )
        self.conv = nn.Sequential(
            *up, conv_norm(inside, inside, stride=stride, groups=inside), *down
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps of the block, plus its input if they have its shape."""
        return x + self.conv(x) if self.shortcut else self.conv(x)


def classifier(channels: int, num_classes: int, dropout: float) -> nn.Sequential:
    """Dropout and one fully connected layer."""
    drop = nn.Dropout(_check.real("dropout", dropout, "[0, 1]"))
    return nn.Sequential(
        drop, nn.Linear(channels, _check.integer("num_classes", num_classes, 1))
    )


def scores(features: nn.Module, classifier: nn.Module, x: Tensor) -> Tensor:
    """Classifier of the mean of the maps over positions."""
    x = image_batch(x, channels_in(features))
    return classifier(features(x).mean((2, 3)))


def divisible(channels: float) -> int:
    """The nearest multiple of eight that is not less than nine tenths."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8
