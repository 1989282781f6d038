r"""The form :math:`\sum y w x` over windows, and its derivatives.

It is trilinear: each of its three derivatives is the gradient of the others.

A convolution is the derivative with respect to :math:`y`, the transposed convolution
that with respect to :math:`x`, and the gradient of the kernels that with respect to
:math:`w`. Here they stand by their definitions; in eager mode the same numbers come
from :mod:`dlref.convnets._flat`.

Shape legend: B batch, C channels, O output channels, G groups, H W input, P Q output,
K L kernel.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from dlref._shortcut import Gradients, shortcut
from dlref.convnets import _flat
from dlref.convnets._windows import Geometry


def windows_times_kernels(
    x: Tensor, weight: Tensor, *, size: Sequence[int], geometry: Geometry
) -> Tensor:
    """Derivative with respect to y: every window of ``x`` times every kernel."""
    windows = geometry.windows(x, weight.shape[2:], size)
    kernels = weight.unflatten(0, (geometry.groups, -1))
    return torch.einsum("bgcpqkl,gockl->bgopq", windows, kernels).flatten(1, 2)


def painted_kernels(
    y: Tensor, weight: Tensor, *, size: Sequence[int], geometry: Geometry
) -> Tensor:
    """Derivative with respect to x: every number of ``y`` paints the kernels.

    The numbers are spread over an image of ``size``, and the kernels turned round.
    """
    for axis, s in ((2, geometry.stride[0]), (4, geometry.stride[1])):
        y = torch.stack([y, *[torch.zeros_like(y)] * (s - 1)], axis + 1)
    spread = y.flatten(4, 5).flatten(2, 3)
    turned = weight.unflatten(0, (geometry.groups, -1)).transpose(1, 2).flip(-2, -1)
    spans = [
        d * (k - 1) for d, k in zip(geometry.dilation, weight.shape[2:], strict=True)
    ]
    before = [n - r for n, r in zip(spans, geometry.padding, strict=True)]
    around = Geometry(
        (1, 1), geometry.dilation, (before[0], before[1]), geometry.groups
    )
    return windows_times_kernels(
        spread, turned.flatten(0, 1), size=size, geometry=around
    )


def windows_times_outputs(
    x: Tensor, y: Tensor, *, size: Sequence[int], geometry: Geometry
) -> Tensor:
    """Derivative with respect to w: how each tap of kernels of ``size`` goes with y."""
    windows = geometry.windows(x, size, y.shape[2:])
    outputs = y.unflatten(1, (geometry.groups, -1))
    return torch.einsum("bgcpqkl,bgopq->gockl", windows, outputs).flatten(0, 1)


def largest_of_windows(
    x: Tensor, *, kernel: Sequence[int], size: Sequence[int], geometry: Geometry
) -> Tensor:
    """Largest number of each window; its gradient goes to the first of several.

    Where one is no number it goes to the last such one, as in torch.
    """
    windows = geometry.windows(x, kernel, size).squeeze(1).flatten(-2)
    values, order = windows.detach(), torch.arange(windows.shape[-1], device=x.device)
    inside = geometry.inside(x, kernel, size).flatten(-2)
    values = torch.where(inside, values, -torch.inf)
    first = (values == values.amax(-1, keepdim=True)) & inside
    rank = torch.where(first, len(order) - order, 0)
    rank = torch.where(values.isnan(), len(order) + 1 + order, rank)
    found = windows.gather(-1, rank.argmax(-1, keepdim=True)).squeeze(-1)
    return torch.where(inside.any(-1), found, -torch.inf)


def _correlate_gradients(
    g: Tensor,
    kept: Gradients,
    wanted: Sequence[bool],
    x: Tensor,
    weight: Tensor,
    *,
    size: Sequence[int],
    geometry: Geometry,
) -> Gradients:
    del kept, size
    for_x = paint(g, weight, size=x.shape[2:], geometry=geometry) if wanted[0] else None
    for_w = match(x, g, size=weight.shape[2:], geometry=geometry) if wanted[1] else None
    return for_x, for_w


def _paint_gradients(
    g: Tensor,
    kept: Gradients,
    wanted: Sequence[bool],
    y: Tensor,
    weight: Tensor,
    *,
    size: Sequence[int],
    geometry: Geometry,
) -> Gradients:
    del kept, size
    for_y = (
        correlate(g, weight, size=y.shape[2:], geometry=geometry) if wanted[0] else None
    )
    for_w = match(g, y, size=weight.shape[2:], geometry=geometry) if wanted[1] else None
    return for_y, for_w


def _match_gradients(
    g: Tensor,
    kept: Gradients,
    wanted: Sequence[bool],
    x: Tensor,
    y: Tensor,
    *,
    size: Sequence[int],
    geometry: Geometry,
) -> Gradients:
    del kept, size
    for_x = paint(y, g, size=x.shape[2:], geometry=geometry) if wanted[0] else None
    for_y = correlate(x, g, size=y.shape[2:], geometry=geometry) if wanted[1] else None
    return for_x, for_y


def _largest_gradients(
    g: Tensor,
    kept: tuple[Tensor],
    wanted: Sequence[bool],
    x: Tensor,
    *,
    kernel: Sequence[int],
    size: Sequence[int],
    geometry: Geometry,
) -> Gradients:
    del wanted, size
    return [_flat.spread(g, kept[0], x.shape, kernel, geometry)]


# of the first three, each one's gradients are the other two
correlate = shortcut(
    windows_times_kernels, _flat.correlate, _correlate_gradients, twice=True
)
paint = shortcut(painted_kernels, _flat.paint, _paint_gradients, twice=True)
match = shortcut(windows_times_outputs, _flat.match, _match_gradients, twice=True)
largest = shortcut(largest_of_windows, _flat.largest, _largest_gradients)
