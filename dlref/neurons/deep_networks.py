"""Deep networks.

A multilayer perceptron in NumPy, how to check its gradients, and what depth and width
can build.

Shape legend: m examples (one a row), n inputs, K outputs, D parameters in all.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Shaped

from dlref import _check
from dlref.neurons._estimator import Estimator
from dlref.neurons.outputs_and_losses import OUTPUTS, one_hot
from dlref.neurons.shallow_networks import (
    ACTIVATIONS,
    Parameters,
    dense,
    dense_gradients,
    initial_parameters,
)

__all__ = [
    "MLP",
    "gradient_error",
    "numerical_gradient",
    "parity_network",
    "tower_network",
]


class MLP(Estimator):
    r"""Multilayer perceptron of any depth, derivatives by hand.

    Trained by stochastic gradient descent.

    .. math::

        A^{[0]} = X, \qquad Z^{[l]} = A^{[l-1]} {W^{[l]}}^\top + b^{[l]}, \qquad A^{[l]}
        = g(Z^{[l]}) \quad (l < L)

    Args:
        sizes: units of the input, of each hidden layer, and of the output.
        activation: of the hidden layers: ``"relu"``, ``"tanh"`` or ``"sigmoid"``.
        output: what the last layer says, a key of :data:`OUTPUTS`: ``"classes"``,
            ``"labels"`` or ``"regression"``.
        seed: of the initial weights and of the order of examples.
        scale: of the initial weights, see :func:`initial_parameters`; by default the
            square root of 2 for ReLU, else 1.
        dtype: precision, ``np.float64`` or ``np.float32``.

    Attributes:
        parameters: W of shape (n_l, n_{l-1}) and b of shape (n_l,) for each layer; they
            load into ``torch.nn.Linear``.
        history: mean loss of the batches of each epoch.

    Raises:
        TypeError, ValueError: if an argument is of the wrong kind, or out of range.

    Source:
        Rumelhart, Hinton & Williams (1986), Nature 323. Differs: softmax and
        cross-entropy, ReLU.

    Example:
        >>> X, y = (
        ...     np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]),
        ...     np.array([0, 1, 1, 0]),
        ... )
        >>> MLP([2, 8, 2], activation="tanh").fit(
        ...     X, y, epochs=200, lr=0.5, batch_size=4
        ... ).predict(X)
        array([0, 1, 1, 0])
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        activation: str = "relu",
        output: str = "classes",
        seed: int = 0,
        scale: float | None = None,
        dtype: type = np.float64,
    ) -> None:
        self.g = ACTIVATIONS[_check.one_of("activation", activation, ACTIVATIONS)]
        _check.one_of("output", output, OUTPUTS)
        _check.integer("seed", seed, 0)
        self.sizes, self.activation, self.output = sizes, activation, output
        self.seed, self.scale, self.dtype = seed, scale, dtype
        scale = (2**0.5 if activation == "relu" else 1.0) if scale is None else scale
        self.parameters: Parameters = initial_parameters(
            sizes, seed=seed, scale=scale, dtype=dtype
        )
        self.history: list[float] = []

    def forward(self, X: Float[np.ndarray, "m n"]) -> list[np.ndarray]:
        """A[0] to A[L-1], and the scores Z[L]: what the backward pass needs."""
        A = [
            _check.array("X", X, "m n", n=self.parameters[0][0].shape[1]).astype(
                self.parameters[0][0].dtype
            )
        ]
        for W, b in self.parameters[:-1]:
            A.append(self.g.function(dense(A[-1], W, b)))
        return [*A, dense(A[-1], *self.parameters[-1])]

    def loss(
        self, X: Float[np.ndarray, "m n"], y: Shaped[np.ndarray, "m ..."]
    ) -> float:
        """Mean loss over the examples."""
        Z = self.forward(X)[-1]
        return float(OUTPUTS[self.output].loss(Z, self._targets(y)).mean())

    def gradients(
        self, X: Float[np.ndarray, "m n"], y: Shaped[np.ndarray, "m ..."]
    ) -> tuple[float, Parameters]:
        r"""Mean loss, and its derivative by W and b of each layer.

        .. math::

            dZ^{[L]} = \frac{A^{[L]} - Y}{m}, \qquad
            dZ^{[l]} = \bigl( dZ^{[l+1]} W^{[l+1]} \bigr) \odot g'(Z^{[l]})
        """
        *A, Z = self.forward(X)
        if not np.isfinite(Z).all():
            raise FloatingPointError(
                "the network's scores are no longer finite: the learning rate may be "
                "too large"
            )
        Y = self._targets(y)
        output = OUTPUTS[self.output]
        loss = float(output.loss(Z, Y).mean())  # refuses targets that do not fit
        dZ = (output.activation(Z) - Y) / len(Z)
        found = []
        for l in reversed(range(len(A))):
            dA, dW, db = dense_gradients(dZ, A[l], self.parameters[l][0])
            found.append((dW, db))
            dZ = dA * self.g.derivative(
                A[l]
            )  # for l = 0 of no use: inputs have no scores
        return loss, found[::-1]

    def fit(
        self,
        X: Float[np.ndarray, "m n"],
        y: Shaped[np.ndarray, "m ..."],
        *,
        lr: float = 0.1,
        epochs: int = 10,
        batch_size: int = 32,
    ) -> "MLP":
        """Descend from where the parameters are, over shuffled batches.

        The last, smaller one is used too.
        """
        lr = _check.real("lr", lr, "(0, inf)")
        epochs = _check.integer("epochs", epochs, 1)
        batch_size = _check.integer("batch_size", batch_size, 1)
        rng = np.random.default_rng(self.seed)
        for _ in range(epochs):
            order, total = rng.permutation(len(X)), 0.0
            for start in range(0, len(X), batch_size):
                batch = order[start : start + batch_size]
                with np.errstate(
                    over="ignore", invalid="ignore"
                ):  # said by gradients, in words
                    loss, gradients = self.gradients(X[batch], y[batch])
                total += loss * len(batch)
                self.parameters = [
                    (W - lr * dW, b - lr * db)
                    for (W, b), (dW, db) in zip(self.parameters, gradients, strict=True)
                ]
            self.history.append(total / len(X))
        return self

    def predict_outputs(self, X: Float[np.ndarray, "m n"]) -> Float[np.ndarray, "m K"]:
        """Probabilities of the classes or labels, or the numbers."""
        return OUTPUTS[self.output].activation(self.forward(X)[-1])

    def predict(self, X: Float[np.ndarray, "m n"]) -> Shaped[np.ndarray, "m ..."]:
        """The most probable class of each row.

        For labels, 1 where one is more probable than not; or the numbers.
        """
        outputs = self.predict_outputs(X)
        if self.output == "classes":
            return outputs.argmax(1)
        return (outputs > 0.5).astype(int) if self.output == "labels" else outputs

    def flat(self) -> Float[np.ndarray, " D"]:
        """All parameters in one vector.

        W and b of the first layer, then of the next.
        """
        return np.concatenate(
            [value.ravel() for pair in self.parameters for value in pair]
        )

    def set_flat(self, theta: Float[np.ndarray, " D"]) -> None:
        """Take all parameters from such a vector."""
        _check.array(
            "theta", theta, "D", D=sum(W.size + b.size for W, b in self.parameters)
        )
        ends = np.cumsum([value.size for pair in self.parameters for value in pair])[
            :-1
        ]
        pieces = iter(np.split(theta.astype(self.parameters[0][0].dtype), ends))
        self.parameters = [
            (next(pieces).reshape(W.shape), next(pieces)) for W, _ in self.parameters
        ]

    def _targets(self, y: np.ndarray) -> np.ndarray:
        if self.output == "classes" and isinstance(y, np.ndarray) and y.ndim == 1:
            return one_hot(y, len(self.parameters[-1][1])).astype(
                self.parameters[0][0].dtype
            )
        return y


def numerical_gradient(
    f: Callable[[np.ndarray], float],
    theta: Float[np.ndarray, " D"],
    *,
    eps: float = 1e-5,
) -> Float[np.ndarray, " D"]:
    r"""Gradient by two-sided differences: two calls of ``f`` for each component.

    .. math:: \frac{\partial f}{\partial \theta_j} \approx
              \frac{f(\theta + \varepsilon e_j) - f(\theta - \varepsilon e_j)}{2
              \varepsilon}

    Args:
        f: function of the parameters.
        theta: where the gradient is wanted; left as it is.
        eps: step, above 0; 1e-5 suits double precision.

    Raises:
        TypeError, ValueError: if ``theta`` is no vector of finite floats, or ``eps`` is
            not positive.

    Source:
        Nocedal & Wright (2006), Numerical Optimization, section 8.1.

    Example:
        >>> numerical_gradient(
        ...     lambda t: float(t[0] ** 2 + 3 * t[1]), np.array([2.0, 1.0])
        ... ).round(6)
        array([4., 3.])
    """
    _check.array("theta", theta, "D")
    steps = _check.real("eps", eps, "(0, inf)") * np.eye(len(theta), dtype=theta.dtype)
    return np.array([(f(theta + e) - f(theta - e)) / (2 * eps) for e in steps])


def gradient_error(
    ours: Float[np.ndarray, " D"], theirs: Float[np.ndarray, " D"]
) -> float:
    r"""Relative difference of two gradients: about 1e-7 is right, 1e-3 is a bug.

    .. math:: \frac{\lVert g - \hat g \rVert}{\lVert g \rVert + \lVert \hat g \rVert}

    Args:
        ours, theirs: the two gradients.

    Raises:
        TypeError, ValueError: if they are no vectors of finite floats of one length.

    Source:
        Ng (2017), deeplearning.ai, course 2: the common form.

    Example:
        >>> gradient_error(np.array([1.0, 0.0]), np.array([1.0, 0.0]))
        0.0
    """
    _check.array("ours", ours, "D")
    _check.array("theirs", theirs, "D", D=len(ours))
    length = np.linalg.norm(ours) + np.linalg.norm(theirs)
    return float(np.linalg.norm(ours - theirs) / length) if length else 0.0


def parity_network(n: int) -> Parameters:
    r"""Threshold units that compute the parity of n bits by a tree of XORs.

    Two layers a level.

    Each level halves the number of bits:
    :math:`x \oplus y = [\, x + y \ge 1 \,] - [\, x + y \ge 2 \,]`, so it takes
    :math:`3 (n - 1)` units in :math:`2 \log_2 n` layers. A unit fires if its weighted
    sum plus bias is at least 0.

    Args:
        n: number of bits, a power of two, at least 2.

    Returns:
        weights and biases of each layer, as :func:`dense` takes them.

    Raises:
        TypeError, ValueError: if ``n`` is no power of two above 1.

    Source:
        This book; Hastad (1986), "Almost optimal lower bounds for small depth
        circuits", says what no shallow circuit of ANDs and ORs can do.

    Example:
        >>> A = np.array([[1.0, 0.0, 1.0, 1.0]])
        >>> for W, b in parity_network(4):
        ...     A = (dense(A, W, b) >= 0).astype(float)
        >>> A
        array([[1.]])
    """
    n = _check.integer("n", n, 2)
    if n & (n - 1):
        raise ValueError(f"n must be a power of two, got {n}")
    layers = []
    while n > 1:
        n //= 2
        pairs = np.kron(
            np.eye(n), np.ones((2, 2))
        )  # units 2i and 2i + 1 both see bits 2i and 2i + 1
        layers.append((pairs, np.tile([-1.0, -2.0], n)))
        layers.append((np.kron(np.eye(n), [[1.0, -1.0]]), np.full(n, -1.0)))
    return layers


def tower_network(
    f: Callable[[np.ndarray], np.ndarray],
    towers: int,
    *,
    low: Float[np.ndarray, " n"],
    high: Float[np.ndarray, " n"],
    steepness: float = 100.0,
) -> Parameters:
    r"""Sigmoid neurons that approximate a function of n inputs by towers.

    One tower on each cell of a grid.

    Two steep sigmoids make a wall, :math:`\sigma(s (x - a)) - \sigma(s (x - b))`. For
    one input a wall is a tower, and one hidden layer suffices; for more, a neuron of a
    second layer fires where the walls of all inputs meet:

    .. math:: f(x) \approx \sum_c f(c)\; \sigma\Bigl( s \bigl[ \sum_j
        \text{wall}_{cj}(x_j) - n + \tfrac12 \bigr] \Bigr)

    Args:
        f: from points, one a row, to values.
        towers: cells along each input, so towers ** n in all.
        low, high: corners of the box.
        steepness: of the walls, in units of a cell's width, and of the second layer.

    Returns:
        weights and biases of each layer, all sigmoid but the last: ``parameters`` of an
        :class:`MLP` for regression.

    Raises:
        TypeError, ValueError: if an argument is of the wrong kind or out of range.

    Source:
        Cybenko (1989), "Approximation by superpositions of a sigmoidal function"; the
        towers are Nielsen's (2015).

    Example:
        >>> layers = tower_network(
        ...     lambda X: X[:, 0] ** 2, 10, low=np.array([0.0]), high=np.array([1.0])
        ... )
        >>> [W.shape for W, b in layers]
        [(11, 1), (1, 11)]
    """
    _check.array("low", low, "n")
    n = len(_check.array("high", high, "n", n=len(low)))
    towers = _check.integer("towers", towers, 1)
    s = _check.real("steepness", steepness, "(0, inf)")
    if (high <= low).any():
        raise ValueError(f"high must be above low, got {high} and {low}")
    width = (high - low) / towers
    edges = low[:, None] + width[:, None] * np.arange(towers + 1)
    edges[:, 0], edges[:, -1] = (
        edges[:, 0] - width,
        edges[:, -1] + width,
    )  # no half-height at the border
    first = (
        np.kron(np.diag(s / width), np.ones((towers + 1, 1))),
        -(s / width[:, None] * edges).ravel(),
    )
    cells = np.stack(
        np.meshgrid(*[np.arange(towers)] * n, indexing="ij"), axis=-1
    ).reshape(-1, n)
    values = np.asarray(f(low + width * (cells + 0.5)))
    wall = np.eye(towers, towers + 1) - np.eye(towers, towers + 1, 1)
    if n == 1:
        return [first, (values[None] @ wall, np.zeros(1))]
    second = (
        s * np.hstack([wall[cells[:, j]] for j in range(n)]),
        np.full(len(cells), -s * (n - 0.5)),
    )
    return [first, second, (values[None], np.zeros(1))]
