"""A matrix in few numbers: the truncated singular value decomposition.

Shape legend: V words, C context words, K numbers that are kept of each.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import sparse
from scipy.sparse.linalg import svds

from dlref import _check
from dlref.words import _tables

__all__ = ["Factors", "truncated_svd"]


class Factors(NamedTuple):
    """What :func:`truncated_svd` gives.

    Attributes:
        U: (V, K), a row a word; columns of length 1, at right angles.
        S: (K,), the singular values, falling.
        Vh: (K, C), rows of length 1, at right angles.

    Source:
        The names are those of torch.linalg.svd.

    Example:
        >>> truncated_svd(np.array([[3.0, 0], [4, 5]]), 1).S ** 2
        array([45.])
    """

    U: Float[np.ndarray, "V K"]
    S: Float[np.ndarray, " K"]
    Vh: Float[np.ndarray, "K C"]

    def matrix(self) -> Float[np.ndarray, "V C"]:
        """The product, the best approximation of rank K."""
        return (self.U * self.S) @ self.Vh


def truncated_svd(
    matrix: np.ndarray | sparse.sparray, k: int, *, seed: int = 0
) -> Factors:
    r"""The k largest singular values with their vectors.

    .. math:: X \approx U_k\, S_k\, V_k^\top

    No matrix of rank k is nearer to X, measured by the sum of squared differences. The
    sign of a pair of vectors is free; here the entry of U that is largest in absolute
    value is positive. Small dense tables are decomposed whole, others by ARPACK from a
    random start; equal singular values have no order of their own.

    Args:
        matrix: (V, C), NumPy or SciPy's sparse arrays.
        k: from 1 to the rank of the matrix.
        seed: of the start.

    Raises:
        TypeError: if the matrix is no array of real numbers.
        ValueError: if it is not finite, empty, or of a rank below k.

    Source:
        Eckart & Young (1936), Psychometrika 1; :func:`scipy.sparse.linalg.svds`.

    Example:
        >>> truncated_svd(np.array([[3.0, 0], [4, 5]]), 1).matrix()
        array([[1.5, 1.5],
               [4.5, 4.5]])
    """
    table = _tables.table("matrix", matrix)
    sides = min(table.shape), max(table.shape)
    k = _check.integer("k", k, 1, sides[0])
    rng = np.random.default_rng(_check.integer("seed", seed, 0))
    entries = (table.values, (table.rows, table.columns))
    X = sparse.csr_array(entries, table.shape)
    if len(table.values) == 0 or sides[0] <= max(50, 2 * k):
        U, S, Vh = np.linalg.svd(X.toarray(), full_matrices=False)
    else:
        largest = abs(table.values).max()  # ARPACK stops at tiny and huge tables
        found = svds(X / largest, k=k, v0=rng.normal(size=sides[0]))
        U, S, Vh = (np.asarray(part) for part in found)
        U, S, Vh = U[:, ::-1], S[::-1] * largest, Vh[::-1]  # the smallest came first
    smallest = S[0] * sides[1] * np.finfo(float).eps
    rank = int((smallest < S).sum())
    if rank < k:
        raise ValueError(f"k must be at most the rank of the matrix, {rank}, got {k}")
    U, S, Vh = U[:, :k], S[:k], Vh[:k]
    largest = U[abs(U).argmax(0), np.arange(k)]
    sign = np.where(largest < 0, -1.0, 1.0)
    return Factors(U * sign, S, Vh * sign[:, None])
