"""Residual networks.

ResNet-18, 34 and 50, and the plain networks that they were compared with.

Shape legend: B batch, C channels, H W image or map.
"""

import copy
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dlref import _check
from dlref.convnets import _blocks
from dlref.convnets._blocks import channels_in, kaiming

__all__ = [
    "BasicBlock",
    "Bottleneck",
    "ResNet",
    "SmallResNet",
    "resnet18",
    "resnet34",
    "resnet50",
    "without_shortcuts",
]


class BasicBlock(nn.Module):
    r"""Two 3 x 3 convolutions, and a shortcut round them.

    .. math:: y = \mathrm{ReLU}\bigl(F(x) + S(x)\bigr)

    where :math:`S` is the identity if the shapes agree, and otherwise a 1 x 1
    convolution with the block's stride and batch norm (a projection; option B of the
    paper).

    Args:
        in_channels: channels that come in.
        channels: channels of both convolutions; ``expansion`` times as many come out.
        stride: of the first convolution.
        shortcut: whether there is one; without it the block is that of a plain network.

    Raises:
        TypeError, ValueError: if a number is none.

    Source:
        He, Zhang, Ren & Sun (2016), arXiv:1512.03385, equations 1 and 2 and figure 5,
        left.

    Example:
        >>> BasicBlock(64, 128, stride=2)(torch.zeros(1, 64, 8, 8)).shape
        torch.Size([1, 128, 4, 4])
    """

    expansion = 1

    def __init__(
        self, in_channels: int, channels: int, stride: int = 1, *, shortcut: bool = True
    ) -> None:
        super().__init__()
        self.conv1 = _conv(in_channels, channels, 3, stride)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = _conv(channels, channels, 3)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = (
            _projection(in_channels, channels, stride) if shortcut else None
        )
        self.shortcut = shortcut

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B Cn Hn Wn"]:
        """What the block makes of its input, plus the input."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.shortcut:
            y = y + (x if self.downsample is None else self.downsample(x))
        return self.relu(y)


class Bottleneck(nn.Module):
    r"""1 x 1 down, 3 x 3, 1 x 1 up to four times the channels, and a shortcut.

    Args:
        in_channels: channels that come in.
        channels: channels of the 3 x 3 convolution; four times as many come out.
        stride: of the 3 x 3 convolution.

    Raises:
        TypeError, ValueError: if a number is none.

    Source:
        He, Zhang, Ren & Sun (2016), arXiv:1512.03385, figure 5, right. Differs: the
        stride is in the 3 x 3 convolution, not in the first one ("v1.5", as in
        torchvision), which costs more and is more accurate.

    Example:
        >>> Bottleneck(64, 64)(torch.zeros(1, 64, 8, 8)).shape
        torch.Size([1, 256, 8, 8])
    """

    expansion = 4

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = _conv(in_channels, channels, 1)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = _conv(channels, channels, 3, stride)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = _conv(channels, 4 * channels, 1)
        self.bn3 = nn.BatchNorm2d(4 * channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _projection(in_channels, 4 * channels, stride)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B Cn Hn Wn"]:
        """What the block makes of its input, plus the input."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


def _conv(
    in_channels: int, channels: int, kernel_size: int, stride: int = 1
) -> nn.Conv2d:
    for name, number in (
        ("in_channels", in_channels),
        ("channels", channels),
        ("stride", stride),
    ):
        _check.integer(name, number, 1)
    return nn.Conv2d(
        in_channels, channels, kernel_size, stride, kernel_size // 2, bias=False
    )


def _projection(in_channels: int, channels: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and in_channels == channels:
        return None
    return nn.Sequential(
        _conv(in_channels, channels, 1, stride), nn.BatchNorm2d(channels)
    )


class ResNet(nn.Module):
    """A stem, four stages of residual blocks, one dense layer.

    The mean over positions stands before the last.

    Args:
        block: :class:`BasicBlock` or :class:`Bottleneck`.
        layers: blocks in each of the four stages, whose channels are 64, 128, 256 and
            512 (times the expansion).
        num_classes: size of the output.
        zero_init_residual: let the last batch norm of each block begin with scale zero,
            so that the blocks begin as their shortcuts.
        in_channels: channels of the images.

    Raises:
        TypeError, ValueError: if an argument is none of these, or in :meth:`forward`
            the images are not B x ``in_channels`` x H x W.

    Source:
        He, Zhang, Ren & Sun (2016), arXiv:1512.03385, table 1.

    Example:
        >>> ResNet(BasicBlock, (1, 1, 1, 1), num_classes=5)(
        ...     torch.zeros(2, 3, 64, 64)
        ... ).shape
        torch.Size([2, 5])
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        layers: Sequence[int],
        num_classes: int = 1000,
        zero_init_residual: bool = False,
        *,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        _check.one_of("block", block, [BasicBlock, Bottleneck])
        if not isinstance(layers, Sequence) or len(layers) != 4:
            raise ValueError(
                f"layers must be four numbers, got {_check.describe(layers)}"
            )
        _check.integer("in_channels", in_channels, 1)
        self.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        channels = 64
        for stage, count in enumerate(layers):
            width, stride, blocks = 64 * 2**stage, 1 if stage == 0 else 2, []
            for n in range(_check.integer("layers", count, 1)):
                blocks.append(block(channels, width, stride if n == 0 else 1))
                channels = width * block.expansion
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, _check.integer("num_classes", num_classes, 1))
        kaiming(self, dense=False)
        if zero_init_residual:
            for module in self.modules():
                if isinstance(module, BasicBlock | Bottleneck):
                    nn.init.zeros_(
                        (
                            module.bn2 if isinstance(module, BasicBlock) else module.bn3
                        ).weight
                    )

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B classes"]:
        """Scores (logits) of each class."""
        x = _blocks.image_batch(x, channels_in(self))
        h = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for stage in range(1, 5):
            h = self.get_submodule(f"layer{stage}")(h)
        return self.fc(torch.flatten(self.avgpool(h), 1))


def resnet18(
    num_classes: int = 1000, zero_init_residual: bool = False, *, in_channels: int = 3
) -> ResNet:
    """Build ResNet-18, 11,689,512 parameters for 1000 classes.

    Torchvision's names of parameters.

    Args:
        num_classes: size of the output.
        zero_init_residual: see :class:`ResNet`.
        in_channels: channels of the images.

    Raises:
        TypeError, ValueError: if ``num_classes`` is no such number.

    Source:
        See :class:`ResNet`.

    Example:
        >>> with torch.device("meta"):
        ...     sum(p.numel() for p in resnet18().parameters())
        11689512
    """
    kind, blocks = BasicBlock, (2, 2, 2, 2)
    return ResNet(
        kind, blocks, num_classes, zero_init_residual, in_channels=in_channels
    )


def resnet34(
    num_classes: int = 1000, zero_init_residual: bool = False, *, in_channels: int = 3
) -> ResNet:
    """Build ResNet-34, 21,797,672 parameters for 1000 classes.

    Torchvision's names of parameters.

    Args:
        num_classes: size of the output.
        zero_init_residual: see :class:`ResNet`.
        in_channels: channels of the images.

    Raises:
        TypeError, ValueError: if ``num_classes`` is no such number.

    Source:
        See :class:`ResNet`.

    Example:
        >>> with torch.device("meta"):
        ...     sum(p.numel() for p in resnet34().parameters())
        21797672
    """
    kind, blocks = BasicBlock, (3, 4, 6, 3)
    return ResNet(
        kind, blocks, num_classes, zero_init_residual, in_channels=in_channels
    )


def resnet50(
    num_classes: int = 1000, zero_init_residual: bool = False, *, in_channels: int = 3
) -> ResNet:
    """Build ResNet-50, 25,557,032 parameters for 1000 classes.

    Torchvision's names of parameters.

    Args:
        num_classes: size of the output.
        zero_init_residual: see :class:`ResNet`.
        in_channels: channels of the images.

    Raises:
        TypeError, ValueError: if ``num_classes`` is no such number.

    Source:
        See :class:`ResNet`.

    Example:
        >>> with torch.device("meta"):
        ...     sum(p.numel() for p in resnet50().parameters())
        25557032
    """
    kind, blocks = Bottleneck, (3, 4, 6, 3)
    return ResNet(
        kind, blocks, num_classes, zero_init_residual, in_channels=in_channels
    )


class SmallResNet(nn.Module):
    """The networks of the paper for small pictures.

    A 3 x 3 stem and three stages of basic blocks, residual or plain.

    Args:
        blocks: blocks a stage; the depth is six times that, plus two.
        channels: of the first stage; they double from stage to stage.
        in_channels: channels of the images.
        num_classes: size of the output.
        shortcut: without it, the plain network of the same layers.

    Raises:
        TypeError, ValueError: if an argument is none of these, or in :meth:`forward`
            the images are not B x ``in_channels`` x H x W.

    Source:
        He, Zhang, Ren & Sun (2016), arXiv:1512.03385, section 4.2. Differs: projections
        where the channels double (the paper pads with zeros there, option A).

    Example:
        >>> SmallResNet(3, 8, in_channels=1)(torch.zeros(2, 1, 14, 14)).shape
        torch.Size([2, 10])
    """

    def __init__(
        self,
        blocks: int,
        channels: int = 16,
        in_channels: int = 3,
        num_classes: int = 10,
        *,
        shortcut: bool = True,
    ) -> None:
        super().__init__()
        _check.integer("blocks", blocks, 1)
        self.stem = nn.Sequential(
            _conv(in_channels, channels, 3),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        )
        stages, before = [], channels
        for stage in range(3):
            width = channels * 2**stage
            for n in range(blocks):
                stages.append(
                    BasicBlock(
                        before, width, 2 if stage and n == 0 else 1, shortcut=shortcut
                    )
                )
                before = width
        self.blocks = nn.Sequential(*stages)
        self.fc = nn.Linear(before, _check.integer("num_classes", num_classes, 1))
        kaiming(self, dense=False)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B classes"]:
        """Scores (logits) of each class."""
        x = _blocks.image_batch(x, channels_in(self))
        return self.fc(self.blocks(self.stem(x)).mean((2, 3)))


def without_shortcuts(net: nn.Module) -> nn.Module:
    """A plain network with the weights of a residual one; the original stays.

    Args:
        net: holds :class:`BasicBlock` layers.

    Raises:
        TypeError, ValueError: if ``net`` is no module, there is no such block in it, or
            there are others with a shortcut.

    Source:
        He, Zhang, Ren & Sun (2016), arXiv:1512.03385, who compare such pairs; here both
        begin with the same weights as well.

    Example:
        >>> net = SmallResNet(1, 4)
        >>> plain = without_shortcuts(net)
        >>> torch.equal(plain.blocks[0].conv1.weight, net.blocks[0].conv1.weight)
        True
    """
    if not isinstance(net, nn.Module):
        raise TypeError(f"net must be a torch.nn.Module, got {_check.describe(net)}")
    if any(isinstance(module, Bottleneck) for module in net.modules()):
        raise ValueError(
            "net must hold no Bottleneck, whose shortcut cannot be left out"
        )
    plain = copy.deepcopy(net)
    blocks = [module for module in plain.modules() if isinstance(module, BasicBlock)]
    if not blocks:
        raise ValueError(f"net must hold a BasicBlock, got {_check.describe(net)}")
    for block in blocks:
        block.shortcut = False
        block.downsample = None
    return plain
