"""Boxes: three ways to write them, and how much two of them overlap.

Shape legend: N, M boxes; 4 numbers of a box.

A box in the format ``xyxy`` is left, top, right, bottom: x grows to the right, y
downwards, in pixels, and pixel (0, 0) reaches from 0 to 1. So the width is right minus
left, without a 1 added. Names, arguments and formats are torchvision's.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from dlref import _check

__all__ = [
    "box_area",
    "box_convert",
    "box_iou",
    "clip_boxes_to_image",
    "generalized_box_iou",
    "generalized_box_iou_loss",
]

FORMATS = ("xyxy", "xywh", "cxcywh")


def box_convert(
    boxes: Float[Tensor, "... 4"], in_fmt: str, out_fmt: str
) -> Float[Tensor, "... 4"]:
    """Write boxes in another format.

    Args:
        boxes: (..., 4).
        in_fmt, out_fmt: ``"xyxy"`` (left, top, right, bottom), ``"xywh"`` (left, top,
            width, height) or ``"cxcywh"`` (centre, width, height).

    Returns:
        New boxes, (..., 4); sides are not looked at, so that a negative width stays
        one.

    Raises:
        TypeError: if the boxes are no floating-point tensor.
        ValueError: if there are not four numbers a box, or no such format.

    Source:
        torchvision.ops.box_convert.

    Example:
        >>> box_convert(torch.tensor([1.0, 2.0, 5.0, 4.0]), "xyxy", "cxcywh")
        tensor([3., 3., 4., 2.])
    """
    _boxes("boxes", boxes, "... 4")
    _check.one_of("in_fmt", in_fmt, FORMATS)
    _check.one_of("out_fmt", out_fmt, FORMATS)
    if in_fmt == out_fmt:
        return boxes.clone()
    first, second = boxes[..., :2], boxes[..., 2:]
    if in_fmt == "xyxy":
        low, sides = first, second - first
    elif in_fmt == "xywh":
        low, sides = first, second
    else:
        low, sides = first - second / 2, second
    if out_fmt == "xyxy":
        return torch.cat((low, low + sides), -1)
    if out_fmt == "xywh":
        return torch.cat((low, sides), -1)
    return torch.cat((low + sides / 2, sides), -1)


def box_area(boxes: Float[Tensor, "... 4"]) -> Float[Tensor, "..."]:
    """Width times height; half precision is multiplied out in single.

    Args:
        boxes: (..., 4), xyxy. One whose right edge lies left of its left edge, or whose
            bottom lies above its top, has no area.

    Raises:
        TypeError, ValueError: as :func:`box_convert`.

    Source:
        torchvision.ops.box_area, which gives such boxes a negative area or, if both
        are so, a positive one.

    Example:
        >>> box_area(torch.tensor([[1.0, 2.0, 5.0, 4.0]]))
        tensor([8.])
    """
    _boxes("boxes", boxes, "... 4")
    return _area(_single(boxes))


def clip_boxes_to_image(
    boxes: Float[Tensor, "... 4"], size: tuple[int, int]
) -> Float[Tensor, "... 4"]:
    """Cut off what lies outside of a picture.

    Args:
        boxes: (..., 4), xyxy.
        size: height and width of the picture.

    Raises:
        TypeError, ValueError: as :func:`box_convert`; also if the height or the width
            is no integer of at least 1.

    Source:
        torchvision.ops.clip_boxes_to_image.

    Example:
        >>> clip_boxes_to_image(torch.tensor([-3.0, 2.0, 50.0, 9.0]), (10, 20))
        tensor([ 0.,  2., 20.,  9.])
    """
    _boxes("boxes", boxes, "... 4")
    height, width = (_check.integer("size", side, 1) for side in size)
    x, y = boxes[..., 0::2].clamp(0, width), boxes[..., 1::2].clamp(0, height)
    return torch.stack((x, y), -1).flatten(-2)


def box_iou(
    boxes1: Float[Tensor, "N 4"], boxes2: Float[Tensor, "M 4"]
) -> Float[Tensor, "N M"]:
    r"""Area that two boxes share, as a part of the area that they cover together.

    .. math::
        \mathrm{IoU}(A, B) = \frac{|A \cap B|}{|A \cup B|}

    for each box of the first set with each of the second.

    Args:
        boxes1: (N, 4), xyxy; see :func:`box_area` for boxes without area.
        boxes2: (M, 4).

    Returns:
        (N, M), in single precision if the boxes are in half; a set may be empty. Two
        boxes that both have no area have an IoU of 0. Areas must be numbers of their
        type: in single precision, sides between about 1e-19 and 1e19.

    Raises:
        TypeError, ValueError: as :func:`box_convert`.

    Source:
        Jaccard (1912), New Phytologist 11(2); torchvision.ops.box_iou, which gives NaN
        where neither box has an area.

    Example:
        >>> one = torch.tensor([[0.0, 0.0, 2.0, 2.0]])
        >>> round(box_iou(one, one + 1).item(), 4)  # 1 of 4 + 4 - 1
        0.1429
    """
    _boxes("boxes1", boxes1, "N 4")
    _boxes("boxes2", boxes2, "M 4")
    return _iou(_single(boxes1)[:, None], _single(boxes2))


def generalized_box_iou(
    boxes1: Float[Tensor, "N 4"], boxes2: Float[Tensor, "M 4"]
) -> Float[Tensor, "N M"]:
    r"""IoU, less the part of the smallest box around both that neither covers.

    .. math::
        \mathrm{GIoU}(A, B) = \mathrm{IoU}(A, B) - \frac{|E| - |A \cup B|}{|E|}

    with E the smallest box that holds both. It is 1 for equal boxes, and falls towards
    -1 the further they are apart, where the IoU is 0 for all that do not meet.

    Args:
        boxes1: (N, 4), xyxy; see :func:`box_area` for boxes without area.
        boxes2: (M, 4).

    Returns:
        (N, M), as :func:`box_iou`.

    Raises:
        TypeError, ValueError: as :func:`box_convert`.

    Source:
        Rezatofighi et al. (2019), arXiv:1902.09630, algorithm 1.

    Example:
        >>> one = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
        >>> two = torch.tensor([[2.0, 0.0, 3.0, 1.0]])
        >>> round(generalized_box_iou(one, two).item(), 4)  # 1 of 3 is in neither
        -0.3333
    """
    _boxes("boxes1", boxes1, "N 4")
    _boxes("boxes2", boxes2, "M 4")
    return _generalized(_single(boxes1)[:, None], _single(boxes2))


def generalized_box_iou_loss(
    boxes1: Float[Tensor, "... 4"],
    boxes2: Float[Tensor, "... 4"],
    reduction: str = "none",
) -> Float[Tensor, "..."]:
    """1 - GIoU of each box with its partner: a loss that pulls boxes together.

    Args:
        boxes1: (..., 4), xyxy.
        boxes2: their partners, of the same shape.
        reduction: ``"none"`` gives one number a pair, ``"mean"`` and ``"sum"`` one in
            all; the mean of no pairs is 0.

    Raises:
        TypeError, ValueError: as :func:`box_convert`; also if the shapes differ, or
            there is no such reduction.

    Source:
        Rezatofighi et al. (2019), arXiv:1902.09630, algorithm 1;
        torchvision.ops.generalized_box_iou_loss.

    Example:
        >>> one = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
        >>> generalized_box_iou_loss(one, one)
        tensor([0.])
    """
    _boxes("boxes1", boxes1, "... 4")
    _boxes("boxes2", boxes2, "... 4")
    if boxes1.shape != boxes2.shape:
        raise ValueError(
            f"boxes2 must have the shape of boxes1, {tuple(boxes1.shape)}, got "
            f"{_check.describe(boxes2)}"
        )
    _check.one_of("reduction", reduction, ("none", "mean", "sum"))
    loss = 1 - _generalized(_single(boxes1), _single(boxes2))
    if reduction == "none":
        return loss
    return loss.sum() / (max(loss.numel(), 1) if reduction == "mean" else 1)


def _boxes(name: str, boxes: Tensor, shape: str) -> None:
    letters = shape.split()[:-1]
    _check.tensor(name, boxes, " ".join([*letters, "four"]), empty=True, four=4)


def _single(boxes: Tensor) -> Tensor:
    """Half precision cannot hold the area of a box of 300 pixels a side."""
    return boxes if boxes.dtype in (torch.float32, torch.float64) else boxes.float()


def _area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)


def _shared_and_together(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Areas of intersection and union of boxes whose leading axes are broadcast."""
    low = torch.maximum(one[..., :2], other[..., :2])
    high = torch.minimum(one[..., 2:], other[..., 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    return shared, _area(one) + _area(other) - shared


def _over(part: Tensor, whole: Tensor) -> Tensor:
    """Part by whole, and 0 where the whole is nothing, with a gradient of 0 there."""
    nothing = whole == 0
    return torch.where(nothing, 0 * part, part / torch.where(nothing, 1, whole))


def _iou(one: Tensor, other: Tensor) -> Tensor:
    return _over(*_shared_and_together(one, other))


def _generalized(one: Tensor, other: Tensor) -> Tensor:
    shared, together = _shared_and_together(one, other)
    low = torch.minimum(one[..., :2], other[..., :2])
    high = torch.maximum(one[..., 2:], other[..., 2:])
    around = (high - low).clamp(min=0).prod(-1)
    return _over(shared, together) - _over(around - together, around)
