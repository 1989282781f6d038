"""The parts of pictures that excite a channel most.

Shape legend: B pictures, C channels of the input, H W image.
"""

from bisect import bisect_left
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dlref import _check
from dlref.interpretation.features.layers import layer_outputs
from dlref.train import evaluating

__all__ = ["Patch", "ReceptiveField", "maximal_patches", "receptive_fields"]


class ReceptiveField(NamedTuple):
    """Which pixels the units of a layer see, along one axis.

    Unit i sees the pixels from ``start + i * stride`` on, ``size`` of them; where these
    lie outside of the picture, it sees padding.

    Attributes:
        start: first pixel of unit 0; below zero if that begins with padding.
        stride: pixels from one unit's field to the next one's.
        size: pixels of one field.

    Source:
        Araujo, Norris & Sim (2019), Distill, doi:10.23915/distill.00021.

    Example:
        >>> ReceptiveField(-1, 2, 3).inside(0, 8), ReceptiveField(-1, 2, 3).inside(2, 8)
        (slice(0, 2, None), slice(3, 6, None))
    """

    start: int
    stride: int
    size: int

    def inside(self, unit: int, length: int) -> slice:
        """The pixels of a unit that lie in a picture of that length."""
        first = self.start + unit * self.stride
        return slice(max(first, 0), min(first + self.size, length))


class Patch(NamedTuple):
    """A part of a picture, and how much it excites a channel.

    Attributes:
        value: the channel's output at that place.
        image: number of the picture.
        place: row and column of the unit in the channel's map.
        rows, columns: what that unit sees of the picture.

    Source:
        Zeiler & Fergus (2014), arXiv:1311.2901, section 4.

    Example:
        >>> patch = Patch(1.5, 0, (2, 3), slice(1, 4), slice(2, 5))
        >>> torch.zeros(1, 3, 8, 8)[patch.image, :, patch.rows, patch.columns].shape
        torch.Size([3, 3, 3])
    """

    value: float
    image: int
    place: tuple[int, int]
    rows: slice
    columns: slice


def receptive_fields(
    model: nn.Module, layer: str, size: tuple[int, int, int]
) -> tuple[ReceptiveField, ReceptiveField]:
    """What the units of a layer see, rows and columns: found out by asking the network.

    A pixel that is no number makes every sum, product and maximum that it enters no
    number, and so every unit that sees it. The network is shown pictures that are NaN
    in a part of their rows, and the border is searched for by halving. Pictures are
    lengthened until three neighbouring fields fit in. A layer that sees all of
    a picture of any length (as behind global pooling) gets the field of the whole
    picture, and a stride of 0.

    Args:
        model: a network that takes pictures of several sizes up to that layer.
        layer: name of a layer that gives maps.
        size: channels, rows and columns of the pictures.

    Returns:
        The field along the rows and along the columns.

    Raises:
        TypeError: if ``model`` is no module, or a size no integer.
        ValueError: if there is no such layer, it gives no maps, NaN does not get
            through to it, or its units are not spaced evenly (as after upsampling).

    Source:
        Araujo, Norris & Sim (2019), Distill, doi:10.23915/distill.00021, by another
        way.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.MaxPool2d(2))
        >>> receptive_fields(net, "1", (1, 6, 6))[0]
        ReceptiveField(start=-1, stride=2, size=4)
    """
    if len(size) != 3:
        raise ValueError(f"size must be (channels, rows, columns), got {size!r}")
    for number in size:
        _check.integer("size", number, 1)
    return _along(model, layer, size, 1), _along(model, layer, size, 2)


def _along(
    model: nn.Module, layer: str, size: tuple[int, int, int], axis: int
) -> ReceptiveField:
    """The field along the rows (axis 1) or columns (axis 2) of a picture."""
    # longer by multiples of 64: some networks pad odd and even lengths differently
    for longer in (0, 64, 192, 448, 960, 1984):
        length = size[axis] + longer
        shape = [*size[:axis], length, *size[axis + 1 :]]
        reached = partial(_reached, model, layer, shape, axis)
        units = reached(0, length)
        if not units:
            raise ValueError(
                f"model must pass NaN on to the layer {layer!r}, or what its units see "
                "can't be found out"
            )
        middle = units[len(units) // 2]
        first, second, third = middle - 1, middle, middle + 1
        cut_off = first in reached(0, 1) or third in reached(length - 1, length)
        if first not in units or third not in units or cut_off:
            continue
        near = 4 * (length // len(units)) + 4  # the next unit's field is not further on

        def start(unit: int, lo: int, hi: int, reached=reached) -> int:
            """The first pixel that reaches the unit."""
            key = lambda k: unit in reached(0, k + 1)  # noqa: E731
            return bisect_left(range(hi), True, lo, key=key)

        def end(unit: int, lo: int, hi: int, reached=reached, length=length) -> int:
            """The first pixel from which on nothing reaches the unit any more."""
            key = lambda k: unit not in reached(k, length)  # noqa: E731
            return bisect_left(range(hi), True, lo, key=key)

        one = start(first, 0, length)
        two = start(second, one, min(one + near, length))
        three = start(third, two, min(two + near, length))
        end_of_one = end(first, one, length)
        end_of_two = end(second, end_of_one, min(end_of_one + near, length))
        if three - two != two - one or end_of_two - two != end_of_one - one:
            raise ValueError(
                f"layer must have evenly spaced units that see equally much, {layer!r} "
                f"has units that see the pixels from {one}, {two} and {three} on"
            )
        stride = two - one
        return ReceptiveField(one - first * stride, stride, end_of_one - one)
    return ReceptiveField(0, 0, size[axis])


def _reached(
    model: nn.Module, layer: str, shape: list[int], axis: int, first: int, last: int
) -> list[int]:
    """The units that see one of the pixels from ``first`` to ``last`` (without it)."""
    like = next(model.parameters(), torch.zeros(()))
    x = torch.zeros(1, *shape, dtype=like.dtype, device=like.device)
    x.narrow(axis + 1, first, last - first).fill_(torch.nan)
    maps = _maps(model, layer, x)
    return maps.isnan().any(1)[0].any(2 - axis).nonzero()[:, 0].tolist()


def _maps(model: nn.Module, layer: str, x: Tensor) -> Float[Tensor, "B K h w"]:
    with evaluating(model):
        maps = layer_outputs(model, x, [layer])[layer]
    if maps.ndim != 4:
        got = _check.describe(maps)
        raise ValueError(f"layer must give maps of shape (B, K, h, w), got {got}")
    return maps


def maximal_patches(
    model: nn.Module,
    images: Float[Tensor, "B C H W"],
    layer: str,
    *,
    channels: Sequence[int],
    count: int = 9,
) -> dict[int, list[Patch]]:
    """The patches that excite a channel most, the strongest first.

    No two of one picture share half or more of the rows and of the columns of one of
    them: a place beside a maximum shows the same thing again. NaN is passed over.

    Args:
        model: a network with a layer of maps.
        images: pictures as the network takes them.
        layer: name of the layer.
        channels: numbers of the channels.
        count: how many; fewer are found if the pictures hold no more.

    Returns:
        Channel to its patches.

    Raises:
        TypeError: if ``model`` is no module, or a number no integer.
        ValueError: if there is no such layer or channel, or it gives no maps.

    Source:
        Zeiler & Fergus (2014), arXiv:1311.2901, section 4, without their projections.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False))
        >>> _ = net[0].weight.data.fill_(1.0)
        >>> x = torch.eye(3)[None, None]
        >>> [best] = maximal_patches(net, x, "0", channels=[0], count=1)[0]
        >>> best.value, best.place, best.rows
        (1.0, (0, 0), slice(0, 1, None))
    """
    _check.tensor("images", images, "B C H W")
    _check.integer("count", count, 1)
    maps = _maps(model, layer, images)
    for channel in channels:
        _check.integer("channels", channel, 0, maps.shape[1] - 1)
    _, colours, height, width = images.shape
    rows, columns = receptive_fields(model, layer, (colours, height, width))
    spans = [rows.inside(i, height) for i in range(maps.shape[2])]
    across = [columns.inside(j, width) for j in range(maps.shape[3])]
    found: dict[int, list[Patch]] = {}
    for channel in channels:
        left = torch.where(maps[:, channel].isnan(), -torch.inf, maps[:, channel])
        found[channel] = []
        for _ in range(count):
            image, i, j = map(int, torch.unravel_index(left.argmax(), left.shape))
            value = float(left[image, i, j])
            if value == -torch.inf:
                break
            patch = Patch(value, image, (i, j), spans[i], across[j])
            found[channel].append(patch)
            near = torch.outer(_near(spans[i], spans), _near(across[j], across))
            left[image, near.to(left.device)] = -torch.inf
    return found


def _near(one: slice, spans: list[slice]) -> Tensor:
    """Which spans share half or more with one of them, by the shorter of the two."""
    ends = torch.tensor([[span.start, span.stop] for span in spans])
    shared = ends[:, 1].clamp(max=one.stop) - ends[:, 0].clamp(min=one.start)
    shorter = (ends[:, 1] - ends[:, 0]).clamp(max=one.stop - one.start)
    return 2 * shared >= shorter
