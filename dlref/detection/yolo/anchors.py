"""Anchors: the shapes of box that a detector starts from.

Shape legend: N boxes, A anchors; 2 are width and height in pixels.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from dlref import _check

__all__ = ["kmeans_anchors", "shape_iou"]


def shape_iou(
    sizes: Float[Tensor, "N 2"], anchors: Float[Tensor, "A 2"]
) -> Float[Tensor, "N A"]:
    r"""Intersection over union of boxes that are moved onto one centre.

    .. math::
        \mathrm{IoU} = \frac{\min(w, a_w) \min(h, a_h)}
        {w h + a_w a_h - \min(w, a_w) \min(h, a_h)}

    Args:
        sizes: (N, 2) width and height. One that is not above 0 gives no sensible
            number.
        anchors: (A, 2) likewise.

    Raises:
        TypeError: if one is no floating-point tensor.
        ValueError: if there are not two numbers a box.

    Source:
        Redmon & Farhadi (2017), arXiv:1612.08242, section 2.

    Example:
        >>> shape_iou(
        ...     torch.tensor([[2.0, 2.0]]), torch.tensor([[1.0, 3.0], [3.0, 1.0]])
        ... )
        tensor([[0.4000, 0.4000]])
    """
    for name, value in (("sizes", sizes), ("anchors", anchors)):
        _check.tensor(name, value, "N two", two=2, empty=True)
    smaller = torch.minimum(sizes[:, None], anchors)
    over = (smaller / sizes[:, None]).prod(-1)  # parts, lest an area overflow
    under = (smaller / anchors).prod(-1)
    return 1 / (1 / over + 1 / under - 1)


def kmeans_anchors(
    sizes: Float[Tensor, "N 2"], k: int, *, iterations: int = 100, seed: int = 0
) -> Float[Tensor, "k 2"]:
    """Shapes that fit many boxes well: k-means with 1 - IoU as the distance.

    It starts at k of the boxes: the first drawn with equal chances, each further one
    with a chance in proportion to 1 - IoU with the nearest so far. It gives each box to
    the anchor that it overlaps most, moves each anchor to the mean of its boxes, and
    ends when no box changes hands. Of all rounds the anchors with the highest mean IoU
    are returned, which need not be the last: means are not what makes it largest.

    Args:
        sizes: (N, 2) width and height of boxes, N at least k.
        k: how many anchors.
        iterations: most rounds.
        seed: another number draws another start.

    Returns:
        (k, 2), from the smallest area to the largest.

    Raises:
        TypeError: if ``sizes`` is no floating-point tensor, or a number no integer.
        ValueError: if there are fewer than ``k`` boxes, one has no area or is not
            finite, or a number is below 1 (``seed``: below 0).

    Source:
        Redmon & Farhadi (2017), arXiv:1612.08242, section 2; the start is after
        Arthur & Vassilvitskii (2007), k-means++, with 1 - IoU for the squared distance.

    Example:
        >>> kmeans_anchors(torch.tensor([[2.0, 3.0], [2.0, 3.0], [9.0, 2.0]]), 2)
        tensor([[2., 3.],
                [9., 2.]])
    """
    k = _check.integer("k", k, 1)
    iterations = _check.integer("iterations", iterations, 1)
    generator = torch.Generator().manual_seed(_check.integer("seed", seed, 0))
    _check.tensor("sizes", sizes, "N two", two=2)
    if not ((sizes > 0) & sizes.isfinite()).all():
        raise ValueError("sizes must hold widths and heights above 0, and finite")
    if len(sizes) < k:
        raise ValueError(f"sizes must be at least k = {k} boxes, got {len(sizes)}")
    first = torch.randint(len(sizes), (1,), generator=generator)
    anchors = sizes[first]
    while len(anchors) < k:
        distance = (1 - shape_iou(sizes, anchors)).amin(1).clamp(min=1e-9)
        anchors = torch.cat((anchors, sizes[_draw(distance, generator)]))
    best, best_fit, owner = anchors, -1.0, torch.empty(0)
    for _ in range(iterations):
        fit, nearest = shape_iou(sizes, anchors).max(1)
        if fit.mean().item() > best_fit:
            best, best_fit = anchors, fit.mean().item()
        if torch.equal(nearest, owner):
            break
        owner = nearest
        own = [sizes[owner == a] for a in range(k)]
        moved = [
            s.mean(0) if len(s) else old for s, old in zip(own, anchors, strict=True)
        ]
        anchors = torch.stack(moved)
    return best[best.prod(1).argsort(stable=True)]


def _draw(weights: Tensor, generator: torch.Generator) -> Tensor:
    return torch.multinomial(weights.cpu(), 1, generator=generator).to(weights.device)
