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

__all__ = [
    "error_interval",
    "examples_needed",
    "k_fold",
    "paired_difference",
    "split_indices",
]


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
        labels: give each part its share of every class, and of all examples, each to
            within one example.
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
        if labels is None:
            names, found = np.zeros(1, int), np.zeros(size, int)
            ends = np.rint(np.array(list(itertools.accumulate(shares))) * size)
            counts = np.diff(ends, prepend=0).astype(int)[None]
        else:
            labels = _of_length("labels", labels, size)
            names, found = np.unique(labels, return_inverse=True)
            counts = _rounded(np.outer(np.bincount(found), shares))
        pieces = []
        for name in range(len(names)):
            members = rng.permutation(np.flatnonzero(found == name))
            pieces.append(np.split(members, np.cumsum(counts[name])[:-1]))
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


def _rounded(exact: np.ndarray) -> np.ndarray:
    """Whole numbers, each less than one away from its own.

    The sums of rows, which are whole, stay; those of columns are less than one away.
    """
    exact = exact.round(9)
    low, rest = np.floor(exact).astype(int), exact - np.floor(exact)
    counts, owed = low.copy(), np.zeros(exact.shape[1])
    for row in range(len(exact)):  # the columns that are owed most get one more
        more = round(rest[row].sum())
        owed += rest[row]
        open_ = np.flatnonzero(rest[row])
        chosen = open_[np.argsort(-owed[open_], kind="stable")[:more]]
        counts[row, chosen] += 1
        owed[chosen] -= 1
    return _balanced(counts, exact)


def _balanced(counts: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """The same for any such numbers whose columns may be further away."""
    low, rest = np.floor(exact).astype(int), exact - np.floor(exact)
    while True:
        off = counts.sum(0) - exact.sum(0)
        much, few = int(off.argmax()), int(off.argmin())
        if max(off[much], -off[few]) < 1 - 1e-6:
            return counts
        _move(counts, low, rest, much if off[much] >= -off[few] else None, few, off)


def _move(
    counts: np.ndarray,
    low: np.ndarray,
    rest: np.ndarray,
    start: int | None,
    few: int,
    off: np.ndarray,
) -> None:
    """Take one from a column that has too much and give it where there is room.

    Each row on the way gives one of its own to another of its own.
    """
    back = start is None
    first = few if back else start
    up = (counts > low) & (rest > 0)  # may be lowered
    down = (counts == low) & (rest > 0)  # may be raised
    gives, takes = (down, up) if back else (up, down)
    reached: dict[int, tuple[int, int]] = {}
    queue = [first]
    for column in queue:
        for row in np.flatnonzero(gives[:, column]):
            for other in np.flatnonzero(takes[row]):
                if other != first and other not in reached:
                    reached[int(other)] = (column, int(row))
                    queue.append(int(other))
    ends = [column for column in reached if (off[column] > 0) == back and off[column]]
    end = max(ends, key=lambda column: abs(off[column])) if ends else queue[-1]
    step = -1 if back else 1
    while end != first:
        column, row = reached[end]
        counts[row, end] += step
        counts[row, column] -= step
        end = column


def k_fold(
    size: int,
    n_splits: int,
    *,
    labels: Shaped[np.ndarray, " m"] | None = None,
    shuffle: bool = False,
    seed: int = 0,
) -> list[tuple[Int[np.ndarray, " train"], Int[np.ndarray, " test"]]]:
    """Share examples out into folds, each of which is the test set once.

    Args:
        size: number m of examples.
        n_splits: number of folds, at least 2.
        labels: give each fold its share of every class, to within one example.
        shuffle: deal the examples out at random; by default in their order.
        seed: of the draw.

    Returns:
        Indices to train on and to test on, for each fold, both in rising order.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if there are more folds than examples, or with ``labels`` than
            examples of the largest class, or ``labels`` is not of length m.

    Source:
        Stone (1974), JRSS B 36; Kohavi (1995), IJCAI, for stratified folds. Without
        shuffling the folds are those of scikit-learn's ``KFold`` and
        ``StratifiedKFold``.

    Example:
        >>> for train, test in k_fold(5, 2):
        ...     print(train, test)
        [3 4] [0 1 2]
        [0 1 2] [3 4]
    """
    size = _check.integer("size", size, 1)
    n_splits = _check.integer("n_splits", n_splits, 2)
    rng = np.random.default_rng(_check.integer("seed", seed, 0))
    if labels is None:
        most, fold = size, np.empty(size, int)
        order = rng.permutation(size) if shuffle else np.arange(size)
        for number, part in enumerate(np.array_split(order, n_splits)):
            fold[part] = number
    else:
        _, first, found = np.unique(
            _of_length("labels", labels, size), return_index=True, return_inverse=True
        )
        found = np.argsort(np.argsort(first))[found]  # in the order of appearance
        most, fold = int(np.bincount(found).max()), np.empty(size, int)
        # who deals the sorted labels out one after the other deals fairly
        dealt = np.sort(found)
        for name in range(len(first)):
            shares = [int((dealt[k::n_splits] == name).sum()) for k in range(n_splits)]
            folds = np.repeat(np.arange(n_splits), shares)
            fold[found == name] = rng.permutation(folds) if shuffle else folds
    if n_splits > most:
        what = "examples" if labels is None else "examples of the largest class"
        raise ValueError(f"n_splits must be at most the {most} {what}, got {n_splits}")
    return [
        (np.flatnonzero(fold != number), np.flatnonzero(fold == number))
        for number in range(n_splits)
    ]


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
