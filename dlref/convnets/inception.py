"""The inception module and GoogLeNet, with and without its auxiliary heads.

Shape legend: B batch, C channels, H W image or map.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from dlref import _check
from dlref.convnets import _blocks
from dlref.convnets._blocks import channels_in

__all__ = [
    "BasicConv2d",
    "GoogLeNet",
    "GoogLeNetOutputs",
    "Inception",
    "InceptionAux",
    "googlenet",
]


class BasicConv2d(nn.Module):
    """Convolution without bias, batch norm, rectifier.

    Args:
        in_channels: channels that come in.
        out_channels: channels that come out.
        kernel_size: of the convolution.
        stride, padding: of the convolution.

    Raises:
        TypeError, ValueError: if a number is none.

    Source:
        Szegedy et al. (2015), arXiv:1409.4842. Differs: batch norm, which the paper of
        2014 does not have.

    Example:
        >>> BasicConv2d(3, 8, 1)(torch.zeros(1, 3, 5, 5)).shape
        torch.Size([1, 8, 5, 5])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
    ) -> None:
        super().__init__()
        numbers = {"in_channels": in_channels, "out_channels": out_channels}
        numbers |= {"kernel_size": kernel_size, "stride": stride}
        for name, number in numbers.items():
            _check.integer(name, number, 1)
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel_size, stride, padding, bias=False
        )
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B O P Q"]:
        """Maps, none below zero."""
        return F.relu(self.bn(self.conv(x)), inplace=True)


class Inception(nn.Module):
    r"""Four branches side by side, whose maps are put on top of each other.

    1 x 1; 1 x 1 then 3 x 3; 1 x 1 then a larger kernel; 3 x 3 max pooling then 1 x 1.
    All keep the size.

    Args:
        in_channels: channels that come in.
        ch1x1: channels of the first branch.
        ch3x3red: channels to which the second branch reduces first.
        ch3x3: channels of the second branch.
        ch5x5red: channels to which the third branch reduces first.
        ch5x5: channels of the third branch.
        pool_proj: channels of the fourth branch.
        third_kernel: kernel size of the third branch; 5 in the paper, 3 in
            torchvision's weights.

    Raises:
        TypeError, ValueError: if a number is none, or ``third_kernel`` is not odd.

    Source:
        Szegedy et al. (2015), arXiv:1409.4842, figure 2b.

    Example:
        >>> Inception(192, 64, 96, 128, 16, 32, 32)(torch.zeros(1, 192, 7, 7)).shape
        torch.Size([1, 256, 7, 7])
    """

    def __init__(
        self,
        in_channels: int,
        ch1x1: int,
        ch3x3red: int,
        ch3x3: int,
        ch5x5red: int,
        ch5x5: int,
        pool_proj: int,
        third_kernel: int = 5,
    ) -> None:
        super().__init__()
        if _check.integer("third_kernel", third_kernel, 1) % 2 == 0:
            raise ValueError(f"third_kernel must be odd, got {third_kernel}")
        self.branch1 = BasicConv2d(in_channels, ch1x1, 1)
        self.branch2 = nn.Sequential(
            BasicConv2d(in_channels, ch3x3red, 1),
            BasicConv2d(ch3x3red, ch3x3, 3, padding=1),
        )
        third = BasicConv2d(ch5x5red, ch5x5, third_kernel, padding=third_kernel // 2)
        self.branch3 = nn.Sequential(BasicConv2d(in_channels, ch5x5red, 1), third)
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(3, 1, 1), BasicConv2d(in_channels, pool_proj, 1)
        )

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B O H W"]:
        """Maps of the four branches, one after the other."""
        return torch.cat(
            [self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1
        )


class InceptionAux(nn.Module):
    """A head in the middle of the network, for training alone.

    Args:
        in_channels: channels that come in.
        num_classes: size of the output.
        dropout: share that is dropped between the fully connected layers.

    Raises:
        TypeError, ValueError: if an argument is no such number.

    Source:
        Szegedy et al. (2015), arXiv:1409.4842, section 5. Differs: the maps are pooled
        to 4 x 4 whatever their size.

    Example:
        >>> InceptionAux(512, 10)(torch.zeros(2, 512, 14, 14)).shape
        torch.Size([2, 10])
    """

    def __init__(
        self, in_channels: int, num_classes: int, dropout: float = 0.7
    ) -> None:
        super().__init__()
        self.conv = BasicConv2d(in_channels, 128, 1)
        self.fc1 = nn.Linear(2048, 1024)
        self.fc2 = nn.Linear(1024, _check.integer("num_classes", num_classes, 1))
        self.dropout = nn.Dropout(_check.real("dropout", dropout, "[0, 1]"))

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B classes"]:
        """Scores (logits) of each class."""
        h = torch.flatten(self.conv(F.adaptive_avg_pool2d(x, 4)), 1)
        return self.fc2(self.dropout(F.relu(self.fc1(h))))


class GoogLeNetOutputs(NamedTuple):
    """What GoogLeNet gives in training.

    Attributes:
        logits: scores at the end, of shape (B, classes).
        aux_logits2: scores of the second auxiliary head.
        aux_logits1: scores of the first.

    Source:
        The order and the names are torchvision's.

    Example:
        >>> GoogLeNetOutputs(torch.zeros(1), torch.ones(1), torch.ones(1)).logits
        tensor([0.])
    """

    logits: Tensor
    aux_logits2: Tensor
    aux_logits1: Tensor


# Rows of table 1 of the paper: 1 x 1, 3 x 3 reduced, 3 x 3, 5 x 5 reduced, 5 x 5,
# behind the pooling.
_MODULES = {
    "inception3a": (64, 96, 128, 16, 32, 32),
    "inception3b": (128, 128, 192, 32, 96, 64),
    "inception4a": (192, 96, 208, 16, 48, 64),
    "inception4b": (160, 112, 224, 24, 64, 64),
    "inception4c": (128, 128, 256, 24, 64, 64),
    "inception4d": (112, 144, 288, 32, 64, 64),
    "inception4e": (256, 160, 320, 32, 128, 128),
    "inception5a": (256, 160, 320, 32, 128, 128),
    "inception5b": (384, 192, 384, 48, 128, 128),
}


class GoogLeNet(nn.Module):
    """GoogLeNet: a stem, nine inception modules, one dense layer.

    The mean over positions stands before the last.

    Args:
        num_classes: size of the output.
        aux_logits: whether there are auxiliary heads behind modules 4a and 4d; they
            answer in training alone.
        dropout: share that is dropped before the last layer.
        dropout_aux: share that is dropped in the auxiliary heads.
        third_kernel: kernel size of the third branch of the modules.
        in_channels: channels of the images.

    Raises:
        TypeError, ValueError: if an argument is no such number, or in :meth:`forward`
            the images are not B x ``in_channels`` x H x W.

    Source:
        Szegedy et al. (2015), arXiv:1409.4842, table 1. Differs: batch norm instead of
        local response normalisation; 3 x 3 kernels in the third branch by default, as
        in torchvision's weights; dropout 0.2 where the paper's table says 40%.

    Example:
        >>> GoogLeNet(5).eval()(torch.zeros(1, 3, 64, 64)).shape
        torch.Size([1, 5])
    """

    def __init__(
        self,
        num_classes: int = 1000,
        aux_logits: bool = True,
        dropout: float = 0.2,
        dropout_aux: float = 0.7,
        third_kernel: int = 3,
        *,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        self.conv1 = BasicConv2d(in_channels, 64, 7, stride=2, padding=3)
        self.maxpool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.conv2 = BasicConv2d(64, 64, 1)
        self.conv3 = BasicConv2d(64, 192, 3, padding=1)
        self.maxpool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        channels = 192
        poolings = {"inception4a": ("maxpool3", 3), "inception5a": ("maxpool4", 2)}
        for name, widths in _MODULES.items():
            if name in poolings:
                pool, size = poolings[name]
                self.add_module(pool, nn.MaxPool2d(size, stride=2, ceil_mode=True))
            self.add_module(name, Inception(channels, *widths, third_kernel))
            channels = widths[0] + widths[2] + widths[4] + widths[5]
        self.aux1 = InceptionAux(512, num_classes, dropout_aux) if aux_logits else None
        self.aux2 = InceptionAux(528, num_classes, dropout_aux) if aux_logits else None
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(_check.real("dropout", dropout, "[0, 1]"))
        self.fc = nn.Linear(channels, _check.integer("num_classes", num_classes, 1))
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.01, a=-2, b=2)

    def forward(
        self, x: Float[Tensor, "B C H W"]
    ) -> Float[Tensor, "B classes"] | GoogLeNetOutputs:
        """Scores (logits) of each class.

        In training, those of the auxiliary heads as well, if there are any.
        """
        x = _blocks.image_batch(x, channels_in(self))
        aux: dict[str, Any] = {}
        for name, module in self.named_children():
            if name in ("aux1", "avgpool"):
                break
            x = module(x)
            head = {"inception4a": self.aux1, "inception4d": self.aux2}.get(name)
            if head is not None and self.training:
                aux[name] = head(x)
        logits = self.fc(self.dropout(torch.flatten(self.avgpool(x), 1)))
        return (
            GoogLeNetOutputs(logits, aux["inception4d"], aux["inception4a"])
            if aux
            else logits
        )


def googlenet(
    num_classes: int = 1000,
    aux_logits: bool = True,
    dropout: float = 0.2,
    dropout_aux: float = 0.7,
    *,
    in_channels: int = 3,
) -> GoogLeNet:
    """Build GoogLeNet: 6,624,904 parameters for 1000 classes.

    With the heads 13,004,888; torchvision's names.

    Args:
        num_classes: size of the output.
        aux_logits: whether there are auxiliary heads.
        dropout: share that is dropped before the last layer.
        dropout_aux: share that is dropped in the auxiliary heads.
        in_channels: channels of the images.

    Raises:
        TypeError, ValueError: if an argument is no such number.

    Source:
        See :class:`GoogLeNet`.

    Example:
        >>> with torch.device("meta"):
        ...     sum(p.numel() for p in googlenet(aux_logits=False).parameters())
        6624904
    """
    return GoogLeNet(
        num_classes, aux_logits, dropout, dropout_aux, in_channels=in_channels
    )
