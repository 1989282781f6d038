"""Which classes were taken for which, and how many mistakes that makes.

Shape legend: m examples, K classes.
"""

import numpy as np
from jaxtyping import Float, Int, Shaped
from numpy.typing import ArrayLike

from dlref import _check

__all__ = [
    "confusion_matrix",
    "zero_one_loss",
]

Labels = Shaped[np.ndarray, " m"] | ArrayLike
Weights = Shaped[np.ndarray, " m"] | ArrayLike | None


def labels_of(name: str, value: Labels, size: int | None = None) -> np.ndarray:
    """A class for each example: an array of one axis, of whole numbers or strings."""
    found = np.asarray(value)
    if found.dtype.kind == "O" and all(isinstance(v, str) for v in found.flat):
        found = found.astype(str)
    if found.ndim != 1 or len(found) == 0 or found.dtype.kind not in "biufU":
        got = _check.describe(found)
        raise ValueError(f"{name} must hold a class for each example, got {got}")
    if size is not None and len(found) != size:
        raise ValueError(f"{name} must have length {size}, got {len(found)}")
    if found.dtype.kind == "f" and not (found == np.floor(found)).all():
        raise ValueError(
            f"{name} must hold classes, got fractions or NaN: scores need a threshold"
        )
    return found


def weights_of(value: Weights, size: int) -> np.ndarray:
    """A weight for each example, ones by default; not all of them zero."""
    if value is None:
        return np.ones(size, dtype=np.int64)
    found = np.asarray(value)
    if found.dtype.kind not in "biuf" or found.shape != (size,):
        got = _check.describe(found)
        raise ValueError(f"sample_weight must hold {size} numbers, got {got}")
    if not (np.isfinite(found).all() and (found >= 0).all() and found.any()):
        raise ValueError(
            "sample_weight must be finite and >= 0, and not zero throughout"
        )
    return found.astype(float if found.dtype.kind == "f" else np.int64)


def zero_one_loss(
    y_true: Labels,
    y_pred: Labels,
    *,
    normalize: bool = True,
    sample_weight: Weights = None,
) -> float:
    r"""Weighted error: the share of the weight that is on wrong answers.

    .. math:: \frac{\sum_i w_i\,[\hat y_i \ne y_i]}{\sum_i w_i}

    Args:
        y_true: (m) classes, whole numbers or strings.
        y_pred: (m) predicted classes.
        normalize: divide by the sum of the weights; otherwise the sum over the wrong.
        sample_weight: (m) weights, at least 0; one each by default.

    Raises:
        ValueError: if the lengths differ, there is no example, or a weight is
            negative, not finite, or all are zero.

    Source:
        scikit-learn, ``sklearn.metrics.zero_one_loss``.

    Example:
        >>> zero_one_loss([0, 0, 1, 1], [0, 1, 1, 1], sample_weight=[1, 10, 1, 1])
        0.7692307692307693
    """
    true, pred, weight = checked(y_true, y_pred, sample_weight)
    wrong = float(weight[true != pred].sum())
    return wrong / float(weight.sum()) if normalize else wrong


def confusion_matrix(
    y_true: Labels,
    y_pred: Labels,
    *,
    labels: Labels | None = None,
    sample_weight: Weights = None,
    normalize: str | None = None,
) -> Int[np.ndarray, "K K"] | Float[np.ndarray, "K K"]:
    """How many examples of each class were taken for which.

    Args:
        y_true: (m) classes, whole numbers or strings.
        y_pred: (m) predicted classes.
        labels: the classes in the order of rows and columns, each once; examples of
            other classes are left out. By default all that occur, sorted.
        sample_weight: (m) weights instead of counting each example as one.
        normalize: ``"true"`` divides each row by its sum, ``"pred"`` each column,
            ``"all"`` by the sum of all; nothing over nothing is 0.

    Returns:
        Entry (i, j) is the number of examples of class i that were predicted as j.

    Raises:
        ValueError: see :func:`zero_one_loss`; if a label stands twice, or none of them
            occurs in ``y_true``; if ``normalize`` is something else.

    Source:
        scikit-learn, ``sklearn.metrics.confusion_matrix``.

    Example:
        >>> confusion_matrix([0, 0, 1, 1, 1], [0, 1, 1, 1, 0])
        array([[1, 1],
               [1, 2]])
    """
    true, pred, weight = checked(y_true, y_pred, sample_weight)
    _check.one_of("normalize", normalize, (None, "true", "pred", "all"))
    names = names_of(labels, true, pred)
    if not np.isin(true, names).any():
        raise ValueError("labels must name at least one class that occurs in y_true")
    row, column = places(names, true), places(names, pred)
    known = (row >= 0) & (column >= 0)
    cell = row[known] * len(names) + column[known]
    counts = np.zeros(len(names) ** 2, dtype=weight.dtype)
    np.add.at(counts, cell, weight[known])
    counts = counts.reshape(len(names), len(names))
    if normalize is None:
        return counts
    axis = {"true": 1, "pred": 0, "all": None}[normalize]
    return shares(
        counts, np.broadcast_to(counts.sum(axis, keepdims=True), counts.shape)
    )


def checked(
    y_true: Labels, y_pred: Labels, sample_weight: Weights
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    true = labels_of("y_true", y_true)
    pred = labels_of("y_pred", y_pred, len(true))
    if (true.dtype.kind == "U") != (pred.dtype.kind == "U"):
        raise ValueError(
            f"y_pred must hold classes of the kind of y_true's, {true.dtype}, got "
            f"{pred.dtype}"
        )
    return true, pred, weights_of(sample_weight, len(true))


def names_of(labels: Labels | None, true: np.ndarray, pred: np.ndarray) -> np.ndarray:
    if labels is None:
        return np.union1d(true, pred)
    names = labels_of("labels", labels)
    if len(np.unique(names)) != len(names):
        raise ValueError(f"labels must name each class once, got {names.tolist()}")
    return names


def places(names: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Where each value stands among the names, -1 for those that do not."""
    order = np.argsort(names)
    place = order[np.searchsorted(names, values, sorter=order).clip(max=len(names) - 1)]
    return np.where(names[place] == values, place, -1)


def shares(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(part.shape), where=whole != 0)
