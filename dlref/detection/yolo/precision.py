"""Average precision of a detector: how good its list of boxes is, best first.

Shape legend: N detections, M objects; T thresholds, K classes.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from dlref import _check
from dlref.detection.localization.boxes import box_area, box_iou
from dlref.detection.yolo.grid import Detections

__all__ = ["COCO_THRESHOLDS", "average_precisions", "interpolated_precision", "match"]

COCO_THRESHOLDS = tuple(np.linspace(0.5, 0.95, 10).tolist())


def match(
    iou: Float[np.ndarray, "N M"],
    iou_threshold: float,
    *,
    ignored: Bool[np.ndarray, " M"] | None = None,
) -> np.ndarray:
    """Give each detection at most one object, and each object at most one detection.

    The detections choose in their order. Each takes, of the objects that are free and
    overlap it enough, the one that it overlaps most, and of equals the last; an ignored
    one only if there is no other.

    Args:
        iou: (N, M), the detections with the highest score first.
        iou_threshold: least overlap, in (0, 1].
        ignored: (M,) objects that may be found, but need not.

    Returns:
        (N,) the number of the object that each found, or -1.

    Raises:
        TypeError: if the threshold is no number.
        ValueError: if it lies outside of (0, 1], or ``ignored`` has another length.

    Source:
        Lin et al. (2014), arXiv:1405.0312; the program pycocotools.

    Example:
        >>> match(np.array([[0.6, 0.0], [0.7, 0.2]]), 0.5)  # the first was first
        array([ 0, -1])
    """
    _check.real("iou_threshold", iou_threshold, "(0, 1]")
    optional = np.zeros(iou.shape[1], bool) if ignored is None else ignored
    if optional.shape != (iou.shape[1],):
        got = _check.describe(optional)
        raise ValueError(
            f"ignored must say yes or no to {iou.shape[1]} objects, got {got}"
        )
    free = np.ones(iou.shape[1], bool)
    found = np.full(len(iou), -1)
    least = min(iou_threshold, 1 - 1e-10)
    for number in np.flatnonzero((iou >= least).any(1)):
        overlaps = iou[number]
        enough = free & (overlaps >= least)
        wanted = enough & ~optional if (enough & ~optional).any() else enough
        if wanted.any():
            best = np.flatnonzero(wanted & (overlaps == overlaps[wanted].max()))[-1]
            found[number], free[best] = best, False
    return found


def interpolated_precision(
    hits: Bool[np.ndarray, " N"], objects: int, *, points: int | None = None
) -> float:
    r"""Average precision of a list of detections that are right or wrong.

    .. math::
        \mathrm{AP} = \frac{1}{P} \sum_{r} \max_{k :\, R_k \ge r} P_k

    over the P recalls r = 0, ..., 1 at equal distances: the highest precision that is
    reached at a recall of r or more, and 0 if none is.

    Args:
        hits: (N,) whether each has found an object, the highest score first.
        objects: how many there are to be found.
        points: P; 101 is COCO's number, 11 that of Pascal VOC until 2009. None takes
            the area below the same steps, as Pascal VOC did from 2010 on.

    Returns:
        A number in [0, 1]; NaN if there is nothing to be found.

    Raises:
        TypeError: if ``objects`` or ``points`` is no integer.
        ValueError: if there are more hits than objects, or fewer than two points.

    Source:
        Everingham et al. (2010), IJCV 88; Lin et al. (2014), arXiv:1405.0312.

    Example:
        >>> hits = np.array([True, False, False, True, True])
        >>> [round(interpolated_precision(hits, 4, points=p), 3) for p in (11, 101)]
        [0.545, 0.554]
    """
    objects = _check.integer("objects", objects, 0)
    if hits.sum() > objects:
        raise ValueError(
            f"objects must be at least the hits, {hits.sum()}, got {objects}"
        )
    if objects == 0:
        return float("nan")
    right = np.cumsum(hits)
    recall = right / objects
    precision = right / np.arange(1, len(hits) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    if points is None:
        return float((np.diff(recall, prepend=0) * best).sum())
    wanted = np.linspace(0, 1, _check.integer("points", points, 2))
    reached = np.append(best, 0)[np.searchsorted(recall, wanted, side="left")]
    return float(reached.mean())


def average_precisions(
    detections: Sequence[Detections],
    objects: Sequence[Detections],
    classes: int,
    *,
    iou_thresholds: Sequence[float] = COCO_THRESHOLDS,
    points: int | None = 101,
    max_detections: int | None = 100,
    area: tuple[float, float] = (0.0, float("inf")),
) -> Float[np.ndarray, "T K"]:
    """Average precision for each least overlap and each class, as COCO measures it.

    Args:
        detections: for each picture.
        objects: for each picture what is there; scores are not looked at.
        classes: K.
        iou_thresholds: how much a detection must overlap an object to have found it.
        points: see :func:`interpolated_precision`.
        max_detections: so many a picture and class, the best, are looked at.
        area: objects smaller or larger, in pixels, are ignored: they need not be found,
            and a detection that finds one, or finds nothing and is of such a size
            itself, counts neither as right nor as wrong. COCO's small objects are (0,
            32 ** 2), its medium ones (32 ** 2, 96 ** 2), its large ones from there on.

    Returns:
        (T, K); NaN for a class of which there is no object. COCO's AP is the
        ``nanmean`` of all, its AP50 that of the first row.

    Raises:
        TypeError: if a number is of another type.
        ValueError: if there are not as many pictures in both, a label is out of range,
            or a score is NaN.

    Source:
        Lin et al. (2014), arXiv:1405.0312; equal to pycocotools.

    Example:
        >>> import torch
        >>> box, label = torch.tensor([[0.0, 0.0, 8.0, 8.0]]), torch.tensor([0])
        >>> known = Detections(box, label, torch.ones(1))
        >>> found = Detections(box + 1, label, torch.tensor([0.7]))
        >>> average_precisions([found], [known], 1, iou_thresholds=[0.5, 0.75]).tolist()
        [[1.0], [0.0]]
    """
    classes = _check.integer("classes", classes, 1)
    if max_detections is not None:
        _check.integer("max_detections", max_detections, 1)
    if len(detections) != len(objects):
        raise ValueError(
            f"objects must be of as many pictures as detections, {len(detections)}, "
            f"got {len(objects)}"
        )
    if not detections:
        raise ValueError("detections must be of one picture at least")
    for name, sets in (("detections", detections), ("objects", objects)):
        for labels in (one.labels for one in sets if len(one.labels)):
            if labels.min() < 0 or labels.max() >= classes:
                raise ValueError(
                    f"{name} must have labels in [0, {classes - 1}], got "
                    f"{labels.min()} to {labels.max()}"
                )
    if any(found.scores.isnan().any() for found in detections):
        raise ValueError("detections must have scores that are not NaN")
    table = np.full((len(iou_thresholds), classes), np.nan)
    pictures = [_Picture(*pair, area) for pair in zip(detections, objects, strict=True)]
    for label in range(classes):
        parts = [picture.of_class(label, max_detections) for picture in pictures]
        wanted = sum(int((~part.ignored).sum()) for part in parts)
        order = np.argsort(-np.concatenate([p.scores for p in parts]), kind="stable")
        for row, threshold in enumerate(iou_thresholds):
            judged = zip(*(part.judged(threshold) for part in parts), strict=True)
            hits, counts = (np.concatenate(each)[order] for each in judged)
            table[row, label] = interpolated_precision(
                hits[counts], wanted, points=points
            )
    return table


class _OneClass(NamedTuple):
    """What there is of one class in one picture, the detections from the best on."""

    scores: np.ndarray
    outside: np.ndarray
    iou: np.ndarray
    ignored: np.ndarray

    def judged(self, threshold: float) -> tuple[np.ndarray, np.ndarray]:
        """Whether each detection is right, and whether it counts."""
        owner = match(self.iou, threshold, ignored=self.ignored)
        hit = owner >= 0
        counts = ~np.where(hit, np.append(self.ignored, False)[owner], self.outside)
        return hit & counts, counts


class _Picture:
    """What there is in one picture, as arrays."""

    def __init__(
        self, found: Detections, known: Detections, area: tuple[float, float]
    ) -> None:
        order = found.scores.argsort(descending=True, stable=True)
        made, there = found.boxes[order].double(), known.boxes.double()
        self.made = found.labels[order].cpu().numpy()
        self.there = known.labels.cpu().numpy()
        self.scores = found.scores[order].double().cpu().numpy()
        self.outside, self.ignored = _outside(made, area), _outside(there, area)
        self.iou = box_iou(made, there).cpu().numpy()

    def of_class(self, label: int, most: int | None) -> _OneClass:
        """One class, and of its detections the best."""
        rows, columns = np.flatnonzero(self.made == label)[:most], self.there == label
        iou = self.iou[rows][:, columns]
        return _OneClass(
            self.scores[rows], self.outside[rows], iou, self.ignored[columns]
        )


def _outside(boxes: Tensor, area: tuple[float, float]) -> np.ndarray:
    sizes = box_area(boxes).cpu().numpy()
    return (sizes < area[0]) | (sizes > area[1])
