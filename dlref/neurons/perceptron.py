"""The perceptron: a threshold unit that learns its weights.

The bound on its mistakes, and a network of such units.

Shape legend: m examples (one a row), n features, k corrections.
"""

import numpy as np
from jaxtyping import Float, Int, Shaped

from dlref import _check
from dlref.neurons._estimator import Estimator
from dlref.neurons.mcculloch_pitts import boolean_inputs

__all__ = ["BooleanNetwork", "Perceptron", "mistake_bound", "mistakes", "with_bias"]


def with_bias(X: Shaped[np.ndarray, "m n"]) -> Float[np.ndarray, "m n+1"]:
    r"""The examples with a feature in front that is always 1.

    Its weight serves as the bias.

    .. math:: w^\top x - \theta = \sum_{j=0}^{n} w_j x_j \quad \text{with} \quad x_0 =
        1,\; w_0 = -\theta

    Args:
        X: examples, one a row.

    Raises:
        TypeError, ValueError: if ``X`` is no array of finite numbers with two axes.

    Source:
        Nilsson (1965), Learning Machines, the "augmented pattern".

    Example:
        >>> with_bias(np.array([[5.0, 7.0]]))
        array([[1., 5., 7.]])
    """
    X = _check.numbers_array("X", X, "m n")
    return np.column_stack([np.ones(len(X)), X])


def mistakes(
    X: Shaped[np.ndarray, "m n"],
    y: Shaped[np.ndarray, " m"],
    w: Float[np.ndarray, "*weights n+1"],
) -> Int[np.ndarray, "*weights"]:
    r"""Number of examples on the wrong side.

    For one vector of weights or for many at once.

    .. math:: E(w) = \bigl|\{ i : [\, w^\top x_i \ge 0 \,] \ne y_i \}\bigr|

    Args:
        X: examples, one a row, without the constant feature.
        y: labels, 0 or 1.
        w: weights, the bias first; leading axes are a grid of weights.

    Raises:
        TypeError, ValueError: if an argument is of the wrong kind or shape, or a label
            is not 0 or 1.

    Source:
        Rosenblatt (1958), Psychological Review 65(6).

    Example:
        >>> int(
        ...     mistakes(
        ...         np.array([[0.0], [1.0]]), np.array([0, 1]), np.array([-2.0, 1.0])
        ...     )
        ... )
        1
    """
    augmented = with_bias(X)
    labels = _check.binary_labels("y", y, len(X)) == 1
    _check.array("w", w, "... n+1", **{"n+1": augmented.shape[1]})
    return np.asarray(((w @ augmented.T >= 0) != labels).sum(-1))


class Perceptron(Estimator):
    r"""Rosenblatt's perceptron.

    On each mistake the example is added to the weights, or taken away.

    .. math:: w \leftarrow w + s\, x \quad \text{if } [\, w^\top x \ge 0 \,] \ne y,
        \qquad s = 2y - 1

    Args:
        max_epochs: training ends after so many passes, or after the first pass without
            a mistake.
        seed: order of the examples, drawn anew for each pass; by default the order in
            which they come.

    Attributes:
        weight, bias: what was learned, (n,) and a number.
        errors: mistakes in each pass.
        path: the weights, bias first, before training and after each correction, (k +
            1, n + 1).
        converged: whether a pass without a mistake was reached.
        classes_: the labels, 0 and 1.

    Raises:
        TypeError, ValueError: if an argument is of the wrong kind, or out of range.

    Source:
        Rosenblatt (1958), Psychological Review 65(6). Differs from scikit-learn's
        class: no learning rate (from zero weights it would only scale them), one
        constant feature instead of a bias of its own rate.

    Example:
        >>> X, y = (
        ...     np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]),
        ...     np.array([0, 0, 0, 1]),
        ... )
        >>> model = Perceptron().fit(X, y)
        >>> model.predict(X), model.errors
        (array([0, 0, 0, 1]), [2, 3, 3, 2, 1, 0])
    """

    def __init__(self, *, max_epochs: int = 1000, seed: int | None = None) -> None:
        self.max_epochs = _check.integer("max_epochs", max_epochs, 1)
        self.seed = None if seed is None else _check.integer("seed", seed, 0)
        self.classes_ = np.array([0, 1])
        self.weight: np.ndarray | None = None
        self.bias = 0.0
        self.errors: list[int] = []
        self.path = np.zeros((1, 0))
        self.converged = False

    def fit(
        self, X: Shaped[np.ndarray, "m n"], y: Shaped[np.ndarray, " m"]
    ) -> "Perceptron":
        """Train from zero weights until a pass has no mistake."""
        augmented = with_bias(X)
        signs = 2 * _check.binary_labels("y", y, len(X)) - 1
        rng = None if self.seed is None else np.random.default_rng(self.seed)
        w = np.zeros(augmented.shape[1])
        path, self.errors = [w], []
        for _ in range(self.max_epochs):
            before = len(path)
            for i in range(len(X)) if rng is None else rng.permutation(len(X)):
                if (w @ augmented[i] >= 0) != (signs[i] > 0):
                    w = w + signs[i] * augmented[i]
                    path.append(w)
            self.errors.append(len(path) - before)
            if self.errors[-1] == 0:
                break
        self.weight, self.bias, self.path = w[1:], float(w[0]), np.array(path)
        self.converged = self.errors[-1] == 0
        return self

    def predict(self, X: Shaped[np.ndarray, "m n"]) -> Int[np.ndarray, " m"]:
        """1 where the weighted sum is at least zero, else 0."""
        if self.weight is None:
            raise RuntimeError("predict needs a trained model: call fit first")
        X = _check.numbers_array("X", X, "m n", n=len(self.weight))
        return (X @ self.weight + self.bias >= 0).astype(int)


def mistake_bound(
    X: Shaped[np.ndarray, "m n"],
    y: Shaped[np.ndarray, " m"],
    w: Float[np.ndarray, " n+1"],
) -> tuple[float, float, float]:
    r"""Radius, margin, and Novikoff's bound on the corrections of a perceptron.

    It holds in whatever order the examples come.

    .. math:: k \le \left(\frac{R}{\gamma}\right)^2, \qquad R = \max_i \lVert x_i
              \rVert, \qquad \gamma = \min_i s_i \frac{w^\top x_i}{\lVert w \rVert}

    Args:
        X: examples, one a row, without the constant feature; it counts towards the
            radius.
        y: labels, 0 or 1.
        w: weights that separate the classes, the bias first; the larger their margin,
            the better the bound.

    Returns:
        R, gamma and the bound.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if a shape is wrong, a label is not 0 or 1, or ``w`` does not
            separate the classes.

    Source:
        Novikoff (1962), "On convergence proofs on perceptrons".

    Example:
        >>> mistake_bound(
        ...     np.array([[-1.0], [1.0]]), np.array([0, 1]), np.array([0.0, 3.0])
        ... )
        (1.4142135623730951, 1.0, 2.0000000000000004)
    """
    augmented = with_bias(X)
    signs = 2 * _check.binary_labels("y", y, len(X)) - 1
    _check.array("w", w, "n+1", **{"n+1": augmented.shape[1]})
    radius = float(np.linalg.norm(augmented, axis=1).max())
    length = np.linalg.norm(w)
    margin = float((signs * (augmented @ w)).min() / length) if length else 0.0
    if margin <= 0:
        raise ValueError(
            f"w must separate the classes with a margin above 0, got {margin:g}"
        )
    return radius, margin, (radius / margin) ** 2


class BooleanNetwork:
    r"""A hidden layer of one perceptron an input pattern, and one that joins them.

    Any Boolean function.

    Hidden unit r fires for the r-th pattern p alone; the output fires if a unit does
    whose pattern the table marks:

    .. math:: h_r(x) = \Bigl[\, \sum_j (2 p_{rj} - 1)\, x_j \ge \sum_j p_{rj} \Bigr],
              \qquad f(x) = \Bigl[\, \sum_r t_r\, h_r(x) \ge 1 \Bigr]

    Args:
        table: value of the function for each of the 2^n inputs, in the order of
            :func:`boolean_inputs`.

    Attributes:
        hidden_weight, hidden_bias: (2^n, n) and (2^n,); they do not depend on the
            function.
        weight, bias: of the output unit, (2^n,) and a number.

    Raises:
        TypeError, ValueError: if ``table`` is no array of 2^n zeros and ones, n at
            least 1.

    Source:
        The disjunctive normal form of logic, one threshold unit a conjunction.

    Example:
        >>> xor = BooleanNetwork(np.array([0, 1, 1, 0]))
        >>> xor(np.array([[1.0, 1.0], [1.0, 0.0]]))
        array([0, 1])
    """

    def __init__(self, table: Shaped[np.ndarray, " rows"]) -> None:
        size = len(table) if isinstance(table, np.ndarray) and table.ndim == 1 else 0
        n = size.bit_length() - 1
        if n < 1 or size != 2**n:
            raise ValueError(
                "table must be an array of 2**n zeros and ones, n >= 1, got "
                f"{_check.describe(table)}"
            )
        patterns = boolean_inputs(n)
        self.hidden_weight = 2.0 * patterns - 1
        self.hidden_bias = -patterns.sum(1).astype(float)
        self.weight, self.bias = _check.binary_labels("table", table, size), -1.0

    def hidden(self, X: Shaped[np.ndarray, "m n"]) -> Int[np.ndarray, "m rows"]:
        """What the hidden units say to each row of zeros and ones."""
        X = _check.numbers_array("X", X, "m n", n=self.hidden_weight.shape[1])
        return (X @ self.hidden_weight.T + self.hidden_bias >= 0).astype(int)

    def __call__(self, X: Shaped[np.ndarray, "m n"]) -> Int[np.ndarray, " m"]:
        """The function's value for each row of zeros and ones."""
        return (self.hidden(X) @ self.weight + self.bias >= 0).astype(int)
