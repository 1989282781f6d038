"""Networks for small machines: MobileNet v1 and v2, and EfficientNet B0 to B7 and Lite0.

Shape legend: B batch, C channels, H W image or map.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from dlref import _check
from dlref.convnets import _blocks
from dlref.convnets._blocks import classifier, conv_norm, divisible, kaiming, scores

__all__ = [
    "EFFICIENTNETS",
    "EfficientNet",
    "MobileNetV1",
    "MobileNetV2",
    "Scaling",
    "compound_scaling",
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_b4",
    "efficientnet_b5",
    "efficientnet_b6",
    "efficientnet_b7",
    "efficientnet_lite0",
    "mobilenet_v1",
    "mobilenet_v2",
]


class MobileNetV1(nn.Module):
    """MobileNet: a convolution, then thirteen depthwise-separable ones, each half followed by batch norm and ReLU.

    Args:
        num_classes: size of the output.
        width_mult: factor on all widths.
        dropout: share that is dropped before the last layer.

    Raises:
        TypeError, ValueError: if an argument is no such number, or in :meth:`forward` the images are not B x 3 x H x W.

    Source:
        Howard et al. (2017), arXiv:1704.04861, table 1.

    Example:
        >>> sum(p.numel() for p in MobileNetV1().parameters())
        4231976
    """

    def __init__(self, num_classes: int = 1000, width_mult: float = 1.0, dropout: float = 0.001) -> None:
        super().__init__()
        factor = _check.real("width_mult", width_mult, "(0, inf)")
        rectified: Any = {"activation": partial(nn.ReLU, inplace=True)}
        widths = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
        channels = max(8, int(32 * factor))
        layers: list[nn.Module] = [conv_norm(3, channels, stride=2, **rectified)]
        for n, width in enumerate(widths):
            out, stride = max(8, int(width * factor)), 2 if n in (1, 3, 5, 11) else 1
            layers.append(conv_norm(channels, channels, stride=stride, groups=channels, **rectified))
            layers.append(conv_norm(channels, out, 1, **rectified))
            channels = out
        self.features = nn.Sequential(*layers)
        self.classifier = classifier(channels, num_classes, dropout)
        kaiming(self)

    def forward(self, x: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B classes"]:
        """Scores (logits) of each class."""
        return scores(self.features, self.classifier, x)


class MobileNetV2(nn.Module):
    """MobileNet v2: seventeen inverted residual blocks between two convolutions.

    Args:
        num_classes: size of the output.
        width_mult: factor on all widths, which are then rounded to multiples of eight.
        dropout: share that is dropped before the last layer.

    Raises:
        TypeError, ValueError: if an argument is no such number, or in :meth:`forward` the images are not B x 3 x H x W.

    Source:
        Sandler et al. (2018), arXiv:1801.04381, table 2.

    Example:
        >>> sum(p.numel() for p in MobileNetV2().parameters())
        3504872
    """

    def __init__(self, num_classes: int = 1000, width_mult: float = 1.0, dropout: float = 0.2) -> None:
        super().__init__()
        factor = _check.real("width_mult", width_mult, "(0, inf)")
        channels = divisible(32 * factor)
        layers: list[nn.Module] = [conv_norm(3, channels, stride=2)]
        for t, c, n, s in (
            (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
        ):  # fmt: skip
            out = divisible(c * factor)
            for k in range(n):
                layers.append(_blocks.InvertedResidual(channels, out, s if k == 0 else 1, t))
                channels = out
        last = divisible(1280 * max(1.0, factor))
        self.features = nn.Sequential(*layers, conv_norm(channels, last, 1))
        self.classifier = classifier(last, num_classes, dropout)
        kaiming(self)

    def forward(self, x: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B classes"]:
        """Scores (logits) of each class."""
        return scores(self.features, self.classifier, x)


class Scaling(NamedTuple):
    r"""How much larger a network gets.

    Attributes:
        width: factor on the channels.
        depth: factor on the number of blocks.
        resolution: factor on the size of the images.
        multiplications: factor on the multiplications, :math:`d\,w^2 r^2`.

    Source:
        Tan & Le (2019), arXiv:1905.11946, equation 3.

    Example:
        >>> Scaling(1.0, 2.0, 1.0, 2.0).depth
        2.0
    """

    width: float
    depth: float
    resolution: float
    multiplications: float


def compound_scaling(phi: float, alpha: float = 1.2, beta: float = 1.1, gamma: float = 1.15) -> Scaling:
    r"""Scale depth, width and resolution together.

    .. math:: d = \alpha^\varphi, \quad w = \beta^\varphi, \quad r = \gamma^\varphi, \quad
        d\, w^2 r^2 = (\alpha \beta^2 \gamma^2)^\varphi \approx 2^\varphi

    Args:
        phi: how much there is to spend, in doublings.
        alpha: factor on the depth for one doubling.
        beta: factor on the width.
        gamma: factor on the resolution.

    Raises:
        TypeError, ValueError: if a factor is not a positive number.

    Source:
        Tan & Le (2019), arXiv:1905.11946, equation 3.

    Example:
        >>> round(compound_scaling(1.0).multiplications, 2)
        1.92
    """
    power = _check.real("phi", phi)
    for name, factor in (("alpha", alpha), ("beta", beta), ("gamma", gamma)):
        _check.real(name, factor, "(0, inf)")
    return Scaling(beta**power, alpha**power, gamma**power, (alpha * beta**2 * gamma**2) ** power)


#: Width, depth, resolution in pixels and dropout of the published networks.
EFFICIENTNETS = {
    "b0": (1.0, 1.0, 224, 0.2), "b1": (1.0, 1.1, 240, 0.2), "b2": (1.1, 1.2, 260, 0.3), "b3": (1.2, 1.4, 300, 0.3),
    "b4": (1.4, 1.8, 380, 0.4), "b5": (1.6, 2.2, 456, 0.4), "b6": (1.8, 2.6, 528, 0.5), "b7": (2.0, 3.1, 600, 0.5),
}  # fmt: skip


class EfficientNet(nn.Module):
    """EfficientNet: a convolution, seven stages of inverted residual blocks, a 1 x 1 convolution.

    Args:
        width: factor on the channels, which are then rounded to multiples of eight.
        depth: factor on the blocks of each stage, rounded up.
        num_classes: size of the output.
        dropout: share that is dropped before the last layer.
        stochastic_depth_prob: with which chance the last block is left out in training; less before.
        lite: rectifiers clipped at six, no squeeze and excitation, first and last convolution never scaled.
        norm: makes the batch norm of so many channels.

    Raises:
        TypeError, ValueError: if an argument is no such number, or in :meth:`forward` the images are not B x 3 x H x W.

    Source:
        Tan & Le (2019), arXiv:1905.11946, table 1; the lite form is that of Liu (2020), TensorFlow's release notes.

    Example:
        >>> import torch
        >>> EfficientNet(0.5, 0.5, num_classes=3).eval()(torch.zeros(1, 3, 32, 32)).shape
        torch.Size([1, 3])
    """

    def __init__(
        self,
        width: float = 1.0,
        depth: float = 1.0,
        num_classes: int = 1000,
        dropout: float = 0.2,
        stochastic_depth_prob: float = 0.2,
        lite: bool = False,
        norm: Callable[[int], nn.Module] = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        width, depth = _check.real("width", width, "(0, inf)"), _check.real("depth", depth, "(0, inf)")
        chance = _check.real("stochastic_depth_prob", stochastic_depth_prob, "[0, 1)")
        around: Any = {"activation": partial(nn.ReLU6 if lite else nn.SiLU, inplace=True), "norm": norm}
        channels = 32 if lite else divisible(32 * width)
        stem = conv_norm(3, channels, stride=2, conv=_blocks.SameConv2d if lite else nn.Conv2d, **around)
        counts, stages, done = [math.ceil(n * depth) for n in (1, 2, 2, 3, 3, 4, 1)], [], 0
        rows = zip(counts, (16, 24, 40, 80, 112, 192, 320), (3, 3, 5, 3, 5, 5, 3), (1, 2, 2, 2, 1, 2, 1), strict=True)
        for stage, (count, c, kernel, stride) in enumerate(rows):
            blocks, out = [], divisible(c * width)
            for k in range(count):
                drop = chance * done / sum(counts)
                settings = kernel, stride if k == 0 else 1, 6 if stage else 1, drop, lite, norm
                blocks.append(_blocks.MBConv(channels, out, *settings))
                channels, done = out, done + 1
            stages.append(nn.Sequential(*blocks))
        last = 1280 if lite else 4 * channels
        self.features = nn.Sequential(stem, *stages, conv_norm(channels, last, 1, **around))
        self.classifier = classifier(last, num_classes, dropout)
        kaiming(self, dense=False)

    def forward(self, x: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B classes"]:
        """Scores (logits) of each class."""
        return scores(self.features, self.classifier, x)


def mobilenet_v1(num_classes: int = 1000, width_mult: float = 1.0, dropout: float = 0.001) -> MobileNetV1:
    """Build MobileNet v1, 4,231,976 parameters for 1000 classes.

    Args:
        num_classes, width_mult, dropout: see :class:`MobileNetV1`.

    Source:
        See :class:`MobileNetV1`.

    Example:
        >>> mobilenet_v1(10, width_mult=0.25).classifier[1].in_features
        256
    """
    return MobileNetV1(num_classes, width_mult, dropout)


def mobilenet_v2(num_classes: int = 1000, width_mult: float = 1.0, dropout: float = 0.2) -> MobileNetV2:
    """Build MobileNet v2, 3,504,872 parameters for 1000 classes; torchvision's names of parameters.

    Args:
        num_classes, width_mult, dropout: see :class:`MobileNetV2`.

    Source:
        See :class:`MobileNetV2`.

    Example:
        >>> mobilenet_v2(10, width_mult=0.5).classifier[1].in_features
        1280
    """
    return MobileNetV2(num_classes, width_mult, dropout)


def _builder(name: str, parameters: int) -> Callable[..., EfficientNet]:
    width, depth, _, share = EFFICIENTNETS.get(name, EFFICIENTNETS["b0"])
    large = partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)
    norm, lite = large if name in ("b5", "b6", "b7", "lite0") else nn.BatchNorm2d, name == "lite0"

    def build(num_classes: int = 1000, dropout: float = share, stochastic_depth_prob: float = 0.2) -> EfficientNet:
        return EfficientNet(width, depth, num_classes, dropout, stochastic_depth_prob, lite, norm)

    build.__name__ = build.__qualname__ = f"efficientnet_{name}"
    build.__doc__ = f"""Build EfficientNet {name.capitalize()}, {parameters:,} parameters for 1000 classes.

    Args:
        num_classes, dropout, stochastic_depth_prob: see :class:`EfficientNet`.

    Source:
        See :class:`EfficientNet`; {"batch norm as in TensorFlow's weights" if lite else "torchvision's names"}.

    Example:
        >>> import torch
        >>> with torch.device("meta"):
        ...     sum(p.numel() for p in efficientnet_{name}().parameters())
        {parameters}
    """
    return build


efficientnet_b0, efficientnet_b1 = _builder("b0", 5_288_548), _builder("b1", 7_794_184)
efficientnet_b2, efficientnet_b3 = _builder("b2", 9_109_994), _builder("b3", 12_233_232)
efficientnet_b4, efficientnet_b5 = _builder("b4", 19_341_616), _builder("b5", 30_389_784)
efficientnet_b6, efficientnet_b7 = _builder("b6", 43_040_704), _builder("b7", 66_347_960)
efficientnet_lite0 = _builder("lite0", 4_652_008)
