"""What the architectures share: how weights begin, and the block of convolution, normalisation and activation."""

from collections.abc import Callable

from torch import nn


def kaiming(model: nn.Module, *, dense: bool = True) -> None:
    """Convolutions begin with He's normal weights by fan-out, dense layers with deviation 0.01, biases with zero."""
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
) -> nn.Sequential:
    """Convolution that keeps the size (but for the stride), normalisation, and perhaps an activation."""
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, (kernel_size - 1) // 2, groups=groups, bias=False)
    return nn.Sequential(conv, norm(out_channels), *([activation()] if activation else []))
