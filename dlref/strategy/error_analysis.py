"""What a model gets wrong, what mending it would gain, and labels that are wrong.

Shape legend: m examples.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, Integer

from dlref import _check
from dlref.generalization.data_splits import error_interval

__all__ = ["Kind", "corrected_error", "flip_labels", "tally"]


class Kind(NamedTuple):
    """How many of the mistakes are of a kind, and what is left if they are mended.

    Attributes:
        name: of the kind.
        found: how many of the mistakes that were looked at are of this kind.
        share: their share.
        share_interval: interval for the share among all mistakes.
        left: the error that is left at best, if all of this kind are mended and nothing
            else changes.
        left_interval: interval for it, from that of the share.

    Source:
        See :func:`tally`.

    Example:
        >>> Kind("dog", 5, 0.05, (0.022, 0.112), 0.095, (0.0888, 0.0978)).left
        0.095
    """

    name: str
    found: int
    share: float
    share_interval: tuple[float, float]
    left: float
    left_interval: tuple[float, float]


def tally(
    mistakes: Sequence[Collection[str]],
    error: float,
    *,
    confidence: float = 0.95,
) -> list[Kind]:
    """Count the kinds of mistakes, and bound what mending each could gain.

    Args:
        mistakes: for each mistake that was looked at the kinds that it is of, none,
            one or several; the mistakes are drawn at random from all.
        error: the error of the model, in [0, 1].
        confidence: of each interval, in (0, 1).

    Returns:
        The kinds, the most frequent first, ties by name. Shares need not sum to one.

    Raises:
        TypeError: if a kind is no string, or the kinds of a mistake are one string.
        ValueError: if there is no mistake, or a number is out of its range.

    Source:
        Ng (2018), Machine Learning Yearning, chapters 14 to 17; Wilson's interval
        for the share.

    Example:
        >>> mistakes = [{"dog"}] * 5 + [{"blurred"}] * 20 + [set()] * 75
        >>> [(k.name, k.found, round(k.left, 3)) for k in tally(mistakes, 0.10)]
        [('blurred', 20, 0.08), ('dog', 5, 0.095)]
    """
    error = _check.real("error", error, "[0, 1]")
    if len(mistakes) == 0:
        raise ValueError("mistakes must hold at least one, got none")
    counts: dict[str, int] = {}
    for mistake in mistakes:
        if isinstance(mistake, str) or not isinstance(mistake, Collection):
            got = _check.describe(mistake)
            raise TypeError(f"mistakes must hold collections of kinds, got {got}")
        for name in set(mistake):
            name = _check.text("a kind", name)
            counts[name] = counts.get(name, 0) + 1
    kinds = []
    for name, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
        share = count / len(mistakes)
        low, high = error_interval(count, len(mistakes), confidence=confidence)
        left = (error * (1 - high), error * (1 - low))
        kinds.append(Kind(name, count, share, (low, high), error * (1 - share), left))
    return kinds


def corrected_error(measured: float, flipped: float) -> float:
    r"""The true error behind one that was measured with wrong labels, for two classes.

    .. math:: \frac{e_{\text{measured}} - f}{1 - 2f}

    Args:
        measured: the error by the labels, in [0, 1].
        flipped: share f of wrong labels, in [0, 1/2), independent of the mistakes.

    Returns:
        The estimate; by chance it may be below zero.

    Raises:
        TypeError, ValueError: if a number is out of its range.

    Source:
        The inverse of
        :func:`~dlref.strategy.human_level_performance.measured_error`.

    Example:
        >>> round(corrected_error(0.068, 0.05), 3)
        0.02
    """
    measured = _check.real("measured", measured, "[0, 1]")
    f = _check.real("flipped", flipped, "[0, 0.5)")
    return (measured - f) / (1 - 2 * f)


def flip_labels(
    labels: Integer[np.ndarray, " m"],
    rate: float,
    *,
    classes: int,
    habits: Mapping[int, int] | None = None,
    seed: int = 0,
) -> Int[np.ndarray, " m"]:
    """Labels of which a share has been made wrong, at random or by habit.

    Args:
        labels: (m) classes 0 to ``classes`` - 1.
        rate: share of all labels that is made wrong, in [0, 1].
        classes: number of classes, at least 2.
        habits: for some classes the one that they are taken for; only their labels are
            made wrong then. Otherwise any label may be, and becomes any other class
            with equal probability.
        seed: of the draw.

    Returns:
        A new int64 array; exactly ``round(rate * m)`` labels differ.

    Raises:
        TypeError: if ``labels`` is no array of whole numbers, or ``habits`` no mapping.
        ValueError: if a label is no class, a habit changes nothing, or there are fewer
            labels with a habit than are to be made wrong.

    Source:
        Angluin & Laird (1988), Machine Learning 2, for random noise.

    Example:
        >>> flip_labels(np.array([0, 1, 1, 0]), 0.5, classes=2, habits={1: 0})
        array([0, 0, 0, 0])
    """
    classes = _check.integer("classes", classes, 2)
    rate = _check.real("rate", rate, "[0, 1]")
    rng = np.random.default_rng(_check.integer("seed", seed, 0))
    if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iu":
        got = _check.describe(labels)
        raise TypeError(f"labels must be an array of whole numbers, got {got}")
    if labels.ndim != 1 or len(labels) == 0 or not _within(labels, classes):
        raise ValueError(
            f"labels must have shape (m) and lie in [0, {classes - 1}], got "
            f"{_check.describe(labels)}"
        )
    count = round(rate * len(labels))
    labels = labels.astype(np.int64)
    flipped = labels.copy()
    if habits is None:
        chosen = rng.choice(len(labels), count, replace=False)
        step = rng.integers(1, classes, size=count)
        flipped[chosen] = (labels[chosen] + step) % classes
        return flipped
    if not isinstance(habits, Mapping):
        got = _check.describe(habits)
        raise TypeError(f"habits must be a mapping from class to class, got {got}")
    for before, after in habits.items():
        for number in (before, after):
            _check.integer("habits", number, 0, classes - 1)
        if before == after:
            raise ValueError(f"habits must change each class, got {before} for itself")
    open_ = np.flatnonzero(np.isin(labels, list(habits)))
    if len(open_) < count:
        raise ValueError(
            f"rate must leave at most {len(open_)} labels to be made wrong, those with "
            f"a habit, got {count}"
        )
    for place in rng.choice(open_, count, replace=False):
        flipped[place] = habits[int(labels[place])]
    return flipped


def _within(labels: np.ndarray, classes: int) -> bool:
    return bool(labels.min() >= 0 and labels.max() < classes)
