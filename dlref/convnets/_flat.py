r"""The derivatives of :math:`\sum y w x`, one tap of the kernel after the other.

An image whose rows follow each other in one line is shifted by one tap where the line
is: all pixels that one tap meets are a slice, and no window is ever copied. Each row
ends with as many pixels as the kernel reaches over its edge; what comes out there is
cut off. With a stride, every s-th row and column makes an image of its own (a phase),
on which the stride is one.

Shape legend: B batch, C channels, O output channels, G groups, H W input, P Q output,
K L kernel, S phases, N pixels of a phase.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from dlref._shortcut import chunks
from dlref.convnets._windows import Geometry


class Tap(NamedTuple):
    """Place in the kernel, and where the pixels that it meets begin."""

    place: tuple[int, int]
    phase: int
    offset: int


class Lines:
    """How images of one geometry lie in lines."""

    def __init__(
        self, kernel: Sequence[int], size: Sequence[int], geometry: Geometry
    ) -> None:
        (s, t), (d, e), (K, L) = geometry.stride, geometry.dilation, kernel
        self.stride, self.padding, self.size = (s, t), geometry.padding, size
        self.columns = size[1] + e * (L - 1) // t
        # one row more: the last tap begins within a row
        self.rows = size[0] + d * (K - 1) // s + (self.columns > size[1])
        self.outputs, self.pixels = size[0] * self.columns, self.rows * self.columns
        self.taps = [
            Tap(
                (k, l),
                k * d % s * t + l * e % t,
                k * d // s * self.columns + l * e // t,
            )
            for k, l in product(range(K), range(L))
        ]

    def of_image(self, x: Tensor) -> Tensor:
        """Phases of images, (S, B, C, N)."""
        (s, t), (top, left) = self.stride, self.padding
        right = self.columns * t - left - x.shape[3]
        bottom = self.rows * s - top - x.shape[2]
        x = F.pad(x, (left, right, top, bottom))
        phases = x.view(*x.shape[:2], self.rows, s, self.columns, t)
        return phases.permute(3, 5, 0, 1, 2, 4).reshape(s * t, *x.shape[:2], -1)

    def to_image(self, phases: Tensor, size: Sequence[int]) -> Tensor:
        """The images again, of that size."""
        (s, t), (top, left) = self.stride, self.padding
        x = phases.view(s, t, *phases.shape[1:3], self.rows, self.columns)
        x = x.permute(2, 3, 4, 0, 5, 1).flatten(4, 5).flatten(2, 3)
        right, bottom = size[1] + left - x.shape[3], size[0] + top - x.shape[2]
        return F.pad(x, (-left, right, -top, bottom))

    def of_output(self, y: Tensor) -> Tensor:
        """Outputs with zeros where a window reaches over the edge, (B, O, P N)."""
        return F.pad(y, (0, self.columns - self.size[1])).flatten(2)

    def to_output(self, sums: Tensor) -> Tensor:
        """Outputs without what came out there."""
        return sums.unflatten(-1, (-1, self.columns))[..., : self.size[1]]


def correlate(
    x: Tensor, weight: Tensor, *, size: Sequence[int], geometry: Geometry
) -> tuple[Tensor]:
    """Every window times the kernels, (B, O, P, Q)."""
    lines, G = Lines(weight.shape[2:], size, geometry), geometry.groups
    y, kernels = x.new_empty(len(x), len(weight), *size), _by_tap(weight, G)
    for images, out in chunks(x, y):
        pixels = lines.of_image(images)
        sums = x.new_empty(len(images) * G, len(weight) // G, lines.outputs)
        for n, tap in enumerate(lines.taps):
            end = tap.offset + lines.outputs
            part = pixels[tap.phase, :, :, tap.offset : end]
            _add(sums, kernels[tap.place], part, first=n == 0)
        out.copy_(lines.to_output(sums.view(len(images), len(weight), -1)))
    return (y,)


def paint(
    y: Tensor, weight: Tensor, *, size: Sequence[int], geometry: Geometry
) -> tuple[Tensor]:
    """Every number paints the kernels on images of ``size``, (B, C, H, W)."""
    lines, G = Lines(weight.shape[2:], y.shape[2:], geometry), geometry.groups
    x, kernels = y.new_empty(len(y), weight.shape[1] * G, *size), _by_tap(weight, G).mT
    before = max(tap.offset for tap in lines.taps)
    every = len({tap.phase for tap in lines.taps}) == lines.stride[0] * lines.stride[1]
    make = y.new_empty if every else y.new_zeros  # a phase may meet no tap
    for images, outputs in chunks(x, y):
        line = lines.of_output(outputs)
        line = F.pad(line, (before, lines.pixels - lines.outputs))
        phases = make(
            geometry.stride[0] * geometry.stride[1],
            len(images) * G,
            weight.shape[1],
            lines.pixels,
        )
        begun: set[int] = set()
        for tap in lines.taps:
            start = before - tap.offset
            part = line[:, :, start : start + lines.pixels]
            first = tap.phase not in begun
            _add(phases[tap.phase], kernels[tap.place], part, first=first)
            begun.add(tap.phase)
        phases = phases.view(len(phases), *images.shape[:2], -1)
        images.copy_(lines.to_image(phases, size))
    return (x,)


def match(
    x: Tensor, y: Tensor, *, size: Sequence[int], geometry: Geometry
) -> tuple[Tensor]:
    """How each tap goes with the outputs, over batch and places, (O, C / G, K, L)."""
    lines, G = Lines(size, y.shape[2:], geometry), geometry.groups
    O, Cg = y.shape[1], x.shape[1] // G
    sums = x.new_zeros(*size, G, O // G, Cg)
    for images, outputs in chunks(x, y):
        pixels, line = lines.of_image(images), lines.of_output(outputs)
        line = line.unflatten(1, (G, -1))
        for tap in lines.taps:
            end = tap.offset + lines.outputs
            part = pixels[tap.phase, :, :, tap.offset : end].unflatten(1, (G, -1))
            if Cg == 1 < G:
                found = torch.linalg.vecdot(line, part).unsqueeze(-1)
            else:
                found = torch.bmm(line.flatten(0, 1), part.flatten(0, 1).mT)
                found = found.unflatten(0, (-1, G))
            sums[tap.place] += found.sum(0)
    return (sums.permute(2, 3, 4, 0, 1).flatten(0, 1).contiguous(),)


def _by_tap(weight: Tensor, groups: int) -> Tensor:
    """Weights of each tap, (K, L, G, O / G, C / G)."""
    return weight.permute(2, 3, 0, 1).contiguous().unflatten(2, (groups, -1))


def _add(sums: Tensor, weight: Tensor, part: Tensor, *, first: bool) -> None:
    """Add the products of one tap, (B G, rows, N); the first ones are written."""
    G, rows, columns = weight.shape
    if G > 1 and 1 in (rows, columns):
        sums, part = sums.view(-1, G, rows, sums.shape[-1]), part.unflatten(1, (G, -1))
        for n in range(columns):
            w, values = weight[:, :, n, None], part[:, :, n, None]
            if first and n == 0:
                torch.mul(values, w, out=sums)
            else:
                sums.addcmul_(values, w)
        return
    images = len(sums) // G
    weight = weight.expand(images, G, rows, columns).reshape(-1, rows, columns)
    part = part.unflatten(1, (G, -1)).flatten(0, 1)
    if first:
        torch.bmm(weight, part, out=sums)
    else:
        sums.baddbmm_(weight, part)


def largest(
    x: Tensor, *, kernel: Sequence[int], size: Sequence[int], geometry: Geometry
) -> tuple[Tensor, Tensor]:
    """Largest number of each window, and which of them it is."""
    few = kernel[0] * kernel[1] <= torch.iinfo(torch.uint8).max
    # where all are minus infinity it is the first one on the image
    inside = geometry.inside(x, kernel, size).flatten(-2).to(torch.uint8)
    start = inside.argmax(-1).to(torch.uint8 if few else torch.int32)
    around = [max(n, 0) for n in geometry.around(x.shape, kernel, size)]
    x = F.pad(x, around, value=-torch.inf) if any(around) else x
    best = x.new_empty(*x.shape[:2], *size)
    which = start.expand(best.shape).contiguous()
    for images, values, index in chunks(x, best, which):
        for n, part in enumerate(_places(images, kernel, size, geometry)):
            if n == 0:
                values.copy_(part)
                index.masked_fill_(part != part, 0)
                continue
            # the first of several stays; a number that is none always wins
            larger = (part > values) | (part != part)
            torch.maximum(values, part, out=values)
            torch.maximum(index, larger.to(index.dtype) * n, out=index)
    return best, which


def spread(
    g: Tensor,
    which: Tensor,
    shape: Sequence[int],
    kernel: Sequence[int],
    geometry: Geometry,
) -> Tensor:
    """Each number goes to the place of its window that was the largest."""
    seen = geometry.around(shape, kernel, g.shape[2:])
    left, right, top, bottom = (max(n, 0) for n in seen)
    padded = (*shape[:2], shape[2] + top + bottom, shape[3] + left + right)
    x, nothing = g.new_zeros(padded), g.new_zeros(())
    apart = all(
        s >= d * (k - 1) + 1
        for s, d, k in zip(geometry.stride, geometry.dilation, kernel, strict=True)
    )
    for images, index, values in chunks(x, which, g):
        for n, part in enumerate(_places(images, kernel, g.shape[2:], geometry)):
            if apart:
                torch.where(index == n, values, nothing, out=part)
            else:
                part.add_(torch.where(index == n, values, nothing))
    return x[:, :, top : top + shape[2], left : left + shape[3]].contiguous()


def _places(
    x: Tensor, kernel: Sequence[int], size: Sequence[int], geometry: Geometry
) -> Iterator[Tensor]:
    """Views of the pixels that each tap meets, (B, C, P, Q)."""
    (s, t), (d, e), (P, Q) = geometry.stride, geometry.dilation, size
    for k, l in product(*map(range, kernel)):
        yield x[
            :,
            :,
            k * d : k * d + (P - 1) * s + 1 : s,
            l * e : l * e + (Q - 1) * t + 1 : t,
        ]
