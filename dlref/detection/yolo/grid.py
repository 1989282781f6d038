"""Targets on a grid: each cell answers for the object whose centre lies in it.

Shape legend: B pictures, A anchors, R S rows and columns of cells, K classes;
D = 1 + 4 + K numbers a place; N objects of a picture.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from dlref import _check
from dlref.detection.localization.boxes import box_convert
from dlref.detection.localization.losses import LossParts
from dlref.detection.yolo.anchors import shape_iou
from dlref.detection.yolo.suppression import batched_nms

__all__ = [
    "Detections",
    "grid_detections",
    "grid_losses",
    "grid_network",
    "grid_targets",
    "grid_values",
]

LARGEST = math.log(1000 / 16)  # of t_w and t_h, lest the exponential overflow


class Detections(NamedTuple):
    """What was found in a picture, or is known to be in it.

    Attributes:
        boxes: xyxy in pixels.
        labels: classes, from 0 on.
        scores: how sure it is; of known objects 1.

    Source:
        The dictionaries of torchvision's detectors.

    Example:
        >>> Detections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0)).boxes.shape
        torch.Size([0, 4])
    """

    boxes: Float[Tensor, "N 4"]
    labels: Int[Tensor, " N"]
    scores: Float[Tensor, " N"]


def grid_targets(
    boxes: Sequence[Float[Tensor, "_ 4"]],
    labels: Sequence[Int[Tensor, " _"]],
    size: tuple[int, int],
    grid: tuple[int, int],
    classes: int,
    *,
    anchors: Float[Tensor, "A 2"] | None = None,
) -> Float[Tensor, "B A D R S"]:
    r"""Write the objects of pictures into the cells of a grid.

    An object belongs to the cell in which its centre lies, and there to the anchor that
    it overlaps most. With the cell's row i and column j, from 0 on, and its width and
    height :math:`w_c, h_c`

    .. math::
        b_x = c_x / w_c - j, \quad b_y = c_y / h_c - i, \quad
        b_w = w / w_c, \quad b_h = h / h_c

    so that the centre lies between 0 and 1, and the sides may be larger than 1.

    Args:
        boxes: for each picture (N, 4), xyxy in pixels, with the centre inside.
        labels: for each picture (N,), from 0 on.
        size: height and width of the pictures.
        grid: rows and columns of cells.
        classes: K.
        anchors: (A, 2) width and height in pixels; without them there is one place a
            cell.

    Returns:
        (B, A, 1 + 4 + K, R, S): 1, box and one-hot class where there is an object, else
        zeros. If two objects want one place, the first stays and the other is lost; the
        sum of the first channel says how many are there.

    Raises:
        TypeError: if a number or a label is no integer, or a box no floating-point
            tensor.
        ValueError: if there are not as many labels as boxes, a box has no area or its
            centre lies outside, or a class lies outside of 0 to K - 1.

    Source:
        Redmon et al. (2016), arXiv:1506.02640, section 2 (where b_w and b_h are parts
        of the picture); anchors: Redmon & Farhadi (2017), arXiv:1612.08242.

    Example:
        >>> box, label = torch.tensor([[95.0, 50, 245, 110]]), torch.tensor([0])
        >>> grid_targets([box], [label], (300, 300), (3, 3), 1)[0, 0, :5, 0, 1]
        tensor([1.0000, 0.7000, 0.8000, 1.5000, 0.6000])
    """
    classes = _check.integer("classes", classes, 1)
    rows, columns = (_check.integer("grid", n, 1) for n in grid)
    cell = _cell(size, grid, torch.zeros(()))
    if len(boxes) != len(labels):
        raise ValueError(
            f"labels must be as many as boxes, {len(boxes)}, got {len(labels)}"
        )
    for box, label in zip(boxes, labels, strict=True):
        _check.tensor("boxes", box, "N four", four=4, empty=True)
        if label.is_floating_point() or label.dtype == torch.bool:
            got = _check.describe(label)
            raise TypeError(f"labels must hold whole numbers, got {got}")
        if len(box) != len(label):
            raise ValueError(
                f"labels must be one a box, {len(box)} in a picture, got {len(label)}"
            )
    count = 1 if anchors is None else len(anchors)
    target = torch.zeros(len(boxes), count, 5 + classes, rows, columns)
    if not sum(map(len, boxes)):
        return target
    every = box_convert(torch.cat(list(boxes)), "xyxy", "cxcywh")
    label = torch.cat(list(labels)).long()
    picture = torch.arange(len(boxes)).repeat_interleave(
        torch.tensor([*map(len, boxes)])
    )
    centre, sides = every[:, :2] / cell, every[:, 2:] / cell
    limits = torch.tensor([columns, rows])
    if not ((centre >= 0) & (centre <= limits) & (sides > 0)).all():
        raise ValueError(
            "boxes must have an area, and their centre in the picture of height and "
            f"width {tuple(size)}"
        )
    if label.min() < 0 or label.max() >= classes:
        raise ValueError(
            f"labels must be in [0, {classes - 1}], got {label.min()} to {label.max()}"
        )
    corner = torch.minimum(centre.floor(), limits - 1)  # a centre on the last edge
    place = torch.zeros(len(every), dtype=torch.int64)
    if anchors is not None:
        place = shape_iou(every[:, 2:], anchors.to(every)).argmax(1)
    hot = F.one_hot(label, classes).to(every)
    values = torch.cat((torch.ones_like(hot[:, :1]), centre - corner, sides, hot), 1)
    j, i = corner.long().unbind(1)
    number = ((picture * count + place) * rows + i) * columns + j
    _, inverse = number.unique(return_inverse=True)
    first = torch.full((int(inverse.max()) + 1,), len(number))
    first = first.scatter_reduce(0, inverse, torch.arange(len(number)), "amin")
    flat = target.permute(0, 1, 3, 4, 2).reshape(-1, 5 + classes)
    flat[number[first]] = values[first].to(flat)
    return flat.reshape(len(boxes), count, rows, columns, -1).permute(0, 1, 4, 2, 3)


def grid_values(
    output: Float[Tensor, "B A D R S"],
    size: tuple[int, int],
    *,
    anchors: Float[Tensor, "A 2"] | None = None,
) -> Float[Tensor, "B A D R S"]:
    r"""Read what a network gives as probabilities and boxes, in the units of targets.

    .. math::
        \hat p = \sigma(t_p), \quad \hat b_x = \sigma(t_x), \quad
        \hat b_y = \sigma(t_y), \quad \hat b_w = a_w e^{t_w}, \quad
        \hat b_h = a_h e^{t_h}

    and a softmax over the classes; the anchor's sides are measured in cells, and grow
    at most 62.5-fold, as in torchvision.

    Args:
        output: (B, A, 1 + 4 + K, R, S), any numbers.
        size: height and width of the pictures.
        anchors: (A, 2) width and height in pixels; without them, one cell.

    Raises:
        TypeError, ValueError: if the output has another shape, or there is not one
            anchor for each of its places.

    Source:
        Redmon & Farhadi (2017), arXiv:1612.08242, section 2.

    Example:
        >>> grid_values(torch.zeros(1, 1, 6, 2, 2), (64, 64))[0, 0, :, 0, 0]
        tensor([0.5000, 0.5000, 0.5000, 1.0000, 1.0000, 1.0000])
    """
    scale = _anchor_cells(output, size, anchors)
    sides = scale * output[:, :, 3:5].clamp(max=LARGEST).exp()
    named = output[:, :, 5:].softmax(2)
    return torch.cat((output[:, :, :3].sigmoid(), sides, named), 2)


def grid_detections(
    values: Float[Tensor, "B A D R S"],
    size: tuple[int, int],
    *,
    score_threshold: float = 0.0,
    iou_threshold: float | None = None,
) -> list[Detections]:
    """Read the boxes off a grid: the inverse of :func:`grid_targets`.

    Args:
        values: (B, A, 1 + 4 + K, R, S), targets or what :func:`grid_values` gives.
        size: height and width of the pictures.
        score_threshold: what is scored this or less is left out. A score is the
            probability that there is something times that of its class.
        iou_threshold: see :func:`~dlref.detection.yolo.suppression.batched_nms`;
            without it copies stay.

    Returns:
        For each picture, boxes in pixels from the highest score to the lowest.

    Raises:
        TypeError: if a threshold is no number.
        ValueError: if the values have another shape, or a threshold lies outside of
            [0, 1].

    Source:
        Redmon et al. (2016), arXiv:1506.02640, section 2.

    Example:
        >>> box, label = torch.tensor([[95.0, 50, 245, 110]]), torch.tensor([1])
        >>> target = grid_targets([box], [label], (300, 300), (3, 3), 2)
        >>> grid_detections(target, (300, 300))[0].boxes
        tensor([[ 95.,  50., 245., 110.]])
    """
    _check_output("values", values)
    _check.real("score_threshold", score_threshold, "[0, 1]")
    rows, columns = values.shape[3:]
    cell = _cell(size, (rows, columns), values)
    down = torch.arange(rows, device=values.device, dtype=values.dtype)
    across = torch.arange(columns, device=values.device, dtype=values.dtype)
    corners = torch.stack(torch.meshgrid(across, down, indexing="xy"), -1)
    of_place = values.permute(0, 1, 3, 4, 2)
    centre = (of_place[..., 1:3] + corners) * cell
    boxes = torch.cat((centre, of_place[..., 3:5] * cell), -1)
    boxes = box_convert(boxes, "cxcywh", "xyxy").flatten(1, 3)
    best, named = of_place[..., 5:].max(-1)
    scores, named = (of_place[..., 0] * best).flatten(1), named.flatten(1)
    found = []
    for box, label, score in zip(boxes, named, scores, strict=True):
        kept = (score > score_threshold).nonzero().flatten()
        kept = kept[score[kept].argsort(descending=True, stable=True)]
        if iou_threshold is not None:
            kept = kept[batched_nms(box[kept], score[kept], label[kept], iou_threshold)]
        found.append(Detections(box[kept], label[kept], score[kept]))
    return found


def grid_losses(
    output: Float[Tensor, "B A D R S"],
    target: Float[Tensor, "B A D R S"],
    size: tuple[int, int],
    *,
    anchors: Float[Tensor, "A 2"] | None = None,
) -> LossParts:
    r"""The three parts of the loss of each picture, summed over its places.

    Presence is a cross-entropy at every place. Box and class count where there is an
    object: the squared errors of the centre, those of :math:`t_w` and :math:`t_h` from
    the logarithms that would be right, and a cross-entropy over the classes.

    Args:
        output: (B, A, 1 + 4 + K, R, S), any numbers.
        target: from :func:`grid_targets` with the same anchors.
        size: height and width of the pictures.
        anchors: see :func:`grid_values`.

    Raises:
        TypeError, ValueError: as :func:`grid_values`; also if the shapes differ.

    Source:
        Redmon et al. (2016), arXiv:1506.02640, equation 3, with cross-entropies and
        logarithms of sizes as in Redmon & Farhadi (2018), arXiv:1804.02767.

    Example:
        >>> nothing = torch.zeros(1, 1, 6, 2, 2)
        >>> grid_losses(nothing, nothing, (64, 64)).presence  # four times log 2
        tensor([2.7726])
    """
    scale = _anchor_cells(output, size, anchors)
    _check_output("target", target)
    if output.shape != target.shape:
        raise ValueError(
            f"target must have the output's shape {tuple(output.shape)}, got "
            f"{_check.describe(target)}"
        )
    there = target[:, :, 0]
    presence = F.binary_cross_entropy_with_logits(
        output[:, :, 0], there, reduction="none"
    )
    mask = there[:, :, None] > 0  # zeros elsewhere, whatever stands there
    made = torch.where(mask, output, 0)
    centre = made[:, :, 1:3].sigmoid() - torch.where(mask, target[:, :, 1:3], 0.5)
    sides = (
        made[:, :, 3:5] - (torch.where(mask, target[:, :, 3:5], scale) / scale).log()
    )
    named = -(target[:, :, 5:] * made[:, :, 5:].log_softmax(2)).sum(2)
    box = (centre**2 + sides**2).sum(2)
    return LossParts(
        *(part.sum((1, 2, 3)) for part in (presence, there * box, there * named))
    )


def grid_network(
    classes: int, anchors: int = 1, *, width: int = 16, in_channels: int = 3
) -> nn.Sequential:
    """Convolutions that look at a picture once, and answer at every eighth pixel.

    Three times a convolution of 3 x 3 and a pooling, two more convolutions, each with
    batch norm and rectifier, and one of 1 x 1 for the answers.

    Args:
        classes: K.
        anchors: A.
        width: channels of the first convolution; then twice and four times as many.
        in_channels: of the pictures.

    Returns:
        A network from (B, in_channels, H, W) to (B, A, 1 + 4 + K, H // 8, W // 8). At
        the start it thinks one place in a hundred to be an object.

    Raises:
        TypeError: if a number is no integer.
        ValueError: if one is below 1.

    Source:
        This book; the bias of the start: Lin et al. (2017), arXiv:1708.02002,
        section 4.1.

    Example:
        >>> grid_network(10)(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2, 1, 15, 8, 8])
    """
    classes = _check.integer("classes", classes, 1)
    anchors = _check.integer("anchors", anchors, 1)
    width = _check.integer("width", width, 1)
    channels = _check.integer("in_channels", in_channels, 1)
    layers: list[nn.Module] = []
    for number, wide in enumerate((width, 2 * width, 4 * width, 4 * width, 4 * width)):
        conv = nn.Conv2d(channels, wide, 3, padding=1, bias=False)
        layers += [conv, nn.BatchNorm2d(wide), nn.ReLU()]
        if number < 3:
            layers.append(nn.MaxPool2d(2))
        channels = wide
    head = nn.Conv2d(channels, anchors * (5 + classes), 1)
    start = torch.zeros(anchors, 5 + classes)
    start[:, 0] = -4.6  # the logit of 0.01
    head.bias = nn.Parameter(start.flatten())
    return nn.Sequential(*layers, head, nn.Unflatten(1, (anchors, 5 + classes)))


def _check_output(name: str, value: Tensor) -> None:
    _check.tensor(name, value, "B A D R S", empty=True)
    if value.shape[2] < 6:
        raise ValueError(
            f"{name} must have 1 + 4 + K numbers a place, with one class at least, got "
            f"{_check.describe(value)}"
        )


def _cell(size: tuple[int, int], grid: tuple[int, int], like: Tensor) -> Tensor:
    """Width and height of a cell in pixels."""
    height, width = (_check.integer("size", side, 1) for side in size)
    return like.new_tensor([width / grid[1], height / grid[0]])


def _anchor_cells(
    output: Tensor, size: tuple[int, int], anchors: Tensor | None
) -> Tensor:
    """Sides of the anchors in cells, (A, 2, 1, 1)."""
    _check_output("output", output)
    cell = _cell(size, (output.shape[3], output.shape[4]), output)
    if anchors is None:
        return torch.ones_like(cell)[None, :, None, None].expand(
            output.shape[1], 2, 1, 1
        )
    _check.tensor("anchors", anchors, "A two", A=output.shape[1], two=2)
    return (anchors.to(output) / cell)[:, :, None, None]
