"""Outputs of a network and their losses.

Softmax and cross-entropy, sigmoids, plain numbers; and what entropy is.

Shape legend: m examples (one a row), K outputs or classes.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Integer, Shaped

from dlref import _check
from dlref.neurons.logistic_regression import binary_cross_entropy
from dlref.neurons.sigmoid_neuron import sigmoid

__all__ = [
    "OUTPUTS",
    "Output",
    "cross_entropy",
    "distribution_cross_entropy",
    "entropy",
    "half_squared_error",
    "kl_divergence",
    "log_softmax",
    "one_hot",
    "softmax",
    "softmax_jacobian",
]


def log_softmax(z: Float[np.ndarray, "*batch K"]) -> Float[np.ndarray, "*batch K"]:
    r"""Logarithm of :func:`softmax`; exact where the softmax itself rounds to zero.

    .. math:: \log p_k = z_k - c - \log \sum_j e^{z_j - c}, \qquad c = \max_j z_j

    Args:
        z: scores (logits); the last axis holds the classes.

    Raises:
        TypeError, ValueError: if ``z`` is no array of finite floats, or empty.

    Source:
        Blanchard, Higham & Higham (2021), "Accurately computing the log-sum-exp and
        softmax functions".

    Example:
        >>> log_softmax(np.array([1e4, 0.0]))
        array([     0., -10000.])
    """
    _check.array("z", z, "... K")
    shifted, rounded = _difference(z, z.max(-1, keepdims=True))
    others = np.exp(shifted) * (1 + rounded)  # no larger than 1: none overflows
    largest = z.argmax(-1, keepdims=True)
    np.put_along_axis(others, largest, 0.0, -1)  # its own 1 would drown a small rest
    return shifted - np.log1p(others.sum(-1, keepdims=True))


def _difference(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``a - b``, and what rounding took from it."""
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = a - b
        back = rounded - a
        error = (a - (rounded - back)) - (b + back)
    return rounded, np.where(np.isfinite(error), error, 0)


def softmax(
    z: Float[np.ndarray, "*batch K"], *, temperature: float = 1.0
) -> Float[np.ndarray, "*batch K"]:
    r"""Probabilities of exclusive classes from their scores.

    .. math:: p_k = \frac{e^{z_k / T}}{\sum_j e^{z_j / T}}

    Args:
        z: scores (logits); the last axis holds the classes.
        temperature: T, above 0; a low one favours the largest score, a high one levels
            all.

    Raises:
        TypeError, ValueError: if ``z`` is no array of finite floats, or ``temperature``
            is not positive.

    Source:
        Bridle (1990), "Probabilistic interpretation of feedforward classification
        network outputs".

    Example:
        >>> softmax(np.array([2.0, 1.0, 0.1])).round(3)
        array([0.659, 0.242, 0.099])
    """
    _check.array("z", z, "... K")
    cold = _check.real("temperature", temperature, "(0, inf)")
    shifted, _ = _difference(z, z.max(-1, keepdims=True))  # nothing above zero, or
    with np.errstate(over="ignore"):  # a low temperature would make it infinite
        scaled = shifted / z.dtype.type(cold)
    return np.exp(log_softmax(np.maximum(scaled, np.finfo(z.dtype).min / 4)))


def softmax_jacobian(
    p: Float[np.ndarray, "*batch K"],
) -> Float[np.ndarray, "*batch K K"]:
    r"""Derivative of each probability by each score.

    .. math:: \frac{\partial p_i}{\partial z_j} = p_i (\delta_{ij} - p_j), \qquad J =
        \operatorname{diag}(p) - p p^\top

    Args:
        p: what :func:`softmax` returned, at temperature 1.

    Raises:
        TypeError, ValueError: if the rows of ``p`` are no probabilities.

    Source:
        Bridle (1990).

    Example:
        >>> softmax_jacobian(np.array([0.5, 0.5]))
        array([[ 0.25, -0.25],
               [-0.25,  0.25]])
    """
    p = _distribution("p", p)
    return p[..., :, None] * (np.eye(p.shape[-1]) - p[..., None, :])


def one_hot(
    y: Integer[np.ndarray, "*batch"], num_classes: int
) -> Float[np.ndarray, "*batch K"]:
    """A row with a single 1, in the column of the class.

    Args:
        y: classes, 0 to ``num_classes`` - 1.
        num_classes: how many there are.

    Raises:
        TypeError, ValueError: if ``y`` holds anything but classes.

    Source:
        This book.

    Example:
        >>> one_hot(np.array([2, 0]), 3)
        array([[0., 0., 1.],
               [1., 0., 0.]])
    """
    num_classes = _check.integer("num_classes", num_classes, 1)
    _classes(y, num_classes)
    return (y[..., None] == np.arange(num_classes)).astype(float)


def _classes(y: Any, num_classes: int) -> None:
    if not isinstance(y, np.ndarray) or y.dtype.kind not in "iu" or y.size == 0:
        raise TypeError(
            f"y must be a NumPy array of whole numbers, got {_check.describe(y)}"
        )
    if y.min() < 0 or y.max() >= num_classes:
        wrong = y.min() if y.min() < 0 else y.max()
        raise ValueError(
            f"y must hold classes 0 to {num_classes - 1}, got {wrong} among them"
        )


def cross_entropy(
    z: Float[np.ndarray, "*batch K"], y: Shaped[np.ndarray, "..."]
) -> Float[np.ndarray, "*batch"]:
    r"""Loss of each example in nats, from the scores of exclusive classes.

    Finite as long as the largest difference of two scores is.

    .. math:: \mathcal{L}(z, y) = -\sum_k y_k \log p_k = \log \sum_j e^{z_j} - \sum_k
              y_k z_k, \qquad p = \operatorname{softmax}(z)

    The derivative by the scores is :math:`p - y`.

    Args:
        z: scores (logits); the last axis holds the classes.
        y: the class of each example, or a row of probabilities for each.

    Raises:
        TypeError, ValueError: if ``z`` is no array of finite floats, or ``y`` neither
            classes nor probabilities.

    Source:
        Bridle (1990). Differs from torch's function of this name: no mean over the
        batch is taken.

    Example:
        >>> cross_entropy(
        ...     np.array([[2.0, 1.0, 0.1], [0.0, 1e4, 0.0]]), np.array([0, 2])
        ... ).round(3)
        array([4.17e-01, 1.00e+04])
    """
    logs = log_softmax(z)
    if isinstance(y, np.ndarray) and y.dtype.kind in "iu":
        if y.shape != z.shape[:-1]:
            raise ValueError(
                f"y must have a class for each row of z, {z.shape[:-1]}, got "
                f"{_check.describe(y)}"
            )
        _classes(y, z.shape[-1])
        return np.asarray(0 - np.take_along_axis(logs, y[..., None], -1)[..., 0])
    y = _distribution("y", y, z.shape)
    counted = np.multiply(y, -logs, out=np.zeros_like(logs), where=y > 0)
    return np.asarray(counted.sum(-1), dtype=z.dtype)  # 0 times infinity is 0


def half_squared_error(
    z: Float[np.ndarray, "*batch K"], y: Shaped[np.ndarray, "*batch K"]
) -> Float[np.ndarray, "*batch"]:
    r"""Loss of each example for targets that are any numbers.

    .. math:: \mathcal{L}(z, y) = \tfrac12 \sum_k (z_k - y_k)^2

    Half, so that the derivative by the outputs is :math:`z - y`.

    Args:
        z: outputs; the last axis holds the targets of one example.
        y: what they should be.

    Raises:
        TypeError, ValueError: if an argument is no array of finite numbers, or the
            shapes differ.

    Source:
        Legendre (1805), the method of least squares.

    Example:
        >>> half_squared_error(np.array([[1.0, 3.0]]), np.array([[0.0, 1.0]]))
        array([2.5])
    """
    _check.array("z", z, "... K")
    y = _check.numbers_array("y", y, "... K")
    if y.shape != z.shape:
        raise ValueError(
            f"y must have the shape of z, {z.shape}, got {_check.describe(y)}"
        )
    return np.asarray(((z - y) ** 2).sum(-1) / 2)


class Output(NamedTuple):
    """What the last layer of a network does, and its loss.

    For each of them the loss's derivative is output - target.

    Attributes:
        activation: from scores (m, K) to outputs (m, K).
        loss: from scores and targets, both (m, K), to the loss of each example, (m,).

    Args:
        activation, loss: the attributes.

    Source:
        Bishop (1995), Neural Networks for Pattern Recognition, chapter 6.

    Example:
        >>> z, y = np.array([[2.0, -1.0]]), np.array([[1.0, 0.0]])
        >>> (
        ...     OUTPUTS["labels"].activation(z).round(2),
        ...     OUTPUTS["labels"].loss(z, y).round(2),
        ... )
        (array([[0.88, 0.27]]), array([0.44]))
    """

    activation: Callable[[np.ndarray], np.ndarray]
    loss: Callable[[np.ndarray, np.ndarray], np.ndarray]


def _as_it_is(z: np.ndarray) -> np.ndarray:
    return z


def _all_labels(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    return binary_cross_entropy(z, y).sum(-1)


OUTPUTS = {
    "regression": Output(_as_it_is, half_squared_error),
    "labels": Output(sigmoid, _all_labels),
    "classes": Output(softmax, cross_entropy),
}
"""What the targets may be.

Numbers; labels of which any number may hold, a single one included; classes of which
exactly one holds.

:meta hide-value:
"""


def entropy(p: Float[np.ndarray, "*batch K"]) -> Float[np.ndarray, "*batch"]:
    r"""Mean information of a draw, in nats; divide by log 2 for bits.

    .. math:: H(p) = -\sum_k p_k \log p_k

    Args:
        p: probabilities; the last axis sums to 1.

    Raises:
        TypeError, ValueError: if the rows of ``p`` are no probabilities.

    Source:
        Shannon (1948), "A mathematical theory of communication", theorem 2.

    Example:
        >>> float(entropy(np.array([0.5, 0.5, 0.0])) / np.log(2))
        1.0
    """
    return distribution_cross_entropy(p, p)


def distribution_cross_entropy(
    p: Float[np.ndarray, "*batch K"], q: Float[np.ndarray, "*batch K"]
) -> Float[np.ndarray, "*batch"]:
    r"""Mean information of draws from ``p`` for one who believes ``q``, in nats.

    Infinite if the impossible happens.

    .. math:: H(p, q) = -\sum_k p_k \log q_k

    Args:
        p: probabilities that draws have; the last axis sums to 1.
        q: probabilities that are believed.

    Raises:
        TypeError, ValueError: if the rows are no probabilities, or the shapes differ.

    Source:
        Shannon (1948); Kerridge (1961), "Inaccuracy and inference".

    Example:
        >>> float(
        ...     distribution_cross_entropy(np.array([1.0, 0.0]), np.array([0.25, 0.75]))
        ...     / np.log(2)
        ... )
        2.0
    """
    p, q = _distribution("p", p), _distribution("q", q, np.shape(p))
    with np.errstate(divide="ignore"):
        surprise = -np.log(q)
    return np.asarray(
        np.multiply(p, surprise, out=np.zeros_like(p), where=p > 0).sum(-1)
    )  # 0 log 0 is 0


def kl_divergence(
    p: Float[np.ndarray, "*batch K"], q: Float[np.ndarray, "*batch K"]
) -> Float[np.ndarray, "*batch"]:
    r"""What believing ``q`` costs when draws come from ``p``, in nats.

    Zero for q = p and positive otherwise.

    .. math:: D(p \,\|\, q) = H(p, q) - H(p) = \sum_k p_k \log \frac{p_k}{q_k}

    Args:
        p, q: as for :func:`distribution_cross_entropy`.

    Raises:
        TypeError, ValueError: if the rows are no probabilities, or the shapes differ.

    Source:
        Kullback & Leibler (1951), "On information and sufficiency".

    Example:
        >>> float(kl_divergence(np.array([0.5, 0.5]), np.array([0.5, 0.5])))
        0.0
    """
    p, q = _distribution("p", p), _distribution("q", q, np.shape(p))
    return np.asarray(_divergences(p, q).sum(-1))


def _divergences(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    r""":math:`p \log(p / q) - p + q` of each pair, never below zero.

    Where both are near each other the three terms cancel. With their mean :math:`m` and
    :math:`s = (p - q) / (p + q)` it is :math:`2 m\,(s\,\operatorname{artanh} s +
    (\operatorname{artanh} s - s))`, and the last bracket a series.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        s = (p - q) / (p + q)
        artanh = np.arctanh(s)
        series = s**3 * np.polynomial.Polynomial(1 / np.arange(3.0, 40.0, 2))(s**2)
        excess = np.where(np.abs(s) < 0.3, series, artanh - s)
        near = (p + q) * (s * artanh + excess)
        far = p * (np.log(p) - np.log(q)) - p + q
    found = np.where(np.abs(s) < 0.9, near, far)
    return np.where(p == 0, q, found)  # 0 log 0 is 0


def _distribution(
    name: str, value: np.ndarray, shape: tuple[int, ...] | None = None
) -> np.ndarray:
    _check.array(name, value, "... K")
    if shape is not None and value.shape != shape:
        raise ValueError(
            f"{name} must have shape {shape}, got {_check.describe(value)}"
        )
    sums = value.sum(-1)
    if (value < 0).any() or np.abs(sums - 1).max() > 1e-5:
        raise ValueError(
            f"{name} must hold probabilities that sum to 1 along the last axis, "
            f"got values from {value.min():g} and sums from {sums.min():g} to "
            f"{sums.max():g}"
        )
    return value
