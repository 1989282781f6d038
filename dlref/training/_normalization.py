"""Batch normalisation in few passes over the numbers.

Each channel's line is read in chunks of images that stay in a cache. Deviations from
the mean are taken before anything is summed: at mean 1000 their sums would cancel.

Shape legend: B examples in a batch, C features or channels, N places.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from dlref._shortcut import Gradients, chunks


def of_channel(values: Tensor, x: Tensor) -> Tensor:
    """One value a channel, so that it meets the numbers of ``x``."""
    return values.view(1, -1, *[1] * (x.ndim - 2))


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of each channel, (B, C) or (B, C, places)."""
    if x.ndim == 2:  # in place, for each new tensor costs more than its numbers
        mean = x.mean(0)
        apart = x - mean
        return mean, apart.mul_(apart).mean(0)
    lines, count = x.flatten(2), x.numel() // x.shape[1]
    mean = lines.sum(2).sum(0) / count
    squares = torch.zeros_like(mean)
    for (part,) in chunks(lines):
        apart = part - mean[:, None]
        squares = squares + _dot(apart, apart)
    return mean, squares / count


def forward(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
    *,
    eps: float,
) -> tuple[Tensor]:
    scale = weight * (variance + eps).rsqrt()
    if x.ndim == 2:
        y = x - mean
        return (torch.addcmul(bias, y, scale, out=y),)
    lines, y = x.flatten(2), torch.empty_like(x, memory_format=torch.contiguous_format)
    for part, out in chunks(lines, y.view(lines.shape)):
        torch.sub(part, mean[:, None], out=out)
        torch.addcmul(bias[:, None], out, scale[:, None], out=out)
    return (y,)


def backward(
    g: Tensor,
    kept: Sequence[Tensor],
    wanted: Sequence[bool],
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
    *,
    eps: float,
) -> Gradients:
    del kept, wanted, bias
    inverse, count = (variance + eps).rsqrt(), x.numel() // x.shape[1]
    if x.ndim == 2:
        apart = x - mean
        for_bias, for_weight = g.sum(0), (g * apart).sum(0) * inverse
        tilt = for_weight * inverse / -count
        even = apart.mul_(tilt).add_(g).sub_(for_bias / count)
        return even.mul_(weight * inverse), for_weight, for_bias, None, None
    lines, grads = x.flatten(2), g.flatten(2)
    for_bias, along = grads.sum(2).sum(0), torch.zeros_like(mean)
    for part, grad in chunks(lines, grads):
        along += _dot(part - mean[:, None], grad)
    for_weight, for_x = along * inverse, torch.empty_like(lines)
    scale = (weight * inverse)[:, None]
    tilt, shift = (
        scale * (for_weight * inverse / -count)[:, None],
        scale * (for_bias / -count)[:, None],
    )
    for part, grad, out in chunks(lines, grads, for_x):
        torch.sub(part, mean[:, None], out=out)
        torch.addcmul(shift, out, tilt, out=out)
        out.addcmul_(grad, scale)
    return for_x.view(x.shape), for_weight, for_bias, None, None


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Sum of the products of each channel."""
    return torch.linalg.vecdot(a, b).sum(0)
