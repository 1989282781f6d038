"""Ensembles: the error of an average, and models made different by bootstrap samples.

Shape legend: k models, m examples, K classes.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from dlref import _check

__all__ = [
    "Bagging",
    "Moments",
    "bagging",
    "bootstrap",
    "ensemble_mse",
    "error_moments",
    "majority_vote",
]


def ensemble_mse(variance: float, covariance: float, k: int) -> float:
    r"""Mean squared error of the average of k models.

    Their errors are equally strong and equally correlated.

    .. math:: \frac{V}{k} + \frac{k - 1}{k}\, C

    Args:
        variance: V, the mean square of one model's error, at least 0.
        covariance: C, the mean product of two models' errors, in [-V / (k - 1), V].
        k: number of models, at least 1.

    Raises:
        TypeError, ValueError: if a number is out of its range.

    Source:
        Goodfellow, Bengio & Courville (2016), Deep Learning, equation 7.51; Krogh &
        Vedelsby (1995), NIPS.

    Example:
        >>> ensemble_mse(1.0, 0.0, 10), ensemble_mse(1.0, 1.0, 10)
        (0.1, 1.0)
    """
    variance = _check.real("variance", variance, "[0, inf)")
    k = _check.integer("k", k, 1)
    low = -variance / (k - 1) if k > 1 else -variance
    slack = 1e-9 * variance  # a measured covariance may sit on its bound
    covariance = _check.real(
        "covariance", covariance, f"[{low - slack}, {variance + slack}]"
    )
    return variance / k + (k - 1) / k * covariance


class Moments(NamedTuple):
    """Second moments of the errors of several models.

    Attributes:
        variance: V, mean square of an error, over models and examples.
        covariance: C, mean product of the errors of two different models.
        ensemble: mean square of the average model's error.

    Source:
        Krogh & Vedelsby (1995), NIPS.

    Example:
        >>> Moments(1.0, 0.5, 0.75).ensemble
        0.75
    """

    variance: float
    covariance: float
    ensemble: float


def error_moments(errors: Float[np.ndarray, "k *examples"]) -> Moments:
    r"""Measure V, C and the error of the average, from the errors of k models.

    All models are asked the same examples.

    Args:
        errors: output minus target, of at least two models.

    Raises:
        TypeError, ValueError: if ``errors`` is no array of finite floating-point
            numbers of two models or more.

    Source:
        Krogh & Vedelsby (1995), NIPS.

    Example:
        >>> error_moments(np.array([[1.0, -1.0], [1.0, 1.0]]))
        Moments(variance=1.0, covariance=0.0, ensemble=0.5)
    """
    errors = _check.array("errors", errors, "...")
    if errors.ndim < 2 or len(errors) < 2:
        raise ValueError(
            f"errors must have shape (k >= 2, examples), got {_check.describe(errors)}"
        )
    k = len(errors)
    flat = errors.reshape(k, -1)
    products = flat @ flat.T / flat.shape[1]
    variance = float(np.trace(products) / k)
    return Moments(
        variance,
        float((products.sum() - np.trace(products)) / (k * (k - 1))),
        float(products.mean()),
    )


def bootstrap(
    m: int, *, seed: int = 0
) -> tuple[Int[np.ndarray, " m"], Bool[np.ndarray, " m"]]:
    """Draw m of m examples with replacement; about 63% of them are then in the sample.

    Args:
        m: number of examples, at least 1.
        seed: of the draw.

    Returns:
        Indices of the sample, and for each example whether it was left out.

    Raises:
        TypeError, ValueError: if a number is out of its range.

    Source:
        Efron (1979), Annals of Statistics 7.

    Example:
        >>> sample, left_out = bootstrap(1000)
        >>> len(sample), bool(0.34 < left_out.mean() < 0.40)
        (1000, True)
    """
    m = _check.integer("m", m, 1)
    sample = np.random.default_rng(_check.integer("seed", seed, 0)).integers(m, size=m)
    left_out = np.ones(m, bool)
    left_out[sample] = False
    return sample, left_out


def majority_vote(
    votes: Int[np.ndarray, "k *examples"], num_classes: int
) -> Int[np.ndarray, "*examples"]:
    """The class with most votes; of classes with equally many, the smallest.

    Args:
        votes: class indices, one row a model.
        num_classes: K, at least 1.

    Raises:
        TypeError, ValueError: if ``votes`` holds no whole numbers, there are no models,
            or a class is not in [0, K).

    Source:
        Condorcet (1785).

    Example:
        >>> majority_vote(np.array([[0, 2], [1, 2], [1, 0]]), 3)
        array([1, 2])
    """
    num_classes = _check.integer("num_classes", num_classes, 1)
    if (
        not isinstance(votes, np.ndarray)
        or votes.dtype.kind not in "iu"
        or votes.ndim == 0
        or votes.size == 0
    ):
        raise TypeError(
            "votes must be an array of class indices of shape (k, examples), got "
            f"{_check.describe(votes)}"
        )
    if votes.min() < 0 or votes.max() >= num_classes:
        raise ValueError(
            f"votes must be in [0, {num_classes}), got values from {votes.min()} to "
            f"{votes.max()}"
        )
    return np.stack([(votes == c).sum(0) for c in range(num_classes)]).argmax(0)


class Bagging(NamedTuple):
    """Models fitted to bootstrap samples.

    Attributes:
        models: the k fits.
        left_out: for each model, the examples that it has not seen.

    Source:
        Breiman (1996), Machine Learning 24.

    Example:
        >>> Bagging([lambda x: x], np.array([[True, False]])).models[0](3)
        3
    """

    models: Sequence[Callable[[np.ndarray], np.ndarray]]
    left_out: np.ndarray

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Average of all models' outputs."""
        return np.mean([model(x) for model in self.models], 0)

    def out_of_bag(self, x: np.ndarray) -> np.ndarray:
        """For each training example, the average of the models that have not seen it.

        NaN if all have.
        """
        outputs = np.stack([model(x) for model in self.models])
        weight = self.left_out.reshape(*self.left_out.shape, *[1] * (outputs.ndim - 2))
        count = weight.sum(0)
        total = np.where(weight, outputs, 0).sum(0)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def bagging(
    fit: Callable[[Int[np.ndarray, " m"], int], Callable[[np.ndarray], np.ndarray]],
    m: int,
    k: int,
    *,
    seed: int = 0,
) -> Bagging:
    """Fit k models, each to a bootstrap sample of its own.

    Args:
        fit: from indices of training examples, and the number of the model, to a
            function of inputs.
        m: number of training examples, at least 1.
        k: number of models, at least 1.
        seed: of the samples; model i gets sample ``seed + i``.

    Raises:
        TypeError, ValueError: if a number is out of its range.

    Source:
        Breiman (1996), Machine Learning 24.

    Example:
        >>> y = np.arange(100.0)
        >>> mean = bagging(
        ...     lambda rows, i: lambda x: np.full(len(x), y[rows].mean()), 100, 50
        ... )
        >>> bool(abs(mean.predict(np.zeros(1))[0] - 49.5) < 2)
        True
    """
    m = _check.integer("m", m, 1)
    k = _check.integer("k", k, 1)
    seed = _check.integer("seed", seed, 0)
    draws = [bootstrap(m, seed=seed + i) for i in range(k)]
    return Bagging(
        [fit(sample, i) for i, (sample, _) in enumerate(draws)],
        np.stack([out for _, out in draws]),
    )
