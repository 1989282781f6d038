"""Logistic regression.

One sigmoid neuron, its loss, its gradients, and gradient descent.

Shape legend: m examples (one a row), n features.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Num

from dlref import _check
from dlref.neurons._estimator import Estimator
from dlref.neurons.perceptron import with_bias
from dlref.neurons.sigmoid_neuron import sigmoid

__all__ = ["LogisticRegression", "Node", "binary_cross_entropy", "cost", "gradients"]


def binary_cross_entropy(
    z: Float[np.ndarray, "*shape m"], y: Num[np.ndarray, "*shape m"]
) -> Float[np.ndarray, "*shape m"]:
    r"""Loss of each label in nats, from the log-odds; finite for every finite ``z``.

    .. math:: \mathcal{L}(a, y) = -y \log a - (1 - y) \log(1 - a) = \log(1 + e^{\mp z}),
        \quad a = \sigma(z)

    with minus for label 1 and plus for label 0: nothing cancels, however sure and right
    the score is.

    Args:
        z: log-odds, any shape with an axis.
        y: labels, 0 or 1, of the same shape.

    Raises:
        TypeError, ValueError: if ``z`` is no array of finite floats, or ``y`` not as
            many zeros and ones.

    Source:
        Cox (1958), negative log-likelihood; the stable form is torch's
        ``BCEWithLogitsLoss``.

    Example:
        >>> binary_cross_entropy(np.array([0.0, 1000.0]), np.array([1, 0])).round(3)
        array([6.93e-01, 1.00e+03])
    """
    _check.array("z", z, "... m")
    y = _check.binary_labels("y", y, z.shape).astype(z.dtype)
    return np.logaddexp(0, np.where(y == 1, -z, z))


def cost(
    X: Float[np.ndarray, "m n"],
    y: Num[np.ndarray, " m"],
    w: Float[np.ndarray, " n"],
    b: float,
    *,
    weight_decay: float = 0.0,
) -> float:
    r"""Cost of the training set.

    The mean loss, and a penalty on the weights but not on the bias.

    .. math:: J(w, b) = \frac{1}{m} \sum_{i=1}^{m} \mathcal{L}(a^{(i)}, y^{(i)}) +
        \frac{\lambda}{2} \lVert w \rVert^2

    Args:
        X, y, w, b: examples (one a row), their labels (0 or 1), weights and bias.
        weight_decay: lambda, at least 0.

    Raises:
        TypeError, ValueError: if an argument is of the wrong kind, shape or range, or a
            label is not 0 or 1.

    Source:
        Hastie, Tibshirani & Friedman (2009), The Elements of Statistical Learning,
        section 4.4.

    Example:
        >>> round(cost(np.eye(2), np.array([0, 1]), np.zeros(2), 0.0), 4)
        0.6931
    """
    z, y = _scores(X, y, w, b)
    weight_decay = _check.real("weight_decay", weight_decay, "[0, inf)")
    return float(binary_cross_entropy(z, y).mean() + weight_decay / 2 * (w @ w))


def gradients(
    X: Float[np.ndarray, "m n"],
    y: Num[np.ndarray, " m"],
    w: Float[np.ndarray, " n"],
    b: float,
    *,
    weight_decay: float = 0.0,
) -> tuple[Float[np.ndarray, " n"], float]:
    r"""Gradient of :func:`cost` by weights and bias, for all examples at once.

    .. math::

        dz = a - y, \qquad dw = \frac{1}{m} X^\top dz + \lambda w, \qquad db =
        \frac{1}{m} \sum_{i=1}^{m} dz^{(i)}

    Args:
        X, y, w, b: examples (one a row), their labels (0 or 1), weights and bias.
        weight_decay: lambda, at least 0.

    Raises:
        TypeError, ValueError: if an argument is of the wrong kind, shape or range, or a
            label is not 0 or 1.

    Source:
        Hastie, Tibshirani & Friedman (2009), The Elements of Statistical Learning,
        equation 4.21.

    Example:
        >>> gradients(np.eye(2), np.array([0, 1]), np.zeros(2), 0.0)
        (array([ 0.25, -0.25]), 0.0)
    """
    z, y = _scores(X, y, w, b)
    weight_decay = _check.real("weight_decay", weight_decay, "[0, inf)")
    dz = sigmoid(z) - y
    dw = X.T @ dz / len(X) + weight_decay * w
    return dw, float(dz.mean())


class LogisticRegression(Estimator):
    r"""Logistic regression trained by gradient descent on the whole training set.

    .. math:: w \leftarrow w - \alpha\, dw, \qquad b \leftarrow b - \alpha\, db

    Args:
        weight_decay: lambda of the penalty; scikit-learn's ``C`` is
            ``1 / (m * weight_decay)``.
        lr: learning rate alpha; by default ``1 / L``, where L bounds the curvature of
            the cost.
        max_iter, tol: training ends after so many steps, or when no component of the
            gradient is larger than ``tol``. If it is, a RuntimeWarning says so, unless
            ``tol`` is 0, which asks for all steps.

    Attributes:
        weight, bias: what was learned, (n,) and a number.
        costs: the cost before each step.
        converged: whether the gradient became as small as ``tol``.
        classes_: the labels, 0 and 1.

    Raises:
        TypeError, ValueError: if an argument is of the wrong kind, or out of range, or
            all labels are the same.

    Source:
        Cox (1958). Differs from scikit-learn's class: gradient descent instead of
        L-BFGS, the mean of the losses instead of their sum.

    Example:
        >>> X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 1, 0, 1])
        >>> LogisticRegression(weight_decay=0.1).fit(X, y).predict(
        ...     np.array([[-5.0], [5.0]])
        ... )
        array([0, 1])
    """

    def __init__(
        self,
        *,
        weight_decay: float = 0.0,
        lr: float | None = None,
        max_iter: int = 10_000,
        tol: float = 1e-6,
    ) -> None:
        _check.real("weight_decay", weight_decay, "[0, inf)")
        _check.real("lr", 1.0 if lr is None else lr, "(0, inf)")
        _check.integer("max_iter", max_iter, 1)
        _check.real("tol", tol, "[0, inf)")
        self.weight_decay, self.lr = weight_decay, lr
        self.max_iter, self.tol = max_iter, tol
        self.classes_ = np.array([0, 1])
        self.weight: np.ndarray | None = None
        self.bias = 0.0
        self.costs: list[float] = []
        self.converged = False

    def fit(
        self, X: Float[np.ndarray, "m n"], y: Num[np.ndarray, " m"]
    ) -> "LogisticRegression":
        """Train from zero weights: the cost is convex, so the start does not matter."""
        _check.array("X", X, "m n")
        y = _check.binary_labels("y", y, len(X))
        if y.min() == y.max():
            raise ValueError(f"y must hold both classes, got {y[0]:g} alone")
        self.costs, self.converged, largest = [], False, 0.0
        lr = 1 / _curvature_bound(X, self.weight_decay) if self.lr is None else self.lr
        w, b = np.zeros(X.shape[1]), 0.0
        for _ in range(self.max_iter):
            self.costs.append(cost(X, y, w, b, weight_decay=self.weight_decay))
            dw, db = gradients(X, y, w, b, weight_decay=self.weight_decay)
            largest = max(np.abs(dw).max(), abs(db))
            if largest <= self.tol:
                self.converged = True
                break
            w, b = w - lr * dw, b - lr * db
        self.weight, self.bias = w, b
        if not self.converged and self.tol:
            warnings.warn(
                f"LogisticRegression has not converged in max_iter={self.max_iter} "
                f"steps: the gradient is {largest:.1e} where tol={self.tol:.1e}",
                RuntimeWarning,
                stacklevel=2,
            )
        return self

    def decision_function(self, X: Float[np.ndarray, "m n"]) -> Float[np.ndarray, " m"]:
        """Log-odds of class 1 for each row."""
        if self.weight is None:
            raise RuntimeError("predict needs a trained model: call fit first")
        return _check.array("X", X, "m n", n=len(self.weight)) @ self.weight + self.bias

    def predict_proba(self, X: Float[np.ndarray, "m n"]) -> Float[np.ndarray, "m 2"]:
        """Probabilities of class 0 and of class 1 for each row."""
        z = self.decision_function(X)
        return np.stack([sigmoid(-z), sigmoid(z)], axis=1)

    def predict(self, X: Float[np.ndarray, "m n"]) -> Num[np.ndarray, " m"]:
        """The more probable class of each row, 0 or 1."""
        return (self.decision_function(X) >= 0).astype(int)


def _scores(
    X: np.ndarray, y: np.ndarray, w: np.ndarray, b: float
) -> tuple[np.ndarray, np.ndarray]:
    _check.array("X", X, "m n", finite=False)
    _check.array("w", w, "n", n=X.shape[1])
    y, z = _check.binary_labels("y", y, len(X)), X @ w + _check.real("b", b)
    if not np.isfinite(
        z
    ).all():  # a NaN in X always arrives here, and z has m values, X has m n
        raise ValueError(
            "X must be finite and small enough for X @ w + b not to overflow, got "
            "values that are not"
        )
    return z, y


def _curvature_bound(X: np.ndarray, weight_decay: float) -> float:
    """Largest eigenvalue that the Hessian of the cost can have.

    Sigma' is at most 1/4.
    """
    A = with_bias(X)
    gram = (
        A.T @ A if A.shape[0] > A.shape[1] else A @ A.T
    )  # the same largest eigenvalue, faster than an SVD
    return float(np.linalg.eigvalsh(gram)[-1] / (4 * len(X)) + weight_decay)


class Node:
    r"""A number in a computation graph.

    It knows what it was computed from and how it depends on it.

    .. math:: \frac{\partial J}{\partial s} = \sum_{t\,:\,s \to t} \frac{\partial
              J}{\partial t}\, \frac{\partial t}{\partial s}

    Args:
        value: the number.
        parents: pairs of a node that this one was computed from and the derivative of
            this one by it.

    Attributes:
        value, grad: the number, and after :meth:`backward` of a node J the derivative
            of J by this one.

    Raises:
        TypeError, ValueError: if ``value``, or what a node is combined with, is not a
            finite number.

    Source:
        Linnainmaa (1970); Griewank & Walther (2008), Evaluating Derivatives, chapter 3.

    Example:
        >>> a, b, c = Node(5.0), Node(3.0), Node(2.0)
        >>> J = 3.0 * (a + b * c)
        >>> J.backward()
        >>> J.value, a.grad, b.grad, c.grad
        (33.0, 3.0, 6.0, 9.0)
    """

    def __init__(
        self, value: float, parents: "Sequence[tuple[Node, float]]" = ()
    ) -> None:
        self.value = _check.real("value", value)
        self.parents = tuple(parents)
        self.grad = 0.0

    def __add__(self, other: "Node | float") -> "Node":
        other = _node(other)
        return Node(self.value + other.value, [(self, 1.0), (other, 1.0)])

    def __mul__(self, other: "Node | float") -> "Node":
        other = _node(other)
        return Node(
            self.value * other.value, [(self, other.value), (other, self.value)]
        )

    def __neg__(self) -> "Node":
        return self * -1.0

    def __sub__(self, other: "Node | float") -> "Node":
        return self + -_node(other)

    def __rsub__(self, other: float) -> "Node":
        return _node(other) + -self

    __radd__ = __add__
    __rmul__ = __mul__

    def sigmoid(self) -> "Node":
        """Logistic function of this node."""
        a = float(sigmoid(np.array([self.value]))[0])
        return Node(a, [(self, a * (1 - a))])

    def log(self) -> "Node":
        """Natural logarithm of this node."""
        if self.value <= 0:
            raise ValueError(
                f"value must be positive for its logarithm, got {self.value}"
            )
        return Node(float(np.log(self.value)), [(self, 1 / self.value)])

    def backward(self) -> None:
        """Compute the derivative of this node by each node it depends on.

        It is added to their ``grad``.
        """
        order = ancestors_last(self)
        for node in order:
            node.grad = 0.0
        self.grad = 1.0
        for node in order:
            for parent, derivative in node.parents:
                parent.grad += node.grad * derivative


def ancestors_last(node: Any) -> list[Any]:
    """Each node of a graph before those it was computed from.

    Iterative, so that a long graph is no problem.
    """
    order: list[Any] = []
    seen: set[int] = set()
    stack: list[tuple[Any, bool]] = [(node, False)]
    while stack:
        node, parents_done = stack.pop()
        if parents_done:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((parent, False) for parent, _ in node.parents)
    return order[::-1]


def _node(value: Node | float) -> Node:
    return value if isinstance(value, Node) else Node(value)
