"""What each threshold on a score lets through.

Shape legend: m examples, T thresholds, S of them that are scores.
"""

import warnings
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Real
from numpy.typing import ArrayLike

from dlref import _check
from dlref.strategy.goals_and_metrics.counts import (
    Labels,
    Weights,
    labels_of,
    weights_of,
)

__all__ = [
    "Threshold",
    "precision_recall_curve",
    "roc_curve",
    "threshold_for_cost",
]

Scores = Real[np.ndarray, " m"] | ArrayLike
Curve = tuple[Float[np.ndarray, " T"], Float[np.ndarray, " T"], Float[np.ndarray, " S"]]


def scores_of(name: str, value: Any, size: int, *, columns: bool = False) -> np.ndarray:
    """Finite numbers, one for each of ``size`` examples, or a row of them for each."""
    found = np.asarray(value)
    axes = (1, 2) if columns else (1,)
    if found.dtype.kind not in "biuf" or found.ndim not in axes or len(found) != size:
        expected = f"a number for each of {size} examples"
        raise ValueError(f"{name} must hold {expected}, got {_check.describe(found)}")
    found = found.astype(float)
    if not np.isfinite(found).all():
        raise ValueError(f"{name} must be finite, got NaN or infinite values")
    return found


def positives_of(y_true: Labels, pos_label: Any) -> np.ndarray:
    """Which examples are of the positive class: 1 of 0 and 1 or of -1 and 1."""
    true = labels_of("y_true", y_true)
    present = np.unique(true).tolist()
    if pos_label is None:
        if true.dtype.kind == "U" or not (
            set(present) <= {0, 1} or set(present) <= {-1, 1}
        ):
            raise ValueError(
                "pos_label must be given unless the classes are 0 and 1 or -1 and 1, "
                f"got classes {present}"
            )
        pos_label = 1
    return true == pos_label


def roc_curve(
    y_true: Labels,
    y_score: Scores,
    *,
    pos_label: Any = None,
    sample_weight: Weights = None,
    drop_intermediate: bool = True,
) -> Curve:
    """Shares of the negatives and of the positives that a threshold lets through.

    Args:
        y_true: (m) classes.
        y_score: (m) finite scores, larger for the positive class.
        pos_label: the positive class; may be left out if classes are 0 and 1, or -1
            and 1.
        sample_weight: (m) weights; one each by default.
        drop_intermediate: leave out thresholds in the middle of straight pieces.

    Returns:
        False positive rates, true positive rates, and the falling thresholds to which
        they belong (positive is a score of at least the threshold), from infinity on.
        Examples with equal scores pass together. Without negatives the first, without
        positives the second is NaN, with a warning.

    Raises:
        ValueError: if lengths differ, scores are not finite, a weight is negative, or
            it is not clear which class is positive.

    Source:
        Fawcett (2006), Pattern Recognition Letters 27; ``sklearn.metrics.roc_curve``.

    Example:
        >>> false_positive, true_positive, _ = roc_curve([1, 1, 0], [0.9, 0.5, 0.5])
        >>> false_positive.tolist(), true_positive.tolist()
        ([0.0, 0.0, 1.0], [0.0, 0.5, 1.0])
    """
    fps, tps, thresholds = _passed(y_true, y_score, pos_label, sample_weight)
    if drop_intermediate and len(fps) > 2:
        bend = (np.diff(fps, 2) != 0) | (np.diff(tps, 2) != 0)
        kept = np.concatenate([[True], bend, [True]])
        fps, tps, thresholds = fps[kept], tps[kept], thresholds[kept]
    fps, tps = np.append(0.0, fps), np.append(0.0, tps)
    rates = [
        _rate(fps, "negative", "false positive rate"),
        _rate(tps, "positive", "true positive rate"),
    ]
    return rates[0], rates[1], np.append(np.inf, thresholds)


def precision_recall_curve(
    y_true: Labels,
    y_score: Scores,
    *,
    pos_label: Any = None,
    sample_weight: Weights = None,
) -> Curve:
    """Precision and recall at each threshold.

    Args:
        y_true, y_score, pos_label, sample_weight: see :func:`roc_curve`.

    Returns:
        Precisions, recalls, and the rising thresholds to which they belong. At the end
        of the first two stands one more point, precision 1 at recall 0, that belongs to
        no threshold. Without positives recall is 1 and precision 0, with a warning.

    Raises:
        ValueError: see :func:`roc_curve`.

    Source:
        ``sklearn.metrics.precision_recall_curve``.

    Example:
        >>> precision, recall, _ = precision_recall_curve([1, 0, 1], [0.9, 0.8, 0.7])
        >>> precision.round(2).tolist(), recall.tolist()
        ([0.67, 0.5, 1.0, 1.0], [1.0, 0.5, 0.5, 0.0])
    """
    fps, tps, thresholds = _passed(y_true, y_score, pos_label, sample_weight)
    passed = fps + tps
    precision = np.divide(tps, passed, out=np.zeros(len(tps)), where=passed != 0)
    if tps[-1] <= 0:
        warnings.warn("no example is positive; recall is set to 1", stacklevel=2)
        recall = np.ones(len(tps))
    else:
        recall = tps / tps[-1]
    return (
        np.append(precision[::-1], 1.0),
        np.append(recall[::-1], 0.0),
        thresholds[::-1],
    )


class Threshold(NamedTuple):
    """A threshold on the score, and what it costs.

    Attributes:
        threshold: positive is a score of at least this; infinity for never.
        cost: mean over the examples.
        false_positives, false_negatives: weight of the mistakes of each kind.

    Source:
        See :func:`threshold_for_cost`.

    Example:
        >>> Threshold(0.5, 0.1, 1.0, 0.0).threshold
        0.5
    """

    threshold: float
    cost: float
    false_positives: float
    false_negatives: float


def threshold_for_cost(
    y_true: Labels,
    y_score: Scores,
    *,
    false_positive: float = 1.0,
    false_negative: float = 1.0,
    pos_label: Any = None,
    sample_weight: Weights = None,
) -> Threshold:
    r"""The threshold with the least cost on these examples.

    .. math:: \frac{c_{\mathrm{FP}}\,\mathrm{FP} + c_{\mathrm{FN}}\,\mathrm{FN}}{m}

    Args:
        y_true, y_score, pos_label, sample_weight: see :func:`roc_curve`.
        false_positive: cost of calling a negative positive, at least 0.
        false_negative: cost of calling a positive negative, at least 0.

    Returns:
        The largest of the best thresholds, which is one of the scores or infinity.

    Raises:
        ValueError: see :func:`roc_curve`; if a cost is negative or not finite.

    Source:
        Elkan (2001), IJCAI; Provost & Fawcett (2001), Machine Learning 42.

    Example:
        >>> threshold_for_cost([1, 1, 0, 0], [0.9, 0.4, 0.6, 0.1], false_negative=5.0)
        Threshold(threshold=0.4, cost=0.25, false_positives=1.0, false_negatives=0.0)
    """
    costs = (
        _check.real("false_positive", false_positive, "[0, inf)"),
        _check.real("false_negative", false_negative, "[0, inf)"),
    )
    fps, tps, thresholds = _passed(y_true, y_score, pos_label, sample_weight)
    size = fps[-1] + tps[-1]
    fps, tps = np.append(0.0, fps), np.append(0.0, tps)
    missed = tps[-1] - tps
    cost = (costs[0] * fps + costs[1] * missed) / size
    best = int(cost.argmin())
    at = float(np.append(np.inf, thresholds)[best])
    return Threshold(at, float(cost[best]), float(fps[best]), float(missed[best]))


def _passed(
    y_true: Labels, y_score: Scores, pos_label: Any, sample_weight: Weights
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    positive = positives_of(y_true, pos_label)
    score = scores_of("y_score", y_score, len(positive))
    return passing(positive, score, weights_of(sample_weight, len(positive)))


def passing(
    positive: np.ndarray, score: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Negatives and positives that each distinct score lets through, highest first."""
    used = np.flatnonzero(weight)
    order = used[np.argsort(-score[used], kind="stable")]
    last = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)
    passed = [
        np.cumsum(weight[order] * (positive[order] == kind), dtype=float)[last]
        for kind in (0, 1)
    ]
    return passed[0], passed[1], score[order][last]


def _rate(passed: np.ndarray, kind: str, name: str) -> np.ndarray:
    if passed[-1] > 0:
        return passed / passed[-1]
    warnings.warn(f"no example is {kind}; the {name} is NaN", stacklevel=3)
    return np.full(len(passed), np.nan)
