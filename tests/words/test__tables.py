"""Mirrors dlref/words/_tables.py."""

import numpy as np
import pytest
from scipy import sparse

from dlref.words._tables import Table, table


def test_each_place_once_and_no_zeros():
    given = sparse.coo_array(([1, 1, 2, 0], ([0, 0, 1, 1], [0, 0, 1, 0])), (2, 3))
    made = table("counts", given)
    assert made.shape == (2, 3)
    assert (made.rows.tolist(), made.columns.tolist(), made.values.tolist()) == ([0, 1], [0, 1], [2, 2])
    assert made.values.dtype == np.float64
    assert given.nnz == 4  # the caller's is left as it was


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float16, np.float64])
@pytest.mark.parametrize("form", [np.array, sparse.csr_array, sparse.csc_array, sparse.csr_matrix])
def test_forms_and_types(form, dtype):
    if dtype is np.float16 and form is not np.array:
        return  # SciPy has no such table
    x = np.array([[1, 0, 1]], dtype=dtype)
    made = table("counts", form(x))
    assert isinstance(made, Table)
    assert (made.rows.tolist(), made.columns.tolist(), made.values.tolist()) == ([0, 0], [0, 2], [1.0, 1.0])


def test_bad_input_names_the_offender():
    with pytest.raises(TypeError, match=r"counts must be a NumPy array or a sparse array of SciPy, got \[\[1\]\]"):
        table("counts", [[1]])
    for wrong in (np.ones((2, 2)) * 1j, np.array([["a"]])):
        with pytest.raises(TypeError, match=r"matrix must hold real numbers, got .* array of shape"):
            table("matrix", wrong)
    for shape in ((2,), (1, 2, 3), (0, 3), (3, 0)):
        with pytest.raises(ValueError, match="x must have two axes and not be empty, got float64 array"):
            table("x", np.ones(shape))
    for wrong in (np.nan, np.inf, -np.inf):
        for form in (np.array, sparse.csr_array):
            with pytest.raises(ValueError, match="x must be finite"):
                table("x", form([[1.0, wrong]]))
