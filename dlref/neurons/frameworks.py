"""Reverse-mode automatic differentiation over arrays.

The heart of a framework, in one class.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from dlref import _check
from dlref.neurons.logistic_regression import ancestors_last

__all__ = ["Variable", "unbroadcast"]

Array = np.ndarray


def unbroadcast(
    gradient: Float[np.ndarray, "..."], shape: tuple[int, ...]
) -> Float[np.ndarray, "..."]:
    r"""Sum a gradient over the axes that broadcasting had repeated.

    An array that is used once for each index of a repeated axis hears from all of them:

    .. math:: y_{ij} = x_j \quad \Longrightarrow \quad
              \frac{\partial J}{\partial x_j} = \sum_i \frac{\partial J}{\partial
              y_{ij}}

    Args:
        gradient: by the result of an operation, of the shape that broadcasting gave.
        shape: of the array that was broadcast.

    Raises:
        ValueError: if no array of that shape broadcasts to the gradient's.

    Source:
        Maclaurin, Duvenaud & Adams (2015), Autograd.

    Example:
        >>> unbroadcast(np.ones((3, 2)), (2,))
        array([3., 3.])
    """
    if len(shape) > gradient.ndim or any(
        size not in (1, full)
        for size, full in zip(shape[::-1], gradient.shape[::-1], strict=False)
    ):
        raise ValueError(
            f"shape must broadcast to that of gradient, {gradient.shape}, got {shape}"
        )
    gradient = gradient.sum(tuple(range(gradient.ndim - len(shape))))
    repeated = tuple(axis for axis, size in enumerate(shape) if size == 1)
    return np.asarray(gradient.sum(repeated, keepdims=True) if repeated else gradient)


class Variable:
    r"""An array in a computation graph that is built while the calculation runs.

    Each result keeps its parents, and for each of them the function that turns the
    derivative by the result into that by the parent (a vector-Jacobian product):

    .. math:: \bar x = \bar y\, \frac{\partial y}{\partial x}, \qquad \bar v =
        \frac{\partial J}{\partial v}

    Arithmetic follows NumPy's broadcasting; arrays and numbers may stand on either
    side.

    Args:
        value: the array, or a number.
        parents: pairs of a variable that this one was computed from and the function
            from ``grad`` to its share.
        op: what computed it, for pictures of the graph.

    Attributes:
        value, op: the array, and what computed it.
        grad: after :meth:`backward` of a number J, the derivative of J by this array;
            before, zero.

    Raises:
        TypeError, ValueError: if ``value`` is no finite number or array of numbers.

    Source:
        Linnainmaa (1970); Paszke et al. (2017), "Automatic differentiation in PyTorch".
        Differs from PyTorch: ``backward`` sets gradients, it does not add to those of
        the call before.

    Example:
        >>> x, w = Variable(np.array([[1.0, 2.0]])), Variable(np.array([[3.0], [4.0]]))
        >>> J = ((x @ w + 1.0) ** 2).sum()
        >>> J.backward()
        >>> J.value, w.grad
        (array(144.), array([[24.], [48.]]))
    """

    # lets array + Variable come here, where NumPy would make an array of objects
    __array_ufunc__ = None

    def __init__(
        self,
        value: Any,
        parents: "Sequence[tuple[Variable, Callable[[Array], Array]]]" = (),
        *,
        op: str = "leaf",
    ) -> None:
        if parents:  # the result of an operation: NumPy has looked at it
            self.value = np.asarray(value)
        elif isinstance(value, np.ndarray):
            self.value = _check.numbers_array("value", value, "...")
        else:
            self.value = np.array(_check.real("value", value))
        self.parents = tuple(parents)
        self.op = op
        self.grad = np.zeros_like(self.value)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.value.shape

    def backward(self) -> None:
        """Compute the derivative of this number by each variable it depends on.

        It is added to their ``grad``.
        """
        if self.value.size != 1:
            raise ValueError(
                f"backward needs a single number, got {_check.describe(self.value)}"
            )
        order = ancestors_last(self)
        for node in order:
            node.grad = np.zeros_like(node.value)
        self.grad = np.ones_like(self.value)
        for node in order:
            for parent, share in node.parents:
                parent.grad += unbroadcast(np.asarray(share(node.grad)), parent.shape)

    def __add__(self, other: Any) -> "Variable":
        other = _variable(other)
        return Variable(
            self.value + other.value,
            [(self, lambda g: g), (other, lambda g: g)],
            op="+",
        )

    def __mul__(self, other: Any) -> "Variable":
        other = _variable(other)
        x, y = self.value, other.value
        return Variable(
            x * y, [(self, lambda g: g * y), (other, lambda g: g * x)], op="×"
        )

    def __truediv__(self, other: Any) -> "Variable":
        other = _variable(other)
        x, y = self.value, other.value
        return Variable(
            x / y, [(self, lambda g: g / y), (other, lambda g: -g * x / y**2)], op="÷"
        )

    def __pow__(self, exponent: float | int) -> "Variable":
        exponent, x = _check.real("exponent", exponent), self.value
        return Variable(
            x**exponent,
            [(self, lambda g: g * exponent * x ** (exponent - 1))],
            op=f"^{exponent:g}",
        )

    def __matmul__(self, other: Any) -> "Variable":
        other = _variable(other)
        x, y = self.value, other.value
        if x.ndim != 2 or y.ndim != 2:
            raise ValueError(
                f"@ needs two matrices, got shapes {x.shape} and {y.shape}"
            )
        return Variable(
            x @ y, [(self, lambda g: g @ y.T), (other, lambda g: x.T @ g)], op="@"
        )

    def __neg__(self) -> "Variable":
        return Variable(-self.value, [(self, lambda g: -g)], op="−")

    def __sub__(self, other: Any) -> "Variable":
        return self + -_variable(other)

    def __rsub__(self, other: Any) -> "Variable":
        return _variable(other) + -self

    def __rtruediv__(self, other: Any) -> "Variable":
        return _variable(other) / self

    def __rmatmul__(self, other: Any) -> "Variable":
        return _variable(other) @ self

    __radd__ = __add__
    __rmul__ = __mul__

    @property
    def T(self) -> "Variable":  # noqa: N802  as in NumPy
        """The transposed matrix."""
        return Variable(self.value.T, [(self, lambda g: g.T)], op="T")

    def reshape(self, *shape: int) -> "Variable":
        """The same numbers in another shape."""
        return Variable(
            self.value.reshape(shape),
            [(self, lambda g: g.reshape(self.shape))],
            op="reshape",
        )

    def sum(self, axis: int | None = None, *, keepdims: bool = False) -> "Variable":
        """Sum of all numbers, or along an axis."""

        def spread(g: Array) -> Array:
            g = g if axis is None or keepdims else np.expand_dims(g, axis)
            return np.broadcast_to(g, self.shape)

        return Variable(
            np.asarray(self.value.sum(axis, keepdims=keepdims)),
            [(self, spread)],
            op="sum",
        )

    def mean(self, axis: int | None = None, *, keepdims: bool = False) -> "Variable":
        """Mean of all numbers, or along an axis."""
        total = self.sum(axis, keepdims=keepdims)
        return total * (total.value.size / self.value.size)

    def exp(self) -> "Variable":
        """Exponential of each number."""
        y = np.exp(self.value)
        return Variable(y, [(self, lambda g: g * y)], op="exp")

    def log(self) -> "Variable":
        """Natural logarithm of each number."""
        if (self.value <= 0).any():
            raise ValueError(
                f"value must be positive for its logarithm, got {self.value.min()} "
                "among them"
            )
        return Variable(
            np.log(self.value), [(self, lambda g: g / self.value)], op="log"
        )

    def tanh(self) -> "Variable":
        """Hyperbolic tangent of each number."""
        y = np.tanh(self.value)
        return Variable(y, [(self, lambda g: g * (1 - y**2))], op="tanh")

    def relu(self) -> "Variable":
        """Each number, or zero if it is negative; the derivative at zero is zero."""
        return Variable(
            np.maximum(self.value, 0),
            [(self, lambda g: g * (self.value > 0))],
            op="relu",
        )

    def log_softmax(self) -> "Variable":
        """Logarithm of the softmax along the last axis."""
        shifted = self - self.value.max(
            -1, keepdims=True
        )  # a constant: the shift cancels, in the derivative too
        return shifted - shifted.exp().sum(-1, keepdims=True).log()


def _variable(value: Any) -> Variable:
    return value if isinstance(value, Variable) else Variable(value)
