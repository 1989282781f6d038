"""How the windows of a convolution lie on an image, and how its weights begin."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from dlref import _check
from dlref.training.initialization import default_bound_


class Geometry(NamedTuple):
    """How windows lie on the image.

    Vertical and horizontal stride and dilation, and the groups of channels.
    """

    stride: tuple[int, int]
    dilation: tuple[int, int]
    groups: int

    def places(self, x: Tensor, tap: Sequence[int], size: Sequence[int]) -> Tensor:
        """View of the pixels of ``x`` that one tap of the kernel meets.

        One for each of ``size`` positions.
        """
        for axis, t, n, s, d in zip(
            (-2, -1), tap, size, self.stride, self.dilation, strict=True
        ):
            x = x.narrow(axis, t * d, (n - 1) * s + 1).unfold(axis, 1, s).squeeze(-1)
        return x

    def windows(self, x: Tensor, kernel: Sequence[int]) -> Tensor:
        """View of ``x`` as all windows, (B, C, K, L, P, Q)."""
        for axis, k, s, d in zip(
            (-2, -2), kernel, self.stride, self.dilation, strict=True
        ):
            x = x.unfold(axis, d * (k - 1) + 1, s)[..., ::d]
        return x.movedim((-2, -1), (2, 3))


def pair(name: str, value: Any, low: int) -> tuple[int, int]:
    """One whole number for both axes, or (vertical, horizontal)."""
    both = value if isinstance(value, tuple | list) else (value, value)
    if len(both) != 2:
        raise ValueError(
            f"{name} must be one integer or two, got {_check.describe(value)}"
        )
    return _check.integer(name, both[0], low), _check.integer(name, both[1], low)


def padding_of(
    padding: Any, kernel: Sequence[int], geometry: Geometry
) -> tuple[int, int, int, int]:
    """Zeros at the left, right, top and bottom."""
    if not isinstance(padding, str):
        vertical, horizontal = pair("padding", padding, 0)
        return horizontal, horizontal, vertical, vertical
    if _check.one_of("padding", padding, ["same", "valid"]) == "valid":
        return 0, 0, 0, 0
    if geometry.stride != (1, 1):
        raise ValueError(f"padding 'same' needs stride 1, got {geometry.stride}")
    vertical, horizontal = (
        d * (k - 1) for k, d in zip(kernel, geometry.dilation, strict=True)
    )
    return (
        horizontal // 2,
        horizontal - horizontal // 2,
        vertical // 2,
        vertical - vertical // 2,
    )


def kernels(
    in_channels: int,
    out_channels: int,
    kernel_size: Any,
    groups: int,
    bias: bool,
    *,
    transposed: bool = False,
) -> tuple[nn.Parameter, nn.Parameter | None]:
    """Weights of a layer and a bias for each output, as torch's layers begin."""
    for name, channels in (
        ("in_channels", in_channels),
        ("out_channels", out_channels),
    ):
        if _check.integer(name, channels, 1) % _check.integer("groups", groups, 1):
            raise ValueError(
                f"{name} must be a multiple of groups {groups}, got {channels}"
            )
    first, second = (
        (in_channels, out_channels) if transposed else (out_channels, in_channels)
    )
    weight = default_bound_(
        torch.empty(first, second // groups, *pair("kernel_size", kernel_size, 1))
    )
    bound = weight[0].numel() ** -0.5
    shift = (
        nn.Parameter(torch.empty(out_channels).uniform_(-bound, bound))
        if bias
        else None
    )
    return nn.Parameter(weight), shift
