"""Checks of tables that may be dense or sparse."""

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from dlref import _check


class Table(NamedTuple):
    """The entries of a table that are not zero."""

    rows: np.ndarray
    columns: np.ndarray
    values: np.ndarray
    shape: tuple[int, int]


def table(name: str, value: Any) -> Table:
    """The entries of a table as floats, each place once.

    It must have two axes, not be empty, and be finite.
    """
    if not (isinstance(value, np.ndarray) or sparse.issparse(value)):
        raise TypeError(
            f"{name} must be a NumPy array or a sparse array of SciPy, got "
            f"{_check.describe(value)}"
        )
    if value.dtype.kind not in "iufb":
        raise TypeError(f"{name} must hold real numbers, got {_check.describe(value)}")
    if value.ndim != 2 or 0 in value.shape:
        raise ValueError(
            f"{name} must have two axes and not be empty, got {_check.describe(value)}"
        )
    dense = not sparse.issparse(value)  # SciPy has no half precision
    found = sparse.csr_array(value.astype(float) if dense else value, dtype=float)
    if not np.isfinite(found.data).all():
        raise ValueError(f"{name} must be finite")
    rows, columns, values = sparse.find(found)  # each place once, without zeros
    order = np.lexsort((columns, rows))
    return Table(rows[order], columns[order], values[order], value.shape)
