"""The McCulloch-Pitts neuron, and which Boolean functions a hyperplane can compute.

Shape legend: n inputs, m points.
"""

from collections.abc import Collection

import numpy as np
from jaxtyping import Float, Int, Shaped

from dlref import _check
from dlref.data._packages import package

__all__ = [
    "boolean_inputs",
    "mp_neuron",
    "separating_hyperplane",
    "threshold_functions",
]


def mp_neuron(
    x: Shaped[np.ndarray, "*batch n"], theta: int, *, inhibitory: Collection[int] = ()
) -> Int[np.ndarray, "*batch"]:
    r"""Output of one unit.

    It fires when enough inputs are on, unless an inhibitory one is.

    .. math:: g(x) = \sum_{i \notin I} x_i, \qquad y = [\, g(x) \ge \theta \,] \prod_{i
        \in I} (1 - x_i)

    Args:
        x: inputs, 0 or 1.
        theta: threshold, how many excitatory inputs must be on.
        inhibitory: which inputs forbid it to fire, by position.

    Raises:
        TypeError, ValueError: if ``x`` holds anything but 0 and 1, or ``theta`` or a
            position is no integer in range.

    Source:
        McCulloch & Pitts (1943), "A logical calculus of the ideas immanent in nervous
        activity", section 2.

    Example:
        >>> mp_neuron(boolean_inputs(2), 2)
        array([0, 0, 0, 1])
    """
    if (
        not isinstance(x, np.ndarray)
        or x.ndim < 1
        or x.shape[-1] == 0
        or x.dtype.kind not in "biuf"
    ):
        raise TypeError(
            "x must be a NumPy array of shape (..., n) of zeros and ones, got "
            f"{_check.describe(x)}"
        )
    wrong = x[(x != 0) & (x != 1)]
    if wrong.size:
        raise ValueError(f"x must hold only 0 and 1, got {wrong[0]} among them")
    theta = _check.integer("theta", theta, 0)
    forbids = np.zeros(x.shape[-1], dtype=bool)
    for i in inhibitory:
        forbids[_check.integer("inhibitory", i, 0, x.shape[-1] - 1)] = True
    g = x[..., ~forbids].sum(-1)
    return np.asarray((g >= theta) & ~(x[..., forbids] == 1).any(-1), dtype=int)


def boolean_inputs(n: int) -> Int[np.ndarray, "rows n"]:
    """All inputs of ``n`` bits, one a row, counting upwards.

    The last bit changes fastest.

    Args:
        n: number of bits, 1 to 20.

    Raises:
        TypeError, ValueError: if ``n`` is no integer in [1, 20].

    Source:
        This book.

    Example:
        >>> boolean_inputs(2).tolist()
        [[0, 0], [0, 1], [1, 0], [1, 1]]
    """
    n = _check.integer("n", n, 1, 20)
    return np.arange(2**n)[:, None] >> np.arange(n)[::-1] & 1


def separating_hyperplane(
    X: Shaped[np.ndarray, "m n"], y: Shaped[np.ndarray, " m"]
) -> tuple[Float[np.ndarray, " n"], float] | None:
    r"""Weights and bias of a hyperplane between two classes, ``None`` if there is none.

    Label 1 lies on its positive side.

    A linear program decides: any hyperplane that separates can be scaled until every
    point is at least 1 away from zero, so

    .. math:: \min \lVert w \rVert_1 \quad \text{such that} \quad s_i (w^\top x_i + b)
              \ge 1, \qquad s_i = 2 y_i - 1

    has a solution exactly if the classes are linearly separable. The norm serves to
    make the weights small.

    Args:
        X: points, one a row.
        y: labels, 0 or 1.

    Raises:
        TypeError, ValueError: if ``X`` is no array of finite numbers, or ``y`` not as
            many zeros and ones.
        ImportError: if SciPy is not installed.

    Source:
        Mangasarian (1965), "Linear and nonlinear separation of patterns by linear
        programming".

    Example:
        >>> w, b = separating_hyperplane(boolean_inputs(2), np.array([0, 0, 0, 1]))
        >>> w.tolist(), b
        ([2.0, 2.0], -3.0)
        >>> separating_hyperplane(boolean_inputs(2), np.array([0, 1, 1, 0])) is None
        True
    """
    X = _check.numbers_array("X", X, "m n")
    s = 2 * _check.binary_labels("y", y, len(X)) - 1
    n = X.shape[1]
    sides = s[:, None] * np.column_stack(
        [X, -X, np.ones(len(X))]
    )  # w is u - v with u, v >= 0
    solution = package("scipy.optimize").linprog(
        np.append(np.ones(2 * n), 0),
        A_ub=-sides,
        b_ub=-np.ones(len(X)),
        bounds=[(0, None)] * 2 * n + [(None, None)],
    )
    if solution.status == 2:  # infeasible
        return None
    if solution.status != 0:
        raise RuntimeError(f"the linear program was not solved: {solution.message}")
    return solution.x[:n] - solution.x[n:-1], float(solution.x[-1])


def threshold_functions(n: int) -> Int[np.ndarray, "functions rows"]:
    r"""Truth tables of all linearly separable Boolean functions.

    One a row, its columns in the order of :func:`boolean_inputs`.

    Exhaustive over all :math:`2^{2^n}` functions: exchanging inputs, negating an input
    and negating the output keep a function separable, so one linear program for each
    class of functions that these steps connect decides for all.

    Args:
        n: number of inputs, 1 to 4 (for 5 there are four thousand million functions).

    Raises:
        TypeError, ValueError: if ``n`` is no integer in [1, 4].
        ImportError: if SciPy is not installed.

    Source:
        Winder (1961), "Single stage threshold logic"; Muroga (1971), Threshold Logic
        and its Applications.

    Example:
        >>> [len(threshold_functions(n)) for n in (1, 2, 3)]
        [4, 14, 104]
    """
    n = _check.integer("n", n, 1, 4)
    X = boolean_inputs(n)
    place = 1 << np.arange(2**n)
    codes = np.arange(2 ** (2**n))
    tables = (codes[:, None] & place > 0).astype(int)
    flips = [np.arange(2**n) ^ 1]  # rows with the last input negated
    for j in range(n - 1):
        swapped = X.copy()
        swapped[:, [j, j + 1]] = X[:, [j + 1, j]]
        flips.append(swapped @ (1 << np.arange(n)[::-1]))
    targets = [tables[:, rows] @ place for rows in flips] + [(1 - tables) @ place]
    edges = (
        np.ones(len(codes) * len(targets)),
        (np.tile(codes, len(targets)), np.concatenate(targets)),
    )
    graph = package("scipy.sparse").coo_array(edges)
    _, classes = package("scipy.sparse.csgraph").connected_components(graph)
    _, first = np.unique(classes, return_index=True)
    separable = np.array(
        [separating_hyperplane(X, tables[code]) is not None for code in first]
    )
    return tables[separable[classes]]
