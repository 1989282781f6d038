"""Whether a probability of 0.8 comes true in eight of ten cases.

Shape legend: m examples, K classes, B bins.
"""

from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from dlref import _check
from dlref.strategy.goals_and_metrics.counts import Labels, labels_of
from dlref.strategy.goals_and_metrics.curves import Scores, positives_of, scores_of

__all__ = [
    "calibration_curve",
    "expected_calibration_error",
]


def calibration_curve(
    y_true: Labels,
    y_prob: Scores,
    *,
    pos_label: Any = None,
    n_bins: int = 5,
    strategy: str = "uniform",
) -> tuple[Float[np.ndarray, " B"], Float[np.ndarray, " B"]]:
    """How often the positive class occurs where it is given a certain probability.

    Args:
        y_true: (m) classes, two at most.
        y_prob: (m) probabilities of the positive class, in [0, 1].
        pos_label: see :func:`roc_curve`.
        n_bins: number of bins; empty ones are left out.
        strategy: bins of equal width, ``"uniform"``, or of equally many examples,
            ``"quantile"``.

    Returns:
        Share of positives and mean probability in each bin.

    Raises:
        ValueError: see :func:`roc_curve`; if a probability is outside [0, 1], or there
            are more than two classes.

    Source:
        ``sklearn.calibration.calibration_curve``.

    Example:
        >>> share, mean = calibration_curve([0, 1, 1], [0.1, 0.7, 0.9], n_bins=2)
        >>> share.tolist(), mean.round(2).tolist()
        ([0.0, 1.0], [0.1, 0.8])
    """
    positive = positives_of(y_true, pos_label)
    if len(np.unique(np.asarray(y_true))) > 2:
        raise ValueError("y_true must hold two classes at most")
    prob = _probabilities("y_prob", y_prob, len(positive))
    place = _bin(prob, n_bins, strategy)
    count = np.bincount(place)
    used = count > 0
    shares = [np.bincount(place, v)[used] / count[used] for v in (positive, prob)]
    return shares[0], shares[1]


def expected_calibration_error(
    y_true: Labels,
    y_prob: Float[np.ndarray, "m K"] | ArrayLike,
    *,
    n_bins: int = 15,
    strategy: str = "uniform",
) -> float:
    r"""Mean distance between how sure a classifier is and how often it is right.

    .. math:: \mathrm{ECE} = \sum_b \frac{m_b}{m}\,
        \lvert \mathrm{accuracy}_b - \mathrm{confidence}_b \rvert

    The confidence is the largest probability of a row. Bins are closed on the right, so
    a confidence of one belongs to the last.

    Args:
        y_true: (m) classes 0 to K - 1.
        y_prob: (m, K) probabilities.
        n_bins, strategy: see :func:`calibration_curve`. The estimate depends on them.

    Raises:
        ValueError: if shapes do not belong together, a probability is outside [0, 1],
            or a class is not a column.

    Source:
        Naeini, Cooper & Hauskrecht (2015), AAAI; Guo et al. (2017), arXiv:1706.04599.

    Example:
        >>> prob = np.array([[0.75, 0.25], [0.5, 0.5]])
        >>> expected_calibration_error([0, 1], prob)
        0.375
    """
    true = labels_of("y_true", y_true)
    prob = np.asarray(y_prob)
    if (
        prob.ndim != 2
        or true.dtype.kind == "U"
        or true.min() < 0
        or true.max() >= prob.shape[1]
    ):
        raise ValueError(
            "y_prob must have a column for each class from 0 to the largest of y_true, "
            f"got {_check.describe(prob)}"
        )
    prob = _probabilities("y_prob", prob, len(true))
    right, sure = prob.argmax(1) == true, prob.max(1)
    place = _bin(sure, n_bins, strategy)
    gaps = np.bincount(place, right - sure)
    return float(np.abs(gaps).sum() / len(true))


def _probabilities(name: str, value: Any, size: int) -> np.ndarray:
    found = scores_of(name, value, size, columns=True)
    if found.size == 0 or found.min() < 0 or found.max() > 1:
        raise ValueError(f"{name} must hold probabilities in [0, 1]")
    return found


def _bin(prob: np.ndarray, n_bins: int, strategy: str) -> np.ndarray:
    n_bins = _check.integer("n_bins", n_bins, 1)
    _check.one_of("strategy", strategy, ("uniform", "quantile"))
    edges = np.linspace(0, 1, n_bins + 1)
    if strategy == "quantile":
        edges = np.percentile(prob, 100 * edges)
    return np.searchsorted(edges[1:-1], prob)
