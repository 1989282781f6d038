"""The classic architectures: LeNet-5, AlexNet in two variants, VGG-16 and VGG-19.

Shape legend: B batch, C channels, H W image.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dlref import _check
from dlref.convnets import _blocks
from dlref.convnets._blocks import channels_in, kaiming

__all__ = [
    "VGG",
    "AlexNet",
    "AlexNet2012",
    "LeNet5",
    "alexnet",
    "alexnet_2012",
    "lenet5",
    "vgg16",
    "vgg19",
]


class LeNet5(nn.Module):
    """LeNet-5: three convolutions, two of them with pooling, two dense layers.

    The third convolution sees everything.

    Args:
        num_classes: size of the output.
        activation: makes the activation after C1, C3, C5 and F6.
        in_channels: channels of the images.

    Raises:
        TypeError: if ``num_classes`` is not an integer.
        ValueError: if ``num_classes`` is below 1, or in :meth:`forward` the images are
            not ``in_channels`` x 28 x 28.

    Source:
        LeCun, Bottou, Bengio & Haffner (1998), Proc. IEEE 86(11), section II.B.
        Differs: 28 x 28 images padded to 32 x 32 inside C1; plain means in S2 and S4
        (the paper's have a trained factor and bias); C3 sees all six maps (the paper's
        Table I leaves some out); tanh unscaled; a linear output with softmax
        cross-entropy instead of radial basis functions.

    Example:
        >>> LeNet5()(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """

    def __init__(
        self,
        num_classes: int = 10,
        *,
        activation: Callable[[], nn.Module] = nn.Tanh,
        in_channels: int = 1,
    ) -> None:
        super().__init__()
        _check.integer("num_classes", num_classes, 1)
        _check.integer("in_channels", in_channels, 1)
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 6, kernel_size=5, padding=2),  # C1
            activation(),
            nn.AvgPool2d(2),  # S2
            nn.Conv2d(6, 16, kernel_size=5),  # C3
            activation(),
            nn.AvgPool2d(2),  # S4
            nn.Conv2d(16, 120, kernel_size=5),  # C5
            activation(),
        )
        self.classifier = nn.Sequential(
            nn.Linear(120, 84), activation(), nn.Linear(84, num_classes)
        )  # F6, output

    def forward(self, x: Float[Tensor, "B C 28 28"]) -> Float[Tensor, "B classes"]:
        """Scores (logits) of each class."""
        x = _blocks.image_batch(x, channels_in(self), 28, 28)
        return self.classifier(self.features(x).flatten(1))


def lenet5(num_classes: int = 10, *, in_channels: int = 1) -> LeNet5:
    """Build LeNet-5 with tanh and 61,706 parameters for ten classes.

    Args:
        num_classes: size of the output.
        in_channels: channels of the images.

    Raises:
        TypeError: if a number is not an integer.
        ValueError: if a number is below 1.

    Source:
        See :class:`LeNet5`.

    Example:
        >>> sum(p.numel() for p in lenet5().parameters())
        61706
    """
    return LeNet5(num_classes, in_channels=in_channels)


class AlexNet(nn.Module):
    """AlexNet in one tower.

    Five convolutions and three fully connected layers, all with rectifiers.

    Args:
        num_classes: size of the output.
        dropout: share of the inputs of the first two fully connected layers that is
            dropped.
        in_channels: channels of the images.

    Raises:
        TypeError, ValueError: if an argument is no such number, or in :meth:`forward`
            the images are not B x ``in_channels`` x H x W.

    Source:
        Krizhevsky (2014), arXiv:1404.5997, footnote 1, as torchvision has it. Differs:
        no normalisation, and maps are pooled to 6 x 6, so that images may have any size
        from 63 pixels on.

    Example:
        >>> AlexNet()(torch.zeros(1, 3, 64, 64)).shape
        torch.Size([1, 1000])
    """

    def __init__(
        self, num_classes: int = 1000, dropout: float = 0.5, *, in_channels: int = 3
    ) -> None:
        super().__init__()
        _check.integer("in_channels", in_channels, 1)
        self.features = nn.Sequential(
            *_conv(in_channels, 64, 11, stride=4, padding=2),
            nn.MaxPool2d(3, stride=2),
            *_conv(64, 192, 5, padding=2),
            nn.MaxPool2d(3, stride=2),
            *(
                m
                for i, o in ((192, 384), (384, 256), (256, 256))
                for m in _conv(i, o, 3, padding=1)
            ),
            nn.MaxPool2d(3, stride=2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(6)
        self.classifier = _three_dense(256 * 36, num_classes, dropout)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B classes"]:
        """Scores (logits) of each class."""
        x = _blocks.image_batch(x, channels_in(self))
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


class AlexNet2012(nn.Module):
    r"""AlexNet as it won ImageNet.

    Two halves on two machines, hence groups, and local response normalisation.

    Args:
        num_classes: size of the output.
        dropout: share of the inputs of the first two fully connected layers that is
            dropped.
        in_channels: channels of the images.

    Raises:
        TypeError, ValueError: if an argument is no such number, or in :meth:`forward`
            the images are not B x ``in_channels`` x 224 x 224.

    Source:
        Krizhevsky, Sutskever & Hinton (2012), NeurIPS, section 3. Differs: images of
        224 pixels are padded by two, without which the paper's 55 x 55 maps do not come
        out; the paper's weights in the normalisation,
        :math:`k = 2, n = 5, \alpha = 10^{-4}, \beta = 0.75`, are torch's with
        :math:`\alpha` times :math:`n`.

    Example:
        >>> sum(p.numel() for p in AlexNet2012().parameters())
        60965224
    """

    def __init__(
        self, num_classes: int = 1000, dropout: float = 0.5, *, in_channels: int = 3
    ) -> None:
        super().__init__()
        _check.integer("in_channels", in_channels, 1)
        self.features = nn.Sequential(
            *_conv(in_channels, 96, 11, stride=4, padding=2),
            nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0),
            nn.MaxPool2d(3, stride=2),
            *_conv(96, 256, 5, padding=2, groups=2),
            nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0),
            nn.MaxPool2d(3, stride=2),
            *_conv(256, 384, 3, padding=1),
            *(m for o in (384, 256) for m in _conv(384, o, 3, padding=1, groups=2)),
            nn.MaxPool2d(3, stride=2),
        )
        self.classifier = _three_dense(256 * 36, num_classes, dropout)

    def forward(self, x: Float[Tensor, "B C 224 224"]) -> Float[Tensor, "B classes"]:
        """Scores (logits) of each class."""
        x = _blocks.image_batch(x, channels_in(self), 224, 224)
        return self.classifier(self.features(x).flatten(1))


def _conv(
    in_channels: int, out_channels: int, kernel_size: int, **settings: Any
) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(in_channels, out_channels, kernel_size, **settings), nn.ReLU(
        inplace=True
    )


def _three_dense(inputs: int, num_classes: int, dropout: float) -> nn.Sequential:
    _check.integer("num_classes", num_classes, 1)
    p = _check.real("dropout", dropout, "[0, 1]")
    return nn.Sequential(
        nn.Dropout(p), nn.Linear(inputs, 4096), nn.ReLU(inplace=True),
        nn.Dropout(p), nn.Linear(4096, 4096), nn.ReLU(inplace=True),
        nn.Linear(4096, num_classes),
    )  # fmt: skip


def alexnet(
    num_classes: int = 1000, dropout: float = 0.5, *, in_channels: int = 3
) -> AlexNet:
    """Build AlexNet in one tower, 61,100,840 parameters for 1000 classes.

    Torchvision's names of parameters.

    Args:
        num_classes: size of the output.
        dropout: share that is dropped before the first two fully connected layers.
        in_channels: channels of the images.

    Raises:
        TypeError, ValueError: if an argument is no such number.

    Source:
        See :class:`AlexNet`.

    Example:
        >>> with torch.device("meta"):
        ...     sum(p.numel() for p in alexnet().parameters())
        61100840
    """
    return AlexNet(num_classes, dropout, in_channels=in_channels)


def alexnet_2012(
    num_classes: int = 1000, dropout: float = 0.5, *, in_channels: int = 3
) -> AlexNet2012:
    """Build AlexNet in its two halves, 60,965,224 parameters for 1000 classes.

    Args:
        num_classes: size of the output.
        dropout: share that is dropped before the first two fully connected layers.
        in_channels: channels of the images.

    Raises:
        TypeError, ValueError: if an argument is no such number.

    Source:
        See :class:`AlexNet2012`.

    Example:
        >>> with torch.device("meta"):
        ...     alexnet_2012(10).classifier[-1].out_features
        10
    """
    return AlexNet2012(num_classes, dropout, in_channels=in_channels)


class VGG(nn.Module):
    """Blocks of 3 x 3 convolutions with pooling, then three dense layers.

    Each block ends with 2 x 2 max pooling.

    Args:
        blocks: convolutions in each of the five blocks, whose maps are 64, 128, 256,
            512 and 512.
        num_classes: size of the output.
        dropout: share that is dropped behind the first two fully connected layers.
        in_channels: channels of the images.

    Raises:
        TypeError, ValueError: if an argument is no such number, or in :meth:`forward`
            the images are not B x ``in_channels`` x H x W.

    Source:
        Simonyan & Zisserman (2015), arXiv:1409.1556, table 1. Differs: maps are pooled
        to 7 x 7 before the fully connected layers, so that the images need not have 224
        pixels; weights begin as He et al. (2015) have it.

    Example:
        >>> with torch.device("meta"):
        ...     len(
        ...         [
        ...             m
        ...             for m in VGG((2, 2, 3, 3, 3)).modules()
        ...             if isinstance(m, nn.Conv2d)
        ...         ]
        ...     )
        13
    """

    def __init__(
        self,
        blocks: Sequence[int],
        num_classes: int = 1000,
        dropout: float = 0.5,
        *,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        if len(blocks) != 5:
            raise ValueError(
                f"blocks must be five numbers, got {_check.describe(blocks)}"
            )
        layers, channels = [], _check.integer("in_channels", in_channels, 1)
        for count, maps in zip(blocks, (64, 128, 256, 512, 512), strict=True):
            for _ in range(_check.integer("blocks", count, 1)):
                layers += _conv(channels, maps, 3, padding=1)
                channels = maps
            layers.append(nn.MaxPool2d(2, stride=2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        first, *rest = list(_three_dense(512 * 49, num_classes, dropout))
        self.classifier = nn.Sequential(*rest[:2], first, *rest[3:5], rest[2], rest[5])
        kaiming(self)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B classes"]:
        """Scores (logits) of each class."""
        x = _blocks.image_batch(x, channels_in(self))
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


def vgg16(
    num_classes: int = 1000, dropout: float = 0.5, *, in_channels: int = 3
) -> VGG:
    """Build VGG-16 (configuration D), 138,357,544 parameters for 1000 classes.

    Torchvision's names of parameters.

    Args:
        num_classes: size of the output.
        dropout: share that is dropped behind the first two fully connected layers.
        in_channels: channels of the images.

    Raises:
        TypeError, ValueError: if an argument is no such number.

    Source:
        See :class:`VGG`.

    Example:
        >>> with torch.device("meta"):
        ...     sum(p.numel() for p in vgg16().parameters())
        138357544
    """
    return VGG((2, 2, 3, 3, 3), num_classes, dropout, in_channels=in_channels)


def vgg19(
    num_classes: int = 1000, dropout: float = 0.5, *, in_channels: int = 3
) -> VGG:
    """Build VGG-19 (configuration E), 143,667,240 parameters for 1000 classes.

    Torchvision's names of parameters.

    Args:
        num_classes: size of the output.
        dropout: share that is dropped behind the first two fully connected layers.
        in_channels: channels of the images.

    Raises:
        TypeError, ValueError: if an argument is no such number.

    Source:
        See :class:`VGG`.

    Example:
        >>> with torch.device("meta"):
        ...     sum(p.numel() for p in vgg19().parameters())
        143667240
    """
    return VGG((2, 2, 4, 4, 4), num_classes, dropout, in_channels=in_channels)
