"""A layer of neurons.

Forward, backward, the activations and their derivatives, and where the weights begin.

Shape legend: m examples (one a row), N units of a layer, K units of the layer before
it.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from dlref import _check
from dlref.neurons.sigmoid_neuron import sigmoid

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "dense",
    "dense_gradients",
    "initial_parameters",
]

Parameters = list[tuple[np.ndarray, np.ndarray]]


class Activation(NamedTuple):
    r"""A function applied to each score, and its derivative.

    The derivative is written with the function's own value.

    .. math:: \sigma' = a (1 - a), \qquad \tanh' = 1 - a^2, \qquad \operatorname{relu}'
        = [\, a > 0 \,]

    ReLU has no derivative at 0; as in the frameworks it is taken to be 0 there.

    Attributes:
        function: from scores z to activations a.
        derivative: from a to da/dz.

    Args:
        function, derivative: the attributes.

    Source:
        LeCun, Bottou, Orr & Müller (1998), "Efficient BackProp"; Glorot, Bordes &
        Bengio (2011) for ReLU.

    Example:
        >>> relu = ACTIVATIONS["relu"]
        >>> (
        ...     relu.function(np.array([-1.0, 0.0, 2.0])),
        ...     relu.derivative(np.array([0.0, 0.0, 2.0])),
        ... )
        (array([0., 0., 2.]), array([0., 0., 1.]))
    """

    function: Callable[[np.ndarray], np.ndarray]
    derivative: Callable[[np.ndarray], np.ndarray]


def _sigmoid_slope(a: np.ndarray) -> np.ndarray:
    return a * (1 - a)


def _tanh_slope(a: np.ndarray) -> np.ndarray:
    return 1 - a**2


def _relu(z: np.ndarray) -> np.ndarray:
    return np.maximum(z, 0)


def _relu_slope(a: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(a), a, a > 0).astype(a.dtype)


ACTIVATIONS = {
    "sigmoid": Activation(sigmoid, _sigmoid_slope),
    "tanh": Activation(np.tanh, _tanh_slope),
    "relu": Activation(_relu, _relu_slope),
}
"""The activations of hidden layers, by name.

:meta hide-value:
"""


def dense(
    A: Float[np.ndarray, "m K"], W: Float[np.ndarray, "N K"], b: Float[np.ndarray, " N"]
) -> Float[np.ndarray, "m N"]:
    r"""Scores of a layer, for all examples at once.

    .. math:: Z = A W^\top + b, \qquad z^{[l]}_{ij} = \sum_k W^{[l]}_{jk}\,
        a^{[l-1]}_{ik} + b^{[l]}_j

    Args:
        A: activations of the layer before, one example a row.
        W: weights, one neuron a row, as in ``torch.nn.Linear``.
        b: biases.

    Raises:
        TypeError, ValueError: if an argument is no array of floats, or the shapes do
            not fit.

    Source:
        Rumelhart, Hinton & Williams (1986), Nature 323, equation 1.

    Example:
        >>> dense(
        ...     np.array([[1.0, 2.0]]),
        ...     np.array([[3.0, 4.0], [0.0, 1.0], [1.0, 0.0]]),
        ...     np.zeros(3),
        ... )
        array([[11.,  2.,  1.]])
    """
    _check.array("A", A, "m K", finite=False)
    _check.array("W", W, "N K", finite=False, K=A.shape[1])
    _check.array("b", b, "N", finite=False, N=len(W))
    return A @ W.T + b


def dense_gradients(
    dZ: Float[np.ndarray, "m N"],
    A: Float[np.ndarray, "m K"],
    W: Float[np.ndarray, "N K"],
) -> tuple[Float[np.ndarray, "m K"], Float[np.ndarray, "N K"], Float[np.ndarray, " N"]]:
    r"""From the derivative by a layer's scores to those by what it computed from.

    By its inputs, weights and biases.

    .. math:: dA = dZ\, W, \qquad dW = dZ^\top A, \qquad db = \sum_{i=1}^{m} dZ_{i}

    Args:
        dZ: derivative of the cost (a mean over the examples) by the scores.
        A: activations of the layer before.
        W: weights.

    Returns:
        dA, dW, db.

    Raises:
        TypeError, ValueError: if an argument is no array of floats, or the shapes do
            not fit.

    Source:
        Rumelhart, Hinton & Williams (1986), Nature 323, equations 6 and 7.

    Example:
        >>> dense_gradients(
        ...     np.array([[1.0], [2.0]]),
        ...     np.array([[5.0, 6.0], [7.0, 8.0]]),
        ...     np.array([[3.0, 4.0]]),
        ... )
        (array([[3., 4.], [6., 8.]]), array([[19., 22.]]), array([3.]))
    """
    _check.array("dZ", dZ, "m N", finite=False)
    _check.array("A", A, "m K", finite=False, m=len(dZ))
    _check.array("W", W, "N K", finite=False, N=dZ.shape[1], K=A.shape[1])
    return dZ @ W, dZ.T @ A, dZ.sum(0)


def initial_parameters(
    sizes: Sequence[int], *, seed: int, scale: float = 1.0, dtype: type = np.float64
) -> Parameters:
    r"""Weights and biases of each layer.

    Normal with a spread that keeps the size of the scores, and zero.

    .. math:: W^{[l]} \sim \mathcal{N}\!\left(0, \; \frac{s^2}{n^{[l-1]}}\right), \qquad
        b^{[l]} = 0

    Args:
        sizes: units of the input, of each hidden layer and of the output.
        seed: of the random numbers.
        scale: s, at least 0; the square root of 2 suits ReLU.
        dtype: precision of the parameters.

    Returns:
        for each layer W of shape (sizes[l], sizes[l-1]) and b of shape (sizes[l],).

    Raises:
        TypeError, ValueError: if there are fewer than two sizes, an argument is out of
            range, or ``dtype`` is no type of floats.

    Source:
        LeCun, Bottou, Orr & Müller (1998), "Efficient BackProp", section 4.6.

    Example:
        >>> [(W.shape, b.shape) for W, b in initial_parameters([784, 30, 10], seed=0)]
        [((30, 784), (30,)), ((10, 30), (10,))]
    """
    if (
        isinstance(sizes, str | bytes)
        or not isinstance(sizes, Sequence)
        or len(sizes) < 2
    ):
        raise TypeError(
            f"sizes must be at least two whole numbers, got {_check.describe(sizes)}"
        )
    sizes = [_check.integer("sizes", n, 1) for n in sizes]
    scale = _check.real("scale", scale, "[0, inf)")
    if not np.issubdtype(dtype, np.floating):
        raise TypeError(f"dtype must be a type of floats, got {dtype}")
    rng = np.random.default_rng(_check.integer("seed", seed, 0))
    return [
        (
            (scale / np.sqrt(k) * rng.standard_normal((n, k))).astype(dtype),
            np.zeros(n, dtype),
        )
        for k, n in pairwise(sizes)
    ]
