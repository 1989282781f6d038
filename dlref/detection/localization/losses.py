"""A loss in three parts, of which two count only where there is an object.

Shape legend: B pictures, P points, K classes; D = 1 + 4 + K numbers a picture.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from dlref import _check
from dlref.detection.localization.boxes import box_convert

__all__ = [
    "LossParts",
    "landmark_loss",
    "localization_loss",
    "localization_losses",
    "localization_targets",
]


class LossParts(NamedTuple):
    """What each part of the loss is for each picture, 0 where it does not count.

    Attributes:
        presence: cross-entropy of whether there is an object.
        box: squared error of the box, summed over its four numbers.
        label: cross-entropy of the class.

    Source:
        See :func:`localization_losses`.

    Example:
        >>> LossParts(torch.ones(2), torch.zeros(2), torch.zeros(2)).presence
        tensor([1., 1.])
    """

    presence: Float[Tensor, " B"]
    box: Float[Tensor, " B"]
    label: Float[Tensor, " B"]


def localization_targets(
    boxes: Sequence[Float[Tensor, "_ 4"]],
    labels: Sequence[Int[Tensor, " _"]],
    size: tuple[int, int],
    classes: int,
) -> Float[Tensor, "B D"]:
    """What a network is to say of pictures with one object or none.

    Args:
        boxes: for each picture (1, 4) or (0, 4), xyxy in pixels.
        labels: for each picture the class of the object, (1,) or (0,), from 0 on.
        size: height and width of the pictures, which the box becomes a part of.
        classes: K.

    Returns:
        (B, 1 + 4 + K): 1, the box as centre, width and height in parts of the picture,
        and the class as a one-hot vector; zeros for a picture without an object.

    Raises:
        TypeError: if a number is no integer, or a box no floating-point tensor.
        ValueError: if there are not as many labels as boxes, a picture has more than
            one, a box has no area, or a class lies outside of 0 to K - 1.

    Source:
        This book.

    Example:
        >>> box, label = torch.tensor([[4.0, 2.0, 12.0, 10.0]]), torch.tensor([1])
        >>> localization_targets([box], [label], (16, 16), 2)
        tensor([[1.0000, 0.5000, 0.3750, 0.5000, 0.5000, 0.0000, 1.0000]])
    """
    classes = _check.integer("classes", classes, 1)
    height, width = (_check.integer("size", side, 1) for side in size)
    if len(boxes) != len(labels):
        raise ValueError(
            f"labels must be as many as boxes, {len(boxes)}, got {len(labels)}"
        )
    target = torch.zeros(len(boxes), 5 + classes)
    unit = torch.tensor([width, height, width, height])
    for row, box, label in zip(target, boxes, labels, strict=True):
        _check.tensor("boxes", box, "objects four", four=4, empty=True)
        if len(box) != len(label) or len(box) > 1:
            raise ValueError(
                "boxes and labels must have one object a picture or none, got "
                f"{len(box)} boxes and {len(label)} labels"
            )
        if len(box):
            row[0] = 1
            row[1:5] = box_convert(box[0], "xyxy", "cxcywh") / unit
            if not (row[3:5] > 0).all():
                raise ValueError(
                    "boxes must have their right edge right of the left one, and their "
                    f"bottom below the top, got {box[0].tolist()}"
                )
            row[5 + _check.integer("labels", label.item(), 0, classes - 1)] = 1
    return target


def localization_losses(
    output: Float[Tensor, "B D"], target: Float[Tensor, "B D"]
) -> LossParts:
    r"""The three parts of the loss for a picture of one object or none.

    .. math::
        \ell_p = -p \log \hat p - (1 - p) \log(1 - \hat p), \qquad
        \ell_b = p \sum_{j} (\hat b_j - b_j)^2, \qquad
        \ell_c = -p \sum_k c_k \log \hat c_k

    where p is 1 if there is an object and 0 if there is none. Where it is 0, box and
    class of the target are not looked at, they may be NaN, and those of the output get
    no gradient.

    Args:
        output: (B, 1 + 4 + K): the logit of :math:`\hat p`, the box, and K scores whose
            softmax is :math:`\hat c`.
        target: (B, 1 + 4 + K): p, the box, and the class as a one-hot vector or
            probabilities.

    Raises:
        TypeError: if one is no floating-point tensor.
        ValueError: if the shapes differ, or there are fewer than 6 numbers a picture.

    Source:
        After Redmon et al. (2016), arXiv:1506.02640, equation 3, which takes squared
        errors of presence, class and the roots of width and height as well.

    Example:
        >>> target = torch.tensor([[1.0, 0.5, 0.7, 0.3, 0.4, 0.0, 1.0, 0.0]])
        >>> logit, scores = (
        ...     torch.tensor([4.0]).log(),
        ...     torch.tensor([0.1, 0.8, 0.1]).log(),
        ... )
        >>> box = torch.tensor([0.6, 0.7, 0.5, 0.4])
        >>> parts = localization_losses(torch.cat((logit, box, scores))[None], target)
        >>> [round(part.item(), 3) for part in parts]
        [0.223, 0.05, 0.223]
    """
    _check.tensor("output", output, "B D", empty=True)
    _check.tensor("target", target, "B D", empty=True)
    if output.shape != target.shape or output.shape[1] < 6:
        raise ValueError(
            "output and target must have the same shape (B, 1 + 4 + K), with one class "
            f"at least, got {_check.describe(output)} and {_check.describe(target)}"
        )
    present = target[:, 0]
    presence = F.binary_cross_entropy_with_logits(
        output[:, 0], present, reduction="none"
    )
    counts = present[:, None] > 0  # zeros elsewhere, whatever stands there
    made = torch.where(counts, output[:, 1:], 0)
    known = torch.where(counts, target[:, 1:], 0)
    box = ((made[:, :4] - known[:, :4]) ** 2).sum(1)
    wanted = known[:, 4:]
    price = torch.where(wanted > 0, -wanted * F.log_softmax(made[:, 4:], 1), 0)
    label = price.sum(1)
    return LossParts(presence, present * box, present * label)


def localization_loss(
    output: Float[Tensor, "B D"],
    target: Float[Tensor, "B D"],
    *,
    box_weight: float = 1.0,
) -> Float[Tensor, ""]:
    r"""Mean over the pictures of :math:`\ell_p + \lambda \ell_b + \ell_c`; 0 of none.

    Args:
        output: (B, 1 + 4 + K), see :func:`localization_losses`.
        target: (B, 1 + 4 + K).
        box_weight: :math:`\lambda`. The squared error depends on the unit of the box,
            the cross-entropies on none.

    Raises:
        TypeError: if ``box_weight`` is no number, else as
            :func:`localization_losses`.
        ValueError: if it is negative, else as :func:`localization_losses`.

    Source:
        Redmon et al. (2016), arXiv:1506.02640, equation 3.

    Example:
        >>> localization_loss(torch.zeros(2, 6), torch.zeros(2, 6))  # nothing there
        tensor(0.6931)
    """
    _check.real("box_weight", box_weight, "[0, inf)")
    parts = localization_losses(output, target)
    every = parts.presence + box_weight * parts.box + parts.label
    return every.sum() / max(len(every), 1)


def landmark_loss(
    output: Float[Tensor, "B P 2"], target: Float[Tensor, "B P 2"]
) -> Float[Tensor, ""]:
    r"""Squared distance of points, of those that are known.

    .. math::
        \frac{1}{|V|} \sum_{(i, j) \in V} \lVert \hat l_{ij} - l_{ij} \rVert^2

    with V the points of which both coordinates are known.

    Args:
        output: (B, P, 2) P points a picture.
        target: (B, P, 2); NaN where a point is not to be seen or there is none.

    Returns:
        The mean; 0 if no point is known.

    Raises:
        TypeError: if one is no floating-point tensor.
        ValueError: if the shapes differ.

    Source:
        Sun, Wang & Tang (2013), CVPR, for points regressed by a network.

    Example:
        >>> target = torch.tensor([[[0.0, 0.0], [float("nan"), 1.0]]])
        >>> landmark_loss(torch.full((1, 2, 2), 3.0), target)
        tensor(18.)
    """
    _check.tensor("output", output, "B P two", two=2, empty=True)
    _check.tensor("target", target, "B P two", two=2, empty=True)
    if output.shape != target.shape:
        raise ValueError(
            f"output must have the target's shape {tuple(target.shape)}, got "
            f"{_check.describe(output)}"
        )
    known = ~target.isnan().any(-1, keepdim=True)
    gap = torch.where(known, output, 0) - torch.where(known, target, 0)
    return (gap**2).sum() / known.sum().clamp(min=1)
