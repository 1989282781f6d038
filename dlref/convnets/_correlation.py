r"""The form :math:`\sum y w x` over windows, and its derivatives.

It is trilinear: each of its three derivatives is the gradient of the others.

A convolution is the derivative with respect to :math:`y`, the transposed convolution
that with respect to :math:`x`, and the gradient of the kernels that with respect to
:math:`w`. Padding is done before and cut off after.

Shape legend: B batch, C channels, O output channels, G groups, H W padded input, P Q
output, K L kernel.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor

from dlref.convnets._windows import Geometry

_CHUNK = 2**20  # numbers in a chunk of images


def correlate(x: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    """Derivative with respect to y.

    Every window of ``x`` times the kernels, (B, O, P, Q).
    """
    return _Correlate.apply(x, weight, geometry)


def paint(
    y: Tensor, weight: Tensor, size: tuple[int, int], geometry: Geometry
) -> Tensor:
    """Derivative with respect to x.

    Every number of ``y`` paints the kernels on an image of ``size``.
    """
    return _Paint.apply(y, weight, size, geometry)


def largest(
    x: Tensor, kernel: Sequence[int], size: Sequence[int], geometry: Geometry
) -> Tensor:
    """Largest number of each window; its gradient goes to the first of several."""
    return _MaxPool.apply(x, kernel, size, geometry)


def chunks(*batches: Tensor, size: int | None = None) -> Iterator[tuple[Tensor, ...]]:
    """A few images at a time, so that their windows fit a cache.

    ``size`` is what the windows of one image hold.
    """
    images = max(1, _CHUNK // (batches[0][0].numel() if size is None else size))
    return zip(*(batch.split(images) for batch in batches), strict=True)


def _taps(weight: Tensor, groups: int) -> Iterator[tuple[tuple[int, ...], Tensor]]:
    """Each tap of depthwise kernels, and a view of its weights, (G, O / G, 1, 1)."""
    for tap in product(*map(range, weight.shape[2:])):
        yield tap, weight[:, 0, *tap].view(groups, -1, 1, 1)


def _repeated(weight: Tensor, images: int) -> Tensor:
    return weight.expand(images, *weight.shape).flatten(0, 1)


class _Correlate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry, (O, Cg, *kernel) = geometry, weight.shape
        windows, G = geometry.windows(x, kernel), geometry.groups
        B, P, Q = len(x), *windows.shape[-2:]
        if Cg == 1 < G:
            y = x.new_zeros(B, G, O // G, P, Q)
            for images, out in chunks(x, y):
                for tap, w in _taps(weight, G):
                    out.addcmul_(geometry.places(images, tap, (P, Q)).unsqueeze(2), w)
            return y.view(B, O, P, Q)
        y, w = x.new_empty(B, G, O // G, P * Q), weight.reshape(G, O // G, -1)
        for images, out in chunks(windows, y):
            columns = images.reshape(len(out) * G, -1, P * Q)
            torch.bmm(_repeated(w, len(out)), columns, out=out.flatten(0, 1))
        return y.view(B, O, P, Q)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (g,), (x, weight) = grad_outputs, ctx.saved_tensors
        for_x = (
            _Paint.apply(g, weight, x.shape[2:], ctx.geometry)
            if ctx.needs_input_grad[0]
            else None
        )
        for_w = (
            _Match.apply(x, g, weight.shape, ctx.geometry)
            if ctx.needs_input_grad[1]
            else None
        )
        return for_x, for_w, None


class _Paint(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, y: Tensor, weight: Tensor, size: tuple[int, int], geometry: Geometry
    ) -> Tensor:
        ctx.save_for_backward(y, weight)
        ctx.geometry, (O, Cg, *kernel) = geometry, weight.shape
        (B, _, P, Q), G = y.shape, geometry.groups
        x = y.new_zeros(B, G * Cg, *size)
        if Cg == 1 < G:
            for images, values in chunks(x, y.reshape(B, G, O // G, P, Q)):
                for tap, w in _taps(weight, G):
                    for m in range(O // G):
                        geometry.places(images, tap, (P, Q)).addcmul_(
                            values[:, :, m], w[:, m]
                        )
            return x
        y, w = y.reshape(B, G, O // G, P * Q), weight.reshape(G, O // G, -1).mT
        for images, values in chunks(x, y, size=G * w.shape[1] * P * Q):
            painted = torch.bmm(_repeated(w, len(values)), values.flatten(0, 1)).view(
                -1, G * Cg, *kernel, P, Q
            )
            for tap in product(*map(range, kernel)):
                geometry.places(images, tap, (P, Q)).add_(painted[:, :, *tap])
        return x

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (g,), (y, weight) = grad_outputs, ctx.saved_tensors
        for_y = (
            _Correlate.apply(g, weight, ctx.geometry)
            if ctx.needs_input_grad[0]
            else None
        )
        for_w = (
            _Match.apply(g, y, weight.shape, ctx.geometry)
            if ctx.needs_input_grad[1]
            else None
        )
        return for_y, for_w, None, None


class _Match(torch.autograd.Function):
    """Derivative with respect to w.

    How each tap of the windows of x goes with y, over batch and positions.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, y: Tensor, shape: torch.Size, geometry: Geometry
    ) -> Tensor:
        ctx.save_for_backward(x, y)
        ctx.geometry, (O, Cg, *kernel) = geometry, shape
        (B, _, P, Q), G = y.shape, geometry.groups
        if Cg == 1 < G:
            weight = x.new_zeros(shape)
            for images, values in chunks(x, y.reshape(B, G, O // G, P, Q)):
                for tap, w in _taps(weight, G):
                    w += (
                        (geometry.places(images, tap, (P, Q)).unsqueeze(2) * values)
                        .sum((0, 3, 4))
                        .view_as(w)
                    )
            return weight
        windows, y = geometry.windows(x, kernel), y.reshape(B, G, O // G, P * Q)
        weight = x.new_zeros(G, O // G, Cg * shape[2] * shape[3])
        for images, values in chunks(windows, y):
            columns = images.reshape(len(values) * G, -1, P * Q)
            weight += (
                torch.bmm(values.flatten(0, 1), columns.mT)
                .view(-1, *weight.shape)
                .sum(0)
            )
        return weight.view(shape)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (g,), (x, y) = grad_outputs, ctx.saved_tensors
        for_x = (
            _Paint.apply(y, g, x.shape[2:], ctx.geometry)
            if ctx.needs_input_grad[0]
            else None
        )
        for_y = (
            _Correlate.apply(x, g, ctx.geometry) if ctx.needs_input_grad[1] else None
        )
        return for_x, for_y, None, None


class _MaxPool(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        kernel: Sequence[int],
        size: Sequence[int],
        geometry: Geometry,
    ) -> Tensor:
        best = x.new_empty(*x.shape[:2], *size)
        which = torch.empty(best.shape, dtype=torch.int32, device=x.device)
        for images, values, index in chunks(x, best, which):
            taps = [
                geometry.places(images, tap, size)
                for tap in product(*map(range, kernel))
            ]
            found = torch.stack(taps).max(0)  # the first of several
            values.copy_(found.values)
            index.copy_(found.indices)
        ctx.save_for_backward(which)
        ctx.arguments = x.shape, kernel, size, geometry
        return best

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]  the decorator hides the signature
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor | None, ...]:
        (g,) = grad_outputs
        (which,) = ctx.saved_tensors
        (shape, kernel, size, geometry) = ctx.arguments
        for_x = g.new_zeros(shape)
        for images, index, values in chunks(for_x, which, g):
            for n, tap in enumerate(product(*map(range, kernel))):
                geometry.places(images, tap, size).add_(
                    torch.where(index == n, values, 0)
                )
        return for_x, None, None, None
