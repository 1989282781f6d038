"""How the windows of a convolution lie on an image, and how its weights begin."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from dlref import _check


class Geometry(NamedTuple):
    """How windows lie on the image.

    Stride, dilation and zeros before the image, each vertical and horizontal, and the
    groups of channels.
    """

    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: tuple[int, int] = (0, 0)
    groups: int = 1

    def around(
        self, shape: Sequence[int], kernel: Sequence[int], size: Sequence[int]
    ) -> list[int]:
        """Pixels that windows see on the left, right, top and bottom of images.

        Below zero where they do not come to its end.
        """
        found = []
        for axis in (1, 0):
            span = self.dilation[axis] * (kernel[axis] - 1) + 1
            end = (size[axis] - 1) * self.stride[axis] + span - self.padding[axis]
            found += [self.padding[axis], end - shape[2 + axis]]
        return found

    def padded(self, x: Tensor, kernel: Sequence[int], size: Sequence[int]) -> Tensor:
        """``x`` with zeros around it, or cut off, as ``size`` windows see it."""
        return F.pad(x, self.around(x.shape, kernel, size))

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

    def inside(self, x: Tensor, kernel: Sequence[int], size: Sequence[int]) -> Tensor:
        """Whether each pixel of each window lies on the image, (P, Q, K, L)."""
        rows, columns = (
            (at >= 0) & (at < n)
            for at, n in (
                (self._places(axis, kernel, size, x.device), x.shape[2 + axis])
                for axis in (0, 1)
            )
        )
        return rows[:, None, :, None] & columns[None, :, None, :]

    def _places(
        self, axis: int, kernel: Sequence[int], size: Sequence[int], device: Any
    ) -> Tensor:
        starts = torch.arange(size[axis], device=device) * self.stride[axis]
        taps = torch.arange(kernel[axis], device=device) * self.dilation[axis]
        return starts[:, None] + taps - self.padding[axis]


def pair(name: str, value: Any, low: int) -> tuple[int, int]:
    """One whole number for both axes, or (vertical, horizontal)."""
    both = value if isinstance(value, tuple | list) else (value,)
    both = tuple(both) * 2 if len(both) == 1 else both
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


def check_kernels(
    in_channels: int, out_channels: int, groups: int, padding_mode: str, **sizes: Any
) -> None:
    """Refuse settings of a layer that none can have."""
    channels = {"in_channels": in_channels, "out_channels": out_channels}
    for name, number in channels.items():
        if _check.integer(name, number, 1) % _check.integer("groups", groups, 1):
            raise ValueError(
                f"{name} must be a multiple of groups {groups}, got {number}"
            )
    _check.one_of("padding_mode", padding_mode, ["zeros"])
    for name, size in sizes.items():
        pair(name, size, 0 if "padding" in name else 1)
