"""Of many boxes around one object, keep the best: non-maximum suppression.

Shape legend: N boxes. Names and arguments are torchvision's.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from dlref import _check
from dlref.detection.localization.boxes import box_iou

__all__ = ["batched_nms", "nms"]

BLOCK = 1000  # boxes that are compared with each other at a time, to bound the memory


def nms(
    boxes: Float[Tensor, "N 4"], scores: Float[Tensor, " N"], iou_threshold: float
) -> Int[Tensor, " _"]:
    """Go through the boxes from the best on; drop those that overlap a kept one.

    Args:
        boxes: (N, 4), xyxy.
        scores: (N,), the higher the better; of equal scores the earlier box is better.
        iou_threshold: an intersection over union above it is too much, 0 to 1.

    Returns:
        The numbers of the kept boxes, from the highest score to the lowest.

    Raises:
        TypeError: if boxes or scores are no floating-point tensor, or the threshold no
            number.
        ValueError: if there is not one score a box, a score is NaN, or the threshold
            lies outside of [0, 1].

    Source:
        Girshick et al. (2014), arXiv:1311.2524, section 2.2; torchvision.ops.nms.

    Example:
        >>> boxes = torch.tensor([[0.0, 0, 10, 10], [2.5, 0, 12.5, 10], [5, 0, 15, 10]])
        >>> nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.5)  # the second is dropped
        tensor([0, 2])
    """
    one_class = torch.zeros(len(boxes), dtype=torch.int64, device=boxes.device)
    return batched_nms(boxes, scores, one_class, iou_threshold)


def batched_nms(
    boxes: Float[Tensor, "N 4"],
    scores: Float[Tensor, " N"],
    idxs: Int[Tensor, " N"],
    iou_threshold: float,
) -> Int[Tensor, " _"]:
    """:func:`nms` within each class; boxes of different classes leave each other alone.

    Args:
        boxes: (N, 4), xyxy.
        scores: (N,).
        idxs: (N,) the class of each box, or whatever else tells groups apart.
        iou_threshold: see :func:`nms`.

    Returns:
        As :func:`nms`, of all classes together.

    Raises:
        TypeError, ValueError: as :func:`nms`; also without one whole number a box.

    Source:
        torchvision.ops.batched_nms, which moves each class by the largest coordinate
        plus one, so that boxes with negative coordinates may still meet those of
        another class; here classes are compared.

    Example:
        >>> boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10]])
        >>> batched_nms(boxes, torch.tensor([0.8, 0.9]), torch.tensor([0, 1]), 0.5)
        tensor([1, 0])
    """
    _check.tensor("boxes", boxes, "N four", four=4, empty=True)
    _check.tensor("scores", scores, "N", N=len(boxes), empty=True)
    if idxs.shape != scores.shape or idxs.is_floating_point():
        got = _check.describe(idxs)
        raise ValueError(f"idxs must be {len(boxes)} whole numbers, got {got}")
    iou_threshold = _check.real("iou_threshold", iou_threshold, "[0, 1]")
    if scores.isnan().any():
        raise ValueError("scores must not be NaN, which is neither high nor low")
    order = scores.argsort(descending=True, stable=True)
    boxes, idxs = boxes[order], idxs[order]
    alive = torch.ones(len(order), dtype=torch.bool, device=boxes.device)
    for start in range(0, len(order), BLOCK):
        rows = start + alive[start : start + BLOCK].nonzero().flatten()
        near = _too_near(boxes, idxs, rows, rows, iou_threshold)
        kept = rows[_greedy(near)]
        alive[rows] = False
        alive[kept] = True
        rest = start + BLOCK + alive[start + BLOCK :].nonzero().flatten()
        alive[rest] = ~_too_near(boxes, idxs, kept, rest, iou_threshold).any(0)
    return order[alive]


def _too_near(
    boxes: Tensor, idxs: Tensor, rows: Tensor, columns: Tensor, threshold: float
) -> Tensor:
    same = idxs[rows][:, None] == idxs[columns]
    return same & (box_iou(boxes[rows], boxes[columns]) > threshold)


def _greedy(near: Tensor) -> Tensor:
    """Which of a block stay, given which are too near to which, best first."""
    table = near.cpu().numpy()  # a loop over small rows is much faster there
    stays = np.ones(len(table), bool)
    for number, row in enumerate(table):
        if stays[number]:
            stays[number + 1 :] &= ~row[number + 1 :]
    return torch.from_numpy(stays).to(near.device)
