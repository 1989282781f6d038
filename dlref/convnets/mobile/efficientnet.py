"""EfficientNet B0 to B7, Lite0 to Lite4: depth, width, resolution scaled together.

Shape legend: B batch, H W image.
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
    "EFFICIENTNETS_LITE",
    "EfficientNet",
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
    "efficientnet_lite1",
    "efficientnet_lite2",
    "efficientnet_lite3",
    "efficientnet_lite4",
]


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


def compound_scaling(
    phi: float, alpha: float = 1.2, beta: float = 1.1, gamma: float = 1.15
) -> Scaling:
    r"""Scale depth, width and resolution together.

    .. math:: d = \alpha^\varphi, \quad w = \beta^\varphi, \quad r = \gamma^\varphi,
        \quad d\, w^2 r^2 = (\alpha \beta^2 \gamma^2)^\varphi \approx 2^\varphi

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
    return Scaling(
        beta**power, alpha**power, gamma**power, (alpha * beta**2 * gamma**2) ** power
    )


#: Width, depth, resolution in pixels and dropout of the published networks.
EFFICIENTNETS = {
    "b0": (1.0, 1.0, 224, 0.2),
    "b1": (1.0, 1.1, 240, 0.2),
    "b2": (1.1, 1.2, 260, 0.3),
    "b3": (1.2, 1.4, 300, 0.3),
    "b4": (1.4, 1.8, 380, 0.4),
    "b5": (1.6, 2.2, 456, 0.4),
    "b6": (1.8, 2.6, 528, 0.5),
    "b7": (2.0, 3.1, 600, 0.5),
}

#: The same of the lite networks: Liu (2020).
EFFICIENTNETS_LITE = {
    "lite0": (1.0, 1.0, 224, 0.2),
    "lite1": (1.0, 1.1, 240, 0.2),
    "lite2": (1.1, 1.2, 260, 0.3),
    "lite3": (1.2, 1.4, 280, 0.3),
    "lite4": (1.4, 1.8, 300, 0.3),
}


class _Stage(NamedTuple):
    """A row of table 1 of the paper: blocks of one kind, the first with the stride."""

    expansion: int
    kernel: int
    stride: int
    channels: int
    blocks: int


STAGES = (
    _Stage(1, 3, 1, 16, 1),
    _Stage(6, 3, 2, 24, 2),
    _Stage(6, 5, 2, 40, 2),
    _Stage(6, 3, 2, 80, 3),
    _Stage(6, 5, 1, 112, 3),
    _Stage(6, 5, 2, 192, 4),
    _Stage(6, 3, 1, 320, 1),
)


class EfficientNet(nn.Module):
    """EfficientNet: seven stages of inverted residual blocks.

    Before them a convolution, behind them one of 1 x 1.

    Args:
        width: factor on the channels, which are then rounded to multiples of eight.
        depth: factor on the blocks of each stage, rounded up.
        num_classes: size of the output.
        dropout: share that is dropped before the last layer.
        stochastic_depth_prob: with which chance the last block is left out in training;
            less before.
        lite: rectifiers clipped at six, no squeeze and excitation; the first and the
            last convolution are never wider, the first and the last stage never deeper.
        norm: makes the batch norm of so many channels.
        in_channels: channels of the images.

    Raises:
        TypeError, ValueError: if an argument is no such number, or in :meth:`forward`
            the images are not B x ``in_channels`` x H x W.

    Source:
        Tan & Le (2019), arXiv:1905.11946, table 1; the lite form is that of Liu (2020),
        TensorFlow's release notes.

    Example:
        >>> import torch
        >>> EfficientNet(0.5, 0.5, num_classes=3).eval()(
        ...     torch.zeros(1, 3, 32, 32)
        ... ).shape
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
        *,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        _check.integer("in_channels", in_channels, 1)
        width = _check.real("width", width, "(0, inf)")
        depth = _check.real("depth", depth, "(0, inf)")
        chance = _check.real("stochastic_depth_prob", stochastic_depth_prob, "[0, 1)")
        around: Any = {
            "activation": partial(nn.ReLU6 if lite else nn.SiLU, inplace=True),
            "norm": norm,
        }
        channels = 32 if lite else divisible(32 * width)
        conv = _blocks.SameConv2d if lite else nn.Conv2d
        stem = conv_norm(in_channels, channels, stride=2, conv=conv, **around)
        counts = [math.ceil(row.blocks * depth) for row in STAGES]
        if lite:
            counts[0], counts[-1] = STAGES[0].blocks, STAGES[-1].blocks
        stages: list[nn.Module] = []
        done = 0
        for row, count in zip(STAGES, counts, strict=True):
            blocks: list[nn.Module] = []
            out = divisible(row.channels * width)
            for k in range(count):
                stride = row.stride if k == 0 else 1
                drop = chance * done / sum(counts)
                block = (channels, out, row.kernel, stride, row.expansion)
                blocks.append(_blocks.MBConv(*block, drop, lite, norm))
                channels = out
                done += 1
            stages.append(nn.Sequential(*blocks))
        last = 1280 if lite else 4 * channels
        head = conv_norm(channels, last, 1, **around)
        self.features = nn.Sequential(stem, *stages, head)
        self.classifier = classifier(last, num_classes, dropout)
        kaiming(self, dense=False)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B classes"]:
        """Scores (logits) of each class."""
        return scores(self.features, self.classifier, x)


def _builder(name: str, parameters: int) -> Callable[..., EfficientNet]:
    width, depth, _, share = {**EFFICIENTNETS, **EFFICIENTNETS_LITE}[name]
    lite = name.startswith("lite")
    norm = nn.BatchNorm2d
    if lite or name in ("b5", "b6", "b7"):
        norm = partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)
    names = "batch norm as in TensorFlow's weights" if lite else "torchvision's names"

    def build(
        num_classes: int = 1000,
        dropout: float = share,
        stochastic_depth_prob: float = 0.2,
        *,
        in_channels: int = 3,
    ) -> EfficientNet:
        return EfficientNet(
            width, depth, num_classes, dropout, stochastic_depth_prob, lite, norm,
            in_channels=in_channels,
        )  # fmt: skip

    build.__name__ = build.__qualname__ = f"efficientnet_{name}"
    title = f"EfficientNet {name.capitalize()}, {parameters:,} parameters"
    build.__doc__ = f"""Build {title} for 1000 classes.

    Args:
        num_classes, dropout, stochastic_depth_prob, in_channels: see
            :class:`EfficientNet`.

    Source:
        See :class:`EfficientNet`; {names}.

    Example:
        >>> import torch
        >>> with torch.device("meta"):
        ...     sum(p.numel() for p in efficientnet_{name}().parameters())
        {parameters}
    """
    return build


efficientnet_b0 = _builder("b0", 5_288_548)
efficientnet_b1 = _builder("b1", 7_794_184)
efficientnet_b2 = _builder("b2", 9_109_994)
efficientnet_b3 = _builder("b3", 12_233_232)
efficientnet_b4 = _builder("b4", 19_341_616)
efficientnet_b5 = _builder("b5", 30_389_784)
efficientnet_b6 = _builder("b6", 43_040_704)
efficientnet_b7 = _builder("b7", 66_347_960)
efficientnet_lite0 = _builder("lite0", 4_652_008)
efficientnet_lite1 = _builder("lite1", 5_416_680)
efficientnet_lite2 = _builder("lite2", 6_092_072)
efficientnet_lite3 = _builder("lite3", 8_197_096)
efficientnet_lite4 = _builder("lite4", 13_006_568)
