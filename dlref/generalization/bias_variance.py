"""Bias and variance: where the error of a model that was fitted to data comes from.

Shape legend: draws training sets, points inputs at which the fits are looked at, n
sizes of a learning curve.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from dlref import _check

__all__ = ["Decomposition", "Diagnosis", "decompose", "diagnose", "repeated_fits"]

Curve = Callable[[np.ndarray], np.ndarray]


def repeated_fits(
    fit: Callable[[np.ndarray, np.ndarray], Curve],
    truth: Curve,
    points: Float[np.ndarray, " points"],
    *,
    size: int = 25,
    noise: float = 0.3,
    draws: int = 200,
    seed: int = 0,
) -> Float[np.ndarray, "draws points"]:
    """Fit a model to many training sets from one source.

    Every fit is looked at at the same points.

    Each training set has ``size`` inputs, even on [0, 1], and targets ``truth(x)`` plus
    normal noise.

    Args:
        fit: from (inputs, targets) to a function of inputs.
        truth: the function behind the targets.
        points: inputs at which to look.
        size: examples of a training set, at least 1.
        noise: standard deviation of the targets' noise, at least 0.
        draws: number of training sets, at least 1.
        seed: of the draws.

    Raises:
        TypeError, ValueError: if a number is out of its range, or ``points`` is no
            array of finite numbers.

    Source:
        Geman, Bienenstock & Doursat (1992), Neural Computation 4, section 3.

    Example:
        >>> constant = lambda x, y: lambda at: np.full(len(at), y.mean())
        >>> repeated_fits(constant, np.sin, np.array([0.0, 0.5]), draws=3).shape
        (3, 2)
    """
    points = _check.array("points", points, "points")
    size, draws = _check.integer("size", size, 1), _check.integer("draws", draws, 1)
    noise = _check.real("noise", noise, "[0, inf)")
    rng = np.random.default_rng(_check.integer("seed", seed, 0))
    rows = []
    for _ in range(draws):
        x = rng.uniform(size=size)
        rows.append(fit(x, truth(x) + noise * rng.normal(size=size))(points))
    return np.stack(rows)


class Decomposition(NamedTuple):
    """Bias and variance at every point, estimated without a bias of their own.

    Attributes:
        bias_squared: squared distance between the mean fit and the truth; may come out
            slightly negative by chance.
        variance: variance of the fits about their mean.

    Source:
        Geman, Bienenstock & Doursat (1992), Neural Computation 4.

    Example:
        >>> Decomposition(np.array([0.1]), np.array([0.2])).error(noise=0.5)
        array([0.55])
    """

    bias_squared: np.ndarray
    variance: np.ndarray

    def error(self, noise: float = 0.0) -> np.ndarray:
        """Expected squared error of a fit on a fresh target.

        ``noise`` is the standard deviation of the target's noise.
        """
        return (
            self.bias_squared
            + self.variance
            + _check.real("noise", noise, "[0, inf)") ** 2
        )


def decompose(
    predictions: Float[np.ndarray, "draws *points"], truth: Float[np.ndarray, "*points"]
) -> Decomposition:
    r"""Estimate squared bias and variance from fits to several training sets.

    .. math:: \widehat{\operatorname{Var}} = \frac{1}{R - 1} \sum_r (\hat f_r - \bar
        f)^2, \qquad \widehat{\text{bias}^2} = (\bar f - f)^2 -
        \frac{\widehat{\operatorname{Var}}}{R}

    The last term: the mean of R fits still wobbles, and without it that would count as
    bias.

    Args:
        predictions: of R >= 2 fits, at the same points.
        truth: the values there without noise.

    Raises:
        TypeError, ValueError: if the shapes do not belong together, there is one draw
            only, or a value is not finite.

    Source:
        Geman, Bienenstock & Doursat (1992), Neural Computation 4.

    Example:
        >>> decompose(np.array([[1.0], [3.0]]), np.array([0.0]))
        Decomposition(bias_squared=array([3.]), variance=array([2.]))
    """
    truth = _check.array("truth", truth, "...")
    predictions = _check.array("predictions", predictions, "...")
    if predictions.shape[1:] != truth.shape or len(predictions) < 2:
        expected = f"(draws >= 2, {', '.join(map(str, truth.shape))})"
        raise ValueError(
            f"predictions must have shape {expected}, got "
            f"{_check.describe(predictions)}"
        )
    variance = predictions.var(0, ddof=1)
    return Decomposition(
        (predictions.mean(0) - truth) ** 2 - variance / len(predictions), variance
    )


class Diagnosis(NamedTuple):
    """What a learning curve says.

    Attributes:
        bias: training error above the target error, at the largest size.
        variance: dev error above the training error there.
        gain: by how much the dev error has fallen over the last doubling of the
            training set.
        advice: what to try, the larger trouble first.

    Source:
        Ng (2018), Machine Learning Yearning, chapters 20 to 30.

    Example:
        >>> Diagnosis(0.1, 0.0, 0.0, ("larger model",)).advice
        ('larger model',)
    """

    bias: float
    variance: float
    gain: float
    advice: tuple[str, ...]


def diagnose(
    sizes: Sequence[int],
    train_errors: Sequence[float],
    dev_errors: Sequence[float],
    *,
    target: float = 0.0,
    tolerance: float = 0.01,
) -> Diagnosis:
    """Read a learning curve: is it bias or variance, and would more data help?

    Args:
        sizes: sizes of the training set, rising; the last at least twice the first.
        train_errors: error on the training set at each size.
        dev_errors: error on the dev set at each size.
        target: the error that is hoped for, such as that of people.
        tolerance: differences up to this do not count.

    Raises:
        TypeError, ValueError: if the lengths differ, sizes do not rise or span no
            doubling, or a number is not finite.

    Source:
        Ng (2018), Machine Learning Yearning, chapters 20 to 30.

    Example:
        >>> diagnose([100, 200, 400], [0.3, 0.31, 0.32], [0.36, 0.34, 0.325]).advice
        ('larger model or longer training',)
    """
    target = _check.real("target", target)
    tolerance = _check.real("tolerance", tolerance, "[0, inf)")
    m = np.array([_check.integer("sizes", size, 1) for size in sizes], float)
    train = np.array([_check.real("train_errors", error) for error in train_errors])
    dev = np.array([_check.real("dev_errors", error) for error in dev_errors])
    if not len(m) == len(train) == len(dev):
        lengths = f"{len(m)}, {len(train)} and {len(dev)}"
        raise ValueError(
            f"sizes, train_errors and dev_errors must be of one length, got {lengths}"
        )
    if len(m) == 0 or (np.diff(m) <= 0).any() or m[-1] < 2 * m[0]:
        raise ValueError(
            f"sizes must rise by a factor of two or more, got {list(sizes)}"
        )
    bias, variance = float(train[-1] - target), float(dev[-1] - train[-1])
    gain = float(np.interp(np.log(m[-1] / 2), np.log(m), dev) - dev[-1])
    found = []
    if bias > tolerance:
        found.append((bias, "larger model or longer training"))
    if variance > tolerance:
        found.append(
            (
                variance,
                "more data" if gain > tolerance else "regularisation or another model",
            )
        )
    return Diagnosis(
        bias, variance, gain, tuple(text for _, text in sorted(found, reverse=True))
    )
