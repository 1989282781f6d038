"""What to train on, what to choose by, what to report.

Splits, and how sure a test error is.

Shape legend: m examples.
"""

import itertools
import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from jaxtyping import Bool, Int, Shaped

from dlref import _check

__all__ = ["error_interval", "examples_needed", "paired_difference", "split_indices"]


def split_indices(
    size: int,
    shares: Sequence[float],
    *,
    labels: Shaped[np.ndarray, " m"] | None = None,
    groups: Shaped[np.ndarray, " m"] | None = None,
    seed: int = 0,
) -> list[Int[np.ndarray, " part"]]:
    """Split examples at random into parts that have none in common.

    Args:
        size: number m of examples.
        shares: share of each part, above 0; they sum to one.
        labels: give each part its share of every class, to within one example.
        groups: keep examples of one group in one part; the shares are then those of the
            groups, as near as they go.
        seed: of the draw.

    Returns:
        Indices of each part, in random order.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the shares do not sum to one, ``labels`` and ``groups`` are both
            given, one of them is not of length m, or a part would be empty.

    Source:
        Kohavi (1995), IJCAI, for stratified parts.

    Example:
        >>> train, dev, test = split_indices(1000, (0.8, 0.1, 0.1))
        >>> len(train), len(dev), len(test), len({*train, *dev, *test})
        (800, 100, 100, 1000)
    """
    size = _check.integer("size", size, 1)
    shares = [_check.real("shares", share, "(0, 1]") for share in shares]
    if not math.isclose(sum(shares), 1):
        raise ValueError(f"shares must sum to 1, got {sum(shares)}")
    if labels is not None and groups is not None:
        raise ValueError("labels and groups must not both be given, got both")
    rng = np.random.default_rng(_check.integer("seed", seed, 0))
    if groups is not None:
        names, group = np.unique(
            _of_length("groups", groups, size), return_inverse=True
        )
        chosen = split_indices(len(names), shares, seed=seed)
        parts = [
            rng.permutation(np.flatnonzero(np.isin(group, part))) for part in chosen
        ]
    else:
        classes = (
            np.zeros(size) if labels is None else _of_length("labels", labels, size)
        )
        cuts = np.array(list(itertools.accumulate(shares)))[:-1]
        pieces = []
        for name in np.unique(classes):
            members = rng.permutation(np.flatnonzero(classes == name))
            pieces.append(np.split(members, np.rint(cuts * len(members)).astype(int)))
        parts = [
            rng.permutation(np.concatenate(piece))
            for piece in zip(*pieces, strict=True)
        ]
    if min(map(len, parts)) == 0:
        raise ValueError(
            "shares must leave no part empty, got parts of "
            f"{', '.join(str(len(p)) for p in parts)}"
        )
    return parts


def _of_length(name: str, value: np.ndarray, size: int) -> np.ndarray:
    if not isinstance(value, np.ndarray) or value.shape != (size,):
        raise ValueError(
            f"{name} must be a NumPy array of length {size}, got "
            f"{_check.describe(value)}"
        )
    return value


def error_interval(
    wrong: int, size: int, *, confidence: float = 0.95
) -> tuple[float, float]:
    r"""Wilson's interval for the error of a classifier.

    It got ``wrong`` of ``size`` test examples wrong.

    .. math:: \frac{\hat p + \frac{z^2}{2n} \pm z \sqrt{\frac{\hat p (1 - \hat p)}{n} +
        \frac{z^2}{4n^2}}} {1 + \frac{z^2}{n}}

    Args:
        wrong: number of errors, in [0, ``size``].
        size: number n of test examples, drawn independently.
        confidence: share of such intervals that hold the true error, in (0, 1).

    Returns:
        Lower and upper end.

    Raises:
        TypeError, ValueError: if a number is out of its range.

    Source:
        Wilson (1927), JASA 22.

    Example:
        >>> [round(end, 4) for end in error_interval(5, 200)]
        [0.0107, 0.0572]
        >>> error_interval(0, 100)[0]
        0.0
    """
    size = _check.integer("size", size, 1)
    p, z = _check.integer("wrong", wrong, 0, size) / size, _z(confidence)
    middle = (p + z**2 / (2 * size)) / (1 + z**2 / size)
    half = z / (1 + z**2 / size) * math.sqrt(p * (1 - p) / size + z**2 / (4 * size**2))
    return (0.0 if wrong == 0 else middle - half), (
        1.0 if wrong == size else middle + half
    )


def examples_needed(error: float, margin: float, *, confidence: float = 0.95) -> int:
    r"""Test examples that an interval of at most ``margin`` to either side takes.

    .. math:: n = \left\lceil \frac{z^2\, p\, (1 - p)}{\text{margin}^2} \right\rceil

    Args:
        error: the error p that is expected, in (0, 1).
        margin: half the width of the interval, in (0, 1).
        confidence: of the interval, in (0, 1).

    Raises:
        TypeError, ValueError: if a number is out of its range.

    Source:
        The normal approximation of the binomial distribution.

    Example:
        >>> examples_needed(0.02, 0.001)
        75293
    """
    p = _check.real("error", error, "(0, 1)")
    margin = _check.real("margin", margin, "(0, 1)")
    return math.ceil(_z(confidence) ** 2 * p * (1 - p) / margin**2)


def paired_difference(
    first: Bool[np.ndarray, " m"], second: Bool[np.ndarray, " m"]
) -> tuple[float, float]:
    r"""Difference between two models' errors on one test set, and its error.

    The error is the standard error of the difference.

    .. math:: d = \frac{n_{10} - n_{01}}{m}, \qquad s = \frac{1}{\sqrt m}
        \sqrt{\frac{n_{10} + n_{01}}{m} - d^2}

    where :math:`n_{10}` examples are wrong for the first model only and :math:`n_{01}`
    for the second only.

    Args:
        first: whether the first model gets each example wrong.
        second: whether the second does.

    Raises:
        TypeError, ValueError: if the arrays are not Boolean, or not of one length.

    Source:
        McNemar (1947), Psychometrika 12.

    Example:
        >>> both, one = (
        ...     np.array([True, True, False, False]),
        ...     np.array([True, False, False, False]),
        ... )
        >>> paired_difference(both, one)[0]
        0.25
    """
    for name, value in (("first", first), ("second", second)):
        if not isinstance(value, np.ndarray) or value.dtype != bool or value.ndim != 1:
            raise TypeError(
                f"{name} must be a Boolean array of shape (m), got "
                f"{_check.describe(value)}"
            )
    if len(first) == 0 or len(first) != len(second):
        raise ValueError(
            f"second must have shape (m={len(first)}) and m > 0, got "
            f"{_check.describe(second)}"
        )
    difference = first.astype(float) - second
    return float(difference.mean()), float(
        difference.std() / math.sqrt(len(difference))
    )


def _z(confidence: float) -> float:
    return NormalDist().inv_cdf(
        (1 + _check.real("confidence", confidence, "(0, 1)")) / 2
    )
