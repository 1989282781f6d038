"""MobileNet v1 and v2: depthwise-separable convolutions, inverted residual blocks.

Shape legend: B batch, H W image.
"""

from functools import partial
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from dlref import _check
from dlref.convnets import _blocks
from dlref.convnets._blocks import classifier, conv_norm, divisible, kaiming, scores

__all__ = ["MobileNetV1", "MobileNetV2", "mobilenet_v1", "mobilenet_v2"]


class MobileNetV1(nn.Module):
    """MobileNet: a convolution, then thirteen depthwise-separable ones.

    Each half of those is followed by batch norm and ReLU.

    Args:
        num_classes: size of the output.
        width_mult: factor on all widths.
        dropout: share that is dropped before the last layer.
        in_channels: channels of the images.

    Raises:
        TypeError, ValueError: if an argument is no such number, or in :meth:`forward`
            the images are not B x ``in_channels`` x H x W.

    Source:
        Howard et al. (2017), arXiv:1704.04861, table 1.

    Example:
        >>> sum(p.numel() for p in MobileNetV1().parameters())
        4231976
    """

    def __init__(
        self,
        num_classes: int = 1000,
        width_mult: float = 1.0,
        dropout: float = 0.001,
        *,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        factor = _check.real("width_mult", width_mult, "(0, inf)")
        _check.integer("in_channels", in_channels, 1)
        rectified: Any = {"activation": partial(nn.ReLU, inplace=True)}
        widths = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
        channels = max(8, int(32 * factor))
        layers: list[nn.Module] = [
            conv_norm(in_channels, channels, stride=2, **rectified)
        ]
        for n, width in enumerate(widths):
            out, stride = max(8, int(width * factor)), 2 if n in (1, 3, 5, 11) else 1
            layers.append(
                conv_norm(
                    channels, channels, stride=stride, groups=channels, **rectified
                )
            )
            layers.append(conv_norm(channels, out, 1, **rectified))
            channels = out
        self.features = nn.Sequential(*layers)
        self.classifier = classifier(channels, num_classes, dropout)
        kaiming(self)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B classes"]:
        """Scores (logits) of each class."""
        return scores(self.features, self.classifier, x)


# expansion t, channels c, blocks n, stride s of the first of them
TABLE_2 = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class MobileNetV2(nn.Module):
    """MobileNet v2: seventeen inverted residual blocks between two convolutions.

    Args:
        num_classes: size of the output.
        width_mult: factor on all widths, which are then rounded to multiples of eight.
        dropout: share that is dropped before the last layer.
        in_channels: channels of the images.

    Raises:
        TypeError, ValueError: if an argument is no such number, or in :meth:`forward`
            the images are not B x ``in_channels`` x H x W.

    Source:
        Sandler et al. (2018), arXiv:1801.04381, table 2.

    Example:
        >>> sum(p.numel() for p in MobileNetV2().parameters())
        3504872
    """

    def __init__(
        self,
        num_classes: int = 1000,
        width_mult: float = 1.0,
        dropout: float = 0.2,
        *,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        factor = _check.real("width_mult", width_mult, "(0, inf)")
        _check.integer("in_channels", in_channels, 1)
        channels = divisible(32 * factor)
        layers: list[nn.Module] = [conv_norm(in_channels, channels, stride=2)]
        for t, c, n, s in TABLE_2:
            out = divisible(c * factor)
            for k in range(n):
                stride = s if k == 0 else 1
                layers.append(_blocks.InvertedResidual(channels, out, stride, t))
                channels = out
        last = divisible(1280 * max(1.0, factor))
        self.features = nn.Sequential(*layers, conv_norm(channels, last, 1))
        self.classifier = classifier(last, num_classes, dropout)
        kaiming(self)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B classes"]:
        """Scores (logits) of each class."""
        return scores(self.features, self.classifier, x)


def mobilenet_v1(
    num_classes: int = 1000,
    width_mult: float = 1.0,
    dropout: float = 0.001,
    *,
    in_channels: int = 3,
) -> MobileNetV1:
    """Build MobileNet v1, 4,231,976 parameters for 1000 classes.

    Args:
        num_classes, width_mult, dropout, in_channels: see :class:`MobileNetV1`.

    Source:
        See :class:`MobileNetV1`.

    Example:
        >>> mobilenet_v1(10, width_mult=0.25).classifier[1].in_features
        256
    """
    return MobileNetV1(num_classes, width_mult, dropout, in_channels=in_channels)


def mobilenet_v2(
    num_classes: int = 1000,
    width_mult: float = 1.0,
    dropout: float = 0.2,
    *,
    in_channels: int = 3,
) -> MobileNetV2:
    """Build MobileNet v2, 3,504,872 parameters for 1000 classes.

    Torchvision's names of parameters.

    Args:
        num_classes, width_mult, dropout, in_channels: see :class:`MobileNetV2`.

    Source:
        See :class:`MobileNetV2`.

    Example:
        >>> mobilenet_v2(10, width_mult=0.5).classifier[1].in_features
        1280
    """
    return MobileNetV2(num_classes, width_mult, dropout, in_channels=in_channels)
