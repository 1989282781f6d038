"""How the windows of a convolution lie on an image, and how its weights begin."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dlref import _check
from dlref.training.initialization import default_bound_


class Geometry(NamedTuple):
    """How windows lie on the image.

    Stride, dilation and zeros before the image, each vertical and horizontal, and the
    groups of channels.
    """

    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: tuple[int, int] = (0, 0)
    groups: int = 1

    def padded(self, x: Tensor, kernel: Sequence[int], size: Sequence[int]) -> Tensor:
        """``x`` with zeros around it, or cut off, as ``size`` windows see it."""
        around = []
        for n, k, p, s, d, r in zip(
            x.shape[:-3:-1], kernel[::-1], size[::-1], *self._backwards(), strict=True
        ):
            around += [r, (p - 1) * s + d * (k - 1) + 1 - r - n]
        return F.pad(x, around)

    def _backwards(self) -> tuple[tuple[int, ...], ...]:
        return self.stride[::-1], self.dilation[::-1], self.padding[::-1]

    def windows(self, x: Tensor, kernel: Sequence[int], size: Sequence[int]) -> Tensor:
        """``x`` as ``size`` windows for each group, (B, G, C / G, P, Q, K, L)."""
        x = self.padded(x, kernel, size)
        for axis, k, p, s, d in zip(
            (2, 3), kernel, size, self.stride, self.dilation, strict=True
        ):
            starts = range(0, d * k, d)
            each = [slice(start, start + (p - 1) * s + 1, s) for start in starts]
            before = (slice(None),) * axis
            x = torch.stack([x[*before, part] for part in each], -1)
        return x.unflatten(1, (self.groups, -1))


def pair(name: str, value: Any, low: int) -> tuple[int, int]:
    """One whole number for both axes, or (vertical, horizontal)."""
    both = value if isinstance(value, tuple | list) else (value, value)
    if len(both) != 2:
        raise ValueError(
            f"{name} must be one integer or two, got {_check.describe(value)}"
        )
    return _check.integer(name, both[0], low), _check.integer(name, both[1], low)


def padding_of(
    padding: Any,
    kernel: Sequence[int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> tuple[int, int, int, int]:
    """Zeros at the left, right, top and bottom."""
    if not isinstance(padding, str):
        vertical, horizontal = pair("padding", padding, 0)
        return horizontal, horizontal, vertical, vertical
    if _check.one_of("padding", padding, ["same", "valid"]) == "valid":
        return 0, 0, 0, 0
    if stride != (1, 1):
        raise ValueError(f"padding 'same' needs stride 1, got {stride}")
    rows, columns = (d * (k - 1) for k, d in zip(kernel, dilation, strict=True))
    return columns // 2, columns - columns // 2, rows // 2, rows - rows // 2


def painted_size(
    size: int, kernel: int, step: int, gap: int, around: int, more: int
) -> int:
    """Pixels of what a transposed convolution paints, along one axis."""
    if more >= max(step, gap):
        raise ValueError(
            f"output_padding must be less than stride {step} or dilation {gap}, got "
            f"{more}"
        )
    full = (size - 1) * step + gap * (kernel - 1) + 1 + more
    if full <= 2 * around:
        raise ValueError(
            f"padding must leave something of an output of {full} pixels, got {around}"
        )
    return full - 2 * around


def also_unbatched(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Let a function of a batch of images take one image by itself as well."""

    @wraps(function)
    def either(x: Tensor, *args: Any, **settings: Any) -> Tensor:
        if isinstance(x, Tensor) and x.ndim == 3:
            return function(x[None], *args, **settings)[0]
        return function(x, *args, **settings)

    return either


def images(x: Tensor, **sizes: int) -> Tensor:
    """``x`` if it is a batch of images, which may be empty, or an error."""
    _check.tensor("x", x, "B C H W", empty=True, **sizes)
    if 0 in x.shape[1:]:
        raise ValueError(f"x must hold pixels, got {_check.describe(x)}")
    return x


class Kernels(nn.Module):
    """Weights of a convolution and a bias for each output, as torch's layers begin."""

    transposed = False
    weight: nn.Parameter
    bias: nn.Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int],
        dilation: int | tuple[int, int],
        groups: int,
        bias: bool,
        padding_mode: str,
        **factory: Any,
    ) -> None:
        super().__init__()
        channels = {"in_channels": in_channels, "out_channels": out_channels}
        for name, number in channels.items():
            if _check.integer(name, number, 1) % _check.integer("groups", groups, 1):
                raise ValueError(
                    f"{name} must be a multiple of groups {groups}, got {number}"
                )
        _check.one_of("padding_mode", padding_mode, ["zeros"])
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size = pair("kernel_size", kernel_size, 1)
        self.stride = pair("stride", stride, 1)
        self.dilation = pair("dilation", dilation, 1)
        self.groups, self.padding_mode = groups, padding_mode
        first, second = channels.values()
        if not self.transposed:
            first, second = second, first
        shape = (first, second // groups, *self.kernel_size)
        self.weight = nn.Parameter(torch.empty(shape, **factory))
        self.bias = nn.Parameter(torch.empty(out_channels, **factory)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weights and bias anew."""
        default_bound_(self.weight.data)
        if self.bias is not None:
            bound = self.weight[0].numel() ** -0.5
            self.bias.data.uniform_(-bound, bound)

    def extra_repr(self) -> str:
        """What the layer's repr shows."""
        shown = f"{self.in_channels}, {self.out_channels}"
        for name, usual in (
            ("kernel_size", None),
            ("stride", (1, 1)),
            ("padding", (0, 0)),
            ("output_padding", (0, 0)),
            ("dilation", (1, 1)),
            ("groups", 1),
        ):
            value = getattr(self, name, usual)
            shown += "" if value == usual else f", {name}={value}"
        return shown + (", bias=False" if self.bias is None else "")
