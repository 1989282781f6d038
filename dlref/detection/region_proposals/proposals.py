"""Proposals: where in a picture something may be, whatever it is.

Shape legend: B pictures, A shapes of anchor, R S rows and columns of a map; N boxes or
anchors, M objects.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dlref import _check
from dlref.detection.localization.boxes import box_convert, clip_boxes_to_image
from dlref.detection.yolo.grid import LARGEST, Detections
from dlref.detection.yolo.suppression import nms

__all__ = [
    "ProposalHead",
    "anchor_boxes",
    "decode_boxes",
    "encode_boxes",
    "match_anchors",
    "region_proposals",
    "sample_anchors",
]


def anchor_boxes(
    size: tuple[int, int], grid: tuple[int, int], anchors: Float[Tensor, "A 2"]
) -> Float[Tensor, "N 4"]:
    """Every shape of anchor around the middle of every cell.

    Args:
        size: height and width of the picture.
        grid: rows R and columns S of cells.
        anchors: (A, 2) width and height in pixels.

    Returns:
        (A R S, 4) xyxy in pixels: shape after shape, row after row; edges may lie
        outside.

    Raises:
        TypeError: if a number is no integer, or the anchors no floating-point tensor.
        ValueError: if a number is below 1, or there are not two a shape.

    Source:
        Ren, He, Girshick & Sun (2015), arXiv:1506.01497, section 3.1.1.

    Example:
        >>> anchor_boxes((8, 16), (1, 2), torch.tensor([[4.0, 2.0]]))
        tensor([[ 2.,  3.,  6.,  5.],
                [10.,  3., 14.,  5.]])
    """
    height, width = (_check.integer("size", side, 1) for side in size)
    rows, columns = (_check.integer("grid", count, 1) for count in grid)
    _check.tensor("anchors", anchors, "A two", two=2)
    y = (torch.arange(rows).to(anchors) + 0.5) * (height / rows)
    x = (torch.arange(columns).to(anchors) + 0.5) * (width / columns)
    middle = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).flatten(0, 1)
    boxes = torch.cat(
        (
            middle.expand(len(anchors), -1, -1),
            anchors[:, None].expand(-1, rows * columns, -1),
        ),
        -1,
    )
    return box_convert(boxes.flatten(0, 1), "cxcywh", "xyxy")


def encode_boxes(
    boxes: Float[Tensor, "N 4"], anchors: Float[Tensor, "N 4"]
) -> Float[Tensor, "N 4"]:
    r"""Boxes as what must be done to their anchors.

    .. math::
        t_x = (x - x_a) / w_a, \quad t_y = (y - y_a) / h_a, \quad
        t_w = \ln(w / w_a), \quad t_h = \ln(h / h_a)

    with centres (x, y) and sides (w, h).

    Args:
        boxes: (N, 4) xyxy. One without an area, or on an anchor without one, gives
            infinite numbers or NaN.
        anchors: (N, 4) xyxy, the anchor of each box.

    Raises:
        TypeError: if one is no floating-point tensor.
        ValueError: if the shapes differ, or there are not four numbers a box.

    Source:
        Girshick et al. (2014), arXiv:1311.2524, appendix C.

    Example:
        >>> box, anchor = torch.tensor([[3.0, 1, 7, 5]]), torch.tensor([[0.0, 0, 4, 4]])
        >>> encode_boxes(box, anchor)
        tensor([[0.7500, 0.2500, 0.0000, 0.0000]])
    """
    _check_pair("boxes", boxes, anchors)
    made, base = (box_convert(b, "xyxy", "cxcywh") for b in (boxes, anchors))
    centre = (made[:, :2] - base[:, :2]) / base[:, 2:]
    return torch.cat((centre, (made[:, 2:] / base[:, 2:]).log()), 1)


def decode_boxes(
    deltas: Float[Tensor, "N 4"], anchors: Float[Tensor, "N 4"]
) -> Float[Tensor, "N 4"]:
    """The inverse of :func:`encode_boxes`.

    Args:
        deltas: (N, 4) what is to be done to the anchors. Sides grow at most 62.5-fold.
        anchors: (N, 4) xyxy.

    Returns:
        (N, 4) xyxy.

    Raises:
        TypeError, ValueError: as :func:`encode_boxes`; an anchor without an area stays
            one.

    Source:
        Girshick et al. (2014), arXiv:1311.2524, appendix C; the limit is torchvision's.

    Example:
        >>> anchor = torch.tensor([[0.0, 0, 4, 4]])
        >>> decode_boxes(torch.tensor([[0.75, 0.25, 0, 0]]), anchor)
        tensor([[3., 1., 7., 5.]])
    """
    _check_pair("deltas", deltas, anchors)
    base = box_convert(anchors, "xyxy", "cxcywh")
    centre = base[:, :2] + deltas[:, :2] * base[:, 2:]
    sides = base[:, 2:] * deltas[:, 2:].clamp(max=LARGEST).exp()
    return box_convert(torch.cat((centre, sides), 1), "cxcywh", "xyxy")


def match_anchors(
    iou: Float[Tensor, "... M N"], high: float, low: float, *, every_object: bool = True
) -> Int[Tensor, "... N"]:
    """The object that each anchor is to answer for, or none.

    Args:
        iou: (..., M, N) overlaps of objects with anchors.
        high: an anchor that overlaps its best object at least so much answers for it.
        low: one that overlaps it less is to say "nothing".
        every_object: whether the anchors that overlap an object most answer for their
            best object too. An object is still left without one if it overlaps nothing,
            or if its best anchors overlap others more.

    Returns:
        (..., N) the number of the object; -1 for nothing; -2 for anchors in between,
        which are asked nothing. Of equal overlaps the first object is taken.

    Raises:
        TypeError: if the overlaps are no floating-point tensor, or a limit no number.
        ValueError: if an overlap is NaN, a limit lies outside of [0, 1], or ``low``
            above ``high``.

    Source:
        Ren, He, Girshick & Sun (2015), arXiv:1506.01497, section 3.1.2;
        torchvision's Matcher.

    Example:
        >>> match_anchors(torch.tensor([[0.8, 0.5, 0.1], [0.0, 0.2, 0.2]]), 0.7, 0.3)
        tensor([0, 0, 1])
        >>> match_anchors(torch.tensor([[0.8, 0.5, 0.1]]), 0.7, 0.3)
        tensor([ 0, -2, -1])
    """
    _check.tensor("iou", iou, "... M N", empty=True)
    _check.real("low", low, "[0, 1]")
    if _check.real("high", high, "[0, 1]") < low:
        raise ValueError(f"low must be at most high = {high}, got {low}")
    if iou.isnan().any():
        raise ValueError("iou must not be NaN, which is neither high nor low")
    if iou.numel() == 0:
        return iou.new_full((*iou.shape[:-2], iou.shape[-1]), -1, dtype=torch.int64)
    best, owner = iou.max(-2)
    found = torch.where(best >= high, owner, torch.where(best < low, -1, -2))
    if every_object:
        most = iou.amax(-1, keepdim=True)
        wanted = ((iou == most) & (most > 0)).any(-2)
        found = torch.where(wanted, owner, found)
    return found


def sample_anchors(
    matches: Int[Tensor, "... N"],
    count: int,
    *,
    positive: float = 0.5,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "... N"]:
    """Draw anchors to learn from: those of objects and those of nothing in balance.

    Args:
        matches: (..., N) what :func:`match_anchors` gives.
        count: how many of each N; fewer if there are not so many.
        positive: at most this part of ``count`` answers for objects, the rest says
            "nothing".
        generator: where the random numbers come from; PyTorch's default if None.

    Returns:
        (..., N) 1 for those that are drawn, else 0.

    Raises:
        TypeError: if ``count`` is no integer, or ``positive`` no number.
        ValueError: if ``count`` is below 1, or ``positive`` outside of [0, 1].

    Source:
        Girshick (2015), arXiv:1504.08083, section 2.3; Ren et al. (2015), section
        3.1.3.

    Example:
        >>> sample_anchors(torch.tensor([0, -2, -1, 1]), 4).tolist()
        [1.0, 0.0, 1.0, 1.0]
    """
    count = _check.integer("count", count, 1)
    positive = _check.real("positive", positive, "[0, 1]")
    most = math.floor(count * positive + 1e-9)  # 0.29 of a hundred is 29
    chance = torch.rand(matches.shape, generator=generator, device=matches.device)
    objects = _first(chance, matches >= 0, most)
    left = count - objects.sum(-1, keepdim=True)
    return (objects | _first(chance, matches == -1, left)).float()


def _first(chance: Tensor, among: Tensor, count: int | Tensor) -> Tensor:
    """As many of those that may be drawn as are wanted, those with the least chance."""
    place = torch.where(among, chance, 2).argsort(-1).argsort(-1)
    return among & (place < count)


class ProposalHead(nn.Module):
    """At each place of a map and for each shape: is there something, and where?

    A convolution of 3 x 3, a rectifier, and one of 1 x 1.

    Args:
        in_channels: C, of the map.
        anchors: A, how many shapes.

    Shape:
        (B, C, R, S) to (B, A, 5, R, S): a logit, and what :func:`decode_boxes` takes.

    Raises:
        TypeError: if a number is no integer.
        ValueError: if one is below 1.

    Source:
        Ren, He, Girshick & Sun (2015), arXiv:1506.01497, section 3.1.

    Example:
        >>> ProposalHead(8, 3)(torch.zeros(2, 8, 4, 6)).shape
        torch.Size([2, 3, 5, 4, 6])
    """

    def __init__(self, in_channels: int, anchors: int) -> None:
        super().__init__()
        channels = _check.integer("in_channels", in_channels, 1)
        self.anchors = _check.integer("anchors", anchors, 1)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.answers = nn.Conv2d(channels, anchors * 5, 1)

    def forward(self, features: Float[Tensor, "B C R S"]) -> Float[Tensor, "B A 5 R S"]:
        """Answer for each anchor, which the input of the class describes."""
        answers = self.answers(self.conv(features).relu())
        return answers.unflatten(1, (self.anchors, 5))


def region_proposals(
    answers: Float[Tensor, "B N 5"],
    anchors: Float[Tensor, "N 4"],
    size: tuple[int, int],
    *,
    count: int = 100,
    iou_threshold: float = 0.7,
) -> list[Detections]:
    """The regions that are most probably something, copies taken out.

    Args:
        answers: (B, N, 5) a logit and four deltas for each anchor.
        anchors: (N, 4) xyxy in pixels, of every picture.
        size: height and width of the pictures, at whose edges regions end.
        count: at most so many a picture.
        iou_threshold: regions that overlap a better one more than this are copies.

    Returns:
        For each picture regions of one pixel at least each way, the most probable
        first. All labels are 0; scores are probabilities. Gradients stop here.

    Raises:
        TypeError: if a number is of another type.
        ValueError: if the shapes do not fit each other, a logit is NaN, or a number is
            out of range.

    Source:
        Ren, He, Girshick & Sun (2015), arXiv:1506.01497, section 3.3.

    Example:
        >>> anchors = torch.tensor([[0.0, 0.0, 4.0, 4.0], [4.0, 4.0, 8.0, 8.0]])
        >>> answers = torch.zeros(1, 2, 5)
        >>> answers[0, 1, 0] = 2  # the second is surer
        >>> region_proposals(answers, anchors, (8, 8))[0].boxes
        tensor([[4., 4., 8., 8.],
                [0., 0., 4., 4.]])
    """
    _check.tensor("answers", answers, "B N five", N=len(anchors), five=5)
    if answers.isnan().any():
        raise ValueError("answers must not be NaN")
    count = _check.integer("count", count, 1)
    found = []
    for of_picture in answers.detach():
        boxes = decode_boxes(of_picture[:, 1:], anchors)
        boxes = clip_boxes_to_image(boxes, size)
        large = ((boxes[:, 2:] - boxes[:, :2]) >= 1).all(1)
        boxes, logits = boxes[large], of_picture[large, 0]
        kept = nms(boxes, logits, iou_threshold)[:count]
        named = torch.zeros_like(kept)
        found.append(Detections(boxes[kept], named, logits[kept].sigmoid()))
    return found


def _check_pair(name: str, value: Tensor, anchors: Tensor) -> None:
    _check.tensor(name, value, "N four", four=4, empty=True)
    _check.tensor("anchors", anchors, "N four", N=len(value), four=4, empty=True)


def flat(output: Float[Tensor, "B A 5 R S"]) -> Float[Tensor, "B N 5"]:
    """The answers in the order of :func:`anchor_boxes`."""
    return output.permute(0, 1, 3, 4, 2).flatten(1, 3)
