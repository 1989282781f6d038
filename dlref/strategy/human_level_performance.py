"""How well people do, and which of a model's gaps is worth closing.

Shape legend: none; everything here is a number.
"""

import itertools
import math
from collections.abc import Mapping
from typing import NamedTuple

from dlref import _check
from dlref.generalization.data_splits import error_interval

__all__ = [
    "ErrorDiagnosis",
    "Gap",
    "combination_interval",
    "diagnose_errors",
    "disagreement",
    "error_from_disagreement",
    "majority_error",
    "measured_error",
]

Measured = float | tuple[int, int]

EXACT = 1e-12  # steps that differ by less are equal but for rounding
GAPS = {
    ("human", "training"): "avoidable bias",
    ("training", "train_dev"): "variance",
    ("training", "dev"): "variance",
    ("train_dev", "dev"): "data mismatch",
    ("dev", "test"): "overfitting of the dev set",
}


def majority_error(error: float, annotators: int) -> float:
    r"""Error of the majority of independent annotators who choose between two classes.

    .. math:: \sum_{k > n/2} \binom nk\, p^k (1 - p)^{n - k}

    Args:
        error: probability p that one annotator errs, in [0, 1], on every example alike.
        annotators: their number n, odd, at most 999.

    Raises:
        TypeError, ValueError: if a number is out of its range, or n is even.

    Source:
        Condorcet (1785), "Essai sur l'application de l'analyse".

    Example:
        >>> round(majority_error(0.1, 3), 3)
        0.028
    """
    p = _check.real("error", error, "[0, 1]")
    n = _check.integer("annotators", annotators, 1, 999)
    if n % 2 == 0:
        raise ValueError(f"annotators must be an odd number, got {n}")
    return sum(
        math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n // 2 + 1, n + 1)
    )


def disagreement(error: float) -> float:
    r"""How often two independent annotators differ who each err with probability p.

    .. math:: 2 p (1 - p)

    Args:
        error: probability p that one of them errs, between two classes, in [0, 1].

    Raises:
        TypeError, ValueError: if the number is out of its range.

    Source:
        Elementary: one errs and the other does not.

    Example:
        >>> round(disagreement(0.1), 2)
        0.18
    """
    p = _check.real("error", error, "[0, 1]")
    return 2 * p * (1 - p)


def error_from_disagreement(share: float) -> float:
    r"""The error of one annotator, from how often two independent ones differ.

    .. math:: p = \frac{1 - \sqrt{1 - 2 d}}{2}

    Args:
        share: how often two differ, d, in [0, 1/2].

    Returns:
        The solution of d = 2p(1 - p) that is at most one half.

    Raises:
        TypeError, ValueError: if the number is out of its range.

    Source:
        The inverse of :func:`disagreement`.

    Example:
        >>> round(error_from_disagreement(0.18), 3)
        0.1
    """
    return (1 - math.sqrt(1 - 2 * _check.real("share", share, "[0, 0.5]"))) / 2


def measured_error(error: float, flipped: float) -> float:
    r"""The error by a reference of which a share is wrong, for two classes.

    The reference is another person, or the labels.

    .. math:: e + f\,(1 - 2e)

    Args:
        error: true error e of the model, in [0, 1].
        flipped: share f of the reference that is wrong, in [0, 1], independent of the
            mistakes.

    Raises:
        TypeError, ValueError: if a number is out of its range.

    Source:
        Rogan & Gladen (1978), American Journal of Epidemiology 107(1), for an
        imperfect test.

    Example:
        >>> round(measured_error(0.02, 0.05), 3)
        0.068
    """
    e = _check.real("error", error, "[0, 1]")
    f = _check.real("flipped", flipped, "[0, 1]")
    return e + f * (1 - 2 * e)


class Gap(NamedTuple):
    """A step from one error to the next.

    Attributes:
        name: what the step is called.
        difference: how large it is; it may be negative.
        low, high: interval for it.
        verdict: ``"yes"`` if it is surely larger than the tolerance, ``"no"`` if it
            surely is not, else ``"cannot tell"``.

    Source:
        See :func:`diagnose_errors`.

    Example:
        >>> Gap("variance", 0.02, -0.01, 0.05, "cannot tell").verdict
        'cannot tell'
    """

    name: str
    difference: float
    low: float
    high: float
    verdict: str


class ErrorDiagnosis(NamedTuple):
    """The steps between a model's errors, and which of them is the largest.

    Attributes:
        gaps: the steps, in order.
        largest: name of the step that is surely there and surely larger than each of
            the others; ``"none"`` if all verdicts are "no"; else ``"cannot tell"``.

    Source:
        See :func:`diagnose_errors`.

    Example:
        >>> ErrorDiagnosis((), "cannot tell").largest
        'cannot tell'
    """

    gaps: tuple[Gap, ...]
    largest: str


def combination_interval(
    coefficients: Mapping[str, float],
    errors: Mapping[str, Measured],
    *,
    confidence: float = 0.95,
) -> tuple[float, float]:
    r"""Interval for a sum of errors that were measured on separate examples.

    .. math:: \sum_i c_i \hat p_i \pm \sqrt{\sum_i (c_i \hat p_i - e_i)^2}

    where :math:`e_i` is the end of Wilson's interval for :math:`p_i`, times
    :math:`c_i`, that lies on the side in question.

    Args:
        coefficients: the factor :math:`c_i` of each error, by name.
        errors: each either a number that is known, or ``(wrong, size)``: so many wrong
            of so many examples.
        confidence: share of such intervals that hold the true sum, in (0, 1), about.

    Raises:
        TypeError, ValueError: if a number is out of its range, or a name is missing.

    Source:
        Zou, Huang & Zhang (2009), Computational Statistics & Data Analysis 53(4);
        for a difference, Newcombe (1998), Statistics in Medicine 17, method 10.

    Example:
        >>> errors = {"training": (16, 200), "dev": (20, 200)}
        >>> found = combination_interval({"dev": 1.0, "training": -1.0}, errors)
        >>> [round(end, 3) for end in found]
        [-0.037, 0.078]
    """
    middle, below, above = 0.0, 0.0, 0.0
    for name, c in coefficients.items():
        c = _check.real(f"coefficients[{name!r}]", c)
        if name not in errors:
            raise ValueError(
                f"errors must have {name!r}, got {', '.join(map(repr, errors))}"
            )
        p, low, high = _interval(name, errors[name], confidence)
        middle += c * p
        ends = sorted((c * low, c * high))
        below += (c * p - ends[0]) ** 2
        above += (ends[1] - c * p) ** 2
    return middle - math.sqrt(below), middle + math.sqrt(above)


def _interval(
    name: str, error: Measured, confidence: float
) -> tuple[float, float, float]:
    """The error itself, and its interval."""
    if not isinstance(error, tuple):
        p = _check.real(name, error, "[0, 1]")
        return p, p, p
    if len(error) != 2:
        raise ValueError(f"{name} must be (wrong, size) or a number, got {error}")
    wrong, size = error
    low, high = error_interval(wrong, size, confidence=confidence)
    return wrong / size, low, high


def diagnose_errors(
    *,
    human: Measured,
    training: Measured,
    dev: Measured,
    train_dev: Measured | None = None,
    test: Measured | None = None,
    tolerance: float = 0.0,
    confidence: float = 0.95,
) -> ErrorDiagnosis:
    """Which step is large on the way from the best possible error to that on the test.

    From people to the training set: avoidable bias. From there to new examples of the
    same kind: variance. From those to the dev set, if it is of another kind: data
    mismatch. From the dev to the test set: overfitting of the dev set. Each step has
    its interval, and where the data do not suffice the verdict is "cannot tell".

    Args:
        human: error of people, or another estimate of the best that is possible.
        training: error on the training set, measured in evaluation mode.
        dev: error on the dev set.
        train_dev: error on examples like those of the training set that were not
            trained on; without it the step from training to dev is called variance.
        test: error on the test set.
        tolerance: steps up to this do not count.
        confidence: with which all verdicts together are right, in (0, 1), about; each
            interval is wider for it (Bonferroni). Where fewer than some ten mistakes
            were seen, Wilson's intervals hold less often than they say.

    Each error is a number that is known, or ``(wrong, size)``, measured on examples
    that none of the others was measured on. The training error counts as known if it
    was measured on the whole training set.

    Raises:
        TypeError, ValueError: if a number is out of its range.

    Source:
        Ng (2018), Machine Learning Yearning, chapters 22 to 42, for the steps;
        intervals see :func:`combination_interval`.

    Example:
        >>> told = diagnose_errors(human=0.01, training=0.08, dev=(1000, 10_000))
        >>> [(gap.name, round(gap.difference, 2), gap.verdict) for gap in told.gaps]
        [('avoidable bias', 0.07, 'yes'), ('variance', 0.02, 'yes')]
        >>> told.largest
        'avoidable bias'
    """
    tolerance = _check.real("tolerance", tolerance, "[0, 1]")
    confidence = _check.real("confidence", confidence, "(0, 1)")
    given = {
        "human": human,
        "training": training,
        "train_dev": train_dev,
        "dev": dev,
        "test": test,
    }
    errors = {name: error for name, error in given.items() if error is not None}
    steps = list(itertools.pairwise(errors))
    pairs = len(steps) * (len(steps) - 1) // 2
    each = 1 - (1 - confidence) / (len(steps) + pairs)
    gaps = []
    for before, after in steps:
        found = {after: 1.0, before: -1.0}
        low, high = combination_interval(found, errors, confidence=each)
        difference = _value(errors[after]) - _value(errors[before])
        sure = "yes" if low > tolerance + EXACT else None
        if high <= tolerance + EXACT:
            sure = "no"
        name = GAPS[before, after]
        gaps.append(Gap(name, difference, low, high, sure or "cannot tell"))
    top = max(range(len(gaps)), key=lambda k: gaps[k].difference)
    ahead = all(
        _difference_of_steps(steps[top], step, errors, each) > EXACT
        for step in steps
        if step != steps[top]
    )
    largest = "cannot tell"
    if all(gap.verdict == "no" for gap in gaps):
        largest = "none"
    elif ahead and gaps[top].verdict == "yes":
        largest = gaps[top].name
    return ErrorDiagnosis(tuple(gaps), largest)


def _value(error: Measured) -> float:
    return error[0] / error[1] if isinstance(error, tuple) else float(error)


def _difference_of_steps(
    step: tuple[str, str],
    other: tuple[str, str],
    errors: Mapping[str, Measured],
    confidence: float,
) -> float:
    """Lower end of the interval for one step minus another; they may share an error."""
    total = dict.fromkeys(errors, 0.0)
    for (before, after), sign in ((step, 1.0), (other, -1.0)):
        total[after] += sign
        total[before] -= sign
    return combination_interval(total, errors, confidence=confidence)[0]
