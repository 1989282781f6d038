"""Areas under curves: how well a score ranks.

Shape legend: m examples, K classes.
"""

import itertools
import warnings
from typing import Any

import numpy as np
from jaxtyping import Float

from dlref import _check
from dlref.strategy.goals_and_metrics.counts import (
    Labels,
    Weights,
    labels_of,
    weights_of,
)
from dlref.strategy.goals_and_metrics.curves import Scores, passing, scores_of

__all__ = [
    "average_precision_score",
    "roc_auc_score",
]


def average_precision_score(
    y_true: Labels,
    y_score: Scores | Float[np.ndarray, "m K"],
    *,
    average: str | None = "macro",
    pos_label: Any = 1,
    sample_weight: Weights = None,
) -> Any:
    r"""Area under the steps of the precision-recall curve.

    .. math:: \mathrm{AP} = \sum_n (R_n - R_{n-1})\, P_n

    over falling thresholds. Points are not joined by straight lines: those would
    promise precisions that no threshold gives.

    Args:
        y_true: (m) classes.
        y_score: (m) finite scores; for more than two classes (m, K), columns in the
            order of the sorted classes.
        average: for more than two classes, each against the rest: ``"macro"``,
            ``"weighted"``, ``"micro"``, or None for each class.
        pos_label: the positive class of two.
        sample_weight: (m) weights; one each by default.

    Returns:
        The area, or with ``average=None`` that of each class, a float array of length
        K; 0 with a warning where no example is positive.

    Raises:
        ValueError: see :func:`roc_curve`; if the columns are not one a class.

    Source:
        ``sklearn.metrics.average_precision_score``; Davis & Goadrich (2006), ICML, on
        why not to interpolate.

    Example:
        >>> average_precision_score([1, 0, 1], [0.9, 0.8, 0.7])
        0.8333333333333333
    """
    true = labels_of("y_true", y_true)
    present = np.unique(true)
    if len(present) > 2:
        if pos_label != 1:
            raise ValueError("pos_label must be left out with more than two classes")
        return _each_against_rest(
            _area_of_steps, true, y_score, present, average, sample_weight
        )
    if len(present) == 2 and pos_label not in present.tolist():
        raise ValueError(
            f"pos_label must be one of {present.tolist()}, got {pos_label!r}"
        )
    score = scores_of("y_score", y_score, len(true))
    return _area_of_steps(
        true == pos_label, score, weights_of(sample_weight, len(true))
    )


def roc_auc_score(
    y_true: Labels,
    y_score: Scores | Float[np.ndarray, "m K"],
    *,
    average: str | None = "macro",
    sample_weight: Weights = None,
    max_fpr: float | None = None,
    multi_class: str = "raise",
    labels: Labels | None = None,
) -> Any:
    r"""Area under the ROC curve: how often a positive scores above a negative.

    .. math:: P(s_+ > s_-) + \tfrac12 P(s_+ = s_-)

    for a positive and a negative that are drawn by their weights.

    Args:
        y_true: (m) classes; of two, the larger is positive.
        y_score: (m) finite scores; for more than two classes (m, K) probabilities,
            columns in the order of the sorted classes.
        average: of several classes: ``"macro"``, ``"weighted"`` (by how often each
            occurs), and for ``"ovr"`` ``"micro"`` or None as well.
        sample_weight: (m) weights; one each by default.
        max_fpr: only the curve up to this false positive rate, in (0, 1], scaled so
            that chance gives 1/2 and the best 1; two classes only.
        multi_class: ``"ovr"`` for each class against the rest, ``"ovo"`` for all
            pairs of classes; must be given for more than two.
        labels: the classes of the columns, sorted, if not all occur in ``y_true``.

    Returns:
        The area, or with ``average=None`` that of each class, a float array of length
        K; NaN with a warning if there is one class only.

    Raises:
        ValueError: see :func:`roc_curve`; if rows of probabilities do not sum to one,
            the columns are not one a class, or an argument is out of its range.

    Source:
        Hanley & McNeil (1982), Radiology 143; McClish (1989), Medical Decision Making
        9, for ``max_fpr``; Hand & Till (2001), Machine Learning 45, for ``"ovo"``.

    Example:
        >>> roc_auc_score([1, 1, 0], [0.9, 0.5, 0.5])
        0.75
    """
    true = labels_of("y_true", y_true)
    present = np.unique(true)
    score = scores_of("y_score", y_score, len(true), columns=True)
    if len(present) <= 2 and (score.ndim == 1 or score.shape[1] <= 2):
        score = scores_of("y_score", y_score, len(true))
        reach = 1.0 if max_fpr is None else _check.real("max_fpr", max_fpr, "(0, 1]")
        if len(present) < 2:
            warnings.warn("y_true holds one class; the area is NaN", stacklevel=2)
            return float("nan")
        weight = weights_of(sample_weight, len(true))
        return _area(true == present[1], score, weight, reach)
    _check.one_of("multi_class", multi_class, ("ovr", "ovo"))
    if max_fpr not in (None, 1):
        raise ValueError("max_fpr must be left out with more than two classes")
    names = present if labels is None else labels_of("labels", labels)
    if (
        score.ndim != 2
        or len(names) != score.shape[1]
        or not np.isin(true, names).all()
    ):
        raise ValueError(
            f"y_score must have a column for each of the classes {names.tolist()}, got "
            f"{_check.describe(score)}"
        )
    if not np.array_equal(np.unique(names), names):
        raise ValueError(f"labels must be sorted, each once, got {names.tolist()}")
    if not np.allclose(score.sum(1), 1):
        raise ValueError("y_score must hold probabilities: its rows must sum to 1")
    if multi_class == "ovr":
        return _each_against_rest(_area, true, score, names, average, sample_weight)
    if sample_weight is not None:
        raise ValueError("sample_weight must be left out with multi_class='ovo'")
    return _pairs_of_classes(true, score, names, average)


def _area(
    positive: np.ndarray, score: np.ndarray, weight: np.ndarray, reach: float = 1.0
) -> float:
    """Area under the ROC curve, up to a false positive rate of ``reach``."""
    fps, tps, _ = passing(positive, score, weight)
    if fps[-1] == 0 or tps[-1] == 0:
        warnings.warn("a class without examples has an area of NaN", stacklevel=4)
        return float("nan")
    x, y = np.append(0.0, fps / fps[-1]), np.append(0.0, tps / tps[-1])
    if reach == 1:
        return float(np.trapezoid(y, x))
    stop = int(np.searchsorted(x, reach, "right"))
    end = np.interp(reach, x[stop - 1 : stop + 1], y[stop - 1 : stop + 1])
    area = np.trapezoid(np.append(y[:stop], end), np.append(x[:stop], reach))
    chance = reach**2 / 2
    return float(0.5 * (1 + (area - chance) / (reach - chance)))


def _area_of_steps(
    positive: np.ndarray, score: np.ndarray, weight: np.ndarray
) -> float:
    fps, tps, _ = passing(positive, score, weight)
    if tps[-1] == 0:
        warnings.warn(
            "no example is positive; the average precision is 0", stacklevel=4
        )
        return 0.0
    return float((np.diff(tps, prepend=0) / tps[-1] * tps / (fps + tps)).sum())


def _each_against_rest(
    area: Any,
    true: np.ndarray,
    y_score: Any,
    names: np.ndarray,
    average: str | None,
    sample_weight: Weights,
) -> float | np.ndarray:
    _check.one_of("average", average, (None, "macro", "weighted", "micro"))
    score = scores_of("y_score", y_score, len(true), columns=True)
    if score.ndim != 2 or score.shape[1] != len(names):
        raise ValueError(
            f"y_score must have a column for each of the classes {names.tolist()}, got "
            f"{_check.describe(score)}"
        )
    weight = weights_of(sample_weight, len(true))
    own = true[:, None] == names
    if average == "micro":
        return area(own.ravel(), score.ravel(), np.repeat(weight, len(names)))
    areas = [area(own[:, k], score[:, k], weight) for k in range(len(names))]
    if average is None:
        return np.array(areas)
    shares = (own * weight[:, None]).sum(0) if average == "weighted" else None
    return float(
        np.average(
            np.nan_to_num(areas) if shares is not None else areas, weights=shares
        )
    )


def _pairs_of_classes(
    true: np.ndarray, score: np.ndarray, names: np.ndarray, average: str | None
) -> float:
    _check.one_of("average", average, ("macro", "weighted"))
    areas, shares = [], []
    present = np.flatnonzero(np.isin(names, true))
    for a, b in itertools.combinations(present, 2):
        pair = (true == names[a]) | (true == names[b])
        one = np.ones(pair.sum())
        first = true[pair] == names[a]
        both = (
            _area(first, score[pair, a], one),
            _area(~first, score[pair, b], one),
        )
        areas.append(sum(both) / 2)
        shares.append(pair.mean())
    return float(np.average(areas, weights=shares if average == "weighted" else None))
