"""Features of one size from regions of any size.

Shape legend: B pictures, C channels, H W rows and columns of a map; N regions, P Q rows
and columns of the result. Names, arguments and conventions are torchvision's.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dlref import _check

__all__ = ["roi_align", "roi_pool"]

FAR = 2.0**31  # places; farther edges have no whole numbers
_PRODUCT = "nph,chw,nqw->ncpq"


def roi_pool(
    input: Float[Tensor, "B C H W"],  # noqa: A002  the name in torchvision
    boxes: Float[Tensor, "N 5"] | Sequence[Float[Tensor, "_ 4"]],
    output_size: int | tuple[int, int],
    spatial_scale: float = 1.0,
) -> Float[Tensor, "N C P Q"]:
    """The maximum of each of P x Q parts of each region, on whole places of the map.

    The edges of a region are rounded to places, the last of which belong to it; so it
    has one place at least. Its parts are as equal as whole places allow, and share a
    row or column where it does not divide.

    Args:
        input: (B, C, H, W), a map.
        boxes: for each picture (_, 4), xyxy; or (N, 5), whose first number says which
            picture.
        output_size: P and Q, or one number for both.
        spatial_scale: places of the map a pixel of the boxes; 1/8 at a stride of 8.

    Returns:
        (N, C, P, Q); 0 for parts that lie outside of the map. Of equal maxima one gets
        the gradient.

    Raises:
        TypeError: if map or boxes are no floating-point tensor, or a size no integer.
        ValueError: if a shape is another, a region ends before it begins, or belongs to
            no picture, or the scale is not above 0.

    Source:
        Girshick (2015), arXiv:1504.08083, section 2.1; torchvision.ops.roi_pool.

    Example:
        >>> ramp = torch.arange(16.0).reshape(1, 1, 4, 4)
        >>> roi_pool(ramp, [torch.tensor([[0.0, 0.0, 3.0, 3.0]])], 2)
        tensor([[[[ 5.,  7.],
                  [13., 15.]]]])
    """
    regions, owner = _regions(input, boxes)
    rows, columns = _sizes(output_size)
    _check.real("spatial_scale", spatial_scale, "(0, inf)")
    places = _round(regions * spatial_scale).double().clamp(-FAR, FAR).long()
    down = _parts(places[:, 1], places[:, 3], rows, input.shape[2])
    across = _parts(places[:, 0], places[:, 2], columns, input.shape[3])
    return _by_picture(input, owner, partial(_largest, down, across), (rows, columns))


def _parts(first: Tensor, last: Tensor, parts: int, side: int) -> Tensor:
    """Which of ``side`` places belong to each part of each region, (N, parts, side)."""
    length = (last - first + 1)[:, None]
    number = torch.arange(parts, device=first.device)
    begin = first[:, None] + number * length // parts
    end = first[:, None] - (-(number + 1) * length // parts)
    place = torch.arange(side, device=first.device)
    return (place >= begin[..., None]) & (place < end[..., None])


def _largest(down: Tensor, across: Tensor, mine: Tensor, image: Tensor) -> Tensor:
    """The maximum of each part: first of its rows, then of its columns."""
    lowest = -torch.inf
    inside = [
        torch.where(part[:, None, :, None], image, lowest).max(2).values
        for part in down[mine].unbind(1)
    ]
    rows = torch.stack(inside, 2)
    cells = [
        torch.where(part[:, None, None, :], rows, lowest).max(3).values
        for part in across[mine].unbind(1)
    ]
    some = down[mine].any(2)[:, :, None] & across[mine].any(2)[:, None, :]
    return torch.where(some[:, None], torch.stack(cells, 3), 0)


def roi_align(
    input: Float[Tensor, "B C H W"],  # noqa: A002  the name in torchvision
    boxes: Float[Tensor, "N 5"] | Sequence[Float[Tensor, "_ 4"]],
    output_size: int | tuple[int, int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = False,
) -> Float[Tensor, "N C P Q"]:
    r"""The mean of each of P x Q parts of each region, nothing rounded.

    A part is measured at points at equal distances in it, between the places of the map
    by bilinear interpolation. Points and interpolation are each a product of one for
    the rows and one for the columns, so that a region's result is

    .. math::
        Y = D\, X\, A^\top

    with a matrix D (P, H) of the weights of rows, and A (Q, W) of columns.

    Args:
        input: (B, C, H, W), a map.
        boxes: for each picture (_, 4), xyxy; or (N, 5), whose first number says which
            picture.
        output_size: P and Q, or one number for both.
        spatial_scale: places of the map a pixel of the boxes; 1/8 at a stride of 8.
        sampling_ratio: points a part, across and down. -1 or 0 takes as many as the
            part is places long, rounded up; none, and so a 0, in a region without an
            area.
        aligned: with True the value of a pixel stands at its middle, half a place from
            its edge, as boxes have it. The default, kept for older weights, measures
            half a place too far right and down, and makes regions one place wide at
            least.

    Returns:
        (N, C, P, Q). A point further than one place from the middle of the outermost
        place counts as 0; nearer ones take the value of that middle. Gradients reach
        the boxes too, as the weights follow their edges; torchvision's compiled
        operation gives them none.

    Raises:
        TypeError: if map or boxes are no floating-point tensor, or a size no integer.
        ValueError: if a shape is another, a region ends before it begins, or belongs to
            no picture, or the scale is not above 0.

    Source:
        He, Gkioxari, Dollar & Girshick (2017), arXiv:1703.06870, section 3;
        torchvision.ops.roi_align.

    Example:
        >>> ramp = torch.arange(16.0).reshape(1, 1, 4, 4)
        >>> box = [torch.tensor([[1.0, 1.0, 3.0, 3.0]])]
        >>> roi_align(ramp, box, 2, aligned=True)
        tensor([[[[ 5.,  6.],
                  [ 9., 10.]]]])
    """
    regions, owner = _regions(input, boxes)
    rows, columns = _sizes(output_size)
    _check.real("spatial_scale", spatial_scale, "(0, inf)")
    _check.integer("sampling_ratio", sampling_ratio, -1)
    edges = regions * spatial_scale - (0.5 if aligned else 0.0)
    least = 0.0 if aligned else 1.0
    weights = partial(_weights, ratio=sampling_ratio, least=least)
    down = weights(edges[:, 1], edges[:, 3], rows, input.shape[2]).to(input.dtype)
    across = weights(edges[:, 0], edges[:, 2], columns, input.shape[3]).to(input.dtype)

    def measured(mine: Tensor, image: Tensor) -> Tensor:
        return _product(down[mine], image, across[mine])

    return _by_picture(input, owner, measured, (rows, columns))


def _weights(
    first: Tensor, last: Tensor, parts: int, side: int, *, ratio: int, least: float
) -> Tensor:
    """How much each place counts in each part, (N, parts, side)."""
    length = (last - first).clamp(min=least)
    part = length / parts
    points = part.detach().ceil() if ratio <= 0 else torch.full_like(part, ratio)
    most = int(points.max()) if len(points) else 0
    number = torch.arange(most, device=part.device)
    step = (number + 0.5) / points.clamp(min=1)[:, None]
    begin = torch.arange(parts, device=part.device)[:, None] + step[:, None]
    point = first[:, None, None] + part[:, None, None] * begin
    counts = (point >= -1) & (point <= side) & (number < points[:, None])[:, None]
    point = point.clamp(0, side - 1)[..., None]
    place = torch.arange(side, device=part.device)
    near = (1 - (point - place).abs()).clamp(min=0)  # bilinear, along one axis
    total = (near * counts[..., None]).sum(2)
    return total / points.clamp(min=1)[:, None, None]


def _product(down: Tensor, image: Tensor, across: Tensor) -> Tensor:
    """D X A^T for each region; what is not finite counts only where it has a weight."""
    finite = image.isfinite()
    total = torch.einsum(_PRODUCT, down, torch.where(finite, image, 0), across)
    if not finite.all():
        touches = [(weight > 0).to(image) for weight in (down, across)]
        for value in (torch.inf, -torch.inf, torch.nan):
            there = image.isnan() if value != value else image == value
            met = torch.einsum(_PRODUCT, touches[0], there.to(image), touches[1]) > 0
            total = total + torch.where(met, value, 0.0)
    return total


def _by_picture(
    maps: Tensor,
    owner: Int[Tensor, " N"],
    measured: Callable[[Tensor, Tensor], Tensor],
    size: tuple[int, int],
) -> Tensor:
    """The regions of each picture together, so that its map is not copied for each."""
    found, order = [maps.new_empty(0, maps.shape[1], *size)], [owner[:0]]
    for number, image in enumerate(maps):
        mine = (owner == number).nonzero().flatten()
        if len(mine):
            found.append(measured(mine, image))
            order.append(mine)
    return torch.cat(found)[torch.cat(order).argsort()]


def _regions(
    maps: Tensor, boxes: Tensor | Sequence[Tensor]
) -> tuple[Float[Tensor, "N 4"], Int[Tensor, " N"]]:
    """The boxes of all pictures, and which picture each belongs to."""
    _check.tensor("input", maps, "B C H W")
    if isinstance(boxes, Tensor):
        _check.tensor("boxes", boxes, "N five", five=5, empty=True)
        regions, owner = boxes[:, 1:], boxes[:, 0].long()
        if not ((boxes[:, 0] == owner) & (owner >= 0) & (owner < len(maps))).all():
            raise ValueError(
                "boxes must have a whole number from 0 to "
                f"{len(maps) - 1} first, the picture"
            )
    else:
        if len(boxes) != len(maps):
            raise ValueError(
                f"boxes must be those of {len(maps)} pictures, got {len(boxes)}"
            )
        for of_picture in boxes:
            _check.tensor("boxes", of_picture, "N four", four=4, empty=True)
        regions = torch.cat(list(boxes))
        counts = torch.tensor([len(b) for b in boxes], device=maps.device)
        owner = torch.arange(len(boxes), device=maps.device)
        owner = owner.repeat_interleave(counts)
    if not (
        (regions[:, :2] <= regions[:, 2:]) & regions.isfinite().all(1)[:, None]
    ).all():
        raise ValueError(
            "boxes must be finite, with their right edge not left of the left one, and "
            "their bottom not above the top"
        )
    return regions, owner


def _sizes(output_size: int | tuple[int, int]) -> tuple[int, int]:
    pair = (output_size,) * 2 if isinstance(output_size, int) else output_size
    rows, columns = (_check.integer("output_size", side, 1) for side in pair)
    return rows, columns


def _round(x: Tensor) -> Tensor:
    """To the nearest whole number, halves away from 0, as in C."""
    half = (x - x.trunc()).abs() == 0.5
    return torch.where(half, x.trunc() + x.sign(), x.round())
