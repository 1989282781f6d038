"""The sigmoid neuron.

A threshold unit made smooth, its squared error, and gradient descent.

Shape legend: m examples (one a row), n features, D parameters.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Shaped

from dlref import _check

__all__ = ["gradient_descent", "sigmoid", "squared_error", "squared_error_gradients"]


def sigmoid(z: Float[np.ndarray, "*shape m"]) -> Float[np.ndarray, "*shape m"]:
    r"""Logistic function: the probability, from the log-odds.

    Without overflow for any finite ``z``.

    .. math:: \sigma(z) = \frac{1}{1 + e^{-z}} = \frac{e^{z}}{1 + e^{z}}

    Args:
        z: log-odds, any shape with an axis.

    Raises:
        TypeError, ValueError: if ``z`` is no array of finite floats, or empty.

    Source:
        Verhulst (1845), "Recherches mathématiques sur la loi d'accroissement de la
        population".

    Example:
        >>> sigmoid(np.array([-1000.0, 0.0, 1000.0]))
        array([0. , 0.5, 1. ])
    """
    _check.array("z", z, "... m")
    e = np.exp(-np.abs(z))  # in (0, 1]: the form whose exponential cannot overflow
    return np.where(z >= 0, 1, e) / (1 + e)


def squared_error(
    X: Float[np.ndarray, "m n"],
    y: Shaped[np.ndarray, " m"],
    w: Float[np.ndarray, "*grid n"],
    b: Float[np.ndarray, "*grid"] | float,
) -> Float[np.ndarray, "*grid"]:
    r"""Mean squared error of sigmoid neurons.

    For one of them or for a grid of weights and biases.

    .. math:: E(w, b) = \frac{1}{m} \sum_{i=1}^{m} \bigl(\sigma(w^\top x^{(i)} + b) -
        y^{(i)}\bigr)^2

    Args:
        X: examples, one a row.
        y: labels, any numbers; those outside [0, 1] cannot be reached.
        w: weights.
        b: biases, a number or an array with the leading axes of ``w``.

    Raises:
        TypeError, ValueError: if an argument is of the wrong kind or shape, or not
            finite.

    Source:
        Rumelhart, Hinton & Williams (1986), Nature 323, equation 3.

    Example:
        >>> squared_error(
        ...     np.array([[0.0], [1.0]]), np.array([0.0, 1.0]), np.zeros(1), 0.0
        ... )
        array(0.25)
    """
    error, _ = _errors(X, y, w, b)
    return np.asarray((error**2).mean(-1))


def squared_error_gradients(
    X: Float[np.ndarray, "m n"],
    y: Shaped[np.ndarray, " m"],
    w: Float[np.ndarray, "*grid n"],
    b: Float[np.ndarray, "*grid"] | float,
) -> tuple[Float[np.ndarray, "*grid n"], Float[np.ndarray, "*grid"]]:
    r"""``dw`` and ``db``: the gradient of :func:`squared_error`.

    .. math::

        \delta^{(i)} = 2\,(a^{(i)} - y^{(i)})\, a^{(i)} (1 - a^{(i)}), \qquad
        dw = \frac{1}{m} \sum_{i=1}^{m} \delta^{(i)} x^{(i)}, \qquad db = \frac{1}{m}
        \sum_{i=1}^{m} \delta^{(i)}

    Args:
        X, y, w, b: as for :func:`squared_error`.

    Raises:
        TypeError, ValueError: if an argument is of the wrong kind or shape, or not
            finite.

    Source:
        Rumelhart, Hinton & Williams (1986), Nature 323, equations 4 to 6.

    Example:
        >>> squared_error_gradients(
        ...     np.array([[0.0], [1.0]]), np.array([0.0, 1.0]), np.zeros(1), 0.0
        ... )
        (array([-0.125]), array(0.))
    """
    error, a = _errors(X, y, w, b)
    delta = 2 * error * a * (1 - a)
    return delta @ X / len(X), np.asarray(delta.mean(-1))


def _errors(
    X: np.ndarray, y: np.ndarray, w: np.ndarray, b: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray]:
    """Prediction minus label, and prediction, (..., m)."""
    _check.array("X", X, "m n")
    y = _check.numbers_array("y", y, "m", m=len(X))
    _check.array("w", w, "... n", n=X.shape[1])
    b = (
        _check.array("b", b, "...")
        if isinstance(b, np.ndarray)
        else np.array(_check.real("b", b))
    )
    if b.shape != w.shape[:-1]:
        raise ValueError(
            f"b must have the leading axes of w, {w.shape[:-1]}, got "
            f"{_check.describe(b)}"
        )
    a = sigmoid(w @ X.T + b[..., None])
    return a - y, a


def gradient_descent(
    gradient: Callable[[np.ndarray], np.ndarray],
    start: Float[np.ndarray, " D"],
    *,
    lr: float,
    steps: int,
) -> Float[np.ndarray, "{steps}+1 D"]:
    r"""The path of gradient descent, the start included.

    .. math:: \theta \leftarrow \theta - \eta\, \nabla E(\theta)

    Args:
        gradient: gradient at a point, both (D,).
        start: where to begin.
        lr: learning rate eta, above 0.
        steps: how many steps, at least 1.

    Raises:
        TypeError, ValueError: if an argument is of the wrong kind or out of range.
        FloatingPointError: if the path leaves the finite numbers; the message says at
            which step.

    Source:
        Cauchy (1847), "Méthode générale pour la résolution des systèmes d'équations
        simultanées".

    Example:
        >>> gradient_descent(lambda theta: 2 * theta, np.array([1.0]), lr=0.25, steps=2)
        array([[1.  ],
               [0.5 ],
               [0.25]])
    """
    theta = _check.array("start", start, "D")
    lr = _check.real("lr", lr, "(0, inf)")
    path = np.empty((_check.integer("steps", steps, 1) + 1, len(theta)))
    path[0] = theta
    for t in range(steps):
        with np.errstate(over="ignore", invalid="ignore"):  # said below, with the step
            path[t + 1] = path[t] - lr * gradient(path[t])
        if not np.isfinite(path[t + 1]).all():
            raise FloatingPointError(
                f"gradient descent diverged at step {t + 1}: lr={lr:g} is too large"
            )
    return path
