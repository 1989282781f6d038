"""Precision, recall and what joins the two.

Shape legend: m examples, K classes.
"""

import warnings
from typing import Any

import numpy as np

from dlref import _check
from dlref.strategy.goals_and_metrics.counts import (
    Labels,
    Weights,
    checked,
    names_of,
    places,
    shares,
)

__all__ = [
    "f1_score",
    "fbeta_score",
    "precision_score",
    "recall_score",
]


def precision_score(
    y_true: Labels,
    y_pred: Labels,
    *,
    labels: Labels | None = None,
    pos_label: Any = 1,
    average: str | None = "binary",
    sample_weight: Weights = None,
    zero_division: float | str = "warn",
) -> Any:
    r"""Precision: of the examples that were called positive, the share that are.

    .. math:: \frac{\mathrm{TP}}{\mathrm{TP} + \mathrm{FP}}

    Args:
        y_true: (m) classes, whole numbers or strings.
        y_pred: (m) predicted classes.
        labels: classes to average over, by default all that occur.
        pos_label: the class that counts as positive when ``average="binary"``.
        average: ``"binary"``: of the positive class; None: of each class; ``"macro"``:
            mean over the classes; ``"weighted"``: weighted by how often each occurs;
            ``"micro"``: counts of all classes added first.
        sample_weight: (m) weights; one each by default.
        zero_division: the value where nothing was called positive; ``"warn"`` is 0
            and a warning; NaN is left out of averages.

    Returns:
        A float, or with ``average=None`` a float array of length K.

    Raises:
        ValueError: see :func:`zero_one_loss`; if there are more than two classes and
            ``average="binary"``; if ``pos_label`` does not occur though two others do.

    Source:
        van Rijsbergen (1979), Information Retrieval, chapter 7; arguments of
        ``sklearn.metrics.precision_score`` (without multilabel targets).

    Example:
        >>> precision_score([1, 1, 1, 0, 0], [1, 1, 0, 1, 0])
        0.6666666666666666
    """
    found = _per_class(y_true, y_pred, labels, pos_label, average, sample_weight)
    hits, called, actual = found
    part = _ratio(hits, called, zero_division, "precision: nothing was called positive")
    return _averaged(part, actual, average)


def recall_score(
    y_true: Labels,
    y_pred: Labels,
    *,
    labels: Labels | None = None,
    pos_label: Any = 1,
    average: str | None = "binary",
    sample_weight: Weights = None,
    zero_division: float | str = "warn",
) -> Any:
    r"""Recall: of the examples that are positive, the share that were called so.

    .. math:: \frac{\mathrm{TP}}{\mathrm{TP} + \mathrm{FN}}

    Args:
        y_true, y_pred, labels, pos_label, average, sample_weight: see
            :func:`precision_score`.
        zero_division: the value where no example is positive, see there.

    Returns:
        As :func:`precision_score`.

    Raises:
        ValueError: see :func:`precision_score`.

    Source:
        See :func:`precision_score`.

    Example:
        >>> recall_score([1, 1, 1, 1, 0], [1, 1, 0, 0, 0])
        0.5
    """
    found = _per_class(y_true, y_pred, labels, pos_label, average, sample_weight)
    hits, _, actual = found
    part = _ratio(hits, actual, zero_division, "recall: no example is positive")
    return _averaged(part, actual, average)


def fbeta_score(
    y_true: Labels,
    y_pred: Labels,
    *,
    beta: float,
    labels: Labels | None = None,
    pos_label: Any = 1,
    average: str | None = "binary",
    sample_weight: Weights = None,
    zero_division: float | str = "warn",
) -> Any:
    r"""Weighted harmonic mean of precision P and recall R.

    .. math:: F_\beta = \frac{1 + \beta^2}{\frac1P + \frac{\beta^2}R}
        = \frac{(1 + \beta^2)\,\mathrm{TP}}{(1 + \beta^2)\,\mathrm{TP} +
        \beta^2\,\mathrm{FN} + \mathrm{FP}}

    Args:
        y_true, y_pred, labels, pos_label, average, sample_weight: see
            :func:`precision_score`.
        beta: recall counts beta times as much as precision; 0 is precision, infinity
            recall.
        zero_division: the value where no example is positive or was called so.

    Returns:
        As :func:`precision_score`.

    Raises:
        ValueError: see :func:`precision_score`; if ``beta`` is negative or NaN.

    Source:
        van Rijsbergen (1979), Information Retrieval, chapter 7, as Chinchor (1992),
        MUC-4, writes it.

    Example:
        >>> fbeta_score([1, 1, 1, 1, 0], [1, 1, 0, 0, 0], beta=2.0)
        0.5555555555555556
    """
    beta = _check.real("beta", beta, "[0, inf]")
    found = _per_class(y_true, y_pred, labels, pos_label, average, sample_weight)
    hits, called, actual = found
    why = "F: no example is positive, and none was called so"
    if np.isinf(beta):
        part = _ratio(hits, actual, zero_division, why)
    else:
        both = beta**2 * actual + called
        part = _ratio((1 + beta**2) * hits, both, zero_division, why)
    return _averaged(part, actual, average)


def f1_score(
    y_true: Labels,
    y_pred: Labels,
    *,
    labels: Labels | None = None,
    pos_label: Any = 1,
    average: str | None = "binary",
    sample_weight: Weights = None,
    zero_division: float | str = "warn",
) -> Any:
    r"""Harmonic mean of precision P and recall R.

    .. math:: F_1 = \frac{2 P R}{P + R} = \frac{2\,\mathrm{TP}}{2\,\mathrm{TP} +
        \mathrm{FP} + \mathrm{FN}}

    Args:
        y_true, y_pred, labels, pos_label, average, sample_weight: see
            :func:`precision_score`.
        zero_division: the value where no example is positive or was called so.

    Returns:
        As :func:`precision_score`.

    Raises:
        ValueError: see :func:`precision_score`.

    Source:
        See :func:`fbeta_score`, with beta = 1.

    Example:
        >>> f1_score([1, 1, 1, 1, 0], [1, 1, 0, 0, 0])
        0.6666666666666666
    """
    return fbeta_score(
        y_true, y_pred, beta=1.0, labels=labels, pos_label=pos_label, average=average,
        sample_weight=sample_weight, zero_division=zero_division,
    )  # fmt: skip


def _per_class(
    y_true: Labels,
    y_pred: Labels,
    labels: Labels | None,
    pos_label: Any,
    average: str | None,
    sample_weight: Weights,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True positives, examples called so, and examples that are, for each class."""
    true, pred, weight = checked(y_true, y_pred, sample_weight)
    _check.one_of("average", average, ("binary", None, "macro", "weighted", "micro"))
    names = names_of(labels, true, pred)
    if average == "binary":
        present = np.union1d(true, pred)
        if len(present) > 2:
            raise ValueError(
                "average must be None, 'macro', 'weighted' or 'micro' with more than "
                f"two classes, got 'binary' and {len(present)} classes"
            )
        if len(present) == 2 and pos_label not in present.tolist():
            raise ValueError(
                f"pos_label must be one of {present.tolist()}, got {pos_label!r}"
            )
        names = np.array([pos_label])
    hits = _sums(names, true, weight * (true == pred))
    called, actual = _sums(names, pred, weight), _sums(names, true, weight)
    if average == "micro":
        return (
            hits.sum(keepdims=True),
            called.sum(keepdims=True),
            actual.sum(keepdims=True),
        )
    return hits, called, actual


def _sums(names: np.ndarray, values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Sum of the weights of each class."""
    place = places(names, values)
    return np.bincount(place[place >= 0], weight[place >= 0], minlength=len(names))


def _ratio(
    part: np.ndarray, whole: np.ndarray, zero_division: float | str, why: str
) -> np.ndarray:
    share = shares(part, whole)
    undefined = whole == 0
    if not undefined.any():
        return share
    if zero_division == "warn":
        warnings.warn(f"{why}; the score is set to 0", stacklevel=3)
    elif isinstance(zero_division, str):
        raise ValueError(
            f"zero_division must be 'warn' or a number, got {zero_division!r}"
        )
    else:
        share[undefined] = zero_division
    return share


def _averaged(
    part: np.ndarray, actual: np.ndarray, average: str | None
) -> float | np.ndarray:
    if average is None:
        return part
    known = ~np.isnan(part)
    if not known.any():
        return float("nan")
    weight = actual[known] if average == "weighted" else np.ones(known.sum())
    if not weight.any():
        weight = np.ones(known.sum())
    return float(np.average(part[known], weights=weight))
